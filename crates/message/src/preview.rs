//! RFC 8970: the first words of a message, for a list of messages.

use crate::Limits;
use crate::fold::is_ignorable;
use crate::html::html_text;
use crate::structure::{Kind, Part, PartIndex, Structure};
use crate::text::decoded_text;

/// RFC 8970 §3.1: characters of a preview SHOULD be no more.
const PREVIEW_CHARS_MAX: usize = 200;

/// Octets of text that are looked at for a preview: HTML may begin with much that nobody sees.
const SOURCE_OCTETS_MAX: usize = 128 << 10;

/// RFC 8970 §3.1: at most 200 characters of what a person would read first: text/plain where the
/// message has some, else HTML without its tags. White space is single spaces; quoted lines, the
/// line that introduces them and the signature are left out where other text is there. Empty where
/// the message has no text. `bytes` is the whole message.
#[must_use]
pub fn preview(bytes: &[u8], structure: &Structure, limits: &Limits) -> String {
    let limits =
        Limits { text_bytes_max: limits.text_bytes_max.min(SOURCE_OCTETS_MAX), ..limits.clone() };
    let mut html = String::new();
    for part in shown_texts(structure) {
        let is_html = part.content.is("text", "html");
        if is_html && !html.is_empty() {
            continue;
        }
        let Some(text) = decoded_text(part, bytes, &limits) else { continue };
        if is_html {
            html = first_words(&html_text(&text));
            continue;
        }
        let words = first_words(&text);
        if !words.is_empty() {
            return words;
        }
    }
    html
}

/// The text parts that are no attachments, in their order, those of messages inside behind all
/// others.
fn shown_texts(structure: &Structure) -> impl Iterator<Item = &Part> {
    let parts = structure.parts();
    let mut is_inner = vec![false; parts.len()];
    for (at, part) in parts.iter().enumerate() {
        let inherited = is_inner[at];
        let mut mark = |child: PartIndex, inner: bool| {
            if let Some(found) = is_inner.get_mut(child) {
                *found = inner;
            }
        };
        match &part.kind {
            Kind::Leaf | Kind::Opaque(_) => {}
            Kind::Multipart(children) => {
                children.iter().for_each(|&child| mark(child, inherited));
            }
            Kind::Message { inner, .. } => mark(*inner, true),
        }
    }
    let is_text = |part: &Part| {
        let is_attachment =
            part.content.disposition.as_ref().is_some_and(|found| &*found.kind == "attachment");
        let is_leaf = matches!(part.kind, Kind::Leaf | Kind::Opaque(_));
        is_leaf && !is_attachment && part.shown_type().0 == "text"
    };
    let (inner, outer): (Vec<_>, Vec<_>) = parts
        .iter()
        .zip(is_inner)
        .filter(|(part, _)| is_text(part))
        .partition(|(_, is_inner)| *is_inner);
    outer.into_iter().chain(inner).map(|(part, _)| part)
}

/// The first words that the author wrote; where there are none, those that were quoted.
fn first_words(text: &str) -> String {
    let mut own = Words::default();
    let mut all = Words::default();
    // A line that ends in a colon introduces what is quoted behind it, or it is text.
    let mut held: Option<&str> = None;
    for line in text.lines() {
        if own.is_full() {
            break;
        }
        // RFC 3676 §4.3: the signature.
        if line == "-- " || line == "--" {
            break;
        }
        all.push(line);
        let line = line.trim();
        if line.starts_with('>') {
            held = None;
        } else if !line.is_empty() {
            own.push(held.take().unwrap_or_default());
            match line.ends_with(':') {
                true => held = Some(line),
                false => own.push(line),
            }
        }
    }
    own.push(held.unwrap_or_default());
    if own.text.is_empty() { all.text } else { own.text }
}

/// Text with single spaces, up to the limit.
#[derive(Default)]
struct Words {
    text: String,
    chars: usize,
}

impl Words {
    const fn is_full(&self) -> bool {
        self.chars >= PREVIEW_CHARS_MAX
    }

    fn push(&mut self, line: &str) {
        let mut needs_space = !self.text.is_empty();
        for c in line.chars() {
            if c.is_whitespace() || c.is_control() {
                needs_space = !self.text.is_empty();
            } else if !is_hidden(c) {
                if self.chars + usize::from(needs_space) >= PREVIEW_CHARS_MAX {
                    return;
                }
                if needs_space {
                    self.text.push(' ');
                    self.chars += 1;
                }
                needs_space = false;
                self.text.push(c);
                self.chars += 1;
            }
        }
    }
}

/// What fills the space behind the first words of advertisements. Joiners and variation selectors
/// shape what is shown, and stay.
const fn is_hidden(c: char) -> bool {
    is_ignorable(c) && !matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}
