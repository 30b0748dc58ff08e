//! Office Open XML (ECMA-376) and OpenDocument (ISO 26300): XML in a zip archive.

use quick_xml::XmlVersion;
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use crate::{Entry, Limits, Unreadable, Zip};

/// Elements and texts read of one document.
const EVENTS_MAX: usize = 10_000_000;

/// Which elements are what.
struct Words {
    /// Text stands in these alone; in all where there are none.
    text_in: &'static [&'static str],
    /// A line ends with these.
    line: &'static [&'static str],
    /// A space or tab.
    space: &'static [&'static str],
    /// Nothing in these is read.
    not_in: &'static [&'static str],
}

const WORD: Words = Words {
    text_in: &["t", "delText", "instrText"],
    line: &["p", "br", "tr"],
    space: &["ta", "tc"],
    not_in: &[],
};
const SHEET: Words = Words {
    text_in: &["t"],
    line: &["si", "is", "row", "comment"],
    space: &["c"],
    not_in: &["rPh"],
};
const NUMBERS: Words =
    Words { text_in: &["t", "v"], line: &["row"], space: &["c"], not_in: &["rPh", "f"] };
const SLIDE: Words =
    Words { text_in: &["t"], line: &["p", "br", "tr"], space: &["ta", "tc"], not_in: &[] };
const OPEN_DOCUMENT: Words = Words {
    text_in: &[],
    line: &["p", "h", "table-row", "line-break"],
    space: &["s", "ta", "table-cell"],
    not_in: &["scripts", "font-face-decls", "automatic-styles", "binary-data"],
};

/// ECMA-376 part 1, §11: the document, its headers, footers, notes and comments.
pub fn docx(bytes: &[u8], limits: &Limits) -> Result<String, Unreadable> {
    let zip = archive(bytes, limits)?;
    let also = ["header", "footer", "footnotes", "endnotes", "comments"];
    let is_text = |name: &str| {
        let part = name.strip_prefix("word/").filter(|part| part.ends_with(".xml"));
        part.is_some_and(|part| also.iter().any(|also| part.starts_with(also)))
    };
    let main = zip.entry("word/document.xml").ok_or(Unreadable::Broken)?;
    let others = zip.entries().iter().filter(|entry| is_text(&entry.name));
    all(&zip, std::iter::once(main).chain(others), &WORD, limits)
}

/// ECMA-376 part 1, §12: shared strings, strings and numbers in cells, names of sheets.
pub fn xlsx(bytes: &[u8], limits: &Limits) -> Result<String, Unreadable> {
    let zip = archive(bytes, limits)?;
    let workbook = zip.entry("xl/workbook.xml").ok_or(Unreadable::Broken)?;
    let mut text = sheet_names(&zip.unpack(workbook)?);
    let strings = zip.entries().iter().filter(|entry| {
        entry.name == "xl/sharedStrings.xml" || entry.name.starts_with("xl/comments")
    });
    text.push_str(&all(&zip, strings, &SHEET, limits)?);
    let sheets = zip.entries().iter().filter(|entry| entry.name.starts_with("xl/worksheets/sheet"));
    // Numbers come last: what is cut is them.
    text.push_str(&all(&zip, sheets, &NUMBERS, limits)?);
    Ok(text)
}

/// ECMA-376 part 1, §13: slides and their notes.
pub fn pptx(bytes: &[u8], limits: &Limits) -> Result<String, Unreadable> {
    let zip = archive(bytes, limits)?;
    zip.entry("ppt/presentation.xml").ok_or(Unreadable::Broken)?;
    let parts = zip.entries().iter().filter(|entry| {
        let of = |dir: &str| entry.name.starts_with(dir) && entry.name.ends_with(".xml");
        of("ppt/slides/slide") || of("ppt/notesSlides/notesSlide") || of("ppt/comments/")
    });
    all(&zip, parts, &SLIDE, limits)
}

/// ISO 26300 part 2, §3: the content, and what stands in headers and footers.
pub fn open_document(bytes: &[u8], limits: &Limits) -> Result<String, Unreadable> {
    let zip = archive(bytes, limits)?;
    let content = zip.entry("content.xml").ok_or(Unreadable::Broken)?;
    all(&zip, std::iter::once(content).chain(zip.entry("styles.xml")), &OPEN_DOCUMENT, limits)
}

/// Encrypted office documents are no zip archives but compound files.
fn archive<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Zip<'a>, Unreadable> {
    if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        return Err(Unreadable::Encrypted);
    }
    Zip::read(bytes, limits)
}

fn all<'a>(
    zip: &Zip<'_>,
    entries: impl Iterator<Item = &'a Entry>,
    words: &Words,
    limits: &Limits,
) -> Result<String, Unreadable> {
    let mut text = String::new();
    for entry in entries.take(limits.pages_max) {
        let xml = match zip.unpack(entry) {
            Ok(xml) => xml,
            // A broken part hides none of the others.
            Err(_) if !text.is_empty() => continue,
            Err(error) => return Err(error),
        };
        read(&xml, words, limits, &mut text);
        if text.len() >= limits.text_bytes_max {
            break;
        }
    }
    Ok(text)
}

/// Adds the text of an XML document. What is not well-formed ends it; what was read before counts.
/// Entities other than the five are left out, so that none grows.
fn read(xml: &[u8], words: &Words, limits: &Limits, text: &mut String) {
    let xml = message::decode_charset(xml, None);
    let mut reader = Reader::from_str(&xml);
    reader.config_mut().check_end_names = false;
    let (mut shown, mut hidden) = (0_usize, 0_usize);
    for _ in 0..EVENTS_MAX {
        let Ok(event) = reader.read_event() else { return };
        let has = |names: &[&str], name: &str| names.contains(&name);
        let reads = hidden == 0 && (shown > 0 || words.text_in.is_empty());
        match event {
            Event::Eof => return,
            Event::Start(start) => {
                let name = start.local_name();
                shown += usize::from(has(words.text_in, name.as_ref()));
                hidden += usize::from(has(words.not_in, name.as_ref()));
            }
            Event::End(end) => {
                let name = end.local_name();
                shown = shown.saturating_sub(usize::from(has(words.text_in, name.as_ref())));
                hidden = hidden.saturating_sub(usize::from(has(words.not_in, name.as_ref())));
                separate(words, name.as_ref(), text);
            }
            Event::Empty(empty) => separate(words, empty.local_name().as_ref(), text),
            Event::Text(part) if reads => {
                text.push_str(&part.xml_content(XmlVersion::Implicit1_0));
            }
            Event::CData(part) if reads => text.push_str(&part),
            Event::GeneralRef(name) if reads => {
                let c = match name.resolve_char_ref() {
                    Ok(Some(c)) => Some(c),
                    Ok(None) | Err(_) => match &*name {
                        "amp" => Some('&'),
                        "lt" => Some('<'),
                        "gt" => Some('>'),
                        "quot" => Some('"'),
                        "apos" => Some('\''),
                        _ => None,
                    },
                };
                text.extend(c);
            }
            Event::Text(_)
            | Event::CData(_)
            | Event::GeneralRef(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
        if text.len() >= limits.text_bytes_max {
            return;
        }
    }
}

fn separate(words: &Words, name: &str, text: &mut String) {
    let with = if words.line.contains(&name) {
        '\n'
    } else if words.space.contains(&name) {
        ' '
    } else {
        return;
    };
    if !text.is_empty() && !text.ends_with(with) {
        text.push(with);
    }
}

/// ECMA-376 part 1, §18.2.19: `<sheet name="…">`.
fn sheet_names(xml: &[u8]) -> String {
    let xml = message::decode_charset(xml, None);
    let mut reader = Reader::from_str(&xml);
    let mut names = String::new();
    for _ in 0..EVENTS_MAX {
        match reader.read_event() {
            Ok(Event::Eof) | Err(_) => break,
            Ok(Event::Empty(sheet) | Event::Start(sheet))
                if sheet.local_name().as_ref() == "sheet" =>
            {
                if let Ok(Some(name)) = sheet.try_get_attribute("name") {
                    names.push_str(&name.value);
                    names.push('\n');
                }
            }
            Ok(_) => {}
        }
    }
    names
}
