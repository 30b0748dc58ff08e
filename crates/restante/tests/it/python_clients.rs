//! Python's clients of IMAP: IMAPClient and aioimaplib, and imaplib where commands are limited.

use crate::harness::{ALICE, House};

#[test]
fn imapclient_reads_and_changes() {
    House::new().python_with_clients("imapclient_reads.py");
}

#[test]
fn aioimaplib_reads_and_idles() {
    House::new().python_with_clients("aioimaplib_reads.py");
}

/// RFC 9738: whoever goes on where it is told to misses nothing.
#[test]
fn a_limit_of_messages_hides_none() {
    let mut house = House::made("127.0.0.1:1");
    house.set("limits", "imap_command_messages_max = 1000");
    house.start();
    house.fill(ALICE, "INBOX", 1, 2500);
    house.python("imap_message_limit.py");
}
