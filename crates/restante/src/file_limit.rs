//! A connection is a file to the system, and it limits how many a process may have open.

use config::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files besides connections: segments, bodies, the index's readers, DNS, logs.
const OTHER_FILES: usize = 512;
/// However few files the system allows, so many connections are taken.
const CONNECTIONS_MIN: usize = 10;

/// How many connections may be taken: as many as the settings say, or fewer where the system
/// allows fewer files. What the system allows is raised first (from the soft limit to the hard
/// one). Connections turned away are told to come again; a journal that cannot open its next
/// segment would refuse all mail.
pub fn connections_max(config: &Config) -> usize {
    let wanted = config.limits.connections_max;
    let others = OTHER_FILES + config.queue.concurrency;
    let needed = u64::try_from(wanted + others).unwrap_or(u64::MAX);
    let Some(allowed) = raise(needed) else { return wanted };
    let room = usize::try_from(allowed).unwrap_or(usize::MAX).saturating_sub(others);
    if room < wanted {
        let taken = room.max(CONNECTIONS_MIN);
        tracing::warn!(
            taken,
            wanted,
            allowed,
            needed,
            "the system allows too few open files (ulimit -n, LimitNOFILE=): fewer connections \
             are taken than limits.connections_max says"
        );
        return taken;
    }
    wanted
}

/// Raises the limit as far as it may be; what holds now, `None` where there is no limit.
fn raise(needed: u64) -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current?;
    if current >= needed {
        return Some(current);
    }
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed)).max(current);
    let new = Rlimit { current: Some(raised), maximum: limit.maximum };
    match setrlimit(Resource::Nofile, new) {
        Ok(()) => Some(raised),
        Err(error) => {
            tracing::warn!(%error, raised, "the limit of open files could not be raised");
            Some(current)
        }
    }
}
