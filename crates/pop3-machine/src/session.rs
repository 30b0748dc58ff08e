use std::time::Duration;

use mail_types::{ChannelBindings, Machine, Step, Timestamp, TlsFacts};
use sasl::Exchange;

use crate::command::Command;
use crate::maildrop::Maildrop;
use crate::question::{Answer, Question, Trouble};
use crate::transaction::Sending;

/// RFC 2449 §4: octets of a command line, CRLF counted.
pub(crate) const COMMAND_OCTETS_MAX: usize = 255;
/// Octets of a line within an AUTH exchange; twice the largest response `sasl` takes, as base64.
pub(crate) const RESPONSE_OCTETS_MAX: usize = 8192;
/// Octets of pipelined input held; the driver keeps back what does not fit.
const INPUT_OCTETS_MAX: usize = 2 * RESPONSE_OCTETS_MAX;
/// Octets of input capacity that an idle session keeps.
const INPUT_KEPT_OCTETS_MAX: usize = 512;
/// Octets a client may send before it has signed in, TLS aside.
const STRANGER_OCTETS_MAX: usize = 256 * 1024;
/// Octets of one line that are read over; past that the session ends.
const SKIPPED_OCTETS_MAX: usize = 1024 * 1024;
/// Failed sign-ins after which the session ends.
pub(crate) const SIGN_IN_FAILURES_MAX: u32 = 3;
/// Lines that are no command after which the session ends, so that a stray HTTP client or a
/// guesser does not stay for long.
const BAD_COMMANDS_MAX: u32 = 20;

/// What a session is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our host name, for the greeting.
    pub host: String,
    /// How this connection becomes secure.
    pub tls: TlsOffer,
    /// Whether sign-in is allowed without TLS (from loopback it is). Without either, USER, PASS
    /// and AUTH are neither offered nor taken (RFC 8314 §4.1).
    pub sign_in_without_tls: bool,
    /// Whether tokens of an OAuth 2.0 server are taken in place of a password. Default no.
    pub tokens: bool,
    /// Fresh printable randomness, for SCRAM.
    pub nonce: String,
    /// RFC 1939 §3: autologout after this time without input, at least ten minutes. Default 600 s.
    pub idle: Duration,
    /// The client has so long to sign in, whatever it sends meanwhile. Default 60 s. (RFC 1939 §3
    /// gives ten minutes to a session; there is none before the sign-in, and a stranger who may
    /// wait so long is one of many.)
    pub sign_in_timeout: Duration,
}

/// How TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsOffer {
    /// Never.
    None,
    /// When the client asks for it by STLS.
    Stls,
    /// Before the greeting (port 995).
    Implicit,
}

impl Config {
    /// For a host, with the defaults.
    #[must_use]
    pub const fn new(host: String, tls: TlsOffer, nonce: String) -> Self {
        let (idle, sign_in_timeout) = (Duration::from_secs(600), Duration::from_secs(60));
        Self { host, tls, sign_in_without_tls: false, tokens: false, nonce, idle, sign_in_timeout }
    }
}

/// One POP3 session, the server's side.
#[derive(Debug)]
pub struct Session {
    pub(crate) config: Config,
    pub(crate) state: State,
    pub(crate) output: Vec<u8>,
    /// TLS stands.
    pub(crate) secure: bool,
    /// What a sign-in can be bound to.
    pub(crate) bindings: ChannelBindings,
    pub(crate) sign_in_failures: u32,
    pub(crate) sign_in_attempts: u32,
    input: Vec<u8>,
    /// The rest of a line that was too long is being thrown away.
    skipping: bool,
    /// Of it, so many octets.
    skipped: usize,
    /// Octets that came before the sign-in.
    stranger_octets: usize,
    bad_commands: u32,
    /// To be put to the service by the next step.
    asking: Option<Question>,
    /// A question was put and not yet answered.
    awaiting: bool,
    tls_wanted: bool,
    closing: bool,
    stopping: bool,
    deadline: Timestamp,
}

/// RFC 1939 §3: the states of a session, with what each knows.
#[derive(Debug)]
pub(crate) enum State {
    /// Implicit TLS does not stand yet.
    Handshake,
    /// AUTHORIZATION, with the name of a USER that waits for its PASS.
    Authorization { user: Option<String> },
    /// Within an AUTH exchange, which waits for the client's next line.
    Exchange(Box<Exchange>),
    /// The service is asked who it is; the exchange, unless by USER and PASS.
    SigningIn(Option<Box<Exchange>>),
    /// The maildrop is being opened.
    Opening,
    /// TRANSACTION.
    Transaction(Maildrop),
    /// TRANSACTION, while a reply of many lines is being made.
    Sending(Maildrop, Sending),
    /// UPDATE: the removal is being committed.
    Update,
    /// Nothing more will be done.
    Over,
}

impl Session {
    /// Begins a session; the greeting comes at once, or after implicit TLS.
    #[must_use]
    pub fn new(config: Config, now: Timestamp) -> Self {
        let deadline = now.after(config.sign_in_timeout);
        let implicit = config.tls == TlsOffer::Implicit;
        let mut session = Self {
            config,
            state: if implicit { State::Handshake } else { State::Authorization { user: None } },
            output: Vec::new(),
            secure: false,
            bindings: ChannelBindings::default(),
            sign_in_failures: 0,
            sign_in_attempts: 0,
            input: Vec::new(),
            skipping: false,
            skipped: 0,
            stranger_octets: 0,
            bad_commands: 0,
            asking: None,
            awaiting: false,
            tls_wanted: false,
            closing: false,
            stopping: false,
            deadline,
        };
        if !implicit {
            session.greet();
        }
        session
    }

    fn greet(&mut self) {
        // No timestamp in angle brackets: that would offer APOP (RFC 1939 §7).
        let greeting = format!("{} POP3 server ready", self.config.host);
        self.ok(&greeting);
    }

    /// The next whole line of input, without its end; `None` where more must come first.
    fn line(&mut self) -> Option<Result<Vec<u8>, TooLong>> {
        let octets_max = match self.state {
            State::Exchange(_) => RESPONSE_OCTETS_MAX,
            State::Handshake
            | State::Authorization { .. }
            | State::SigningIn(_)
            | State::Opening
            | State::Transaction(_)
            | State::Sending(..)
            | State::Update
            | State::Over => COMMAND_OCTETS_MAX,
        };
        // quirk: a bare LF ends a line, too, for people who type into a socket.
        let Some(end) = self.input.iter().position(|&octet| octet == b'\n') else {
            if self.input.len() >= octets_max {
                self.skipped += self.input.len();
                self.input.clear();
                self.skipping = true;
                if self.skipped > SKIPPED_OCTETS_MAX {
                    self.err("that line has no end");
                    self.close();
                }
            }
            return None;
        };
        let mut line: Vec<u8> = self.input.drain(..=end).collect();
        self.skipped = 0;
        if std::mem::take(&mut self.skipping) || line.len() > octets_max {
            return Some(Err(TooLong));
        }
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
        Some(Ok(line))
    }

    fn handle(&mut self, line: Result<Vec<u8>, TooLong>) {
        if let State::Exchange(_) = self.state {
            return self.exchange_line(line.ok());
        }
        let command = match line {
            Ok(line) => Command::parse(&line),
            Err(TooLong) => Err("line too long (255 octets, RFC 2449)"),
        };
        match command {
            Ok(command) => self.command(command),
            Err(why) => self.bad_command(why),
        }
    }

    fn command(&mut self, command: Command) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Authorization { user } => self.authorization(command, user),
            State::Transaction(maildrop) => self.transaction(command, maildrop),
            // Lines are only read in the two states above, and within an exchange.
            State::Handshake
            | State::Exchange(_)
            | State::SigningIn(_)
            | State::Opening
            | State::Sending(..)
            | State::Update
            | State::Over => self.close(),
        }
    }

    pub(crate) fn bad_command(&mut self, why: &str) {
        self.err(why);
        self.bad_commands += 1;
        if self.bad_commands >= BAD_COMMANDS_MAX {
            self.close();
        }
    }

    /// RFC 1939 §3: a positive status line.
    pub(crate) fn ok(&mut self, text: &str) {
        self.write_line("+OK ", text);
    }

    /// RFC 1939 §3: a negative status line.
    pub(crate) fn err(&mut self, text: &str) {
        self.write_line("-ERR ", text);
    }

    /// RFC 2449 §8: a negative status line with a response code.
    pub(crate) fn trouble(&mut self, trouble: &Trouble) {
        let text = format!("[{}] {}", trouble.code.name(), one_line(&trouble.text));
        self.err(&text);
    }

    pub(crate) fn write_line(&mut self, before: &str, text: &str) {
        self.output.extend_from_slice(before.as_bytes());
        self.output.extend_from_slice(text.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    pub(crate) fn ask(&mut self, question: Question) {
        self.asking = Some(question);
    }

    pub(crate) fn want_tls(&mut self) {
        self.tls_wanted = true;
        // RFC 2595 §4: nothing sent before the handshake counts after it.
        self.input = Vec::new();
        self.skipping = false;
    }

    /// Sends what there is, and ends. What was marked as deleted stays, unless a QUIT has been
    /// committed.
    pub(crate) fn close(&mut self) {
        self.state = State::Over;
        self.closing = true;
    }

    /// The client has shown that it is there; before it has signed in, that is not enough.
    fn touch(&mut self, now: Timestamp) -> Known {
        match self.state {
            State::Transaction(_) | State::Sending(..) | State::Update => {
                self.deadline = now.after(self.config.idle);
                Known::Yes
            }
            State::Handshake
            | State::Authorization { .. }
            | State::Exchange(_)
            | State::SigningIn(_)
            | State::Opening
            | State::Over => Known::No,
        }
    }

    const fn takes_lines(&self) -> bool {
        matches!(
            self.state,
            State::Authorization { .. } | State::Exchange(_) | State::Transaction(_)
        )
    }
}

/// Whether the client has signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    No,
    Yes,
}

/// A line was longer than it may be; it has been read to its end.
#[derive(Clone, Copy, Debug)]
struct TooLong;

impl Machine for Session {
    type Question = Question;
    type Answer = Answer;
    type Event = ();

    fn input(&mut self, bytes: &[u8], now: Timestamp) -> usize {
        if self.awaiting || self.asking.is_some() || self.closing {
            // A closing session reads no more: what comes is taken, and forgotten.
            return if self.closing { bytes.len() } else { 0 };
        }
        let taken = bytes.len().min(INPUT_OCTETS_MAX - self.input.len());
        self.input.extend_from_slice(&bytes[..taken]);
        if self.touch(now) == Known::No {
            self.stranger_octets += taken;
            if self.stranger_octets > STRANGER_OCTETS_MAX {
                self.err("too much without a sign-in");
                self.close();
            }
        }
        taken
    }

    fn step(&mut self, _now: Timestamp) -> Step<Question> {
        // Each turn takes a line off the input, which is bounded, or ends the loop.
        loop {
            if self.closing {
                return Step::Close;
            }
            if let Some(question) = self.asking.take() {
                self.awaiting = true;
                return Step::Ask(question);
            }
            if std::mem::take(&mut self.tls_wanted) {
                return Step::StartTls;
            }
            let line = if self.takes_lines() { self.line() } else { None };
            match line {
                Some(line) => self.handle(line),
                // A line without an end.
                None if self.closing => {}
                // Between two commands is where a stop does no harm. POP3 has no unasked reply
                // to say it with: the client sees the end, and that nothing was deleted.
                None if self.stopping && self.takes_lines() => self.close(),
                None => {
                    if self.input.is_empty() && self.input.capacity() > INPUT_KEPT_OCTETS_MAX {
                        self.input = Vec::new();
                    }
                    return Step::NeedInput;
                }
            }
        }
    }

    fn answer(&mut self, answer: Answer, now: Timestamp) {
        if !std::mem::take(&mut self.awaiting) {
            return self.close();
        }
        self.touch(now);
        match (std::mem::replace(&mut self.state, State::Over), answer) {
            (State::SigningIn(exchange), Answer::SignIn(answer)) => {
                self.sign_in_answer(exchange, answer);
            }
            (State::Opening, Answer::Open(opened)) => {
                self.opened(opened);
                self.touch(now);
            }
            (State::Sending(maildrop, sending), Answer::Read(read)) => {
                self.read(maildrop, sending, read);
            }
            (State::Sending(maildrop, sending), Answer::Continue) => {
                self.list_on(maildrop, sending);
            }
            (State::Update, Answer::Remove(removed)) => self.removed(removed),
            // The connection is going, or the service errs: neither may look like success.
            (
                State::Handshake
                | State::Authorization { .. }
                | State::Exchange(_)
                | State::SigningIn(_)
                | State::Opening
                | State::Transaction(_)
                | State::Sending(..)
                | State::Update
                | State::Over,
                Answer::SignIn(_)
                | Answer::Open(_)
                | Answer::Read(_)
                | Answer::Continue
                | Answer::Remove(_),
            ) => self.close(),
        }
    }

    /// The account is gone, or its password is another one. What was marked stays.
    fn event(&mut self, (): (), _now: Timestamp) {
        self.close();
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn tls_started(&mut self, tls: TlsFacts, now: Timestamp) {
        self.deadline = now.after(self.config.sign_in_timeout);
        self.secure = true;
        self.bindings = tls.bindings;
        let greets = matches!(self.state, State::Handshake);
        // RFC 2595 §4: what the client said before is forgotten.
        self.state = State::Authorization { user: None };
        if greets {
            self.greet();
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        Some(self.deadline)
    }

    /// RFC 1939 §3: autologout closes without a reply and does not enter UPDATE.
    fn deadline_passed(&mut self, now: Timestamp) {
        if now >= self.deadline {
            self.close();
        }
    }

    /// RFC 1939 §6: without QUIT there is no UPDATE state, and nothing is removed.
    fn peer_closed(&mut self, _now: Timestamp) {
        self.close();
    }

    fn shut_down(&mut self, _now: Timestamp) {
        self.stopping = true;
        if matches!(self.state, State::Handshake) {
            self.close();
        }
    }
}

/// Without what would break a status line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(COMMAND_OCTETS_MAX).collect()
}
