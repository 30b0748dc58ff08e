//! The key that heads are signed with, and the one that leaves are salted with.

use std::path::Path;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::RecordSeq;
use transparency::{SEED_BYTES, Signer};

use crate::error::{LedgerError, io};
use crate::files;

const FIRST_LINE: &str = "restante signed heads 1";
/// Bytes of the salt of one leaf.
pub const LEAF_SALT_BYTES: usize = 32;

/// Both, with the name of the log, which stays what it was first.
pub struct Key {
    pub signer: Signer,
    leaf: [u8; 32],
}

impl Key {
    /// Reads it; `None` where there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, LedgerError> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(io(format!("read {}", path.display())))?,
        };
        let wrong = || LedgerError::Key(path.display().to_string());
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(wrong());
        }
        let mut field = |name| lines.next().and_then(|line| line.strip_prefix(name));
        let name = field("name ").ok_or_else(wrong)?;
        let seed: [u8; SEED_BYTES] = field("sign ").and_then(bytes).ok_or_else(wrong)?;
        let leaf = field("leaf ").and_then(bytes).ok_or_else(wrong)?;
        Ok(Some(Self { signer: Signer::new(name, &seed).map_err(|_| wrong())?, leaf }))
    }

    /// Reads it, or makes one, which is durable before anything is signed with it. Where heads are
    /// kept already (`signed`), theirs is missing: another one would make them worthless.
    pub fn ensure(path: &Path, name: &str, signed: bool) -> Result<Self, LedgerError> {
        if let Some(key) = Self::read(path)? {
            return Ok(key);
        }
        if signed {
            return Err(LedgerError::Key(path.display().to_string()));
        }
        let random = || {
            let mut bytes = [0; 32];
            let made = rand::fill(&mut bytes).map(|()| STANDARD.encode(bytes));
            made.map_err(|_| io("draw a random number")(std::io::ErrorKind::Other.into()))
        };
        let text = format!("{FIRST_LINE}\nname {name}\nsign {}\nleaf {}\n", random()?, random()?);
        files::replace(path, text.as_bytes(), files::Durable::Yes)?;
        Self::read(path)?.ok_or_else(|| LedgerError::Key(path.display().to_string()))
    }

    /// The salt of one leaf: shown with a proof, it opens that leaf and no other.
    pub fn salt(&self, seq: RecordSeq) -> [u8; LEAF_SALT_BYTES] {
        *blake3::keyed_hash(&self.leaf, &seq.0.to_be_bytes()).as_bytes()
    }

    /// The leaf of a record.
    pub fn leaf(&self, seq: RecordSeq, hash: &[u8; 32]) -> transparency::Hash {
        transparency::leaf_hash(&entry(seq, &self.salt(seq), hash))
    }
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// What the log holds of a record: its number, and BLAKE3 keyed with the leaf's salt of the BLAKE3
/// of its payload, which is the hash in the header of its frame. Hashed as a leaf by RFC 6962
/// §2.1.
#[must_use]
pub fn entry(seq: RecordSeq, salt: &[u8; LEAF_SALT_BYTES], payload_hash: &[u8; 32]) -> Vec<u8> {
    let mut entry = seq.0.to_be_bytes().to_vec();
    entry.extend_from_slice(blake3::keyed_hash(salt, payload_hash).as_bytes());
    entry
}
