//! How far one journal's end is behind another's.

use journal::Head;
use serde::{Deserialize, Serialize};

/// By how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Records.
    pub records: u64,
    /// Bytes of the journal, body files not counted.
    pub bytes: u64,
}

/// Behind `ahead`, where segments have so many bytes.
pub fn lag(behind: &Head, ahead: &Head, segment_bytes: u64) -> Lag {
    let segments = u64::from(ahead.end.segment.saturating_sub(behind.end.segment));
    let bytes = (segments * segment_bytes + ahead.end.offset).saturating_sub(behind.end.offset);
    let records = ahead.last_seq.0.saturating_sub(behind.last_seq.0);
    Lag { records, bytes: if ahead.group > behind.group { bytes } else { 0 } }
}
