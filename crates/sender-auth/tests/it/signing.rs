//! What is signed and sealed here verifies here, and says what it must.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::Ed25519KeyPair;
use mail_types::Domain;
use sender_auth::{
    Algorithm, Answers, ArcResult, Examined, Reading, SigningKey, Step, Verdict, dkim_overall,
};

use crate::signer::{NOW, dns, verify, verify_arc};

const MESSAGE: &str = "Received: from a\r\nFrom: Ann <ann@example.org>\r\nTo: bob@example.net\r\n\
Subject: hello\r\nList-Id: <l.example.org>\r\n\r\nHello  Bob\r\n\r\n";

pub fn key(algorithm: Algorithm, domain: &str, selector: &str) -> SigningKey {
    let pkcs8 = match algorithm {
        Algorithm::RsaSha256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref().to_vec()
        }
        Algorithm::Ed25519Sha256 => {
            Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap().as_ref().to_vec()
        }
    };
    SigningKey::from_pkcs8(&Domain::new(domain).unwrap(), selector, algorithm, &pkcs8).unwrap()
}

fn read(message: &str) -> Examined {
    let mut reading = Reading::for_signing();
    for piece in message.as_bytes().chunks(7) {
        reading.write(piece);
    }
    reading.finish()
}

fn published(keys: &[&SigningKey]) -> Answers {
    let records: Vec<(String, String)> = keys
        .iter()
        .map(|key| (format!("{}._domainkey.{}", key.selector(), key.domain()), key.record()))
        .collect();
    let records: Vec<_> = records.iter().map(|(name, text)| (&**name, &**text)).collect();
    dns(&records)
}

#[test]
fn both_algorithms_sign() {
    let rsa = key(Algorithm::RsaSha256, "example.org", "r1");
    let ed = key(Algorithm::Ed25519Sha256, "example.org", "e1");
    let examined = read(MESSAGE);
    let (first, second) = (examined.sign(&rsa, NOW), examined.sign(&ed, NOW));
    for field in [&first, &second] {
        assert!(field.lines().all(|line| line.len() <= 78), "{field}");
        assert!(field.contains("from:from:to:to:cc:subject:subject:"), "{field}");
        assert!(field.contains("list-id:") || field.contains("list-id;"), "{field}");
        assert!(!field.contains(" l="), "{field}");
    }
    let message = format!("Received: later\r\n{first}{second}{MESSAGE}");
    let answers = published(&[&rsa, &ed]);
    let results = verify(&message, &answers);
    assert!(results.iter().all(|it| it.outcome.verdict == Verdict::Pass), "{results:?}");
    assert_eq!(results.len(), 2);
    for added in ["Subject: other\r\n", "Cc: eve@example.com\r\n", "Reply-To: eve@example.com\r\n"]
    {
        let overall = dkim_overall(&verify(&format!("{added}{message}"), &answers));
        assert_eq!(overall.verdict, Verdict::Fail, "{added}");
    }
    let more = format!("List-Unsubscribe: <https://example.org/>\r\n{message}");
    assert_eq!(dkim_overall(&verify(&more, &answers)).verdict, Verdict::Pass);
}

fn arc(message: &str, answers: &Answers) -> ArcResult {
    match read(message).arc(answers) {
        Step::Done(result) => result,
        Step::Ask(queries) => panic!("{queries:?}"),
    }
}

/// Adds `count` sets by hosts of their own.
fn sealed(message: &str, count: usize) -> (String, Answers) {
    let keys: Vec<SigningKey> = (1..=count)
        .map(|at| key(Algorithm::Ed25519Sha256, &format!("hop{at}.example"), "s"))
        .collect();
    let answers = published(&keys.iter().collect::<Vec<_>>());
    let mut message = message.to_owned();
    for key in &keys {
        let examined = read(&message);
        let Step::Done(result) = examined.arc(&answers) else { panic!() };
        let results = format!("{};\r\n\tspf=pass smtp.mailfrom=example.org", key.domain());
        let set = examined.seal(result.outcome.verdict, key, &results, NOW).unwrap();
        message = format!("{set}Received: by {}\r\n{message}", key.domain());
    }
    (message, answers)
}

#[test]
fn chains_grow_and_verify() {
    for count in [1, 2, 5] {
        let (message, answers) = sealed(MESSAGE, count);
        let result = arc(&message, &answers);
        assert_eq!(result.outcome.verdict, Verdict::Pass, "{result:?}\n{message}");
        assert_eq!(result.sets.len(), count);
        assert_eq!(result.sets[0].sealer.as_str(), "hop1.example");
        assert!(result.sets[0].results.contains("spf=pass"), "{result:?}");
        // The newest message signature holds the message still, older ones need not.
        let changed = message.replace("Hello", "Goodbye");
        assert_eq!(arc(&changed, &answers).outcome.verdict, Verdict::Fail);
        // Each seal holds all the sets below it.
        let results = message.replacen("spf=pass", "spf=fail", 1);
        assert_eq!(arc(&results, &answers).outcome.verdict, Verdict::Fail);
        let last = message.rfind("spf=pass").unwrap();
        let results = format!("{}spf=fail{}", &message[..last], &message[last + 8..]);
        assert_eq!(arc(&results, &answers).outcome.verdict, Verdict::Fail);
        assert_eq!(verify_arc(&message, &dns(&[])).outcome.verdict, Verdict::Fail, "no keys");
    }
}

#[test]
fn a_changed_message_is_sealed_anew() {
    // A mailing list changes the body and seals: the older message signature may fail.
    let (message, mut answers) = sealed(MESSAGE, 1);
    let list = key(Algorithm::RsaSha256, "list.example", "s");
    answers.insert(
        sender_auth::Query::new("s._domainkey.list.example", sender_auth::QueryKind::Txt),
        sender_auth::Answer::Txt(vec![list.record().into_bytes()]),
    );
    let before = arc(&message, &answers);
    let changed = format!("{message}-- \r\nthe list\r\n");
    let set =
        read(&changed).seal(before.outcome.verdict, &list, "list.example; none", NOW).unwrap();
    let result = arc(&format!("{set}{changed}"), &answers);
    assert_eq!(result.outcome.verdict, Verdict::Pass, "{result:?}");
}

#[test]
fn a_broken_chain_is_ended() {
    let (message, answers) = sealed(MESSAGE, 2);
    let broken = message.replace("Hello", "Goodbye");
    let result = arc(&broken, &answers);
    let key = key(Algorithm::Ed25519Sha256, "hop1.example", "s");
    let set = read(&broken).seal(result.outcome.verdict, &key, "hop3.example; none", NOW).unwrap();
    assert!(set.contains("cv=fail") && set.contains("i=3"), "{set}");
    let ended = arc(&format!("{set}{broken}"), &answers);
    assert_eq!((ended.outcome.verdict, ended.ended), (Verdict::Fail, true));
    // RFC 8617 §5.1: nobody adds to it.
    let ended_message = format!("{set}{broken}");
    assert_eq!(read(&ended_message).seal(ended.outcome.verdict, &key, "x; none", NOW), None);
    // Of a chain that is not there nobody can have found that it is whole, nor of one that is none.
    assert_eq!(read(MESSAGE).seal(Verdict::Pass, &key, "x; none", NOW), None);
    assert_eq!(read(&message).seal(Verdict::None, &key, "x; none", NOW), None);
}

#[test]
fn fifty_sets_are_the_most() {
    let (message, answers) = sealed(MESSAGE, 50);
    let result = arc(&message, &answers);
    assert_eq!((result.outcome.verdict, result.highest), (Verdict::Pass, 50));
    let key = key(Algorithm::Ed25519Sha256, "hop1.example", "s");
    assert_eq!(read(&message).seal(result.outcome.verdict, &key, "x; none", NOW), None);
}

#[test]
fn structure_is_checked() {
    let (message, answers) = sealed(MESSAGE, 2);
    let results = "ARC-Authentication-Results: i=2; hop2.example;\r\n\tspf=pass smtp.mailfrom=example.org\r\n";
    assert!(message.contains(results));
    let cases = [
        ("a field is missing", message.replace(results, "")),
        ("a field is there twice", format!("{results}{message}")),
        ("no instance", message.replace(results, "ARC-Authentication-Results: hop2.example\r\n")),
        ("no semicolon", message.replace("Results: i=2; hop2", "Results: i=2 hop2")),
        ("instance 0", message.replace("Results: i=2;", "Results: i=0;")),
        ("instance 51", message.replace("Results: i=2;", "Results: i=51;")),
        ("a gap", message.replace("i=2;", "i=3;")),
        ("cv of the first", message.replace("cv=none", "cv=pass")),
        ("cv of the second", message.replace("cv=pass", "cv=none")),
        ("cv unknown", message.replace("cv=pass", "cv=good")),
        ("no cv", message.replace(" cv=pass;", "")),
        ("h= in a seal", message.replace("cv=pass;", "cv=pass; h=from;")),
        ("a tag twice", message.replace("cv=pass;", "cv=pass; cv=pass;")),
        ("seal signed", message.replacen("from:from:", "from:arc-seal:", 1)),
    ];
    for (what, message) in cases {
        let result = arc_or_none(&message, &answers);
        assert_eq!(result.outcome.verdict, Verdict::Fail, "{what}: {result:?}");
    }
    let space = message.replace("i=2; hop2", "i = 2 (two \\) (nested)) ;  hop2");
    let result = arc_or_none(&space, &answers);
    assert!(
        result.outcome.reason().contains("seal of set 2"),
        "read, but signed otherwise: {result:?}"
    );
    assert_eq!(arc_or_none(MESSAGE, &answers).outcome.verdict, Verdict::None);
}

fn arc_or_none(message: &str, answers: &Answers) -> ArcResult {
    verify_arc(message, answers)
}

#[test]
fn trouble_of_the_dns_is_told_apart() {
    let (message, mut answers) = sealed(MESSAGE, 2);
    let query = sender_auth::Query::new("s._domainkey.hop1.example", sender_auth::QueryKind::Txt);
    answers.insert(query, sender_auth::Answer::Trouble("time-out".to_owned()));
    let result = arc(&message, &answers);
    assert_eq!(result.outcome.verdict, Verdict::TempError, "{result:?}");
    let key = key(Algorithm::Ed25519Sha256, "hop1.example", "s");
    assert_eq!(read(&message).seal(result.outcome.verdict, &key, "x; none", NOW), None);
    // What fails for good is not hidden by it.
    assert_eq!(arc(&message.replace("Hello", "Bye"), &answers).outcome.verdict, Verdict::Fail);
}

#[test]
fn a_seal_over_a_broken_seal_does_not_mend_it() {
    // The second hop says that the chain was whole, though the first seal is not what it was.
    let (message, answers) = sealed(MESSAGE, 1);
    let at = message.find("ARC-Seal:").unwrap();
    let b = at + message[at..].find(" b=").unwrap() + 3;
    let other = if message[b..].starts_with('A') { "B" } else { "A" };
    let broken = format!("{}{other}{}", &message[..b], &message[b + 1..]);
    let found = arc(&broken, &answers);
    assert_eq!(found.outcome.verdict, Verdict::Fail);
    let lie = ArcResult { outcome: sender_auth::Outcome::new(Verdict::Pass, "a lie"), ..found };
    let liar = key(Algorithm::Ed25519Sha256, "liar.example", "s");
    let set = read(&broken).seal(lie.outcome.verdict, &liar, "liar.example; none", NOW).unwrap();
    assert!(set.contains("cv=pass"), "{set}");
    let mut all = answers.clone();
    all.insert(
        sender_auth::Query::new("s._domainkey.liar.example", sender_auth::QueryKind::Txt),
        sender_auth::Answer::Txt(vec![liar.record().into_bytes()]),
    );
    let result = arc(&format!("{set}{broken}"), &all);
    assert_eq!(result.outcome.verdict, Verdict::Fail, "{result:?}");
    assert!(result.outcome.reason().contains("the seal of set 1"), "{result:?}");
}
