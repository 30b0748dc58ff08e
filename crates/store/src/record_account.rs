//! Words of records about accounts.

use mail_types::AccountId;
use serde::{Deserialize, Serialize};

/// How much an account may keep (RFC 9208 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Bytes of all its messages; none: no limit.
    pub storage_bytes: Option<u64>,
    /// Messages; none: no limit.
    pub messages: Option<u64>,
}

/// Whom an entry of an access control list is about (RFC 4314 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grantee {
    /// An account; none for `anyone`.
    pub account: Option<AccountId>,
    /// The entry takes rights away.
    pub negative: bool,
}

/// How an account proves itself. Never the password itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Argon2id in PHC form.
    pub argon2id: String,
    /// SCRAM-SHA-256 salt (RFC 5802 §3).
    pub scram_salt: Vec<u8>,
    /// SCRAM-SHA-256 iteration count.
    pub scram_iterations: u32,
    /// SCRAM-SHA-256 StoredKey.
    pub scram_stored_key: [u8; 32],
    /// SCRAM-SHA-256 ServerKey.
    pub scram_server_key: [u8; 32],
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}
