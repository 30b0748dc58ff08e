//! A protocol of lines, to run the driver with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mail_types::{Machine, Step, Timestamp, TlsFacts};
use net::{Ended, LinkLimits, Security, SelfSigned, ServerTls, Service, Stop};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};

/// No wait in the tests is longer: reached only by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

const LINE_MAX: usize = 1024;
const BIG_STEP: usize = 16 * 1024;

/// A question, and what to write with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    Echo(String),
    Slow(String),
    Panic,
}

#[derive(Default)]
pub struct Toy {
    input: Vec<u8>,
    output: Vec<u8>,
    open: bool,
    closing: bool,
    stopping: bool,
    big_left: usize,
    stuck: bool,
    hold: bool,
    pub idle: Option<Duration>,
    deadline: Option<Timestamp>,
    pub tls: Option<TlsFacts>,
    pub output_most: usize,
    /// Lines a client sends of itself, one after each line it receives.
    pub client_lines: Vec<&'static str>,
    pub received: Vec<String>,
}

impl Toy {
    pub fn new(idle: Option<Duration>) -> Self {
        Self { idle, deadline: idle.map(|idle| net::now().after(idle)), ..Self::default() }
    }

    fn say(&mut self, line: &str) {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, line: String) -> Step<Ask> {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let question = match word {
            "ECHO" => Ask::Echo(rest.to_owned()),
            "SLOW" => Ask::Slow(rest.to_owned()),
            "PANIC" => Ask::Panic,
            "QUIT" => {
                self.say("bye");
                return Step::Close;
            }
            "STARTTLS" => {
                self.say("go");
                self.input.clear();
                return Step::StartTls;
            }
            "DEFLATE" => {
                self.say("packed from here");
                return Step::StartCompression;
            }
            "BIG" => {
                self.big_left = rest.parse().unwrap();
                return Step::NeedInput;
            }
            "STUCK" => {
                self.stuck = true;
                self.say("stuck");
                return Step::NeedInput;
            }
            "HOLD" => {
                self.hold = true;
                self.say("holding");
                return Step::NeedInput;
            }
            _ => {
                self.received.push(line);
                match self.client_lines.first() {
                    Some(&"<TLS>") => {
                        self.client_lines.remove(0);
                        return Step::StartTls;
                    }
                    Some(&"<CLOSE>") => return Step::Close,
                    Some(line) => {
                        self.say(line);
                        self.client_lines.remove(0);
                    }
                    None => self.say("what?"),
                }
                return Step::NeedInput;
            }
        };
        self.open = true;
        Step::Ask(question)
    }
}

impl Machine for Toy {
    type Question = Ask;
    type Answer = String;
    type Event = String;

    fn input(&mut self, bytes: &[u8], now: Timestamp) -> usize {
        if self.stuck {
            return 0;
        }
        self.deadline = self.idle.map(|idle| now.after(idle));
        let taken = bytes.len().min(LINE_MAX - self.input.len());
        self.input.extend_from_slice(&bytes[..taken]);
        taken
    }

    fn step(&mut self, _: Timestamp) -> Step<Ask> {
        self.output_most = self.output_most.max(self.output.len());
        loop {
            if self.closing {
                return Step::Close;
            }
            if self.big_left > 0 {
                let octets = self.big_left.min(BIG_STEP);
                self.big_left -= octets;
                self.output.resize(self.output.len() + octets, b'x');
                if self.big_left == 0 {
                    self.output.extend_from_slice(b"\r\n");
                }
                // A question, so that the driver sends between the steps.
                self.open = true;
                return Step::Ask(Ask::Echo(String::new()));
            }
            let Some(end) = self.input.windows(2).position(|two| two == b"\r\n") else {
                if self.stopping && !self.hold {
                    self.say("stopping");
                    return Step::Close;
                }
                return Step::NeedInput;
            };
            let line = String::from_utf8(self.input[..end].to_vec()).unwrap();
            self.input.drain(..end + 2);
            match self.line(line) {
                Step::NeedInput if !self.stuck => {}
                other => return other,
            }
        }
    }

    fn answer(&mut self, answer: String, _: Timestamp) {
        assert!(self.open, "an answer to no question");
        self.open = false;
        if !answer.is_empty() {
            self.say(&answer);
        }
    }

    fn event(&mut self, event: String, _: Timestamp) {
        self.say(&format!("* {event}"));
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn tls_started(&mut self, tls: TlsFacts, _: Timestamp) {
        if !self.client_lines.is_empty() {
            let line = self.client_lines.remove(0);
            self.say(line);
        } else {
            self.say(&format!("secure {}", tls.version));
        }
        self.tls = Some(tls);
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    fn deadline_passed(&mut self, now: Timestamp) {
        assert!(self.deadline.is_some_and(|at| now >= at));
        self.say("too slow");
        self.closing = true;
    }

    fn peer_closed(&mut self, _: Timestamp) {
        self.received.push("<closed>".to_owned());
    }

    fn shut_down(&mut self, _: Timestamp) {
        self.stopping = true;
    }
}

/// What a [`Slow`](Ask::Slow) question waits for, and how many wait or were answered.
#[derive(Default)]
pub struct Gate {
    pub open: Notify,
    pub asked: AtomicUsize,
    pub answered: AtomicUsize,
}

pub struct ToyService {
    pub gate: Arc<Gate>,
    pub events: mpsc::UnboundedReceiver<String>,
}

impl Service for ToyService {
    type Machine = Toy;

    async fn answer(&mut self, question: Ask) -> String {
        match question {
            Ask::Echo(text) => text,
            Ask::Slow(text) => {
                self.gate.asked.fetch_add(1, Ordering::SeqCst);
                self.gate.open.notified().await;
                self.gate.answered.fetch_add(1, Ordering::SeqCst);
                text
            }
            Ask::Panic => panic!("asked for"),
        }
    }

    async fn event(&mut self) -> String {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

pub struct Running {
    pub address: SocketAddr,
    pub gate: Arc<Gate>,
    pub events: mpsc::UnboundedSender<String>,
    pub ended: oneshot::Receiver<(Ended, Toy)>,
}

/// Serves one connection with a toy.
pub async fn serve_one(security: Security, limits: LinkLimits, toy: Toy, stop: Stop) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gate = Arc::new(Gate::default());
    let (events, receiver) = mpsc::unbounded_channel();
    let (sender, ended) = oneshot::channel();
    let mut service = ToyService { gate: Arc::clone(&gate), events: receiver };
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut link = net::Link::new(stream, security).unwrap();
        link.limits = limits;
        let mut toy = toy;
        let how = net::drive(&mut link, &mut toy, &mut service, &stop).await;
        sender.send((how, toy)).map_err(|_| "nobody waits").unwrap();
    });
    Running { address, gate, events, ended }
}

/// The next line, without its end; `<end>` where there is none.
pub async fn line<R: AsyncRead + Unpin>(reader: &mut BufReader<R>) -> String {
    let mut line = String::new();
    let read = tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await;
    match read.expect("no line in time") {
        Ok(0) | Err(_) => "<end>".to_owned(),
        Ok(_) => line.trim_end().to_owned(),
    }
}

pub async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !reached() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::task::yield_now().await;
    }
}

pub fn certificate() -> SelfSigned {
    net::self_signed(&["mail.example.org".to_owned(), "127.0.0.1".to_owned()], net::now()).unwrap()
}

pub fn server_tls(certificate: &SelfSigned) -> ServerTls {
    ServerTls::from_pem(certificate.certificate_pem.as_bytes(), certificate.key_pem.as_bytes())
        .unwrap()
}
