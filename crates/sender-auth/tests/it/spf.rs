use proptest::prelude::*;
use sender_auth::{Answer, Answers, SpfResult, SpfSession, Step, Verdict, spf_helo, spf_mail_from};

use crate::zone::{Zone, octets};

const VECTORS: &str = include_str!("../vectors/spf.txt");

fn session<'a>(ip: &str, helo: &'a str, mail_from: &'a str) -> SpfSession<'a> {
    let ip = ip.parse().unwrap();
    SpfSession { ip, helo, mail_from, receiver: "", now_secs: 1_795_000_000 }
}

fn run(zone: &Zone, session: &SpfSession<'_>) -> SpfResult {
    zone.run(|answers| spf_mail_from(session, answers)).0
}

#[test]
fn each_rule_has_its_result() {
    let zone = Zone::read(VECTORS);
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in VECTORS.lines().filter_map(|line| line.strip_prefix("> ")) {
        let line = String::from_utf8(octets(line)).unwrap();
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        let [ip, helo, mail_from, rest @ ..] = words.as_slice() else { panic!("{line}") };
        let mail_from = if *mail_from == "-" { "" } else { mail_from };
        let result = run(&zone, &session(ip, helo, mail_from));
        count += 1;
        if result.outcome.verdict.as_str() != rest[0] {
            wrong.push(format!("{line}: {}", result.outcome));
        }
        if let Some((_, explanation)) = rest.get(1).and_then(|more| more.split_once("exp:")) {
            let said = result.explanation.unwrap_or_default();
            if said != explanation.trim() {
                wrong.push(format!("{line}: explains {said:?}"));
            }
        }
    }
    assert!(count > 200, "{count}");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn reasons_are_plain_words() {
    let zone = Zone::read(VECTORS);
    let reason =
        |ip, mail_from| run(&zone, &session(ip, "any.test", mail_from)).outcome.reason().to_owned();
    let wanted = [
        ("192.0.2.1", "ann@plain.test", "192.0.2.1 matched ip4:192.0.2.0/24 of plain.test"),
        ("192.0.3.1", "ann@plain.test", "192.0.3.1 matched -all of plain.test"),
        (
            "192.0.2.1",
            "ann@incpass.test",
            "192.0.2.1 matched ip4:192.0.2.1 of yes.inc.test, by include:yes.inc.test of incpass.test",
        ),
        (
            "192.0.2.1",
            "ann@nomatch.test",
            "nothing in the record of nomatch.test matched 192.0.2.1",
        ),
        ("192.0.2.1", "ann@nonexistent.test", "nonexistent.test does not exist"),
        ("192.0.2.1", "ann@nodata.test", "nodata.test has no SPF record"),
        ("192.0.2.1", "ann@broken.test", "the SPF record of broken.test: SERVFAIL"),
        ("192.0.2.1", "ann@two.test", "two.test has more than one SPF record"),
        (
            "192.0.2.1",
            "ann@late.test",
            "the SPF record of late.test cannot be used: bogus: there is no such mechanism",
        ),
    ];
    for (ip, mail_from, words) in wanted {
        assert_eq!(reason(ip, mail_from), words);
    }
}

#[test]
fn the_helo_name_is_an_identity_of_its_own() {
    let zone = Zone::read(VECTORS);
    let session = session("192.0.2.1", "helo.test", "ann@plain.test");
    let (result, _) = zone.run(|answers| spf_helo(&session, answers));
    assert_eq!((result.outcome.verdict, result.domain.as_str()), (Verdict::Pass, "helo.test"));
}

/// RFC 7208 §4.6.4: of more than ten names only ten are looked at, whichever they are.
#[test]
fn ten_names_of_a_client_are_looked_at() {
    let mut zone = Zone::default();
    zone.add("many.test TXT v=spf1 ptr:last.test -all");
    for n in 1..=11 {
        zone.add(&format!("9.2.0.192.in-addr.arpa PTR n{n}.x.test"));
        zone.add(&format!("n{n}.x.test A 192.0.2.9"));
    }
    zone.add("9.2.0.192.in-addr.arpa PTR a.last.test");
    zone.add("a.last.test A 192.0.2.9");
    let result = run(&zone, &session("192.0.2.9", "any.test", "ann@many.test"));
    assert_eq!(result.outcome.verdict, Verdict::Fail);
}

/// What takes a round of questions each is asked for at once.
#[test]
fn hosts_are_asked_for_together() {
    let zone = Zone::read(VECTORS);
    let session = session("192.0.2.1", "any.test", "ann@mx10.test");
    // The record, the MX records, all hosts.
    assert_eq!(zone.run(|answers| spf_mail_from(&session, answers)).1, 3);
}

proptest! {
    /// Any record, any sender: it ends, within its limits.
    #[test]
    fn anything_comes_to_an_end(
        record in "(v=spf1)( [+?~-]?(all|a|mx|ptr|include|exists|redirect=|exp=|ip4|ip6|x)(:|=|/)?[%{}a-z0-9./:-]{0,20}){0,30}",
        helo in "\\PC{0,80}",
        mail_from in "\\PC{0,80}",
        six in any::<bool>(),
    ) {
        let ip = if six { "2001:db8::1" } else { "192.0.2.1" };
        let session = session(ip, &helo, &mail_from);
        let mut answers = Answers::default();
        let mut asked = 0_usize;
        let mut round = 0_usize;
        loop {
            match spf_mail_from(&session, &answers) {
                Step::Done(result) => {
                    prop_assert!(result.outcome.reason().is_ascii());
                    break;
                }
                Step::Ask(queries) => {
                    asked += queries.len();
                    for query in queries {
                        let answer = Answer::Txt(vec![record.clone().into_bytes()]);
                        answers.insert(query, answer);
                    }
                }
            }
            round += 1;
            prop_assert!(asked < 60 && round < 60);
        }
    }
}
