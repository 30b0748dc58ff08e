//! The house rules, each a function from the tree to findings.
//!
//! An exception stands in xtask/tidy-exceptions.tsv with its reason, one a line: rule, file, item,
//! reason. One that is needed no longer is a finding itself, so the list only gets shorter.

mod calls;
mod layers;
mod leftovers;
pub mod licences;
mod rfcs;
mod settings;
mod sizes;

use std::fmt;

use crate::source::Source;
use crate::tree::Tree;

pub use rfcs::{INDEX as RFC_INDEX, cited as cited_rfcs};
pub use settings::PAGE as SETTINGS_PAGE;

/// Where exceptions stand.
pub const EXCEPTIONS: &str = "xtask/tidy-exceptions.tsv";

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name, as exceptions give it.
    pub rule: &'static str,
    /// The file, from the root.
    pub path: String,
    /// The line, from 1; 0 for a whole file.
    pub line: usize,
    /// What of the file it is, as exceptions give it: a function, a call; `-` for a whole file.
    pub item: String,
    /// What is wrong and how to mend it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, path, line, item, what } = self;
        write!(f, "{path}:{line}: {rule} ({item}): {what}")
    }
}

/// A Rust file with its place in the house.
pub(crate) struct RustFile<'a> {
    pub path: &'a str,
    pub text: &'a str,
    pub source: Source,
    /// The crate it belongs to: the directory under `crates/`, or `xtask`, `fuzz`.
    pub owner: &'a str,
    /// Whether the whole file is a test, bench or fuzz target.
    pub is_test: bool,
}

impl RustFile<'_> {
    /// The lines of non-test code where `token` stands.
    pub(crate) fn product_lines(&self, token: &str) -> Vec<usize> {
        if self.is_test {
            return Vec::new();
        }
        let found = self.source.find(token).into_iter();
        found.filter(|at| !self.source.is_test(*at)).map(|at| self.source.line_of(at)).collect()
    }

    pub(crate) fn finding(
        &self,
        rule: &'static str,
        line: usize,
        item: &str,
        what: String,
    ) -> Finding {
        Finding { rule, path: self.path.to_owned(), line, item: item.to_owned(), what }
    }
}

/// Every breach of every rule that is no exception.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let files = rust_files(tree);
    let mut findings = Vec::new();
    layers::check(tree, &mut findings);
    calls::check(&files, &mut findings);
    sizes::check(&files, &mut findings);
    leftovers::check(tree, &files, &mut findings);
    rfcs::check(tree, &mut findings);
    settings::check(tree, &files, &mut findings);
    without_exceptions(tree, findings)
}

fn rust_files(tree: &Tree) -> Vec<RustFile<'_>> {
    let rust = tree.texts().filter(|(path, _)| path.ends_with(".rs"));
    rust.map(|(path, text)| {
        let mut parts = path.split('/');
        let owner = match parts.next() {
            Some("crates") => parts.next().unwrap_or_default(),
            first => first.unwrap_or_default(),
        };
        let is_test = owner == "fuzz" || path.split('/').any(|part| TEST_PLACES.contains(&part));
        RustFile { path, text, source: Source::new(text), owner, is_test }
    })
    .collect()
}

/// Directories whose files are no product code.
const TEST_PLACES: [&str; 3] = ["tests", "benches", "examples"];

/// Takes out what exceptions name, and adds the exceptions that are wrong or needed no longer.
fn without_exceptions(tree: &Tree, findings: Vec<Finding>) -> Vec<Finding> {
    let mut needed = Vec::new();
    let mut wrong = Vec::new();
    for (index, line) in tree.text(EXCEPTIONS).unwrap_or_default().lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let finding = |item: &str, what: &str| Finding {
            rule: "exceptions",
            path: EXCEPTIONS.to_owned(),
            line: index + 1,
            item: item.to_owned(),
            what: what.to_owned(),
        };
        match line.split('\t').collect::<Vec<_>>().as_slice() {
            [rule, path, item, reason] if !reason.trim().is_empty() => {
                let names = |each: &&Finding| {
                    each.rule == *rule && each.path == *path && each.item == *item
                };
                if findings.iter().any(|each| names(&each)) {
                    needed.push((*rule, *path, *item));
                } else {
                    wrong.push(finding(item, "needed no longer; take the line out"));
                }
            }
            _ => wrong.push(finding("-", "write rule, file, item and reason, with tabs between")),
        }
    }
    let excepted = |each: &Finding| {
        needed.iter().any(|(rule, path, item)| {
            each.rule == *rule && each.path == *path && each.item == *item
        })
    };
    let mut left: Vec<_> = findings.into_iter().filter(|each| !excepted(each)).collect();
    left.extend(wrong);
    left
}
