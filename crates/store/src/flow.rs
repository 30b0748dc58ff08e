//! How much mail went by in each minute, for those who watch.

use journal::Disk;
use mail_types::Timestamp;

use crate::custody::CustodyState;
use crate::record::{Fate, Outcome, Record};
use crate::record_held::Condition;
use crate::sql::Executor;
use crate::{Store, StoreError};

/// For so many minutes it is known: eight days.
pub(crate) const KEPT_MINUTES: i64 = 8 * 24 * 60;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlowKind {
    /// Messages that were taken.
    Taken,
    /// Recipients into whose mailbox it went.
    Delivered,
    /// Recipients whose next server took it.
    Relayed,
    /// Attempts that are to be made again.
    Deferred,
    /// Recipients whose mail was given back to the sender.
    Returned,
    /// Recipients whose mail was held.
    Held,
}

impl FlowKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Taken, Self::Delivered, Self::Relayed, Self::Deferred, Self::Returned, Self::Held];

    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Deferred => "deferred",
            Self::Returned => "returned",
            Self::Held => "held",
        }
    }

    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::Taken => 0,
            Self::Delivered => 1,
            Self::Relayed => 2,
            Self::Deferred => 3,
            Self::Returned => 4,
            Self::Held => 5,
        }
    }
}

/// The minutes since 1970 at a moment.
pub(crate) const fn minute_of(at: Timestamp) -> i64 {
    at.0.div_euclid(60_000)
}

/// What a record counts.
pub(crate) fn of_record(record: &Record) -> Vec<(FlowKind, u64)> {
    let kind_of = |outcome: &Outcome| match outcome {
        Outcome::Relayed { .. } => Some(FlowKind::Relayed),
        Outcome::Deferred { .. } | Outcome::Uncertain { .. } => Some(FlowKind::Deferred),
        Outcome::Returned { .. } => Some(FlowKind::Returned),
        // Nobody was asked.
        Outcome::Waits { .. } => None,
    };
    let mut counts = Vec::new();
    match record {
        Record::Accepted(mail) => {
            counts.push((FlowKind::Taken, 1));
            counts.extend(mail.custodies.iter().filter_map(|custody| match custody.fate {
                Fate::Delivered { .. } => Some((FlowKind::Delivered, 1)),
                Fate::Held(_) => Some((FlowKind::Held, 1)),
                Fate::Queued { .. } | Fate::Expanded { .. } => None,
            }));
        }
        Record::Attempted { outcome, .. } => {
            counts.extend(kind_of(outcome).map(|kind| (kind, 1)));
        }
        Record::Tried(tried) => {
            let kinds = tried.outcomes.iter().filter_map(|(_, outcome)| kind_of(outcome));
            counts.extend(kinds.map(|kind| (kind, 1)));
        }
        Record::CustodiesChanged(change) => {
            counts.extend(change.items.iter().filter_map(|item| match item.is {
                Condition::Held { .. } => Some((FlowKind::Held, 1)),
                Condition::Delivered { .. } => Some((FlowKind::Delivered, 1)),
                Condition::Queued(_) | Condition::Purged => None,
            }));
        }
        _ => {}
    }
    counts
}

/// What went by in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowMinute {
    /// Its beginning.
    pub begins: Timestamp,
    /// What.
    pub kind: FlowKind,
    /// How much.
    pub count: u64,
}

impl<D: Disk> Store<D> {
    /// What went by since a moment, in order; minutes in which nothing did are left out.
    ///
    /// # Errors
    /// The index's.
    pub fn flow(&self, since: Timestamp) -> Result<Vec<FlowMinute>, StoreError> {
        self.read(|sql| {
            let mut minutes = Vec::new();
            let query = "SELECT minute, kind, count FROM flow WHERE minute >= $1 \
                         ORDER BY minute, kind";
            sql.query(query, &[minute_of(since).into()], &mut |row| {
                let code = row.int(1)?;
                let kind = FlowKind::ALL.into_iter().find(|kind| kind.code() == code);
                let (begins, count) = (Timestamp(row.int(0)? * 60_000), row.id(2)?);
                minutes.extend(kind.map(|kind| FlowMinute { begins, kind, count }));
                Ok(())
            })?;
            Ok(minutes)
        })
    }

    /// In which state the recipients of all messages are that were taken since a moment: the balance
    /// of that time. Costs time in proportion to them.
    ///
    /// # Errors
    /// The index's.
    pub fn balance(&self, since: Timestamp) -> Result<Vec<(CustodyState, u64)>, StoreError> {
        self.read(|sql| {
            let first = first_since(sql, since)?;
            let mut counts = Vec::new();
            let query = "SELECT state, count(*) FROM custody WHERE mail >= $1 \
                         GROUP BY state ORDER BY state";
            sql.query(query, &[first.into()], &mut |row| {
                counts.extend(CustodyState::from_code(row.int(0)?).zip(Some(row.id(1)?)));
                Ok(())
            })?;
            Ok(counts)
        })
    }
}

/// The first message that was taken at this time or later, found by halving: numbers are given out
/// in the order of time, but for what arrived at the same moment.
fn first_since(sql: &mut impl Executor, since: Timestamp) -> Result<i64, crate::SqlError> {
    let last = sql.number("SELECT max(id) FROM mail", &[])?.unwrap_or(0);
    let (mut low, mut high) = (0, last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let query = "SELECT accepted FROM mail WHERE id >= $1 ORDER BY id LIMIT 1";
        let accepted = sql.number(query, &[middle.into()])?;
        if accepted.is_some_and(|accepted| accepted < since.0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
