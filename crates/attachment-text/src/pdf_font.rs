//! Fonts of a PDF, as far as they say which characters codes stand for (ISO 32000-1 §9.10).

use hayro_cmap::{BfString, CMap};
use hayro_syntax::object::{Array, Dict, Name, Number, Object, Stream};

/// Widths kept of one font.
const WIDTHS_MAX: usize = 70_000;
/// The width of a glyph of which nothing is said, in thousandths of the size.
const WIDTH: f32 = 500.0;

/// A font.
pub struct Font {
    to_unicode: Option<CMap>,
    codes: Codes,
    widths: Vec<(u32, f32)>,
    width: f32,
}

enum Codes {
    /// One octet each, in this order.
    Simple(Box<[Option<char>; 256]>),
    /// Two octets, UTF-16.
    Utf16,
    /// Two octets that say nothing by themselves.
    Glyphs,
    /// In a charset of one or two octets.
    Charset(&'static [u8]),
}

impl Font {
    pub fn read(font: &Dict<'_>) -> Self {
        let name = |dict: &Dict<'_>, key: &str| {
            dict.get::<Name<'_>>(key).map(|name| name.as_str().to_owned())
        };
        let to_unicode = font.get::<Stream<'_>>("ToUnicode").and_then(|stream| {
            let cmap = stream.decoded_data().ok()?;
            CMap::parse(&cmap, |_| None)
        });
        if name(font, "Subtype").as_deref() == Some("Type0") {
            let codes = codes_of(name(font, "Encoding").as_deref().unwrap_or_default());
            let inner = font.get::<Array<'_>>("DescendantFonts");
            let inner = inner.and_then(|fonts| fonts.iter::<Dict<'_>>().next());
            let mut widths = Vec::new();
            let mut width = 1000.0;
            if let Some(inner) = inner {
                width = inner.get::<Number>("DW").map_or(width, |dw| dw.as_f32());
                if let Some(listed) = inner.get::<Array<'_>>("W") {
                    read_widths(&listed, &mut widths);
                }
            }
            return Self { to_unicode, codes, widths, width };
        }
        let first = font.get::<i32>("FirstChar").unwrap_or_default().clamp(0, 255).unsigned_abs();
        let mut widths = Vec::new();
        if let Some(listed) = font.get::<Array<'_>>("Widths") {
            let numbers = listed.iter::<Number>().take(256);
            widths.extend(numbers.zip(first..).map(|(width, code)| (code, width.as_f32())));
        }
        let width = if widths.is_empty() { WIDTH } else { 0.0 };
        Self { to_unicode, codes: Codes::Simple(simple(font)), widths, width }
    }

    /// Adds the characters of a string; answers its length in thousandths of the size, and how many
    /// codes and single spaces it has.
    pub fn write(&self, string: &[u8], out: &mut String) -> (f32, u32, u32) {
        let (mut length, mut codes, mut spaces) = (0.0, 0, 0);
        if let (Codes::Charset(charset), None) = (&self.codes, &self.to_unicode) {
            out.push_str(&message::decode_charset(string, Some(charset)));
            return (string.len() as f32 * WIDTH, string.len() as u32, 0);
        }
        let octets = if matches!(self.codes, Codes::Simple(_)) { 1 } else { 2 };
        for code in string.chunks(octets) {
            let number = code.iter().fold(0, |number, octet| number << 8 | u32::from(*octet));
            length += self.width_of(number);
            codes += 1;
            spaces += u32::from(code == b" ");
            self.write_code(number, out);
        }
        (length, codes, spaces)
    }

    fn write_code(&self, code: u32, out: &mut String) {
        match self.to_unicode.as_ref().and_then(|map| map.lookup_bf_string(code)) {
            Some(BfString::Char('\0')) => return,
            Some(BfString::Char(c)) => return out.push(c),
            Some(BfString::String(text)) => return out.push_str(&text),
            None => {}
        }
        match &self.codes {
            Codes::Simple(table) => out.extend(table.get(code as usize).copied().flatten()),
            Codes::Utf16 => out.extend(char::from_u32(code)),
            Codes::Glyphs | Codes::Charset(_) => {}
        }
    }

    fn width_of(&self, code: u32) -> f32 {
        let found = self.widths.binary_search_by_key(&code, |(code, _)| *code);
        found.map_or(self.width, |at| self.widths[at].1)
    }
}

/// ISO 32000-1 §9.7.5.2: the predefined CMaps, by what their codes are.
fn codes_of(name: &str) -> Codes {
    match name {
        _ if name.contains("UCS2") || name.contains("UTF16") => Codes::Utf16,
        _ if name.starts_with("GB") => Codes::Charset(b"gb18030"),
        _ if name.contains("B5") => Codes::Charset(b"big5"),
        _ if name.contains("RKSJ") => Codes::Charset(b"shift_jis"),
        _ if name.starts_with("EUC") => Codes::Charset(b"euc-jp"),
        _ if name.starts_with("KSC") => Codes::Charset(b"euc-kr"),
        _ => Codes::Glyphs,
    }
}

/// ISO 32000-1 §9.7.4.3: `c [w1 w2 …]` or `first last w`.
fn read_widths(listed: &Array<'_>, widths: &mut Vec<(u32, f32)>) {
    let mut items = listed.flex_iter();
    while let Some(first) = items.next::<Object<'_>>() {
        let Some(first) = first.into_i32().and_then(|first| u32::try_from(first).ok()) else {
            break;
        };
        match items.next::<Object<'_>>() {
            Some(Object::Array(each)) => {
                let numbers = each.iter::<Number>().take(WIDTHS_MAX);
                widths.extend(numbers.zip(first..).map(|(width, code)| (code, width.as_f32())));
            }
            Some(last) => {
                let last = last.into_i32().and_then(|last| u32::try_from(last).ok());
                let (Some(last), Some(width)) = (last, items.next::<Number>()) else { break };
                let end = last.min(first.saturating_add(WIDTHS_MAX as u32));
                widths.extend((first..=end).map(|code| (code, width.as_f32())));
            }
            None => break,
        }
        if widths.len() >= WIDTHS_MAX {
            break;
        }
    }
    widths.truncate(WIDTHS_MAX);
    widths.sort_by_key(|(code, _)| *code);
}

/// ISO 32000-1 §9.6.6: a base encoding and differences from it.
fn simple(font: &Dict<'_>) -> Box<[Option<char>; 256]> {
    let mut table = Box::new([None; 256]);
    let encoding = font.get::<Object<'_>>("Encoding");
    let (base, differences) = match &encoding {
        Some(Object::Name(name)) => (Some(name.as_str().to_owned()), None),
        Some(Object::Dict(dict)) => (
            dict.get::<Name<'_>>("BaseEncoding").map(|name| name.as_str().to_owned()),
            dict.get::<Array<'_>>("Differences"),
        ),
        _ => (None, None),
    };
    let charset: &[u8] = match base.as_deref() {
        Some("MacRomanEncoding" | "MacExpertEncoding") => b"macintosh",
        _ => b"windows-1252",
    };
    for (code, place) in table.iter_mut().enumerate().skip(32) {
        *place = message::decode_charset(&[code as u8], Some(charset)).chars().next();
    }
    let mut code = 0_usize;
    for item in differences.iter().flat_map(|listed| listed.iter::<Object<'_>>()) {
        match item {
            Object::Name(name) => {
                if let Some(place) = table.get_mut(code) {
                    *place = glyph(name.as_str());
                }
                code = code.saturating_add(1);
            }
            other => match other.into_i32().and_then(|next| usize::try_from(next).ok()) {
                Some(next) => code = next,
                None => break,
            },
        }
    }
    table
}

/// The character of a glyph's name, as the Adobe Glyph List has it: `A`, `uni4F1A`, `u1F600`,
/// `eacute`.
fn glyph(name: &str) -> Option<char> {
    let name = name.split('.').next()?;
    let mut chars = name.chars();
    if let (Some(only), None) = (chars.next(), chars.next()) {
        return Some(only);
    }
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
    if let Some(c) = name.strip_prefix("uni").and_then(|rest| hex(rest.get(..4)?)) {
        return Some(c);
    }
    if let Some(c) = name.strip_prefix('u').filter(|rest| rest.len() >= 4).and_then(hex) {
        return Some(c);
    }
    let known = NAMES.iter().find(|(known, _)| *known == name);
    known.map(|(_, c)| *c).or_else(|| accented(name))
}

/// `eacute`: a letter and a mark.
fn accented(name: &str) -> Option<char> {
    let letter = name.chars().next()?;
    let mark = match name.get(letter.len_utf8()..)? {
        "acute" => '\u{301}',
        "grave" => '\u{300}',
        "circumflex" => '\u{302}',
        "dieresis" => '\u{308}',
        "tilde" => '\u{303}',
        "ring" => '\u{30a}',
        "cedilla" => '\u{327}',
        "caron" => '\u{30c}',
        "ogonek" => '\u{328}',
        "macron" => '\u{304}',
        "breve" => '\u{306}',
        "dotaccent" => '\u{307}',
        "hungarumlaut" => '\u{30b}',
        _ => return None,
    };
    message::fold(&[letter.to_ascii_lowercase(), mark].iter().collect::<String>()).chars().next()
}

const NAMES: [(&str, char); 59] = [
    ("space", ' '),
    ("exclam", '!'),
    ("quotedbl", '"'),
    ("numbersign", '#'),
    ("dollar", '$'),
    ("percent", '%'),
    ("ampersand", '&'),
    ("quotesingle", '\''),
    ("quoteright", '’'),
    ("quoteleft", '‘'),
    ("parenleft", '('),
    ("parenright", ')'),
    ("asterisk", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("hyphen", '-'),
    ("minus", '-'),
    ("period", '.'),
    ("slash", '/'),
    ("zero", '0'),
    ("one", '1'),
    ("two", '2'),
    ("three", '3'),
    ("four", '4'),
    ("five", '5'),
    ("six", '6'),
    ("seven", '7'),
    ("eight", '8'),
    ("nine", '9'),
    ("colon", ':'),
    ("semicolon", ';'),
    ("less", '<'),
    ("equal", '='),
    ("greater", '>'),
    ("question", '?'),
    ("at", '@'),
    ("bracketleft", '['),
    ("backslash", '\\'),
    ("bracketright", ']'),
    ("underscore", '_'),
    ("braceleft", '{'),
    ("bar", '|'),
    ("braceright", '}'),
    ("endash", '–'),
    ("emdash", '—'),
    ("quotedblleft", '“'),
    ("quotedblright", '”'),
    ("bullet", '•'),
    ("Euro", '€'),
    ("germandbls", 'ß'),
    ("ae", 'æ'),
    ("AE", 'Æ'),
    ("oe", 'œ'),
    ("OE", 'Œ'),
    ("oslash", 'ø'),
    ("fi", 'ﬁ'),
    ("fl", 'ﬂ'),
    ("ff", 'ﬀ'),
    ("dotlessi", 'ı'),
];
