use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::scan::SyntaxError;

/// What `BADCHARSET` names: what programs are likely to have. Their other names, and those of the
/// WHATWG's Encoding Standard, are understood too.
pub const CHARSETS: [&str; 22] = [
    "US-ASCII",
    "UTF-8",
    "ISO-8859-1",
    "ISO-8859-2",
    "ISO-8859-5",
    "ISO-8859-7",
    "ISO-8859-8",
    "ISO-8859-9",
    "ISO-8859-15",
    "WINDOWS-1250",
    "WINDOWS-1251",
    "WINDOWS-1252",
    "WINDOWS-1253",
    "WINDOWS-1254",
    "KOI8-R",
    "KOI8-U",
    "ISO-2022-JP",
    "SHIFT_JIS",
    "EUC-JP",
    "EUC-KR",
    "GB18030",
    "BIG5",
];

/// The character set that the texts of a search are in (RFC 3501 §6.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charset(&'static Encoding);

impl Charset {
    /// What texts are in where nothing is said (RFC 9051 §6.4.4; RFC 3501 says US-ASCII, of which
    /// it is a superset).
    pub(crate) const UTF8: Self = Self(UTF_8);

    /// By its name; `None` where it is unknown, or cannot be in a command.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        // The Encoding Standard takes US-ASCII for windows-1252; here what is not ASCII is UTF-8.
        if name.eq_ignore_ascii_case(b"US-ASCII") || name.eq_ignore_ascii_case(b"ASCII") {
            return Some(Self::UTF8);
        }
        let encoding = Encoding::for_label_no_replacement(name)?;
        let fits = ![UTF_16BE, UTF_16LE].contains(&encoding) && encoding.name() != "x-user-defined";
        fits.then_some(Self(encoding))
    }

    /// A text in Unicode.
    pub(crate) fn decode(self, text: &[u8]) -> Result<String, SyntaxError> {
        let decoded = self.0.decode_without_bom_handling_and_without_replacement(text);
        match decoded {
            Some(text) => Ok(text.into_owned()),
            None if self.0 == UTF_8 => Err(SyntaxError("a search text is not valid UTF-8")),
            None => Err(SyntaxError("a search text is not in the charset that was named")),
        }
    }
}
