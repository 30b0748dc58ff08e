//! Address lists of header fields (RFC 5322 §3.4), broken ones too, in the form that IMAP wants.

use std::borrow::Cow;

use crate::header::unfold;
use crate::{Bytes, Limits};

/// One entry of an envelope's address list (RFC 3501 §7.4.2 address structure).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvelopeAddress {
    /// Display name, or the comment behind the address; not RFC 2047 decoded.
    pub name: Option<Bytes>,
    /// Source route (`@a,@b`).
    pub route: Option<Bytes>,
    /// Local-part without quotes; a group's name where `host` is `None`; `None` ends a group.
    pub mailbox: Option<Bytes>,
    /// Domain; empty where the address has none; `None` marks a group's begin or end.
    pub host: Option<Bytes>,
}

impl EnvelopeAddress {
    /// Whether this is an address and not the begin or end of a group.
    #[must_use]
    pub const fn is_address(&self) -> bool {
        self.host.is_some()
    }

    /// `local-part@domain` as text, unless this is a mark of a group.
    #[must_use]
    pub fn address_text(&self) -> Option<String> {
        let host = self.host.as_deref()?;
        let mailbox = self.mailbox.as_deref().unwrap_or_default();
        let (mailbox, host) = (String::from_utf8_lossy(mailbox), String::from_utf8_lossy(host));
        Some(if host.is_empty() { mailbox.into_owned() } else { format!("{mailbox}@{host}") })
    }

    /// The address, where it is a valid one.
    #[must_use]
    pub fn address(&self) -> Option<mail_types::Address> {
        let mailbox = std::str::from_utf8(self.mailbox.as_deref()?).ok()?;
        let host = std::str::from_utf8(self.host.as_deref()?).ok()?;
        let localpart = mail_types::Localpart::new(mailbox).ok()?;
        let host = mail_types::Host::parse(host).ok()?;
        Some(mail_types::Address { localpart, host })
    }
}

#[derive(Debug)]
enum Token<'a> {
    /// A run without white space and specials; dots belong to it.
    Atom(&'a [u8]),
    Quoted(Cow<'a, [u8]>),
    Comment(Cow<'a, [u8]>),
    /// `[...]` with its brackets.
    Literal(&'a [u8]),
    Special(u8),
}

/// Linear: an unclosed quote or comment is found once, and such marks are then plain text.
struct Lexer<'a> {
    rest: &'a [u8],
    quotes_broken: bool,
    comments_broken: bool,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let start = self.rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.rest = &self.rest[start..];
        let (&first, tail) = self.rest.split_first()?;
        match first {
            b'"' if !self.quotes_broken => match quoted(tail) {
                Some((text, rest)) => {
                    self.rest = rest;
                    return Some(Token::Quoted(text));
                }
                None => self.quotes_broken = true,
            },
            b'(' if !self.comments_broken => match comment(tail) {
                Some((text, rest)) => {
                    self.rest = rest;
                    return Some(Token::Comment(text));
                }
                None => self.comments_broken = true,
            },
            b'[' => {
                let end = tail.iter().position(|byte| b"]<>,".contains(byte));
                let end = end.map_or(tail.len(), |at| at + usize::from(tail[at] == b']'));
                let (literal, rest) = self.rest.split_at(end + 1);
                self.rest = rest;
                return Some(Token::Literal(literal));
            }
            b'<' | b'>' | b'@' | b',' | b';' | b':' => {
                self.rest = tail;
                return Some(Token::Special(first));
            }
            _ => {}
        }
        let end = self.rest.iter().skip(1).position(|&byte| self.ends_atom(byte));
        let (atom, rest) = self.rest.split_at(end.map_or(self.rest.len(), |at| at + 1));
        self.rest = rest;
        Some(Token::Atom(atom))
    }

    fn ends_atom(&self, byte: u8) -> bool {
        byte.is_ascii_whitespace()
            || b"<>@,;:[".contains(&byte)
            || (byte == b'"' && !self.quotes_broken)
            || (byte == b'(' && !self.comments_broken)
    }
}

/// The inside of a quoted-string without its escapes, and what is behind it.
fn quoted(inside: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let end = inside.iter().position(|byte| b"\"\\".contains(byte))?;
    if inside[end] == b'"' {
        return Some((Cow::Borrowed(&inside[..end]), &inside[end + 1..]));
    }
    let mut text = inside[..end].to_vec();
    let mut at = end;
    loop {
        match *inside.get(at)? {
            b'"' => return Some((Cow::Owned(text), &inside[at + 1..])),
            b'\\' => {
                at += 1;
                text.push(*inside.get(at)?);
            }
            byte => text.push(byte),
        }
        at += 1;
    }
}

/// The inside of a comment, its nested ones kept in their brackets, and what is behind it.
fn comment(inside: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut depth = 1_usize;
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        let mut byte = *inside.get(at)?;
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'\\' => {
                at += 1;
                byte = *inside.get(at)?;
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some((Cow::Owned(text), &inside[at..]));
        }
        text.push(byte);
    }
}

/// What is collected of the entry being read.
#[derive(Default)]
struct Entry {
    /// Words outside of angle brackets: a display name, or the address itself.
    words: Vec<u8>,
    /// Where the `@` of a bare address stands in `words`.
    at: Option<usize>,
    comment: Option<Bytes>,
    /// Inside of the angle brackets.
    angle: Option<Angle>,
}

#[derive(Default)]
struct Angle {
    route: Vec<u8>,
    mailbox: Vec<u8>,
    host: Option<Vec<u8>>,
}

impl Angle {
    fn text(&mut self, text: &[u8]) {
        self.host.as_mut().unwrap_or(&mut self.mailbox).extend_from_slice(text);
    }
}

/// Reads an address-list and appends it to `list`, up to the limit of entries.
pub(crate) fn parse_addresses(value: &[u8], limits: &Limits, list: &mut Vec<EnvelopeAddress>) {
    let mut lexer = Lexer { rest: value, quotes_broken: false, comments_broken: false };
    let mut entry = Entry::default();
    let mut in_group = false;
    while let Some(token) = lexer.next() {
        // One place is kept for the end of a group.
        if list.len() + 1 >= limits.addresses_max {
            break;
        }
        match token {
            Token::Special(b'<') => entry.angle = Some(parse_angle(&mut lexer)),
            Token::Special(b',') => finish(&mut entry, limits, list),
            Token::Special(b':') if !in_group && entry.angle.is_none() && entry.at.is_none() => {
                in_group = true;
                let name = std::mem::take(&mut entry).words;
                let mailbox = Some(unfold(&name, limits.value_bytes_max));
                list.push(EnvelopeAddress { mailbox, ..EnvelopeAddress::default() });
            }
            Token::Special(b';') => {
                finish(&mut entry, limits, list);
                if in_group {
                    in_group = false;
                    list.push(EnvelopeAddress::default());
                }
            }
            Token::Special(b'@') => {
                entry.at = Some(entry.words.len());
                entry.words.push(b'@');
            }
            Token::Special(byte) => entry.words.push(byte),
            Token::Comment(text) => {
                entry.comment.get_or_insert_with(|| unfold(&text, limits.value_bytes_max));
            }
            Token::Atom(text) | Token::Literal(text) => entry.word(text),
            Token::Quoted(text) => entry.word(&text),
        }
    }
    finish(&mut entry, limits, list);
    if in_group {
        list.push(EnvelopeAddress::default());
    }
}

impl Entry {
    fn word(&mut self, text: &[u8]) {
        // A name behind the brackets is no part of the name before them.
        if self.angle.is_some() {
            return;
        }
        let glued = self.words.is_empty() || self.words.ends_with(b"@");
        if !glued {
            self.words.push(b' ');
        }
        self.words.extend_from_slice(text);
    }
}

/// RFC 5322 §3.4, §4.4 angle-addr: `[route ":"] addr-spec ">"`; the `<` is already read.
fn parse_angle(lexer: &mut Lexer<'_>) -> Angle {
    let mut angle = Angle::default();
    let mut before = lexer.rest;
    while let Some(token) = lexer.next() {
        let in_route = angle.host.is_some() && angle.mailbox.is_empty();
        match token {
            Token::Special(b'>') => break,
            Token::Special(mark @ (b':' | b',')) if in_route => {
                angle.route.push(b'@');
                angle.route.append(&mut angle.host.take().unwrap_or_default());
                // A route ends at its colon.
                if mark == b',' {
                    angle.route.push(mark);
                }
            }
            Token::Special(b',') if !angle.route.is_empty() && angle.mailbox.is_empty() => {}
            // Quirk: the bracket is never closed; the comma ends the address all the same.
            Token::Special(b',') => {
                lexer.rest = before;
                break;
            }
            Token::Special(b'@') if angle.host.is_none() => angle.host = Some(Vec::new()),
            Token::Special(byte) => angle.text(&[byte]),
            Token::Atom(text) | Token::Literal(text) => angle.text(text),
            Token::Quoted(text) => angle.text(&text),
            Token::Comment(_) => {}
        }
        before = lexer.rest;
    }
    angle
}

fn finish(entry: &mut Entry, limits: &Limits, list: &mut Vec<EnvelopeAddress>) {
    let Entry { words, at, comment, angle } = std::mem::take(entry);
    let max = limits.value_bytes_max;
    let some = |text: &[u8]| (!text.is_empty()).then(|| unfold(text, max));
    if let Some(angle) = angle {
        list.push(EnvelopeAddress {
            name: some(&words).or(comment),
            route: some(&angle.route),
            mailbox: Some(unfold(&angle.mailbox, max)),
            host: Some(unfold(&angle.host.unwrap_or_default(), max)),
        });
    } else if let Some(at) = at {
        list.push(EnvelopeAddress {
            name: comment,
            route: None,
            mailbox: Some(unfold(&words[..at], max)),
            host: Some(unfold(&words[at + 1..], max)),
        });
    } else if !words.is_empty() {
        // No `@` at all: the words are all there is of an address.
        list.push(EnvelopeAddress {
            name: comment,
            route: None,
            mailbox: Some(unfold(&words, max)),
            host: Some(Bytes::default()),
        });
    }
}
