//! Hashes of the tree, and its root while it grows.

use aws_lc_rs::digest::{SHA256, digest};

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;
/// SHA-256.
pub type Hash = [u8; HASH_BYTES];

/// The root of a tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

fn sha256(bytes: &[u8]) -> Hash {
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// The hash of an entry as a leaf.
// RFC 6962 §2.1: SHA-256 of a zero byte and the entry, so that no leaf can pass for a node.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut bytes = Vec::with_capacity(1 + entry.len());
    bytes.push(0);
    bytes.extend_from_slice(entry);
    sha256(&bytes)
}

/// The hash of two subtrees that stand side by side.
// RFC 6962 §2.1: SHA-256 of a one byte and both.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 1 + 2 * HASH_BYTES];
    bytes[1..=HASH_BYTES].copy_from_slice(left);
    bytes[1 + HASH_BYTES..].copy_from_slice(right);
    sha256(&bytes)
}

/// The right edge of a growing tree: the roots of its complete subtrees, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// One for each one bit of `size`.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Of a tree of `size` leaves, with the roots of its complete subtrees, the largest first;
    /// `None` where these are not as many as such a tree has.
    #[must_use]
    pub fn resume(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// Leaves so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; `complete` is given the hash of every subtree that it completes, the leaf's
    /// own first, in the order of [`crate::stored_index`].
    pub fn push(&mut self, leaf: Hash, mut complete: impl FnMut(Hash)) {
        let mut hash = leaf;
        complete(hash);
        // As many ones as `size` ends in, so many subtrees of equal height stand at the edge.
        for _ in 0..self.size.trailing_ones() {
            // There is one peak for each one bit.
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            complete(hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return EMPTY_ROOT };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}
