//! What cannot be delivered comes back, with the reason in the other side's words.

use peers::{Dns, Fault, Script, Sink, Stage};

use crate::harness::{ALICE, BOB, House, message, receipt_id};

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_the_remote_comes_back_with_its_words() {
    let refusal = "550 5.1.1 nobody of that name lives here";
    let sink = Sink::start(Script::accept().reply(Stage::Rcpt, refusal)).await;
    let house = House::new();
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    let receipt = house.submit(&["ghost@far.test"], &message("Nobody there", "dsn-1"));
    let report = house.await_message(ALICE, "nobody of that name lives here");
    // RFC 3464 §2.1 and RFC 5321 §4.5.5: a report of three parts from the null reverse-path.
    let lower = report.to_lowercase();
    for part in [
        "return-path: <>",
        "multipart/report",
        "report-type=delivery-status",
        "final-recipient: rfc822;",
        "ghost@far.test",
        "action: failed",
        "status: 5.1.1",
        "diagnostic-code: smtp;",
        "subject: nobody there",
    ] {
        assert!(lower.contains(part), "no {part:?} in:\n{report}");
    }
    house.await_trace(receipt_id(&receipt), "returned");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_does_not_exist_or_takes_no_mail_comes_back() {
    let dns = Dns::start().await;
    dns.null_mx("nomail.test");
    dns.mx("inward.test", 10, "mx.inward.test").address("mx.inward.test", [127, 0, 0, 1]);
    dns.fault("nowhere.test", Fault::NxDomain);
    let house = House::asking(dns.addr());
    for (number, domain) in ["nomail.test", "nowhere.test", "inward.test"].iter().enumerate() {
        let id = format!("dsn-dns-{number}");
        house.submit(&[&format!("you@{domain}")], &message("To nowhere", &id));
        let report = house.await_message(ALICE, &format!("you@{domain}"));
        assert!(report.to_lowercase().contains("action: failed"), "{domain}: {report}");
    }
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_dns_server_is_no_reason_to_return_mail() {
    let dns = Dns::start().await;
    dns.fault("flaky.test", Fault::ServFail);
    let house = House::asking(dns.addr());
    let receipt = house.submit(&["you@flaky.test"], &message("Wait for it", "dsn-2"));
    let story = house.await_trace(receipt_id(&receipt), "dns");
    assert!(!story.to_lowercase().contains("returned"), "{story}");
    let queue = house.restante(&["queue", "list", "--json"]);
    assert!(queue.contains("you@flaky.test"), "{queue}");
    assert!(house.mailbox(ALICE, "INBOX").is_empty());
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_never_answered_with_a_report() {
    let sink = Sink::start(Script::accept().reply(Stage::Rcpt, "550 5.1.1 no")).await;
    let house = House::new();
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    house.restante(&["alias", "add", "gone@example.test", "gone@far.test"]);
    house.restante(&["alias", "remove", "postmaster@example.test"]);
    house.restante(&["alias", "add", "postmaster@example.test", "elsewhere@far.test"]);
    // From the null reverse-path, through a forward that fails: the postmaster is told, whose mail
    // fails too; and that is the end, a named one.
    let mut smtp = crate::harness::Smtp::connect(house.address(25));
    smtp.say("EHLO outside.test");
    smtp.expect("MAIL FROM:<>", "250");
    let receipt = smtp.send(&["gone@example.test"], &message("A bounce", "dsn-3"));
    let story = house.await_trace(receipt_id(&receipt), "returned");
    let (_, report) = story.split_once("told in ").unwrap();
    let report = report.split_whitespace().next().unwrap();
    house.await_trace(report, "nobody is told");
    let queue = house.restante_json(&["queue", "list"]);
    assert_eq!(queue.as_array().map(Vec::len), Some(0), "{queue}");
    tokio::task::block_in_place(|| drop(house));
}

#[test]
fn a_delivery_is_reported_where_the_sender_asks_for_it() {
    let house = House::new();
    let mut smtp = crate::harness::Smtp::connect(house.address(25));
    smtp.say("EHLO outside.test");
    smtp.expect(&format!("MAIL FROM:<{ALICE}> RET=FULL ENVID=order-66"), "250");
    smtp.expect(&format!("RCPT TO:<{BOB}> NOTIFY=SUCCESS ORCPT=rfc822;Bob@Old.test"), "250");
    smtp.expect(&format!("RCPT TO:<{}> NOTIFY=NEVER", crate::harness::CAROL), "250");
    smtp.expect("DATA", "354");
    let mail = message("Please confirm", "success-1").replace("\n.", "\n..");
    smtp.expect(&format!("{}\r\n.", mail.replace('\n', "\r\n")), "250");
    house.await_message(BOB, "Subject: Please confirm");
    let reports = house.mailbox(ALICE, "INBOX");
    assert_eq!(reports.len(), 1, "in the same commit: {reports:#?}");
    for words in [
        "Return-Path: <>",
        "Action: delivered",
        "Status: 2.1.5",
        "Original-Envelope-Id: order-66",
        "Original-Recipient: rfc822;Bob@Old.test",
        "text/rfc822-headers",
    ] {
        assert!(reports[0].contains(words), "{words} is not in {}", reports[0]);
    }
    assert!(!reports[0].contains("carol@"), "she was not to be reported");
}
