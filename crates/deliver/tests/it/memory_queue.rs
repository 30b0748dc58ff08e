use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use deliver::{
    Attempt, Due, Item, Late, LateTaken, Mail, Outcome, Queue, QueueError, Report, Taken,
};
use mail_types::{Address, CustodyId, Domain, Host, MailId, Peer, Timestamp};
use tokio::sync::{Notify, watch};

/// What is known of a custody.
#[derive(Clone, Debug)]
pub struct Custody {
    pub item: Item,
    /// `None` once it is closed.
    pub due: Option<Timestamp>,
    pub taken: bool,
    pub begun: bool,
    pub outcomes: Vec<Outcome>,
    pub peers: Vec<Option<Peer>>,
}

#[derive(Debug, Default)]
pub struct State {
    pub custodies: BTreeMap<CustodyId, Custody>,
    /// Deadlines up to here were asked for.
    swept: Timestamp,
    bodies: HashMap<MailId, Vec<u8>>,
    pub reports: Vec<Report>,
    pub taken_max: usize,
    pub take_calls: usize,
    pub begin_calls: usize,
    pub record_calls: usize,
}

/// A queue in memory: breaks of the contract panic, and "durable" means here.
#[derive(Debug)]
pub struct MemoryQueue {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    changed: Notify,
    /// So many calls fail from now on.
    pub fail_begin: AtomicU32,
    pub fail_give_back: AtomicU32,
    /// The result of this custody cannot be recorded.
    pub fail_record_of: AtomicU64,
    pub fail_body: AtomicU32,
    /// So many readings of messages panic.
    pub panic_body: AtomicU32,
    /// Nothing is written any more.
    pub dead: AtomicBool,
}

impl MemoryQueue {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changes: watch::channel(0).0,
            changed: Notify::new(),
            fail_begin: AtomicU32::new(0),
            fail_give_back: AtomicU32::new(0),
            fail_record_of: AtomicU64::new(0),
            fail_body: AtomicU32::new(0),
            panic_body: AtomicU32::new(0),
            dead: AtomicBool::new(false),
        })
    }

    pub fn add(&self, mail: Mail, items: Vec<Item>, body: &[u8], due: Timestamp) {
        let mut state = self.state.lock().unwrap();
        state.bodies.insert(mail.id, body.to_vec());
        for item in items {
            let (taken, begun) = (false, false);
            let (outcomes, peers) = (Vec::new(), Vec::new());
            let custody = Custody { item, due: Some(due), taken, begun, outcomes, peers };
            state.custodies.insert(custody.item.custody, custody);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// What a restart does: nothing is taken, and what was begun is uncertain and due.
    pub fn restart(&self, now: Timestamp) {
        for custody in self.state.lock().unwrap().custodies.values_mut() {
            custody.taken = false;
            if std::mem::take(&mut custody.begun) && custody.due.is_some() {
                custody.item.uncertain = true;
                custody.item.attempts += 1;
                custody.due = Some(now);
            }
        }
    }

    pub fn make_due(&self, now: Timestamp) {
        for custody in self.state.lock().unwrap().custodies.values_mut() {
            custody.due = custody.due.map(|due| due.min(now));
        }
        self.changed.notify_one();
    }

    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap())
    }

    /// Waits until the state is as wanted.
    pub async fn wait_for(&self, what: &str, wanted: impl Fn(&State) -> bool) {
        let mut changes = self.changes.subscribe();
        let reached = changes.wait_for(|_| self.read(&wanted));
        let in_time = tokio::time::timeout(crate::world::LIMIT, reached).await;
        assert!(in_time.is_ok(), "never came to this: {what}: {:#?}", self.state.lock().unwrap());
    }

    fn note(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn record_one(&self, attempt: &Attempt) -> Result<(), QueueError> {
        let stuck = self.fail_record_of.load(Ordering::SeqCst);
        let is_stuck = attempt.results.iter().any(|(custody, _)| custody.0 == stuck);
        if is_stuck || self.dead.load(Ordering::SeqCst) {
            return Err(QueueError("the disk is full".into()));
        }
        let mut state = self.state.lock().unwrap();
        state.reports.extend(attempt.report.clone());
        for (id, outcome) in &attempt.results {
            let custody = state.custodies.get_mut(id).unwrap();
            assert!(std::mem::take(&mut custody.taken), "a result for what is not taken: {id}");
            let begun = std::mem::take(&mut custody.begun);
            custody.peers.push(attempt.peer.clone());
            custody.outcomes.push(outcome.clone());
            match outcome {
                Outcome::Relayed { .. } => {
                    assert!(begun, "sent before the attempt was recorded: {id}");
                    assert!(custody.due.take().is_some(), "closed twice: {id}");
                }
                Outcome::Returned { .. } => {
                    assert!(custody.due.take().is_some(), "closed twice: {id}");
                }
                Outcome::Deferred { due, reported, .. } => {
                    custody.item.attempts += 1;
                    custody.item.warned |= reported;
                    custody.due = Some(*due);
                }
                Outcome::Waits { due, reported, .. } => {
                    assert!(!begun, "offered, and yet it waits: {id}");
                    custody.item.warned |= reported;
                    custody.due = Some(*due);
                }
                Outcome::Uncertain { due, .. } => {
                    assert!(begun, "uncertain without an attempt: {id}");
                    custody.item.attempts += 1;
                    custody.item.uncertain = true;
                    custody.due = Some(*due);
                }
            }
        }
        Ok(())
    }

    fn fails(&self, count: &AtomicU32) -> Result<(), QueueError> {
        if self.dead.load(Ordering::SeqCst) {
            return Err(QueueError("dead".into()));
        }
        let less = |left: u32| left.checked_sub(1);
        match count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Ok(_) => {
                self.note();
                Err(QueueError("the disk is full".into()))
            }
            Err(_) => Ok(()),
        }
    }
}

impl Queue for MemoryQueue {
    async fn take_due(&self, want: Due) -> Result<Taken, QueueError> {
        let mut state = self.state.lock().unwrap();
        state.take_calls += 1;
        let mut waiting: Vec<(Timestamp, CustodyId)> = state
            .custodies
            .values()
            .filter(|custody| {
                let Item { recipient, relay, mail, .. } = &custody.item;
                !custody.taken && !(want.skip)(&recipient.host, relay.as_ref(), mail.priority)
            })
            .filter_map(|custody| custody.due.map(|due| (due, custody.item.custody)))
            .collect();
        waiting.sort_unstable();
        let mut items = Vec::new();
        let mut next_due = None;
        for (due, id) in waiting {
            if due > want.now || items.len() == want.count_max {
                next_due = Some(due);
                break;
            }
            let custody = state.custodies.get_mut(&id).unwrap();
            custody.taken = true;
            items.push(custody.item.clone());
        }
        let taken = state.custodies.values().filter(|custody| custody.taken).count();
        state.taken_max = state.taken_max.max(taken);
        drop(state);
        self.note();
        Ok(Taken { items, next_due })
    }

    async fn take_late(&self, want: Late) -> Result<LateTaken, QueueError> {
        let mut state = self.state.lock().unwrap();
        let mut items = Vec::new();
        let mut after = None;
        let behind = (Bound::Excluded(want.after), Bound::Unbounded);
        for custody in state.custodies.range_mut(behind).map(|(_, custody)| custody) {
            let Item { recipient, relay, mail, since, warned, .. } = &custody.item;
            let is_late = *since <= want.over_since
                || !warned && want.warn_since.is_some_and(|at| *since <= at);
            let is_due = custody.due.is_some_and(|due| due <= want.now);
            let is_there = (want.which)(&recipient.host, relay.as_ref(), mail.priority);
            if is_late && is_due && is_there && !custody.taken {
                if items.len() == want.count_max {
                    after = items.last().map(|item: &Item| item.custody);
                    break;
                }
                custody.taken = true;
                items.push(custody.item.clone());
            }
        }
        Ok(LateTaken { items, after })
    }

    async fn take_by_deadline(
        &self,
        now: Timestamp,
        count_max: usize,
    ) -> Result<Vec<Item>, QueueError> {
        let mut state = self.state.lock().unwrap();
        let over = state.swept;
        let is_over = |at: Timestamp| at > over && at <= now;
        let waiting = state.custodies.values_mut().filter(|custody| {
            let by = custody.item.mail.deliver_by;
            !custody.taken && custody.due.is_some() && by.is_some_and(|by| is_over(by.at))
        });
        let mut items = Vec::new();
        for custody in waiting.take(count_max) {
            custody.taken = true;
            items.push(custody.item.clone());
        }
        if items.len() < count_max {
            state.swept = now;
        }
        Ok(items)
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let state = self.state.lock().unwrap();
        let open = state.custodies.values().filter(|custody| custody.due.is_some());
        let deadlines = open.filter_map(|custody| custody.item.mail.deliver_by);
        deadlines.map(|by| by.at).filter(|at| *at > state.swept).min()
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    async fn read_body(
        &self,
        mail: MailId,
        offset: u64,
        bytes_max: usize,
    ) -> Result<Vec<u8>, QueueError> {
        self.fails(&self.fail_body)?;
        assert!(self.fails(&self.panic_body).is_ok(), "a planted bug");
        let state = self.state.lock().unwrap();
        let rest = &state.bodies[&mail][usize::try_from(offset).unwrap()..];
        Ok(rest[..rest.len().min(bytes_max)].to_vec())
    }

    async fn begin_attempts(
        &self,
        ids: &[CustodyId],
        _peer: &Peer,
    ) -> Result<Vec<CustodyId>, QueueError> {
        self.fails(&self.fail_begin)?;
        let mut state = self.state.lock().unwrap();
        state.begin_calls += 1;
        for id in ids {
            let custody = state.custodies.get_mut(id).unwrap();
            assert!(custody.taken && custody.due.is_some(), "begun without being taken: {id}");
            custody.begun = true;
        }
        Ok(ids.to_vec())
    }

    async fn record(&self, attempts: &[Attempt]) -> Vec<Result<(), QueueError>> {
        self.state.lock().unwrap().record_calls += 1;
        let answers = attempts.iter().map(|attempt| self.record_one(attempt)).collect();
        self.note();
        self.changed.notify_one();
        answers
    }

    async fn reached_lately(&self, _hosts_max: usize) -> Vec<Host> {
        vec![Host::Domain(Domain::new("familiar.test").unwrap())]
    }

    fn postmaster(&self) -> Option<Address> {
        Some("postmaster@ours.test".parse().unwrap())
    }

    async fn give_back(&self, ids: &[CustodyId]) -> Result<(), QueueError> {
        self.fails(&self.fail_give_back)?;
        let mut state = self.state.lock().unwrap();
        for id in ids {
            let custody = state.custodies.get_mut(id).unwrap();
            assert!(std::mem::take(&mut custody.taken), "given back twice: {id}");
            custody.begun = false;
        }
        drop(state);
        self.note();
        Ok(())
    }
}
