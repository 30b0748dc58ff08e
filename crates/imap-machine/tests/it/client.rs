//! Drives a session as `net` would: one session, its service, a clock.

use std::time::Duration;

use imap_machine::{Config, Event, Limits, Session};
use mail_types::{Machine, Step, Timestamp, TlsFacts};

use crate::appending::Appending;
use crate::service::{Proof, Service};

pub const START: Timestamp = Timestamp::from_secs(1_800_000_000);

pub struct Client {
    pub session: Session<Proof>,
    pub appending: Appending,
    pub now: Timestamp,
    /// All that was sent to the peer.
    pub sent: Vec<u8>,
    /// The largest output seen at once.
    pub output_max: usize,
    pub closed: bool,
    pub tls_asked: bool,
    pub compression_asked: usize,
    /// Events are not passed on.
    pub deaf: bool,
    /// Time that the service takes to answer.
    pub secs_per_answer: u64,
    /// Questions, without flushes.
    pub questions: usize,
}

pub fn config() -> Config {
    Config {
        host: "mail.example.org".to_owned(),
        starttls: true,
        plain_sign_in: true,
        nonce: "servernonce".to_owned(),
        tokens: false,
        limits: Limits::default(),
    }
}

impl Client {
    pub fn new(config: Config) -> Self {
        Self {
            session: Session::new(config, None, START),
            appending: Appending::default(),
            now: START,
            sent: Vec::new(),
            output_max: 0,
            closed: false,
            tls_asked: false,
            compression_asked: 0,
            deaf: false,
            secs_per_answer: 0,
            questions: 0,
        }
    }

    /// Signed in, the greeting and answers passed over.
    pub fn signed_in(config: Config, service: &mut Service) -> Self {
        let mut client = Self::new(config);
        client.feed(service, b"l LOGIN ann@example.org \"open sesame\"\r\n");
        assert!(client.session.signed_in().is_some());
        client.sent.clear();
        client
    }

    /// Steps until the session wants something from outside.
    pub fn run(&mut self, service: &mut Service) {
        for _ in 0..1_000_000 {
            let step = self.session.step(self.now);
            let output = self.session.output();
            self.output_max = self.output_max.max(output.len());
            self.sent.append(output);
            match step {
                Step::NeedInput if self.hears_of_commits() => {}
                Step::NeedInput => {
                    self.tell_changes(service);
                    return;
                }
                Step::Ask(question) => {
                    self.questions += usize::from(question != imap_machine::Question::Flush);
                    let answer = service.answer(question, &mut self.appending);
                    self.now = self.now.after(Duration::from_secs(self.secs_per_answer));
                    self.session.answer(answer, self.now);
                }
                Step::StartTls => {
                    self.tls_asked = true;
                    self.session.tls_started(TlsFacts::default(), self.now);
                }
                Step::StartCompression => self.compression_asked += 1,
                Step::Close => {
                    self.closed = true;
                    return;
                }
            }
        }
        panic!("the session does not come to rest");
    }

    /// Whether something is settled that the session did not know of.
    fn hears_of_commits(&mut self) -> bool {
        let news = !self.appending.settled.is_empty() && !self.appending.announced;
        if news {
            self.appending.announced = true;
            self.session.event(Event::Appended, self.now);
        }
        news
    }

    /// As the service would: at once, to everybody.
    fn tell_changes(&mut self, service: &mut Service) {
        if self.deaf {
            service.changed.clear();
        }
        if service.has_news() {
            self.session.event(Event::News, self.now);
        }
        for mailbox in service.changed.clone() {
            self.session.event(Event::Changed(mailbox), self.now);
        }
    }

    pub fn feed(&mut self, service: &mut Service, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.closed {
            let taken = self.session.input(rest, self.now);
            rest = &rest[taken..];
            self.run(service);
        }
        self.run(service);
    }

    /// Something happened in the service: the session hears of it.
    pub fn hear(&mut self, service: &mut Service) {
        self.tell_changes(service);
        service.changed.clear();
        self.run(service);
    }

    /// Sends and returns the answer as text.
    pub fn say(&mut self, service: &mut Service, text: &str) -> String {
        self.sent.clear();
        self.feed(service, format!("{text}\r\n").as_bytes());
        String::from_utf8_lossy(&self.sent).into_owned()
    }
}
