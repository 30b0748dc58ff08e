//! No stranger sends through this server to elsewhere, however the address is written.

use crate::harness::{ALICE, House, Smtp};

#[test]
fn every_form_of_a_foreign_address_is_refused() {
    let house = House::new();
    let foreign = [
        "<victim@elsewhere.test>",
        "<victim%elsewhere.test@example.test>",
        "<\"victim@elsewhere.test\"@example.test>",
        "<\"victim%elsewhere.test\"@example.test>",
        "<elsewhere.test!victim@example.test>",
        "<elsewhere.test!victim>",
        "<victim%elsewhere.test>",
        "<victim@elsewhere.test@example.test>",
        "<@example.test:victim@elsewhere.test>",
        "<@example.test,@elsewhere.test:victim@elsewhere.test>",
        "<\"victim@elsewhere.test\">",
        "<victim@[127.0.0.1]>",
        "<victim@[192.0.2.1]>",
        "<victim@elsewhere.test.>",
        "<\"\\victim\"@elsewhere.test>",
        "<victim@EXAMPLE.test.elsewhere.test>",
    ];
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say("EHLO outside.test");
    for address in foreign {
        smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
        let reply = smtp.say(&format!("RCPT TO:{address}"));
        assert!(reply.starts_with('5'), "{address} was taken: {reply}");
        smtp.expect("RSET", "250");
    }
    assert_eq!(house.restante_json(&["queue", "list"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn a_local_sender_makes_no_relay_of_a_stranger() {
    let house = House::new();
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say("EHLO outside.test");
    for sender in [ALICE, "", "postmaster@example.test"] {
        let mail = smtp.say(&format!("MAIL FROM:<{sender}>"));
        if mail.starts_with('2') {
            smtp.expect("RCPT TO:<victim@elsewhere.test>", "5");
        }
        smtp.expect("RSET", "250");
    }
}

#[test]
fn submission_without_a_sign_in_takes_nothing() {
    let house = House::new();
    let mut smtp = Smtp::connect(house.address(587));
    smtp.say("EHLO [127.0.0.1]");
    smtp.expect(&format!("MAIL FROM:<{ALICE}>"), "530 5.7.0");
}
