//! THREAD (RFC 5256 §3): messages put together by their references or their subjects.

mod forest;
mod subjects;

use std::collections::HashMap;

use crate::sort::SortFacts;
use forest::{Forest, NONE};

/// Threads as a list of their nodes, each before those below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Threads {
    /// All threads, one after the other.
    pub nodes: Vec<ThreadNode>,
}

/// A message in a thread, or the place of one that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadNode {
    /// Which of the facts given; `None` for a message that is not there, which has at least two
    /// below it and none above.
    pub message: Option<u32>,
    /// How many are directly below it; they follow, each with those below it.
    pub children: u32,
}

impl Threads {
    /// Appends them as in the THREAD response (RFC 5256 §5 `1*thread-list`): nothing where there
    /// are none. `number` gives the sequence number or UID of a message by its place in the facts.
    pub fn write(&self, out: &mut Vec<u8>, number: impl Fn(usize) -> u32) {
        /// A node whose children are not all written.
        struct Open {
            left: u32,
            is_nested: bool,
            in_brackets: bool,
        }
        let mut open: Vec<Open> = Vec::new();
        for node in &self.nodes {
            let in_brackets = match open.last_mut() {
                Some(above) => {
                    above.left = above.left.saturating_sub(1);
                    above.is_nested
                }
                None => true,
            };
            out.push(if in_brackets { b'(' } else { b' ' });
            let is_nested = node.children > 1;
            if let Some(message) = node.message {
                out.extend_from_slice(number(message as usize).to_string().as_bytes());
                // thread-members: `nz-number *(SP nz-number) [SP thread-nested]`
                if is_nested {
                    out.push(b' ');
                }
            }
            open.push(Open { left: node.children, is_nested, in_brackets });
            while let Some(done) = open.pop_if(|above| above.left == 0) {
                if done.in_brackets {
                    out.push(b')');
                }
            }
        }
    }
}

/// RFC 5256 §3 ORDEREDSUBJECT: messages of the same base subject by their date, the first above all
/// others. The facts are in the order of the mailbox, each with `sent` (the internal date, where
/// the message has no date).
#[must_use]
pub fn thread_ordered_subject(facts: &[SortFacts<&str>]) -> Threads {
    let mut order: Vec<u32> = (0..facts.len() as u32).collect();
    let at = |message: u32| &facts[message as usize];
    order.sort_unstable_by_key(|&message| (at(message).subject, at(message).sent, message));
    let mut threads: Vec<&[u32]> =
        order.chunk_by(|&a, &b| at(a).subject == at(b).subject).collect();
    threads.sort_unstable_by_key(|thread| (at(thread[0]).sent, thread[0]));
    let mut nodes = Vec::with_capacity(facts.len());
    for thread in threads {
        for (place, &message) in thread.iter().enumerate() {
            let children = if place == 0 { thread.len() as u32 - 1 } else { 0 };
            nodes.push(ThreadNode { message: Some(message), children });
        }
    }
    Threads { nodes }
}

/// RFC 5256 §3 REFERENCES, in time that grows little more than the facts do, whatever they say. The
/// facts are in the order of the mailbox, each with `sent` (the internal date, where the message
/// has no date).
#[must_use]
pub fn thread_references(facts: &[SortFacts<&str>]) -> Threads {
    let forest = link(facts);
    let mut tree = Tree::without_dummies(&forest, facts);
    // (4): the threads by their dates.
    tree.sort_roots(facts);
    // (5)
    subjects::gather(&mut tree, facts);
    // (6)
    tree.sort_roots(facts);
    tree.threads(facts)
}

/// RFC 5256 §3 (1): the trees that the references make. Messages come first, by their place;
/// behind them are the messages that are referred to and not there ("dummies").
fn link(facts: &[SortFacts<&str>]) -> Forest {
    let mut forest = Forest::with_capacity(facts.len() + facts.len() / 4);
    let mut of_id: HashMap<&str, u32> = HashMap::with_capacity(facts.len());
    for fact in facts {
        let node = forest.add();
        // Of several messages of one Message-ID only the first has it.
        if let Some(id) = fact.message_id {
            of_id.entry(id).or_insert(node);
        }
    }
    for (message, fact) in (0_u32..).zip(facts) {
        // (1)(A)
        let mut before = NONE;
        for id in fact.reference_lines.split('\n').filter(|id| !id.is_empty()) {
            let node = *of_id.entry(id).or_insert_with(|| forest.add());
            // A message that has a parent already keeps it.
            if before != NONE && forest.parent(node).is_none() {
                forest.link(node, before);
            }
            before = node;
        }
        // (1)(B): what the message itself says counts more than what others say of it.
        if forest.parent(message) != Some(before) {
            forest.cut(message);
            if before != NONE {
                forest.link(message, before);
            }
        }
    }
    forest
}

/// Threads whose dummies are pruned: only a root may be one, and it has two children at least.
struct Tree {
    /// Parent of each message, and of a dummy: `NONE` at the root.
    parents: Vec<u32>,
    roots: Vec<u32>,
    /// The first child by date of each node, where that is known: of dummies always.
    first_child: Vec<u32>,
}

impl Tree {
    /// RFC 5256 §3 (2), (3): deletes dummies and gives their children to the node above. A dummy
    /// at the root stays where it has several children.
    fn without_dummies(forest: &Forest, facts: &[SortFacts<&str>]) -> Self {
        let count = facts.len() as u32;
        let mut parents: Vec<u32> =
            (0..forest.len() as u32).map(|node| forest.parent(node).unwrap_or(NONE)).collect();
        for message in 0..count {
            // The nearest message above, else the uppermost dummy; all dummies passed on the way
            // are shortened to it, so that each is passed once.
            let mut above = parents[message as usize];
            while above != NONE && above >= count && parents[above as usize] != NONE {
                above = parents[above as usize];
            }
            let mut passed = parents[message as usize];
            parents[message as usize] = above;
            while passed != above {
                passed = std::mem::replace(&mut parents[passed as usize], above);
            }
        }
        let mut children = vec![0_u32; parents.len()];
        for &parent in &parents[..facts.len()] {
            if parent != NONE {
                children[parent as usize] += 1;
            }
        }
        let mut tree = Self { parents, roots: Vec::new(), first_child: Vec::new() };
        tree.first_child = vec![NONE; tree.parents.len()];
        for message in 0..count {
            let parent = tree.parents[message as usize];
            if parent != NONE && parent >= count {
                if children[parent as usize] == 1 {
                    tree.parents[message as usize] = NONE;
                } else {
                    tree.adopt(parent, message, facts);
                }
            }
        }
        let is_root = |&node: &u32| match node < count {
            true => tree.parents[node as usize] == NONE,
            false => tree.first_child[node as usize] != NONE,
        };
        let roots = (0..tree.parents.len() as u32).filter(is_root).collect();
        tree.roots = roots;
        tree
    }

    /// Makes `child` one of the children of a dummy.
    fn adopt(&mut self, dummy: u32, child: u32, facts: &[SortFacts<&str>]) {
        self.parents[child as usize] = dummy;
        let first = &mut self.first_child[dummy as usize];
        if *first == NONE || date(facts, child) < date(facts, *first) {
            *first = child;
        }
    }

    /// A dummy at the root.
    fn add_dummy(&mut self) -> u32 {
        self.parents.push(NONE);
        self.first_child.push(NONE);
        self.parents.len() as u32 - 1
    }

    /// The message that stands for a root: itself, or the first child of a dummy.
    fn message_of(&self, root: u32, facts: &[SortFacts<&str>]) -> u32 {
        if (root as usize) < facts.len() { root } else { self.first_child[root as usize] }
    }

    fn sort_roots(&mut self, facts: &[SortFacts<&str>]) {
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_unstable_by_key(|&root| date(facts, self.message_of(root, facts)));
        self.roots = roots;
    }

    /// RFC 5256 §3 (6): all siblings by their dates, from the top down in one list.
    fn threads(&self, facts: &[SortFacts<&str>]) -> Threads {
        let mut order: Vec<u32> = (0..facts.len() as u32).collect();
        order.sort_unstable_by_key(|&message| date(facts, message));
        // The children of all nodes in one list, those of a node together: where they begin.
        let mut begins = vec![0_u32; self.parents.len() + 1];
        for &parent in &self.parents[..facts.len()] {
            if parent != NONE {
                begins[parent as usize + 1] += 1;
            }
        }
        for node in 1..begins.len() {
            begins[node] += begins[node - 1];
        }
        let mut children = vec![NONE; begins.last().map_or(0, |&end| end as usize)];
        let mut next = begins.clone();
        for message in order {
            let parent = self.parents[message as usize];
            if parent != NONE {
                let place = &mut next[parent as usize];
                children[*place as usize] = message;
                *place += 1;
            }
        }
        let mut nodes = Vec::with_capacity(facts.len());
        let mut todo: Vec<u32> = self.roots.iter().rev().copied().collect();
        while let Some(node) = todo.pop() {
            let own = &children[begins[node as usize] as usize..begins[node as usize + 1] as usize];
            let message = ((node as usize) < facts.len()).then_some(node);
            nodes.push(ThreadNode { message, children: own.len() as u32 });
            todo.extend(own.iter().rev());
        }
        Threads { nodes }
    }
}

/// RFC 5256 §3: by sent date; messages of one moment in the order of the mailbox.
fn date(facts: &[SortFacts<&str>], message: u32) -> (Option<i64>, u32) {
    (facts[message as usize].sent, message)
}
