//! Which messages a search key finds: sets of rows as bits, all rows at once.

use std::collections::HashMap;

use mail_types::{Flags, SystemFlag};
use mailbox::{Packed, Rows};

use crate::grammar::{ContentKey, Day, SearchKey};
use crate::view::View;

/// A set of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn none(rows: usize) -> Self {
        Self(vec![0; rows.div_ceil(64)])
    }

    pub(crate) fn all(rows: usize) -> Self {
        let mut bits = Self(vec![u64::MAX; rows.div_ceil(64)]);
        bits.trim(rows);
        bits
    }

    pub(crate) fn set(&mut self, row: usize) {
        self.0[row / 64] |= 1 << (row % 64);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, &word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        })
    }

    pub(crate) fn and(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }

    fn or(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    pub(crate) fn without(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= !other);
    }

    fn complement(&mut self, rows: usize) {
        self.0.iter_mut().for_each(|word| *word = !*word);
        self.trim(rows);
    }

    fn trim(&mut self, rows: usize) {
        if let (1.., Some(last)) = (rows % 64, self.0.last_mut()) {
            *last &= (1 << (rows % 64)) - 1;
        }
    }
}

/// Rows that are surely found, and rows that may be: they differ where the messages themselves have
/// to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub surely: Bits,
    pub maybe: Bits,
}

/// Why a search cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SearchRefusal {
    /// A sequence number that no message has.
    NoSuchNumber,
    /// More content keys than allowed.
    TooManyContentKeys,
}

/// What is known of the messages' contents: the keys of a search, each once, and the rows that each
/// matches, once asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    pub keys: Vec<ContentKey>,
    pub matched: Vec<Bits>,
    index: HashMap<ContentKey, usize>,
}

impl Contents {
    /// The content keys of a search.
    pub(crate) fn of(key: &SearchKey, keys_max: usize) -> Result<Self, SearchRefusal> {
        let mut contents = Self::default();
        contents.collect(key);
        if contents.keys.len() > keys_max {
            return Err(SearchRefusal::TooManyContentKeys);
        }
        Ok(contents)
    }

    fn collect(&mut self, key: &SearchKey) {
        match key {
            SearchKey::And(keys) | SearchKey::Or(keys) => {
                keys.iter().for_each(|key| self.collect(key));
            }
            SearchKey::Not(key) => self.collect(key),
            SearchKey::Content(content) if !self.index.contains_key(content) => {
                self.index.insert(content.clone(), self.keys.len());
                self.keys.push(content.clone());
            }
            SearchKey::Content(_)
            | SearchKey::Flag(_)
            | SearchKey::Recent
            | SearchKey::Keyword(_)
            | SearchKey::Numbers { .. }
            | SearchKey::Before(_)
            | SearchKey::On(_)
            | SearchKey::Since(_)
            | SearchKey::Larger(_)
            | SearchKey::Smaller(_)
            | SearchKey::ModSeq(_) => {}
        }
    }
}

/// Evaluates search keys over a view.
pub(crate) struct Evaluator<'a> {
    view: &'a View,
    rows: &'a Rows,
    contents: &'a Contents,
    /// Rows with each system flag, by its bit.
    flagged: [Option<Bits>; 5],
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(view: &'a View, contents: &'a Contents) -> Self {
        Self { view, rows: view.rows(), contents, flagged: [const { None }; 5] }
    }

    /// The rows that a key finds. Recursion is as deep as the parser allowed.
    pub(crate) fn find(&mut self, key: &SearchKey) -> Result<Found, SearchRefusal> {
        let count = self.rows.len();
        match key {
            SearchKey::And(keys) => {
                let mut all = Found { surely: Bits::all(count), maybe: Bits::all(count) };
                for key in keys {
                    let found = self.find(key)?;
                    all.surely.and(&found.surely);
                    all.maybe.and(&found.maybe);
                }
                Ok(all)
            }
            SearchKey::Or(keys) => {
                let mut any = Found { surely: Bits::none(count), maybe: Bits::none(count) };
                for key in keys {
                    let found = self.find(key)?;
                    any.surely.or(&found.surely);
                    any.maybe.or(&found.maybe);
                }
                Ok(any)
            }
            SearchKey::Not(key) => {
                let mut found = self.find(key)?;
                found.surely.complement(count);
                found.maybe.complement(count);
                Ok(Found { surely: found.maybe, maybe: found.surely })
            }
            SearchKey::Content(content) => Ok(self.content(content)),
            SearchKey::Flag(_)
            | SearchKey::Recent
            | SearchKey::Keyword(_)
            | SearchKey::Numbers { .. }
            | SearchKey::Before(_)
            | SearchKey::On(_)
            | SearchKey::Since(_)
            | SearchKey::Larger(_)
            | SearchKey::Smaller(_)
            | SearchKey::ModSeq(_) => {
                let bits = self.known(key)?;
                Ok(Found { surely: bits.clone(), maybe: bits })
            }
        }
    }

    fn content(&self, content: &ContentKey) -> Found {
        let asked = self.contents.index.get(content).and_then(|&at| self.contents.matched.get(at));
        match asked {
            Some(matched) => Found { surely: matched.clone(), maybe: matched.clone() },
            None => {
                let count = self.rows.len();
                Found { surely: Bits::none(count), maybe: Bits::all(count) }
            }
        }
    }

    /// Keys that the view itself answers.
    fn known(&mut self, key: &SearchKey) -> Result<Bits, SearchRefusal> {
        let view = self.view;
        Ok(match key {
            SearchKey::Flag(flag) => self.flagged(*flag),
            SearchKey::Recent => self.rows_where(|row| view.is_recent(row.uid)),
            SearchKey::Keyword(keyword) => self.rows_with(|flags| flags.has_keyword(keyword)),
            SearchKey::Numbers { uid, set } => {
                let places = view.places(set, *uid).ok_or(SearchRefusal::NoSuchNumber)?;
                let mut bits = Bits::none(self.rows.len());
                places.into_iter().flatten().for_each(|place| bits.set(place));
                bits
            }
            SearchKey::Before(day) => self.dated(|at| at < *day),
            SearchKey::On(day) => self.dated(|at| at == *day),
            SearchKey::Since(day) => self.dated(|at| at >= *day),
            SearchKey::Larger(octets) => self.rows_where(|row| row.size > *octets),
            SearchKey::Smaller(octets) => self.rows_where(|row| row.size < *octets),
            SearchKey::ModSeq(modseq) => self.rows_where(|row| row.modseq >= *modseq),
            SearchKey::And(_) | SearchKey::Or(_) | SearchKey::Not(_) | SearchKey::Content(_) => {
                Bits::none(self.rows.len())
            }
        })
    }

    /// Rows with a system flag, computed once: hostile searches repeat them by the thousand.
    fn flagged(&mut self, flag: SystemFlag) -> Bits {
        let slot = (flag as u8).trailing_zeros() as usize;
        if let Some(bits) = &self.flagged[slot] {
            return bits.clone();
        }
        let bits = self.rows_with(|flags| flags.has(flag));
        self.flagged[slot].insert(bits).clone()
    }

    /// Rows whose flags are such; each flag set is looked at once.
    fn rows_with(&self, is_such: impl Fn(&Flags) -> bool) -> Bits {
        let sets = self.view.rows().flag_sets();
        let such: Vec<bool> = sets.iter().map(|set| is_such(&set.flags)).collect();
        self.rows_where(|row| such[row.flags as usize])
    }

    /// The internal date counts by its day in UTC (RFC 3501 §6.4.4: "disregarding time and
    /// timezone"; it is kept in UTC and shown so by FETCH).
    fn dated(&self, is_such: impl Fn(Day) -> bool) -> Bits {
        self.rows_where(|row| {
            let day = row.internal_secs.div_euclid(86_400);
            is_such(Day(i32::try_from(day).unwrap_or(i32::MAX)))
        })
    }

    fn rows_where(&self, is_such: impl Fn(&Packed) -> bool) -> Bits {
        let mut bits = Bits::none(self.rows.len());
        for (first, rows) in self.rows.slices(0..self.rows.len()) {
            for (offset, row) in rows.iter().enumerate() {
                let place = first + offset;
                bits.0[place / 64] |= u64::from(is_such(row)) << (place % 64);
            }
        }
        bits
    }
}
