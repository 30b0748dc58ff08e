use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use imap_machine::grammar::UidSet;
use mail_types::{MailboxId, Uid};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Mailboxes whose `\Recent` is kept track of; beyond it, all is forgotten and none is recent.
const RECENT_MAILBOXES_MAX: usize = 1_000_000;
/// Batches of messages being read or searched at a time, in all sessions.
const READS_MAX: usize = 8;
/// Octets of messages that wait in memory for their commit, in all sessions. Beyond it, messages
/// are given files of their own: slower, but nobody waits for anybody.
const APPENDS_OCTETS_MAX: usize = 256 << 20;
/// Octets of parts that are decoded ahead, in all sessions. Beyond it, each piece is decoded alone.
const DECODED_OCTETS_MAX: usize = 128 << 20;

/// What sessions remember for each other.
#[derive(Debug)]
pub struct Caches {
    recent: Mutex<HashMap<MailboxId, u32>>,
    reads: Semaphore,
    appends: Arc<Semaphore>,
    decoded: Arc<Semaphore>,
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            recent: Mutex::default(),
            reads: Semaphore::new(READS_MAX),
            appends: Arc::new(Semaphore::new(APPENDS_OCTETS_MAX)),
            decoded: Arc::new(Semaphore::new(DECODED_OCTETS_MAX)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here is whole at every moment, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Caches {
    /// The messages of a mailbox being opened that no session was told of. With `claim` they are
    /// the asking session's (RFC 3501 §2.3.2); EXAMINE does not claim.
    pub(crate) fn recent(&self, mailbox: MailboxId, uid_next: u32, claim: bool) -> UidSet {
        let mut recent = lock(&self.recent);
        if recent.len() >= RECENT_MAILBOXES_MAX {
            recent.clear();
        }
        let from = recent.entry(mailbox).or_insert(uid_next);
        let uids = UidSet::range(*from, uid_next.saturating_sub(1));
        if claim {
            *from = uid_next.max(*from);
        }
        uids
    }

    /// The same for messages, ascending, that come into a mailbox while it is open.
    pub(crate) fn recent_among(&self, mailbox: MailboxId, new: &[Uid], claim: bool) -> UidSet {
        let (Some(first), Some(last)) = (new.first(), new.last()) else { return UidSet::new() };
        let mut recent = lock(&self.recent);
        let from = recent.entry(mailbox).or_insert(first.get());
        let unclaimed = new.iter().map(|uid| uid.get()).filter(|uid| uid >= from).collect();
        if claim {
            *from = last.get().saturating_add(1).max(*from);
        }
        unclaimed
    }

    /// Room in memory for so many octets of a message that comes in, if there is.
    pub(crate) fn append_room(&self, octets: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.appends).try_acquire_many_owned(u32::try_from(octets).ok()?).ok()
    }

    /// Room for so many octets of a part that is decoded ahead, if there is.
    pub(crate) fn decoded_room(&self, octets: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.decoded).try_acquire_many_owned(u32::try_from(octets).ok()?).ok()
    }

    /// Waits for a turn to read a batch of messages; `None` never comes.
    pub(crate) async fn read_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.reads.acquire().await.ok()
    }
}
