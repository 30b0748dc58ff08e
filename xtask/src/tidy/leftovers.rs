//! What is left lying about: ignored tests, notes to self, swallowed results, sleeps, names that
//! say nothing, paths of one machine.

use super::{Finding, RustFile};
use crate::tree::Tree;

/// File names that say nothing of what is inside.
const NAMELESS: &[&str] =
    &["common", "util", "utils", "core", "helper", "helpers", "misc", "manager", "handler"];

/// Where this rule's own words stand.
const OWN_WORDS: &str = "xtask/";

pub(super) fn check(tree: &Tree, files: &[RustFile<'_>], findings: &mut Vec<Finding>) {
    for file in files {
        in_code(file, findings);
        notes_to_self(file, findings);
        sleeps(file, findings);
        crate_docs(file, findings);
        let stem = file.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs"));
        if let Some(stem) = stem.filter(|stem| NAMELESS.contains(stem)) {
            let what = "no such file name; name it for what is in it".to_owned();
            findings.push(file.finding("names", 0, stem, what));
        }
    }
    machine_words(tree, findings);
}

/// A crate says first what it does, what it never does, and its RFCs.
fn crate_docs(file: &RustFile<'_>, findings: &mut Vec<Finding>) {
    if file.path.ends_with("src/lib.rs") && !file.text.starts_with("//!") {
        let what = "begin with what the crate does, never does, and its RFCs".to_owned();
        findings.push(file.finding("crate-docs", 1, "-", what));
    }
}

fn in_code(file: &RustFile<'_>, findings: &mut Vec<Finding>) {
    let rules: [(&str, &str, &str); 4] = [
        ("ignored-tests", "#[ignore", "a test that does not run is no test"),
        ("notes-to-self", "todo!", "finish it"),
        ("notes-to-self", "unimplemented!", "finish it"),
        ("swallowed", "let _ =", "handle the result, or say with drop() why it has none"),
    ];
    for (rule, token, what) in rules {
        for at in file.source.find(token) {
            let line = file.source.line_of(at);
            findings.push(file.finding(rule, line, token, what.to_owned()));
        }
    }
}

fn notes_to_self(file: &RustFile<'_>, findings: &mut Vec<Finding>) {
    if file.path.starts_with(OWN_WORDS) {
        return;
    }
    for (index, line) in file.text.lines().enumerate() {
        let words = line.split(|c: char| !c.is_alphanumeric());
        for word in words.filter(|word| matches!(*word, "TODO" | "FIXME" | "XXX")) {
            let what = "do it now, or write an issue".to_owned();
            findings.push(file.finding("notes-to-self", index + 1, word, what));
        }
    }
}

/// A sleeping test is slow where it passes and wrong where it fails. A pause between two looks at
/// a state is none, where the function has a deadline.
fn sleeps(file: &RustFile<'_>, findings: &mut Vec<Finding>) {
    for token in ["sleep", "sleep_ms"] {
        for at in file.source.find(token) {
            let is_call = file.source.code.get(at + token.len()..).unwrap_or_default();
            let in_test = file.is_test || file.source.is_test(at);
            let line = file.source.line_of(at);
            if in_test && is_call.starts_with('(') && !looks_until_a_deadline(file, line) {
                let what = "wait for a state with a deadline, or move a virtual clock".to_owned();
                findings.push(file.finding("sleeps", line, token, what));
            }
        }
    }
}

/// Whether the innermost function around a line names a deadline.
fn looks_until_a_deadline(file: &RustFile<'_>, line: usize) -> bool {
    let functions = file.source.functions().into_iter();
    let around = functions.filter(|each| (each.line..each.line + each.lines).contains(&line));
    around.min_by_key(|each| each.lines).is_some_and(|function| {
        let code = file.source.code.lines().skip(function.line - 1).take(function.lines);
        code.flat_map(str::split_whitespace).any(|word| word.contains("deadline"))
    })
}

/// Words that belong to one machine or its people, in pieces so that this file has none itself.
fn machine_word(line: &str) -> Option<String> {
    let words = [
        ["/wo", "rk/"],
        ["/ro", "ot/."],
        ["clau", "de"],
        ["anthro", "pic"],
        ["chat", "gpt"],
        ["language ", "model"],
        ["ai ", "assistant"],
    ];
    let lower = line.to_lowercase();
    words.into_iter().map(|pieces| pieces.concat()).find(|word| lower.contains(word.as_str()))
}

/// The one place that locked crates come from, as every machine names it.
const INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn machine_words(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in tree.texts() {
        for (index, line) in text.lines().enumerate() {
            let foreign = path.ends_with("Cargo.lock")
                && (line.contains("registry+") || line.contains("sparse+"))
                && !line.contains(INDEX);
            let word = machine_word(line).or(foreign.then(|| "registry".to_owned()));
            if let Some(word) = word {
                findings.push(Finding {
                    rule: "machine-words",
                    path: path.to_owned(),
                    line: index + 1,
                    item: word,
                    what: "belongs to one machine or its people; leave it out".to_owned(),
                });
            }
        }
    }
}
