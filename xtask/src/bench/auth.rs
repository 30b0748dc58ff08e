//! What it costs to check who a message is from, and to sign: on one thread, the DNS answers there.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::Ed25519KeyPair;
use mail_types::{Domain, Timestamp};
use sender_auth::{
    Algorithm, Answer, Answers, ArcResult, DmarcInput, Examined, Identifier, Query, QueryKind,
    Reading, SigningKey, SpfSession, Step, authors, dmarc, spf_mail_from,
};
use serde::Serialize;

use super::BenchError;

/// Of each figure the best of so many rounds counts: the others met other work of the machine.
const ROUNDS: usize = 5;
const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

/// Cost of one thing, in microseconds.
#[derive(Debug, Serialize)]
pub struct Cost {
    what: &'static str,
    message_bytes: usize,
    micros: f64,
}

pub fn measure(quick: bool) -> Result<Vec<Cost>, BenchError> {
    let rsa = key(Algorithm::RsaSha256, "r1")?;
    let ed = key(Algorithm::Ed25519Sha256, "e1")?;
    let mut costs = Vec::new();
    for message_bytes in [4 << 10, 100 << 10] {
        let plain = message(message_bytes);
        let repetitions = if quick { 100 } else { 1000 };
        let mut note = |what, micros| costs.push(Cost { what, message_bytes, micros });
        for (what, key) in [("DKIM verified, RSA-2048", &rsa), ("DKIM verified, Ed25519", &ed)] {
            let signed = signed(&plain, &[key]);
            let answers = answers(&[key]);
            note(
                what,
                best(repetitions, || drop(black_box(examined(&signed).dkim(&answers, NOW)))),
            );
        }
        note("signed with both keys", signing(&plain, [&rsa, &ed], repetitions));
        let sealed = sealed(&signed(&plain, &[&rsa]), &rsa);
        let answers = answers(&[&rsa]);
        note("SPF", best(repetitions, || drop(black_box(spf(&answers)))));
        note(
            "SPF, DKIM (RSA-2048), ARC and DMARC",
            best(repetitions, || {
                let examined = examined(&sealed);
                let spf = spf(&answers);
                black_box(examined.arc(&answers));
                black_box(of_all(&sealed, &examined, spf, &answers));
            }),
        );
    }
    Ok(costs)
}

/// What signing a message of 4 KiB with both keys costs here, in milliseconds.
pub fn signing_ms() -> Result<f64, BenchError> {
    let keys = [key(Algorithm::RsaSha256, "r1")?, key(Algorithm::Ed25519Sha256, "e1")?];
    Ok(signing(&message(4 << 10), [&keys[0], &keys[1]], 1000) / 1000.0)
}

fn signing(message: &str, keys: [&SigningKey; 2], repetitions: u32) -> f64 {
    let examined = read(message);
    best(repetitions, || {
        for key in keys {
            black_box(examined.sign(key, NOW));
        }
    })
}

pub fn table(costs: &[Cost]) -> String {
    let mut text = "\nWho a message is from, µs of one core each\n".to_owned();
    for cost in costs {
        // Writing to a String cannot fail.
        writeln!(text, "{:<40} {:>7} B {:>9.1}", cost.what, cost.message_bytes, cost.micros).ok();
    }
    text
}

fn best(repetitions: u32, mut work: impl FnMut()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        for _ in 0..repetitions {
            work();
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(repetitions)
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

fn key(algorithm: Algorithm, selector: &str) -> Result<SigningKey, BenchError> {
    let failed = |what: &str| BenchError::Peer(format!("{what} for the benchmark"));
    let pkcs8 = match algorithm {
        Algorithm::RsaSha256 => {
            let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| failed("no RSA key"))?;
            let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| failed("no RSA key"))?;
            der.as_ref().to_vec()
        }
        Algorithm::Ed25519Sha256 => {
            let pair = Ed25519KeyPair::generate().map_err(|_| failed("no Ed25519 key"))?;
            pair.to_pkcs8().map_err(|_| failed("no Ed25519 key"))?.as_ref().to_vec()
        }
    };
    let domain = Domain::new("example.org").map_err(|_| failed("no domain"))?;
    SigningKey::from_pkcs8(&domain, selector, algorithm, &pkcs8)
        .map_err(|error| BenchError::Peer(error.to_string()))
}

fn message(bytes: usize) -> String {
    let mut text =
        "Received: from client.example.org by mx.example.net; Sun, 22 Nov 2026 10:00:00 \
                    +0000\r\nFrom: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: \
                    figures\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: \
                    <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
            .to_owned();
    while text.len() < bytes {
        text.push_str("A line of text as people write them, with some  spaces in it.\r\n");
    }
    text
}

fn read(message: &str) -> Examined {
    let mut reading = Reading::for_signing();
    reading.write(message.as_bytes());
    reading.finish()
}

fn examined(message: &str) -> Examined {
    let mut reading = Reading::new();
    reading.write(message.as_bytes());
    reading.finish()
}

fn signed(message: &str, keys: &[&SigningKey]) -> String {
    let examined = read(message);
    let fields: String = keys.iter().map(|key| examined.sign(key, NOW)).collect();
    format!("{fields}{message}")
}

fn sealed(message: &str, key: &SigningKey) -> String {
    let examined = read(message);
    let Step::Done(arc): Step<ArcResult> = examined.arc(&Answers::default()) else {
        return message.to_owned();
    };
    let set =
        examined.seal(arc.outcome.verdict, key, "mx.example.net; none", NOW).unwrap_or_default();
    format!("{set}{message}")
}

fn answers(keys: &[&SigningKey]) -> Answers {
    let mut answers = Answers::default();
    let mut txt = |name: &str, text: &str| {
        let answer = Answer::Txt(vec![text.as_bytes().to_vec()]);
        answers.insert(Query::new(name, QueryKind::Txt), answer);
    };
    for key in keys {
        txt(&format!("{}._domainkey.{}", key.selector(), key.domain()), &key.record());
    }
    txt("example.org", "v=spf1 include:a.example.org include:b.example.org mx ~all");
    txt("a.example.org", "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ip6:2001:db8::/32 -all");
    txt("b.example.org", "v=spf1 ip4:192.0.2.0/25 ip4:192.0.2.128/25 -all");
    txt("_dmarc.example.org", "v=DMARC1; p=reject; rua=mailto:reports@example.org");
    answers.insert(Query::new("_dmarc.org", QueryKind::Txt), Answer::NxDomain);
    answers
}

fn spf(answers: &Answers) -> Option<Identifier> {
    let session = SpfSession {
        ip: std::net::Ipv4Addr::new(192, 0, 2, 200).into(),
        helo: "client.example.org",
        mail_from: "ann@example.org",
        receiver: "mx.example.net",
        now_secs: NOW.secs(),
    };
    match spf_mail_from(&session, answers) {
        Step::Done(result) => {
            Some(Identifier { verdict: result.outcome.verdict, domain: result.domain })
        }
        Step::Ask(_) => None,
    }
}

fn of_all(
    message: &str,
    examined: &Examined,
    spf: Option<Identifier>,
    answers: &Answers,
) -> Step<sender_auth::DmarcResult> {
    let dkim = match examined.dkim(answers, NOW) {
        Step::Done(results) => results,
        Step::Ask(_) => Vec::new(),
    };
    let dkim = dkim.into_iter().filter_map(|one| {
        Some(Identifier { verdict: one.outcome.verdict, domain: one.domain?.as_str().to_owned() })
    });
    let input = DmarcInput { authors: authors(message.as_bytes()), spf, dkim: dkim.collect() };
    dmarc(&input, answers)
}
