//! What others must hear of a record, once it is synced.

use mail_types::{MailId, MailboxId, Timestamp};

use crate::counts::Counted;
use crate::record::{Fate, Place, Record};
use crate::record_held::{Condition, HeldBy};
use crate::watch::{Change, Made};

/// What a group did that others must hear of.
#[derive(Debug, Default)]
pub struct Effects {
    /// The directory changed.
    pub directory: bool,
    /// There is something to send on.
    pub queue: bool,
    /// Something that hooks may tell of, or other hooks.
    pub events: bool,
    /// Mailboxes that were made, renamed, deleted, shared, or have other messages or flags; some more than
    /// once.
    pub mailboxes: Vec<MailboxId>,
    /// Messages that came, and where their bodies are.
    pub accepted: Vec<(MailId, Place)>,
    /// What those hear of who watch mailboxes.
    pub made: Vec<Made>,
    /// Held mail may have to be released from then on.
    pub release_at: Option<Timestamp>,
    /// Mail is to be delivered by then.
    pub deadline: Option<Timestamp>,
    /// For whoever watches over the server.
    pub counted: Counted,
}

impl Effects {
    /// Adds what a record does; `by` names the handle that made it.
    pub fn add(&mut self, record: &Record, by: Option<u64>) {
        self.counted.add(record);
        self.made.extend(changes(record).map(|change| Made { change, by }));
        match record {
            Record::DomainAdded { .. }
            | Record::DomainRemoved { .. }
            | Record::AccountAdded { .. }
            | Record::AccountRemoved { .. }
            | Record::AccountRestored { .. }
            | Record::CredentialsSet { .. }
            | Record::AliasSet { .. }
            | Record::AliasRemoved { .. }
            | Record::RouteSet { .. }
            | Record::RouteRemoved { .. }
            | Record::RelayLoginSet { .. }
            | Record::TokenAdded { .. }
            | Record::TokenRemoved { .. }
            | Record::KeyChanged(_) => self.directory = true,
            Record::OperatorChanged(_) => self.directory |= record.changes_operators(),
            Record::HookSet { .. } | Record::HookRemoved { .. } => self.events = true,
            Record::Rescheduled { .. } => self.queue = true,
            Record::Attempted { .. } | Record::Tried(_) => {
                self.queue = true;
                self.events = true;
            }
            Record::CustodiesChanged(change) => {
                self.events = true;
                for item in &change.items {
                    match &item.is {
                        Condition::Queued(_) => self.queue = true,
                        Condition::Delivered { mailbox, .. } => self.mailboxes.push(*mailbox),
                        // Undoing a release, say: when it is to be is in the index.
                        Condition::Held { hold, .. } if hold.by == HeldBy::Future => {
                            self.release_from(Timestamp(0));
                        }
                        Condition::Held { .. } | Condition::Purged => {}
                    }
                }
            }
            Record::FutureRelease { until, .. } => self.release_from(*until),
            Record::DeliverBy { by, .. } => {
                self.deadline = Some(self.deadline.map_or(by.at, |earlier| earlier.min(by.at)));
            }
            Record::QueuePaused { paused, .. } => self.queue |= !paused,
            Record::Subscription { .. }
            | Record::TlsRequired { .. }
            | Record::TlsOptional { .. }
            | Record::Reported(_)
            | Record::ReportSpanSet(_)
            | Record::TlsPolicySeen(_)
            | Record::PrioritySet { .. }
            | Record::SendKeyUsed { .. }
            | Record::Imported { .. }
            | Record::HookReached { .. }
            | Record::HookTried { .. }
            | Record::ChangeUndone { .. }
            | Record::QuotaSet { .. }
            | Record::MetadataSet { .. }
            | Record::UrlKeySet { .. }
            | Record::UrlKeysReset { .. }
            | Record::Judged(_)
            | Record::Looked(_)
            | Record::Healed(_)
            | Record::Undone { .. }
            | Record::RetentionSet(_)
            | Record::LegalHoldSet(_)
            | Record::HoldsEnded(_)
            | Record::Purged(_)
            | Record::BodiesGone { .. }
            | Record::Promoted(_)
            | Record::AttemptBegun { .. }
            | Record::AttemptDropped { .. } => {}
            Record::MailboxCreated { mailbox, .. }
            | Record::AclSet { mailbox, .. }
            | Record::MailboxRenamed { mailbox, .. }
            | Record::MailboxDeleted { mailbox }
            | Record::MailboxRestored { mailbox, .. }
            | Record::FlagsSet { mailbox, .. }
            | Record::Expunged { mailbox, .. } => self.mailboxes.push(*mailbox),
            Record::Copied { to, .. } | Record::Restored { to, .. } => self.mailboxes.push(*to),
            Record::Moved { from, to, .. } => self.mailboxes.extend([*from, *to]),
            Record::Accepted(mail) => {
                self.events = true;
                self.accepted.push((mail.mail, mail.body_at));
                for custody in &mail.custodies {
                    match &custody.fate {
                        Fate::Queued { .. } => self.queue = true,
                        Fate::Expanded { .. } | Fate::Held(_) => {}
                        Fate::Delivered { mailbox, .. } => self.mailboxes.push(*mailbox),
                    }
                }
            }
        }
    }
}

impl Effects {
    fn release_from(&mut self, at: Timestamp) {
        self.release_at = Some(self.release_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// What a record changes that may be watched.
fn changes(record: &Record) -> impl Iterator<Item = Change> {
    let mut changes = Vec::new();
    match record {
        Record::MailboxCreated { mailbox, .. }
        | Record::AclSet { mailbox, .. }
        | Record::MailboxRenamed { mailbox, .. }
        | Record::MailboxRestored { mailbox, .. }
        | Record::MailboxDeleted { mailbox } => changes.push(Change::Named(*mailbox)),
        Record::FlagsSet { mailbox, .. } => changes.push(Change::Flags(*mailbox)),
        Record::Expunged { mailbox, .. } => changes.push(Change::Expunged(*mailbox)),
        Record::Copied { to, .. } | Record::Restored { to, .. } => {
            changes.push(Change::New(*to));
        }
        Record::Moved { from, to, .. } => {
            changes.extend([Change::Expunged(*from), Change::New(*to)]);
        }
        Record::Accepted(mail) => {
            for custody in &mail.custodies {
                match &custody.fate {
                    Fate::Delivered { mailbox, .. } => changes.push(Change::New(*mailbox)),
                    Fate::Queued { .. } | Fate::Expanded { .. } | Fate::Held(_) => {}
                }
            }
        }
        Record::CustodiesChanged(change) => {
            changes.extend(change.items.iter().filter_map(|item| match &item.is {
                Condition::Delivered { mailbox, .. } => Some(Change::New(*mailbox)),
                Condition::Queued(_) | Condition::Held { .. } | Condition::Purged => None,
            }));
        }
        Record::Subscription { account, name, subscribed } => {
            changes.push(Change::Subscription(*account, name.clone(), *subscribed));
        }
        Record::MetadataSet { mailbox, account, entry, .. } => {
            changes.push(Change::Metadata(*mailbox, *account, entry.clone()));
        }
        _ => {}
    }
    changes.into_iter()
}
