//! One connection: from the look-up of the destination to the last message.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mail_types::{Peer, PhaseName};
use net::{ClientTls, Demand, Link, LinkLimits, Security, Stop, TlsRefusal, drive};
use route::{Failure, Place, Trouble};
use sasl::Login;
use smtp_machine::client::{Client, Config, Tls, Waits};

use crate::asked::Asked;
use crate::courier::Courier;
use crate::desk::{Job, Key, Orphan};
use crate::exchange::Exchange;
use crate::look_up::NextHop;
use crate::protection::{Guarded, Protection, handshake_result};
use crate::queue::Queue;
use crate::rates::{Wait, Way};
use crate::setback::Setback;
use crate::sites::{site, way};
use crate::tries::{Published, Try, Trying};
use crate::{HostLimit, Runner};

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
    /// The handshake failed; with less it may work, and may be tried.
    TlsFailed(Setback, Fallen),
    /// A stop came first.
    Stopped,
}

/// How far TLS towards an address has come down, with the reason. Never below what a policy
/// demands.
#[derive(Clone, Debug, Default)]
enum Fallen {
    /// Not at all.
    #[default]
    Not,
    /// Any certificate will do: the policy is only being tested.
    ToAnyCertificate(Fall),
    /// No TLS.
    ToClear(Fall),
}

/// Why TLS has come down.
#[derive(Clone, Debug)]
struct Fall {
    /// For the record of the try, as [`failed_tls`] has it.
    said: String,
    /// In a sentence.
    reason: String,
}

impl Tried {
    /// What was tried before it, at the same address.
    fn begins_with(&mut self, mut tries: Vec<Arc<Try>>) {
        if let Self::Refused(setback) | Self::TlsFailed(setback, _) = self {
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
    let plan = plan.map(|places| match key.tls_optional {
        true => places.into_iter().map(Guarded::waived).collect(),
        false => places,
    });
    let setback = match plan {
        Ok(places) => {
            if let Some(wait) = slot.wait(&places) {
                return runner.hold_back(&key.hop, wait, Vec::new()).await;
            }
            let is_welcome = slot.is_welcome(&places);
            // Its mail goes through a connection of those hosts that stands, or waits for one that
            // ends.
            if runner.desk.share(&key, !is_welcome, runner.clock.now()) || !is_welcome {
                return;
            }
            match slot.try_places(&places, trying, wish).await {
                Some(setback) => setback,
                None => return,
            }
        }
        Err(failure) => Setback::no_way(failure),
    };
    tracing::debug!(%key.hop, reason = %setback.reason(), "nobody takes the mail now");
    let until = runner.clock.now().after(runner.settings.unreachable_pause);
    let jobs = runner.desk.unreachable(&key, &setback, until).into();
    let mut drained = Drained { runner: &runner, jobs };
    while let Some(job) = drained.jobs.pop_front() {
        runner.fail(job, setback.clone()).await;
    }
}

/// Mail that no line has any more and whose end is not recorded yet.
struct Drained<'a, Q: Queue> {
    runner: &'a Runner<Q>,
    jobs: VecDeque<Job>,
}

impl<Q: Queue> Drop for Drained<'_, Q> {
    fn drop(&mut self) {
        // Nothing is here unless the task panicked or was cut.
        for job in self.jobs.drain(..) {
            self.runner.desk.add_orphan(Orphan { job, past_dot: false });
        }
    }
}

impl<Q: Queue> Slot<Q> {
    /// What keeps mail from these hosts for now.
    fn wait(&self, places: &[Guarded]) -> Option<Wait> {
        let rates = &self.runner.rates;
        if !rates.is_on() {
            return None;
        }
        let names = places.iter().map(|at| at.place.host.to_string().to_ascii_lowercase());
        let hosts: Vec<String> = names.collect();
        let address = places.iter().find_map(|at| at.place.addresses.first());
        let is_direct = !matches!(self.key.hop, NextHop::Relay(_));
        let counts = is_direct && rates.warms_up();
        let source = address.filter(|_| counts).and_then(|to| net::source_towards(*to));
        rates.wait(Way { hosts: &hosts, source }, self.runner.clock.now())
    }

    /// Whether the hosts of a plan bear this connection too.
    fn is_welcome(&self, places: &[Guarded]) -> bool {
        let hosts: Vec<String> = places.iter().map(|at| at.place.host.to_string()).collect();
        let limit = self.host_limit(&hosts).filter(|limit| limit.connections.is_some());
        // A limit is for all hosts that it names together, whichever of them a domain has.
        let site = match limit {
            Some(limit) => limit.hosts.as_str().into(),
            None => site(&self.key, &hosts),
        };
        let connections = limit.and_then(|limit| limit.connections);
        self.runner.desk.at_site(&self.key, (&site, way(&self.key, places)), connections)
    }

    fn host_limit(&self, hosts: &[String]) -> Option<&HostLimit> {
        let fits =
            |limit: &&HostLimit| hosts.iter().any(|host| limit.fits(&host.to_ascii_lowercase()));
        self.runner.settings.host_limits.iter().find(fits)
    }

    /// `None` once a host has taken mail, or a stop was asked for.
    async fn try_places(
        &mut self,
        places: &[Guarded],
        mut trying: Trying,
        mut wish: Stop,
    ) -> Option<Setback> {
        let mut asked = self.key.asked.clone();
        // Those that have said no in this attempt count, too.
        let hosts_max = self.runner.settings.hosts_per_attempt.max(1).saturating_sub(asked.len());
        let places: Vec<&Guarded> =
            places.iter().filter(|at| !asked.has(&at.place.host)).take(hosts_max).collect();
        let mut setback: Option<Setback> = None;
        for (index, address) in self.candidates(&places) {
            let Guarded { place, protection } = places[index];
            asked.add(&place.host);
            let has_next_host = places.iter().any(|at| !asked.has(&at.place.host));
            let asked = (asked.clone(), has_next_host);
            let login = match &self.key.hop {
                NextHop::Relay(relay) => self.runner.login(relay),
                NextHop::Domain(_) | NextHop::Literal(_) => None,
            };
            // RFC 8314 §3.3: TLS from the first octet.
            let is_implicit = matches!(&self.key.hop, NextHop::Relay(relay) if relay.port == 465);
            let at = At { place, protection, asked, address, login, is_implicit };
            let tried = match protection.forbids() {
                Some(why) => self.forbidden(&at, &mut trying, &why),
                None => self.fall(&at, &mut trying, &mut wish).await,
            };
            match tried {
                Tried::Served | Tried::Stopped => return None,
                Tried::Refused(why) | Tried::TlsFailed(why, _) => {
                    trying.earlier.extend(why.tries.iter().cloned());
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
        // Without candidates there are fewer hosts than there were: the mail in this line carries
        // what those that were asked have said to it.
        Some(setback.unwrap_or_else(|| {
            Setback::no_way(Failure::temporary(4, 4, "no other host takes mail for it"))
        }))
    }

    /// Tries one address, with less and less of TLS where no policy forbids it.
    async fn fall(&mut self, at: &At<'_>, trying: &mut Trying, wish: &mut Stop) -> Tried {
        let mut fallen = Fallen::Not;
        let mut tries = Vec::new();
        let earlier = trying.earlier.len();
        loop {
            let mut tried = self.try_address(at, trying.clone(), &fallen, wish).await;
            trying.phases.clear();
            trying.begun = self.runner.clock.now();
            match tried {
                // RFC 7435 §4: better in clear than not at all, where TLS is not demanded. Ends:
                // each turn is further down.
                Tried::TlsFailed(mut why, further) => {
                    trying.earlier.extend(why.tries.iter().cloned());
                    tries.append(&mut why.tries);
                    fallen = further;
                }
                Tried::Served | Tried::Refused(_) | Tried::Stopped => {
                    tried.begins_with(tries);
                    trying.earlier.truncate(earlier);
                    return tried;
                }
            }
        }
    }

    /// A host that a policy forbids to use: told as a try of its own.
    fn forbidden(&self, at: &At<'_>, trying: &mut Trying, why: &(&str, String)) -> Tried {
        let peer = at.peer(None);
        trying.preference = at.preference(&self.key);
        trying.policy = at.protection.words();
        trying.published = at.published(&self.key);
        trying.policy_said = Some(format!("{}: {}", why.0, why.1));
        let tried = trying.tried(&peer, 0, Vec::new());
        let setback = Setback::new(Trouble::Policy(&why.1), Some(&peer));
        Tried::Refused(setback.tried(tried))
    }

    /// The addresses to try, those that could not be reached lately last.
    fn candidates(&self, places: &[&Guarded]) -> Vec<(usize, SocketAddr)> {
        let now = self.runner.clock.now();
        let mut candidates: Vec<(usize, SocketAddr)> = places
            .iter()
            .enumerate()
            .flat_map(|(index, at)| at.place.addresses.iter().map(move |address| (index, *address)))
            .collect();
        candidates.sort_by_cached_key(|(_, address)| {
            self.runner.desk.is_avoided(&self.key, *address, now)
        });
        candidates.truncate(TRIES_MAX);
        candidates
    }

    /// Connects to one address and sends what there is. Once connected, a stop is the driver's to see to: what is past the dot is waited for.
    async fn try_address(
        &mut self,
        at: &At<'_>,
        mut trying: Trying,
        fallen: &Fallen,
        wish: &mut Stop,
    ) -> Tried {
        let settings = &self.runner.settings;
        let tls = at.tls(fallen);
        let security = at.security(tls, fallen, &self.runner.tls);
        let peer = at.peer(match fallen {
            Fallen::ToClear(fall) => Some(fall.reason.clone()),
            Fallen::Not | Fallen::ToAnyCertificate(_) => None,
        });
        trying.preference = at.preference(&self.key);
        trying.policy = at.protection.words();
        trying.published = at.published(&self.key);
        trying.policy_said =
            at.protection.concern().map(|(result, words)| format!("{result}: {words}"));
        if let Fallen::ToAnyCertificate(fall) | Fallen::ToClear(fall) = fallen {
            trying.policy_said = Some(fall.said.clone());
        }
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
        let mut client = Client::new(self.config(at, tls));
        let limit = self.host_limit(&[at.place.host.to_string()]);
        let messages_max = limit.and_then(|limit| limit.messages);
        let (runner, stop) = (Arc::clone(&self.runner), self.stop.clone());
        let (key, asked) = (self.key.clone(), at.asked.clone());
        let mut courier = Courier::new(runner, key, asked, peer, trying, stop.clone());
        if let Some(max) = messages_max {
            courier.messages_max = courier.messages_max.min(max);
        }
        let mut exchange = Exchange::new(courier);
        let ended = drive(&mut link, &mut client, &mut exchange, &stop).await;
        let Exchange { mut courier, no_session, lacks_tls, .. } = exchange;
        courier.put_rest_back().await;
        if courier.is_ready() {
            self.was_ready = true;
            return Tried::Served;
        }
        if let Some(failed) = failed_tls(&ended, lacks_tls) {
            courier.trying.policy_said = Some(failed);
        }
        let said = courier.trying.policy_said.clone();
        let tried = courier.trying.tried(&courier.peer, 0, client.take_said());
        match (ended, no_session) {
            (net::Ended::Handshake(error), _) => {
                let why = error.to_string();
                let setback = Setback::new(Trouble::Tls(&why), Some(&courier.peer)).tried(tried);
                let reason = setback.reason();
                let fall = Fall { said: said.unwrap_or_else(|| reason.clone()), reason };
                match at.further(fallen, &error, fall) {
                    Some(further) => Tried::TlsFailed(setback, further),
                    None => Tried::Refused(setback),
                }
            }
            (_, Some(setback)) => Tried::Refused(setback.tried(tried)),
            (ended, None) => {
                let why = format!("the connection ended: {ended:?}");
                let setback = Setback::new(Trouble::Unreachable(&why), Some(&courier.peer));
                Tried::Refused(setback.tried(tried))
            }
        }
    }

    fn config(&self, at: &At<'_>, tls: Tls) -> Config {
        let settings = &self.runner.settings;
        let waits = Waits {
            greeting: settings.command_timeout,
            command: settings.command_timeout,
            data: settings.command_timeout,
            dot: settings.data_end_timeout,
            ..Waits::default()
        };
        // An operator's route needs no further proof.
        let is_proven = matches!(self.key.hop, NextHop::Relay(_)) || at.protection.proves_host();
        let chunking = settings.chunking && self.runner.desk.may_chunk(at.address);
        Config {
            hostname: settings.hostname.clone(),
            tls,
            is_proven,
            login: at.login.clone(),
            is_near: at.address.ip().is_loopback(),
            // Without randomness from the system, a number of our own.
            nonce: net::nonce().unwrap_or_else(|_| format!("{:016x}", (self.runner.random)())),
            chunking,
            waits,
        }
    }
}

/// An address of a plan.
struct At<'a> {
    place: &'a Place,
    protection: &'a Protection,
    /// The hosts that are asked up to this one, and whether there is another.
    asked: (Asked, bool),
    address: SocketAddr,
    /// Who we are to it.
    login: Option<Arc<Login>>,
    /// TLS comes before the greeting.
    is_implicit: bool,
}

impl At<'_> {
    /// A sign-in wants TLS, except on this machine.
    fn wants_tls(&self) -> bool {
        self.login.is_some() && !self.address.ip().is_loopback()
    }

    fn peer(&self, tls_failure: Option<String>) -> Peer {
        Peer {
            host: self.place.host.to_string(),
            ip: self.address.ip(),
            port: self.address.port(),
            tls: None,
            tls_verified: false,
            tls_failure,
        }
    }

    /// What the client does about TLS.
    fn tls(&self, fallen: &Fallen) -> Tls {
        match (self.protection, fallen) {
            _ if self.is_implicit => Tls::Implicit,
            (protection, _) if protection.is_mandatory() || self.wants_tls() => Tls::Required,
            (Protection::Off, _) | (_, Fallen::ToClear(_)) => Tls::Never,
            (_, Fallen::Not | Fallen::ToAnyCertificate(_)) => Tls::Opportunistic,
        }
    }

    fn security(&self, tls: Tls, fallen: &Fallen, client: &ClientTls) -> Security {
        let demand = match fallen {
            Fallen::Not => self.protection.demand(),
            Fallen::ToAnyCertificate(_) | Fallen::ToClear(_) => Demand::Nothing,
        };
        let name = self.protection.server_name(self.place);
        match tls {
            Tls::Never => Security::Plain,
            Tls::Opportunistic | Tls::Required => {
                Security::ClientStartTls(client.demanding(demand), name)
            }
            Tls::Implicit => Security::ClientImplicit(client.demanding(demand), name),
        }
    }

    /// What may be tried after a handshake that failed; `None` where a policy forbids less.
    fn further(&self, fallen: &Fallen, error: &io::Error, fall: Fall) -> Option<Fallen> {
        if self.protection.is_mandatory() {
            return None;
        }
        // Never below TLS where that is what the port or a sign-in wants.
        let keeps_tls = self.is_implicit || self.wants_tls();
        let is_certificate = error.get_ref().is_some_and(|inner| inner.is::<TlsRefusal>());
        match fallen {
            Fallen::Not if is_certificate => Some(Fallen::ToAnyCertificate(fall)),
            Fallen::Not | Fallen::ToAnyCertificate(_) if keeps_tls => None,
            Fallen::Not | Fallen::ToAnyCertificate(_) => Some(Fallen::ToClear(fall)),
            Fallen::ToClear(_) => None,
        }
    }

    /// What the domain has published of TLS, for reports.
    fn published(&self, key: &Key) -> Option<Arc<Published>> {
        match &key.hop {
            NextHop::Domain(domain) => self.protection.published(domain, self.place).map(Arc::new),
            NextHop::Literal(_) | NextHop::Relay(_) => None,
        }
    }

    /// The preference of its MX record, where it is by MX that the mail goes there.
    const fn preference(&self, key: &Key) -> Option<u16> {
        match key.hop {
            NextHop::Domain(_) => Some(self.place.preference),
            NextHop::Literal(_) | NextHop::Relay(_) => None,
        }
    }
}

/// What came of TLS where a policy wants it, for reports: the result type of RFC 8460 §4.3, and
/// words.
fn failed_tls(ended: &net::Ended, lacks_tls: bool) -> Option<String> {
    match ended {
        net::Ended::Handshake(error) => Some(format!("{}: {error}", handshake_result(error))),
        _ if lacks_tls => {
            Some("starttls-not-supported: the host offers no TLS, and it must".to_owned())
        }
        _ => None,
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
