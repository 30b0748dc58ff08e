//! SORT (RFC 5256 §3): the order of messages by several criteria.

use std::cmp::Ordering;

use mailbox::Packed;
use message::SortFacts;

use crate::grammar::{SortCriterion, SortKey};

/// Octets of the texts that one SORT or THREAD may hold.
pub(crate) const TEXT_OCTETS_MAX: usize = 32 << 20;

/// More text than one command may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuchText;

/// What messages are sorted by, a column for each criterion.
#[derive(Debug)]
pub(crate) struct Sorter {
    criteria: Vec<SortCriterion>,
    columns: Vec<Column>,
    rows: u32,
    text_octets: usize,
}

#[derive(Debug)]
enum Column {
    Numbers(Vec<i64>),
    Texts {
        all: String,
        /// Where each ends.
        ends: Vec<u32>,
    },
}

impl Column {
    fn text(&self, at: u32) -> &str {
        let Self::Texts { all, ends } = self else { return "" };
        let start = (at as usize).checked_sub(1).map_or(0, |before| ends[before]);
        &all[start as usize..ends[at as usize] as usize]
    }

    fn compare(&self, a: u32, b: u32) -> Ordering {
        match self {
            Self::Numbers(numbers) => numbers[a as usize].cmp(&numbers[b as usize]),
            Self::Texts { .. } => self.text(a).cmp(self.text(b)),
        }
    }

    /// A number that is in the same order, but for equal ones, which [`Column::compare`] decides.
    fn prefix(&self, at: u32) -> u64 {
        match self {
            Self::Numbers(numbers) => numbers[at as usize].cast_unsigned() ^ 1 << 63,
            Self::Texts { .. } => {
                let text = self.text(at).as_bytes();
                let mut first = [0; 8];
                let count = text.len().min(8);
                first[..count].copy_from_slice(&text[..count]);
                u64::from_be_bytes(first)
            }
        }
    }
}

impl Sorter {
    pub(crate) fn new(criteria: &[SortCriterion]) -> Self {
        let mut kept: Vec<SortCriterion> = Vec::new();
        for criterion in criteria {
            // The second of two has nothing to decide.
            if !kept.iter().any(|before| before.key == criterion.key) {
                kept.push(*criterion);
            }
        }
        let columns = kept.iter().map(|criterion| match criterion.key {
            SortKey::Arrival | SortKey::Date | SortKey::Size => Column::Numbers(Vec::new()),
            SortKey::Cc
            | SortKey::From
            | SortKey::Subject
            | SortKey::To
            | SortKey::DisplayFrom
            | SortKey::DisplayTo => Column::Texts { all: String::new(), ends: Vec::new() },
        });
        Self { columns: columns.collect(), criteria: kept, rows: 0, text_octets: 0 }
    }

    /// Whether more must be known of messages than their rows tell.
    pub(crate) fn needs_facts(&self) -> bool {
        let of_row = |key| matches!(key, SortKey::Arrival | SortKey::Size);
        !self.criteria.iter().all(|criterion| of_row(criterion.key))
    }

    /// Adds a message behind those before it in the mailbox.
    pub(crate) fn push(
        &mut self,
        row: &Packed,
        facts: &SortFacts<&str>,
    ) -> Result<(), TooMuchText> {
        for (column, criterion) in self.columns.iter_mut().zip(&self.criteria) {
            let text = match criterion.key {
                SortKey::Arrival | SortKey::Date | SortKey::Size => "",
                SortKey::Cc => facts.cc,
                SortKey::From => facts.from,
                SortKey::Subject => facts.subject,
                SortKey::To => facts.to,
                SortKey::DisplayFrom => facts.display_from,
                SortKey::DisplayTo => facts.display_to,
            };
            match column {
                Column::Texts { all, ends } => {
                    self.text_octets += text.len();
                    all.push_str(text);
                    ends.push(u32::try_from(all.len()).map_err(|_| TooMuchText)?);
                }
                Column::Numbers(numbers) => numbers.push(match criterion.key {
                    SortKey::Size => row.size.into(),
                    // RFC 5256 §2.2: where the sent date is not valid, the internal date counts.
                    SortKey::Date => facts.sent.unwrap_or(row.internal_secs),
                    _ => row.internal_secs,
                }),
            }
        }
        self.rows += 1;
        if self.text_octets > TEXT_OCTETS_MAX { Err(TooMuchText) } else { Ok(()) }
    }

    /// The messages in order, each by its number among those pushed. RFC 5256 §3: equal ones in the
    /// order of the mailbox, also where criteria are reversed.
    pub(crate) fn order(&self) -> Vec<u32> {
        let Some((first, criterion)) = self.columns.first().zip(self.criteria.first()) else {
            return (0..self.rows).collect();
        };
        let turn = if criterion.reverse { u64::MAX } else { 0 };
        // Few comparisons go beyond the first octets, which lie side by side.
        let mut order: Vec<(u64, u32)> =
            (0..self.rows).map(|at| (first.prefix(at) ^ turn, at)).collect();
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| self.compare(a.1, b.1)).then(a.1.cmp(&b.1))
        });
        order.into_iter().map(|(_, at)| at).collect()
    }

    fn compare(&self, a: u32, b: u32) -> Ordering {
        let columns = self.columns.iter().zip(&self.criteria);
        let mut compared = columns.map(|(column, criterion)| {
            let order = column.compare(a, b);
            if criterion.reverse { order.reverse() } else { order }
        });
        compared.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}
