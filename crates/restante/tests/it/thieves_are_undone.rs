//! Somebody with a stolen password empties the mailboxes: one command gives everything back, and
//! what came meanwhile stays.

use serde_json::Value;

use crate::harness::{ALICE, BOB, House, message};

const FOLDERS: [&str; 6] = ["INBOX", "Projects", "Archive", "Nothing", "Sent", "Trash"];

type Folder = (String, Vec<(String, Vec<String>)>);

/// What a mail program sees: each folder with Message-IDs and flags.
fn seen(house: &House) -> Vec<Folder> {
    let there = house.restante_json(&["mailbox", "list", ALICE]);
    let there: Vec<&str> =
        there.as_array().unwrap().iter().map(|row| row["mailbox"].as_str().unwrap()).collect();
    FOLDERS
        .into_iter()
        .filter(|folder| there.contains(folder))
        .map(|folder| {
            let mut mail = house.ids_and_flags(ALICE, folder);
            mail.sort();
            (folder.to_owned(), mail)
        })
        .collect()
}

fn rows(answer: &Value) -> &[Value] {
    answer.as_array().unwrap()
}

#[test]
fn one_command_heals_it() {
    let mut house = House::new();
    house.fill(ALICE, "INBOX", 1, 6);
    let mut wire = house.wire(ALICE);
    for command in ["CREATE Projects", "CREATE Projects/2026"] {
        wire.command(command, drill::imap_wire::Keep::Nothing).unwrap();
    }
    drop(wire);
    house.fill(ALICE, "Projects", 2, 3);
    house.fill(ALICE, "Trash", 3, 2);
    let before = seen(&house);
    let then = rows(&house.restante_json(&["history", "--limit", "1"]))[0]["at"].clone();
    let then = then.as_str().unwrap().to_owned();

    house.python("thief.py");
    house.deliver(&[ALICE], &message("Meanwhile", "meanwhile"));
    house.await_message(ALICE, "Meanwhile");
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 1);

    // As it was, also while it is gone, and after a kill.
    house.kill();
    house.start();
    let shown = house.restante_json(&["mailbox", "show", ALICE, "INBOX", "--at", &then]);
    assert_eq!(rows(&shown).len(), 6);
    assert!(rows(&shown).iter().all(|row| row["gone"].is_string()), "{shown}");
    let then_there = house.restante(&["mailbox", "list", ALICE, "--at", &then]);
    assert!(then_there.contains("Projects") && then_there.contains("Archive"), "{then_there}");

    let history = house.restante_json(&["history", "--account", ALICE, "--limit", "1"]);
    let session = rows(&history)[0]["session"].as_str().unwrap().to_owned();
    let would = house.restante_json(&["undo", "--session", &session, "--dry-run"]);
    let done = house.restante_json(&["undo", "--session", &session]);
    assert_eq!(rows(&would).len(), rows(&done["undone"]).len(), "{would}\n{done}");
    assert_eq!(done["skipped"], serde_json::json!({}), "{done}");

    let mut healed = seen(&house);
    let meanwhile = healed[0].1.iter().position(|(id, _)| id.contains("meanwhile")).unwrap();
    healed[0].1.remove(meanwhile);
    assert_eq!(healed, before);
    assert!(house.restante(&["trace", ALICE]).contains("brought it back into INBOX"));
    // There is nothing more to undo, and an undo can be undone.
    assert_eq!(rows(&house.restante_json(&["undo", "--session", &session, "--dry-run"])).len(), 0);
    house.stop();
    let offline = house.restante_json(&["history", "--account", ALICE, "--since", &then]);
    assert!(rows(&offline).iter().any(|act| act["undoes"].is_u64()));
    house.start();
}

#[test]
fn what_is_named_badly_is_told() {
    let house = House::new();
    let said = |arguments: &[&str]| {
        let output = house.installation.command(arguments).unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&["undo"]).contains("--session"));
    assert!(said(&["undo", "--since", "1h"]).contains("what everybody did"));
    assert!(said(&["undo", "--by", "nobody@example.test"]).contains("does not exist"));
    assert!(said(&["mailbox", "show", BOB, "Nowhere"]).contains("no mailbox Nowhere"));
    let none = house.restante_json(&["undo", "999999"]);
    assert_eq!(none["skipped"]["not known, or not yours"], 1);
}
