//! What records say of hooks, smart hosts and mail of other systems.

use mail_types::Timestamp;
use serde::{Deserialize, Serialize};

/// One try to tell a hook of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookTry {
    /// When.
    pub at: Timestamp,
    /// The event's id, as its receiver sees it.
    pub event: String,
    /// Its kind.
    pub kind: String,
    /// What the receiver said, or what went wrong.
    pub said: String,
    /// Whether it was told.
    pub told: bool,
}

/// Who we are to a smart host. The password is kept as it is, since it has to be told; nothing shows
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayLogin {
    /// The name there.
    pub name: String,
    /// The password there.
    pub password: RelayPassword,
}

/// A password that `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayPassword(pub String);

impl std::fmt::Debug for RelayPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RelayPassword(..)")
    }
}

/// What a message of another system is known by: a hash of the account and all that names it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImportKey(pub [u8; 16]);

/// What signs the events of a hook. Kept as it is, since it has to be used.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookSecret(pub Vec<u8>);

impl std::fmt::Debug for HookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookSecret(..)")
    }
}
