//! One connection: from the look-up of the destination to the last message.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use net::{Link, LinkLimits, Security, Service, Stop, drive};
use route::{Failure, Place, Trouble};
use smtp_machine::client::{Answer, Client, Config, Question, Tls, Waits};

use crate::courier::Courier;
use crate::desk::Key;
use crate::look_up::NextHop;
use crate::queue::{Peer, Queue};
use crate::setback::Setback;
use crate::tries::{PhaseName, Try, Trying};
use crate::words;
use crate::{HostLimit, Runner};

/// Octets of a message that are read and sent at once.
const PIECE_OCTETS: usize = 64 << 10;
/// Addresses of one destination that one connection is tried to.
const TRIES_MAX: usize = 10;

/// The place of a connection among those that there may be; given back when the task ends,
/// however it does.
struct Slot<Q: Queue> {
    runner: Arc<Runner<Q>>,
    key: Key,
    stop: Stop,
    was_ready: bool,
}

impl<Q: Queue> Drop for Slot<Q> {
    fn drop(&mut self) {
        let now = self.runner.clock.now();
        for next in self.runner.desk.end_connection(&self.key, self.was_ready, now) {
            self.runner.connect(next, &self.stop);
        }
    }
}

/// How a try to connect ended.
enum Tried {
    /// The host wanted mail, and got what there was.
    Served,
    /// It did not.
    Refused(Setback),
    /// The handshake failed; in clear it may work.
    TlsFailed(Setback),
    /// A stop came first.
    Stopped,
}

impl Tried {
    /// What was tried before it, at the same address.
    fn begins_with(&mut self, mut tries: Vec<Arc<Try>>) {
        if let Self::Refused(setback) | Self::TlsFailed(setback) = self {
            tries.append(&mut setback.tries);
            setback.tries = tries;
        }
    }
}

/// Connects to the first host of the destination that wants mail, and sends until there is no more.
pub(crate) async fn run_connection<Q: Queue>(runner: Arc<Runner<Q>>, key: Key, stop: Stop) {
    let mut wish = stop.clone();
    let mut slot = Slot { runner: Arc::clone(&runner), key: key.clone(), stop, was_ready: false };
    let mut trying = Trying::new(runner.clock.now(), &key.hop);
    let looked_up = Instant::now();
    let plan = tokio::select! {
        biased;
        () = wish.requested() => return,
        plan = runner.plan(&key.hop) => plan,
    };
    trying.over(PhaseName::Dns, looked_up.elapsed());
    let setback = match plan {
        // Its mail waits for a connection of those hosts that ends.
        Ok(plan) if !slot.is_welcome(&plan.places) => return,
        Ok(plan) => match slot.try_places(&plan.places, trying, wish).await {
            Some(setback) => setback,
            None => return,
        },
        Err(failure) => Setback::no_way(failure),
    };
    tracing::debug!(%key.hop, reason = %setback.reason(), "nobody takes the mail now");
    let until = runner.clock.now().after(runner.settings.unreachable_pause);
    for job in runner.desk.unreachable(&key, &setback, until) {
        runner.fail(&key, job, setback.clone()).await;
    }
}

/// The hosts that take the mail, whatever the domain is called.
fn site(key: &Key, places: &[Place]) -> Arc<str> {
    match key.hop {
        NextHop::Domain(_) => {
            let mut hosts: Vec<String> =
                places.iter().map(|place| place.host.to_string()).collect();
            hosts.sort_unstable();
            hosts.join(" ").into()
        }
        NextHop::Literal(_) | NextHop::Relay(_) => key.hop.to_string().into(),
    }
}

impl<Q: Queue> Slot<Q> {
    /// Whether the hosts of a plan bear this connection too.
    fn is_welcome(&self, places: &[Place]) -> bool {
        let limit = self.host_limit(places).and_then(|limit| limit.connections);
        self.runner.desk.at_site(&self.key, &site(&self.key, places), limit)
    }

    fn host_limit(&self, places: &[Place]) -> Option<&HostLimit> {
        let fits = |limit: &&HostLimit| {
            places.iter().any(|place| limit.fits(&place.host.to_string().to_ascii_lowercase()))
        };
        self.runner.settings.host_limits.iter().find(fits)
    }

    /// `None` once a host has taken mail, or a stop was asked for.
    async fn try_places(
        &mut self,
        places: &[Place],
        mut trying: Trying,
        mut wish: Stop,
    ) -> Option<Setback> {
        let count = places.len().min(self.runner.settings.hosts_per_attempt.max(1));
        let mut setback: Option<Setback> = None;
        for (index, address) in self.candidates(&places[..count]) {
            let at = At { place: &places[index], index, count, address };
            let mut tried = self.try_address(&at, trying.clone(), None, &mut wish).await;
            trying.phases.clear();
            trying.begun = self.runner.clock.now();
            if let Tried::TlsFailed(why) = tried {
                // RFC 7435 §4: better in clear than not at all, where TLS is not demanded.
                let again = trying.clone();
                tried = self.try_address(&at, again, Some(why.reason()), &mut wish).await;
                tried.begins_with(why.tries);
                trying.begun = self.runner.clock.now();
            }
            match tried {
                Tried::Served | Tried::Stopped => return None,
                Tried::Refused(why) | Tried::TlsFailed(why) => {
                    let until =
                        self.runner.clock.now().after(self.runner.settings.unreachable_pause);
                    self.runner.desk.avoid(&self.key, address, until);
                    if why.is_strain() {
                        self.runner.desk.struggles(&self.key, self.runner.clock.now());
                    }
                    setback = merge(setback, why);
                }
            }
        }
        // Without candidates the plan has become shorter than what was skipped: the mail in this
        // line carries what the hosts have said to it.
        Some(setback.unwrap_or_else(|| {
            Setback::no_way(Failure::temporary(4, 4, "no other host takes mail for it"))
        }))
    }

    /// The addresses to try, those that could not be reached lately last.
    fn candidates(&self, places: &[Place]) -> Vec<(usize, SocketAddr)> {
        let now = self.runner.clock.now();
        let all = places.iter().enumerate().skip(self.key.skip);
        let mut candidates: Vec<(usize, SocketAddr)> = all
            .flat_map(|(index, place)| place.addresses.iter().map(move |address| (index, *address)))
            .collect();
        candidates.sort_by_cached_key(|(_, address)| {
            self.runner.desk.is_avoided(&self.key, *address, now)
        });
        candidates.truncate(TRIES_MAX);
        candidates
    }

    /// Connects to one address and sends what there is. `tls_failure` says why TLS is left out.
    /// Once connected, a stop is the driver's to see to: what is past the dot is waited for.
    async fn try_address(
        &mut self,
        at: &At<'_>,
        mut trying: Trying,
        tls_failure: Option<String>,
        wish: &mut Stop,
    ) -> Tried {
        let settings = &self.runner.settings;
        let with_tls = settings.starttls && tls_failure.is_none();
        let security = match with_tls {
            true => Security::ClientStartTls(self.runner.tls.clone(), at.place.host.clone()),
            false => Security::Plain,
        };
        let peer = Peer {
            host: at.place.host.to_string(),
            ip: at.address.ip(),
            port: at.address.port(),
            tls: None,
            tls_verified: false,
            tls_failure,
        };
        trying.preference = at.preference(&self.key);
        trying.policy = if settings.starttls { "opportunistic" } else { "none" }.to_owned();
        let began = Instant::now();
        let link = tokio::select! {
            biased;
            () = wish.requested() => return Tried::Stopped,
            link = Link::connect(at.address, None, security, settings.connect_timeout) => link,
        };
        let mut link = match link {
            Ok(link) => link,
            Err(error) => {
                trying.over(PhaseName::Connect, began.elapsed());
                let tried = trying.tried(&peer, 0, Vec::new());
                return Tried::Refused(connect_setback(&error, &peer).tried(tried));
            }
        };
        trying.over(PhaseName::Connect, began.elapsed());
        trying.source = Some(link.local().ip());
        link.limits = LinkLimits { grace: settings.grace, ..LinkLimits::default() };
        link.limits.write_stall = link.limits.write_stall.min(settings.command_timeout);
        let mut client = Client::new(self.config(with_tls));
        let places = (at.index, at.count);
        let limit = self.host_limit(std::slice::from_ref(at.place));
        let messages_max = limit.and_then(|limit| limit.messages);
        let (runner, stop) = (Arc::clone(&self.runner), self.stop.clone());
        let mut exchange = Exchange {
            courier: Courier::new(runner, self.key.clone(), places, peer, trying, stop.clone()),
            body_offset: 0,
            no_session: None,
        };
        if let Some(max) = messages_max {
            exchange.courier.messages_max = exchange.courier.messages_max.min(max);
        }
        let ended = drive(&mut link, &mut client, &mut exchange, &stop).await;
        let Exchange { mut courier, no_session, .. } = exchange;
        courier.put_rest_back().await;
        if courier.is_ready() {
            self.was_ready = true;
            return Tried::Served;
        }
        let tried = courier.trying.tried(&courier.peer, 0, client.take_said());
        match (ended, no_session) {
            (net::Ended::Handshake(error), _) => {
                let why = error.to_string();
                let setback = Setback::new(Trouble::Tls(&why), Some(&courier.peer));
                Tried::TlsFailed(setback.tried(tried))
            }
            (_, Some(setback)) => Tried::Refused(setback.tried(tried)),
            (ended, None) => {
                let why = format!("the connection ended: {ended:?}");
                let setback = Setback::new(Trouble::Unreachable(&why), Some(&courier.peer));
                Tried::Refused(setback.tried(tried))
            }
        }
    }

    fn config(&self, with_tls: bool) -> Config {
        let settings = &self.runner.settings;
        let waits = Waits {
            greeting: settings.command_timeout,
            command: settings.command_timeout,
            data: settings.command_timeout,
            dot: settings.data_end_timeout,
            ..Waits::default()
        };
        let tls = if with_tls { Tls::Opportunistic } else { Tls::Never };
        Config { hostname: settings.hostname.clone(), tls, waits }
    }
}

/// An address of a plan.
struct At<'a> {
    place: &'a Place,
    /// Which place of the plan.
    index: usize,
    /// Places that are tried.
    count: usize,
    address: SocketAddr,
}

impl At<'_> {
    /// The preference of its MX record, where it is by MX that the mail goes there.
    const fn preference(&self, key: &Key) -> Option<u16> {
        match key.hop {
            NextHop::Domain(_) => Some(self.place.preference),
            NextHop::Literal(_) | NextHop::Relay(_) => None,
        }
    }
}

/// The setback of the hosts so far and of one more.
fn merge(earlier: Option<Setback>, later: Setback) -> Option<Setback> {
    Some(match earlier {
        Some(earlier) => earlier.over_hosts(later),
        None => later,
    })
}

fn connect_setback(error: &io::Error, peer: &Peer) -> Setback {
    let words = error.to_string();
    let trouble = match error.kind() {
        io::ErrorKind::ConnectionRefused => Trouble::Refused,
        io::ErrorKind::TimedOut => Trouble::ConnectTimeout,
        // No handles, no ports, no memory: nothing of theirs.
        _ if matches!(error.raw_os_error(), Some(12 | 23 | 24 | 98 | 99 | 105)) => {
            Trouble::Ours(&words)
        }
        _ => Trouble::Unreachable(&words),
    };
    Setback::new(trouble, Some(peer))
}

/// Answers the questions of the client machine.
struct Exchange<Q: Queue> {
    courier: Courier<Q>,
    /// Octets of the current message that were read.
    body_offset: u64,
    /// Why there was no session.
    no_session: Option<Setback>,
}

impl<Q: Queue> Service for Exchange<Q> {
    type Machine = Client;

    async fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Next(peer) => {
                self.courier.begin(peer.tls.as_ref());
                self.body_offset = 0;
                match self.courier.next().await {
                    Some(job) => Answer::Send(Box::new(words::message(&job.items))),
                    None => Answer::Quit,
                }
            }
            Question::Body => self.body().await,
            Question::FinalDot { .. } => {
                self.courier.dot_follows();
                Answer::Go
            }
            Question::Done(report) => {
                let current = self.courier.current().and_then(|job| job.items.first());
                let octets = current.map_or(0, |item| item.mail.body_bytes);
                let ends = words::ends(report.outcomes, octets, &self.courier.peer);
                self.courier.over(ends, report.dsn, report.said).await;
                Answer::Noted
            }
            Question::NoSession(setback) => {
                self.no_session = Some(words::no_session(setback, &self.courier.peer));
                Answer::Noted
            }
        }
    }
}

impl<Q: Queue> Exchange<Q> {
    /// The next piece of the current message. One that is shorter than the queue has said, or
    /// cannot be read, is never ended by a dot.
    async fn body(&mut self) -> Answer {
        let Some(mail) = self.courier.current().and_then(|job| job.items.first()) else {
            return Answer::Unreadable;
        };
        let mail = Arc::clone(&mail.mail);
        if self.body_offset >= mail.body_bytes {
            return Answer::End;
        }
        let read = self.courier.runner.queue.read_body(mail.id, self.body_offset, PIECE_OCTETS);
        match read.await {
            Ok(bytes) if !bytes.is_empty() => {
                self.body_offset += bytes.len() as u64;
                Answer::Bytes(bytes)
            }
            Ok(_) => {
                tracing::error!(mail = %mail.id, "the message ends before its size");
                Answer::Unreadable
            }
            Err(error) => {
                tracing::error!(mail = %mail.id, %error, "the message cannot be read");
                Answer::Unreadable
            }
        }
    }
}
