//! What reports count, read from the journal.

use journal::Head;
use mail_types::Timestamp;
use store::{Observation, Observed, ReportSpan, Store};

use super::dmarc::DmarcCounts;
use super::tls::TlsCounts;
use crate::request::Failure;

/// Records that are read at once.
const RECORDS_AT_ONCE: usize = 20_000;
/// Kinds of messages, or of failures, that are told apart: what a day may take in memory.
pub const ROWS_MAX: usize = 1_000_000;

/// All of a span.
#[derive(Default)]
pub struct Counts {
    pub dmarc: DmarcCounts,
    pub tls: TlsCounts,
}

impl Counts {
    /// Reads what happened in a span, to its end or to now, and where the journal then stands.
    /// Blocks. `is_ended` false: the span still runs.
    pub fn read(store: &Store, span: &ReportSpan, is_ended: bool) -> Result<(Self, Head), Failure> {
        let end = span.end.filter(|_| is_ended).unwrap_or(Timestamp(i64::MAX));
        let mut head = Head::from_bytes(&span.head).unwrap_or(Head::START);
        let mut counts = Self::default();
        loop {
            let Observed { seen, head: reached, more } =
                store.observed(&head, end, RECORDS_AT_ONCE)?;
            for one in seen {
                match one {
                    Observation::Judged { judged, subject } => {
                        counts.dmarc.add(&judged, subject.as_deref());
                    }
                    Observation::Tried { tried, destination } => {
                        counts.tls.add(&tried, &destination);
                    }
                }
            }
            head = reached;
            if !more {
                return Ok((counts, head));
            }
        }
    }
}
