//! What this server reports to others about a span of time: DMARC aggregate reports (RFC 9990) and
//! TLS reports (RFC 8460).

use mail_types::{MailId, Timestamp};
use serde::{Deserialize, Serialize};

/// A report to one destination, settled for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// What it tells of.
    pub kind: ReportKind,
    /// The domain that it is about.
    pub about: String,
    /// Its span of time begins here.
    pub begin: Timestamp,
    /// And ends before this.
    pub end: Timestamp,
    /// Where to, as a URI.
    pub to: String,
    /// What the report calls itself.
    pub id: String,
    /// Messages (DMARC) or sessions (TLS) that it counts.
    pub counted: u64,
    /// Of them, those that failed.
    pub failed: u64,
    /// What became of it.
    pub outcome: ReportOutcome,
}

/// What a report tells of. New variants come at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReportKind {
    /// Mail that came in a domain's name (RFC 9990).
    Dmarc,
    /// Connections to a domain's mail hosts (RFC 8460).
    Tls,
}

/// What became of a report. New variants come at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportOutcome {
    /// It is this message of ours, accepted in the same commit.
    Mailed {
        /// The message.
        mail: MailId,
    },
    /// It was handed over by HTTPS.
    Posted {
        /// What the server answered, a 2xx.
        status: u16,
    },
    /// It is not sent.
    Dropped {
        /// Why, in plain words.
        why: String,
    },
}

/// The span of time that reports are about next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSpan {
    /// Everything before this was reported.
    pub begin: Timestamp,
    /// The journal's head up to which it was ([`journal::Head::to_bytes`]).
    pub head: Vec<u8>,
    /// Where it ends, once that is settled: reports are being sent.
    pub end: Option<Timestamp>,
}

/// What a domain wants of TLS, as it was found when mail went there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsPolicySeen {
    /// The recipients' domain.
    pub domain: String,
    /// The mail host whose TLSA records they are; empty for MTA-STS.
    pub host: String,
    /// Whose policy it is: the domain, or the TLSA base domain (RFC 7672 §2.2.3).
    pub owner: String,
    /// Its lines, or its records.
    pub strings: Vec<String>,
    /// The hosts that it names (MTA-STS).
    pub mx: Vec<String>,
}

impl ReportKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Dmarc, Self::Tls];

    /// Its number in the index.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Dmarc => 0,
            Self::Tls => 1,
        }
    }

    /// The word for it, for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dmarc => "dmarc",
            Self::Tls => "tls",
        }
    }
}
