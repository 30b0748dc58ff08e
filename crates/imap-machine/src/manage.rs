use mail_types::Rights;

use crate::grammar::{Depth, EntryName, MailboxName, RightsChange};

/// What is asked about annotations (RFC 5464 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataQuestion {
    /// Those of these names, and so deep below.
    Get {
        /// Names.
        entries: Vec<EntryName>,
        /// How deep.
        depth: Depth,
    },
    /// New values; none takes the entry away.
    Set(Vec<(EntryName, Option<Vec<u8>>)>),
}

/// Annotations that there are, each once: name and value.
pub type Metadata = Vec<(String, Vec<u8>)>;

/// Which quota is asked about (RFC 9208 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaQuestion {
    /// That of a quota root.
    Root(String),
    /// That of this mailbox.
    Of(MailboxName),
}

/// A quota root (RFC 9208 §3.2): what counts together against limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRoot {
    /// Its name.
    pub name: String,
    /// Of each resource that has a limit its name, what is used, and the limit.
    pub resources: Vec<(&'static str, u64, u64)>,
}

/// What is asked about an access control list (RFC 4314 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AclQuestion {
    /// All of it: [`AclAnswer::List`].
    List,
    /// The rights of who asks: [`AclAnswer::Mine`].
    Mine,
    /// What the owner of this identifier can be granted: [`AclAnswer::Possible`].
    Possible(String),
    /// Change the entry of this identifier.
    Set(String, RightsChange),
}

/// What there is to say about an access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AclAnswer {
    /// Identifiers with their rights.
    List(Vec<(String, Rights)>),
    /// The rights of who asked.
    Mine(Rights),
    /// Every right can be granted or not, but for those.
    Possible {
        /// Rights that cannot be taken away.
        always: Rights,
    },
}
