//! Against a tree made by its definition, on every size of interest and on random ones.

use proptest::prelude::*;
use transparency::{
    EMPTY_ROOT, Frontier, Hash, Nodes, ProofError, consistency, inclusion, leaf_hash, node_hash,
    root_of, stored_count, stored_index, stored_leaves, verify_consistency, verify_inclusion,
};

/// RFC 6962 §2.1, word for word.
pub fn naive(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [one] => *one,
        _ => {
            let mut k = 1;
            while k * 2 < leaves.len() {
                k *= 2;
            }
            node_hash(&naive(&leaves[..k]), &naive(&leaves[k..]))
        }
    }
}

#[derive(Default)]
pub struct Kept(pub Vec<Hash>);

impl Nodes for Kept {
    fn node(&self, level: u32, index: u64) -> Option<Hash> {
        self.0.get(usize::try_from(stored_index(level, index)?).ok()?).copied()
    }
}

pub fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

pub fn grown(leaves: &[Hash]) -> (Frontier, Kept) {
    let (mut frontier, mut kept) = (Frontier::default(), Kept::default());
    for leaf in leaves {
        frontier.push(*leaf, |hash| kept.0.push(hash));
    }
    (frontier, kept)
}

const SIZES: u64 = 70;

#[test]
fn roots_are_those_of_the_definition() {
    let all = leaves(SIZES);
    let (_, kept) = grown(&all);
    for size in 0..=SIZES {
        let expected = naive(&all[..size as usize]);
        let (frontier, nodes) = grown(&all[..size as usize]);
        assert_eq!(frontier.root(), expected, "{size} leaves");
        assert_eq!(nodes.0.len() as u64, stored_count(size).unwrap());
        assert_eq!(root_of(&kept, size), Some(expected), "{size} leaves of a larger tree");
        assert_eq!(Frontier::load(size, &kept), Some(frontier));
    }
}

#[test]
fn the_file_of_hashes_is_as_long_as_its_leaves_say() {
    for leaves in 0..5000 {
        let count = stored_count(leaves).unwrap();
        assert_eq!(stored_leaves(count), leaves);
        if let Some(short) = count.checked_sub(1) {
            assert_eq!(stored_leaves(short), leaves - 1, "a hash is missing of {leaves}");
        }
    }
    // Numbers from a damaged file are no reason to stop.
    assert_eq!(stored_index(64, 0), None);
    assert_eq!(stored_index(63, u64::MAX), None);
    assert_eq!(stored_count(u64::MAX), None);
    let most = stored_leaves(u64::MAX);
    assert!(stored_count(most).is_some() && stored_count(most + 1).is_none());
}

#[test]
fn every_leaf_and_every_prefix_is_proved() {
    let all = leaves(SIZES);
    let (_, kept) = grown(&all);
    for size in 1..=SIZES {
        let root = naive(&all[..size as usize]);
        for index in 0..size {
            let path = inclusion(&kept, index, size).unwrap();
            verify_inclusion(&all[index as usize], index, &path, size, &root).unwrap();
        }
        for old in 0..=size {
            let before = naive(&all[..old as usize]);
            let path = consistency(&kept, old, size).unwrap();
            verify_consistency((old, &before), (size, &root), &path).unwrap();
        }
    }
    assert_eq!(inclusion(&kept, SIZES, SIZES), None);
    assert_eq!(consistency(&kept, SIZES + 1, SIZES), None);
}

proptest! {
    /// Another leaf, place, size, root or path proves nothing.
    #[test]
    fn what_is_not_so_is_not_proved(size in 2_u64..200, index in 0_u64..200, flip in 0_usize..2000) {
        let index = index % size;
        let all = leaves(size);
        let (frontier, kept) = grown(&all);
        let root = frontier.root();
        let leaf = all[index as usize];
        let path = inclusion(&kept, index, size).unwrap();
        let other = all[((index + 1) % size) as usize];
        prop_assert!(verify_inclusion(&other, index, &path, size, &root).is_err());
        prop_assert!(verify_inclusion(&leaf, (index + 1) % size, &path, size, &root).is_err());
        prop_assert_eq!(
            verify_inclusion(&leaf, size, &path, size, &root),
            Err(ProofError::Beyond { size, index: size })
        );
        let mut bent = path.clone();
        let at = flip / 256 % bent.len();
        bent[at][flip / 8 % 32] ^= 1 << (flip % 8);
        prop_assert!(verify_inclusion(&leaf, index, &bent, size, &root).is_err());
        let longer = [path.as_slice(), &[root]].concat();
        prop_assert_eq!(
            verify_inclusion(&leaf, index, &longer, size, &root),
            Err(ProofError::Length)
        );
        prop_assert!(verify_inclusion(&leaf, index, &path[1..], size, &root).is_err());
    }

    /// A tree in which one old leaf is another one is no continuation.
    #[test]
    fn a_changed_past_is_no_past(old in 1_u64..150, more in 1_u64..50, changed in 0_u64..150) {
        let (new, changed) = (old + more, changed % old);
        let all = leaves(new);
        let before = naive(&all[..old as usize]);
        let mut forged = all.clone();
        forged[changed as usize] = leaf_hash(b"another");
        let (frontier, kept) = grown(&forged);
        let path = consistency(&kept, old, new).unwrap();
        prop_assert!(
            verify_consistency((old, &before), (new, &frontier.root()), &path).is_err()
        );
        // Nor with the path of the tree that it should be.
        let (_, honest) = grown(&all);
        let path = consistency(&honest, old, new).unwrap();
        prop_assert!(
            verify_consistency((old, &before), (new, &frontier.root()), &path).is_err()
        );
        verify_consistency((old, &before), (new, &naive(&all)), &path).unwrap();
    }
}
