//! Backups of an installation in a directory: copies of the journal's segments up to a durable head,
//! of the files of large bodies, and of the few other files that cannot be made again.
//!
//! - [`Backup::take`]: while the server writes. A segment that is full is copied once (and again when
//!   mail in it was purged: a purge reaches the backup with the next one), the one that grows each
//!   time, body files once. Everything is in place and synced before the manifest names it; what was
//!   there before stays whole until then, whenever the power goes.
//! - [`Manifest`]: which files, how long, with which BLAKE3; and a point for each backup taken: an
//!   older point is the beginning of the same segments.
//! - [`Backup::check`]: every byte against the manifest. [`BackupDisk`] lets the journal's reader,
//!   and so `verify`, read the backup as it lies.
//! - [`Backup::restore`]: into a new directory, as of any point.
//!
//! It reads no record and knows nothing of mail; it never changes what it copies from.

mod check;
mod disk;
mod error;
mod files;
mod manifest;
mod restore;
mod take;

pub use check::Checked;
pub use disk::BackupDisk;
pub use error::BackupError;
pub use manifest::{Manifest, Point, Segment, SmallFile};
pub use restore::Restored;
pub use take::{Source, Taken};

use std::path::{Path, PathBuf};

/// How far a long work is: bytes done, of so many.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// A directory that holds a backup, or is to.
#[derive(Clone, Debug)]
pub struct Backup {
    dir: PathBuf,
}

impl Backup {
    /// Names the directory; looks at nothing.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// What is in it.
    ///
    /// # Errors
    /// Where there is none, or it cannot be read.
    pub fn manifest(&self) -> Result<Manifest, BackupError> {
        manifest::read(&self.dir)?.ok_or_else(|| BackupError::None(self.dir.clone()))
    }

    /// The journal in it, to be read.
    ///
    /// # Errors
    /// As [`Backup::manifest`].
    pub fn disk(&self) -> Result<BackupDisk, BackupError> {
        Ok(BackupDisk::new(self.dir.clone(), &self.manifest()?))
    }
}
