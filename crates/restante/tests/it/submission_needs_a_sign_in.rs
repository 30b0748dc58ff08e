//! 587 with STARTTLS and 465 with TLS: PLAIN and LOGIN work, wrong ones and borrowed names do not.

use crate::harness::{ALICE, BOB, House, PASSWORD, Smtp, base64, message};

#[test]
fn smtplib_signs_in_over_starttls_and_tls() {
    House::new().python("submission.py");
}

#[test]
fn the_sender_must_be_the_accounts_own() {
    let house = House::new();
    let mut smtp = Smtp::connect(house.address(587));
    smtp.say("EHLO [127.0.0.1]");
    let plain = base64(format!("\0{ALICE}\0{PASSWORD}").as_bytes());
    smtp.expect(&format!("AUTH PLAIN {plain}"), "235 2.7.0");
    smtp.expect(&format!("MAIL FROM:<{BOB}>"), "5");
    smtp.expect(&format!("MAIL FROM:<{ALICE}>"), "250");
}

#[test]
fn a_new_account_signs_in_and_a_removed_one_does_not() {
    let house = House::new();
    let file = house.path().join("dave");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let file = file.display().to_string();
    house.restante(&["account", "add", "dave@example.test", "--password-file", &file]);
    house.deliver(&["dave@example.test"], &crate::harness::message("Welcome", "dave-1"));
    assert_eq!(house.mailbox("dave@example.test", "INBOX").len(), 1);
}

#[test]
fn bcc_is_known_to_nobody_and_two_from_fields_are_refused() {
    let house = House::new();
    let mail = format!("Bcc: {BOB},\n\tcarol@example.test\n{}", message("Secretly", "bcc-1"));
    house.submit(&[BOB], &mail);
    house.await_message(BOB, "Subject: Secretly");
    let kept = house.mailbox(BOB, "INBOX");
    assert!(!kept[0].contains("Bcc") && !kept[0].contains("carol@"), "{}", kept[0]);
    assert!(kept[0].contains("The body of bcc-1."), "{}", kept[0]);

    let twice = submitted(&house, ALICE, &format!("From: {ALICE}\nFrom: boss@example.test"));
    assert!(twice.starts_with("550 5.6.0"), "{twice}");
}

/// The reply to a message of an account's with this header, to bob.
fn submitted(house: &House, account: &str, header: &str) -> String {
    let mut smtp = Smtp::connect(house.address(587));
    smtp.say("EHLO [127.0.0.1]");
    let plain = base64(format!("\0{account}\0{PASSWORD}").as_bytes());
    smtp.expect(&format!("AUTH PLAIN {plain}"), "235");
    smtp.expect(&format!("MAIL FROM:<{account}>"), "250");
    smtp.expect(&format!("RCPT TO:<{BOB}>"), "250");
    smtp.expect("DATA", "354");
    smtp.say(&format!("{}\r\nSubject: x\r\n\r\nhello\r\n.", header.replace('\n', "\r\n")))
}

#[test]
fn who_resends_a_message_answers_for_it() {
    let house = House::new();
    let foreign = "From: friend@far.test";
    assert!(
        submitted(&house, ALICE, foreign).starts_with("550 5.7.1 The From address friend@far.test")
    );
    // RFC 5322 §3.6.6: From stays as it is; the newest resending stands on top.
    let taken = [
        format!("Resent-From: Alice <{ALICE}>\n{foreign}"),
        format!("Resent-Sender: {ALICE}\nResent-From: boss@far.test\n{foreign}"),
        format!("Resent-From: {ALICE}\nResent-From: y@far.test\n{foreign}"),
    ];
    for header in taken {
        let reply = submitted(&house, ALICE, &header);
        assert!(reply.starts_with("250 2.0.0 "), "{header}: {reply}");
    }
    let refused = [
        format!("Resent-From: boss@far.test\nResent-From: {ALICE}\nFrom: {ALICE}"),
        format!("Resent-From: {ALICE}, boss@far.test\n{foreign}"),
        format!("Resent-From: {ALICE}\nResent-Sender: boss@far.test\n{foreign}"),
        format!("Resent-From: nobody\n{foreign}"),
        format!("Resent-Sender: {ALICE}\n{foreign}"),
        // Nor is it a way to write as a colleague, for whom our servers vouch.
        format!("Resent-From: {ALICE}\nFrom: {BOB}"),
    ];
    for header in refused {
        let reply = submitted(&house, ALICE, &header);
        assert!(reply.starts_with("550 5.7.1 The "), "{header}: {reply}");
    }
}

#[test]
fn an_account_may_be_let_to_write_in_others_names() {
    let mut house = House::made("127.0.0.1:1");
    house.set("submission", &format!("any_from = [\"{ALICE}\"]"));
    house.start();
    let reply = submitted(&house, ALICE, "From: friend@far.test");
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let reply = submitted(&house, BOB, "From: friend@far.test");
    assert!(reply.starts_with("550 5.7.1 The From address"), "{reply}");
}
