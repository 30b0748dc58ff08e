//! The corpora of the fuzz targets, replayed; and random octets made of what matters to SMTP.

use std::path::Path;

use proptest::prelude::*;

use crate::properties;

fn replay(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        property(&octets);
        // Every begin of it, too: a connection can break anywhere.
        (0..octets.len()).step_by(octets.len() / 50 + 1).for_each(|end| property(&octets[..end]));
        count += 1;
    }
    assert!(count > 2, "the corpus of {target} is gone");
}

#[test]
fn smtp_commands() {
    replay("smtp_commands", properties::smtp_commands);
}

#[test]
fn smtp_data() {
    replay("smtp_data", properties::smtp_data);
}

#[test]
fn smtp_replies() {
    replay("smtp_replies", properties::smtp_replies);
}

#[test]
fn addresses() {
    replay("addresses", properties::addresses);
}

/// Octets put together from words.
fn of_words(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(words), 0..40)
        .prop_map(|words| words.concat().into_bytes())
}

const COMMANDS: &[&str] = &[
    "EHLO a.example\r\n",
    "HELO a\r\n",
    "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n",
    "AUTH LOGIN\r\n",
    "YW5u\r\n",
    "*\r\n",
    "MAIL FROM:<a@b.example>\r\n",
    "MAIL FROM:<a@b.example> BODY=8BITMIME SIZE=10\r\n",
    "RCPT TO:<c@d.example>\r\n",
    "RCPT TO:<c@d.example> NOTIFY=NEVER\r\n",
    "DATA\r\n",
    "BDAT 4\r\n",
    "BDAT 4 LAST\r\n",
    "BDAT x\r\n",
    "abcd",
    "line\r\n",
    ".\r\n",
    "..\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
    "STARTTLS\r\n",
    "\r",
    "\n",
    "\0",
    "ä",
];
const DATA: &[&str] = &["\r", "\n", "\r\n", ".", "\r\n.\r\n", "a", "\0", "long text", "\r\n.."];
const REPLIES: &[&str] = &[
    "220 mx\r\n",
    "250-mx\r\n",
    "250-PIPELINING\r\n",
    "250-STARTTLS\r\n",
    "250 SIZE 100\r\n",
    "250 2.0.0 ok\r\n",
    "250 ok\r\n",
    "354 go\r\n",
    "421 4.3.2 bye\r\n",
    "450 4.2.0 busy\r\n",
    "550-5.1.1 no\r\n",
    "550 5.1.1 no\r\n",
    "554 no\r\n",
    "221 bye\r\n",
    "999 what\r\n",
    "x\r\n",
    "\n",
    "\r",
];
const ADDRESSES: &[&str] = &[
    "<",
    ">",
    "@",
    "a",
    "b.example",
    ".",
    "\"",
    "\\",
    " ",
    ":",
    ",",
    "[192.0.2.1]",
    "[IPv6:::1]",
    "%",
    "!",
    "ä",
    "+",
    "=",
    "2B",
    "\u{0}",
    "(",
    "xn--",
    "-",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_commands(octets in of_words(COMMANDS)) {
        properties::smtp_commands(&octets);
    }

    #[test]
    fn random_data(octets in of_words(DATA)) {
        properties::smtp_data(&octets);
    }

    #[test]
    fn random_replies(octets in of_words(REPLIES)) {
        properties::smtp_replies(&octets);
    }

    #[test]
    fn random_addresses(octets in of_words(ADDRESSES)) {
        properties::addresses(&octets);
    }

    #[test]
    fn random_octets(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        properties::smtp_commands(&octets);
        properties::smtp_data(&octets);
        properties::smtp_replies(&octets);
        properties::addresses(&octets);
    }
}
