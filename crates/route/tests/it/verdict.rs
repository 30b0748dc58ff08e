use mail_types::{EnhancedStatus, Reply};
use route::{Class, Stage, Then, Trouble, Verdict, classify};

fn reply(code: u16, status: Option<(u8, u16, u16)>) -> Reply {
    Reply::new(code, status.map(|(a, b, c)| EnhancedStatus::new(a, b, c)), "words of theirs")
}

fn read(stage: Stage, reply: &Reply, others_taken: bool) -> Verdict {
    classify(Trouble::Reply { stage, reply, others_taken })
}

fn short(verdict: &Verdict) -> (Class, String, Then) {
    (verdict.failure.class, verdict.failure.status.to_string(), verdict.then)
}

#[test]
fn replies_by_stage() {
    use Class::{Permanent, Temporary};
    use Stage::{Data, Dot, Greeting, Hello, Mail, Rcpt, StartTls};
    use Then::{NextHost, Stop, Uncertain};
    for (stage, code, status, wanted) in [
        (Greeting, 421, None, (Temporary, "4.0.0", NextHost)),
        (Greeting, 554, None, (Permanent, "5.0.0", NextHost)),
        (Greeting, 521, Some((5, 3, 2)), (Permanent, "5.3.2", NextHost)),
        (Hello, 550, None, (Permanent, "5.0.0", NextHost)),
        (StartTls, 454, Some((4, 7, 0)), (Temporary, "4.7.0", NextHost)),
        (StartTls, 502, None, (Temporary, "4.0.0", NextHost)),
        (Mail, 451, Some((4, 3, 0)), (Temporary, "4.3.0", NextHost)),
        (Mail, 550, Some((5, 7, 1)), (Permanent, "5.7.1", Stop)),
        (Rcpt, 450, Some((4, 7, 1)), (Temporary, "4.7.1", NextHost)),
        (Rcpt, 550, Some((5, 1, 1)), (Permanent, "5.1.1", Stop)),
        (Rcpt, 550, Some((4, 2, 2)), (Permanent, "5.2.2", Stop)),
        (Rcpt, 556, None, (Permanent, "5.0.0", Stop)),
        (Data, 451, None, (Temporary, "4.0.0", NextHost)),
        (Data, 250, None, (Temporary, "4.5.0", NextHost)),
        (Dot, 552, Some((5, 3, 4)), (Permanent, "5.3.4", Stop)),
        (Dot, 452, Some((4, 3, 1)), (Temporary, "4.3.1", NextHost)),
        (Dot, 354, None, (Temporary, "4.5.0", Uncertain)),
    ] {
        let verdict = read(stage, &reply(code, status), false);
        let (class, text, then) = short(&verdict);
        assert_eq!((class, text.as_str(), then), wanted, "{stage:?} {code}");
        assert!(verdict.failure.text.contains("words of theirs"));
    }
}

#[test]
fn too_many_recipients_go_on_in_the_next_transaction() {
    for (code, status) in [(452, None), (452, Some((4, 5, 3))), (552, None), (552, Some((5, 5, 3)))]
    {
        let verdict = read(Stage::Rcpt, &reply(code, status), true);
        assert_eq!(
            (verdict.failure.class, verdict.then),
            (Class::Temporary, Then::NextTransaction)
        );
    }
    for (code, status, taken) in
        [(452, None, false), (452, Some((4, 2, 2)), true), (552, Some((5, 2, 2)), true)]
    {
        let verdict = read(Stage::Rcpt, &reply(code, status), taken);
        assert_ne!(verdict.then, Then::NextTransaction, "{code}");
    }
}

#[test]
fn silence_is_uncertain_only_behind_the_dot() {
    for stage in [Stage::Greeting, Stage::Hello, Stage::Mail, Stage::Rcpt, Stage::Data] {
        for trouble in
            [Trouble::Closed(stage), Trouble::Timeout(stage), Trouble::Garbage(stage, "x")]
        {
            let verdict = classify(trouble);
            assert_eq!((verdict.failure.class, verdict.then), (Class::Temporary, Then::NextHost));
        }
    }
    for trouble in [
        Trouble::Closed(Stage::Dot),
        Trouble::Timeout(Stage::Dot),
        Trouble::Garbage(Stage::Dot, "x"),
    ] {
        let verdict = classify(trouble);
        assert_eq!((verdict.failure.class, verdict.then), (Class::Temporary, Then::Uncertain));
    }
}

#[test]
fn connections_and_ourselves() {
    let wanted = [
        (Trouble::Refused, Class::Temporary, "4.4.1", Then::NextHost),
        (Trouble::Unreachable("no route"), Class::Temporary, "4.4.1", Then::NextHost),
        (Trouble::ConnectTimeout, Class::Temporary, "4.4.1", Then::NextHost),
        (Trouble::Tls("bad record"), Class::Temporary, "4.7.5", Then::NextHost),
        (Trouble::LacksSmtpUtf8, Class::Permanent, "5.6.7", Then::NextHost),
        (
            Trouble::TooLarge { octets_max: 9, octets: 10 },
            Class::Permanent,
            "5.3.4",
            Then::NextHost,
        ),
        (Trouble::Ours("disk"), Class::Ours, "4.3.0", Then::Stop),
    ];
    for (trouble, class, status, then) in wanted {
        assert_eq!(short(&classify(trouble)), (class, status.to_owned(), then));
    }
}

#[test]
fn a_destination_is_permanent_only_if_every_host_is() {
    let blocked = || read(Stage::Greeting, &reply(554, None), false);
    let down = || classify(Trouble::Refused);
    let no_such_user = || read(Stage::Rcpt, &reply(550, Some((5, 1, 1))), false);
    assert_eq!(blocked().over_hosts(blocked()).failure.class, Class::Permanent);
    assert_eq!(blocked().over_hosts(down()).failure.class, Class::Temporary);
    assert_eq!(down().over_hosts(blocked()).failure.class, Class::Temporary);
    assert_eq!(down().over_hosts(no_such_user()).failure.class, Class::Permanent);
}
