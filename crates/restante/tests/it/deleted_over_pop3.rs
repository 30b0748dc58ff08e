//! POP3: what is marked and confirmed by QUIT goes, and nothing else.

use crate::harness::{ALICE, House, message};

#[test]
fn dele_counts_only_after_quit() {
    let house = House::new();
    for number in 1..=3 {
        house.deliver(&[ALICE], &message(&format!("Mail {number}"), &format!("pop-{number}")));
    }
    house.python("pop3_delete.py");
    let left = house.mailbox(ALICE, "INBOX");
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|message| !message.contains("Subject: Mail 2")));
}
