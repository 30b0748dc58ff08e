//! Octets in a character set as text.

use std::borrow::Cow;

use encoding_rs::{Encoding as Charset, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::transfer::decode_base64;

/// Octets of a charset's name that are looked at.
const NAME_OCTETS_MAX: usize = 64;

/// Names that mail uses and the WHATWG list of encodings has not.
const ALIASES: &[(&str, &str)] = &[
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("cp50220", "iso-2022-jp"),
    ("cp50221", "iso-2022-jp"),
    ("iso-2022-jp-1", "iso-2022-jp"),
    ("iso-2022-jp-2", "iso-2022-jp"),
    ("iso-2022-jp-ms", "iso-2022-jp"),
    ("latin-1", "iso-8859-1"),
    ("latin-9", "iso-8859-15"),
    ("latin9", "iso-8859-15"),
    ("euckr", "euc-kr"),
    ("eucjp", "euc-jp"),
    ("koi8-ru", "koi8-u"),
    ("windows-936", "gbk"),
    ("windows-932", "shift_jis"),
    ("cp1250", "windows-1250"),
];

enum Named {
    Known(&'static Charset),
    /// RFC 2152.
    Utf7,
    /// None, an unknown one, or US-ASCII, of which everything may be said.
    Unsaid,
}

fn named(charset: Option<&[u8]>) -> Named {
    let Some(name) = charset else { return Named::Unsaid };
    let name = name[..name.len().min(NAME_OCTETS_MAX)].trim_ascii();
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    // These mean windows-1252 to encoding_rs.
    if ["us-ascii", "ascii", "ansi_x3.4-1968", "iso646-us"].into_iter().any(is) {
        return Named::Unsaid;
    }
    if ["utf-7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7", "utf7"].into_iter().any(is) {
        return Named::Utf7;
    }
    let known = Charset::for_label(name).or_else(|| {
        let (_, known) = ALIASES.iter().find(|(alias, _)| is(alias))?;
        Charset::for_label(known.as_bytes())
    });
    match known {
        // It stands for what browsers refuse to decode.
        Some(known) if known != REPLACEMENT => Named::Known(known),
        _ => Named::Unsaid,
    }
}

/// Octets in a charset as text. Where none is named, or it is unknown or US-ASCII: UTF-8 if they
/// are valid UTF-8, else windows-1252. Octets that make no character become U+FFFD.
#[must_use]
pub fn decode_charset<'a>(bytes: &'a [u8], charset: Option<&[u8]>) -> Cow<'a, str> {
    match named(charset) {
        Named::Known(known) if known == UTF_8 => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            // Much quicker where it is valid, as it mostly is.
            std::str::from_utf8(bytes)
                .map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
        }
        // The octets say which of the two it is, where they begin with that.
        Named::Known(known) if known == UTF_16LE || known == UTF_16BE => known.decode(bytes).0,
        Named::Known(known) => known.decode_without_bom_handling(bytes).0,
        Named::Utf7 => Cow::Owned(decode_utf7(bytes)),
        Named::Unsaid => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
        },
    }
}

/// RFC 2152, leniently: a `+` that begins nothing stays as it is.
fn decode_utf7(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(plus) = memchr::memchr(b'+', rest) {
        out.push_str(&decode_charset(&rest[..plus], None));
        rest = &rest[plus + 1..];
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
        let end = rest.iter().position(|byte| !is_digit(byte)).unwrap_or(rest.len());
        let (encoded, behind) = rest.split_at(end);
        let minus = behind.strip_prefix(b"-");
        if encoded.is_empty() {
            out.push('+');
        } else {
            let octets = decode_base64(encoded, usize::MAX);
            out.push_str(&UTF_16BE.decode_without_bom_handling(&octets[..octets.len() & !1]).0);
        }
        rest = minus.unwrap_or(behind);
    }
    out.push_str(&decode_charset(rest, None));
    out
}

/// The charset that HTML names in a `meta` element, for octets that say nothing themselves
/// (HTML §13.2.3.2 looks at as many).
pub(crate) fn charset_of_html(html: &[u8]) -> Option<&[u8]> {
    const PRESCAN_OCTETS: usize = 1024;
    let head = &html[..html.len().min(PRESCAN_OCTETS)];
    let mut rest = head;
    while let Some(at) = memchr::memmem::find(rest, b"=") {
        let (before, value) = (rest[..at].trim_ascii_end(), &rest[at + 1..]);
        rest = value;
        let names_charset =
            before.len() >= 7 && before[before.len() - 7..].eq_ignore_ascii_case(b"charset");
        if names_charset {
            let value = value.trim_ascii_start();
            let value = value.strip_prefix(b"\"").or(value.strip_prefix(b"'")).unwrap_or(value);
            let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'>;/".contains(byte);
            let end = value.iter().position(ends).unwrap_or(value.len());
            return Some(&value[..end]);
        }
    }
    None
}
