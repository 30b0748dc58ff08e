//! How many connections there are and may be.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{ListenLimits, Peer};

/// The connections that are open, in all, of each source and of each listener.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
    by_name: BTreeMap<Arc<str>, Connections>,
}

/// Connections of the listeners with one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Open now.
    pub open: u64,
    /// That had a place, since the start.
    pub taken: u64,
    /// That had none, since the start.
    pub turned_away: u64,
}

impl Places {
    /// The connections of each listener that has had any, by its name.
    #[must_use]
    pub fn connections(&self) -> BTreeMap<Arc<str>, Connections> {
        self.lock().by_name.clone()
    }

    pub(crate) fn turned_away(&self, name: &Arc<str>) {
        self.lock().of(name).turned_away += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // What is guarded here is whole at every moment, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn of(&mut self, name: &Arc<str>) -> &mut Connections {
        self.by_name.entry(Arc::clone(name)).or_default()
    }
}

/// One source has as many connections as it may.
pub(crate) struct TooMany;

/// One connection's place within the limits; given back when dropped.
pub(crate) struct Slot {
    places: Places,
    name: Arc<str>,
    source: Option<IpAddr>,
}

impl Slot {
    /// `None` where there is none: of all, or of those that this peer may have, where it is known.
    pub(crate) fn take(
        places: &Places,
        name: &Arc<str>,
        limits: &ListenLimits,
        peer: Option<Peer>,
    ) -> Option<Self> {
        {
            let mut now = places.lock();
            if now.total >= limits.connections_max {
                return None;
            }
            now.total += 1;
            now.of(name).open += 1;
        }
        let mut slot = Self { places: places.clone(), name: Arc::clone(name), source: None };
        // Dropped where there is no place, it gives the first one back.
        peer.is_none_or(|peer| slot.count(limits, peer).is_ok()).then_some(slot)
    }

    /// Counts it among those of this peer.
    pub(crate) fn count(&mut self, limits: &ListenLimits, peer: Peer) -> Result<(), TooMany> {
        let mut now = self.places.lock();
        if !limits.loopback_is_counted && peer.is_loopback() {
            now.of(&self.name).taken += 1;
            return Ok(());
        }
        let source = peer.source();
        let of_source = now.by_source.entry(source).or_default();
        if *of_source >= limits.connections_per_source_max {
            return Err(TooMany);
        }
        *of_source += 1;
        self.source = Some(source);
        now.of(&self.name).taken += 1;
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut now = self.places.lock();
        now.total -= 1;
        now.of(&self.name).open -= 1;
        let Some(source) = self.source else { return };
        match now.by_source.get_mut(&source) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                now.by_source.remove(&source);
            }
        }
    }
}
