use sender_auth::{Outcome, Verdict};

#[test]
fn words_are_read_as_they_are_written() {
    for verdict in Verdict::ALL {
        assert_eq!(Verdict::parse(verdict.as_str()), Some(verdict));
        assert_eq!(Verdict::parse(&verdict.as_str().to_uppercase()), Some(verdict));
    }
    assert_eq!(Verdict::parse("hardfail"), Some(Verdict::Fail));
    assert_eq!(Verdict::parse("passed"), None);
}

#[test]
fn a_reason_is_one_short_line() {
    let outcome = Outcome::new(Verdict::Fail, format!("caf\u{e9}\r\nX: {}", "y".repeat(1000)));
    assert!(outcome.reason().starts_with("caf???X: yyy"));
    assert!(outcome.reason().ends_with("y...") && outcome.reason().len() == 303);
    assert_eq!(Outcome::new(Verdict::Pass, "so").to_string(), "pass (so)");
}
