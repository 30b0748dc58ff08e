//! One SQL for two engines: statements use `$n`, and only what bundled SQLite and PostgreSQL 15
//! share. What really differs is a template in [`crate::schema`].

/// A value that goes into a statement.
#[derive(Clone, Copy, Debug)]
pub enum Param<'a> {
    /// NULL
    Null,
    /// BIGINT
    Int(i64),
    /// TEXT
    Text(&'a str),
    /// BYTEA or BLOB
    Blob(&'a [u8]),
}

impl From<i64> for Param<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Param<'_> {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

/// Ids and counts: far below 2^63, so the bits are kept as they are.
impl From<u64> for Param<'_> {
    fn from(number: u64) -> Self {
        Self::Int(number.cast_signed())
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, T: Into<Self>> From<Option<T>> for Param<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Why the index could not do something.
#[derive(Debug, thiserror::Error)]
#[error("index: {doing}: {cause}")]
pub struct SqlError {
    /// The statement, or what was being done.
    pub doing: String,
    /// The engine's words.
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

/// A row of an answer; columns count from 0.
pub trait Row {
    /// A BIGINT.
    ///
    /// # Errors
    /// Where the column is none.
    fn int(&self, column: usize) -> Result<i64, SqlError>;

    /// A BIGINT or NULL.
    ///
    /// # Errors
    /// Where the column is neither.
    fn int_or_null(&self, column: usize) -> Result<Option<i64>, SqlError>;

    /// A TEXT or NULL.
    ///
    /// # Errors
    /// Where the column is neither.
    fn text_or_null(&self, column: usize) -> Result<Option<&str>, SqlError>;

    /// A TEXT.
    ///
    /// # Errors
    /// Where the column is none.
    fn text(&self, column: usize) -> Result<&str, SqlError> {
        self.text_or_null(column)?.ok_or_else(|| SqlError {
            doing: format!("read column {column}"),
            cause: "is NULL".into(),
        })
    }

    /// A BLOB.
    ///
    /// # Errors
    /// Where the column is none.
    fn blob(&self, column: usize) -> Result<&[u8], SqlError>;

    /// A BLOB or NULL.
    ///
    /// # Errors
    /// Where the column is neither.
    fn blob_or_null(&self, column: usize) -> Result<Option<&[u8]>, SqlError>;

    /// Adds every column with its type and length to a hash.
    ///
    /// # Errors
    /// The engine's.
    fn hash_into(&self, hasher: &mut blake3::Hasher) -> Result<(), SqlError>;

    /// An id or count: a BIGINT that was made from a `u64`.
    ///
    /// # Errors
    /// Where the column is no BIGINT.
    fn id(&self, column: usize) -> Result<u64, SqlError> {
        Ok(self.int(column)?.cast_unsigned())
    }
}

/// Called with each row of an answer.
pub type OnRow<'a> = &'a mut dyn FnMut(&dyn Row) -> Result<(), SqlError>;

/// A connection to an engine.
pub trait Executor {
    /// Runs one statement; returns how many rows it changed.
    ///
    /// # Errors
    /// The engine's.
    fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<usize, SqlError>;

    /// Runs one query and hands each row to `on_row`.
    ///
    /// # Errors
    /// The engine's, or `on_row`'s.
    fn query(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        on_row: OnRow<'_>,
    ) -> Result<(), SqlError>;

    /// Runs statements without parameters.
    ///
    /// # Errors
    /// The engine's.
    fn batch(&mut self, sql: &str) -> Result<(), SqlError>;

    /// The single number that a query answers, if it has a row that is not NULL.
    ///
    /// # Errors
    /// The engine's.
    fn number(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<Option<i64>, SqlError> {
        let mut found = None;
        self.query(sql, params, &mut |row| {
            found = row.int_or_null(0)?;
            Ok(())
        })?;
        Ok(found)
    }
}
