//! Mailboxes and the messages in them.

use mail_types::{
    AccountId, Flags, MailId, MailboxId, ModSeq, RecordSeq, SpecialUse, SystemFlag, Timestamp, Uid,
};

use super::{Index, Mailbox};
use crate::record::Place;
use crate::sql::{Executor, Param, SqlError};

impl<E: Executor> Index<E> {
    pub(super) fn mailbox_created(&mut self, mailbox: Mailbox) -> Result<(), SqlError> {
        self.last.mailbox = self.last.mailbox.max(mailbox.id.0);
        self.last.uid_validity = self.last.uid_validity.max(mailbox.uid_validity);
        self.sql.execute(
            "INSERT INTO mailbox (id, account, name, uid_validity, special_use, uid_next, mod_seq, \
             messages, unseen, bytes) VALUES ($1, $2, $3, $4, $5, 1, 1, 0, 0, 0)",
            &[
                mailbox.id.0.into(),
                mailbox.account.0.into(),
                mailbox.name.as_str().into(),
                mailbox.uid_validity.into(),
                mailbox.special_use.map(SpecialUse::attribute).into(),
            ],
        )?;
        self.mailbox_names
            .entry(mailbox.account)
            .or_default()
            .insert(mailbox.name.clone(), mailbox.id);
        self.mailboxes.insert(mailbox.id, mailbox);
        Ok(())
    }

    pub(super) fn mailbox_renamed(&mut self, id: MailboxId, name: &str) -> Result<(), SqlError> {
        self.sql
            .execute("UPDATE mailbox SET name = $2 WHERE id = $1", &[id.0.into(), name.into()])?;
        if let Some(mailbox) = self.mailboxes.get_mut(&id) {
            let names = self.mailbox_names.entry(mailbox.account).or_default();
            names.remove(&mailbox.name);
            names.insert(name.to_owned(), id);
            name.clone_into(&mut mailbox.name);
        }
        Ok(())
    }

    /// The row stays, with its last counters: its UIDVALIDITY must never come again, and its
    /// messages can be brought back.
    pub(super) fn mailbox_deleted(
        &mut self,
        id: MailboxId,
        now: Timestamp,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO story (mail, seq, segment, place) \
             SELECT DISTINCT mail, $2, $3, $4 FROM message WHERE mailbox = $1",
            &[id.0.into(), seq.0.into(), at.segment.into(), at.offset.into()],
        )?;
        self.sql.execute(
            "INSERT INTO expunged (mailbox, uid, mail, mod_seq, seq, at, flags, keywords, \
             internal_date, bytes, saved, first_flags, first_keywords) \
             SELECT mailbox, uid, mail, mod_seq, $2, $3, flags, keywords, internal_date, bytes, \
             saved, first_flags, first_keywords FROM message WHERE mailbox = $1",
            &[id.0.into(), seq.0.into(), now.0.into()],
        )?;
        self.sql.execute("DELETE FROM message WHERE mailbox = $1", &[id.0.into()])?;
        self.acl_gone(id)?;
        // RFC 5464 §4.1: annotations go with their mailbox.
        self.sql.execute("DELETE FROM metadata WHERE mailbox = $1", &[id.0.into()])?;
        if let Some(mailbox) = self.mailboxes.get(&id) {
            let (messages, bytes) = (mailbox.messages, mailbox.bytes);
            self.used_less(id, messages, bytes);
        }
        if let Some(mailbox) = self.mailboxes.remove(&id) {
            if let Some(names) = self.mailbox_names.get_mut(&mailbox.account) {
                names.remove(&mailbox.name);
            }
            self.dirty.remove(&id);
            self.sql.execute(
                "UPDATE mailbox SET deleted = 1, uid_next = $2, mod_seq = $3, messages = 0, \
                 unseen = 0, bytes = 0 WHERE id = $1",
                &[id.0.into(), mailbox.uid_next.into(), mailbox.mod_seq.0.into()],
            )?;
        }
        Ok(())
    }

    pub(super) fn subscription(
        &mut self,
        account: AccountId,
        name: &str,
        subscribed: bool,
    ) -> Result<(), SqlError> {
        let sql = if subscribed {
            "INSERT INTO subscription (account, name) VALUES ($1, $2) \
             ON CONFLICT (account, name) DO NOTHING"
        } else {
            "DELETE FROM subscription WHERE account = $1 AND name = $2"
        };
        self.sql.execute(sql, &[account.0.into(), name.into()])?;
        Ok(())
    }

    pub(super) fn insert_message(
        &mut self,
        id: MailboxId,
        new: &NewMessage<'_>,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO message (mailbox, uid, mail, mod_seq, flags, keywords, internal_date, \
             bytes, saved, first_flags, first_keywords) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $5, $6)",
            &[
                id.0.into(),
                new.uid.get().into(),
                new.mail.0.into(),
                new.mod_seq.0.into(),
                i64::from(new.flags.system_bits()).into(),
                keywords_text(new.flags).as_deref().into(),
                new.internal_date.into(),
                new.bytes.into(),
                new.saved.into(),
            ],
        )?;
        if let Some(mailbox) = self.mailboxes.get_mut(&id) {
            mailbox.uid_next = mailbox.uid_next.max(new.uid.get().saturating_add(1));
            mailbox.mod_seq = mailbox.mod_seq.max(new.mod_seq);
            mailbox.messages += 1;
            mailbox.bytes += new.bytes;
            mailbox.unseen += u64::from(!new.flags.has(SystemFlag::Seen));
            self.dirty.insert(id);
        }
        self.used_more(id, 1, new.bytes);
        Ok(())
    }

    pub(super) fn flags_set(
        &mut self,
        id: MailboxId,
        mod_seq: ModSeq,
        sets: &[(Flags, Vec<Uid>)],
    ) -> Result<(), SqlError> {
        let mut unseen_change = 0_i64;
        for (flags, uids) in sets {
            for (first, last) in runs(uids) {
                self.sql.query(
                    "SELECT count(*), coalesce(sum(1 - (flags & 1)), 0) FROM message \
                     WHERE mailbox = $1 AND uid BETWEEN $2 AND $3",
                    &[id.0.into(), first.into(), last.into()],
                    &mut |row| {
                        let is_unseen = if flags.has(SystemFlag::Seen) { 0 } else { row.int(0)? };
                        unseen_change += is_unseen - row.int(1)?;
                        Ok(())
                    },
                )?;
            }
        }
        self.write_flags(id, mod_seq, sets)?;
        self.count_flags_set(id, mod_seq, unseen_change);
        Ok(())
    }

    /// The messages' new flags.
    ///
    /// # Errors
    /// The engine's.
    pub fn write_flags(
        &mut self,
        id: MailboxId,
        mod_seq: ModSeq,
        sets: &[(Flags, Vec<Uid>)],
    ) -> Result<(), SqlError> {
        for (flags, uids) in sets {
            let keywords = keywords_text(flags);
            for (first, last) in runs(uids) {
                self.sql.execute(
                    "UPDATE message SET mod_seq = $4, flags = $5, keywords = $6 \
                     WHERE mailbox = $1 AND uid BETWEEN $2 AND $3",
                    &[
                        id.0.into(),
                        first.into(),
                        last.into(),
                        mod_seq.0.into(),
                        i64::from(flags.system_bits()).into(),
                        keywords.as_deref().into(),
                    ],
                )?;
            }
        }
        Ok(())
    }

    /// What new flags mean for the mailbox itself.
    pub fn count_flags_set(&mut self, id: MailboxId, mod_seq: ModSeq, unseen_change: i64) {
        if let Some(mailbox) = self.mailboxes.get_mut(&id) {
            mailbox.unseen = mailbox.unseen.saturating_add_signed(unseen_change);
            mailbox.mod_seq = mailbox.mod_seq.max(mod_seq);
            self.dirty.insert(id);
        }
    }

    /// What a message is where it lies or lay: `select` says mail, flags, keywords, internal date and
    /// bytes of the mailbox `$1` and the UID `$2`.
    pub(super) fn row_of(
        &mut self,
        select: &'static str,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Result<Option<MessageRow>, SqlError> {
        let mut found = None;
        self.sql.query(select, &[mailbox.0.into(), uid.get().into()], &mut |row| {
            let flags = flags_from(row.int(1)?, row.text_or_null(2)?);
            let (mail, internal_date, bytes) = (MailId(row.id(0)?), row.int(3)?, row.id(4)?);
            found = Some(MessageRow { mail, flags, internal_date, bytes });
            Ok(())
        })?;
        Ok(found)
    }

    pub(super) fn copied(
        &mut self,
        copied: &CopiedMessages<'_>,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        let CopiedMessages { from, to, mod_seq, saved, messages } = *copied;
        for &(old, new) in messages {
            let select = "SELECT mail, flags, keywords, internal_date, bytes FROM message \
                          WHERE mailbox = $1 AND uid = $2";
            let Some(known) = self.row_of(select, from, old)? else { continue };
            self.insert_message(to, &known.again(new, mod_seq, saved))?;
            self.tell_story(known.mail, seq, at)?;
        }
        Ok(())
    }

    pub(super) fn expunged(
        &mut self,
        id: MailboxId,
        mod_seq: ModSeq,
        taken: &[Taken],
        (now, seq): (Timestamp, RecordSeq),
    ) -> Result<(), SqlError> {
        let (mut messages, mut unseen, mut bytes) = (0, 0, 0);
        for &Taken { first, last, next } in taken {
            let key: [Param<'_>; 3] = [id.0.into(), first.into(), last.into()];
            self.sql.query(
                "SELECT count(*), coalesce(sum(1 - (flags & 1)), 0), coalesce(sum(bytes), 0) \
                 FROM message WHERE mailbox = $1 AND uid BETWEEN $2 AND $3",
                &key,
                &mut |row| {
                    messages += row.id(0)?;
                    unseen += row.id(1)?;
                    bytes += row.id(2)?;
                    Ok(())
                },
            )?;
            self.sql.execute(
                "INSERT INTO expunged (mailbox, uid, mail, mod_seq, seq, at, flags, keywords, \
                 internal_date, bytes, saved, first_flags, first_keywords, next_mailbox, next_uid) \
                 SELECT mailbox, uid, mail, $4, $5, $6, flags, keywords, internal_date, bytes, saved, \
                 first_flags, first_keywords, $7, uid + $8 FROM message \
                 WHERE mailbox = $1 AND uid BETWEEN $2 AND $3",
                &[
                    key[0],
                    key[1],
                    key[2],
                    mod_seq.0.into(),
                    seq.0.into(),
                    now.0.into(),
                    next.map(|(mailbox, _)| mailbox.0).into(),
                    next.map(|(_, further)| further).into(),
                ],
            )?;
            self.sql.execute(
                "DELETE FROM message WHERE mailbox = $1 AND uid BETWEEN $2 AND $3",
                &key,
            )?;
        }
        self.used_less(id, messages, bytes);
        if let Some(mailbox) = self.mailboxes.get_mut(&id) {
            mailbox.messages = mailbox.messages.saturating_sub(messages);
            mailbox.unseen = mailbox.unseen.saturating_sub(unseen);
            mailbox.bytes = mailbox.bytes.saturating_sub(bytes);
            mailbox.mod_seq = mailbox.mod_seq.max(mod_seq);
            self.dirty.insert(id);
        }
        Ok(())
    }
}

/// Consecutive UIDs that are taken out of a mailbox.
pub(super) struct Taken {
    first: u32,
    last: u32,
    /// Where they are instead, and what a UID there is above the one here.
    next: Option<(MailboxId, i64)>,
}

impl Taken {
    /// Those that are nowhere instead.
    pub(super) fn gone(uids: &[Uid]) -> Vec<Self> {
        runs(uids).into_iter().map(|(first, last)| Self { first, last, next: None }).collect()
    }

    /// Those that are in another mailbox instead: UID here, UID there.
    pub(super) fn moved(to: MailboxId, messages: &[(Uid, Uid)]) -> Vec<Self> {
        let mut sorted: Vec<(u32, i64)> = messages
            .iter()
            .map(|(old, new)| (old.get(), i64::from(new.get()) - i64::from(old.get())))
            .collect();
        sorted.sort_unstable();
        sorted.dedup_by_key(|(uid, _)| *uid);
        let mut runs: Vec<Self> = Vec::new();
        for (uid, further) in sorted {
            match runs.last_mut() {
                Some(run) if run.last + 1 == uid && run.next == Some((to, further)) => {
                    run.last = uid;
                }
                _ => runs.push(Self { first: uid, last: uid, next: Some((to, further)) }),
            }
        }
        runs
    }
}

/// Messages that are in another mailbox too.
pub(super) struct CopiedMessages<'a> {
    pub(super) from: MailboxId,
    pub(super) to: MailboxId,
    pub(super) mod_seq: ModSeq,
    /// When.
    pub(super) saved: Timestamp,
    /// UID there, UID here.
    pub(super) messages: &'a [(Uid, Uid)],
}

/// A message about to be in a mailbox.
pub(super) struct NewMessage<'a> {
    pub(super) mail: MailId,
    pub(super) uid: Uid,
    pub(super) mod_seq: ModSeq,
    pub(super) flags: &'a Flags,
    pub(super) internal_date: i64,
    pub(super) bytes: u64,
    pub(super) saved: i64,
}

/// A message as it stands, or stood, in a mailbox.
pub(super) struct MessageRow {
    pub(super) mail: MailId,
    pub(super) flags: Flags,
    internal_date: i64,
    bytes: u64,
}

impl MessageRow {
    /// The same, about to be in a mailbox under another UID.
    pub(super) const fn again(
        &self,
        uid: Uid,
        mod_seq: ModSeq,
        saved: Timestamp,
    ) -> NewMessage<'_> {
        NewMessage {
            mail: self.mail,
            uid,
            mod_seq,
            flags: &self.flags,
            internal_date: self.internal_date,
            bytes: self.bytes,
            saved: saved.0,
        }
    }
}

/// Runs of consecutive numbers, first and last, of UIDs in any order.
pub fn runs(uids: &[Uid]) -> Vec<(u32, u32)> {
    let mut numbers: Vec<u32> = uids.iter().map(|uid| uid.get()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

fn keywords_text(flags: &Flags) -> Option<String> {
    let keywords = flags.keywords();
    (!keywords.is_empty())
        .then(|| keywords.iter().map(mail_types::Keyword::as_str).collect::<Vec<_>>().join(" "))
}

/// Flags from the columns `flags` and `keywords`.
pub fn flags_from(bits: i64, keywords: Option<&str>) -> Flags {
    let keywords = keywords
        .unwrap_or_default()
        .split(' ')
        .filter_map(|keyword| mail_types::Keyword::new(keyword).ok())
        .collect();
    Flags::from_parts(u8::try_from(bits & 31).unwrap_or(0), keywords)
}
