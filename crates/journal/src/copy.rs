//! Keeping the same journal as another server, byte for byte: whole groups come in order, each is
//! checked, stands at the same place and is synced before anybody is told that it is there.
//!
//! A directory that follows has the file `journal/standby`; [`crate::Journal::open`] refuses it, so
//! that nothing is ever written here that the other one does not have. [`Copy::release`] takes the
//! file away.
//!
//! Many groups may be written before one sync, while there is much to catch up with. A power cut
//! may then leave a later one and not an earlier one, which in a journal of one's own would be
//! damage. So the head from which such a stretch began is durable in `journal/batch` first, and
//! the next opening believes behind it only what continues it without a gap.

use std::io;
use std::sync::Arc;

use crate::body::{BODIES, BodyFile, arriving_path};
use crate::error::{OpenError, Poisoned, PunchError};
use crate::group::{self, GroupError};
use crate::journal::Options;
use crate::segment::{CreateError, JOURNAL, create_segment};
use crate::window::Window;
use crate::{Disk, DiskFile, Head, Journal, Opened, Position, Reader};

/// Says that this journal follows another one.
pub(crate) const STANDBY: &str = "standby";
const STANDBY_PATH: &str = "journal/standby";
const BATCH: &str = "batch";
const BATCH_PATH: &str = "journal/batch";
/// A head, and the first bytes of its BLAKE3.
const BATCH_BYTES: usize = 68;

/// Why something was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A sync failed earlier.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// It is not what continues this journal, or is damaged. Nothing of it was written.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The group names a body file that has not come.
    #[error("the body file {0} has not come")]
    FileMissing(String),
    /// A body file is not what its name says. It was removed.
    #[error("the body file {0} came with other bytes than its name says")]
    File(String),
    /// The disk failed. What is durable is as it was.
    #[error("cannot {doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// The cause.
        source: io::Error,
    },
}

/// The writer of a journal that follows another one.
pub struct Copy<D: Disk> {
    journal: Journal<D>,
    /// Behind the last group that is written.
    ahead: Head,
    /// Groups written since the last sync.
    pending: u32,
    /// `journal/batch` is there.
    batch: Option<Arc<D::File>>,
}

impl<D: Disk> Copy<D> {
    /// Opens a journal that follows another one, or begins one in an empty directory. `from` as
    /// for [`Journal::open`]. What was not durable is cut; it comes again.
    ///
    /// # Errors
    /// [`OpenError`]; `OwnJournal` where there is a journal that follows none.
    pub fn open(
        disk: D,
        options: Options,
        from: Option<Head>,
    ) -> Result<(Self, Opened), OpenError> {
        let (journal, opened) = crate::open::open_copy(disk, options, from)?;
        let ahead = journal.head();
        let mut copy = Self { journal, ahead, pending: 0, batch: None };
        // Opening has made durable what it kept.
        copy.settle().map_err(|error| match error {
            CopyError::Io { doing, source } => OpenError::Io { doing, source },
            other => OpenError::Io { doing: "end a batch".into(), source: io::Error::other(other) },
        })?;
        Ok((copy, opened))
    }

    /// The durable end.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.journal.head()
    }

    /// Groups that wait for the next sync.
    #[must_use]
    pub const fn pending(&self) -> u32 {
        self.pending
    }

    /// For reading what is durable.
    #[must_use]
    pub fn reader(&self) -> Reader<D> {
        self.journal.reader()
    }

    /// Writes the group that comes next. It is durable after the next [`Copy::sync`].
    ///
    /// # Errors
    /// [`CopyError`]; nothing of it is there then.
    pub fn add(&mut self, start: Position, bytes: &[u8]) -> Result<(), CopyError> {
        self.journal.poison.check()?;
        let checked = group::check(&self.ahead, start, bytes)?;
        for (file, size) in &checked.files {
            self.check_file(*file, *size)?;
        }
        if start.segment != self.journal.segment.number {
            // One file is synced at a time.
            self.sync()?;
            self.begin_segment(start.segment)?;
        } else if self.pending == 1 {
            self.begin_batch()?;
        }
        self.write(start, bytes)?;
        self.ahead = checked.head;
        self.pending += 1;
        Ok(())
    }

    fn check_file(&self, file: BodyFile, size: u64) -> Result<(), CopyError> {
        let found = self.journal.disk.open(&file.path()).and_then(|file| file.len());
        match found {
            Ok(bytes) if bytes == size => Ok(()),
            Ok(_) => Err(CopyError::FileMissing(file.path())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(CopyError::FileMissing(file.path()))
            }
            Err(source) => Err(CopyError::Io { doing: format!("open {}", file.path()), source }),
        }
    }

    fn begin_segment(&mut self, number: u32) -> Result<(), CopyError> {
        let journal = &mut self.journal;
        let bytes = journal.options.segment_bytes;
        journal.segment =
            create_segment(&*journal.disk, number, bytes, &journal.poison).map_err(|error| {
                match error {
                    CreateError::Io { segment, source } => {
                        CopyError::Io { doing: format!("make journal segment {segment}"), source }
                    }
                    CreateError::Poisoned(poisoned) => CopyError::Poisoned(poisoned),
                }
            })?;
        Ok(())
    }

    fn write(&mut self, start: Position, bytes: &[u8]) -> Result<(), CopyError> {
        let segment = &mut self.journal.segment;
        let doing = |source| CopyError::Io { doing: format!("write a group at {start}"), source };
        let end = start.offset + bytes.len() as u64;
        if end > segment.allocated {
            let grow = end - segment.allocated;
            segment.file.allocate(segment.allocated, grow).map_err(doing)?;
            segment.allocated += grow;
        }
        segment.file.write_at(start.offset, bytes).map_err(doing)
    }

    /// Before a second group is written behind one that is not durable.
    fn begin_batch(&mut self) -> Result<(), CopyError> {
        let io = |doing: &str| {
            let doing = doing.to_owned();
            move |source| CopyError::Io { doing, source }
        };
        let disk = &self.journal.disk;
        let (file, made) = match &self.batch {
            Some(file) => (Arc::clone(file), false),
            None => (Arc::new(disk.create(BATCH_PATH).map_err(io("make journal/batch"))?), true),
        };
        file.write_at(0, &batch_bytes(&self.journal.head)).map_err(io("write journal/batch"))?;
        let synced =
            file.sync_data().and_then(|()| if made { disk.sync_dir(JOURNAL) } else { Ok(()) });
        self.batch = Some(file);
        synced.map_err(|cause| self.journal.poison.set("syncing journal/batch", &cause).into())
    }

    /// Makes everything added durable.
    ///
    /// # Errors
    /// [`CopyError`]; after a failed sync nothing is taken any more.
    pub fn sync(&mut self) -> Result<Head, CopyError> {
        self.journal.poison.check()?;
        if self.pending > 0 {
            if let Err(cause) = self.journal.segment.file.sync_data() {
                return Err(self.journal.poison.set("syncing the journal", &cause).into());
            }
            self.journal.head = self.ahead;
            self.journal.reader.set_head(self.ahead);
            self.pending = 0;
        }
        Ok(self.journal.head)
    }

    /// When nothing more comes for now: syncs, and ends a stretch of many groups per sync, so that
    /// later damage to it is told as such.
    ///
    /// # Errors
    /// As [`Copy::sync`].
    pub fn settle(&mut self) -> Result<Head, CopyError> {
        let head = self.sync()?;
        let disk = &self.journal.disk;
        let io = |source| CopyError::Io { doing: "remove journal/batch".to_owned(), source };
        let there = self.batch.take().is_some()
            || disk.list(JOURNAL).map_err(io)?.iter().any(|name| name == BATCH);
        if there {
            disk.remove(BATCH_PATH).and_then(|()| disk.sync_dir(JOURNAL)).map_err(io)?;
        }
        Ok(head)
    }

    /// Begins the file of a large body. It is there once [`BodyCopy::finish`] returns `Ok`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn begin_body(&self, file: BodyFile, size: u64) -> Result<BodyCopy<D>, CopyError> {
        let path = arriving_path(file.serial);
        let disk = Arc::clone(&self.journal.disk);
        let made = match disk.create(&path) {
            // Left by a link that was cut.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                disk.remove(&path).and_then(|()| disk.create(&path))
            }
            made => made,
        };
        let opened =
            made.map_err(|source| CopyError::Io { doing: format!("make {path}"), source })?;
        Ok(BodyCopy { disk, opened, file, size, written: 0, hasher: blake3::Hasher::new() })
    }

    /// Purges bodies, as [`Journal::punch_all`] does.
    ///
    /// # Errors
    /// [`PunchError`].
    pub fn punch_all(&mut self, bodies: &[Position]) -> Result<(), PunchError> {
        self.journal.punch_all(bodies)
    }

    /// Makes it a journal of its own: from now on [`Journal::open`] opens it.
    ///
    /// # Errors
    /// [`CopyError`]; it is then as it was, or released.
    pub fn release(mut self) -> Result<Head, CopyError> {
        let head = self.settle()?;
        let disk = &self.journal.disk;
        let removed = disk.remove(STANDBY_PATH).and_then(|()| disk.sync_dir(JOURNAL));
        removed
            .map_err(|source| CopyError::Io { doing: format!("remove {STANDBY_PATH}"), source })?;
        Ok(head)
    }
}

/// The file of a large body on its way in. What is not finished is removed at the next opening.
pub struct BodyCopy<D: Disk> {
    disk: Arc<D>,
    opened: D::File,
    file: BodyFile,
    size: u64,
    written: u64,
    hasher: blake3::Hasher,
}

impl<D: Disk> BodyCopy<D> {
    /// Adds bytes.
    ///
    /// # Errors
    /// Where they are more than was said, or the disk fails.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        if self.written + bytes.len() as u64 > self.size {
            return Err(CopyError::File(self.file.path()));
        }
        self.opened.write_at(self.written, bytes).map_err(|source| CopyError::Io {
            doing: format!("write {}", self.file.path()),
            source,
        })?;
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Checks it against its name and makes it durable: content first, then its name.
    ///
    /// # Errors
    /// [`CopyError`].
    pub fn finish(self) -> Result<(), CopyError> {
        let path = self.file.path();
        let arriving = arriving_path(self.file.serial);
        let right =
            self.written == self.size && *self.hasher.finalize().as_bytes() == self.file.hash.0;
        let io = |source| CopyError::Io { doing: format!("keep {path}"), source };
        if !right {
            self.disk.remove(&arriving).map_err(io)?;
            return Err(CopyError::File(path));
        }
        self.opened.sync_data().map_err(io)?;
        self.disk.rename(&arriving, &path).map_err(io)?;
        self.disk.sync_dir(BODIES).map_err(io)
    }
}

fn batch_bytes(head: &Head) -> [u8; BATCH_BYTES] {
    let mut out = [0; BATCH_BYTES];
    let bytes = head.to_bytes();
    out[..bytes.len()].copy_from_slice(&bytes);
    out[bytes.len()..].copy_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
    out
}

/// The head from which groups were written many to a sync when this journal was last written to.
pub(crate) fn batch<D: Disk>(disk: &D) -> io::Result<Option<Head>> {
    if !disk.list(JOURNAL)?.iter().any(|name| name == BATCH) {
        return Ok(None);
    }
    let mut bytes = [0; BATCH_BYTES];
    let read = disk.open(BATCH_PATH)?.read_at(0, &mut bytes)?;
    let head = Head::from_bytes(&bytes[..BATCH_BYTES - 8]);
    // A file that was being made: nothing was written under it.
    Ok(head.filter(|head| read == BATCH_BYTES && batch_bytes(head) == bytes))
}

/// Whether this directory follows another journal.
pub(crate) fn follows<D: Disk>(disk: &D) -> io::Result<bool> {
    Ok(disk.list(JOURNAL)?.iter().any(|name| name == STANDBY))
}

/// Marks the directory as one that follows, before anything is written there.
pub(crate) fn mark<D: Disk>(disk: &D) -> io::Result<()> {
    let file = disk.create(STANDBY_PATH)?;
    file.write_at(0, b"it follows another journal\n")?;
    file.sync_data()?;
    disk.sync_dir(JOURNAL)
}

/// The end of what continues `from` without a gap.
pub(crate) fn contiguous<D: Disk>(reader: &Reader<D>, from: Head) -> Result<Head, GroupError> {
    let last = reader.last_segment().map_err(|source| GroupError::Io { at: from.end, source })?;
    let mut head = from;
    // Ends: each turn is a group further.
    loop {
        let next = Position::first_of(head.end.segment + 1);
        let mut found = None;
        for at in [head.end, next].into_iter().filter(|at| at.segment <= last) {
            found = continuing(reader, &head, at)?;
            if found.is_some() {
                break;
            }
        }
        match found {
            Some(further) => head = further,
            None => return Ok(head),
        }
    }
}

/// The head behind the group that begins here and continues `after`, if one does.
fn continuing<D: Disk>(
    reader: &Reader<D>,
    after: &Head,
    at: Position,
) -> Result<Option<Head>, GroupError> {
    let io = |source| GroupError::Io { at, source };
    let file = match reader.segment(at.segment) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(io)?,
    };
    let bytes = match group::group_bytes(&mut Window::new(file).map_err(io)?, at) {
        // What cannot be read now may be read another time: nothing is cut on such ground.
        Err(error @ GroupError::Io { .. }) => return Err(error),
        Err(_) => return Ok(None),
        Ok(bytes) => bytes,
    };
    Ok(group::check(after, at, &bytes).ok().map(|checked| checked.head))
}
