use std::ops::Range;

use memchr::memchr;

use crate::Limits;

/// One field of a header, as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Before the colon, without white space around it. Empty for a line that is no field (no
    /// colon, or a continuation of nothing).
    pub name: &'a [u8],
    /// Behind the colon, without the last line end; folds are still in it.
    pub value: &'a [u8],
    /// The whole field with its line ends.
    pub raw: &'a [u8],
}

impl Field<'_> {
    /// Whether this is the field of that name (RFC 5322 §1.2.2: without regard to case).
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a header in their order, up to the blank line or the end.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// All fields of a header or of a message that begins with one.
    #[must_use]
    pub const fn new(header: &'a [u8]) -> Self {
        Self { rest: header }
    }

    /// The fields within the limits on count and octets.
    pub fn limited(header: &'a [u8], limits: &Limits) -> impl Iterator<Item = Field<'a>> {
        let end = header.len().min(limits.header_bytes_max);
        Self::new(&header[..end]).take(limits.header_fields_max)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || is_blank(self.rest) {
            return None;
        }
        // RFC 5322 §2.2.3: a line that begins with white space continues the one before.
        let mut end = 0;
        loop {
            end = line_end(self.rest, end);
            match self.rest.get(end) {
                Some(b' ' | b'\t') => {}
                _ => break,
            }
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        let line = without_line_end(raw);
        let colon = match raw.first() {
            Some(b' ' | b'\t') => None,
            _ => memchr(b':', line),
        };
        Some(match colon {
            // RFC 5322 §4.5: obsolete syntax has white space before the colon.
            Some(at) => Field { name: line[..at].trim_ascii_end(), value: &line[at + 1..], raw },
            None => Field { name: b"", value: line, raw },
        })
    }
}

/// Where the header of `bytes` ends: behind its blank line, or at the end where there is none.
/// Only a blank line ends a header; a line that is no field stays part of it.
#[must_use]
pub fn header_range(bytes: &[u8]) -> Range<usize> {
    let mut at = 0;
    while at < bytes.len() {
        let blank = is_blank(&bytes[at..]);
        at = line_end(bytes, at);
        if blank {
            break;
        }
    }
    0..at
}

/// The first field of that name, within the limits.
#[must_use]
pub fn find_field<'a>(header: &'a [u8], name: &str, limits: &Limits) -> Option<Field<'a>> {
    Fields::limited(header, limits).find(|field| field.is(name))
}

/// Position behind the line feed of the line that `from` is in; the end where there is none.
pub(crate) fn line_end(bytes: &[u8], from: usize) -> usize {
    memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |at| from + at + 1)
}

/// Whether a blank line begins here. A lone CR is no line end.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    matches!(bytes, [b'\n', ..] | [b'\r', b'\n', ..])
}

/// A line without its CRLF or LF.
pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// RFC 5322 §2.2.3: the value unfolded, trimmed, without CR, LF and NUL, at most `max` octets.
pub(crate) fn unfold(value: &[u8], max: usize) -> Box<[u8]> {
    squeeze(value.trim_ascii(), max)
}

/// As [`unfold`], white space at the ends kept.
pub(crate) fn squeeze(value: &[u8], max: usize) -> Box<[u8]> {
    let dropped = |byte: u8| matches!(byte, b'\r' | b'\n' | 0);
    if value.len() <= max && !value.iter().any(|&byte| dropped(byte)) {
        return value.into();
    }
    value.iter().copied().filter(|&byte| !dropped(byte)).take(max).collect()
}
