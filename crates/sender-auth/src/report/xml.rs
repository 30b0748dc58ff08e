//! As much of XML 1.0 as reports need, in one pass over the octets: elements, text, character
//! references and CDATA. A document type is refused: entities are how XML attacks its readers.

use super::{ReportError, TEXT_CHARS_MAX};

/// Elements within one another.
const DEPTH_MAX: usize = 32;
/// Octets of one tag.
const TAG_OCTETS_MAX: usize = 8 * 1024;

/// What is seen of a document.
pub(super) trait Seen {
    /// An element begins; `path` ends with its local name.
    fn begin(&mut self, path: &[String]) -> Result<(), ReportError>;
    /// An element ends; its text is without the white space around it, and cut where it is long.
    fn end(&mut self, path: &[String], text: &str) -> Result<(), ReportError>;
}

/// Reads a document to its end.
pub(super) fn read(xml: &[u8], seen: &mut impl Seen) -> Result<(), ReportError> {
    let mut at = if xml.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut path: Vec<String> = Vec::new();
    let mut text = Vec::new();
    let mut had_root = false;
    while at < xml.len() {
        let rest = &xml[at..];
        let broken = ReportError::Xml(at);
        if rest[0] != b'<' {
            let end = memchr::memchr(b'<', rest).unwrap_or(rest.len());
            gather(&mut text, &rest[..end], at)?;
            at += end;
        } else if rest.starts_with(b"<!--") {
            at += 4 + find(&rest[4..], b"-->").ok_or(broken)? + 3;
        } else if rest.starts_with(b"<![CDATA[") {
            let end = find(&rest[9..], b"]]>").ok_or(broken)?;
            keep(&mut text, &rest[9..9 + end]);
            at += 9 + end + 3;
        } else if rest.starts_with(b"<?") {
            at += 2 + find(&rest[2..], b"?>").ok_or(broken)? + 2;
        } else if rest.starts_with(b"<!") {
            return Err(broken);
        } else {
            let length = tag_end(rest).ok_or_else(|| broken.clone())?;
            let inside = &rest[1..length - 1];
            if let Some(name) = inside.strip_prefix(b"/") {
                let name = local_name(name.trim_ascii_end()).ok_or_else(|| broken.clone())?;
                if path.last() != Some(&name) {
                    return Err(broken);
                }
                let said = String::from_utf8_lossy(&text);
                seen.end(&path, shortened(said.trim()))?;
                path.pop();
                text.clear();
            } else {
                let is_empty = inside.ends_with(b"/");
                let end = inside.iter().position(|byte| b" \t\r\n/".contains(byte));
                let name = local_name(&inside[..end.unwrap_or(inside.len())]);
                // One root, and not too deep.
                if path.len() == DEPTH_MAX || (path.is_empty() && had_root) {
                    return Err(broken);
                }
                had_root = true;
                path.push(name.ok_or(broken)?);
                text.clear();
                seen.begin(&path)?;
                if is_empty {
                    seen.end(&path, "")?;
                    path.pop();
                }
            }
            at += length;
        }
    }
    if path.is_empty() && had_root { Ok(()) } else { Err(ReportError::Xml(xml.len())) }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, what)
}

/// Octets of a tag, its `>` with them; one in quotes does not end it.
fn tag_end(tag: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, &byte) in tag.iter().enumerate().take(TAG_OCTETS_MAX) {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at + 1),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// A name without its namespace prefix: reports of old have all kinds of them, or none.
fn local_name(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let local = name.rsplit(':').next()?;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!local.is_empty() && local.chars().all(fits)).then(|| local.to_owned())
}

fn keep(text: &mut Vec<u8>, more: &[u8]) {
    // Each character is at most four octets; some for white space that is trimmed.
    let room = (TEXT_CHARS_MAX * 5).saturating_sub(text.len());
    text.extend_from_slice(&more[..more.len().min(room)]);
}

/// Takes text in, its references resolved.
fn gather(text: &mut Vec<u8>, raw: &[u8], at: usize) -> Result<(), ReportError> {
    let mut rest = raw;
    while let Some(amp) = memchr::memchr(b'&', rest) {
        keep(text, &rest[..amp]);
        let behind = &rest[amp + 1..];
        let end = behind.iter().take(12).position(|&byte| byte == b';');
        let end = end.ok_or(ReportError::Xml(at))?;
        let c = reference(&behind[..end]).ok_or(ReportError::Xml(at))?;
        keep(text, c.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &behind[end + 1..];
    }
    keep(text, rest);
    Ok(())
}

/// XML 1.0 §4.1, §4.6: the five names there always are, and numbers.
fn reference(name: &[u8]) -> Option<char> {
    match name {
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"amp" => Some('&'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        _ => {
            let number = std::str::from_utf8(name.strip_prefix(b"#")?).ok()?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(TEXT_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}
