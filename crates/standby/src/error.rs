use std::io;

use journal::{CopyError, GroupError, OpenError, PunchError};
use ledger::LedgerError;
use store::StoreError;

/// Why nothing is followed. What was kept stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The server cannot be reached, or the link was cut: comes again by itself.
    #[error("{doing}: {source}")]
    Link {
        /// What was being done.
        doing: String,
        /// The cause.
        source: io::Error,
    },
    /// The server says no, or went another way.
    #[error("{what}\nWhat to do: {mend}")]
    Refused {
        /// What it says.
        what: String,
        /// What to do.
        mend: String,
    },
    /// What came does not continue what is here, or is damaged.
    #[error(
        "what the server sends is refused: {0}\nWhat to do: `restante verify` there and here; \
         if the server is damaged, promote this standby or heal the server from a backup"
    )]
    Group(#[source] CopyError),
    /// The server's signed heads are not of its journal.
    #[error(
        "the server's journal is not the one whose heads it signed: {0}\nWhat to do: `restante \
         verify` there and here; nothing of it was taken over an earlier record"
    )]
    Heads(#[source] LedgerError),
    /// What is kept here is damaged.
    #[error(
        "the copy that is kept here is damaged: {0}\nWhat to do: follow anew in an empty directory; \
         keep this one until that has caught up"
    )]
    Own(String),
    /// The journal here cannot be opened.
    #[error("the journal here cannot be opened: {0}")]
    Open(#[from] OpenError),
    /// The disk here failed.
    #[error("{0}")]
    Copy(#[source] CopyError),
    /// A purge could not be followed.
    #[error(transparent)]
    Punch(#[from] PunchError),
    /// The index here failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tree of heads here failed.
    #[error(transparent)]
    Ledger(LedgerError),
    /// A file here cannot be written or read.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// The cause.
        source: io::Error,
    },
    /// A bug of ours.
    #[error("following ended in a panic (a bug)")]
    Panicked,
}

impl FollowError {
    /// Whether it is over by itself sooner or later.
    #[must_use]
    pub const fn is_of_the_link(&self) -> bool {
        matches!(self, Self::Link { .. })
    }
}

impl From<CopyError> for FollowError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Group(_) | CopyError::FileMissing(_) | CopyError::File(_) => {
                Self::Group(error)
            }
            CopyError::Poisoned(_) | CopyError::Io { .. } => Self::Copy(error),
        }
    }
}

impl From<LedgerError> for FollowError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Fork { .. } | LedgerError::CutBack { .. } => Self::Heads(error),
            other => Self::Ledger(other),
        }
    }
}

/// Why a standby is not served.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Files of invitations or the certificate.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// The cause.
        source: io::Error,
    },
    /// The certificate of the listener.
    #[error("the certificate for standbys: {0}")]
    Tls(#[from] net::TlsError),
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] net::CertificateError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] net::RandomError),
    /// A name that is taken, or none.
    #[error("{0}")]
    Name(String),
    /// The link was cut.
    #[error("the link was cut: {0}")]
    Link(#[source] io::Error),
    /// The standby said so, or is not to be served.
    #[error("{0}")]
    Refused(String),
    /// The journal here.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The store here.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bug of ours.
    #[error("serving a standby ended in a panic (a bug)")]
    Panicked,
}

/// A failed file operation, with what was being done.
pub(crate) fn hub_io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> HubError {
    let doing = doing.into();
    move |source| HubError::Io { doing, source }
}

/// The same at the standby.
pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> FollowError {
    let doing = doing.into();
    move |source| FollowError::Io { doing, source }
}

/// The same of the link.
pub(crate) fn cut(doing: impl Into<String>) -> impl FnOnce(io::Error) -> FollowError {
    let doing = doing.into();
    move |source| FollowError::Link { doing, source }
}
