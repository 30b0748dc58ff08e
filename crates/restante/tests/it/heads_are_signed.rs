//! Signed heads of the journal and proofs of receipts: made while the server runs, checked without
//! it, and what they show when somebody cuts the journal back.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::{ALICE, BOB, House, RESTANTE, message, receipt_id, until};

/// Delivers a message; its receipt.
fn delivered(house: &House, to: &str, name: &str) -> String {
    receipt_id(&house.deliver(&[to], &message(name, name))).to_owned()
}

fn write(house: &House, name: &str, text: &str) -> PathBuf {
    let path = house.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The latest head, which is over more than so many records.
fn head_behind(house: &House, records: u64) -> (u64, String) {
    until("a head is signed", || {
        let output = house.installation.command(&["head", "--json"]).ok()?;
        let head: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let size = head["records"].as_u64()?;
        (size > records).then(|| (size, head["note"].as_str().unwrap().to_owned()))
    })
}

#[test]
fn a_proof_of_a_receipt_needs_no_server_and_no_data() {
    let mut house = House::new();
    let receipt = delivered(&house, ALICE, "proved-1");
    delivered(&house, BOB, "proved-2");
    let key = house.restante(&["head", "key"]);
    let proof = house.restante(&["proof", &receipt]);
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\n"), "{proof}");
    let file = write(&house, "r.tlog-proof", &proof);
    let check = |file: &Path, key: &str| -> Output {
        let arguments = ["proof", "verify", text(file), "--key", key.trim(), "--json"];
        Command::new(RESTANTE).args(arguments).args(["--data", "/nowhere"]).output().unwrap()
    };
    let checked = check(&file, &key);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let said: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(said["says"]["receipt"], receipt.as_str());
    assert_eq!(said["says"]["recipients"][0], ALICE);

    // Another record's number, another record, another key: nothing is proved.
    let other = proof.replace("index ", "index 1");
    assert!(!check(&write(&house, "bad", &other), &key).status.success());
    let extra = proof.lines().nth(1).unwrap();
    let bob = house.restante(&["proof", &delivered(&house, BOB, "proved-3")]);
    let swapped = proof.replace(extra, bob.lines().nth(1).unwrap());
    assert!(!check(&write(&house, "bad", &swapped), &key).status.success());
    let stranger = House::new();
    delivered(&stranger, ALICE, "proved-4");
    head_behind(&stranger, 0);
    assert!(!check(&file, &stranger.restante(&["head", "key"])).status.success());

    // Without the record, and with no server.
    house.stop();
    let short = house.restante(&["proof", &receipt, "--hash-only"]);
    assert!(short.len() < proof.len());
    let checked = check(&write(&house, "short", &short), &key);
    let said: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert!(said["proved"] == true && said["says"].is_null(), "{said}");
}

#[test]
fn a_journal_that_is_cut_back_is_named_by_verify_and_by_heads_kept_elsewhere() {
    let mut house = House::new();
    delivered(&house, ALICE, "cut-1");
    house.stop();
    let data = house.installation.data.clone();
    let before = house.path().join("before");
    copy(&data, &before);
    let (size, _) = head_behind(&house, 0);
    house.start();
    let receipt = delivered(&house, ALICE, "cut-2");
    let (_, head) = head_behind(&house, size);
    house.stop();
    let head = write(&house, "head.txt", &head);
    house.restante(&["head", "verify", text(&head)]);
    house.restante(&["verify", "--head", text(&head)]);

    // The journal is put back as it was, and the index with it: nothing else is left to notice.
    for part in ["journal", "bodies"] {
        std::fs::remove_dir_all(data.join(part)).unwrap();
        copy(&before.join(part), &data.join(part));
    }
    house.restante(&["rebuild"]);
    let output = house.installation.command(&["verify", "--json"]).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("was cut back"), "{said}");
    house.start();
    until("the alarm", || {
        let alarms = house.restante_json(&["status"])["alarms"].to_string();
        alarms.contains("whose heads were signed").then_some(())
    });
    let proof = house.installation.command(&["proof", &receipt]).unwrap();
    assert!(!proof.status.success());
    house.stop();

    // Whoever takes the heads away too cannot take away the one that is elsewhere.
    for name in ["latest", "history", "tree", "place"] {
        std::fs::remove_file(data.join("heads").join(name)).unwrap();
    }
    house.restante(&["verify"]);
    let output = house.installation.command(&["verify", "--head", text(&head)]).unwrap();
    assert!(!output.status.success());
    house.start();
    delivered(&house, ALICE, "cut-3");
    until("a head of the shorter journal", || {
        let output = house.installation.command(&["head", "verify", text(&head), "--json"]).ok()?;
        let said = String::from_utf8_lossy(&output.stdout);
        said.contains("\"is_beginning\": false").then_some(())
    });
}

#[test]
fn heads_are_sent_elsewhere_when_something_has_changed() {
    let mut house = House::made("127.0.0.1:1");
    let outside = house.path().join("outside");
    house.set("heads", &format!("directory = {:?}", text(&outside)));
    house.set("heads", &format!("mail_to = [{ALICE:?}]\nsend_every = \"1s\""));
    house.start();
    let names = || -> Vec<PathBuf> {
        let read = std::fs::read_dir(&outside).ok().into_iter().flatten();
        // One that is being written has another name.
        let is_whole = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "txt");
        read.map(|entry| entry.unwrap().path()).filter(is_whole).collect()
    };
    let first = until("a head is sent", || names().first().cloned());
    house.restante(&["head", "verify", text(&first)]);
    let mail = until("a head is mailed", || {
        let stories = house.restante_json(&["trace", ALICE]);
        stories.to_string().contains("Signed head of").then_some(stories)
    });
    assert!(mail.to_string().contains("postmaster@mx.example.test"), "{mail}");
    // Its own mail is no reason for another one.
    house.stop();
    let count = names().len();
    house.start();
    head_behind(&house, 0);
    house.stop();
    assert!(names().len() <= count + 1, "{:?}", names());
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}
