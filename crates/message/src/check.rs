//! What must hold for any octets: the property that fuzz targets and tests look for, in one place.

use std::collections::BTreeSet;

use crate::header::{Fields, header_range};
use crate::structure::{Kind, Structure};
use crate::summary::Summary;
use crate::wire::{BodyForm, write_body, write_envelope};
use crate::{
    HeaderFacts, Limits, SectionSpec, SectionText, decode_words, html_text, parse_date,
    search_text, section,
};

/// A promise of this crate that some octets break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A part's header or body is not inside of its parent's body, or overlaps its sibling.
    #[error("part {0} is not where its parent has room for it")]
    Range(usize),
    /// A part's count of lines is not that of its body.
    #[error("part {0} has another count of lines than it says")]
    Lines(usize),
    /// A limit is passed.
    #[error("a limit is passed: {0}")]
    Limit(&'static str),
    /// The encoded summary does not decode to what was encoded.
    #[error("the summary does not survive being stored")]
    Summary,
    /// Fields and what is behind them do not make the header again.
    #[error("the fields of a header are not the header")]
    Fields,
    /// A section is not the octets it should be.
    #[error("section {0} is not what stands in the message")]
    Section(&'static str),
    /// Something sent to an IMAP client is not well-formed.
    #[error("the wire form of {0} is not well-formed")]
    Wire(&'static str),
}

/// Reads `bytes` as a message in every way this crate has and looks whether it kept its promises.
///
/// # Errors
/// The first promise found broken, which is a fault of this crate and not of the octets.
pub fn check_structure(bytes: &[u8]) -> Result<(), Broken> {
    let limits = Limits { depth_max: 20, parts_max: 200, ..Limits::default() };
    let summary = Summary::read(bytes, &limits);
    let structure = &summary.structure;
    check_ranges(bytes, structure)?;
    if structure.parts().len() > limits.parts_max {
        return Err(Broken::Limit("parts"));
    }
    if Summary::decode(&summary.encode()).as_ref() != Ok(&summary) {
        return Err(Broken::Summary);
    }
    let spec = |text| SectionSpec { part: Vec::new(), text };
    let of = |text| section(structure, bytes, &spec(text)).unwrap_or_default();
    if *of(SectionText::All) != *bytes {
        return Err(Broken::Section(""));
    }
    if [of(SectionText::Header), of(SectionText::Text)].concat() != bytes {
        return Err(Broken::Section("HEADER, TEXT"));
    }
    for (extended, rev2) in [(false, false), (true, false), (true, true)] {
        let mut out = Vec::new();
        write_body(&mut out, structure, BodyForm { extended, rev2 });
        if !is_wire_form(&out) {
            return Err(Broken::Wire("BODYSTRUCTURE"));
        }
    }
    if search_text(bytes, structure, &limits).text.len() > 8 * limits.text_bytes_max {
        return Err(Broken::Limit("search text"));
    }
    Ok(())
}

/// Reads `bytes` as a header and as single values and looks whether this crate kept its promises.
///
/// # Errors
/// As [`check_structure`].
pub fn check_headers(bytes: &[u8]) -> Result<(), Broken> {
    let limits = Limits { addresses_max: 100, params_max: 20, ..Limits::default() };
    let header = &bytes[header_range(bytes)];
    let fields: usize = Fields::new(bytes).map(|field| field.raw.len()).sum();
    if header.len() - fields.min(header.len()) > 2 || fields > header.len() {
        return Err(Broken::Fields);
    }
    let envelope = crate::Envelope::read(header, &limits);
    let lists = [&envelope.from, &envelope.sender, &envelope.reply_to, &envelope.to];
    if lists.iter().any(|list| list.len() > limits.addresses_max) {
        return Err(Broken::Limit("addresses"));
    }
    let mut out = Vec::new();
    write_envelope(&mut out, &envelope);
    if !is_wire_form(&out) {
        return Err(Broken::Wire("ENVELOPE"));
    }
    let facts = HeaderFacts::read(header, &limits);
    if facts.has_date != envelope.date.is_some() {
        return Err(Broken::Fields);
    }
    if let Some(date) = parse_date(bytes)
        && parse_date(crate::format_date(date).as_bytes()) != Some(date)
        && (0..=253_402_300_799).contains(&date.at.secs())
    {
        return Err(Broken::Wire("a date"));
    }
    let text = decode_words(bytes);
    if html_text(&text).len() > 3 * text.len() + 3 {
        return Err(Broken::Limit("html text"));
    }
    Ok(())
}

fn check_ranges(bytes: &[u8], structure: &Structure) -> Result<(), Broken> {
    let parts = structure.parts();
    let root = structure.root();
    if root.header.start != 0 || root.body.end != bytes.len() {
        return Err(Broken::Range(0));
    }
    let mut distinct = BTreeSet::new();
    for (at, part) in parts.iter().enumerate() {
        let body = bytes.get(part.body.clone()).ok_or(Broken::Range(at))?;
        if part.header.start > part.header.end || part.header.end != part.body.start {
            return Err(Broken::Range(at));
        }
        if memchr::memchr_iter(b'\n', body).count() != part.lines {
            return Err(Broken::Lines(at));
        }
        let children = match &part.kind {
            Kind::Leaf | Kind::Opaque(_) => &[][..],
            Kind::Multipart(children) => children,
            Kind::Message { inner, .. } => std::slice::from_ref(inner),
        };
        let mut free_from = part.body.start;
        for &child in children {
            let inside = parts.get(child).ok_or(Broken::Range(child))?;
            let fits = inside.header.start >= free_from && inside.body.end <= part.body.end;
            if !fits || !distinct.insert(child) {
                return Err(Broken::Range(child));
            }
            free_from = inside.body.end;
        }
    }
    Ok(())
}

/// Whether `out` is one parenthesised list of strings, literals, numbers and NILs, as a client's
/// reader takes it apart.
fn is_wire_form(out: &[u8]) -> bool {
    let mut rest = out;
    let mut depth = 0_usize;
    while let [first, tail @ ..] = rest {
        rest = match first {
            b'(' => {
                depth += 1;
                tail
            }
            b')' if depth > 0 => {
                depth -= 1;
                tail
            }
            b' ' | b'0'..=b'9' | b'N' | b'I' | b'L' => tail,
            b'"' => match behind_quoted(tail) {
                Some(behind) => behind,
                None => return false,
            },
            b'{' => match behind_literal(tail) {
                Some(behind) => behind,
                None => return false,
            },
            _ => return false,
        };
        if depth == 0 {
            return rest.is_empty();
        }
    }
    false
}

fn behind_quoted(inside: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        match *inside.get(at)? {
            b'"' => return Some(&inside[at + 1..]),
            b'\\' => at += 1,
            b'\r' | b'\n' | 0 | 0x80.. => return None,
            _ => {}
        }
        at += 1;
    }
}

fn behind_literal(inside: &[u8]) -> Option<&[u8]> {
    let end = inside.iter().position(|&byte| byte == b'}')?;
    let count: usize = std::str::from_utf8(&inside[..end]).ok()?.parse().ok()?;
    let octets = inside[end + 1..].strip_prefix(b"\r\n")?;
    let (literal, behind) = octets.split_at_checked(count)?;
    (!literal.contains(&0)).then_some(behind)
}
