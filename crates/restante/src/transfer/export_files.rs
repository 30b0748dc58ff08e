//! Files that an export makes: in a directory of the user's, never in the data directory.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use mail_types::Timestamp;

/// Makes a directory with those above it.
pub fn directory(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

/// Writes a new file with this time; refuses to write over one.
pub fn write_new(path: &Path, bytes: &[u8], time: Option<Timestamp>) -> anyhow::Result<()> {
    write_into(OpenOptions::new().write(true).create_new(true), path, bytes, time)
}

/// Writes a file with this time, in place of one that is there.
pub fn write(path: &Path, bytes: &[u8], time: Option<Timestamp>) -> anyhow::Result<()> {
    write_into(OpenOptions::new().write(true).create(true).truncate(true), path, bytes, time)
}

fn write_into(
    how: &OpenOptions,
    path: &Path,
    bytes: &[u8],
    time: Option<Timestamp>,
) -> anyhow::Result<()> {
    let mut file = how.open(path).with_context(|| format!("cannot make {}", path.display()))?;
    let write = file.write_all(bytes).and_then(|()| match time.and_then(system_time) {
        Some(time) => file.set_times(FileTimes::new().set_modified(time)),
        None => Ok(()),
    });
    write.with_context(|| format!("cannot write {}", path.display()))
}

fn system_time(at: Timestamp) -> Option<std::time::SystemTime> {
    let millis = u64::try_from(at.millis()).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// A new file; refuses to write over one.
pub fn create(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.with_context(|| format!("cannot make {}", path.display()))
}

/// A file that grows.
pub struct Growing {
    file: std::io::BufWriter<File>,
    path: PathBuf,
}

impl Growing {
    /// A new one; refuses to write over one.
    pub fn new(path: PathBuf) -> anyhow::Result<Self> {
        Ok(Self { file: std::io::BufWriter::new(create(&path)?), path })
    }

    /// One that is there, from its end on.
    pub fn append(path: PathBuf) -> anyhow::Result<Self> {
        let file = OpenOptions::new().append(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file: std::io::BufWriter::new(file), path })
    }

    /// What was added is in the file.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        self.file.flush().with_context(|| format!("cannot write {}", self.path.display()))
    }

    pub fn add(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Everything is written; the file to be read back.
    pub fn finish(mut self) -> anyhow::Result<BufReader<File>> {
        self.file.flush().with_context(|| format!("cannot write {}", self.path.display()))?;
        let file = File::open(&self.path);
        Ok(BufReader::new(file.with_context(|| format!("cannot read {}", self.path.display()))?))
    }
}

/// All bytes of a file.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}
