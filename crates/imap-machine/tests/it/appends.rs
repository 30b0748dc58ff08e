//! APPEND that lies, breaks off, or is too much.

use imap_machine::{Event, Question, Session};
use mail_types::{Machine, Step};

use crate::client::{Client, START, config};
use crate::service::{Proof, Service};

#[test]
fn what_is_announced_is_read_over_and_never_run() {
    let mut service = Service::new();
    let mut client = Client::signed_in(config(), &mut service);
    // 4 GiB and far more than that are no smaller for being too large to count.
    for octets in ["4294967295", "4294967296", "18446744073709551616"] {
        let answer = client.say(&mut service, &format!("1 APPEND INBOX {{{octets}}}"));
        assert!(answer.starts_with("1 NO [TOOBIG] "), "{answer}");
        let mut client = Client::signed_in(config(), &mut service);
        client.feed(&mut service, format!("2 APPEND INBOX {{{octets}+}}\r\n").as_bytes());
        client.feed(&mut service, b"3 DELETE Drafts\r\n");
        assert!(client.closed);
        assert!(!String::from_utf8_lossy(&client.sent).contains("3 "));
    }
    // A refused message is read over, however many commands it holds.
    client.sent.clear();
    client.feed(&mut service, b"4 APPEND INBOX {70000000+}\r\n");
    for _ in 0..7_000 {
        client.feed(&mut service, &b"X LOGOUT\r\n".repeat(1000));
    }
    client.feed(&mut service, b"\r\n5 NOOP\r\n");
    let sent = String::from_utf8_lossy(&client.sent).into_owned();
    let wanted = "4 NO [TOOBIG] A message has at most 67108864 octets here\r\n5 OK Done\r\n";
    assert_eq!(sent, wanted);
    // A refused part of a CATENATE, and what stands behind it.
    client.sent.clear();
    client.feed(&mut service, b"6 APPEND No CATENATE (TEXT {10+}\r\nX LOGOUT\r\n");
    client.feed(&mut service, b" TEXT ~{10+}\r\nX LOGOUT\r\n) (\\Seen) {10+}\r\nX LOGOUT\r\n\r\n");
    let sent = String::from_utf8_lossy(&client.sent).into_owned();
    assert_eq!(sent, "6 NO [TRYCREATE] No such mailbox\r\n");
    assert!(service.mails.is_empty());
}

#[test]
fn what_breaks_off_leaves_nothing() {
    let commands: [&[u8]; 5] = [
        b"1 APPEND INBOX {3+}\r\nab",
        b"1 APPEND INBOX {3+}\r\nabc",
        b"1 APPEND INBOX {3+}\r\nabc {3+}\r\nab",
        b"1 APPEND INBOX {3+}\r\nabc {3+}\r\nabc",
        b"1 APPEND INBOX CATENATE (TEXT {3+}\r\nabc",
    ];
    for command in commands {
        let mut service = Service::new();
        let mut client = Client::signed_in(config(), &mut service);
        client.feed(&mut service, command);
        client.session.peer_closed(client.now);
        client.run(&mut service);
        assert!(client.closed);
        assert!(service.mails.is_empty());
    }
}

/// A client that has closed its side is still told what became of its messages.
#[test]
fn half_closed_connections_are_answered() {
    let mut service = Service::new();
    let mut session: Session<Proof> = Client::signed_in(config(), &mut service).session;
    session.input(b"1 APPEND INBOX {3+}\r\nabc\r\n2 APPEND INBOX {3+}\r\nabc\r\n", START);
    let mut appending = crate::appending::Appending::default();
    let mut asked = Vec::new();
    loop {
        match session.step(START) {
            Step::Ask(question) => {
                asked.push(question.clone());
                session.answer(service.answer(question, &mut appending), START);
            }
            Step::NeedInput => {
                // Both commits are under way, and nothing was said of either.
                assert!(!asked.contains(&Question::AppendSettle));
                assert!(session.output().is_empty());
                session.peer_closed(START);
            }
            Step::Close => break,
            Step::StartTls | Step::StartCompression => panic!(),
        }
    }
    let sent = String::from_utf8_lossy(session.output()).into_owned();
    let ok = |line: &str| line.contains(" OK [APPENDUID ");
    assert_eq!(sent.lines().filter(|line| ok(line)).count(), 2, "{sent}");
}

#[test]
fn few_commits_are_under_way_and_little_is_held() {
    let mut service = Service::new();
    let mut session: Session<Proof> = Client::signed_in(config(), &mut service).session;
    let mut appending = crate::appending::Appending::default();
    let message = b"1 APPEND INBOX {100000+}\r\n".to_vec();
    let message = [message, vec![b'x'; 100_000], b"\r\n".to_vec()].concat();
    let small = b"1 APPEND INBOX {1+}\r\nx\r\n".to_vec();
    for (message, most) in [(small, 256), (message, 84)] {
        let mut settles = 0;
        for _ in 0..1000 {
            let mut rest = &message[..];
            while !rest.is_empty() {
                let taken = session.input(rest, START);
                rest = &rest[taken..];
                while let Step::Ask(question) = session.step(START) {
                    settles += usize::from(question == Question::AppendSettle);
                    session.answer(service.answer(question, &mut appending), START);
                    assert!(appending.settled.len() <= most, "{}", appending.settled.len());
                }
                session.output().clear();
            }
        }
        assert!(settles > 0);
        session.event(Event::Appended, START);
        while let Step::Ask(question) = session.step(START) {
            session.answer(service.answer(question, &mut appending), START);
            session.event(Event::Appended, START);
        }
        assert!(appending.settled.is_empty());
    }
}

/// What is not octets of messages counts as the command, whose size is limited.
#[test]
fn endless_lists_of_messages_are_too_long() {
    let mut service = Service::new();
    let mut client = Client::signed_in(config(), &mut service);
    client.feed(&mut service, b"1 APPEND INBOX");
    for _ in 0..100 {
        client.feed(&mut service, &b" (\\Seen \\Flagged) {1+}\r\nx".repeat(100));
    }
    client.feed(&mut service, b"\r\n2 NOOP\r\n");
    let sent = String::from_utf8_lossy(&client.sent).into_owned();
    assert_eq!(sent, "1 NO [LIMIT] Too many messages for one command\r\n2 OK Done\r\n");
    let keywords = " $aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".repeat(200);
    client.sent.clear();
    client.feed(&mut service, b"3 APPEND INBOX");
    for _ in 0..100 {
        client.feed(&mut service, format!(" (\\Seen{keywords}) {{1+}}\r\nx").as_bytes());
    }
    client.feed(&mut service, b"\r\n4 NOOP\r\n");
    let sent = String::from_utf8_lossy(&client.sent).into_owned();
    assert_eq!(sent, "3 BAD [TOOBIG] The command is too long\r\n4 OK Done\r\n");
    assert!(service.mails.is_empty());
}
