//! Searching for somebody who may not see everything: an account its own mail, an administrator that of
//! his domains.
//!
//! The words of all recipients stand in the index, those of Bcc too, and state, place and direction are
//! those of all of them. Neither what is found nor what is not found may tell of them: what is looked
//! up is only what everybody sees who has the message, and the rest is decided from the story as far
//! as it may be seen.

use mail_types::{AccountId, MailId};
use message::{Envelope, Summary, decode_words};
use rusqlite::{Connection, OptionalExtension, params};
use store::{Lies, Part, Source, Store, Story, Visit};

use crate::SearchError;
use crate::matching::Ready;
use crate::query::{Direction, Fact, Place, Query, Words};
use crate::words::{Wanted, fold_words};

/// Octets of the words of recipients that are looked through.
const RECIPIENTS_OCTETS_MAX: usize = 1 << 20;

/// What somebody may see.
pub trait Sight: Send + Sync {
    /// Whose messages are looked at: those from or to these.
    fn accounts(&self) -> &[AccountId];

    /// A message as far as it may be seen; `None`: not at all.
    fn see(&self, story: Story) -> Option<Seen>;

    /// Whether a query may name this account (`account:`).
    fn may_name(&self, account: AccountId) -> bool;

    /// Who looks: one search at a time.
    fn name(&self) -> String;
}

/// A message as far as it may be seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Without whatever is others'.
    pub story: Story,
    /// The mailboxes that it lies in, or lay in, as far as they may be seen.
    pub places: Vec<Lies>,
    /// All of it, with all recipients: it was sent from there.
    pub whole: bool,
}

/// The words that a message must have, or must not, and where recipients are looked at.
#[derive(Clone, Debug)]
pub struct Group {
    not: bool,
    any: Vec<Alternative>,
}

#[derive(Clone, Debug)]
struct Alternative {
    /// What FTS5 is asked of what everybody sees who has the message; `None`: nothing.
    seen: Option<String>,
    /// What it is asked where all may be seen.
    whole: String,
    wanted: Wanted,
}

impl Group {
    /// Of a term that looks at recipients; `None`: it does not.
    ///
    /// # Errors
    /// SQLite's.
    pub fn of(
        ready: &mut Ready,
        sql: &Connection,
        not: bool,
        words: &[Words],
    ) -> Result<Option<Self>, rusqlite::Error> {
        let looks =
            |words: &Words| words.places.is_empty() || words.places.contains(&Place::Recipients);
        if !words.iter().any(looks) {
            return Ok(None);
        }
        let mut any = Vec::with_capacity(words.len());
        for words in words {
            let whole = ready.expression(sql, words)?;
            let all = if words.places.is_empty() { &Place::ALL[..] } else { &words.places };
            let places: Vec<Place> =
                all.iter().copied().filter(|place| *place != Place::Recipients).collect();
            let seen = match places.is_empty() {
                true => None,
                false => Some(ready.expression(sql, &Words { places, ..words.clone() })?),
            };
            let wanted = words.wanted.clone();
            any.push(Alternative { seen, whole, wanted });
        }
        Ok(Some(Self { not, any }))
    }

    fn holds(
        &self,
        sql: &Connection,
        mail: MailId,
        recipients: Option<&str>,
    ) -> Result<bool, rusqlite::Error> {
        let select = "SELECT 1 FROM words WHERE words MATCH ?1 AND rowid = ?2";
        let mut find = sql.prepare_cached(select)?;
        let mut has = |expression: &str| -> Result<bool, rusqlite::Error> {
            let key = params![expression, mail.0.cast_signed()];
            Ok(find.query_row(key, |_| Ok(())).optional()?.is_some())
        };
        for one in &self.any {
            let found = match recipients {
                None => has(&one.whole)?,
                Some(recipients) => {
                    one.wanted.is_in(recipients)
                        || one.seen.as_deref().map_or(Ok(false), &mut has)?
                }
            };
            if found {
                return Ok(!self.not);
            }
        }
        Ok(self.not)
    }
}

/// What of a query would tell of others.
///
/// # Errors
/// What may not be asked.
pub fn check(
    query: &Query,
    sight: &dyn Sight,
    accounts: &dyn Fn(&mail_types::Address) -> Option<AccountId>,
) -> Result<(), SearchError> {
    for term in &query.facts {
        match &term.is {
            // Where a message was offered tells of all its recipients.
            Fact::Host(_) => return Err(SearchError::NotYours("host:")),
            Fact::Account(address)
                if !accounts(address).is_some_and(|account| sight.may_name(account)) =>
            {
                return Err(SearchError::NotYours("account: of others"));
            }
            Fact::Account(_)
            | Fact::Accepted(_)
            | Fact::Larger(_)
            | Fact::Smaller(_)
            | Fact::HasAttachment
            | Fact::HasUnread
            | Fact::Direction(_)
            | Fact::Verdict(_)
            | Fact::Mail(..)
            | Fact::MessageId(_)
            | Fact::State(_)
            | Fact::In(_)
            | Fact::Deleted => {}
        }
    }
    Ok(())
}

/// Which way a message went, for whoever sees it so.
pub fn direction(seen: &Seen, of_all: Direction) -> Direction {
    match seen.story.accepted.source {
        _ if seen.whole => of_all,
        Source::Smtp { .. } | Source::Lmtp { .. } => Direction::In,
        Source::Submission { .. }
        | Source::Report { .. }
        | Source::PeriodReport
        | Source::Append { .. }
        | Source::Import { .. } => Direction::Internal,
    }
}

/// Whether everything holds of a message that cannot be looked up without telling of others.
///
/// # Errors
/// The store's and SQLite's.
pub fn holds(
    store: &Store,
    sql: &Connection,
    (query, groups): (&Query, &[Group]),
    seen: &Seen,
    direction: Direction,
) -> Result<bool, SearchError> {
    let mail = seen.story.facts.receipt.mail;
    let there = || seen.places.iter().filter(|lies| lies.gone.is_none());
    for term in &query.facts {
        let so = match &term.is {
            Fact::State(state) => seen.story.custodies.iter().any(|one| one.state == *state),
            Fact::In(name) => there().any(|lies| {
                let known = seen.story.mailbox_names.get(&lies.mailbox);
                known.is_some_and(|known| known.eq_ignore_ascii_case(name))
            }),
            Fact::Deleted => seen.places.iter().any(crate::find::was_deleted),
            Fact::Direction(wanted) => *wanted == direction,
            // These were looked up.
            Fact::Accepted(_)
            | Fact::Larger(_)
            | Fact::Smaller(_)
            | Fact::HasAttachment
            | Fact::HasUnread
            | Fact::Verdict(_)
            | Fact::Account(_)
            | Fact::Mail(..)
            | Fact::MessageId(_)
            | Fact::Host(_) => continue,
        };
        if so == term.not {
            return Ok(false);
        }
    }
    if groups.is_empty() {
        return Ok(true);
    }
    let recipients = match seen.whole {
        true => None,
        false => Some(recipients(store, seen)?),
    };
    for group in groups {
        if !group.holds(sql, mail, recipients.as_deref())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The words of the recipients that may be seen: To and Cc, and those of the story.
fn recipients(store: &Store, seen: &Seen) -> Result<String, SearchError> {
    let mut envelope = Envelope::default();
    store.heads(&[seen.story.facts.receipt.mail], |_, head| {
        let summary = head.and_then(|head| Summary::decode(head.part(Part::Summary)).ok());
        envelope = summary.map(|summary| summary.envelope).unwrap_or_default();
        Visit::GoOn
    })?;
    let mut words = String::new();
    let mut put = |text: &str| fold_words(text, &mut words, RECIPIENTS_OCTETS_MAX);
    for person in envelope.to.iter().chain(&envelope.cc) {
        if let Some(name) = &person.name {
            put(&decode_words(name));
        }
        if let Some(address) = person.address_text() {
            put(&address);
        }
    }
    for custody in &seen.story.custodies {
        put(&custody.recipient);
    }
    Ok(words)
}
