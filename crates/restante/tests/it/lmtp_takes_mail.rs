//! A mail server of our own in front hands its mail on over LMTP (RFC 2033).

use crate::foreign_servers::{Foreign, Kind};
use crate::harness::{ALICE, BOB, CAROL, House, Smtp, message, receipt_id, until};

/// What python's smtplib finds: LHLO, a reply for each recipient, no SMTP.
#[test]
fn over_a_unix_socket_and_over_tcp() {
    let mut house = House::made("127.0.0.1:1");
    house.set("lmtp", "socket = \"lmtp.sock\"");
    house.set("listen", "lmtp = 24");
    house.start();
    let told = house.python("lmtp.py");
    assert!(told.contains("all as expected"), "{told}");
    for account in [ALICE, BOB] {
        let inbox = house.mailbox(account, "INBOX");
        assert_eq!(inbox.len(), 2, "{inbox:?}");
        assert!(inbox[0].contains(" with LMTP id "), "{}", inbox[0]);
    }
    let receipt = told.lines().find_map(|line| line.strip_prefix("receipt ")).unwrap();
    let story = house.await_trace(receipt_id(receipt), "taken over LMTP from 127.0.0.1");
    assert!(story.contains("front.test"), "{story}");
}

#[test]
fn the_socket_is_gone_with_the_server() {
    let mut house = House::made("127.0.0.1:1");
    house.set("lmtp", "socket = \"lmtp.sock\"");
    house.start();
    let socket = house.installation.data.join("lmtp.sock");
    assert!(socket.exists());
    house.kill();
    assert!(socket.exists(), "a killed server leaves it");
    house.start();
    house.stop();
    assert!(!socket.exists());
}

#[test]
fn only_for_those_that_settings_name() {
    let mut house = House::made("127.0.0.1:1");
    house.set("listen", "lmtp = 24");
    house.set("lmtp", "networks = [\"192.0.2.0/24\"]");
    house.start();
    let mut greeting = String::new();
    let stream = std::net::TcpStream::connect(house.address(24)).unwrap();
    std::io::Read::read_to_string(&mut &stream, &mut greeting).unwrap();
    assert!(greeting.starts_with("554 5.7.1 "), "{greeting}");
}

/// RFC 2033 §4.2: Postfix hears a reply for each recipient behind the dot, and each has its own fate.
#[test]
fn postfix_hands_mail_on_and_each_recipient_has_its_own_fate() {
    let mut house = House::made("127.0.0.1:1");
    house.set("listen", "lmtp = 24");
    house.start();
    // Carol's mailbox is full for now.
    house.restante(&["account", "quota", CAROL, "--messages", "1"]);
    house.deliver(&[CAROL], &message("The only one", "full-1"));
    let postfix = Foreign::start(Kind::PostfixLmtp, house.address(24));
    let mut smtp = Smtp::connect(postfix.address());
    smtp.say("EHLO client.test");
    smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
    for recipient in [ALICE, BOB, CAROL, "nobody@example.test"] {
        smtp.expect(&format!("RCPT TO:<{recipient}>"), "250");
    }
    smtp.expect("DATA", "354");
    let text = message("For several", "lmtp-1").replace('\n', "\r\n").replace("\r\n.", "\r\n..");
    smtp.expect(&format!("{text}\r\n."), "250");
    let fate = |recipient: &str, words: &str| {
        until(&format!("{words:?} of {recipient}"), || {
            let log = postfix.log();
            let told =
                |line: &&str| line.contains(&format!("to=<{recipient}>")) && line.contains(words);
            log.lines().find(told).map(str::to_owned)
        })
    };
    for recipient in [ALICE, BOB] {
        let line = fate(recipient, "status=sent");
        let receipt = line.split_once("(250 2.0.0 ").unwrap().1;
        house.await_trace(receipt_id(receipt), "taken over LMTP from 127.0.0.1");
    }
    assert!(fate(CAROL, "status=deferred").contains("said: 452 4.2.2"));
    assert!(fate("nobody@example.test", "status=bounced").contains("said: 550 5.1.1"));
    house.restante(&["account", "quota", CAROL, "--messages", "100"]);
    fate(CAROL, "status=sent");
    for (recipient, count) in [(ALICE, 1), (BOB, 1), (CAROL, 2)] {
        assert_eq!(house.mailbox(recipient, "INBOX").len(), count, "{recipient}");
    }
}
