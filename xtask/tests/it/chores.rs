//! What the chores take on the command line.

use xtask::fuzz::Plan;

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
