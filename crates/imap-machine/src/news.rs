use mail_types::Rights;

use crate::ask::Listed;
use crate::grammar::MailboxName;

/// What has happened since the question was last asked (RFC 5465).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// More than the service keeps: it is dropped.
    pub overflow: bool,
    /// Mailboxes.
    pub mailboxes: Vec<MailboxNews>,
    /// Names that are subscribed to now, or no longer.
    pub subscriptions: Vec<(MailboxName, bool)>,
    /// Names of annotations, by mailbox; no mailbox: the server's.
    pub metadata: Vec<(Option<Listed>, String)>,
}

/// What has happened to a mailbox that the account can see, or could. `subscribed` of [`Listed`] is
/// not looked up; the status is there where the account may read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxNews {
    /// Where its name has changed, or what the account may do with it: its name before and what it
    /// might; none: it was not there, or could not be seen.
    pub before: Option<Option<(MailboxName, Rights)>>,
    /// What it is now; none: it is gone, or cannot be seen any more.
    pub now: Option<Listed>,
    /// Messages came in.
    pub new: bool,
    /// Messages went out.
    pub expunged: bool,
    /// Messages have other flags.
    pub flags: bool,
}
