use std::net::IpAddr;

use mail_types::{Address, Domain, Host, Priority, ReversePath, TlsFacts};

use crate::date::{MailDate, format_date};

/// Octets kept of what a client called itself.
const GREETING_OCTETS_MAX: usize = 255;

/// The "with" clause of Received: its protocol, extensions and securities
/// (RFC 3848, RFC 6531 §4.3, RFC 5321 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WithProtocol {
    /// Which greeting was used.
    pub kind: ProtocolKind,
    /// TLS protects the session.
    pub tls: bool,
    /// The client has signed in.
    pub authenticated: bool,
    /// MAIL had the SMTPUTF8 parameter.
    pub utf8: bool,
}

/// The protocol of a [`WithProtocol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ProtocolKind {
    /// HELO: no extensions, so neither TLS nor sign-in.
    Smtp,
    /// EHLO.
    #[default]
    Esmtp,
    /// LHLO.
    Lmtp,
    /// None of these: a request to the HTTP API (in IANA's registry of mail transmission types).
    Http,
}

impl WithProtocol {
    /// The keyword, for example `ESMTPSA`.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        let lmtp = match self.kind {
            ProtocolKind::Smtp => return "SMTP",
            ProtocolKind::Http => return "HTTP",
            ProtocolKind::Esmtp => false,
            ProtocolKind::Lmtp => true,
        };
        match (lmtp, self.utf8, self.tls, self.authenticated) {
            (false, false, false, false) => "ESMTP",
            (false, false, false, true) => "ESMTPA",
            (false, false, true, false) => "ESMTPS",
            (false, false, true, true) => "ESMTPSA",
            (false, true, false, false) => "UTF8SMTP",
            (false, true, false, true) => "UTF8SMTPA",
            (false, true, true, false) => "UTF8SMTPS",
            (false, true, true, true) => "UTF8SMTPSA",
            (true, false, false, false) => "LMTP",
            (true, false, false, true) => "LMTPA",
            (true, false, true, false) => "LMTPS",
            (true, false, true, true) => "LMTPSA",
            (true, true, false, false) => "UTF8LMTP",
            (true, true, false, true) => "UTF8LMTPA",
            (true, true, true, false) => "UTF8LMTPS",
            (true, true, true, true) => "UTF8LMTPSA",
        }
    }
}

/// A Received field to be written (RFC 5321 §4.4 time-stamp-line).
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// What the client called itself in HELO, EHLO or LHLO; may be anything.
    pub greeting: &'a str,
    /// Where the connection came from.
    pub ip: IpAddr,
    /// The name of that address, where its reverse look-up was confirmed.
    pub reverse_name: Option<&'a Domain>,
    /// This server.
    pub by: &'a Domain,
    /// The "with" clause.
    pub with: WithProtocol,
    /// The TLS session, named in a comment.
    pub tls: Option<&'a TlsFacts>,
    /// The id under which the log or journal knows the message; octets of no atom are left out.
    pub id: &'a str,
    /// The recipient, where there is just one: with more it would tell one of the other
    /// (RFC 5321 §7.2).
    pub recipient: Option<&'a Address>,
    /// The priority that was asked for and given (RFC 6710).
    pub priority: Option<Priority>,
    /// When the message arrived.
    pub at: MailDate,
}

impl Received<'_> {
    /// The field, folded, with CRLF at its end; to be put in front of the message.
    #[must_use]
    pub fn field(&self) -> String {
        let literal = Host::Literal(self.ip);
        let greeting: String = self.greeting.chars().take(GREETING_OCTETS_MAX).collect();
        // RFC 5321 §4.4 Extended-Domain: a name or literal, then what TCP knows.
        let from = match Host::parse(&greeting) {
            Ok(host) => host.to_string(),
            Err(_) => literal.to_string(),
        };
        let tcp = match self.reverse_name {
            Some(name) => format!("{name} {literal}"),
            None => literal.to_string(),
        };
        let mut out = format!("Received: from {from} ({tcp})\r\n");
        if Host::parse(&greeting).is_err() {
            out.push_str(&format!("\t(greeted as {})\r\n", comment_text(&greeting)));
        }
        out.push_str(&format!("\tby {} (Restante) with {}", self.by, self.with.keyword()));
        if let Some(tls) = self.tls {
            let (version, cipher) = (comment_text(&tls.version), comment_text(&tls.cipher));
            out.push_str(&format!("\r\n\t({version} {cipher})"));
        }
        let id: String = self.id.chars().filter(|&c| is_atom(c)).take(64).collect();
        if !id.is_empty() {
            out.push_str(&format!(" id {id}"));
        }
        if let Some(recipient) = self.recipient {
            out.push_str(&format!("\r\n\tfor <{recipient}>"));
        }
        // RFC 6710 §4.1: an additional clause (RFC 5321 §4.4), behind all others.
        if let Some(priority) = self.priority {
            out.push_str(&format!("\r\n\tPRIORITY {priority}"));
        }
        out.push_str(&format!(";\r\n\t{}\r\n", format_date(self.at)));
        out
    }
}

/// RFC 5321 §4.4: the Return-Path field of final delivery, with CRLF at its end; to be put in front
/// of the message.
#[must_use]
pub fn return_path(reverse_path: &ReversePath) -> String {
    format!("Return-Path: {reverse_path}\r\n")
}

/// The Delivered-To field by which forwarding finds its own loops, with CRLF at its end.
#[must_use]
pub fn delivered_to(address: &Address) -> String {
    format!("Delivered-To: {address}\r\n")
}

/// Printable ASCII without what would end a comment or begin another.
fn comment_text(text: &str) -> String {
    let kept = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().filter(|c| !"()\\".contains(*c)).map(kept).collect()
}

/// RFC 5322 §3.2.3 atext and the dot, as far as ids need them.
fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.+=".contains(c)
}
