//! Load and sink against each other: every message once, with its token and its reply.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use drill::latency::Latency;
use drill::load::{self, Load};
use drill::random::Random;
use drill::sink::Sink;
use drill::template::Template;
use drill::token::Token;

#[test]
fn every_acknowledged_message_is_in_the_sink_once() {
    let sink = Sink::start().unwrap();
    let recipients = ["a@x.test", "b@x.test", "c@x.test"].map(str::to_owned).to_vec();
    let mut plan = Load::new(sink.address(), recipients.clone());
    plan.messages = 301;
    plan.recipients_per_message = 2;
    plan.messages_per_connection = 7;
    plan.run = 0xfeed;
    plan.slice_messages = 100;
    let outcome = load::run(&plan, &Arc::new(AtomicBool::new(false)), None).unwrap();
    assert_eq!((outcome.messages, outcome.acknowledged.len()), (301, 602));
    assert_eq!((outcome.uncertain.len(), outcome.refused.len(), outcome.broken), (0, 0, 0));
    assert_eq!((outcome.latency.count(), outcome.slices.len()), (301, 3));
    let taken = sink.tokens();
    assert_eq!(taken.len(), 602);
    for sent in &outcome.acknowledged {
        let copy = (recipients[sent.recipient as usize].clone(), sent.token);
        assert_eq!(taken.get(&copy), Some(&1), "{copy:?}");
        assert!(sent.answer.starts_with("2.0.0 sunk "), "{}", sent.answer);
    }
}

#[test]
fn a_server_that_goes_away_leaves_its_last_messages_uncertain() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{BufRead, BufReader, Write};
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 x\r\n").unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        // No PIPELINING: EHLO, MAIL, RCPT, DATA come one by one.
        for reply in ["250 x", "250 ok", "250 ok", "354 go on"] {
            line.clear();
            reader.read_line(&mut line).unwrap();
            stream.write_all(format!("{reply}\r\n").as_bytes()).unwrap();
        }
        while line != ".\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
    });
    let mut plan = Load::new(address, vec!["a@x.test".to_owned()]);
    plan.connections = 1;
    let outcome = load::run(&plan, &Arc::new(AtomicBool::new(false)), None).unwrap();
    server.join().unwrap();
    assert_eq!(outcome.acknowledged.len(), 0);
    assert_eq!(outcome.uncertain.len(), 1);
    assert_eq!(outcome.broken, 1);
}

#[test]
fn tokens_are_read_back_from_the_message_that_carries_them() {
    for (bytes, compressible) in [(100, 0), (4096, 50), (100_000, 100)] {
        let mut template = Template::new("a@x.test", bytes, compressible, &mut Random::new(1));
        let mut seen = HashSet::new();
        for sequence in [0, 1, (1 << 40) - 1] {
            let token = Token { run: u32::MAX, sequence };
            let message = template.with_token(token);
            assert_eq!(Token::find_in(message), Some(token));
            assert!(message.ends_with(b"\r\n.\r\n"));
            assert!(bytes < 400 || message.len().abs_diff(bytes) < 8, "{}", message.len());
            let longest = message.split(|&byte| byte == b'\n').map(<[u8]>::len).max().unwrap();
            assert!(longest <= 79, "{longest}");
            assert!(seen.insert(message.to_vec()), "two messages are the same");
        }
    }
}

#[test]
fn percentiles_are_within_a_sixteenth() {
    let mut latency = Latency::default();
    for micros in 1..=10_000_u64 {
        latency.record(Duration::from_micros(micros));
    }
    for (share, micros) in [(0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
        let found = latency.percentile(share).as_micros() as f64;
        assert!((found / micros - 1.0).abs() < 0.07, "{share}: {found}");
    }
}
