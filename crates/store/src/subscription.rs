//! What sessions hear of a mailbox they have open, as soon as it is synced, without reading it.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use mail_types::{Flags, MailId, MailboxId, ModSeq, Timestamp, Uid};

use crate::index::{Index, flags_from, runs};
use crate::record::{Entry, Fate, Place, Record};
use crate::shared::Shared;
use crate::sql::{Executor, SqlError};

/// Changes a session may leave unread; beyond it, it is told to look at the mailbox anew.
const CHANGES_WAITING_MAX: usize = 10_000;

/// A message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// Its UID.
    pub uid: Uid,
    /// The message.
    pub mail: MailId,
    /// Of its last change.
    pub mod_seq: ModSeq,
    /// Its flags.
    pub flags: Flags,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// SAVEDATE (RFC 8514): when it came into this mailbox.
    pub saved: Timestamp,
    /// RFC822.SIZE.
    pub bytes: u64,
}

/// One change of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxChange {
    /// A message is there, or has other flags.
    Set(MessageRow),
    /// Messages have other flags.
    Flags {
        /// Of the change.
        mod_seq: ModSeq,
        /// Which.
        uids: Vec<Uid>,
        /// Their flags now.
        flags: Flags,
    },
    /// Messages are gone.
    Vanished {
        /// Of the change.
        mod_seq: ModSeq,
        /// Which.
        uids: Vec<Uid>,
    },
    /// The mailbox is gone, or more has changed than is told one by one: look at it anew.
    Anew,
}

/// What a group did that others must hear of.
pub enum Effect {
    /// The directory changed.
    Directory,
    /// There is something to send on.
    Queue,
    /// A mailbox changed.
    Mailbox(MailboxId, MailboxChange),
    /// A mailbox changed that nobody had open at that moment.
    Unseen(MailboxId),
    /// A message came, whose body is here.
    Accepted(MailId, Place),
}

/// The changes of one mailbox from some moment on; dropping it ends them.
pub struct Subscription {
    mailbox: MailboxId,
    state: Arc<SubscriptionState>,
    shared: Arc<Shared>,
}

#[derive(Default)]
pub struct SubscriptionState(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    changes: Vec<MailboxChange>,
    waker: Option<Waker>,
}

impl SubscriptionState {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, change: &MailboxChange) {
        let waker = {
            let mut waiting = self.waiting();
            if waiting.changes.len() >= CHANGES_WAITING_MAX {
                waiting.changes = vec![MailboxChange::Anew];
            } else {
                waiting.changes.push(change.clone());
            }
            waiting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Subscription {
    pub(crate) fn new(mailbox: MailboxId, shared: Arc<Shared>) -> Self {
        let state = Arc::default();
        shared.subscribe(mailbox, &state);
        Self { mailbox, state, shared }
    }

    /// The mailbox.
    #[must_use]
    pub const fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    /// What has changed since the last call, in order. Changes up to the moment of a snapshot
    /// taken after subscribing may be among them: compare their modification sequence.
    #[must_use]
    pub fn take(&self) -> Vec<MailboxChange> {
        std::mem::take(&mut self.state.waiting().changes)
    }

    /// Waits until [`Subscription::take`] has something. Safe to drop and call again.
    pub async fn changed(&self) {
        poll_fn(|context| {
            let mut waiting = self.state.waiting();
            if waiting.changes.is_empty() {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // The state must be gone before the list is cleaned, so it is replaced, not kept.
        self.state = Arc::default();
        self.shared.unsubscribe(self.mailbox);
    }
}

/// What a record that was just applied has for others to hear.
pub fn effects<E: Executor>(
    entry: &Entry,
    index: &mut Index<E>,
    shared: &Shared,
    effects: &mut Vec<Effect>,
) -> Result<(), SqlError> {
    match &entry.record {
        Record::DomainAdded { .. }
        | Record::DomainRemoved { .. }
        | Record::AccountAdded { .. }
        | Record::AccountRemoved { .. }
        | Record::CredentialsSet { .. }
        | Record::AliasSet { .. }
        | Record::AliasRemoved { .. }
        | Record::RouteSet { .. }
        | Record::RouteRemoved { .. } => effects.push(Effect::Directory),
        Record::Rescheduled { .. } | Record::Attempted { .. } => effects.push(Effect::Queue),
        Record::MailboxCreated { .. }
        | Record::MailboxRenamed { .. }
        | Record::Subscription { .. }
        | Record::AclSet { .. }
        | Record::QuotaSet { .. }
        | Record::MetadataSet { .. }
        | Record::AttemptBegun { .. }
        | Record::AttemptDropped { .. }
        | Record::UrlKeySet { .. }
        | Record::UrlKeysReset { .. } => {}
        Record::MailboxDeleted { mailbox } => {
            effects.push(Effect::Mailbox(*mailbox, MailboxChange::Anew));
        }
        Record::Accepted(mail) => {
            for custody in &mail.custodies {
                match &custody.fate {
                    Fate::Queued { .. } => effects.push(Effect::Queue),
                    Fate::Expanded { .. } => {}
                    Fate::Delivered { mailbox, uid, mod_seq, flags } => {
                        if shared.has_subscriber(*mailbox) {
                            let row = MessageRow {
                                uid: *uid,
                                mail: mail.mail,
                                mod_seq: *mod_seq,
                                flags: flags.clone(),
                                internal_date: mail.internal_date,
                                saved: entry.at,
                                bytes: mail.body_bytes,
                            };
                            effects.push(Effect::Mailbox(*mailbox, MailboxChange::Set(row)));
                        } else {
                            effects.push(Effect::Unseen(*mailbox));
                        }
                    }
                }
            }
        }
        Record::FlagsSet { mailbox, mod_seq, sets } => {
            if shared.has_subscriber(*mailbox) {
                effects.extend(sets.iter().map(|(flags, uids)| {
                    let change = MailboxChange::Flags {
                        mod_seq: *mod_seq,
                        uids: uids.clone(),
                        flags: flags.clone(),
                    };
                    Effect::Mailbox(*mailbox, change)
                }));
            } else {
                effects.push(Effect::Unseen(*mailbox));
            }
        }
        Record::Copied { to, messages, .. } => {
            new_messages(*to, messages, index, shared, effects)?;
        }
        Record::Moved { from, to, from_mod_seq, messages, .. } => {
            new_messages(*to, messages, index, shared, effects)?;
            let uids = messages.iter().map(|&(uid, _)| uid).collect();
            let change = MailboxChange::Vanished { mod_seq: *from_mod_seq, uids };
            effects.push(Effect::Mailbox(*from, change));
        }
        Record::Expunged { mailbox, mod_seq, uids } => {
            let change = MailboxChange::Vanished { mod_seq: *mod_seq, uids: uids.clone() };
            effects.push(Effect::Mailbox(*mailbox, change));
        }
    }
    Ok(())
}

fn new_messages<E: Executor>(
    mailbox: MailboxId,
    messages: &[(Uid, Uid)],
    index: &mut Index<E>,
    shared: &Shared,
    effects: &mut Vec<Effect>,
) -> Result<(), SqlError> {
    if !shared.has_subscriber(mailbox) {
        effects.push(Effect::Unseen(mailbox));
        return Ok(());
    }
    let uids: Vec<Uid> = messages.iter().map(|&(_, uid)| uid).collect();
    for (first, last) in runs(&uids) {
        read_rows(&mut index.sql, mailbox, first, last, &mut |row| {
            effects.push(Effect::Mailbox(mailbox, MailboxChange::Set(row)));
        })?;
    }
    Ok(())
}

/// Reads the messages of a mailbox whose UID is in the range, in order.
pub fn read_rows<E: Executor>(
    sql: &mut E,
    mailbox: MailboxId,
    first: u32,
    last: u32,
    on_row: &mut dyn FnMut(MessageRow),
) -> Result<(), SqlError> {
    sql.query(
        "SELECT uid, mail, mod_seq, flags, keywords, internal_date, bytes, saved FROM message \
         WHERE mailbox = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid",
        &[mailbox.0.into(), first.into(), last.into()],
        &mut |row| {
            let uid = u32::try_from(row.int(0)?).ok().and_then(Uid::new).ok_or_else(|| {
                SqlError { doing: "read a UID".to_owned(), cause: "is no UID".into() }
            })?;
            on_row(MessageRow {
                uid,
                mail: MailId(row.id(1)?),
                mod_seq: ModSeq(row.id(2)?),
                flags: flags_from(row.int(3)?, row.text_or_null(4)?),
                internal_date: Timestamp(row.int(5)?),
                bytes: row.id(6)?,
                saved: Timestamp(row.int(7)?),
            });
            Ok(())
        },
    )
}
