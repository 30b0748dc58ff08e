use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use mail_types::MailboxId;
use mailbox::Rows;

/// Where the writer puts the newest state of a mailbox.
pub struct Slot {
    mailbox: MailboxId,
    newest: Mutex<Newest>,
}

#[derive(Default)]
struct Newest {
    /// `None` before the first sync, and when the mailbox is gone.
    rows: Option<Rows>,
    /// How often something was put here.
    version: u64,
    /// Who waits, by handle.
    wakers: HashMap<u64, Waker>,
    /// Handles made so far.
    handles: u64,
}

impl Slot {
    pub fn new(mailbox: MailboxId) -> Self {
        Self { mailbox, newest: Mutex::default() }
    }

    pub const fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        // What is guarded here is whole at every moment, so a panic elsewhere does not spoil it.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.newest().rows.as_ref().map_or(0, Rows::len)
    }

    /// What was put here last.
    pub fn rows(&self) -> Option<Rows> {
        self.newest().rows.clone()
    }

    /// Puts the newest state here; whoever waits is to be woken.
    pub fn put(&self, rows: Option<Rows>, wake: &mut Vec<Waker>) {
        let mut newest = self.newest();
        newest.rows = rows;
        newest.version += 1;
        wake.extend(newest.wakers.drain().map(|(_, waker)| waker));
    }
}

/// A mailbox in memory: what is in it, as soon as it is durable.
pub struct OpenMailbox {
    slot: Arc<Slot>,
    /// Among the slot's handles.
    number: u64,
    /// The version that was taken last.
    taken: u64,
}

impl OpenMailbox {
    pub(super) fn new(slot: Arc<Slot>) -> Self {
        let number = {
            let mut newest = slot.newest();
            newest.handles += 1;
            newest.handles
        };
        Self { slot, number, taken: 0 }
    }

    /// Which it is.
    #[must_use]
    pub fn mailbox(&self) -> MailboxId {
        self.slot.mailbox()
    }

    /// The messages as of now; `None` where the mailbox is gone. Costs a reference.
    pub fn take(&mut self) -> Option<Rows> {
        let newest = self.slot.newest();
        self.taken = newest.version;
        newest.rows.clone()
    }

    /// Waits for something that was not taken yet. Safe to drop and call again.
    pub async fn changed(&self) {
        poll_fn(|context| {
            let mut newest = self.slot.newest();
            if newest.version != self.taken {
                return Poll::Ready(());
            }
            newest.wakers.insert(self.number, context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for OpenMailbox {
    fn drop(&mut self) {
        self.slot.newest().wakers.remove(&self.number);
    }
}
