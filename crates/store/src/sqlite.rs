//! The embedded engine: bundled SQLite in WAL mode with `synchronous=NORMAL`. Losing its last
//! commits in a power cut is fine, since they are in the journal and are replayed.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};

use crate::sql::{Executor, OnRow, Param, Row, SqlError};

/// Statements kept prepared on a connection.
const STATEMENTS_CACHED_MAX: usize = 64;
/// Pages of 4 KiB the write-ahead log may hold before it is moved into the database (32 MiB): each
/// move costs two syncs, and pages that changed often in between are moved once.
const CHECKPOINT_PAGES: u32 = 8192;

/// One SQLite connection.
pub struct Sqlite {
    connection: Connection,
    /// Our `$n` text by address and length, rewritten to SQLite's `?n`. `$n` itself is numbered by SQLite in
    /// the order of first appearance, which is not what PostgreSQL means by it.
    rewritten: HashMap<(usize, usize), String>,
}

impl Sqlite {
    /// Opens or creates the index for the one writer.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open_writer(path: &Path) -> Result<Self, SqlError> {
        let connection = Connection::open(path).map_err(|cause| error("open", cause))?;
        let mut sqlite = Self::new(connection)?;
        sqlite.batch(&format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;
             PRAGMA cache_size=-16384; PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES};
             PRAGMA journal_size_limit=67108864;"
        ))?;
        Ok(sqlite)
    }

    /// Opens the index to read it.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open_reader(path: &Path) -> Result<Self, SqlError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|cause| error("open", cause))?;
        let mut sqlite = Self::new(connection)?;
        sqlite.batch("PRAGMA cache_size=-2048; PRAGMA temp_store=MEMORY;")?;
        Ok(sqlite)
    }

    /// A fresh database that is never synced, for rebuilding an index beside the live one.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open_scratch(path: &Path) -> Result<Self, SqlError> {
        let connection = Connection::open(path).map_err(|cause| error("open", cause))?;
        let mut sqlite = Self::new(connection)?;
        sqlite.batch(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY;
             PRAGMA cache_size=-65536;",
        )?;
        Ok(sqlite)
    }

    fn new(connection: Connection) -> Result<Self, SqlError> {
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
        // A plan does not depend on the values that are bound: else SQLite prepares a statement anew
        // for each other value, for which relaying spent a twentieth of its time.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(|cause| error("open", cause))?;
        Ok(Self { connection, rewritten: HashMap::new() })
    }

    fn rewritten<'a>(map: &'a mut HashMap<(usize, usize), String>, sql: &'static str) -> &'a str {
        map.entry((sql.as_ptr() as usize, sql.len())).or_insert_with(|| sql.replace('$', "?"))
    }
}

impl Executor for Sqlite {
    fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<usize, SqlError> {
        let text = Self::rewritten(&mut self.rewritten, sql);
        let mut statement =
            self.connection.prepare_cached(text).map_err(|cause| error(sql, cause))?;
        bind(&mut statement, params).map_err(|cause| error(sql, cause))?;
        statement.raw_execute().map_err(|cause| error(sql, cause))
    }

    fn query(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        on_row: OnRow<'_>,
    ) -> Result<(), SqlError> {
        let text = Self::rewritten(&mut self.rewritten, sql);
        let mut statement =
            self.connection.prepare_cached(text).map_err(|cause| error(sql, cause))?;
        bind(&mut statement, params).map_err(|cause| error(sql, cause))?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(|cause| error(sql, cause))? {
            on_row(row)?;
        }
        Ok(())
    }

    fn batch(&mut self, sql: &str) -> Result<(), SqlError> {
        self.connection.execute_batch(sql).map_err(|cause| error(sql, cause))
    }
}

/// Whether the database itself is broken, rather than the disk full or the system out of something.
pub fn is_broken(error: &SqlError) -> bool {
    use rusqlite::ErrorCode::{ConstraintViolation, DatabaseCorrupt, NotADatabase};
    let cause = error.cause.downcast_ref::<rusqlite::Error>();
    matches!(
        cause.and_then(rusqlite::Error::sqlite_error_code),
        Some(ConstraintViolation | DatabaseCorrupt | NotADatabase)
    )
}

fn bind(statement: &mut rusqlite::Statement<'_>, params: &[Param<'_>]) -> rusqlite::Result<()> {
    for (index, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, param)?;
    }
    Ok(())
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn int(&self, column: usize) -> Result<i64, SqlError> {
        self.get(column).map_err(|cause| error("read a number", cause))
    }

    fn int_or_null(&self, column: usize) -> Result<Option<i64>, SqlError> {
        self.get(column).map_err(|cause| error("read a number", cause))
    }

    fn text_or_null(&self, column: usize) -> Result<Option<&str>, SqlError> {
        let value = self.get_ref(column).map_err(|cause| error("read a text", cause))?;
        value.as_str_or_null().map_err(|cause| error("read a text", cause))
    }

    fn blob(&self, column: usize) -> Result<&[u8], SqlError> {
        let value = self.get_ref(column).map_err(|cause| error("read bytes", cause))?;
        value.as_blob().map_err(|cause| error("read bytes", cause))
    }

    fn blob_or_null(&self, column: usize) -> Result<Option<&[u8]>, SqlError> {
        let value = self.get_ref(column).map_err(|cause| error("read bytes", cause))?;
        value.as_blob_or_null().map_err(|cause| error("read bytes", cause))
    }

    fn hash_into(&self, hasher: &mut blake3::Hasher) -> Result<(), SqlError> {
        for column in 0..self.as_ref().column_count() {
            let value = self.get_ref(column).map_err(|cause| error("read a column", cause))?;
            let (kind, bytes): (u8, &[u8]) = match &value {
                ValueRef::Null => (0, &[]),
                ValueRef::Integer(number) => (1, &number.to_be_bytes()),
                ValueRef::Real(number) => (2, &number.to_be_bytes()),
                ValueRef::Text(text) => (3, text),
                ValueRef::Blob(bytes) => (4, bytes),
            };
            hasher.update(&[kind]).update(&bytes.len().to_be_bytes()).update(bytes);
        }
        Ok(())
    }
}

fn error(doing: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SqlError {
    SqlError { doing: doing.to_owned(), cause: cause.into() }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_prepared_once_for_all_values() {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open_writer(&directory.path().join("index.sqlite")).unwrap();
        let sql = &sqlite.connection;
        sql.execute_batch("CREATE TABLE t (a INTEGER, b INTEGER); CREATE INDEX i ON t (a, b);")
            .unwrap();
        let mut select = sql.prepare("SELECT b FROM t WHERE a > ?1 ORDER BY a LIMIT ?2").unwrap();
        for value in 0..8 {
            let rows: Vec<i64> = select
                .query_map([value, 10], |row| row.get(0))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert!(rows.is_empty());
        }
        assert_eq!(select.get_status(StatementStatus::RePrepare), 0);
    }
}
