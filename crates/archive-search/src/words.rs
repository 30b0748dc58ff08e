//! How text becomes words to look up. Text and query go through the same function, so what is
//! written in a message is found as it is typed.
//!
//! Latin and the like: a word is a run of letters and digits. Chinese, Japanese, Korean and other
//! scripts without spaces: each two neighbours are a word, and the last character of a run is one by
//! itself, so that any part of a run of two characters or more is a phrase of such pairs, and a
//! single character is the beginning of some.

use std::borrow::Cow;
use std::sync::OnceLock;

use icu_normalizer::DecomposingNormalizerBorrowed;

/// Octets of a word; what is longer is cut there, in text and query alike.
pub const WORD_OCTETS_MAX: usize = 64;

/// Characters of a part of a word.
pub const PART_CHARS_MIN: usize = 3;

/// The words of a text that [`message::fold`] was applied to, with a space behind each, appended to
/// `out`. Nothing but letters, digits and what is not ASCII stands in a word.
pub fn write_words(folded: &str, out: &mut String) {
    let mut run = Run::None;
    let mut word_from = out.len();
    for c in folded.chars() {
        let c = without_mark(c);
        match kind(c) {
            Kind::Spaceless => {
                if matches!(run, Run::Word) {
                    end_word(out, &mut word_from);
                }
                if let Run::Pair(before) = run {
                    out.push(before);
                    out.push(c);
                    out.push(' ');
                }
                word_from = out.len();
                run = Run::Pair(c);
            }
            Kind::Letter => {
                end_pair(out, &mut run, &mut word_from);
                if out.len() - word_from + c.len_utf8() <= WORD_OCTETS_MAX {
                    out.push(c);
                }
                run = Run::Word;
            }
            Kind::Other => {
                end_pair(out, &mut run, &mut word_from);
                if matches!(run, Run::Word) {
                    end_word(out, &mut word_from);
                }
                run = Run::None;
            }
        }
    }
    end_pair(out, &mut run, &mut word_from);
    if matches!(run, Run::Word) {
        end_word(out, &mut word_from);
    }
}

/// Octets folded together: of some characters eleven times as many become.
const PIECE_OCTETS: usize = 16 << 10;

/// The words of a text as it was written, appended to `out` until that has `octets_max` octets; what
/// is behind is left out. It never takes much more memory than these.
pub fn fold_words(text: &str, out: &mut String, octets_max: usize) {
    let mut rest = text;
    while !rest.is_empty() && out.len() < octets_max {
        let (piece, behind) = rest.split_at(piece_len(rest));
        write_words(&message::fold(piece), out);
        rest = behind;
    }
    cut_words(out, octets_max);
}

/// Takes away the words that do not fit into so many octets.
pub fn cut_words(words: &mut String, octets_max: usize) {
    if words.len() > octets_max {
        let end = words.as_bytes()[..octets_max].iter().rposition(|&octet| octet == b' ');
        words.truncate(end.map_or(0, |end| end + 1));
    }
}

/// Octets up to a place where no word goes on, if there is one.
fn piece_len(text: &str) -> usize {
    if text.len() <= PIECE_OCTETS {
        return text.len();
    }
    let most = text.floor_char_boundary(PIECE_OCTETS);
    let between = |c: char| c.is_whitespace() || c.is_ascii_punctuation() || "、。，；".contains(c);
    text[..most].rfind(between).filter(|at| *at > 0).unwrap_or(most)
}

enum Run {
    None,
    Word,
    /// Its last character.
    Pair(char),
}

fn end_word(out: &mut String, word_from: &mut usize) {
    out.push(' ');
    *word_from = out.len();
}

fn end_pair(out: &mut String, run: &mut Run, word_from: &mut usize) {
    if let Run::Pair(last) = *run {
        out.push(last);
        out.push(' ');
        *word_from = out.len();
        *run = Run::None;
    }
}

/// A word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The words, which follow each other.
    pub words: Vec<String>,
    /// The last word may go on.
    pub open: bool,
}

impl Wanted {
    /// What to look for, for a text as it was typed; `None` where no word is in it. `exact`: it was
    /// in quotes.
    #[must_use]
    pub fn of(text: &str, exact: bool) -> Option<Self> {
        let mut all = String::new();
        write_words(&message::fold(text), &mut all);
        let mut words: Vec<String> = all.split_terminator(' ').map(str::to_owned).collect();
        let last = words.last()?;
        let single = last.chars().count() == 1 && last.chars().all(is_spaceless);
        let mut open = !exact;
        if single {
            let before = words.len().checked_sub(2).map(|at| &words[at]);
            // The last character of a run of two or more: here the run may go on.
            if before.is_some_and(|pair| is_pair(pair) && pair.ends_with(last.as_str())) {
                words.pop();
                open = false;
            } else {
                open = true;
            }
        }
        Some(Self { words, open })
    }

    /// Whether it stands in these words, as it would be found in them.
    #[must_use]
    pub fn is_in(&self, words: &str) -> bool {
        if let Some(part) =
            self.part_of_word().filter(|part| part.chars().count() >= PART_CHARS_MIN)
        {
            return words.split_terminator(' ').any(|word| word.contains(part));
        }
        let Some((last, before)) = self.words.split_last() else { return false };
        let open = self.open && self.part_of_word().is_none();
        let all: Vec<&str> = words.split_terminator(' ').collect();
        all.windows(self.words.len()).any(|run| {
            let ends = run.last().is_some_and(|word| match open {
                true => word.starts_with(last.as_str()),
                false => word == last,
            });
            ends && run.iter().zip(before).all(|(word, wanted)| word == wanted)
        })
    }

    /// The only word, where it is one in which letters stand side by side: parts of such are found.
    #[must_use]
    pub fn part_of_word(&self) -> Option<&str> {
        match &*self.words {
            [word] if self.open && !word.chars().any(is_spaceless) => Some(word),
            _ => None,
        }
    }
}

fn is_pair(word: &str) -> bool {
    let mut chars = word.chars();
    matches!((chars.next(), chars.next(), chars.next()), (Some(a), Some(b), None)
        if is_spaceless(a) && is_spaceless(b))
}

enum Kind {
    Letter,
    Spaceless,
    Other,
}

fn kind(c: char) -> Kind {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() { Kind::Letter } else { Kind::Other };
    }
    if is_spaceless(c) {
        Kind::Spaceless
    } else if c.is_alphanumeric() {
        Kind::Letter
    } else {
        Kind::Other
    }
}

/// Whether a character is of a script that is written without spaces, or like Korean with words that
/// grow endings.
pub const fn is_spaceless(c: char) -> bool {
    matches!(c,
        // Thai, Lao, Myanmar, Khmer.
        '\u{0e01}'..='\u{0e3a}' | '\u{0e40}'..='\u{0e4e}' | '\u{0e81}'..='\u{0ece}'
        | '\u{1000}'..='\u{103f}' | '\u{1780}'..='\u{17d3}'
        // Jamo, Kana with its marks, Bopomofo, Hangul.
        | '\u{1100}'..='\u{11ff}' | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{309f}'
        | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{312f}' | '\u{3131}'..='\u{318e}'
        | '\u{31f0}'..='\u{31ff}' | '\u{ac00}'..='\u{d7a3}'
        // Han.
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// First and behind the last of the letters whose marks are left out.
const MARKED: [(u32, u32); 3] = [(0xc0, 0x250), (0x370, 0x400), (0x1e00, 0x2000)];

/// A Latin or Greek letter without its accents: `cafe` finds `café`.
pub fn without_mark(c: char) -> char {
    static TABLE: OnceLock<Vec<char>> = OnceLock::new();
    let code = u32::from(c);
    if !(0xc0..0x2000).contains(&code) {
        return c;
    }
    let mut at = 0;
    for (first, end) in MARKED {
        if (first..end).contains(&code) {
            let table = TABLE.get_or_init(unmarked);
            return table.get(at + (code - first) as usize).copied().unwrap_or(c);
        }
        at += (end - first) as usize;
    }
    c
}

fn unmarked() -> Vec<char> {
    let normalizer = DecomposingNormalizerBorrowed::new_nfd();
    let codes = MARKED.into_iter().flat_map(|(first, end)| first..end);
    codes
        .map(|code| {
            let Some(c) = char::from_u32(code) else { return ' ' };
            let mut buffer = [0; 4];
            let whole = normalizer.normalize(c.encode_utf8(&mut buffer));
            let whole: Cow<'_, str> = whole;
            whole.chars().next().unwrap_or(c)
        })
        .collect()
}
