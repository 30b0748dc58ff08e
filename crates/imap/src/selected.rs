use imap_machine::Event;
use imap_machine::grammar::UidSet;
use imap_machine::view::{Changes, FlagsChanged, Row, Rows};
use mail_types::{MailboxId, ModSeq, Uid};
use store::{Mailbox, MailboxChange, MessageRow, Subscription};

use crate::caches::Caches;

/// The selected mailbox: what comes from its subscription, made into what the machine takes.
pub struct Selected {
    subscription: Subscription,
    /// EXAMINE: messages stay recent for the next session.
    read_only: bool,
    /// Everything up to here was in the last snapshot.
    snapshot: ModSeq,
    /// The machine knows that there is something, and will ask.
    announced: bool,
    /// More has changed than was told, or it was deleted: only a snapshot says what is so.
    anew: bool,
}

impl Selected {
    pub const fn new(subscription: Subscription, read_only: bool, snapshot: ModSeq) -> Self {
        Self { subscription, read_only, snapshot, announced: false, anew: false }
    }

    pub const fn mailbox(&self) -> MailboxId {
        self.subscription.mailbox()
    }

    /// Waits for something that the machine does not know of. Safe to drop and call again.
    pub async fn changed(&mut self) -> Event {
        if self.announced {
            return std::future::pending().await;
        }
        self.subscription.changed().await;
        self.announced = true;
        Event::Changed(self.mailbox())
    }

    /// What has come since the last call; `None` where a snapshot is needed, see [`Self::anew`].
    pub fn changes(&mut self, since: ModSeq, caches: &Caches) -> Option<Changes> {
        self.announced = false;
        let mut changes = Changes { highest_modseq: since, ..Changes::default() };
        let mut vanished = Vec::new();
        for change in self.subscription.take() {
            let mod_seq = match &change {
                MailboxChange::Set(row) => row.mod_seq,
                MailboxChange::Flags { mod_seq, .. } | MailboxChange::Vanished { mod_seq, .. } => {
                    *mod_seq
                }
                MailboxChange::Anew => {
                    self.anew = true;
                    continue;
                }
            };
            if mod_seq <= self.snapshot {
                continue;
            }
            changes.highest_modseq = changes.highest_modseq.max(mod_seq);
            match change {
                MailboxChange::Set(message) => changes.rows.push(row(message)),
                MailboxChange::Flags { mod_seq, uids, flags } => {
                    changes.flags.push(FlagsChanged { modseq: mod_seq, uids, flags });
                }
                MailboxChange::Vanished { uids, .. } => {
                    vanished.extend(uids.into_iter().map(Uid::get));
                }
                MailboxChange::Anew => {}
            }
        }
        if self.anew {
            return None;
        }
        changes.vanished = vanished.into_iter().collect();
        let new: Vec<Uid> = changes.rows.iter().map(|row| row.uid).collect();
        changes.recent = caches.recent_among(self.mailbox(), &new, !self.read_only);
        Some(changes)
    }

    /// The changes after `since`, from a snapshot taken after [`Self::changes`] said `None`.
    pub fn anew(
        &mut self,
        since: ModSeq,
        mailbox: &Mailbox,
        messages: Vec<MessageRow>,
        caches: &Caches,
    ) -> Changes {
        self.anew = false;
        self.snapshot = mailbox.mod_seq;
        // Whatever the session knew of that is no longer there lies in a gap between those that are.
        let mut gaps = Vec::new();
        let mut next = 1;
        for uid in messages.iter().map(|message| message.uid.get()).chain([mailbox.uid_next]) {
            gaps.extend((next < uid).then(|| (next, uid - 1)));
            next = uid.saturating_add(1);
        }
        // Of those at `since` itself some may not have been told yet; the machine knows which.
        let rows = messages.into_iter().filter(|message| message.mod_seq >= since).map(row);
        Changes {
            rows: rows.collect(),
            flags: Vec::new(),
            vanished: gaps.into_iter().collect(),
            recent: caches.recent(mailbox.id, mailbox.uid_next, !self.read_only),
            highest_modseq: mailbox.mod_seq.max(since),
        }
    }
}

/// A snapshot as the machine takes it.
pub fn rows(mailbox: &Mailbox, messages: Vec<MessageRow>) -> Rows {
    let mut rows = Rows::new(mailbox.uid_validity, mailbox.uid_next, mailbox.mod_seq);
    messages.into_iter().map(row).for_each(|row| rows.put(&row));
    rows
}

fn row(message: MessageRow) -> Row {
    Row {
        uid: message.uid,
        modseq: message.mod_seq,
        flags: message.flags,
        internal_date: message.internal_date,
        saved: message.saved,
        size: u32::try_from(message.bytes).unwrap_or(u32::MAX),
        mail: message.mail.0,
    }
}

/// UIDs in any order as a set.
pub fn uid_set(uids: &[Uid]) -> UidSet {
    uids.iter().map(|uid| uid.get()).collect()
}
