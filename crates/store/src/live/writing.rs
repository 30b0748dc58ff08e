//! The writer's side: open mailboxes with the group in work included.
//!
//! **Flags are applied to the index late.** A FlagsSet record about an open mailbox changes the rows
//! in memory and the counts of the mailbox, and waits in `deferred` for its UPDATEs. Nothing reads
//! behind the index's back meanwhile:
//! - jobs read the rows of an open mailbox here, never in the tables;
//! - a record whose meaning needs the tables (COPY, MOVE, EXPUNGE, DELETE, what was undone) and a
//!   job that reads a mailbox that is not open have the deferred applied first, in the order of
//!   their records;
//! - readers see only what is committed, and no commit is without the deferred: a committed index
//!   stands for exactly the journal's head that it names, so a replay after a crash applies each
//!   record once, and an index rebuilt from the journal equals it (I13).
//!
//! The record itself is in the journal and synced before anybody is told; what waits is lost in a
//! crash like any part of the open index transaction, and replayed like it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::task::Waker;

use mail_types::{Flags, MailboxId, ModSeq, RecordSeq, Timestamp, Uid};
use mailbox::{Row, Rows};

use super::slot::Slot;
use super::{MessageRow, Views, add_rows, read_rows};
use crate::commit::Work;
use crate::index::{Index, NewAct, runs};
use crate::record::{Accepted, Entry, Fate, Place, Record};
use crate::record_held::{Changed, Condition};
use crate::sql::{Executor, SqlError};
use crate::{Refused, StoreError};

/// UIDs whose new flags may wait; beyond it they are applied at once.
const DEFERRED_UIDS_MAX: usize = 1_000_000;

/// The open mailboxes.
#[derive(Default)]
pub struct Live {
    mailboxes: HashMap<MailboxId, OpenRows>,
    /// Those that the group in work has changed.
    touched: Vec<MailboxId>,
    deferred: Vec<Deferred>,
    deferred_uids: usize,
}

struct OpenRows {
    /// With everything that the group in work did. `None`: it deleted the mailbox.
    rows: Option<Rows>,
    slot: Weak<Slot>,
}

/// New flags that the index's tables do not have yet.
struct Deferred {
    mailbox: MailboxId,
    mod_seq: ModSeq,
    sets: Vec<(Flags, Vec<Uid>)>,
    act: Option<NewAct>,
}

impl Live {
    /// The messages of a mailbox, if it is open.
    pub fn rows(&self, mailbox: MailboxId) -> Option<&Rows> {
        self.mailboxes.get(&mailbox)?.rows.as_ref()
    }

    fn rows_mut(&mut self, mailbox: MailboxId) -> Option<&mut Rows> {
        let open = self.mailboxes.get_mut(&mailbox)?;
        self.touched.push(mailbox);
        open.rows.as_mut()
    }

    /// Applies a record to the index and to what is open.
    pub fn apply<E: Executor>(
        &mut self,
        entry: Entry,
        index: &mut Index<E>,
        (seq, at): (RecordSeq, Place),
    ) -> Result<(), SqlError> {
        match &entry.record {
            Record::FlagsSet { mailbox, .. } if self.rows(*mailbox).is_some() => {
                let act = index.act_of(&entry, seq, at)?;
                return self.flags_set(entry, act, index);
            }
            Record::Copied { .. }
            | Record::Moved { .. }
            | Record::Expunged { .. }
            | Record::MailboxDeleted { .. }
            | Record::Undone { .. } => self.apply_deferred(index)?,
            _ => {}
        }
        index.apply(&entry, seq, at)?;
        match &entry.record {
            Record::Accepted(mail) => self.accepted(mail, entry.at),
            Record::Copied { from, to, mod_seq, messages } => {
                self.copied(*from, (*to, *mod_seq, entry.at), messages, index)?;
            }
            Record::Moved { from, to, from_mod_seq, to_mod_seq, messages } => {
                self.copied(*from, (*to, *to_mod_seq, entry.at), messages, index)?;
                self.expunged(*from, messages.iter().map(|(uid, _)| *uid), *from_mod_seq);
            }
            Record::Expunged { mailbox, mod_seq, uids } => {
                self.expunged(*mailbox, uids.iter().copied(), *mod_seq);
            }
            Record::Restored { to, messages, .. } => {
                let uids: Vec<Uid> = messages.iter().map(|&(_, uid)| uid).collect();
                self.read_new(*to, &uids, index)?;
            }
            Record::CustodiesChanged(change) => self.released(&change.items, entry.at),
            Record::MailboxDeleted { mailbox } => {
                if let Some(open) = self.mailboxes.get_mut(mailbox) {
                    open.rows = None;
                    self.touched.push(*mailbox);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn flags_set<E: Executor>(
        &mut self,
        entry: Entry,
        act: Option<NewAct>,
        index: &mut Index<E>,
    ) -> Result<(), SqlError> {
        let Record::FlagsSet { mailbox, mod_seq, sets } = entry.record else { return Ok(()) };
        let Some(rows) = self.rows_mut(mailbox) else { return Ok(()) };
        let before = rows.counts().unseen as u64;
        for (flags, uids) in &sets {
            rows.set_flags(uids.iter().map(|uid| uid.get()), flags, mod_seq);
        }
        let unseen = rows.counts().unseen as u64;
        index.count_flags_set(mailbox, mod_seq, unseen.cast_signed() - before.cast_signed());
        self.deferred_uids += sets.iter().map(|(_, uids)| uids.len()).sum::<usize>();
        self.deferred.push(Deferred { mailbox, mod_seq, sets, act });
        if self.deferred_uids > DEFERRED_UIDS_MAX {
            self.apply_deferred(index)?;
        }
        Ok(())
    }

    /// Brings the index's tables up to the records.
    pub fn apply_deferred<E: Executor>(&mut self, index: &mut Index<E>) -> Result<(), SqlError> {
        self.deferred_uids = 0;
        for Deferred { mailbox, mod_seq, sets, act } in std::mem::take(&mut self.deferred) {
            index.write_flags(mailbox, mod_seq, &sets)?;
            if let Some(act) = act {
                index.insert_act(&act)?;
            }
        }
        Ok(())
    }

    /// The index was made anew from the journal, which has what waited here.
    pub fn forget_deferred(&mut self) {
        self.deferred.clear();
        self.deferred_uids = 0;
    }

    fn accepted(&mut self, mail: &Accepted, at: Timestamp) {
        for custody in &mail.custodies {
            let Fate::Delivered { mailbox, uid, mod_seq, flags } = &custody.fate else { continue };
            // Two recipients may lead to one account, which then has the message once.
            let is_new = self.rows(*mailbox).is_some_and(|rows| uid.get() >= rows.uid_next());
            if is_new && let Some(rows) = self.rows_mut(*mailbox) {
                rows.put(&Row {
                    uid: *uid,
                    modseq: *mod_seq,
                    flags: flags.clone(),
                    internal_date: mail.internal_date,
                    saved: at,
                    size: u32::try_from(mail.body_bytes).unwrap_or(u32::MAX),
                    mail: mail.mail.0,
                });
            }
        }
    }

    /// Held mail that went into mailboxes.
    fn released(&mut self, items: &[Changed], at: Timestamp) {
        for item in items {
            let Condition::Delivered { mailbox, uid, mod_seq, flags, internal_date, bytes, mail } =
                &item.is
            else {
                continue;
            };
            let is_new = self.rows(*mailbox).is_some_and(|rows| uid.get() >= rows.uid_next());
            if is_new && let Some(rows) = self.rows_mut(*mailbox) {
                rows.put(&Row {
                    uid: *uid,
                    modseq: *mod_seq,
                    flags: flags.clone(),
                    internal_date: *internal_date,
                    saved: at,
                    size: u32::try_from(*bytes).unwrap_or(u32::MAX),
                    mail: mail.0,
                });
            }
        }
    }

    fn copied<E: Executor>(
        &mut self,
        from: MailboxId,
        (to, modseq, saved): (MailboxId, ModSeq, Timestamp),
        messages: &[(Uid, Uid)],
        index: &mut Index<E>,
    ) -> Result<(), SqlError> {
        if self.rows(to).is_none() {
            return Ok(());
        }
        let source = self.rows(from).cloned();
        let Some(source) = source else {
            let uids: Vec<Uid> = messages.iter().map(|&(_, uid)| uid).collect();
            return self.read_new(to, &uids, index);
        };
        let Some(target) = self.rows_mut(to) else { return Ok(()) };
        for &(old, new) in messages {
            if let Some(place) = source.find(old.get()) {
                target.put(&Row { uid: new, modseq, saved, ..source.row(place) });
            }
        }
        Ok(())
    }

    /// New messages of a mailbox that the index has already.
    fn read_new<E: Executor>(
        &mut self,
        mailbox: MailboxId,
        uids: &[Uid],
        index: &mut Index<E>,
    ) -> Result<(), SqlError> {
        let Some(target) = self.rows_mut(mailbox) else { return Ok(()) };
        for (first, last) in runs(uids) {
            let on_row = &mut |row: MessageRow| target.put(&(&row).into());
            read_rows(&mut index.sql, mailbox, first, last, on_row)?;
        }
        Ok(())
    }

    fn expunged(&mut self, mailbox: MailboxId, uids: impl Iterator<Item = Uid>, mod_seq: ModSeq) {
        let Some(rows) = self.rows_mut(mailbox) else { return };
        let mut places: Vec<usize> = uids.filter_map(|uid| rows.find(uid.get())).collect();
        places.sort_unstable();
        places.dedup();
        rows.remove(&places);
        rows.raise_modseq(mod_seq);
    }

    /// The group is synced: sessions may see what it did. Answers who is to be woken.
    pub fn publish(&mut self, views: &Views) -> Vec<Waker> {
        let mut wake = Vec::new();
        self.touched.sort_unstable();
        self.touched.dedup();
        for mailbox in std::mem::take(&mut self.touched) {
            let Some(open) = self.mailboxes.get(&mailbox) else { continue };
            let (slot, rows) = (open.slot.upgrade(), open.rows.clone());
            if rows.is_none() {
                views.remove(mailbox);
            }
            if let Some(slot) = &slot {
                let is_first = slot.rows().is_none();
                slot.put(rows.clone(), &mut wake);
                if is_first && rows.is_some() {
                    views.add(slot);
                }
            }
            if slot.is_none() || rows.is_none() {
                self.mailboxes.remove(&mailbox);
            }
        }
        wake
    }

    /// The group failed: what it changed is again as it was published, which is what the journal
    /// says.
    pub fn roll_back(&mut self) {
        for mailbox in std::mem::take(&mut self.touched) {
            let Some(open) = self.mailboxes.get_mut(&mailbox) else { continue };
            let published = open.slot.upgrade().and_then(|slot| slot.rows());
            match published {
                Some(rows) => open.rows = Some(rows),
                // Adopted by this very group, or held by nobody.
                None => drop(self.mailboxes.remove(&mailbox)),
            }
        }
    }

    /// Forgets what nobody holds any more.
    pub fn clear_out(&mut self) {
        self.mailboxes.retain(|_, open| open.slot.strong_count() > 0);
    }
}

impl Work<'_> {
    /// Takes in a mailbox that was read from the index as it was published; adds what came since.
    pub fn adopt(
        &mut self,
        mailbox: MailboxId,
        mut rows: Rows,
    ) -> Result<Option<Arc<Slot>>, Refused> {
        if let Some(slot) = self.live.mailboxes.get(&mailbox).and_then(|open| open.slot.upgrade()) {
            return Ok(Some(slot));
        }
        let Some(found) = self.index.mailboxes.get(&mailbox) else { return Ok(None) };
        let (mod_seq, uid_next) = (found.mod_seq, found.uid_next);
        if rows.highest_modseq() < mod_seq
            && let Err(error) = self.catch_up(mailbox, &mut rows)
        {
            return Err(self.fail(StoreError::from(error)));
        }
        rows.raise_modseq(mod_seq);
        rows.raise_uid_next(uid_next);
        let slot = Arc::new(Slot::new(mailbox));
        self.live.clear_out();
        self.live.touched.push(mailbox);
        let open = OpenRows { rows: Some(rows), slot: Arc::downgrade(&slot) };
        self.live.mailboxes.insert(mailbox, open);
        Ok(Some(slot))
    }

    fn catch_up(&mut self, mailbox: MailboxId, rows: &mut Rows) -> Result<(), SqlError> {
        self.live.apply_deferred(self.index)?;
        let since = rows.highest_modseq();
        let mut places = Vec::new();
        self.index.sql.query(
            "SELECT uid FROM expunged WHERE mailbox = $1 AND mod_seq > $2",
            &[mailbox.0.into(), since.0.into()],
            &mut |row| {
                places.extend(u32::try_from(row.int(0)?).ok().and_then(|uid| rows.find(uid)));
                Ok(())
            },
        )?;
        places.sort_unstable();
        rows.remove(&places);
        add_rows(&mut self.index.sql, mailbox, since, rows)
    }

    /// The messages of a mailbox in these ranges of UIDs, and perhaps others.
    pub fn rows(&mut self, mailbox: MailboxId, ranges: &[(u32, u32)]) -> Result<Rows, Refused> {
        if let Some(rows) = self.live.rows(mailbox) {
            return Ok(rows.clone());
        }
        let mut rows = Rows::new(0, 1, ModSeq(0));
        let mut read = self.live.apply_deferred(self.index);
        for &(first, last) in ranges {
            read = read.and_then(|()| {
                let on_row = &mut |row: MessageRow| rows.put(&(&row).into());
                read_rows(&mut self.index.sql, mailbox, first, last, on_row)
            });
        }
        match read {
            Ok(()) => Ok(rows),
            Err(error) => Err(self.fail(error.into())),
        }
    }
}
