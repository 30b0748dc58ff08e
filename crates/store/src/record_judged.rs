//! What was found out about the sender of a message, and what was made of it. Stands beside its
//! [`Record::Accepted`](crate::Record), in the same commit; or alone, where the message was turned
//! away.

use std::net::IpAddr;

use mail_types::{MailId, ReversePath};
use serde::{Deserialize, Serialize};

/// The verdict on a message with the facts it stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The message; none where it was turned away.
    pub mail: Option<MailId>,
    /// What was done with it.
    pub act: JudgedAct,
    /// Why, in plain words; empty where there was nothing to say.
    pub reasons: Vec<String>,
    /// Who brought it.
    pub ip: IpAddr,
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// HELO or EHLO.
    pub helo: String,
    /// The results of the checks, as Authentication-Results has them.
    pub facts: Vec<Fact>,
    /// DMARC, for reports to the author's domain (RFC 9990); none where no author could be told.
    pub dmarc: Option<DmarcFacts>,
}

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JudgedAct {
    /// Delivered as any.
    Deliver,
    /// Delivered into the folder for junk.
    Junk,
    /// Held until somebody decides.
    Hold,
    /// Refused for good, while it was offered.
    Reject,
}

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// `spf`, `dkim`, `dmarc`, `arc`, `iprev`.
    pub method: String,
    /// `pass`, `fail`, ...
    pub result: String,
    /// Whom it is about: a domain, or a host's name; may be empty.
    pub about: String,
    /// Which identity or key: `mailfrom`, `helo`, the selector of a signature; may be empty.
    pub property: String,
    /// Why, in plain words.
    pub reason: String,
}

/// What a report to the author's domain says of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DmarcFacts {
    /// The author's domain.
    pub from: String,
    /// Where its policy was found; none where it has none.
    pub published: Option<PublishedPolicy>,
    /// SPF passed for an aligned domain.
    pub spf_aligned: bool,
    /// A DKIM signature of an aligned domain passed.
    pub dkim_aligned: bool,
    /// Why the policy was not followed, as RFC 9990 words it: `trusted_forwarder`, `local_policy`.
    pub overridden: Option<String>,
}

/// A policy that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPolicy {
    /// The domain whose record it is.
    pub domain: String,
    /// `p`, `sp` or `np`: which tag counted.
    pub tag: String,
    /// What it asks for: `none`, `quarantine`, `reject`.
    pub policy: String,
}

impl JudgedAct {
    /// The word for it, for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Junk => "junk",
            Self::Hold => "hold",
            Self::Reject => "reject",
        }
    }
}
