//! Licences of the crates that are built.

use xtask::tidy::licences;

const DENY: &str = "[licenses]\nallow = [\"MIT\", \"ISC\", \"Apache-2.0 WITH LLVM-exception\"]\n";

#[track_caller]
fn is_allowed(licence: &str) -> bool {
    let metadata = format!(r#"{{"packages":[{{"name":"a","license":"{licence}"}}]}}"#);
    licences::check(DENY, &metadata).unwrap().is_empty()
}

#[test]
fn one_allowed_licence_of_several_is_enough_but_all_of_a_sum_are_needed() {
    for right in [
        "MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 OR MIT",
        "ISC AND MIT",
        "ISC AND (GPL-3.0-only OR MIT)",
        "GPL-3.0-only OR ISC AND MIT",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(right), "{right}");
    }
    for wrong in [
        "GPL-3.0-only",
        "MIT AND AGPL-3.0-only",
        "(MIT OR ISC) AND LGPL-2.1-or-later",
        "Apache-2.0",
        "Apache-2.0 WITH other",
        "MIT OR",
        "(MIT",
        "MIT ISC",
        "",
    ] {
        assert!(!is_allowed(wrong), "{wrong}");
    }
}

#[test]
fn a_crate_without_a_licence_is_named() {
    let metadata = r#"{"packages":[{"name":"a","license":null}]}"#;
    let findings = licences::check(DENY, metadata).unwrap();
    assert_eq!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["deny.toml:0: licences (a): its licence is none; use another crate"]
    );
}
