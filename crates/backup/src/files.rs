//! Files of a backup, and of what is restored from one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use journal::DiskFile;

use crate::error::{BackupError, io as doing};

/// Bytes copied at a time; a piece of zeros becomes a hole.
const PIECE_BYTES: usize = 64 << 10;

/// Makes a directory, and those above it, for its owner alone: there is mail in it.
pub fn make_dir(dir: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(doing("make", dir))
}

pub fn sync_dir(dir: &Path) -> Result<(), BackupError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(doing("sync", dir))
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

/// Puts a file in place of the one that is there, durably.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let fresh = path.with_extension("new");
    let mut file = create(&fresh)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(doing("write", &fresh))?;
    rename(&fresh, path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

pub fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::rename(from, to).map_err(doing("rename", from))
}

/// Removes what the manifest no longer names; that it is gone already is well.
pub fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(doing("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Copies the first `bytes` of a file (fewer where it ends) and syncs; their BLAKE3 and number.
/// `hash_all` goes on to the end for the hash.
pub fn copy(
    from: &Path,
    to: &Path,
    bytes: u64,
    hash_all: bool,
    each: &mut dyn FnMut(u64),
) -> Result<(blake3::Hash, u64), BackupError> {
    let mut source = File::open(from).map_err(doing("open", from))?;
    let mut copy = create(to)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let (mut read_bytes, mut written) = (0_u64, 0_u64);
    loop {
        let limit = if hash_all { u64::MAX } else { bytes - read_bytes };
        let want = piece.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        let read = match source.read(&mut piece[..want]) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(doing("read", from)(error)),
        };
        hasher.update(&piece[..read]);
        let keep =
            usize::try_from(bytes.saturating_sub(read_bytes)).unwrap_or(usize::MAX).min(read);
        if piece[..keep].iter().any(|&byte| byte != 0) {
            copy.seek(SeekFrom::Start(written))
                .and_then(|_| copy.write_all(&piece[..keep]))
                .map_err(doing("write", to))?;
        }
        written += keep as u64;
        read_bytes += read as u64;
        each(read as u64);
    }
    copy.set_len(written).and_then(|()| copy.sync_all()).map_err(doing("write", to))?;
    Ok((hasher.finalize(), written))
}

/// BLAKE3 and length of a file, read from the disk rather than from memory.
pub fn hash(path: &Path, each: &mut dyn FnMut(u64)) -> Result<(blake3::Hash, u64), BackupError> {
    let mut file = File::open(path).map_err(doing("open", path))?;
    file.forget_read();
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok((hasher.finalize(), bytes)),
            Ok(read) => {
                hasher.update(&piece[..read]);
                bytes += read as u64;
                each(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(doing("read", path)(error)),
        }
    }
}
