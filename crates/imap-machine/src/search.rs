//! Which messages a search finds: sets of rows as bits, all rows at once.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use mail_types::{Flags, Keyword, SystemFlag, Timestamp};
use mailbox::Packed;

use crate::grammar::{ContentKey, Day, SearchKey, UidSet};
use crate::view::View;

/// Rows times keys that one step looks at: a few milliseconds.
const STEP_LOOKS_MAX: usize = 4 << 20;

/// A set of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    pub(crate) fn contains(&self, row: usize) -> bool {
        self.0.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(at * 64 + bit)
            })
        })
    }

    fn and(&mut self, other: &Self) {
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

impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(rows: I) -> Self {
        let mut words = Vec::new();
        let mut bit = 64;
        for is_set in rows {
            if bit == 64 {
                words.push(0);
                bit = 0;
            }
            let last = words.len() - 1;
            words[last] |= u64::from(is_set) << bit;
            bit += 1;
        }
        Self(words)
    }
}

/// A search key made ready for one mailbox: numbers are UIDs, contents are indexes.
#[derive(Debug)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Flag(SystemFlag),
    Recent,
    Keyword(Keyword),
    Uids(UidSet),
    /// Internal date in seconds at or after the first and before the second.
    Dated(i64, i64),
    /// The same for the date of saving.
    Saved(i64, i64),
    Larger(u32),
    Smaller(u32),
    ModSeq(u64),
    Email(u64),
    Content(usize),
}

/// A search made ready for one mailbox.
#[derive(Debug)]
pub(crate) struct Compiled {
    root: Node,
    /// Nodes in all.
    nodes: usize,
    /// What only the messages themselves can tell, each key once.
    pub keys: Arc<[ContentKey]>,
    /// MODSEQ occurs in it (RFC 7162 §3.1.5: then the answer tells the highest).
    pub names_modseq: bool,
    /// The answer changes as time passes.
    pub names_age: bool,
}

/// A sequence number that no message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchNumber;

impl Compiled {
    /// Recursion is as deep as the parser allowed.
    pub(crate) fn new(key: &SearchKey, view: &View, now: Timestamp) -> Result<Self, NoSuchNumber> {
        let mut compiler = Compiler {
            view,
            now: now.secs(),
            nodes: 0,
            keys: Vec::new(),
            index: HashMap::new(),
            names_modseq: false,
            names_age: false,
        };
        let root = compiler.node(key)?;
        let Compiler { nodes, keys, names_modseq, names_age, .. } = compiler;
        Ok(Self { root, nodes, keys: keys.into(), names_modseq, names_age })
    }

    /// The UIDs that it names as the only ones it can find, as far as that is plain to see: `None`
    /// where it may find any. Recursion is as deep as the parser allowed.
    fn named(&self) -> Option<UidSet> {
        fn named(node: &Node) -> Option<UidSet> {
            match node {
                Node::Uids(uids) => Some(uids.clone()),
                Node::And(nodes) => {
                    nodes.iter().filter_map(named).reduce(|all, uids| all.intersection(&uids))
                }
                Node::Or(_)
                | Node::Not(_)
                | Node::Flag(_)
                | Node::Recent
                | Node::Keyword(_)
                | Node::Dated(..)
                | Node::Saved(..)
                | Node::Larger(_)
                | Node::Smaller(_)
                | Node::ModSeq(_)
                | Node::Email(_)
                | Node::Content(_) => None,
            }
        }
        named(&self.root)
    }

    /// Where it has more messages to look at than so many: the lowest UID of the last of them
    /// (RFC 9738 §3.1: what counts is what is searched, not what is found).
    pub(crate) fn cut(&self, view: &View, limit: NonZeroU32) -> Option<u32> {
        let everything = UidSet::range(1, u32::MAX);
        let named = self.named().unwrap_or(everything);
        let ranges = named.ranges().iter();
        let places: Vec<_> = ranges.map(|&(a, b)| view.rows().places(a, b)).collect();
        view.last_of(&places, limit, |_| true).map(|(_, lowest)| lowest)
    }

    /// The same search, of messages from this UID on.
    pub(crate) fn starting_at(self, uid: u32) -> Self {
        let from = Node::Uids(UidSet::range(uid, u32::MAX));
        Self { root: Node::And(vec![from, self.root]), nodes: self.nodes + 2, ..self }
    }

    /// Rows that one step may look at.
    pub(crate) fn rows_at_a_time(&self) -> usize {
        (STEP_LOOKS_MAX / self.nodes.max(1)).max(1)
    }
}

struct Compiler<'a> {
    view: &'a View,
    now: i64,
    nodes: usize,
    keys: Vec<ContentKey>,
    index: HashMap<ContentKey, usize>,
    names_modseq: bool,
    names_age: bool,
}

impl Compiler<'_> {
    fn nodes(&mut self, keys: &[SearchKey]) -> Result<Vec<Node>, NoSuchNumber> {
        keys.iter().map(|key| self.node(key)).collect()
    }

    fn node(&mut self, key: &SearchKey) -> Result<Node, NoSuchNumber> {
        self.nodes += 1;
        // A date counts by its day in UTC (RFC 3501 §6.4.4: "disregarding time and timezone"; it
        // is kept in UTC and shown so by FETCH).
        let start = |day: &Day| day.start().secs();
        let end = |day: &Day| day.start().secs().saturating_add(86_400);
        Ok(match key {
            SearchKey::And(keys) => Node::And(self.nodes(keys)?),
            SearchKey::Or(keys) => Node::Or(self.nodes(keys)?),
            SearchKey::Not(key) => Node::Not(Box::new(self.node(key)?)),
            SearchKey::Flag(flag) => Node::Flag(*flag),
            SearchKey::Recent => Node::Recent,
            SearchKey::Keyword(keyword) => Node::Keyword(keyword.clone()),
            SearchKey::Numbers { uid, set } => {
                Node::Uids(self.view.uids_of(set, *uid).ok_or(NoSuchNumber)?)
            }
            SearchKey::Uids(uids) => Node::Uids(uids.clone()),
            SearchKey::Before(day) => Node::Dated(i64::MIN, start(day)),
            SearchKey::On(day) => Node::Dated(start(day), end(day)),
            SearchKey::Since(day) => Node::Dated(start(day), i64::MAX),
            SearchKey::SavedBefore(day) => Node::Saved(i64::MIN, start(day)),
            SearchKey::SavedOn(day) => Node::Saved(start(day), end(day)),
            SearchKey::SavedSince(day) => Node::Saved(start(day), i64::MAX),
            SearchKey::Larger(octets) => Node::Larger(*octets),
            SearchKey::Smaller(octets) => Node::Smaller(*octets),
            SearchKey::ModSeq(modseq) => {
                self.names_modseq = true;
                Node::ModSeq(*modseq)
            }
            // RFC 5032 §3: OLDER is at or before now less the interval, YOUNGER at or after it.
            SearchKey::Older(secs) => {
                self.names_age = true;
                Node::Dated(i64::MIN, (self.now - i64::from(*secs)).saturating_add(1))
            }
            SearchKey::Younger(secs) => {
                self.names_age = true;
                Node::Dated(self.now - i64::from(*secs), i64::MAX)
            }
            SearchKey::Email(mail) => Node::Email(*mail),
            SearchKey::Content(content) => Node::Content(self.content(content)),
        })
    }

    /// The index of a content key: equal ones have one.
    fn content(&mut self, key: &ContentKey) -> usize {
        if let Some(&index) = self.index.get(key) {
            return index;
        }
        let index = self.keys.len();
        self.keys.push(key.clone());
        self.index.insert(key.clone(), index);
        index
    }
}

/// Which content keys match which messages: what the service has answered for some places.
#[derive(Debug)]
pub(crate) struct Matched {
    /// For each key, a bit for each place.
    columns: Vec<Bits>,
}

impl Matched {
    /// From an answer: for each of so many places in order, a bit for each key. `None` where it
    /// does not have that form.
    pub(crate) fn new(answer: &[u64], keys: usize, places: usize) -> Option<Self> {
        let stride = keys.div_ceil(64).max(1);
        if answer.len() != places * stride {
            return None;
        }
        let mut columns = vec![Bits::none(places); keys];
        for (word, columns) in columns.chunks_mut(64).enumerate() {
            for (at, rows) in answer.chunks(64 * stride).enumerate() {
                let mut square = [0_u64; 64];
                for (to, from) in square.iter_mut().zip(rows.iter().skip(word).step_by(stride)) {
                    *to = *from;
                }
                transpose(&mut square);
                for (column, bits) in columns.iter_mut().zip(square) {
                    column.0[at] = bits;
                }
            }
        }
        Some(Self { columns })
    }
}

/// Turns 64 words of 64 bits around their diagonal: bit j of word i becomes bit i of word j.
fn transpose(square: &mut [u64; 64]) {
    let mut width = 32;
    let mut mask = 0x0000_0000_ffff_ffff_u64;
    while width > 0 {
        let mut at = 0;
        while at < 64 {
            let swapped = (square[at] >> width ^ square[at + width]) & mask;
            square[at] ^= swapped << width;
            square[at + width] ^= swapped;
            at = (at + width + 1) & !width;
        }
        width /= 2;
        mask ^= mask << width;
    }
}

/// Rows that are surely found, and rows that may be: they differ where the messages themselves have
/// to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub surely: Bits,
    pub maybe: Bits,
}

impl Found {
    fn known(bits: Bits) -> Self {
        Self { surely: bits.clone(), maybe: bits }
    }
}

/// Rows of a view by their places.
enum Among<'a> {
    Range(Range<usize>),
    /// Ascending.
    Places(&'a [usize]),
}

/// Evaluates a search over rows of a view.
pub(crate) struct Evaluator<'a> {
    view: &'a View,
    /// The rows in question. A bit of the result stands for the n-th of these.
    among: Among<'a>,
    /// What is known of these messages' contents.
    matched: Option<&'a Matched>,
    /// Rows with each system flag, by its bit: hostile searches repeat them by the thousand.
    flagged: [Option<Bits>; 5],
}

impl<'a> Evaluator<'a> {
    /// Over the rows at these places, which there are; contents unknown.
    pub(crate) const fn range(view: &'a View, places: Range<usize>) -> Self {
        let among = Among::Range(places);
        Self { view, among, matched: None, flagged: [const { None }; 5] }
    }

    /// Over some rows, ascending.
    pub(crate) const fn some(
        view: &'a View,
        places: &'a [usize],
        matched: Option<&'a Matched>,
    ) -> Self {
        Self { view, among: Among::Places(places), matched, flagged: [const { None }; 5] }
    }

    /// The rows that a search finds.
    pub(crate) fn find(&mut self, search: &Compiled) -> Found {
        self.node(&search.root)
    }

    fn count(&self) -> usize {
        match &self.among {
            Among::Range(places) => places.len(),
            Among::Places(places) => places.len(),
        }
    }

    /// Recursion is as deep as the parser allowed.
    fn node(&mut self, node: &Node) -> Found {
        let count = self.count();
        match node {
            Node::And(nodes) => {
                let mut all = Found::known(Bits::all(count));
                for node in nodes {
                    let found = self.node(node);
                    all.surely.and(&found.surely);
                    all.maybe.and(&found.maybe);
                    if all.maybe.is_empty() {
                        break;
                    }
                }
                all
            }
            Node::Or(nodes) => {
                let mut any = Found::known(Bits::none(count));
                let everything = Bits::all(count);
                for node in nodes {
                    let found = self.node(node);
                    any.surely.or(&found.surely);
                    any.maybe.or(&found.maybe);
                    if any.surely == everything {
                        break;
                    }
                }
                any
            }
            Node::Not(node) => {
                let mut found = self.node(node);
                found.surely.complement(count);
                found.maybe.complement(count);
                Found { surely: found.maybe, maybe: found.surely }
            }
            Node::Content(index) => match self.matched.and_then(|m| m.columns.get(*index)) {
                Some(column) => Found::known(column.clone()),
                None => Found { surely: Bits::none(count), maybe: Bits::all(count) },
            },
            Node::Flag(flag) => Found::known(self.flagged(*flag)),
            leaf => Found::known(self.leaf(leaf)),
        }
    }

    /// Keys that the view itself answers.
    fn leaf(&self, leaf: &Node) -> Bits {
        let view = self.view;
        match leaf {
            Node::Recent => self.rows_where(|row| view.is_recent(row.uid)),
            Node::Keyword(keyword) => self.rows_with(|flags| flags.has_keyword(keyword)),
            Node::Uids(uids) => self.rows_where(|row| uids.contains(row.uid)),
            Node::Dated(from, to) => {
                self.rows_where(|row| (*from..*to).contains(&row.internal_secs))
            }
            Node::Saved(from, to) => {
                self.rows_where(|row| (*from..*to).contains(&row.saved_secs.into()))
            }
            Node::Larger(octets) => self.rows_where(|row| row.size > *octets),
            Node::Smaller(octets) => self.rows_where(|row| row.size < *octets),
            Node::ModSeq(modseq) => self.rows_where(|row| row.modseq >= *modseq),
            Node::Email(mail) => self.rows_where(|row| row.mail == *mail),
            Node::And(_) | Node::Or(_) | Node::Not(_) | Node::Flag(_) | Node::Content(_) => {
                Bits::none(self.count())
            }
        }
    }

    /// Rows with a system flag, computed once.
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

    fn rows_where(&self, is_such: impl Fn(&Packed) -> bool) -> Bits {
        let rows = self.view.rows();
        match &self.among {
            Among::Range(places) => {
                rows.slices(places.clone()).flat_map(|(_, rows)| rows).map(is_such).collect()
            }
            Among::Places(places) => places.iter().map(|&place| is_such(rows.at(place))).collect(),
        }
    }
}
