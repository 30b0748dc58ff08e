use archive_search::{Direction, Fact, Place, Query, QueryError, Verdict};
use mail_types::Timestamp;
use proptest::prelude::*;
use store::CustodyState;

/// 2026-11-21T12:00:00Z
const NOW: Timestamp = Timestamp(1_795_262_400_000);

fn parse(text: &str) -> Query {
    Query::parse(text, NOW).unwrap()
}

fn facts(text: &str) -> Vec<Fact> {
    parse(text).facts.into_iter().map(|term| term.is).collect()
}

#[test]
fn words_stand_where_their_key_says() {
    let query = parse("from:anna -subject:\"annual report\" 年度 OR budget");
    let places: Vec<_> = query.words.iter().map(|term| term.is[0].places.clone()).collect();
    assert_eq!(places, [vec![Place::Sender], vec![Place::Subject], vec![]]);
    assert_eq!(query.words.iter().map(|term| term.not).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(query.words[2].is.len(), 2);
    assert!(!query.words[1].is[0].wanted.open);
}

#[test]
fn facts_are_read() {
    assert_eq!(facts("larger:5M"), [Fact::Larger(5 << 20)]);
    assert_eq!(facts("smaller:500KiB"), [Fact::Smaller(500 << 10)]);
    assert_eq!(facts("direction:IN"), [Fact::Direction(Direction::In)]);
    assert_eq!(facts("verdict:junk"), [Fact::Verdict(Verdict::Spam)]);
    assert_eq!(facts("state:bounced"), [Fact::State(CustodyState::Returned)]);
    assert_eq!(facts("is:deleted has:attachment"), [Fact::Deleted, Fact::HasAttachment]);
    assert_eq!(facts("<a@b.test>"), [Fact::MessageId("a@b.test".to_owned())]);
    let [Fact::Accepted(day)] = &*facts("on:2026-11-20") else { panic!() };
    assert_eq!((day.from.0, day.to.0), (NOW.0 - 36 * 3_600_000, NOW.0 - 12 * 3_600_000));
    let [Fact::Accepted(ago)] = &*facts("after:2h") else { panic!() };
    assert_eq!(ago.from.0, NOW.0 - 7_200_000);
    let [Fact::Accepted(month)] = &*facts("before:2026-12") else { panic!() };
    assert_eq!(month.to.0, NOW.0 + 9 * 86_400_000 + 43_200_000);
}

#[test]
fn what_is_wrong_is_said_with_what_to_write() {
    let told = |text: &str| Query::parse(text, NOW).unwrap_err().to_string();
    assert!(told("form:anna").contains("from, to, subject"));
    assert!(told("after:someday").contains("2026-11-21"));
    assert!(told("larger:big").contains("5M"));
    assert!(told("\"open").contains("not closed"));
    assert!(told("from:").contains("from:…"));
    assert!(told("!!!").contains("no letter"));
    assert_eq!(Query::parse(" ", NOW), Err(QueryError::Empty));
    for wrong in ["OR", "a OR", "OR b", "a OR larger:5M", "a OR -b", "-a OR b"] {
        assert_eq!(Query::parse(wrong, NOW), Err(QueryError::Or), "{wrong}");
    }
    assert_eq!(Query::parse(&"a ".repeat(65), NOW), Err(QueryError::TooMany));
    assert_eq!(Query::parse(&"a".repeat(5000), NOW), Err(QueryError::TooLong));
    assert!(Query::parse("https://example.org/x 12:30 \"re: that\"", NOW).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_a_query_or_says_why_not(text in "\\PC{0,200}") {
        if let Err(error) = Query::parse(&text, NOW) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn the_corpus_is_read() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/search_query");
    for entry in std::fs::read_dir(corpus).unwrap() {
        let text = std::fs::read(entry.unwrap().path()).unwrap();
        if let Err(error) = Query::parse(&String::from_utf8_lossy(&text), NOW) {
            assert!(!error.to_string().is_empty());
        }
    }
}
