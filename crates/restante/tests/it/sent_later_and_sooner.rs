//! Mail that its sender wants to leave later (FUTURERELEASE, RFC 4865) or sooner than other mail
//! (MT-PRIORITY, RFC 6710).

use std::time::{Duration, Instant};

use peers::{Script, Sink};

use crate::harness::{
    ALICE, BOB, House, LIMIT, PASSWORD, Smtp, base64, from_alice, message, receipt_id, until,
};

/// A session that has signed in as alice, and what EHLO said then.
fn signed_in(house: &House) -> (Smtp, String) {
    let mut smtp = Smtp::connect(house.address(587));
    smtp.say("EHLO [127.0.0.1]");
    let plain = format!("\0{ALICE}\0{PASSWORD}");
    smtp.expect(&format!("AUTH PLAIN {}", base64(plain.as_bytes())), "235");
    let offered = smtp.say("EHLO [127.0.0.1]");
    (smtp, offered)
}

fn submit(house: &House, params: &str, to: &[&str], id: &str) -> String {
    let (mut smtp, _) = signed_in(house);
    smtp.expect(&format!("MAIL FROM:<{ALICE}> {params}"), "250");
    smtp.send(to, &from_alice(&message("Later", id)))
}

/// The sinks have what is sent on; nothing of it is there sooner than it may be.
#[tokio::test(flavor = "multi_thread")]
async fn held_mail_leaves_when_its_time_has_come_and_not_sooner() {
    let sink = Sink::start(Script::accept()).await;
    let mut house = House::new();
    house.restante(&["route", "add", "*", &sink.addr().to_string()]);
    let (_, offered) = signed_in(&house);
    assert!(offered.contains("FUTURERELEASE 7776000 20"), "{offered}");
    let before = Instant::now();
    let receipt = submit(&house, "HOLDFOR=6", &["far@far.test", BOB], "in-six-seconds");
    let tomorrow = submit(&house, "HOLDFOR=86400", &["far@far.test"], "tomorrow");
    let id = receipt_id(&receipt);
    let listed = house.restante_json(&["queue", "list", id]);
    for row in listed.as_array().unwrap() {
        assert!(row["state"].as_str().unwrap().starts_with("held until"), "{row}");
        assert!(row["release_at"].is_string(), "{row}");
    }
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    let story = house.restante(&["trace", id]);
    assert!(story.contains("6 seconds after it came"), "{story}");
    // "Try everything now" is not "send what is to leave later".
    house.restante(&["queue", "retry", "all"]);
    // It is as durable as all else.
    house.kill();
    assert!(sink.stored().is_empty());
    house.start();
    let stored = sink.wait_for_count(LIMIT, 1).await.stored;
    let after = before.elapsed();
    assert!(after >= Duration::from_secs(6), "it left after {after:?}");
    assert_eq!(stored[0].recipients, ["far@far.test"]);
    let mail = house.await_message(BOB, "in-six-seconds");
    assert!(mail.contains("Subject: Later"), "{mail}");
    let story = house.await_trace(id, "relayed");
    assert!(story.contains("the time that the sender named has come"), "{story}");
    // What is to leave tomorrow can be let go today, or be taken back.
    let id = receipt_id(&tomorrow);
    house.restante(&["queue", "release", id]);
    sink.wait_for_count(LIMIT, 2).await;
    house.await_trace(id, "relayed");
    house.stop();
    house.restante(&["verify"]);
    tokio::task::block_in_place(|| drop(house));
}

#[test]
fn its_sender_hears_of_the_delivery_when_that_is_made() {
    let house = House::new();
    let (mut smtp, _) = signed_in(&house);
    smtp.expect(&format!("MAIL FROM:<{ALICE}> HOLDFOR=2 ENVID=Q2"), "250");
    smtp.expect(&format!("RCPT TO:<{BOB}> NOTIFY=SUCCESS"), "250");
    smtp.send(&[], &from_alice(&message("Later", "told-later")));
    assert!(house.mailbox(ALICE, "INBOX").is_empty());
    house.await_message(BOB, "told-later");
    let told = house.await_message(ALICE, "Action: delivered");
    for part in ["Future-Release-Request: for;2", "Original-Envelope-Id: Q2", BOB] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_is_over_holds_nothing_and_one_too_far_is_refused() {
    let house = House::new();
    let (mut smtp, _) = signed_in(&house);
    let far = smtp.say(&format!("MAIL FROM:<{ALICE}> HOLDFOR=7776001"));
    assert!(far.starts_with("501 5.5.4"), "{far}");
    submit(&house, "HOLDUNTIL=2026-01-01T00:00:00Z", &[BOB], "long-ago");
    house.await_message(BOB, "long-ago");
    // Port 25 knows neither.
    let mut smtp = Smtp::connect(house.address(25));
    let offered = smtp.say("EHLO outside.test");
    assert!(!offered.contains("FUTURERELEASE"), "{offered}");
    let refused = smtp.say("MAIL FROM:<stranger@outside.test> HOLDFOR=5");
    assert!(refused.starts_with("555"), "{refused}");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_mail_goes_before_what_waits_and_the_next_server_is_told() {
    let script = Script::accept().with("MT-PRIORITY");
    let sink = Sink::start(script).await;
    let house = House::new();
    house.restante(&["route", "add", "*", &sink.addr().to_string()]);
    house.restante(&["queue", "pause", "far.test"]);
    for number in 0..20 {
        submit(&house, "MT-PRIORITY=-4", &["far@far.test"], &format!("low-{number}"));
    }
    let receipt = submit(&house, "MT-PRIORITY=4", &["far@far.test"], "high");
    let story = house.restante(&["trace", receipt_id(&receipt)]);
    assert!(story.contains("it has priority 4: more urgent than other mail"), "{story}");
    let listed = house.restante_json(&["queue", "list", receipt_id(&receipt)]);
    assert_eq!(listed[0]["priority"], 4, "{listed}");
    house.restante(&["queue", "resume", "far.test"]);
    let stored = sink.wait_for_count(LIMIT, 21).await.stored;
    let text = |at: usize| stored[at].text();
    let place = (0..21).find(|at| text(*at).contains("<high@outside.test>")).unwrap();
    // It may share the first page with what was taken beside it by another connection.
    assert!(place < 8, "it came as number {place}");
    assert!(text(place).contains("PRIORITY 4;"), "{}", text(place));
    for (at, one) in stored.iter().enumerate() {
        let wanted = if at == place { "MT-PRIORITY=4" } else { "MT-PRIORITY=-4" };
        assert!(one.mail_parameters.contains(wanted), "{}", one.mail_parameters);
    }
    // More than an account gets is lowered, and the client is told so.
    let (mut smtp, offered) = signed_in(&house);
    assert!(offered.contains("MT-PRIORITY"), "{offered}");
    smtp.expect(&format!("MAIL FROM:<{ALICE}> MT-PRIORITY=9"), "250 2.3.6 4 is the new priority");
    until("the queue to be empty", || {
        house.restante_json(&["queue", "list"]).as_array().unwrap().is_empty().then_some(())
    });
    tokio::task::block_in_place(|| drop(house));
}
