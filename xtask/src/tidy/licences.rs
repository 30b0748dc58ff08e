//! Every crate that is built has a licence that deny.toml allows. `cargo deny` checks more; this
//! needs nothing but cargo.

use std::path::Path;
use std::process::Command;

use super::Finding;
use crate::ChoreError;

/// Where allowed licences are listed.
const DENY: &str = "deny.toml";
/// Brackets within one another in one licence.
const DEPTH_MAX: usize = 16;

/// Asks cargo for all crates of the platforms in deny.toml.
///
/// # Errors
/// Where cargo cannot be asked, or deny.toml not be read.
pub fn of_directory(root: &Path) -> Result<Vec<Finding>, ChoreError> {
    let path = root.join(DENY);
    let deny = std::fs::read_to_string(&path).map_err(|source| ChoreError::File {
        what: "read",
        path: path.display().to_string(),
        source,
    })?;
    let table = table(&deny)?;
    let platforms = strings(&table, "graph", "targets");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["metadata", "--locked", "--format-version", "1"]);
    cargo.args(platforms.iter().flat_map(|platform| ["--filter-platform", platform]));
    let output = cargo.output().map_err(|source| ChoreError::Program {
        program: "cargo metadata".to_owned(),
        mend: "install Rust from https://rustup.rs".to_owned(),
        source,
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(ChoreError::Other(format!("cargo metadata: {said}")));
    }
    check(&deny, &String::from_utf8_lossy(&output.stdout))
}

/// What `cargo metadata` lists and deny.toml does not allow.
///
/// # Errors
/// Where one of them is not to be read.
pub fn check(deny: &str, metadata: &str) -> Result<Vec<Finding>, ChoreError> {
    let table = table(deny)?;
    let allowed = strings(&table, "licenses", "allow");
    let metadata: serde_json::Value = serde_json::from_str(metadata)
        .map_err(|error| ChoreError::Other(format!("cargo metadata: {error}")))?;
    let packages = metadata.get("packages").and_then(serde_json::Value::as_array);
    let mut findings = Vec::new();
    for package in packages.into_iter().flatten() {
        let text = |key| package.get(key).and_then(serde_json::Value::as_str);
        let (name, licence) = (text("name").unwrap_or("?"), text("license").unwrap_or("none"));
        let mut allowed = allowed.clone();
        allowed.extend(exceptions(&table, name));
        if !allows(&allowed, licence) {
            findings.push(Finding {
                rule: "licences",
                path: DENY.to_owned(),
                line: 0,
                item: name.to_owned(),
                what: format!("its licence is {licence}; use another crate"),
            });
        }
    }
    Ok(findings)
}

fn table(deny: &str) -> Result<toml::Table, ChoreError> {
    deny.parse().map_err(|error| ChoreError::Other(format!("{DENY}: {error}")))
}

fn strings<'a>(table: &'a toml::Table, section: &str, key: &str) -> Vec<&'a str> {
    let list = table.get(section).and_then(|section| section.get(key));
    let list = list.and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_str).collect()
}

/// What deny.toml allows of one crate alone.
fn exceptions<'a>(table: &'a toml::Table, name: &str) -> Vec<&'a str> {
    let all = table.get("licenses").and_then(|section| section.get("exceptions"));
    let all = all.and_then(toml::Value::as_array).into_iter().flatten();
    all.filter(|one| one.get("crate").and_then(toml::Value::as_str) == Some(name))
        .filter_map(|one| one.get("allow").and_then(toml::Value::as_array))
        .flatten()
        .filter_map(toml::Value::as_str)
        .collect()
}

/// Whether an SPDX expression can be satisfied by allowed licences alone. `/` is how OR was once
/// written.
fn allows(allowed: &[&str], expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(allowed, &mut rest, 0) == Some(true) && rest.is_empty()
}

/// `AND`s with `OR` between; `None` where it is no expression.
fn either(allowed: &[&str], words: &mut &[&str], depth: usize) -> Option<bool> {
    let mut any = both(allowed, words, depth)?;
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        any |= both(allowed, words, depth)?;
    }
    Some(any)
}

fn both(allowed: &[&str], words: &mut &[&str], depth: usize) -> Option<bool> {
    let mut all = one(allowed, words, depth)?;
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        all &= one(allowed, words, depth)?;
    }
    Some(all)
}

fn one(allowed: &[&str], words: &mut &[&str], depth: usize) -> Option<bool> {
    match *words {
        ["(", rest @ ..] if depth < DEPTH_MAX => {
            *words = rest;
            let inner = either(allowed, words, depth + 1)?;
            let [")", rest @ ..] = *words else { return None };
            *words = rest;
            Some(inner)
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            Some(allowed.contains(&format!("{licence} WITH {exception}").as_str()))
        }
        [licence, rest @ ..] if !["(", ")", "AND", "OR"].contains(licence) => {
            *words = rest;
            Some(allowed.contains(licence))
        }
        _ => None,
    }
}
