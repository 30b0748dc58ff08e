use mail_types::MailId;
use message::{
    BodyForm, Limits, SortFacts, Structure, Summary, find_field, parse_date, preview, search_body,
    search_header, write_body, write_envelope,
};

use crate::slot::u32_at;

/// Octets of a header kept as it is; a longer one is read from the body.
const RAW_HEADER_BYTES_MAX: usize = 64 << 10;
/// Octets of a body for which one check is kept, so that a range of a large one can be read alone.
pub const BLOCK_BYTES: usize = 256 << 10;
/// Parts of a [`Head`].
const PARTS: usize = 7;
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
    /// [`SortFacts::encode`]
    Sort,
    /// [`message::preview`]
    Preview,
    /// CRC-32 of each 256 KiB of the body, for bodies that have more.
    Blocks,
}

impl Part {
    /// All, as they stand in a [`Head`].
    pub const ALL: [Self; PARTS] = [
        Self::Envelope,
        Self::BodyStructure,
        Self::Body,
        Self::Summary,
        Self::Sort,
        Self::Preview,
        Self::Blocks,
    ];
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
        let raw = &body[summary.structure.root().header.clone()];
        let facts = SortFacts::read(raw, limits);
        let (header, header_whole) = header_of(raw, &facts, text_limits);
        let text = search_body(body, &summary.structure, text_limits);
        Self {
            head: head_of(body, &summary, &facts),
            header,
            text: text.text,
            header_whole,
            text_whole: text.complete,
        }
    }
}

fn head_of(body: &[u8], summary: &Summary, facts: &SortFacts) -> Vec<u8> {
    let mut out = vec![0; PARTS_BYTES];
    out.reserve(2048);
    let structure = &summary.structure;
    let mut ends = [0_u32; PARTS];
    for part in Part::ALL {
        match part {
            Part::Envelope => write_envelope(&mut out, &summary.envelope),
            Part::BodyStructure => {
                write_body(&mut out, structure, BodyForm { extended: true, rev2: false });
            }
            Part::Body => {
                write_body(&mut out, structure, BodyForm { extended: false, rev2: false })
            }
            Part::Summary => out.extend_from_slice(&summary.encode()),
            Part::Sort => out.extend_from_slice(&facts.encode()),
            Part::Preview => {
                let limits = Limits::default();
                out.extend_from_slice(preview(body, structure, &limits).as_bytes());
            }
            Part::Blocks if body.len() > BLOCK_BYTES => {
                let blocks = body.chunks(BLOCK_BYTES);
                out.extend(blocks.flat_map(|block| crc32fast::hash(block).to_le_bytes()));
            }
            Part::Blocks => {}
        }
        ends[part as usize] = end(&out);
    }
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

// sent day i64 · thread root u64 · octets of the header u32 · the header · the folded header
fn header_of(header: &[u8], facts: &SortFacts, limits: &Limits) -> (Vec<u8>, bool) {
    let folded = search_header(header, limits);
    let sent = find_field(header, "Date", limits).and_then(|field| parse_date(field.value));
    let sent = sent.map_or(i64::MIN, |sent| sent.local_day());
    let raw = if header.len() <= RAW_HEADER_BYTES_MAX { header } else { &[] };
    let mut out = Vec::with_capacity(20 + raw.len() + folded.text.len());
    out.extend_from_slice(&sent.to_le_bytes());
    out.extend_from_slice(&thread_root(facts).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    out.extend_from_slice(raw);
    out.extend_from_slice(folded.text.as_bytes());
    (out, folded.complete)
}

/// The thread that a message belongs to (RFC 8474 §5.2): that of the first message of its
/// References, which never changes; a message that names none, nor itself, is alone.
#[must_use]
pub fn thread_number<T: AsRef<str>>(mail: MailId, facts: &SortFacts<T>) -> u64 {
    thread_root(facts).unwrap_or_else(|| alone(mail))
}

/// The thread of the first message that the facts name; never 0.
fn thread_root<T: AsRef<str>>(facts: &SortFacts<T>) -> Option<u64> {
    let id = facts.message_id.as_ref().map(AsRef::as_ref);
    let root = facts.references().next().or(id)?;
    Some(first_bytes(&blake3::hash(root.as_bytes())).max(1))
}

/// The thread of a message that names none.
pub(crate) fn alone(mail: MailId) -> u64 {
    first_bytes(&blake3::hash(&mail.0.to_be_bytes())).max(1)
}

fn first_bytes(hash: &blake3::Hash) -> u64 {
    hash.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// What is told of a message without its octets.
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
    /// The thread that it names.
    pub(crate) thread: Option<u64>,
}

impl<'a> Header<'a> {
    /// `None` where the bytes are none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (sent, rest) = bytes.split_first_chunk()?;
        let (thread, rest) = rest.split_first_chunk()?;
        let (raw, rest) = rest.split_first_chunk()?;
        let (raw, folded) = rest.split_at_checked(u32::from_le_bytes(*raw) as usize)?;
        let (sent, thread) = (i64::from_le_bytes(*sent), u64::from_le_bytes(*thread));
        Some(Self {
            raw,
            folded,
            sent: (sent != i64::MIN).then_some(sent),
            thread: (thread != 0).then_some(thread),
        })
    }
}
