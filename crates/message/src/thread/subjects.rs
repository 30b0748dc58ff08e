//! RFC 5256 §3 (5): threads with the same subject become one.

use std::collections::HashMap;

use super::Tree;
use crate::sort::SortFacts;

/// Gathers the roots that have the same base subject.
pub(super) fn gather(tree: &mut Tree, facts: &[SortFacts<&str>]) {
    let messages = facts.len();
    let is_dummy = |root: u32| root as usize >= messages;
    let is_reply = |root: u32| !is_dummy(root) && facts[root as usize].subject_is_reply_or_forward;
    let roots = std::mem::take(&mut tree.roots);
    // (5)(B): the root that stands for each subject; the empty one has none.
    let mut table: HashMap<&str, u32> = HashMap::with_capacity(roots.len());
    let subject_of = |tree: &Tree, root: u32| facts[tree.message_of(root, facts) as usize].subject;
    for &root in &roots {
        let subject = subject_of(tree, root);
        if subject.is_empty() {
            continue;
        }
        let kept = table.entry(subject).or_insert(root);
        if !is_dummy(*kept) && (is_dummy(root) || (is_reply(*kept) && !is_reply(root))) {
            *kept = root;
        }
    }
    // (5)(C)
    let mut left = Vec::with_capacity(roots.len());
    let mut merged = vec![false; tree.parents.len()];
    // What a dummy's children are is needed when two dummies become one: each list moves at most
    // once, as the dummy in the table never is the current one.
    let mut of_dummy = children_of_dummies(tree, messages);
    for root in roots {
        let subject = subject_of(tree, root);
        let kept = match table.get_mut(subject) {
            Some(kept) if *kept != root && !merged[root as usize] => kept,
            _ => {
                if !merged[root as usize] {
                    left.push(root);
                }
                continue;
            }
        };
        merged[root as usize] = true;
        match (is_dummy(*kept), is_dummy(root)) {
            (true, true) => {
                for child in of_dummy.remove(&root).unwrap_or_default() {
                    tree.adopt(*kept, child, facts);
                }
            }
            (true, false) => tree.adopt(*kept, root, facts),
            (false, _) if is_reply(root) && !is_reply(*kept) => {
                tree.parents[root as usize] = *kept;
            }
            (false, _) => {
                let dummy = tree.add_dummy();
                merged[*kept as usize] = true;
                merged.push(false);
                tree.adopt(dummy, *kept, facts);
                tree.adopt(dummy, root, facts);
                left.push(dummy);
                *kept = dummy;
            }
        }
    }
    left.retain(|&root| !merged[root as usize]);
    tree.roots = left;
}

fn children_of_dummies(tree: &Tree, messages: usize) -> HashMap<u32, Vec<u32>> {
    let mut found: HashMap<u32, Vec<u32>> = HashMap::new();
    for (message, &parent) in (0..).zip(&tree.parents[..messages]) {
        if parent as usize >= messages && parent != u32::MAX {
            found.entry(parent).or_default().push(message);
        }
    }
    found
}
