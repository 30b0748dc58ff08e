use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{future, io};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{Link, LinkLimits, Peer, Security, Stop};

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

/// The addresses of one service, bound but not yet served.
#[derive(Debug)]
pub struct Listener {
    name: String,
    sockets: Vec<TcpListener>,
    security: Security,
    limits: ListenLimits,
    /// Sent to a connection over a limit, before it is closed (not under implicit TLS).
    refusal: &'static [u8],
    places: Places,
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
                Ok(socket) => sockets.push(socket),
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse && covered(address, &sockets) => {}
                Err(source) => {
                    return Err(ListenError::Bind { name: name.to_owned(), address, source });
                }
            }
        }
        let places = Places::default();
        Ok(Self { name: name.to_owned(), sockets, security, limits, refusal, places })
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
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
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
        let mut backoff = BACKOFF_MIN;
        let mut next = 0;
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(ended) = tasks.join_next() => self.log_end(ended),
                accepted = accept(&self.sockets, &mut next) => match accepted {
                    Ok((stream, address)) => {
                        backoff = BACKOFF_MIN;
                        if let Some((link, slot)) = self.admit(stream, address) {
                            // In a box, since a future that is awaited is kept twice otherwise:
                            // as what the task was made from, and as what it waits for.
                            let served = Box::pin(serve(link));
                            tasks.spawn(async move {
                                // Given back when the task ends, also by a panic.
                                let _slot = slot;
                                served.await;
                            });
                        }
                    }
                    Err(error) if is_the_connections(&error) => {
                        tracing::debug!(name = self.name, %error, "a connection ended unaccepted");
                    }
                    Err(error) => {
                        tracing::error!(name = self.name, %error, "cannot accept connections");
                        tokio::select! {
                            () = sleep(backoff) => {}
                            () = stop.requested() => break,
                        }
                        backoff = (backoff * 2).min(BACKOFF_MAX);
                    }
                },
            }
        }
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
            tracing::warn!(name = self.name, cut_off, "connections did not end in time");
        }
        tasks.shutdown().await;
        Stopped { cut_off }
    }

    fn log_end(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended {
            tracing::error!(name = self.name, %error, "a connection ended by a bug");
        }
    }

    /// Takes a place for the connection, or tells it that there is none.
    fn admit(&self, stream: TcpStream, address: SocketAddr) -> Option<(Link, Slot)> {
        let peer = Peer::new(address);
        let Some(slot) = Slot::take(&self.places, &self.limits, peer) else {
            tracing::info!(name = self.name, %peer, "too many connections");
            if !matches!(self.security, Security::ServerImplicit(_)) {
                // A courtesy: if the fresh socket takes no octets, then it is closed without.
                drop(stream.try_write(self.refusal));
            }
            return None;
        };
        match Link::new(stream, self.security.clone()) {
            Ok(mut link) => {
                link.limits = self.limits.link;
                Some((link, slot))
            }
            Err(error) => {
                tracing::debug!(name = self.name, %peer, %error, "gone before it was served");
                None
            }
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// Whether one of the sockets listens on `[::]` with the port of this `0.0.0.0`.
fn covered(address: SocketAddr, sockets: &[TcpListener]) -> bool {
    let any = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), address.port());
    address.ip() == Ipv4Addr::UNSPECIFIED
        && sockets.iter().any(|socket| socket.local_addr().is_ok_and(|bound| bound == any))
}

/// The next connection of any of the sockets, beginning with another one each time.
async fn accept(sockets: &[TcpListener], next: &mut usize) -> io::Result<(TcpStream, SocketAddr)> {
    future::poll_fn(|cx| {
        for _ in 0..sockets.len() {
            *next = (*next + 1) % sockets.len();
            if let std::task::Poll::Ready(accepted) = sockets[*next].poll_accept(cx) {
                return std::task::Poll::Ready(accepted);
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

/// The connections that are open, in all and of each source.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One connection's place within the limits; given back when dropped.
struct Slot {
    places: Places,
    source: Option<IpAddr>,
}

impl Slot {
    fn take(places: &Places, limits: &ListenLimits, peer: Peer) -> Option<Self> {
        let counted = limits.loopback_is_counted || !peer.is_loopback();
        let source = counted.then(|| peer.source());
        let mut now = places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.total >= limits.connections_max {
            return None;
        }
        if let Some(source) = source {
            let of_source = now.by_source.get(&source).copied().unwrap_or(0);
            if of_source >= limits.connections_per_source_max {
                return None;
            }
            now.by_source.insert(source, of_source + 1);
        }
        now.total += 1;
        Some(Self { places: places.clone(), source })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut now = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.total -= 1;
        let Some(source) = self.source else { return };
        match now.by_source.get_mut(&source) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                now.by_source.remove(&source);
            }
        }
    }
}
