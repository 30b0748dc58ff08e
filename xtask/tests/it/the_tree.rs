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

/// An unpacked archive has no git; the rules hold for it as well.
#[test]
fn a_tree_without_git_is_read_too() {
    let root = std::env::temp_dir().join(format!("no-git-{}", std::process::id()));
    for path in ["src/deep/a.rs", "target/debug/b.rs", "fuzz/target/c.rs", "Cargo.toml"] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let tree = Tree::of_directory(&root).unwrap();
    let paths: Vec<_> = tree.files().map(|(path, _)| path).collect();
    assert_eq!(paths, ["Cargo.toml", "src/deep/a.rs"]);
    std::fs::remove_dir_all(&root).unwrap();
}
