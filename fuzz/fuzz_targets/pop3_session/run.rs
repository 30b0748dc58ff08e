//! Feeds a session with `data`, at once and octet by octet, and checks what must always hold:
//! it ends or waits, its replies are CRLF lines and the same either way, it holds little, and
//! nothing is removed but by a QUIT behind a DELE.

use std::time::Duration;

use mail_types::{AccountId, Flags, Machine, ModSeq, Step, Timestamp, TlsFacts, Uid};
use mailbox::{Row, Rows};
use pop3_machine::{Answer, Config, Question, Session, TlsOffer};

const BODY: &[u8] = b"Subject: fuzz\r\n\r\n.\r\n..a\r\n\n.\r\nend";
const STEPS_MAX: usize = 1_000_000;
/// A piece of a list or message, doubled for dots and CRs, and the replies to one input.
const OUTPUT_OCTETS_MAX: usize = 1024 * 1024;

/// Panics where the session misbehaves.
pub fn run(data: &[u8]) {
    let whole = replies(data, usize::MAX);
    let octets = replies(data, 1);
    let bare_lf = |at: usize| whole.0[at] == b'\n' && (at == 0 || whole.0[at - 1] != b'\r');
    assert!(!(0..whole.0.len()).any(bare_lf), "a bare LF");
    assert_eq!(whole, octets, "the cut of the input shows in the replies");
}

fn replies(data: &[u8], piece_octets: usize) -> (Vec<u8>, Option<Vec<(u32, u32)>>) {
    let now = Timestamp(0);
    let mut config = Config::new("h".to_owned(), TlsOffer::Stls, "nonce".to_owned());
    config.sign_in_without_tls = true;
    config.tokens = true;
    config.idle = Duration::from_secs(600);
    let mut session = Session::new(config, now);
    let (mut sent, mut removed) = (Vec::new(), None);
    // STLS forgets what is pipelined behind it, which depends on the cut: no TLS, no STLS.
    let data: Vec<u8> = data
        .to_ascii_uppercase()
        .windows(4)
        .any(|four| four == b"STLS")
        .then(Vec::new)
        .unwrap_or_else(|| data.to_vec());
    for piece in data.chunks(piece_octets.min(data.len().max(1))) {
        let mut left = piece;
        while !left.is_empty() {
            let taken = session.input(left, now);
            left = &left[taken..];
            if !turn(&mut session, &mut sent, &mut removed, now) {
                return (sent, removed);
            }
            assert!(taken > 0, "stuck");
        }
    }
    session.peer_closed(now);
    assert!(!turn(&mut session, &mut sent, &mut removed, now), "open without a peer");
    (sent, removed)
}

/// Steps until the session waits (`true`) or ends.
fn turn(
    session: &mut Session,
    sent: &mut Vec<u8>,
    removed: &mut Option<Vec<(u32, u32)>>,
    now: Timestamp,
) -> bool {
    for _ in 0..STEPS_MAX {
        let step = session.step(now);
        let output = session.output();
        assert!(output.len() <= OUTPUT_OCTETS_MAX, "{} octets held", output.len());
        sent.append(output);
        match step {
            Step::NeedInput => {
                assert!(sent.is_empty() || sent.ends_with(b"\r\n"), "half a line");
                return true;
            }
            Step::StartTls => session.tls_started(TlsFacts::default(), now),
            Step::StartCompression | Step::Close => return false,
            Step::Ask(question) => {
                let answer = answer(question, removed);
                session.answer(answer, now);
            }
        }
    }
    panic!("the session spins");
}

fn answer(question: Question, removed: &mut Option<Vec<(u32, u32)>>) -> Answer {
    let (account, name) = (AccountId(1), "a".to_owned());
    match question {
        Question::SignIn(sasl::Question::Password { .. }) => {
            Answer::SignIn(sasl::Answer::Accepted { account, name })
        }
        Question::SignIn(sasl::Question::Token { .. }) => {
            let error = r#"{"status":"invalid_token"}"#.to_owned();
            Answer::SignIn(sasl::Answer::TokenRefused { error })
        }
        Question::SignIn(sasl::Question::ScramKeys { .. } | sasl::Question::ScramProof { .. }) => {
            Answer::SignIn(sasl::Answer::Unavailable)
        }
        Question::Open { .. } => Answer::Open(Ok(rows())),
        Question::Read { from, octets_max, .. } => {
            let rest = &BODY[usize::try_from(from).unwrap_or(BODY.len())..];
            Answer::Read(Ok(rest[..rest.len().min(octets_max).min(7)].to_vec()))
        }
        Question::Continue => Answer::Continue,
        Question::Remove { uids } => {
            assert!(removed.is_none() && !uids.is_empty());
            *removed = Some(uids);
            Answer::Remove(Ok(()))
        }
    }
}

/// Three messages with gaps between their UIDs.
fn rows() -> Rows {
    let mut rows = Rows::new(1, 1, ModSeq(1));
    for uid in [2, 3, 7].into_iter().filter_map(Uid::new) {
        rows.put(&Row {
            uid,
            modseq: ModSeq(1),
            flags: Flags::default(),
            internal_date: Timestamp(0),
            saved: Timestamp(0),
            size: u32::try_from(BODY.len()).unwrap_or(0),
            mail: 1,
        });
    }
    rows
}
