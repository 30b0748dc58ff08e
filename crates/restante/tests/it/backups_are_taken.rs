//! Backups through the binary: taken while mail comes in, checked, rehearsed, restored as of any
//! point, and looked into without a server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{ALICE, BOB, House, RESTANTE, message, receipt_id, until, words};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A command that is given no data directory.
fn alone(arguments: &[&str]) -> Output {
    Command::new(RESTANTE).args(arguments).args(["--data", "/nowhere"]).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", words(output)))
}

fn restore(from: &Path, to: &Path, at: &[&str]) -> Output {
    let mut restore = Command::new(RESTANTE);
    restore.args(["restore", "--from", text(from), "--data", text(to), "--json"]).args(at);
    restore.output().unwrap()
}

#[test]
fn what_is_restored_is_proved_to_be_what_was_there() {
    let mut house = House::new();
    let backup: PathBuf = house.path().join("backup");
    let first = house.deliver(&[ALICE], &message("Before", "backup-1"));
    let receipt = receipt_id(&first).to_owned();
    let taken = house.restante_json(&["backup", "--to", text(&backup)]);
    assert!(taken["damage"].as_array().unwrap().is_empty(), "{taken}");
    // A body with a file of its own, and a head that covers it.
    let large = format!("{}{}", message("Large", "backup-2"), "words of a line\n".repeat(40_000));
    let large = receipt_id(&house.deliver(&[BOB], &large)).to_owned();
    house.restante(&["proof", &large]);
    let more = house.restante_json(&["backup", "--to", text(&backup)]);
    assert!(more["records"].as_u64() > taken["records"].as_u64(), "{more}");
    house.deliver(&[ALICE], &message("After", "backup-3"));

    let listed = json(&alone(&["backup", "list", "--from", text(&backup), "--json"]));
    assert_eq!(listed["points"].as_array().unwrap().len(), 2, "{listed}");
    let checked = alone(&["backup", "check", "--from", text(&backup), "--json"]);
    assert!(checked.status.success() && json(&checked)["clean"] == true, "{}", words(&checked));
    let rehearsed = alone(&["backup", "rehearse", "--from", text(&backup), "--json"]);
    let said = json(&rehearsed);
    assert!(rehearsed.status.success() && said["head_compared"] == true, "{said}");

    // One message out of it, by receipt and by words; no server, no data directory.
    let one = alone(&["backup", "extract", "--from", text(&backup), &receipt]);
    let eml = String::from_utf8_lossy(&one.stdout).into_owned();
    assert!(eml.contains("The body of backup-1.") && eml.contains("Subject: Before"), "{eml}");
    let search = ["backup", "extract", "--from", text(&backup), "--recipient", BOB, "--json"];
    let found = json(&alone(&search));
    assert_eq!(found[0]["receipt"], large.as_str(), "{found}");
    let none = alone(&["backup", "extract", "--from", text(&backup), "--subject", "After"]);
    assert!(!none.status.success(), "what came after the backup is not in it");

    // Restored, it is an installation with all of it, and with its heads.
    house.stop();
    let to = house.path().join("restored");
    let restored = restore(&backup, &to, &[]);
    assert!(restored.status.success(), "{}", words(&restored));
    let verify = Command::new(RESTANTE).args(["verify", "--data", text(&to)]).output().unwrap();
    assert!(verify.status.success(), "{}", words(&verify));
    let trace = ["trace", &large, "--json", "--data", text(&to)];
    let story = json(&Command::new(RESTANTE).args(trace).output().unwrap());
    assert_eq!(story[0]["receipt"], large.as_str(), "{story}");
    let again = restore(&backup, &to, &[]);
    assert!(!again.status.success(), "nothing is written over");

    // As of the first backup, whose heads it then has.
    let to = house.path().join("earlier");
    let at = taken["records"].to_string();
    let restored = restore(&backup, &to, &["--at", &at]);
    assert_eq!(json(&restored)["records"], taken["records"]);
    let verify = Command::new(RESTANTE).args(["verify", "--data", text(&to)]).output().unwrap();
    assert!(verify.status.success(), "{}", words(&verify));
    let trace = ["trace", &large, "--json", "--data", text(&to)];
    let story = Command::new(RESTANTE).args(trace).output().unwrap();
    assert!(json(&story).as_array().unwrap().is_empty(), "it came later");
}

#[test]
fn the_server_takes_backups_by_itself_and_says_so() {
    let mut house = House::made("127.0.0.1:1");
    let backup = house.path().join("scheduled");
    house.set("backup", &format!("to = {:?}\nevery = \"1s\"", text(&backup)));
    house.start();
    house.deliver(&[ALICE], &message("Scheduled", "backup-4"));
    until("a backup with the message in it", || {
        let found = ["backup", "extract", "--from", text(&backup), "--subject", "scheduled"];
        alone(&found).status.success().then_some(())
    });
    let status = house.restante_json(&["status"]);
    assert!(status["backup"]["records"].is_u64() && status["backup"]["failed"].is_null());
    // A backup of another installation is an alarm, and is left alone.
    house.stop();
    let other = House::new();
    other.deliver(&[ALICE], &message("Other", "backup-5"));
    let refused = other.installation.command(&["backup", "--to", text(&backup)]).unwrap();
    assert!(!refused.status.success() && words(&refused).contains("another installation"));
}

#[test]
fn a_damaged_backup_is_named_and_not_restored() {
    use std::os::unix::fs::FileExt;
    let house = House::new();
    house.deliver(&[ALICE], &message("Rots", "backup-6"));
    let backup = house.path().join("backup");
    house.restante(&["backup", "--to", text(&backup)]);
    let segment = std::fs::read_dir(backup.join("journal")).unwrap().next().unwrap();
    let file = std::fs::File::options().write(true).open(segment.unwrap().path()).unwrap();
    file.write_all_at(b"?", 500).unwrap();
    let checked = alone(&["backup", "check", "--from", text(&backup)]);
    assert!(!checked.status.success() && words(&checked).contains("1 damaged"));
    let to = house.path().join("restored");
    assert!(!restore(&backup, &to, &[]).status.success() && !to.exists());
}
