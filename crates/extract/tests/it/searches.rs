use extract::{Header, Key, Keys, Made, thread_number};
use mail_types::MailId;
use message::{Fields, Limits, SortFacts, Structure, find_field, fold, header_range, parse_date};
use proptest::prelude::*;

use crate::mails::{RICH, any_mail};

fn header(name: &str, text: &str) -> Key {
    Key::Header { name: name.to_owned(), text: text.to_owned() }
}

fn text(text: &str) -> Key {
    Key::Text(text.to_owned())
}

fn body(text: &str) -> Key {
    Key::Body(text.to_owned())
}

const MAIL: MailId = MailId(7);

/// As a search answers: from what is kept, unless that is not all.
fn found(mail: &[u8], keys: &Keys) -> Vec<u64> {
    let made = Made::of(mail);
    let mut in_body = vec![0; keys.words()];
    keys.in_body(MAIL, mail, &mut in_body);
    if made.header_whole && made.text_whole {
        let mut found = vec![0; keys.words()];
        keys.in_header(MAIL, &Header::read(&made.header).unwrap(), &mut found);
        if keys.look_at_text(&found) {
            keys.in_text(made.text.as_bytes(), &mut found);
        }
        assert_eq!(found, in_body);
    }
    in_body
}

fn finds(mail: &str, key: Key) -> bool {
    found(mail.as_bytes(), &Keys::new([key])) == [1]
}

#[test]
fn text_is_decoded_and_folded() {
    for key in [
        header("from", "jürgen"),
        header("FROM", "JÜRGEN <J@EXAMPLE.NET>, \"team"),
        header("subject", "こんにちは and more"),
        header("x-empty", ""),
        header("x-colon", "a: b"),
        header("x-colon", "b: C"),
        body("grüße AUS köln, das soft e ende"),
        body("日本語のテキスト"),
        body("subject: inner ärger"),
        body("inner body"),
        text("subject: こんにち"),
        text("本語"),
        text(""),
        body(""),
        Key::Sent { first: 20_819, last: 20_819 },
        Key::Sent { first: i64::MIN, last: 20_819 },
        Key::Thread(alone()),
    ] {
        assert!(finds(RICH, key.clone()), "{key:?}");
    }
    for key in [
        header("to", "jürgen"),
        header("x-none", ""),
        header("x", ""),
        header("x-colon: a", "b"),
        header("", "jürgen"),
        header("subject", " こんにちは"),
        body("jürgen"),
        body("hidden binary"),
        body("preamble"),
        body("<b>"),
        text("absent"),
        // Nothing is found across fields or parts.
        text("more to:"),
        Key::Sent { first: 20_820, last: i64::MAX },
    ] {
        assert!(!finds(RICH, key.clone()), "{key:?}");
    }
}

#[test]
fn many_keys_have_a_bit_each() {
    let keys = [body("köln"), header("from", "nobody"), text("jürgen"), text("inner body")];
    assert_eq!(found(RICH.as_bytes(), &Keys::new(keys)), [0b1101]);
    let many = (0..70).map(|_| text("köln"));
    assert_eq!(found(RICH.as_bytes(), &Keys::new(many)), [u64::MAX, 0b111_111]);
}

#[test]
fn what_lies_behind_the_limits_is_found() {
    let filler = "filler text of no meaning\r\n".repeat(60_000);
    let long = format!("Subject: long\r\n\r\n{filler}needle\r\n");
    assert!(!Made::of(long.as_bytes()).text_whole);
    assert!(finds(&long, body("needle")));
    assert!(finds(&long, text("needle")));
    let fields = "X-Filler: value of no meaning\r\n".repeat(12_000);
    let many = format!("{fields}Subject: needle\r\nDate: Fri, 01 Jan 2027 23:30:00 -0500\r\n\r\n");
    assert!(!Made::of(many.as_bytes()).header_whole);
    assert!(finds(&many, header("subject", "needle")));
    assert!(finds(&many, Key::Sent { first: 20_819, last: 20_819 }));
    let mut wide =
        b"Subject: wide\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n".to_vec();
    wide.resize(700_000, 0xe9);
    wide.extend_from_slice(b"needle");
    assert_eq!(found(&wide, &Keys::new([body("éneedle")])), [1]);
}

/// SEARCH as its words say, field by field, with no text prepared.
fn plainly(mail: &[u8], key: &Key) -> bool {
    let limits = Limits { text_bytes_max: usize::MAX, ..Limits::default() };
    let head = &mail[header_range(mail)];
    let structure = Structure::parse(mail, &limits);
    match key {
        Key::Header { name, text } => {
            let mut named = Fields::new(head).filter(|field| field.is(name));
            let text = fold(text);
            named.any(|field| {
                // The space that stands between name and value belongs to neither.
                let line = fold(&format!(": {}", message::decode_words(field.value)));
                let value = line.trim_end()[1..].to_owned();
                value.strip_prefix(' ').unwrap_or(&value).contains(&text)
            })
        }
        Key::Body(text) => {
            message::search_body(mail, &structure, &limits).text.contains(&fold(text))
        }
        Key::Text(text) => {
            message::search_text(mail, &structure, &limits).text.contains(&fold(text))
        }
        Key::Thread(thread) => {
            let facts = SortFacts::read(head, &limits);
            thread_number(MAIL, &facts) == *thread
        }
        Key::Sent { first, last } => find_field(head, "Date", &limits)
            .and_then(|field| parse_date(field.value))
            .is_some_and(|sent| (*first..=*last).contains(&sent.local_day())),
    }
}

fn any_key() -> impl Strategy<Value = Key> {
    let wanted =
        prop_oneof!["[ -~]{0,3}", "\\PC{0,2}", Just("ä".to_owned()), Just("a@b".to_owned())];
    let name = prop_oneof![Just("subject"), Just("from"), Just("x"), Just("date"), Just("X")];
    prop_oneof![
        (name, wanted.clone()).prop_map(|(name, text)| header(name, &text)),
        wanted.clone().prop_map(Key::Body),
        wanted.prop_map(Key::Text),
        Just(Key::Sent { first: 20_819, last: 20_819 }),
        Just(Key::Thread(alone())),
    ]
}

/// The thread of the message, where it names none.
fn alone() -> u64 {
    thread_number(MAIL, &SortFacts::read(b"", &Limits::default()))
}

proptest! {
    #[test]
    fn searches_find_what_the_words_say(mail in any_mail(), keys in proptest::collection::vec(any_key(), 1..40)) {
        let bits = found(&mail, &Keys::new(keys.clone()));
        for (at, key) in keys.iter().enumerate() {
            prop_assert_eq!(bits[0] >> at & 1 == 1, plainly(&mail, key), "{:?}", key);
        }
    }
}
