//! How long mail is kept that lies in no mailbox any more, what is kept whatever happens, and what is
//! gone for good.

use mail_types::{AccountId, Domain, MailId, RecordSeq, Timestamp};
use serde::{Deserialize, Serialize};

/// How long mail is kept once it lies in no mailbox and nobody is to get it any more. In order of
/// length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Keep {
    /// So many seconds.
    Secs(u64),
    /// For ever.
    Forever,
}

/// Whose mail a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RetentionOf {
    /// Of all accounts and aliases of a domain that have no rule of their own.
    Domain(Domain),
    /// Of an account.
    Account(AccountId),
}

/// How long mail of somebody is kept from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRule {
    /// Whose.
    pub of: RetentionOf,
    /// How long; none: as the next wider rule says.
    pub keep: Option<Keep>,
    /// The same for what was judged to be junk.
    pub spam: Option<Keep>,
}

/// Mail of an account is kept whatever else says that it may go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegalHold {
    /// What people call it: the same name may stand for several accounts.
    pub name: String,
    /// Whose mail.
    pub account: AccountId,
    /// Accepted at this time or later; none: since ever.
    pub from: Option<Timestamp>,
    /// Accepted before this time; none: whatever comes.
    pub until: Option<Timestamp>,
    /// Why, in the operator's words.
    pub reason: String,
}

/// Legal holds are over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldsEnded {
    /// The records that began them.
    pub holds: Vec<RecordSeq>,
    /// Why, in the operator's words.
    pub reason: String,
}

/// The bodies of messages are gone for good from this record on; they are removed from the disk
/// behind it. What the journal says of the messages stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// The messages.
    pub mails: Vec<MailId>,
    /// Why.
    pub rule: PurgeRule,
}

/// Why bodies are purged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PurgeRule {
    /// Their time was over.
    Retention {
        /// How long they were to be kept, in seconds.
        keep_secs: u64,
        /// They had been judged to be junk.
        spam: bool,
        /// Whose rule it was; none: the server's settings.
        of: Option<RetentionOf>,
    },
    /// A person wanted it.
    Operator {
        /// Why.
        reason: String,
    },
}
