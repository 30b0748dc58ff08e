//! The messages of open mailboxes in memory, one copy for all their sessions.
//!
//! The writer holds the truth of each open mailbox, the group in work included, and behind the
//! sync publishes it into the mailbox's slot: a reference, no copy. Sessions hold slots and take
//! what is newest there. So a session never sees what is not durable, never waits for the index,
//! and 5,000 sessions on one mailbox cost one state and a wake-up each.
//!
//! A mailbox is read from the index once, on a reading thread, and adopted by the writer, which
//! adds what came in between. It stays while anybody holds its slot; the last ones used are held
//! here, so that opening one again costs nothing.

mod reading;
mod slot;
mod writing;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use journal::Disk;
use mail_types::{MailboxId, ModSeq};

use crate::boxes::{By, read_mailboxes};
use crate::{Pending, Store, StoreError};
pub use reading::{MessageRow, Vanished, add_rows, read_rows};
pub use slot::OpenMailbox;
use slot::Slot;
pub use writing::Live;

/// Mailboxes kept that no session has open, as far as their messages are no more than
/// [`RECENT_ROWS_MAX`] in all.
const RECENT_MAX: usize = 256;
/// Messages of such mailboxes: 20 MiB.
const RECENT_ROWS_MAX: usize = 500_000;

/// What handles and writer share.
#[derive(Default)]
pub struct Views(Mutex<Known>);

#[derive(Default)]
struct Known {
    slots: HashMap<MailboxId, Weak<Slot>>,
    /// The last ones used, the newest at the end.
    recent: VecDeque<Arc<Slot>>,
    /// Who is reading a mailbox; others wait for it rather than read it too.
    reading: HashMap<MailboxId, Arc<Mutex<()>>>,
}

impl Views {
    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        // What is guarded here is whole at every moment, so a panic elsewhere does not spoil it.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A handle on a mailbox that is in memory, which counts as used now.
    fn open(&self, mailbox: MailboxId) -> Option<OpenMailbox> {
        let slot = self.with(|known| {
            let slot = known.slots.get(&mailbox)?.upgrade()?;
            known.recent.retain(|recent| !Arc::ptr_eq(recent, &slot));
            known.recent.push_back(Arc::clone(&slot));
            let rows: usize = known.recent.iter().map(|slot| slot.len()).sum();
            let mut over = rows.saturating_sub(RECENT_ROWS_MAX);
            while known.recent.len() > RECENT_MAX || (over > 0 && known.recent.len() > 1) {
                let dropped = known.recent.pop_front();
                over = over.saturating_sub(dropped.map_or(0, |slot| slot.len()));
            }
            Some(slot)
        });
        Some(OpenMailbox::new(slot?))
    }

    /// A mailbox is in memory from now on.
    fn add(&self, slot: &Arc<Slot>) {
        self.with(|known| {
            known.slots.retain(|_, slot| slot.strong_count() > 0);
            known.slots.insert(slot.mailbox(), Arc::downgrade(slot));
        });
    }

    /// A mailbox was deleted.
    fn remove(&self, mailbox: MailboxId) {
        self.with(|known| {
            known.slots.remove(&mailbox);
            known.recent.retain(|slot| slot.mailbox() != mailbox);
        });
    }
}

impl<D: Disk> Store<D> {
    /// A mailbox that is in memory. Never blocks.
    #[must_use]
    pub fn opened(&self, mailbox: MailboxId) -> Option<OpenMailbox> {
        self.shared.views.open(mailbox)
    }

    /// The messages of a mailbox, and what becomes of them; reads them into memory where they are
    /// not there yet. `None` where there is no such mailbox.
    ///
    /// # Errors
    /// The index's, and those of a store that has stopped.
    pub fn open_mailbox(&self, mailbox: MailboxId) -> Result<Option<OpenMailbox>, StoreError> {
        let views = &self.shared.views;
        let reading = views.with(|known| Arc::clone(known.reading.entry(mailbox).or_default()));
        let opened = {
            let _turn = reading.lock().unwrap_or_else(PoisonError::into_inner);
            match views.open(mailbox) {
                Some(open) => Ok(Some(open)),
                None => match self.read_mailbox(mailbox) {
                    Ok(Some(adopted)) => {
                        adopted.wait().map_err(|refused| StoreError::Stopped(refused.to_string()))
                    }
                    Ok(None) => Ok(None),
                    Err(error) => Err(error),
                },
            }
        };
        views.with(|known| {
            // This one's own and the map's: nobody else waits.
            if Arc::strong_count(&reading) <= 2 {
                known.reading.remove(&mailbox);
            }
        });
        opened
    }

    /// The same for one that is not in memory, in two steps: it is read now, and the writer adopts
    /// it behind what it has in work.
    ///
    /// # Errors
    /// The index's.
    pub fn read_mailbox(
        &self,
        mailbox: MailboxId,
    ) -> Result<Option<Pending<Option<OpenMailbox>>>, StoreError> {
        let read = self.read(|sql| {
            let mut found = None;
            read_mailboxes(sql, By::Id(mailbox), &mut |mailbox| found = Some(mailbox))?;
            let Some(found) = found else { return Ok(None) };
            let mut rows = mailbox::Rows::new(found.uid_validity, found.uid_next, found.mod_seq);
            add_rows(sql, mailbox, ModSeq(0), &mut rows)?;
            Ok(Some(rows))
        })?;
        let Some(rows) = read else { return Ok(None) };
        let shared = Arc::clone(&self.shared);
        Ok(Some(self.change_and(
            move |work| work.adopt(mailbox, rows),
            move |slot, _| slot.and_then(|_slot| shared.views.open(mailbox)),
        )))
    }
}
