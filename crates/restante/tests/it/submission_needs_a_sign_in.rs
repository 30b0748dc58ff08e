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

    let mut smtp = Smtp::connect(house.address(587));
    smtp.say("EHLO [127.0.0.1]");
    let plain = base64(format!("\0{ALICE}\0{PASSWORD}").as_bytes());
    smtp.expect(&format!("AUTH PLAIN {plain}"), "235");
    smtp.expect(&format!("MAIL FROM:<{ALICE}>"), "250");
    smtp.expect(&format!("RCPT TO:<{BOB}>"), "250");
    smtp.expect("DATA", "354");
    let twice = format!("From: {ALICE}\r\nFrom: boss@example.test\r\n\r\nhello\r\n.");
    smtp.expect(&twice, "550 5.6.0");
}
