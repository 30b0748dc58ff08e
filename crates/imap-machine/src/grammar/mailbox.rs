use std::fmt;

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use icu_normalizer::ComposingNormalizerBorrowed;

use super::scan::{Parsed, Scan, SyntaxError};

/// Octets of a mailbox name in UTF-8.
pub const MAILBOX_OCTETS_MAX: usize = 1000;
/// Levels of a mailbox name: `a/b/c` has three.
pub const MAILBOX_LEVELS_MAX: usize = 32;
/// The hierarchy separator.
pub const SEPARATOR: char = '/';

/// RFC 3501 §5.1.3: base64 with `,` for `/`, unpadded.
const MUTF7: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// How mailbox names stand on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Modified UTF-7 (RFC 3501 §5.1.3).
    #[default]
    Utf7,
    /// UTF-8, once IMAP4rev2 (RFC 9051 §5.1) or UTF8=ACCEPT (RFC 6855 §3) is enabled.
    Utf8,
}

impl Names {
    /// In Unicode.
    ///
    /// # Errors
    /// Where the octets are none.
    pub fn decode(self, wire: &[u8]) -> Parsed<String> {
        match self {
            Self::Utf7 => mutf7_decode(wire),
            Self::Utf8 => String::from_utf8(wire.to_vec())
                .map_err(|_| SyntaxError("a mailbox name is not in UTF-8")),
        }
    }

    /// Appends a name as an astring.
    pub fn write(self, name: &str, out: &mut Vec<u8>) {
        if self == Self::Utf7 || name.is_ascii() {
            let wire = if self == Self::Utf7 { mutf7_encode(name) } else { name.to_owned() };
            message::write_astring(out, wire.as_bytes());
            return;
        }
        // Proven: a mailbox name holds no line end.
        out.push(b'"');
        for byte in name.bytes() {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    }
}

/// The name of a mailbox, in Unicode: levels separated by `/`, none empty, no control characters,
/// at most [`MAILBOX_OCTETS_MAX`] octets and [`MAILBOX_LEVELS_MAX`] levels. A first level that
/// reads INBOX in any case is INBOX (RFC 3501 §5.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Box<str>);

impl MailboxName {
    /// From Unicode.
    ///
    /// # Errors
    /// Where the name breaks a rule stated at the type.
    pub fn new(name: &str) -> Parsed<Self> {
        if name.is_empty() || name.len() > MAILBOX_OCTETS_MAX {
            return Err(SyntaxError("a mailbox name has 1 to 1000 octets"));
        }
        if name.chars().any(char::is_control) {
            return Err(SyntaxError("a mailbox name holds no control characters"));
        }
        let levels = name.split(SEPARATOR);
        if levels.clone().any(str::is_empty) || levels.count() > MAILBOX_LEVELS_MAX {
            return Err(SyntaxError("a mailbox name has 1 to 32 levels, none of them empty"));
        }
        let first = name.split(SEPARATOR).next().unwrap_or_default();
        if first.eq_ignore_ascii_case("INBOX") && first != "INBOX" {
            return Ok(Self(format!("INBOX{}", &name[first.len()..]).into()));
        }
        Ok(Self(name.into()))
    }

    /// INBOX.
    #[must_use]
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// From the wire: modified UTF-7, a `/` at the end (RFC 3501 §6.3.3: "will create names below
    /// it") dropped.
    ///
    /// # Errors
    /// Where it is not modified UTF-7, or as [`MailboxName::new`].
    pub fn from_wire(wire: &[u8]) -> Parsed<Self> {
        Self::from_wire_in(wire, Names::Utf7)
    }

    /// The same, in either encoding.
    ///
    /// # Errors
    /// Where it is not in this encoding, or as [`MailboxName::new`].
    pub fn from_wire_in(wire: &[u8], names: Names) -> Parsed<Self> {
        let wire = match wire {
            [name @ .., b'/'] if !name.is_empty() => name,
            _ => wire,
        };
        Self::new(&names.decode(wire)?)
    }

    /// Its normal form (RFC 9051 §5.1: Net-Unicode, RFC 5198 §3: NFC), where it is in another.
    #[must_use]
    pub fn normalized(&self) -> Option<Self> {
        if self.0.is_ascii() {
            return None;
        }
        let normalizer = ComposingNormalizerBorrowed::new_nfc();
        let name = normalizer.normalize(&self.0);
        // One that is too long in its normal form stays what it is.
        (*name != *self.0).then(|| Self::new(&name).ok()).flatten()
    }

    /// In Unicode.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is INBOX.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// In modified UTF-7, as on the wire (not yet quoted).
    #[must_use]
    pub fn to_wire(&self) -> String {
        mutf7_encode(&self.0)
    }

    /// The name one level up.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once(SEPARATOR).map(|(parent, _)| parent)
    }

    // RFC 3501 §9: mailbox = "INBOX" / astring
    pub(crate) fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        Self::from_wire_in(&scan.astring()?, scan.names)
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Decodes modified UTF-7 (RFC 3501 §5.1.3). Strict: only what [`mutf7_encode`] would write, so
/// that every name has one spelling.
///
/// # Errors
/// For any other octets.
pub fn mutf7_decode(wire: &[u8]) -> Parsed<String> {
    const BAD: SyntaxError = SyntaxError("a mailbox name is not in modified UTF-7");
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'&' => {
                let end = rest.iter().position(|&byte| byte == b'-').ok_or(BAD)?;
                if end == 0 {
                    name.push('&');
                } else {
                    let utf16 = MUTF7.decode(&rest[..end]).map_err(|_| BAD)?;
                    let (pairs, odd) = utf16.as_chunks::<2>();
                    let units = pairs.iter().map(|&pair| u16::from_be_bytes(pair));
                    for unit in char::decode_utf16(units) {
                        name.push(unit.map_err(|_| BAD)?);
                    }
                    if !odd.is_empty() {
                        return Err(BAD);
                    }
                }
                rest = &rest[end + 1..];
            }
            b' '..=b'~' => name.push(char::from(byte)),
            _ => return Err(BAD),
        }
    }
    // "Modified BASE64 MUST NOT be used to represent any printing US-ASCII character", and
    // superfluous shifts are not permitted.
    if mutf7_encode(&name).as_bytes() == wire { Ok(name) } else { Err(BAD) }
}

/// Encodes a name in modified UTF-7 (RFC 3501 §5.1.3).
#[must_use]
pub fn mutf7_encode(name: &str) -> String {
    let mut wire = String::with_capacity(name.len());
    let mut utf16: Vec<u8> = Vec::new();
    let shift = |utf16: &mut Vec<u8>, wire: &mut String| {
        if !utf16.is_empty() {
            wire.push('&');
            MUTF7.encode_string(&utf16, wire);
            wire.push('-');
            utf16.clear();
        }
    };
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            shift(&mut utf16, &mut wire);
            wire.push(c);
            if c == '&' {
                wire.push('-');
            }
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                utf16.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    shift(&mut utf16, &mut wire);
    wire
}
