//! Finding what waits, in the queue or held, by whatever is known of it. Read in pages, so that the
//! length of the queue costs time and no memory.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use journal::Disk;
use mail_types::{AccountId, Address, CustodyId, MailId, Peer, Priority, Timestamp};

use crate::custody::CustodyState;
use crate::queue::QueuedMail;
use crate::read::read_facts;
use crate::record::{Outcome, Place, Record};
use crate::record_held::{HeldBy, Hold};
use crate::sql::{Executor, Row, SqlError};
use crate::{MailFacts, Store, StoreError};

/// What to find; everything given must hold.
#[derive(Clone, Debug, Default)]
pub struct WaitingFilter {
    /// One of these.
    pub custodies: Option<BTreeSet<CustodyId>>,
    /// Of this message.
    pub mail: Option<MailId>,
    /// Of messages with this Message-ID, without angle brackets.
    pub message_id: Option<String>,
    /// From or to this address.
    pub either: Option<Pattern>,
    /// From this address or domain.
    pub sender: Option<Pattern>,
    /// To this address or domain.
    pub recipient: Option<Pattern>,
    /// Submitted by this account.
    pub account: Option<AccountId>,
    /// Accepted at this time or later.
    pub accepted_from: Option<Timestamp>,
    /// Accepted before this time.
    pub accepted_before: Option<Timestamp>,
    /// Of at least so many bytes.
    pub bytes_min: Option<u64>,
    /// Of at most so many bytes.
    pub bytes_max: Option<u64>,
    /// With this in the Subject, whatever the case.
    pub subject: Option<String>,
    /// With this in the last reply or failure, whatever the case.
    pub said: Option<String>,
    /// Tried last at this host.
    pub host: Option<String>,
    /// Only what is `queued`, or only what is `held`.
    pub state: Option<CustodyState>,
}

/// An address, or all of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This address, in its folded form.
    Address(String),
    /// Every address at this host.
    Host(String),
}

impl Pattern {
    /// Whether it is meant.
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        match self {
            Self::Address(folded) => address.folded() == *folded,
            Self::Host(host) => address.host.to_string() == *host,
        }
    }
}

/// A recipient that waits.
#[derive(Clone, Debug)]
pub struct WaitingItem {
    /// Its custody.
    pub custody: CustodyId,
    /// The message.
    pub mail: Arc<QueuedMail>,
    /// To whom.
    pub recipient: Address,
    /// When it is tried next, or would be.
    pub due: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// An attempt is under way.
    pub begun: bool,
    /// An earlier attempt may have sent it.
    pub uncertain: bool,
    /// The host it goes to whatever routes and MX records say.
    pub relay: Option<String>,
    /// It is about to be given back, for this reason.
    pub give_back: Option<String>,
    /// Why it is held; none: it is queued.
    pub hold: Option<Hold>,
    /// Who was asked last and what came of it.
    pub last: Option<LastTry>,
    /// It is held until then, as its sender asked.
    pub release_at: Option<Timestamp>,
    /// RFC 6710.
    pub priority: Priority,
}

/// The last attempt at a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTry {
    /// The host's name, where one was asked.
    pub host: Option<String>,
    /// Its reply, or what failed.
    pub said: String,
}

/// Rows read at once.
const PAGE: u64 = 500;
/// Records of a message that are looked through for its last attempt.
const STORY_MAX: i64 = 64;

impl<D: Disk> Store<D> {
    /// How many recipients are queued, and when the oldest of their messages was accepted.
    ///
    /// # Errors
    /// The index's.
    pub fn queue_size(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        self.read(|sql| {
            let mut size = (0, None);
            let query = "SELECT count(*), min(accepted) FROM queue";
            sql.query(query, &[], &mut |row| {
                size = (row.id(0)?, row.int_or_null(1)?.map(Timestamp));
                Ok(())
            })?;
            Ok(size)
        })
    }

    /// Tells everything that waits and is meant, in the order it was accepted, until `on_item` says
    /// false. `with_last`: with the last attempt at each.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn find_waiting(
        &self,
        filter: &WaitingFilter,
        with_last: bool,
        on_item: &mut dyn FnMut(WaitingItem) -> bool,
    ) -> Result<(), StoreError> {
        let with_last = with_last || filter.said.is_some() || filter.host.is_some();
        for state in [CustodyState::Queued, CustodyState::Held] {
            if filter.state.is_some_and(|wanted| wanted != state) {
                continue;
            }
            let mut after = CustodyId(0);
            // Ends: every page is behind the one before.
            loop {
                let page = self.read(|sql| page(sql, state, filter, after))?;
                let Some(last) = page.last() else { break };
                after = last.custody;
                let mut mails = HashMap::new();
                for row in page {
                    if let Some(item) = self.found(filter, row, with_last, &mut mails)?
                        && !on_item(item)
                    {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The item of a row, if it is meant.
    fn found(
        &self,
        filter: &WaitingFilter,
        row: Found,
        with_last: bool,
        mails: &mut HashMap<MailId, Arc<QueuedMail>>,
    ) -> Result<Option<WaitingItem>, StoreError> {
        // A row whose message is gone is no item; `verify` names it.
        let Some(facts) = row.facts else { return Ok(None) };
        let (accepted, bytes) = (facts.accepted, facts.body_bytes);
        if filter.accepted_from.is_some_and(|from| accepted < from)
            || filter.accepted_before.is_some_and(|before| accepted >= before)
            || filter.bytes_min.is_some_and(|min| bytes < min)
            || filter.bytes_max.is_some_and(|max| bytes > max)
        {
            return Ok(None);
        }
        let id = facts.receipt.mail;
        let mail = match mails.get(&id) {
            Some(mail) => Arc::clone(mail),
            None => {
                let (_, accepted) = self.accepted(&facts)?;
                let mail = Arc::new(QueuedMail { facts, accepted: *accepted });
                mails.insert(id, Arc::clone(&mail));
                mail
            }
        };
        let known = mail.accepted.custodies.iter().find(|known| known.custody == row.custody);
        let recipient = row.recipient.or_else(|| known.map(|known| known.recipient.clone()));
        let Some(recipient) = recipient else { return Ok(None) };
        if !is_meant(filter, &mail, &recipient) {
            return Ok(None);
        }
        let last = if with_last { self.last_try(id, row.custody)? } else { None };
        let contains = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let said = |part: &String| last.as_ref().is_some_and(|last| contains(&last.said, part));
        let at = |host: &String| {
            let last = last.as_ref().and_then(|last| last.host.as_deref());
            last.is_some_and(|last| last.eq_ignore_ascii_case(host))
        };
        if !filter.said.as_ref().is_none_or(said) || !filter.host.as_ref().is_none_or(at) {
            return Ok(None);
        }
        Ok(Some(WaitingItem {
            custody: row.custody,
            mail,
            recipient,
            due: row.due,
            attempts: row.attempts,
            begun: row.begun,
            uncertain: row.uncertain,
            relay: row.relay,
            give_back: row.give_back,
            hold: row.hold,
            last,
            release_at: row.release_at,
            priority: row.priority,
        }))
    }

    fn last_try(&self, mail: MailId, custody: CustodyId) -> Result<Option<LastTry>, StoreError> {
        const LATEST: &str =
            "SELECT segment, place FROM story WHERE mail = $1 ORDER BY seq DESC LIMIT $2";
        let places = self.read(|sql| {
            let mut places = Vec::new();
            sql.query(LATEST, &[mail.0.into(), STORY_MAX.into()], &mut |row| {
                let segment = u32::try_from(row.int(0)?).unwrap_or(u32::MAX);
                places.push(Place { segment, offset: row.id(1)? });
                Ok(())
            })?;
            Ok(places)
        })?;
        for at in places {
            let last = match self.entry_at(at)?.record {
                Record::Tried(tried) => {
                    let outcome = tried.outcomes.iter().find(|(id, _)| *id == custody);
                    outcome.and_then(|(_, outcome)| last_of(tried.peer.as_ref(), outcome))
                }
                Record::Attempted { custody: of, peer, outcome } if of == custody => {
                    last_of(peer.as_ref(), &outcome)
                }
                _ => None,
            };
            if last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }
}

fn last_of(peer: Option<&Peer>, outcome: &Outcome) -> Option<LastTry> {
    let said = match outcome {
        Outcome::Relayed { reply, .. }
        | Outcome::Deferred { reply: Some(reply), .. }
        | Outcome::Returned { reply: Some(reply), .. } => reply.to_string(),
        Outcome::Deferred { reason, .. }
        | Outcome::Uncertain { reason, .. }
        | Outcome::Returned { reason, .. } => reason.clone(),
        // No try.
        Outcome::Waits { .. } => return None,
    };
    Some(LastTry { host: peer.map(|peer| peer.host.clone()), said })
}

/// What the message's record and the recipient tell.
fn is_meant(filter: &WaitingFilter, mail: &QueuedMail, recipient: &Address) -> bool {
    let accepted = &mail.accepted;
    let sender = accepted.reverse_path.address();
    let from = |pattern: &Pattern| sender.is_some_and(|sender| pattern.matches(sender));
    let to = |pattern: &Pattern| pattern.matches(recipient);
    let subject = |part: &String| {
        let subject = accepted.subject.as_deref().unwrap_or_default();
        subject.to_lowercase().contains(&part.to_lowercase())
    };
    filter.sender.as_ref().is_none_or(from)
        && filter.recipient.as_ref().is_none_or(to)
        && filter.either.as_ref().is_none_or(|either| from(either) || to(either))
        && filter.subject.as_ref().is_none_or(subject)
        && filter.message_id.as_ref().is_none_or(|id| accepted.message_id.as_ref() == Some(id))
}

struct Found {
    custody: CustodyId,
    /// Filled in by [`page`].
    facts: Option<MailFacts>,
    recipient: Option<Address>,
    due: Timestamp,
    attempts: u32,
    begun: bool,
    uncertain: bool,
    relay: Option<String>,
    give_back: Option<String>,
    hold: Option<Hold>,
    release_at: Option<Timestamp>,
    priority: Priority,
}

/// The next rows behind a custody. Where the filter names custodies, a message, a destination or an
/// account, the index leads there.
fn page(
    sql: &mut impl Executor,
    state: CustodyState,
    filter: &WaitingFilter,
    after: CustodyId,
) -> Result<Vec<Found>, SqlError> {
    const QUEUED: &str = "SELECT custody, mail, due, attempts, begun, uncertain, recipient, relay, \
        give_back, NULL, NULL, NULL, NULL, priority FROM queue WHERE custody > $1 \
        AND ($2 IS NULL OR account = $2) ORDER BY custody LIMIT $3";
    const QUEUED_MAIL: &str = "SELECT custody, mail, due, attempts, begun, uncertain, recipient, \
        relay, give_back, NULL, NULL, NULL, NULL, priority FROM queue WHERE custody > $1 \
        AND ($2 IS NULL OR account = $2) AND custody IN (SELECT id FROM custody WHERE mail = $4) \
        ORDER BY custody LIMIT $3";
    const QUEUED_TO: &str = "SELECT custody, mail, due, attempts, begun, uncertain, recipient, \
        relay, give_back, NULL, NULL, NULL, NULL, priority FROM queue WHERE custody IN \
        (SELECT custody FROM queue WHERE destination = $4 AND custody > $1 \
        AND ($2 IS NULL OR account = $2) ORDER BY custody LIMIT $3) ORDER BY custody";
    const HELD: &str = "SELECT custody, mail, due, attempts, 0, uncertain, recipient, relay, \
        give_back, held_by, reason, purge_at, release_at, priority FROM held WHERE custody > $1 \
        AND ($2 IS NULL OR account = $2) ORDER BY custody LIMIT $3";
    const HELD_MAIL: &str = "SELECT custody, mail, due, attempts, 0, uncertain, recipient, relay, \
        give_back, held_by, reason, purge_at, release_at, priority FROM held WHERE custody > $1 \
        AND ($2 IS NULL OR account = $2) AND custody IN (SELECT id FROM custody WHERE mail = $4) \
        ORDER BY custody LIMIT $3";
    const QUEUED_ONE: &str = "SELECT custody, mail, due, attempts, begun, uncertain, recipient, \
        relay, give_back, NULL, NULL, NULL, NULL, priority FROM queue WHERE custody = $1 \
        AND ($2 IS NULL OR account = $2)";
    const HELD_ONE: &str = "SELECT custody, mail, due, attempts, 0, uncertain, recipient, relay, \
        give_back, held_by, reason, purge_at, release_at, priority FROM held WHERE custody = $1 \
        AND ($2 IS NULL OR account = $2)";
    let account = filter.account.map(|account| account.0);
    if let Some(custodies) = &filter.custodies {
        let one = if state == CustodyState::Held { HELD_ONE } else { QUEUED_ONE };
        let mut rows = Vec::new();
        for custody in custodies.range((Bound::Excluded(after), Bound::Unbounded)) {
            let mut found = None;
            sql.query(one, &[custody.0.into(), account.into()], &mut |row| {
                found = Some(read_row(row)?);
                Ok(())
            })?;
            let meant = |mail: MailId| filter.mail.is_none_or(|wanted| wanted == mail);
            if let Some((mut row, mail)) = found.filter(|(_, mail)| meant(*mail)) {
                row.facts = read_facts(sql, mail)?;
                rows.push(row);
            }
            if rows.len() as u64 >= PAGE {
                break;
            }
        }
        return Ok(rows);
    }
    let host = match &filter.recipient {
        Some(Pattern::Host(host)) => Some(host.as_str()),
        Some(Pattern::Address(_)) | None => None,
    };
    let (after, limit) = (after.0.into(), PAGE.into());
    let mut found: Vec<(Found, MailId)> = Vec::new();
    let on_row = &mut |row: &dyn Row| {
        found.push(read_row(row)?);
        Ok(())
    };
    match (state, filter.mail, host) {
        (CustodyState::Held, Some(mail), _) => {
            sql.query(HELD_MAIL, &[after, account.into(), limit, mail.0.into()], on_row)?;
        }
        (CustodyState::Held, None, _) => {
            sql.query(HELD, &[after, account.into(), limit], on_row)?
        }
        (_, Some(mail), _) => {
            sql.query(QUEUED_MAIL, &[after, account.into(), limit, mail.0.into()], on_row)?;
        }
        (_, None, Some(host)) => {
            sql.query(QUEUED_TO, &[after, account.into(), limit, host.into()], on_row)?;
        }
        (_, None, None) => sql.query(QUEUED, &[after, account.into(), limit], on_row)?,
    }
    let mut rows = Vec::with_capacity(found.len());
    for (mut row, mail) in found {
        row.facts = read_facts(sql, mail)?;
        rows.push(row);
    }
    Ok(rows)
}

fn read_row(row: &dyn Row) -> Result<(Found, MailId), SqlError> {
    let mail = MailId(row.id(1)?);
    let recipient = row.text_or_null(6)?.map(|text| {
        text.parse().map_err(|cause| SqlError {
            doing: "read an address of the queue".to_owned(),
            cause: Box::new(cause),
        })
    });
    let hold = row.text_or_null(9)?.map(|by| -> Result<Hold, SqlError> {
        Ok(Hold {
            by: HeldBy::from_word(by).unwrap_or(HeldBy::Operator),
            reason: row.text_or_null(10)?.unwrap_or_default().to_owned(),
            purge_at: row.int_or_null(11)?.map(Timestamp),
        })
    });
    let found = Found {
        custody: CustodyId(row.id(0)?),
        facts: None,
        recipient: recipient.transpose()?,
        due: Timestamp(row.int(2)?),
        attempts: u32::try_from(row.int(3)?).unwrap_or(u32::MAX),
        begun: row.int(4)? != 0,
        uncertain: row.int(5)? != 0,
        relay: row.text_or_null(7)?.map(str::to_owned),
        give_back: row.text_or_null(8)?.map(str::to_owned),
        hold: hold.transpose()?,
        release_at: row.int_or_null(12)?.map(Timestamp),
        priority: Priority::nearest(row.int(13)?),
    };
    Ok((found, mail))
}
