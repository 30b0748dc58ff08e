//! Delivery status notifications (RFC 3464, RFC 3461 §6, RFC 6522, RFC 6533).

mod explain;

use std::collections::BTreeSet;

use mail_types::{Address, ByMode, Domain, EnhancedStatus};

use crate::date::{MailDate, format_date};
use crate::facts::HeaderFacts;
use crate::header::{Fields, header_range};
use crate::{Limits, encode};

/// What happened to a recipient (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Not delivered, and not tried again.
    Failed,
    /// Not yet delivered, still tried.
    Delayed,
    /// In the mailbox.
    Delivered,
    /// Handed to a system that sends no such reports.
    Relayed,
    /// Handed on to several addresses.
    Expanded,
}

impl Action {
    /// The keyword.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

/// One recipient of a report (RFC 3464 §2.3).
#[derive(Clone, Debug)]
pub struct Recipient<'a> {
    /// The address that delivery was tried to.
    pub address: &'a Address,
    /// ORCPT of RFC 3461 as `type;address`, xtext decoded.
    pub original: Option<&'a str>,
    /// What happened.
    pub action: Action,
    /// The status code.
    pub status: EnhancedStatus,
    /// Name of the host that said `diagnostic`.
    pub remote_mta: Option<&'a str>,
    /// Its reply word for word, several lines parted by `\n`.
    pub diagnostic: Option<&'a str>,
    /// Our own plain words, where no remote host said anything, such as "no such domain".
    pub reason: Option<&'a str>,
    /// The address that was probably meant.
    pub meant: Option<&'a Address>,
    /// When delivery was last tried.
    pub last_attempt: Option<MailDate>,
    /// For delays: when trying ends.
    pub will_retry_until: Option<MailDate>,
}

/// Who reads a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// Who sent the message.
    Sender,
    /// The postmaster, where the message came from `<>` and nobody else may be told (RFC 5321
    /// §4.5.5).
    Postmaster,
}

/// How much of the message goes back (RFC 3461 §4.3 RET).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returned {
    /// All of it.
    Full,
    /// Its header.
    Headers,
}

/// A report to be built.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// What it is about; `recipients` may differ (delivered and relayed ones in one report).
    pub kind: Action,
    /// This server.
    pub reporting_mta: &'a Domain,
    /// Address in From, `MAILER-DAEMON@` or `postmaster@`. The envelope sender is `<>`.
    pub from: &'a Address,
    /// Who sent the message: its reverse-path; or the postmaster.
    pub to: &'a Address,
    /// Which of them.
    pub reader: Reader,
    /// When the report is made.
    pub at: MailDate,
    /// Message-ID of the report, unique, with its angle brackets.
    pub message_id: &'a str,
    /// Letters and digits that hardly occur by chance; made longer where they do.
    pub boundary: &'a str,
    /// ENVID of RFC 3461, xtext decoded.
    pub envelope_id: Option<&'a str>,
    /// How the sender asked for the message to leave later: `for;SECONDS` or `until;TIME`
    /// (RFC 4865 §6).
    pub future_release: Option<&'a str>,
    /// Until when it was to be delivered, and what was to happen then, where its sender has said so
    /// (RFC 2852 §5).
    pub deliver_by: Option<(MailDate, ByMode)>,
    /// Receipt under which this server accepted the message, for people who ask.
    pub receipt: Option<&'a str>,
    /// When the message arrived here.
    pub arrival: Option<MailDate>,
    /// At least one.
    pub recipients: &'a [Recipient<'a>],
    /// The message, or its header alone where `returned` is [`Returned::Headers`].
    pub original: &'a [u8],
    /// How much of it goes back.
    pub returned: Returned,
}

impl Report<'_> {
    /// The report as a message with CRLF line ends. It needs SMTPUTF8 where `to` does, and
    /// 8BITMIME where what is returned does.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let header = &self.original[header_range(self.original)];
        let utf8 = self.recipients.iter().any(|recipient| {
            recipient.address.needs_smtputf8()
                || recipient.original.is_some_and(|original| !original.is_ascii())
        });
        let limits = Limits::default();
        let facts = HeaderFacts::read(header, &limits);
        let human = encode::TextBody::new(&explain::human_text(self, &facts));
        let status = self.status_fields(utf8);
        let returned = match self.returned {
            Returned::Full => self.original,
            Returned::Headers => &header[..fields_octets(header)],
        };
        let boundary = free_boundary(self.boundary, &[human.bytes(), status.as_bytes(), returned]);

        let mut out = self.header(&facts, &boundary).into_bytes();
        out.reserve(returned.len() + status.len() + human.bytes().len() + 1024);
        let begin = |out: &mut Vec<u8>, fields: &str| {
            out.extend_from_slice(format!("\r\n--{boundary}\r\n{fields}\r\n").as_bytes());
        };
        begin(&mut out, human.fields());
        out.extend_from_slice(human.bytes());
        begin(&mut out, &status_part_fields(utf8, status.is_ascii()));
        out.extend_from_slice(status.as_bytes());
        begin(&mut out, &self.returned_part_fields(header, returned));
        out.extend_from_slice(returned);
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        out
    }

    fn header(&self, facts: &HeaderFacts, boundary: &str) -> String {
        let mut out = format!(
            "From: Mail Delivery System <{}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: {}\r\n\
             Message-ID: {}\r\n",
            self.from,
            self.to,
            encode::unstructured(&explain::subject(self)),
            format_date(self.at),
            self.message_id,
        );
        if let Some(id) = facts.message_id.as_deref().and_then(referable_id) {
            out.push_str(&format!("In-Reply-To: {id}\r\nReferences: {id}\r\n"));
        }
        // RFC 3834 §5; RFC 3464 has no keyword of its own.
        out.push_str(&format!(
            "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\
             \tboundary=\"{boundary}\"\r\n\r\n\
             This is a report about the delivery of a message, in MIME format.\r\n"
        ));
        out
    }

    /// RFC 3464 §2.2, §2.3: the fields about the message, then a group for each recipient.
    fn status_fields(&self, utf8: bool) -> String {
        let mut out = String::new();
        if let Some(id) = self.envelope_id {
            encode::status_field(&mut out, "Original-Envelope-Id", id, utf8);
        }
        out.push_str(&format!("Reporting-MTA: dns; {}\r\n", self.reporting_mta));
        if let Some(arrival) = self.arrival {
            out.push_str(&format!("Arrival-Date: {}\r\n", format_date(arrival)));
        }
        // RFC 2852 §5: the `Deliver-By-Date` field.
        if let Some((at, _)) = self.deliver_by {
            out.push_str(&format!("Deliver-By-Date: {}\r\n", format_date(at)));
        }
        if let Some(request) = self.future_release {
            encode::status_field(&mut out, "Future-Release-Request", request, utf8);
        }
        for recipient in self.recipients {
            out.push_str("\r\n");
            recipient.status_fields(&mut out, utf8);
        }
        out
    }

    fn returned_part_fields(&self, header: &[u8], returned: &[u8]) -> String {
        // RFC 6533 §4: the "global" types are for UTF-8 in the header.
        let media_type = match (self.returned, header.is_ascii()) {
            (Returned::Full, true) => "message/rfc822",
            (Returned::Full, false) => "message/global",
            (Returned::Headers, true) => "text/rfc822-headers",
            (Returned::Headers, false) => "message/global-headers",
        };
        let encoding = match returned.is_ascii() {
            true => "",
            false => "Content-Transfer-Encoding: 8bit\r\n",
        };
        let description = match self.returned {
            Returned::Full => "Your message",
            Returned::Headers => "The header of your message",
        };
        format!("Content-Type: {media_type}\r\nContent-Description: {description}\r\n{encoding}")
    }
}

impl Recipient<'_> {
    fn status_fields(&self, out: &mut String, utf8: bool) {
        if let Some(original) = self.original {
            encode::status_field(out, "Original-Recipient", original, utf8);
        }
        // RFC 6533 §3: the address type for what is not ASCII.
        let kind = if self.address.needs_smtputf8() { "utf-8" } else { "rfc822" };
        out.push_str(&format!("Final-Recipient: {kind}; {}\r\n", self.address));
        out.push_str(&format!("Action: {}\r\nStatus: {}\r\n", self.action.keyword(), self.status));
        if let Some(remote) = self.remote_mta {
            encode::status_field(out, "Remote-MTA", &format!("dns; {remote}"), utf8);
        }
        if let Some(said) = self.diagnostic {
            encode::status_field(out, "Diagnostic-Code", &format!("smtp; {said}"), utf8);
        }
        if let Some(at) = self.last_attempt {
            out.push_str(&format!("Last-Attempt-Date: {}\r\n", format_date(at)));
        }
        // RFC 3464 §2.3.9: only for delays.
        if let (Some(until), Action::Delayed) = (self.will_retry_until, self.action) {
            out.push_str(&format!("Will-Retry-Until: {}\r\n", format_date(until)));
        }
    }
}

fn status_part_fields(utf8: bool, ascii: bool) -> String {
    let media_type =
        if utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
    let encoding = if ascii { "" } else { "Content-Transfer-Encoding: 8bit\r\n" };
    format!("Content-Type: {media_type}\r\nContent-Description: Delivery report\r\n{encoding}")
}

/// Octets of the fields of a header, without its blank line.
fn fields_octets(header: &[u8]) -> usize {
    Fields::new(header).map(|field| field.raw.len()).sum()
}

/// A Message-ID that can stand in References: in brackets, printable ASCII, of one piece.
fn referable_id(id: &[u8]) -> Option<&str> {
    let inside = id.strip_prefix(b"<")?.strip_suffix(b">")?;
    let whole = inside.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'<');
    (whole && !inside.is_empty()).then(|| std::str::from_utf8(id).ok()).flatten()
}

/// The boundary, with a number behind it where `--` and it occur in the parts; found in one pass,
/// and no other text begins with it.
fn free_boundary(wanted: &str, parts: &[&[u8]]) -> String {
    let stem: String = wanted.chars().filter(char::is_ascii_alphanumeric).take(50).collect();
    let stem = if stem.is_empty() { "report".to_owned() } else { stem };
    let delimiter = format!("--{stem}");
    let mut occurs = false;
    let mut taken = BTreeSet::new();
    for part in parts {
        for at in memchr::memmem::find_iter(part, delimiter.as_bytes()) {
            occurs = true;
            taken.extend(number_behind(&part[at + delimiter.len()..]));
        }
    }
    if !occurs {
        return stem;
    }
    // One of more candidates than there are taken ones is free.
    let free = (0..=taken.len() as u64).find(|number| !taken.contains(number)).unwrap_or(u64::MAX);
    format!("{stem}x{free}x")
}

/// The number of a boundary made by [`free_boundary`], of up to 18 digits.
fn number_behind(behind: &[u8]) -> Option<u64> {
    let digits = behind.strip_prefix(b"x")?;
    let end = digits.iter().take(19).position(|&byte| byte == b'x')?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}
