//! rfc/index.tsv: each RFC that the code cites, how far it is kept, where, and what tests it.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use crate::tree::Tree;

/// Where RFCs are listed. Columns: number, title, status, where, tests.
pub const INDEX: &str = "rfc/index.tsv";

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let mut found = |line: usize, item: &str, what: String| {
        let (path, item) = (INDEX.to_owned(), item.to_owned());
        findings.push(Finding { rule: "rfc-index", path, line, item, what });
    };
    let mut rows = BTreeSet::new();
    for (index, line) in tree.text(INDEX).unwrap_or_default().lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let columns: Vec<&str> = line.split('\t').collect();
        let [number, title, status, places, tests] = columns.as_slice() else {
            found(index + 1, "-", "write number, title, status, where, tests".to_owned());
            continue;
        };
        if number.parse::<u32>().is_err() || title.is_empty() || !rows.insert(*number) {
            found(index + 1, number, "one row for each RFC: number and title".to_owned());
        }
        if let Some(what) = wrong_status(status, places) {
            found(index + 1, number, what.to_owned());
        }
        let files = places.split_whitespace().chain(tests.split_whitespace());
        for file in files.filter(|file| *file != "-" && !tree.has(file)) {
            found(index + 1, number, format!("there is no {file}"));
        }
    }
    for (number, files) in cited(tree) {
        if !rows.contains(number.as_str()) {
            let files = files.into_iter().next().unwrap_or_default();
            found(0, &number, format!("cited in {files} and not listed; add a row"));
        }
    }
}

/// The status is `yes`, `partly: why` or `no: why`; what is kept at all stands somewhere.
fn wrong_status(status: &str, places: &str) -> Option<&'static str> {
    let has_why = |rest: &str| rest.strip_prefix(": ").is_some_and(|why| !why.trim().is_empty());
    let partly = status.strip_prefix("partly").is_some_and(has_why);
    let no = status.strip_prefix("no").is_some_and(has_why);
    if status != "yes" && !partly && !no {
        return Some("the status is `yes`, `partly: why` or `no: why`");
    }
    (!no && places.trim_matches('-').is_empty()).then_some("say where it is kept")
}

/// Each RFC that Rust code cites, with the files that do.
#[must_use]
pub fn cited(tree: &Tree) -> BTreeMap<String, BTreeSet<&str>> {
    let mut all: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let code = tree.texts().filter(|(path, _)| path.ends_with(".rs"));
    // The rules' own tests cite RFCs that nobody keeps.
    for (path, text) in code.filter(|(path, _)| !path.starts_with("xtask/")) {
        for (at, mark) in text.match_indices("RFC") {
            let rest = text.get(at + mark.len()..).unwrap_or_default();
            let rest = rest.trim_start_matches([' ', '-']);
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            if (3..=5).contains(&number.len()) {
                all.entry(number).or_default().insert(path);
            }
        }
    }
    all
}
