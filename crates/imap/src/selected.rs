use imap_machine::Event;
use imap_machine::grammar::UidSet;
use imap_machine::view::Newest;
use mail_types::{MailboxId, Uid};
use store::OpenMailbox;

use crate::caches::Caches;

/// The selected mailbox.
pub struct Selected {
    open: OpenMailbox,
    /// EXAMINE: messages stay recent for the next session.
    read_only: bool,
    /// UIDNEXT when the machine was told last.
    uid_next: u32,
    /// The machine knows that there is something, and will ask.
    announced: bool,
}

impl Selected {
    pub const fn new(open: OpenMailbox, read_only: bool) -> Self {
        Self { open, read_only, uid_next: 0, announced: false }
    }

    pub fn mailbox(&self) -> MailboxId {
        self.open.mailbox()
    }

    /// Waits for something that the machine does not know of. Safe to drop and call again.
    pub async fn changed(&mut self) -> Event {
        if self.announced {
            return std::future::pending().await;
        }
        self.open.changed().await;
        self.announced = true;
        Event::Changed(self.mailbox())
    }

    /// The mailbox as it is now, for the first time; `None` where it is gone.
    pub fn opened(&mut self, caches: &Caches) -> Option<Newest> {
        let rows = self.open.take()?;
        self.uid_next = rows.uid_next();
        let recent = caches.recent(self.mailbox(), self.uid_next, !self.read_only);
        Some(Newest { rows, recent })
    }

    /// The mailbox as it is now; `None` where it is gone.
    pub fn newest(&mut self, caches: &Caches) -> Option<Newest> {
        self.announced = false;
        let rows = self.open.take()?;
        let new = rows.slices(rows.lower_bound(self.uid_next)..rows.len());
        let new: Vec<Uid> = new.flat_map(|(_, rows)| rows).map(|row| row.uid()).collect();
        self.uid_next = rows.uid_next();
        let recent = caches.recent_among(self.mailbox(), &new, !self.read_only);
        Some(Newest { rows, recent })
    }
}

/// UIDs in any order as a set.
pub fn uid_set(uids: &[Uid]) -> UidSet {
    uids.iter().map(|uid| uid.get()).collect()
}
