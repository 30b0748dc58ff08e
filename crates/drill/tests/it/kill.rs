//! The kill drill on a small server of another make: clean when it is right, and red for each
//! planted fault. (The real one is drilled in crates/restante/tests.)

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use drill::kill::{KillArgs, KillReport, run};

fn drill_toy(bug: &str) -> KillReport {
    let directory = tempfile::tempdir().unwrap();
    let args = KillArgs {
        count: 4,
        seed: Some(1),
        connections: 8,
        // The toy answers no other FETCH than the one that losses are found by.
        read: 0,
        binary: Some(toy(directory.path(), bug)),
        directory: Some(directory.path().to_owned()),
        keep: false,
        json: false,
    };
    run(&args).unwrap()
}

/// A program of its own for each fault, since the drill gives its server no environment.
fn toy(directory: &Path, bug: &str) -> PathBuf {
    let path = directory.join("toy");
    let toy = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/toy/toy.py");
    let text = format!("#!/bin/sh\nTOY_BUG={bug} exec python3 \"{}\" \"$@\"\n", toy.display());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_right_server_is_clean() {
    let report = drill_toy("");
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!(report.kills, 4);
}

#[test]
fn an_answer_before_the_write_is_found_as_loss() {
    assert!(drill_toy("early").verdict.lost > 0);
}

#[test]
fn a_second_delivery_is_found() {
    assert!(drill_toy("double").verdict.doubled > 0);
}

#[test]
fn what_verify_finds_is_passed_on() {
    let report = drill_toy("verify");
    assert!(!report.verified && !report.is_clean());
}
