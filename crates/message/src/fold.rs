//! How text is made comparable: for SEARCH and for SORT and THREAD.

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// How text and search keys are made comparable (RFC 9051 §6.4.4 leaves it to the server): without
/// regard to case (`STRASSE` is `straße`), to the form of a character (composed or decomposed,
/// full or half width, ligatures), or to invisible characters; each run of white space is one
/// space. This is Unicode's compatibility caseless matching (§3.13 D146) in normal form KC.
///
/// Accents count, and no part of a character is found: `e` is not in `é`, か not in が, 가 not in
/// 각, which a decomposed form such as that of RFC 5051 would say.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(&mut out, text);
    out
}

/// Appends the folded text. White space at its begin is dropped where `out` ends in a space.
pub(crate) fn fold_into(out: &mut String, text: &str) {
    // Where the last character begins, here and in `out`: a mark that follows belongs to it.
    let (mut last, mut last_out) = (0, out.len());
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_ascii() {
            let rest = &text[at..];
            let run = rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
            fold_ascii(out, &rest[..run - 1]);
            (last, last_out) = (at + run - 1, out.len());
            fold_ascii(out, &rest[run - 1..run]);
            at += run;
        } else if let Some(lower) = simple_lower(c) {
            (last, last_out) = (at, out.len());
            out.push(lower);
            at += c.len_utf8();
        } else if c == 'ß' {
            (last, last_out) = (at, out.len());
            out.push_str("ss");
            at += c.len_utf8();
        } else {
            let end = at + others_len(&text[at..]);
            out.truncate(last_out);
            fold_others(out, &text[last..end]);
            (last, last_out) = (end, out.len());
            at = end;
        }
    }
}

/// Characters without a mark or the like behind which there may be another: looking up a few more
/// is quicker than to begin again and again.
const NEAR_CHARS: usize = 16;

/// Octets of the characters at the begin of `text` that need looking up, and of those between them.
fn others_len(text: &str) -> usize {
    let mut len = 0;
    let mut since = 0;
    for (at, c) in text.char_indices() {
        if c.is_ascii() || c == 'ß' || simple_lower(c).is_some() {
            since += 1;
            if since > NEAR_CHARS {
                break;
            }
        } else {
            since = 0;
            len = at + c.len_utf8();
        }
    }
    len
}

fn fold_ascii(out: &mut String, text: &str) {
    let mut rest = text;
    // Runs of text in which a space is followed by none go over whole.
    while !rest.is_empty() {
        let bytes = rest.as_bytes();
        let mut before = if out.ends_with(' ') { b' ' } else { 0 };
        let irregular = bytes.iter().position(|&byte| {
            let found = byte.is_ascii_whitespace() && (byte != b' ' || before == b' ')
                || byte == 0x0b
                || matches!(byte, 0x1c..=0x1f) && char::from(byte).is_whitespace();
            before = byte;
            found
        });
        let (regular, behind) = rest.split_at(irregular.unwrap_or(rest.len()));
        let from = out.len();
        out.push_str(regular);
        out[from..].make_ascii_lowercase();
        rest = behind.trim_start_matches(|c: char| c.is_whitespace());
        if rest.len() < behind.len() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
}

/// Characters that need looking up, and the one before them.
fn fold_others(out: &mut String, run: &str) {
    let visible: String = run.chars().filter(|&c| !is_ignorable(c)).collect();
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(&visible);
    // By way of upper case: so ς is σ, ß is ss, ı is i. The capital ẞ is one already.
    let cased: String = decomposed
        .chars()
        .map(|c| if c == '\u{1e9e}' { '\u{df}' } else { c })
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    push(out, ComposingNormalizerBorrowed::new_nfkc().normalize(&cased).chars());
}

fn push(out: &mut String, chars: impl Iterator<Item = char>) {
    for c in chars {
        match c.is_whitespace() {
            true if out.ends_with(' ') => {}
            true => out.push(' '),
            false => out.push(c),
        }
    }
}

/// The lower case of a character that needs no more among its like, and takes part in no other
/// character but by a mark behind it: the usual ones of many scripts, to save looking them up.
const fn simple_lower(c: char) -> Option<char> {
    let code = c as u32;
    let step = match code {
        // Latin, without ß, ligatures, dotless and dotted i, long s: capitals are 32 below, or
        // even (in some places odd) and next to their small letters.
        0xd7 | 0xe0..=0xff => 0,
        0xc0..=0xde => 32,
        0x100..=0x12f | 0x134..=0x137 | 0x14a..=0x177 => 1 - code % 2,
        0x139..=0x13e | 0x141..=0x148 | 0x179..=0x17e => code % 2,
        // Greek without ς.
        0x391..=0x3a1 | 0x3a3..=0x3a9 => 32,
        0x3b1..=0x3c1 | 0x3c3..=0x3c9 => 0,
        // Cyrillic.
        0x400..=0x40f => 80,
        0x410..=0x42f => 32,
        0x430..=0x45f => 0,
        // Hebrew, Arabic letters.
        0x5d0..=0x5ea | 0x621..=0x63a | 0x641..=0x64a => 0,
        // Dashes and quotes.
        0x2013 | 0x2014 | 0x2018 | 0x2019 | 0x201c | 0x201d => 0,
        // CJK punctuation, Hiragana, Katakana, Han, Hangul syllables.
        0x3001 | 0x3002 | 0x300c | 0x300d | 0x3041..=0x3096 | 0x30a1..=0x30fa | 0x30fc => 0,
        0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7a3 => 0,
        _ => return None,
    };
    char::from_u32(code + step)
}

/// Unicode §5.21 Default_Ignorable_Code_Point: what people do not see and do not type.
pub(crate) const fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// RFC 5051 §2: the canonical form of i;unicode-casemap, by which SORT and THREAD compare (RFC 5256
/// §2.1): each character in titlecase, then all decomposed. Its octets in UTF-8 give the order.
#[must_use]
pub fn casemap(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    let titled: String = text.chars().map(titlecase).collect();
    DecomposingNormalizerBorrowed::new_nfkd().normalize(&titled).into_owned()
}

/// Unicode's simple titlecase mapping.
fn titlecase(c: char) -> char {
    match c {
        // Digraphs have a form of their own.
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian has capitals and no titlecase.
        '\u{10d0}'..='\u{10ff}' => c,
        // Greek with iota below: one character in titlecase, two in capitals.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(u32::from(c) + 8).unwrap_or(c)
        }
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(u32::from(c) + 9).unwrap_or(c),
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}
