//! What counts as lost, doubled, open, uncertain.

use drill::judge::{Copy, Evidence, judge, receipt_id, words};
use drill::token::Token;

fn copy(recipient: &str, sequence: u64) -> Copy {
    (recipient.to_owned(), Token { run: 7, sequence })
}

fn acknowledged(sequences: std::ops::Range<u64>) -> Evidence {
    let mut evidence = Evidence::default();
    for sequence in sequences {
        let answer = format!("2.0.0 r{sequence}-9f86d081 accepted");
        evidence.acknowledged.insert(copy("a@x.test", sequence), answer);
        evidence.found.insert(copy("a@x.test", sequence), 1);
    }
    evidence
}

#[test]
fn all_there_once_is_clean() {
    let verdict = judge(&acknowledged(0..10));
    assert!(verdict.is_clean());
    assert_eq!((verdict.acknowledged, verdict.found), (10, 10));
}

#[test]
fn an_acknowledged_copy_that_is_nowhere_is_lost() {
    let mut evidence = acknowledged(0..10);
    evidence.found.remove(&copy("a@x.test", 3));
    let verdict = judge(&evidence);
    assert_eq!((verdict.lost, verdict.is_clean()), (1, false));
    assert!(verdict.listed[0].contains("r3-9f86d081"), "{:?}", verdict.listed);
}

#[test]
fn a_copy_for_another_recipient_does_not_count() {
    let mut evidence = acknowledged(0..2);
    evidence.found.remove(&copy("a@x.test", 1));
    evidence.found.insert(copy("b@x.test", 1), 1);
    let verdict = judge(&evidence);
    assert_eq!((verdict.lost, verdict.unexplained), (1, 1));
}

#[test]
fn a_copy_named_in_the_queue_is_open() {
    let mut evidence = acknowledged(0..3);
    evidence.found.remove(&copy("a@x.test", 2));
    evidence.open_words = words(r#"[{"receipt":"r2-9f86d081","to":"a@x.test"}]"#);
    let verdict = judge(&evidence);
    assert_eq!((verdict.open, verdict.lost), (1, 0));
}

#[test]
fn a_second_copy_is_right_only_after_an_uncertain_attempt() {
    let mut evidence = acknowledged(0..2);
    evidence.found.insert(copy("a@x.test", 0), 2);
    assert_eq!(judge(&evidence).doubled, 1);
    evidence.sent_uncertainly.insert(copy("a@x.test", 0));
    let verdict = judge(&evidence);
    assert_eq!((verdict.doubled, verdict.doubled_after_uncertain), (0, 1));
}

#[test]
fn without_a_reply_one_copy_or_none_may_be_there() {
    let mut evidence = acknowledged(0..1);
    evidence.uncertain.extend([copy("a@x.test", 5), copy("a@x.test", 6)]);
    evidence.found.insert(copy("a@x.test", 5), 1);
    let verdict = judge(&evidence);
    assert!(verdict.is_clean());
    assert_eq!((verdict.uncertain, verdict.uncertain_found), (2, 1));
    evidence.found.insert(copy("a@x.test", 5), 2);
    assert_eq!(judge(&evidence).doubled, 1);
}

#[test]
fn what_was_never_sent_is_unexplained() {
    let mut evidence = acknowledged(0..1);
    evidence.found.insert(copy("a@x.test", 9), 1);
    assert_eq!(judge(&evidence).unexplained, 1);
}

#[test]
fn receipt_ids_are_read_from_the_words_of_the_250() {
    for text in ["2.0.0 r2k-9f86d081", "2.0.0 <r2k-9f86d081> kept", "r2k-9f86d081 accepted"] {
        assert_eq!(receipt_id(text), "r2k-9f86d081", "{text}");
    }
}
