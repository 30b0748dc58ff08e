//! Restoring a backup into a new directory.

use std::path::{Path, PathBuf};

use journal::Head;

use crate::error::{BackupError, io};
use crate::manifest::Point;
use crate::take::inside;
use crate::{Backup, Progress, files};

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
        let (all, mut done) = (manifest.bytes(), 0);
        let mut bytes = 0;
        let mut copy = |name: &str, to: &Path, most: u64, hash: &str| {
            let (found, copied) = files::copy(&self.dir.join(name), to, most, true, &mut |read| {
                done += read;
                progress(done, all);
            })?;
            bytes += copied;
            let right = *found.to_hex() == *hash;
            if right { Ok(()) } else { Err(BackupError::Damaged(name.to_owned())) }
        };
        for one in manifest.segments.iter().filter(|one| one.number <= head.end.segment) {
            let name = fresh.join(format!("journal/{:08}.seg", one.number));
            let most = if one.number == head.end.segment { head.end.offset } else { u64::MAX };
            copy(&format!("journal/{}", one.file), &name, most, &one.blake3)?;
        }
        for (name, _) in &manifest.bodies {
            let hash = name.split('-').next().unwrap_or_default();
            copy(&format!("bodies/{name}"), &fresh.join("bodies").join(name), u64::MAX, hash)?;
        }
        for one in &manifest.files {
            let path = inside(&fresh, &one.name)?;
            files::make_dir(path.parent().unwrap_or(&fresh))?;
            copy(&format!("files/{}", one.file), &path, u64::MAX, &one.blake3)?;
        }
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
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".restoring");
    PathBuf::from(name)
}
