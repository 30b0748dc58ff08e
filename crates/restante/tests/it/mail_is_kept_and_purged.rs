//! What is deleted is kept for its time, longer under a legal hold, and then its body is gone from
//! the disk, while its story stays.

use drill::imap_wire::Keep;

use crate::harness::{ALICE, BOB, House, message, receipt_id, until};

/// Everything of an inbox, deleted by its owner.
fn empty(house: &House, account: &str) {
    let mut wire = house.wire(account);
    for command in ["SELECT INBOX", "STORE 1:* +FLAGS.SILENT (\\Deleted)", "EXPUNGE"] {
        wire.command(command, Keep::Nothing).unwrap();
    }
}

#[test]
fn what_is_over_its_time_goes_and_what_is_held_stays() {
    let mut house = House::new();
    let held = house.deliver(&[ALICE], &message("Held", "held"));
    let over = house.deliver(&[BOB], &message("Over", "over"));
    let (held, over) = (receipt_id(&held).to_owned(), receipt_id(&over).to_owned());
    empty(&house, ALICE);
    empty(&house, BOB);
    house.deliver(&[BOB], &message("Stays", "stays"));
    assert!(house.restante(&["trace", &over]).contains("kept in the archive until 2027"));
    house.restante(&["hold", "add", "case-17", "--account", ALICE, "--reason", "court order"]);
    house.restante(&["retention", "set", "example.test", "--keep", "1s"]);
    assert!(house.restante(&["retention", "show"]).contains("example.test"));
    assert!(house.restante(&["hold", "list"]).contains("court order"));

    until("its time is over", || {
        let would = house.restante_json(&["purge", "--dry-run"]);
        (would["due"] == 1 && would["on_hold"] == 1).then_some(())
    });
    let purged = house.restante_json(&["purge"]);
    assert_eq!((&purged["purged"], &purged["on_hold"]), (&1.into(), &1.into()), "{purged}");
    let story = house.restante(&["trace", &over]);
    assert!(story.contains("purged its body, by the rule that mail of example.test"), "{story}");
    assert!(house.restante(&["trace", &held]).contains("the legal hold case-17 keeps it"));
    assert_eq!(house.mailbox(BOB, "INBOX").len(), 1);

    // A hold beats the operator, too, and outlives a kill.
    house.kill();
    house.start();
    let refused = said(&house, &["purge", &held, "--reason", "tidy", "--yes"]);
    assert!(refused.contains("legal hold case-17"), "{refused}");
    house.restante(&["hold", "remove", "case-17", "--reason", "case closed"]);
    assert!(house.restante(&["hold", "list", "--all"]).contains("case closed"));
    assert_eq!(house.restante_json(&["purge"])["purged"], 1);
}

#[test]
fn one_message_is_purged_for_a_reason() {
    let house = House::new();
    let receipt = house.deliver(&[ALICE, BOB], &message("Wrong", "wrong"));
    let receipt = receipt_id(&receipt).to_owned();
    let why = said(&house, &["purge", &receipt, "--reason", "erasure asked for"]);
    assert!(why.contains("--yes"), "{why}");
    let why = said(&house, &["purge", &receipt, "--reason", "erasure asked for", "--yes"]);
    assert!(why.contains("2 mailboxes"), "{why}");
    assert!(said(&house, &["purge", &receipt, "--yes"]).contains("say why"));
    let of_another = receipt.replace('-', "-0");
    assert!(!said(&house, &["purge", &of_another, "--reason", "x", "--yes"]).is_empty());
    let purge = ["purge", &receipt, "--reason", "erasure asked for", "--yes", "--from-mailboxes"];
    assert!(house.restante(&purge).contains("its record stays"));
    assert!(house.mailbox(ALICE, "INBOX").is_empty());
    let story = house.restante(&["trace", &receipt]);
    assert!(story.contains("because: erasure asked for"), "{story}");
    // It is not to be had back.
    let history = house.restante_json(&["history", "--account", ALICE, "--limit", "1"]);
    let act = history[0]["act"].to_string();
    let undone = house.restante_json(&["undo", &act]);
    assert_eq!(undone["skipped"]["messages purged since"], 1, "{undone}");
}

fn said(house: &House, arguments: &[&str]) -> String {
    let output = house.installation.command(arguments).unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}
