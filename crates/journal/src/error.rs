use std::io;
use std::sync::OnceLock;

use mail_types::RecordSeq;

use crate::{Head, Position};

/// Why a journal could not be opened. No group in it was touched.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An option is beyond what the format allows.
    #[error("journal option {name} = {value} is outside {min} to {max}")]
    Option {
        /// Name of the field in `Options`.
        name: &'static str,
        /// What it was.
        value: u64,
        /// Smallest value that works.
        min: u64,
        /// Largest value that works.
        max: u64,
    },
    /// Another process has the journal open.
    #[error("the journal is in use by another process")]
    InUse,
    /// The journal follows another server's ([`crate::Copy`]): nobody else may write here.
    #[error(
        "this is a standby, which follows another server; `restante standby promote` makes it a \
         server of its own, `restante standby` has it go on following"
    )]
    Standby,
    /// The journal follows none, and is to.
    #[error("the journal here is a server's own; a standby begins in an empty directory")]
    OwnJournal,
    /// Written by a later release.
    #[error("segment {segment} has format version {version}; this release reads up to {known}")]
    Version {
        /// The segment.
        segment: u32,
        /// What it says.
        version: u16,
        /// What is known here.
        known: u16,
    },
    /// The head that the caller saw durable is not in the journal: the journal lost its end, was
    /// put back from an older copy, or belongs to another index. Open from the first frame
    /// (`from: None`) to see what is there.
    #[error("the journal does not hold the head it is known to have had: {head}")]
    HeadMissing {
        /// The head asked for.
        head: Head,
    },
    /// The disk failed while opening.
    #[error("cannot {doing}")]
    Io {
        /// What was being done, and to what.
        doing: String,
        /// The cause.
        source: io::Error,
    },
}

/// Why a frame was not added to the group. The group is as before.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A sync failed earlier.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The frame does not fit into this group any more: sync, then append it to the next.
    #[error("the group is full: sync it first")]
    GroupFull,
    /// The payload is larger than a record may be.
    #[error("a record of {bytes} bytes is larger than {max} bytes")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Record numbers have no gaps.
    #[error("record {seq} does not follow record {last}")]
    OutOfOrder {
        /// The number given.
        seq: RecordSeq,
        /// The last one before it.
        last: RecordSeq,
    },
    /// The next segment could not be made; works again when there is space.
    #[error("cannot make journal segment {segment}")]
    Segment {
        /// Its number.
        segment: u32,
        /// The cause.
        source: io::Error,
    },
}

/// Why a group did not become durable.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// A sync failed, now or earlier. Whether the group is durable is not known: nothing of it
    /// may be acknowledged, and it may be there when the journal is opened again.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The segment that the group would begin could not be made; the next one may work.
    #[error("cannot make journal segment {segment}")]
    Segment {
        /// Its number.
        segment: u32,
        /// The cause.
        source: io::Error,
    },
    /// The group could not be written and is abandoned; the next one may work.
    #[error("cannot write {bytes} bytes to journal segment {segment}")]
    Write {
        /// The segment.
        segment: u32,
        /// Bytes of the group.
        bytes: usize,
        /// The cause.
        source: io::Error,
    },
}

/// A sync failed: nothing more is written or acknowledged until the journal is opened anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal takes nothing more: {0}")]
pub struct Poisoned(String);

/// The poison, shared by the writer and the arrivals.
#[derive(Debug, Default)]
pub(crate) struct Poison(OnceLock<Poisoned>);

impl Poison {
    pub fn check(&self) -> Result<(), Poisoned> {
        self.0.get().cloned().map_or(Ok(()), Err)
    }

    /// Sets it; the first cause stays.
    pub fn set(&self, doing: &str, cause: &io::Error) -> Poisoned {
        self.0.get_or_init(|| Poisoned(format!("{doing} failed: {cause}"))).clone()
    }
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk failed, or the segment is not there.
    #[error("cannot read the journal at {at}")]
    Io {
        /// Where.
        at: Position,
        /// The cause.
        source: io::Error,
    },
    /// The bytes there are no frame of the kind asked for, or not the ones that were written.
    #[error("the journal is damaged at {at}: {what}")]
    Damaged {
        /// Where.
        at: Position,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The body was purged on purpose.
    #[error("the body at {at} was purged")]
    Purged {
        /// Where it was.
        at: Position,
    },
    /// The file of a large body is not there or not as it was written.
    #[error("the body file {name} of the frame at {at} {what}")]
    BodyFile {
        /// Where its frame is.
        at: Position,
        /// Its path.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Why a body could not be purged.
#[derive(Debug, thiserror::Error)]
pub enum PunchError {
    /// A sync failed, now or earlier.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// There is no body at that place.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The disk failed; the purge may be done in part and can be asked for again.
    #[error("cannot purge the body at {at}")]
    Io {
        /// Where it is.
        at: Position,
        /// The cause.
        source: io::Error,
    },
}

/// Why damage could not be mended.
#[derive(Debug, thiserror::Error)]
pub enum MendError {
    /// There is no copy of it that is proved to be what was there.
    #[error("{at}: {why}")]
    NoCopy {
        /// Where.
        at: Position,
        /// In plain words.
        why: &'static str,
    },
    /// The disk failed, here or of the copy.
    #[error("cannot mend what is at {at}")]
    Io {
        /// Where.
        at: Position,
        /// The cause.
        source: io::Error,
    },
    /// This disk does not take it.
    #[error("it cannot be written: {0}")]
    Disk(String),
}
