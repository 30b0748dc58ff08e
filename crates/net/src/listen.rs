use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, future, io};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::places::Slot;
use crate::{Link, LinkLimits, Peer, Places, Security, Stop};

/// Waits after an accept that failed for want of file descriptors or memory: first and longest.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Addresses of one listener.
const ADDRESSES_MAX: usize = 64;

/// What a listener allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenLimits {
    /// Connections open at a time. Default 4096.
    pub connections_max: usize,
    /// Of these from one IPv4 address or IPv6 /64. Default 64.
    pub connections_per_source_max: usize,
    /// Whether loopback counts as a source. Default no.
    pub loopback_is_counted: bool,
    /// How long a stop waits for open connections before it cuts them off. Default 15 s; longer
    /// than [`LinkLimits::grace`], which ends those that only wait for their peer.
    pub stop_wait: Duration,
    /// How long a connection behind a proxy may take to say whose it is. Default 5 s.
    pub proxy_header: Duration,
    /// Of each connection.
    pub link: LinkLimits,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connections_per_source_max: 64,
            loopback_is_counted: false,
            stop_wait: Duration::from_secs(15),
            proxy_header: Duration::from_secs(5),
            link: LinkLimits::default(),
        }
    }
}

/// Why nothing can be listened to.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The operating system refuses the address.
    #[error("{name} cannot listen on {address}: {source}")]
    Bind {
        /// The listener's.
        name: String,
        /// As configured.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// No address, or more than 64.
    #[error("{name} needs 1 to 64 addresses to listen on, not {count}")]
    Addresses {
        /// The listener's.
        name: String,
        /// As configured.
        count: usize,
    },
}

/// How a listener's stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that had not ended in time and were cut off.
    pub cut_off: usize,
}

/// Says which proxies may tell whose connections they pass on.
pub type Trusted = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// The addresses of one service, bound but not yet served.
pub struct Listener {
    name: Arc<str>,
    sockets: Vec<Socket>,
    security: Security,
    limits: ListenLimits,
    /// Sent to a connection over a limit, before it is closed (not under implicit TLS).
    refusal: &'static [u8],
    places: Places,
    /// Where every connection must come from a proxy: which ones are believed.
    proxies: Option<Trusted>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let behind_proxies = self.proxies.is_some();
        f.debug_struct("Listener")
            .field("name", &self.name)
            .field("sockets", &self.sockets)
            .field("behind_proxies", &behind_proxies)
            .finish_non_exhaustive()
    }
}

/// What connections come in at.
#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What came in.
enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// Binds all addresses, or none. `name` is for logs; `refusal` is what a connection over a
    /// limit is told, for example `421 4.7.0 Too many connections\r\n`. Must run within tokio.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn bind(
        name: &str,
        addresses: &[SocketAddr],
        security: Security,
        limits: ListenLimits,
        refusal: &'static [u8],
    ) -> Result<Self, ListenError> {
        if !(1..=ADDRESSES_MAX).contains(&addresses.len()) {
            return Err(ListenError::Addresses { name: name.to_owned(), count: addresses.len() });
        }
        // IPv6 first: `[::]` takes IPv4, too, where the system is set so (Linux is), and then
        // `0.0.0.0` of the same port is covered already.
        let mut ordered = addresses.to_vec();
        ordered.sort_by_key(SocketAddr::is_ipv4);
        let mut sockets = Vec::with_capacity(ordered.len());
        for address in ordered {
            match bind(address) {
                Ok(socket) => sockets.push(Socket::Tcp(socket)),
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse && covered(address, &sockets) => {}
                Err(source) => {
                    return Err(ListenError::Bind { name: name.to_owned(), address, source });
                }
            }
        }
        Ok(Self::of(name, sockets, security, limits, refusal))
    }

    /// Takes over a Unix socket that is bound. There is no TLS on it; whoever may open its file
    /// may connect.
    #[must_use]
    pub fn unix(
        name: &str,
        socket: UnixListener,
        limits: ListenLimits,
        refusal: &'static [u8],
    ) -> Self {
        Self::of(name, vec![Socket::Unix(socket)], Security::Plain, limits, refusal)
    }

    fn of(
        name: &str,
        sockets: Vec<Socket>,
        security: Security,
        limits: ListenLimits,
        refusal: &'static [u8],
    ) -> Self {
        let (name, places) = (Arc::from(name), Places::default());
        Self { name, sockets, security, limits, refusal, places, proxies: None }
    }

    /// Every TCP connection must come from a trusted proxy and begin with its PROXY header, which
    /// names the client; limits then count the client. Others are closed without a word.
    #[must_use]
    pub fn behind_proxies(self, trusted: Trusted) -> Self {
        Self { proxies: Some(trusted), ..self }
    }

    /// Counts its connections together with those of all listeners that share `places`: the
    /// limits then hold for all of them as one.
    #[must_use]
    pub fn sharing(self, places: &Places) -> Self {
        Self { places: places.clone(), ..self }
    }

    /// The addresses it listens on, with the ports the system chose where 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let address = |socket: &Socket| match socket {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix(_) => None,
        };
        self.sockets.iter().filter_map(address).collect()
    }

    /// Accepts connections, each served in a task of its own, until the stop is asked for. Then
    /// it closes its sockets, waits for the open connections (which see the same [`Stop`]), and
    /// cuts off those that do not end in time. A connection that panics is logged and takes no
    /// other with it.
    pub async fn run<S, F>(self, serve: S, mut stop: Stop) -> Stopped
    where
        S: Fn(Link) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        // Connections that have yet to say whose they are; each has a place already.
        let mut unnamed = JoinSet::new();
        let mut backoff = BACKOFF_MIN;
        let mut next = 0;
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(ended) = tasks.join_next() => self.log_end(ended),
                Some(named) = unnamed.join_next() => {
                    if let Some((link, slot)) = self.named(named) {
                        spawn(&mut tasks, serve(link), slot);
                    }
                }
                accepted = accept(&self.sockets, &mut next) => match accepted {
                    Ok(accepted) => {
                        backoff = BACKOFF_MIN;
                        match (self.admit(accepted), &self.proxies) {
                            (None, _) => {}
                            (Some((link, slot)), None) => spawn(&mut tasks, serve(link), slot),
                            (Some((link, slot)), Some(_)) => {
                                unnamed.spawn(name(link, slot, self.limits.proxy_header));
                            }
                        }
                    }
                    Err(error) if is_the_connections(&error) => {
                        tracing::debug!(name = &*self.name, %error, "a connection ended unaccepted");
                    }
                    Err(error) => {
                        tracing::error!(name = &*self.name, %error, "cannot accept connections");
                        tokio::select! {
                            () = sleep(backoff) => {}
                            () = stop.requested() => break,
                        }
                        backoff = (backoff * 2).min(BACKOFF_MAX);
                    }
                },
            }
        }
        drop(unnamed);
        self.finish(tasks).await
    }

    async fn finish(mut self, mut tasks: JoinSet<()>) -> Stopped {
        self.sockets.clear();
        let until = Instant::now() + self.limits.stop_wait;
        while let Ok(Some(ended)) = timeout_at(until, tasks.join_next()).await {
            self.log_end(ended);
        }
        let cut_off = tasks.len();
        if cut_off > 0 {
            tracing::warn!(name = &*self.name, cut_off, "connections did not end in time");
        }
        tasks.shutdown().await;
        Stopped { cut_off }
    }

    fn log_end(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended {
            tracing::error!(name = &*self.name, %error, "a connection ended by a bug");
        }
    }

    /// Takes a place for the connection, or tells it that there is none.
    fn admit(&self, accepted: Accepted) -> Option<(Link, Slot)> {
        let link = match accepted {
            Accepted::Unix(stream) => Ok(Link::unix(stream)),
            Accepted::Tcp(stream, address) => {
                if let Some(trusted) = &self.proxies
                    && !trusted(Peer::new(address).ip)
                {
                    let peer = Peer::new(address);
                    tracing::info!(name = &*self.name, %peer, "no trusted proxy; see `proxy.networks`");
                    return None;
                }
                Link::new(stream, self.security.clone())
            }
        };
        let mut link = match link {
            Ok(link) => link,
            Err(error) => {
                tracing::debug!(name = &*self.name, %error, "gone before it was served");
                return None;
            }
        };
        link.limits = self.limits.link;
        // What comes through a proxy is counted as its client's, once that is known.
        let source = self.proxies.is_none().then(|| link.peer());
        match Slot::take(&self.places, &self.name, &self.limits, source) {
            Some(slot) => Some((link, slot)),
            None => {
                self.turn_away(&link);
                None
            }
        }
    }

    /// A connection that has said whose it is, if the limits have a place for that one.
    fn named(&self, named: Result<Named, JoinError>) -> Option<(Link, Slot)> {
        match named {
            Ok(Named::Yes(link, mut slot)) => {
                if slot.count(&self.limits, link.peer()).is_ok() {
                    return Some((*link, slot));
                }
                self.turn_away(&link);
            }
            Ok(Named::No(proxy, error)) => {
                tracing::info!(name = &*self.name, %proxy, %error, "a proxy did not name its client");
            }
            Err(error) => {
                tracing::error!(name = &*self.name, %error, "a connection ended by a bug");
            }
        }
        None
    }

    fn turn_away(&self, link: &Link) {
        tracing::info!(name = &*self.name, peer = %link.peer(), "too many connections");
        self.places.turned_away(&self.name);
        if !matches!(self.security, Security::ServerImplicit(_)) {
            link.try_tell(self.refusal);
        }
    }
}

/// What became of a connection whose PROXY header was due.
enum Named {
    Yes(Box<Link>, Slot),
    /// The proxy, and what it did.
    No(Peer, io::Error),
}

async fn name(mut link: Link, slot: Slot, limit: Duration) -> Named {
    let proxy = link.peer();
    match timeout(limit, link.take_proxy_header()).await {
        Ok(Ok(())) => Named::Yes(Box::new(link), slot),
        Ok(Err(error)) => Named::No(proxy, error),
        Err(_) => Named::No(proxy, io::ErrorKind::TimedOut.into()),
    }
}

fn spawn<F>(tasks: &mut JoinSet<()>, served: F, slot: Slot)
where
    F: Future<Output = ()> + Send + 'static,
{
    // In a box, since a future that is awaited is kept twice otherwise: as what the task was made
    // from, and as what it waits for.
    let served = Box::pin(served);
    tasks.spawn(async move {
        // Given back when the task ends, also by a panic.
        let _slot = slot;
        served.await;
    });
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// Whether one of the sockets listens on `[::]` with the port of this `0.0.0.0`.
fn covered(address: SocketAddr, sockets: &[Socket]) -> bool {
    let any = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), address.port());
    address.ip() == Ipv4Addr::UNSPECIFIED
        && sockets.iter().any(|socket| match socket {
            Socket::Tcp(socket) => socket.local_addr().is_ok_and(|bound| bound == any),
            Socket::Unix(_) => false,
        })
}

/// The next connection of any of the sockets, beginning with another one each time.
async fn accept(sockets: &[Socket], next: &mut usize) -> io::Result<Accepted> {
    future::poll_fn(|cx| {
        for _ in 0..sockets.len() {
            *next = (*next + 1) % sockets.len();
            let accepted = match &sockets[*next] {
                Socket::Tcp(socket) => socket
                    .poll_accept(cx)
                    .map_ok(|(stream, address)| Accepted::Tcp(stream, address)),
                Socket::Unix(socket) => {
                    socket.poll_accept(cx).map_ok(|(stream, _)| Accepted::Unix(stream))
                }
            };
            if accepted.is_ready() {
                return accepted;
            }
        }
        std::task::Poll::Pending
    })
    .await
}

/// Whether an accept failed because of that connection alone (accept(2): pending network errors of
/// the new socket are reported by accept), so that the next one can be accepted at once.
fn is_the_connections(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(
        error.kind(),
        E::ConnectionAborted
            | E::ConnectionReset
            | E::ConnectionRefused
            | E::HostUnreachable
            | E::NetworkUnreachable
            | E::NetworkDown
            | E::TimedOut
            | E::Interrupted
    )
}
