use mail_types::{Keyword, SystemFlag};

use super::date::Day;
use super::scan::{Parsed, Scan, SyntaxError};
use super::sequence::SequenceSet;

/// How deep search keys may nest: parentheses, NOT, and OR within the first operand of OR.
pub const SEARCH_DEPTH_MAX: usize = 64;
/// Search keys in one SEARCH.
pub const SEARCH_KEYS_MAX: usize = 20_000;

/// A search key (RFC 3501 §6.4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// All of them; empty is ALL.
    And(Vec<SearchKey>),
    /// Any of them: at least two.
    Or(Vec<SearchKey>),
    /// NOT.
    Not(Box<SearchKey>),
    /// ANSWERED, DELETED, DRAFT, FLAGGED, SEEN.
    Flag(SystemFlag),
    /// RECENT.
    Recent,
    /// KEYWORD.
    Keyword(Keyword),
    /// A sequence set, or UID and one.
    Numbers {
        /// UIDs, not sequence numbers.
        uid: bool,
        /// Which.
        set: SequenceSet,
    },
    /// Internal date before this day.
    Before(Day),
    /// Internal date on this day.
    On(Day),
    /// Internal date on or after this day.
    Since(Day),
    /// Larger than this many octets.
    Larger(u32),
    /// Smaller than this many octets.
    Smaller(u32),
    /// RFC 7162 §3.1.5: modification sequence at or above this.
    ModSeq(u64),
    /// What only the message itself can tell.
    Content(ContentKey),
}

/// A search key that needs the message: the service matches it. Texts match as substrings, case
/// ignored, in decoded text (RFC 3501 §6.4.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ContentKey {
    /// HEADER, and BCC, CC, FROM, SUBJECT, TO: a field of this name that holds the text; any field
    /// of this name where the text is empty.
    Header {
        /// Field name, in lower case.
        name: String,
        /// Substring of its decoded value.
        text: String,
    },
    /// BODY: in the body.
    Body(String),
    /// TEXT: in header or body.
    Text(String),
    /// Date header before this day, its time and zone disregarded.
    SentBefore(Day),
    /// Date header on this day.
    SentOn(Day),
    /// Date header on or after this day.
    SentSince(Day),
}

/// What an extended search returns (RFC 4731 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchReturn {
    /// MIN.
    pub min: bool,
    /// MAX.
    pub max: bool,
    /// ALL, also where the list was empty.
    pub all: bool,
    /// COUNT.
    pub count: bool,
}

/// SEARCH or UID SEARCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Answer with UIDs.
    pub uid: bool,
    /// RETURN, if given: answer with ESEARCH.
    pub returns: Option<SearchReturn>,
    /// Which messages.
    pub key: SearchKey,
}

/// Why a SEARCH was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchError {
    /// The grammar is broken.
    Syntax(SyntaxError),
    /// A charset other than US-ASCII and UTF-8.
    Charset,
}

impl From<SyntaxError> for SearchError {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

impl Search {
    // RFC 3501 §9, RFC 4731 §4: search = "SEARCH" [SP "RETURN" SP "(" options ")"]
    // [SP "CHARSET" SP astring] 1*(SP search-key)
    pub(crate) fn parse(scan: &mut Scan<'_>, uid: bool) -> Result<Self, SearchError> {
        scan.space()?;
        let returns = if scan.eat_text("RETURN ") {
            let returns = SearchReturn::parse(scan)?;
            scan.space()?;
            Some(returns)
        } else {
            None
        };
        if scan.eat_text("CHARSET ") {
            let charset = scan.astring()?.to_ascii_uppercase();
            if charset != b"UTF-8" && charset != b"US-ASCII" {
                return Err(SearchError::Charset);
            }
            scan.space()?;
        }
        let mut keys = Keys { left: SEARCH_KEYS_MAX };
        let key = keys.list(scan, 0)?;
        scan.end()?;
        Ok(Self { uid, returns, key })
    }
}

impl SearchReturn {
    fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        let mut returns = Self::default();
        scan.expect(b'(', "RETURN takes a list in parentheses")?;
        while !scan.eat(b')') {
            match scan.word()?.as_str() {
                "MIN" => returns.min = true,
                "MAX" => returns.max = true,
                "ALL" => returns.all = true,
                "COUNT" => returns.count = true,
                _ => return Err(SyntaxError("unknown result option in RETURN")),
            }
            scan.eat(b' ');
        }
        if returns == Self::default() {
            returns.all = true;
        }
        Ok(returns)
    }
}

/// Counts the keys of one SEARCH down.
struct Keys {
    left: usize,
}

impl Keys {
    /// `search-key *(SP search-key)`: up to a `)` or the end of the line.
    fn list(&mut self, scan: &mut Scan<'_>, depth: usize) -> Parsed<SearchKey> {
        let mut keys = vec![self.key(scan, depth)?];
        while scan.eat(b' ') {
            keys.push(self.key(scan, depth)?);
        }
        match keys.pop() {
            Some(only) if keys.is_empty() => Ok(only),
            last => {
                keys.extend(last);
                Ok(SearchKey::And(keys))
            }
        }
    }

    fn key(&mut self, scan: &mut Scan<'_>, depth: usize) -> Parsed<SearchKey> {
        self.left = self.left.checked_sub(1).ok_or(SyntaxError("too many search keys"))?;
        if depth >= SEARCH_DEPTH_MAX {
            return Err(SyntaxError("search keys nest too deep"));
        }
        match scan.peek() {
            Some(b'(') => {
                scan.eat(b'(');
                let list = self.list(scan, depth + 1)?;
                scan.expect(b')', "a search list has no )")?;
                return Ok(list);
            }
            Some(b'0'..=b'9' | b'*') => {
                return Ok(SearchKey::Numbers { uid: false, set: SequenceSet::parse(scan)? });
            }
            _ => {}
        }
        let name = scan.word()?;
        match name.as_str() {
            "NOT" => {
                scan.space()?;
                Ok(not(self.key(scan, depth + 1)?))
            }
            "OR" => self.or(scan, depth),
            name => simple(name, scan),
        }
    }

    /// "OR" SP search-key SP search-key; a chain in the second operand, however long, is one list:
    /// mail programs write hundreds, and depth is for what really nests.
    fn or(&mut self, scan: &mut Scan<'_>, depth: usize) -> Parsed<SearchKey> {
        let mut any = Vec::new();
        loop {
            scan.space()?;
            any.push(self.key(scan, depth + 1)?);
            scan.space()?;
            if !scan.rest().get(..3).is_some_and(|next| next.eq_ignore_ascii_case(b"OR ")) {
                any.push(self.key(scan, depth + 1)?);
                return Ok(SearchKey::Or(any));
            }
            self.left = self.left.checked_sub(1).ok_or(SyntaxError("too many search keys"))?;
            scan.eat_text("OR");
        }
    }
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

/// The keys that hold no other.
fn simple(name: &str, scan: &mut Scan<'_>) -> Parsed<SearchKey> {
    use SearchKey::{Before, Content, Flag, Larger, On, Recent, Since, Smaller};
    Ok(match name {
        "ALL" => SearchKey::And(Vec::new()),
        "ANSWERED" => Flag(SystemFlag::Answered),
        "DELETED" => Flag(SystemFlag::Deleted),
        "DRAFT" => Flag(SystemFlag::Draft),
        "FLAGGED" => Flag(SystemFlag::Flagged),
        "SEEN" => Flag(SystemFlag::Seen),
        "UNANSWERED" => not(Flag(SystemFlag::Answered)),
        "UNDELETED" => not(Flag(SystemFlag::Deleted)),
        "UNDRAFT" => not(Flag(SystemFlag::Draft)),
        "UNFLAGGED" => not(Flag(SystemFlag::Flagged)),
        "UNSEEN" => not(Flag(SystemFlag::Seen)),
        "RECENT" => Recent,
        "OLD" => not(Recent),
        "NEW" => SearchKey::And(vec![Recent, not(Flag(SystemFlag::Seen))]),
        "KEYWORD" => keyword(scan)?,
        "UNKEYWORD" => not(keyword(scan)?),
        "UID" => {
            scan.space()?;
            SearchKey::Numbers { uid: true, set: SequenceSet::parse(scan)? }
        }
        "BEFORE" => Before(day(scan)?),
        "ON" => On(day(scan)?),
        "SINCE" => Since(day(scan)?),
        "LARGER" => Larger(octets(scan)?),
        "SMALLER" => Smaller(octets(scan)?),
        "MODSEQ" => modseq(scan)?,
        "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => {
            Content(ContentKey::Header { name: name.to_ascii_lowercase(), text: text(scan)? })
        }
        "HEADER" => {
            let field = text(scan)?.to_ascii_lowercase();
            Content(ContentKey::Header { name: field, text: text(scan)? })
        }
        "BODY" => Content(ContentKey::Body(text(scan)?)),
        "TEXT" => Content(ContentKey::Text(text(scan)?)),
        "SENTBEFORE" => Content(ContentKey::SentBefore(day(scan)?)),
        "SENTON" => Content(ContentKey::SentOn(day(scan)?)),
        "SENTSINCE" => Content(ContentKey::SentSince(day(scan)?)),
        _ => return Err(SyntaxError("unknown search key")),
    })
}

/// SP flag-keyword. No message has a keyword that cannot be one: it matches nothing.
fn keyword(scan: &mut Scan<'_>) -> Parsed<SearchKey> {
    scan.space()?;
    let atom = scan.atom()?;
    Ok(Keyword::new(atom).map_or_else(|_| not(SearchKey::And(Vec::new())), SearchKey::Keyword))
}

fn day(scan: &mut Scan<'_>) -> Parsed<Day> {
    scan.space()?;
    Day::parse(scan)
}

fn octets(scan: &mut Scan<'_>) -> Parsed<u32> {
    scan.space()?;
    scan.number()
}

// RFC 7162 §3.1.5: "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer. All flags of
// a message share one modification sequence here, so the entry makes no difference.
fn modseq(scan: &mut Scan<'_>) -> Parsed<SearchKey> {
    scan.space()?;
    if scan.peek() == Some(b'"') {
        scan.string()?;
        scan.space()?;
        scan.atom()?;
        scan.space()?;
    }
    Ok(SearchKey::ModSeq(scan.number64()?))
}

/// SP astring, in US-ASCII or UTF-8.
fn text(scan: &mut Scan<'_>) -> Parsed<String> {
    scan.space()?;
    match String::from_utf8(scan.astring()?.into_owned()) {
        Ok(text) => Ok(text),
        Err(_) => Err(SyntaxError("a search text is not valid UTF-8")),
    }
}
