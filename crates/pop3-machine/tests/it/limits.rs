use std::time::Duration;

use mail_types::{Machine, Step};
use pop3_machine::{Answer, TlsOffer};

use crate::service::{Maildrop, Run, RunState, START};

fn run(maildrop: Maildrop) -> Run {
    Run::new(TlsOffer::Stls, true, maildrop)
}

fn signed_in(maildrop: Maildrop) -> Run {
    let mut run = run(maildrop);
    run.feed(b"USER ann@example.org\r\nPASS secret pass\r\n");
    run.output.clear();
    run
}

fn message(body: &[u8]) -> Maildrop {
    Maildrop { messages: vec![(1, body.to_vec())], ..Maildrop::default() }
}

/// RFC 2449 §4: 255 octets with CRLF; one more is refused, and the next line is read as usual.
#[test]
fn a_command_line_has_255_octets() {
    let mut fits = run(Maildrop::default());
    fits.feed(format!("USER {}\r\n", "x".repeat(248)).as_bytes());
    assert!(fits.text().ends_with("+OK send PASS\r\n"), "{}", fits.text());
    for octets in [249, 250, 251, 300, 20_000] {
        let mut long = run(Maildrop::default());
        long.feed(format!("USER {}\r\nQUIT\r\n", "x".repeat(octets)).as_bytes());
        let expected = "-ERR line too long (255 octets, RFC 2449)\r\n+OK bye\r\n";
        assert!(long.text().ends_with(expected), "{octets}: {}", long.text());
        assert_eq!(long.text().lines().count(), 3);
    }
}

#[test]
fn a_response_may_be_longer_than_a_command() {
    let mut run = run(Maildrop::default());
    run.feed(format!("AUTH PLAIN\r\n{}\r\n", "A".repeat(4000)).as_bytes());
    assert!(run.text().ends_with("-ERR malformed response\r\n"), "{}", run.text());
    run.feed(format!("AUTH PLAIN\r\n{}\r\n", "A".repeat(9000)).as_bytes());
    assert!(run.text().ends_with("-ERR the response is too long\r\n"), "{}", run.text());
    run.feed(b"QUIT\r\n");
    assert!(run.text().ends_with("+OK bye\r\n"));
}

#[test]
fn too_many_bad_commands_end_the_session() {
    let mut run = run(Maildrop::default());
    run.feed("nonsense\r\n".repeat(100).as_bytes());
    assert_eq!(run.state, RunState::Closed);
    assert_eq!(run.text().lines().count(), 21);
    let mut run = signed_in(Maildrop::default());
    run.feed("nonsense\r\n".repeat(100).as_bytes());
    assert_eq!(run.state, RunState::Closed);
}

/// RFC 2595 §4: bytes behind STLS in the clear are not run after the handshake.
#[test]
fn commands_injected_behind_stls_are_forgotten() {
    let mut run = run(Maildrop::default());
    run.feed(b"STLS\r\nUSER ann@example.org\r\nUSER inj");
    run.tls();
    run.feed(b"PASS secret pass\r\n");
    assert!(run.text().ends_with("+OK begin TLS\r\n-ERR USER comes before PASS\r\n"));
}

#[test]
fn a_lost_connection_removes_nothing() {
    let mut run = signed_in(message(b"A: 1\r\n\r\nx\r\n"));
    run.feed(b"DELE 1\r\nQUI");
    run.session.peer_closed(START);
    run.turn();
    assert_eq!(run.state, RunState::Closed);
    assert_eq!(run.maildrop.removed, None);
}

/// The QUIT came whole, so its removal is done although nobody hears of it.
#[test]
fn a_quit_before_the_loss_counts() {
    let mut run = signed_in(message(b"A: 1\r\n\r\nx\r\n"));
    run.feed(b"DELE 1\r\n");
    run.session.input(b"QUIT\r\n", START);
    let Step::Ask(question) = run.session.step(START) else { panic!("no question") };
    run.session.peer_closed(START);
    let answer = run.maildrop.answer(question);
    assert_eq!(answer, Answer::Remove(Ok(())));
    run.session.answer(answer, START);
    run.turn();
    assert_eq!(run.state, RunState::Closed);
    assert_eq!(run.maildrop.removed, Some(vec![0]));
}

/// RFC 1939 §3: closes after ten idle minutes, without a reply and without UPDATE.
#[test]
fn autologout_after_ten_minutes_removes_nothing() {
    let mut run = signed_in(message(b"A: 1\r\n\r\nx\r\n"));
    assert_eq!(run.session.deadline(), Some(START.after(Duration::from_secs(600))));
    run.now = START.after(Duration::from_secs(599));
    run.feed(b"DELE 1\r\n");
    let deadline = run.now.after(Duration::from_secs(600));
    assert_eq!(run.session.deadline(), Some(deadline));
    run.output.clear();
    run.session.deadline_passed(START.after(Duration::from_secs(601)));
    run.turn();
    assert_eq!(run.state, RunState::Open, "too early");
    run.session.deadline_passed(deadline);
    run.turn();
    assert_eq!(run.state, RunState::Closed);
    assert_eq!((run.text().as_str(), &run.maildrop.removed), ("", &None));
}

#[test]
fn a_stop_ends_between_commands_and_removes_nothing() {
    let mut run = signed_in(message(b"A: 1\r\n\r\nx\r\n"));
    run.session.input(b"RETR 1\r\nDELE 1\r\n", START);
    run.session.shut_down(START);
    run.turn();
    assert_eq!(run.state, RunState::Closed);
    assert!(run.text().contains("A: 1\r\n\r\nx\r\n.\r\n"), "{}", run.text());
    assert_eq!(run.maildrop.removed, None);
}

#[test]
fn a_large_message_and_a_long_list_are_held_in_parts() {
    let line = b".x\r\n".repeat(1_000_000);
    let mut run = signed_in(message(&line));
    run.feed(b"RETR 1\r\n");
    assert_eq!(run.output.len(), "+OK 4000000 octets\r\n".len() + 5_000_000 + 3);
    assert!(run.output_most <= 160 * 1024, "{} octets were held", run.output_most);

    let messages = (1..20_001).map(|uid| (uid, b"A: 1\r\n\r\n".to_vec())).collect();
    let mut run = signed_in(Maildrop { messages, ..Maildrop::default() });
    run.feed(b"UIDL\r\n");
    assert_eq!(run.text().lines().count(), 20_002);
    assert!(run.text().ends_with("20000 7.20000\r\n.\r\n"));
    assert!(run.output_most <= 64 * 1024, "{} octets were held", run.output_most);
}

#[test]
fn top_reads_little() {
    let mut body = b"A: 1\r\n\r\n".to_vec();
    body.extend(b"line\r\n".repeat(1_000_000));
    let mut run = signed_in(message(&body));
    run.feed(b"TOP 1 10\r\n");
    assert_eq!(run.text().lines().count(), 1 + 2 + 10 + 1);
    assert_eq!(run.maildrop.reads, [16 * 1024]);
}

#[test]
fn an_answer_that_fits_no_question_ends_the_session() {
    let mut run = run(Maildrop::default());
    run.session.input(b"USER a\r\nPASS b\r\n", START);
    let Step::Ask(_) = run.session.step(START) else { panic!("no question") };
    run.session.answer(Answer::Remove(Ok(())), START);
    assert_eq!(run.session.step(START), Step::Close);
}

/// RFC 5802 §5 and RFC 7677 §3, the client's side done by hand with the keys of the password.
#[test]
fn scram_goes_through_its_four_messages() {
    let mut run = run(Maildrop::default());
    let first = sasl::base64_encode(b"n,,n=ann@example.org,r=rOprNGfwEbeRWgbNEkqO");
    run.feed(format!("AUTH SCRAM-SHA-256 {first}\r\n").as_bytes());
    let reply = run.text().lines().last().unwrap().to_owned();
    let server_first = sasl::base64_decode(reply.strip_prefix("+ ").unwrap().as_bytes()).unwrap();
    let server_first = String::from_utf8(server_first).unwrap();
    assert!(server_first.starts_with("r=rOprNGfwEbeRWgbNEkqO3rfcNHYJY1ZVvWVs7j1,s="));
    // A wrong proof.
    let nonce = server_first.split(',').next().unwrap();
    let proof = sasl::base64_encode(&[0; 32]);
    let last = sasl::base64_encode(format!("c=biws,{nonce},p={proof}").as_bytes());
    run.feed(format!("{last}\r\n").as_bytes());
    assert!(run.text().ends_with("-ERR [AUTH] wrong name or password\r\n"), "{}", run.text());
}

/// Before the sign-in, words do not prolong the minute.
#[test]
fn a_stranger_is_not_waited_for() {
    let mut run = run(message(b"A: 1\r\n\r\nx\r\n"));
    let deadline = START.after(Duration::from_secs(60));
    run.now = START.after(Duration::from_secs(59));
    run.feed(b"CAPA\r\nUSER ann@example.org\r\nAUTH PLAIN\r\n");
    assert_eq!(run.session.deadline(), Some(deadline));
    run.session.deadline_passed(deadline);
    run.turn();
    assert_eq!(run.state, RunState::Closed);
}
