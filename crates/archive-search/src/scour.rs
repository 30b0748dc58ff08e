//! What was taken out leaves traces: words in pieces of the index that are merged some day, words of the
//! vocabulary that stand in no message any more, pages of the log. A purge is for good, so behind it
//! all of that is gone through in small steps, in the background: SQLite overwrites what it frees
//! (`secure_delete`), so what is freed is gone.

use rusqlite::{OptionalExtension, params};

use crate::SearchError;
use crate::kept::{Kept, number};

/// Pages that one step of merging writes.
const PAGES_PER_STEP: i64 = 500;
/// Words looked up in one step.
const WORDS_PER_STEP: i64 = 1000;

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scouring {
    /// Everything is merged into one piece, without what was taken out.
    Merging {
        /// What is owed when it is begun: more may be taken out meanwhile.
        owed: i64,
        /// It was begun.
        begun: bool,
    },
    /// Words behind this one, if no message has them.
    Vocabulary {
        /// See there.
        owed: i64,
        /// The last that was looked up.
        behind: i64,
    },
    /// The log is moved into the file, and is empty then.
    Log {
        /// See there.
        owed: i64,
    },
}

impl Kept {
    /// Something was taken out of it.
    pub(crate) fn owe_scouring(&self) -> Result<(), SearchError> {
        let taken_out = number(&self.sql, "taken_out")?.unwrap_or_default();
        self.set("taken_out", taken_out + 1)
    }

    /// Where scouring begins; `None` where nothing is owed.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn scouring(&self) -> Result<Option<Scouring>, SearchError> {
        let owed = number(&self.sql, "taken_out")?.unwrap_or_default();
        let done = number(&self.sql, "scoured")?.unwrap_or_default();
        Ok((owed != done).then_some(Scouring::Merging { owed, begun: false }))
    }

    /// One step; what is next. A crash in between begins it anew.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn scour(&mut self, at: Scouring) -> Result<Option<Scouring>, SearchError> {
        match at {
            // As FTS5 documents it: a negative number begins a merge of all pieces into one, positive
            // ones go on with it, and fewer than two changes tell that it is done.
            Scouring::Merging { owed, begun } => {
                let pages = if begun { PAGES_PER_STEP } else { -PAGES_PER_STEP };
                let before = self.sql.total_changes();
                let merge = "INSERT INTO words (words, rank) VALUES ('merge', ?1)";
                self.sql.prepare_cached(merge)?.execute([pages])?;
                let more = self.sql.total_changes() - before >= 2;
                Ok(Some(match more || !begun {
                    true => Scouring::Merging { owed, begun: true },
                    false => Scouring::Vocabulary { owed, behind: 0 },
                }))
            }
            Scouring::Vocabulary { owed, behind } => Ok(Some(match self.scour_words(behind)? {
                Some(behind) => Scouring::Vocabulary { owed, behind },
                None => Scouring::Log { owed },
            })),
            Scouring::Log { owed } => {
                let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
                let busy: bool = self.sql.query_row(truncate, [], |row| row.get(0))?;
                if busy {
                    // Somebody reads what was before: it is tried again.
                    return Ok(Some(at));
                }
                self.set("scoured", owed)?;
                Ok(None)
            }
        }
    }

    /// Forgets the next words that no message has; the last that was looked up.
    fn scour_words(&mut self, behind: i64) -> Result<Option<i64>, SearchError> {
        self.sql.execute_batch(
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.terms USING fts5vocab ('main', 'words', 'row')",
        )?;
        let mut last = None;
        let mut nobodys: Vec<(i64, String)> = Vec::new();
        {
            let select = "SELECT id, word FROM vocabulary WHERE id > ?1 ORDER BY id LIMIT ?2";
            let mut words = self.sql.prepare_cached(select)?;
            let mut find = self.sql.prepare_cached("SELECT 1 FROM temp.terms WHERE term = ?1")?;
            let mut rows = words.query(params![behind, WORDS_PER_STEP])?;
            while let Some(row) = rows.next()? {
                let (id, word): (i64, String) = (row.get(0)?, row.get(1)?);
                last = Some(id);
                if find.query_row([&word], |_| Ok(())).optional()?.is_none() {
                    nobodys.push((id, word));
                }
            }
        }
        if nobodys.is_empty() {
            return Ok(last);
        }
        // They are in the vocabulary no more: a message that comes has them put in again.
        self.remembered.clear();
        self.sql.execute_batch("BEGIN IMMEDIATE")?;
        let forgotten = nobodys.iter().try_for_each(|(id, word)| {
            let out = "INSERT INTO parts (parts, rowid, word) VALUES ('delete', ?1, ?2)";
            self.sql.prepare_cached(out)?.execute(params![id, word])?;
            self.sql.prepare_cached("DELETE FROM vocabulary WHERE id = ?1")?.execute([id])?;
            Ok::<(), rusqlite::Error>(())
        });
        let forgotten = forgotten.and_then(|()| self.sql.execute_batch("COMMIT"));
        if forgotten.is_err() && !self.sql.is_autocommit() {
            self.sql.execute_batch("ROLLBACK")?;
        }
        forgotten?;
        Ok(last)
    }
}
