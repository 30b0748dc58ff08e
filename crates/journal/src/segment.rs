//! Segment files: their names, and making a new one.

use std::io;
use std::sync::Arc;

use crate::error::{AppendError, Poison, Poisoned, SyncError};
use crate::frame::segment_header;
use crate::{Disk, DiskFile};

/// Directory of the segments.
pub const JOURNAL: &str = "journal";

pub fn segment_path(number: u32) -> String {
    format!("{JOURNAL}/{number:08}.seg")
}

/// Numbers of the segments that exist, in order.
pub fn segment_numbers<D: Disk>(disk: &D) -> io::Result<Vec<u32>> {
    let mut numbers: Vec<u32> = disk
        .list(JOURNAL)?
        .iter()
        .filter_map(|name| {
            let number = name.strip_suffix(".seg")?.parse().ok()?;
            (number > 0 && segment_path(number).ends_with(name.as_str())).then_some(number)
        })
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The segment that is written to.
pub struct Segment<F> {
    pub number: u32,
    pub file: Arc<F>,
    /// Bytes reserved from the beginning of the file.
    pub allocated: u64,
    /// Up to here there may be bytes of a group that was written in part and abandoned.
    pub stale_until: u64,
}

/// Why a segment could not be made.
pub enum CreateError {
    /// Nothing is changed; may work later.
    Io {
        segment: u32,
        source: io::Error,
    },
    Poisoned(Poisoned),
}

impl From<CreateError> for AppendError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Io { segment, source } => Self::Segment { segment, source },
            CreateError::Poisoned(poisoned) => Self::Poisoned(poisoned),
        }
    }
}

impl From<CreateError> for SyncError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Io { segment, source } => Self::Segment { segment, source },
            CreateError::Poisoned(poisoned) => Self::Poisoned(poisoned),
        }
    }
}

/// Makes segment `number`, durable with its name and reserved space before any group goes there:
/// only then is it enough to sync the file's data at each commit.
pub fn create_segment<D: Disk>(
    disk: &D,
    number: u32,
    bytes: u64,
    poison: &Poison,
) -> Result<Segment<D::File>, CreateError> {
    let path = segment_path(number);
    let file = match disk.create(&path) {
        // Left by an attempt that ran out of space: no head has ever been in it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(&path).and_then(|()| disk.create(&path))
        }
        created => created,
    }
    .map_err(|source| CreateError::Io { segment: number, source })?;
    let filled = file.allocate(0, bytes).and_then(|()| file.write_at(0, &segment_header(number)));
    if let Err(cause) = filled {
        // Gives the space back. Where that fails too, the next attempt or `open` removes the file;
        // the kind of the first cause is the one to act on.
        let source = match disk.remove(&path) {
            Ok(()) => cause,
            Err(second) => io::Error::new(cause.kind(), format!("{cause}; removing it: {second}")),
        };
        return Err(CreateError::Io { segment: number, source });
    }
    file.sync_data()
        .map_err(|cause| CreateError::Poisoned(poison.set("syncing a new segment", &cause)))?;
    disk.sync_dir(JOURNAL).map_err(|cause| {
        CreateError::Poisoned(poison.set("syncing the journal directory", &cause))
    })?;
    Ok(Segment { number, file: Arc::new(file), allocated: bytes, stale_until: 0 })
}
