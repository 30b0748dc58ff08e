//! The server's side: how far each standby is, and who waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use journal::Head;
use mail_types::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Store, Then, Witness};
use tokio::sync::watch;

use crate::error::{HubError, hub_io};
use crate::fence::Fence;
use crate::invites::invited;
use crate::lag::lag;
use crate::small;

/// When anybody may be told that something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// When it is durable here.
    Local,
    /// When it is durable at a standby, too.
    Standby,
}

/// What becomes of acknowledgements that wait for a standby that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAway {
    /// There are none: mail is refused for a while, changes are answered as our own trouble.
    Refuse,
    /// They are given, with an alarm, until a standby has caught up.
    GoOn,
}

/// How a hub works.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// The data directory.
    pub root: PathBuf,
    /// Of this server.
    pub hostname: String,
    /// When anybody is told.
    pub acknowledge: Acknowledge,
    /// And if no standby is there.
    pub when_away: WhenAway,
    /// A standby that has not answered for so long is away.
    pub away_after: Duration,
    /// One that was not seen, or is behind, for so long is an alarm. Zero: never.
    pub alarm_after: Duration,
    /// Bytes of a segment, for telling how far a standby is behind.
    pub segment_bytes: u64,
}

/// All standbys of a server.
pub struct Hub {
    pub(crate) settings: HubSettings,
    store: OnceLock<Store>,
    state: Mutex<State>,
    /// The durable head, for those who stream it.
    pub(crate) durable: watch::Sender<Head>,
    fenced: watch::Sender<Option<Fence>>,
    /// How many links came so far that spoke for a standby.
    heard: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    standbys: BTreeMap<String, One>,
    waiting: VecDeque<Waiting>,
    /// The group up to which the best of them has everything.
    acked: u64,
    /// When a standby was last linked, or this began.
    linked_at: Option<Instant>,
    /// Nothing waits until one has caught up again.
    away: bool,
}

impl State {
    /// Whether a standby ever followed: a server that never had one waits for none.
    fn has_known(&self) -> bool {
        self.standbys.values().any(|one| one.seen.is_some())
    }
}

struct Waiting {
    group: u64,
    since: Instant,
    then: Then,
}

/// What is known of a standby.
#[derive(Clone, Debug, Default)]
struct One {
    links: u32,
    peer: Option<IpAddr>,
    seen: Option<Timestamp>,
    head: Option<Head>,
    /// Since when it has not had everything.
    behind_since: Option<Timestamp>,
    trouble: Option<String>,
    alarmed: bool,
}

/// What stays of it when the server stops.
#[derive(Default, Serialize, Deserialize)]
struct Seen(BTreeMap<String, (i64, Vec<u8>)>);

/// A standby, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub struct StandbyView {
    /// What the operator calls it.
    pub name: String,
    /// It is linked now.
    pub linked: bool,
    /// From where it was linked last.
    pub peer: Option<IpAddr>,
    /// When it was last heard of; none: never.
    pub seen: Option<Timestamp>,
    /// The last record that it has.
    pub records: u64,
    /// Records that it does not have.
    pub lag_records: u64,
    /// Bytes of the journal that it does not have.
    pub lag_bytes: u64,
    /// For so long it has not had everything.
    pub lag_secs: f64,
    /// Why it does not follow, in its words.
    pub trouble: Option<String>,
}

/// How often who waits is looked at.
const TICK: Duration = Duration::from_millis(200);
/// What is known of standbys is written down so often.
const KEEP_EACH: Duration = Duration::from_secs(30);

impl Hub {
    /// Of this server; nobody is waited for before [`Hub::attach`].
    ///
    /// # Errors
    /// Where the invitations cannot be read.
    pub fn new(settings: HubSettings) -> Result<Arc<Self>, HubError> {
        let path = settings.root.join("standby").join("seen.json");
        let seen = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let Seen(seen) = seen.unwrap_or_default();
        let mut state = State { linked_at: Some(Instant::now()), ..State::default() };
        for invite in invited(&settings.root)? {
            let known = seen.get(&invite.name);
            let one = One {
                seen: known.map(|(at, _)| Timestamp(*at)),
                head: known.and_then(|(_, head)| Head::from_bytes(head)),
                ..One::default()
            };
            state.standbys.insert(invite.name, one);
        }
        Ok(Arc::new(Self {
            settings,
            store: OnceLock::new(),
            state: Mutex::new(state),
            durable: watch::Sender::new(Head::START),
            fenced: watch::Sender::new(None),
            heard: watch::Sender::new(0),
        }))
    }

    /// From now on acknowledgements wait, where the settings want it.
    pub fn attach(&self, store: Store) {
        if let Some(head) = store.journal().head() {
            self.durable.send_replace(head);
        }
        // Attaching a second time changes nothing.
        self.store.set(store).ok();
        self.lock().linked_at = Some(Instant::now());
        if self.settings.acknowledge == Acknowledge::Standby && !self.has_known_standby() {
            tracing::error!(
                "ALARM: no standby has followed this server yet: mail is acknowledged without one \
                 until one does"
            );
        }
    }

    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.get()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that panics happens under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a standby was ever linked: it may have been promoted meanwhile.
    #[must_use]
    pub fn has_known_standby(&self) -> bool {
        self.lock().has_known()
    }

    /// Waits until a standby has spoken, at most so long.
    pub async fn first_words(&self, wait: Duration) {
        let mut heard = self.heard.subscribe();
        let spoken = heard.wait_for(|count| *count > 0);
        // Not in time: that is what it is limited for.
        tokio::time::timeout(wait, spoken).await.map(drop).ok();
    }

    /// Waits until another server goes on in this one's place.
    pub async fn fenced(&self) -> Fence {
        let mut fenced = self.fenced.subscribe();
        loop {
            if let Some(fence) = fenced.borrow_and_update().clone() {
                return fence;
            }
            if fenced.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Another server goes on: durable, then nothing is accepted any more.
    pub(crate) fn fence(&self, fence: Fence) -> Result<(), HubError> {
        fence.write(&self.settings.root)?;
        if let Some(store) = self.store() {
            store.halt("another server was promoted in this one's place");
        }
        self.fenced.send_replace(Some(fence));
        Ok(())
    }

    pub(crate) fn spoke(&self) {
        self.heard.send_modify(|count| *count += 1);
    }

    /// A standby is linked, or no more.
    pub(crate) fn linked(&self, name: &str, peer: IpAddr, linked: bool) {
        let mut state = self.lock();
        state.linked_at = Some(Instant::now());
        let one = state.standbys.entry(name.to_owned()).or_default();
        one.links = if linked { one.links + 1 } else { one.links.saturating_sub(1) };
        (one.peer, one.seen) = (Some(peer), Some(net::now()));
        if linked {
            one.trouble = None;
        }
    }

    pub(crate) fn trouble(&self, name: &str, what: String) {
        if let Some(one) = self.lock().standbys.get_mut(name) {
            one.trouble = Some(what);
        }
    }

    /// A standby has everything up to here, synced.
    pub(crate) fn synced(&self, name: &str, head: Head) {
        let newest = self.newest();
        let mut ready = Vec::new();
        let mut state = self.lock();
        let one = state.standbys.entry(name.to_owned()).or_default();
        (one.seen, one.head) = (Some(net::now()), Some(head));
        if head.group >= newest.group {
            one.behind_since = None;
        }
        state.acked = state.acked.max(head.group);
        while state.waiting.front().is_some_and(|waiting| waiting.group <= state.acked) {
            ready.extend(state.waiting.pop_front());
        }
        if state.away && head.group >= newest.group {
            state.away = false;
            tracing::info!(name, "a standby has everything again; acknowledgements wait for it");
        }
        drop(state);
        ready.into_iter().for_each(|waiting| (waiting.then)(Ok(())));
    }

    fn newest(&self) -> Head {
        self.store().and_then(|store| store.journal().head()).unwrap_or(*self.durable.borrow())
    }

    /// Looks after who waits and who is away, until it is dropped.
    pub async fn watch(self: Arc<Self>, mut stop: net::Stop) {
        let mut kept = Instant::now();
        loop {
            self.look(Instant::now());
            self.alarms(net::now());
            if kept.elapsed() >= KEEP_EACH {
                if let Ok(invited) = invited(&self.settings.root) {
                    let is_known = |name: &String| invited.iter().any(|one| one.name == *name);
                    self.lock().standbys.retain(|name, one| one.links > 0 || is_known(name));
                }
                self.keep();
                kept = Instant::now();
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = stop.requested() => break,
            }
        }
        self.keep();
    }

    /// Ends the waits that are over.
    fn look(&self, now: Instant) {
        let mut over = Vec::new();
        let mut state = self.lock();
        let late = |waiting: &Waiting| now - waiting.since >= self.settings.away_after;
        if state.waiting.front().is_some_and(late) {
            state.away = true;
            over.extend(state.waiting.drain(..));
        }
        drop(state);
        if over.is_empty() {
            return;
        }
        self.tell_away();
        for waiting in over {
            (waiting.then)(self.while_away());
        }
    }

    fn tell_away(&self) {
        match self.settings.when_away {
            WhenAway::Refuse => tracing::error!(
                "ALARM: no standby has what came last: mail is refused until one is back \
                 (standby.when_away = \"refuse\")"
            ),
            WhenAway::GoOn => tracing::error!(
                "ALARM: no standby is there: mail is acknowledged without it until one has caught \
                 up (standby.when_away = \"go-on\")"
            ),
        }
    }

    fn while_away(&self) -> Result<(), String> {
        match self.settings.when_away {
            WhenAway::GoOn => Ok(()),
            WhenAway::Refuse => {
                Err("no standby has it, which is to have all mail first".to_owned())
            }
        }
    }

    fn alarms(&self, now: Timestamp) {
        let after = self.settings.alarm_after;
        if after.is_zero() {
            return;
        }
        let newest = self.newest();
        for (name, one) in &mut self.lock().standbys {
            let behind = one.head.is_none_or(|head| head.group < newest.group);
            if !behind {
                one.behind_since = None;
            } else if one.behind_since.is_none() && one.seen.is_some() {
                one.behind_since = Some(now);
            }
            let silent = one.seen.is_some_and(|seen| now.since(seen) >= after);
            let late = one.behind_since.is_some_and(|since| now.since(since) >= after);
            if (silent || late) && !one.alarmed {
                one.alarmed = true;
                let what = if silent { "is away" } else { "is behind" };
                tracing::error!(name, what, "ALARM: a standby does not have the latest mail");
            } else if !silent && !late && one.alarmed {
                one.alarmed = false;
                tracing::info!(name, "the standby has everything again");
            }
        }
    }

    /// Writes down who was seen and how far each was, so that the next start knows.
    pub(crate) fn keep(&self) {
        let mut seen = Seen::default();
        for (name, one) in &self.lock().standbys {
            if let (Some(at), head) = (one.seen, one.head.unwrap_or(Head::START)) {
                seen.0.insert(name.clone(), (at.millis(), head.to_bytes().to_vec()));
            }
        }
        if seen.0.is_empty() {
            return;
        }
        let path = self.settings.root.join("standby").join("seen.json");
        let written = serde_json::to_vec(&seen)
            .map_err(std::io::Error::other)
            .and_then(|bytes| small::replace(&path, &bytes))
            .map_err(hub_io("keep what is known of standbys"));
        if let Err(error) = written {
            tracing::warn!(%error, "the next start knows less of the standbys");
        }
    }

    /// Whether acknowledgements wait for a standby, and whether one is away for that.
    #[must_use]
    pub fn waits(&self) -> (bool, bool) {
        (self.settings.acknowledge == Acknowledge::Standby, self.lock().away)
    }

    /// Of each standby that may follow.
    #[must_use]
    pub fn view(&self) -> Vec<StandbyView> {
        let (newest, now) = (self.newest(), net::now());
        let invited = invited(&self.settings.root).unwrap_or_default();
        let known = self.lock().standbys.clone();
        let view = |name: String| {
            let one = known.get(&name).cloned().unwrap_or_default();
            let head = one.head.unwrap_or(Head::START);
            let behind = lag(&head, &newest, self.settings.segment_bytes);
            let since = one.behind_since.filter(|_| head.group < newest.group);
            StandbyView {
                name,
                linked: one.links > 0,
                peer: one.peer,
                seen: one.seen,
                records: head.last_seq.0,
                lag_records: behind.records,
                lag_bytes: behind.bytes,
                lag_secs: since.map_or(0.0, |since| now.since(since).as_secs_f64()),
                trouble: one.trouble,
            }
        };
        invited.into_iter().map(|invite| view(invite.name)).collect()
    }

    /// How long a clean stop waits until those that are linked have everything.
    pub async fn flushed(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let newest = self.newest();
        self.durable.send_replace(newest);
        while Instant::now() < until {
            let waits =
                self.lock().standbys.values().any(|one| {
                    one.links > 0 && one.head.is_none_or(|head| head.group < newest.group)
                });
            if !waits {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Witness for Hub {
    fn durable(&self, head: &Head, then: Then) {
        self.durable.send_replace(*head);
        let waits = self.settings.acknowledge == Acknowledge::Standby && self.store().is_some();
        if !waits {
            return then(Ok(()));
        }
        let mut state = self.lock();
        if !state.has_known() {
            drop(state);
            return then(Ok(()));
        }
        if state.acked >= head.group {
            drop(state);
            return then(Ok(()));
        }
        if state.away {
            drop(state);
            return then(self.while_away());
        }
        state.waiting.push_back(Waiting { group: head.group, since: Instant::now(), then });
    }

    fn ready(&self) -> Result<(), String> {
        if self.settings.acknowledge == Acknowledge::Local || self.store().is_none() {
            return Ok(());
        }
        let mut state = self.lock();
        let linked = state.standbys.values().any(|one| one.links > 0);
        let since = state.linked_at.map_or(Duration::ZERO, |at| at.elapsed());
        let late = state.has_known() && !linked && since >= self.settings.away_after;
        if late && !state.away {
            state.away = true;
            self.tell_away();
        }
        if state.away && state.has_known() { self.while_away() } else { Ok(()) }
    }
}
