//! What must hold for any octets: the property that fuzz targets and tests look for, in one place.

use std::collections::BTreeSet;

use crate::header::{Fields, header_range};
use crate::structure::{Kind, Structure};
use crate::summary::Summary;
use crate::wire::{BodyForm, write_body, write_envelope};
use crate::{
    HeaderFacts, Limits, SectionSpec, SectionText, SortFacts, Threads, base_subject,
    decode_charset, decode_words, decoded_body, decoded_part, decoded_part_range, decoded_size,
    fold, html_text, parse_date, preview, search_text, section, thread_ordered_subject,
    thread_references,
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
    /// Text is not what it should be.
    #[error("of text: {0}")]
    Text(&'static str),
    /// A decoded part in pieces or its size is not what it is as a whole.
    #[error("a part without its transfer encoding: {0}")]
    Transfer(&'static str),
    /// Threads do not hold each message once, or are no trees.
    #[error("threads: {0}")]
    Threads(&'static str),
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

/// Reads `bytes` as text in a charset (the first octet chooses), a subject and a header to sort by.
///
/// # Errors
/// As [`check_structure`].
pub fn check_text(bytes: &[u8]) -> Result<(), Broken> {
    const CHARSETS: [&str; 8] =
        ["utf-8", "us-ascii", "utf-7", "iso-2022-jp", "gb18030", "big5", "koi8-r", "utf-16"];
    let (&choice, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let charset = CHARSETS[usize::from(choice) % CHARSETS.len()];
    let text = decode_charset(rest, Some(charset.as_bytes()));
    let folded = fold(&text);
    if fold(&folded) != folded {
        return Err(Broken::Text("folding again changes it"));
    }
    if folded.contains("  ") || folded.contains(['\n', '\t']) {
        return Err(Broken::Text("folded, it has more than single spaces"));
    }
    let (base, _) = base_subject(&text);
    if base.len() > text.len() || base_subject(&base).0 != base {
        return Err(Broken::Text("a base subject has a base subject of its own"));
    }
    let facts = SortFacts::read(rest, &Limits::default());
    let kept = facts.encode();
    if SortFacts::decode(&kept) != Ok(facts.by_ref()) {
        return Err(Broken::Text("facts to sort by do not survive being stored"));
    }
    let structure = Structure::parse(rest, &Limits::default());
    let preview = preview(rest, &structure, &Limits::default());
    if preview.chars().count() > 200 || preview.chars().any(char::is_control) {
        return Err(Broken::Text("a preview is too long or has controls"));
    }
    Ok(())
}

/// Reads `bytes` as a body in a transfer encoding, and a piece of it: the first three octets choose.
///
/// # Errors
/// As [`check_structure`].
pub fn check_transfer(bytes: &[u8]) -> Result<(), Broken> {
    const ENCODINGS: [&str; 4] = ["base64", "quoted-printable", "8bit", "x-unknown"];
    let Some(([choice, skip, max], body)) = bytes.split_first_chunk::<3>() else { return Ok(()) };
    let encoding = ENCODINGS[usize::from(*choice) % ENCODINGS.len()];
    let header = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n");
    let message = [header.as_bytes(), body].concat();
    let structure = Structure::parse(&message, &Limits::default());
    let part = structure.root();
    let Ok(whole) = decoded_part(&message, part) else {
        return match encoding {
            "x-unknown" => Ok(()),
            _ => Err(Broken::Transfer("the encoding is known")),
        };
    };
    let (skip, max) = (usize::from(*skip), usize::from(*max));
    let from = skip.min(whole.len());
    let piece = &whole[from..from.saturating_add(max).min(whole.len())];
    if decoded_part_range(&message, part, skip, max).as_deref() != Ok(piece) {
        return Err(Broken::Transfer("a piece of it"));
    }
    if decoded_size(&message, part) != Ok(whole.len()) {
        return Err(Broken::Transfer("its size"));
    }
    if *decoded_body(part, &message, max) != whole[..max.min(whole.len())] {
        return Err(Broken::Transfer("its begin"));
    }
    Ok(())
}

/// Reads `bytes` as a mailbox, four octets a message, and threads it.
///
/// # Errors
/// As [`check_structure`].
pub fn check_threads(bytes: &[u8]) -> Result<(), Broken> {
    let facts: Vec<SortFacts> = bytes
        .chunks_exact(4)
        .map(|octets| {
            let id = |octet: u8| (octet & 15).to_string();
            let references = [octets[1] >> 4, octets[1], octets[2]].map(id);
            let count = usize::from(octets[2] >> 6);
            SortFacts {
                sent: Some(i64::from(octets[3] & 7)),
                subject: ["", "a", "b", "c"][usize::from(octets[3] >> 6)].into(),
                subject_is_reply_or_forward: octets[3] & 8 != 0,
                message_id: (octets[0] < 240).then(|| id(octets[0]).into()),
                reference_lines: references[..count].join("\n").into(),
                ..SortFacts::default()
            }
        })
        .collect();
    let facts: Vec<_> = facts.iter().map(SortFacts::by_ref).collect();
    check_forest(&thread_references(&facts), facts.len())?;
    check_forest(&thread_ordered_subject(&facts), facts.len())
}

fn check_forest(threads: &Threads, messages: usize) -> Result<(), Broken> {
    let mut seen = BTreeSet::new();
    // How many are still to come below each node above.
    let mut open: Vec<u32> = Vec::new();
    for node in &threads.nodes {
        match node.message {
            Some(message) if !seen.insert(message) => return Err(Broken::Threads("one twice")),
            None if !open.is_empty() => return Err(Broken::Threads("a dummy inside")),
            None if node.children < 2 => return Err(Broken::Threads("a dummy for nothing")),
            _ => {}
        }
        if let Some(above) = open.last_mut() {
            *above -= 1;
        }
        open.push(node.children);
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    let is_whole =
        seen.len() == messages && seen.last().is_none_or(|&at| at as usize == messages - 1);
    if !open.is_empty() || !is_whole {
        return Err(Broken::Threads("one is missing"));
    }
    let mut out = Vec::new();
    threads.write(&mut out, |at| at as u32 + 1);
    let mut depth = 0_i64;
    for byte in out {
        depth += i64::from(byte == b'(') - i64::from(byte == b')');
        if depth < 0 {
            break;
        }
    }
    if depth == 0 { Ok(()) } else { Err(Broken::Wire("THREAD")) }
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
