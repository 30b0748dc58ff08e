use std::io;
use std::path::{Path, PathBuf};

/// Why a backup could not be taken, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file operation failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// There is no backup.
    #[error("{} holds no backup", .0.display())]
    None(PathBuf),
    /// Its manifest is not what was written.
    #[error("the manifest of the backup cannot be read: {0}")]
    Manifest(String),
    /// It is of another installation.
    #[error("{} holds a backup of another installation ({theirs}); choose another directory", dir.display())]
    Other {
        /// Where.
        dir: PathBuf,
        /// Whose.
        theirs: String,
    },
    /// The backup has more than the journal.
    #[error(
        "the backup has {backup} records and the journal {journal}: the journal was cut back or put \
         back; choose another directory, and keep this one"
    )]
    Ahead {
        /// Records of the backup.
        backup: u64,
        /// Records of the journal.
        journal: u64,
    },
    /// Another backup is being taken there.
    #[error("another backup is being taken there")]
    InUse,
    /// A file of it is damaged.
    #[error("{0} in the backup is not what was written")]
    Damaged(String),
    /// A copy is not what was copied.
    #[error(
        "{0} was not copied right: the disk of the backup returns other bytes than were written"
    )]
    Copy(String),
    /// There is no such point.
    #[error("no backup was taken at or before that; the oldest is of {0} records")]
    NoPoint(u64),
    /// What is to be made is there.
    #[error("{} is not empty; nothing was changed", .0.display())]
    NotEmpty(PathBuf),
}

/// A failed file operation on a path.
pub fn io<'a>(doing: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> BackupError + 'a {
    move |source| BackupError::Io { doing: format!("{doing} {}", path.display()), source }
}
