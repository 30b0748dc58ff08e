//! Text on its way into a message: encoded words, quoted-printable, folded fields.

/// RFC 2047 §2: octets of an encoded word.
const ENCODED_WORD_MAX: usize = 75;
/// RFC 2045 §6.7 rule 5: octets of a line in quoted-printable.
const QUOTED_LINE_MAX: usize = 76;
/// RFC 5322 §2.1.1: octets of a line should not be more, without its end.
const LINE_MAX: usize = 78;
/// Octets without a space after which a field is folded all the same, below the 998 of §2.1.1.
const UNBROKEN_MAX: usize = 900;

/// A field body of free text: as it is where it is printable ASCII, else in encoded words.
pub fn unstructured(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_ascii() && text.len() <= UNBROKEN_MAX && !text.contains("=?") {
        return text;
    }
    encoded_words(&text)
}

/// A text as encoded words of RFC 2047 §2, folded between them, whatever it is: they may stand in a
/// phrase, where characters of the text would mean something (RFC 2047 §5 (3)). Controls become
/// spaces.
#[must_use]
pub fn encoded_words(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    const OPEN: &str = "=?utf-8?q?";
    let mut out = OPEN.to_owned();
    let mut len = OPEN.len();
    for c in text.chars() {
        let mut utf8 = [0; 4];
        let encoded: String = match c {
            ' ' => "_".to_owned(),
            _ if c.is_ascii_alphanumeric() => c.to_string(),
            _ => c.encode_utf8(&mut utf8).bytes().map(|byte| format!("={byte:02X}")).collect(),
        };
        // A character is never split between words (RFC 2047 §5).
        if len + encoded.len() + 2 > ENCODED_WORD_MAX {
            out.push_str("?=\r\n ");
            out.push_str(OPEN);
            len = OPEN.len();
        }
        len += encoded.len();
        out.push_str(&encoded);
    }
    out.push_str("?=");
    out
}

/// A display name (RFC 5322 §3.4): quoted where it is printable ASCII, else in encoded words.
pub(crate) fn phrase(text: &str) -> String {
    let is_plain = text.len() <= LINE_MAX && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !is_plain || text.contains("=?") {
        return unstructured(text);
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Appends `name: value`, folded at spaces. Line ends in the value become spaces, controls and
/// (unless `utf8`) what is not ASCII become `?`.
pub(crate) fn status_field(out: &mut String, name: &str, value: &str, utf8: bool) {
    out.push_str(name);
    out.push(':');
    let mut len = name.len() + 1;
    for word in value.split(['\n', '\r', ' ', '\t']).filter(|word| !word.is_empty()) {
        let word: String = word
            .chars()
            .map(|c| if c.is_control() || !(utf8 || c.is_ascii()) { '?' } else { c })
            .collect();
        if len + 1 + word.len() > LINE_MAX && len > name.len() + 1 {
            out.push_str("\r\n");
            len = 0;
        }
        let mut space = " ";
        for piece in pieces(&word, UNBROKEN_MAX) {
            out.push_str(space);
            out.push_str(piece);
            len += space.len() + piece.len();
            space = "\r\n ";
        }
    }
    out.push_str("\r\n");
}

/// Cuts a text into pieces of at most `max` octets, between characters.
fn pieces(text: &str, max: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = rest.len().min(max);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A text/plain part, in quoted-printable where it is not short lines of ASCII.
pub(crate) struct TextBody {
    fields: &'static str,
    body: String,
}

impl TextBody {
    /// `text` has LF line ends; other controls but tabs become `?`.
    pub(crate) fn new(text: &str) -> Self {
        let clean = |c: char| if c.is_control() && !"\n\t".contains(c) { '?' } else { c };
        let text: String = text.chars().map(clean).collect();
        let plain = text.is_ascii() && text.lines().all(|line| line.len() <= LINE_MAX);
        if plain {
            return Self {
                fields: "Content-Type: text/plain; charset=us-ascii\r\n\
                         Content-Description: What happened\r\n",
                body: text.lines().flat_map(|line| [line, "\r\n"]).collect(),
            };
        }
        Self {
            fields: "Content-Type: text/plain; charset=utf-8\r\n\
                     Content-Description: What happened\r\n\
                     Content-Transfer-Encoding: quoted-printable\r\n",
            body: text.lines().map(quoted_printable_line).collect(),
        }
    }

    /// Fields of its header.
    pub(crate) const fn fields(&self) -> &'static str {
        self.fields
    }

    /// Its body, with CRLF line ends.
    pub(crate) const fn bytes(&self) -> &[u8] {
        self.body.as_bytes()
    }
}

/// RFC 2045 §6.7, with CRLF at its end.
fn quoted_printable_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut len = 0;
    let last = line.len().saturating_sub(1);
    for (at, byte) in line.bytes().enumerate() {
        let literal = match byte {
            b'=' => false,
            b' ' | b'\t' => at != last,
            _ => byte.is_ascii_graphic(),
        };
        let octets = if literal { 1 } else { 3 };
        if len + octets >= QUOTED_LINE_MAX {
            out.push_str("=\r\n");
            len = 0;
        }
        len += octets;
        if literal {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("={byte:02X}"));
        }
    }
    out.push_str("\r\n");
    out
}
