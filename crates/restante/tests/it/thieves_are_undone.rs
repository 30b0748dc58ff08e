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

/// A POP3 program that was set up without "leave mail on the server".
#[test]
fn what_pop3_took_comes_back() {
    let house = House::new();
    house.fill(ALICE, "INBOX", 1, 3);
    let mut before = house.ids_and_flags(ALICE, "INBOX");
    house.python("pop3_empties.py");
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 0);
    let sessions = house.restante_json(&["history", "--account", ALICE, "--sessions"]);
    let session = &rows(&sessions)[0];
    assert_eq!(session["via"], "POP3", "{sessions}");
    assert_eq!(session["counts"]["deleted"], 3, "{sessions}");
    assert_eq!(session["from"], "127.0.0.1");
    assert!(house.restante(&["history", "--sessions"]).contains("deleted 3"));

    let since = session["first"].as_str().unwrap();
    let heal = ["undo", "--ip", "127.0.0.1", "--account", ALICE, "--since", since];
    let done = house.restante_json(&heal);
    assert_eq!(done["messages"], 3, "{done}");
    let mut after = house.ids_and_flags(ALICE, "INBOX");
    before.sort();
    after.sort();
    assert_eq!(after, before);

    // As it said, so it is taken back.
    let redone = house.restante_json(&["undo", "--redo", done["redo"].as_str().unwrap()]);
    assert_eq!(redone["messages"], 3, "{redone}");
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 0);
    let again = house.restante(&["undo", "--redo", redone["redo"].as_str().unwrap()]);
    assert!(again.contains("To take this back: restante undo --redo"), "{again}");
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 3);
}

/// What an operator removed is taken back by the same command.
#[test]
fn what_was_removed_comes_back() {
    let house = House::new();
    house.fill(BOB, "INBOX", 1, 2);
    house.restante(&["alias", "add", "info@example.test", BOB]);
    house.restante(&["domain", "add", "other.test"]);
    house.restante(&["domain", "remove", "other.test"]);
    house.restante(&["alias", "remove", "info@example.test"]);
    house.restante(&["account", "remove", BOB]);
    let history = house.restante_json(&["history", "--limit", "3"]);
    let acts: Vec<String> = rows(&history).iter().map(|act| act["act"].to_string()).collect();
    let mut undo = vec!["undo"];
    undo.extend(acts.iter().map(String::as_str));
    let done = house.restante_json(&undo);
    assert_eq!(rows(&done["undone"]).len(), 3, "{history}\n{done}");
    assert_eq!(house.mailbox(BOB, "INBOX").len(), 2);
    assert!(house.restante(&["alias", "list"]).contains("info@example.test"));
    assert!(house.restante(&["domain", "list"]).contains("other.test"));
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
    assert!(said(&["undo", "--redo", "9-1"]).contains("as the undo told them"));
    assert!(said(&["undo", "--since", "1h"]).contains("what everybody did"));
    assert!(said(&["undo", "--by", "nobody@example.test"]).contains("does not exist"));
    assert!(said(&["mailbox", "show", BOB, "Nowhere"]).contains("no mailbox Nowhere"));
    let none = house.restante_json(&["undo", "999999"]);
    assert_eq!(none["skipped"]["not known, or not yours"], 1);
}
