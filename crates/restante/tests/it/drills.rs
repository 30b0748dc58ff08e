//! The drills themselves, short; `restante drill --help` has the long ones.

use std::process::Command;

use crate::harness::{RESTANTE, tool, tool_output, words};

#[test]
fn nothing_is_lost_over_a_hundred_kills() {
    tool(Command::new(RESTANTE).args(["drill", "kill", "--count", "100", "--connections", "8"]));
}

/// Seeded, so that a bug found once is found again; without `--seed` it goes other ways each time.
#[test]
fn sessions_agree_over_stops_and_kills() {
    for seed in ["1", "2"] {
        let drill = ["drill", "sessions", "--seed", seed, "--rounds", "4", "--steps", "60"];
        tool(Command::new(RESTANTE).args(drill));
    }
}

/// `--sessions 5000` is for a quiet machine.
#[test]
fn three_hundred_sessions_see_one_truth() {
    let mut drill = Command::new(RESTANTE);
    drill.args(["drill", "sessions", "--sessions", "300", "--rounds", "1", "--steps", "40"]);
    tool(drill.args(["--seed", "4"]));
}

/// Above a hundred thousand, what has vanished is worked out from what is left.
#[test]
fn who_was_away_is_told_what_has_vanished() {
    for messages in ["30000", "120000"] {
        tool(Command::new(RESTANTE).args(["drill", "expunged", "--messages", messages]));
    }
}

#[test]
fn nothing_is_lost_in_power_cuts_on_ext4_and_xfs() {
    tool(Command::new(RESTANTE).args(["drill", "powercut", "--count", "2"]));
}

/// The drill must be able to fail: without syncs, a cut loses mail.
#[test]
fn a_server_whose_syncs_do_nothing_loses_mail_in_a_power_cut() {
    let mut drill = Command::new(RESTANTE);
    drill.args(["drill", "powercut", "--count", "1", "--fs", "ext4", "--control", "eatmydata"]);
    let output = tool_output(&mut drill);
    assert!(output.status.success(), "{}", words(&output));
}

/// Ten thousand of them take a quarter of an hour.
#[test]
fn random_flipped_bits_of_journal_and_index_are_found() {
    tool(Command::new(RESTANTE).args(["drill", "flips", "--flips", "100", "--seed", "7"]));
}
