//! What an attempt to send leaves for its story: every host that was asked, in its own words.

use std::net::IpAddr;

use mail_types::{CustodyId, Reply, Timestamp};
use serde::{Deserialize, Serialize};

use crate::record::{Outcome, Peer};

/// An attempt for recipients of one message: one transaction, or what came before any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Who was asked last.
    pub peer: Option<Peer>,
    /// What came of it, for each recipient once.
    pub outcomes: Vec<(CustodyId, Outcome)>,
    /// The hosts that were asked, in order.
    pub tries: Vec<Try>,
}

/// One host that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// When it began.
    pub begun: Timestamp,
    /// Why this host.
    pub path: Path,
    /// The host; none: that of [`Tried::peer`].
    pub peer: Option<Peer>,
    /// The preference of its MX record; none without MX.
    pub preference: Option<u16>,
    /// Our address.
    pub source: Option<IpAddr>,
    /// The TLS policy that applied, in a few words.
    pub policy: String,
    /// What came of the policy, where there is something to say.
    pub policy_said: Option<String>,
    /// Messages that went over the same connection before.
    pub before: u32,
    /// What happened, in order.
    pub phases: Vec<Phase>,
}

/// Why a host was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Path {
    /// It is a mail host of the recipient's domain, or the recipient names it.
    Direct,
    /// An operator's route names it.
    SmartHost,
    /// Another node of ours carries it on.
    Lane {
        /// Its name.
        node: String,
    },
}

/// A part of a try, with the host's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Which.
    pub name: PhaseName,
    /// Word for word, where it is a command's.
    pub reply: Option<Reply>,
    /// How long it took.
    pub millis: u32,
}

/// The parts of a try, in the order they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PhaseName {
    /// MX records, addresses, policies.
    Dns,
    /// TCP.
    Connect,
    /// From the connection to the greeting.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// The reply to STARTTLS.
    StartTls,
    /// The TLS handshake.
    Handshake,
    /// RSET.
    Rset,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// The reply to DATA.
    Data,
    /// The content, up to the dot.
    Content,
    /// The reply to the final dot.
    Dot,
}

impl PhaseName {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Connect => "connecting",
            Self::Greeting => "greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Handshake => "TLS handshake",
            Self::Rset => "RSET",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Content => "content",
            Self::Dot => "final dot",
        }
    }
}
