//! Planting bugs, in a small workspace of its own.

use std::path::Path;
use std::process::Command;

use xtask::planted::{Garden, Outcome, Planted};
use xtask::tree::Tree;

const LIB: &str = "//! Small.\n\n/// One more.\npub fn next(x: u8) -> u8 {\n    x + 1\n}\n";
const TEST: &str = "#[test]\nfn grows() {\n    assert_eq!(small::next(1), 2);\n}\n";

fn patch(new: &str) -> String {
    format!(
        "# red: small grows\n--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -3,4 +3,4 @@\n /// One more.\n \
         pub fn next(x: u8) -> u8 {{\n-    x + 1\n+    {new}\n }}\n"
    )
}

fn workspace(root: &Path) {
    let files = [
        (
            "Cargo.toml",
            "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n",
        ),
        ("src/lib.rs", LIB),
        ("tests/grow.rs", TEST),
        (".gitignore", "/target\nCargo.lock\n"),
    ];
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let status = Command::new("git").current_dir(root).args(["init", "--quiet"]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_seen_bug_is_red_an_unseen_one_green_and_a_stale_patch_neither() {
    let root = std::env::temp_dir().join(format!("planted-{}", std::process::id()));
    workspace(&root);
    let tree = Tree::of_directory(&root).unwrap();
    let garden = Garden::lay_out(&root, &tree, &root.join("target")).unwrap();
    let outcome =
        |name: &str, patch: &str| garden.try_out(&Planted::parse(name, patch).unwrap()).unwrap().0;
    assert_eq!(outcome("seen", &patch("x + 2")), Outcome::Red);
    assert_eq!(outcome("unseen", &patch("1 + x")), Outcome::Green);
    assert_eq!(outcome("broken", &patch("\"x\"")), Outcome::DoesNotCompile);
    assert_eq!(
        outcome("stale", &patch("x + 2").replace("-    x + 1", "-    x + 9")),
        Outcome::DoesNotApply
    );
    let filtered_away = patch("x + 2").replace("small grows", "small shrinks");
    assert_eq!(outcome("no-test", &filtered_away), Outcome::Green);
    // Each was taken out again, and the real tree never touched.
    assert_eq!(outcome("seen-again", &patch("x + 3")), Outcome::Red);
    assert_eq!(std::fs::read_to_string(root.join("src/lib.rs")).unwrap(), LIB);
    std::fs::remove_dir_all(&root).unwrap();
}

#[test]
fn a_patch_names_its_test() {
    let planted = Planted::parse("no-sync", "# red: journal power_cut\n--- a\n").unwrap();
    assert_eq!((planted.package.as_str(), planted.filter.as_str()), ("journal", "power_cut"));
    for first in ["", "--- a", "# red:", "# red: journal", "# red: a b c"] {
        let error = Planted::parse("no-sync", first).unwrap_err().to_string();
        assert!(error.contains("planted/no-sync.patch: write `# red: PACKAGE FILTER`"), "{error}");
    }
}
