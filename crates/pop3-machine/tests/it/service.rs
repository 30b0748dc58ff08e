//! A maildrop in memory, and what runs a session on it.

use mail_types::{AccountId, Flags, Machine, ModSeq, Step, Timestamp, TlsFacts, Uid};
use mailbox::{Row, Rows};
use pop3_machine::{Answer, Config, Question, Session, TlsOffer, Trouble, TroubleCode};

/// Steps that one piece of input may take; beyond, the machine spins.
const STEPS_MAX: usize = 2_000_000;

pub const START: Timestamp = Timestamp(1_800_000_000_000);

/// Of all maildrops here.
const UID_VALIDITY: u32 = 7;

/// `ann@example.org` with the password `secret pass`, and her messages by UID.
#[derive(Clone, Default)]
pub struct Maildrop {
    pub messages: Vec<(u32, Vec<u8>)>,
    /// Octets of a part, at most; 0 for as many as asked for.
    pub part_octets: usize,
    pub sign_in_down: bool,
    pub tokens: bool,
    pub open_fails: Option<TroubleCode>,
    /// Octet from which on reading fails.
    pub read_fails_from: Option<u64>,
    pub remove_fails: bool,
    /// Places of what was committed.
    pub removed: Option<Vec<usize>>,
    pub reads: Vec<usize>,
}

impl Maildrop {
    pub fn answer(&mut self, question: Question) -> Answer {
        let trouble = |code| Trouble { code, text: "the store\r\nis down".to_owned() };
        match question {
            Question::SignIn(question) => Answer::SignIn(self.sign_in(question)),
            Question::Open { account, name } => {
                assert_eq!((account, name.as_str()), (AccountId(7), "ann@example.org"));
                Answer::Open(match self.open_fails {
                    Some(code) => Err(trouble(code)),
                    None => Ok(self.rows()),
                })
            }
            Question::Read { message, from, octets_max } => {
                assert!(octets_max > 0 && octets_max <= 64 * 1024);
                self.reads.push(octets_max);
                if self.read_fails_from.is_some_and(|octet| from >= octet) {
                    return Answer::Read(Err(trouble(TroubleCode::Temporary)));
                }
                let rest = &self.messages[message].1[usize::try_from(from).unwrap()..];
                let most = if self.part_octets == 0 { octets_max } else { self.part_octets };
                Answer::Read(Ok(rest[..rest.len().min(octets_max).min(most)].to_vec()))
            }
            Question::Continue => Answer::Continue,
            Question::Remove { uids } => {
                assert!(!uids.is_empty() && self.removed.is_none());
                assert!(uids.is_sorted() && uids.iter().all(|(first, last)| first <= last));
                let is_named = |uid: u32| uids.iter().any(|&(a, b)| (a..=b).contains(&uid));
                let messages = self.messages.iter().enumerate();
                let named = messages.filter(|(_, (uid, _))| is_named(*uid));
                let named = named.map(|(place, _)| place).collect();
                if self.remove_fails {
                    return Answer::Remove(Err(trouble(TroubleCode::Temporary)));
                }
                self.removed = Some(named);
                Answer::Remove(Ok(()))
            }
        }
    }

    fn rows(&self) -> Rows {
        let mut rows = Rows::new(UID_VALIDITY, 1, ModSeq(1));
        for (uid, body) in &self.messages {
            rows.put(&Row {
                uid: Uid::new(*uid).unwrap(),
                modseq: ModSeq(1),
                flags: Flags::default(),
                internal_date: START,
                saved: START,
                size: u32::try_from(body.len()).unwrap(),
                mail: u64::from(*uid) + 100,
            });
        }
        rows
    }

    fn sign_in(&self, question: sasl::Question) -> sasl::Answer {
        let (account, name) = (AccountId(7), "ann@example.org".to_owned());
        match question {
            _ if self.sign_in_down => sasl::Answer::Unavailable,
            sasl::Question::Password { authcid, authzid: None, password }
                if authcid == name && password.expose() == "secret pass" =>
            {
                sasl::Answer::Accepted { account, name }
            }
            sasl::Question::Password { .. } => sasl::Answer::Refused,
            sasl::Question::Token { token, .. } => match token.expose() {
                "good" => sasl::Answer::Accepted { account, name },
                _ => {
                    sasl::Answer::TokenRefused { error: r#"{"status":"invalid_token"}"#.to_owned() }
                }
            },
            sasl::Question::ScramProof { right: true, .. } => {
                sasl::Answer::Accepted { account, name }
            }
            sasl::Question::ScramProof { .. } => sasl::Answer::Refused,
            sasl::Question::ScramKeys { .. } => {
                let keys = sasl::ScramKeys::derive("secret pass", b"salt", 4096);
                sasl::Answer::Keys { account, name, keys }
            }
        }
    }
}

/// A session, its service, and what it sent.
pub struct Run {
    pub session: Session,
    pub maildrop: Maildrop,
    pub output: Vec<u8>,
    pub output_most: usize,
    pub state: RunState,
    pub now: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    Open,
    WantsTls,
    Closed,
}

impl Run {
    pub fn new(tls: TlsOffer, sign_in_without_tls: bool, maildrop: Maildrop) -> Self {
        let nonce = "3rfcNHYJY1ZVvWVs7j".to_owned();
        let mut config = Config::new("pop.example.org".to_owned(), tls, nonce);
        config.sign_in_without_tls = sign_in_without_tls;
        config.tokens = maildrop.tokens;
        let session = Session::new(config, START);
        let mut run = Self {
            session,
            maildrop,
            output: Vec::new(),
            output_most: 0,
            state: RunState::Open,
            now: START,
        };
        run.turn();
        run
    }

    /// As the driver does: steps, answers, and sends, until the machine waits.
    pub fn turn(&mut self) {
        if self.state == RunState::Closed {
            return;
        }
        for _ in 0..STEPS_MAX {
            let step = self.session.step(self.now);
            self.output_most = self.output_most.max(self.session.output().len());
            self.output.append(self.session.output());
            match step {
                Step::NeedInput => return,
                Step::Ask(question) => {
                    assert_eq!(self.session.input(b"x", self.now), 0, "input while asking");
                    let answer = self.maildrop.answer(question);
                    self.session.answer(answer, self.now);
                }
                Step::StartCompression => panic!("POP3 has no compression"),
                Step::StartTls => {
                    self.state = RunState::WantsTls;
                    return;
                }
                Step::Close => {
                    self.state = RunState::Closed;
                    return;
                }
            }
        }
        panic!("the machine spins");
    }

    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.state == RunState::Open {
            let taken = self.session.input(bytes, self.now);
            bytes = &bytes[taken..];
            self.turn();
            assert!(taken > 0 || self.state != RunState::Open, "stuck");
        }
    }

    pub fn tls(&mut self) {
        assert_eq!(self.state, RunState::WantsTls);
        self.start_tls();
    }

    pub fn start_tls(&mut self) {
        self.state = RunState::Open;
        self.session.tls_started(TlsFacts::default(), self.now);
        self.turn();
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}
