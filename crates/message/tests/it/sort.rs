use message::{Limits, SortFacts, SummaryError, base_subject};
use proptest::prelude::*;

fn read(header: &str) -> SortFacts {
    SortFacts::read(header.as_bytes(), &Limits::default())
}

#[test]
fn base_subjects() {
    for (subject, base, is_reply) in [
        ("", "", false),
        ("hello", "hello", false),
        ("Re: hello", "hello", true),
        ("RE : hello", "hello", true),
        ("re: Re: fwd: FW:hello", "hello", true),
        ("Re[2]: hello", "hello", true),
        ("re [x] : hello", "hello", true),
        ("[list] hello", "hello", false),
        ("[list] Re: [list] hello", "hello", true),
        ("[a][b] [c]", "[c]", false),
        ("[a] ", "[a]", false),
        ("Re: [a]", "[a]", true),
        ("hello (fwd)", "hello", true),
        ("hello (FWD) (fwd)  ", "hello", true),
        ("[fwd: hello]", "hello", true),
        ("[Fwd: [fwd: Re: hello (fwd)]]", "hello", true),
        ("[fwd: hello] there", "there", false),
        ("Re: ", "", true),
        ("regarding: x", "regarding: x", false),
        ("re", "re", false),
        ("AW: hallo", "AW: hallo", false),
        ("  much \t\r\n space  ", "much space", false),
        ("[unclosed Re: x", "[unclosed Re: x", false),
        ("re[unclosed: x", "re[unclosed: x", false),
        ("grüße (fwd)", "grüße", true),
        ("ré: x", "ré: x", false),
    ] {
        assert_eq!(base_subject(subject), (base.to_owned(), is_reply), "{subject}");
    }
}

#[test]
fn base_subjects_take_linear_time() {
    for piece in ["[a]", "[", "re:", "[fwd:", "re[", "(fwd)", "[]re", "[fwd: x]", "re [a] :", "]"] {
        let (base, _) = base_subject(&piece.repeat(200_000));
        assert!(base.len() <= piece.len() * 200_000);
    }
    let nested = format!("{}{}", "[fwd:".repeat(100_000), "]".repeat(100_000));
    assert_eq!(base_subject(&nested), (String::new(), true));
}

#[test]
fn a_header_is_read() {
    let facts = read(
        "Date: Sun, 22 Nov 2026 01:08:26 +0100\r\nSubject: Re: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
         From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.org>, other@example.org\r\n\
         To: Friends: bob@example.net;\r\nCc: \"c d\"@example.com\r\n\
         Message-ID: <\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>\r\n\
         In-Reply-To: Your message of yesterday <not used> <z@example.org>\r\n\
         References: <a@b> no <bad>\r\n <c (comment)\r\n @ d>\r\n",
    );
    assert_eq!(facts.sent, Some(1_795_306_106));
    assert_eq!(&*facts.subject, "GRU\u{308}ßE");
    assert!(facts.subject_is_reply_or_forward);
    assert_eq!(&*facts.from, "JUERGEN");
    assert_eq!(&*facts.display_from, "JU\u{308}RGEN");
    assert_eq!((&*facts.to, &*facts.display_to), ("FRIENDS", "FRIENDS"));
    assert_eq!(&*facts.cc, "C D");
    assert_eq!(facts.message_id.as_deref(), Some("01KF8JCEOCBS0045PS@xxx.yyy.com"));
    assert_eq!(facts.references().collect::<Vec<_>>(), ["a@b", "c@d"]);
}

#[test]
fn references_or_the_first_of_in_reply_to() {
    let references =
        |header: &str| read(header).references().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(references("In-Reply-To: <a@b> <c@d>\r\n"), ["a@b"]);
    assert_eq!(references("References: none\r\nIn-Reply-To: x <a@b>\r\n"), ["a@b"]);
    assert_eq!(references("References: <x> <@a> <a@> <>\r\n"), [""; 0]);
    assert_eq!(references("References: <a <b@c> <d(e@f> <g@h>\r\n"), ["b@c", "d(e@f", "g@h"]);
    let many: String = (0..5000).map(|at| format!("<{at}@x>\r\n ")).collect();
    let kept = references(&format!("References: {many}"));
    assert_eq!((kept.len(), &*kept[0], &*kept[1], &*kept[999]), (1000, "0@x", "4001@x", "4999@x"));
}

#[test]
fn nothing_to_say_is_empty() {
    let facts = read("Date: never\r\nTo:\r\nMessage-ID: abc\r\nFrom: just@here\r\n");
    let expected =
        SortFacts { from: "JUST".into(), display_from: "JUST@HERE".into(), ..SortFacts::default() };
    assert_eq!(facts, expected);
}

#[test]
fn kept_facts_are_read_back() {
    for header in
        ["", "Date: 1 Jan 1960 00:00 +0000\r\nSubject: x\r\nMessage-ID: <a@b>\r\nReferences: <c@d>"]
    {
        let facts = read(header);
        let bytes = facts.encode();
        assert_eq!(SortFacts::decode(&bytes).map(SortFacts::into_owned), Ok(facts));
        for end in 0..bytes.len() {
            assert!(SortFacts::decode(&bytes[..end]).is_err());
        }
    }
    assert_eq!(SortFacts::decode(&[9]), Err(SummaryError::Version(9)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_header_is_read_and_kept(bytes in prop::collection::vec(any::<u8>(), 0..300), name in 0..5_usize) {
        let name = ["Subject", "References", "From", "Message-ID", "Date"][name];
        let header = [name.as_bytes(), b": ", &*bytes].concat();
        let facts = SortFacts::read(&header, &Limits::default());
        let kept = facts.encode();
        prop_assert_eq!(SortFacts::decode(&kept).map(SortFacts::into_owned), Ok(facts));
    }

    #[test]
    fn any_octets_are_facts_or_not(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let bytes = [&[1][..], &bytes].concat();
        if let Ok(facts) = SortFacts::decode(&bytes) {
            let kept = facts.encode();
            prop_assert_eq!(SortFacts::decode(&kept), Ok(facts));
        }
    }
}
