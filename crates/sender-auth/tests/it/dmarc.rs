use proptest::prelude::*;
use sender_auth::{
    Alignment, Answers, Authors, DmarcInput, DmarcPolicy, DmarcRecord, DmarcResult, Identifier,
    Psd, Verdict, authors, dmarc,
};

use crate::zone::Zone;

const VECTORS: &str = include_str!("../vectors/dmarc.txt");

fn identifiers(text: &str) -> Vec<Identifier> {
    let one = |text: &str| {
        let (verdict, domain) = text.split_once(':').unwrap();
        Identifier { verdict: Verdict::parse(verdict).unwrap(), domain: domain.to_owned() }
    };
    text.split(',').filter(|text| *text != "-").map(one).collect()
}

fn input(from: &str, spf: &str, dkim: &str) -> DmarcInput {
    DmarcInput {
        authors: Authors::Domains(from.split(',').map(str::to_owned).collect()),
        spf: identifiers(spf).pop(),
        dkim: identifiers(dkim),
    }
}

fn run(zone: &Zone, input: &DmarcInput) -> DmarcResult {
    zone.run(|answers| dmarc(input, answers)).0
}

#[test]
fn each_rule_has_its_result() {
    let zone = Zone::read(VECTORS);
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in VECTORS.lines().filter_map(|line| line.strip_prefix("> ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let [from, spf, dkim, word, requested, rest @ ..] = words.as_slice() else {
            panic!("{line}")
        };
        let result = run(&zone, &input(from, spf, dkim));
        count += 1;
        let told = (result.outcome.verdict.as_str(), result.requested.as_str());
        if told != (*word, *requested) {
            wrong.push(format!("{line}: {told:?}, {}", result.outcome));
        }
        if let [at, organization] = rest {
            let of = result.published.map(|p| (format!("{}/{}", p.domain, p.tag), p.organization));
            if of != Some(((*at).to_owned(), (*organization).to_owned())) {
                wrong.push(format!("{line}: {of:?}"));
            }
        }
    }
    assert!(count > 90, "{count}");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn reasons_are_plain_words() {
    let zone = Zone::read(VECTORS);
    let reason = |from, spf, dkim| run(&zone, &input(from, spf, dkim)).outcome.to_string();
    assert_eq!(
        reason("plain.test", "softfail:other.test", "pass:list.test"),
        "fail (nothing authenticates plain.test: DKIM passed for list.test only, \
         SPF said softfail for other.test)"
    );
    assert_eq!(
        reason("plain.test", "-", "pass:mail.plain.test"),
        "pass (DKIM passed for mail.plain.test, of the same organization as plain.test)"
    );
    assert_eq!(
        reason("plain.test", "pass:plain.test", "-"),
        "pass (SPF passed for plain.test, the author's domain)"
    );
    assert_eq!(reason("none.test", "-", "-"), "none (no policy applies to none.test)");
    assert_eq!(reason("broken.test", "-", "-"), "temperror (_dmarc.broken.test: SERVFAIL)");
}

/// RFC 9989 §4.10: never more than eight queries for one name.
#[test]
fn a_walk_takes_eight_queries() {
    let asked = |from: &str| {
        let input = input(from, "-", "-");
        let sender_auth::Step::Ask(queries) = dmarc(&input, &Answers::default()) else {
            panic!("asks nothing")
        };
        queries.iter().map(|query| query.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        asked("a.b.c.d.e.f.g.h.i.j.mail.example.com"),
        [
            "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com",
            "_dmarc.g.h.i.j.mail.example.com",
            "_dmarc.h.i.j.mail.example.com",
            "_dmarc.i.j.mail.example.com",
            "_dmarc.j.mail.example.com",
            "_dmarc.mail.example.com",
            "_dmarc.example.com",
            "_dmarc.com",
        ]
    );
    assert_eq!(asked("1.2.3.4.5.6.7.8").len(), 8);
    assert_eq!(asked("1.2.3.4.5.6.7").len(), 7);
    assert_eq!(asked("example.com").len(), 2);
}

#[test]
fn tags_are_read() {
    let record = DmarcRecord::parse(
        b"v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=r; t=y; psd=n; fo=1:d; \
          rua=mailto:a@example.org!10m, https://example.org/x ,mailto:b%2Bc@example.org?subject=x,\
          mailto:nobody,mailto:d@example.org!1q; ruf=mailto:f@example.org",
    )
    .unwrap();
    assert_eq!(
        (record.p, record.sp, record.np),
        (Some(DmarcPolicy::Reject), Some(DmarcPolicy::Quarantine), Some(DmarcPolicy::None))
    );
    assert_eq!((record.adkim, record.aspf), (Alignment::Strict, Alignment::Relaxed));
    assert_eq!((record.testing, record.psd, record.fo.as_deref()), (true, Psd::No, Some("1:d")));
    let rua: Vec<_> =
        record.rua.iter().map(|rua| (rua.address.to_string(), rua.bytes_max)).collect();
    assert_eq!(
        rua,
        [("a@example.org".to_owned(), Some(10 << 20)), ("b+c@example.org".to_owned(), None)]
    );
}

#[test]
fn authors_are_the_domains_in_from() {
    let of = |header: &str| authors(header.as_bytes());
    let domains = |names: &[&str]| Authors::Domains(names.iter().map(|&n| n.to_owned()).collect());
    assert_eq!(of("From: Ann <ann@Example.ORG>\r\n\r\n"), domains(&["example.org"]));
    assert_eq!(
        of("From: \"ann@bank.example\" <x@evil.example>\r\n\r\n"),
        domains(&["evil.example"])
    );
    assert_eq!(of("from : a@x.example,\r\n b@x.example\r\n\r\n"), domains(&["x.example"]));
    assert_eq!(
        of("From: a@x.example\r\nSubject: x\r\nFrom: b@y.example\r\n\r\n"),
        domains(&["x.example", "y.example"])
    );
    assert_eq!(of("From: Ann <ann@caf\u{e9}.example>\r\n\r\n"), domains(&["xn--caf-dma.example"]));
    assert_eq!(
        of("From: g: a@x.example, b@y.example;\r\n\r\n"),
        domains(&["x.example", "y.example"])
    );
    // What names no domain beside them takes nothing from those that do.
    for beside in ["x", "<x>", "\"The Boss\"", "()", "x:;"] {
        for from in
            [format!("Boss <ceo@bank.example>, {beside}"), format!("{beside}, c@bank.example")]
        {
            assert_eq!(of(&format!("From: {from}\r\n\r\n")), domains(&["bank.example"]), "{from}");
        }
    }
    assert_eq!(of("From: Smith, Ann <ann@x.example>\r\n\r\n"), domains(&["x.example"]));
    let two = domains(&["bank.example", "evil.example"]);
    for from in [
        "<ceo@bank.example> <x@evil.example>",
        "<ceo@bank.example <x@evil.example>",
        "<ceo@bank.example><x@evil.example>",
        "Boss <ceo@bank.example> x@evil.example",
    ] {
        assert_eq!(of(&format!("From: {from}\r\n\r\n")), two, "{from}");
    }
    for beside in ["y@[192.0.2.1]", "y@x..example", "y@corp.example@", "\"y@corp.example\""] {
        let partly = of(&format!("From: ceo@bank.example, {beside}\r\n\r\n"));
        assert!(matches!(&partly, Authors::Partly { .. }), "{beside}: {partly:?}");
        assert_eq!(partly.domains(), ["bank.example"]);
    }
    let many = |from: &str| {
        let authors = of(&format!("From: {from}\r\n\r\n"));
        assert!(matches!(authors, Authors::TooMany { .. }), "{authors:?}");
    };
    many("a@1.x, a@2.x, a@3.x, a@4.x, a@5.x, a@6.x");
    many(&format!("{}ceo@bank.example", "a@evil.example, ".repeat(199)));
    many(&format!("{}ceo@bank.example", "x, ".repeat(199)));
    let late = format!("{}From: ceo@bank.example\r\n\r\n", "a:\r\n".repeat(20_000));
    assert_eq!(of(&late), domains(&["bank.example"]));
    let unusable = [
        "Subject: x\r\n\r\nFrom: a@x.example\r\n",
        "From: nobody\r\n\r\n",
        "From:\r\n\r\n",
        "From: undisclosed:;\r\n\r\n",
        "From: a@[192.0.2.1]\r\n\r\n",
        "From: a@x..example\r\n\r\n",
    ];
    for header in unusable {
        assert!(matches!(of(header), Authors::Unusable(_)), "{header}: {:?}", of(header));
    }
    let input = DmarcInput { authors: of("To: x\r\n\r\n"), spf: None, dkim: Vec::new() };
    let result = run(&Zone::default(), &input);
    assert_eq!(result.outcome.to_string(), "permerror (there is no From field)");
}

/// RFC 9989 §5.3.1, §11.5: whoever else stands in From, each author is judged.
#[test]
fn an_author_that_cannot_be_judged_excuses_no_other() {
    let zone = Zone::read(VECTORS);
    let told = |from: &str, passed: &str| {
        let header = format!("From: {from}\r\n\r\n");
        let dkim = identifiers(passed);
        let input = DmarcInput { authors: authors(header.as_bytes()), spf: None, dkim };
        let result = run(&zone, &input);
        (result.outcome.verdict, result.requested)
    };
    let (rejected, own) = ((Verdict::Fail, DmarcPolicy::Reject), "pass:plain.test");
    assert_eq!(told("Boss <ceo@plain.test>, x", "-"), rejected);
    assert_eq!(told("ceo@plain.test, y@[192.0.2.1]", "-"), rejected);
    assert_eq!(told("<ceo@plain.test> <x@evil.test>", "pass:evil.test"), rejected);
    assert_eq!(told("a@1.t, a@2.t, a@3.t, a@4.t, a@5.t, ceo@plain.test", own), rejected);
    // A name with a comma in it is one author's.
    assert_eq!(told("Boss, The <ceo@plain.test>", own), (Verdict::Pass, DmarcPolicy::None));
    // Nobody can speak for an address without a domain: it does not pass for the others' sake.
    let unknown = (Verdict::PermError, DmarcPolicy::None);
    assert_eq!(told("ceo@plain.test, y@[192.0.2.1]", own), unknown);
    assert_eq!(told("x@none.test, y@[192.0.2.1]", "-"), unknown);
}

proptest! {
    #[test]
    fn any_record_is_read(
        noise in proptest::collection::vec(any::<u8>(), 0..100),
        tags in "(; ?(p|sp|np|rua|t|psd|v|fo)=[a-z:@.!0-9%,]{0,20}){0,10}",
    ) {
        drop(DmarcRecord::parse(&noise));
        let record = ["v=DMARC1", &tags].concat();
        prop_assert!(DmarcRecord::parse(record.as_bytes()).is_some());
    }

    #[test]
    fn any_message_comes_to_an_end(
        header in "(From:|From: |\r\n |[a-z@,<>.\"()\\[\\];:]){0,60}",
        domain in "[a-z.]{0,20}",
    ) {
        let input = DmarcInput {
            authors: authors(header.as_bytes()),
            spf: Some(Identifier { verdict: Verdict::Pass, domain: domain.clone() }),
            dkim: vec![Identifier { verdict: Verdict::TempError, domain }],
        };
        let mut zone = Zone::default();
        zone.add("_dmarc.a TXT v=DMARC1; p=reject; np=none; psd=y");
        run(&zone, &input);
    }
}
