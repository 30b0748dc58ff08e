//! Our client against our server: what goes in comes out, whatever it is.

use mail_types::{Address, Machine as _, ReversePath, Step, Timestamp, TlsFacts};
use proptest::prelude::*;
use smtp_machine::client::{Client, Message, Outcome, Tls};
use smtp_machine::server::{self, Server};
use smtp_machine::{BodyType, MailParams, Recipient};

use crate::client_dialog::{self, Sending};
use crate::dialog;
use crate::service::{Service, TestReceipt};

/// Both machines, with octets carried between them in pieces of one size.
struct Pair {
    server: Server<TestReceipt>,
    client: Client,
    service: Service,
    sending: Sending,
    piece: usize,
}

impl Pair {
    fn new(tls: Tls, piece: usize) -> Self {
        let limits = server::Limits { message_octets_max: 1 << 30, ..server::Limits::default() };
        Self {
            server: Server::new(server::Config { limits, ..dialog::config() }),
            client: Client::new(client_dialog::config(tls)),
            service: Service { easy: true, ..Service::default() },
            sending: Sending { piece, ..Sending::default() },
            piece,
        }
    }

    /// Runs until the client closes.
    fn run(&mut self) {
        let now = Timestamp::from_secs(1);
        for _ in 0..1_000_000 {
            let mut client_tls = false;
            let idle = loop {
                match self.server.step(now) {
                    Step::Ask(question) => self.server.answer(self.service.answer(question), now),
                    // It has said 220; the client steps to its handshake once it has read that.
                    Step::StartTls => {}
                    Step::NeedInput | Step::StartCompression | Step::Close => {
                        break self.server.output().is_empty();
                    }
                }
            };
            carry(&mut self.server, &mut self.client, self.piece, now);
            match self.client.step(now) {
                Step::Ask(question) => self.client.answer(self.sending.answer(question), now),
                Step::StartTls => client_tls = true,
                Step::NeedInput => assert!(!idle || !self.client.output().is_empty(), "stuck"),
                Step::StartCompression | Step::Close => return,
            }
            carry(&mut self.client, &mut self.server, self.piece, now);
            if client_tls {
                let tls = TlsFacts { version: "TLSv1.3".into(), ..TlsFacts::default() };
                self.client.tls_started(tls.clone(), now);
                self.server.tls_started(tls, now);
            }
        }
        panic!("no end");
    }
}

/// Moves octets from one machine to the other, as many as it takes.
fn carry<A: mail_types::Machine, B: mail_types::Machine>(
    from: &mut A,
    to: &mut B,
    piece: usize,
    now: Timestamp,
) {
    let out = from.output();
    let piece = piece.min(out.len());
    let taken = to.input(&out[..piece], now);
    out.drain(..taken);
}

fn message(recipients: &[&str], content: &[u8]) -> (Message, Vec<u8>) {
    let message = Message {
        reverse_path: ReversePath::Address(Address::parse("carl@example.com").unwrap()),
        params: MailParams {
            size: Some(content.len() as u64),
            body: BodyType::EightBitMime,
            ..MailParams::default()
        },
        recipients: recipients
            .iter()
            .map(|to| Recipient::new(Address::parse(to).unwrap()))
            .collect(),
    };
    (message, content.to_vec())
}

#[test]
fn several_messages_on_one_connection() {
    let big: Vec<u8> = (0..40_000).flat_map(|n| format!(".line {n}\r\n").into_bytes()).collect();
    let mut pair = Pair::new(Tls::Opportunistic, 16 * 1024);
    for content in [b"one\r\n".as_slice(), b"", &big, b".\r\n..\r\n"] {
        pair.sending.messages.push_back(message(&["ann@example.org", "bob@example.org"], content));
    }
    pair.run();
    let kept: Vec<_> = pair.service.kept.iter().map(|(_, content)| content.as_slice()).collect();
    assert_eq!(kept, [b"one\r\n".as_slice(), b"", &big, b".\r\n..\r\n"]);
    assert_eq!(pair.service.kept[0].0.recipients.len(), 2);
    assert_eq!(pair.service.kept[0].0.protocol, "ESMTPS");
    assert_eq!(pair.sending.outcomes.len(), 8);
    assert!(pair.sending.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Taken(_))));
}

#[test]
fn every_recipient_has_its_own_outcome() {
    let mut pair = Pair::new(Tls::Never, 100);
    pair.service.easy = false;
    let to = ["nobody@example.org", "ann@example.org", "busy@example.org", "x@elsewhere.example"];
    pair.sending.messages.push_back(message(&to, b"text\r\n"));
    pair.run();
    let codes: Vec<_> = pair
        .sending
        .outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Taken(reply) | Outcome::Refused { reply, .. } => reply.code,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, [550, 250, 451, 550]);
    assert_eq!(pair.service.kept[0].0.recipients.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_lines_arrive_as_they_were(
        lines in proptest::collection::vec("[.a-zä ]{0,20}", 0..30),
        piece in 1..200_usize,
    ) {
        let content: String = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
        let mut pair = Pair::new(Tls::Never, piece);
        pair.sending.messages.push_back(message(&["ann@example.org"], content.as_bytes()));
        pair.sending.messages.push_back(message(&["bob@example.org"], b"second\r\n"));
        pair.run();
        prop_assert_eq!(pair.service.kept.len(), 2);
        prop_assert_eq!(&pair.service.kept[0].1, content.as_bytes());
        prop_assert_eq!(&pair.service.kept[1].1, b"second\r\n");
    }
}
