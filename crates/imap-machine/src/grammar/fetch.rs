use message::SectionSpec;

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
            loop {
                attribute(scan, &mut attributes)?;
                if scan.eat(b')') {
                    break;
                }
                scan.space()?;
            }
        } else if !macro_name(scan, &mut attributes) {
            attribute(scan, &mut attributes)?;
        }
        let changed_since = if scan.eat(b' ') {
            if !scan.eat_text("(CHANGEDSINCE ") {
                return Err(SyntaxError("the only modifier of FETCH is CHANGEDSINCE"));
            }
            let since = scan.number64()?;
            scan.expect(b')', "a modifier list has no )")?;
            Some(since)
        } else {
            None
        };
        scan.end()?;
        Ok(Self { uid, set, attributes, changed_since })
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
    let partial = if scan.eat(b'<') {
        let first = scan.number()?;
        scan.expect(b'.', "a partial is <first.count>")?;
        let count = scan.nz_number()?;
        scan.expect(b'>', "a partial has no >")?;
        Some((first, count.get()))
    } else {
        None
    };
    Ok(FetchAttribute::Section(Section { spec, partial, peek, old_name: None }))
}
