//! What people ask: `from:anna subject:"annual report" has:attachment after:2026-01-01 会议`.
//!
//! ```text
//! query  = 1*(["-"] term / "OR")
//! term   = [key ":"] (word / DQUOTE text DQUOTE)
//! ```
//!
//! All terms must hold; `OR` between two terms that are words lets either do; `-` turns one round.

use mail_types::{Address, MailId, ReceiptId, Timestamp};
use store::CustodyState;

use crate::dates::{Span, moment, span};
use crate::words::Wanted;

/// Octets of a query.
pub const QUERY_OCTETS_MAX: usize = 4096;
/// Terms of a query.
pub const TERMS_MAX: usize = 64;

/// Where words are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Envelope and header sender.
    Sender,
    /// Envelope recipients, those of Bcc too, and To, Cc.
    Recipients,
    /// Subject.
    Subject,
    /// The message's own text.
    Body,
    /// Names of attachments.
    FileName,
    /// What is written in attachments.
    Files,
}

impl Place {
    /// All, in the order of the columns.
    pub const ALL: [Self; 6] =
        [Self::Sender, Self::Recipients, Self::Subject, Self::Body, Self::FileName, Self::Files];

    /// Its column, which is its name for programs too.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Recipients => "recipients",
            Self::Subject => "subject",
            Self::Body => "body",
            Self::FileName => "filename",
            Self::Files => "files",
        }
    }
}

/// Words to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Where; anywhere where nothing is said.
    pub places: Vec<Place>,
    /// What.
    pub wanted: Wanted,
    /// As it was typed.
    pub typed: String,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From another host.
    In,
    /// From an account or this server to another host.
    Out,
    /// From an account or this server to accounts alone, or put into a mailbox.
    Internal,
}

impl Direction {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::In, Self::Out, Self::Internal];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Internal => "internal",
        }
    }
}

/// What was found of the sender of a message when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody judged: it did not come from another host.
    None,
    /// Delivered as any.
    Ham,
    /// For the folder for junk.
    Spam,
    /// Held.
    Held,
}

impl Verdict {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::None, Self::Ham, Self::Spam, Self::Held];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Ham => "ham",
            Self::Spam => "spam",
            Self::Held => "held",
        }
    }
}

/// Something that a message must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Accepted at this time or later, before that time.
    Accepted(Span),
    /// More octets than this.
    Larger(u64),
    /// Fewer.
    Smaller(u64),
    /// It has an attachment.
    HasAttachment,
    /// It has one that could not be read.
    HasUnread,
    /// Which way it went.
    Direction(Direction),
    /// What was found of its sender.
    Verdict(Verdict),
    /// From or to this account.
    Account(Address),
    /// This very message.
    Mail(MailId, Option<u32>),
    /// With this Message-ID.
    MessageId(String),
    /// It came from this host, or was offered to it: a name or an address.
    Host(String),
    /// For some recipient it is in this state now.
    State(CustodyState),
    /// It lies in a mailbox of this name now.
    In(String),
    /// Somebody took it out of a mailbox.
    Deleted,
}

/// A term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term<T> {
    /// It must not hold.
    pub not: bool,
    /// What.
    pub is: T,
}

/// A query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Each group must hold: one of its words, or none of them where it is turned round.
    pub words: Vec<Term<Vec<Words>>>,
    /// Each must hold.
    pub facts: Vec<Term<Fact>>,
}

/// What is wrong with a query, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is nothing in it.
    #[error("nothing is asked for; write words, or keys like from:anna or after:2026-01-01")]
    Empty,
    /// It is too long.
    #[error("the query has more than {QUERY_OCTETS_MAX} octets; leave some words out")]
    TooLong,
    /// There is too much in it.
    #[error("the query has more than {TERMS_MAX} terms; leave some out")]
    TooMany,
    /// A quote has no end.
    #[error("a quote is not closed: {0}; write \" at its end too")]
    Quote(String),
    /// No such key.
    #[error(
        "there is no key “{0}:”; the keys are {keys}. To look for the text itself, put it in \
         quotes: \"{0}:…\"", keys = KEYS.join(", ")
    )]
    Key(String),
    /// A key without a value.
    #[error("“{0}:” needs a value right behind it: {0}:…")]
    Value(String),
    /// A value that is none.
    #[error("“{value}” is nothing for {key}: ; write {wanted}")]
    Wrong {
        /// The key.
        key: &'static str,
        /// What was written.
        value: String,
        /// What can be.
        wanted: &'static str,
    },
    /// No letter or digit is in it.
    #[error("“{0}” has no letter or digit to look for")]
    NoWord(String),
    /// OR where it cannot be.
    #[error(
        "OR stands between two words or two of from:, to:, subject:, body:, filename:, file:, none \
         of them with a -; to look for the word itself write \"or\""
    )]
    Or,
}

/// Every key that is told of.
const KEYS: [&str; 20] = [
    "from",
    "to",
    "subject",
    "body",
    "filename",
    "file",
    "has",
    "after",
    "before",
    "on",
    "larger",
    "smaller",
    "direction",
    "verdict",
    "account",
    "state",
    "in",
    "host",
    "id",
    "is",
];

impl Query {
    /// Reads a query; `now` is what days like `7d` (ago) are counted from.
    ///
    /// # Errors
    /// What is wrong, with what to write instead.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, QueryError> {
        if text.len() > QUERY_OCTETS_MAX {
            return Err(QueryError::TooLong);
        }
        let mut query = Self::default();
        let mut open_or = false;
        let mut last_was_words = false;
        let pieces = pieces(text)?;
        if pieces.len() > TERMS_MAX {
            return Err(QueryError::TooMany);
        }
        for piece in &pieces {
            if piece.is_or() {
                if !last_was_words || open_or {
                    return Err(QueryError::Or);
                }
                open_or = true;
                continue;
            }
            let (not, read) = (piece.not, piece.read(now)?);
            last_was_words = matches!(read, Read::Words(_)) && !not;
            match read {
                Read::Words(_) if open_or && not => return Err(QueryError::Or),
                Read::Words(words) if open_or => match query.words.last_mut() {
                    Some(group) => group.is.push(words),
                    None => return Err(QueryError::Or),
                },
                Read::Words(words) => query.words.push(Term { not, is: vec![words] }),
                Read::Fact(_) if open_or => return Err(QueryError::Or),
                Read::Fact(is) => query.facts.push(Term { not, is }),
            }
            open_or = false;
        }
        match (open_or, pieces.is_empty()) {
            (true, _) => Err(QueryError::Or),
            (_, true) => Err(QueryError::Empty),
            (false, false) => Ok(query),
        }
    }

    /// The words that a message was found by.
    pub fn wanted(&self) -> impl Iterator<Item = &Words> {
        self.words.iter().filter(|term| !term.not).flat_map(|term| &term.is)
    }
}

/// A term as it was typed.
#[derive(Debug)]
struct Piece<'a> {
    not: bool,
    key: Option<&'a str>,
    value: &'a str,
    quoted: bool,
}

enum Read {
    Words(Words),
    Fact(Fact),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, QueryError> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let without = rest
            .strip_prefix('-')
            .filter(|behind| !behind.is_empty() && !behind.starts_with(char::is_whitespace));
        let not = without.is_some();
        rest = without.unwrap_or(rest);
        let mut key = None;
        let head = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '-').unwrap_or(rest.len());
        // `https://…` is no key.
        if head > 0 && rest[head..].starts_with(':') && !rest[head..].starts_with("://") {
            key = Some(&rest[..head]);
            rest = &rest[head + 1..];
        }
        let (value, quoted, behind) = match rest.strip_prefix('"') {
            Some(inside) => {
                let end = inside.find('"').ok_or_else(|| QueryError::Quote(shortened(rest)))?;
                (&inside[..end], true, &inside[end + 1..])
            }
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (&rest[..end], false, &rest[end..])
            }
        };
        if let (Some(key), "") = (key, value) {
            return Err(QueryError::Value(key.to_ascii_lowercase()));
        }
        pieces.push(Piece { not, key, value, quoted });
        rest = behind.trim_start();
    }
    Ok(pieces)
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

impl Piece<'_> {
    fn is_or(&self) -> bool {
        self.key.is_none() && !self.quoted && !self.not && self.value == "OR"
    }

    fn read(&self, now: Timestamp) -> Result<Read, QueryError> {
        let Some(key) = self.key else { return self.free() };
        let fact = |fact| Ok(Read::Fact(fact));
        let value = self.value;
        match &*key.to_ascii_lowercase() {
            "from" | "sender" => self.words(&[Place::Sender]),
            "to" | "cc" | "bcc" | "recipient" => self.words(&[Place::Recipients]),
            "with" => self.words(&[Place::Sender, Place::Recipients]),
            "subject" => self.words(&[Place::Subject]),
            "body" | "text" => self.words(&[Place::Body]),
            "filename" | "name" => self.words(&[Place::FileName]),
            "file" | "attachment" => self.words(&[Place::FileName, Place::Files]),
            "has" => match &*value.to_ascii_lowercase() {
                "attachment" | "attachments" | "file" => fact(Fact::HasAttachment),
                "unread" => fact(Fact::HasUnread),
                _ => Err(wrong("has", value, "has:attachment or has:unread")),
            },
            "is" => match &*value.to_ascii_lowercase() {
                "deleted" | "expunged" => fact(Fact::Deleted),
                other => match state(other) {
                    Some(state) => fact(Fact::State(state)),
                    None => Err(wrong("is", value, "is:deleted, is:held, is:queued, …")),
                },
            },
            "after" | "since" => moment(value, now)
                .map(|at| Read::Fact(Fact::Accepted(Span { from: at, to: Timestamp(i64::MAX) })))
                .ok_or_else(|| wrong("after", value, DATES)),
            "before" | "until" => moment(value, now)
                .map(|at| Read::Fact(Fact::Accepted(Span { from: Timestamp(i64::MIN), to: at })))
                .ok_or_else(|| wrong("before", value, DATES)),
            "on" | "date" => {
                span(value, now).map(|span| Read::Fact(Fact::Accepted(span))).ok_or_else(|| {
                    wrong("on", value, "a day, month or year: 2026-11-21, 2026-11, 2026, today")
                })
            }
            "larger" | "bigger" => size(value)
                .map(|bytes| Read::Fact(Fact::Larger(bytes)))
                .ok_or_else(|| wrong("larger", value, SIZES)),
            "smaller" => size(value)
                .map(|bytes| Read::Fact(Fact::Smaller(bytes)))
                .ok_or_else(|| wrong("smaller", value, SIZES)),
            "direction" => one_of(&Direction::ALL, Direction::word, value)
                .map(|direction| Read::Fact(Fact::Direction(direction)))
                .ok_or_else(|| wrong("direction", value, "in, out or internal")),
            "verdict" => verdict(value)
                .map(|verdict| Read::Fact(Fact::Verdict(verdict)))
                .ok_or_else(|| wrong("verdict", value, "spam, ham, held or none")),
            "account" => Address::parse(value)
                .map(|address| Read::Fact(Fact::Account(address)))
                .map_err(|_| wrong("account", value, "a whole address: account:anna@example.org")),
            "state" => state(&value.to_ascii_lowercase())
                .map(|state| Read::Fact(Fact::State(state)))
                .ok_or_else(|| {
                    wrong("state", value, "queued, delivered, relayed, returned, held or purged")
                }),
            "in" | "mailbox" | "folder" => fact(Fact::In(value.to_owned())),
            "host" | "ip" => fact(Fact::Host(value.to_ascii_lowercase())),
            "id" | "receipt" | "message-id" | "msgid" => fact(
                receipt(value)
                    .unwrap_or_else(|| Fact::MessageId(value.trim_matches(['<', '>']).to_owned())),
            ),
            other => Err(QueryError::Key(shortened(other))),
        }
    }

    /// Without a key: a receipt or Message-ID, or words.
    fn free(&self) -> Result<Read, QueryError> {
        if !self.quoted {
            if self.value.contains('-')
                && let Ok(receipt) = self.value.parse::<ReceiptId>()
            {
                return Ok(Read::Fact(Fact::Mail(receipt.mail, Some(receipt.check))));
            }
            let bare = self.value.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
            if let Some(id) = bare.filter(|id| id.contains('@')) {
                return Ok(Read::Fact(Fact::MessageId(id.to_owned())));
            }
        }
        self.words(&[])
    }

    fn words(&self, places: &[Place]) -> Result<Read, QueryError> {
        let typed = self.value.to_owned();
        let wanted = Wanted::of(self.value, self.quoted);
        let wanted = wanted.ok_or_else(|| QueryError::NoWord(shortened(&typed)))?;
        Ok(Read::Words(Words { places: places.to_vec(), wanted, typed }))
    }
}

const DATES: &str = "a time: 2026-11-21, 2026-11-21T15:00Z, 2026-11, today, or how long ago: 7d";
const SIZES: &str = "a size: 5M, 500K, 1G or 5MiB";

fn wrong(key: &'static str, value: &str, wanted: &'static str) -> QueryError {
    QueryError::Wrong { key, value: shortened(value), wanted }
}

fn one_of<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str, value: &str) -> Option<T> {
    all.iter().copied().find(|one| word(*one).eq_ignore_ascii_case(value))
}

fn verdict(value: &str) -> Option<Verdict> {
    match &*value.to_ascii_lowercase() {
        "junk" => Some(Verdict::Spam),
        "clean" | "good" | "deliver" => Some(Verdict::Ham),
        "hold" => Some(Verdict::Held),
        other => one_of(&Verdict::ALL, Verdict::word, other),
    }
}

fn state(word: &str) -> Option<CustodyState> {
    match word {
        "open" | "waiting" => Some(CustodyState::Queued),
        "bounced" => Some(CustodyState::Returned),
        other => CustodyState::ALL.into_iter().find(|state| state.word() == other),
    }
}

fn receipt(value: &str) -> Option<Fact> {
    if let Ok(receipt) = value.parse::<ReceiptId>() {
        return Some(Fact::Mail(receipt.mail, Some(receipt.check)));
    }
    // A receipt without its check has the same number with any.
    let receipt = format!("{value}-00000000").parse::<ReceiptId>().ok()?;
    Some(Fact::Mail(receipt.mail, None))
}

/// `5M`, `5MB` and `5MiB` are what people write.
fn size(value: &str) -> Option<u64> {
    let upper = value.to_ascii_uppercase();
    let number = upper.trim_end_matches(['B', 'I']).trim_end_matches(['K', 'M', 'G', 'I']);
    let unit = upper.get(number.len()..)?.trim_end_matches(['B', 'I']);
    let factor = match unit {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
