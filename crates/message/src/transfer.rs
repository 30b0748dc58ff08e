//! Transfer encodings (RFC 2045 §6), leniently, and what is asked of parts in them (RFC 3516).

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use crate::content::Encoding;
use crate::structure::{Kind, Part};

/// A body in a transfer encoding that nobody knows (RFC 3516 §4.3: `NO [UNKNOWN-CTE]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the part is in an unknown transfer encoding")]
pub struct UnknownCte;

/// The body of a part without its transfer encoding (RFC 3516 §4.2 BINARY). `bytes` is the whole
/// message. Of a multipart or message it is the body as it stands there, for those have no encoding
/// of their own (RFC 2045 §6.4).
///
/// # Errors
/// [`UnknownCte`] where the encoding is none of RFC 2045. Damaged base64 and quoted-printable yield
/// what can be made of them.
pub fn decoded_part<'a>(bytes: &'a [u8], part: &Part) -> Result<Cow<'a, [u8]>, UnknownCte> {
    decoded_part_range(bytes, part, 0, usize::MAX)
}

/// At most `max` octets of [`decoded_part`], from the octet `skip` on (`BINARY[...]<skip.max>`).
/// Nothing before or behind them is held in memory.
///
/// # Errors
/// As [`decoded_part`].
pub fn decoded_part_range<'a>(
    bytes: &'a [u8],
    part: &Part,
    skip: usize,
    max: usize,
) -> Result<Cow<'a, [u8]>, UnknownCte> {
    let mut window = Window::new(skip, max);
    match decode_part(bytes, part, &mut window)? {
        Some(body) => {
            let rest = body.get(skip..).unwrap_or_default();
            Ok(Cow::Borrowed(&rest[..rest.len().min(max)]))
        }
        None => Ok(Cow::Owned(window.out)),
    }
}

/// Octets of [`decoded_part`] (RFC 3516 §4.2 BINARY.SIZE, exactly), none of them held in memory.
///
/// # Errors
/// As [`decoded_part`].
pub fn decoded_size(bytes: &[u8], part: &Part) -> Result<usize, UnknownCte> {
    let mut window = Window { counts: true, ..Window::new(0, 0) };
    let body = decode_part(bytes, part, &mut window)?;
    Ok(body.map_or(window.passed, <[u8]>::len))
}

/// The body itself where it is in no encoding; else what `window` wants of it is in there.
fn decode_part<'a>(
    bytes: &'a [u8],
    part: &Part,
    window: &mut Window,
) -> Result<Option<&'a [u8]>, UnknownCte> {
    let body = bytes.get(part.body.clone()).unwrap_or_default();
    if matches!(part.kind, Kind::Multipart(_) | Kind::Message { .. }) {
        return Ok(Some(body));
    }
    match part.content.encoding {
        Encoding::SevenBit | Encoding::EightBit | Encoding::Binary => return Ok(Some(body)),
        Encoding::Base64 => base64(body, window),
        Encoding::QuotedPrintable => quoted_printable(body, window),
        Encoding::Other(_) => return Err(UnknownCte),
    }
    Ok(None)
}

/// RFC 2045 §6.8, leniently: octets outside of the alphabet are passed over, and text after
/// padding is read on, as several encoded pieces one after the other need. At most `max` octets.
#[must_use]
pub fn decode_base64(text: &[u8], max: usize) -> Vec<u8> {
    let mut window = Window::new(0, max);
    window.out.reserve((text.len() / 4 * 3 + 3).min(max));
    base64(text, &mut window);
    window.out
}

/// RFC 2045 §6.7, leniently: an `=` that begins nothing stays as it is. At most `max` octets.
#[must_use]
pub fn decode_quoted_printable(text: &[u8], max: usize) -> Vec<u8> {
    let mut window = Window::new(0, max);
    window.out.reserve(text.len().min(max));
    quoted_printable(text, &mut window);
    window.out
}

/// Takes decoded octets and keeps those that are wanted.
struct Window {
    skip: usize,
    max: usize,
    /// Whether all octets are to be counted, wanted or not.
    counts: bool,
    /// Octets seen.
    passed: usize,
    out: Vec<u8>,
}

impl Window {
    const fn new(skip: usize, max: usize) -> Self {
        Self { skip, max, counts: false, passed: 0, out: Vec::new() }
    }

    fn push(&mut self, octets: &[u8]) {
        let from = self.skip.saturating_sub(self.passed).min(octets.len());
        let wanted = &octets[from..];
        self.out.extend_from_slice(&wanted[..wanted.len().min(self.max - self.out.len())]);
        self.passed += octets.len();
    }

    /// Whether no more octets are needed.
    const fn is_full(&self) -> bool {
        !self.counts && self.out.len() >= self.max
    }
}

/// What [`DIGITS`] has for an octet that is no digit.
const NO_DIGIT: u8 = 0x80;

/// The value of each digit of base64.
const DIGITS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = [NO_DIGIT; 256];
    let mut at = 0;
    while at < alphabet.len() {
        digits[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    digits
};

/// Octets collected before they go to the window.
const BUFFER_OCTETS: usize = 3 * 256;

fn base64(text: &[u8], window: &mut Window) {
    let mut buffer = [0; BUFFER_OCTETS];
    let mut filled = 0;
    let mut group = 0_u32;
    let mut digits = 0_u8;
    let mut rest = text;
    while !rest.is_empty() && !window.is_full() {
        // Whole groups of four.
        if digits == 0 {
            while let (Some((&four, behind)), Some(room)) =
                (rest.split_first_chunk::<4>(), buffer.get_mut(filled..filled + 3))
            {
                let [a, b, c, d] = four.map(|octet| DIGITS[usize::from(octet)]);
                if (a | b | c | d) & NO_DIGIT != 0 {
                    break;
                }
                room.copy_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
                filled += 3;
                rest = behind;
            }
            window.push(&buffer[..filled]);
            filled = 0;
        }
        let Some((&octet, behind)) = rest.split_first() else { break };
        match DIGITS[usize::from(octet)] {
            NO_DIGIT if octet == b'=' => {
                end_group(window, group, digits);
                (group, digits) = (0, 0);
            }
            NO_DIGIT => {}
            digit => {
                group = group << 6 | u32::from(digit);
                digits += 1;
                if digits == 4 {
                    window.push(&group.to_be_bytes()[1..]);
                    (group, digits) = (0, 0);
                }
            }
        }
        rest = behind;
    }
    end_group(window, group, digits);
}

fn end_group(window: &mut Window, group: u32, digits: u8) {
    match digits {
        2 => window.push(&(group >> 4).to_be_bytes()[3..]),
        3 => window.push(&(group >> 2).to_be_bytes()[2..]),
        _ => {}
    }
}

fn quoted_printable(text: &[u8], window: &mut Window) {
    let mut begin = 0;
    for end in memchr_iter(b'\n', text).map(|at| at + 1).chain([text.len()]) {
        if window.is_full() || begin == end {
            return;
        }
        quoted_line(&text[begin..end], window);
        begin = end;
    }
}

fn quoted_line(line: &[u8], window: &mut Window) {
    let line_end = match line {
        [.., b'\r', b'\n'] => &b"\r\n"[..],
        [.., b'\n'] => b"\n",
        _ => b"",
    };
    // Rule 3: white space at the end of a line came on the way.
    let mut rest = line.trim_ascii_end();
    while let Some(mark) = memchr(b'=', rest) {
        window.push(&rest[..mark]);
        rest = &rest[mark + 1..];
        match rest {
            // Rule 5: a soft line break.
            [] => return,
            [high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                window.push(&[hex(*high) << 4 | hex(*low)]);
                rest = behind;
            }
            _ => window.push(b"="),
        }
    }
    window.push(rest);
    window.push(line_end);
}

/// The value of a hexadecimal digit, which the caller has checked.
pub(crate) const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}
