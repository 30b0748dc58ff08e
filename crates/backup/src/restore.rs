//! Restoring a backup into a new directory.

use std::path::{Path, PathBuf};

use std::io::{self as stdio, Read, Write};
use std::sync::Arc;

use journal::Head;

use crate::error::{BackupError, doing, io};
use crate::files::{self, Hashing};
use crate::manifest::{Manifest, Point};
use crate::stored::{InOrder, Pieces, Raw};
use crate::take::inside;
use crate::{Backup, Progress};

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// As of when.
    pub point: Point,
    /// The journal's head.
    pub head: Head,
    /// Bytes.
    pub bytes: u64,
}

impl Backup {
    /// Restores the last point of at most so many records (`None`: the latest) into `to`, which must
    /// be new or empty. Every byte is compared with the manifest on the way; where one is wrong,
    /// nothing is at `to`.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn restore(
        &self,
        to: &Path,
        records: Option<u64>,
        progress: Progress<'_>,
    ) -> Result<Restored, BackupError> {
        let manifest = self.manifest()?;
        let point = match records {
            Some(records) => manifest.point(records)?,
            None => manifest.latest()?,
        };
        let head = point.head()?;
        if to.exists() && std::fs::read_dir(to).map_err(io("read", to))?.next().is_some() {
            return Err(BackupError::NotEmpty(to.to_owned()));
        }
        let fresh = beside(to);
        if fresh.exists() {
            // What an attempt left that was stopped.
            std::fs::remove_dir_all(&fresh).map_err(io("remove", &fresh))?;
        }
        for dir in ["journal", "bodies/arriving"] {
            files::make_dir(&fresh.join(dir))?;
        }
        let bytes = self.fill(&fresh, &manifest, &head, progress)?;
        for dir in ["journal", "bodies", ""] {
            files::sync_dir(&fresh.join(dir))?;
        }
        if to.exists() {
            std::fs::remove_dir(to).map_err(io("replace", to))?;
        }
        files::rename(&fresh, to)?;
        files::sync_dir(parent(to))?;
        Ok(Restored { point: point.clone(), head, bytes })
    }

    /// Copies all of it; how many bytes.
    fn fill(
        &self,
        fresh: &Path,
        manifest: &Manifest,
        head: &Head,
        progress: Progress<'_>,
    ) -> Result<u64, BackupError> {
        let listed = self.listed(manifest)?;
        let pieces = Pieces::new(Arc::clone(&self.place));
        let (all, mut done) = (manifest.bytes(), 0);
        let mut each = |read: u64| {
            done += read;
            progress(done, all);
        };
        let mut bytes = 0;
        // What is to be there of a file: at most so many bytes, and the BLAKE3 of all of it.
        let mut copy = |name: &str, to: &Path, most: u64, hash: Option<&str>| {
            let copied = match (&manifest.sealed, hash) {
                // What lies as it is has a hash in the manifest.
                (None, Some(hash)) => {
                    let mut from = Hashing::new(Raw::new(&*self.place, name));
                    let copied = cut(&mut from, to, most, &mut each)?;
                    if from.hex() != hash {
                        return Err(BackupError::Damaged(name.to_owned()));
                    }
                    copied
                }
                // What is sealed cannot be opened where a bit of it changed.
                _ => {
                    let identity = self.identity.as_deref();
                    let file = pieces.open(name, identity).map_err(doing("open", name))?;
                    let mut from = Hashing::new(InOrder { file: &file, at: 0 });
                    let copied = cut(&mut from, to, most, &mut each)?;
                    if from.bytes != file.bytes() || hash.is_some_and(|hash| from.hex() != hash) {
                        return Err(BackupError::Damaged(name.to_owned()));
                    }
                    copied
                }
            };
            bytes += copied;
            Ok(())
        };
        for one in manifest.segments.iter().filter(|one| one.number <= head.end.segment) {
            let name = fresh.join(format!("journal/{:08}.seg", one.number));
            let most = if one.number == head.end.segment { head.end.offset } else { u64::MAX };
            let hash = manifest.sealed.is_none().then_some(one.blake3.as_str());
            copy(&format!("journal/{}", one.file), &name, most, hash)?;
        }
        for (name, file) in &listed.bodies {
            let hash = name.split('-').next();
            copy(file, &inside(&fresh.join("bodies"), name)?, u64::MAX, hash)?;
        }
        for (name, file, hash) in &listed.files {
            let path = inside(fresh, name)?;
            files::make_dir(path.parent().unwrap_or(fresh))?;
            copy(file, &path, u64::MAX, hash.as_deref())?;
        }
        Ok(bytes)
    }
}

/// Writes the first `most` bytes, reads on to the end, and syncs; how many were written.
fn cut(
    from: &mut impl Read,
    to: &Path,
    most: u64,
    each: &mut dyn FnMut(u64),
) -> Result<u64, BackupError> {
    let mut file = files::create(to)?;
    let failed = |error: stdio::Error| io("write", to)(error);
    let written = files::write_sparse(&mut file, &mut from.take(most), each).map_err(failed)?;
    file.flush().and_then(|()| files::sync(&file)).map_err(failed)?;
    files::drain(from, each).map_err(failed)?;
    Ok(written)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".restoring");
    PathBuf::from(name)
}
