use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::script::Script;
use crate::session::Session;
use crate::tls;

/// A message that a sink has kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Between the angle brackets of MAIL FROM.
    pub reverse_path: String,
    /// Behind them, as sent.
    pub mail_parameters: String,
    /// Between the angle brackets of each RCPT TO that got a 2yz.
    pub recipients: Vec<String>,
    /// Behind them, as sent.
    pub rcpt_parameters: Vec<String>,
    /// The message, dots unstuffed, with its last CRLF.
    pub body: Vec<u8>,
    /// What the client called itself.
    pub helo: String,
    /// Which connection brought it: 1 for the first.
    pub connection: u64,
    /// Whether it came over TLS.
    pub tls: bool,
}

impl Stored {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A command line that a sink has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// 1 for the first.
    pub connection: u64,
    /// Without CRLF.
    pub line: String,
}

/// What has happened at a sink so far.
#[derive(Clone, Debug, Default)]
pub struct SinkState {
    /// Messages kept; empty where the script only counts.
    pub stored: Vec<Stored>,
    /// Messages kept or counted.
    pub count: u64,
    /// Connections ever taken.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// The most that were open at once.
    pub open_max: u64,
    /// Messages whose reply to the dot is being withheld ([`crate::Act::Hold`] at any stage).
    pub held: u64,
    /// Command lines in the order read.
    pub commands: Vec<Command>,
    /// Connections that ended inside a transaction without QUIT.
    pub aborted: u64,
    /// What the client did that no RFC allows.
    pub violations: Vec<String>,
}

impl SinkState {
    /// How many command lines began so (case ignored).
    #[must_use]
    pub fn commands_of(&self, verb: &str) -> usize {
        let begins = |command: &&Command| {
            command.line.get(..verb.len()).is_some_and(|start| start.eq_ignore_ascii_case(verb))
        };
        self.commands.iter().filter(begins).count()
    }
}

/// What the sessions of a sink share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) script: Mutex<Script>,
    pub(crate) state: watch::Sender<SinkState>,
    pub(crate) released: watch::Sender<u64>,
}

/// An SMTP server on loopback that behaves as its [`Script`] says.
#[derive(Debug)]
pub struct Sink {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Sink {
    /// Starts one on a free port of 127.0.0.1.
    pub async fn start(script: Script) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), script).await
    }

    /// Starts one at this address; all of 127.0.0.0/8 is loopback, so that several can share a port
    /// number.
    ///
    /// # Panics
    /// Where it is taken.
    pub async fn start_at(addr: SocketAddr, script: Script) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let acceptor = script.offers("STARTTLS").then(|| match &script.certified {
            Some(certified) => certified.acceptor(),
            None => tls::acceptor(&script.host),
        });
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            state: watch::channel(SinkState::default()).0,
            released: watch::channel(0).0,
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), acceptor));
        Self { addr, shared, accepting: Some(accepting) }
    }

    /// Starts so many on one port number of 127.0.0.x, one address each.
    pub async fn start_several(scripts: Vec<Script>) -> Vec<Self> {
        let mut sinks: Vec<Self> = Vec::with_capacity(scripts.len());
        for script in scripts {
            let addr = match sinks.last().map(Self::addr) {
                None => SocketAddr::from((unique_loopback(), 0)),
                Some(last) => SocketAddr::from((next_address(last.ip()), last.port())),
            };
            sinks.push(Self::start_at(addr, script).await);
        }
        sinks
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Behaves so from now on. (STARTTLS can be offered only if the first script did.)
    pub fn set(&self, script: Script) {
        *self.shared.script.lock().unwrap() = script;
    }

    /// Lets so much time pass for [`Script::greylist_for`]; no other behaviour has this clock.
    pub fn pass(&self, time: Duration) {
        self.shared.script.lock().unwrap().pass(time);
    }

    /// Lets every withheld reply go, those held later too.
    pub fn release(&self) {
        self.shared.released.send_modify(|times| *times += 1);
    }

    /// What has happened so far.
    #[must_use]
    pub fn state(&self) -> SinkState {
        self.shared.state.borrow().clone()
    }

    /// The messages kept so far.
    #[must_use]
    pub fn stored(&self) -> Vec<Stored> {
        self.shared.state.borrow().stored.clone()
    }

    /// Messages kept or counted so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared.state.borrow().count
    }

    /// Waits until the state is as wanted, and returns it.
    ///
    /// # Panics
    /// Where it is not after `limit`.
    pub async fn wait_for(
        &self,
        limit: Duration,
        wanted: impl Fn(&SinkState) -> bool,
    ) -> SinkState {
        let mut state = self.shared.state.subscribe();
        let reached = tokio::time::timeout(limit, state.wait_for(wanted)).await;
        if let Ok(reached) = reached {
            return reached.unwrap().clone();
        }
        panic!("the sink never got there: {:#?}", self.state());
    }

    /// Waits for so many messages.
    ///
    /// # Panics
    /// As `wait_for`.
    pub async fn wait_for_count(&self, limit: Duration, count: u64) -> SinkState {
        self.wait_for(limit, |state| state.count >= count).await
    }

    /// Takes no more connections (they are refused) and cuts those that are open.
    pub async fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // The only outcome of an aborted task that never panics by itself.
            accepting.await.ok();
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

/// An address of 127.0.0.1 where nobody listens: connections are refused.
pub async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, acceptor: Option<TlsAcceptor>) {
    // The sessions live in here: dropped with this task, they are cut.
    let mut sessions = JoinSet::new();
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        number += 1;
        stream.set_nodelay(true).unwrap();
        let session = Session::new(stream, number, Arc::clone(&shared), acceptor.clone());
        sessions.spawn(session.run());
        while sessions.try_join_next().is_some() {}
    }
}

/// An address of 127.0.0.0/8 that parallel test processes will hardly share.
fn unique_loopback() -> IpAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 1 + high % 250, low, 1).into()
}

fn next_address(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() + 1).into(),
        IpAddr::V6(_) => panic!("only 127.0.0.0/8 has several addresses"),
    }
}
