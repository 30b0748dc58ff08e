//! Files of what is restored, and of backups in directories.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::{BackupError, io as doing};

/// Bytes copied at a time; a piece of zeros becomes a hole.
const PIECE_BYTES: usize = 64 << 10;

/// Makes a directory, and those above it, for its owner alone: there is mail in it.
pub fn make_dir(dir: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(doing("make", dir))
}

pub fn sync_dir(dir: &Path) -> Result<(), BackupError> {
    File::open(dir).and_then(|dir| sync(&dir)).map_err(doing("sync", dir))
}

/// Makes a file's content, or a directory's names, durable.
pub fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// A new file for its owner alone, over one that an earlier attempt left.
pub fn create(path: &Path) -> Result<File, BackupError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(doing("make", path))
}

pub fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::rename(from, to).map_err(doing("rename", from))
}

/// Writes all that the source has, zeros as holes; how many bytes.
pub fn write_sparse(
    to: &mut File,
    from: &mut dyn Read,
    each: &mut dyn FnMut(u64),
) -> io::Result<u64> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut written = 0;
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if piece[..read].iter().any(|&byte| byte != 0) {
            to.seek(SeekFrom::Start(written))?;
            to.write_all(&piece[..read])?;
        }
        written += read as u64;
        each(read as u64);
    }
    to.set_len(written)?;
    Ok(written)
}

/// Reads to the end and throws away; how many bytes.
pub fn drain(from: &mut dyn Read, each: &mut dyn FnMut(u64)) -> io::Result<u64> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(read) => {
                bytes += read as u64;
                each(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Hashes what is read through it.
pub struct Hashing<R> {
    pub from: R,
    pub hasher: blake3::Hasher,
    pub bytes: u64,
}

impl<R> Hashing<R> {
    pub fn new(from: R) -> Self {
        Self { from, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    pub fn hex(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
