use mail_types::{Keyword, SystemFlag};

use super::charset::Charset;
use super::date::Day;
use super::fetch::FetchAttribute;
use super::filter::{FILTERED_MAILBOXES_MAX, MailboxFilter};
use super::returns::SearchReturn;
use super::scan::{Parsed, Scan, SyntaxError};
use super::sequence::{SequenceSet, UidSet};
use super::sort::{SortCriterion, ThreadAlgorithm, parse_sort_criteria, parse_thread_algorithm};

/// How deep search keys may nest: parentheses, NOT, and OR within the first operand of OR.
pub const SEARCH_DEPTH_MAX: usize = 64;
/// Search keys in one SEARCH.
pub const SEARCH_KEYS_MAX: usize = 50_000;

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
    /// UIDAFTER and UIDBEFORE (RFC 9738 §3.2): UIDs after one, or before it.
    Uids(UidSet),
    /// RFC 7162 §3.1.5: modification sequence at or above this.
    ModSeq(u64),
    /// RFC 5032: internal date at least this many seconds ago.
    Older(u32),
    /// RFC 5032: internal date at most this many seconds ago.
    Younger(u32),
    /// RFC 8514: saved before this day.
    SavedBefore(Day),
    /// Saved on this day.
    SavedOn(Day),
    /// Saved on or after this day.
    SavedSince(Day),
    /// RFC 8474 §6: the message with this key of the service.
    Email(u64),
    /// What only the message itself can tell.
    Content(ContentKey),
}

impl SearchKey {
    /// Whether a key among those it is put together from is so. Recursion is as deep as the parser
    /// allowed.
    pub(crate) fn has(&self, is_so: &impl Fn(&Self) -> bool) -> bool {
        match self {
            Self::And(keys) | Self::Or(keys) => keys.iter().any(|key| key.has(is_so)),
            Self::Not(key) => key.has(is_so),
            Self::Flag(_)
            | Self::Recent
            | Self::Keyword(_)
            | Self::Numbers { .. }
            | Self::Before(_)
            | Self::On(_)
            | Self::Since(_)
            | Self::Larger(_)
            | Self::Smaller(_)
            | Self::Uids(_)
            | Self::ModSeq(_)
            | Self::Older(_)
            | Self::Younger(_)
            | Self::SavedBefore(_)
            | Self::SavedOn(_)
            | Self::SavedSince(_)
            | Self::Email(_)
            | Self::Content(_) => is_so(self),
        }
    }
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
    /// THREADID (RFC 8474 §6): belongs to the thread of this number.
    Thread(u64),
}

/// In which order a search answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchOrder {
    /// SEARCH: as in the mailbox.
    Mailbox,
    /// SORT (RFC 5256 §3): by these, the first the most important.
    Sorted(Vec<SortCriterion>),
    /// THREAD (RFC 5256 §3).
    Threads(ThreadAlgorithm),
}

/// SEARCH, SORT, THREAD, those with UID, and ESEARCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Answer with UIDs.
    pub uid: bool,
    /// ESEARCH (RFC 7377 §2): in these mailboxes.
    pub sources: Option<Vec<MailboxFilter>>,
    /// In which order.
    pub order: SearchOrder,
    /// RETURN, if given: answer with ESEARCH.
    pub returns: Option<SearchReturn>,
    /// RFC 5465 §7: what to fetch of new messages that join a result with UPDATE.
    pub update_fetch: Vec<FetchAttribute>,
    /// A charset was named, though none need be.
    pub names_charset: bool,
    /// Which messages.
    pub key: SearchKey,
}

/// Why a SEARCH was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchError {
    /// The grammar is broken.
    Syntax(SyntaxError),
    /// An unknown charset.
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
        let (returns, update_fetch) = parse_returns(scan)?;
        scan.space()?;
        Self::program(scan, Self { uid, returns, update_fetch, ..Self::all() })
    }

    // RFC 7377 §5: esearch = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP
    // search-program; esearch-source-opts = "IN" SP "(" source-mbox [SP "(" scope-options ")"] ")"
    pub(crate) fn parse_esearch(scan: &mut Scan<'_>) -> Result<Self, SearchError> {
        let mut sources = Vec::new();
        if scan.eat_text(" IN (") {
            loop {
                if sources.len() == FILTERED_MAILBOXES_MAX {
                    return Err(SyntaxError("too many kinds of mailboxes").into());
                }
                sources.push(MailboxFilter::parse(scan)?);
                if scan.eat(b')') {
                    break;
                }
                scan.space()?;
            }
        } else {
            sources.push(MailboxFilter::Selected);
        }
        // RFC 7377 §2.2: "selected-delayed" makes no sense here.
        if sources.contains(&MailboxFilter::SelectedDelayed) {
            return Err(SyntaxError("ESEARCH takes no selected-delayed").into());
        }
        let all = SearchReturn { all: true, ..SearchReturn::default() };
        let returns = parse_returns(scan)?.0.or(Some(all));
        scan.space()?;
        Self::program(scan, Self { uid: true, sources: Some(sources), returns, ..Self::all() })
    }

    // RFC 5256 §5: sort = ["UID" SP] "SORT" SP sort-criteria SP search-criteria;
    // RFC 5267 §8: sort =/ "SORT" search-return-opts SP sort-criteria SP search-criteria
    pub(crate) fn parse_sort(scan: &mut Scan<'_>, uid: bool) -> Result<Self, SearchError> {
        let (returns, update_fetch) = parse_returns(scan)?;
        scan.space()?;
        let order = SearchOrder::Sorted(parse_sort_criteria(scan)?);
        scan.space()?;
        Self::criteria(scan, Self { uid, order, returns, update_fetch, ..Self::all() })
    }

    // RFC 5256 §5: thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria
    pub(crate) fn parse_thread(scan: &mut Scan<'_>, uid: bool) -> Result<Self, SearchError> {
        scan.space()?;
        let order = SearchOrder::Threads(parse_thread_algorithm(scan)?);
        scan.space()?;
        Self::criteria(scan, Self { uid, order, ..Self::all() })
    }

    const fn all() -> Self {
        Self {
            uid: false,
            sources: None,
            order: SearchOrder::Mailbox,
            returns: None,
            update_fetch: Vec::new(),
            names_charset: false,
            key: SearchKey::And(Vec::new()),
        }
    }

    /// `["CHARSET" SP astring SP] search-key *(SP search-key)`, and the end.
    fn program(scan: &mut Scan<'_>, search: Self) -> Result<Self, SearchError> {
        if scan.eat_text("CHARSET ") {
            return Self::criteria(scan, search);
        }
        search.keys(scan, Charset::UTF8)
    }

    // RFC 5256 §5: search-criteria = charset 1*(SP search-key); charset = atom / quoted
    fn criteria(scan: &mut Scan<'_>, search: Self) -> Result<Self, SearchError> {
        let charset = Charset::named(&scan.astring()?).ok_or(SearchError::Charset)?;
        scan.space()?;
        Self { names_charset: true, ..search }.keys(scan, charset)
    }

    fn keys(self, scan: &mut Scan<'_>, charset: Charset) -> Result<Self, SearchError> {
        let key = Keys { left: SEARCH_KEYS_MAX, charset }.list(scan, 0)?;
        scan.end()?;
        Ok(Self { key, ..self })
    }
}

/// `[SP "RETURN" SP "(" options ")"]`
fn parse_returns(scan: &mut Scan<'_>) -> Parsed<(Option<SearchReturn>, Vec<FetchAttribute>)> {
    if !scan.eat_text(" RETURN ") {
        return Ok((None, Vec::new()));
    }
    let (returns, update_fetch) = SearchReturn::parse(scan)?;
    Ok((Some(returns), update_fetch))
}

/// Counts the keys of one SEARCH down.
struct Keys {
    left: usize,
    charset: Charset,
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
            Some(b'0'..=b'9' | b'*' | b'$') => {
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
            name => simple(name, scan, self.charset),
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
fn simple(name: &str, scan: &mut Scan<'_>, charset: Charset) -> Parsed<SearchKey> {
    use SearchKey::{Before, Content, Flag, Larger, On, Recent, Since, Smaller};
    let text = |scan: &mut Scan<'_>| text(scan, charset);
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
        "UIDAFTER" => SearchKey::Uids(match uid(scan)?.checked_add(1) {
            Some(first) => UidSet::range(first, u32::MAX),
            None => UidSet::new(),
        }),
        "UIDBEFORE" => SearchKey::Uids(UidSet::range(1, uid(scan)? - 1)),
        "BEFORE" => Before(day(scan)?),
        "ON" => On(day(scan)?),
        "SINCE" => Since(day(scan)?),
        "LARGER" => Larger(octets(scan)?),
        "SMALLER" => Smaller(octets(scan)?),
        "MODSEQ" => modseq(scan)?,
        "OLDER" => SearchKey::Older(interval(scan)?),
        "YOUNGER" => SearchKey::Younger(interval(scan)?),
        "SAVEDBEFORE" => SearchKey::SavedBefore(day(scan)?),
        "SAVEDON" => SearchKey::SavedOn(day(scan)?),
        "SAVEDSINCE" => SearchKey::SavedSince(day(scan)?),
        // RFC 8514 §4.3: every mailbox here keeps the date.
        "SAVEDATESUPPORTED" => SearchKey::And(Vec::new()),
        "EMAILID" => object(scan, 'M')?.map_or_else(nothing, SearchKey::Email),
        "THREADID" => {
            let thread = object(scan, 'T')?.map(ContentKey::Thread);
            thread.map_or_else(nothing, Content)
        }
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

fn nothing() -> SearchKey {
    not(SearchKey::And(Vec::new()))
}

/// SP flag-keyword. No message has a keyword that cannot be one: it matches nothing.
fn keyword(scan: &mut Scan<'_>) -> Parsed<SearchKey> {
    scan.space()?;
    let atom = scan.atom()?;
    Ok(Keyword::new(atom).map_or_else(|_| nothing(), SearchKey::Keyword))
}

// RFC 8474 §8: objectid = 1*255(ALPHA / DIGIT / "_" / "-"). Ours are a letter and a number; `None`
// for one that is not ours.
fn object(scan: &mut Scan<'_>, kind: char) -> Parsed<Option<u64>> {
    scan.space()?;
    let id = scan.astring()?;
    let is_id_char = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    if id.is_empty() || id.len() > 255 || !id.iter().all(is_id_char) {
        return Err(SyntaxError("an object id has 1 to 255 letters, digits, _ and -"));
    }
    let digits = str::from_utf8(&id).ok().and_then(|id| id.strip_prefix(kind));
    let number = digits.and_then(|digits| Some((digits, digits.parse::<u64>().ok()?)));
    // One spelling only: ids are compared as octets.
    Ok(number.filter(|(digits, number)| number.to_string() == *digits).map(|(_, number)| number))
}

// RFC 9738 §4: search-key =/ "UIDAFTER" SP uniqueid / "UIDBEFORE" SP uniqueid
fn uid(scan: &mut Scan<'_>) -> Parsed<u32> {
    scan.space()?;
    Ok(scan.nz_number()?.get())
}

// RFC 5032 §4: interval = nz-number, in seconds
fn interval(scan: &mut Scan<'_>) -> Parsed<u32> {
    scan.space()?;
    Ok(scan.nz_number()?.get())
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

/// SP astring, in the charset of the search.
fn text(scan: &mut Scan<'_>, charset: Charset) -> Parsed<String> {
    scan.space()?;
    charset.decode(&scan.astring()?)
}
