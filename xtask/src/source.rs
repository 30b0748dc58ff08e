//! Rust source as the rules see it: code without comments and strings, functions with their
//! lengths, imports spelled out, and which lines are tests.

use std::ops::Range;

/// One function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of `fn`, from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace.
    pub lines: usize,
}

/// A Rust file, read as far as the rules need it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The text with comments and the insides of strings blanked out; lines stay where they were.
    pub code: String,
    /// Byte ranges of `#[cfg(test)]` items.
    tests: Vec<Range<usize>>,
    /// The bytes that end lines.
    line_ends: Vec<usize>,
}

impl Source {
    /// Reads a file.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let code = masked(text);
        let tests = test_items(&code);
        let line_ends = code.match_indices('\n').map(|(at, _)| at).collect();
        Self { code, tests, line_ends }
    }

    /// The line of a byte, from 1.
    #[must_use]
    pub fn line_of(&self, at: usize) -> usize {
        1 + self.line_ends.partition_point(|end| *end < at)
    }

    /// Whether the byte belongs to a `#[cfg(test)]` item.
    #[must_use]
    pub fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }

    /// Where `token` stands as whole words: no letter, digit or underscore touches an end of it
    /// that is one itself.
    #[must_use]
    pub fn find(&self, token: &str) -> Vec<usize> {
        self.code
            .match_indices(token)
            .map(|(at, _)| at)
            .filter(|at| {
                let before = self.code.get(..*at).unwrap_or_default();
                let after = self.code.get(at + token.len()..).unwrap_or_default();
                let grown_left = token.starts_with(is_word) && before.ends_with(is_word);
                let grown_right = token.ends_with(is_word) && after.starts_with(is_word);
                !grown_left && !grown_right
            })
            .collect()
    }

    /// Every path that a `use` brings in, braces spelled out, with the byte of its `use`.
    #[must_use]
    pub fn imports(&self) -> Vec<(usize, String)> {
        let mut all = Vec::new();
        for at in self.find("use") {
            let rest = self.code.get(at + 3..).unwrap_or_default();
            let Some(end) = rest.find(';') else { continue };
            let tree: String = rest[..end].split_whitespace().collect::<Vec<_>>().join(" ");
            let mut paths = Vec::new();
            spell_out("", &tree, &mut paths);
            all.extend(paths.into_iter().map(|path| (at, path)));
        }
        all
    }

    /// Every function with a body, nested ones too.
    #[must_use]
    pub fn functions(&self) -> Vec<Function> {
        let mut all = Vec::new();
        for at in self.find("fn") {
            let rest = self.code.get(at + 2..).unwrap_or_default();
            let name: String = rest.trim_start().chars().take_while(|c| is_word(*c)).collect();
            // `fn(u8) -> u8` is a type.
            if name.is_empty() {
                continue;
            }
            let Some(open) = body_start(rest) else { continue };
            let Some(close) = matching_brace(rest, open) else { continue };
            let lines = 1 + rest[..close].bytes().filter(|byte| *byte == b'\n').count();
            all.push(Function { name, line: self.line_of(at), lines });
        }
        all
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The brace that opens the body of the function whose signature `text` begins with; `None` where
/// it has no body.
fn body_start(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// The brace that closes the one at `open`.
fn matching_brace(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The items behind `#[cfg(test)]`, to their closing brace.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for (at, mark) in code.match_indices("#[cfg(test)]") {
        let behind = at + mark.len();
        let rest = code.get(behind..).unwrap_or_default();
        let end = body_start(rest).and_then(|open| matching_brace(rest, open));
        if let Some(close) = end {
            ranges.push(at..behind + close + 1);
        }
    }
    ranges
}

/// Spells out the braces of a `use` tree: `a::{b, c::d as e}` becomes `a::b` and `a::c::d`.
fn spell_out(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        if !path.is_empty() {
            paths.push(format!("{prefix}{path}"));
        }
        return;
    };
    let prefix = format!("{prefix}{}", tree[..open].trim());
    let close = matching_brace(tree, open).unwrap_or(tree.len());
    let inner = &tree[open + 1..close];
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                spell_out(&prefix, &inner[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    spell_out(&prefix, &inner[start..], paths);
}

/// The text with comments and the insides of string and character literals as spaces.
fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Each turn takes at least one character off `rest`.
    while let Some(first) = rest.chars().next() {
        let before = out.chars().next_back();
        let blank = blank_length(rest, before);
        if blank == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (hidden, after) = rest.split_at(blank);
            out.extend(hidden.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            rest = after;
        }
    }
    out
}

/// Octets of the comment or literal that `text` begins with; 0 where it begins with code.
fn blank_length(text: &str, before: Option<char>) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment_length(text);
    }
    if text.starts_with('"') {
        return string_length(text);
    }
    if text.starts_with('\'') {
        return char_length(text);
    }
    // r"…", r#"…"#, br"…", cr"…": the letters are no word of their own.
    if before.is_none_or(|c| !is_word(c)) {
        let behind = text.strip_prefix(['b', 'c']).unwrap_or(text);
        if let Some(behind) = behind.strip_prefix('r') {
            let hashes = behind.len() - behind.trim_start_matches('#').len();
            if behind[hashes..].starts_with('"') {
                let start = text.len() - behind.len() + hashes + 1;
                let end = format!("\"{}", "#".repeat(hashes));
                return text[start..].find(&end).map_or(text.len(), |at| start + at + end.len());
            }
        }
    }
    0
}

fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal's length; 0 for a lifetime.
fn char_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            let behind = text.get(3..).unwrap_or_default();
            behind.find('\'').map_or(0, |at| 3 + at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}
