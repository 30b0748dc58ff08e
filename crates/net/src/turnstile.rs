use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::resolve::STRANGERS_LOOKUPS_MAX;

/// Look-ups of one source at a time: what an honest server with dozens of connections takes. Each
/// ends within the resolver's deadline.
const SOURCE_LOOKUPS_MAX: usize = 64;
/// Sources that are remembered before those that are gone are forgotten.
const SOURCES_MIN: usize = 1024;

/// Bounds the look-ups that strangers cause by what they send, in all and for each source, so that
/// nobody's names that never answer keep other look-ups waiting. Never more pass than a resolver
/// [for strangers](crate::Resolver::for_strangers) does at a time: who waits, waits here.
#[derive(Debug)]
pub struct Turnstile {
    all: Arc<Semaphore>,
    sources: Mutex<Sources>,
}

#[derive(Debug)]
struct Sources {
    turns: HashMap<IpAddr, Weak<Semaphore>>,
    /// At so many the map is tidied.
    tidy_at: usize,
}

/// The way through for one source.
#[derive(Clone, Debug)]
pub struct Turn {
    /// One after the other.
    gates: Vec<Arc<Semaphore>>,
}

/// One look-up's way through, until it ends.
pub(crate) struct Passed {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Default for Turnstile {
    fn default() -> Self {
        let sources = Sources { turns: HashMap::new(), tidy_at: SOURCES_MIN };
        Self { all: Arc::new(Semaphore::new(STRANGERS_LOOKUPS_MAX)), sources: Mutex::new(sources) }
    }
}

impl Turnstile {
    /// The way through for an IPv4 address, or an IPv6 network of 64 bits.
    #[must_use]
    pub fn of(&self, ip: IpAddr) -> Turn {
        let source = match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        };
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.turns.len() >= sources.tidy_at {
            sources.turns.retain(|_, turn| turn.strong_count() > 0);
            sources.tidy_at = (sources.turns.len() * 2).max(SOURCES_MIN);
        }
        let known = sources.turns.get(&source).and_then(Weak::upgrade);
        let own = known.unwrap_or_else(|| {
            let own = Arc::new(Semaphore::new(SOURCE_LOOKUPS_MAX));
            sources.turns.insert(source, Arc::downgrade(&own));
            own
        });
        Turn { gates: vec![own, Arc::clone(&self.all)] }
    }

    /// Look-ups that are under way now.
    #[must_use]
    pub fn under_way(&self) -> usize {
        STRANGERS_LOOKUPS_MAX - self.all.available_permits()
    }
}

impl Turn {
    /// The same way, this many at a time.
    #[must_use]
    pub fn at_most(&self, count: usize) -> Self {
        let mut gates = vec![Arc::new(Semaphore::new(count))];
        gates.extend(self.gates.iter().cloned());
        Self { gates }
    }

    /// Through at once, or not now.
    pub(crate) fn try_pass(&self) -> Option<Passed> {
        let through = |gate: &Arc<Semaphore>| Arc::clone(gate).try_acquire_owned().ok();
        let permits = self.gates.iter().map(through).collect::<Option<_>>()?;
        Some(Passed { _permits: permits })
    }

    /// Waits for its turn.
    pub(crate) async fn pass(&self) -> Passed {
        let mut permits = Vec::with_capacity(self.gates.len());
        for gate in &self.gates {
            // They are never closed; were one, going on without it would be right.
            permits.extend(Arc::clone(gate).acquire_owned().await);
        }
        Passed { _permits: permits }
    }
}
