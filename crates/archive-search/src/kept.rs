//! The file that words are looked up in: SQLite with FTS5. Derived, never the truth: where it is
//! missing, broken, of another version or of another archive, it is made anew.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};

use mail_types::{AccountId, MailId, RecordSeq, Timestamp};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::SearchError;
use crate::query::{Direction, Verdict};
use crate::words::is_spaceless;

/// The version of the tables and of what is put into them.
const VERSION: i64 = 2;
/// Pages of 4 KiB that the write-ahead log holds before it is moved into the file (16 MiB).
const CHECKPOINT_PAGES: u32 = 4096;
/// Characters of a word whose parts are found: shorter ones have no parts worth it, longer ones are
/// no words that people type.
const PARTS_OF: std::ops::RangeInclusive<usize> = 4..=32;
/// Words whose parts are found. Those beyond are found whole, and every search says so.
const VOCABULARY_MAX: i64 = 4_000_000;
/// Words of one message that come new among them, those of people, subject and text first: whoever
/// sends random letters must send many messages.
const NEW_WORDS_MAX: usize = 2000;
/// Words of which it is remembered that they are in the vocabulary.
const REMEMBERED_MAX: usize = 1 << 20;

// `words` holds no text, only where which word stands. `parts` finds words by any part of them of
// three characters or more: each word is in it once, however many messages it stands in.
const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE mail (
  id INTEGER PRIMARY KEY, receipt_check INTEGER NOT NULL, accepted INTEGER NOT NULL,
  bytes INTEGER NOT NULL, direction INTEGER NOT NULL, verdict INTEGER NOT NULL,
  attachments INTEGER NOT NULL);
CREATE TABLE party (
  account INTEGER NOT NULL, mail INTEGER NOT NULL, PRIMARY KEY (account, mail)) WITHOUT ROWID;
CREATE INDEX party_mail ON party (mail);
CREATE TABLE attachment (
  mail INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, media_type TEXT NOT NULL,
  bytes INTEGER NOT NULL, unread TEXT, passing INTEGER NOT NULL, text BLOB,
  PRIMARY KEY (mail, number)) WITHOUT ROWID;
CREATE INDEX attachment_unread ON attachment (unread) WHERE unread IS NOT NULL;
CREATE TABLE again (mail INTEGER PRIMARY KEY, tries INTEGER NOT NULL, due INTEGER NOT NULL);
CREATE INDEX again_due ON again (due);
CREATE VIRTUAL TABLE words USING fts5(
  sender, recipients, subject, body, filename, files,
  content='', contentless_delete=1, tokenize='ascii');
INSERT INTO words (words, rank) VALUES ('hashsize', 8388608);
CREATE TABLE vocabulary (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
CREATE VIRTUAL TABLE parts USING fts5(
  word, content='vocabulary', content_rowid='id', tokenize='trigram', detail=none, columnsize=0);
INSERT INTO parts (parts, rank) VALUES ('secure-delete', 1);
";

/// A message as it is put in.
#[derive(Clone, Debug)]
pub struct Document {
    /// The message.
    pub mail: MailId,
    /// The check of its receipt: an archive put back from a copy gives ids out once more.
    pub check: u32,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Octets of it.
    pub bytes: u64,
    /// Which way it went.
    pub direction: Direction,
    /// What was found of its sender.
    pub verdict: Verdict,
    /// Accounts that it is from or to.
    pub parties: Vec<AccountId>,
    /// What is attached.
    pub attachments: Vec<Attachment>,
    /// Words, in the order of the columns of `words`.
    pub columns: [String; 6],
    /// Its body was purged.
    pub purged: bool,
    /// How often its attachments were tried before.
    pub tries: u32,
    /// When they were tried now.
    pub tried: Timestamp,
}

/// An attachment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Its name; may be empty.
    pub name: String,
    /// `application/pdf`
    pub media_type: String,
    /// Octets of it, decoded.
    pub bytes: u64,
    /// Why it was not read, where there is something to say.
    pub unread: Option<String>,
    /// That was the trouble of a moment: it may be read another time.
    pub passing: bool,
    /// What is written in it; empty where it was not read.
    pub text: String,
}

/// The one who writes.
pub struct Kept {
    pub(crate) sql: Connection,
    hashes: RandomState,
    pub(crate) remembered: HashSet<u64>,
    /// Words in the vocabulary.
    vocabulary: i64,
}

/// What is known of a message here.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The message.
    pub mail: MailId,
    /// The check of its receipt.
    pub check: u32,
}

/// Opens it for the one writer, making it where there is none that can be used.
///
/// # Errors
/// Where the file cannot be read now, or not be made.
pub fn open(path: &Path) -> Result<Kept, SearchError> {
    match usable(path) {
        Ok(Some(sql)) => Kept::new(sql),
        Ok(None) => anew(path),
        Err(error) => {
            let error = SearchError::Sql(error);
            // Making it anew can take days: not because the system is out of something for a while.
            if !error.is_broken() {
                return Err(error);
            }
            tracing::warn!(%error, "what is searched in is broken: it is made anew");
            anew(path)
        }
    }
}

/// An empty one in place of whatever is there.
///
/// # Errors
/// Where the file cannot be made.
pub fn anew(path: &Path) -> Result<Kept, SearchError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let path = PathBuf::from(name);
                return Err(SearchError::File { doing: "remove", path, source: error });
            }
            _ => {}
        }
    }
    let sql = writer(path)?;
    sql.execute_batch("BEGIN")?;
    sql.execute_batch(TABLES)?;
    sql.execute("INSERT INTO meta (name, number) VALUES ('version', ?1)", [version()])?;
    sql.execute_batch("COMMIT")?;
    Kept::new(sql)
}

/// The version, with a check of what becomes of a text: a release that makes other words of it makes
/// them anew for all messages.
fn version() -> i64 {
    let mut words = String::new();
    crate::words::write_words(
        &message::fold("Straße café ΆΒΓ ﬁn 会议室 カフェ 서울에서 x1"),
        &mut words,
    );
    VERSION << 32 | i64::from(crc32fast::hash(words.as_bytes()))
}

fn writer(path: &Path) -> Result<Connection, rusqlite::Error> {
    let sql = Connection::open(path)?;
    plan_once(&sql)?;
    sql.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;
         PRAGMA cache_size=-32768; PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES};
         PRAGMA journal_size_limit=67108864; PRAGMA secure_delete=ON;"
    ))?;
    Ok(sql)
}

/// Has a plan not depend on the values that are bound, for which it were made anew each time.
fn plan_once(sql: &Connection) -> Result<(), rusqlite::Error> {
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

fn usable(path: &Path) -> Result<Option<Connection>, rusqlite::Error> {
    if !path.exists() {
        return Ok(None);
    }
    let sql = writer(path)?;
    if !has_tables(&sql)? {
        return Ok(None);
    }
    let known: Option<i64> = number(&sql, "version")?;
    Ok((known == Some(version())).then_some(sql))
}

/// Whether anything is in the file.
///
/// # Errors
/// SQLite's.
pub fn has_tables(sql: &Connection) -> Result<bool, rusqlite::Error> {
    let tables = "SELECT count(*) > 0 FROM sqlite_master WHERE name = 'meta'";
    sql.query_row(tables, [], |row| row.get(0))
}

pub(crate) fn number(sql: &Connection, name: &str) -> Result<Option<i64>, rusqlite::Error> {
    let select = "SELECT number FROM meta WHERE name = ?1";
    sql.query_row(select, [name], |row| row.get(0)).optional()
}

/// Opens it to read.
///
/// # Errors
/// SQLite's; where there is none, it is not made.
pub fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(path, flags)?;
    plan_once(&sql)?;
    sql.execute_batch("PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY;")?;
    Ok(sql)
}

/// How many messages are in it.
///
/// # Errors
/// SQLite's.
pub fn count(sql: &Connection) -> Result<u64, rusqlite::Error> {
    Ok(number(sql, "mails")?.unwrap_or_default().cast_unsigned())
}

/// Whether no more words come among those whose parts are found.
///
/// # Errors
/// SQLite's.
pub fn is_vocabulary_full(sql: &Connection) -> Result<bool, rusqlite::Error> {
    Ok(vocabulary(sql)? >= VOCABULARY_MAX)
}

fn vocabulary(sql: &Connection) -> Result<i64, rusqlite::Error> {
    sql.query_row("SELECT coalesce(max(id), 0) FROM vocabulary", [], |row| row.get(0))
}

impl Document {
    /// About so many octets of memory.
    #[must_use]
    pub fn octets(&self) -> usize {
        let attached = self.attachments.iter().map(|one| one.name.len() + one.text.len());
        self.columns.iter().map(String::len).chain(attached).sum()
    }
}

impl Kept {
    fn new(sql: Connection) -> Result<Self, SearchError> {
        let vocabulary = vocabulary(&sql)?;
        Ok(Self { sql, hashes: RandomState::new(), remembered: HashSet::new(), vocabulary })
    }

    /// All messages up to this one are in it: there is none before that is not.
    ///
    /// # Errors
    /// SQLite's.
    pub fn floor(&self) -> Result<MailId, SearchError> {
        Ok(MailId(number(&self.sql, "floor")?.unwrap_or_default().cast_unsigned()))
    }

    /// See [`Kept::floor`].
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_floor(&self, floor: MailId) -> Result<(), SearchError> {
        self.set("floor", floor.0.cast_signed())
    }

    /// What was purged up to this record is known here.
    ///
    /// # Errors
    /// SQLite's.
    pub fn purged(&self) -> Result<RecordSeq, SearchError> {
        Ok(RecordSeq(number(&self.sql, "purged")?.unwrap_or_default().cast_unsigned()))
    }

    /// See [`Kept::purged`].
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_purged(&self, purged: RecordSeq) -> Result<(), SearchError> {
        self.set("purged", purged.0.cast_signed())
    }

    pub(crate) fn set(&self, name: &str, number: i64) -> Result<(), SearchError> {
        let insert = "INSERT INTO meta (name, number) VALUES (?1, ?2) \
                      ON CONFLICT (name) DO UPDATE SET number = excluded.number";
        self.sql.prepare_cached(insert)?.execute(params![name, number])?;
        Ok(())
    }

    /// How many messages are in it.
    ///
    /// # Errors
    /// SQLite's.
    pub fn count(&self) -> Result<u64, SearchError> {
        Ok(count(&self.sql)?)
    }

    /// The last messages in it, the newest first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn last(&self, count_max: u32) -> Result<Vec<Row>, SearchError> {
        let select = "SELECT id, receipt_check FROM mail ORDER BY id DESC LIMIT ?1";
        let mut statement = self.sql.prepare_cached(select)?;
        let rows = statement.query_map([count_max], |row| {
            Ok(Row { mail: MailId(row.get::<_, i64>(0)?.cast_unsigned()), check: row.get(1)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Which of these messages, ascending, are not in it.
    ///
    /// # Errors
    /// SQLite's.
    pub fn missing(&self, mails: &[MailId]) -> Result<Vec<MailId>, SearchError> {
        let (Some(first), Some(last)) = (mails.first(), mails.last()) else {
            return Ok(Vec::new());
        };
        let select = "SELECT id FROM mail WHERE id BETWEEN ?1 AND ?2";
        let mut statement = self.sql.prepare_cached(select)?;
        let range = params![first.0.cast_signed(), last.0.cast_signed()];
        let there: HashSet<i64> =
            statement.query_map(range, |row| row.get(0))?.collect::<Result<_, _>>()?;
        let missing = mails.iter().filter(|mail| !there.contains(&mail.0.cast_signed()));
        Ok(missing.copied().collect())
    }

    /// Puts messages in, all or none; one that is there is put in anew.
    ///
    /// # Errors
    /// SQLite's.
    pub fn put(&mut self, documents: &[Document]) -> Result<(), SearchError> {
        self.sql.execute_batch("BEGIN IMMEDIATE")?;
        let put = documents.iter().try_for_each(|document| self.put_one(document));
        let put = put.and_then(|()| Ok(self.sql.execute_batch("COMMIT")?));
        if put.is_err() {
            // What was new in this transaction is not there.
            self.remembered.clear();
            if !self.sql.is_autocommit() {
                self.sql.execute_batch("ROLLBACK")?;
            }
        }
        put
    }

    fn put_one(&mut self, document: &Document) -> Result<(), SearchError> {
        let id = document.mail.0.cast_signed();
        if self.take_out(document.mail)? && document.purged {
            self.owe_scouring()?;
        }
        let code = |at: Option<usize>| at.unwrap_or_default() as i64;
        let direction = code(Direction::ALL.iter().position(|one| *one == document.direction));
        let verdict = code(Verdict::ALL.iter().position(|one| *one == document.verdict));
        self.sql
            .prepare_cached(
                "INSERT INTO mail (id, receipt_check, accepted, bytes, direction, verdict, \
                 attachments) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                id,
                document.check,
                document.accepted.0,
                document.bytes.cast_signed(),
                direction,
                verdict,
                document.attachments.len() as i64,
            ])?;
        for account in &document.parties {
            let insert = "INSERT INTO party (account, mail) VALUES (?1, ?2) \
                          ON CONFLICT (account, mail) DO NOTHING";
            self.sql.prepare_cached(insert)?.execute(params![account.0.cast_signed(), id])?;
        }
        for (number, attachment) in document.attachments.iter().enumerate() {
            self.put_attachment(id, number, attachment)?;
        }
        self.plan_again(document)?;
        let [sender, recipients, subject, body, filename, files] = &document.columns;
        self.sql
            .prepare_cached(
                "INSERT INTO words (rowid, sender, recipients, subject, body, filename, files) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![id, sender, recipients, subject, body, filename, files])?;
        let mut room = NEW_WORDS_MAX;
        for column in &document.columns {
            self.learn(column, &mut room)?;
        }
        self.set("mails", self.count()?.cast_signed() + 1)
    }

    fn put_attachment(
        &self,
        mail: i64,
        number: usize,
        attachment: &Attachment,
    ) -> Result<(), SearchError> {
        let packed = match &*attachment.text {
            "" => None,
            text => Some(zstd::bulk::compress(text.as_bytes(), 1).map_err(SearchError::Packing)?),
        };
        let insert = "INSERT INTO attachment (mail, number, name, media_type, bytes, unread, \
                      passing, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.sql.prepare_cached(insert)?.execute(params![
            mail,
            number as i64,
            attachment.name,
            attachment.media_type,
            attachment.bytes.cast_signed(),
            attachment.unread,
            attachment.passing,
            packed
        ])?;
        Ok(())
    }

    /// Takes a message out: it is found no more. Whether it was in.
    fn take_out(&self, mail: MailId) -> Result<bool, SearchError> {
        let id = mail.0.cast_signed();
        if self.sql.prepare_cached("DELETE FROM mail WHERE id = ?1")?.execute([id])? == 0 {
            return Ok(false);
        }
        self.sql.prepare_cached("DELETE FROM words WHERE rowid = ?1")?.execute([id])?;
        self.sql.prepare_cached("DELETE FROM attachment WHERE mail = ?1")?.execute([id])?;
        self.sql.prepare_cached("DELETE FROM party WHERE mail = ?1")?.execute([id])?;
        self.sql.prepare_cached("DELETE FROM again WHERE mail = ?1")?.execute([id])?;
        self.set("mails", self.count()?.cast_signed() - 1)?;
        Ok(true)
    }

    /// Has parts of these words found, of so many new ones.
    fn learn(&mut self, words: &str, room: &mut usize) -> Result<(), SearchError> {
        for word in words.split_terminator(' ') {
            if *room == 0 || self.vocabulary >= VOCABULARY_MAX {
                return Ok(());
            }
            // Pairs of characters are found as they are.
            if word.len() < *PARTS_OF.start() || word.chars().next().is_none_or(is_spaceless) {
                continue;
            }
            let hash = self.hashes.hash_one(word);
            if self.remembered.contains(&hash) || !PARTS_OF.contains(&word.chars().count()) {
                continue;
            }
            if self.remembered.len() >= REMEMBERED_MAX {
                self.remembered.clear();
            }
            self.remembered.insert(hash);
            let insert = "INSERT INTO vocabulary (word) VALUES (?1) ON CONFLICT (word) DO NOTHING";
            if self.sql.prepare_cached(insert)?.execute([word])? == 0 {
                continue;
            }
            *room -= 1;
            self.vocabulary = self.sql.last_insert_rowid();
            if self.vocabulary >= VOCABULARY_MAX {
                tracing::warn!(
                    words = self.vocabulary,
                    "parts of words that come new are not found"
                );
            }
            let insert = "INSERT INTO parts (rowid, word) VALUES (?1, ?2)";
            self.sql.prepare_cached(insert)?.execute(params![self.vocabulary, word])?;
        }
        Ok(())
    }

    /// Brings what was written in many small pieces together, a little; false where there is nothing
    /// more to do.
    ///
    /// # Errors
    /// SQLite's.
    pub fn tidy(&self) -> Result<bool, SearchError> {
        let before = self.sql.total_changes();
        self.sql.execute_batch("INSERT INTO words (words, rank) VALUES ('merge', 500)")?;
        // As FTS5 documents it: fewer than two changes, and nothing was left to merge.
        Ok(self.sql.total_changes() - before >= 2)
    }
}

/// The attachments of a message; their texts where `with_text`.
///
/// # Errors
/// SQLite's.
pub fn attachments(
    sql: &Connection,
    mail: MailId,
    with_text: bool,
) -> Result<Vec<Attachment>, rusqlite::Error> {
    let select = "SELECT name, media_type, bytes, unread, CASE WHEN ?2 THEN text END, passing \
                  FROM attachment WHERE mail = ?1 ORDER BY number";
    let mut statement = sql.prepare_cached(select)?;
    let rows = statement.query_map(params![mail.0.cast_signed(), with_text], |row| {
        let packed: Option<Vec<u8>> = row.get(4)?;
        let unpacked = packed.and_then(|packed| {
            zstd::bulk::decompress(&packed, attachment_text::Limits::default().text_bytes_max).ok()
        });
        Ok(Attachment {
            name: row.get(0)?,
            media_type: row.get(1)?,
            bytes: row.get::<_, i64>(2)?.cast_unsigned(),
            unread: row.get(3)?,
            passing: row.get(5)?,
            text: unpacked.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default(),
        })
    })?;
    rows.collect()
}
