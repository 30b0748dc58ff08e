//! The console in a real Chromium: what operators do with it, and what others try.

use std::path::Path;

use crate::harness::{ALICE, House};

/// Of every operator of these tests.
const OPERATOR_PASSWORD: &str = "a boat is a hole in water";

/// Runs a script of tests/py in front of a server with the operators ann (who may do everything), max
/// (an auditor) and dan (who looks after example.test).
fn browse(house: &House, script: &str) {
    let password = house.path().join("operator-password");
    std::fs::write(&password, format!("{OPERATOR_PASSWORD}\n")).unwrap();
    let password = password.display().to_string();
    for role in [
        &["ann", "--role", "operator"][..],
        &["max", "--role", "auditor"],
        &["dan", "--role", "domain-admin", "--domain", "example.test"],
    ] {
        house.restante(&[&["operator", "add"], role, &["--password-file", &password]].concat());
    }
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
    let screenshots = screenshots.display().to_string();
    let more = [("OPERATOR_PASSWORD", OPERATOR_PASSWORD), ("SCREENSHOTS", &screenshots)];
    house.python_with_clients_and(script, &more);
}

#[test]
fn an_operator_finds_and_reads_a_message_on_every_screen() {
    browse(&House::new(), "console_pages.py");
}

#[test]
fn mail_that_waits_is_purged_and_had_back_by_those_who_may() {
    let mut house = House::made("127.0.0.1:1");
    house.set("console", "confirm_after = \"0s\"");
    house.start();
    browse(&house, "console_queue.py");
}

#[test]
fn hostile_mail_runs_nothing_and_loads_nothing() {
    browse(&House::new(), "console_hostile.py");
}

#[test]
fn other_sites_and_stolen_passwords_get_nowhere() {
    browse(&House::new(), "console_forged.py");
}

#[test]
fn what_a_thief_deleted_is_found_and_put_back() {
    browse(&House::new(), "console_rescue.py");
}

#[test]
fn hundreds_are_restored_with_progress_and_cancelled_half_way() {
    let mut house = House::made("127.0.0.1:1");
    house.set("search", "rebuild_percent = 100");
    house.start();
    house.fill(ALICE, "INBOX", 7, 500);
    browse(&house, "console_bulk.py");
}

#[test]
fn backups_heads_and_legal_holds_are_looked_after() {
    let mut house = House::made("127.0.0.1:1");
    let backup = house.path().join("backup");
    house.set("backup", &format!("to = \"{}\"\nevery = \"0s\"", backup.display()));
    house.start();
    browse(&house, "console_keeping.py");
}
