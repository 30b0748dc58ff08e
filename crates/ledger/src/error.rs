use std::io;

use transparency::{CheckpointError, NoteError};

/// Why there is no head, or no proof.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file operation failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The key is not what was written.
    #[error("the key of the signed heads in {0} cannot be read")]
    Key(String),
    /// The journal cannot be read.
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] journal::ReadError),
    /// Records are missing between others.
    #[error("record {0} is not where it should be")]
    Gap(u64),
    /// The journal ends before what was signed.
    #[error(
        "the journal ends at record {records}, but a head over {signed} records was signed: it was cut back"
    )]
    CutBack {
        /// Records that there are.
        records: u64,
        /// Records of the head.
        signed: u64,
    },
    /// The journal is another one than was signed.
    #[error(
        "the first {signed} records are not those that were signed: the journal is another one, or was changed"
    )]
    Fork {
        /// Records of the head.
        signed: u64,
    },
    /// The kept tree is not what was written.
    #[error("the kept tree is damaged at hash {0}")]
    Tree(u64),
    /// Something signed is no head of this log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Nothing was signed yet.
    #[error("no head is signed yet")]
    None,
    /// A record that the latest head does not cover.
    #[error("record {0} is in no signed head yet")]
    NotYet(u64),
}

impl From<NoteError> for LedgerError {
    fn from(error: NoteError) -> Self {
        Self::Checkpoint(error.into())
    }
}

/// A failed file operation, with what was being done.
pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> LedgerError {
    let doing = doing.into();
    move |source| LedgerError::Io { doing, source }
}
