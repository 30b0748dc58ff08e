use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use imap_machine::grammar::UidSet;
use mail_types::{MailId, MailboxId, Uid};
use message::Summary;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Octets of encoded summaries kept in all.
const SUMMARIES_OCTETS_MAX: usize = 32 << 20;
/// Mailboxes whose `\Recent` is kept track of; beyond it, all is forgotten and none is recent.
const RECENT_MAILBOXES_MAX: usize = 1_000_000;
/// Messages in memory at a time for being read or searched, in all sessions.
const READS_MAX: usize = 8;
/// KiB of large messages that sessions hold while they send them in pieces. Beyond it, a message is
/// read anew for each piece.
const HELD_KIB_MAX: usize = 256 << 10;

/// What sessions remember for each other.
#[derive(Debug)]
pub struct Caches {
    summaries: Mutex<Summaries>,
    recent: Mutex<HashMap<MailboxId, u32>>,
    reads: Semaphore,
    held: Arc<Semaphore>,
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            summaries: Mutex::default(),
            recent: Mutex::default(),
            reads: Semaphore::new(READS_MAX),
            held: Arc::new(Semaphore::new(HELD_KIB_MAX)),
        }
    }
}

/// Two generations: what is used moves to the young one, and when that has half of the octets, the
/// old one is dropped.
#[derive(Debug, Default)]
struct Summaries {
    young: HashMap<MailId, Arc<[u8]>>,
    young_octets: usize,
    old: HashMap<MailId, Arc<[u8]>>,
}

impl Summaries {
    fn get(&mut self, mail: MailId) -> Option<Arc<[u8]>> {
        if let Some(known) = self.young.get(&mail) {
            return Some(Arc::clone(known));
        }
        let known = self.old.remove(&mail)?;
        self.put(mail, Arc::clone(&known));
        Some(known)
    }

    fn put(&mut self, mail: MailId, encoded: Arc<[u8]>) {
        if self.young_octets + encoded.len() > SUMMARIES_OCTETS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_octets = 0;
        }
        if encoded.len() <= SUMMARIES_OCTETS_MAX / 2 {
            self.young_octets += encoded.len();
            if let Some(before) = self.young.insert(mail, encoded) {
                self.young_octets -= before.len();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here is whole at every moment, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Caches {
    /// The summary of a message, if one is kept.
    pub(crate) fn summary(&self, mail: MailId) -> Option<Summary> {
        let encoded = lock(&self.summaries).get(mail)?;
        Summary::decode(&encoded).ok()
    }

    pub(crate) fn keep_summary(&self, mail: MailId, summary: &Summary) {
        lock(&self.summaries).put(mail, summary.encode().into());
    }

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

    /// Waits for a turn to have a message in memory; `None` never comes.
    pub(crate) async fn read_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.reads.acquire().await.ok()
    }

    /// Room to hold a message of so many octets, if there is.
    pub(crate) fn room(&self, octets: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(octets.div_ceil(1024)).ok()?;
        Arc::clone(&self.held).try_acquire_many_owned(kib).ok()
    }
}
