//! What destinations have in common: connections to the same hosts, waits for a provider's rate, and
//! what a host cannot do.

use std::net::SocketAddr;
use std::sync::Arc;

use mail_types::Timestamp;

use super::{Desk, Job, Key, Line, PAUSED_LINES_MAX, State};
use crate::look_up::NextHop;
use crate::queue::Item;
use crate::rates::Wait;

/// Jobs that lie before a connection, at most, where those of another destination join them.
const SHARED_JOBS_MAX: usize = 8;
/// Destinations that wait for a rate and are remembered.
const WAITS_MAX: usize = 10_000;

impl Desk {
    /// Nothing goes there until then. Takes away what lies here for it, with where it belongs, and
    /// answers whether the wait is remembered here: of too many it is not, and has to be recorded
    /// with the mail, which would be looked up again and again.
    pub(crate) fn hold_back(&self, hop: &NextHop, wait: Wait) -> (Vec<Job>, bool) {
        let mut state = self.state();
        let is_kept = state.waits.len() < WAITS_MAX || state.waits.contains_key(hop);
        if is_kept {
            state.waits.insert(hop.clone(), wait);
        }
        let lines = state.lines.iter_mut().filter(|(key, _)| key.hop == *hop);
        (lines.flat_map(|(_, line)| line.jobs.take_all()).collect(), is_kept)
    }

    /// Takes away what no connection has taken yet and that is late; it counts until that is recorded.
    pub(crate) fn take_late(&self, is_late: &dyn Fn(&Item) -> bool) -> Vec<(Key, Vec<Item>)> {
        let mut late = Vec::new();
        for line in self.state().lines.values_mut() {
            if !line.jobs.any(|job| job.items.iter().any(is_late)) {
                continue;
            }
            for mut job in line.jobs.take_all() {
                let items: Vec<Item> = job.items.extract_if(.., |item| is_late(item)).collect();
                if !items.is_empty() {
                    late.push((job.key.clone(), items));
                }
                if !job.items.is_empty() {
                    line.jobs.push(job);
                }
            }
        }
        late
    }

    /// This host gets no chunks any more, until the next start.
    pub(crate) fn without_chunking(&self, address: SocketAddr) {
        let mut state = self.state();
        if state.without_chunking.len() >= PAUSED_LINES_MAX {
            state.without_chunking.clear();
        }
        state.without_chunking.insert(address);
    }

    /// Whether this host may get chunks.
    pub(crate) fn may_chunk(&self, address: SocketAddr) -> bool {
        !self.state().without_chunking.contains(&address)
    }

    /// What a destination waits for.
    pub(crate) fn wait_of(&self, hop: &NextHop, now: Timestamp) -> Option<Wait> {
        self.state().waits.get(hop).filter(|wait| wait.until > now).cloned()
    }

    /// When the next such wait is over.
    pub(crate) fn next_wait(&self, now: Timestamp) -> Option<Timestamp> {
        let state = self.state();
        state.waits.values().map(|wait| wait.until).filter(|until| *until > now).min()
    }

    pub(super) fn learn_way(state: &mut State, key: &Key, way: Option<Arc<str>>) {
        let Some(line) = state.lines.get_mut(key) else { return };
        if line.way == way {
            return;
        }
        let former = std::mem::replace(&mut line.way, way.clone());
        Self::forget_way(state, key, former);
        if let Some(way) = way {
            state.sisters.entry(way).or_default().push(key.clone());
        }
    }

    pub(super) fn forget_way(state: &mut State, key: &Key, way: Option<Arc<str>>) {
        let Some(way) = way else { return };
        if let Some(keys) = state.sisters.get_mut(&way) {
            keys.retain(|known| known != key);
            if keys.is_empty() {
                state.sisters.remove(&way);
            }
        }
    }

    /// Lays the mail of this line, whose look-up is over, to that of a destination with the same
    /// hosts, addresses and policies, where a connection stands idle, or where there are already as
    /// many as these hosts bear. False where there is none, or too few for all of it: the line needs
    /// a connection of its own.
    pub(crate) fn share(&self, key: &Key, is_full: bool, now: Timestamp) -> bool {
        let mut state = self.state();
        let way = state.lines.get(key).and_then(|line| line.way.clone());
        let Some(sisters) = way.and_then(|way| state.sisters.get(&way)) else { return false };
        let serves = |line: &Line| {
            let paused = line.pause.as_ref().is_some_and(|(until, _)| *until > now);
            let stands = line.connections > line.connecting;
            stands && !paused && room(line, is_full) > 0
        };
        let found = sisters.iter().filter(|sister| *sister != key);
        let found = found.filter(|sister| state.lines.get(sister).is_some_and(serves)).min();
        let Some(sister) = found.cloned() else { return false };
        let room = state.lines.get(&sister).map_or(0, |line| room(line, is_full));
        let Some(line) = state.lines.get_mut(key) else { return false };
        let jobs: Vec<Job> = (0..room).map_while(|_| line.jobs.pop()).collect();
        let is_all = line.jobs.is_empty();
        let Some(line) = state.lines.get_mut(&sister) else { return false };
        for job in jobs {
            line.jobs.push(job);
            if line.idle > 0 {
                line.idle -= 1;
                line.called += 1;
                line.wake.notify_one();
            }
        }
        is_all
    }

    /// A look-up has said which hosts take the mail of this line. False where those have as many
    /// connections as they bear already, of other lines too: this one ends, and its mail waits.
    pub(crate) fn at_site(
        &self,
        key: &Key,
        (site, way): (&Arc<str>, Option<Arc<str>>),
        limit: Option<usize>,
    ) -> bool {
        let mut state = self.state();
        Self::learn_way(&mut state, key, way);
        let per_site = self.limits.per_destination;
        let State { lines, windows, waiting, .. } = &mut *state;
        windows.learn(&key.hop, site);
        windows.limit(site, limit);
        let Some(line) = lines.get_mut(key) else { return true };
        if line.site.as_ref() != Some(site) {
            if let Some(former) = line.site.replace(Arc::clone(site)) {
                windows.fewer(&former, line.connections);
                // Nobody may ever leave the former site again.
                line.waits &= !waiting.leave_site(&former, key);
            }
            windows.more(site, line.connections);
        }
        let is_over = windows.is_over(site, per_site);
        if is_over && !line.waits && !line.jobs.is_empty() {
            line.waits = true;
            waiting.for_site(site, key);
        }
        !is_over
    }

    /// The hosts of this line took a message.
    pub(crate) fn took(&self, key: &Key) {
        let mut state = self.state();
        let per_site = self.limits.per_destination;
        let State { lines, windows, .. } = &mut *state;
        if let Some(site) = lines.get(key).and_then(|line| line.site.as_ref()) {
            windows.took(site, per_site);
        }
    }

    /// They said 421, or nothing in time.
    pub(crate) fn struggles(&self, key: &Key, now: Timestamp) {
        let mut state = self.state();
        let State { lines, windows, .. } = &mut *state;
        if let Some(site) = lines.get(key).and_then(|line| line.site.as_ref()) {
            windows.struggles(site, now);
        }
    }

    /// Whether this line's hosts have more connections than they bear.
    pub(crate) fn is_over(&self, key: &Key) -> bool {
        let state = self.state();
        let site = state.lines.get(key).and_then(|line| line.site.as_ref());
        site.is_some_and(|site| state.windows.is_over(site, self.limits.per_destination))
    }
}

/// Jobs of others that may join those of a line: what its idle connections take soon or, where there
/// can be no further connection, as many as all of them do. Behind a long backlog they would wait
/// longer than for a connection of their own.
fn room(line: &Line, is_full: bool) -> usize {
    let connections = if is_full { line.connections } else { line.idle };
    (SHARED_JOBS_MAX * connections).saturating_sub(line.jobs.len())
}
