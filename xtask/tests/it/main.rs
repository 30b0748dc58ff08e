//! Tests of `xtask`: the tree is tidy, and each rule is seen to find what it is for.
#![allow(clippy::unwrap_used)]

mod calls;
mod chores;
mod layers;
mod leftovers;
mod licences;
mod planted;
mod rfcs;
mod sizes;
mod source;
mod the_tree;

use xtask::tidy;
use xtask::tree::Tree;

/// The findings in a tree of these files, as `rule path:line item`.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    found_in(&Tree::of(files))
}

fn found_in(tree: &Tree) -> Vec<String> {
    let findings = tidy::check(tree).into_iter();
    findings
        .map(|each| format!("{} {}:{} {}", each.rule, each.path, each.line, each.item))
        .collect()
}

/// A manifest with these dependencies that breaks no rule by itself.
fn manifest(dependencies: &str) -> String {
    format!("[lints]\nworkspace = true\n[dependencies]\n{dependencies}")
}
