use std::fmt;
use std::num::NonZeroU32;

use super::scan::{Parsed, Scan, SyntaxError};

/// Elements of one sequence set.
pub const SEQUENCE_SET_ELEMENTS_MAX: usize = 65_536;

/// One end of a range in a [`SequenceSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeqNumber {
    /// A message sequence number or UID.
    Number(NonZeroU32),
    /// `*`: the largest number in use.
    Star,
    /// `$` (RFC 5182 §2.1), which stands alone: what the last search saved.
    Saved,
}

impl SeqNumber {
    // RFC 3501 §9: seq-number = nz-number / "*"
    pub(crate) fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        if scan.eat(b'*') { Ok(Self::Star) } else { scan.nz_number().map(Self::Number) }
    }

    /// The number, where the largest in use is `largest`; `$` is none.
    #[must_use]
    pub const fn resolve(self, largest: u32) -> Option<u32> {
        match self {
            Self::Number(number) => Some(number.get()),
            Self::Star => Some(largest),
            Self::Saved => None,
        }
    }
}

impl fmt::Display for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Star => f.write_str("*"),
            Self::Saved => f.write_str("$"),
        }
    }
}

/// A set of sequence numbers or UIDs as the client wrote it: ranges in any order, overlapping,
/// their ends either way round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceSet(pub Vec<(SeqNumber, SeqNumber)>);

impl SequenceSet {
    // RFC 3501 §9: sequence-set = (seq-number / seq-range) *("," sequence-set); RFC 5182 §3:
    // sequence-set =/ seq-last-command; seq-last-command = "$"
    pub(crate) fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        if scan.eat(b'$') {
            return Ok(Self(vec![(SeqNumber::Saved, SeqNumber::Saved)]));
        }
        let mut ranges = Vec::new();
        loop {
            if ranges.len() == SEQUENCE_SET_ELEMENTS_MAX {
                return Err(SyntaxError("too many elements in a sequence set"));
            }
            let first = SeqNumber::parse(scan)?;
            let last = if scan.eat(b':') { SeqNumber::parse(scan)? } else { first };
            ranges.push((first, last));
            if !scan.eat(b',') {
                return Ok(Self(ranges));
            }
        }
    }

    /// Parses a set that is the whole text.
    ///
    /// # Errors
    /// Where the text is none.
    pub fn from_wire(text: &[u8]) -> Parsed<Self> {
        let mut scan = Scan::new(text);
        let set = Self::parse(&mut scan)?;
        if scan.rest().is_empty() { Ok(set) } else { Err(SyntaxError("not a sequence set")) }
    }

    /// Whether this is `$`.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.0.iter().any(|&(first, _)| first == SeqNumber::Saved)
    }

    /// The set as sorted ranges without overlap, `*` being `largest`. Ends are put in order
    /// (RFC 3501 §9: 2:4 and 4:2 are equivalent).
    #[must_use]
    pub fn resolve(&self, largest: u32) -> UidSet {
        self.0
            .iter()
            .filter_map(|&(a, b)| {
                let (a, b) = (a.resolve(largest)?, b.resolve(largest)?);
                Some((a.min(b), a.max(b)))
            })
            .collect()
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (first, last) in &self.0 {
            write!(f, "{comma}{first}")?;
            if first != last {
                write!(f, ":{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

/// Numbers (UIDs, mostly) as sorted ranges, both ends included, neither overlapping nor touching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UidSet(Vec<(u32, u32)>);

impl UidSet {
    /// No number.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One range; empty where `first` is above `last`.
    #[must_use]
    pub fn range(first: u32, last: u32) -> Self {
        std::iter::once((first, last)).collect()
    }

    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// Whether no number is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Whether the number is in it.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let place = self.0.partition_point(|&(_, last)| last < number);
        self.0.get(place).is_some_and(|&(first, _)| first <= number)
    }

    /// The numbers, ascending. May be four thousand million: go over what exists, not over this,
    /// where a client chose the set.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|&(first, last)| first..=last)
    }

    /// The numbers that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.ranges(), other.ranges());
        let mut both = Vec::new();
        while let (Some(&(a_first, a_last)), Some(&(b_first, b_last))) = (a.first(), b.first()) {
            if a_first.max(b_first) <= a_last.min(b_last) {
                both.push((a_first.max(b_first), a_last.min(b_last)));
            }
            if a_last < b_last {
                a = &a[1..];
            } else {
                b = &b[1..];
            }
        }
        both.into_iter().collect()
    }

    /// Adds a number; cheap where it is at or above the largest.
    pub fn insert(&mut self, number: u32) {
        match self.0.last_mut() {
            Some((first, last)) if *first <= number && number <= last.saturating_add(1) => {
                *last = (*last).max(number);
            }
            Some((_, last)) if *last > number => {
                self.0.push((number, number));
                *self = std::mem::take(&mut self.0).into_iter().collect();
            }
            _ => self.0.push((number, number)),
        }
    }
}

impl FromIterator<(u32, u32)> for UidSet {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(ranges: I) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        numbers.into_iter().map(|number| (number, number)).collect()
    }
}

/// RFC 4315 §4: `uid-set`.
impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for &(first, last) in &self.0 {
            write!(f, "{comma}{first}")?;
            if first != last {
                write!(f, ":{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}
