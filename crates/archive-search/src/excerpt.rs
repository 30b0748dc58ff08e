//! The place in a text where a word was found, to be shown.

use crate::words::Wanted;

/// Characters shown before what was found.
const BEFORE: usize = 48;
/// Characters shown behind it.
const BEHIND: usize = 96;
/// Characters of a text that are looked through.
const CHARS_MAX: usize = 1 << 18;

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// What stands before.
    pub before: String,
    /// What was found.
    pub hit: String,
    /// What stands behind.
    pub after: String,
}

/// Where one of these stands in a text first; `None` where none does.
pub fn excerpt(text: &str, wanted: &[&Wanted]) -> Option<Excerpt> {
    let shown: Vec<char> = squeezed(text);
    let mut folded: Vec<char> = Vec::with_capacity(shown.len());
    let mut from: Vec<usize> = Vec::with_capacity(shown.len());
    for (at, c) in shown.iter().enumerate() {
        for lower in c.to_lowercase() {
            folded.push(crate::words::without_mark(lower));
            from.push(at);
        }
    }
    let needles = wanted.iter().flat_map(|wanted| needles(wanted));
    let (at, length) = needles
        .filter(|needle| !needle.is_empty())
        .filter_map(|needle| Some((find(&folded, &needle)?, needle.len())))
        .next()?;
    let begin = from[at];
    let end = from.get(at + length).copied().unwrap_or(shown.len());
    let start = begin.saturating_sub(BEFORE);
    let stop = (end + BEHIND).min(shown.len());
    let text = |range: std::ops::Range<usize>| shown[range].iter().collect::<String>();
    let mut before = text(start..begin);
    // Not from the middle of a word, where there are words.
    if start > 0
        && let Some((_, rest)) = before.split_once(' ')
    {
        before = rest.to_owned();
    }
    let mut after = text(end..stop);
    if stop < shown.len()
        && let Some((rest, _)) = after.rsplit_once(' ')
    {
        after = rest.to_owned();
    }
    Some(Excerpt { before, hit: text(begin..end), after })
}

/// White space as single spaces; what would move a terminal's cursor is left out.
fn squeezed(text: &str) -> Vec<char> {
    let mut out = Vec::new();
    for c in text.chars().take(CHARS_MAX) {
        match c {
            c if c.is_whitespace() => {
                if out.last().is_some_and(|last| *last != ' ') {
                    out.push(' ');
                }
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// All that was asked for, then its words one by one; pairs of characters put together again.
fn needles(wanted: &Wanted) -> Vec<Vec<char>> {
    let mut whole = String::new();
    for word in &wanted.words {
        let pair = word.chars().count() == 2 && word.chars().all(crate::words::is_spaceless);
        let joins = pair && whole.chars().last() == word.chars().next();
        let from = if joins { word.char_indices().nth(1).map_or(0, |(at, _)| at) } else { 0 };
        if !joins && !whole.is_empty() {
            whole.push(' ');
        }
        whole.push_str(&word[from..]);
    }
    let mut needles = vec![whole.chars().collect()];
    needles.extend(wanted.words.iter().map(|word| word.chars().collect()));
    needles
}

fn find(text: &[char], needle: &[char]) -> Option<usize> {
    let first = *needle.first()?;
    let last = text.len().checked_sub(needle.len())?;
    (0..=last).find(|&at| text[at] == first && text[at..].starts_with(needle))
}
