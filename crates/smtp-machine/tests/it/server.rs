//! What dialogs cannot show: pieces of content, answers that do not fit, time, and stopping while a
//! question is open.

use mail_types::{Machine as _, Refusal, Step, Timestamp};
use smtp_machine::server::{Answer, BODY_OCTETS_MAX, Limits, Question, Role, Server, Tls};

use crate::dialog::config;
use crate::service::TestReceipt;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

/// A server that has the greeting, and these octets.
fn fed(octets: &str) -> Server<TestReceipt> {
    let mut server = Server::new(config());
    assert_eq!(server.step(NOW), Step::NeedInput);
    for line in octets.split_inclusive("\r\n") {
        assert_eq!(server.input(line.as_bytes(), NOW), line.len());
        if line.starts_with("EHLO") {
            assert_eq!(server.step(NOW), Step::NeedInput);
        }
    }
    server.output().clear();
    server
}

fn said(server: &mut Server<TestReceipt>) -> String {
    String::from_utf8(std::mem::take(server.output())).unwrap()
}

/// Steps to the next question.
fn asked(server: &mut Server<TestReceipt>) -> Question {
    match server.step(NOW) {
        Step::Ask(question) => question,
        other => panic!("{other:?} instead of a question"),
    }
}

/// Up to 354.
fn in_data() -> Server<TestReceipt> {
    let mut server =
        fed("EHLO a\r\nMAIL FROM:<c@d.example>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n");
    for _ in 0..3 {
        asked(&mut server);
        server.answer(Answer::Ok, NOW);
    }
    assert_eq!(server.step(NOW), Step::NeedInput);
    assert!(said(&mut server).ends_with("354 Go on; end with <CRLF>.<CRLF>\r\n"));
    server
}

#[test]
fn content_comes_in_large_pieces_and_input_is_bounded() {
    let mut server = in_data();
    let wire = format!("{}\r\n", "x".repeat(998)).repeat(200);
    let mut rest = wire.as_bytes();
    let piece = loop {
        match server.step(NOW) {
            Step::NeedInput => {
                let taken = server.input(rest, NOW);
                assert!(taken > 0);
                rest = &rest[taken..];
            }
            Step::Ask(Question::BodyBytes(bytes)) => break bytes,
            other => panic!("{other:?}"),
        }
    };
    assert!(piece.len() > BODY_OCTETS_MAX / 2 && piece.len() <= BODY_OCTETS_MAX);
    // While the service is busy, only so much is taken in.
    let taken: usize = (0..100).map(|_| server.input(&[b'x'; 10_000], NOW)).sum();
    assert!(taken <= 64 * 1024, "{taken}");
    assert_eq!(server.step(NOW), Step::NeedInput, "the question is still open");
}

#[test]
fn large_content_arrives_whole() {
    let mut server = in_data();
    let content: Vec<u8> = (0..9000).flat_map(|n| format!("line {n}\r\n").into_bytes()).collect();
    let wire = [content.as_slice(), b".\r\n"].concat();
    let mut rest = wire.as_slice();
    let mut got = Vec::new();
    loop {
        match server.step(NOW) {
            Step::NeedInput => {
                let taken = server.input(&rest[..rest.len().min(1500)], NOW);
                rest = &rest[taken..];
            }
            Step::Ask(Question::BodyBytes(bytes)) => {
                got.extend(bytes);
                server.answer(Answer::Ok, NOW);
            }
            Step::Ask(Question::BodyEnd) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(got == content);
}

#[test]
fn no_250_without_a_receipt() {
    for answer in [Answer::Ok, Answer::SignIn(sasl::Answer::Refused)] {
        let mut server = in_data();
        server.input(b".\r\n", NOW);
        assert_eq!(asked(&mut server), Question::BodyEnd);
        server.answer(answer, NOW);
        assert!(said(&mut server).starts_with("451 4.3.0 "));
    }
    let mut server = in_data();
    server.input(b".\r\n", NOW);
    assert_eq!(asked(&mut server), Question::BodyEnd);
    server.answer(Answer::Accepted(TestReceipt(5)), NOW);
    assert_eq!(said(&mut server), "250 2.0.0 r5-5eed0005 kept\r\n");
}

#[test]
fn answers_that_do_not_fit_are_our_trouble() {
    let commands = "EHLO a\r\nMAIL FROM:<c@d.example>\r\n";
    let mut server = fed(commands);
    asked(&mut server);
    server.answer(Answer::Accepted(TestReceipt(1)), NOW);
    assert!(said(&mut server).starts_with("451 4.3.0 "));

    let mut server = fed(&format!("{commands}RCPT TO:<ann@example.org>\r\n"));
    asked(&mut server);
    server.answer(Answer::Ok, NOW);
    asked(&mut server);
    server.output().clear();
    server.answer(Answer::SignIn(sasl::Answer::Refused), NOW);
    assert!(said(&mut server).starts_with("451 4.3.0 "));

    // An acceptance in the middle of the content is none: the message is aborted.
    let mut server = in_data();
    server.input(b"text\r\n.\r\n", NOW);
    assert!(matches!(asked(&mut server), Question::BodyBytes(_)));
    server.answer(Answer::Accepted(TestReceipt(1)), NOW);
    assert_eq!(asked(&mut server), Question::BodyAborted);
    server.answer(Answer::Ok, NOW);
    assert_eq!(server.step(NOW), Step::NeedInput);
    assert!(said(&mut server).starts_with("451 4.3.0 "));
}

#[test]
fn password_questions_need_password_answers() {
    let mut config = config();
    (config.role, config.tls) = (Role::Submission, Tls::Implicit);
    let mut server = Server::<TestReceipt>::new(config);
    assert_eq!(server.step(NOW), Step::NeedInput);
    server.input(b"EHLO a\r\n", NOW);
    assert_eq!(server.step(NOW), Step::NeedInput);
    server.input(b"AUTH PLAIN AGFubgBzZWNyZXQ=\r\n", NOW);
    assert!(matches!(asked(&mut server), Question::SignIn(_)));
    server.output().clear();
    server.answer(Answer::Ok, NOW);
    assert!(said(&mut server).starts_with("454 4.7.0 "));
    server.input(b"MAIL FROM:<a@b.example>\r\n", NOW);
    assert_eq!(server.step(NOW), Step::NeedInput);
    assert!(said(&mut server).starts_with("530 5.7.0 "));
}

#[test]
fn a_complete_message_is_finished_when_stopping() {
    let mut server = in_data();
    server.input(b"text\r\n.\r\n", NOW);
    server.shut_down(NOW);
    assert!(matches!(asked(&mut server), Question::BodyBytes(_)));
    server.answer(Answer::Ok, NOW);
    assert_eq!(asked(&mut server), Question::BodyEnd);
    server.answer(Answer::Accepted(TestReceipt(1)), NOW);
    assert_eq!(server.step(NOW), Step::Close);
    let said = said(&mut server);
    assert!(said.starts_with("250 2.0.0 r1-"), "{said}");
    assert!(said.contains("\r\n421 4.3.2 "), "{said}");
}

#[test]
fn a_complete_message_is_kept_though_the_peer_is_gone() {
    let mut server = in_data();
    server.input(b"text\r\n.\r\nQUIT\r\n", NOW);
    server.peer_closed(NOW);
    let mut ended = false;
    loop {
        match server.step(NOW) {
            Step::Ask(Question::BodyEnd) => {
                ended = true;
                server.answer(Answer::Accepted(TestReceipt(1)), NOW);
            }
            Step::Ask(_) => server.answer(Answer::Ok, NOW),
            Step::StartCompression | Step::Close => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(ended);
    assert!(said(&mut server).contains("250 2.0.0 r1-"));
}

#[test]
fn the_peers_time_does_not_run_while_a_question_is_open() {
    let mut server = fed("EHLO a\r\nMAIL FROM:<c@d.example>\r\n");
    asked(&mut server);
    assert_eq!(server.deadline(), None);
    let later = Timestamp::from_secs(NOW.secs() + 100_000);
    server.deadline_passed(later);
    server.answer(Answer::Ok, later);
    assert_eq!(server.step(later), Step::NeedInput);
    assert!(said(&mut server).starts_with("250 2.1.0 "));
    assert_eq!(server.deadline(), Some(later.after(Limits::default().command_wait)));
}

#[test]
fn who_begins_anew_is_no_sender_any_more() {
    for command in ["RSET\r\n", "EHLO again\r\n", "STARTTLS\r\n"] {
        let mut server = fed("EHLO a\r\nMAIL FROM:<c@d.example>\r\n");
        assert!(matches!(asked(&mut server), Question::Sender(_)));
        server.answer(Answer::Ok, NOW);
        assert_eq!(server.step(NOW), Step::NeedInput);
        server.input(command.as_bytes(), NOW);
        assert_eq!(asked(&mut server), Question::Reset, "{command}");
        server.answer(Answer::Ok, NOW);
        // Once is enough.
        server.input(b"RSET\r\n", NOW);
        assert!(!matches!(server.step(NOW), Step::Ask(_)), "{command}");
    }
}

#[test]
fn a_message_has_a_time_as_a_whole() {
    let mut server = in_data();
    let mut now = NOW;
    let end = NOW.after(Limits::default().message_wait);
    // An octet every minute.
    while now < end {
        assert!(server.deadline().unwrap() > now);
        now = now.after(std::time::Duration::from_secs(60));
        server.deadline_passed(now);
        server.input(b"x", now);
        match server.step(now) {
            Step::NeedInput => {}
            Step::Ask(Question::BodyAborted) => {
                assert_eq!(now, end);
                assert!(said(&mut server).starts_with("421 4.4.2 "));
                return;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("an hour, and no end");
}

#[test]
fn refused_content_is_dropped_within_bounds() {
    let mut server = in_data();
    let piece = "x".repeat(60_000);
    let mut asked_pieces = 0;
    for _ in 0..100 {
        let mut rest = piece.as_bytes();
        while !rest.is_empty() {
            match server.step(NOW) {
                Step::NeedInput => {
                    let taken = server.input(rest, NOW);
                    rest = &rest[taken..];
                }
                Step::Ask(Question::BodyBytes(_)) => {
                    asked_pieces += 1;
                    let refusal = Refusal::transient(452, 3, 1, "Disk full");
                    server.answer(Answer::Refused(refusal), NOW);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    server.input(b"\r\n.\r\n", NOW);
    assert_eq!(server.step(NOW), Step::NeedInput);
    assert_eq!((asked_pieces, said(&mut server).as_str()), (1, "452 4.3.1 Disk full\r\n"));
}
