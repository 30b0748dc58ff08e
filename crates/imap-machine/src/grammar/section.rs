use message::{SectionSpec, SectionText};

use super::scan::{Parsed, Scan, SyntaxError};

/// Levels of part numbers in one section.
pub const SECTION_LEVELS_MAX: usize = 100;
/// Field names in one HEADER.FIELDS list.
pub const FIELD_NAMES_MAX: usize = 256;

// RFC 3501 §9: section-spec = section-msgtext / (section-part ["." section-text]);
// section-part = nz-number *("." nz-number); section-text = section-msgtext / "MIME"
pub(crate) fn parse(scan: &mut Scan<'_>) -> Parsed<SectionSpec> {
    let mut part = Vec::new();
    while matches!(scan.peek(), Some(b'0'..=b'9')) {
        if part.len() == SECTION_LEVELS_MAX {
            return Err(SyntaxError("too many part numbers in a section"));
        }
        part.push(scan.nz_number()?.get());
        if !scan.eat(b'.') {
            return Ok(SectionSpec { part, text: SectionText::All });
        }
    }
    let text = match scan.word_if_any()?.as_deref() {
        None if part.is_empty() => SectionText::All,
        Some("HEADER") => SectionText::Header,
        Some("HEADER.FIELDS") => SectionText::HeaderFields(field_names(scan)?),
        Some("HEADER.FIELDS.NOT") => SectionText::HeaderFieldsNot(field_names(scan)?),
        Some("TEXT") => SectionText::Text,
        Some("MIME") if !part.is_empty() => SectionText::Mime,
        Some("MIME") => return Err(SyntaxError("MIME needs a part number before it")),
        None | Some(_) => return Err(SyntaxError("unknown section")),
    };
    Ok(SectionSpec { part, text })
}

// RFC 3501 §9: header-list = "(" header-fld-name *(SP header-fld-name) ")"
fn field_names(scan: &mut Scan<'_>) -> Parsed<Vec<Box<[u8]>>> {
    scan.space()?;
    scan.expect(b'(', "field names stand in parentheses")?;
    let mut names = Vec::new();
    loop {
        if names.len() == FIELD_NAMES_MAX {
            return Err(SyntaxError("too many field names in a section"));
        }
        names.push(scan.astring()?.into_owned().into_boxed_slice());
        if scan.eat(b')') {
            return Ok(names);
        }
        scan.space()?;
    }
}
