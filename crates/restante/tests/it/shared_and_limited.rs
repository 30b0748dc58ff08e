//! Mailboxes that two people use, and accounts that may keep so much and no more.

use crate::harness::{ALICE, House};

#[test]
fn a_mailbox_is_shared_and_no_longer() {
    House::new().python("imap_sharing.py");
}

#[test]
fn a_quota_is_kept() {
    let mut house = House::new();
    let set = ["account", "quota", ALICE, "--messages", "2", "--storage", "1MiB"];
    assert!(house.restante(&set).contains("1 MiB"));
    house.python("imap_quota.py");
    // It stands in the records: without a server, and with the next one.
    house.stop();
    assert!(house.restante(&["account", "list"]).contains("1 MiB"));
    let unlimited = ["account", "quota", ALICE, "--messages", "none", "--storage", "none"];
    assert!(!house.restante(&unlimited).contains("MiB"));
}
