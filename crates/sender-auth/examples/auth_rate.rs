//! What signing and verifying a message costs: CPU time for each, without any DNS.
//!
//! `cargo run --release -p sender-auth --example auth_rate`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::Ed25519KeyPair;
use mail_types::{Domain, Timestamp};
use sender_auth::{Algorithm, Answer, Answers, Query, QueryKind, Reading, SigningKey, Step};

const ROUNDS: u32 = 2000;
const BODY_OCTETS: usize = 8 << 10;
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn main() {
    let domain = Domain::new("example.org").unwrap();
    let rsa = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let rsa: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap();
    let key = |selector, algorithm, pkcs8| {
        SigningKey::from_pkcs8(&domain, selector, algorithm, pkcs8).unwrap()
    };
    let rsa = key("r", Algorithm::RsaSha256, rsa.as_ref());
    let ed25519 = key("e", Algorithm::Ed25519Sha256, ed25519.as_ref());
    let mut answers = Answers::default();
    for key in [&rsa, &ed25519] {
        let name = format!("{}._domainkey.{domain}", key.selector());
        let record = vec![key.record().into_bytes()];
        answers.insert(Query::new(&name, QueryKind::Txt), Answer::Txt(record));
    }
    let header = "Received: from a by b; Sun, 22 Nov 2026 10:00:00 +0000\r\n".repeat(4)
        + "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: figures\r\n\
           Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n";
    let line = "A line of text with some words in it,  as people write it. \r\n";
    let plain = header + &line.repeat(BODY_OCTETS / line.len());

    let sign = |key: &SigningKey| {
        let mut reading = Reading::for_signing();
        reading.write(plain.as_bytes());
        reading.finish().sign(key, NOW)
    };
    time("sign, Ed25519", || black_box(sign(&ed25519)).len());
    time("sign, RSA-2048", || black_box(sign(&rsa)).len());
    time("sign, both", || {
        let mut reading = Reading::for_signing();
        reading.write(plain.as_bytes());
        let examined = reading.finish();
        examined.sign(&ed25519, NOW).len() + examined.sign(&rsa, NOW).len()
    });
    for (what, key) in [("Ed25519", &ed25519), ("RSA-2048", &rsa)] {
        let signed = sign(key) + &plain;
        time(&format!("verify DKIM, {what}"), || verified(&signed, &answers));
        let mut reading = Reading::for_signing();
        reading.write(signed.as_bytes());
        let examined = reading.finish();
        let Step::Done(none) = examined.arc(&answers) else { unreachable!() };
        let set = examined.seal(none.outcome.verdict, key, "example.org; none", NOW).unwrap();
        let sealed = set + &signed;
        time(&format!("verify DKIM and ARC, {what}"), || verified(&sealed, &answers));
    }
}

fn verified(message: &str, answers: &Answers) -> usize {
    let mut reading = Reading::new();
    reading.write(message.as_bytes());
    let examined = reading.finish();
    let Step::Done(dkim) = examined.dkim(answers, NOW) else { unreachable!() };
    let Step::Done(arc) = examined.arc(answers) else { unreachable!() };
    assert!(dkim.iter().all(|it| it.outcome.verdict.as_str() == "pass"), "{dkim:?}");
    assert_ne!(arc.outcome.verdict.as_str(), "fail", "{arc:?}");
    dkim.len() + arc.sets.len()
}

fn time(what: &str, mut once: impl FnMut() -> usize) {
    for _ in 0..100 {
        black_box(once());
    }
    let began = cpu_nanos();
    for _ in 0..ROUNDS {
        black_box(once());
    }
    println!("{what:<32} {:7.1} us", (cpu_nanos() - began) / 1e3 / f64::from(ROUNDS));
}

/// Time that this thread was on a CPU, whatever else the machine does (proc(5): schedstat).
fn cpu_nanos() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
