//! What is written reads back as the same, and what cannot be is refused.

use imap_machine::grammar::{
    Command, CommandError, Day, Fetch, FetchAttribute, MailboxName, SearchKey, SeqNumber,
    SequenceSet, UidSet, mutf7_decode, mutf7_encode,
};
use message::{SectionSpec, SectionText};
use proptest::prelude::*;

fn parse(line: &str) -> Result<Command, String> {
    match Command::parse(format!("t {line}\r\n").as_bytes()) {
        Ok((tag, command)) => {
            assert_eq!(tag.as_str(), "t");
            Ok(command)
        }
        Err((_, CommandError::Syntax(error))) => Err(error.to_string()),
        Err((_, CommandError::Charset)) => Err("charset".to_owned()),
    }
}

fn sections(line: &str) -> Vec<SectionSpec> {
    let Ok(Command::Fetch(Fetch { attributes, .. })) = parse(line) else { panic!("{line}") };
    let specs = attributes.into_iter().map(|attribute| match attribute {
        FetchAttribute::Section(section) => section.spec,
        other => panic!("{other:?}"),
    });
    specs.collect()
}

fn any_seq_number() -> impl Strategy<Value = SeqNumber> {
    prop_oneof![
        Just(SeqNumber::Star),
        (1..=u32::MAX).prop_map(|n| SeqNumber::Number(n.try_into().unwrap())),
        (1..40_u32).prop_map(|n| SeqNumber::Number(n.try_into().unwrap())),
    ]
}

fn any_section() -> impl Strategy<Value = SectionSpec> {
    let names = || prop::collection::vec("[!-~ äÿ]{1,12}", 1..5);
    let boxed = |names: Vec<String>| {
        names.into_iter().map(|name| name.into_bytes().into_boxed_slice()).collect::<Vec<_>>()
    };
    let text = prop_oneof![
        Just(SectionText::All),
        Just(SectionText::Header),
        Just(SectionText::Text),
        Just(SectionText::Mime),
        names().prop_map(move |names| SectionText::HeaderFields(boxed(names))),
        names().prop_map(move |names| SectionText::HeaderFieldsNot(boxed(names))),
    ];
    (prop::collection::vec(1..u32::MAX, 0..6), text)
        .prop_map(|(part, text)| SectionSpec { part, text })
        .prop_filter("MIME needs a part", |spec| {
            !spec.part.is_empty() || spec.text != SectionText::Mime
        })
}

proptest! {
    #[test]
    fn mailbox_names_survive_the_wire(name in "[ -~äöü中文😀&/~\"\\\\]{1,40}") {
        let wire = mutf7_encode(&name);
        prop_assert!(wire.is_ascii());
        prop_assert_eq!(mutf7_decode(wire.as_bytes()).unwrap(), name.clone());
        if let Ok(mailbox) = MailboxName::new(&name) {
            prop_assert_eq!(MailboxName::from_wire(mailbox.to_wire().as_bytes()).unwrap(), mailbox);
        }
    }

    #[test]
    fn a_mailbox_name_has_one_spelling(wire in "[&A-Za-z0-9+,/ -]{0,20}") {
        if let Ok(name) = mutf7_decode(wire.as_bytes()) {
            prop_assert_eq!(mutf7_encode(&name), wire);
        }
    }

    #[test]
    fn sequence_sets_survive_the_wire(ranges in prop::collection::vec((any_seq_number(), any_seq_number()), 1..20)) {
        let set = SequenceSet(ranges);
        let wire = set.to_string();
        prop_assert_eq!(SequenceSet::from_wire(wire.as_bytes()).unwrap(), set);
    }

    #[test]
    fn resolved_sets_hold_what_the_ranges_say(
        ranges in prop::collection::vec((1..60_u32, 1..60_u32), 1..12),
        largest in 1..60_u32,
    ) {
        let number = |n: u32| SeqNumber::Number(n.try_into().unwrap());
        let set = SequenceSet(ranges.iter().map(|&(a, b)| (number(a), number(b))).collect());
        let resolved = set.resolve(largest);
        for n in 1..70 {
            let wanted = ranges.iter().any(|&(a, b)| (a.min(b)..=a.max(b)).contains(&n));
            prop_assert_eq!(resolved.contains(n), wanted);
        }
        prop_assert_eq!(resolved.iter().count() as u64, resolved.len());
        prop_assert!(resolved.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
    }

    #[test]
    fn uid_sets_are_the_same_however_they_grow(numbers in prop::collection::vec(1..100_u32, 0..60)) {
        let mut grown = UidSet::new();
        numbers.iter().for_each(|&number| grown.insert(number));
        prop_assert_eq!(grown, numbers.iter().copied().collect::<UidSet>());
    }

    #[test]
    fn sections_survive_the_wire(spec in any_section()) {
        let mut wire = Vec::new();
        spec.write(&mut wire);
        // Names that need it are written as literals.
        let line = format!("FETCH 1 BODY.PEEK[{}]", String::from_utf8(wire).unwrap());
        prop_assert_eq!(sections(&line), vec![spec]);
    }

    #[test]
    fn dates_survive_the_wire(days in -719_000..2_900_000_i32) {
        let day = Day(days);
        let Ok(Command::Search(search)) = parse(&format!("SEARCH ON {day}")) else { panic!("{day}") };
        prop_assert_eq!(search.key, SearchKey::On(day));
    }

    #[test]
    fn no_line_makes_the_parser_panic(line in prop::collection::vec(any::<u8>(), 0..80)) {
        drop(Command::parse(&line));
        drop(Command::parse(&[b"t UID FETCH ", &*line, b"\r\n"].concat()));
        drop(Command::parse(&[b"t SEARCH ", &*line, b"\r\n"].concat()));
    }
}

#[test]
fn broken_commands_are_refused() {
    for line in [
        "FETCH 0 FLAGS",
        "FETCH 4294967296 FLAGS",
        "FETCH 1:2: FLAGS",
        "FETCH 1, FLAGS",
        "FETCH 1 ()",
        "FETCH 1 (FLAGS ALL)",
        "FETCH 1 BODY[",
        "FETCH 1 BODY[0]",
        "FETCH 1 BODY[1.]",
        "FETCH 1 BODY[HEADER.FIELDS ()]",
        "FETCH 1 BODY[]<1>",
        "FETCH 1 BODY[]<1.0>",
        "FETCH 1 BODY.PEEK",
        "STORE 1 FLAGS",
        "STORE 1 ++FLAGS \\Seen",
        "STORE 1 FLAGS (\\Seen",
        "SEARCH",
        "SEARCH ()",
        "SEARCH NOT",
        "SEARCH OR SEEN",
        "SEARCH (SEEN",
        "SEARCH ON 1-Feb-96",
        "SEARCH ON 29-Feb-1900",
        "SEARCH SUBJECT",
        "LOGIN a",
        "LOGIN a \"b",
        "LOGIN a \"b\\c\"",
        "LIST \"\"",
        "SELECT a b",
        "STATUS a ()",
        "NOOP x",
        "UID NOOP",
        "UID EXPUNGE",
        "RENAME a",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn inbox_is_inbox_in_any_case() {
    assert!(MailboxName::new("iNbOx").unwrap().is_inbox());
    assert_eq!(MailboxName::new("inbox/a").unwrap().as_str(), "INBOX/a");
    assert_eq!(MailboxName::from_wire(b"a/").unwrap().as_str(), "a");
    assert!(!MailboxName::new("inboxes").unwrap().is_inbox());
}

#[test]
fn or_chains_are_one_list() {
    let Ok(Command::Search(search)) = parse("SEARCH OR SEEN OR (DRAFT) OR DELETED FLAGGED") else {
        panic!()
    };
    let SearchKey::Or(keys) = search.key else { panic!() };
    assert_eq!(keys.len(), 4);
}
