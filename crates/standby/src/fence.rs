//! Another server goes on in this one's place.

use std::path::{Path, PathBuf};

use journal::Head;
use mail_types::{RecordSeq, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{HubError, hub_io};
use crate::small;

/// Who does, and from where on the two differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Its host name.
    pub by: String,
    /// The name that it had as a standby here.
    pub name: String,
    /// How many promotions it goes back to.
    pub epoch: u64,
    /// When it was promoted, in milliseconds since 1970.
    pub at: i64,
    /// The last record that both have.
    pub shared_records: u64,
    /// Records that this one wrote behind it.
    pub own_records: u64,
}

fn path(root: &Path) -> PathBuf {
    root.join("standby").join("fenced.json")
}

impl Fence {
    pub(crate) fn new(
        by: (String, String),
        (epoch, at): (u64, i64),
        after: &Head,
        ours: &Head,
    ) -> Self {
        let own_records = ours.last_seq.0.saturating_sub(after.last_seq.0);
        let (by, name) = by;
        Self { by, name, epoch, at, shared_records: after.last_seq.0, own_records }
    }

    /// The last record that both have.
    #[must_use]
    pub const fn shared(&self) -> RecordSeq {
        RecordSeq(self.shared_records)
    }

    /// Reads it; `None` where nobody took this one's place.
    ///
    /// # Errors
    /// Where it is there and cannot be read.
    pub fn read(root: &Path) -> Result<Option<Self>, HubError> {
        let path = path(root);
        let doing = || format!("read {}", path.display());
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(hub_io(doing())(error)),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| hub_io(doing())(std::io::Error::other(error))),
        }
    }

    pub(crate) fn write(&self, root: &Path) -> Result<(), HubError> {
        let bytes = serde_json::to_vec_pretty(self).map_err(std::io::Error::other);
        bytes
            .and_then(|bytes| small::replace(&path(root), &bytes))
            .map_err(hub_io("keep that another server goes on"))
    }

    /// What the operator of this one must know.
    #[must_use]
    pub fn told(&self, root: &Path) -> String {
        let root = root.display();
        let own = match self.own_records {
            0 => "It has everything that this one has.".to_owned(),
            count => format!(
                "The last {count} records are here alone: restante standby leftover --data {root} \
                 --out DIR writes the messages among them."
            ),
        };
        format!(
            "{} was promoted at {} and goes on in this server's place; this one must not serve any \
             more.\n{own}\nWhat to do: move {root} away, and make this machine its standby: on {} \
             `restante standby invite`, here `restante standby --from … --token …`.",
            self.by,
            Timestamp(self.at),
            self.by
        )
    }
}
