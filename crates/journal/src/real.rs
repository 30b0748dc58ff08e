use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

use crate::{Disk, DiskFile};

/// Bytes written with one call. A larger call makes the page cache take large folios, and a later
/// small write into one of them counts, and on some file systems costs, as the whole folio.
const WRITE_BYTES: usize = 8 << 10;

/// A directory of the real file system.
#[derive(Clone, Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// The directory below which all paths lie; it must exist.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl Disk for RealDisk {
    type File = File;

    fn create(&self, path: &str) -> io::Result<File> {
        // It is people's mail: for the server's user alone.
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.root.join(path))
    }

    fn open(&self, path: &str) -> io::Result<File> {
        let path = self.root.join(path);
        match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                File::open(path)
            }
            opened => opened,
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.root.join(dir))? {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(self.root.join(path)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.root.join(from), self.root.join(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.root.join(path))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.root.join(dir))?.sync_all()
    }
}

impl DiskFile for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match FileExt::read_at(self, &mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        for (at, piece) in (offset..).step_by(WRITE_BYTES).zip(bytes.chunks(WRITE_BYTES)) {
            self.write_all_at(piece, at)?;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(self, FallocateFlags::empty(), offset, bytes) {
            // A file system without preallocation: it runs full at the write instead, which the
            // journal takes as well.
            Err(Errno::OPNOTSUPP) => {
                let end = offset + bytes;
                if self.metadata()?.len() < end { Self::set_len(self, end) } else { Ok(()) }
            }
            allocated => Ok(allocated?),
        }
    }

    fn forget_read(&self) {
        // A hint that is not taken costs memory, nothing else.
        rustix::fs::fadvise(self, 0, None, rustix::fs::Advice::DontNeed).ok();
    }

    fn punch_hole(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(self, flags, offset, bytes) {
            // Without holes the bytes still go, only their space does not come back.
            Err(Errno::OPNOTSUPP) => write_zeros(self, offset, bytes),
            punched => Ok(punched?),
        }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        Self::set_len(self, bytes)
    }

    fn data_from(&self, offset: u64) -> io::Result<Option<u64>> {
        // All reads and writes name their offset, so that moving the file's own one hurts nobody.
        match rustix::fs::seek(self, SeekFrom::Data(offset)) {
            Ok(data) => Ok(Some(data)),
            Err(Errno::NXIO) => Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(offset)),
            Err(error) => Err(error.into()),
        }
    }

    fn lock(&self) -> io::Result<()> {
        self.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        })
    }
}

/// Bytes of zeros written in one call.
const ZEROS_BYTES: usize = 64 << 10;

fn write_zeros(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    let zeros = [0; ZEROS_BYTES];
    let mut done = 0;
    while done < bytes {
        let step = (bytes - done).min(ZEROS_BYTES as u64);
        file.write_all_at(&zeros[..step as usize], offset + done)?;
        done += step;
    }
    Ok(())
}
