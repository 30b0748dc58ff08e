use memchr::memmem;

use crate::Limits;
use crate::charset::decode_charset;
use crate::fold::fold_into;
use crate::header::Fields;
use crate::html::html_text;
use crate::structure::{Kind, Structure};
use crate::text::{decode_words, decoded_text};

/// Decoded, folded text of a message, to search substrings in that [`crate::fold`] was applied to.
/// Fields and parts end in a line feed, which no folded text holds, so nothing is found across.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchText {
    /// In lower case, white space as single spaces.
    pub text: String,
    /// Whether it is all there: `false` where [`Limits::text_bytes_max`] cut it, and an exact
    /// search must read the message again with a higher limit.
    pub complete: bool,
}

/// Fields of a header as `name: value`, one a line, decoded and folded.
#[must_use]
pub fn search_header(header: &[u8], limits: &Limits) -> SearchText {
    let mut found = SearchText { text: String::new(), complete: true };
    found.header(header, limits);
    found
}

/// The values of all fields of that name, decoded and folded: for SEARCH HEADER, FROM, SUBJECT.
#[must_use]
pub fn search_field(header: &[u8], name: &str, limits: &Limits) -> SearchText {
    let mut found = SearchText { text: String::new(), complete: true };
    for field in Fields::limited(header, limits).filter(|field| field.is(name)) {
        found.push_field(field.value, limits);
    }
    found
}

/// All text parts of a message and the headers of messages inside it, decoded and folded, tags
/// stripped from HTML: for SEARCH BODY. `bytes` is the whole message.
#[must_use]
pub fn search_body(bytes: &[u8], structure: &Structure, limits: &Limits) -> SearchText {
    let mut found = SearchText { text: String::new(), complete: true };
    found.body(bytes, structure, limits);
    found
}

/// [`search_header`] and [`search_body`] together: for SEARCH TEXT. `bytes` is the whole message.
#[must_use]
pub fn search_text(bytes: &[u8], structure: &Structure, limits: &Limits) -> SearchText {
    let header = bytes.get(structure.root().header.clone()).unwrap_or_default();
    let mut found = search_header(header, limits);
    found.body(bytes, structure, limits);
    found
}

impl SearchText {
    fn header(&mut self, header: &[u8], limits: &Limits) {
        let mut read = 0;
        for field in Fields::limited(header, limits) {
            read += field.raw.len();
            let from = self.text.len();
            self.text.push_str(&decode_charset(field.name, None));
            self.text[from..].make_ascii_lowercase();
            self.text.push_str(": ");
            self.push_field(field.value, limits);
            if !self.complete {
                return;
            }
        }
        // A blank line is all that may be left.
        self.complete &= header.len() - read <= 2;
    }

    fn body(&mut self, bytes: &[u8], structure: &Structure, limits: &Limits) {
        for part in structure.parts() {
            if !self.complete {
                return;
            }
            if let Kind::Message { inner, .. } = part.kind {
                let header = structure.parts()[inner].header.clone();
                self.header(bytes.get(header).unwrap_or_default(), limits);
            }
            // People look for attachments by their names.
            if let Some(name) = part.content.filename() {
                self.push(&name, limits);
            }
            let (Kind::Leaf | Kind::Opaque(_)) = part.kind else { continue };
            let Some(text) = decoded_text(part, bytes, limits) else { continue };
            self.complete &= text.len() < limits.text_bytes_max;
            if part.content.is("text", "html") {
                self.push(&html_text(&text), limits);
            } else {
                self.push(&text, limits);
            }
        }
    }

    /// Appends a decoded and folded value and a line feed, up to the limit.
    fn push_field(&mut self, value: &[u8], limits: &Limits) {
        // Most are ASCII and have nothing to decode; folding makes spaces of line ends.
        match std::str::from_utf8(value) {
            Ok(text) if memmem::find(value, b"=?").is_none() && !value.contains(&0) => {
                self.push(text, limits);
            }
            _ => self.push(&decode_words(value), limits),
        }
    }

    /// Appends a folded text and a line feed, up to the limit.
    fn push(&mut self, text: &str, limits: &Limits) {
        let left = limits.text_bytes_max.saturating_sub(self.text.len());
        let mut end = text.len().min(left);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.complete &= end == text.len();
        fold_into(&mut self.text, text[..end].trim());
        self.text.push('\n');
    }
}
