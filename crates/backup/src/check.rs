//! Checking a backup byte for byte.

use crate::error::BackupError;
use crate::files::{Hashing, drain};
use crate::stored::Raw;
use crate::{Backup, Progress};

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
    /// Reads every file as it lies and compares it with the manifest. An encrypted backup needs no
    /// identity for that; one that is given must be able to open it.
    ///
    /// # Errors
    /// Where the manifest itself cannot be read: nothing can be said then.
    pub fn check(&self, progress: Progress<'_>) -> Result<Checked, BackupError> {
        let manifest = self.manifest()?;
        let all = manifest.bytes();
        let mut checked = Checked::default();
        if self.identity.is_some() {
            self.listed(&manifest)?;
        }
        let mut done = 0;
        for (name, blake3, bytes) in manifest.stored() {
            let mut hashing = Hashing::new(Raw::new(&*self.place, &name));
            let found = drain(&mut hashing, &mut |read| {
                done += read;
                progress(done, all);
            });
            checked.files += 1;
            match found {
                Ok(length) => {
                    checked.bytes += length;
                    let right = hashing.hex() == blake3 && bytes.is_none_or(|it| it == length);
                    if !right {
                        checked.damage.push(format!("{name} is not what was written"));
                    }
                }
                Err(error) => checked.damage.push(format!("{name} cannot be read: {error}")),
            }
        }
        Ok(checked)
    }
}
