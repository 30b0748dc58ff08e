//! Who mail is from is found out while it comes in, stands in its header and its trace, and decides
//! what becomes of it.

use std::process::Command;

use peers::{Dns, Fault};

use crate::harness::{ALICE, BOB, House, Smtp, message, receipt_id, tool};

/// A server that checks mail from loopback, too, and asks this DNS.
fn judging(dns: &Dns, settings: &str) -> House {
    let mut house = House::made(&dns.addr().to_string());
    house.set("judge", &format!("trusted_networks = []\n{settings}"));
    house.start();
    house
}

/// outside.test sends from here, and has this DMARC policy.
fn publish(dns: &Dns, spf: &str, dmarc: &str) {
    dns.txt("outside.test", spf).txt("_dmarc.outside.test", dmarc);
    dns.ptr([127, 0, 0, 1], "mx.outside.test").address("mx.outside.test", [127, 0, 0, 1]);
}

const RIGHT: &str = "v=spf1 ip4:127.0.0.1 -all";
const WRONG: &str = "v=spf1 ip4:192.0.2.1 -all";

/// The reply to the final dot.
fn offered(house: &House, text: &str) -> String {
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say("EHLO mx.outside.test");
    smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
    smtp.expect(&format!("RCPT TO:<{ALICE}>"), "250");
    smtp.expect("DATA", "354");
    smtp.say(&format!("{}\r\n.", text.replace('\n', "\r\n").replace("\r\n.", "\r\n..")))
}

/// With folds taken out.
fn unfolded(text: &str) -> String {
    text.replace("\r\n\t", " ").replace("\r\n ", " ")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_stands_in_front_and_in_the_trace() {
    let dns = Dns::start().await;
    publish(&dns, RIGHT, "v=DMARC1; p=reject");
    let house = judging(&dns, "");
    let forged = "Authentication-Results: mx.example.test; dmarc=pass header.from=bank.test\n\
                  Authentication-Results: mx.elsewhere.test; spf=pass\n\
                  authentication-results: MX.example.test (hi)\n\t; dkim=pass\n";
    let text = format!("{forged}{}", message("Checked", "judged-1"));
    let receipt = offered(&house, &text);
    assert!(receipt.starts_with("250 2.0.0 "), "{receipt}");
    let kept = unfolded(&house.mailbox(ALICE, "INBOX")[0]);
    let lines: Vec<&str> = kept.lines().filter(|line| line.contains(':')).collect();
    let front = lines.iter().position(|line| line.contains("Return-Path:")).unwrap();
    let results = lines[front + 1];
    assert!(results.starts_with("Authentication-Results: mx.example.test; iprev=pass"), "{kept}");
    for part in [
        "spf=pass",
        "smtp.mailfrom=stranger@outside.test",
        "spf=none",
        "dkim=none",
        "dmarc=pass",
        "header.from=outside.test",
        "policy.iprev=127.0.0.1",
    ] {
        assert!(results.contains(part), "{part} in {results}");
    }
    assert!(lines[front + 2].starts_with("Received: from mx.outside.test"), "{kept}");
    // Those in our name are gone, and no others.
    assert!(!kept.contains("bank.test") && !kept.contains("(hi)"), "{kept}");
    assert!(kept.contains("Authentication-Results: mx.elsewhere.test; spf=pass"), "{kept}");
    let id = receipt.trim_start_matches("250 2.0.0 ").split(' ').next().unwrap();
    let story = house.restante(&["trace", id]);
    assert!(story.contains("DMARC pass for outside.test"), "{story}");
    let json = house.restante_json(&["trace", id]);
    assert_eq!(json[0]["judged"]["act"], "deliver", "{json}");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_has_them_in_front_too() {
    let dns = Dns::start().await;
    publish(&dns, RIGHT, "v=DMARC1; p=none");
    let house = judging(&dns, "");
    let lines = "a line of some sixty-four characters, which is repeated often..\n".repeat(16_000);
    let text = format!("{}{lines}", message("Large", "judged-large"));
    let receipt = offered(&house, &text);
    assert!(receipt.starts_with("250 2.0.0 "), "{receipt}");
    let kept = &house.mailbox(ALICE, "INBOX")[0];
    assert!(unfolded(kept).contains("Authentication-Results: mx.example.test; iprev="));
    assert!(kept.replace("\r\n", "\n").contains(&lines), "it is not whole");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_domain_wants_rejected_is_rejected_while_it_is_offered() {
    let dns = Dns::start().await;
    publish(&dns, WRONG, "v=DMARC1; p=reject");
    let house = judging(&dns, "");
    let reply = offered(&house, &message("Forged", "forged-1"));
    assert!(reply.starts_with("550 5.7.1 Not authenticated as mail of outside.test"), "{reply}");
    assert!(house.mailbox(ALICE, "INBOX").is_empty());
    // swaks sees the same, and the connection goes on.
    let server = house.address(25);
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", "127.0.0.1", "--port", &server.port().to_string()]);
    swaks.args(["--from", "stranger@outside.test", "--to", ALICE, "--helo", "mx.outside.test"]);
    let output = swaks.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("<** 550 5.7.1 Not authenticated"), "{said}");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantine_is_the_folder_for_junk() {
    let dns = Dns::start().await;
    publish(&dns, WRONG, "v=DMARC1; p=quarantine");
    let house = judging(&dns, "");
    let receipt = offered(&house, &message("Suspicious", "junk-1"));
    assert!(receipt.starts_with("250 2.0.0 "), "{receipt}");
    assert!(house.mailbox(ALICE, "INBOX").is_empty());
    assert_eq!(house.mailbox(ALICE, "Junk").len(), 1);
    let story = house.restante(&["trace", "<junk-1@outside.test>"]);
    assert!(
        story.contains("judged to be junk: not authenticated as mail of outside.test"),
        "{story}"
    );
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_safe_and_released_as_usual() {
    let dns = Dns::start().await;
    publish(&dns, WRONG, "v=DMARC1; p=reject");
    let house = judging(&dns, "domains = [\"example.test dmarc_reject=hold\"]");
    let receipt = offered(&house, &message("Held", "held-1"));
    assert!(receipt.starts_with("250 2.0.0 "), "{receipt}");
    assert!(house.mailbox(ALICE, "INBOX").is_empty() && house.mailbox(ALICE, "Junk").is_empty());
    let held = house.restante(&["queue", "list", "--held"]);
    assert!(held.contains(ALICE) && held.contains("verdict"), "{held}");
    let story = house.restante(&["trace", "<held-1@outside.test>"]);
    assert!(story.contains("judged to be held"), "{story}");
    house.restante(&["queue", "release", "<held-1@outside.test>"]);
    house.await_message(ALICE, "The body of held-1.");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_of_the_dns_turns_nothing_away_for_good() {
    let dns = Dns::start().await;
    publish(&dns, WRONG, "v=DMARC1; p=reject");
    dns.fault("_dmarc.outside.test", Fault::ServFail).fault("outside.test", Fault::ServFail);
    let house = judging(&dns, "");
    let receipt = offered(&house, &message("Who knows", "temp-1"));
    assert!(receipt.starts_with("250 2.0.0 "), "{receipt}");
    let kept = unfolded(&house.mailbox(ALICE, "INBOX")[0]);
    assert!(kept.contains("dmarc=temperror") && kept.contains("spf=temperror"), "{kept}");
    // Who would rather wait gets 451, and the message once the DNS is back.
    let house_that_waits = judging(&dns, "defer_on_dns_trouble = true");
    let reply = offered(&house_that_waits, &message("Later", "temp-2"));
    assert!(reply.starts_with("451 4.7.1 The sender cannot be checked now"), "{reply}");
    assert!(house_that_waits.log().contains("ALARM: the DNS does not answer"));
    dns.heal("_dmarc.outside.test").heal("outside.test").clear("outside.test");
    dns.txt("outside.test", RIGHT);
    let receipt = offered(&house_that_waits, &message("Later", "temp-2"));
    assert!(receipt.starts_with("250 2.0.0 "), "{receipt}");
    tokio::task::block_in_place(|| drop((house, house_that_waits)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_dns_mail_flows() {
    // A server that never answers, and one that is not there.
    let dns = Dns::start().await;
    dns.fault("outside.test", Fault::Silent).fault("_dmarc.outside.test", Fault::Silent);
    dns.fault("test", Fault::Silent).fault("_dmarc.test", Fault::Silent);
    dns.fault("mx.outside.test", Fault::Silent).fault("1.0.0.127.in-addr.arpa", Fault::Silent);
    let house = judging(&dns, "patience = \"200ms\"");
    let receipt = offered(&house, &message("Slow", "nodns-1"));
    assert!(receipt.starts_with("250 2.0.0 "), "{receipt}");
    let kept = unfolded(&house.mailbox(ALICE, "INBOX")[0]);
    assert!(kept.contains("dmarc=temperror") && kept.contains("spf=temperror"), "{kept}");
    let mut house_alone = House::made("127.0.0.1:1");
    house_alone.set("judge", "trusted_networks = []");
    house_alone.start();
    let receipt = offered(&house_alone, &message("Nobody to ask", "nodns-2"));
    assert!(receipt.starts_with("250 2.0.0 "), "{receipt}");
    tokio::task::block_in_place(|| drop((house, house_alone)));
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_from_here_and_submitted_mail_is_not_judged() {
    let dns = Dns::start().await;
    publish(&dns, WRONG, "v=DMARC1; p=reject");
    let house = House::asking(dns.addr());
    let receipt = offered(&house, &message("From here", "own-1"));
    assert!(receipt.starts_with("250 2.0.0 "), "{receipt}");
    house.submit(&[BOB], &message("Submitted", "own-2"));
    for kept in [&house.mailbox(ALICE, "INBOX")[0], &house.mailbox(BOB, "INBOX")[0]] {
        assert!(!kept.contains("Authentication-Results:"), "{kept}");
    }
    assert_eq!(dns.queries_total(), 0, "nobody is asked");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_count_and_a_trusted_sealer_is_believed() {
    let dns = Dns::start().await;
    publish(&dns, WRONG, "v=DMARC1; p=reject");
    let house = judging(&dns, "trusted_sealers = [\"list.test\"]");
    let path = house.path().join("message.eml");
    std::fs::write(&path, message("Signed", "signed-1").replace('\n', "\r\n")).unwrap();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/sign_and_seal.py");
    // Debian's own Python: its packages are not seen by others.
    let made = tool(Command::new("/usr/bin/python3").arg(script).arg(&path));
    for record in made.lines() {
        let (name, text) = record.split_once(' ').unwrap();
        dns.txt(name, text);
    }
    let read = |name: &str| {
        let text = std::fs::read_to_string(house.path().join(name)).unwrap();
        text.replace("\r\n", "\n")
    };
    // DKIM of the author's domain makes up for SPF.
    let receipt = offered(&house, &read("signed.eml"));
    assert!(receipt.starts_with("250 2.0.0 "), "{receipt}");
    let kept = unfolded(&house.mailbox(ALICE, "INBOX")[0]);
    assert!(kept.contains("dkim=pass") && kept.contains("dmarc=pass"), "{kept}");
    // A list has changed it and sealed what it found before; another one is not trusted.
    let receipt = offered(&house, &read("sealed.eml"));
    assert!(receipt.starts_with("250 2.0.0 "), "{receipt}");
    let kept = unfolded(&house.mailbox(ALICE, "INBOX")[1]);
    assert!(kept.contains("arc=pass") && kept.contains("dmarc=fail"), "{kept}");
    let id = receipt.trim_start_matches("250 2.0.0 ");
    let story = house.restante(&["trace", receipt_id(id)]);
    assert!(
        story.contains("it was right when it came to list.test")
            || story.contains("list.test, which is trusted"),
        "{story}"
    );
    let reply = offered(&house, &read("sealed-by-another.eml"));
    assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    tokio::task::block_in_place(|| drop(house));
}
