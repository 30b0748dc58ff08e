use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::ExtractError;
use crate::visit::ReadAt;

/// Files of a kind held open; beyond that all are closed and opened again as needed.
const OPEN_FILES_MAX: usize = 64;

/// The numbered files of one kind: `name-N`.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    name: &'static str,
    open: RwLock<HashMap<u32, Arc<File>>>,
}

/// Makes the directory of this version and drops all others.
pub fn prepare(dir: &Path, version: &str) -> Result<PathBuf, ExtractError> {
    let doing = || format!("make the directory {}", dir.display());
    let make = |path: &Path| match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(failed(doing())),
    };
    make(dir)?;
    for entry in std::fs::read_dir(dir).map_err(failed(doing()))? {
        let path = entry.map_err(failed(doing()))?.path();
        if !path.ends_with(version) {
            tracing::info!(path = %path.display(), "what another version kept is dropped");
            remove_all(&path)?;
        }
    }
    let versioned = dir.join(version);
    make(&versioned)?;
    Ok(versioned)
}

/// Removes a directory and what is in it, or a file; where there is none, that is right.
pub fn remove_all(path: &Path) -> Result<(), ExtractError> {
    let removed =
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(failed(format!("remove {}", path.display()))),
    }
}

fn failed(doing: String) -> impl FnOnce(io::Error) -> ExtractError {
    move |source| ExtractError { doing, source }
}

impl Files {
    pub fn new(dir: PathBuf, name: &'static str) -> Self {
        Self { dir, name, open: RwLock::default() }
    }

    fn path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{}-{number:05}", self.name))
    }

    /// Number and length of the last file; `None` where there is none.
    pub fn last(&self) -> Result<Option<(u32, u64)>, ExtractError> {
        let doing = || format!("list the files {}-*", self.name);
        let mut last = None;
        for entry in std::fs::read_dir(&self.dir).map_err(failed(doing()))? {
            let entry = entry.map_err(failed(doing()))?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(self.name));
            let number = number.and_then(|rest| rest.strip_prefix('-')?.parse::<u32>().ok());
            if number > last.map(|(number, _)| number) {
                let bytes = entry.metadata().map_err(failed(doing()))?.len();
                last = number.map(|number| (number, bytes));
            }
        }
        Ok(last)
    }

    /// Writes at a place, making the file where there is none.
    pub fn write_at(&self, number: u32, offset: u64, bytes: &[u8]) -> Result<(), ExtractError> {
        let write = || self.file(number, true)?.write_all_at(bytes, offset);
        write().map_err(failed(format!("write to {}", self.path(number).display())))
    }

    /// A file, from those held open.
    fn file(&self, number: u32, make: bool) -> io::Result<Arc<File>> {
        let held = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = held.get(&number) {
            return Ok(Arc::clone(file));
        }
        drop(held);
        // It is made from people's mail: for the server's user alone.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(make).mode(0o600);
        let file = Arc::new(options.open(self.path(number))?);
        let mut held = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= OPEN_FILES_MAX {
            held.clear();
        }
        held.insert(number, Arc::clone(&file));
        Ok(file)
    }
}

impl ReadAt for Files {
    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.file(file, false)?;
        let mut read = 0;
        while read < buffer.len() {
            match file.read_at(&mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }
}
