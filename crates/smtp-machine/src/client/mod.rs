//! The client machine, which relays messages to another server.
//!
//! [`Client`] greets, secures the connection if it can, and asks its service for one message after
//! the other ([`Question::Next`]). Commands go out in groups where the server offers PIPELINING.
//! Before the final dot the service is asked to record the attempt ([`Question::FinalDot`]); a
//! connection lost after it leaves [`Outcome::Uncertain`], one lost before does not.

mod config;
mod question;
mod said;
mod transaction;

use std::sync::Arc;

use mail_types::{Machine, Reply, Step, Timestamp, TlsFacts};
use sasl::SignIn;

use crate::input::{Front, Input};
use crate::reply::{REPLY_LINE_OCTETS_MAX, ReplyError, ReplyReader};
use said::Sayings;
use transaction::{After, Content, Transaction};

pub use config::{Config, Tls, Waits};
pub use question::{
    Answer, Lack, Loss, Message, Outcome, Peer, Question, Report, Setback, Size, Stage,
};
pub use said::{Phase, Said};

/// The client side of one connection.
#[derive(Debug)]
pub struct Client {
    config: Config,
    input: Input,
    reader: ReplyReader,
    out: Vec<u8>,
    state: State,
    peer: Arc<Peer>,
    sayings: Sayings,
    queued: Option<(Asked, Question)>,
    asked: Option<Asked>,
    /// The server still knows of a message that was not sent: RSET comes before MAIL.
    reset_due: bool,
    /// When waiting for the reply that is due ends.
    wait_until: Option<Timestamp>,
    peer_closed: bool,
    shutting_down: bool,
}

/// Where the connection stands.
#[derive(Debug)]
enum State {
    /// The greeting is due.
    Greeting,
    /// The reply to EHLO is due.
    Ehlo,
    /// The reply to HELO is due.
    Helo,
    /// The reply to STARTTLS is due.
    StartTls,
    /// STARTTLS was agreed to.
    TlsDue,
    /// The handshake runs.
    TlsAwaited,
    /// A reply to AUTH is due.
    SignIn(Box<SignIn>),
    /// The session stands, and is idle.
    Ready,
    /// A message is on its way.
    Message(Box<Transaction>),
    /// The reply to QUIT is due.
    Quit,
    /// Over.
    Closing,
}

/// The question an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Next,
    Body,
    FinalDot,
    /// The state that follows is set already.
    Report,
}

impl Client {
    /// A connection that has just been made.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let tls = (config.tls == Tls::Implicit).then(TlsFacts::default);
        Self {
            peer: Arc::new(Peer { tls, is_proven: config.is_proven, ..Peer::default() }),
            config,
            input: Input::default(),
            reader: ReplyReader::default(),
            out: Vec::new(),
            state: State::Greeting,
            sayings: Sayings::default(),
            queued: None,
            asked: None,
            reset_due: false,
            wait_until: None,
            peer_closed: false,
            shutting_down: false,
        }
    }

    /// What was said since the last [`Report`]: where there was no session, all of it.
    pub fn take_said(&mut self) -> Vec<Said> {
        self.sayings.take()
    }

    fn ask(&mut self, asked: Asked, question: Question) {
        self.queued = Some((asked, question));
    }

    fn say(&mut self, command: &str) {
        self.out.extend_from_slice(command.as_bytes());
        self.out.extend_from_slice(b"\r\n");
        self.wait_until = None;
    }

    /// What can be done without a reply; whether something was.
    fn advance(&mut self) -> bool {
        match &mut self.state {
            State::Ready if self.shutting_down => self.quit(),
            State::Ready => self.ask(Asked::Next, Question::Next(Arc::clone(&self.peer))),
            State::Message(transaction) => {
                if transaction.is_over() {
                    self.finish_message(After::Done);
                    return true;
                }
                match transaction.content {
                    Content::Open | Content::DotDue if !transaction.may_write() => return false,
                    Content::Open => self.ask(Asked::Body, Question::Body),
                    Content::DotDue => {
                        let taken = transaction.taken().to_vec();
                        self.ask(Asked::FinalDot, Question::FinalDot { taken });
                    }
                    Content::NotYet | Content::Sent | Content::Void => return false,
                }
            }
            State::Greeting
            | State::Ehlo
            | State::Helo
            | State::StartTls
            | State::TlsDue
            | State::TlsAwaited
            | State::SignIn(_)
            | State::Quit
            | State::Closing => return false,
        }
        true
    }

    /// The next whole reply of the input.
    fn next_reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        // Ends: each turn takes a line of the input.
        loop {
            match self.input.front(REPLY_LINE_OCTETS_MAX) {
                Front::Partial => return Ok(None),
                Front::TooLong => return Err(ReplyError::LineTooLong),
                Front::Line(range) => {
                    let line = self.input.take_line(range).ok_or(ReplyError::LineEnd)?;
                    if let Some(reply) = self.reader.line(&line)? {
                        return Ok(Some(reply));
                    }
                }
            }
        }
    }

    fn reply(&mut self, reply: Reply, now: Timestamp) {
        self.wait_until = None;
        let good = reply.code / 100 == 2;
        // That a chunk was taken says little, and there may be many.
        let is_chunk = matches!(&self.state, State::Message(at) if at.awaits_chunk());
        if let Some(phase) = self.phase().filter(|_| !is_chunk || !good) {
            self.sayings.over(phase, Some(&reply), now);
        }
        match &mut self.state {
            State::Greeting if good => {
                let name = reply.lines.first().and_then(|line| line.split(' ').next());
                Arc::make_mut(&mut self.peer).name = name.unwrap_or_default().to_owned();
                self.hello();
            }
            State::Greeting => self.refused(Stage::Greeting, reply),
            State::Ehlo if good => self.hello_answered(&reply),
            // RFC 5321 §3.2, §4.1.4: a server that does not know EHLO gets HELO.
            State::Ehlo if reply.code / 100 == 5 && reply.code != 554 => {
                let hello = format!("HELO {}", self.config.hostname);
                self.say(&hello);
                self.state = State::Helo;
            }
            State::Helo if good => {
                Arc::make_mut(&mut self.peer).read_hello(&Reply::new(250, None, ""));
                self.hello_done();
            }
            State::Ehlo | State::Helo => self.refused(Stage::Hello, reply),
            State::StartTls if good => {
                // RFC 3207 §4.2: what came with the reply was not secured.
                self.input.clear();
                self.state = State::TlsDue;
            }
            State::StartTls if self.config.tls == Tls::Opportunistic && reply.code != 421 => {
                self.hello_done();
            }
            State::SignIn(_) => self.sign_in_answered(&reply),
            State::StartTls => self.refused(Stage::StartTls, reply),
            State::Message(transaction) => {
                let after = transaction.reply(reply, &mut self.out);
                transaction.send(&self.peer, &mut self.out);
                match after {
                    After::On => {}
                    After::Done | After::DoneClose => self.finish_message(after),
                }
            }
            State::Quit => self.state = State::Closing,
            State::TlsDue | State::TlsAwaited | State::Ready | State::Closing => {}
        }
    }

    /// What a reply now belongs to.
    fn phase(&self) -> Option<Phase> {
        match &self.state {
            State::Greeting => Some(Phase::Greeting),
            State::Ehlo | State::Helo => Some(Phase::Hello),
            State::SignIn(_) => Some(Phase::SignIn),
            State::StartTls => Some(Phase::StartTls),
            State::TlsDue | State::TlsAwaited => Some(Phase::Handshake),
            State::Message(transaction) => Some(transaction.phase()),
            State::Ready | State::Quit | State::Closing => None,
        }
    }

    /// RFC 5321 §4.1.1.1.
    fn hello(&mut self) {
        let hello = format!("EHLO {}", self.config.hostname);
        self.say(&hello);
        self.state = State::Ehlo;
    }

    fn hello_answered(&mut self, reply: &Reply) {
        let peer = Arc::make_mut(&mut self.peer);
        peer.read_hello(reply);
        let wanted = matches!(self.config.tls, Tls::Opportunistic | Tls::Required);
        if wanted && peer.starttls && peer.tls.is_none() {
            self.say("STARTTLS");
            self.state = State::StartTls;
        } else {
            self.hello_done();
        }
    }

    fn hello_done(&mut self) {
        self.state = State::Ready;
        if self.config.tls == Tls::Required && self.peer.tls.is_none() {
            self.quit();
            self.ask(Asked::Report, Question::NoSession(Setback::NoTls));
            return;
        }
        if let Some(login) = self.config.login.clone() {
            self.sign_in(&login);
        }
    }

    /// RFC 4954 §4.
    fn sign_in(&mut self, login: &sasl::Login) {
        let tls = self.peer.tls.as_ref();
        // A password is for a host that has proved its name, in a channel that others cannot read:
        // on this machine there are no others.
        let may_tell = self.config.is_near || tls.is_some_and(|tls| tls.server_name.is_some());
        let chosen = SignIn::choose(&self.peer.auth, login, &self.config.nonce, may_tell);
        let Some(mut sign_in) = chosen else {
            let why = match (self.peer.auth.is_empty(), may_tell) {
                (true, _) => "it offers no sign-in (AUTH)".to_owned(),
                (false, true) => format!("it offers only {}", self.peer.auth),
                (false, false) => format!(
                    "it offers only {}, and a password is not told to a host whose certificate \
                     is not verified",
                    self.peer.auth
                ),
            };
            return self.not_signed_in(why);
        };
        let command = format!("AUTH {} {}", sign_in.mechanism(), sign_in.initial());
        self.say(command.trim_end());
        self.state = State::SignIn(Box::new(sign_in));
    }

    fn sign_in_answered(&mut self, reply: &Reply) {
        let State::SignIn(sign_in) = &mut self.state else { return };
        match reply.code {
            334 => {
                let challenge = reply.lines.first().map_or("", String::as_str);
                match sign_in.respond(challenge) {
                    Ok(response) => self.say(&response),
                    Err(error) => self.not_signed_in(error.to_string()),
                }
            }
            // RFC 5802 §3: with SCRAM a server that does not prove itself is somebody else's.
            235 if sign_in.is_done() => self.state = State::Ready,
            235 => self.not_signed_in("it has not proved that it knows the password".to_owned()),
            _ => self.not_signed_in(format!("it does not let us sign in: {reply}")),
        }
    }

    fn not_signed_in(&mut self, why: String) {
        self.quit();
        self.ask(Asked::Report, Question::NoSession(Setback::NoSignIn(why)));
    }

    /// The server does not want us.
    fn refused(&mut self, stage: Stage, reply: Reply) {
        if reply.code == 421 {
            self.state = State::Closing;
        } else {
            // RFC 5321 §3.1: also after a 554 greeting QUIT is said.
            self.quit();
        }
        let setback = match reply.code / 100 {
            4 | 5 => Setback::Refused { stage, reply },
            _ => Setback::Lost { stage, loss: Loss::Unexpected(reply) },
        };
        self.ask(Asked::Report, Question::NoSession(setback));
    }

    fn quit(&mut self) {
        self.say("QUIT");
        self.state = State::Quit;
    }

    fn finish_message(&mut self, after: After) {
        let next = match after {
            After::On | After::Done => State::Ready,
            After::DoneClose => State::Closing,
        };
        if let State::Message(transaction) = std::mem::replace(&mut self.state, next) {
            self.reset_due |= transaction.needs_reset();
            let said = self.sayings.take();
            self.ask(Asked::Report, Question::Done(transaction.report(said)));
        }
    }

    /// The connection is of no more use.
    fn lose(&mut self, loss: Loss, now: Timestamp) {
        if let Some(phase) = self.phase() {
            self.sayings.over(phase, None, now);
        }
        let stage = match &mut self.state {
            State::Message(transaction) => {
                transaction.lose(&loss);
                return self.finish_message(After::DoneClose);
            }
            State::Greeting => Stage::Greeting,
            State::Ehlo | State::Helo => Stage::Hello,
            State::StartTls | State::TlsDue | State::TlsAwaited => Stage::StartTls,
            State::SignIn(_) => Stage::Hello,
            State::Ready | State::Quit | State::Closing => {
                self.state = State::Closing;
                return;
            }
        };
        self.state = State::Closing;
        self.ask(Asked::Report, Question::NoSession(Setback::Lost { stage, loss }));
    }

    /// How long the reply that is due may take.
    fn wait(&self) -> std::time::Duration {
        let waits = &self.config.waits;
        match &self.state {
            State::Greeting => waits.greeting,
            State::Quit => waits.quit,
            State::Message(transaction) => match transaction.stage() {
                Stage::Data => waits.data,
                Stage::Dot => waits.dot,
                Stage::Greeting
                | Stage::Hello
                | Stage::StartTls
                | Stage::Mail
                | Stage::Rcpt
                | Stage::Between => waits.command,
            },
            State::Ehlo
            | State::Helo
            | State::StartTls
            | State::TlsDue
            | State::TlsAwaited
            | State::SignIn(_)
            | State::Ready
            | State::Closing => waits.command,
        }
    }

    fn message_answered(&mut self, asked: Asked, answer: Answer, now: Timestamp) {
        let State::Message(transaction) = &mut self.state else { return };
        match (asked, answer) {
            (Asked::Body, Answer::Bytes(bytes)) => {
                transaction.write(bytes, &mut self.out);
            }
            (Asked::Body, Answer::End) => {
                transaction.end_content(&mut self.out);
            }
            // Where the connection is gone already, nothing is uncertain.
            (Asked::FinalDot, Answer::Go) if self.peer_closed => {}
            (Asked::FinalDot, Answer::Go) => {
                self.sayings.over(Phase::Content, None, now);
                transaction.final_dot(&mut self.out);
            }
            // `Unreadable`, or an answer to another question: no dot, so no message.
            (_, _) => {
                transaction.decide_rest(&Outcome::Unreadable);
                self.finish_message(After::DoneClose);
            }
        }
    }
}

impl Machine for Client {
    type Question = Question;
    type Answer = Answer;
    type Event = ();

    fn input(&mut self, bytes: &[u8], _now: Timestamp) -> usize {
        match self.state {
            // RFC 3207 §4.2; and what follows the end does not count.
            State::TlsDue | State::TlsAwaited | State::Closing => bytes.len(),
            State::Greeting
            | State::Ehlo
            | State::Helo
            | State::StartTls
            | State::SignIn(_)
            | State::Ready
            | State::Message(_)
            | State::Quit => self.input.take(bytes),
        }
    }

    fn step(&mut self, now: Timestamp) -> Step<Question> {
        if self.asked.is_some() {
            return Step::NeedInput;
        }
        self.sayings.begin_once(now);
        // Ends: every turn uses up input, a question, or the connection.
        loop {
            if let Some((asked, question)) = self.queued.take() {
                self.asked = Some(asked);
                return Step::Ask(question);
            }
            if matches!(self.state, State::Closing) {
                return Step::Close;
            }
            if matches!(self.state, State::TlsDue) {
                self.state = State::TlsAwaited;
                return Step::StartTls;
            }
            // Replies first: one that comes while content goes out must stop it.
            let awaits = !matches!(self.state, State::Ready | State::TlsAwaited);
            match if awaits { self.next_reply() } else { Ok(None) } {
                Ok(Some(reply)) => self.reply(reply, now),
                Err(error) => self.lose(Loss::Garbage(error), now),
                Ok(None) if self.peer_closed => self.lose(Loss::Closed, now),
                Ok(None) if self.advance() => {}
                Ok(None) => {
                    let until = now.after(self.wait());
                    self.wait_until.get_or_insert(until);
                    return Step::NeedInput;
                }
            }
        }
    }

    fn answer(&mut self, answer: Answer, now: Timestamp) {
        self.wait_until = None;
        match self.asked.take() {
            Some(Asked::Next) => match answer {
                Answer::Send(message) => {
                    self.sayings.begin(now);
                    let reset = std::mem::take(&mut self.reset_due);
                    let mut transaction =
                        Transaction::new(*message, &self.peer, reset, self.config.chunking);
                    self.reset_due = reset && !transaction.begins();
                    transaction.send(&self.peer, &mut self.out);
                    self.state = State::Message(Box::new(transaction));
                }
                Answer::Quit
                | Answer::Bytes(_)
                | Answer::End
                | Answer::Unreadable
                | Answer::Go
                | Answer::Noted => self.quit(),
            },
            Some(asked @ (Asked::Body | Asked::FinalDot)) => {
                self.message_answered(asked, answer, now)
            }
            Some(Asked::Report) | None => {}
        }
    }

    fn event(&mut self, (): (), _now: Timestamp) {}

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn tls_started(&mut self, tls: TlsFacts, now: Timestamp) {
        self.sayings.over(Phase::Handshake, None, now);
        Arc::make_mut(&mut self.peer).tls = Some(tls);
        if matches!(self.state, State::TlsAwaited | State::TlsDue) {
            // RFC 3207 §4.2: all that was learned before is forgotten, and EHLO said again.
            self.input.clear();
            self.reader = ReplyReader::default();
            self.hello();
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        if self.asked.is_some() { None } else { self.wait_until }
    }

    fn deadline_passed(&mut self, now: Timestamp) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.lose(Loss::Timeout, now);
        }
    }

    fn peer_closed(&mut self, _now: Timestamp) {
        self.peer_closed = true;
    }

    fn shut_down(&mut self, _now: Timestamp) {
        self.shutting_down = true;
    }
}
