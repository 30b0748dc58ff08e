use message::{SectionSpec, SectionText};

use super::returns::PartialRange;
use super::scan::{Parsed, Scan, SyntaxError};
use super::section;
use super::sequence::SequenceSet;

/// Attributes in one FETCH.
pub const FETCH_ATTRIBUTES_MAX: usize = 256;

/// One thing to fetch of each message (RFC 3501 §6.4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchAttribute {
    /// FLAGS
    Flags,
    /// UID
    Uid,
    /// INTERNALDATE
    InternalDate,
    /// RFC822.SIZE
    Size,
    /// MODSEQ (RFC 7162)
    ModSeq,
    /// ENVELOPE
    Envelope,
    /// BODY: the structure without extension data.
    Body,
    /// BODYSTRUCTURE
    BodyStructure,
    /// Octets of the message.
    Section(Section),
    /// BINARY (RFC 3516): octets of a part without its transfer encoding.
    Binary(Binary),
    /// BINARY.SIZE (RFC 3516): how many these are, of the part with these numbers.
    BinarySize(Box<[u32]>),
    /// PREVIEW (RFC 8970), LAZY or not: it is always at hand.
    Preview,
    /// SAVEDATE (RFC 8514)
    SaveDate,
    /// EMAILID (RFC 8474)
    EmailId,
    /// THREADID (RFC 8474)
    ThreadId,
}

/// `BINARY[...]`: a part, or the whole message, whose transfer encoding is that of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Numbers of the part; none for the message.
    pub part: Box<[u32]>,
    /// Only these of its octets: first octet, count (never 0).
    pub partial: Option<(u32, u32)>,
    /// Leave `\Seen` alone.
    pub peek: bool,
}

impl Binary {
    /// Appends the item's name in the response: `BINARY[1.2]<0>`.
    pub fn write_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"BINARY[");
        write_part(&self.part, out);
        out.push(b']');
        if let Some((first, _)) = self.partial {
            out.extend_from_slice(format!("<{first}>").as_bytes());
        }
    }
}

/// Appends the numbers of a part: `1.2`.
pub(crate) fn write_part(part: &[u32], out: &mut Vec<u8>) {
    for (at, number) in part.iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(number.to_string().as_bytes());
    }
}

/// `BODY[...]` and its like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Which octets.
    pub spec: SectionSpec,
    /// Only these of them: first octet, count (never 0).
    pub partial: Option<(u32, u32)>,
    /// Leave `\Seen` alone.
    pub peek: bool,
    /// The old name it was asked for by, which the response repeats.
    pub old_name: Option<&'static str>,
}

impl Section {
    /// Appends the item's name in the response: `BODY[1.TEXT]<0>`, `RFC822.HEADER`.
    pub fn write_name(&self, out: &mut Vec<u8>) {
        if let Some(name) = self.old_name {
            out.extend_from_slice(name.as_bytes());
            return;
        }
        out.extend_from_slice(b"BODY[");
        self.spec.write(out);
        out.push(b']');
        if let Some((first, _)) = self.partial {
            out.push(b'<');
            out.extend_from_slice(first.to_string().as_bytes());
            out.push(b'>');
        }
    }
}

/// FETCH or UID FETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The set holds UIDs.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// What of each, in the order asked for, macros resolved, no twins.
    pub attributes: Vec<FetchAttribute>,
    /// RFC 7162 §3.1.4.1: only messages changed after this.
    pub changed_since: Option<u64>,
    /// RFC 7162 §3.2.6: tell what has gone since, too.
    pub vanished: bool,
    /// RFC 9394 §3.4: only these of the messages that there are.
    pub partial: Option<PartialRange>,
}

impl Fetch {
    // RFC 3501 §9: fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
    // "(" fetch-att *(SP fetch-att) ")") [SP "(" "CHANGEDSINCE" SP mod-sequence-value ")"]
    pub(crate) fn parse(scan: &mut Scan<'_>, uid: bool) -> Parsed<Self> {
        scan.space()?;
        let set = SequenceSet::parse(scan)?;
        scan.space()?;
        let mut attributes = Vec::new();
        if scan.eat(b'(') {
            attributes = self::attributes(scan)?;
        } else if !macro_name(scan, &mut attributes) {
            attribute(scan, &mut attributes)?;
        }
        let mut fetch =
            Self { uid, set, attributes, changed_since: None, vanished: false, partial: None };
        if scan.eat(b' ') {
            fetch.modifiers(scan)?;
        }
        scan.end()?;
        Ok(fetch)
    }

    // RFC 4466 §2.4: fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")"
    fn modifiers(&mut self, scan: &mut Scan<'_>) -> Parsed<()> {
        scan.expect(b'(', "modifiers stand in parentheses")?;
        loop {
            let name = scan.word()?;
            match name.as_str() {
                // RFC 7162 §7: "CHANGEDSINCE" SP mod-sequence-value
                "CHANGEDSINCE" if self.changed_since.is_none() => {
                    scan.space()?;
                    self.changed_since = Some(scan.number64()?);
                }
                // RFC 7162 §7: of UID FETCH only
                "VANISHED" if self.uid && !self.vanished => self.vanished = true,
                // RFC 9394 §4: "PARTIAL" SP partial-range, of UID FETCH only
                "PARTIAL" if self.uid && self.partial.is_none() => {
                    scan.space()?;
                    self.partial = Some(PartialRange::parse(scan)?);
                }
                _ => return Err(SyntaxError("unknown modifier of FETCH, or the second of it")),
            }
            if scan.eat(b')') {
                break;
            }
            scan.space()?;
        }
        if self.vanished && self.changed_since.is_none() {
            return Err(SyntaxError("VANISHED comes with CHANGEDSINCE"));
        }
        Ok(())
    }
}

/// `fetch-att *(SP fetch-att) ")"`: what stands behind an opening parenthesis.
pub(super) fn attributes(scan: &mut Scan<'_>) -> Parsed<Vec<FetchAttribute>> {
    let mut attributes = Vec::new();
    loop {
        attribute(scan, &mut attributes)?;
        if scan.eat(b')') {
            return Ok(attributes);
        }
        scan.space()?;
    }
}

/// ALL, FAST and FULL (RFC 3501 §6.4.5), alone only.
fn macro_name(scan: &mut Scan<'_>, attributes: &mut Vec<FetchAttribute>) -> bool {
    use FetchAttribute::{Body, Envelope, Flags, InternalDate, Size};
    let all: &[FetchAttribute] = if scan.eat_text("ALL") {
        &[Flags, InternalDate, Size, Envelope]
    } else if scan.eat_text("FAST") {
        &[Flags, InternalDate, Size]
    } else if scan.eat_text("FULL") {
        &[Flags, InternalDate, Size, Envelope, Body]
    } else {
        return false;
    };
    attributes.extend_from_slice(all);
    true
}

// RFC 3501 §9: fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" /
// ".TEXT"] / "BODY" ["STRUCTURE"] / "UID" / "BODY" section ["<" number "." nz-number ">"] /
// "BODY.PEEK" section ["<" number "." nz-number ">"]; RFC 7162 §7 adds "MODSEQ"
fn attribute(scan: &mut Scan<'_>, attributes: &mut Vec<FetchAttribute>) -> Parsed<()> {
    if attributes.len() == FETCH_ATTRIBUTES_MAX {
        return Err(SyntaxError("too many fetch attributes"));
    }
    let attribute = match scan.word()?.as_str() {
        "FLAGS" => FetchAttribute::Flags,
        "UID" => FetchAttribute::Uid,
        "INTERNALDATE" => FetchAttribute::InternalDate,
        "MODSEQ" => FetchAttribute::ModSeq,
        "ENVELOPE" => FetchAttribute::Envelope,
        "BODYSTRUCTURE" => FetchAttribute::BodyStructure,
        "RFC822.SIZE" => FetchAttribute::Size,
        "RFC822" => old("RFC822", "", false)?,
        "RFC822.HEADER" => old("RFC822.HEADER", "HEADER", true)?,
        "RFC822.TEXT" => old("RFC822.TEXT", "TEXT", false)?,
        "BODY" if scan.peek() != Some(b'[') => FetchAttribute::Body,
        "BODY" => body_section(scan, false)?,
        "BODY.PEEK" => body_section(scan, true)?,
        "BINARY" => binary(scan, false)?,
        "BINARY.PEEK" => binary(scan, true)?,
        "BINARY.SIZE" => FetchAttribute::BinarySize(part(scan)?),
        "PREVIEW" => preview(scan)?,
        "SAVEDATE" => FetchAttribute::SaveDate,
        "EMAILID" => FetchAttribute::EmailId,
        "THREADID" => FetchAttribute::ThreadId,
        _ => return Err(SyntaxError("unknown fetch attribute")),
    };
    if !attributes.contains(&attribute) {
        attributes.push(attribute);
    }
    Ok(())
}

/// RFC 3501 §6.4.5: RFC822 is BODY[], RFC822.HEADER is BODY.PEEK[HEADER], RFC822.TEXT is
/// BODY[TEXT], but for the name in the response.
fn old(name: &'static str, spec: &str, peek: bool) -> Parsed<FetchAttribute> {
    let spec = section::parse(&mut Scan::new(spec.as_bytes()))?;
    Ok(FetchAttribute::Section(Section { spec, partial: None, peek, old_name: Some(name) }))
}

// RFC 3501 §9: section = "[" [section-spec] "]"
fn body_section(scan: &mut Scan<'_>, peek: bool) -> Parsed<FetchAttribute> {
    scan.expect(b'[', "BODY.PEEK needs a [section]")?;
    let spec = section::parse(scan)?;
    scan.expect(b']', "a section has no ]")?;
    let partial = partial(scan)?;
    Ok(FetchAttribute::Section(Section { spec, partial, peek, old_name: None }))
}

/// `["<" number "." nz-number ">"]`
fn partial(scan: &mut Scan<'_>) -> Parsed<Option<(u32, u32)>> {
    if !scan.eat(b'<') {
        return Ok(None);
    }
    let first = scan.number()?;
    scan.expect(b'.', "a partial is <first.count>")?;
    let count = scan.nz_number()?;
    scan.expect(b'>', "a partial has no >")?;
    Ok(Some((first, count.get())))
}

// RFC 3516 §7: section-binary = "[" [section-part] "]"
fn part(scan: &mut Scan<'_>) -> Parsed<Box<[u32]>> {
    scan.expect(b'[', "BINARY needs a [part]")?;
    let SectionSpec { part, text } = section::parse(scan)?;
    if text != SectionText::All {
        return Err(SyntaxError("BINARY takes numbers of a part only"));
    }
    scan.expect(b']', "a section has no ]")?;
    Ok(part.into())
}

// RFC 3516 §7: "BINARY" [".PEEK"] section-binary [partial]
fn binary(scan: &mut Scan<'_>, peek: bool) -> Parsed<FetchAttribute> {
    let part = part(scan)?;
    Ok(FetchAttribute::Binary(Binary { part, partial: partial(scan)?, peek }))
}

// RFC 8970 §6: fetch-att =/ "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"];
// preview-mod = "LAZY"
fn preview(scan: &mut Scan<'_>) -> Parsed<FetchAttribute> {
    if scan.eat_text(" (") {
        loop {
            if scan.word()? != "LAZY" {
                return Err(SyntaxError("the only modifier of PREVIEW is LAZY"));
            }
            if scan.eat(b')') {
                break;
            }
            scan.space()?;
        }
    }
    Ok(FetchAttribute::Preview)
}
