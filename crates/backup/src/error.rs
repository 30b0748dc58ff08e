use std::io;
use std::path::{Path, PathBuf};

use crate::age::KeyError;

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
    #[error("{0} holds no backup")]
    None(String),
    /// Its manifest is not what was written.
    #[error("the manifest of the backup cannot be read: {0}")]
    Manifest(String),
    /// It is of another installation.
    #[error("{place} holds a backup of another installation ({theirs}); choose another place")]
    Other {
        /// Where.
        place: String,
        /// Whose.
        theirs: String,
    },
    /// The backup has more than the journal.
    #[error(
        "the backup has {backup} records and the journal {journal}: the journal was cut back or put \
         back; choose another place, and keep this one"
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
    /// It is encrypted, and nothing to open it was given.
    #[error("the backup is encrypted to {0}; name the file of its identity with --identity FILE")]
    Encrypted(String),
    /// What was encrypted would not be any more.
    #[error(
        "the backup there is encrypted to {0}; name them with --encrypt-to, or choose another place"
    )]
    Unsealed(String),
    /// It is encrypted to others.
    #[error("the identity is of {given}, but the backup is encrypted to {wanted}")]
    WrongIdentity {
        /// Whose identity it is.
        given: String,
        /// Who can open it.
        wanted: String,
    },
    /// A key is none, or none could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A failed operation on a path.
pub fn io<'a>(doing: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> BackupError + 'a {
    move |source| BackupError::Io { doing: format!("{doing} {}", path.display()), source }
}

/// A failed operation on a file of a place.
pub fn doing<'a>(doing: &'a str, name: &'a str) -> impl FnOnce(io::Error) -> BackupError + 'a {
    move |source| BackupError::Io { doing: format!("{doing} {name}"), source }
}
