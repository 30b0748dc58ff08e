use std::ops::Range;
use std::sync::Arc;

use crate::rows::{Packed, Rows};

/// What lies between two states of one mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Places in the old state of what is gone, ascending.
    pub removed: Vec<usize>,
    /// Places in the old and the new state of what has another modification sequence, ascending.
    pub changed: Vec<(usize, usize)>,
    /// Places in the new state of what the old one does not have. UIDs ascend, so it is the end.
    pub added: Range<usize>,
}

/// A place in rows that can be walked chunk by chunk.
struct Cursor<'a> {
    rows: &'a Rows,
    chunk: usize,
    at: usize,
    place: usize,
}

impl<'a> Cursor<'a> {
    const fn new(rows: &'a Rows) -> Self {
        Self { rows, chunk: 0, at: 0, place: 0 }
    }

    fn row(&self) -> Option<&'a Packed> {
        self.rows.chunks().get(self.chunk).map(|chunk| &chunk[self.at])
    }

    fn step(&mut self) {
        self.at += 1;
        self.place += 1;
        if self.rows.chunks().get(self.chunk).is_some_and(|chunk| self.at == chunk.len()) {
            self.chunk += 1;
            self.at = 0;
        }
    }

    /// Goes past a chunk that both share, if both are at its start.
    fn skip_shared(&mut self, other: &mut Self) -> bool {
        let (0, 0) = (self.at, other.at) else { return false };
        let (Some(a), Some(b)) =
            (self.rows.chunks().get(self.chunk), other.rows.chunks().get(other.chunk))
        else {
            return false;
        };
        let is_shared = Arc::ptr_eq(a, b);
        if is_shared {
            for cursor in [self, other] {
                cursor.chunk += 1;
                cursor.place += a.len();
            }
        }
        is_shared
    }
}

impl Rows {
    /// What lies between this state and a newer one of the same mailbox. What both share is skipped
    /// by the chunk.
    #[must_use]
    pub fn diff(&self, newer: &Self) -> Difference {
        let mut difference = Difference { added: newer.len()..newer.len(), ..Default::default() };
        if self.is_same(newer) {
            return difference;
        }
        let (mut old, mut new) = (Cursor::new(self), Cursor::new(newer));
        loop {
            if old.skip_shared(&mut new) {
                continue;
            }
            match (old.row(), new.row()) {
                (Some(before), Some(now)) if before.uid == now.uid => {
                    if before.modseq != now.modseq {
                        difference.changed.push((old.place, new.place));
                    }
                    old.step();
                    new.step();
                }
                (Some(before), now) if now.is_none_or(|now| before.uid < now.uid) => {
                    difference.removed.push(old.place);
                    old.step();
                }
                // A UID is never given twice and never below others, so what is new is behind all
                // that is old, or behind what of it is gone.
                (Some(_), Some(_)) => new.step(),
                (_, now) => {
                    if now.is_some() {
                        difference.added = new.place..newer.len();
                    }
                    return difference;
                }
            }
        }
    }
}
