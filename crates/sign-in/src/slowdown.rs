use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use mail_types::{AccountId, Timestamp};

use crate::generations::Generations;

/// Sources and names whose failures are counted, wrong passwords and accounts that are remembered:
/// so many of each, or twice as many.
const ENTRIES_MAX: usize = 50_000;
/// Networks that are remembered of an account; the one not used for longest makes room.
const NETWORKS_MAX: usize = 8;
/// Doublings of the first wait; the longest wait is a setting and reached before.
const DOUBLINGS_MAX: u32 = 16;

/// How wrong passwords slow down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The wait behind the first wrong password of a source; each further one doubles it.
    /// Default 250 ms.
    pub failure_delay: Duration,
    /// The longest wait. Default 8 s.
    pub failure_delay_max: Duration,
    /// In each such time one failure is forgotten. Default 60 s.
    pub failure_forgotten_each: Duration,
    /// Wrong passwords for one name, from all sources together, before tries from networks that
    /// the account is not used from wait. Default 5.
    pub account_failures_free: u32,
    /// A network from which an account has signed in is its own for so long. Default 30 days.
    pub network_known_for: Duration,
    /// Whether loopback waits, too. Default no.
    pub loopback_is_limited: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            failure_delay: Duration::from_millis(250),
            failure_delay_max: Duration::from_secs(8),
            failure_forgotten_each: Duration::from_secs(60),
            account_failures_free: 5,
            network_known_for: Duration::from_secs(30 * 24 * 3600),
            loopback_is_limited: false,
        }
    }
}

/// A name as given, hashed with a secret: there are no longer or shorter ones, and no table of who
/// has an account.
pub(crate) type NameKey = [u8; 16];
/// A wrong password for a name, hashed alike.
pub(crate) type GuessKey = [u8; 16];

/// Who tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Try {
    pub(crate) ip: IpAddr,
    pub(crate) name: NameKey,
    /// The account of this name, if there is one.
    pub(crate) account: Option<AccountId>,
}

/// More tries of one source wait than it may have waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// When the count was right.
    counted: Timestamp,
    /// Before this no further try of the source begins.
    next: Timestamp,
}

/// Who failed how often, in bounded memory. A guesser waits; the owner of an account, who has
/// signed in from the same network before, does not wait for what guessers elsewhere did.
#[derive(Debug)]
pub(crate) struct Slowdown {
    limits: Limits,
    sources: Generations<IpAddr, Failures>,
    names: Generations<NameKey, Failures>,
    guesses: Generations<(IpAddr, GuessKey), ()>,
    networks: Generations<AccountId, Vec<(IpAddr, Timestamp)>>,
}

impl Slowdown {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sources: Generations::new(ENTRIES_MAX),
            names: Generations::new(ENTRIES_MAX),
            guesses: Generations::new(ENTRIES_MAX),
            networks: Generations::new(ENTRIES_MAX),
        }
    }

    /// Whether the account has signed in from this network lately.
    pub(crate) fn is_known(&self, who: &Try, now: Timestamp) -> bool {
        let network = network(who.ip);
        let known = who.account.and_then(|account| self.networks.get(&account));
        known.is_some_and(|known| {
            known
                .iter()
                .any(|(of, at)| *of == network && now.since(*at) < self.limits.network_known_for)
        })
    }

    /// How long the try has to wait before it is looked at. Tries of one source wait one behind
    /// the other, so that many connections are no way around it.
    pub(crate) fn wait(&mut self, who: &Try, now: Timestamp) -> Result<Duration, TooMany> {
        if self.is_exempt(who.ip) {
            return Ok(Duration::ZERO);
        }
        let known = self.is_known(who, now);
        let mut wait = self.source_wait(source(who.ip), known, now)?;
        if !known && let Some(failures) = self.names.get(&who.name) {
            let free = self.limits.account_failures_free;
            // Nobody waits behind others here: a crowd of guessers must not keep out the owner
            // who is on a journey.
            wait = wait.max(self.delay(self.count(failures, now).saturating_sub(free)));
        }
        Ok(wait)
    }

    fn source_wait(
        &mut self,
        source: IpAddr,
        known: bool,
        now: Timestamp,
    ) -> Result<Duration, TooMany> {
        let Some(failures) = self.sources.get(&source).copied() else { return Ok(Duration::ZERO) };
        let count = self.count(&failures, now);
        if count == 0 {
            return Ok(Duration::ZERO);
        }
        let begin = failures.next.max(now);
        let wait = begin.since(now);
        if wait > self.limits.failure_delay_max {
            // Where the account is at home, a neighbour's guesses are a nuisance, not a lock.
            return if known { Ok(self.limits.failure_delay_max) } else { Err(TooMany) };
        }
        let next = begin.after(self.delay(count));
        self.sources.put(source, Failures { next, ..failures });
        Ok(wait)
    }

    /// The password was wrong. The same one again, from the same source, is a mail program that
    /// has not been told of a new one, and no further guess.
    pub(crate) fn failed(&mut self, who: &Try, guess: GuessKey, now: Timestamp) {
        if self.is_exempt(who.ip) {
            return;
        }
        let source = source(who.ip);
        if self.guesses.get(&(source, guess)).is_some() {
            return;
        }
        self.guesses.put((source, guess), ());
        let failures = self.sources.get(&source).copied();
        let counted = self.one_more(failures, now);
        let next = counted.next.max(now.after(self.delay(counted.count)));
        self.sources.put(source, Failures { next, ..counted });
        let failures = self.names.get(&who.name).copied();
        let counted = self.one_more(failures, now);
        self.names.put(who.name, counted);
    }

    /// The password was right: half of the source's failures are forgiven (not all, or who has one
    /// account would guess for others at full speed), and the network is the account's own.
    pub(crate) fn succeeded(&mut self, who: &Try, now: Timestamp) {
        let source = source(who.ip);
        if let Some(failures) = self.sources.get(&source).copied() {
            match self.count(&failures, now) / 2 {
                0 => self.sources.remove(&source),
                count => self.sources.put(source, Failures { count, counted: now, ..failures }),
            }
        }
        let Some(account) = who.account else { return };
        let network = network(who.ip);
        let mut known = self.networks.get(&account).cloned().unwrap_or_default();
        match known.iter_mut().find(|(of, _)| *of == network) {
            Some((_, at)) => *at = now,
            None => {
                if known.len() >= NETWORKS_MAX
                    && let Some(oldest) = (0..known.len()).min_by_key(|&place| known[place].1)
                {
                    known.swap_remove(oldest);
                }
                known.push((network, now));
            }
        }
        self.networks.put(account, known);
    }

    fn is_exempt(&self, ip: IpAddr) -> bool {
        ip.is_loopback() && !self.limits.loopback_is_limited
    }

    fn one_more(&self, failures: Option<Failures>, now: Timestamp) -> Failures {
        let count = failures.map_or(0, |failures| self.count(&failures, now));
        let next = failures.map_or(now, |failures| failures.next);
        Failures { count: count.saturating_add(1), counted: now, next }
    }

    /// What is left of the failures: time heals.
    fn count(&self, failures: &Failures, now: Timestamp) -> u32 {
        let each = self.limits.failure_forgotten_each.as_millis().max(1);
        let forgotten = now.since(failures.counted).as_millis() / each;
        failures.count.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }

    fn delay(&self, count: u32) -> Duration {
        match count {
            0 => Duration::ZERO,
            _ => self
                .limits
                .failure_delay
                .saturating_mul(1 << (count - 1).min(DOUBLINGS_MAX))
                .min(self.limits.failure_delay_max),
        }
    }
}

/// What counts as one source: an IPv4 address, or an IPv6 network of 64 bits, which is what one
/// customer has at least (RFC 6177).
fn source(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

/// Where somebody is at home, though the address changes: an IPv4 network of 24 bits, an IPv6 one
/// of 48.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() >> 8 << 8)),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 80 << 80)),
    }
}
