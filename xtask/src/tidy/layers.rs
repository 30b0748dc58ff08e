//! Imports go downward only (design: the house).

use super::Finding;
use crate::tree::Tree;

/// Every crate the house knows, with its layer. `peers` and `drill` judge the product from outside
/// and are never part of it.
const LAYERS: &[(&str, u8)] = &[
    ("mail-types", 0),
    ("config", 0),
    ("message", 1),
    ("interchange", 1),
    ("mailbox", 1),
    ("sasl", 1),
    ("smtp-machine", 1),
    ("imap-machine", 1),
    ("pop3-machine", 1),
    ("sieve", 1),
    ("sender-auth", 1),
    ("tls-report", 1),
    ("attachment-text", 1),
    ("transparency", 1),
    ("judge", 2),
    ("guard", 2),
    ("route", 2),
    ("journal", 3),
    ("extract", 3),
    ("ledger", 3),
    ("backup", 3),
    ("store", 3),
    ("archive-search", 3),
    ("sign-in", 3),
    ("net", 4),
    ("smtp", 4),
    ("deliver", 4),
    ("imap", 4),
    ("pop3", 4),
    ("managesieve", 4),
    ("lane", 4),
    ("geodns", 4),
    ("watch", 4),
    ("web", 4),
    ("standby", 4),
    ("peers", 4),
    ("drill", 5),
    ("restante", 5),
];

/// What a crate may import of its own layer: shared ground below the others.
const BESIDE: &[(&str, &str)] = &[
    ("config", "mail-types"),
    ("smtp-machine", "sasl"),
    ("imap-machine", "sasl"),
    ("imap-machine", "message"),
    ("imap-machine", "mailbox"),
    ("sender-auth", "message"),
    ("tls-report", "message"),
    ("tls-report", "sender-auth"),
    ("interchange", "message"),
    ("pop3-machine", "sasl"),
    ("pop3-machine", "mailbox"),
    ("store", "journal"),
    ("store", "extract"),
    ("attachment-text", "message"),
    ("archive-search", "store"),
    ("store", "ledger"),
    ("ledger", "journal"),
    ("backup", "journal"),
    ("sign-in", "store"),
    ("smtp", "net"),
    ("deliver", "net"),
    ("imap", "net"),
    ("pop3", "net"),
    ("managesieve", "net"),
    ("lane", "net"),
    ("geodns", "net"),
    ("watch", "net"),
    ("web", "net"),
    ("standby", "net"),
    ("restante", "drill"),
];

/// Layers that a layer may not import although it is below (durable state holds no decisions).
const NOT_BELOW: &[(u8, u8)] = &[(3, 2)];

/// Crates for tests alone: no product crate depends on them outside `dev-dependencies`.
const TEST_ONLY: &[&str] = &["peers"];

/// Crates from outside that do what a layer may not, with the layers that may not have them.
const FOREIGN: &[(&str, u8)] = &[
    ("tokio", 3),
    ("tokio-rustls", 3),
    ("hickory-resolver", 3),
    ("socket2", 3),
    ("rand", 2),
    ("getrandom", 2),
    ("tracing", 2),
    ("log", 2),
    ("rusqlite", 2),
    ("rustix", 2),
    ("libc", 2),
];

/// Names that say nothing of what is inside.
const NAMELESS: &[&str] = &["common", "util", "utils", "core", "helper", "helpers", "misc"];

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let crates = tree.crates();
    for name in &crates {
        let path = format!("crates/{name}/Cargo.toml");
        let mut found = |item: &str, what: String| {
            let (item, path) = (item.to_owned(), path.clone());
            findings.push(Finding { rule: "layers", path, line: 0, item, what });
        };
        if NAMELESS.iter().any(|bad| name.split('-').any(|part| part == *bad)) {
            found(name, "no such crate name; name it for what is in it".to_owned());
        }
        let Some(layer) = layer_of(name) else {
            found(name, "is in no layer; give it one in xtask/src/tidy/layers.rs".to_owned());
            continue;
        };
        let text = tree.text(&path).unwrap_or_default();
        let Ok(manifest) = text.parse::<toml::Table>() else {
            found(name, "is no TOML".to_owned());
            continue;
        };
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            found("lints", "write [lints] with workspace = true".to_owned());
        }
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        for import in dependencies.into_iter().flat_map(toml::Table::keys) {
            if let Some(what) = wrong_import(name, layer, import) {
                found(import, what);
            }
        }
    }
}

fn layer_of(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

/// Why crate `name` of `layer` may not depend on `import`; `None` where it may.
fn wrong_import(name: &str, layer: u8, import: &str) -> Option<String> {
    if let Some((_, last)) = FOREIGN.iter().find(|(known, _)| *known == import) {
        return (layer <= *last)
            .then(|| format!("L{layer} may not have {import}; take it as an argument"));
    }
    let below = layer_of(import)?;
    if TEST_ONLY.contains(&import) && name != "drill" {
        return Some(format!("{import} is for tests; move it to dev-dependencies"));
    }
    let beside = BESIDE.contains(&(name, import));
    let downward = below < layer && !NOT_BELOW.contains(&(layer, below));
    (!beside && !downward).then(|| {
        format!("L{layer} may not import {import} (L{below}); define a trait and have it supplied")
    })
}

/// The layer of the crate that a file belongs to.
pub(super) fn layer_of_owner(owner: &str) -> Option<u8> {
    layer_of(owner)
}
