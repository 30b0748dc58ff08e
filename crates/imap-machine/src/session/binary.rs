//! BINARY (RFC 3516 §4): parts without their transfer encoding.

use message::{Summary, decoded_part_range, part_at};

use super::fetch::part_of;
use crate::ask::Contents;
use crate::grammar::Binary;
use crate::write::push_number;

/// The size of a part without its transfer encoding.
pub(super) enum Size {
    Known(u32),
    /// There is no such part.
    Missing,
    /// RFC 3516 §4.3: nobody knows its transfer encoding.
    UnknownCte,
}

impl Size {
    /// What the service has told; `at` is its place among all facts of the answer.
    pub(super) fn told(contents: &Contents, at: usize) -> Self {
        match contents.facts.get(at).map(|range| contents.octets(range)) {
            Some(b"?") => Self::UnknownCte,
            Some(digits) => {
                let size = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                size.map_or(Self::Missing, Self::Known)
            }
            None => Self::Missing,
        }
    }
}

/// Writes BINARY.SIZE, 0 where it is not known; returns whether the encoding is unknown.
pub(super) fn write_binary_size(
    name: &[u8],
    contents: &Contents,
    at: usize,
    out: &mut Vec<u8>,
) -> bool {
    let size = Size::told(contents, at);
    out.extend_from_slice(name);
    out.push(b' ');
    push_number(out, if let Size::Known(size) = size { size.into() } else { 0 });
    matches!(size, Size::UnknownCte)
}

/// Writes a part of a message that is there as a whole, NIL where there is no such part; returns
/// whether its encoding is unknown.
pub(super) fn write_binary(
    name: &[u8],
    binary: &Binary,
    summary: Option<&Summary>,
    message: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    out.extend_from_slice(name);
    out.push(b' ');
    let part = summary.and_then(|summary| {
        let structure = &summary.structure;
        Some(&structure.parts()[part_at(structure, &binary.part)?])
    });
    let Some(part) = part else {
        out.extend_from_slice(b"NIL");
        return false;
    };
    let (first, count) =
        binary.partial.map_or((0, usize::MAX), |(first, count)| (first as usize, count as usize));
    match decoded_part_range(message, part, first, count) {
        Ok(octets) => {
            write_literal8(&octets, out);
            false
        }
        Err(_) => {
            out.extend_from_slice(b"NIL");
            true
        }
    }
}

// RFC 3516 §7: nstring / literal8; literal8 = "~{" number "}" CRLF *OCTET, which may hold NUL.
fn write_literal8(octets: &[u8], out: &mut Vec<u8>) {
    if octets.contains(&0) {
        out.push(b'~');
    }
    message::write_literal(out, octets);
}

/// Which octets of a large part are to be sent, the head of their literal written. `None` where it
/// has none, for which NIL is written; then also whether its encoding is unknown.
pub(super) fn begin_binary(
    name: &[u8],
    binary: &Binary,
    size: &Size,
    out: &mut Vec<u8>,
) -> Option<std::ops::Range<u32>> {
    out.extend_from_slice(name);
    out.push(b' ');
    let Size::Known(size) = size else {
        out.extend_from_slice(b"NIL");
        return None;
    };
    let octets = part_of(binary.partial, *size as usize);
    // Proven: both ends are at most `size`.
    let octets = octets.start as u32..octets.end as u32;
    // What it holds is not known yet.
    out.extend_from_slice(b"~{");
    push_number(out, octets.len() as u64);
    out.extend_from_slice(b"}\r\n");
    (!octets.is_empty()).then_some(octets)
}
