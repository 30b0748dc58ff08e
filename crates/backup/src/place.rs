//! Where backups lie: a directory, or whatever else keeps files under names.

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use journal::DiskFile;

use crate::files;

/// A place for backups. Names are paths with `/`, of at most two parts. All methods block.
///
/// Errors are of `NotFound` where there is no such file; their words are for people.
pub trait Place: fmt::Debug + Send + Sync {
    /// What people call it: the path, or the URL.
    fn name(&self) -> String;

    /// Reads at `offset` until `buffer` is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// What the place says.
    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Bytes of a file.
    ///
    /// # Errors
    /// What the place says.
    fn size(&self, name: &str) -> io::Result<u64>;

    /// Puts so many bytes under a name, over what was there: whole or not at all, whenever the power
    /// goes. They are durable after [`Place::settle`].
    ///
    /// # Errors
    /// What the source or the place says; `UnexpectedEof` where the source has fewer bytes.
    fn put(&self, name: &str, from: &mut dyn Read, bytes: u64) -> io::Result<()>;

    /// The files in a directory, sorted; none where there is no such directory.
    ///
    /// # Errors
    /// What the place says.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Removes a file; that it is gone already is well.
    ///
    /// # Errors
    /// What the place says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the place says.
    fn settle(&self, dir: &str) -> io::Result<()>;

    /// Whether what was put should be read again and compared: not where the place has compared a
    /// hash of what it took.
    fn wants_reading_back(&self) -> bool;

    /// Keeps others from taking a backup here while the guard is held, as far as the place can.
    ///
    /// # Errors
    /// `WouldBlock` where another holds it.
    fn lock(&self) -> io::Result<Box<dyn Any>>;

    /// Says that what was read is not needed in memory: the next read is of the disk.
    fn forget_read(&self, _name: &str) {}
}

/// A directory as a place.
#[derive(Clone, Debug)]
pub struct DirectoryPlace {
    root: PathBuf,
}

impl DirectoryPlace {
    /// Names it; looks at nothing.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

impl Place for DirectoryPlace {
    fn name(&self) -> String {
        self.root.display().to_string()
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let file = File::open(self.path(name))?;
        let mut done = 0;
        while done < buffer.len() {
            match FileExt::read_at(&file, &mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(self.path(name).metadata()?.len())
    }

    fn put(&self, name: &str, from: &mut dyn Read, bytes: u64) -> io::Result<()> {
        let path = self.path(name);
        if let Some(dir) = path.parent() {
            files::make_dir(dir).map_err(io::Error::other)?;
        }
        let fresh = path.with_extension("new");
        let mut file = files::create(&fresh).map_err(io::Error::other)?;
        let written = files::write_sparse(&mut file, &mut from.take(bytes), &mut |_| {})?;
        if written < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.flush()?;
        files::sync(&file)?;
        std::fs::rename(&fresh, &path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = match std::fs::read_dir(self.path(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && entry.file_type()?.is_file()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn settle(&self, dir: &str) -> io::Result<()> {
        let dir = self.path(dir);
        if dir.exists() { files::sync(&File::open(dir)?) } else { Ok(()) }
    }

    fn wants_reading_back(&self) -> bool {
        true
    }

    fn lock(&self) -> io::Result<Box<dyn Any>> {
        files::make_dir(&self.root).map_err(io::Error::other)?;
        let file = files::create(&self.path("lock")).map_err(io::Error::other)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(std::fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn forget_read(&self, name: &str) {
        if let Ok(file) = File::open(self.path(name)) {
            DiskFile::forget_read(&file);
        }
    }
}
