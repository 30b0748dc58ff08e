//! Many connections that send marked messages and keep the list of what was acknowledged.
//!
//! One thread, prebuilt messages, and with PIPELINING (RFC 2920 §3.1) one write and one read a
//! message: the next envelope goes in the same write as the message before it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::latency::Latency;
use crate::random::Random;
use crate::template::Template;
use crate::token::Token;
use crate::wire::Wire;
pub use crate::wire::{SignIn, WireError};

/// How long a client that keeps trying waits before it connects again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);
/// Broken connections and refusals kept with their words; more are only counted.
const COMPLAINTS_MAX: usize = 100;

/// What to send, to whom, how.
#[derive(Clone, Debug)]
pub struct Load {
    /// Port 25 or 587 of the server.
    pub server: SocketAddr,
    /// Connections at the same time.
    pub connections: usize,
    /// Messages in all.
    pub messages: u64,
    /// Bytes of each, header included.
    pub message_bytes: usize,
    /// Share of its lines that are all alike.
    pub compressible_percent: u8,
    /// Reverse-path and From.
    pub from: String,
    /// Signs in with AUTH PLAIN where given.
    pub sign_in: Option<SignIn>,
    /// Recipients, taken round robin.
    pub recipients: Vec<String>,
    /// How many of them each message has.
    pub recipients_per_message: usize,
    /// Messages after which a connection ends and another begins.
    pub messages_per_connection: u64,
    /// The run that names the tokens.
    pub run: u32,
    /// Notes the time after every so many acknowledged messages; 0 for never.
    pub slice_messages: u64,
    /// How long a reply may take.
    pub reply_wait: Duration,
    /// Connects again when a connection breaks, until all is sent or `stop` is set.
    pub keep_trying: bool,
}

impl Load {
    /// 1,000 messages of 4 KiB over 8 connections, half compressible.
    #[must_use]
    pub fn new(server: SocketAddr, recipients: Vec<String>) -> Self {
        Self {
            server,
            connections: 8,
            messages: 1_000,
            message_bytes: 4096,
            compressible_percent: 50,
            from: "load@load.invalid".to_owned(),
            sign_in: None,
            recipients,
            recipients_per_message: 1,
            messages_per_connection: 200,
            run: 0,
            slice_messages: 0,
            reply_wait: Duration::from_secs(60),
            keep_trying: false,
        }
    }

    fn recipients_of(&self, token: Token) -> impl Iterator<Item = u32> + use<> {
        let count = self.recipients.len() as u64;
        let width = self.recipients_per_message as u64;
        let first = token.sequence * width;
        (first..first + width).map(move |place| (place % count) as u32)
    }
}

/// One (message, recipient) and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The message.
    pub token: Token,
    /// Index into [`Load::recipients`].
    pub recipient: u32,
    /// What the server said after the dot (without the code), or why there is no answer.
    pub answer: Box<str>,
}

/// What a load saw.
#[derive(Debug, Default)]
pub struct Outcome {
    /// `250` after the dot: custody is the server's.
    pub acknowledged: Vec<Sent>,
    /// The dot may have arrived, the reply did not: one copy or none may exist.
    pub uncertain: Vec<Sent>,
    /// Refused at MAIL, RCPT, DATA or after the dot: no copy may exist.
    pub refused: Vec<Sent>,
    /// Messages acknowledged (each once, however many recipients it has).
    pub messages: u64,
    /// Connections that broke, with the reason of the first ones.
    pub broken: u64,
    /// Their reasons, at most 100.
    pub complaints: Vec<String>,
    /// From the last byte of the message written to its reply read.
    pub latency: Latency,
    /// From the start to the last reply.
    pub elapsed: Duration,
    /// When each slice was complete, since the start.
    pub slices: Vec<Duration>,
}

impl Outcome {
    /// Messages acknowledged per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Told of every acknowledgement at once: token, recipient, answer.
pub type Report = Box<dyn FnMut(Token, &str, &str)>;

/// Runs a load to its end, or until `stop` is set and the messages under way are answered.
///
/// # Errors
/// Only where the runtime cannot be made or there is no recipient; what the server does to the
/// connections is in the outcome.
pub fn run(
    load: &Load,
    stop: &Arc<AtomicBool>,
    report: Option<Report>,
) -> std::io::Result<Outcome> {
    if load.recipients.is_empty() || load.recipients_per_message == 0 {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "no recipients"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = Rc::new(Shared {
        load: load.clone(),
        stop: Arc::clone(stop),
        started: Instant::now(),
        tally: RefCell::default(),
        next: std::cell::Cell::new(0),
        report: RefCell::new(report),
    });
    let local = tokio::task::LocalSet::new();
    for index in 0..load.connections {
        local.spawn_local(work(Rc::clone(&shared), index));
    }
    runtime.block_on(local);
    let mut outcome = shared.tally.take();
    outcome.elapsed = outcome.elapsed.max(Duration::from_nanos(1));
    Ok(outcome)
}

struct Shared {
    load: Load,
    stop: Arc<AtomicBool>,
    started: Instant,
    tally: RefCell<Outcome>,
    next: std::cell::Cell<u64>,
    report: RefCell<Option<Report>>,
}

impl Shared {
    fn take(&self) -> Option<Token> {
        let sequence = self.next.get();
        if sequence >= self.load.messages || self.stop.load(Ordering::Relaxed) {
            return None;
        }
        self.next.set(sequence + 1);
        Some(Token { run: self.load.run, sequence })
    }

    fn acknowledged(&self, token: Token, recipients: &[u32], answer: &str, took: Duration) {
        let mut tally = self.tally.borrow_mut();
        for &recipient in recipients {
            if let Some(report) = self.report.borrow_mut().as_mut() {
                report(token, &self.load.recipients[recipient as usize], answer);
            }
            tally.acknowledged.push(Sent { token, recipient, answer: answer.into() });
        }
        tally.messages += 1;
        tally.latency.record(took);
        tally.elapsed = self.started.elapsed();
        if self.load.slice_messages > 0 && tally.messages.is_multiple_of(self.load.slice_messages) {
            let now = tally.elapsed;
            tally.slices.push(now);
        }
    }

    fn uncertain(&self, token: Token, recipients: &[u32], why: &WireError) {
        let answer: Box<str> = why.to_string().into();
        let sent =
            recipients.iter().map(|&recipient| Sent { token, recipient, answer: answer.clone() });
        self.tally.borrow_mut().uncertain.extend(sent);
    }

    fn refused(&self, token: Token, recipient: u32, answer: String) {
        let mut tally = self.tally.borrow_mut();
        if tally.complaints.len() < COMPLAINTS_MAX {
            tally.complaints.push(answer.clone());
        }
        tally.refused.push(Sent { token, recipient, answer: answer.into() });
    }

    fn broken(&self, why: &WireError) {
        let mut tally = self.tally.borrow_mut();
        tally.broken += 1;
        if tally.complaints.len() < COMPLAINTS_MAX {
            tally.complaints.push(why.to_string());
        }
    }
}

async fn work(shared: Rc<Shared>, index: usize) {
    let load = &shared.load;
    let mut random = Random::new(u64::from(load.run) << 16 ^ index as u64);
    let mut template =
        Template::new(&load.from, load.message_bytes, load.compressible_percent, &mut random);
    while shared.next.get() < load.messages && !shared.stop.load(Ordering::Relaxed) {
        if let Err(why) = session(&shared, &mut template).await {
            shared.broken(&why);
            if !load.keep_trying {
                return;
            }
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    }
}

/// One connection, from greeting to QUIT.
async fn session(shared: &Shared, template: &mut Template) -> Result<(), WireError> {
    let load = &shared.load;
    let mut wire = Wire::open(load.server, load.sign_in.as_ref(), load.reply_wait).await?;
    let mut out = Vec::with_capacity(load.message_bytes + 1024);
    let mut next = shared.take();
    if let Some(token) = next.filter(|_| wire.pipelining) {
        push_envelope(load, token, &mut out);
        wire.write(&out).await?;
    }
    let mut begun = 1;
    while let Some(token) = next {
        let accepted = envelope(shared, &mut wire, token).await?;
        next = if begun < load.messages_per_connection { shared.take() } else { None };
        begun += 1;
        out.clear();
        if !accepted.is_empty() {
            out.extend_from_slice(template.with_token(token));
        }
        if let Some(token) = next.filter(|_| wire.pipelining) {
            push_envelope(load, token, &mut out);
        }
        let written = Instant::now();
        let answer = match wire.write(&out).await {
            Ok(()) if accepted.is_empty() => continue,
            Ok(()) => wire.reply().await,
            Err(why) => Err(why),
        };
        match answer {
            Ok(250) => shared.acknowledged(token, &accepted, wire.text(), written.elapsed()),
            Ok(code) => {
                for &recipient in &accepted {
                    shared.refused(token, recipient, format!("dot: {code} {}", wire.text()));
                }
            }
            Err(why) => {
                shared.uncertain(token, &accepted, &why);
                return Err(why);
            }
        }
    }
    wire.write(b"QUIT\r\n").await?;
    wire.reply().await.map(|_| ())
}

fn push_envelope(load: &Load, token: Token, out: &mut Vec<u8>) {
    out.extend_from_slice(b"MAIL FROM:<");
    out.extend_from_slice(load.from.as_bytes());
    out.extend_from_slice(b">\r\n");
    for recipient in load.recipients_of(token) {
        out.extend_from_slice(b"RCPT TO:<");
        out.extend_from_slice(load.recipients[recipient as usize].as_bytes());
        out.extend_from_slice(b">\r\n");
    }
    out.extend_from_slice(b"DATA\r\n");
}

/// Reads the replies of one envelope (and sends its commands, where they were not pipelined).
/// The recipients that were taken; none when no message may follow.
async fn envelope(shared: &Shared, wire: &mut Wire, token: Token) -> Result<Vec<u32>, WireError> {
    let load = &shared.load;
    let mut commands = Vec::new();
    push_envelope(load, token, &mut commands);
    let mut commands = commands.split_inclusive(|&byte| byte == b'\n');
    let mut step = async |wire: &mut Wire| {
        let command = commands.next().unwrap_or_default();
        if !wire.pipelining {
            wire.write(command).await?;
        }
        wire.reply().await
    };
    let mail = step(wire).await?;
    let mail_text = wire.text().to_owned();
    let mut accepted = Vec::with_capacity(load.recipients_per_message);
    for recipient in load.recipients_of(token) {
        match step(wire).await? {
            250 | 251 if mail == 250 => accepted.push(recipient),
            _ if mail != 250 => {
                shared.refused(token, recipient, format!("MAIL: {mail} {mail_text}"));
            }
            code => shared.refused(token, recipient, format!("RCPT: {code} {}", wire.text())),
        }
    }
    let data = step(wire).await?;
    if data == 354 && accepted.is_empty() {
        // RFC 2920 §3.1: a server may take DATA without recipients; an empty message ends it.
        wire.write(b".\r\n").await?;
        wire.reply().await?;
    } else if data != 354 {
        for recipient in accepted.drain(..) {
            shared.refused(token, recipient, format!("DATA: {data} {}", wire.text()));
        }
    }
    Ok(accepted)
}
