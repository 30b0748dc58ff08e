//! What the chores take on the command line.

use xtask::fuzz::{Plan, targets};

#[test]
fn fuzz_takes_a_target_and_seconds() {
    let plan = |words: &[&str]| Plan::parse(words).map(|plan| (plan.target, plan.seconds)).ok();
    assert_eq!(plan(&[]), Some((None, 60)));
    assert_eq!(plan(&["addresses"]), Some((Some("addresses".to_owned()), 60)));
    assert_eq!(plan(&["--seconds", "5", "addresses"]), Some((Some("addresses".to_owned()), 5)));
    for wrong in [&["--seconds"][..], &["--seconds", "0"], &["a", "b"], &["--fast"]] {
        assert_eq!(plan(wrong), None, "{wrong:?}");
    }
}

#[test]
fn every_listed_fuzz_target_has_its_file_and_its_corpus() {
    let root = xtask::root();
    let manifest = std::fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    let listed = targets(&manifest).unwrap();
    assert!(!listed.is_empty());
    for target in listed {
        let file = root.join("fuzz/fuzz_targets").join(format!("{target}.rs"));
        assert!(file.is_file(), "fuzz/fuzz_targets/{target}.rs is missing");
        assert!(root.join("fuzz/corpus").join(&target).is_dir(), "{target} has no corpus");
    }
}
