//! Backups of an installation: copies of the journal's segments up to a durable head, of the files
//! of large bodies, and of the few other files that cannot be made again. They lie in a [`Place`]: a
//! directory, or what else keeps files under names.
//!
//! - [`Backup::take`]: while the server writes. A segment that is full is copied once (and again when
//!   mail in it was purged: a purge reaches the backup with the next one), the one that grows each
//!   time, body files once. Everything is in place before the manifest names it; what was there
//!   before stays whole until then, whenever the power goes or the line is cut.
//! - [`Manifest`]: which files, how long, with which BLAKE3; and a point for each backup taken: an
//!   older point is the beginning of the same segments.
//! - [`Backup::check`]: every byte against the manifest. [`BackupDisk`] lets the journal's reader,
//!   and so `verify` and healing, read the backup as it lies.
//! - [`Backup::restore`]: into a new directory, as of any point.
//! - [`age`]: files sealed to public keys, so that the server cannot read what it has written.
//!
//! It reads no record and knows nothing of mail; it never changes what it copies from.
//!
//! Formats: C2SP age-encryption.org/v1 (X25519), BIP 173 (its keys).

pub mod age;
mod check;
mod error;
mod files;
mod manifest;
mod place;
mod restore;
mod stored;
mod take;

pub use check::Checked;
pub use error::BackupError;
pub use manifest::{Contents, Manifest, Point, Sealed, Segment, SmallFile, Stored};
pub use place::{DirectoryPlace, Place};
pub use restore::Restored;
pub use stored::{BackupDisk, StoredFile};
pub use take::{Sealing, Source, Taken};

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use age::Identity;
use error::doing;
use stored::{InOrder, Pieces};

/// How far a long work is: bytes done, of so many.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// A place that holds a backup, or is to.
#[derive(Clone, Debug)]
pub struct Backup {
    place: Arc<dyn Place>,
    identity: Option<Arc<Identity>>,
}

/// What the files in a place are.
struct Listed {
    /// Names of body files, and their files in the place.
    bodies: Vec<(String, String)>,
    /// Paths in the data directory, their files in the place, and the BLAKE3 of what lies as it is.
    files: Vec<(String, String, Option<String>)>,
}

impl Backup {
    /// Names the place; looks at nothing. An identity opens what is encrypted.
    #[must_use]
    pub fn new(place: Arc<dyn Place>, identity: Option<Identity>) -> Self {
        Self { place, identity: identity.map(Arc::new) }
    }

    /// A directory.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self::new(Arc::new(DirectoryPlace::new(dir)), None)
    }

    /// What people call the place.
    #[must_use]
    pub fn place(&self) -> String {
        self.place.name()
    }

    /// What is in it.
    ///
    /// # Errors
    /// Where there is none, or it cannot be read.
    pub fn manifest(&self) -> Result<Manifest, BackupError> {
        manifest::read(&*self.place)?.ok_or_else(|| BackupError::None(self.place.name()))
    }

    /// The journal in it, to be read.
    ///
    /// # Errors
    /// As [`Backup::manifest`]; where it is encrypted and cannot be opened.
    pub fn disk(&self) -> Result<BackupDisk, BackupError> {
        self.disk_of(&self.manifest()?, false)
    }

    /// The same, with copies from before damage was found in place of those from after it; `None`
    /// where there are none.
    ///
    /// # Errors
    /// As [`Backup::disk`].
    pub fn sound_disk(&self) -> Result<Option<BackupDisk>, BackupError> {
        let manifest = self.manifest()?;
        if manifest.segments.iter().all(|one| one.sound.is_none()) {
            return Ok(None);
        }
        self.disk_of(&manifest, true).map(Some)
    }

    fn disk_of(&self, manifest: &Manifest, sound: bool) -> Result<BackupDisk, BackupError> {
        let listed = self.listed(manifest)?;
        let mut files = BTreeMap::new();
        for one in &manifest.segments {
            let path = format!("journal/{:08}.seg", one.number);
            let earlier = one.sound.as_ref().filter(|_| sound).map(|stored| stored.file.clone());
            files.insert(path, earlier.unwrap_or_else(|| format!("journal/{}", one.file)));
        }
        let bodies = listed.bodies.into_iter();
        files.extend(bodies.map(|(name, file)| (format!("bodies/{name}"), file)));
        let identity = self.identity.clone().filter(|_| manifest.sealed.is_some());
        Ok(BackupDisk { pieces: Pieces::new(Arc::clone(&self.place)), identity, files })
    }

    /// What the files are, out of the manifest or, where that is sealed, with the identity.
    fn listed(&self, manifest: &Manifest) -> Result<Listed, BackupError> {
        let Some(sealed) = &manifest.sealed else {
            let bodies = manifest.bodies.iter().map(|(name, _)| name.clone());
            let files = manifest.files.iter().map(|one| {
                (one.name.clone(), format!("files/{}", one.file), Some(one.blake3.clone()))
            });
            let bodies = bodies.map(|name| (name.clone(), format!("bodies/{name}"))).collect();
            return Ok(Listed { bodies, files: files.collect() });
        };
        let wanted = sealed.recipients.join(", ");
        let Some(identity) = &self.identity else { return Err(BackupError::Encrypted(wanted)) };
        let given = identity.recipient().to_string();
        if !sealed.recipients.contains(&given) {
            return Err(BackupError::WrongIdentity { given, wanted });
        }
        let name = &sealed.contents.file;
        let pieces = Pieces::new(Arc::clone(&self.place));
        let mut bytes = Vec::new();
        let file = pieces.open(name, Some(identity)).map_err(doing("read", name))?;
        InOrder { file: &file, at: 0 }.read_to_end(&mut bytes).map_err(doing("read", name))?;
        let contents: Contents = serde_json::from_slice(&bytes)
            .map_err(|error| BackupError::Manifest(error.to_string()))?;
        let files = contents.files.into_iter().map(|(name, file)| (name, file, None)).collect();
        Ok(Listed { bodies: contents.bodies, files })
    }
}
