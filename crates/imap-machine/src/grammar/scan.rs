use std::borrow::Cow;
use std::num::NonZeroU32;

use super::mailbox::Names;

/// Why a command is no command: what was expected, for the `BAD` response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SyntaxError(pub &'static str);

/// What every parser here returns.
pub type Parsed<T> = Result<T, SyntaxError>;

/// A place in the bytes of one complete command, its literals included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How mailbox names stand here.
    pub names: Names,
}

impl<'a> Scan<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self::with_names(bytes, Names::Utf7)
    }

    pub(crate) const fn with_names(bytes: &'a [u8], names: Names) -> Self {
        Self { bytes, at: 0, names }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Takes this byte if it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    pub(crate) fn expect(&mut self, byte: u8, what: &'static str) -> Parsed<()> {
        if self.eat(byte) { Ok(()) } else { Err(SyntaxError(what)) }
    }

    pub(crate) fn space(&mut self) -> Parsed<()> {
        self.expect(b' ', "a space was expected")
    }

    /// Takes bytes while they are of this kind.
    pub(crate) fn take_while(&mut self, kind: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let count = rest.iter().position(|&byte| !kind(byte)).unwrap_or(rest.len());
        self.at += count;
        &rest[..count]
    }

    /// Takes so many bytes, if they are there.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.rest().get(..count)?;
        self.at += count;
        Some(taken)
    }

    /// Takes this text if it is next, case ignored.
    pub(crate) fn eat_text(&mut self, text: &str) -> bool {
        let there = self
            .rest()
            .get(..text.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes()));
        if there {
            self.at += text.len();
        }
        there
    }

    /// `CRLF` and the end. A bare LF ends a line too: a quirk for people who type by hand; the
    /// reader has split lines the same way, so both agree on where a command ends.
    pub(crate) fn end(&mut self) -> Parsed<()> {
        self.eat(b'\r');
        if self.eat(b'\n') && self.rest().is_empty() {
            return Ok(());
        }
        Err(SyntaxError("the command goes on where its end was expected"))
    }

    /// Whether nothing but the end of the line is left.
    pub(crate) fn at_end(&self) -> bool {
        matches!(self.peek(), Some(b'\r' | b'\n') | None)
    }

    // RFC 3501 §9: atom = 1*ATOM-CHAR
    pub(crate) fn atom(&mut self) -> Parsed<&'a str> {
        let atom = self.take_while(is_atom_char);
        text(atom, "an atom was expected")
    }

    /// A keyword of the grammar in upper case: letters, digits, and what names hold.
    pub(crate) fn word(&mut self) -> Parsed<String> {
        let word = self.take_while(|byte| byte.is_ascii_alphanumeric() || b"-._=+".contains(&byte));
        text(word, "a word was expected").map(str::to_ascii_uppercase)
    }

    /// A word in upper case, if the next byte can begin one.
    pub(crate) fn word_if_any(&mut self) -> Parsed<Option<String>> {
        match self.peek() {
            Some(byte) if byte.is_ascii_alphabetic() => self.word().map(Some),
            _ => Ok(None),
        }
    }

    // RFC 3501 §9: number = 1*DIGIT ; (0 <= n < 4,294,967,296)
    pub(crate) fn number(&mut self) -> Parsed<u32> {
        u32::try_from(self.number64()?).map_err(|_| SyntaxError("a number is above 4294967295"))
    }

    // RFC 7162 §7: mod-sequence-value = 1*DIGIT ; up to 63 bits
    pub(crate) fn number64(&mut self) -> Parsed<u64> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        let digits = text(digits, "a number was expected")?;
        digits.parse().map_err(|_| SyntaxError("a number is too large"))
    }

    // RFC 3501 §9: nz-number = digit-nz *DIGIT
    pub(crate) fn nz_number(&mut self) -> Parsed<NonZeroU32> {
        NonZeroU32::new(self.number()?).ok_or(SyntaxError("0 is not allowed here"))
    }

    // RFC 3501 §9: astring = 1*ASTRING-CHAR / string ; ASTRING-CHAR = ATOM-CHAR / "]"
    pub(crate) fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string();
        }
        let atom = self.take_while(|byte| is_atom_char(byte) || byte == b']');
        if atom.is_empty() {
            return Err(SyntaxError("an atom or string was expected"));
        }
        Ok(Cow::Borrowed(atom))
    }

    // RFC 3501 §9: string = quoted / literal
    pub(crate) fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => Err(SyntaxError("a quoted string or literal was expected")),
        }
    }

    // RFC 3501 §9: nstring = string / "NIL"
    pub(crate) fn nstring(&mut self) -> Parsed<Option<Cow<'a, [u8]>>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string().map(Some);
        }
        if self.eat_text("NIL") { Ok(None) } else { Err(SyntaxError("a string or NIL expected")) }
    }

    // RFC 3501 §9: quoted = DQUOTE *QUOTED-CHAR DQUOTE. Octets above 127 pass (RFC 9051 allows
    // UTF-8 here, and passwords come so): whoever reads the value decides.
    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.expect(b'"', "a quote was expected")?;
        let plain = self.take_while(|byte| !b"\"\\\r\n\0".contains(&byte));
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut value = plain.to_vec();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(value));
                }
                Some(b'\\') => {
                    self.at += 1;
                    let escaped = self.peek().filter(|byte| b"\"\\".contains(byte));
                    value.push(escaped.ok_or(SyntaxError("only \\\" and \\\\ may be escaped"))?);
                    self.at += 1;
                }
                None | Some(b'\r' | b'\n' | 0) => {
                    return Err(SyntaxError("a quoted string does not end on its line"));
                }
                Some(byte) => {
                    value.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    // RFC 3501 §9: literal = "{" number "}" CRLF *CHAR8; RFC 7888 §8: "{" number ["+"] "}"
    fn literal(&mut self) -> Parsed<&'a [u8]> {
        let header = self.literal_header()?;
        let Some(bytes) = self.rest().get(..header.octets as usize) else {
            return Err(SyntaxError("a literal is cut off"));
        };
        if bytes.contains(&0) {
            return Err(SyntaxError("NUL in a literal"));
        }
        self.at += bytes.len();
        Ok(bytes)
    }

    // RFC 9051 §9: number64 = 1*DIGIT. Whatever the number, what it announces comes: it must not be
    // taken for commands. A size above 32 bits is more than any limit, and stands as u32::MAX.
    fn literal_octets(&mut self) -> Parsed<u32> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        let digits = text(digits, "a number was expected")?;
        if digits.len() > LITERAL_DIGITS_MAX {
            return Err(SyntaxError("a number is too large"));
        }
        Ok(digits.parse().unwrap_or(u32::MAX))
    }

    /// The `{n}` or `{n+}` and the end of its line.
    pub(crate) fn literal_header(&mut self) -> Parsed<LiteralHeader> {
        self.expect(b'{', "a literal was expected")?;
        let octets = self.literal_octets()?;
        let waits = !self.eat(b'+');
        self.expect(b'}', "a literal's { has no }")?;
        self.eat(b'\r');
        self.expect(b'\n', "a literal's } must end the line")?;
        Ok(LiteralHeader { octets, waits })
    }
}

/// Digits of a literal's size that count: more than any size that can be.
const LITERAL_DIGITS_MAX: usize = 40;

/// What a line ends with where a literal follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LiteralHeader {
    /// u32::MAX for more than that too.
    pub octets: u32,
    /// Whether the client waits for a continuation (RFC 7888: `{n+}` does not).
    pub waits: bool,
}

impl LiteralHeader {
    /// The header at the end of a line (which includes its line end), if there is one.
    pub(crate) fn at_end_of(line: &[u8]) -> Option<Self> {
        let bare = line.strip_suffix(b"\n")?;
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        if bare.last() != Some(&b'}') {
            return None;
        }
        let window = &bare[bare.len().saturating_sub(LITERAL_DIGITS_MAX + 3)..];
        let open = window.iter().rposition(|&byte| byte == b'{')?;
        let mut scan = Scan::new(&line[bare.len() - window.len() + open..]);
        scan.literal_header().ok()
    }
}

/// RFC 3501 §9: any CHAR except atom-specials.
pub(crate) const fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

fn text<'a>(bytes: &'a [u8], what: &'static str) -> Parsed<&'a str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() => Ok(text),
        _ => Err(SyntaxError(what)),
    }
}
