//! People have back what was deleted, and ask where a message is, over the HTTP API and without
//! anybody's help; nothing of others is told to them.

use std::process::Command;

use drill::imap_wire::Keep;
use serde_json::Value;

use crate::harness::{ALICE, BOB, CAROL, House, PASSWORD, message, receipt_id, tool};

/// The status and the document.
fn curl(house: &House, account: &str, path: &str, more: &[&str]) -> (u16, Value) {
    let url = format!("https://{}/api/v1/my/{path}", house.address(443));
    let user = format!("{account}:{PASSWORD}");
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-k", "-w", "\n%{http_code}", "-u", &user, &url]).args(more);
    let said = tool(&mut curl);
    let (body, code) = said.rsplit_once('\n').unwrap();
    (code.parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| panic!("{said}")))
}

fn restore(house: &House, account: &str, document: &str) -> (u16, Value) {
    let more = ["-H", "Content-Type: application/json", "-d", document];
    curl(house, account, "restore", &more)
}

#[test]
fn what_was_deleted_is_had_back() {
    let house = House::new();
    house.deliver(&[ALICE], &message("Dear", "dear"));
    let mut wire = house.wire(ALICE);
    for command in
        ["SELECT INBOX", "STORE 1 +FLAGS.SILENT (\\Flagged)", "MOVE 1 Archive", "DELETE Archive"]
    {
        wire.command(command, Keep::Nothing).unwrap();
    }
    drop(wire);
    let (status, listed) = curl(&house, ALICE, "deleted?days=1", &[]);
    assert_eq!(status, 200, "{listed}");
    let act = &listed[0];
    assert_eq!((&act["mailbox"], &act["by"]), (&"Archive".into(), &"you".into()), "{listed}");
    assert_eq!(act["first"][0]["subject"], "Dear", "{listed}");
    let number = act["act"].to_string();

    // Nobody has back what is another's, nor changes what is the operator's.
    assert_eq!(curl(&house, BOB, "deleted", &[]).1, Value::Array(Vec::new()));
    assert_eq!(restore(&house, BOB, &format!("{{\"acts\": [{number}]}}")).0, 404);
    house.restante(&["account", "quota", ALICE, "--messages", "100"]);
    let quota = house.restante_json(&["history", "--limit", "1"])[0]["act"].to_string();
    assert_eq!(restore(&house, ALICE, &format!("{{\"acts\": [{quota}]}}")).0, 404);

    let (status, done) = restore(&house, ALICE, &format!("{{\"acts\": [{number}]}}"));
    assert_eq!((status, &done["messages"]), (200, &1.into()), "{done}");
    let there = house.ids_and_flags(ALICE, "Archive");
    assert!(there[0].1.iter().any(|flag| flag == "\\Flagged"), "{there:?}");
    let redo = done["redo"].as_str().unwrap();
    let (status, again) = restore(&house, ALICE, &format!("{{\"redo\": \"{redo}\"}}"));
    assert_eq!(status, 200, "{again}");
    assert!(!house.restante(&["mailbox", "list", ALICE]).contains("Archive"));

    // Each is a record; nonsense is told.
    assert!(house.restante(&["history", "--account", ALICE]).contains("mailbox restored"));
    for nonsense in ["{}", "{\"acts\": []}", "[]", "{\"redo\": \"2-1\"}"] {
        assert_eq!(restore(&house, ALICE, nonsense).0, 400, "{nonsense}");
    }
    assert_eq!(curl(&house, ALICE, "restore", &[]).0, 405);
    assert_eq!(curl(&house, ALICE, "restore", &["-d", "{\"acts\": [1]}"]).0, 415);
    assert_eq!(curl(&house, ALICE, "deleted?days=0", &[]).0, 400);
    let wrong = ["-u", "alice@example.test:wrong"];
    assert_eq!(curl(&house, ALICE, "deleted", &wrong).0, 401);
}

#[test]
fn where_a_message_is_and_nothing_of_others() {
    let house = House::new();
    let receipt = house.deliver(&[ALICE, BOB], &message("To both", "both"));
    let receipt = receipt_id(&receipt).to_owned();
    let mut wire = house.wire(BOB);
    for command in ["CREATE Private", "SELECT INBOX", "MOVE 1 Private"] {
        wire.command(command, Keep::Nothing).unwrap();
    }
    drop(wire);
    let (status, told) = curl(&house, ALICE, &format!("messages/trace?receipt={receipt}"), &[]);
    assert_eq!((status, &told[0]["now"]), (200, &"in INBOX".into()), "{told}");
    let text = told.to_string();
    assert!(!text.contains("bob") && !text.contains("Private"), "{text}");
    let (_, bobs) = curl(&house, BOB, "messages/trace?message_id=both%40outside.test", &[]);
    assert_eq!(bobs[0]["now"], "in Private", "{bobs}");
    assert!(!bobs.to_string().contains("alice"), "{bobs}");
    let (_, carols) = curl(&house, CAROL, &format!("messages/trace?receipt={receipt}"), &[]);
    assert_eq!(carols, Value::Array(Vec::new()), "a guessed receipt tells nothing");
    let (_, carols) = curl(&house, CAROL, "messages/trace?from=stranger@outside.test", &[]);
    assert_eq!(carols, Value::Array(Vec::new()));
    // All of one's own, where nothing is asked for.
    let (_, all) = curl(&house, ALICE, "messages/trace", &[]);
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    // Who sent it may know where it went.
    house.submit(&[BOB], &message("From alice", "sent"));
    let (_, sent) = curl(&house, ALICE, "messages/trace?message_id=sent@outside.test", &[]);
    assert_eq!(sent[0]["recipients"][0]["state"], "delivered", "{sent}");
    assert_eq!(sent[0]["recipients"][0]["delivered_to"], Value::Null, "{sent}");
}
