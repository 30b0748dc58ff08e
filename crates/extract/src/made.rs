use message::{
    BodyForm, Limits, Structure, Summary, find_field, header_range, parse_date, search_body,
    search_header, write_body, write_envelope,
};

use crate::slot::u32_at;

/// Octets of a header kept as it is; a longer one is read from the body.
const RAW_HEADER_BYTES_MAX: usize = 64 << 10;
/// Octets of a body for which one check is kept, so that a range of a large one can be read alone.
pub const BLOCK_BYTES: usize = 256 << 10;
/// Parts of a [`Head`].
const PARTS: usize = 5;
const PARTS_BYTES: usize = 1 + 4 * PARTS;

/// The structure is written the same for RFC 9051 as for RFC 3501.
const SAME_IN_REV2: u8 = 1;

/// What is made of a body. The one maker of it, so that what is kept and what is made anew for one
/// question are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Read with [`Head::read`].
    pub head: Vec<u8>,
    /// Read with [`Header::read`].
    pub header: Vec<u8>,
    /// Decoded, folded text of the body: [`message::search_body`].
    pub text: String,
    /// [`Made::header`] holds all of the folded header.
    pub header_whole: bool,
    /// [`Made::text`] is all of it.
    pub text_whole: bool,
}

/// A part of a [`Head`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// ENVELOPE as on the wire.
    Envelope,
    /// BODYSTRUCTURE as on the wire, RFC 3501.
    BodyStructure,
    /// BODY as on the wire, RFC 3501.
    Body,
    /// [`Summary::encode`].
    Summary,
    /// CRC-32 of each 256 KiB of the body, for bodies that have more.
    Blocks,
}

impl Made {
    /// Reads a body.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self::within(body, &Limits::default(), &Limits::default())
    }

    /// The same, with all of the text however long it is: for a search that what is kept cannot
    /// answer. The structure is that of [`Made::of`].
    #[must_use]
    pub fn whole(body: &[u8]) -> Self {
        // One octet of a foreign character set becomes three of UTF-8 at most.
        let text_bytes_max = body.len().saturating_mul(4).saturating_add(1 << 20);
        let limits = Limits {
            header_fields_max: body.len(),
            header_bytes_max: body.len(),
            value_bytes_max: body.len(),
            text_bytes_max,
            ..Limits::default()
        };
        Self::within(body, &Limits::default(), &limits)
    }

    fn within(body: &[u8], limits: &Limits, text_limits: &Limits) -> Self {
        let summary = Summary::read(body, limits);
        let (header, header_whole) = header_of(body, text_limits);
        let text = search_body(body, &summary.structure, text_limits);
        Self {
            head: head_of(body, &summary),
            header,
            text: text.text,
            header_whole,
            text_whole: text.complete,
        }
    }
}

fn head_of(body: &[u8], summary: &Summary) -> Vec<u8> {
    let mut out = vec![0; PARTS_BYTES];
    out.reserve(1024);
    let structure = &summary.structure;
    let mut ends = [0_u32; PARTS];
    write_envelope(&mut out, &summary.envelope);
    ends[0] = end(&out);
    write_body(&mut out, structure, BodyForm { extended: true, rev2: false });
    ends[1] = end(&out);
    write_body(&mut out, structure, BodyForm { extended: false, rev2: false });
    ends[2] = end(&out);
    out.extend_from_slice(&summary.encode());
    ends[3] = end(&out);
    if body.len() > BLOCK_BYTES {
        out.extend(body.chunks(BLOCK_BYTES).flat_map(|block| crc32fast::hash(block).to_le_bytes()));
    }
    ends[4] = end(&out);
    out[0] = if is_same_in_rev2(structure) { SAME_IN_REV2 } else { 0 };
    for (place, end) in out[1..PARTS_BYTES].chunks_exact_mut(4).zip(ends) {
        place.copy_from_slice(&end.to_le_bytes());
    }
    out
}

/// Where a head ends so far. One that does not fit 32 bits is too large to be kept or read.
fn end(out: &[u8]) -> u32 {
    u32::try_from(out.len()).unwrap_or(u32::MAX)
}

/// RFC 9051 §7.5.2 and RFC 3501 §7.4.2 differ in message/global alone.
fn is_same_in_rev2(structure: &Structure) -> bool {
    !structure.parts().iter().any(|part| part.content.is("message", "global"))
}

// sent day i64 · octets of the header u32 · the header · the folded header
fn header_of(body: &[u8], limits: &Limits) -> (Vec<u8>, bool) {
    let header = &body[header_range(body)];
    let folded = search_header(header, limits);
    let sent = find_field(header, "Date", limits).and_then(|field| parse_date(field.value));
    let sent = sent.map_or(i64::MIN, |sent| sent.local_day());
    let raw = if header.len() <= RAW_HEADER_BYTES_MAX { header } else { &[] };
    let mut out = Vec::with_capacity(12 + raw.len() + folded.text.len());
    out.extend_from_slice(&sent.to_le_bytes());
    out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    out.extend_from_slice(raw);
    out.extend_from_slice(folded.text.as_bytes());
    (out, folded.complete)
}

/// ENVELOPE, structures and summary of a message.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    bytes: &'a [u8],
}

impl<'a> Head<'a> {
    /// `None` where the bytes are none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut start = PARTS_BYTES;
        for end in bytes.get(1..PARTS_BYTES)?.chunks_exact(4) {
            let end = u32_at(end, 0) as usize;
            if end < start || end > bytes.len() {
                return None;
            }
            start = end;
        }
        Some(Self { bytes })
    }

    /// A part.
    #[must_use]
    pub fn part(&self, part: Part) -> &'a [u8] {
        let end_of = |at: usize| u32_at(self.bytes, 1 + 4 * at) as usize;
        let at = part as usize;
        let start = if at == 0 { PARTS_BYTES } else { end_of(at - 1) };
        // Proven: `read` checked that the ends ascend and lie inside.
        &self.bytes[start..end_of(at)]
    }

    /// Appends BODY or BODYSTRUCTURE in a form; nothing where the summary cannot be read.
    pub fn write_body(&self, form: BodyForm, out: &mut Vec<u8>) {
        if form.rev2 && self.bytes[0] & SAME_IN_REV2 == 0 {
            if let Some(summary) = self.summary() {
                write_body(out, &summary.structure, form);
            }
            return;
        }
        let part = if form.extended { Part::BodyStructure } else { Part::Body };
        out.extend_from_slice(self.part(part));
    }

    /// The summary.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        Summary::decode(self.part(Part::Summary)).ok()
    }
}

/// The header of a message.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Its octets with the blank line; empty where it is too long to be kept.
    pub raw: &'a [u8],
    /// [`message::search_header`]
    pub folded: &'a [u8],
    /// Day of its Date field, in days since 1970-01-01 as written there (RFC 3501 §6.4.4).
    pub sent: Option<i64>,
}

impl<'a> Header<'a> {
    /// `None` where the bytes are none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (sent, rest) = bytes.split_first_chunk()?;
        let (raw, rest) = rest.split_first_chunk()?;
        let (raw, folded) = rest.split_at_checked(u32::from_le_bytes(*raw) as usize)?;
        let sent = i64::from_le_bytes(*sent);
        Some(Self { raw, folded, sent: (sent != i64::MIN).then_some(sent) })
    }
}
