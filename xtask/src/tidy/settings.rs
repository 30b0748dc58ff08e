//! docs/settings.md says what the code does, and every setting is read by somebody.

use super::{Finding, RustFile};
use crate::tree::Tree;

/// The reference page.
pub const PAGE: &str = "docs/settings.md";

/// Where settings come into force.
const WIRING: &str = "crates/restante/src/main.rs";

pub(super) fn check(tree: &Tree, files: &[RustFile<'_>], findings: &mut Vec<Finding>) {
    let mut found = |path: &str, item: &str, what: &str| {
        let (path, item, what) = (path.to_owned(), item.to_owned(), what.to_owned());
        findings.push(Finding { rule: "settings", path, line: 0, item, what });
    };
    if tree.text(PAGE).is_some_and(|page| page != config::reference_page()) {
        found(PAGE, "-", "is not what crates/config says; run cargo run -p xtask -- settings");
    }
    if !files.iter().any(|file| file.path == WIRING) {
        return;
    }
    for setting in config::Config::settings() {
        let reads = |file: &&RustFile<'_>| {
            let from_outside = file.owner != "config" && file.owner != "xtask";
            from_outside && !file.product_lines(&format!(".{}", setting.name)).is_empty()
        };
        // Listeners are read through `Config::listeners`.
        if setting.section != "listen" && !files.iter().any(|file| reads(&file)) {
            let item = format!("{}.{}", setting.section, setting.name);
            found("crates/config/src/settings.rs", &item, "nobody reads it; use it or drop it");
        }
    }
}
