//! Each rule on signatures and keys: a case that passes, a case that fails.

use mail_types::Timestamp;
use sender_auth::{Answer, Answers, Query, QueryKind, Reading, Step, Verdict, dkim_overall};

use crate::signer::{Key, NOW, dns, signed, verify};

const MESSAGE: &str = "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\n\
Subject:  a \t subject\r\n folded\r\nReceived: one\r\nReceived: two\r\n\r\n\
Hello  Bob,\r\n\r\nhow are\tyou? \r\n\r\n\r\n";
const AT: &str = "s._domainkey.example.org";
const TAGS: &str =
    "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=s; h=from:to:subject";

fn word(message: &str, answers: &Answers) -> (Verdict, String) {
    let overall = dkim_overall(&verify(message, answers));
    (overall.verdict, overall.reason().to_owned())
}

/// Signs with these tags; verified with the key as published.
fn with_tags(tags: &str) -> (Verdict, String) {
    let key = Key::ed25519();
    word(&signed(&key, tags, MESSAGE), &dns(&[(AT, &key.record())]))
}

/// Signs with the usual tags; verified with this key record, `KEY` in it replaced by the key.
fn with_record(record: &str, more_tags: &str) -> (Verdict, String) {
    let key = Key::ed25519();
    let record = record.replace("KEY", &key.public());
    word(&signed(&key, &format!("{TAGS}{more_tags}"), MESSAGE), &dns(&[(AT, &record)]))
}

#[test]
fn tags_of_signatures() {
    use Verdict::{Pass, PermError};
    let cases = [
        (TAGS.to_owned(), Pass, "good signature"),
        // RFC 6376 §6.1.1: the version.
        (TAGS.replace("v=1", "v=2"), PermError, "version 2 is unknown"),
        (TAGS.replace("v=1; ", ""), PermError, "v= is missing"),
        (TAGS.replace("v=1; ", "").to_owned() + "; v=1", Pass, "good"),
        // RFC 8301 §3.1.
        (TAGS.replace("ed25519-sha256", "rsa-sha1"), PermError, "rsa-sha1 counts no longer"),
        (TAGS.replace("ed25519-sha256", "ED25519-SHA256"), PermError, "unknown"),
        (TAGS.replace("a=ed25519-sha256; ", ""), PermError, "a= is missing"),
        // §3.5: what must be there.
        (TAGS.replace("d=example.org; ", ""), PermError, "d= is missing"),
        (TAGS.replace("d=example.org", "d=exa mple"), PermError, "is no domain"),
        (TAGS.replace("s=s; ", ""), PermError, "s= is missing"),
        (TAGS.replace("s=s", "s="), PermError, "s= is empty"),
        (TAGS.replace("; h=from:to:subject", ""), PermError, "h= is missing"),
        // §5.4: From must be signed, in any case of letters.
        (TAGS.replace("from:", ""), PermError, "From is not signed"),
        (TAGS.replace("from:", "FROM : "), Pass, "good"),
        // §3.5 c=: simple for what is not said.
        (TAGS.replace("relaxed/relaxed", "simple/simple"), Pass, "good"),
        (TAGS.replace("relaxed/relaxed", "simple/relaxed"), Pass, "good"),
        (TAGS.replace("relaxed/relaxed", "relaxed"), Pass, "good"),
        (TAGS.replace("c=relaxed/relaxed; ", ""), Pass, "good"),
        (TAGS.replace("relaxed/relaxed", "nofws"), PermError, "unknown"),
        // §3.5 i=: of d= or below it.
        (format!("{TAGS}; i=ann@example.org"), Pass, "good"),
        (format!("{TAGS}; i=@mail.Example.org"), Pass, "good"),
        (format!("{TAGS}; i=@example.net"), PermError, "not within"),
        (format!("{TAGS}; i=@badexample.org"), PermError, "not within"),
        (format!("{TAGS}; i=example.org"), PermError, "no domain"),
        // §3.5 q=.
        (format!("{TAGS}; q=dns/txt"), Pass, "good"),
        (format!("{TAGS}; q=http:dns/txt"), Pass, "good"),
        (format!("{TAGS}; q=http"), PermError, "not in the DNS"),
        // §3.5 t= and x=.
        (format!("{TAGS}; t=1700000000; x=1900000000"), Pass, "good"),
        (format!("{TAGS}; t=1700000000; x=1700000000"), PermError, "before it was made"),
        (format!("{TAGS}; x=1799900000"), PermError, "expired 1 days ago"),
        (format!("{TAGS}; x=99999999999999999999"), Pass, "good"),
        (format!("{TAGS}; t=yesterday"), PermError, "is no time"),
        (format!("{TAGS}; t="), PermError, "is no time"),
        // §3.2: the list.
        (format!("{TAGS}; unknown=thing"), Pass, "good"),
        (format!("{TAGS}; d=example.org"), PermError, "occurs twice"),
        (format!("{TAGS};; z=1"), PermError, "a tag is empty"),
        (format!("{TAGS}; nothing"), PermError, "is no tag"),
        (format!("{TAGS}; 1a=1"), PermError, "is no tag"),
        (TAGS.replace("d=", "D="), PermError, "d= is missing"),
        (TAGS.replace("; ", " ;\r\n\t").replace("d=example.org", "d =\r\n example.org "), Pass, ""),
        // §3.5 h=.
        (TAGS.replace("to:subject", "to subject"), PermError, "no field name"),
    ];
    for (tags, verdict, reason) in cases {
        let (found, why) = with_tags(&tags);
        assert_eq!(found, verdict, "{tags}: {why}");
        assert!(why.contains(reason), "{tags}: {why}");
    }
}

#[test]
fn tags_of_keys() {
    use Verdict::{Fail, Pass, PermError};
    let other = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let cases = [
        ("v=DKIM1; k=ed25519; p=KEY", "", Pass, "good"),
        ("k=ed25519; p=KEY;", "", Pass, "good"),
        (other, "", Fail, "with another key"),
        // RFC 6376 §3.6.1 v=: first, and DKIM1.
        ("k=ed25519; v=DKIM1; p=KEY", "", PermError, "not its first tag"),
        ("v=DKIM2; k=ed25519; p=KEY", "", PermError, "DKIM2 is unknown"),
        ("v=dkim1; k=ed25519; p=KEY", "", PermError, "unknown"),
        // h=
        ("h=sha1:sha256; k=ed25519; p=KEY", "", Pass, "good"),
        ("h=sha1; k=ed25519; p=KEY", "", PermError, "does not allow sha256"),
        // k=
        ("p=KEY", "", PermError, "of the type rsa"),
        ("k=dsa; p=KEY", "", PermError, "of the type dsa"),
        // p=
        ("k=ed25519; p=", "", PermError, "revoked"),
        ("k=ed25519", "", PermError, "no p="),
        ("k=ed25519; p=%%%", "", PermError, "no Base64"),
        ("k=ed25519; p=QUJD", "", PermError, "no Ed25519 key"),
        // s=
        ("s=*; k=ed25519; p=KEY", "", Pass, "good"),
        ("s=other:email; k=ed25519; p=KEY", "", Pass, "good"),
        ("s=tlsrpt; k=ed25519; p=KEY", "", PermError, "not for mail"),
        // t=
        ("t=y; k=ed25519; p=KEY", "", Pass, "only tests DKIM"),
        ("t=s; k=ed25519; p=KEY", "; i=ann@example.org", Pass, "good"),
        ("t=y:s; k=ed25519; p=KEY", "; i=@mail.example.org", PermError, "for example.org alone"),
        // g= is no more.
        ("g=nobody; k=ed25519; p=KEY", "; i=ann@example.org", Pass, "good"),
        // What is unknown is ignored, what is twice is not.
        ("n=some notes; k=ed25519; p=KEY", "", Pass, "good"),
        ("k=ed25519; k=ed25519; p=KEY", "", PermError, "twice"),
        ("this is no key", "", PermError, "is no tag"),
        ("", "", PermError, "of the type rsa"),
    ];
    for (record, tags, verdict, reason) in cases {
        let (found, why) = with_record(record, tags);
        assert_eq!(found, verdict, "{record}: {why}");
        assert!(why.contains(reason), "{record}: {why}");
    }
}

#[test]
fn of_several_records_one_is_enough() {
    let key = Key::ed25519();
    let message = signed(&key, TAGS, MESSAGE);
    let other = Key::rsa().record();
    let answers = dns(&[(AT, "v=spf1 -all"), (AT, &other), (AT, &key.record())]);
    assert_eq!(word(&message, &answers).0, Verdict::Pass);
}

#[test]
fn rsa_keys_have_1024_to_4096_bits() {
    let key = Key::rsa();
    let tags = TAGS.replace("ed25519", "rsa");
    let message = signed(&key, &tags, MESSAGE);
    assert_eq!(word(&message, &dns(&[(AT, &key.record())])).0, Verdict::Pass);
    assert_eq!(word(&message, &dns(&[(AT, &Key::rsa().record())])).0, Verdict::Fail);
    // 512 bits.
    let short = "k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALqPk3Ngg+ChMnjUpQ9vr8Cvcl0UvjWLjqxSVaNwPFw\
                 ki0C0XdZ+NQLKPGXVf7uWQlhLxVOPAG7WPLDZlOZLmWcCAwEAAQ==";
    let (verdict, why) = word(&message, &dns(&[(AT, short)]));
    assert_eq!(verdict, Verdict::PermError);
    assert!(why.contains("bits are too few"), "{why}");
}

#[test]
fn trouble_of_the_dns_is_temporary() {
    let key = Key::ed25519();
    let message = signed(&key, TAGS, MESSAGE);
    let mut answers = Answers::default();
    let query = Query::new(AT, QueryKind::Txt);
    answers.insert(query.clone(), Answer::Trouble("SERVFAIL".to_owned()));
    assert_eq!(word(&message, &answers).0, Verdict::TempError);
    answers.insert(query.clone(), Answer::NoData);
    assert_eq!(word(&message, &answers).0, Verdict::PermError);
    // Asked for as soon as the header is there, and not before.
    let mut reading = Reading::new();
    let header = message.find("\r\n\r\n").unwrap();
    reading.write(&message.as_bytes()[..header]);
    assert_eq!(reading.queries(), []);
    reading.write(&message.as_bytes()[header..]);
    assert_eq!(reading.queries(), std::slice::from_ref(&query));
    assert_eq!(reading.finish().dkim(&Answers::default(), NOW), Step::Ask(vec![query]));
}

#[test]
fn what_no_key_can_have_is_not_told_on() {
    let tags = TAGS.replace("s=s", &format!("s={}", "x".repeat(100_000)));
    let long =
        signed(&Key::ed25519(), &format!("{tags}; i={}@example.org", "i".repeat(9000)), MESSAGE);
    let result = &verify(&long, &Answers::default())[0];
    assert_eq!(result.outcome.verdict, Verdict::PermError);
    assert_eq!(result.selector, None);
    assert_eq!(result.identity.as_deref(), Some(&*"i".repeat(320)));
    assert!(result.outcome.reason().len() < 400);
}

#[test]
fn a_body_that_was_changed_asks_for_no_key() {
    let message = signed(&Key::ed25519(), TAGS, MESSAGE).replace("Hello", "Goodbye");
    let mut reading = Reading::new();
    reading.write(message.as_bytes());
    let Step::Done(results) = reading.finish().dkim(&Answers::default(), NOW) else { panic!() };
    assert_eq!(results[0].outcome.verdict, Verdict::Fail);
}

#[test]
fn length_counts_the_canonical_body() {
    let key = Key::ed25519();
    let answers = dns(&[(AT, &key.record())]);
    // `Hello Bob,` and its line end: 12 canonical octets, 13 on the wire.
    let message = signed(&key, &format!("{TAGS}; l=12"), MESSAGE);
    let (verdict, why) = word(&message, &answers);
    assert_eq!(verdict, Verdict::Pass);
    assert!(why.contains("l= signs only 12 of the 28 octets"), "{why}");
    let result = &verify(&message, &answers)[0];
    assert!(result.body_is_longer);
    // What follows may change, what stands before may not.
    assert_eq!(word(&message.replace("how are", "what of"), &answers).0, Verdict::Pass);
    assert_eq!(word(&message.replace("Bob,", "Rob,"), &answers).0, Verdict::Fail);
    // All of it.
    let all = signed(&key, &format!("{TAGS}; l=28"), MESSAGE);
    assert!(!verify(&all, &answers)[0].body_is_longer);
    assert_eq!(word(&all, &answers).0, Verdict::Pass);
    // Nothing of it, which is not the same as no limit.
    let none = signed(&key, &format!("{TAGS}; l=0"), MESSAGE);
    assert_eq!(word(&none, &answers).0, Verdict::Pass);
    assert_eq!(word(&none.replace("Hello", "Goodbye"), &answers).0, Verdict::Pass);
    // More than there is.
    let (verdict, why) = word(&signed(&key, &format!("{TAGS}; l=29"), MESSAGE), &answers);
    assert_eq!(verdict, Verdict::Fail, "{why}");
    assert_eq!(with_tags(&format!("{TAGS}; l=-1")).0, Verdict::PermError);
}

#[test]
fn fields_are_taken_from_below() {
    let key = Key::ed25519();
    let answers = dns(&[(AT, &key.record())]);
    let once = signed(&key, &TAGS.replace("h=", "h=received:"), MESSAGE);
    assert_eq!(word(&once, &answers).0, Verdict::Pass);
    // The lower one is signed; another on top does not matter.
    let more = format!("Received: three\r\n{once}");
    assert_eq!(word(&more, &answers).0, Verdict::Pass);
    assert_eq!(word(&once.replace("Received: two", "Received: 2"), &answers).0, Verdict::Fail);
    assert_eq!(word(&once.replace("Received: one", "Received: 1"), &answers).0, Verdict::Pass);
    // Signed once more often than there, no other can be added.
    let over = signed(&key, &TAGS.replace("h=", "h=from:"), MESSAGE);
    assert_eq!(word(&over, &answers).0, Verdict::Pass);
    assert_eq!(word(&format!("From: eve@example.com\r\n{over}"), &answers).0, Verdict::Fail);
    // A signature never signs itself, but may sign others.
    let two = signed(&key, &TAGS.replace("h=", "h=dkim-signature:"), &over);
    let results = verify(&two, &answers);
    assert!(results.iter().all(|it| it.outcome.verdict == Verdict::Pass), "{results:?}");
}

#[test]
fn bodies_end_as_the_rfc_says() {
    let key = Key::ed25519();
    let answers = dns(&[(AT, &key.record())]);
    let header = "From: a@example.org\r\n\r\n";
    for canon in ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"] {
        let tags = TAGS.replace("relaxed/relaxed", canon);
        for body in [
            "",
            "\r\n",
            "\r\n\r\n\r\n",
            "text",
            "text\r\n",
            " \r\n",
            "a\r\n \t\r\n\r\n",
            "a\rb\r\r\nc",
        ] {
            let (verdict, why) = word(&signed(&key, &tags, &format!("{header}{body}")), &answers);
            assert_eq!(verdict, Verdict::Pass, "{canon} {body:?}: {why}");
        }
        let bare = signed(&key, &tags, "From: a@example.org\r\n");
        assert_eq!(word(&bare, &answers).0, Verdict::Pass, "no blank line, {canon}");
    }
    // RFC 6376 §3.4.5: empty lines at the end do not count, text does.
    let message = signed(&key, TAGS, MESSAGE);
    assert_eq!(word(&format!("{message}\r\n\r\n"), &answers).0, Verdict::Pass);
    assert_eq!(word(&format!("{message}more\r\n"), &answers).0, Verdict::Fail);
    // A lone CR or LF is no line end: to put one in is to change the body.
    assert_eq!(word(&message.replace("how are", "how\rare"), &answers).0, Verdict::Fail);
    assert_eq!(word(&format!("{message}\n"), &answers).0, Verdict::Fail);
}

#[test]
fn ten_signatures_are_looked_at() {
    let key = Key::ed25519();
    let answers = dns(&[(AT, &key.record())]);
    let good = signed(&key, TAGS, MESSAGE);
    let bad = "DKIM-Signature: v=1\r\n";
    let results = verify(&(bad.repeat(9) + &good), &answers);
    assert_eq!(dkim_overall(&results).verdict, Verdict::Pass);
    let results = verify(&(bad.repeat(1000) + &good), &answers);
    assert_eq!(results.len(), 11);
    assert!(results[10].outcome.reason().starts_with("991 more signatures"), "{results:?}");
    assert_eq!(dkim_overall(&results).verdict, Verdict::Policy);
}

#[test]
fn unsigned_mail_is_none() {
    assert_eq!(word(MESSAGE, &Answers::default()).0, Verdict::None);
    assert_eq!(word("", &Answers::default()).0, Verdict::None);
}

#[test]
fn international_domains_have_their_keys_under_a_labels() {
    // RFC 8616 §5: d=, s= and i= may be in UTF-8.
    let key = Key::ed25519();
    let tags = TAGS.replace("d=example.org; s=s", "d=bücher.example; s=ä; i=@bücher.example");
    let answers = dns(&[("xn--4ca._domainkey.xn--bcher-kva.example", &key.record())]);
    assert_eq!(word(&signed(&key, &tags, MESSAGE), &answers).0, Verdict::Pass);
}

#[test]
fn a_header_that_is_too_long_is_not_verified() {
    let key = Key::ed25519();
    let long = "X-Long: ".to_owned() + &"x".repeat(1 << 20) + "\r\n" + &signed(&key, TAGS, MESSAGE);
    assert_ne!(word(&long, &dns(&[(AT, &key.record())])).0, Verdict::Pass);
    let signed = signed(&key, TAGS, MESSAGE);
    let long = signed.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)));
    assert_eq!(word(&long, &dns(&[(AT, &key.record())])).0, Verdict::Policy);
}

#[test]
fn expiry_is_of_the_time_that_is_given() {
    let key = Key::ed25519();
    let message = signed(&key, &format!("{TAGS}; x=1000"), MESSAGE);
    let mut reading = Reading::new();
    reading.write(message.as_bytes());
    let examined = reading.finish();
    let at = |secs| match examined.dkim(&dns(&[(AT, &key.record())]), Timestamp::from_secs(secs)) {
        Step::Done(results) => results[0].outcome.verdict,
        Step::Ask(_) => panic!(),
    };
    assert_eq!((at(1000), at(1001)), (Verdict::Pass, Verdict::PermError));
}

/// RFC 6376 §3.4: what each canonicalization bears on the way, and what it does not.
#[test]
fn canonicalization_bears_what_it_says_and_no_more() {
    let key = Key::ed25519();
    let answers = dns(&[(AT, &key.record())]);
    let check = |canon: &str, was: &str, is: &str| {
        let message = signed(&key, &TAGS.replace("relaxed/relaxed", canon), MESSAGE);
        assert_eq!(word(&message, &answers).0, Verdict::Pass, "{canon}");
        assert_eq!(message.matches(was).count(), 1, "{was:?}");
        word(&message.replace(was, is), &answers).0
    };
    // §3.4.2 and §3.4.4: the relaxed ones bear these, the simple ones do not.
    let borne = [
        (true, "\r\nSubject:", "\r\nSUBJECT:"),
        (true, "\r\nSubject:", "\r\nSubject :"),
        (true, "Subject:  a", "Subject:\r\n\ta"),
        (true, "a \t subject", "a subject"),
        (true, "subject\r\n folded", "subject folded"),
        (true, "folded\r\n", "folded \t\r\n"),
        (false, "Hello  Bob", "Hello \t Bob"),
        (false, "are\tyou", "are you"),
        (false, "you? \r\n", "you?\r\n"),
        (false, "Bob,\r\n", "Bob, \r\n"),
    ];
    for (is_header, was, is) in borne {
        let canons = if is_header {
            ["relaxed/relaxed", "simple/relaxed"]
        } else {
            ["relaxed/relaxed", "relaxed/simple"]
        };
        let found = canons.map(|canon| check(canon, was, is));
        assert_eq!(found, [Verdict::Pass, Verdict::Fail], "{was:?} {is:?}");
    }
    // And none bears these.
    let changed = [
        ("a \t subject", "asubject"),
        ("a \t subject", "A \t subject"),
        ("Hello  Bob", "HelloBob"),
        ("\r\n\r\nHello", "\r\n\r\n Hello"),
        ("Bob,\r\n\r\nhow", "Bob,\r\nhow"),
        ("Bob,\r\n\r\nhow", "Bob,\r\n\r\n\r\nhow"),
    ];
    for (was, is) in changed {
        for canon in ["relaxed/relaxed", "simple/simple"] {
            assert_eq!(check(canon, was, is), Verdict::Fail, "{canon} {was:?} {is:?}");
        }
    }
}

/// RFC 6376 §3.5 b= and bh=, §3.6.1 p=: Base64, in which white space does not count.
#[test]
fn hashes_signatures_and_keys_are_base64() {
    let key = Key::ed25519();
    let answers = dns(&[(AT, &key.record())]);
    let message = signed(&key, TAGS, MESSAGE);
    let at = message.find("; b=").unwrap() + 4;
    let end = at + message[at..].find("\r\n").unwrap();
    let with_b = |b: &str| word(&format!("{}{b}{}", &message[..at], &message[end..]), &answers).0;
    let b = &message[at..end];
    assert_eq!(with_b(b), Verdict::Pass);
    assert_eq!(with_b(&format!("\r\n\t{}\r\n {} ", &b[..20], &b[20..])), Verdict::Pass);
    assert_eq!(with_b(""), Verdict::PermError);
    assert_eq!(with_b("%%%"), Verdict::PermError);
    assert_ne!(with_b(&b[..b.len() - 8]), Verdict::Pass);
    assert_eq!(word(&message.replace("; b=", "; c2="), &answers).0, Verdict::PermError);
    assert_eq!(word(&message.replace("; bh=", "; xh="), &answers).0, Verdict::PermError);
    assert_eq!(word(&message.replace("; bh=", "; bh=%"), &answers).0, Verdict::PermError);
    let public = key.public();
    let spaced = format!("v=DKIM1; k=ed25519; p= {} {} ", &public[..9], &public[9..]);
    assert_eq!(word(&message, &dns(&[(AT, &spaced)])).0, Verdict::Pass);
}
