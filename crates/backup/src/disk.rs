//! A backup as a disk that the journal's reader reads.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use journal::Disk;

use crate::Manifest;

/// The journal in a backup, as it lies; nothing can be changed through it.
#[derive(Clone, Debug)]
pub struct BackupDisk {
    dir: PathBuf,
    /// Files of segments, by the paths that the journal knows.
    segments: BTreeMap<String, String>,
    bodies: Vec<String>,
}

impl BackupDisk {
    pub(crate) fn new(dir: PathBuf, manifest: &Manifest) -> Self {
        let segments = manifest.segments.iter();
        let segments = segments.map(|one| (format!("{:08}.seg", one.number), one.file.clone()));
        let bodies = manifest.bodies.iter().map(|(name, _)| name.clone()).collect();
        Self { dir, segments: segments.collect(), bodies }
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for BackupDisk {
    type File = File;

    fn create(&self, _: &str) -> io::Result<File> {
        read_only()
    }

    fn open(&self, path: &str) -> io::Result<File> {
        let path = match path.strip_prefix("journal/") {
            Some(name) => {
                let file = self.segments.get(name).ok_or(io::ErrorKind::NotFound)?;
                self.dir.join("journal").join(file)
            }
            None => self.dir.join(path),
        };
        File::open(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        match dir {
            "journal" => Ok(self.segments.keys().cloned().collect()),
            "bodies" => Ok(self.bodies.clone()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn make_dir(&self, _: &str) -> io::Result<()> {
        read_only()
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        read_only()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        read_only()
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        read_only()
    }
}
