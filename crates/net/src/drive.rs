use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;
use std::{fmt, io};

use mail_types::{Machine, Step, Timestamp};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{Link, Stop, now};

/// Octets of output that are sent before the machine goes on: what a peer that does not read can
/// make us hold, together with one step's output.
const OUTPUT_OCTETS_MAX: usize = 64 * 1024;
/// How long an answer is awaited before pending output is sent: answers that come at once leave
/// with it in one packet (RFC 2920 §3.2 wants replies to a pipelined group in few packets).
const COALESCE: Duration = Duration::from_millis(2);

/// What a service's machine asks.
pub type Question<S> = <<S as Service>::Machine as Machine>::Question;
/// What a service answers.
pub type Answer<S> = <<S as Service>::Machine as Machine>::Answer;
/// What a service tells unasked.
pub type Event<S> = <<S as Service>::Machine as Machine>::Event;

/// The side of a connection that knows and does things: accounts, mailboxes, queues. One value for
/// each connection.
pub trait Service: Send {
    /// The protocol it serves.
    type Machine: Machine<Question: Send, Answer: Send, Event: Send> + Send;

    /// Answers a question. It runs to its end whatever becomes of the connection meanwhile, and
    /// has its own time limits.
    fn answer(&mut self, question: Question<Self>) -> impl Future<Output = Answer<Self>> + Send;

    /// Waits for something the machine should be told unasked. The future is dropped and made
    /// anew whenever something else happens, which must lose no event. Waits for ever by default.
    fn event(&mut self) -> impl Future<Output = Event<Self>> + Send {
        pending()
    }
}

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// The machine closed it, after all output was sent.
    Closed,
    /// The peer closed it first.
    PeerClosed,
    /// Reading or writing failed; also [`io::ErrorKind::TimedOut`] where the peer stopped reading.
    Lost(io::Error),
    /// The TLS handshake failed.
    Handshake(io::Error),
    /// A stop was asked for, and what was under way did not end within the grace time.
    GraceOver,
    /// The machine neither took the bytes it was given nor asked for anything: a bug in it.
    Stuck,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("we closed the connection"),
            Self::PeerClosed => f.write_str("the other side closed the connection"),
            Self::Lost(error) => write!(f, "the connection was lost: {error}"),
            Self::Handshake(error) => write!(f, "the TLS handshake failed: {error}"),
            Self::GraceOver => f.write_str("we are stopping, and it took too long to end"),
            Self::Stuck => f.write_str("our own fault: the session did not go on"),
        }
    }
}

/// Runs a machine over a connection until it ends. However it ends, the machine has been told
/// (`peer_closed`) and its last questions have been answered.
///
/// One buffer of a worker thread is used for reading, so an idle connection holds none. Output is
/// sent when the machine waits or has more than 64 KiB of it; while the peer does not take it, the
/// machine is not stepped, and nothing is read.
pub async fn drive<S: Service>(
    link: &mut Link,
    machine: &mut S::Machine,
    service: &mut S,
    stop: &Stop,
) -> Ended {
    let begins_with_tls = link.begins_with_tls();
    let mut run = Run {
        link,
        machine,
        service,
        stop: stop.clone(),
        unread: Unread::default(),
        writable: true,
        ended: None,
        grace_until: None,
    };
    if begins_with_tls {
        run.start_tls().await;
    }
    run.until_end().await
}

struct Run<'a, S: Service> {
    link: &'a mut Link,
    machine: &'a mut S::Machine,
    service: &'a mut S,
    stop: Stop,
    unread: Unread,
    /// The peer can still be sent something (it may have closed its own side only).
    writable: bool,
    /// Set once nothing more will be read; the machine may still ask and write.
    ended: Option<Ended>,
    /// Set once a stop was asked for.
    grace_until: Option<Instant>,
}

/// What woke a waiting connection.
enum Wake<E> {
    Stop,
    Read(io::Result<usize>),
    Event(E),
    Deadline(Timestamp),
    GraceOver,
}

impl<S: Service> Run<'_, S> {
    async fn until_end(&mut self) -> Ended {
        loop {
            match self.machine.step(now()) {
                Step::NeedInput if self.ended.is_some() => break,
                Step::NeedInput => self.need_input().await,
                // Boxed like a handshake: answering takes much more than waiting, and most
                // connections wait.
                Step::Ask(question) => Box::pin(self.ask(question)).await,
                Step::StartTls if self.ended.is_some() => break,
                Step::StartTls => {
                    self.send().await;
                    if self.ended.is_none() {
                        self.start_tls().await;
                    }
                }
                Step::StartCompression => {
                    self.send().await;
                    // RFC 4978 §3: the client waits for the answer, so nothing is lost here.
                    self.unread = Unread::default();
                    self.link.start_compression();
                }
                Step::Close => break,
            }
            if !self.writable {
                self.machine.output().clear();
            } else if self.machine.output().len() > OUTPUT_OCTETS_MAX {
                self.send().await;
            }
        }
        self.send().await;
        if self.writable {
            Box::pin(self.link.close()).await;
        }
        self.ended.take().unwrap_or(Ended::Closed)
    }

    /// Nothing more will come in: tells the machine, which may still have something to settle.
    fn end(&mut self, how: Ended) {
        self.writable &= matches!(how, Ended::PeerClosed | Ended::Stuck);
        self.unread = Unread::default();
        if self.ended.is_none() {
            self.ended = Some(how);
            self.machine.peer_closed(now());
        }
    }

    async fn send(&mut self) {
        if !self.writable || self.machine.output().is_empty() {
            return;
        }
        if let Err(error) = self.link.send(self.machine.output()).await {
            self.end(Ended::Lost(error));
            self.writable = false;
        }
    }

    async fn start_tls(&mut self) {
        // RFC 3207 §4.2, RFC 2595 §4: what was sent in the clear before the handshake counts for
        // nothing after it.
        self.unread = Unread::default();
        // Boxed, since it is large and short: every connection would carry its size for ever.
        match Box::pin(self.link.start_tls()).await {
            Ok(facts) => self.machine.tls_started(facts, now()),
            Err(error) => self.end(Ended::Handshake(error)),
        }
    }

    /// Feeds what is there, or waits for what comes next.
    async fn need_input(&mut self) {
        if self.grace_until.is_none() && self.stop.is_requested() {
            self.begin_stop();
            return;
        }
        if self.unread.is_empty() {
            self.send().await;
            if self.ended.is_none() {
                self.wait().await;
            }
            return;
        }
        let taken = self.machine.input(self.unread.rest(), now());
        self.unread.took(taken);
        if taken == 0 {
            tracing::error!(peer = %self.link.peer(), "a machine waits, and takes no input");
            self.end(Ended::Stuck);
        }
    }

    fn begin_stop(&mut self) {
        self.grace_until = Some(Instant::now() + self.link.limits.grace);
        self.machine.shut_down(now());
    }

    async fn wait(&mut self) {
        let deadline = self.machine.deadline();
        let Self { link, machine, service, stop, unread, grace_until, .. } = self;
        let stopping = grace_until.is_some();
        let wake = tokio::select! {
            biased;
            () = stop.requested(), if !stopping => Wake::Stop,
            () = grace_over(*grace_until) => Wake::GraceOver,
            // Before reading: a peer that never stops sending must not keep the news away.
            event = service.event() => Wake::Event(event),
            read = link.read(|bytes| {
                let taken = machine.input(bytes, now());
                unread.keep(bytes.get(taken..).unwrap_or_default());
                bytes.len()
            }) => Wake::Read(read),
            at = reached(deadline) => Wake::Deadline(at),
        };
        match wake {
            Wake::Stop => self.begin_stop(),
            Wake::Read(Ok(0)) => self.end(Ended::PeerClosed),
            Wake::Read(Ok(_)) => {}
            Wake::Read(Err(error)) => self.end(Ended::Lost(error)),
            Wake::Event(event) => self.machine.event(event, now()),
            Wake::Deadline(at) => self.machine.deadline_passed(now().max(at)),
            Wake::GraceOver => self.end(Ended::GraceOver),
        }
    }

    /// Has the service answer, and passes the answer on.
    async fn ask(&mut self, question: Question<S>) {
        let (answer, sent) = self.answered(question).await;
        self.machine.answer(answer, now());
        if let Err(error) = sent {
            self.end(Ended::Lost(error));
        }
    }

    /// What is ready to be sent goes out meanwhile, unless the answer comes so soon that both fit
    /// into one packet. The answer is never given up: it may be a commit.
    async fn answered(&mut self, question: Question<S>) -> (Answer<S>, io::Result<()>) {
        let output = self.machine.output();
        let mut answering = pin!(self.service.answer(question));
        if !self.writable || output.is_empty() {
            return (answering.await, Ok(()));
        }
        match timeout(COALESCE, answering.as_mut()).await {
            Ok(answer) => (answer, Ok(())),
            Err(_) => tokio::join!(answering, self.link.send(output)),
        }
    }
}

/// Waits until the deadline. It is a moment of the wall clock, but what protocols mean is a time
/// to wait: a clock that is set back meanwhile does not prolong it.
async fn reached(deadline: Option<Timestamp>) -> Timestamp {
    match deadline {
        Some(at) => {
            sleep(at.since(now())).await;
            at
        }
        None => pending().await,
    }
}

async fn grace_over(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}

/// Bytes read that the machine did not take yet: less than one read's worth, since nothing is read
/// while some are left. Holds no memory when empty.
#[derive(Default)]
struct Unread {
    bytes: Vec<u8>,
    taken: usize,
}

impl Unread {
    const fn is_empty(&self) -> bool {
        self.taken >= self.bytes.len()
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            *self = Self { bytes: bytes.to_vec(), taken: 0 };
        }
    }

    fn took(&mut self, count: usize) {
        self.taken += count;
        if self.is_empty() {
            *self = Self::default();
        }
    }
}
