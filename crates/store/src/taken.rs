//! What the runner has taken out of the queue. Known in memory only.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mail_types::{Address, CustodyId, RecordSeq, Timestamp};

use crate::Refused;
use crate::commit::Work;
use crate::lanes::Lane;
use crate::queue_rows::way_of;

/// What the runner has taken.
///
/// What is settled is not simply forgotten: a reader may still look at the index as it was before,
/// where the item is due, and would take it again and send it twice. It is free for a reader that
/// sees the record that settled it.
#[derive(Default)]
pub struct TakenItems(HashMap<CustodyId, TakenItem>);

/// An item that is taken.
struct TakenItem {
    state: Taken,
    lane: Lane,
    due: Timestamp,
    way: Way,
}

/// How an item is sent, as far as an operator may change that while it is taken.
///
/// An attempt begins, and has an outcome, only where the queue still says what it said when the item
/// was taken. It is compared with the row itself, in the writer: whoever takes reads the index as it
/// was some moments ago, so that no word about a change would reach it in every order of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// To whom, where that is no longer the recipient that was accepted.
    pub recipient: Option<Address>,
    /// The host that it goes to, whatever routes and MX records say.
    pub relay: Option<String>,
    /// It goes back to its sender, for this reason.
    pub give_back: Option<String>,
}

/// How an item is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The runner has it.
    ByRunner,
    /// This record settled it.
    SettledBy(RecordSeq),
    /// It is back in its lane for a reader that sees this record.
    Back(RecordSeq),
}

impl TakenItems {
    /// Notes that the runner has it.
    pub fn take(&mut self, custody: CustodyId, due: Timestamp, lane: &Lane, way: Way) {
        let lane = lane.clone();
        self.0.insert(custody, TakenItem { state: Taken::ByRunner, lane, due, way });
    }

    /// It was not taken after all.
    pub fn untake(&mut self, custody: CustodyId) {
        self.0.remove(&custody);
    }

    /// Whether it is taken; if it comes back, it is in this place.
    pub fn is_taken(&mut self, custody: CustodyId, due: Timestamp, lane: &Lane) -> bool {
        let Some(known) = self.0.get_mut(&custody) else { return false };
        (known.lane, known.due) = (lane.clone(), due);
        true
    }

    /// The runner has them no more.
    pub fn release(&mut self, custodies: &[CustodyId], state: Taken) {
        for custody in custodies {
            if let Some(taken) = self.0.get_mut(custody) {
                taken.state = state;
            }
        }
    }

    /// Whether what the runner has of it is out of date, where this is its way now.
    pub fn is_changed(&self, custody: CustodyId, way: &Way) -> bool {
        self.0.get(&custody).is_some_and(|taken| taken.way != *way)
    }

    /// Forgets what is settled or back for a reader at `seen`; tells the lanes that have some back.
    pub fn forget(&mut self, seen: RecordSeq, back: &mut dyn FnMut(&Lane, Timestamp)) {
        self.0.retain(|_, taken| match taken.state {
            Taken::ByRunner => true,
            Taken::SettledBy(seq) => seq > seen,
            Taken::Back(seq) if seq > seen => true,
            Taken::Back(_) => {
                back(&taken.lane, taken.due);
                false
            }
        });
    }
}

/// Items in the queue that the runner has.
#[derive(Default)]
pub struct InQueue {
    /// They wait as they were taken.
    pub same: Vec<CustodyId>,
    /// They are to be sent another way since.
    pub changed: Vec<CustodyId>,
}

/// How these stand in the queue; what is not there is left out.
pub fn as_taken(
    work: &mut Work<'_>,
    taken: &Mutex<TakenItems>,
    custodies: &[CustodyId],
) -> Result<InQueue, Refused> {
    let mut found = InQueue::default();
    for &custody in custodies {
        let way = way_of(&mut work.index.sql, custody).map_err(|error| work.fail(error.into()))?;
        let Some(way) = way else {
            tracing::warn!(%custody, "is not in the queue");
            continue;
        };
        let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.is_changed(custody, &way) {
            true => found.changed.push(custody),
            false => found.same.push(custody),
        }
    }
    Ok(found)
}
