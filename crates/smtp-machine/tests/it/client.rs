//! What client dialogs cannot show: what happens while a question is open, and answers that do not
//! fit.

use mail_types::{Address, Machine as _, ReversePath, Step, Timestamp};
use smtp_machine::client::{
    Answer, Client, Loss, Message, Outcome, Question, Report, Setback, Stage, Tls,
};
use smtp_machine::{MailParams, Recipient};

use crate::client_dialog::config;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn asked(client: &mut Client) -> Question {
    match client.step(NOW) {
        Step::Ask(question) => question,
        other => panic!("{other:?} instead of a question"),
    }
}

fn fed(client: &mut Client, octets: &str) {
    assert_eq!(client.input(octets.as_bytes(), NOW), octets.len());
}

fn ready() -> Client {
    let mut client = Client::new(config(Tls::Never));
    assert_eq!(client.step(NOW), Step::NeedInput);
    fed(&mut client, "220 mx\r\n");
    assert_eq!(client.step(NOW), Step::NeedInput);
    fed(&mut client, "250-mx\r\n250 PIPELINING\r\n");
    assert!(matches!(asked(&mut client), Question::Next(_)));
    client
}

fn message() -> Answer {
    Answer::Send(Box::new(Message {
        reverse_path: ReversePath::Null,
        params: MailParams::default(),
        recipients: vec![Recipient::new(Address::parse("ann@example.org").unwrap())],
    }))
}

/// Up to the open question about the final dot.
fn dot_due() -> Client {
    let mut client = ready();
    client.answer(message(), NOW);
    assert_eq!(client.step(NOW), Step::NeedInput);
    fed(&mut client, "250 ok\r\n250 ok\r\n354 go\r\n");
    assert_eq!(asked(&mut client), Question::Body);
    client.answer(Answer::Bytes(b"text\r\n".to_vec()), NOW);
    assert_eq!(asked(&mut client), Question::Body);
    client.answer(Answer::End, NOW);
    assert_eq!(asked(&mut client), Question::FinalDot { taken: vec![0] });
    client.output().clear();
    client
}

fn done(client: &mut Client) -> Outcome {
    match asked(client) {
        Question::Done(Report { mut outcomes, .. }) => outcomes.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_uncertain_when_the_peer_goes_before_the_dot() {
    let mut client = dot_due();
    client.peer_closed(NOW);
    client.answer(Answer::Go, NOW);
    assert_eq!(done(&mut client), Outcome::Lost { stage: Stage::Data, loss: Loss::Closed });
    assert!(client.output().is_empty());
    client.answer(Answer::Noted, NOW);
    assert_eq!(client.step(NOW), Step::Close);
}

#[test]
fn no_dot_without_go() {
    for answer in [Answer::Unreadable, Answer::Noted, Answer::End, Answer::Quit] {
        let mut client = dot_due();
        client.answer(answer, NOW);
        assert_eq!(done(&mut client), Outcome::Unreadable);
        assert!(client.output().is_empty());
        client.answer(Answer::Noted, NOW);
        assert_eq!(client.step(NOW), Step::Close);
    }
}

#[test]
fn a_reply_and_a_close_in_one_go_is_a_reply() {
    let mut client = dot_due();
    client.answer(Answer::Go, NOW);
    assert_eq!(client.output().as_slice(), b".\r\n");
    assert_eq!(client.step(NOW), Step::NeedInput);
    fed(&mut client, "250 2.0.0 yours\r\n");
    client.peer_closed(NOW);
    match done(&mut client) {
        Outcome::Taken(reply) => assert_eq!(reply.to_string(), "250 2.0.0 yours"),
        other => panic!("{other:?}"),
    }
    client.answer(Answer::Noted, NOW);
    assert_eq!(client.step(NOW), Step::Close);
}

#[test]
fn an_idle_connection_that_was_closed_loses_the_next_message_at_mail() {
    let mut client = ready();
    client.peer_closed(NOW);
    client.answer(message(), NOW);
    assert_eq!(done(&mut client), Outcome::Lost { stage: Stage::Mail, loss: Loss::Closed });
}

#[test]
fn half_a_reply_is_none() {
    let mut client = dot_due();
    client.answer(Answer::Go, NOW);
    assert_eq!(client.step(NOW), Step::NeedInput);
    fed(&mut client, "250-2.0.0 yours\r\n250 2.0");
    client.peer_closed(NOW);
    assert_eq!(done(&mut client), Outcome::Uncertain(Loss::Closed));
}

#[test]
fn implicit_tls_is_greeted_at_once() {
    let mut client = Client::new(config(Tls::Implicit));
    client
        .tls_started(mail_types::TlsFacts { version: "TLSv1.3".into(), ..Default::default() }, NOW);
    assert_eq!(client.step(NOW), Step::NeedInput);
    assert!(client.output().is_empty());
    fed(&mut client, "220 mx.example.com hello\r\n");
    assert_eq!(client.step(NOW), Step::NeedInput);
    fed(&mut client, "250-mx\r\n250 STARTTLS\r\n");
    match asked(&mut client) {
        Question::Next(peer) => {
            assert_eq!(peer.tls.as_ref().unwrap().version, "TLSv1.3");
            assert_eq!(peer.name, "mx.example.com");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_handshake_has_a_time() {
    let mut client = Client::new(config(Tls::Required));
    assert_eq!(client.step(NOW), Step::NeedInput);
    fed(&mut client, "220 mx\r\n");
    assert_eq!(client.step(NOW), Step::NeedInput);
    fed(&mut client, "250-mx\r\n250 STARTTLS\r\n");
    assert_eq!(client.step(NOW), Step::NeedInput);
    fed(&mut client, "220 go\r\n");
    assert_eq!(client.step(NOW), Step::StartTls);
    assert_eq!(client.step(NOW), Step::NeedInput);
    let later = client.deadline().unwrap();
    client.deadline_passed(later);
    let setback = Setback::Lost { stage: Stage::StartTls, loss: Loss::Timeout };
    assert_eq!(asked(&mut client), Question::NoSession(setback));
}
