use super::{Places, View};
use crate::grammar::{SeqNumber, SequenceSet, UidSet};

/// The result of the last search that was saved (RFC 5182): `$`.
impl View {
    /// Saves a result. Messages expunged later drop out by themselves: their UIDs are nobody's.
    pub(crate) fn save(&mut self, uids: UidSet) {
        self.saved = uids;
    }

    /// The messages of `$` that are there.
    pub(super) fn saved_places(&self) -> Places {
        let places = self.saved.ranges().iter().map(|&(a, b)| self.rows.places(a, b));
        places.filter(|range| !range.is_empty()).collect()
    }

    /// A set of the client as UIDs. `*` as an end of a set of UIDs takes in what is yet to come.
    /// `None` as with [`View::places`].
    pub(crate) fn uids_of(&self, set: &SequenceSet, by_uid: bool) -> Option<UidSet> {
        if set.is_saved() {
            return Some(self.saved.clone());
        }
        if !by_uid {
            return self.places(set, false).map(|places| self.uid_set(&places));
        }
        let uid_max = self.rows.uid_max();
        let ranges = set.0.iter().filter_map(|&(a, b)| {
            let is_open = a == SeqNumber::Star || b == SeqNumber::Star;
            let (a, b) = (a.resolve(uid_max)?, b.resolve(uid_max)?);
            Some((a.min(b), if is_open { u32::MAX } else { a.max(b) }))
        });
        Some(ranges.collect())
    }
}
