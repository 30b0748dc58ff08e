use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use crate::Bytes;
use crate::header::Fields;
use crate::structure::{Kind, PartIndex, Structure};
use crate::wire::write_astring;

/// What stands between the brackets of `BODY[...]` (RFC 3501 §6.4.5, RFC 9051 §6.4.5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SectionSpec {
    /// Part numbers from the outside in, each at least 1; empty for the message itself.
    pub part: Vec<u32>,
    /// What of it.
    pub text: SectionText,
}

/// The section-text of a [`SectionSpec`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// Nothing said: the whole message, or the body of a part.
    #[default]
    All,
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (names)`
    HeaderFields(Vec<Bytes>),
    /// `HEADER.FIELDS.NOT (names)`
    HeaderFieldsNot(Vec<Bytes>),
    /// `TEXT`
    Text,
    /// `MIME`, which needs a part number.
    Mime,
}

impl SectionSpec {
    /// Appends it as between the brackets, for the answer to FETCH.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (at, number) in self.part.iter().enumerate() {
            if at > 0 {
                out.push(b'.');
            }
            out.extend_from_slice(number.to_string().as_bytes());
        }
        if !self.part.is_empty() && self.text != SectionText::All {
            out.push(b'.');
        }
        match &self.text {
            SectionText::All => {}
            SectionText::Header => out.extend_from_slice(b"HEADER"),
            SectionText::Text => out.extend_from_slice(b"TEXT"),
            SectionText::Mime => out.extend_from_slice(b"MIME"),
            SectionText::HeaderFields(names) => write_names(out, b"HEADER.FIELDS (", names),
            SectionText::HeaderFieldsNot(names) => write_names(out, b"HEADER.FIELDS.NOT (", names),
        }
    }
}

fn write_names(out: &mut Vec<u8>, before: &[u8], names: &[Bytes]) {
    out.extend_from_slice(before);
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        write_astring(out, name);
    }
    out.push(b')');
}

/// Which octets of the message hold a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionRange {
    /// These, exactly.
    Exact(Range<usize>),
    /// This header, from which [`filter_fields`] chooses.
    Header(Range<usize>),
}

impl SectionRange {
    /// The octets to read.
    #[must_use]
    pub const fn octets(&self) -> &Range<usize> {
        match self {
            Self::Exact(range) | Self::Header(range) => range,
        }
    }
}

/// Where a section is; `None` where the message has no such section.
#[must_use]
pub fn section_range(structure: &Structure, spec: &SectionSpec) -> Option<SectionRange> {
    let (header, text) = if spec.part.is_empty() {
        let root = structure.root();
        match spec.text {
            SectionText::All => return Some(SectionRange::Exact(root.header.start..root.body.end)),
            SectionText::Mime => return None,
            _ => (root.header.clone(), root.body.clone()),
        }
    } else {
        let part = &structure.parts[part_at(structure, &spec.part)?];
        match (&spec.text, &part.kind) {
            (SectionText::All, _) => return Some(SectionRange::Exact(part.body.clone())),
            (SectionText::Mime, _) => return Some(SectionRange::Exact(part.header.clone())),
            // RFC 3501 §6.4.5: HEADER and TEXT of a part need a message/rfc822.
            (_, Kind::Message { inner, .. }) => {
                let inner = &structure.parts[*inner];
                (inner.header.clone(), inner.body.clone())
            }
            (_, Kind::Leaf | Kind::Opaque(_) | Kind::Multipart(_)) => return None,
        }
    };
    Some(match spec.text {
        SectionText::Text => SectionRange::Exact(text),
        SectionText::Header | SectionText::All | SectionText::Mime => SectionRange::Exact(header),
        SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => {
            SectionRange::Header(header)
        }
    })
}

/// The octets of a section; borrowed unless header fields are chosen. `bytes` is the whole message
/// that `structure` was read from.
#[must_use]
pub fn section<'a>(
    structure: &Structure,
    bytes: &'a [u8],
    spec: &SectionSpec,
) -> Option<Cow<'a, [u8]>> {
    let range = section_range(structure, spec)?;
    let octets = bytes.get(range.octets().clone())?;
    Some(match range {
        SectionRange::Exact(_) => Cow::Borrowed(octets),
        SectionRange::Header(_) => Cow::Owned(filter_fields(octets, &spec.text)),
    })
}

/// The part with these numbers, by the rules of RFC 3501 §6.4.5: a message that is no multipart is
/// its own part 1, and the parts of a message inside count as if it were the outer one.
#[must_use]
pub fn part_at(structure: &Structure, numbers: &[u32]) -> Option<PartIndex> {
    let mut at = 0;
    let mut is_message = true;
    for &number in numbers {
        let number = usize::try_from(number).ok()?.checked_sub(1)?;
        if let (false, Kind::Message { inner, .. }) = (is_message, &structure.parts[at].kind) {
            at = *inner;
            is_message = true;
        }
        match &structure.parts[at].kind {
            Kind::Multipart(children) => at = *children.get(number)?,
            Kind::Leaf | Kind::Opaque(_) | Kind::Message { .. } if is_message && number == 0 => {}
            Kind::Leaf | Kind::Opaque(_) | Kind::Message { .. } => return None,
        }
        is_message = false;
    }
    Some(at)
}

/// The fields that HEADER.FIELDS or HEADER.FIELDS.NOT choose, exactly as they stand there, and the
/// blank line where the header has one (RFC 3501 §6.4.5). Other section texts choose all.
#[must_use]
pub fn filter_fields(header: &[u8], text: &SectionText) -> Vec<u8> {
    let (names, wanted) = match text {
        SectionText::HeaderFields(names) => (&**names, true),
        SectionText::HeaderFieldsNot(names) => (&**names, false),
        SectionText::All | SectionText::Header | SectionText::Text | SectionText::Mime => {
            (&[][..], false)
        }
    };
    let names = Names::new(names);
    let mut out = Vec::new();
    let mut read = 0;
    for field in Fields::new(header) {
        read += field.raw.len();
        if names.contains(field.name) == wanted {
            out.extend_from_slice(field.raw);
        }
    }
    out.extend_from_slice(&header[read..]);
    out
}

/// Names up to which each is compared: quicker than looking them up.
const FEW_NAMES: usize = 16;

/// Names of fields, without regard to case: few, or so many that a header of many fields must not
/// be compared with all.
enum Names<'a> {
    Few(&'a [Bytes]),
    Many { lower: HashSet<Vec<u8>>, octets_max: usize },
}

impl<'a> Names<'a> {
    fn new(names: &'a [Bytes]) -> Self {
        if names.len() <= FEW_NAMES {
            return Self::Few(names);
        }
        Self::Many {
            lower: names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            octets_max: names.iter().map(|name| name.len()).max().unwrap_or(0),
        }
    }

    fn contains(&self, wanted: &[u8]) -> bool {
        match self {
            Self::Few(names) => names.iter().any(|name| name.eq_ignore_ascii_case(wanted)),
            Self::Many { lower, octets_max } => {
                wanted.len() <= *octets_max && lower.contains(&wanted.to_ascii_lowercase())
            }
        }
    }
}
