use proptest::prelude::*;
use sender_auth::{AuthResults, MethodResult, Verdict, claims_to_be_of, iprev};

use crate::zone::Zone;

fn sample() -> AuthResults {
    AuthResults {
        authserv_id: "mx.example.org".to_owned(),
        methods: vec![
            MethodResult::new("spf", Verdict::Pass)
                .commented("192.0.2.1 matched ip4:192.0.2.0/24 (of example.net)")
                .with("smtp", "mailfrom", "ann@example.net"),
            MethodResult::new("dkim", Verdict::Fail)
                .because("body \"hash\" differs")
                .with("header", "d", "example.net")
                .with("header", "i", "@example.net")
                .with("header", "b", "dzdVyOfA"),
            MethodResult::new("auth", Verdict::Pass).with("smtp", "auth", "a b@x"),
        ],
    }
}

#[test]
fn the_field_is_folded_and_exact() {
    let wanted = "Authentication-Results: mx.example.org;\r\n\
                  \tspf=pass (192.0.2.1 matched ip4:192.0.2.0/24 \\(of example.net\\))\r\n\
                  \tsmtp.mailfrom=ann@example.net;\r\n\
                  \tdkim=fail reason=\"body \\\"hash\\\" differs\" header.d=example.net\r\n\
                  \theader.i=@example.net header.b=dzdVyOfA;\r\n\
                  \tauth=pass smtp.auth=\"a b@x\"\r\n";
    assert_eq!(sample().to_field(), wanted);
    let none = AuthResults { authserv_id: "mx".to_owned(), methods: Vec::new() };
    assert_eq!(none.to_field(), "Authentication-Results: mx; none\r\n");
    assert_eq!(none.to_payload(), "mx; none");
}

/// RFC 5322 §2.1.1, and no more fields than one, whatever a sender has us tell.
fn is_one_field_of_short_lines(field: &str) -> Result<(), TestCaseError> {
    prop_assert!(field.ends_with("\r\n"));
    for (number, line) in field.strip_suffix("\r\n").unwrap().split("\r\n").enumerate() {
        prop_assert!(line.len() <= 998, "{} octets", line.len());
        prop_assert!(!line.contains(['\r', '\n', '\0']));
        prop_assert!(number == 0 || line.starts_with('\t') && !line.trim().is_empty());
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_line_is_too_long_and_none_is_anothers(
        texts in proptest::collection::vec("(\\PC|[\r\n\0\t \"\\\\()@.]){0,40}", 6),
        times in proptest::collection::vec(0_usize..60, 6),
        word in "[a-z\"\\\\é]{1,2000}",
    ) {
        let text = |at: usize| texts[at].repeat(times[at]);
        let one = MethodResult::new("dkim", Verdict::Fail)
            .because(&text(0))
            .commented(&format!("{} {word}", text(1)))
            .with("header", "i", &text(2))
            .with(&text(3), &word, &word);
        let method = MethodResult { method: word.clone(), result: text(4), ..one.clone() };
        for authserv_id in [text(5), word] {
            let results = AuthResults { authserv_id, methods: vec![one.clone(), method.clone()] };
            is_one_field_of_short_lines(&results.to_field())?;
        }
    }
}

/// Without comments, which are for people.
fn bare(mut results: AuthResults) -> AuthResults {
    results.methods.iter_mut().for_each(|method| method.comment = None);
    results
}

#[test]
fn what_was_written_is_read_back() {
    let field = sample().to_field();
    let value = field.split_once(':').unwrap().1;
    assert_eq!(AuthResults::parse(value.as_bytes()), Some(bare(sample())));
    assert_eq!(AuthResults::parse(sample().to_payload().as_bytes()), Some(bare(sample())));
}

/// RFC 8601 appendix B, in our words.
#[test]
fn fields_of_others_are_read() {
    let read = |value: &str| AuthResults::parse(value.as_bytes()).unwrap();
    assert_eq!(read(" example.org 1; none").methods, []);
    let results = read(
        " foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for \
         it) fail\r\n policy (A dot can go here) . (like that) expired\r\n (this surprised me) = \
         (as I wasn't expecting it) 1362471462",
    );
    assert_eq!(results.authserv_id, "foo.example.net");
    assert_eq!(
        results.methods,
        [MethodResult::new("dkim", Verdict::Fail).with("policy", "expired", "1362471462")]
    );
    let results = read(
        " mx.example.com; spf=hardfail smtp.mailfrom=x.example; dkim=pass (2048-bit key)\r\n\
         \theader.d=a.example header.b=\"ab/c+d==\"; dmarc=fail (p=NONE) header.from=x.example;",
    );
    assert_eq!(results.of("spf").next().unwrap().verdict(), Some(Verdict::Fail));
    assert_eq!(results.of("DKIM").next().unwrap().properties[1].value, "ab/c+d==");
    assert_eq!(results.methods.len(), 3);
    let unquoted = read(" mx; dkim=pass header.b=ab/c+d== header.i=@x.example");
    assert_eq!(unquoted.methods[0].properties[0].value, "ab/c+d==");
}

#[test]
fn what_is_broken_is_not_believed() {
    let broken = [
        "",
        " ;",
        " mx",
        " mx;",
        " mx; spf",
        " mx; spf=",
        " mx 2; none",
        " mx; none; spf=pass",
        " mx; spf=pass; none",
        " mx; spf=pass smtp.mailfrom",
        " mx; spf=pass smtp=",
        " mx; spf=pass (open",
        " mx; spf=pass reason=\"open",
        " mx spf=pass",
    ];
    for value in broken {
        assert_eq!(AuthResults::parse(value.as_bytes()), None, "{value}");
    }
}

/// RFC 8601 §5.
#[test]
fn fields_that_pretend_to_be_ours_are_known() {
    let of_us = |value: &str| claims_to_be_of(value.as_bytes(), "mx.example.org");
    for value in [
        " mx.example.org; spf=pass",
        "MX.Example.Org; none",
        " (x) mx.example.org 1; none",
        " \"mx.example.org\"; none",
        "\r\n mx.example.org. ; none",
        " mx.example.org",
        " (open mx.example.org; spf=pass",
        " ; spf=pass",
        "",
    ] {
        assert!(of_us(value), "{value}");
    }
    for value in [" mx.example.net; spf=pass", " example.org; none", " mx.example.org.evil; none"] {
        assert!(!of_us(value), "{value}");
    }
}

/// RFC 8601 §3, §2.7.3.
#[test]
fn a_name_must_lead_back() {
    let mut zone = Zone::default();
    for line in [
        "1.2.0.192.in-addr.arpa PTR mail.example.org",
        "mail.example.org A 192.0.2.1",
        "2.2.0.192.in-addr.arpa PTR mail.example.org",
        "3.2.0.192.in-addr.arpa PTR broken.example.org",
        "broken.example.org SERVFAIL",
        "4.2.0.192.in-addr.arpa SERVFAIL",
        "6.2.0.192.in-addr.arpa PTR broken.example.org",
        "6.2.0.192.in-addr.arpa PTR six.example.org",
        "six.example.org A 192.0.2.6",
    ] {
        zone.add(line);
    }
    let of = |ip: &str| {
        let ip = ip.parse().unwrap();
        let (result, _) = zone.run(|answers| iprev(ip, answers));
        (result.outcome.to_string(), result.name)
    };
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(
        of("192.0.2.1"),
        ("pass (192.0.2.1 is mail.example.org)".to_owned(), name("mail.example.org"))
    );
    assert_eq!(of("::ffff:192.0.2.1").1, name("mail.example.org"));
    assert_eq!(
        of("192.0.2.2").0,
        "fail (192.0.2.2 claims to be mail.example.org, which leads elsewhere)"
    );
    assert_eq!(of("192.0.2.3").0, "temperror (broken.example.org: SERVFAIL)");
    assert_eq!(of("192.0.2.4").0, "temperror (the name of 192.0.2.4: SERVFAIL)");
    assert_eq!(of("192.0.2.5").0, "permerror (192.0.2.5 has no name)");
    assert_eq!(of("192.0.2.6").1, name("six.example.org"));
}

proptest! {
    #[test]
    fn any_octets_are_read(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(AuthResults::parse(&value));
        prop_assert!(claims_to_be_of(b"mx; none", "mx") || claims_to_be_of(&value, "mx"));
    }

    #[test]
    fn any_facts_come_back(
        id in "[a-z.]{1,20}|\\PC{1,20}",
        facts in proptest::collection::vec(
            ("[a-z]{1,10}", "\\PC{0,60}", "\\PC{0,60}", "[a-z]{1,9}", "\\PC{1,80}"), 0..5),
    ) {
        let methods = facts.iter().map(|(method, reason, comment, property, value)| {
            MethodResult::new(method, Verdict::Pass)
                .because(reason)
                .commented(comment)
                .with("smtp", property, value)
        });
        let written =
            AuthResults { authserv_id: id, methods: methods.collect() };
        prop_assume!(!written.methods.iter().any(|one| one.method == "none"));
        let field = written.to_field();
        prop_assert!(field.ends_with("\r\n") && !field.trim_end().contains("\r\n\r\n"));
        let value = field.split_once(':').unwrap().1;
        prop_assert_eq!(AuthResults::parse(value.as_bytes()), Some(bare(written)));
    }
}

#[test]
fn results_stand_in_the_field() {
    let mut zone = Zone::default();
    for line in
        ["example.org TXT v=spf1 ip4:192.0.2.1 -all", "_dmarc.example.org TXT v=DMARC1; p=reject"]
    {
        zone.add(line);
    }
    let session = sender_auth::SpfSession {
        ip: "192.0.2.1".parse().unwrap(),
        helo: "example.org",
        mail_from: "",
        receiver: "",
        now_secs: 0,
    };
    let (spf, _) = zone.run(|answers| sender_auth::spf_mail_from(&session, answers));
    let input = sender_auth::DmarcInput {
        authors: sender_auth::authors(b"From: a@example.org\r\n\r\n"),
        spf: None,
        dkim: Vec::new(),
    };
    let (dmarc, _) = zone.run(|answers| sender_auth::dmarc(&input, answers));
    let (iprev, _) = zone.run(|answers| iprev(session.ip, answers));
    let methods = vec![spf.method(&session), dmarc.method(), iprev.method(session.ip)];
    let field = AuthResults { authserv_id: "mx".to_owned(), methods }.to_field();
    let bare = field.replace("\r\n\t", " ");
    for part in [
        "spf=pass (192.0.2.1 matched ip4:192.0.2.1 of example.org) smtp.helo=example.org;",
        "dmarc=fail (nothing authenticates example.org: there is no DKIM signature, SPF was not \
         checked) header.from=example.org policy.dmarc=reject;",
        "iprev=permerror (192.0.2.1 has no name) policy.iprev=192.0.2.1\r\n",
    ] {
        assert!(bare.contains(part), "{part}\n{bare}");
    }
    let with_sender = sender_auth::SpfSession { mail_from: "ann@example.org", ..session };
    assert_eq!(spf.method(&with_sender).properties[0].value, "ann@example.org");
}
