use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

use crate::Limits;
use crate::charset::{charset_of_html, decode_charset};
use crate::content::Encoding;
use crate::header::squeeze;
use crate::structure::Part;
use crate::transfer::{decode_base64, decode_quoted_printable, hex};

/// Octets of a charset's name in an encoded word.
const CHARSET_NAME_MAX: usize = 64;

/// A header value as text for people: unfolded, RFC 2047 encoded words decoded. Octets outside of
/// them are UTF-8 (RFC 6532), or windows-1252 where they are not. Words that cannot be decoded
/// stay as they are.
#[must_use]
pub fn decode_words(value: &[u8]) -> String {
    let value = squeeze(value, usize::MAX);
    if memmem::find(&value, b"=?").is_none() {
        return decode_charset(&value, None).into_owned();
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = &*value;
    // Neighbours in one charset are decoded together: programs split characters between them.
    let mut pending: Option<(&[u8], Vec<u8>)> = None;
    while !rest.is_empty() {
        let start = memmem::find(rest, b"=?").unwrap_or(rest.len());
        let (plain, from_word) = rest.split_at(start);
        let Some(word) = EncodedWord::parse(from_word) else {
            flush(&mut out, &mut pending);
            let taken = start + from_word.len().min(2);
            out.push_str(&decode_charset(&rest[..taken], None));
            rest = &rest[taken..];
            continue;
        };
        // RFC 2047 §6.2: white space between encoded words is not shown.
        if pending.is_none() || !plain.iter().all(u8::is_ascii_whitespace) {
            flush(&mut out, &mut pending);
            out.push_str(&decode_charset(plain, None));
        }
        match &mut pending {
            Some((charset, bytes)) if charset.eq_ignore_ascii_case(word.charset) => {
                bytes.extend_from_slice(&word.bytes);
            }
            _ => {
                flush(&mut out, &mut pending);
                pending = Some((word.charset, word.bytes));
            }
        }
        rest = word.rest;
    }
    flush(&mut out, &mut pending);
    out
}

fn flush(out: &mut String, pending: &mut Option<(&[u8], Vec<u8>)>) {
    if let Some((charset, bytes)) = pending.take() {
        out.push_str(&decode_charset(&bytes, Some(charset)));
    }
}

struct EncodedWord<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
    rest: &'a [u8],
}

impl<'a> EncodedWord<'a> {
    /// RFC 2047 §2: `"=?" charset "?" encoding "?" encoded-text "?="`. Quirk: spaces in the text
    /// are let through, and lengths are not checked.
    fn parse(from: &'a [u8]) -> Option<Self> {
        let inside = from.strip_prefix(b"=?")?;
        let mark = inside.iter().take(CHARSET_NAME_MAX + 1).position(|&byte| byte == b'?')?;
        // RFC 2231 §5: `charset*language`.
        let charset = inside[..mark].split(|&byte| byte == b'*').next()?;
        let [encoding, b'?', text @ ..] = &inside[mark + 1..] else { return None };
        let end = text.iter().position(|&byte| byte == b'?')?;
        let rest = text[end..].strip_prefix(b"?=")?;
        let text = &text[..end];
        let bytes = match encoding {
            b'B' | b'b' => decode_base64(text, usize::MAX),
            b'Q' | b'q' => decode_q(text),
            _ => return None,
        };
        Some(Self { charset, bytes, rest })
    }
}

/// RFC 2047 §4.2.
fn decode_q(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'_', _) => out.push(b' '),
            (b'=', [high, low, behind @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                out.push(hex(*high) << 4 | hex(*low));
                rest = behind;
            }
            _ => out.push(*first),
        }
    }
    out
}

/// The body of a part without its transfer encoding, at most `max` octets of it. `bytes` is the
/// whole message. Damaged encodings yield what can be made of them.
#[must_use]
pub fn decoded_body<'a>(part: &Part, bytes: &'a [u8], max: usize) -> Cow<'a, [u8]> {
    let Range { start, end } = part.body;
    let body = bytes.get(start..end).unwrap_or_default();
    match part.content.encoding {
        Encoding::Base64 => Cow::Owned(decode_base64(body, max)),
        Encoding::QuotedPrintable => Cow::Owned(decode_quoted_printable(body, max)),
        Encoding::SevenBit | Encoding::EightBit | Encoding::Binary | Encoding::Other(_) => {
            Cow::Borrowed(&body[..body.len().min(max)])
        }
    }
}

/// The text of a part in its charset; `None` where the part is no text. `bytes` is the whole
/// message. HTML is not stripped.
#[must_use]
pub fn decoded_text<'a>(part: &Part, bytes: &'a [u8], limits: &Limits) -> Option<Cow<'a, str>> {
    if part.shown_type().0 != "text" {
        return None;
    }
    let charset = part.content.param("charset");
    let label = charset.as_deref().map(str::as_bytes);
    fn decode<'a>(part: &Part, body: &'a [u8], label: Option<&[u8]>) -> Cow<'a, str> {
        match label {
            None if part.content.is("text", "html") => decode_charset(body, charset_of_html(body)),
            _ => decode_charset(body, label),
        }
    }
    Some(match decoded_body(part, bytes, limits.text_bytes_max) {
        Cow::Borrowed(body) => decode(part, body, label),
        Cow::Owned(body) => Cow::Owned(decode(part, &body, label).into_owned()),
    })
}
