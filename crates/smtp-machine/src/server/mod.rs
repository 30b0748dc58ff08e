//! The server machine of ports 25, 587 and 465.
//!
//! [`Server`] reads commands and content, keeps the order of RFC 5321 §4.1.4, and asks its service
//! the [`Question`]s. It never closes without a reply that says why (RFC 5321 §3.8), except where
//! the peer is gone.

mod auth;
mod body;
mod commands;
mod config;
mod question;
mod session;

use std::marker::PhantomData;

use mail_types::{Acceptance, Machine, Priority, Refusal, Reply, Step, Timestamp, TlsFacts};
use sasl::{Exchange, SignedIn};

use crate::envelope::{Recipient, Sender};
use crate::input::Input;
use body::Body;

pub use config::{Config, Limits, Role, Tls};
pub use question::{Answer, BODY_OCTETS_MAX, Question};

/// The server side of one connection. `R` is what proves that a message is kept.
#[derive(Debug)]
pub struct Server<R> {
    config: Config,
    input: Input,
    out: Vec<u8>,
    state: State,
    /// The question that waits to be asked.
    queued: Option<(Asked, Question)>,
    /// The question that waits for its answer.
    asked: Option<Asked>,
    /// The service holds a message that will not be completed.
    abort_due: bool,
    /// The service is to be told that there will be no message from this sender.
    reset_due: bool,
    hello: Option<Hello>,
    tls: Option<TlsFacts>,
    signed_in: Option<SignedIn>,
    exchange: Option<Exchange>,
    transaction: Option<Transaction>,
    body: Option<Body>,
    counts: Counts,
    /// When waiting for the peer ends.
    wait_until: Option<Timestamp>,
    /// When the message or chunk under way must be complete.
    message_until: Option<Timestamp>,
    peer_closed: bool,
    shutting_down: bool,
    /// As of the last step.
    now: Timestamp,
    receipt: PhantomData<fn(R)>,
}

/// Where the connection stands.
#[derive(Debug)]
enum State {
    /// Nothing sent yet.
    Greeting,
    /// A command line is due.
    Command,
    /// The rest of a line that is too long is dropped; the refusal is for its end.
    Overlong,
    /// A response to an AUTH challenge is due.
    Auth,
    /// Content of DATA is due.
    Data,
    /// Content of a BDAT chunk is due.
    Chunk {
        /// Octets to come.
        left: u64,
        /// Whether the message ends with this chunk.
        last: bool,
    },
    /// Content of a BDAT chunk that is refused is due.
    DropChunk {
        /// Octets to come.
        left: u64,
        /// The reply for its end.
        refusal: Refusal,
    },
    /// The reply to STARTTLS is written.
    TlsDue,
    /// The handshake runs.
    TlsAwaited,
    /// The last reply is written.
    Closing,
}

/// The question an answer belongs to.
#[derive(Debug)]
enum Asked {
    SignIn,
    /// With the priority that the client has asked for.
    Sender(Box<Sender>, Option<Priority>),
    Recipient(Box<Recipient>),
    BodyBegin,
    BodyBytes,
    BodyEnd,
    BodyAborted,
    Reset,
}

/// HELO or EHLO as last given.
#[derive(Debug)]
struct Hello {
    name: String,
    /// EHLO, not HELO.
    extended: bool,
}

/// MAIL was answered with 250.
#[derive(Debug)]
struct Transaction {
    sender: Sender,
    recipients: Vec<Recipient>,
}

/// What is counted against the [`Limits`].
#[derive(Debug, Default)]
struct Counts {
    commands: u32,
    errors: u32,
    refused_recipients: u32,
    sign_ins: u32,
    failed_sign_ins: u32,
}

/// How a piece of work ended.
enum Progress {
    /// Look again what is to be done.
    On,
    /// Nothing more to be done with the input there is.
    Starved,
}

impl<R: Acceptance> Server<R> {
    /// A connection that has just come in.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let tls = (config.tls == Tls::Implicit).then(TlsFacts::default);
        Self {
            config,
            input: Input::default(),
            out: Vec::new(),
            state: State::Greeting,
            queued: None,
            asked: None,
            abort_due: false,
            reset_due: false,
            hello: None,
            tls,
            signed_in: None,
            exchange: None,
            transaction: None,
            body: None,
            counts: Counts::default(),
            wait_until: None,
            message_until: None,
            peer_closed: false,
            shutting_down: false,
            now: Timestamp::default(),
            receipt: PhantomData,
        }
    }

    fn advance(&mut self, now: Timestamp) -> Progress {
        match self.state {
            State::Greeting => self.greet(),
            State::Command | State::Auth if self.shutting_down => self.goodbye_shutting_down(),
            State::Command | State::Auth => self.next_line(),
            State::Overlong => self.drop_line(),
            State::Data => self.read_data(now),
            State::Chunk { .. } => self.read_chunk(now),
            State::DropChunk { .. } => self.drop_chunk(now),
            State::TlsDue | State::TlsAwaited | State::Closing => Progress::Starved,
        }
    }

    /// No more can be done with what is there: wait, or end where waiting is in vain.
    fn starved(&mut self, now: Timestamp) -> Option<Step<Question>> {
        match self.state {
            State::Closing => return Some(Step::Close),
            State::TlsDue => {
                self.state = State::TlsAwaited;
                return Some(Step::StartTls);
            }
            State::TlsAwaited if self.shutting_down || self.peer_closed => {
                return Some(Step::Close);
            }
            State::Greeting
            | State::Command
            | State::Overlong
            | State::Auth
            | State::Data
            | State::Chunk { .. }
            | State::DropChunk { .. }
            | State::TlsAwaited => {}
        }
        if self.peer_closed {
            self.abort_body();
            self.state = State::Closing;
            return None;
        }
        if self.shutting_down {
            self.goodbye_shutting_down();
            return None;
        }
        let wait = match self.state {
            State::Data | State::Chunk { .. } | State::DropChunk { .. } => {
                self.config.limits.content_wait
            }
            State::Greeting
            | State::Command
            | State::Overlong
            | State::Auth
            | State::TlsDue
            | State::TlsAwaited
            | State::Closing => self.config.limits.command_wait,
        };
        let until = *self.wait_until.get_or_insert(now.after(wait));
        if let Some(message_until) = self.message_until {
            self.wait_until = Some(until.min(message_until));
        }
        Some(Step::NeedInput)
    }

    fn ask(&mut self, asked: Asked, question: Question) {
        self.queued = Some((asked, question));
    }

    fn say(&mut self, reply: &str) {
        self.out.extend_from_slice(reply.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn say_reply(&mut self, reply: &Reply) {
        reply.write(&mut self.out);
    }

    /// Refuses a command that was wrong, and counts it.
    fn refuse(&mut self, refusal: &Refusal) {
        self.say_reply(refusal.reply());
        self.counts.errors += 1;
        if self.counts.errors >= self.config.limits.errors_max {
            self.close("421 4.7.0 Too many errors; closing the connection");
        }
    }

    fn refuse_with(&mut self, code: u16, subject: u16, detail: u16, text: &str) {
        self.refuse(&Refusal::permanent(code, subject, detail, text));
    }

    /// Says the last reply.
    fn close(&mut self, reply: &str) {
        self.abort_body();
        self.say(reply);
        self.state = State::Closing;
        self.input.clear();
    }

    fn goodbye_shutting_down(&mut self) -> Progress {
        self.close("421 4.3.2 The server is stopping; please try again soon");
        Progress::On
    }

    /// Ends the transaction; a message the service holds part of is aborted.
    fn reset(&mut self) {
        self.abort_body();
        self.transaction = None;
    }

    /// The same by the client's wish: what is under way for its sender is wanted no more.
    fn begin_anew(&mut self) {
        self.reset_due |= self.transaction.is_some();
        self.reset();
    }

    fn abort_body(&mut self) {
        if let Some(body) = self.body.take() {
            self.abort_due |= body.at_service();
        }
        self.message_until = None;
        // A question about a message that is given up is not asked any more. (One that is open is
        // never given up: what could do so waits for its answer.)
        if matches!(self.queued, Some((Asked::BodyBytes | Asked::BodyEnd, _))) {
            self.queued = None;
        }
    }
}

impl<R: Acceptance> Machine for Server<R> {
    type Question = Question;
    type Answer = Answer<R>;
    type Event = ();

    fn input(&mut self, bytes: &[u8], _now: Timestamp) -> usize {
        match self.state {
            // RFC 3207 §4.2: what is read before the handshake does not count.
            State::TlsDue | State::TlsAwaited | State::Closing => return bytes.len(),
            State::Data | State::Chunk { .. } | State::DropChunk { .. } => {
                if !bytes.is_empty() {
                    self.wait_until = None;
                }
            }
            // The wait is for a whole line, however slowly octets trickle in.
            State::Greeting | State::Command | State::Overlong | State::Auth => {}
        }
        self.input.take(bytes)
    }

    fn step(&mut self, now: Timestamp) -> Step<Question> {
        self.now = now;
        if self.asked.is_some() {
            return Step::NeedInput;
        }
        // Ends: every turn uses up input, a question, or the connection.
        loop {
            if std::mem::take(&mut self.abort_due) {
                self.asked = Some(Asked::BodyAborted);
                return Step::Ask(Question::BodyAborted);
            }
            if std::mem::take(&mut self.reset_due) {
                self.asked = Some(Asked::Reset);
                return Step::Ask(Question::Reset);
            }
            if let Some((asked, question)) = self.queued.take() {
                self.asked = Some(asked);
                return Step::Ask(question);
            }
            match self.advance(now) {
                Progress::On => {}
                Progress::Starved => {
                    if let Some(step) = self.starved(now) {
                        return step;
                    }
                }
            }
        }
    }

    fn answer(&mut self, answer: Answer<R>, now: Timestamp) {
        self.wait_until = None;
        match self.asked.take() {
            Some(Asked::SignIn) => self.sign_in_answered(answer),
            Some(Asked::Sender(sender, asked)) => self.sender_answered(*sender, asked, answer),
            Some(Asked::Recipient(recipient)) => self.recipient_answered(*recipient, answer),
            Some(Asked::BodyBegin) => self.body_begun(answer, now),
            Some(Asked::BodyBytes) => self.body_bytes_answered(answer),
            Some(Asked::BodyEnd) => self.body_ended(answer),
            Some(Asked::BodyAborted | Asked::Reset) | None => {}
        }
    }

    fn event(&mut self, (): (), _now: Timestamp) {}

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn tls_started(&mut self, tls: TlsFacts, _now: Timestamp) {
        self.tls = Some(tls);
        self.wait_until = None;
        if matches!(self.state, State::TlsAwaited | State::TlsDue) {
            // RFC 3207 §4.2: both sides forget all they knew but that TLS stands.
            self.input.clear();
            self.reset();
            self.hello = None;
            self.signed_in = None;
            self.state = State::Command;
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        if self.asked.is_some() { None } else { self.wait_until }
    }

    fn deadline_passed(&mut self, now: Timestamp) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if matches!(self.state, State::TlsAwaited) {
            self.state = State::Closing;
        } else {
            // RFC 5321 §3.8, §4.5.3.2.7.
            self.close("421 4.4.2 Waited too long for you; closing the connection");
        }
    }

    fn peer_closed(&mut self, _now: Timestamp) {
        self.peer_closed = true;
    }

    fn shut_down(&mut self, _now: Timestamp) {
        self.shutting_down = true;
    }
}

/// The answer does not fit the question, or something else of ours is wrong: never the sender's
/// fault, so never permanent.
fn our_trouble() -> Refusal {
    Refusal::transient(451, 3, 0, "Trouble on our side; please try again later")
}
