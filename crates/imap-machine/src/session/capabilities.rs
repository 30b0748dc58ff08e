use mail_types::{Acceptance, TlsFacts};
use sasl::Mechanism;

use super::Session;
use crate::write::{push_human, push_text};

/// Listed always.
const ALWAYS: &[&str] = &["IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE"];

/// Listed after sign-in: what is of no use before it.
#[rustfmt::skip]
const SIGNED_IN: &[&str] = &[
    "IDLE",
    "UIDPLUS",
    "MOVE",
    "UNSELECT",
    "NAMESPACE",
    "CHILDREN",
    "SPECIAL-USE",
    "CONDSTORE",
    "QRESYNC",
    "ESEARCH",
    "SEARCHRES",
    "WITHIN",
    "SORT",
    "SORT=DISPLAY",
    "ESORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "CONTEXT=SEARCH",
    "CONTEXT=SORT",
    "MULTISEARCH",
    "INPROGRESS",
    "PARTIAL",
    "BINARY",
    "PREVIEW",
    "SAVEDATE",
    "OBJECTID",
    "UTF8=ACCEPT",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "STATUS=SIZE",
    "CREATE-SPECIAL-USE",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "QUOTA=RES-MAILBOX",
    "METADATA",
    "NOTIFY",
    "UIDONLY",
    "LIST-METADATA",
    "ACL",
    "RIGHTS=kxte",
    "LIST-MYRIGHTS",
    "MULTIAPPEND",
    "REPLACE",
    "CATENATE",
    "URLAUTH",
    "URLAUTH=BINARY",
    "URL-PARTIAL",
];

impl<R: Acceptance> Session<R> {
    // RFC 3501 §6.1.1, §6.2.3: what is listed works, now.
    pub(super) fn capabilities(&self) -> String {
        let mut names = ALWAYS.to_vec();
        if self.signed_in.is_some() {
            names.extend(SIGNED_IN);
            // RFC 4978 §3: not where it is active already.
            if !self.compressed {
                names.push("COMPRESS=DEFLATE");
            }
            if self.may_unauthenticate() {
                names.push("UNAUTHENTICATE");
            }
            // RFC 7889 §2: the same for every mailbox.
            let octets = self.config.limits.message_octets_max;
            let message_limit = self.message_limit_capability();
            return format!("{} APPENDLIMIT={octets}{message_limit}", names.join(" "));
        }
        if self.config.starttls && self.tls.is_none() {
            names.push("STARTTLS");
        }
        if self.may_sign_in() {
            // RFC 5802 §6: -PLUS where there is something to bind to. LOGIN is a command here.
            let offered = Mechanism::offered(self.offer());
            names.extend(offered.filter_map(|mechanism| match mechanism {
                Mechanism::ScramSha256Plus => Some("AUTH=SCRAM-SHA-256-PLUS"),
                Mechanism::ScramSha256 => Some("AUTH=SCRAM-SHA-256"),
                Mechanism::Plain => Some("AUTH=PLAIN"),
                Mechanism::OAuthBearer => Some("AUTH=OAUTHBEARER"),
                Mechanism::XOAuth2 => Some("AUTH=XOAUTH2"),
                Mechanism::Login => None,
            }));
        } else {
            names.push("LOGINDISABLED");
        }
        names.join(" ")
    }

    // RFC 3501 §7.1.1
    pub(super) fn greet(&mut self) {
        let greeting = format!("* OK [CAPABILITY {}] {} ", self.capabilities(), self.config.host);
        push_human(&mut self.output, &greeting);
        push_text(&mut self.output, "IMAP4rev2 server ready\r\n");
    }

    /// The handshake is done.
    pub(super) fn tls_stands(&mut self, tls: TlsFacts) {
        // TLS from the first octet: the greeting tells what there is now.
        if self.tls.replace(tls).is_some() {
            self.output.clear();
            self.greet();
        }
    }
}
