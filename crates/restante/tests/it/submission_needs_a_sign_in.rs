//! 587 with STARTTLS and 465 with TLS: PLAIN and LOGIN work, wrong ones and borrowed names do not.

use crate::harness::{ALICE, BOB, House, PASSWORD, Smtp, base64};

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
