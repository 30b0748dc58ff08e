//! Tag lists (RFC 6376 §3.2), which signatures, seals and keys are written in.

use std::ops::Range;

/// Tags in one list; no RFC defines a third of it.
const TAGS_MAX: usize = 64;

/// A tag list, taken apart.
pub(crate) struct Tags<'a> {
    tags: Vec<Tag<'a>>,
}

struct Tag<'a> {
    name: &'a str,
    value: &'a str,
    /// Where all between its `=` and the next `;` stands in the text.
    span: Range<usize>,
}

impl<'a> Tags<'a> {
    /// Reads `tag-spec *( ";" tag-spec ) [ ";" ]`.
    pub fn parse(text: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut tags: Vec<Tag<'_>> = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let end = text[at..].find(';').map_or(text.len(), |end| at + end);
            let spec = &text[at..end];
            // Behind the last `;` there may be nothing, or white space.
            if end == text.len() && trimmed(spec).is_empty() && !tags.is_empty() {
                break;
            }
            let equals = spec.find('=').ok_or_else(|| no_tag(spec))?;
            let (name, value) = (trimmed(&spec[..equals]), trimmed(&spec[equals + 1..]));
            if !is_name(name) {
                return Err(no_tag(spec));
            }
            if !value.chars().all(is_value_char) {
                return Err(format!("the value of {name}= holds a control character"));
            }
            // RFC 6376 §3.2: tags with duplicate names MUST NOT occur; the list is invalid then.
            if tags.iter().any(|tag| tag.name == name) {
                return Err(format!("the tag {name}= occurs twice"));
            }
            if tags.len() == TAGS_MAX {
                return Err(format!("it has more than {TAGS_MAX} tags"));
            }
            tags.push(Tag { name, value, span: at + equals + 1..end });
            at = end + 1;
        }
        Ok(Self { tags })
    }

    /// The value of a tag, without white space around it.
    // RFC 6376 §3.2: names are compared with regard to case.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.tags.iter().find(|tag| tag.name == name).map(|tag| tag.value)
    }

    /// The value of a tag that must be there and say something.
    pub fn need(&self, name: &str) -> Result<&'a str, String> {
        match self.get(name) {
            Some("") => Err(format!("the tag {name}= is empty")),
            Some(value) => Ok(value),
            None => Err(format!("the tag {name}= is missing")),
        }
    }

    /// Where a tag's value stands in the text, with the white space around it.
    pub fn span(&self, name: &str) -> Option<Range<usize>> {
        self.tags.iter().find(|tag| tag.name == name).map(|tag| tag.span.clone())
    }

    /// The name of the first tag.
    pub fn first(&self) -> Option<&'a str> {
        self.tags.first().map(|tag| tag.name)
    }
}

/// RFC 6376 §3.2: FWS around names and values does not count.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// `tag-name = ALPHA *ALNUMPUNC`
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `VALCHAR`, white space between, and (RFC 8616 §5) UTF-8.
fn is_value_char(c: char) -> bool {
    c.is_ascii_graphic() || matches!(c, ' ' | '\t' | '\r' | '\n') || !c.is_ascii()
}

fn no_tag(spec: &str) -> String {
    let spec = trimmed(spec);
    if spec.is_empty() { "a tag is empty".to_owned() } else { format!("`{spec}` is no tag") }
}

/// A colon-separated list without the white space around its words.
pub(crate) fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(':').map(trimmed)
}

/// Base64 with white space anywhere in it (RFC 6376 §2.10), its padding there or not.
pub(crate) fn base64(value: &str) -> Option<Vec<u8>> {
    use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let plain: Vec<u8> =
        value.bytes().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).collect();
    LENIENT.decode(plain).ok()
}

/// Digits, at most `max` of them.
pub(crate) fn number(value: &str, digits_max: usize) -> Option<u64> {
    if value.is_empty() || value.len() > digits_max || !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // RFC 6376 §3.5: values beyond what an implementation can hold are as good as infinite.
    Some(value.parse().unwrap_or(u64::MAX))
}
