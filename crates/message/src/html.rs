//! HTML as plain text for search: tags go, entities become characters. No parser of HTML: what is
//! found is what a person would look for, and nothing of it is ever shown as HTML.

use memchr::{memchr, memchr2, memmem};

use crate::charset::decode_charset;

/// Elements inside of a word; all other tags part words.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "big", "cite", "code", "em", "font", "i", "mark", "o:p", "s", "small",
    "span", "strike", "strong", "sub", "sup", "tt", "u", "wbr",
];

/// Octets of an entity's name.
const ENTITY_OCTETS_MAX: usize = 10;

/// Named characters from U+00A0 on, in their order (HTML 4 §24.2).
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg \
    macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 \
    iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave \
    Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc \
    Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc \
    euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave \
    uacute ucirc uuml yacute thorn yuml";

/// Named characters from U+03B1 on, in their order; the capitals are 32 below (HTML 4 §24.3).
const GREEK: &str = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi \
    omicron pi rho sigmaf sigma tau upsilon phi chi psi omega";

/// Other named characters (HTML 4 §24.3, §24.4); marks without a width say nothing.
const ENTITIES: &[(&str, &str)] = &[
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("zwnj", ""),
    ("zwj", ""),
    ("lrm", ""),
    ("rlm", ""),
    ("ensp", " "),
    ("emsp", " "),
    ("thinsp", " "),
    ("OElig", "Œ"),
    ("oelig", "œ"),
    ("Scaron", "Š"),
    ("scaron", "š"),
    ("Yuml", "Ÿ"),
    ("fnof", "ƒ"),
    ("circ", "ˆ"),
    ("tilde", "˜"),
    ("ndash", "–"),
    ("mdash", "—"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("sbquo", "‚"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("bdquo", "„"),
    ("dagger", "†"),
    ("Dagger", "‡"),
    ("bull", "•"),
    ("hellip", "…"),
    ("permil", "‰"),
    ("prime", "′"),
    ("Prime", "″"),
    ("lsaquo", "‹"),
    ("rsaquo", "›"),
    ("euro", "€"),
    ("trade", "™"),
    ("larr", "←"),
    ("uarr", "↑"),
    ("rarr", "→"),
    ("darr", "↓"),
    ("harr", "↔"),
    ("minus", "−"),
    ("infin", "∞"),
    ("asymp", "≈"),
    ("ne", "≠"),
    ("le", "≤"),
    ("ge", "≥"),
    ("hearts", "♥"),
    ("check", "✓"),
];

/// The text of an HTML body without tags, comments, styles and scripts, in linear time.
#[must_use]
pub fn html_text(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut rest = html;
    // An unclosed mark is looked for once: behind it there is none.
    let (mut tags_end, mut comments_end) = (false, false);
    while let Some(at) = memchr2(b'<', b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('&') {
            rest = entity(rest, &mut out);
            continue;
        }
        if !comments_end && rest.starts_with("<!--") {
            match memmem::find(&rest.as_bytes()[4..], b"-->") {
                Some(end) => {
                    rest = &rest[4 + end + 3..];
                    continue;
                }
                None => comments_end = true,
            }
        }
        let is_tag = rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c));
        let end = if is_tag && !tags_end { memchr(b'>', rest.as_bytes()) } else { None };
        tags_end |= is_tag && end.is_none();
        let Some(end) = end else {
            out.push('<');
            rest = &rest[1..];
            continue;
        };
        rest = tag(&rest[1..end], &rest[end + 1..], &mut out);
    }
    out.push_str(rest);
    out
}

/// Handles a tag (without its brackets); returns what is to be read on, behind the content of a
/// script or style.
fn tag<'a>(inside: &str, behind: &'a str, out: &mut String) -> &'a str {
    let closing = inside.starts_with('/');
    let name = inside.trim_start_matches('/');
    let end = name.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(name.len());
    let name = &name[..end];
    if !INLINE.iter().any(|inline| inline.eq_ignore_ascii_case(name)) {
        out.push(' ');
    }
    let raw = ["script", "style"].into_iter().find(|raw| raw.eq_ignore_ascii_case(name));
    match raw {
        Some(raw) if !closing => skip_raw(behind, raw),
        _ => behind,
    }
}

/// Behind the content of a script or style: at its closing tag, or the end.
fn skip_raw<'a>(from: &'a str, name: &str) -> &'a str {
    memmem::find_iter(from.as_bytes(), b"</")
        .find(|at| {
            let tag = from.as_bytes().get(at + 2..at + 2 + name.len());
            tag.is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()))
        })
        .map_or("", |at| &from[at..])
}

/// Appends what the `&` at the begin of `rest` stands for; returns what is behind.
fn entity<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let bytes = rest.as_bytes();
    let end = bytes.iter().take(ENTITY_OCTETS_MAX + 2).position(|&byte| byte == b';');
    if let Some(end) = end {
        let name = &rest[1..end];
        let number = name.strip_prefix('#').and_then(|digits| {
            let hex = digits.strip_prefix(['x', 'X']);
            hex.map_or_else(|| digits.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
        });
        if let Some(number) = number.filter(|number| char::from_u32(*number).is_some()) {
            push_numbered(number, out);
            return &rest[end + 1..];
        }
        if push_named(name, out) {
            return &rest[end + 1..];
        }
    }
    out.push('&');
    &rest[1..]
}

/// HTML §13.2.5.80: numbers of C1 controls mean windows-1252.
fn push_numbered(number: u32, out: &mut String) {
    match u8::try_from(number) {
        Ok(octet @ 0x80..=0x9f) => out.push_str(&decode_charset(&[octet], Some(b"windows-1252"))),
        _ => out.extend(char::from_u32(number)),
    }
}

/// Appends the character of that name; `false` where there is none.
fn push_named(name: &str, out: &mut String) -> bool {
    let place = |names: &str, wanted: &str| {
        let at = names.split(' ').position(|known| known == wanted)?;
        u32::try_from(at).ok()
    };
    if let Some((_, text)) = ENTITIES.iter().find(|(known, _)| *known == name) {
        out.push_str(text);
    } else if let Some(at) = place(LATIN, name) {
        out.extend(char::from_u32(0xa0 + at));
    } else if let Some(at) = place(GREEK, name) {
        out.extend(char::from_u32(0x3b1 + at));
    } else if let Some(at) = place(GREEK, &name.to_ascii_lowercase())
        && name.starts_with(|c: char| c.is_ascii_uppercase())
    {
        out.extend(char::from_u32(0x391 + at));
    } else {
        return false;
    }
    true
}
