//! The records' hashes, from the headers of their frames alone: for what is made of the journal
//! beside it without reading mail again.

use mail_types::RecordSeq;

use crate::error::ReadError;
use crate::frame::{FRAME_HEADER_BYTES, Kind};
use crate::window::Window;
use crate::{Disk, Head, Position, Reader};

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Its number.
    pub seq: RecordSeq,
    /// BLAKE3 of its payload; it stays when a payload goes.
    pub hash: [u8; 32],
    /// Where its frame begins.
    pub at: Position,
}

/// Headers of records, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHeaders {
    /// In order.
    pub records: Vec<RecordHeader>,
    /// Behind the last frame that was looked at.
    pub next: Position,
}

impl<D: Disk> Reader<D> {
    /// The headers of the records from `from` on (a frame begins there, or the journal ends) up to
    /// `until`, at most `records_max` and those of the frame in hand. Payloads are neither read nor
    /// checked.
    ///
    /// # Errors
    /// [`ReadError`]; where no frame is where one should be, `Damaged`.
    pub fn record_headers(
        &self,
        from: Position,
        until: &Head,
        records_max: usize,
    ) -> Result<RecordHeaders, ReadError> {
        let mut records = Vec::new();
        let mut at = from;
        while at < until.end && records.len() < records_max {
            let io = |source| ReadError::Io { at, source };
            let file = self.segment(at.segment).map_err(io)?;
            let mut window = Window::new(file).map_err(io)?;
            let last = at.segment == until.end.segment;
            let end = if last { until.end.offset } else { window.len() };
            // Each turn passes a frame of the segment.
            while at.offset < end && records.len() < records_max {
                let Some(header) = window.header(at.offset) else { break };
                if header.kind == Kind::Record {
                    records.push(RecordHeader {
                        seq: RecordSeq(header.seq),
                        hash: header.hash,
                        at,
                    });
                }
                at = at.plus((FRAME_HEADER_BYTES + header.space()) as u64);
            }
            if records.len() >= records_max || at >= until.end {
                break;
            }
            // The unused end of a segment is zeros.
            let unused = !last && window.find_data(at.offset, end).is_none();
            if !unused {
                return Err(ReadError::Damaged { at, what: "there is no frame here" });
            }
            at = Position::first_of(at.segment + 1);
        }
        Ok(RecordHeaders { records, next: at })
    }

    /// The header of the record whose frame begins here; `None` where there is none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn record_header(&self, at: Position) -> Result<Option<RecordHeader>, ReadError> {
        let io = |source| ReadError::Io { at, source };
        let file = match self.segment(at.segment) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(io)?,
        };
        let header = Window::new(file).map_err(io)?.header(at.offset);
        let record = header.filter(|header| header.kind == Kind::Record);
        Ok(record.map(|header| RecordHeader { seq: RecordSeq(header.seq), hash: header.hash, at }))
    }
}
