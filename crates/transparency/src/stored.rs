//! The place of each subtree's hash in a file that only grows: behind each leaf stand the hashes of
//! the subtrees that it completes, from small to large.

use crate::{Frontier, Hash, node_hash};

/// Height of the largest tree.
const LEVELS_MAX: u32 = 64;

/// Where hashes of complete subtrees are kept.
pub trait Nodes {
    /// The hash of the subtree of `1 << level` leaves that begins at leaf `index << level`; `None`
    /// where it cannot be read.
    fn node(&self, level: u32, index: u64) -> Option<Hash>;
}

/// Place, in hashes, of the subtree of `1 << level` leaves that begins at leaf `index << level`.
/// `None` beyond what numbers hold.
#[must_use]
pub fn stored_index(level: u32, index: u64) -> Option<u64> {
    if level >= LEVELS_MAX {
        return None;
    }
    // It is completed by its last leaf, behind which the smaller ones come first.
    let last = index.checked_add(1)?.checked_mul(1_u64.checked_shl(level)?)?.checked_sub(1)?;
    stored_count(last)?.checked_add(u64::from(level))
}

/// How many hashes stand in front of leaf number `leaves`: those of a tree of so many leaves.
#[must_use]
pub fn stored_count(leaves: u64) -> Option<u64> {
    Some(leaves.checked_mul(2)? - u64::from(leaves.count_ones()))
}

/// The largest number of leaves whose hashes are all among the first `hashes`.
#[must_use]
pub fn stored_leaves(hashes: u64) -> u64 {
    // A tree of n leaves has at least 2n - 64 hashes and at most 2n.
    let mut leaves = hashes / 2 + u64::from(LEVELS_MAX) / 2 + 1;
    while leaves > 0 && stored_count(leaves).is_none_or(|count| count > hashes) {
        leaves -= 1;
    }
    leaves
}

impl Frontier {
    /// Of a tree of which the hashes of complete subtrees are kept; `None` where one is not there.
    #[must_use]
    pub fn load(size: u64, nodes: &impl Nodes) -> Option<Self> {
        let mut peaks = Vec::new();
        let mut begin = 0;
        for level in (0..LEVELS_MAX).rev() {
            if size >> level & 1 == 1 {
                peaks.push(nodes.node(level, begin >> level)?);
                begin += 1 << level;
            }
        }
        Self::resume(size, peaks)
    }
}

/// The hash over the leaves from `begin` up to `end`, from the kept ones; `begin` is where such a
/// subtree begins in the recursion of RFC 6962 §2.1.
pub(crate) fn range(nodes: &impl Nodes, begin: u64, end: u64) -> Option<Hash> {
    let leaves = end.checked_sub(begin)?;
    if leaves.is_power_of_two() {
        let level = leaves.trailing_zeros();
        return nodes.node(level, begin >> level);
    }
    let middle = begin + split(leaves)?;
    Some(node_hash(&range(nodes, begin, middle)?, &range(nodes, middle, end)?))
}

/// The largest power of two below `leaves`, of which there are two or more.
// RFC 6962 §2.1: "let k be the largest power of two smaller than n".
pub(crate) fn split(leaves: u64) -> Option<u64> {
    (leaves >= 2).then(|| 1 << (u64::BITS - 1 - (leaves - 1).leading_zeros()))
}
