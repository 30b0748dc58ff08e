mod sharing;
mod waiting;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail_types::{CustodyId, Priority, Timestamp};
use route::Class;
use tokio::sync::Notify;
use waiting::Waiting;

use crate::Settings;
use crate::asked::Asked;
use crate::lineup::Lineup;
use crate::look_up::NextHop;
use crate::queue::Item;
use crate::rates::Wait;
use crate::setback::Setback;
use crate::window::Windows;

/// Destinations without mail that are remembered because they could not be reached.
const PAUSED_LINES_MAX: usize = 10_000;

/// What connections are shared for: a destination, and which of its hosts are left out because they
/// have already said "not now" to the mail in this line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) hop: NextHop,
    pub(crate) asked: Asked,
    /// Its mail goes whatever TLS policies say (RFC 8689 §5).
    pub(crate) tls_optional: bool,
}

/// Recipients of one message at one destination: one transaction.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Where it belongs. It may lie in the line of another destination whose hosts are the same.
    pub(crate) key: Key,
    /// At least one, all of one message.
    pub(crate) items: Vec<Item>,
    /// What hosts of this destination have said to it in this attempt.
    pub(crate) setback: Option<Setback>,
    /// It met a connection that had gone stale, and got a fresh one at once.
    pub(crate) met_stale: bool,
}

impl Job {
    pub(crate) fn priority(&self) -> Priority {
        self.items.first().map_or(Priority::NORMAL, |item| item.mail.priority)
    }
}

/// Mail whose connection ended with a panic.
pub(crate) struct Orphan {
    pub(crate) job: Job,
    /// The final dot may have been sent.
    pub(crate) past_dot: bool,
}

/// Where mail in memory lies, sorted by destination, until a connection takes it.
///
/// One lock, never held across a wait: what is done under it is some moves in memory.
pub(crate) struct Desk {
    state: Mutex<State>,
    limits: Limits,
    /// There is room for mail again, or an orphan to settle.
    pub(crate) room: Notify,
    /// A connection has ended.
    pub(crate) left: Notify,
}

struct Limits {
    connections: usize,
    per_destination: usize,
    items: usize,
    items_per_destination: usize,
    /// Jobs that one connection takes at a time.
    jobs_at_once: usize,
}

#[derive(Default)]
struct State {
    lines: HashMap<Key, Line>,
    /// Lines that want a connection while there are as many as there may be.
    waiting: Waiting,
    connections: usize,
    items: usize,
    orphans: Vec<Orphan>,
    windows: Windows,
    /// Destinations that get nothing for a while.
    waits: HashMap<NextHop, Wait>,
    /// Hosts that offer CHUNKING and do not know BDAT.
    without_chunking: HashSet<SocketAddr>,
    /// Destinations by what their hosts are and what TLS must be there, as of the last look-up.
    sisters: HashMap<Arc<str>, Vec<Key>>,
    /// The last taking left mail in the queue for want of room here, or for want of room for these.
    left_behind: bool,
    /// With how many lie here of it.
    full: HashMap<NextHop, usize>,
    stopping: bool,
}

/// One destination.
#[derive(Default)]
struct Line {
    jobs: Lineup,
    /// Custodies queued here, being sent, and not yet recorded.
    items: usize,
    /// Connections, those being made included.
    connections: usize,
    /// Of them: not yet ready for mail.
    connecting: usize,
    /// Of them: waiting for mail.
    idle: usize,
    /// Idle ones that were woken to take mail, or to leave, and have not yet done so.
    called: usize,
    sent_away: usize,
    wake: Arc<Notify>,
    /// More connections than this were refused, until then.
    learned_max: Option<(usize, Timestamp)>,
    /// Nobody could be reached: until then mail is put off at once, and why.
    pause: Option<(Timestamp, Setback)>,
    /// Addresses that could not be reached, until then.
    unreachable: HashMap<SocketAddr, Timestamp>,
    waits: bool,
    /// Whose connections it shares, as far as that is known.
    site: Option<Arc<str>>,
    /// Hosts, addresses and policies of the last look-up, where other destinations may have the same.
    way: Option<Arc<str>>,
}

impl State {
    /// So many custodies came in that go this way.
    fn more(&mut self, hop: &NextHop, count: usize) {
        self.items += count;
        if let Some(lie) = self.full.get_mut(hop) {
            *lie += count;
        }
    }
}

/// What became of a job that was put on the desk.
pub(crate) enum Put {
    /// It lies there; a connection is on its way or needs not to be.
    Queued,
    /// It lies there, and the caller makes a connection for it.
    Connect,
    /// It does not: the destination is paused.
    Paused(Box<(Job, Setback)>),
    /// It does not: the destination gets nothing for a while.
    HeldBack(Box<Job>),
}

/// What a connection without mail does.
pub(crate) enum Idle {
    /// There is mail again.
    Work,
    /// Another destination wants the connection.
    Leave,
    /// It waits for this.
    Wait(Arc<Notify>),
}

/// What an idle connection does that was woken.
pub(crate) enum Called {
    /// There may be mail.
    Work,
    /// It makes room for another destination, or was idle for long enough.
    Leave,
    /// Nothing: a wake-up meant for another.
    Wait,
}

impl Desk {
    pub(crate) fn new(settings: &Settings) -> Self {
        let limits = Limits {
            connections: settings.connections_max.max(1),
            per_destination: settings.connections_per_destination_max.max(1),
            items: settings.items_max.max(1),
            items_per_destination: settings.items_per_destination_max.max(1),
            jobs_at_once: settings.attempts_ahead.max(1),
        };
        let (room, left) = (Notify::new(), Notify::new());
        Self { state: Mutex::default(), limits, room, left }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves counts at worst one off; mail is not lost by that.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Custodies that may come in.
    pub(crate) fn room(&self) -> usize {
        self.limits.items.saturating_sub(self.state().items)
    }

    /// The last taking left mail behind for want of room: `room` is notified once there is some.
    pub(crate) fn wait_for_room(&self) {
        self.state().left_behind = true;
    }

    /// Where enough mail lies that goes the same way, and whether for urgent mail, too, which gets as
    /// much room again: else it would wait in the queue behind all that waits here. What is left
    /// behind of it has `room` notified once half of it is gone. Also what waits for a rate.
    pub(crate) fn full(&self, now: Timestamp) -> HashMap<NextHop, bool> {
        let mut state = self.state();
        state.waits.retain(|_, wait| wait.until > now);
        let mut items: HashMap<&NextHop, usize> = HashMap::new();
        for (key, line) in state.lines.iter().filter(|(_, line)| line.items > 0) {
            *items.entry(&key.hop).or_default() += line.items;
        }
        let max = self.limits.items_per_destination;
        let full = items.into_iter().filter(|(_, count)| *count >= max);
        let counts: HashMap<NextHop, usize> =
            full.map(|(hop, count)| (hop.clone(), count)).collect();
        let mut full: HashMap<NextHop, bool> =
            counts.iter().map(|(hop, count)| (hop.clone(), *count >= 2 * max)).collect();
        state.full = counts;
        full.extend(state.waits.keys().map(|hop| (hop.clone(), true)));
        full
    }

    /// New mail from the queue.
    pub(crate) fn put_new(&self, key: &Key, job: Job, now: Timestamp) -> Put {
        let mut state = self.state();
        state.more(&key.hop, job.items.len());
        self.put_into(&mut state, key, job, now)
    }

    /// One item that is settled without a connection: it counts until that is recorded.
    pub(crate) fn put_aside(&self, key: &Key) {
        let mut state = self.state();
        state.more(&key.hop, 1);
        let site = Some(state.windows.site_of(&key.hop));
        let line = state.lines.entry(key.clone());
        line.or_insert_with(|| Line { site, ..Line::default() }).items += 1;
    }

    /// Mail that was here before, of this line.
    pub(crate) fn put_back(&self, key: &Key, job: Job, now: Timestamp) -> Put {
        let mut state = self.state();
        // put_into counts it again.
        if let Some(line) = state.lines.get_mut(key) {
            line.items = line.items.saturating_sub(job.items.len());
        }
        self.put_into(&mut state, key, job, now)
    }

    /// Mail that goes from one line to another, of the same destination and fewer hosts.
    pub(crate) fn put_over(&self, from: &Key, to: &Key, job: Job, now: Timestamp) -> Put {
        let mut state = self.state();
        if let Some(line) = state.lines.get_mut(from) {
            line.items = line.items.saturating_sub(job.items.len());
        }
        self.put_into(&mut state, to, job, now)
    }

    fn put_into(&self, state: &mut State, key: &Key, job: Job, now: Timestamp) -> Put {
        if !state.lines.contains_key(key) {
            let site = Some(state.windows.site_of(&key.hop));
            state.lines.insert(key.clone(), Line { site, ..Line::default() });
        }
        let stopping = state.stopping;
        let is_held_back = state.waits.get(&key.hop).is_some_and(|wait| wait.until > now);
        let Some(line) = state.lines.get_mut(key) else { return Put::Queued };
        line.items += job.items.len();
        if is_held_back {
            return Put::HeldBack(Box::new(job));
        }
        if line.pause.as_ref().is_some_and(|(until, _)| *until <= now) {
            line.pause = None;
        }
        if let Some((_, setback)) = &line.pause {
            return Put::Paused(Box::new((job, setback.clone())));
        }
        line.jobs.push(job);
        if stopping {
            return Put::Queued;
        }
        if line.idle > 0 {
            line.idle -= 1;
            line.called += 1;
            line.wake.notify_one();
            return Put::Queued;
        }
        match self.may_connect(state, key, now) {
            true => Put::Connect,
            false => Put::Queued,
        }
    }

    /// Whether the line gets one more connection now; counts it. Otherwise it may wait for one.
    fn may_connect(&self, state: &mut State, key: &Key, now: Timestamp) -> bool {
        let full = state.connections >= self.limits.connections;
        let scarce = state.connections >= self.limits.connections / 2;
        let per_site = self.limits.per_destination;
        let State { lines, windows, waiting, .. } = &mut *state;
        let Some(line) = lines.get_mut(key) else { return false };
        if line.learned_max.is_some_and(|(_, until)| until <= now) {
            line.learned_max = None;
        }
        let learned = line.learned_max.map_or(usize::MAX, |(count, _)| count);
        // Where many destinations have mail, making and ending connections costs more than sending:
        // what one connection can take soon gets no second one.
        let suffices = if scarce { line.connections * self.limits.jobs_at_once } else { 0 };
        let wants = line.jobs.len() > (line.connecting + line.called).max(suffices)
            && line.connections < self.limits.per_destination.min(learned);
        if !wants {
            return false;
        }
        let full_site = line.site.clone().filter(|site| !windows.has_room(site, per_site));
        if full || full_site.is_some() {
            if line.waits {
                // Whoever could make room for it was sent away when it began to wait.
                return false;
            }
            line.waits = true;
            match &full_site {
                Some(site) => waiting.for_site(site, key),
                None => waiting.for_any(key),
            }
            // An idle connection makes room: to the same hosts, or elsewhere.
            let makes_room =
                |line: &&mut Line| line.idle > 0 && (full_site.is_none() || line.site == full_site);
            if let Some(line) = lines.values_mut().find(makes_room) {
                line.idle -= 1;
                line.sent_away += 1;
                line.wake.notify_one();
            }
            return false;
        }
        line.connections += 1;
        line.connecting += 1;
        if let Some(site) = &line.site {
            windows.more(site, 1);
        }
        state.connections += 1;
        true
    }

    /// The connection is ready for mail.
    pub(crate) fn connected(&self, key: &Key) {
        if let Some(line) = self.state().lines.get_mut(key) {
            line.connecting = line.connecting.saturating_sub(1);
        }
    }

    /// Takes at most so many jobs: of the rest of the line, what is this connection's share.
    pub(crate) fn take(&self, key: &Key, jobs_max: usize) -> Vec<Job> {
        let mut state = self.state();
        if state.stopping {
            return Vec::new();
        }
        let Some(line) = state.lines.get_mut(key) else { return Vec::new() };
        let share = line.jobs.len().div_ceil(line.connections.max(1));
        let count = share.min(jobs_max).min(line.jobs.len());
        (0..count).map_while(|_| line.jobs.pop()).collect()
    }

    /// What a connection without mail does; one that is to wait counts as idle from now on.
    pub(crate) fn begin_idle(&self, key: &Key) -> Idle {
        let mut state = self.state();
        let State { lines, waiting, stopping, .. } = &mut *state;
        let Some(line) = lines.get_mut(key) else { return Idle::Leave };
        let make_room = *stopping || waiting.is_waited_for(line.site.as_ref());
        match (line.jobs.is_empty(), make_room) {
            (_, true) => Idle::Leave,
            (false, false) => Idle::Work,
            (true, false) => {
                line.idle += 1;
                Idle::Wait(Arc::clone(&line.wake))
            }
        }
    }

    /// What an idle connection does that was woken, or has been idle for long enough.
    pub(crate) fn called(&self, key: &Key, tired: bool) -> Called {
        let mut state = self.state();
        let Some(line) = state.lines.get_mut(key) else { return Called::Leave };
        if line.called > 0 {
            line.called -= 1;
            return Called::Work;
        }
        if line.sent_away > 0 {
            line.sent_away -= 1;
            return Called::Leave;
        }
        if tired {
            line.idle = line.idle.saturating_sub(1);
            return Called::Leave;
        }
        Called::Wait
    }

    /// A connection has ended. Returns the lines that are to get one now.
    pub(crate) fn end_connection(&self, key: &Key, was_ready: bool, now: Timestamp) -> Vec<Key> {
        let mut state = self.state();
        state.connections = state.connections.saturating_sub(1);
        let State { lines, windows, .. } = &mut *state;
        if let Some(line) = lines.get_mut(key) {
            line.connections = line.connections.saturating_sub(1);
            if let Some(site) = &line.site {
                windows.fewer(site, 1);
            }
            if !was_ready {
                line.connecting = line.connecting.saturating_sub(1);
            }
        }
        let mut start = Vec::new();
        if !state.stopping {
            // Those who wait come first, so that one busy destination does not keep all.
            start.extend(self.start_waiting(&mut state, key, now));
            if self.may_connect(&mut state, key, now) {
                start.push(key.clone());
            }
        }
        Self::forget_if_empty(&mut state, key, now);
        drop(state);
        self.left.notify_waiters();
        start
    }

    /// Nobody of the destination wanted this connection: takes all its mail away, to be put off,
    /// and pauses it, unless another connection to it stands or is on its way. If that one gets
    /// through, there is a limit of theirs on connections, not a destination that is down; if it
    /// does not, it comes here too.
    pub(crate) fn unreachable(&self, key: &Key, setback: &Setback, until: Timestamp) -> Vec<Job> {
        let mut state = self.state();
        let Some(line) = state.lines.get_mut(key) else { return Vec::new() };
        let others = line.connections.saturating_sub(1);
        if others > 0 {
            line.learned_max = Some((others, until));
            return Vec::new();
        }
        // What is refused for good is refused again by whoever says so; it costs no wait.
        if setback.verdict.failure.class != Class::Permanent {
            // What was tried is told with the mail it was tried for, not with what comes later.
            let setback = Setback { tries: Vec::new(), ..setback.clone() };
            line.pause = Some((until, setback));
        }
        line.jobs.take_all()
    }

    /// An address could not be reached; it comes last until then.
    pub(crate) fn avoid(&self, key: &Key, address: SocketAddr, until: Timestamp) {
        if let Some(line) = self.state().lines.get_mut(key) {
            line.unreachable.insert(address, until);
        }
    }

    /// Whether the address could not be reached lately.
    pub(crate) fn is_avoided(&self, key: &Key, address: SocketAddr, now: Timestamp) -> bool {
        let mut state = self.state();
        let Some(line) = state.lines.get_mut(key) else { return false };
        line.unreachable.retain(|_, until| *until > now);
        line.unreachable.contains_key(&address)
    }

    /// Results of so many custodies are durable.
    pub(crate) fn recorded(&self, key: &Key, count: usize, now: Timestamp) {
        let mut state = self.state();
        state.items = state.items.saturating_sub(count);
        if let Some(line) = state.lines.get_mut(key) {
            line.items = line.items.saturating_sub(count);
        }
        // Who takes from the queue is not called for each message: what is full and stuck must not
        // have the queue looked through for each message that goes elsewhere.
        let mut has_room = state.left_behind && state.items <= self.limits.items / 2;
        if has_room {
            state.left_behind = false;
        }
        if let Some(lie) = state.full.get_mut(&key.hop) {
            *lie = lie.saturating_sub(count);
            if *lie <= self.half_full() {
                state.full.remove(&key.hop);
                has_room = true;
            }
        }
        Self::forget_if_empty(&mut state, key, now);
        if has_room {
            self.room.notify_one();
        }
    }

    const fn half_full(&self) -> usize {
        self.limits.items_per_destination / 2
    }

    fn forget_if_empty(state: &mut State, key: &Key, now: Timestamp) {
        let idle = |line: &Line| line.items == 0 && line.connections == 0 && line.jobs.is_empty();
        let paused = |line: &Line| line.pause.as_ref().is_some_and(|(until, _)| *until > now);
        if state.lines.get(key).is_some_and(|line| idle(line) && !paused(line)) {
            let former = state.lines.remove(key).and_then(|line| line.way);
            Self::forget_way(state, key, former);
        }
        if state.lines.len() > PAUSED_LINES_MAX {
            // Whoever is left out here is found anew at its next look-up.
            let State { lines, sisters, .. } = &mut *state;
            sisters.retain(|_, keys| {
                keys.retain(|key| {
                    let Some(line) = lines.get_mut(key) else { return false };
                    if idle(line) {
                        // Or its next look-up would find that nothing has changed.
                        line.way = None;
                    }
                    line.way.is_some()
                });
                !keys.is_empty()
            });
            lines.retain(|_, line| !idle(line) || paused(line));
        }
        if state.lines.len() > 2 * PAUSED_LINES_MAX {
            state.lines.retain(|_, line| !idle(line));
        }
    }

    /// Forgets that destinations could not be reached: somebody wants them tried now.
    pub(crate) fn forget_pauses(&self) {
        let mut state = self.state();
        for line in state.lines.values_mut() {
            line.pause = None;
            line.learned_max = None;
            line.unreachable.clear();
        }
    }

    pub(crate) fn add_orphan(&self, orphan: Orphan) {
        self.state().orphans.push(orphan);
        self.room.notify_one();
    }

    pub(crate) fn take_orphans(&self) -> Vec<Orphan> {
        std::mem::take(&mut self.state().orphans)
    }

    /// Nothing is taken by connections any more; returns what none has taken.
    pub(crate) fn stop(&self) -> Vec<CustodyId> {
        let mut state = self.state();
        state.stopping = true;
        state.waiting.clear();
        let jobs = state.lines.values_mut().flat_map(|line| line.jobs.take_all());
        jobs.flat_map(|job| job.items).map(|item| item.custody).collect()
    }

    /// Takes away all that no connection has taken: it is out of date.
    pub(crate) fn take_all(&self, now: Timestamp) -> Vec<CustodyId> {
        let mut state = self.state();
        let mut custodies = Vec::new();
        let lines = state.lines.values_mut();
        let jobs: Vec<Job> = lines.flat_map(|line| line.jobs.take_all()).collect();
        for job in jobs {
            let count = job.items.len();
            custodies.extend(job.items.iter().map(|item| item.custody));
            if let Some(line) = state.lines.get_mut(&job.key) {
                line.items = line.items.saturating_sub(count);
            }
            state.items = state.items.saturating_sub(count);
        }
        let keys: Vec<Key> = state.lines.keys().cloned().collect();
        for key in keys {
            Self::forget_if_empty(&mut state, &key, now);
        }
        drop(state);
        self.room.notify_one();
        custodies
    }

    /// Connections, those being made included.
    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }
}
