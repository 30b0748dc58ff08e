//! Attachments that were not read for a trouble that passes: a machine that had no time, a reader that
//! was ended for want of memory. Each is tried again a few times, further and further apart; what is
//! read of a message meanwhile is kept.

use mail_types::{MailId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::SearchError;
use crate::kept::{self, Attachment, Document, Kept};
use crate::reading::NotRead;

/// How often a message's attachments are tried again: after these minutes, then never.
const AGAIN_AFTER_MINUTES: [i64; 5] = [10, 40, 160, 640, 2560];
const MINUTE_MILLIS: i64 = 60_000;
/// Reasons told of.
const REASONS_MAX: u32 = 20;

/// Why attachments are not found by what is written in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// In words.
    pub why: String,
    /// It was the trouble of a moment, and they are tried again.
    pub tried_again: bool,
    /// How many.
    pub attachments: u64,
}

/// What is known of a message whose attachments are tried again.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// How often they were.
    pub tries: u32,
    /// With what was read of them.
    pub attachments: Vec<Attachment>,
}

impl Kept {
    /// Notes when the attachments of a message are to be tried again, if they are.
    pub(crate) fn plan_again(&self, document: &Document) -> Result<(), SearchError> {
        let after = usize::try_from(document.tries).ok().and_then(|at| AGAIN_AFTER_MINUTES.get(at));
        let (Some(after), true) = (after, document.attachments.iter().any(|one| one.passing))
        else {
            return Ok(());
        };
        let due = document.tried.0.saturating_add(after * MINUTE_MILLIS);
        let insert = "INSERT INTO again (mail, tries, due) VALUES (?1, ?2, ?3)";
        let mail = document.mail.0.cast_signed();
        self.sql.prepare_cached(insert)?.execute(params![mail, document.tries + 1, due])?;
        Ok(())
    }

    /// Attachments that were not to be read, and are from now on: their messages come again.
    pub(crate) fn read_what_was_off(&self) -> Result<(), SearchError> {
        let insert = "INSERT INTO again (mail, tries, due) \
                      SELECT DISTINCT mail, 0, 0 FROM attachment WHERE unread = ?1 \
                      ON CONFLICT (mail) DO NOTHING";
        self.sql.execute(insert, [NotRead::Off.to_string()])?;
        Ok(())
    }

    /// The next message whose attachments are to be tried again, and when.
    pub(crate) fn next_again(&self) -> Result<Option<(MailId, Timestamp)>, SearchError> {
        let select = "SELECT mail, due FROM again ORDER BY due, mail LIMIT 1";
        let next = self.sql.prepare_cached(select)?.query_row([], |row| {
            Ok((MailId(row.get::<_, i64>(0)?.cast_unsigned()), Timestamp(row.get(1)?)))
        });
        Ok(next.optional()?)
    }

    /// What is known of it so far.
    pub(crate) fn earlier(&self, mail: MailId) -> Result<Earlier, SearchError> {
        let select = "SELECT tries FROM again WHERE mail = ?1";
        let tries =
            self.sql.prepare_cached(select)?.query_row([mail.0.cast_signed()], |row| row.get(0));
        let attachments = kept::attachments(&self.sql, mail, true)?;
        Ok(Earlier { tries: tries.optional()?.unwrap_or_default(), attachments })
    }

    /// It is not tried again.
    pub(crate) fn not_again(&self, mail: MailId) -> Result<(), SearchError> {
        self.sql.execute("DELETE FROM again WHERE mail = ?1", [mail.0.cast_signed()])?;
        Ok(())
    }
}

/// What is not read, the most frequent reason first.
///
/// # Errors
/// SQLite's.
pub fn unread(sql: &Connection) -> Result<Vec<Unread>, rusqlite::Error> {
    let select = "SELECT unread, passing AND EXISTS \
                  (SELECT 1 FROM again WHERE again.mail = attachment.mail), count(*) \
                  FROM attachment WHERE unread IS NOT NULL GROUP BY 1, 2 \
                  ORDER BY 3 DESC, 1 LIMIT ?1";
    let mut statement = sql.prepare_cached(select)?;
    let rows = statement.query_map([REASONS_MAX], |row| {
        let attachments = row.get::<_, i64>(2)?.cast_unsigned();
        Ok(Unread { why: row.get(0)?, tried_again: row.get(1)?, attachments })
    })?;
    rows.collect()
}
