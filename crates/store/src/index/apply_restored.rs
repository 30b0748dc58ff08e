//! What was taken out of mailboxes, back in one.

use mail_types::{MailboxId, ModSeq, RecordSeq, SystemFlag, Timestamp, Uid};

use super::{Index, mailbox_from};
use crate::record::{Entry, Place, Record};
use crate::sql::{Executor, SqlError};

/// Undos of undos that one more turns round: more than anybody makes of one act.
const UNDOES_MAX: usize = 10_000;

/// Messages that come back.
struct RestoredMessages<'a> {
    from: MailboxId,
    to: MailboxId,
    mod_seq: ModSeq,
    /// When.
    saved: Timestamp,
    /// UID there, UID here.
    messages: &'a [(Uid, Uid)],
}

impl<E: Executor> Index<E> {
    pub(super) fn apply_restoring(
        &mut self,
        entry: &Entry,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        match &entry.record {
            Record::Restored { from, to, mod_seq, messages } => {
                let (from, to, mod_seq, saved) = (*from, *to, *mod_seq, entry.at);
                let restored = RestoredMessages { from, to, mod_seq, saved, messages };
                self.restored(&restored, seq, at)
            }
            Record::MailboxRestored { mailbox, name, mod_seq, deleted } => {
                self.mailbox_restored(*mailbox, name, *mod_seq, *deleted, (seq, at))
            }
            Record::Undone { act, by } => self.undone(*act, by, seq),
            _ => Ok(()),
        }
    }

    fn restored(
        &mut self,
        restored: &RestoredMessages<'_>,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        let RestoredMessages { from, to, mod_seq, saved, messages } = *restored;
        for &(old, new) in messages {
            let select = "SELECT mail, flags, keywords, internal_date, bytes FROM expunged \
                          WHERE mailbox = $1 AND uid = $2 AND next_mailbox IS NULL";
            let Some(mut known) = self.row_of(select, from, old)? else { continue };
            // What comes back is not about to go again.
            known.flags.remove(SystemFlag::Deleted);
            self.insert_message(to, &known.again(new, mod_seq, saved))?;
            self.sql.execute(
                "UPDATE expunged SET next_mailbox = $3, next_uid = $4 \
                 WHERE mailbox = $1 AND uid = $2",
                &[from.0.into(), old.get().into(), to.0.into(), new.get().into()],
            )?;
            self.tell_story(known.mail, seq, at)?;
        }
        Ok(())
    }

    /// The messages that went with the mailbox have their UIDs again: no client was told meanwhile
    /// that they are gone.
    fn mailbox_restored(
        &mut self,
        id: MailboxId,
        name: &str,
        mod_seq: ModSeq,
        deleted: RecordSeq,
        (seq, at): (RecordSeq, Place),
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO story (mail, seq, segment, place) \
             SELECT DISTINCT mail, $3, $4, $5 FROM expunged \
             WHERE mailbox = $1 AND seq = $2 AND next_mailbox IS NULL AND \
             NOT EXISTS (SELECT 1 FROM mail WHERE mail.id = expunged.mail AND purged IS NOT NULL)",
            &[id.0.into(), deleted.0.into(), seq.0.into(), at.segment.into(), at.offset.into()],
        )?;
        let key = [id.0.into(), deleted.0.into()];
        self.sql.execute(
            "INSERT INTO message (mailbox, uid, mail, mod_seq, flags, keywords, internal_date, \
             bytes, saved, first_flags, first_keywords) \
             SELECT mailbox, uid, mail, $3, flags, keywords, internal_date, bytes, saved, \
             first_flags, first_keywords FROM expunged \
             WHERE mailbox = $1 AND seq = $2 AND next_mailbox IS NULL AND \
             NOT EXISTS (SELECT 1 FROM mail WHERE mail.id = expunged.mail AND purged IS NOT NULL)",
            &[key[0], key[1], mod_seq.0.into()],
        )?;
        self.sql.execute(
            "DELETE FROM expunged \
             WHERE mailbox = $1 AND seq = $2 AND next_mailbox IS NULL AND \
             NOT EXISTS (SELECT 1 FROM mail WHERE mail.id = expunged.mail AND purged IS NOT NULL)",
            &key,
        )?;
        // RFC 7162 §3.2.5.1: a client that saw the mailbox before is told what did not come back.
        self.sql.execute(
            "UPDATE expunged SET mod_seq = $3 WHERE mailbox = $1 AND seq = $2",
            &[key[0], key[1], mod_seq.0.into()],
        )?;
        self.sql.execute(
            "UPDATE mailbox SET deleted = 0, name = $2, mod_seq = $3, \
             messages = (SELECT count(*) FROM message WHERE mailbox = $1), \
             unseen = (SELECT coalesce(sum(1 - (flags & 1)), 0) FROM message WHERE mailbox = $1), \
             bytes = (SELECT coalesce(sum(bytes), 0) FROM message WHERE mailbox = $1) \
             WHERE id = $1",
            &[id.0.into(), name.into(), mod_seq.0.into()],
        )?;
        let mut found = None;
        self.sql.query(
            "SELECT id, account, name, uid_validity, special_use, uid_next, mod_seq, messages, \
             unseen, bytes FROM mailbox WHERE id = $1",
            &[id.0.into()],
            &mut |row| {
                found = Some(mailbox_from(row)?);
                Ok(())
            },
        )?;
        let Some(mailbox) = found else { return Ok(()) };
        let (messages, bytes) = (mailbox.messages, mailbox.bytes);
        self.mailbox_names
            .entry(mailbox.account)
            .or_default()
            .insert(mailbox.name.clone(), mailbox.id);
        self.mailboxes.insert(id, mailbox);
        self.used_more(id, messages, bytes);
        Ok(())
    }

    /// Marks an act as taken back. What took it back is an act as well; where that is taken back
    /// in turn, the first one holds again; and so on up to what is none.
    fn undone(&mut self, act: RecordSeq, by: &[RecordSeq], seq: RecordSeq) -> Result<(), SqlError> {
        self.sql
            .execute("UPDATE act SET undone = $2 WHERE seq = $1", &[act.0.into(), seq.0.into()])?;
        for by in by {
            self.sql.execute(
                "UPDATE act SET undoes = $2 WHERE seq = $1",
                &[by.0.into(), act.0.into()],
            )?;
        }
        let (mut act, mut holds) = (act.0.cast_signed(), false);
        for _ in 0..UNDOES_MAX {
            let above = "SELECT undoes FROM act WHERE seq = $1";
            let Some(above) = self.sql.number(above, &[act.into()])? else { break };
            let undone = holds.then_some(seq.0);
            self.sql.execute(
                "UPDATE act SET undone = $2 WHERE seq = $1",
                &[above.into(), undone.into()],
            )?;
            (act, holds) = (above, !holds);
        }
        Ok(())
    }
}
