//! Mailboxes as they were at a time, from what was done since.

use std::collections::{HashMap, HashSet};

use journal::Disk;
use mail_types::{AccountId, Flags, MailId, MailboxId, RecordSeq, Timestamp, Uid};

use crate::act::{Act, ActFilter, ActKind};
use crate::index::flags_from;
use crate::sql::{Executor, Row, SqlError};
use crate::{Store, StoreError};

/// A mailbox as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxThen {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its name then.
    pub name: String,
    /// How many messages it had.
    pub messages: u64,
    /// How many of those it does not have now.
    pub gone: u64,
}

/// A message as it was in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageThen {
    /// Its UID.
    pub uid: Uid,
    /// The message.
    pub mail: MailId,
    /// Its flags then.
    pub flags: Flags,
    /// Its INTERNALDATE.
    pub internal_date: Timestamp,
    /// Its size.
    pub bytes: u64,
    /// When it was taken out since, and by which act.
    pub gone: Option<(Timestamp, RecordSeq)>,
}

impl<D: Disk> Store<D> {
    /// The mailboxes that an account had, by name.
    ///
    /// # Errors
    /// The index's.
    pub fn mailboxes_at(
        &self,
        account: AccountId,
        at: Timestamp,
    ) -> Result<Vec<MailboxThen>, StoreError> {
        let mut names: HashMap<MailboxId, Option<String>> = HashMap::new();
        self.read(|sql| {
            sql.query(
                "SELECT id, name, deleted FROM mailbox WHERE account = $1",
                &[account.0.into()],
                &mut |row| {
                    let is_there = row.int(2)? == 0;
                    let name = is_there.then(|| row.text(1).map(str::to_owned)).transpose()?;
                    names.insert(MailboxId(row.id(0)?), name);
                    Ok(())
                },
            )
        })?;
        self.acts_after(account, at, &mut |act| {
            let Some(mailbox) = act.mailbox else { return };
            match act.kind {
                ActKind::Created | ActKind::MailboxRestored => drop(names.insert(mailbox, None)),
                ActKind::Deleted | ActKind::Renamed => {
                    names.insert(mailbox, Some(act.subject));
                }
                _ => {}
            }
        })?;
        let mut then = Vec::new();
        for (mailbox, name) in names {
            let Some(name) = name else { continue };
            let (messages, gone) = self.read(|sql| counts_at(sql, mailbox, at))?;
            then.push(MailboxThen { mailbox, name, messages, gone });
        }
        then.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(then)
    }

    /// The messages that a mailbox had, by UID, with their flags of then.
    ///
    /// # Errors
    /// The index's, and the journal's.
    pub fn mailbox_at(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        at: Timestamp,
    ) -> Result<Vec<MessageThen>, StoreError> {
        let mut messages = self.read(|sql| messages_at(sql, mailbox, at))?;
        let mut first_flags = None;
        self.acts_after(account, at, &mut |act| {
            if act.kind == ActKind::Flags && act.mailbox == Some(mailbox) {
                first_flags = Some(act.seq);
            }
        })?;
        if let Some(first) = first_flags {
            let uids: HashSet<Uid> = messages.iter().map(|message| message.uid).collect();
            let mut flags = self.flags_before(first, mailbox, uids.into_iter())?;
            for message in &mut messages {
                if let Some(then) = flags.remove(&message.uid) {
                    message.flags = then;
                }
            }
        }
        Ok(messages)
    }

    /// The mailbox of this name, or the last one that had it when it was deleted.
    ///
    /// # Errors
    /// The index's.
    pub fn last_mailbox_of_name(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<MailboxId>, StoreError> {
        self.read(|sql| {
            let query = "SELECT id FROM mailbox WHERE account = $1 AND name = $2 \
                         ORDER BY deleted, id DESC LIMIT 1";
            let found = sql.number(query, &[account.0.into(), name.into()])?;
            Ok(found.map(|id| MailboxId(id.cast_unsigned())))
        })
    }

    /// The name of a mailbox, or what it was when it was deleted.
    ///
    /// # Errors
    /// The index's.
    pub fn mailbox_name(&self, mailbox: MailboxId) -> Result<Option<String>, StoreError> {
        self.read(|sql| {
            let mut name = None;
            let query = "SELECT name FROM mailbox WHERE id = $1";
            sql.query(query, &[mailbox.0.into()], &mut |row| {
                name = Some(row.text(0)?.to_owned());
                Ok(())
            })?;
            Ok(name)
        })
    }

    /// The names of an account's mailboxes, of those that are gone as they were then.
    ///
    /// # Errors
    /// The index's.
    pub fn mailbox_names(
        &self,
        account: AccountId,
    ) -> Result<HashMap<MailboxId, String>, StoreError> {
        self.read(|sql| {
            let mut names = HashMap::new();
            let query = "SELECT id, name FROM mailbox WHERE account = $1";
            sql.query(query, &[account.0.into()], &mut |row| {
                names.insert(MailboxId(row.id(0)?), row.text(1)?.to_owned());
                Ok(())
            })?;
            Ok(names)
        })
    }

    /// The first messages that an act took out of a mailbox, at most so many.
    ///
    /// # Errors
    /// The index's.
    pub fn taken_out(
        &self,
        mailbox: MailboxId,
        act: RecordSeq,
        count_max: u64,
    ) -> Result<Vec<MailId>, StoreError> {
        self.read(|sql| {
            let mut mails = Vec::new();
            let query = "SELECT mail FROM expunged WHERE mailbox = $1 AND seq = $2 \
                         ORDER BY uid LIMIT $3";
            let key = [mailbox.0.into(), act.0.into(), count_max.into()];
            sql.query(query, &key, &mut |row| {
                mails.push(MailId(row.id(0)?));
                Ok(())
            })?;
            Ok(mails)
        })
    }

    /// What was done about an account's mail after a time, the newest first.
    fn acts_after(
        &self,
        account: AccountId,
        at: Timestamp,
        on_act: &mut dyn FnMut(Act),
    ) -> Result<(), StoreError> {
        let since = Some(Timestamp(at.0.saturating_add(1)));
        let filter = ActFilter { owner: Some(account), since, ..ActFilter::default() };
        self.acts(&filter, &mut |act| {
            on_act(act);
            true
        })
    }
}

fn counts_at(
    sql: &mut impl Executor,
    mailbox: MailboxId,
    at: Timestamp,
) -> Result<(u64, u64), SqlError> {
    let key = [mailbox.0.into(), at.0.into()];
    let there = "SELECT count(*) FROM message WHERE mailbox = $1 AND saved <= $2";
    let gone = "SELECT count(*) FROM expunged WHERE mailbox = $1 AND saved <= $2 AND at > $2";
    let there = sql.number(there, &key)?.unwrap_or(0).cast_unsigned();
    let gone = sql.number(gone, &key)?.unwrap_or(0).cast_unsigned();
    Ok((there + gone, gone))
}

fn messages_at(
    sql: &mut impl Executor,
    mailbox: MailboxId,
    at: Timestamp,
) -> Result<Vec<MessageThen>, SqlError> {
    let mut messages = Vec::new();
    let key = [mailbox.0.into(), at.0.into()];
    let add = |row: &dyn Row, messages: &mut Vec<MessageThen>| -> Result<(), SqlError> {
        let Some(uid) = u32::try_from(row.int(0)?).ok().and_then(Uid::new) else { return Ok(()) };
        let act = row.int_or_null(7)?.map(|seq| RecordSeq(seq.cast_unsigned()));
        messages.push(MessageThen {
            uid,
            mail: MailId(row.id(1)?),
            flags: flags_from(row.int(2)?, row.text_or_null(3)?),
            internal_date: Timestamp(row.int(4)?),
            bytes: row.id(5)?,
            gone: row.int_or_null(6)?.map(Timestamp).zip(act),
        });
        Ok(())
    };
    sql.query(
        "SELECT uid, mail, flags, keywords, internal_date, bytes, NULL, NULL FROM message \
         WHERE mailbox = $1 AND saved <= $2",
        &key,
        &mut |row| add(row, &mut messages),
    )?;
    sql.query(
        "SELECT uid, mail, flags, keywords, internal_date, bytes, at, seq FROM expunged \
         WHERE mailbox = $1 AND saved <= $2 AND at > $2",
        &key,
        &mut |row| add(row, &mut messages),
    )?;
    messages.sort_by_key(|message| message.uid);
    Ok(messages)
}
