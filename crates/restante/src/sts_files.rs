//! MTA-STS policies of other domains, one file each below `mta-sts/` in the data directory.

use std::path::{Path, PathBuf};
use std::{fs, io};

use deliver::{KeptPolicy, PolicyFiles};
use mail_types::{Domain, Timestamp};
use serde::{Deserialize, Serialize};

use crate::kept_file;

/// Policies that are read at start.
const POLICIES_MAX: usize = 100_000;
const SUFFIX: &str = ".json";

/// The directory of them.
pub struct StsFiles(PathBuf);

/// A file's content.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    /// Milliseconds since 1970.
    fetched: i64,
    policy: String,
}

impl StsFiles {
    pub fn new(data: &Path) -> Self {
        Self(data.join("mta-sts"))
    }

    fn path(&self, domain: &Domain) -> PathBuf {
        // A domain name has no character that means something in a path.
        self.0.join(format!("{}{SUFFIX}", domain.as_str().to_ascii_lowercase()))
    }

    fn read(&self, name: &str) -> Option<KeptPolicy> {
        let domain = Domain::new(name.strip_suffix(SUFFIX)?).ok()?;
        let read = fs::read(self.0.join(name))
            .and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).map_err(io::Error::other));
        match read {
            Ok(Kept { id, fetched, policy }) => {
                Some(KeptPolicy { domain, id, fetched: Timestamp(fetched), text: policy })
            }
            Err(error) => {
                tracing::error!(%domain, %error, "a kept MTA-STS policy cannot be read");
                None
            }
        }
    }
}

impl PolicyFiles for StsFiles {
    fn load(&self) -> Vec<KeptPolicy> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(%error, "kept MTA-STS policies cannot be read");
                }
                return Vec::new();
            }
        };
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| self.read(&name))
            .take(POLICIES_MAX)
            .collect()
    }

    fn keep(&self, policy: &KeptPolicy) -> io::Result<()> {
        let kept =
            Kept { id: policy.id.clone(), fetched: policy.fetched.0, policy: policy.text.clone() };
        let bytes = serde_json::to_vec_pretty(&kept).map_err(io::Error::other)?;
        kept_file::replace(&self.path(&policy.domain), &bytes)
    }

    fn forget(&self, domain: &Domain) -> io::Result<()> {
        kept_file::remove(&self.path(domain))
    }
}
