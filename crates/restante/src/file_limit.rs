//! A connection is a file to the system, and it limits how many a process may have open.

use config::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files besides connections: segments, bodies, the index's readers, DNS, logs.
const OTHER_FILES: usize = 512;
/// However few files the system allows, so many connections are taken, and as many made.
const CONNECTIONS_MIN: usize = 10;

/// Lowers the settings of connections to what the system has files for: half of what the journal
/// leaves is for sending, the rest for those who come. What the system allows is raised first (from
/// the soft limit to the hard one). Connections turned away are told to come again; a journal that
/// cannot open its next segment would refuse all mail.
pub fn fit(config: &mut Config) {
    let wanted = config.limits.connections_max;
    let needed = OTHER_FILES + config.queue.concurrency + wanted;
    let needed = u64::try_from(needed).unwrap_or(u64::MAX);
    let Some(allowed) = raise(needed).filter(|allowed| *allowed < needed) else { return };
    let room = usize::try_from(allowed).unwrap_or(usize::MAX).saturating_sub(OTHER_FILES);
    let sent = config.queue.concurrency.min((room / 2).max(CONNECTIONS_MIN));
    let taken = wanted.min(room.saturating_sub(sent).max(CONNECTIONS_MIN));
    tracing::warn!(
        taken,
        wanted,
        sent,
        allowed,
        needed,
        "the system allows too few open files (ulimit -n, LimitNOFILE=): fewer connections are \
         taken than limits.connections_max says, or fewer made than queue.concurrency says"
    );
    config.limits.connections_max = taken;
    config.queue.concurrency = sent;
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
