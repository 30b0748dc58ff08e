//! What a standby keeps about whom it follows, in `following/`.

use std::path::{Path, PathBuf};

use mail_types::RecordSeq;
use serde::{Deserialize, Serialize};

use crate::error::{FollowError, io};
use crate::small::{self, Known};

/// Where that lies.
#[must_use]
pub fn following_path(root: &Path) -> PathBuf {
    root.join("following")
}

/// Whom to follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFile {
    /// `HOST:PORT` of the server.
    pub from: String,
    /// The token, as it was given.
    pub token: String,
}

/// What was done of what cannot be seen in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptState {
    /// Bodies of all purges up to this record are off this disk.
    pub punched_through: u64,
    /// The server's name, and the one that this standby has there.
    pub hostname: Option<String>,
    /// The name that this standby has there.
    pub name: Option<String>,
    /// When something last came, in milliseconds.
    pub heard_at: Option<i64>,
    /// Why it does not follow now, if so.
    pub trouble: Option<String>,
    /// Small files that came, by the hash of their bytes.
    pub files: Known,
    /// It was promoted: whether the other server knows.
    pub told: bool,
}

impl KeptState {
    /// The last record whose purge was followed.
    #[must_use]
    pub const fn punched(&self) -> RecordSeq {
        RecordSeq(self.punched_through)
    }

    /// Reads it; what cannot be read begins anew, which repeats work and no more.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let text = std::fs::read(following_path(root).join("state.json"));
        text.ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Keeps it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, root: &Path) -> Result<(), FollowError> {
        write(&following_path(root).join("state.json"), self)
    }
}

impl LinkFile {
    /// Reads it; `None` where this directory follows nobody.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(root: &Path) -> Result<Option<Self>, FollowError> {
        let path = following_path(root).join("link.json");
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(io(format!("read {}", path.display())))?,
        };
        let link = serde_json::from_slice(&text).map_err(std::io::Error::other);
        link.map(Some).map_err(io(format!("read {}", path.display())))
    }

    /// Keeps it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, root: &Path) -> Result<(), FollowError> {
        write(&following_path(root).join("link.json"), self)
    }
}

fn write(path: &Path, what: &impl Serialize) -> Result<(), FollowError> {
    let bytes = serde_json::to_vec_pretty(what).map_err(std::io::Error::other);
    bytes
        .and_then(|bytes| small::replace(path, &bytes))
        .map_err(io(format!("write {}", path.display())))
}
