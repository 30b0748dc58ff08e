use std::net::IpAddr;
use std::time::Duration;

use mail_types::{Address, DeliverBy, Priority, Refusal, ReversePath, Timestamp, TlsFacts};
use sasl::SignedIn;

/// RFC 6152 §2: what the client says the content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BodyType {
    /// `BODY=7BIT`, or nothing said.
    #[default]
    SevenBit,
    /// `BODY=8BITMIME`
    EightBitMime,
}

/// RFC 3461 §4.3: how much of the message a failure report returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// `RET=FULL`
    Full,
    /// `RET=HDRS`
    Headers,
}

/// RFC 3461 §4.1: when the sender wants reports about a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// `NOTIFY=NEVER`
    Never,
    /// At least one of these.
    On {
        /// `SUCCESS`
        success: bool,
        /// `FAILURE`
        failure: bool,
        /// `DELAY`
        delay: bool,
    },
}

/// RFC 3461 §4.2: the recipient as the sender first wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orcpt {
    /// Kind of address, in lower case: `rfc822`, `utf-8` (RFC 6533), others.
    pub addr_type: String,
    /// The address, xtext decoded.
    pub address: String,
}

/// RFC 4865 §4: when a message may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldFor {
    /// `HOLDFOR=`: so many seconds after MAIL, 1 to 999,999,999.
    Secs(u32),
    /// `HOLDUNTIL=`
    Until(Timestamp),
}

impl HoldFor {
    /// When it ends, if it begins now.
    #[must_use]
    pub fn end(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Secs(secs) => now.after(Duration::from_secs(secs.into())),
            Self::Until(at) => at,
        }
    }

    /// Whether a message may be held for so long.
    ///
    /// # Errors
    /// 501 5.5.4, with the longest that it may be.
    pub fn judge(self, max: Duration, now: Timestamp) -> Result<(), Refusal> {
        let end = now.after(max);
        if self.end(now) <= end {
            return Ok(());
        }
        let text = format!("A message is held for at most {} seconds, until {end}", max.as_secs());
        Err(Refusal::permanent(501, 5, 4, text))
    }
}

/// The parameters of MAIL that count later.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MailParams {
    /// RFC 1870: announced octets of the content; within the limit.
    pub size: Option<u64>,
    /// RFC 6152.
    pub body: BodyType,
    /// RFC 6531: addresses or headers may hold UTF-8.
    pub smtputf8: bool,
    /// RFC 8689: it must not travel without TLS to a host that is proven to be the right one.
    pub requiretls: bool,
    /// RFC 3461.
    pub ret: Option<Ret>,
    /// RFC 3461 §4.4: the sender's own id for this envelope, xtext decoded, 1 to 100 octets.
    pub envid: Option<String>,
    /// RFC 4865: it must not leave earlier.
    pub hold: Option<HoldFor>,
    /// RFC 6710: as the server gives it, where one was asked for.
    pub priority: Option<Priority>,
    /// RFC 2852: within which time it is to be delivered.
    pub by: Option<DeliverBy>,
}

/// MAIL, with all that is known of the client: what the service judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// From whom.
    pub reverse_path: ReversePath,
    /// How.
    pub params: MailParams,
    /// What the client called itself in HELO or EHLO.
    pub helo: String,
    /// The client's address.
    pub peer: IpAddr,
    /// Who has signed in; always somebody on the submission ports.
    pub signed_in: Option<SignedIn>,
    /// The TLS session, if there is one.
    pub tls: Option<TlsFacts>,
}

/// One RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// To whom; a source route is already gone (RFC 5321 appendix C).
    pub address: Address,
    /// `None`: not said, which counts as failure and delay (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// RFC 3461 §4.2.
    pub orcpt: Option<Orcpt>,
}

impl Recipient {
    /// A recipient without DSN parameters.
    #[must_use]
    pub const fn new(address: Address) -> Self {
        Self { address, notify: None, orcpt: None }
    }
}

/// All that is known of a message when its content begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// From whom, how and by which client.
    pub sender: Sender,
    /// The recipients the service has said yes to, in the order of their RCPTs; at least one.
    pub recipients: Vec<Recipient>,
    /// For the `with` of Received (RFC 3848, RFC 6531 §4.3): `SMTP`, `ESMTPSA`, `UTF8SMTPS`, …
    pub protocol: &'static str,
}

/// The same in LMTP (RFC 3848 §1, RFC 6531 §4.3), where nobody signs in.
pub(crate) const fn with_lmtp(sender: &Sender) -> &'static str {
    match (sender.params.smtputf8, sender.tls.is_some()) {
        (false, false) => "LMTP",
        (false, true) => "LMTPS",
        (true, false) => "UTF8LMTP",
        (true, true) => "UTF8LMTPS",
    }
}

/// The keyword for `with` (RFC 3848 §1, RFC 6531 §4.3).
pub(crate) const fn with_protocol(sender: &Sender, extended: bool) -> &'static str {
    let secured = (sender.tls.is_some(), sender.signed_in.is_some());
    match (sender.params.smtputf8, extended, secured) {
        (true, _, (false, false)) => "UTF8SMTP",
        (true, _, (false, true)) => "UTF8SMTPA",
        (true, _, (true, false)) => "UTF8SMTPS",
        (true, _, (true, true)) => "UTF8SMTPSA",
        (false, false, _) => "SMTP",
        (false, true, (false, false)) => "ESMTP",
        (false, true, (false, true)) => "ESMTPA",
        (false, true, (true, false)) => "ESMTPS",
        (false, true, (true, true)) => "ESMTPSA",
    }
}
