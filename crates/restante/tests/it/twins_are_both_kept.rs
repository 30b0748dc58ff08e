//! The same Message-ID and subject do not make two messages one.

use crate::harness::{ALICE, House, message};

#[test]
fn different_bodies_under_one_message_id_are_both_delivered() {
    let house = House::new();
    let first = message("Twins", "twin");
    let second = first.replace("The body of twin", "Another body");
    house.deliver(&[ALICE], &first);
    house.deliver(&[ALICE], &second);
    let messages = house.mailbox(ALICE, "INBOX");
    assert_eq!(messages.len(), 2);
    assert!(messages.iter().any(|message| message.contains("The body of twin")));
    assert!(messages.iter().any(|message| message.contains("Another body")));
}

#[test]
fn the_same_bytes_sent_twice_are_two_messages() {
    let house = House::new();
    let first = house.deliver(&[ALICE], &message("Again", "again"));
    let second = house.deliver(&[ALICE], &message("Again", "again"));
    assert_ne!(first, second, "one receipt for two messages");
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 2);
}
