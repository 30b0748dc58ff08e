//! Held mail that is released is delivered as any, is told of where its sender asked, and comes back
//! where the release was a mistake; what waits for a host goes into a mailbox here where that is right.

use std::process::Command;

use peers::{Dns, Script, Sink, Stage};
use serde_json::Value;

use crate::harness::{ALICE, BOB, House, LIMIT, PASSWORD, Smtp, message, receipt_id, tool};

/// A server that holds mail of strangers, whose domain wants what is not its own rejected.
async fn holding() -> (Dns, Sink, House) {
    let (dns, sink) = (Dns::start().await, Sink::start(Script::accept()).await);
    dns.txt("outside.test", "v=spf1 ip4:192.0.2.1 -all");
    dns.txt("_dmarc.outside.test", "v=DMARC1; p=reject");
    let mut house = House::made(&dns.addr().to_string());
    let rules = "trusted_networks = []\ndomains = [\"example.test dmarc_reject=hold\"]";
    house.set("judge", rules);
    house.start();
    house.restante(&["route", "add", "outside.test", &sink.addr().to_string()]);
    (dns, sink, house)
}

/// Offers a message whose sender wants to hear of its delivery; its receipt.
fn offer(house: &House, id: &str) -> String {
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say("EHLO mx.outside.test");
    smtp.expect("MAIL FROM:<stranger@outside.test> ENVID=Q1", "250");
    smtp.expect(&format!("RCPT TO:<{ALICE}> NOTIFY=SUCCESS ORCPT=rfc822;al@old.test"), "250");
    let receipt = smtp.send(&[], &message("Held", id));
    receipt_id(&receipt).to_owned()
}

fn held(house: &House) -> usize {
    house.restante_json(&["queue", "list", "--held"]).as_array().unwrap().len()
}

/// The owner reads all of the inbox.
fn seen(house: &House, account: &str) {
    let port = house.address(143).port();
    let script = format!(
        "import imaplib\nc = imaplib.IMAP4('127.0.0.1', {port})\nc.login('{account}', '{PASSWORD}')\n\
         c.select('INBOX')\nc.fetch('1:*', '(BODY[])')\nc.logout()\n"
    );
    tool(Command::new("python3").args(["-c", &script]));
}

/// Why it left mail as it was, in words.
fn skipped(done: &Value) -> String {
    done["skipped"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_sender_hears_of_the_delivery_with_the_release() {
    let (_dns, sink, house) = holding().await;
    let receipt = offer(&house, "held-success");
    assert_eq!((house.mailbox(ALICE, "INBOX").len(), sink.count(), held(&house)), (0, 0, 1));
    house.restante(&["queue", "release", &receipt]);
    house.await_message(ALICE, "The body of held-success.");
    let told = sink.wait_for_count(LIMIT, 1).await.stored[0].clone();
    assert_eq!((&*told.reverse_path, &*told.recipients[0]), ("", "stranger@outside.test"));
    let text = told.text();
    let parts =
        ["Action: delivered", "Original-Recipient: rfc822;al@old.test", "Q1", "Status: 2.1.5"];
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
    house.restante(&["trace", &receipt]);
    assert_eq!(sink.count(), 1);
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_by_mistake_is_taken_back_unless_somebody_saw_it() {
    let (_dns, _sink, mut house) = holding().await;
    let receipt = offer(&house, "held-undo");
    house.restante(&["queue", "release", &receipt]);
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 1);
    let done = house.restante_json(&["queue", "undo"]);
    assert_eq!(done["changed"], 1, "{done}");
    assert_eq!((house.mailbox(ALICE, "INBOX").len(), held(&house)), (0, 1));
    let story = house.restante(&["trace", &receipt]);
    assert!(story.contains("undid change") && story.contains("is held again"), "{story}");
    house.kill();
    house.start();
    assert_eq!((house.mailbox(ALICE, "INBOX").len(), held(&house)), (0, 1));
    // Released once more, and read: it is its owner's now.
    house.restante(&["queue", "release", &receipt]);
    seen(&house, ALICE);
    let done = house.restante_json(&["queue", "undo"]);
    assert_eq!(done["changed"], 0, "{done}");
    assert!(skipped(&done).contains("seen or marked by their owner"), "{done}");
    assert_eq!((house.mailbox(ALICE, "INBOX").len(), held(&house)), (1, 0));
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_host_may_go_into_a_mailbox_here() {
    let sink = Sink::start(Script::accept().reply(Stage::Mail, "450 4.3.2 not now")).await;
    let house = House::new();
    house.restante(&["route", "add", "*", &sink.addr().to_string()]);
    let receipt = house.submit(&["bob@exmaple.test"], &message("Mistyped", "edit-1"));
    let receipt = receipt_id(&receipt).to_owned();
    house.await_trace(&receipt, "not now");
    let nobody = ["queue", "edit-recipient", "--into", "nobody@example.test", &receipt];
    let refused = house.installation.command(&nobody).unwrap();
    assert!(!refused.status.success());
    let done = house.restante_json(&["queue", "edit-recipient", "--into", BOB, &receipt]);
    assert_eq!(done["changed"], 1, "{done}");
    house.await_message(BOB, "The body of edit-1.");
    assert!(house.restante_json(&["queue", "list"]).as_array().unwrap().is_empty());
    house.restante(&["queue", "undo"]);
    assert!(house.mailbox(BOB, "INBOX").is_empty());
    let queued = house.restante_json(&["queue", "list"]);
    assert_eq!(queued[0]["to"], "bob@exmaple.test", "{queued}");
    // Held meanwhile, it goes there once it is released.
    house.restante(&["queue", "hold", &receipt]);
    house.restante(&["queue", "edit-recipient", "--into", BOB, &receipt]);
    assert!(house.mailbox(BOB, "INBOX").is_empty());
    house.restante(&["queue", "release", &receipt]);
    house.await_message(BOB, "The body of edit-1.");
    let story = house.restante(&["trace", &receipt]);
    assert!(story.contains("delivered"), "{story}");
    tokio::task::block_in_place(|| drop(house));
}
