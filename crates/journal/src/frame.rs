//! The format of a segment: its header, the frames in it, and the commit frame that ends a group.
//!
//! All numbers are little-endian; every frame begins at a multiple of eight bytes.
//!
//! ```text
//! segment  magic 8 · version u16 · 0 u16 · number u32 · 0 × 40 · check 8            = 64 bytes
//! frame    magic 4 · kind u8 · flags u8 · version u16 · stored u32 · raw u32
//!          · seq u64 · BLAKE3 of the raw payload 32 · check 8                         = 64 bytes
//!          then the stored payload, then zeros up to a multiple of eight bytes
//! commit   group u64 · previous head (segment u32 · frames u32 · offset u64)
//!          · first seq u64 · last seq u64 · previous chain 32 · chain 32             = 104 bytes
//! ```
//!
//! `check` is the first eight bytes of the BLAKE3 of what stands before it in the header.

use mail_types::RecordSeq;

use crate::{Head, Position};

/// Bytes of a segment header; the first frame begins behind it.
pub const SEGMENT_HEADER_BYTES: u64 = 64;
/// Bytes of a frame header; what it stands for lies behind it.
pub const FRAME_HEADER_BYTES: usize = 64;
/// Frames begin at multiples of this.
pub const ALIGN_BYTES: u64 = 8;
/// Bytes of a whole commit frame, header and payload.
pub const COMMIT_FRAME_BYTES: usize = FRAME_HEADER_BYTES + COMMIT_PAYLOAD_BYTES;
/// Largest payload of a record, in bytes.
pub const RECORD_BYTES_MAX: usize = 4 << 20;
/// Largest body that may lie in a segment, in bytes before compression.
pub const INLINE_BODY_BYTES_MAX: usize = 8 << 20;
/// Largest body at all, in bytes: its length is a u32 in the frame header.
pub const BODY_BYTES_MAX: u64 = u32::MAX as u64;
/// Largest group, in bytes with its commit frame.
pub const GROUP_BYTES_MAX: usize = 32 << 20;
/// Most frames in a group, its commit frame not counted.
pub const GROUP_FRAMES_MAX: u32 = 65_536;
/// Bytes of the mark that stands in the place of a purged payload; every body frame has room.
pub const TOMBSTONE_BYTES: usize = 16;

const COMMIT_PAYLOAD_BYTES: usize = 104;
const FORMAT_VERSION: u16 = 1;
const SEGMENT_MAGIC: [u8; 8] = *b"RESTJRNL";
/// What every frame begins with; no text of a mail holds these bytes.
pub const FRAME_MAGIC: [u8; 4] = [0xF5, b'R', b'j', 0xFA];
const TOMBSTONE_MAGIC: [u8; 8] = *b"\xF5PURGED\xFA";
/// Where a zstd frame describes its header, and the bit of that which nobody reads.
const ZSTD_DESCRIPTOR_AT: usize = 4;
const ZSTD_UNUSED_BIT: u8 = 1 << 4;
const FLAG_ZSTD: u8 = 1;
const FLAG_MASKED: u8 = 2;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A record; `seq` is its number.
    Record,
    /// A body, in the frame.
    Body,
    /// A body in a file of its own; `seq` is the serial number in the file's name.
    BodyFile,
    /// The end of a group; `seq` is the group's number.
    Commit,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Record => 1,
            Self::Body => 2,
            Self::BodyFile => 3,
            Self::Commit => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Record),
            2 => Some(Self::Body),
            3 => Some(Self::BodyFile),
            4 => Some(Self::Commit),
            _ => None,
        }
    }
}

/// A frame header, read and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub kind: Kind,
    /// The stored payload is one zstd frame.
    pub zstd: bool,
    /// The stored payload is masked: see [`mask`].
    pub masked: bool,
    /// Bytes behind the header, padding not counted.
    pub stored: u32,
    /// Bytes of the payload once decompressed (of the file, for a body file).
    pub raw: u32,
    pub seq: u64,
    /// BLAKE3 of the raw payload (of the file's bytes, for a body file).
    pub hash: [u8; 32],
}

impl FrameHeader {
    pub fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut out = [0; FRAME_HEADER_BYTES];
        out[..4].copy_from_slice(&FRAME_MAGIC);
        out[4] = self.kind.code();
        out[5] = if self.zstd { FLAG_ZSTD } else { 0 } | if self.masked { FLAG_MASKED } else { 0 };
        out[6..8].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[8..12].copy_from_slice(&self.stored.to_le_bytes());
        out[12..16].copy_from_slice(&self.raw.to_le_bytes());
        out[16..24].copy_from_slice(&self.seq.to_le_bytes());
        out[24..56].copy_from_slice(&self.hash);
        let check = check_of(&out[..56]);
        out[56..].copy_from_slice(&check);
        out
    }

    /// `None` where these bytes are no frame header: wrong magic, wrong check, or fields beyond
    /// the limits of the format (so that no reader allocates more than those).
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; FRAME_HEADER_BYTES] = bytes.get(..FRAME_HEADER_BYTES)?.try_into().ok()?;
        if bytes[..4] != FRAME_MAGIC || bytes[56..] != check_of(&bytes[..56]) {
            return None;
        }
        if bytes[5] & !(FLAG_ZSTD | FLAG_MASKED) != 0 || u16_at(bytes, 6) != FORMAT_VERSION {
            return None;
        }
        let header = Self {
            kind: Kind::from_code(bytes[4])?,
            zstd: bytes[5] & FLAG_ZSTD != 0,
            masked: bytes[5] & FLAG_MASKED != 0,
            stored: u32_at(bytes, 8),
            raw: u32_at(bytes, 12),
            seq: u64_at(bytes, 16),
            hash: hash_at(bytes, 24),
        };
        header.within_limits().then_some(header)
    }

    fn within_limits(&self) -> bool {
        let plain = !self.zstd && self.stored == self.raw;
        match self.kind {
            Kind::Record => plain && self.raw as usize <= RECORD_BYTES_MAX,
            Kind::Body => {
                (plain || self.zstd && self.stored < self.raw)
                    && self.raw as usize <= INLINE_BODY_BYTES_MAX
            }
            Kind::BodyFile => !self.zstd && self.stored == 0,
            Kind::Commit => plain && self.raw as usize == COMMIT_PAYLOAD_BYTES,
        }
    }

    /// Bytes behind the header up to the next frame: the payload with its padding.
    pub fn space(&self) -> usize {
        let padded = (self.stored as usize).next_multiple_of(ALIGN_BYTES as usize);
        match self.kind {
            Kind::Body | Kind::BodyFile => padded.max(TOMBSTONE_BYTES),
            Kind::Record | Kind::Commit => padded,
        }
    }

    /// The mark that says this frame's body was purged on purpose. It is bound to the frame, so
    /// that zeros from a failing disk, or a mark blown here from elsewhere, are not taken for it.
    pub fn tombstone(&self) -> [u8; TOMBSTONE_BYTES] {
        let mut out = [0; TOMBSTONE_BYTES];
        out[..8].copy_from_slice(&TOMBSTONE_MAGIC);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&TOMBSTONE_MAGIC).update(&self.encode());
        out[8..].copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        out
    }
}

/// What a commit frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Number of the group it ends: 1 for the first, without gaps.
    pub group: u64,
    /// Frames of the group, without this one.
    pub frames: u32,
    /// Where the group before it ended: synced before a byte of this group was written.
    pub previous_end: Position,
    pub previous_chain: [u8; 32],
    /// Record number the group began with (one past the last, where it holds none).
    pub first_seq: u64,
    pub last_seq: u64,
    pub chain: [u8; 32],
}

impl Commit {
    /// The whole frame.
    pub fn encode(&self) -> [u8; COMMIT_FRAME_BYTES] {
        let mut payload = [0; COMMIT_PAYLOAD_BYTES];
        payload[..8].copy_from_slice(&self.group.to_le_bytes());
        payload[8..12].copy_from_slice(&self.previous_end.segment.to_le_bytes());
        payload[12..16].copy_from_slice(&self.frames.to_le_bytes());
        payload[16..24].copy_from_slice(&self.previous_end.offset.to_le_bytes());
        payload[24..32].copy_from_slice(&self.first_seq.to_le_bytes());
        payload[32..40].copy_from_slice(&self.last_seq.to_le_bytes());
        payload[40..72].copy_from_slice(&self.previous_chain);
        payload[72..].copy_from_slice(&self.chain);
        let header = FrameHeader {
            kind: Kind::Commit,
            zstd: false,
            masked: false,
            stored: COMMIT_PAYLOAD_BYTES as u32,
            raw: COMMIT_PAYLOAD_BYTES as u32,
            seq: self.group,
            hash: *blake3::hash(&payload).as_bytes(),
        };
        let mut frame = [0; COMMIT_FRAME_BYTES];
        frame[..FRAME_HEADER_BYTES].copy_from_slice(&header.encode());
        frame[FRAME_HEADER_BYTES..].copy_from_slice(&payload);
        frame
    }

    /// From a header of kind commit and the bytes behind it; `None` where they do not agree.
    pub fn decode(header: &FrameHeader, payload: &[u8]) -> Option<Self> {
        let payload: &[u8; COMMIT_PAYLOAD_BYTES] =
            payload.get(..COMMIT_PAYLOAD_BYTES)?.try_into().ok()?;
        if header.kind != Kind::Commit || *blake3::hash(payload).as_bytes() != header.hash {
            return None;
        }
        let commit = Self {
            group: u64_at(payload, 0),
            frames: u32_at(payload, 12),
            previous_end: Position { segment: u32_at(payload, 8), offset: u64_at(payload, 16) },
            previous_chain: hash_at(payload, 40),
            first_seq: u64_at(payload, 24),
            last_seq: u64_at(payload, 32),
            chain: hash_at(payload, 72),
        };
        (commit.group == header.seq).then_some(commit)
    }

    /// The head of the journal once this commit, which ends at `end`, is durable.
    pub const fn head(&self, end: Position) -> Head {
        Head { end, group: self.group, last_seq: RecordSeq(self.last_seq), chain: self.chain }
    }
}

/// The chain over the groups: BLAKE3 of the previous chain, the group's number and the headers of
/// its frames, each of which holds the hash of its payload. A purged or damaged payload therefore
/// leaves the chain whole.
#[derive(Clone)]
pub struct Chain(blake3::Hasher);

impl Chain {
    pub fn begin(previous: &[u8; 32], group: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"restante journal 1").update(previous).update(&group.to_le_bytes());
        Self(hasher)
    }

    pub fn add(&mut self, header: &[u8]) {
        self.0.update(header);
    }

    pub fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// Whether a payload holds, at a place where a frame may begin, what a frame begins with.
pub fn needs_mask(stored: &[u8]) -> bool {
    stored.chunks_exact(ALIGN_BYTES as usize).any(|word| word[..4] == FRAME_MAGIC)
}

/// Masks or unmasks a stored payload with a stream made from its hash. After damage, frames are
/// looked for at every multiple of eight bytes; a mail that holds forged frames must not be able to
/// pass for the journal then. Its writer cannot choose what it looks like under the mask, because
/// the mask changes with every byte chosen.
pub fn mask(hash: &[u8; 32], stored: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key("restante journal 1 payload mask");
    let mut stream = hasher.update(hash).finalize_xof();
    let mut block = [0; 64];
    for chunk in stored.chunks_mut(block.len()) {
        stream.fill(&mut block);
        chunk.iter_mut().zip(block).for_each(|(byte, key)| *byte ^= key);
    }
}

/// What stands behind a frame header.
pub enum Payload {
    /// The raw payload: hash and padding are right.
    Whole(Vec<u8>),
    /// The body lies in a file of its own.
    InFile,
    /// The body was purged.
    Purged,
    /// Not what was written, and why.
    Bad(&'static str),
}

impl FrameHeader {
    /// Checks and decodes what stands behind the header; `space` is [`FrameHeader::space`] bytes.
    pub fn payload(&self, space: &[u8]) -> Payload {
        if space.len() < self.space() {
            return Payload::Bad("the file ends inside the frame");
        }
        let (stored, padding) = space[..self.space()].split_at(self.stored as usize);
        let body = matches!(self.kind, Kind::Body | Kind::BodyFile);
        // The mark is a hash to make: only where its first half stands there.
        let may_be_purged = body && space[..8] == TOMBSTONE_MAGIC;
        if may_be_purged && space[..TOMBSTONE_BYTES] == self.tombstone() {
            return Payload::Purged;
        }
        if padding.iter().any(|&byte| byte != 0) {
            return Payload::Bad("bytes between frames are not zero");
        }
        if self.kind == Kind::BodyFile {
            return Payload::InFile;
        }
        let mut raw = stored.to_vec();
        if self.masked {
            mask(&self.hash, &mut raw);
        }
        if self.zstd {
            // RFC 8878 §3.1.1.1.1.4: a bit that no decoder looks at, and our encoder leaves clear.
            if raw.get(ZSTD_DESCRIPTOR_AT).is_some_and(|byte| byte & ZSTD_UNUSED_BIT != 0) {
                return Payload::Bad("the compressed payload was changed");
            }
            match crate::body::decompress(&raw, self.raw as usize) {
                Some(bytes) => raw = bytes,
                None => return Payload::Bad("the payload cannot be decompressed"),
            }
        }
        if *blake3::hash(&raw).as_bytes() == self.hash {
            Payload::Whole(raw)
        } else {
            Payload::Bad("the payload is not what its hash says")
        }
    }
}

/// The header of segment `number`.
pub fn segment_header(number: u32) -> [u8; SEGMENT_HEADER_BYTES as usize] {
    let mut out = [0; SEGMENT_HEADER_BYTES as usize];
    out[..8].copy_from_slice(&SEGMENT_MAGIC);
    out[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    out[12..16].copy_from_slice(&number.to_le_bytes());
    let check = check_of(&out[..56]);
    out[56..].copy_from_slice(&check);
    out
}

/// The version that a segment header names, where it is whole: for a clear word about journals
/// written by a later release.
pub fn segment_version(bytes: &[u8]) -> Option<u16> {
    let whole = bytes.len() >= SEGMENT_HEADER_BYTES as usize
        && bytes[..8] == SEGMENT_MAGIC
        && bytes[56..64] == check_of(&bytes[..56]);
    whole.then(|| u16_at(bytes, 8))
}

/// The only version written, and the latest one read.
pub const fn format_version() -> u16 {
    FORMAT_VERSION
}

fn check_of(bytes: &[u8]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(bytes).as_bytes();
    [a, b, c, d, e, f, g, h]
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn hash_at(bytes: &[u8], at: usize) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(&bytes[at..at + 32]);
    out
}
