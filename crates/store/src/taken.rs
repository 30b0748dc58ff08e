//! What the runner has taken out of the queue. Known in memory only.

use std::collections::HashMap;

use mail_types::{CustodyId, RecordSeq, Timestamp};

use crate::lanes::Lane;

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
}

/// How an item is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The runner has it.
    ByRunner,
    /// The same, but it was changed meanwhile: no attempt of it begins before it is taken anew.
    Recalled,
    /// This record settled it.
    SettledBy(RecordSeq),
    /// It is back in its lane for a reader that sees this record.
    Back(RecordSeq),
}

impl TakenItems {
    /// Notes that the runner has it.
    pub fn take(&mut self, custody: CustodyId, due: Timestamp, lane: &Lane) {
        let lane = lane.clone();
        self.0.insert(custody, TakenItem { state: Taken::ByRunner, lane, due });
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
                // What was changed has to be looked for again wherever it is now.
                taken.state = match (taken.state, state) {
                    (Taken::Recalled, Taken::SettledBy(seq)) => Taken::Back(seq),
                    (_, state) => state,
                };
            }
        }
    }

    /// What the runner has of these is out of date.
    pub fn recall(&mut self, custodies: &[CustodyId]) {
        for custody in custodies {
            if let Some(taken) = self.0.get_mut(custody)
                && taken.state == Taken::ByRunner
            {
                taken.state = Taken::Recalled;
            }
        }
    }

    /// Whether it was changed since it was taken.
    pub fn is_recalled(&self, custody: CustodyId) -> bool {
        self.0.get(&custody).is_some_and(|taken| taken.state == Taken::Recalled)
    }

    /// Forgets what is settled or back for a reader at `seen`; tells the lanes that have some back.
    pub fn forget(&mut self, seen: RecordSeq, back: &mut dyn FnMut(&Lane, Timestamp)) {
        self.0.retain(|_, taken| match taken.state {
            Taken::ByRunner | Taken::Recalled => true,
            Taken::SettledBy(seq) => seq > seen,
            Taken::Back(seq) if seq > seen => true,
            Taken::Back(_) => {
                back(&taken.lane, taken.due);
                false
            }
        });
    }
}
