//! What imaplib changes is changed: messages, flags, mailboxes.

use crate::harness::{ALICE, House};

#[test]
fn append_copy_move_store_and_expunge() {
    House::new().python("imap_messages.py");
}

#[test]
fn create_rename_subscribe_and_delete() {
    House::new().python("imap_mailboxes.py");
}

#[test]
fn every_command_of_imaplib() {
    House::new().python("imap_every_command.py");
}

#[test]
fn all_of_it_is_there_after_a_kill() {
    let mut house = House::new();
    house.python("imap_messages.py");
    let mailboxes = ["INBOX", "Archive", "Trash"];
    let before = mailboxes.map(|mailbox| house.mailbox(ALICE, mailbox));
    house.kill();
    house.start();
    assert_eq!(mailboxes.map(|mailbox| house.mailbox(ALICE, mailbox)), before);
}
