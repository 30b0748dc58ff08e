//! Client dialogs: `tests/dialogs/client/*.txt`.
//!
//! `S:` a line of the server with its CRLF, `s:` octets without one (escapes as in `dialog.rs`).
//! `C:` what the client sends, `Q:` what it asks or reports. `@ setup tls=…`, then messages to send:
//! `@ message FROM TO… [SIZE=n] [8BIT] [UTF8] [DSN] [content=…] [unreadable]`; `@ connect` begins;
//! `@ tls`, `@ close`, `@ timeout`, `@ shutdown` happen at their place. Server lines that follow
//! each other directly come in one piece, and in every other way too, with the same result.

use std::collections::VecDeque;
use std::fmt::Write as _;

use mail_types::{Address, Domain, Machine as _, Priority, ReversePath, Step, Timestamp, TlsFacts};
use smtp_machine::client::{Answer, Client, Config, Loss, Message, Outcome, Question, Tls, Waits};
use smtp_machine::{BodyType, MailParams, Notify, Orcpt, Recipient, Ret};

use crate::dialog::{Pieces, check, pieces_of, unescape};

pub fn config(tls: Tls) -> Config {
    Config {
        hostname: Domain::new("mx.example.org").unwrap(),
        tls,
        is_proven: false,
        login: None,
        is_near: false,
        nonce: "nonce".to_owned(),
        chunking: true,
        waits: Waits::default(),
    }
}

/// A service that sends a list of messages.
#[derive(Debug, Default)]
pub struct Sending {
    pub messages: VecDeque<(Message, Vec<u8>)>,
    /// Content not yet given out; `None` for one that cannot be read.
    pub content: VecDeque<Option<Vec<u8>>>,
    pub log: Vec<String>,
    pub outcomes: Vec<Outcome>,
    /// Octets of a piece of content.
    pub piece: usize,
}

impl Sending {
    pub fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Next(_) => match self.messages.pop_front() {
                None => Answer::Quit,
                Some((message, content)) => {
                    let unreadable = content == b"unreadable";
                    let pieces = content.chunks(self.piece.max(1));
                    self.content = pieces.map(|piece| Some(piece.to_vec())).collect();
                    if unreadable {
                        self.content = [Some(b"part".to_vec()), None].into();
                    }
                    Answer::Send(Box::new(message))
                }
            },
            Question::Body => match self.content.pop_front() {
                Some(Some(bytes)) => Answer::Bytes(bytes),
                Some(None) => Answer::Unreadable,
                None => Answer::End,
            },
            Question::FinalDot { taken } => {
                self.log.push(format!("final dot for {taken:?}"));
                Answer::Go
            }
            Question::Done(report) => {
                for outcome in &report.outcomes {
                    self.log.push(outcome_text(outcome));
                }
                if report.dsn {
                    self.log.push("the server reports".into());
                }
                self.outcomes.extend(report.outcomes);
                Answer::Noted
            }
            Question::NoSession(setback) => {
                self.log.push(format!("no session: {setback:?}"));
                Answer::Noted
            }
        }
    }
}

fn outcome_text(outcome: &Outcome) -> String {
    let loss_text = |loss: &Loss| match loss {
        Loss::Unexpected(reply) => format!("unexpected {reply}"),
        other => format!("{other:?}"),
    };
    match outcome {
        Outcome::Taken(reply) => format!("taken: {reply}"),
        Outcome::Refused { stage, reply } => format!("refused at {stage:?}: {reply}"),
        Outcome::Lost { stage, loss } => format!("lost at {stage:?}: {}", loss_text(loss)),
        Outcome::Uncertain(loss) => format!("uncertain: {}", loss_text(loss)),
        Outcome::Lacks(lack) => format!("lacks {lack:?}"),
        Outcome::Unreadable => "unreadable".into(),
        Outcome::NoChunking(reply) => format!("no chunking: {reply}"),
    }
}

struct Connection {
    client: Client,
    service: Sending,
    now: Timestamp,
    closed: bool,
    /// A line of the client whose end has not come yet.
    unfinished: Vec<u8>,
}

impl Connection {
    fn run(&mut self) -> String {
        let mut said = String::new();
        while !self.closed {
            let step = self.client.step(self.now);
            self.unfinished.append(self.client.output());
            while let Some(end) = self.unfinished.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.unfinished.drain(..end + 2).collect();
                writeln!(said, "C: {}", str::from_utf8(&line[..end]).unwrap()).unwrap();
            }
            if matches!(step, Step::Close) && !self.unfinished.is_empty() {
                writeln!(said, "c: {}", str::from_utf8(&self.unfinished).unwrap()).unwrap();
            }
            match step {
                Step::NeedInput => break,
                Step::Ask(question) => {
                    let answer = self.service.answer(question);
                    for line in self.service.log.drain(..) {
                        writeln!(said, "Q: {line}").unwrap();
                    }
                    self.client.answer(answer, self.now);
                }
                Step::StartTls => {
                    said.push_str("C: <TLS handshake>\n");
                    break;
                }
                Step::StartCompression | Step::Close => {
                    said.push_str("C: <close>\n");
                    self.closed = true;
                }
            }
        }
        said
    }

    fn feed(&mut self, octets: &[u8], pieces: Pieces) -> String {
        let mut said = String::new();
        for piece in pieces_of(octets, pieces) {
            let taken = self.client.input(piece, self.now);
            assert_eq!(taken, piece.len());
            said.push_str(&self.run());
        }
        said
    }

    fn event(&mut self, event: &str) -> String {
        match event.split_whitespace().collect::<Vec<_>>()[..] {
            ["tls"] => self.client.tls_started(TlsFacts::default(), self.now),
            ["close"] => self.client.peer_closed(self.now),
            ["shutdown"] => self.client.shut_down(self.now),
            ["timeout"] => {
                let deadline = self.client.deadline().expect("a deadline");
                let secs = deadline.since(self.now).as_secs();
                self.now = deadline;
                self.client.deadline_passed(self.now);
                return format!("Q: after {secs} s\n{}", self.run());
            }
            ["connect"] => {}
            ref other => panic!("unknown event {other:?}"),
        }
        self.run()
    }
}

/// `FROM TO… [WORDS]`.
fn message(text: &str) -> (Message, Vec<u8>) {
    let mut words = text.split(' ');
    let reverse_path = match words.next().unwrap() {
        "<>" => ReversePath::Null,
        address => ReversePath::Address(Address::parse(address).unwrap()),
    };
    let mut message =
        Message { reverse_path, params: MailParams::default(), recipients: Vec::new() };
    let mut content = b"body\r\n".to_vec();
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("SIZE", size) => message.params.size = Some(size.parse().unwrap()),
            ("8BIT", _) => message.params.body = BodyType::EightBitMime,
            ("UTF8", _) => message.params.smtputf8 = true,
            ("PRIORITY", number) => {
                message.params.priority = Priority::new(number.parse().unwrap());
            }
            ("BY", by) => message.params.by = Some(by.parse().unwrap()),
            ("unreadable", _) => content = b"unreadable".to_vec(),
            ("content", text) => content = unescape(text),
            ("DSN", _) => {
                message.params.ret = Some(Ret::Headers);
                message.params.envid = Some("id 1".into());
                for recipient in &mut message.recipients {
                    let (success, failure, delay) = (true, true, false);
                    recipient.notify = Some(Notify::On { success, failure, delay });
                    let (addr_type, address) = ("rfc822".into(), "ann+x@example.org".into());
                    recipient.orcpt = Some(Orcpt { addr_type, address });
                }
            }
            ("many", count) => (0..count.parse().unwrap()).for_each(|number: u32| {
                let address = Address::parse(&format!("u{number}@example.com")).unwrap();
                message.recipients.push(Recipient::new(address));
            }),
            (address, _) => {
                message.recipients.push(Recipient::new(Address::parse(address).unwrap()));
            }
        }
    }
    (message, content)
}

fn play(text: &str, pieces: Pieces) -> String {
    let mut tls = Tls::Never;
    let piece = match pieces {
        Pieces::Whole => 65_536,
        Pieces::Octets => 1,
        Pieces::Random(seed) => seed as usize + 2,
    };
    let mut service = Sending { piece, ..Sending::default() };
    for line in text.lines() {
        match line {
            "@ setup tls=opportunistic" => tls = Tls::Opportunistic,
            "@ setup tls=required" => tls = Tls::Required,
            "@ setup tls=implicit" => tls = Tls::Implicit,
            _ => {}
        }
        if let Some(text) = line.strip_prefix("@ message ") {
            service.messages.push_back(message(text));
        }
    }
    let client = Client::new(config(tls));
    let now = Timestamp::from_secs(1_000_000);
    let mut connection = Connection { client, service, now, closed: false, unfinished: Vec::new() };
    let mut played = String::new();
    let mut unsent = Vec::new();
    for line in text.lines() {
        let (kind, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        if !matches!(kind, "S:" | "s:") && !unsent.is_empty() {
            played.push_str(&connection.feed(&std::mem::take(&mut unsent), pieces));
        }
        if matches!(kind, "C:" | "c:" | "Q:") {
            continue;
        }
        played.push_str(line);
        played.push('\n');
        match kind {
            "S:" | "s:" => {
                unsent.extend(unescape(rest));
                if kind == "S:" {
                    unsent.extend_from_slice(b"\r\n");
                }
            }
            "@ " if !rest.starts_with("setup")
                && rest != "together"
                && !rest.starts_with("message") =>
            {
                played.push_str(&connection.event(rest));
            }
            _ => {}
        }
    }
    played.push_str(&connection.feed(&unsent, pieces));
    played
}

#[test]
fn client_dialogs() {
    check("client", play);
}

/// draft-murchison-sasl-login, the only way of some smart hosts; without TLS on this machine alone.
#[test]
fn name_and_password_are_told_one_after_the_other_and_to_nobody_in_between() {
    let login =
        sasl::Login { name: "user".to_owned(), password: sasl::Secret::new("pencil".to_owned()) };
    let login = Some(std::sync::Arc::new(login));
    for is_near in [true, false] {
        let client = Client::new(Config { login: login.clone(), is_near, ..config(Tls::Never) });
        let (service, now) = (Sending::default(), Timestamp::from_secs(1_000_000));
        let mut connection =
            Connection { client, service, now, closed: false, unfinished: Vec::new() };
        let mut said = connection.run();
        for line in [
            "220 there",
            "250-there\r\n250 AUTH LOGIN",
            "334 VXNlcm5hbWU6",
            "334 UGFzc3dvcmQ6",
            "235 in",
        ] {
            said.push_str(&connection.feed(format!("{line}\r\n").as_bytes(), Pieces::Whole));
        }
        let told = "C: AUTH LOGIN\nC: dXNlcg==\nC: cGVuY2ls\n";
        assert_eq!(said.contains(told), is_near, "{said}");
        assert_eq!(said.contains("cGVuY2ls"), is_near, "{said}");
        assert_eq!(said.contains("NoSignIn"), !is_near, "{said}");
    }
}
