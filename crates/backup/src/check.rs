//! Checking a backup byte for byte.

use crate::error::BackupError;
use crate::{Backup, Progress, files};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is not what was written, or not there: by name.
    pub damage: Vec<String>,
}

impl Backup {
    /// Reads every file from the disk and compares it with the manifest.
    ///
    /// # Errors
    /// Where the manifest itself cannot be read: nothing can be said then.
    pub fn check(&self, progress: Progress<'_>) -> Result<Checked, BackupError> {
        let manifest = self.manifest()?;
        let all = manifest.bytes();
        let mut wanted: Vec<(String, String, Option<u64>)> = Vec::new();
        for one in &manifest.segments {
            wanted.push((format!("journal/{}", one.file), one.blake3.clone(), Some(one.bytes)));
        }
        for (name, bytes) in &manifest.bodies {
            let hash = name.split('-').next().unwrap_or_default().to_owned();
            wanted.push((format!("bodies/{name}"), hash, Some(*bytes)));
        }
        for one in &manifest.files {
            wanted.push((format!("files/{}", one.file), one.blake3.clone(), None));
        }
        let mut checked = Checked::default();
        let mut done = 0;
        for (name, blake3, bytes) in wanted {
            let found = files::hash(&self.dir.join(&name), &mut |read| {
                done += read;
                progress(done, all);
            });
            checked.files += 1;
            match found {
                Ok((hash, length)) => {
                    checked.bytes += length;
                    let right = *hash.to_hex() == *blake3 && bytes.is_none_or(|it| it == length);
                    if !right {
                        checked.damage.push(format!("{name} is not what was written"));
                    }
                }
                Err(error) => checked.damage.push(error.to_string()),
            }
        }
        Ok(checked)
    }
}
