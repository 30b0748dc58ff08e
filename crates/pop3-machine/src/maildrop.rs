use std::io::Write;
use std::ops::Range;

use mailbox::Rows;

/// What the session sees of the maildrop: the mailbox as it was at sign-in, and its own marks.
#[derive(Debug)]
pub(crate) struct Maildrop {
    rows: Rows,
    /// Marked by DELE, a bit for each message; empty before the first mark.
    marks: Vec<u64>,
    /// Messages that are not marked.
    count: usize,
    /// Their octets.
    octets: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    Octets,
    UniqueId,
}

impl Maildrop {
    pub(crate) fn new(rows: Rows) -> Self {
        let (count, octets) = (rows.len(), rows.counts().octets);
        Self { rows, marks: Vec::new(), count, octets }
    }

    /// Messages, the marked ones among them.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Count and octets of what is not marked.
    pub(crate) const fn totals(&self) -> (usize, u64) {
        (self.count, self.octets)
    }

    /// RFC 1939 §5: numbers begin at 1, and those marked as deleted are gone for the client.
    pub(crate) fn find(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        (index < self.len() && !self.is_marked(index)).then_some(index)
    }

    /// Size of a message in octets, with CRLF line ends.
    pub(crate) fn octets(&self, index: usize) -> u64 {
        self.rows.at(index).size.into()
    }

    fn is_marked(&self, index: usize) -> bool {
        self.marks.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// DELE of one that [`Self::find`] has found.
    pub(crate) fn mark(&mut self, index: usize) {
        self.marks.resize(self.len().div_ceil(64), 0);
        self.marks[index / 64] |= 1 << (index % 64);
        self.count -= 1;
        self.octets -= self.octets(index);
    }

    /// RSET.
    pub(crate) fn unmark_all(&mut self) {
        self.marks = Vec::new();
        (self.count, self.octets) = (self.len(), self.rows.counts().octets);
    }

    /// The marked messages as ranges of UIDs. Neighbours share a range whatever lies between their
    /// UIDs: it was gone before the sign-in, and no UID is ever used again (RFC 3501 §2.3.1.1).
    pub(crate) fn marked(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        if self.marks.is_empty() {
            return ranges;
        }
        let mut is_next = false;
        for (index, row) in self.rows.iter().enumerate() {
            let was_marked = std::mem::replace(&mut is_next, self.is_marked(index));
            match ranges.last_mut() {
                Some((_, last)) if was_marked && is_next => *last = row.uid,
                _ if is_next => ranges.push((row.uid, row.uid)),
                _ => {}
            }
        }
        ranges
    }

    /// Writes the lines of a range until the output is as long as `full`; the next one's place.
    pub(crate) fn write_lines(
        &self,
        range: Range<usize>,
        column: Column,
        full: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        let validity = self.rows.uid_validity();
        for (first, rows) in self.rows.slices(range.clone()) {
            for (index, row) in (first..).zip(rows) {
                if out.len() >= full {
                    return index;
                }
                if self.is_marked(index) {
                    continue;
                }
                let number = index + 1;
                // Writing to a Vec cannot fail.
                match column {
                    Column::Octets => write!(out, "{number} {}\r\n", row.size),
                    // RFC 1939 §7: neither number ever comes to mean another message
                    // (RFC 3501 §2.3.1.1), so the same is said in every session.
                    Column::UniqueId => write!(out, "{number} {validity}.{}\r\n", row.uid),
                }
                .ok();
            }
        }
        range.end
    }
}
