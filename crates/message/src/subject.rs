//! RFC 5256 §2.1: the base subject, by which SORT and THREAD compare.

/// The base subject of a decoded Subject, and whether taking it out removed the marks of a reply or
/// forward. Linear in the text.
#[must_use]
pub fn base_subject(subject: &str) -> (String, bool) {
    // (1): tabs and runs of spaces become one space.
    let mut text = String::with_capacity(subject.len());
    for word in subject.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    let mut rest = &*text;
    let mut is_reply_or_forward = false;
    loop {
        // (2): trailers.
        rest = rest.trim_end_matches(' ');
        while let Some(before) = without_suffix(rest, "(fwd)") {
            is_reply_or_forward = true;
            rest = before.trim_end_matches(' ');
        }
        // (3) to (5): leaders.
        loop {
            rest = rest.trim_start_matches(' ');
            let behind_blobs = skip_blobs(rest);
            if let Some(behind) = refwd(behind_blobs) {
                is_reply_or_forward = true;
                rest = behind;
                continue;
            }
            // Behind no blob is a refwd, so all of them go, unless they are all there is: then
            // the last one stays.
            rest = if behind_blobs.is_empty() { last_blob(rest) } else { behind_blobs };
            break;
        }
        // (6)
        let Some(inside) = without_prefix(rest, "[fwd:").and_then(|rest| rest.strip_suffix(']'))
        else {
            return (rest.to_owned(), is_reply_or_forward);
        };
        is_reply_or_forward = true;
        rest = inside;
    }
}

/// `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`; returns what is behind it.
fn refwd(rest: &str) -> Option<&str> {
    let word = without_prefix(rest, "re")
        .or_else(|| without_prefix(rest, "fwd"))
        .or_else(|| without_prefix(rest, "fw"))?;
    let word = word.trim_start_matches(' ');
    blob(word).unwrap_or(word).strip_prefix(':')
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`; returns what is behind it.
fn blob(rest: &str) -> Option<&str> {
    let inside = rest.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    Some(inside[end..].strip_prefix(']')?.trim_start_matches(' '))
}

fn skip_blobs(rest: &str) -> &str {
    let mut rest = rest;
    while let Some(behind) = blob(rest) {
        rest = behind;
    }
    rest
}

/// The last of the blobs that make up `rest`.
fn last_blob(rest: &str) -> &str {
    let mut rest = rest;
    while let Some(behind) = blob(rest).filter(|behind| !behind.is_empty()) {
        rest = behind;
    }
    rest
}

fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let found = text.get(..prefix.len())?.eq_ignore_ascii_case(prefix);
    found.then(|| &text[prefix.len()..])
}

fn without_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    let found = text.get(at..)?.eq_ignore_ascii_case(suffix);
    found.then(|| &text[..at])
}
