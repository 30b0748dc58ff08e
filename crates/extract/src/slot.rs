use mail_types::MailId;

use crate::Stream;
use crate::visit::FileSpan;

/// Bytes of a slot: a power of two, so that none crosses a sector.
pub(crate) const SLOT_BYTES: usize = 64;
/// Slots in one file.
const SLOTS_PER_FILE: u64 = 1 << 20;

const HEADER_WHOLE: u8 = 1;
const TEXT_WHOLE: u8 = 2;

/// Where an entry lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Number of the file.
    pub file: u16,
    /// Bytes from its beginning.
    pub offset: u32,
    /// Bytes, with the entry's own header; 0 where there is no entry.
    pub bytes: u32,
}

/// How a body is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyForm {
    /// As it is.
    #[default]
    Plain,
    /// As one zstd frame.
    Zstd,
    /// In a file of its own.
    File,
    /// In a way that only the journal reads.
    Other,
}

/// Where a body lies in the journal, so that it is read without asking the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodyAt {
    /// The segment.
    pub segment: u32,
    /// Bytes from the segment's beginning to the body's frame.
    pub offset: u32,
    /// Bytes that are kept.
    pub stored: u32,
    /// Bytes of the body.
    pub bytes: u32,
    /// CRC-32 of the body, taken when its hash had been checked.
    pub crc: u32,
    /// How it is kept.
    pub form: BodyForm,
}

/// What is kept of a message, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its body.
    pub body: BodyAt,
    /// The folded header is all there; else SEARCH reads the body.
    pub header_whole: bool,
    /// The folded text is all there; else SEARCH reads the body.
    pub text_whole: bool,
    pub(crate) head: Span,
    pub(crate) header: Span,
    pub(crate) text: Span,
}

// crc 4 · flags 1 · form 1 · head, header, text (file 2 · offset 4 · bytes 4) 30
// · segment 4 · offset 4 · stored 4 · bytes 4 · crc of the body 4 · 0 × 8; little-endian.
impl Slot {
    pub(crate) fn span(&self, stream: Stream) -> Option<FileSpan> {
        let span = match stream {
            Stream::Head => self.head,
            Stream::Header => self.header,
            Stream::Text => self.text,
        };
        (span.bytes > 0).then_some(FileSpan {
            file: u32::from(span.file),
            offset: u64::from(span.offset),
            bytes: span.bytes as usize,
        })
    }

    pub(crate) fn encode(&self, mail: MailId) -> [u8; SLOT_BYTES] {
        let mut out = [0; SLOT_BYTES];
        let whole = |whole: bool, flag: u8| if whole { flag } else { 0 };
        out[4] = whole(self.header_whole, HEADER_WHOLE) | whole(self.text_whole, TEXT_WHOLE);
        let body = &self.body;
        out[5] = match body.form {
            BodyForm::Plain => 1,
            BodyForm::Zstd => 2,
            BodyForm::File => 3,
            BodyForm::Other => 4,
        };
        for (at, span) in [(6, self.head), (16, self.header), (26, self.text)] {
            out[at..at + 2].copy_from_slice(&span.file.to_le_bytes());
            out[at + 2..at + 6].copy_from_slice(&span.offset.to_le_bytes());
            out[at + 6..at + 10].copy_from_slice(&span.bytes.to_le_bytes());
        }
        let numbers = [body.segment, body.offset, body.stored, body.bytes, body.crc];
        for (place, number) in out[36..56].chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let check = check(&out[4..], mail);
        out[..4].copy_from_slice(&check.to_le_bytes());
        out
    }

    /// `None` where these bytes are no slot of this message.
    pub(crate) fn decode(bytes: &[u8; SLOT_BYTES], mail: MailId) -> Option<Self> {
        if u32_at(bytes, 0) != check(&bytes[4..], mail) {
            return None;
        }
        let span = |at: usize| Span {
            file: u16::from_le_bytes([bytes[at], bytes[at + 1]]),
            offset: u32_at(bytes, at + 2),
            bytes: u32_at(bytes, at + 6),
        };
        let form = match bytes[5] {
            1 => BodyForm::Plain,
            2 => BodyForm::Zstd,
            3 => BodyForm::File,
            4 => BodyForm::Other,
            _ => return None,
        };
        Some(Self {
            body: BodyAt {
                segment: u32_at(bytes, 36),
                offset: u32_at(bytes, 40),
                stored: u32_at(bytes, 44),
                bytes: u32_at(bytes, 48),
                crc: u32_at(bytes, 52),
                form,
            },
            header_whole: bytes[4] & HEADER_WHOLE != 0,
            text_whole: bytes[4] & TEXT_WHOLE != 0,
            head: span(6),
            header: span(16),
            text: span(26),
        })
    }
}

/// CRC-32 begun from the message's id, so that what belongs to one message never passes for
/// another's.
pub(crate) fn check(bytes: &[u8], mail: MailId) -> u32 {
    let seed = crc32fast::hash(&mail.0.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

/// Where a message's slot lies; `None` beyond what files can be numbered for.
pub(crate) fn slot_span(mail: MailId) -> Option<FileSpan> {
    Some(FileSpan {
        file: u32::try_from(mail.0 / SLOTS_PER_FILE).ok()?,
        offset: mail.0 % SLOTS_PER_FILE * SLOT_BYTES as u64,
        bytes: SLOT_BYTES,
    })
}

/// The first message whose slot is in this file.
pub(crate) const fn first_mail(file: u32) -> MailId {
    MailId(file as u64 * SLOTS_PER_FILE)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
