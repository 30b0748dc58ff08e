//! What others must hear of a record, once it is synced.

use mail_types::{MailId, MailboxId};

use crate::record::{Fate, Place, Record};

/// What a group did that others must hear of.
#[derive(Debug, Default)]
pub struct Effects {
    /// The directory changed.
    pub directory: bool,
    /// There is something to send on.
    pub queue: bool,
    /// Mailboxes that were made, renamed, deleted, shared, or have other messages or flags; some more than
    /// once.
    pub mailboxes: Vec<MailboxId>,
    /// Messages that came, and where their bodies are.
    pub accepted: Vec<(MailId, Place)>,
}

impl Effects {
    /// Adds what a record does.
    pub fn add(&mut self, record: &Record) {
        match record {
            Record::DomainAdded { .. }
            | Record::DomainRemoved { .. }
            | Record::AccountAdded { .. }
            | Record::AccountRemoved { .. }
            | Record::CredentialsSet { .. }
            | Record::AliasSet { .. }
            | Record::AliasRemoved { .. }
            | Record::RouteSet { .. }
            | Record::RouteRemoved { .. }
            | Record::DkimKeyAdded { .. }
            | Record::DkimStateSet { .. } => self.directory = true,
            Record::Rescheduled { .. } | Record::Attempted { .. } | Record::Tried(_) => {
                self.queue = true;
            }
            Record::Subscription { .. }
            | Record::QuotaSet { .. }
            | Record::MetadataSet { .. }
            | Record::UrlKeySet { .. }
            | Record::UrlKeysReset { .. }
            | Record::AttemptBegun { .. }
            | Record::AttemptDropped { .. } => {}
            Record::MailboxCreated { mailbox, .. }
            | Record::AclSet { mailbox, .. }
            | Record::MailboxRenamed { mailbox, .. }
            | Record::MailboxDeleted { mailbox }
            | Record::FlagsSet { mailbox, .. }
            | Record::Expunged { mailbox, .. } => self.mailboxes.push(*mailbox),
            Record::Copied { to, .. } => self.mailboxes.push(*to),
            Record::Moved { from, to, .. } => self.mailboxes.extend([*from, *to]),
            Record::Accepted(mail) => {
                self.accepted.push((mail.mail, mail.body_at));
                for custody in &mail.custodies {
                    match &custody.fate {
                        Fate::Queued { .. } => self.queue = true,
                        Fate::Expanded { .. } => {}
                        Fate::Delivered { mailbox, .. } => self.mailboxes.push(*mailbox),
                    }
                }
            }
        }
    }
}
