use super::scan::{Parsed, Scan, SyntaxError};

/// Criteria of one SORT.
pub const SORT_CRITERIA_MAX: usize = 32;

/// What messages are sorted by (RFC 5256 §3, RFC 5957 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// ARRIVAL: internal date.
    Arrival,
    /// CC: local part of the first address.
    Cc,
    /// DATE: sent date in UTC.
    Date,
    /// FROM: local part of the first address.
    From,
    /// SIZE.
    Size,
    /// SUBJECT: base subject.
    Subject,
    /// TO: local part of the first address.
    To,
    /// DISPLAYFROM: name of the first address, or the address.
    DisplayFrom,
    /// DISPLAYTO.
    DisplayTo,
}

/// A criterion, perhaps the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortCriterion {
    /// By what.
    pub key: SortKey,
    /// REVERSE.
    pub reverse: bool,
}

/// How messages are threaded (RFC 5256 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    /// ORDEREDSUBJECT
    OrderedSubject,
    /// REFERENCES
    References,
}

// RFC 5256 §5: sort-criteria = "(" sort-criterion *(SP sort-criterion) ")";
// sort-criterion = ["REVERSE" SP] sort-key
pub(crate) fn parse_sort_criteria(scan: &mut Scan<'_>) -> Parsed<Vec<SortCriterion>> {
    scan.expect(b'(', "sort criteria stand in parentheses")?;
    let mut criteria = Vec::new();
    loop {
        if criteria.len() == SORT_CRITERIA_MAX {
            return Err(SyntaxError("too many sort criteria"));
        }
        let reverse = scan.eat_text("REVERSE ");
        let key = match scan.word()?.as_str() {
            "ARRIVAL" => SortKey::Arrival,
            "CC" => SortKey::Cc,
            "DATE" => SortKey::Date,
            "FROM" => SortKey::From,
            "SIZE" => SortKey::Size,
            "SUBJECT" => SortKey::Subject,
            "TO" => SortKey::To,
            "DISPLAYFROM" => SortKey::DisplayFrom,
            "DISPLAYTO" => SortKey::DisplayTo,
            _ => return Err(SyntaxError("unknown sort criterion")),
        };
        criteria.push(SortCriterion { key, reverse });
        if scan.eat(b')') {
            return Ok(criteria);
        }
        scan.space()?;
    }
}

// RFC 5256 §5: thread-alg = "ORDEREDSUBJECT" / "REFERENCES" / thread-alg-ext
pub(crate) fn parse_thread_algorithm(scan: &mut Scan<'_>) -> Parsed<ThreadAlgorithm> {
    match scan.word()?.as_str() {
        "ORDEREDSUBJECT" => Ok(ThreadAlgorithm::OrderedSubject),
        "REFERENCES" => Ok(ThreadAlgorithm::References),
        _ => Err(SyntaxError("unknown threading algorithm")),
    }
}
