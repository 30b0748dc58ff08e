//! The age format, version 1 (C2SP age-encryption.org/v1), with X25519 recipients: what is sealed to
//! a public key can be opened with its identity only, by this program or by `age -d`.
//!
//! No passphrases, no SSH keys, no plugins, no armour.

mod header;
mod keys;
mod stream;

pub use keys::{Identity, KeyError, Recipient};
pub use stream::{CHUNK_BYTES, OpenError, Opened, Sealer, sealed_bytes};
