//! SCRAM through a whole session, and OK to APPEND from nothing but the proof.

use std::num::NonZeroU32;

use imap_machine::grammar::UidSet;
use imap_machine::{Answer, Appended, Config, Event, Question, Session};
use mail_types::{Machine, Step, UidValidity};
use sasl::{base64_decode, base64_encode};

use crate::client::{Client, START, config};
use crate::service::{Proof, Service};

fn challenge(answer: &str) -> String {
    let line = answer.lines().last().unwrap().strip_prefix("+ ").unwrap();
    String::from_utf8(base64_decode(line.as_bytes()).unwrap()).unwrap()
}

#[test]
fn scram_asks_for_keys_and_refuses_a_wrong_proof() {
    let mut service = Service::new();
    let mut client = Client::new(config());
    let first = base64_encode(b"n,,n=ann@example.org,r=clientnonce");
    let answer = client.say(&mut service, &format!("1 AUTHENTICATE SCRAM-SHA-256 {first}"));
    let server_first = challenge(&answer);
    assert!(server_first.starts_with("r=clientnonceservernonce1,s="), "{server_first}");
    let nonce = server_first.split(',').next().unwrap();
    let proof = base64_encode(&[0; 32]);
    let last = base64_encode(format!("c=biws,{nonce},p={proof}").as_bytes());
    let answer = client.say(&mut service, &last);
    assert_eq!(answer, "1 NO [AUTHENTICATIONFAILED] Wrong name or password\r\n");
    // The next exchange has another nonce.
    let answer = client.say(&mut service, &format!("2 AUTHENTICATE SCRAM-SHA-256 {first}"));
    assert!(challenge(&answer).starts_with("r=clientnonceservernonce2,s="));
    assert!(client.session.signed_in().is_none());
}

/// Whatever a service answers instead of the proof, the client is not told OK: neither to the end
/// of the message nor to what became of it.
#[test]
fn append_is_ok_only_with_the_proof() {
    let uid_validity = UidValidity(NonZeroU32::MIN);
    let without = |receipts| Appended { receipts, uid_validity, uids: UidSet::range(1, 2) };
    let answers: [Answer<Proof>; 7] = [
        Answer::Done,
        Answer::Gone,
        Answer::Matches(vec![1]),
        Answer::No(imap_machine::Refusal { code: None, text: "no\r\n1 OK".to_owned() }),
        Answer::Appended(Vec::new()),
        Answer::Appended(vec![Ok(without(Vec::new()))]),
        Answer::Appended(vec![Ok(without(vec![Proof(1)]))]),
    ];
    for wrong in answers {
        for at_end in [true, false] {
            if at_end && wrong == Answer::Done {
                continue;
            }
            let mut service = Service::new();
            let client = Client::signed_in(config(), &mut service);
            let mut session: Session<Proof> = client.session;
            assert_eq!(session.input(b"1 APPEND INBOX {3+}\r\nabc\r\n", START), 26);
            let mut wrong = Some(wrong.clone());
            let mut told = false;
            loop {
                match session.step(START) {
                    Step::Ask(Question::AppendEnd) if at_end => {
                        session.answer(wrong.take().unwrap(), START);
                    }
                    Step::Ask(Question::AppendSettle) => {
                        session.answer(wrong.take().unwrap(), START);
                    }
                    Step::Ask(_) => session.answer(Answer::Done, START),
                    Step::NeedInput if told => break,
                    Step::NeedInput => {
                        told = true;
                        session.event(Event::Appended, START);
                    }
                    Step::StartTls | Step::StartCompression | Step::Close => panic!(),
                }
            }
            assert!(wrong.is_none());
            let sent = String::from_utf8_lossy(session.output()).into_owned();
            assert!(sent.starts_with("1 NO "), "{sent}");
            assert_eq!(sent.lines().count(), 1);
        }
    }
}

/// RFC 7628 §4.1 and §4.3, with their very octets.
#[test]
fn tokens_are_taken_where_somebody_knows_them() {
    let good = "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9Qm\
                VhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
    let empty =
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9AQE=";
    let mut service = Service::new();
    let mut client = Client::new(config());
    let answer = client.say(&mut service, &format!("0 AUTHENTICATE OAUTHBEARER {good}"));
    assert!(answer.ends_with("0 NO [CANNOT] There is no such mechanism here\r\n"), "{answer}");

    let mut client = Client::new(Config { tokens: true, ..config() });
    let answer = client.say(&mut service, "1 CAPABILITY");
    assert!(answer.contains(" AUTH=OAUTHBEARER AUTH=XOAUTH2 "), "{answer}");
    let answer = client.say(&mut service, &format!("2 AUTHENTICATE OAUTHBEARER {empty}"));
    assert_eq!(
        answer,
        "+ eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYXRp\
         b24iOiJodHRwczovL2V4YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0=\r\n"
    );
    let answer = client.say(&mut service, "AQ==");
    assert_eq!(answer, "2 NO [AUTHENTICATIONFAILED] Wrong name or password\r\n");
    service.unavailable = true;
    let answer = client.say(&mut service, &format!("3 AUTHENTICATE OAUTHBEARER {good}"));
    assert!(answer.starts_with("3 NO [UNAVAILABLE] "), "{answer}");
    service.unavailable = false;
    let answer = client.say(&mut service, &format!("4 AUTHENTICATE OAUTHBEARER {good}"));
    assert!(answer.starts_with("4 OK "), "{answer}");
}
