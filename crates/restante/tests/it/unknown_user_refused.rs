//! Who is not here is told so at RCPT, and the others get their mail.

use crate::harness::{ALICE, House, Smtp, message};

#[test]
fn an_unknown_user_is_refused_with_5_1_1() {
    let house = House::new();
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say("EHLO outside.test");
    smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
    smtp.expect("RCPT TO:<nobody@example.test>", "550 5.1.1");
    // With no recipient left there is nothing to send to.
    smtp.expect("DATA", "5");
}

#[test]
fn the_known_recipients_of_the_same_message_get_it() {
    let house = House::new();
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say("EHLO outside.test");
    smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
    smtp.expect("RCPT TO:<nobody@example.test>", "550 5.1.1");
    smtp.send(&[ALICE], &message("For the known", "known-1"));
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 1);
}

#[test]
fn postmaster_is_always_known() {
    // RFC 5321 §4.5.1: MUST, and in any case.
    let house = House::new();
    for address in ["postmaster@example.test", "PostMaster@example.test", "Postmaster"] {
        let mut smtp = Smtp::connect(house.address(25));
        smtp.say("EHLO outside.test");
        smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
        smtp.send(&[address], &message("To whom it concerns", "postmaster-1"));
    }
}
