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
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let is_other = |byte: &u8| !byte.is_ascii();
        let Some(run) = bytes[at..].iter().position(is_other) else {
            fold_ascii(out, &text[at..]);
            return;
        };
        // The character before may take a mark that follows. Proven: both are ASCII, so these
        // are boundaries of characters.
        let begin = at + run.saturating_sub(1);
        fold_ascii(out, &text[at..begin]);
        let other = at + run;
        let end = bytes[other..].iter().position(u8::is_ascii).map_or(bytes.len(), |n| other + n);
        fold_run(out, &text[begin..end]);
        at = end;
    }
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

/// A run of characters beyond ASCII, perhaps with one of ASCII before it.
fn fold_run(out: &mut String, run: &str) {
    if run.chars().all(|c| c.is_ascii() || is_simple(c)) {
        for c in run.chars() {
            push(out, c.to_lowercase());
        }
        return;
    }
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

/// Whether a character among its like only needs its lower case: the usual ones of many scripts,
/// to save looking them up.
const fn is_simple(c: char) -> bool {
    matches!(c,
        // Latin, without ß, ligatures, dotless and dotted i, long s.
        '\u{c0}'..='\u{de}' | '\u{e0}'..='\u{12f}' | '\u{134}'..='\u{13e}'
        | '\u{141}'..='\u{148}' | '\u{14a}'..='\u{17e}'
        // Greek without ς, Cyrillic, Hebrew, Arabic.
        | '\u{391}'..='\u{3a1}' | '\u{3a3}'..='\u{3a9}' | '\u{3b1}'..='\u{3c1}'
        | '\u{3c3}'..='\u{3c9}' | '\u{400}'..='\u{45f}' | '\u{5d0}'..='\u{5ea}'
        | '\u{621}'..='\u{63a}' | '\u{641}'..='\u{64a}'
        // Dashes and quotes.
        | '\u{2013}' | '\u{2014}' | '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}'
        // CJK punctuation, Hiragana, Katakana, Han, Hangul syllables.
        | '\u{3001}' | '\u{3002}' | '\u{300c}' | '\u{300d}' | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}' | '\u{30fc}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
    )
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
