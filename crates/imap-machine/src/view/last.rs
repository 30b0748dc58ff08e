use std::num::NonZeroU32;
use std::ops::Range;

use mailbox::Packed;

use super::{Places, View};

impl View {
    /// Where more than so many of these messages are meant: the last of them, from the last to the
    /// first, and the lowest UID among them (RFC 9738 §3.1: "process messages from highest to lowest
    /// UID"). `None` where all of them may be worked on.
    pub(crate) fn last_of(
        &self,
        places: &[Range<usize>],
        count_max: NonZeroU32,
        is_meant: impl Fn(&Packed) -> bool,
    ) -> Option<(Places, u32)> {
        let rows = &self.rows;
        let all = places.iter().rev().flat_map(|range| range.clone().rev());
        let mut meant = all.filter(|&place| is_meant(rows.at(place)));
        let single = |place| place..place + 1;
        let last: Places = meant.by_ref().take(count_max.get() as usize).map(single).collect();
        meant.next()?;
        let lowest = rows.at(last.last()?.start).uid;
        Some((last, lowest))
    }
}
