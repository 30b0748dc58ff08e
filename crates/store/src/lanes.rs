//! The order in which the queue is taken from.
//!
//! The items are in the index, by lane: a destination (and the host that an operator sends them to
//! instead), the account that sent them, their priority, and whether they were tried before. Here is, for each lane that has any, when the next of them
//! may be due: as many entries as lanes, however many items. Whoever takes goes round them: the
//! priorities in turn, the higher the more turns, of one by turns what is new and what was tried
//! before, of those each account in turn, and of an account each destination in turn. So neither a
//! priority, nor a backlog, nor an account, nor a destination keeps the others waiting.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use mail_types::{CustodyId, Priority, RecordSeq, Timestamp, Turns};

/// Items that are taken in their own order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// A domain or an address literal.
    pub destination: Arc<str>,
    /// The host (`HOST:PORT`) that they go to, whatever routes and MX records say.
    pub relay: Option<Arc<str>>,
    /// Who sent them; 0: nobody here.
    pub account: u64,
    /// RFC 6710.
    pub priority: Priority,
    /// They were tried before.
    pub again: bool,
}

/// What has become due and was not looked at yet: two entries for each lane, however much came.
#[derive(Debug, Default)]
pub struct News(HashMap<Lane, Due>);

/// When something is due in a lane, for a reader that sees the record.
#[derive(Debug)]
struct Due {
    first: (RecordSeq, Timestamp),
    /// What came after it. Kept apart, since a stream of news would move the first for ever behind
    /// what readers see.
    later: Option<(RecordSeq, Timestamp)>,
}

impl News {
    /// Something in `lane` is due then, for readers that see this record.
    pub fn add(&mut self, lane: Lane, seq: RecordSeq, due: Timestamp) {
        match self.0.entry(lane) {
            Entry::Vacant(place) => {
                place.insert(Due { first: (seq, due), later: None });
            }
            Entry::Occupied(mut known) => {
                let later = &mut known.get_mut().later;
                let due = later.map_or(due, |(_, earlier)| due.min(earlier));
                *later = Some((seq, due));
            }
        }
    }

    /// Tells and forgets what a reader at `seen` sees.
    pub fn take(&mut self, seen: RecordSeq, tell: &mut dyn FnMut(&Lane, Timestamp)) {
        self.0.retain(|lane, known| {
            if known.first.0 > seen {
                return true;
            }
            tell(lane, known.first.1);
            match known.later {
                Some((seq, due)) if seq <= seen => {
                    tell(lane, due);
                    false
                }
                Some(later) => {
                    *known = Due { first: later, later: None };
                    true
                }
                None => false,
            }
        });
    }
}

/// What is known of a lane.
#[derive(Debug)]
struct Known {
    lane: Lane,
    /// Nothing of it that is not taken is due before.
    bound: Timestamp,
    /// Everything up to here is taken.
    after: Option<(Timestamp, CustodyId)>,
    /// It is in a ring; else it is in the agenda.
    ready: bool,
}

/// Lanes that have something due, by account, each in its turn.
#[derive(Debug, Default)]
struct Ring {
    accounts: BTreeMap<u64, VecDeque<u64>>,
    /// The account whose turn was last.
    last: u64,
    lanes: usize,
}

impl Ring {
    fn push(&mut self, account: u64, lane: u64) {
        self.accounts.entry(account).or_default().push_back(lane);
        self.lanes += 1;
    }

    fn pop(&mut self) -> Option<u64> {
        let behind = self.accounts.range(self.last.saturating_add(1)..).next();
        let (&account, _) = behind.or_else(|| self.accounts.iter().next())?;
        self.last = account;
        let lanes = self.accounts.get_mut(&account)?;
        let lane = lanes.pop_front();
        if lanes.is_empty() {
            self.accounts.remove(&account);
        }
        self.lanes -= usize::from(lane.is_some());
        lane
    }
}

/// Every lane that may have something.
#[derive(Debug, Default)]
pub struct Lanes {
    ids: HashMap<Lane, u64>,
    known: HashMap<u64, Known>,
    next_id: u64,
    /// Lanes of which nothing is due, by when something may be.
    agenda: BTreeSet<(Timestamp, u64)>,
    /// New ones and those tried before, by priority.
    ready: BTreeMap<Priority, [Ring; 2]>,
    /// Whose turn it is among priorities.
    turns: Turns,
    /// The next turn is that of what was tried before.
    turn_of_again: bool,
}

/// A lane whose turn it is.
#[derive(Clone, Debug)]
pub struct Turn {
    id: u64,
    /// Which.
    pub lane: Lane,
    /// What comes next lies behind this place.
    pub after: Option<(Timestamp, CustodyId)>,
}

impl Lanes {
    /// Something may be due in `lane` from `due` on.
    pub fn note(&mut self, lane: &Lane, due: Timestamp) {
        let id = match self.ids.get(lane) {
            Some(&id) => id,
            None => {
                self.next_id += 1;
                let id = self.next_id;
                self.ids.insert(lane.clone(), id);
                let (lane, after, ready) = (lane.clone(), None, false);
                self.known.insert(id, Known { lane, bound: due, after, ready });
                self.agenda.insert((due, id));
                return;
            }
        };
        let Some(known) = self.known.get_mut(&id) else { return };
        if known.after.is_some_and(|(after, _)| due <= after) {
            known.after = None;
        }
        if !known.ready && due < known.bound {
            self.agenda.remove(&(known.bound, id));
            self.agenda.insert((due, id));
        }
        known.bound = known.bound.min(due);
    }

    /// What has become due is taken from in turn from now on.
    pub fn wake(&mut self, now: Timestamp) {
        while let Some(&(due, id)) = self.agenda.first() {
            if due > now {
                return;
            }
            self.agenda.pop_first();
            self.get_ready(id);
        }
    }

    fn get_ready(&mut self, id: u64) {
        let Some(known) = self.known.get_mut(&id) else { return };
        known.ready = true;
        let Lane { account, priority, again, .. } = known.lane;
        self.ready.entry(priority).or_default()[usize::from(again)].push(account, id);
    }

    /// How many lanes have something due.
    pub fn ready(&self) -> usize {
        self.ready.values().flatten().map(|ring| ring.lanes).sum()
    }

    /// The lane whose turn it is. Say with [`Lanes::taken`] or [`Lanes::put_off`] what came of it.
    pub fn turn(&mut self) -> Option<Turn> {
        let has_some = |rings: &[Ring; 2]| rings.iter().any(|ring| ring.lanes > 0);
        let ready = self.ready.iter().filter(|(_, rings)| has_some(rings));
        let priority = self.turns.take(ready.map(|(priority, _)| *priority))?;
        let rings = self.ready.get_mut(&priority)?;
        let first = usize::from(self.turn_of_again);
        self.turn_of_again = !self.turn_of_again;
        let id = match rings[first].pop() {
            Some(id) => id,
            None => rings[1 - first].pop()?,
        };
        let known = self.known.get(&id)?;
        Some(Turn { id, lane: known.lane.clone(), after: known.after })
    }

    /// Everything up to `after` is taken; the next item is due then, if there is one.
    pub fn taken(
        &mut self,
        turn: Turn,
        after: Option<(Timestamp, CustodyId)>,
        next: Option<Timestamp>,
        now: Timestamp,
    ) {
        let Some(known) = self.known.get_mut(&turn.id) else { return };
        known.after = after;
        known.ready = false;
        match next {
            None => {
                self.known.remove(&turn.id);
                self.ids.remove(&turn.lane);
            }
            Some(due) if due <= now => self.get_ready(turn.id),
            Some(due) => {
                known.bound = due;
                self.agenda.insert((due, turn.id));
            }
        }
    }

    /// Nothing may be taken from it now; its turn comes again.
    pub fn put_off(&mut self, turn: &Turn) {
        self.get_ready(turn.id);
    }

    /// When something may be due next that is not due yet.
    pub fn next(&self) -> Option<Timestamp> {
        self.agenda.first().map(|&(due, _)| due)
    }
}
