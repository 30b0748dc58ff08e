use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;

use super::fetch::{FetchAttribute, attributes};
use super::scan::{Parsed, Scan, SyntaxError};

/// What an extended search or sort returns (RFC 4466 §2.6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchReturn {
    /// MIN (RFC 4731 §3.1): the first.
    pub min: bool,
    /// MAX: the last.
    pub max: bool,
    /// ALL, also where the list was empty.
    pub all: bool,
    /// COUNT.
    pub count: bool,
    /// SAVE (RFC 5182): `$` is the result from now on.
    pub save: bool,
    /// UPDATE (RFC 5267 §4.3): changes of the result are told.
    pub update: bool,
    /// PARTIAL (RFC 9394 §3.1, RFC 5267 §4.4): these of the results.
    pub partial: Option<PartialRange>,
}

/// Which results are wanted: the n-th to the m-th, both at least 1, counted from the first or the
/// last (RFC 9394 §3.1). Kept in the order that the client wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialRange {
    /// One end.
    pub from: NonZeroU32,
    /// The other.
    pub to: NonZeroU32,
    /// Counted from the last: `-1:-100`.
    pub from_last: bool,
}

impl PartialRange {
    // RFC 9394 §4: partial-range = partial-range-first / partial-range-last;
    // partial-range-first = nz-number ":" nz-number; partial-range-last = MINUS nz-number ":" MINUS
    // nz-number
    pub(crate) fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        let from_last = scan.eat(b'-');
        let from = scan.nz_number()?;
        scan.expect(b':', "PARTIAL takes a range, as in 1:100 or -1:-100")?;
        if scan.eat(b'-') != from_last {
            return Err(SyntaxError("both ends of a PARTIAL count from the same end"));
        }
        Ok(Self { from, to: scan.nz_number()?, from_last })
    }

    /// How many results it is about, if there are so many.
    #[must_use]
    pub fn len_max(self) -> u32 {
        self.from.get().abs_diff(self.to.get()).saturating_add(1)
    }

    /// The places of the results meant, of so many.
    #[must_use]
    pub fn of(self, count: usize) -> Range<usize> {
        let (low, high) = (self.from.min(self.to).get(), self.from.max(self.to).get());
        let start = (low as usize - 1).min(count);
        let end = (high as usize).min(count);
        if self.from_last { count - end..count - start } else { start..end }
    }
}

/// As it was written.
impl fmt::Display for PartialRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minus = if self.from_last { "-" } else { "" };
        write!(f, "{minus}{}:{minus}{}", self.from, self.to)
    }
}

impl SearchReturn {
    // RFC 4466 §2.6.1: search-return-opts = SP "RETURN" SP "(" [search-return-opt
    // *(SP search-return-opt)] ")"
    pub(crate) fn parse(scan: &mut Scan<'_>) -> Parsed<(Self, Vec<FetchAttribute>)> {
        let mut returns = Self::default();
        let mut update_fetch = Vec::new();
        scan.expect(b'(', "RETURN takes a list in parentheses")?;
        let is_empty = scan.peek() == Some(b')');
        while !scan.eat(b')') {
            returns.option(scan)?;
            // RFC 5465 §8: modifier-update = "UPDATE" ["(" fetch-att *(SP fetch-att) ")"]; its
            // example has a space there.
            if returns.update && update_fetch.is_empty() && (scan.eat(b'(') || scan.eat_text(" ("))
            {
                update_fetch = attributes(scan)?;
            }
            if scan.peek() != Some(b')') {
                scan.space()?;
            }
        }
        // RFC 4731 §3.1: an empty list is ALL.
        returns.all |= is_empty;
        // RFC 9394 §3.1: "A single command MUST NOT contain more than one PARTIAL or ALL".
        if returns.all && returns.partial.is_some() {
            return Err(SyntaxError("PARTIAL and ALL exclude each other"));
        }
        Ok((returns, update_fetch))
    }

    fn option(&mut self, scan: &mut Scan<'_>) -> Parsed<()> {
        match scan.word()?.as_str() {
            "MIN" => self.min = true,
            "MAX" => self.max = true,
            "ALL" => self.all = true,
            "COUNT" => self.count = true,
            "SAVE" => self.save = true,
            "UPDATE" => self.update = true,
            // RFC 5267 §4.2: a hint that the same search will come again; searches are cheap here.
            "CONTEXT" => {}
            "PARTIAL" if self.partial.is_none() => {
                scan.space()?;
                self.partial = Some(PartialRange::parse(scan)?);
            }
            "PARTIAL" => return Err(SyntaxError("there may be one PARTIAL")),
            _ => return Err(SyntaxError("unknown result option in RETURN")),
        }
        Ok(())
    }
}
