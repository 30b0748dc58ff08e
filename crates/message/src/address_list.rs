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
struct Entry<'a> {
    /// Outside of angle brackets: a display name, or the address itself.
    words: Vec<Word<'a>>,
    /// Whether an `@` is among them.
    has_at: bool,
    comment: Option<Bytes>,
    /// Inside of the angle brackets.
    angle: Option<Angle>,
    /// Words behind the angle brackets: another address, where an `@` is among them.
    behind: Vec<Word<'a>>,
    behind_has_at: bool,
}

/// A word, or an `@` or another special between them.
struct Word<'a> {
    text: Cow<'a, [u8]>,
    /// Whether white space or a comment stands before it.
    is_apart: bool,
    is_at: bool,
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
    let mut is_apart = false;
    // One place is kept for the end of a group.
    let is_full = |list: &Vec<EnvelopeAddress>| list.len() + 1 >= limits.addresses_max;
    loop {
        is_apart |= lexer.rest.first().is_some_and(u8::is_ascii_whitespace);
        let Some(token) = lexer.next() else { break };
        if is_full(list) {
            break;
        }
        let is_apart_now = std::mem::take(&mut is_apart);
        match token {
            Token::Special(b'<') => {
                entry.next_of(limits, list);
                parse_angle(&mut lexer, &mut entry, limits, list);
            }
            Token::Special(b',') => finish(&mut entry, limits, list),
            Token::Special(b':') if entry.angle.is_none() && !entry.has_at => {
                let name = std::mem::take(&mut entry).name();
                // RFC 5322 §3.4: groups do not nest; the name of one inside another is left out.
                if !std::mem::replace(&mut in_group, true) {
                    let mailbox = Some(unfold(&name, limits.value_bytes_max));
                    list.push(EnvelopeAddress { mailbox, ..EnvelopeAddress::default() });
                }
            }
            Token::Special(b';') => {
                finish(&mut entry, limits, list);
                if in_group {
                    in_group = false;
                    list.push(EnvelopeAddress::default());
                }
            }
            // One too many.
            Token::Special(b'>') => {}
            Token::Special(byte) => {
                entry.word(Cow::Owned(vec![byte]), is_apart_now, byte == b'@');
            }
            // RFC 822 §A.1.5 has the name in a comment behind the address.
            Token::Comment(text) => {
                entry.comment = Some(unfold(&text, limits.value_bytes_max));
                is_apart = true;
            }
            Token::Atom(text) | Token::Literal(text) => {
                entry.word(Cow::Borrowed(text), is_apart_now, false);
            }
            Token::Quoted(text) => entry.word(text, is_apart_now, false),
        }
    }
    if !is_full(list) {
        finish(&mut entry, limits, list);
    }
    list.truncate(limits.addresses_max.saturating_sub(usize::from(in_group)));
    if in_group {
        list.push(EnvelopeAddress::default());
    }
}

impl<'a> Entry<'a> {
    fn word(&mut self, text: Cow<'a, [u8]>, is_apart: bool, is_at: bool) {
        let word = Word { text, is_apart, is_at };
        if self.angle.is_none() {
            self.has_at |= is_at;
            self.words.push(word);
        } else {
            // No part of the name before them.
            self.behind_has_at |= is_at;
            self.behind.push(word);
        }
    }

    /// Quirk: brackets behind brackets are another address, as if a comma stood between them. Who
    /// shows it shows both, and who judges the author must see both.
    fn next_of(&mut self, limits: &Limits, list: &mut Vec<EnvelopeAddress>) {
        if self.angle.is_none() {
            return;
        }
        let (words, has_at) = (std::mem::take(&mut self.behind), self.behind_has_at);
        self.behind_has_at = false;
        finish(self, limits, list);
        (self.words, self.has_at) = (words, has_at);
    }

    /// All words as they stand there.
    fn name(&self) -> Vec<u8> {
        let mut name = Vec::new();
        for word in &self.words {
            if word.is_apart && !name.is_empty() {
                name.push(b' ');
            }
            name.extend_from_slice(&word.text);
        }
        name
    }
}

/// RFC 5322 §3.4, §4.4 angle-addr: `[route ":"] addr-spec ">"`; the `<` is already read.
fn parse_angle(
    lexer: &mut Lexer<'_>,
    entry: &mut Entry<'_>,
    limits: &Limits,
    list: &mut Vec<EnvelopeAddress>,
) {
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
            // Quirk: it begins anew; what is an address already is one of its own.
            Token::Special(b'<') => {
                let before = std::mem::take(&mut angle);
                if before.host.as_ref().is_some_and(|host| !host.is_empty()) {
                    entry.angle = Some(before);
                    if list.len() + 1 < limits.addresses_max {
                        finish(entry, limits, list);
                    }
                }
            }
            Token::Special(byte) => angle.text(&[byte]),
            Token::Atom(text) | Token::Literal(text) => angle.text(text),
            Token::Quoted(text) => angle.text(&text),
            Token::Comment(_) => {}
        }
        before = lexer.rest;
    }
    entry.angle = Some(angle);
}

fn finish(entry: &mut Entry<'_>, limits: &Limits, list: &mut Vec<EnvelopeAddress>) {
    let entry = std::mem::take(entry);
    let max = limits.value_bytes_max;
    let some = |text: &[u8]| (!text.is_empty()).then(|| unfold(text, max));
    if let Some(angle) = &entry.angle {
        list.push(EnvelopeAddress {
            name: some(&entry.name()).or(entry.comment),
            route: some(&angle.route),
            mailbox: Some(unfold(&angle.mailbox, max)),
            host: Some(unfold(angle.host.as_deref().unwrap_or_default(), max)),
        });
        if entry.behind_has_at {
            let (words, has_at) = (entry.behind, true);
            bare(Entry { words, has_at, ..Entry::default() }, limits, list);
        }
    } else if entry.has_at {
        bare(entry, limits, list);
    } else if !entry.words.is_empty() {
        // No `@` at all: the words are all there is of an address.
        list.push(EnvelopeAddress {
            mailbox: Some(unfold(&entry.name(), max)),
            name: entry.comment,
            route: None,
            host: Some(Bytes::default()),
        });
    }
}

/// RFC 5322 §3.4.1 addr-spec outside of angle brackets. Quirk: words before it are its name, and
/// one behind it begins another address, as if the brackets and the comma were there.
fn bare(entry: Entry<'_>, limits: &Limits, list: &mut Vec<EnvelopeAddress>) {
    let mut name = Vec::new();
    let mut local = Vec::new();
    let mut host: Option<Vec<u8>> = None;
    let mut comment = entry.comment;
    let max = limits.value_bytes_max;
    let mut push = |name: &mut Vec<u8>, local: &mut Vec<u8>, host: Vec<u8>, comment| {
        if list.len() + 1 < limits.addresses_max {
            let name = std::mem::take(name);
            list.push(EnvelopeAddress {
                name: if name.is_empty() { comment } else { Some(unfold(&name, max)) },
                route: None,
                mailbox: Some(unfold(&std::mem::take(local), max)),
                host: Some(unfold(&host, max)),
            });
        }
    };
    let mut after_at = false;
    for Word { text, is_apart, is_at } in &entry.words {
        if *is_at {
            // Of several the last parts local-part and domain.
            if let Some(before) = host.replace(Vec::new()) {
                local.push(b'@');
                local.extend(before);
            }
            after_at = true;
            continue;
        }
        let last = host.as_ref().unwrap_or(&local);
        // RFC 5322 §4.4: white space and comments may stand around dots, and around the `@`.
        let is_new = *is_apart
            && !after_at
            && !last.is_empty()
            && !last.ends_with(b".")
            && !text.starts_with(b".");
        after_at = false;
        match &mut host {
            Some(_) if is_new => {
                push(&mut name, &mut local, host.take().unwrap_or_default(), comment.take());
                local.extend_from_slice(text);
            }
            Some(host) => host.extend_from_slice(text),
            None => {
                if is_new {
                    if !name.is_empty() {
                        name.push(b' ');
                    }
                    name.append(&mut local);
                }
                local.extend_from_slice(text);
            }
        }
    }
    // Words behind the last address, without an `@`, are none.
    if let Some(host) = host {
        push(&mut name, &mut local, host, comment);
    }
}
