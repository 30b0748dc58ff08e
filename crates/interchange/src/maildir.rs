//! Names in a Maildir: flags behind `:2,`, folders behind dots, and Dovecot's files beside them.

use std::collections::HashMap;

use mail_types::{Flags, Keyword, SystemFlag};

/// The flags that have a letter of their own. `P` (passed) is kept as `$Forwarded`, as others do.
const LETTERS: [(u8, SystemFlag); 5] = [
    (b'D', SystemFlag::Draft),
    (b'F', SystemFlag::Flagged),
    (b'R', SystemFlag::Answered),
    (b'S', SystemFlag::Seen),
    (b'T', SystemFlag::Deleted),
];
const FORWARDED: &str = "$Forwarded";
/// Dovecot: keywords 0 to 25 are `a` to `z`.
const KEYWORDS_MAX: usize = 26;
/// Lines of `dovecot-uidlist` that are read.
const UIDS_MAX: usize = 10_000_000;

/// Dovecot's `dovecot-keywords`: which lower-case letter is which keyword.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keywords(Vec<Option<Keyword>>);

impl Keywords {
    /// Reads the file: a line is a number and a keyword. What is none is left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut known = vec![None; KEYWORDS_MAX];
        for line in text.lines() {
            let Some((number, keyword)) = line.trim().split_once(' ') else { continue };
            let place = number.parse::<usize>().ok().filter(|&number| number < KEYWORDS_MAX);
            if let (Some(place), Ok(keyword)) = (place, Keyword::new(keyword.trim())) {
                known[place] = Some(keyword);
            }
        }
        Self(known)
    }

    /// The letter of a keyword, which gets the next free one where it has none; `None` where all are
    /// in use.
    pub fn letter(&mut self, keyword: &Keyword) -> Option<u8> {
        let found = self.0.iter().position(|known| known.as_ref() == Some(keyword));
        let place = match found {
            Some(place) => place,
            None if self.0.len() < KEYWORDS_MAX => {
                self.0.push(Some(keyword.clone()));
                self.0.len() - 1
            }
            None => return None,
        };
        Some(b'a' + u8::try_from(place).ok()?)
    }

    /// The file's text; empty where there are none.
    #[must_use]
    pub fn write(&self) -> String {
        let lines = self.0.iter().enumerate();
        lines
            .filter_map(|(place, keyword)| {
                Some(format!("{place} {}\n", keyword.as_ref()?.as_str()))
            })
            .collect()
    }

    fn of_letter(&self, letter: u8) -> Option<&Keyword> {
        self.0.get(usize::from(letter.checked_sub(b'a')?))?.as_ref()
    }
}

/// The part of a file's name that stays when its flags change.
#[must_use]
pub fn unique_name(file: &str) -> &str {
    info_at(file).map_or(file, |at| &file[..at])
}

/// The flags in a file's name.
#[must_use]
pub fn file_flags(file: &str, keywords: &Keywords) -> Flags {
    let mut flags = Flags::default();
    let Some(at) = info_at(file) else { return flags };
    for letter in file[at + 3..].bytes() {
        if let Some((_, flag)) = LETTERS.iter().find(|(known, _)| *known == letter) {
            flags.insert(*flag);
        } else if letter == b'P'
            && let Ok(forwarded) = Keyword::new(FORWARDED)
        {
            flags.insert_keyword(forwarded);
        } else if let Some(keyword) = keywords.of_letter(letter) {
            flags.insert_keyword(keyword.clone());
        }
    }
    flags
}

/// Where `:2,` begins. `;` and `!` stand for the colon on file systems that have none.
fn info_at(file: &str) -> Option<usize> {
    let at = file.rfind([':', ';', '!'])?;
    file[at + 1..].starts_with("2,").then_some(at)
}

/// A file's name in `cur` with these flags, letters in ASCII order as the format demands; a keyword
/// for which no letter is left is added to `left_out`.
pub fn file_name(
    unique: &str,
    flags: &Flags,
    keywords: &mut Keywords,
    left_out: &mut Vec<Keyword>,
) -> String {
    let mut letters: Vec<u8> =
        LETTERS.iter().filter(|(_, flag)| flags.has(*flag)).map(|(letter, _)| *letter).collect();
    for keyword in flags.keywords() {
        if keyword.as_str().eq_ignore_ascii_case(FORWARDED) {
            letters.push(b'P');
        } else if let Some(letter) = keywords.letter(keyword) {
            letters.push(letter);
        } else {
            left_out.push(keyword.clone());
        }
    }
    letters.sort_unstable();
    let letters: String = letters.into_iter().map(char::from).collect();
    format!("{unique}:2,{letters}")
}

/// Whether a file in `cur` or `new` is a message: hidden files are none.
#[must_use]
pub fn is_message_name(file: &str) -> bool {
    !file.is_empty() && !file.starts_with('.')
}

/// The mailbox's levels that a directory `.A.B` of a Maildir++ is: `["A", "B"]`, as they are
/// written there (modified UTF-7 or UTF-8). `None` where it is no such directory.
#[must_use]
pub fn folder_of_directory(directory: &str) -> Option<Vec<&str>> {
    let name = directory.strip_prefix('.')?;
    let levels: Vec<&str> = name.split('.').collect();
    (!levels.iter().any(|level| level.is_empty())).then_some(levels)
}

/// Dovecot's `dovecot-uidlist`: the order of messages that its IMAP clients saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UidList(HashMap<String, u32>);

impl UidList {
    /// Reads the file, of version 1 or 3. What is not understood is left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut uids = HashMap::new();
        let mut lines = text.lines();
        // Version 3 ends the fields of a line with ` :`; in version 1 the name is the second word.
        let is_3 = lines.next().is_some_and(|header| header.starts_with('3'));
        for line in lines.take(UIDS_MAX) {
            let Some((uid, rest)) = line.split_once(' ') else { continue };
            let name = if is_3 { rest.split_once(':').map(|(_, name)| name) } else { Some(rest) };
            if let (Ok(uid), Some(name)) = (uid.parse(), name) {
                uids.insert(unique_name(name.trim()).to_owned(), uid);
            }
        }
        Self(uids)
    }

    /// The UID of the file with this unique name.
    #[must_use]
    pub fn uid(&self, unique: &str) -> Option<u32> {
        self.0.get(unique).copied()
    }
}
