//! Proofs that an entry is in a tree, and that one tree is the beginning of another.

use crate::stored::{range, split};
use crate::{EMPTY_ROOT, Hash, Nodes, node_hash};

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The tree is smaller than what is to be in it.
    #[error("the tree has {size} entries, and this is number {index}")]
    Beyond {
        /// Leaves of the tree.
        size: u64,
        /// The place looked for, from 0.
        index: u64,
    },
    /// The path is longer or shorter than in a tree of this size.
    #[error("the path is not one of a tree of this size")]
    Length,
    /// It leads to another root.
    #[error("the path leads to another root: the entry or the tree is another one")]
    Root,
    /// The two trees do not begin alike.
    #[error("the smaller tree is not the beginning of the larger one")]
    Fork,
}

/// The root of the first `size` leaves; `None` where a hash is not there.
#[must_use]
pub fn root_of(nodes: &impl Nodes, size: u64) -> Option<Hash> {
    if size == 0 { Some(EMPTY_ROOT) } else { range(nodes, 0, size) }
}

/// The path from leaf `index` to the root of the first `size` leaves; `None` where there is no such
/// leaf, or a hash is not there.
// RFC 6962 §2.1.1: PATH(m, D[n]).
#[must_use]
pub fn inclusion(nodes: &impl Nodes, index: u64, size: u64) -> Option<Vec<Hash>> {
    let mut path = Vec::new();
    let (mut begin, mut end) = (0, size);
    if index >= size {
        return None;
    }
    // From the root down, halving each time.
    while end - begin > 1 {
        let middle = begin + split(end - begin)?;
        if index < middle {
            path.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range(nodes, begin, middle)?);
            begin = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// The proof that the first `old` leaves are the beginning of the first `new`; `None` where there
/// are not so many, or a hash is not there.
// RFC 6962 §2.1.2: PROOF(m, D[n]) = SUBPROOF(m, D[n], true).
#[must_use]
pub fn consistency(nodes: &impl Nodes, old: u64, new: u64) -> Option<Vec<Hash>> {
    let mut path = Vec::new();
    if old > new {
        return None;
    }
    if old == 0 || old == new {
        return Some(path);
    }
    let (mut begin, mut end, mut whole) = (0, new, true);
    // From the root down, halving each time.
    while old != end {
        let middle = begin + split(end - begin)?;
        if old <= middle {
            path.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range(nodes, begin, middle)?);
            begin = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(range(nodes, begin, end)?);
    }
    path.reverse();
    Some(path)
}

/// Checks that a leaf is number `index` (from 0) of the tree with this size and root.
///
/// # Errors
/// [`ProofError`].
// RFC 9162 §2.1.3.2.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    path: &[Hash],
    size: u64,
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Beyond { size, index });
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for beside in path {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(beside, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    match (last, hash == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// Checks that the tree of `old` leaves and this root is the beginning of the tree of `new` leaves
/// and that root.
///
/// # Errors
/// [`ProofError`].
// RFC 9162 §2.1.4.2.
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    path: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Beyond { size: new, index: old });
    }
    if old == 0 || old == new {
        let same = if old == 0 { *old_root == EMPTY_ROOT } else { old_root == new_root };
        return match (path.is_empty(), same) {
            (true, true) => Ok(()),
            (true, false) => Err(ProofError::Fork),
            (false, _) => Err(ProofError::Length),
        };
    }
    // A complete tree is a subtree of every later one, so that its root need not be told.
    let known = old.is_power_of_two().then_some(old_root);
    let mut path = known.into_iter().chain(path);
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let first = path.next().ok_or(ProofError::Length)?;
    let (mut old_hash, mut new_hash) = (*first, *first);
    for beside in path {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(beside, &old_hash);
            new_hash = node_hash(beside, &new_hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    match (last, old_hash == *old_root && new_hash == *new_root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Fork),
        _ => Err(ProofError::Length),
    }
}
