//! SEARCH against a reader that looks at each message by itself, and what holds for any result.

use std::fmt::Write;

use imap_machine::grammar::{Command, PartialRange, SearchReturn};
use mail_types::{SystemFlag, Timestamp};
use proptest::prelude::*;

use crate::client::{Client, START, config};
use crate::service::{Message, Service, flags};

/// A search key, as text and as what it means.
#[derive(Clone, Debug)]
enum Key {
    Flag(&'static str, SystemFlag, bool),
    Keyword(bool),
    Number(usize, usize),
    Uid(u32),
    Larger(usize),
    Since(i64),
    Older(i64),
    Subject(u32),
    Text(&'static str),
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
    And(Vec<Key>),
}

fn any_key() -> impl Strategy<Value = Key> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(|is| Key::Flag("SEEN", SystemFlag::Seen, is)),
        any::<bool>().prop_map(|is| Key::Flag("DELETED", SystemFlag::Deleted, is)),
        any::<bool>().prop_map(Key::Keyword),
        (1..9_usize, 1..9_usize).prop_map(|(a, b)| Key::Number(a, b)),
        (1..12_u32).prop_map(Key::Uid),
        (15..40_usize).prop_map(Key::Larger),
        (0..9_i64).prop_map(Key::Since),
        (1..9_i64).prop_map(Key::Older),
        (0..9_u32).prop_map(Key::Subject),
        prop_oneof![Just("odd"), Just("EVEN"), Just("absent")].prop_map(Key::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| Key::Not(Box::new(key))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Key::Or(Box::new(a), Box::new(b))),
            prop::collection::vec(inner, 1..4).prop_map(Key::And),
        ]
    })
}

const DAY: i64 = 86_400;
const MESSAGES: u32 = 8;

impl Key {
    fn write(&self, out: &mut String) {
        match self {
            Self::Flag(name, _, is) => write!(out, "{}{name}", if *is { "" } else { "UN" }),
            Self::Keyword(is) => write!(out, "{}KEYWORD $Work", if *is { "" } else { "UN" }),
            Self::Number(a, b) => write!(out, "{}:{}", a.min(&8), b.min(&8)),
            Self::Uid(uid) => write!(out, "UID {uid}:*"),
            Self::Larger(octets) => write!(out, "LARGER {octets}"),
            Self::Since(day) => write!(out, "SINCE {}-Jan-2027", day + 5),
            Self::Older(days) => write!(out, "OLDER {}", days * DAY),
            Self::Subject(number) => write!(out, "SUBJECT s{number}"),
            Self::Text(text) => write!(out, "TEXT {text}"),
            Self::Not(key) => {
                out.push_str("NOT ");
                key.write(out);
                Ok(())
            }
            Self::Or(a, b) => {
                out.push_str("OR ");
                a.write(out);
                out.push(' ');
                b.write(out);
                Ok(())
            }
            Self::And(keys) => {
                for (at, key) in keys.iter().enumerate() {
                    out.push(if at == 0 { '(' } else { ' ' });
                    key.write(out);
                }
                out.push(')');
                Ok(())
            }
        }
        .unwrap();
    }

    /// Whether it finds the message of this sequence number.
    fn finds(&self, number: usize, message: &Message, text: &str) -> bool {
        let uid_max = MESSAGES;
        match self {
            Self::Flag(_, flag, is) => message.flags.has(*flag) == *is,
            Self::Keyword(is) => {
                message.flags.keywords().iter().any(|keyword| keyword.as_str() == "$Work") == *is
            }
            Self::Number(a, b) => {
                let (a, b) = (*a.min(&8), *b.min(&8));
                (a.min(b)..=a.max(b)).contains(&number)
            }
            // `n:*` is `*:n` where n is above all.
            Self::Uid(uid) => message.uid >= *uid.min(&uid_max),
            Self::Larger(octets) => text.len() > *octets,
            Self::Since(day) => message.date.secs().div_euclid(DAY) >= first_day() + day,
            Self::Older(days) => message.date.secs() <= START.secs() - days * DAY,
            Self::Subject(number) => text.starts_with(&format!("Subject: s{number}\r\n")),
            Self::Text(part) => text.to_lowercase().contains(&part.to_lowercase()),
            Self::Not(key) => !key.finds(number, message, text),
            Self::Or(a, b) => a.finds(number, message, text) || b.finds(number, message, text),
            Self::And(keys) => keys.iter().all(|key| key.finds(number, message, text)),
        }
    }
}

/// 5 January 2027; the session begins on the 15th.
const fn first_day() -> i64 {
    START.secs().div_euclid(DAY) - 10
}

fn mailbox() -> (Service, Vec<String>) {
    let mut service = Service::new();
    let mut texts = Vec::new();
    for number in 0..MESSAGES {
        let word = if number % 2 == 0 { "Even" } else { "odd" };
        let text = format!("Subject: s{number}\r\n\r\n{}{word}", "x".repeat(number as usize * 2));
        let list = ["", "\\Seen", "\\Deleted $Work", "\\Seen $Work"][number as usize % 4];
        let date = Timestamp::from_secs((first_day() + i64::from(number)) * DAY + 1000);
        service.deliver("INBOX", text.as_bytes(), flags(list), date);
        texts.push(text);
    }
    service.changed.clear();
    (service, texts)
}

proptest! {
    #[test]
    fn a_search_finds_what_a_plain_reader_finds(keys in prop::collection::vec(any_key(), 1..3)) {
        let (mut service, texts) = mailbox();
        let mut client = Client::signed_in(config(), &mut service);
        client.say(&mut service, "1 SELECT INBOX");
        let mut command = String::new();
        for key in &keys {
            command.push(' ');
            key.write(&mut command);
        }
        let messages = service.mailbox("INBOX").messages.clone();
        let mut found = String::new();
        for (at, message) in messages.iter().enumerate() {
            if keys.iter().all(|key| key.finds(at + 1, message, &texts[at])) {
                write!(found, " {}", at + 1).unwrap();
            }
        }
        let answer = client.say(&mut service, &format!("2 SEARCH{command}"));
        prop_assert_eq!(answer, format!("* SEARCH{found}\r\n2 OK Done\r\n"), "{}", command);
    }

    #[test]
    fn a_partial_is_a_part(from in 1..40_u32, to in 1..40_u32, from_last: bool, count in 0..30_usize) {
        let range = PartialRange { from: from.try_into().unwrap(), to: to.try_into().unwrap(), from_last };
        let all: Vec<usize> = (1..=count).collect();
        let (low, high) = (from.min(to) as usize, from.max(to) as usize);
        let wanted = all.iter().copied().filter(|place| {
            let place = if from_last { count + 1 - place } else { *place };
            (low..=high).contains(&place)
        });
        prop_assert_eq!(&all[range.of(count)], &wanted.collect::<Vec<_>>()[..]);
        // What is written is read again.
        let line = format!("t SEARCH RETURN (PARTIAL {range}) ALL\r\n");
        let Ok((_, Command::Search(search))) = Command::parse(line.as_bytes()) else { panic!("{line}") };
        let partial = SearchReturn { partial: Some(range), ..SearchReturn::default() };
        prop_assert_eq!(search.returns, Some(partial));
    }
}

#[test]
fn texts_are_read_in_their_charset() {
    let mut service = Service::new();
    let text = "Subject: x\r\n\r\nпривет, Grüße, 日本\r\n";
    service.deliver("INBOX", text.as_bytes(), flags(""), Timestamp::default());
    let mut client = Client::signed_in(config(), &mut service);
    client.say(&mut service, "1 SELECT INBOX");
    for (charset, octets) in [
        ("KOI8-R", &b"\xd0\xd2\xc9\xd7\xc5\xd4"[..]),
        ("windows-1251", b"\xef\xf0\xe8\xe2\xe5\xf2"),
        ("ISO-8859-1", b"Gr\xfc\xdfe"),
        ("iso-2022-jp", b"\x1b$BF|K\\\x1b(B"),
        ("Shift_JIS", b"\x93\xfa\x96\x7b"),
        ("GB18030", b"\xc8\xd5\xb1\xbe"),
        ("utf-8", "ПРИВЕТ".as_bytes()),
        ("US-ASCII", b"x"),
    ] {
        client.sent.clear();
        let head = format!("2 SEARCH CHARSET {charset} TEXT {{{}+}}\r\n", octets.len());
        client.feed(&mut service, &[head.as_bytes(), octets, b"\r\n"].concat());
        let answer = String::from_utf8_lossy(&client.sent).into_owned();
        assert_eq!(answer, "* SEARCH 1\r\n2 OK Done\r\n", "{charset}");
    }
    let answer = client.say(&mut service, "3 SEARCH CHARSET UTF-8 TEXT {1+}\r\n\u{e4}");
    assert!(answer.starts_with("3 BAD "), "{answer}");
}

#[test]
fn a_long_search_tells_how_far_it_is() {
    let mut service = Service::new();
    for _ in 0..9 {
        service.deliver("INBOX", b"Subject: x\r\n\r\n", flags(""), Timestamp::default());
    }
    let mut client = Client::signed_in(config(), &mut service);
    client.say(&mut service, "1 SELECT INBOX");
    // Every answer of the service, of three messages each, takes six seconds.
    client.secs_per_answer = 6;
    let answer = client.say(&mut service, "2 SEARCH TEXT absent");
    let told = "* OK [INPROGRESS (\"2\" 6 9)] Still looking\r\n* SEARCH\r\n2 OK Done\r\n";
    assert_eq!(answer, told);
}

#[test]
fn ten_thousand_messages_are_sorted() {
    let mut service = Service::new();
    service.batch_max = usize::MAX;
    for number in 0..10_000_u32 {
        let mixed = number.wrapping_mul(2_654_435_761) >> 12;
        let text = format!("Subject: s{mixed}\r\nFrom: f{}@x\r\n\r\n", mixed % 1000);
        let date = Timestamp::from_secs(i64::from(mixed));
        service.deliver("INBOX", text.as_bytes(), flags(""), date);
    }
    service.changed.clear();
    let mut client = Client::signed_in(config(), &mut service);
    client.say(&mut service, "1 SELECT INBOX");
    let answer = client.say(&mut service, "2 SORT (FROM REVERSE SUBJECT) UTF-8 ALL");
    assert_eq!(answer.split(' ').count(), 10_000 + 4);
    let answer = client.say(&mut service, "3 THREAD REFERENCES UTF-8 ALL");
    assert_eq!(answer.matches('(').count(), 10_000);
    assert!(client.output_max <= imap_machine::Limits::default().output_octets_max + 4096);
}
