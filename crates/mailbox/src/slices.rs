use std::ops::Range;

use crate::rows::{Packed, Rows};

/// From [`Rows::slices`].
#[derive(Clone, Debug)]
pub struct Slices<'a> {
    rows: &'a Rows,
    chunk: usize,
    /// What is left.
    range: Range<usize>,
}

impl<'a> Slices<'a> {
    /// The rows at places that there are; the first of them is in `chunk`.
    pub(crate) const fn new(rows: &'a Rows, chunk: usize, range: Range<usize>) -> Self {
        Self { rows, chunk, range }
    }
}

impl<'a> Iterator for Slices<'a> {
    type Item = (usize, &'a [Packed]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        let (chunk, start) = (&self.rows.chunks()[self.chunk], self.rows.start_of(self.chunk));
        let first = self.range.start;
        let end = self.range.end.min(start + chunk.len());
        self.range.start = end;
        self.chunk += 1;
        Some((first, &chunk[first - start..end - start]))
    }
}
