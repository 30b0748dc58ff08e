//! What holds for any octets; the fuzz targets and the replay of their corpora both end here.

use imap_machine::grammar::{
    Command, FetchAttribute, MAILBOX_LEVELS_MAX, MailboxName, SequenceSet, Tag, mutf7_decode,
    mutf7_encode,
};
use imap_machine::{Limits, Pattern};
use mail_types::{Flags, Timestamp};

use crate::client::{Client, config};
use crate::service::Service;

/// Any octets as a command, a mailbox name, a sequence set, a pattern: no panic, and what was read
/// is read again from what is written.
pub fn imap_commands(octets: &[u8]) {
    drop(Tag::of_line(octets));
    if let Ok((_, command)) = Command::parse(octets) {
        rereads(&command);
    }
    if let Ok(name) = mutf7_decode(octets) {
        assert_eq!(mutf7_encode(&name).as_bytes(), octets);
    }
    if let Ok(set) = SequenceSet::from_wire(octets) {
        assert_eq!(SequenceSet::from_wire(set.to_string().as_bytes()).as_ref(), Ok(&set));
        assert!(set.resolve(100).ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
    }
    if let Ok(text) = std::str::from_utf8(octets)
        && let Some(pattern) = Pattern::new(text)
        && !text.contains(['*', '%'])
        // No mailbox has more levels, and such a text names none.
        && text.matches('/').count() < MAILBOX_LEVELS_MAX
    {
        assert!(pattern.matches(text));
    }
}

fn rereads(command: &Command) {
    match command {
        Command::Fetch(fetch) => {
            for attribute in &fetch.attributes {
                let FetchAttribute::Section(section) = attribute else { continue };
                let mut line = b"t FETCH 1 BODY[".to_vec();
                section.spec.write(&mut line);
                line.extend_from_slice(b"]\r\n");
                let Ok((_, Command::Fetch(again))) = Command::parse(&line) else {
                    panic!("{}", String::from_utf8_lossy(&line));
                };
                let [FetchAttribute::Section(again)] = &*again.attributes else { panic!() };
                assert_eq!(again.spec, section.spec);
            }
        }
        Command::Create { mailbox: name, .. } | Command::Delete(name) => {
            let again = MailboxName::from_wire(name.to_wire().as_bytes());
            assert_eq!(again.as_ref(), Ok(name));
        }
        _ => {}
    }
}

/// Any octets as what a client sends: answers are the same however the octets are cut, and little
/// is held at any time. An odd first octet is a stranger; after an even one the session is signed
/// in and INBOX selected.
pub fn imap_session(octets: &[u8]) {
    let Some((&first, rest)) = octets.split_first() else { return };
    let whole = play(first, rest, rest.len().max(1));
    let pieces = play(first, rest, usize::from(first / 2 % 16) + 1);
    assert_eq!(said(&whole), said(&pieces));
}

/// How many messages of pipelined APPENDs are told of at a time depends on how fast they come.
fn said(sent: &[u8]) -> String {
    let text = String::from_utf8_lossy(sent);
    let count = |line: &str| line.ends_with(" EXISTS") || line.ends_with(" RECENT");
    let lines = text.lines().filter(|line| !(line.starts_with("* ") && count(line)));
    lines.map(|line| format!("{line}\n")).collect()
}

fn play(first: u8, octets: &[u8], piece: usize) -> Vec<u8> {
    let mut service = Service::new();
    for number in 0..5 {
        let text =
            format!("Subject: {number}\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\nc\r\n");
        service.deliver("INBOX", text.as_bytes(), Flags::default(), Timestamp::default());
    }
    let mut config = config();
    // What comes with STARTTLS in one piece is forgotten, what comes after it is not.
    config.starttls = false;
    config.limits = Limits { fetch_octets_max: 30, output_octets_max: 512, ..config.limits };
    let mut client = Client::new(config);
    // Events come between feeds, which differ by how the octets are cut.
    client.deaf = true;
    if first.is_multiple_of(2) {
        client.feed(&mut service, b"l LOGIN ann@example.org \"open sesame\"\r\ns SELECT INBOX\r\n");
    }
    for piece in octets.chunks(piece) {
        client.feed(&mut service, piece);
    }
    assert!(client.output_max < 64 * 1024, "{} octets of output at once", client.output_max);
    client.sent
}
