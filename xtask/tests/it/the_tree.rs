//! This very tree.

use xtask::tidy;
use xtask::tree::Tree;

#[test]
fn the_tree_is_tidy() {
    let findings = tidy::check(&Tree::of_directory(&xtask::root()).unwrap());
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn the_tree_is_all_there() {
    let tree = Tree::of_directory(&xtask::root()).unwrap();
    assert!(tree.crates().contains(&"mail-types"));
    assert!(tree.crates().contains(&"config"));
    assert_eq!(tree.text(tidy::SETTINGS_PAGE), Some(config::reference_page().as_str()));
    assert!(tree.has("xtask/src/tidy") && tree.has("test") && !tree.has("xtask/src/tid"));
}
