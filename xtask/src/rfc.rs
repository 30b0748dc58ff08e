//! Which code and which tests cite each RFC, and that in rfc/index.tsv.

use std::collections::BTreeMap;
use std::path::Path;

use crate::tree::Tree;
use crate::{ChoreError, tidy};

/// More files than these are named by the crates they are in.
const FILES_MAX: usize = 4;

/// Crates that are no part of the product: what they keep to says nothing of it.
const JUDGES: [&str; 2] = ["drill", "peers"];

const HEAD: &str = "\
# RFCs that the code cites. Columns, with tabs between: number, title, status
# (yes | partly: why | no: why), where, tests. `cargo run -p xtask -- rfc --write` fills in the last
# two; title and status are written by hand.
";

/// Files that cite an RFC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Citations<'a> {
    /// In the product.
    pub product: Vec<&'a str>,
    /// In tests, and in the crates that judge the product from outside.
    pub tests: Vec<&'a str>,
}

/// Who cites each RFC, by its number.
#[must_use]
pub fn citations(tree: &Tree) -> BTreeMap<u32, Citations<'_>> {
    let mut all = BTreeMap::new();
    for (number, files) in tidy::cited_rfcs(tree) {
        let (tests, product) = files.into_iter().partition(|file| is_judge(file));
        // Digits alone, five at most.
        all.extend(number.parse().ok().map(|number: u32| (number, Citations { product, tests })));
    }
    all
}

fn is_judge(file: &str) -> bool {
    file.contains("/tests/") || JUDGES.contains(&crate_of(file))
}

/// The index as it should be: titles and statuses as they are, files as the code has it. What is
/// cited and not listed gets a row that `tidy` finds fault with until its status is written; what
/// is listed and not cited stays for a person to judge.
#[must_use]
pub fn index(tree: &Tree) -> String {
    let mut rows: BTreeMap<u32, (String, String)> = BTreeMap::new();
    for line in tree.text(tidy::RFC_INDEX).unwrap_or_default().lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        if let [number, title, status, ..] = columns.as_slice()
            && let Ok(number) = number.parse()
        {
            rows.insert(number, ((*title).to_owned(), (*status).to_owned()));
        }
    }
    let mut cited = citations(tree);
    for number in cited.keys() {
        rows.entry(*number).or_insert_with(|| ("TITLE".to_owned(), "STATUS".to_owned()));
    }
    let mut text = HEAD.to_owned();
    for (number, (title, status)) in rows {
        let by = cited.remove(&number).unwrap_or_default();
        let places = if by.product.is_empty() { &by.tests } else { &by.product };
        let columns = [number.to_string(), title, status, places_of(places), tests_of(tree, &by)];
        text.push_str(&columns.join("\t"));
        text.push('\n');
    }
    text
}

/// Few files by name; of many, the crates that cite most often.
fn places_of(files: &[&str]) -> String {
    if files.len() <= FILES_MAX {
        return joined(files.iter().map(|file| (*file).to_owned()).collect());
    }
    let mut by_crate: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files {
        by_crate.entry(crate_of(file)).or_default().push(file);
    }
    let mut crates: Vec<_> = by_crate.into_iter().collect();
    crates.sort_by_key(|(_, files)| std::cmp::Reverse(files.len()));
    let named = crates.into_iter().take(FILES_MAX).map(|(of, files)| match files.as_slice() {
        [file] => (*file).to_owned(),
        _ => format!("crates/{of}/src"),
    });
    joined(named.collect())
}

/// The tests that cite it, few by name; and those of each crate that cites it only in the product.
fn tests_of(tree: &Tree, by: &Citations<'_>) -> String {
    let own = |file: &&&str| file.contains("/tests/");
    let named: Vec<&str> = by.tests.iter().filter(own).copied().collect();
    let all_of = |file: &&str| format!("crates/{}/tests/it", crate_of(file));
    let mut names: Vec<String> = if named.len() <= FILES_MAX {
        named.iter().map(|file| (*file).to_owned()).collect()
    } else {
        named.iter().map(all_of).collect()
    };
    let has_named = |file: &&&str| named.iter().any(|each| crate_of(each) == crate_of(file));
    names.extend(by.product.iter().filter(|file| !has_named(file)).map(all_of));
    joined(names.into_iter().filter(|tests| tree.has(tests)).collect())
}

fn crate_of(file: &str) -> &str {
    file.split('/').nth(1).unwrap_or_default()
}

fn joined(mut names: Vec<String>) -> String {
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "-".to_owned() } else { names.join(" ") }
}

/// Prints who cites what, or with `--write` fills in the index.
///
/// # Errors
/// Where the tree cannot be read, the index not be written, or another word stands there.
pub fn run(root: &Path, words: &[&str]) -> Result<bool, ChoreError> {
    let tree = Tree::of_directory(root)?;
    match words {
        [] => {
            for (number, by) in citations(&tree) {
                println!("{number}\t{}\t{}", by.product.join(" "), by.tests.join(" "));
            }
        }
        ["--write"] => {
            let path = root.join(tidy::RFC_INDEX);
            std::fs::write(&path, index(&tree)).map_err(|source| ChoreError::File {
                what: "write",
                path: path.display().to_string(),
                source,
            })?;
            println!("wrote {}", tidy::RFC_INDEX);
        }
        other => return Err(ChoreError::Other(format!("rfc takes --write, not {other:?}"))),
    }
    Ok(true)
}
