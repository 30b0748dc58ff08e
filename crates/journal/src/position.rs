use std::fmt;

use mail_types::RecordSeq;

use crate::frame::SEGMENT_HEADER_BYTES;

/// Where a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the segment: 1 for the first.
    pub segment: u32,
    /// Bytes from the beginning of the segment; a multiple of eight.
    pub offset: u64,
}

impl Position {
    /// Where the first frame of a segment begins.
    #[must_use]
    pub const fn first_of(segment: u32) -> Self {
        Self { segment, offset: SEGMENT_HEADER_BYTES }
    }

    /// The place so many bytes further on in the segment.
    #[must_use]
    pub(crate) const fn plus(self, bytes: u64) -> Self {
        Self { segment: self.segment, offset: self.offset + bytes }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} offset {}", self.segment, self.offset)
    }
}

/// The durable end of a journal after some group: everything up to it was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// Where the next frame goes (unless it begins a new segment).
    pub end: Position,
    /// Number of the last group; 0 where there is none.
    pub group: u64,
    /// Number of the last record; 0 where there is none.
    pub last_seq: RecordSeq,
    /// BLAKE3 over all groups up to here; all zeros where there is none.
    pub chain: [u8; 32],
}

/// Bytes of [`Head::to_bytes`].
const HEAD_BYTES: usize = 60;

impl Head {
    /// The head of an empty journal.
    pub const START: Self =
        Self { end: Position::first_of(1), group: 0, last_seq: RecordSeq(0), chain: [0; 32] };

    /// For keeping beside an index: read back by [`Head::from_bytes`].
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEAD_BYTES] {
        let mut out = [0; HEAD_BYTES];
        out[..4].copy_from_slice(&self.end.segment.to_le_bytes());
        out[4..12].copy_from_slice(&self.end.offset.to_le_bytes());
        out[12..20].copy_from_slice(&self.group.to_le_bytes());
        out[20..28].copy_from_slice(&self.last_seq.0.to_le_bytes());
        out[28..].copy_from_slice(&self.chain);
        out
    }

    /// `None` where these are not 60 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (segment, rest) = bytes.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (group, rest) = rest.split_first_chunk()?;
        let (last_seq, chain) = rest.split_first_chunk()?;
        Some(Self {
            end: Position {
                segment: u32::from_le_bytes(*segment),
                offset: u64::from_le_bytes(*offset),
            },
            group: u64::from_le_bytes(*group),
            last_seq: RecordSeq(u64::from_le_bytes(*last_seq)),
            chain: chain.try_into().ok()?,
        })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}, record {}, {}", self.group, self.last_seq, self.end)
    }
}
