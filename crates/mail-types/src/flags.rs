use std::fmt;

use serde::{Deserialize, Serialize};

/// The flags of a message in a mailbox (RFC 3501 §2.3.2): the permanent system flags and keywords.
/// Keywords are kept sorted and without twins, compared without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flags {
    system: u8,
    keywords: Vec<Keyword>,
}

/// A permanent system flag. `\Recent` is the session's own and lives in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SystemFlag {
    /// `\Seen`: has been read.
    Seen = 1,
    /// `\Answered`: has been answered.
    Answered = 2,
    /// `\Flagged`: marked for attention.
    Flagged = 4,
    /// `\Deleted`: goes at the next EXPUNGE.
    Deleted = 8,
    /// `\Draft`: not finished.
    Draft = 16,
}

impl SystemFlag {
    /// Every system flag, in the order FLAGS responses list them.
    pub const ALL: [Self; 5] =
        [Self::Answered, Self::Flagged, Self::Deleted, Self::Seen, Self::Draft];

    /// The flag as on the wire, with its backslash.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seen => "\\Seen",
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Draft => "\\Draft",
        }
    }

    /// The flag of this name, case ignored, with its backslash.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flag| flag.name().eq_ignore_ascii_case(name))
    }
}

impl Flags {
    /// From the stored bits of [`Flags::system_bits`] and keywords in any order.
    #[must_use]
    pub fn from_parts(system: u8, keywords: Vec<Keyword>) -> Self {
        let mut flags = Self { system: system & 31, keywords: Vec::new() };
        for keyword in keywords {
            flags.insert_keyword(keyword);
        }
        flags
    }

    /// The system flags as a sum of their values in [`SystemFlag`].
    #[must_use]
    pub const fn system_bits(&self) -> u8 {
        self.system
    }

    /// The keywords, sorted by their folded text.
    #[must_use]
    pub fn keywords(&self) -> &[Keyword] {
        &self.keywords
    }

    /// Whether no flag is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }

    /// Whether this system flag is set.
    #[must_use]
    pub const fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// Whether this keyword is set, case ignored.
    #[must_use]
    pub fn has_keyword(&self, keyword: &Keyword) -> bool {
        self.keywords.binary_search(keyword).is_ok()
    }

    /// Sets a system flag.
    pub const fn insert(&mut self, flag: SystemFlag) {
        self.system |= flag as u8;
    }

    /// Clears a system flag.
    pub const fn remove(&mut self, flag: SystemFlag) {
        self.system &= !(flag as u8);
    }

    /// Sets a keyword; one already there keeps its spelling.
    pub fn insert_keyword(&mut self, keyword: Keyword) {
        if let Err(place) = self.keywords.binary_search(&keyword) {
            self.keywords.insert(place, keyword);
        }
    }

    /// Adds all of `other` (STORE +FLAGS).
    pub fn add_all(&mut self, other: &Self) {
        self.system |= other.system;
        for keyword in &other.keywords {
            self.insert_keyword(keyword.clone());
        }
    }

    /// Takes all of `other` away (STORE -FLAGS).
    pub fn remove_all(&mut self, other: &Self) {
        self.system &= !other.system;
        self.keywords.retain(|keyword| !other.has_keyword(keyword));
    }
}

impl FromIterator<SystemFlag> for Flags {
    fn from_iter<I: IntoIterator<Item = SystemFlag>>(flags: I) -> Self {
        let mut set = Self::default();
        flags.into_iter().for_each(|flag| set.insert(flag));
        set
    }
}

/// The flags separated by spaces, as in a FLAGS response without its parentheses.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for flag in SystemFlag::ALL.into_iter().filter(|&flag| self.has(flag)) {
            write!(f, "{gap}{}", flag.name())?;
            gap = " ";
        }
        for keyword in &self.keywords {
            write!(f, "{gap}{}", keyword.as_str())?;
            gap = " ";
        }
        Ok(())
    }
}

/// A keyword (RFC 3501 §9 `flag-keyword = atom`), at most 64 octets; equal without regard to case.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Keyword(Box<str>);

/// A text that is no keyword.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a keyword is an IMAP atom of 1 to 64 ASCII characters")]
pub struct KeywordError;

impl Keyword {
    /// Parses `1*<any ATOM-CHAR>`.
    ///
    /// # Errors
    /// If the text is empty, longer than 64 octets, or holds anything but ATOM-CHARs.
    pub fn new(text: &str) -> Result<Self, KeywordError> {
        let atom = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(atom) {
            return Err(KeywordError);
        }
        Ok(Self(text.into()))
    }

    /// The keyword as it was first written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(other.folded())
    }
}

impl std::hash::Hash for Keyword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folded().for_each(|byte| state.write_u8(byte));
    }
}

/// The use a mailbox is for (RFC 6154).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SpecialUse {
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    /// Every use, in alphabetical order.
    pub const ALL: [Self; 5] = [Self::Archive, Self::Drafts, Self::Junk, Self::Sent, Self::Trash];

    /// The attribute as on the wire, with its backslash.
    #[must_use]
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }

    /// The name that the mailbox of this use has in a new account.
    #[must_use]
    pub fn mailbox_name(self) -> &'static str {
        self.attribute().trim_start_matches('\\')
    }
}

impl TryFrom<String> for Keyword {
    type Error = KeywordError;

    fn try_from(text: String) -> Result<Self, KeywordError> {
        Self::new(&text)
    }
}

impl From<Keyword> for String {
    fn from(keyword: Keyword) -> Self {
        keyword.0.into()
    }
}
