use journal::Disk;
use mail_types::{Flags, MailId, MailboxId, ModSeq, Timestamp, Uid};
use mailbox::{Row, Rows};

use crate::boxes::{By, read_mailboxes};
use crate::index::{Mailbox, flags_from};
use crate::sql::{self, Executor, SqlError};
use crate::{Store, StoreError};

/// A message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// Its UID.
    pub uid: Uid,
    /// The message.
    pub mail: MailId,
    /// Of its last change.
    pub mod_seq: ModSeq,
    /// Its flags.
    pub flags: Flags,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// SAVEDATE (RFC 8514): when it came into this mailbox.
    pub saved: Timestamp,
    /// RFC822.SIZE.
    pub bytes: u64,
}

impl From<&MessageRow> for Row {
    fn from(row: &MessageRow) -> Self {
        Self {
            uid: row.uid,
            modseq: row.mod_seq,
            flags: row.flags.clone(),
            internal_date: row.internal_date,
            saved: row.saved,
            size: u32::try_from(row.bytes).unwrap_or(u32::MAX),
            mail: row.mail.0,
        }
    }
}

/// What went out of a mailbox since some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vanished {
    /// These UIDs, ascending.
    Uids(Vec<u32>),
    /// More than are told one by one.
    TooMany,
}

impl<D: Disk> Store<D> {
    /// A mailbox with all its messages by UID, as of one moment.
    ///
    /// # Errors
    /// The index's.
    pub fn snapshot(
        &self,
        mailbox: MailboxId,
    ) -> Result<Option<(Mailbox, Vec<MessageRow>)>, StoreError> {
        self.read(|sql| {
            let mut found = None;
            read_mailboxes(sql, By::Id(mailbox), &mut |mailbox| found = Some(mailbox))?;
            let Some(found) = found else { return Ok(None) };
            let mut rows = Vec::with_capacity(usize::try_from(found.messages).unwrap_or(0));
            read_rows(sql, mailbox, 1, u32::MAX, &mut |row| rows.push(row))?;
            Ok(Some((found, rows)))
        })
    }

    /// The first messages of a mailbox behind a UID, by UID, at most so many.
    ///
    /// # Errors
    /// The index's.
    pub fn messages_behind(
        &self,
        mailbox: MailboxId,
        behind: u32,
        count_max: usize,
    ) -> Result<Vec<MessageRow>, StoreError> {
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.query(
                "SELECT uid, mail, mod_seq, flags, keywords, internal_date, bytes, saved \
                 FROM message WHERE mailbox = $1 AND uid > $2 ORDER BY uid LIMIT $3",
                &[mailbox.0.into(), behind.into(), (count_max as u64).into()],
                &mut |row| {
                    rows.push(message_from(row)?);
                    Ok(())
                },
            )?;
            Ok(rows)
        })
    }

    /// What was taken out of a mailbox by changes after `since`, at most `count_max` of it
    /// (RFC 7162 §3.2.5.1).
    ///
    /// # Errors
    /// The index's.
    pub fn vanished(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        count_max: usize,
    ) -> Result<Vanished, StoreError> {
        self.read(|sql| {
            let mut uids = Vec::new();
            sql.query(
                "SELECT uid FROM expunged WHERE mailbox = $1 AND mod_seq > $2 LIMIT $3",
                &[mailbox.0.into(), since.0.into(), (count_max as u64).saturating_add(1).into()],
                &mut |row| {
                    uids.push(u32::try_from(row.int(0)?).unwrap_or(u32::MAX));
                    Ok(())
                },
            )?;
            if uids.len() > count_max {
                return Ok(Vanished::TooMany);
            }
            uids.sort_unstable();
            Ok(Vanished::Uids(uids))
        })
    }
}

/// Adds to `rows` the messages of a mailbox that changed after `since`.
pub fn add_rows<E: Executor>(
    sql: &mut E,
    mailbox: MailboxId,
    since: ModSeq,
    rows: &mut Rows,
) -> Result<(), SqlError> {
    sql.query(
        "SELECT uid, mail, mod_seq, flags, keywords, internal_date, bytes, saved FROM message \
         WHERE mailbox = $1 AND mod_seq > $2 ORDER BY uid",
        &[mailbox.0.into(), since.0.into()],
        &mut |row| {
            rows.put(&Row::from(&message_from(row)?));
            Ok(())
        },
    )
}

/// Reads the messages of a mailbox whose UID is in the range, in order.
pub fn read_rows<E: Executor>(
    sql: &mut E,
    mailbox: MailboxId,
    first: u32,
    last: u32,
    on_row: &mut dyn FnMut(MessageRow),
) -> Result<(), SqlError> {
    sql.query(
        "SELECT uid, mail, mod_seq, flags, keywords, internal_date, bytes, saved FROM message \
         WHERE mailbox = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid",
        &[mailbox.0.into(), first.into(), last.into()],
        &mut |row| {
            on_row(message_from(row)?);
            Ok(())
        },
    )
}

/// A message from its row: uid, mail, mod_seq, flags, keywords, internal_date, bytes, saved.
fn message_from(row: &dyn sql::Row) -> Result<MessageRow, SqlError> {
    let uid = u32::try_from(row.int(0)?).ok().and_then(Uid::new);
    let uid =
        uid.ok_or_else(|| SqlError { doing: "read a UID".to_owned(), cause: "is no UID".into() })?;
    Ok(MessageRow {
        uid,
        mail: MailId(row.id(1)?),
        mod_seq: ModSeq(row.id(2)?),
        flags: flags_from(row.int(3)?, row.text_or_null(4)?),
        internal_date: Timestamp(row.int(5)?),
        bytes: row.id(6)?,
        saved: Timestamp(row.int(7)?),
    })
}
