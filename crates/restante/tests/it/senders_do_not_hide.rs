//! Ways to have mail in somebody's name delivered although its domain wants it rejected: none works.

use std::time::Duration;

use hickory_proto::rr::RecordType;
use peers::{Dns, Fault};

use crate::harness::{ALICE, BOB, House, PASSWORD, Smtp, base64, message};

/// A server that checks mail from loopback, too, and asks this DNS.
fn judging(dns: &Dns) -> House {
    let mut house = House::made(&dns.addr().to_string());
    house.set("judge", "trusted_networks = []\npatience = \"2s\"");
    house.start();
    house
}

/// bank.test sends from elsewhere, wants the rest rejected, and says so in many records.
fn publish_bank(dns: &Dns) {
    dns.txt("_dmarc.bank.test", "v=DMARC1; p=reject");
    dns.txt("bank.test", "v=spf1 include:s1.bank.test -all");
    for n in 1..8 {
        let text = format!("v=spf1 include:s{}.bank.test -all", n + 1);
        dns.txt(&format!("s{n}.bank.test"), &text);
    }
    dns.txt("s8.bank.test", "v=spf1 ip4:192.0.2.1 -all");
    dns.ptr([127, 0, 0, 1], "mx.evil.test").address("mx.evil.test", [127, 0, 0, 1]);
    dns.txt("evil.test", "v=spf1 ip4:127.0.0.1 -all");
}

/// The reply to the final dot. `lines` are those of From and before.
fn offered(house: &House, (helo, reverse_path): (&str, &str), lines: &str) -> String {
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say(&format!("EHLO {helo}"));
    smtp.expect(&format!("MAIL FROM:<{reverse_path}>"), "250");
    smtp.expect(&format!("RCPT TO:<{ALICE}>"), "250");
    smtp.expect("DATA", "354");
    let text = format!("{lines}\nTo: {ALICE}\nSubject: Pay\n\nPay.\n.");
    smtp.say(&text.replace('\n', "\r\n"))
}

const EVIL: (&str, &str) = ("mx.evil.test", "x@evil.test");

#[tokio::test(flavor = "multi_thread")]
async fn behind_another_entry_of_from() {
    let dns = Dns::start().await;
    publish_bank(&dns);
    let house = judging(&dns);
    for from in [
        "Boss <ceo@bank.test>, x",
        "x@evil.test, ceo@bank.test, y@[192.0.2.1]",
        "<ceo@bank.test> <x@evil.test>",
        "a@1.test, a@2.test, a@3.test, a@4.test, a@5.test, ceo@bank.test",
    ] {
        let reply = offered(&house, EVIL, &format!("From: {from}"));
        assert!(reply.starts_with("550 5.7.1 Not authenticated as mail of "), "{from}: {reply}");
    }
    // An author whose own names do not answer excuses no other.
    dns.txt("_dmarc.shop.test", "v=DMARC1; p=none; np=reject");
    dns.fault("_dmarc.quiet.test", Fault::Silent);
    let reply = offered(&house, EVIL, "From: a@quiet.test, ceo@gone.shop.test");
    assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    let reply = offered(&house, EVIL, "From: Evil, Very <x@evil.test>");
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 1);
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_name_that_never_answers() {
    let dns = Dns::start().await;
    publish_bank(&dns);
    dns.fault("quiet.test", Fault::Silent);
    let house = judging(&dns);
    let reply = offered(&house, ("quiet.test", "x@bank.test"), "From: x@bank.test");
    assert!(reply.starts_with("550 5.7.1 Not authenticated as mail of bank.test"), "{reply}");
    // The same with the key of a signature, where a policy asks whether a name is there at all.
    dns.txt("_dmarc.shop.test", "v=DMARC1; p=none; np=reject").address("shop.test", [192, 0, 2, 1]);
    dns.fault("silent._domainkey.evil.test", Fault::Silent);
    let signed = format!(
        "DKIM-Signature: v=1; a=rsa-sha256; d=evil.test; s=silent; h=from; bh={}; b=AAAA\n\
         From: ceo@gone.shop.test",
        base64(&[0; 32])
    );
    let reply = offered(&house, EVIL, &signed);
    assert!(reply.starts_with("550 5.7.1 Not authenticated as mail of gone.shop.test"), "{reply}");
    assert!(house.mailbox(ALICE, "INBOX").is_empty());
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_more_header_than_is_read() {
    let dns = Dns::start().await;
    publish_bank(&dns);
    let house = judging(&dns);
    let from = "From: ceo@bank.test";
    let fields = |count: usize| format!("{}{from}", "a:\n".repeat(count));
    let reply = offered(&house, EVIL, &fields(9_998));
    // With To and Subject that is all that is read.
    assert!(reply.starts_with("554 5.6.0 The header of the message has more than"), "{reply}");
    let reply = offered(&house, EVIL, &fields(9_997));
    assert!(reply.starts_with("550 5.7.1 Not authenticated as mail of bank.test"), "{reply}");
    let reply = offered(&house, EVIL, &fields(10_000));
    assert!(reply.starts_with("554 5.6.0 The header of the message has more than"), "{reply}");
    let long = format!("a: {}\n{from}", " xxxxxxx\n".repeat(130_000));
    let reply = offered(&house, EVIL, &long);
    assert!(reply.starts_with("554 5.6.0 The header of the message is longer than"), "{reply}");
    // A body may be as long as it likes.
    let body = format!("From: x@evil.test\n\n{}", " xxxxxxx\n".repeat(260_000));
    let reply = offered(&house, EVIL, &body);
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    tokio::task::block_in_place(|| drop(house));
}

/// What is submitted has the same limits.
#[test]
fn whose_mail_it_is_must_be_clear_when_it_is_submitted() {
    let house = House::new();
    let mut smtp = Smtp::connect(house.address(587));
    smtp.say("EHLO [127.0.0.1]");
    let plain = base64(format!("\0{ALICE}\0{PASSWORD}").as_bytes());
    smtp.expect(&format!("AUTH PLAIN {plain}"), "235");
    let many = format!("From: {}{BOB}", format!("{ALICE}, ").repeat(10_000));
    for (header, wanted) in [
        (format!("From: <{BOB}> <{ALICE}>"), "550 5.7.1 "),
        (format!("From: <{BOB} <{ALICE}>"), "550 5.7.1 "),
        (format!("From: {ALICE}, <{BOB}@>"), "550 5.6.0 "),
        (format!("From: {ALICE}, boss@example..test"), "550 5.6.0 "),
        (many, "550 5.6.0 "),
        (format!("{}From: {BOB}", "a:\r\n".repeat(10_001)), "554 5.6.0 "),
        (format!("From: One, Alice <{ALICE}>"), "250 2.0.0 "),
    ] {
        smtp.expect(&format!("MAIL FROM:<{ALICE}>"), "250");
        smtp.expect(&format!("RCPT TO:<{BOB}>"), "250");
        smtp.expect("DATA", "354");
        let reply = smtp.say(&format!("{header}\r\n\r\nhello\r\n."));
        let shown = &header[header.len().saturating_sub(80)..];
        assert!(reply.starts_with(wanted), "{shown}: {reply}");
    }
    assert_eq!(house.mailbox(BOB, "INBOX").len(), 1);
}

/// A chain whose keys are never told.
fn seals(dns: &Dns) -> String {
    let set = |n: u8| {
        dns.fault(&format!("s._domainkey.k{n}.evil.test"), Fault::Silent);
        let (chain, hash) = (if n == 1 { "none" } else { "pass" }, base64(&[0; 32]));
        let key = format!("i={n}; a=rsa-sha256; d=k{n}.evil.test; s=s");
        format!(
            "ARC-Seal: {key}; cv={chain}; b=AAAA\r\n\
             ARC-Message-Signature: {key}; h=from; bh={hash}; b=AAAA\r\n\
             ARC-Authentication-Results: i={n}; evil.test; none\r\n"
        )
    };
    (1..=50).map(set).collect()
}

/// Names that never answer are forgotten with the transaction that they came with; delivery has
/// places of its own.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_never_answer_keep_nobody_waiting() {
    let dns = Dns::start().await;
    publish_bank(&dns);
    let house = judging(&dns);
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say("EHLO mx.evil.test");
    for n in 0..1000 {
        dns.fault(&format!("n{n}.evil.test"), Fault::Silent);
        smtp.expect(&format!("MAIL FROM:<x@n{n}.evil.test>"), "250");
        smtp.expect("RSET", "250");
    }
    // The begin of a message that never comes, with fifty keys.
    let chunk = format!("{}From: x@evil.test\r\n\r\n{}", seals(&dns), "body\r\n".repeat(15_000));
    for _ in 0..20 {
        smtp.expect("MAIL FROM:<x@evil.test>", "250");
        smtp.expect(&format!("RCPT TO:<{ALICE}>"), "250");
        smtp.expect(&format!("BDAT {}\r\n{chunk}", chunk.len() + 2), "250");
        smtp.expect("RSET", "250");
    }
    house.submit(&["you@far.test"], &message("Outwards", "free-1"));
    dns.wait_for("far.test", RecordType::MX, 1, Duration::from_secs(10)).await;
    // Nor a message of that very client.
    let reply = offered(&house, ("mx.evil.test", "x@bank.test"), "From: x@bank.test");
    assert!(reply.starts_with("550 5.7.1 Not authenticated as mail of bank.test"), "{reply}");
    tokio::task::block_in_place(|| drop(house));
}
