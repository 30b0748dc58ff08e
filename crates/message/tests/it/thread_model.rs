//! RFC 5256 §3 word for word, slowly, beside the fast algorithm.

use std::collections::HashMap;

use message::{SortFacts, thread_references};
use proptest::prelude::*;

#[derive(Clone, Default)]
struct Node {
    parent: Option<usize>,
    children: Vec<usize>,
}

struct Model<'a> {
    facts: &'a [SortFacts],
    nodes: Vec<Node>,
    root: Vec<usize>,
}

impl Model<'_> {
    fn is_dummy(&self, node: usize) -> bool {
        node >= self.facts.len()
    }

    fn link(&mut self, child: usize, parent: usize) {
        let mut above = Some(parent);
        while let Some(at) = above {
            if at == child {
                return;
            }
            above = self.nodes[at].parent;
        }
        self.nodes[child].parent = Some(parent);
        self.nodes[parent].children.push(child);
    }

    fn cut(&mut self, child: usize) {
        if let Some(parent) = self.nodes[child].parent.take() {
            self.nodes[parent].children.retain(|&other| other != child);
        }
    }

    /// (1)
    fn link_all(&mut self) {
        let mut ids: HashMap<String, usize> = HashMap::new();
        for (at, fact) in self.facts.iter().enumerate() {
            if let Some(id) = &fact.message_id {
                ids.entry(id.to_string()).or_insert(at);
            }
        }
        for (at, fact) in self.facts.iter().enumerate() {
            let mut last = None;
            for id in fact.references() {
                let node = *ids.entry(id.to_owned()).or_insert_with(|| {
                    self.nodes.push(Node::default());
                    self.nodes.len() - 1
                });
                if let (Some(last), None) = (last, self.nodes[node].parent) {
                    self.link(node, last);
                }
                last = Some(node);
            }
            if self.nodes[at].parent != last {
                self.cut(at);
                if let Some(last) = last {
                    self.link(at, last);
                }
            }
        }
    }

    /// (3), for the children of one node.
    fn prune(
        &self,
        siblings: &[usize],
        at_root: bool,
        out: &mut Vec<(usize, Vec<usize>)>,
    ) -> Vec<usize> {
        let mut kept = Vec::new();
        for &node in siblings {
            let children = self.prune(&self.nodes[node].children, false, out);
            if !self.is_dummy(node) || (at_root && children.len() > 1) {
                out.push((node, children));
                kept.push(node);
            } else {
                kept.extend(children);
            }
        }
        kept
    }

    fn key(&self, node: usize) -> (Option<i64>, usize) {
        match self.is_dummy(node) {
            true => self.nodes[node].children.iter().map(|&child| self.key(child)).min().unwrap(),
            false => (self.facts[node].sent, node),
        }
    }

    fn first(&self, node: usize) -> &SortFacts {
        &self.facts[self.key(node).1]
    }

    fn sort_root(&mut self) {
        let mut root = std::mem::take(&mut self.root);
        root.sort_by_key(|&node| self.key(node));
        self.root = root;
    }

    /// (5)
    fn gather(&mut self) {
        let is_reply = |model: &Self, node: usize| {
            !model.is_dummy(node) && model.facts[node].subject_is_reply_or_forward
        };
        let mut table: HashMap<String, usize> = HashMap::new();
        for &node in &self.root {
            let subject = self.first(node).subject.to_string();
            if subject.is_empty() {
                continue;
            }
            match table.get(&subject) {
                None => {
                    table.insert(subject, node);
                }
                Some(&kept) if !self.is_dummy(kept) => {
                    if self.is_dummy(node) || (is_reply(self, kept) && !is_reply(self, node)) {
                        table.insert(subject, node);
                    }
                }
                Some(_) => {}
            }
        }
        for node in self.root.clone() {
            if !self.root.contains(&node) {
                continue;
            }
            let subject = self.first(node).subject.to_string();
            let Some(&kept) = table.get(&subject).filter(|&&kept| kept != node) else { continue };
            self.root.retain(|&other| other != node);
            match (self.is_dummy(kept), self.is_dummy(node)) {
                (true, true) => {
                    let children = std::mem::take(&mut self.nodes[node].children);
                    self.nodes[kept].children.extend(children);
                }
                (true, false) => self.nodes[kept].children.push(node),
                (false, _) if is_reply(self, node) && !is_reply(self, kept) => {
                    self.nodes[kept].children.push(node);
                }
                (false, _) => {
                    self.nodes.push(Node { parent: None, children: vec![kept, node] });
                    let dummy = self.nodes.len() - 1;
                    self.root.retain(|&other| other != kept);
                    self.root.push(dummy);
                    table.insert(subject, dummy);
                }
            }
        }
    }

    /// (6), written.
    fn write(&self, siblings: &[usize], out: &mut String) {
        let mut sorted = siblings.to_vec();
        sorted.sort_by_key(|&node| self.key(node));
        for &node in &sorted {
            let own = if self.is_dummy(node) { String::new() } else { (node + 1).to_string() };
            let mut inside = String::new();
            self.write(&self.nodes[node].children, &mut inside);
            if self.nodes[node].children.len() == 1 {
                inside = inside[1..inside.len() - 1].to_owned();
            }
            let space = if own.is_empty() || inside.is_empty() { "" } else { " " };
            out.push_str(&format!("({own}{space}{inside})"));
        }
    }
}

fn model(facts: &[SortFacts]) -> String {
    let mut model = Model { facts, nodes: vec![Node::default(); facts.len()], root: Vec::new() };
    model.link_all();
    // (2)
    let tops: Vec<usize> =
        (0..model.nodes.len()).filter(|&node| model.nodes[node].parent.is_none()).collect();
    let mut pruned = Vec::new();
    model.root = model.prune(&tops, true, &mut pruned);
    for (node, children) in pruned {
        model.nodes[node].children = children;
    }
    model.sort_root();
    model.gather();
    let mut out = String::new();
    model.write(&model.root, &mut out);
    out
}

fn fact() -> impl Strategy<Value = SortFacts> {
    let id = prop::option::weighted(0.9, 0..12_u8);
    let references = prop::collection::vec(0..16_u8, 0..5);
    (id, references, 0..6_i64, 0..5_u8, any::<bool>()).prop_map(
        |(id, references, sent, subject, subject_is_reply_or_forward)| {
            let ids: Vec<_> = references.iter().map(u8::to_string).collect();
            SortFacts {
                sent: Some(sent),
                subject: if subject == 0 { "".into() } else { subject.to_string().into() },
                subject_is_reply_or_forward,
                message_id: id.map(|id| id.to_string().into()),
                reference_lines: ids.join("\n").into(),
                ..SortFacts::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5000) })]

    #[test]
    fn threads_are_as_the_rfc_says(facts in prop::collection::vec(fact(), 0..16)) {
        let borrowed: Vec<_> = facts.iter().map(SortFacts::by_ref).collect();
        let mut out = Vec::new();
        thread_references(&borrowed).write(&mut out, |at| at as u32 + 1);
        prop_assert_eq!(String::from_utf8(out).unwrap(), model(&facts));
    }
}
