//! Mail whose sender names a time to deliver it by (DELIVERBY, RFC 2852), submitted by
//! Python's smtplib too.

use std::process::Command;
use std::time::{Duration, Instant};

use peers::{Script, Sink, Stage};

use crate::harness::{
    ALICE, BOB, House, LIMIT, PASSWORD, Smtp, base64, from_alice, message, receipt_id, until,
};

/// Whatever a client says behind `MAIL FROM:<…>`: smtplib writes its options as they are.
const SMTPLIB: &str = r#"
import smtplib, sys
port, options, to = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test") as client:
    client.login("alice@example.test", sys.argv[4])
    client.ehlo()
    assert client.has_extn("deliverby"), client.esmtp_features
    print("DELIVERBY", client.esmtp_features["deliverby"])
    client.sendmail("alice@example.test", [to], sys.stdin.read(), mail_options=[options])
    print("taken")
"#;

fn submit_by_smtplib(house: &House, options: &str, to: &str, id: &str) -> String {
    use std::io::Write;
    let port = house.address(587).port().to_string();
    let mut python = Command::new("python3")
        .args(["-c", SMTPLIB, &port, options, to, PASSWORD])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let letter = from_alice(&message("In time", id));
    python.stdin.take().unwrap().write_all(letter.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn house() -> House {
    let mut house = House::made("127.0.0.1:1");
    house.set("queue", "deliver_by_min = \"2s\"\nretry_schedule = [\"1s\"]");
    house.start();
    house
}

fn submit(house: &House, by: &str, to: &[&str], id: &str) -> String {
    let mut smtp = Smtp::connect(house.address(587));
    smtp.say("EHLO [127.0.0.1]");
    let plain = format!("\0{ALICE}\0{PASSWORD}");
    smtp.expect(&format!("AUTH PLAIN {}", base64(plain.as_bytes())), "235");
    let offered = smtp.say("EHLO [127.0.0.1]");
    assert!(offered.contains("DELIVERBY 2"), "{offered}");
    let refused = smtp.say(&format!("MAIL FROM:<{ALICE}> BY=1;R"));
    assert!(refused.starts_with("555 5.5.4"), "{refused}");
    smtp.expect(&format!("MAIL FROM:<{ALICE}> BY={by}"), "250");
    let receipt = smtp.send(to, &from_alice(&message("In time", id)));
    receipt_id(&receipt).to_owned()
}

/// A kill -9 in between: the time is kept with the mail, and runs on while nobody serves.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_late_goes_back_and_is_never_sent_later() {
    let script = Script::accept().with("DELIVERBY").reply(Stage::Rcpt, "451 4.3.0 not now");
    let sink = Sink::start(script).await;
    let mut house = house();
    house.restante(&["route", "add", "*", &sink.addr().to_string()]);
    let began = Instant::now();
    let id = submit(&house, "6;R", &["far@far.test", BOB], "late");
    // Who is here has it at once.
    house.await_message(BOB, "late");
    let shown = house.restante(&["queue", "show", &id]);
    for part in ["delivered within 6 seconds", "goes back to the sender if it is not delivered by"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let listed = house.restante_json(&["queue", "list", &id]);
    assert!(listed[0]["deliver_by"].is_string(), "{listed}");
    house.kill();
    house.start();
    let told = house.await_message(ALICE, "Action: failed");
    assert!(began.elapsed() >= Duration::from_secs(6));
    for part in ["Status: 5.4.7", "Deliver-By-Date: ", "far@far.test"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let tries = sink.state().commands_of("MAIL");
    assert!(tries >= 1);
    sink.set(Script::accept().with("DELIVERBY"));
    house.restante(&["queue", "retry", "all"]);
    let story = house.restante(&["trace", &id]);
    assert!(story.contains("or not at all, as its sender asked (DELIVERBY)"), "{story}");
    assert_eq!((sink.count(), sink.state().commands_of("MAIL")), (0, tries));
    house.stop();
    house.restante(&["verify"]);
    tokio::task::block_in_place(|| drop(house));
}

/// Paused by an operator, it still goes back when the time is over.
#[tokio::test(flavor = "multi_thread")]
async fn smtplib_has_what_waits_returned_and_the_next_host_told_of_the_rest() {
    let sink = Sink::start(Script::accept().with("DELIVERBY 1")).await;
    let house = house();
    house.restante(&["route", "add", "*", &sink.addr().to_string()]);
    let said = submit_by_smtplib(&house, "BY=120;NT", "far@far.test", "passed-on");
    assert!(said.contains("DELIVERBY 2"), "{said}");
    let stored = sink.wait_for_count(LIMIT, 1).await.stored;
    let parameters = &stored[0].mail_parameters;
    let left: i64 = parameters
        .split(' ')
        .find_map(|one| one.strip_prefix("BY=")?.strip_suffix(";NT")?.parse().ok())
        .unwrap();
    assert!((1..=120).contains(&left), "{parameters}");
    let told = house.await_message(ALICE, "Action: relayed");
    assert!(told.contains("handed on to the next mail system"), "{told}");
    house.restante(&["queue", "pause", "far.test"]);
    submit_by_smtplib(&house, "BY=3;R", "far@far.test", "paused");
    let told = house.await_message(ALICE, "Status: 5.4.7");
    assert!(told.contains("within 3 seconds"), "{told}");
    assert_eq!(sink.count(), 1);
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_it_hears_of_a_delay_and_of_a_host_that_promises_nothing() {
    let sink = Sink::start(Script::accept().reply(Stage::Rcpt, "451 4.3.0 not now")).await;
    let house = house();
    house.restante(&["route", "add", "*", &sink.addr().to_string()]);
    let id = submit(&house, "3;N", &["slow@far.test"], "slow");
    let told = house.await_message(ALICE, "Action: delayed");
    assert!(told.contains("Deliver-By-Date: "), "{told}");
    sink.set(Script::accept());
    house.await_trace(&id, "relayed");
    let id = submit(&house, "3600;R", &["far@far.test"], "no-promise");
    let told = house.await_message(ALICE, "Status: 5.3.3");
    assert!(told.contains("does\r\n    not promise that") || told.contains("DELIVERBY"), "{told}");
    until("it to be settled", || {
        house.restante(&["trace", &id]).contains("returned").then_some(())
    });
    assert_eq!(sink.count(), 1);
    tokio::task::block_in_place(|| drop(house));
}
