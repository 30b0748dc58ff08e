//! What was done since the start, counted for whoever watches over the server. Nothing depends on
//! these numbers: what must be exact is read from the index.

use std::mem::discriminant;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::custody::CustodyState;
use crate::record::{Accepted, Fate, Outcome, Record, Source};
use crate::record_held::{Changed, Condition};

/// The ways in which messages come, in the order of [`Counted::accepted`].
pub const WAYS_IN: [&str; 7] =
    ["smtp", "submission", "append", "report", "lmtp", "import", "period-report"];

/// Upper bounds of [`Counted::syncs`], in microseconds: from a fast flash disk to one that hangs.
pub const SYNC_BOUNDS_MICROS: [u64; 10] =
    [250, 500, 1000, 2500, 5000, 10_000, 25_000, 100_000, 1_000_000, 10_000_000];

/// A snapshot of the numbers, each since the start of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Messages accepted, by the way they came: see [`WAYS_IN`].
    pub accepted: [u64; WAYS_IN.len()],
    /// Bytes of them as kept.
    pub accepted_bytes: u64,
    /// Recipients that came into each state, in the order of [`CustodyState::ALL`].
    pub came_into: [u64; CustodyState::ALL.len()],
    /// Attempts for a recipient after which it is tried again.
    pub deferred: u64,
    /// Attempts for a recipient whose outcome nobody knows.
    pub uncertain: u64,
    /// Records that were synced.
    pub records: u64,
    /// Syncs that took as long as each bound of [`SYNC_BOUNDS_MICROS`] or less, but longer than the
    /// bound before; the last: longer than all.
    pub syncs: [u64; SYNC_BOUNDS_MICROS.len() + 1],
    /// What all syncs took together, in microseconds.
    pub sync_micros: u64,
}

impl Counted {
    /// Adds what a record says.
    pub(crate) fn add(&mut self, record: &Record) {
        match record {
            Record::Accepted(mail) => self.add_accepted(mail),
            Record::Attempted { outcome, .. } => self.add_outcome(outcome),
            Record::Tried(tried) => {
                tried.outcomes.iter().for_each(|(_, outcome)| self.add_outcome(outcome));
            }
            Record::CustodiesChanged(change) => {
                // Who is asked again, or elsewhere, was queued before.
                let moved = |item: &&Changed| discriminant(&item.was) != discriminant(&item.is);
                change.items.iter().filter(moved).for_each(|item| match &item.is {
                    Condition::Queued(_) => self.state(CustodyState::Queued),
                    Condition::Held { .. } => self.state(CustodyState::Held),
                    Condition::Delivered { .. } => self.state(CustodyState::Delivered),
                    Condition::Purged => self.state(CustodyState::Purged),
                });
            }
            _ => {}
        }
    }

    fn add_accepted(&mut self, mail: &Accepted) {
        let way = match mail.source {
            Source::Smtp { .. } => 0,
            Source::Submission { .. } => 1,
            Source::Append { .. } => 2,
            Source::Report { .. } => 3,
            Source::Lmtp { .. } => 4,
            Source::Import { .. } => 5,
            Source::PeriodReport => 6,
        };
        self.accepted[way] += 1;
        self.accepted_bytes += mail.body_bytes;
        for custody in &mail.custodies {
            self.state(match custody.fate {
                Fate::Delivered { .. } => CustodyState::Delivered,
                Fate::Queued { .. } => CustodyState::Queued,
                Fate::Expanded { .. } => CustodyState::Expanded,
                Fate::Held(_) => CustodyState::Held,
            });
        }
    }

    fn add_outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Relayed { .. } => self.state(CustodyState::Relayed),
            Outcome::Returned { .. } => self.state(CustodyState::Returned),
            Outcome::Deferred { .. } => self.deferred += 1,
            Outcome::Uncertain { .. } => self.uncertain += 1,
            // Nobody was asked.
            Outcome::Waits { .. } => {}
        }
    }

    fn state(&mut self, state: CustodyState) {
        for (count, of) in self.came_into.iter_mut().zip(CustodyState::ALL) {
            *count += u64::from(of == state);
        }
    }
}

/// The numbers, where many may read them while the writer adds.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    accepted: [AtomicU64; WAYS_IN.len()],
    accepted_bytes: AtomicU64,
    came_into: [AtomicU64; CustodyState::ALL.len()],
    deferred: AtomicU64,
    uncertain: AtomicU64,
    records: AtomicU64,
    syncs: [AtomicU64; SYNC_BOUNDS_MICROS.len() + 1],
    sync_micros: AtomicU64,
}

impl Counts {
    /// Adds what a synced group has done.
    pub(crate) fn add(&self, group: &Counted) {
        let add = |to: &AtomicU64, more: u64| {
            if more > 0 {
                to.fetch_add(more, Ordering::Relaxed);
            }
        };
        self.accepted.iter().zip(group.accepted).for_each(|(to, more)| add(to, more));
        self.came_into.iter().zip(group.came_into).for_each(|(to, more)| add(to, more));
        add(&self.accepted_bytes, group.accepted_bytes);
        add(&self.deferred, group.deferred);
        add(&self.uncertain, group.uncertain);
    }

    /// Notes a sync of so many records.
    pub(crate) fn synced(&self, records: usize, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = SYNC_BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.syncs[bucket].fetch_add(1, Ordering::Relaxed);
        self.sync_micros.fetch_add(micros, Ordering::Relaxed);
        self.records.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// The numbers now.
    pub(crate) fn now(&self) -> Counted {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counted {
            accepted: self.accepted.each_ref().map(of),
            accepted_bytes: of(&self.accepted_bytes),
            came_into: self.came_into.each_ref().map(of),
            deferred: of(&self.deferred),
            uncertain: of(&self.uncertain),
            records: of(&self.records),
            syncs: self.syncs.each_ref().map(of),
            sync_micros: of(&self.sync_micros),
        }
    }
}
