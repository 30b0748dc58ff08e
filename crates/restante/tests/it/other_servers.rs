//! Mail to and from Postfix and Exim, whole, with both ends restarted in the middle.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::foreign_servers::{FAR, Foreign, Kind};
use crate::harness::{ALICE, BOB, House, PASSWORD, Smtp, from_alice, message, receipt_id, until};
use drill::base64;

/// Messages in each direction.
const MANY: usize = 1000;

fn house_and(kind: Kind) -> (House, Foreign) {
    let house = House::new();
    let foreign = Foreign::start(kind, house.address(25));
    house.restante(&["route", "add", FAR, &foreign.address().to_string()]);
    (house, foreign)
}

/// Hands numbered messages in over one connection, this many from `first` on.
fn hand_in(server: SocketAddr, signs_in: bool, to: &str, numbers: std::ops::Range<usize>) {
    let mut smtp = Smtp::connect(server);
    smtp.say("EHLO client.test");
    if signs_in {
        let plain = format!("\0{ALICE}\0{PASSWORD}");
        smtp.expect(&format!("AUTH PLAIN {}", base64(plain.as_bytes())), "235");
    }
    for number in numbers {
        smtp.expect(&format!("MAIL FROM:<{ALICE}>"), "250");
        smtp.expect(&format!("RCPT TO:<{to}>"), "250");
        smtp.expect("DATA", "354");
        let text = from_alice(&message("One of many", &format!("many-{number}")));
        let text = text.replace('\n', "\r\n").replace("\r\n.", "\r\n..");
        smtp.expect(&format!("{text}\r\n."), "250");
    }
    smtp.expect("QUIT", "221");
}

/// Waits until there are so many, for as long as there are more and more.
fn until_there_are(wanted: usize, mut count: impl FnMut() -> usize) {
    let mut before = count();
    while before < wanted {
        before = until(&format!("more than {before} of {wanted}"), || {
            let now = count();
            (now > before).then_some(now)
        });
    }
}

fn counted(ids: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for id in ids {
        *counts.entry(id.as_str()).or_default() += 1;
    }
    counts
}

fn ids_at_bob(house: &House) -> Vec<String> {
    house.ids_and_flags(BOB, "INBOX").into_iter().map(|(id, _)| id).collect()
}

/// A thousand go out while the other server is restarted and we are killed: each arrives, and twice
/// only what our own records call a possible duplicate.
fn out(kind: Kind) {
    let (mut house, mut foreign) = house_and(kind);
    hand_in(house.address(587), true, &format!("you@{FAR}"), 0..MANY / 2);
    until_there_are(50, || foreign.delivered_count());
    foreign.restart();
    hand_in(house.address(587), true, &format!("you@{FAR}"), MANY / 2..MANY);
    // What met the restart would wait for a minute.
    house.restante(&["queue", "retry", "all"]);
    until_there_are(MANY / 2 + 1, || foreign.delivered_count());
    house.kill();
    house.start();
    house.restante(&["queue", "retry", "all"]);
    // Some may be there twice before the last is there once.
    until_there_are(MANY, || {
        house.restante(&["queue", "retry", "all"]);
        counted(&foreign.delivered_ids()).len()
    });
    until("an empty queue", || {
        house.restante(&["queue", "retry", "all"]);
        let queue = house.restante_json(&["queue", "list"]);
        queue.as_array().is_some_and(Vec::is_empty).then_some(())
    });
    let ids = foreign.delivered_ids();
    let counts = counted(&ids);
    assert_eq!(counts.len(), MANY, "nothing is lost");
    for (id, count) in counts.into_iter().filter(|(_, count)| *count > 1) {
        let story = house.restante(&["trace", &format!("<{id}>")]);
        assert!(story.contains("it may be there twice"), "{count} times without a word: {story}");
    }
}

/// A thousand come in while both ends are restarted: each is there, and twice only where the other
/// server did not hear our answer.
fn into(kind: Kind) {
    let (mut house, mut foreign) = house_and(kind);
    hand_in(foreign.address(), false, BOB, 0..MANY / 2);
    until_there_are(50, || ids_at_bob(&house).len());
    house.stop();
    house.start();
    hand_in(foreign.address(), false, BOB, MANY / 2..MANY);
    foreign.restart();
    until_there_are(MANY, || counted(&ids_at_bob(&house)).len());
    let ids = ids_at_bob(&house);
    let counts = counted(&ids);
    assert_eq!(counts.len(), MANY, "nothing is lost");
    // A server that is stopped does not hear every answer; what it did not hear it sends again.
    let log = foreign.log();
    for (id, count) in counts.into_iter().filter(|(_, count)| *count > 1) {
        let stories = house.restante_json(&["trace", &format!("<{id}>")]);
        let receipts = stories.as_array().unwrap().iter().map(|story| story["receipt"].as_str());
        let heard = receipts.filter(|receipt| log.contains(receipt.unwrap())).count();
        assert_eq!(heard, 1, "{id} is there {count} times");
    }
}

/// What the two agree on: TLS, delivery reports, addresses in any script, octets as they are.
fn extensions(kind: Kind) {
    let (house, foreign) = house_and(kind);
    let mut smtp = Smtp::connect(house.address(587));
    smtp.say("EHLO client.test");
    let plain = format!("\0{ALICE}\0{PASSWORD}");
    smtp.expect(&format!("AUTH PLAIN {}", base64(plain.as_bytes())), "235");
    smtp.expect(&format!("MAIL FROM:<{ALICE}> SMTPUTF8 RET=HDRS ENVID=order-66"), "250");
    smtp.expect(&format!("RCPT TO:<jürgen@{FAR}> NOTIFY=SUCCESS,FAILURE"), "250");
    smtp.expect("DATA", "354");
    let text = from_alice(&message("Grüße aus Köln", "utf8-1")).replace('\n', "\r\n");
    let reply = smtp.expect(&format!("{}\r\n.", text.replace("\r\n.", "\r\n..")), "250 2.0.0 ");
    let receipt = receipt_id(reply.trim_start_matches("250 2.0.0 ")).to_owned();
    let arrived = until("the message there", || foreign.delivered().pop());
    assert!(arrived.contains("Subject: Grüße aus Köln"), "{arrived}");
    assert!(arrived.contains(".a line that begins with a dot"), "{arrived}");
    let story = house.await_trace(&receipt, "relayed");
    assert!(story.contains("over TLSv1.3"), "{story}");
    // The other server reports its delivery, to us, over TLS.
    let report = house.await_message(ALICE, "order-66");
    assert!(report.to_lowercase().contains("action: delivered"), "{report}");
    assert!(report.contains("TLS") && report.contains("Return-Path: <>"), "{report}");
    drop(house);
}

#[test]
fn postfix_takes_a_thousand_through_restarts() {
    out(Kind::Postfix);
}

#[test]
fn postfix_brings_a_thousand_through_restarts() {
    into(Kind::Postfix);
}

#[test]
fn postfix_agrees_on_extensions() {
    extensions(Kind::Postfix);
}

#[test]
fn exim_takes_a_thousand_through_restarts() {
    out(Kind::Exim);
}

#[test]
fn exim_brings_a_thousand_through_restarts() {
    into(Kind::Exim);
}

#[test]
fn exim_agrees_on_extensions() {
    extensions(Kind::Exim);
}
