//! The story of a message: what the index finds, told from the journal's own records.

use std::collections::{BTreeMap, BTreeSet};

use journal::Disk;
use mail_types::{
    AccountId, Address, CustodyId, MailId, MailboxId, ReceiptId, RecordSeq, Timestamp,
};

use crate::custody::CustodyState;
use crate::index::{address_fingerprint, host_fingerprint, message_id_fingerprint};
use crate::own_pairs::OwnPairs;
use crate::read::read_facts;
use crate::record::{Accepted, Actor, Entry, Place};
use crate::record_held::{Condition, HeldBy, Hold};
use crate::sql::{Executor, SqlError};
use crate::{MailFacts, Store, StoreError};

/// Messages looked at for one query.
const CANDIDATES_MAX: usize = 100_000;
/// Of these, so many at a time.
const PAGE: usize = 64;

/// What to look for; everything given must hold.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// This very message.
    pub receipt: Option<ReceiptId>,
    /// This message, by number (the `id` of its Received field).
    pub mail: Option<MailId>,
    /// With this Message-ID, with or without angle brackets.
    pub message_id: Option<String>,
    /// From or to this address.
    pub address: Option<Address>,
    /// From this address.
    pub sender: Option<Address>,
    /// To this address.
    pub recipient: Option<Address>,
    /// Brought by this host, or offered to it: a name or an IP address.
    pub host: Option<String>,
    /// Accepted at this time or later.
    pub since: Option<Timestamp>,
    /// Accepted before this time.
    pub until: Option<Timestamp>,
    /// At most so many, the newest first.
    pub count_max: usize,
}

/// One thing that happened to a message.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its record's number.
    pub seq: RecordSeq,
    /// The record.
    pub entry: Entry,
}

/// One recipient as of now.
#[derive(Clone, Debug)]
pub struct CustodyStory {
    /// Its id.
    pub custody: CustodyId,
    /// The address.
    pub recipient: String,
    /// Its state.
    pub state: CustodyState,
    /// Where it was delivered: mailbox, its name now, UID.
    pub delivered: Option<(MailboxId, String, u32)>,
    /// When it is tried next, and how often it was.
    pub next_try: Option<(Timestamp, u32)>,
    /// An attempt may have delivered it already.
    pub uncertain: bool,
    /// The DSN about it.
    pub report: Option<MailId>,
    /// Why it is held.
    pub hold: Option<Hold>,
    /// It is held until then, as its sender asked.
    pub release_at: Option<Timestamp>,
}

/// The whole story of a message.
#[derive(Clone, Debug)]
pub struct Story {
    /// Where it lies, and its receipt.
    pub facts: MailFacts,
    /// Who brought it.
    pub actor: Actor,
    /// Its acceptance.
    pub accepted: Box<Accepted>,
    /// Each recipient as of now.
    pub custodies: Vec<CustodyStory>,
    /// What happened since, in order.
    pub events: Vec<Event>,
    /// Names of the mailboxes that the story mentions, as of now.
    pub mailbox_names: BTreeMap<MailboxId, String>,
    /// Whose they are.
    pub mailbox_owners: BTreeMap<MailboxId, AccountId>,
    /// What happened and cannot be read any more: its record's number, and what is wrong.
    pub damaged: Vec<(RecordSeq, String)>,
}

/// A message of which not even the record of its acceptance can be read.
#[derive(Clone, Debug)]
pub struct Untold {
    /// What the index knows of it.
    pub facts: MailFacts,
    /// What is wrong.
    pub why: String,
}

/// What a query finds.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    /// The newest first.
    pub stories: Vec<Story>,
    /// The index finds these, and nobody can tell whether all else holds.
    pub untold: Vec<Untold>,
}

impl Traced {
    /// The stories, where all could be told.
    fn all_told(self, error: Option<StoreError>) -> Result<Vec<Story>, StoreError> {
        error.map_or(Ok(self.stories), Err)
    }
}

impl<D: Disk> Store<D> {
    /// The stories of the messages that a query finds, newest first. One that is damaged is an
    /// error: for what is asked of one message, or must be of all.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn trace(&self, query: &Query) -> Result<Vec<Story>, StoreError> {
        let mut damage = None;
        let traced = self.trace_with(query, &mut |error| damage = damage.take().or(Some(error)))?;
        traced.all_told(damage)
    }

    /// The same, going on behind those that are damaged.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn trace_all(&self, query: &Query) -> Result<Traced, StoreError> {
        self.trace_with(query, &mut |_| {})
    }

    fn trace_with(
        &self,
        query: &Query,
        on_damage: &mut dyn FnMut(StoreError),
    ) -> Result<Traced, StoreError> {
        let mut traced = Traced::default();
        let mut before = MailId(i64::MAX as u64);
        let mut looked_at = 0;
        let found = |traced: &Traced| traced.stories.len() + traced.untold.len();
        while found(&traced) < query.count_max && looked_at < CANDIDATES_MAX {
            let at_once = if fingerprints(query).is_empty() { query.count_max } else { PAGE };
            let page = at_once.min(CANDIDATES_MAX - looked_at);
            let candidates = self.read(|sql| candidates(sql, query, before, page))?;
            let Some(last) = candidates.last() else { break };
            before = last.receipt.mail;
            looked_at += candidates.len();
            let is_last = candidates.len() < page;
            for facts in candidates {
                if found(&traced) < query.count_max {
                    self.tell(query, facts, &mut traced, on_damage)?;
                }
            }
            if is_last {
                break;
            }
        }
        Ok(traced)
    }

    /// The stories of these messages that match, in this order; those that are damaged beside them.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn stories_all(&self, mails: &[MailId], query: &Query) -> Result<Traced, StoreError> {
        self.stories_with(mails, query, &mut |_| {})
    }

    /// The stories of these messages that match, in this order. One that is damaged is an error.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn stories(&self, mails: &[MailId], query: &Query) -> Result<Vec<Story>, StoreError> {
        let mut damage = None;
        let note = &mut |error| damage = damage.take().or(Some(error));
        self.stories_with(mails, query, note)?.all_told(damage)
    }

    fn stories_with(
        &self,
        mails: &[MailId],
        query: &Query,
        on_damage: &mut dyn FnMut(StoreError),
    ) -> Result<Traced, StoreError> {
        let mut traced = Traced::default();
        for facts in self.mail_facts(mails)? {
            let in_time = query.since.is_none_or(|since| facts.accepted >= since)
                && query.until.is_none_or(|until| facts.accepted < until);
            if in_time {
                self.tell(query, facts, &mut traced, on_damage)?;
            }
        }
        Ok(traced)
    }

    fn tell(
        &self,
        query: &Query,
        facts: MailFacts,
        traced: &mut Traced,
        on_damage: &mut dyn FnMut(StoreError),
    ) -> Result<(), StoreError> {
        match self.matching(query, &facts) {
            Ok(Some((actor, accepted))) => {
                traced.stories.push(self.story(facts, actor, accepted)?);
            }
            Ok(None) => {}
            Err(error) if error.is_of_one_message() => {
                traced.untold.push(Untold { facts, why: error.to_string() });
                on_damage(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn matching(
        &self,
        query: &Query,
        facts: &MailFacts,
    ) -> Result<Option<(Actor, Box<Accepted>)>, StoreError> {
        if query.receipt.is_some_and(|receipt| receipt != facts.receipt) {
            return Ok(None);
        }
        let (actor, accepted) = self.accepted(facts)?;
        Ok(matches(query, &accepted).then_some((actor, accepted)))
    }

    fn story(
        &self,
        facts: MailFacts,
        actor: Actor,
        accepted: Box<Accepted>,
    ) -> Result<Story, StoreError> {
        let mail = facts.receipt.mail;
        let (places, custodies) =
            self.read(|sql| Ok((read_story(sql, mail)?, read_custodies(sql, mail)?)))?;
        let (mut events, mut damaged) = (Vec::with_capacity(places.len()), Vec::new());
        let mut own = OwnPairs::new(&accepted);
        for (seq, at) in places {
            match self.entry_at(at) {
                Ok(mut entry) => {
                    // Behind what cannot be read nobody knows where it was.
                    if damaged.is_empty() {
                        own.cut(&mut entry.record);
                    }
                    events.push(Event { seq, entry });
                }
                Err(error) if error.is_of_one_message() => damaged.push((seq, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        let mut mentioned: BTreeSet<MailboxId> =
            custodies.iter().filter_map(|c| c.delivered.as_ref().map(|place| place.0)).collect();
        for event in &events {
            use crate::record::Record;
            match &event.entry.record {
                Record::Copied { from, to, .. }
                | Record::Moved { from, to, .. }
                | Record::Restored { from, to, .. } => {
                    mentioned.extend([*from, *to]);
                }
                Record::CustodiesChanged(change) => {
                    mentioned.extend(change.items.iter().filter_map(|item| match &item.is {
                        Condition::Delivered { mailbox, .. } => Some(*mailbox),
                        _ => None,
                    }));
                }
                Record::Expunged { mailbox, .. }
                | Record::MailboxDeleted { mailbox }
                | Record::MailboxRestored { mailbox, .. } => {
                    mentioned.insert(*mailbox);
                }
                _ => {}
            }
        }
        let (mailbox_names, mailbox_owners) = self.read(|sql| {
            let (mut names, mut owners) = (BTreeMap::new(), BTreeMap::new());
            for mailbox in mentioned {
                let select = "SELECT name, account FROM mailbox WHERE id = $1";
                sql.query(select, &[mailbox.0.into()], &mut |row| {
                    names.insert(mailbox, row.text(0)?.to_owned());
                    owners.insert(mailbox, AccountId(row.id(1)?));
                    Ok(())
                })?;
            }
            Ok((names, owners))
        })?;
        Ok(Story {
            facts,
            actor,
            accepted,
            custodies,
            events,
            mailbox_names,
            mailbox_owners,
            damaged,
        })
    }
}

/// What the index finds of the messages before one: all that match and maybe more, newest first,
/// at most so many.
fn candidates(
    sql: &mut impl Executor,
    query: &Query,
    before: MailId,
    count_max: usize,
) -> Result<Vec<MailFacts>, SqlError> {
    let mut mails: Vec<MailId> = Vec::new();
    let limit = (count_max as u64).into();
    let keys = fingerprints(query);
    let (since, until) =
        (query.since.map_or(i64::MIN, |at| at.0), query.until.map_or(i64::MAX, |at| at.0));
    if let Some(mail) = query.receipt.map(|receipt| receipt.mail).or(query.mail) {
        mails.extend((mail < before).then_some(mail));
    } else if let Some((first, others)) = keys.split_first() {
        let (low, high) = ids_between(sql, since, until, before)?;
        // What is asked for twice is asked for once.
        let of = |at: usize| others.get(at).copied().unwrap_or(*first);
        sql.query(
            "SELECT lookup.mail FROM lookup \
             JOIN mail ON mail.id = lookup.mail AND mail.accepted >= $1 AND mail.accepted < $2 \
             WHERE lookup.fingerprint = $3 AND lookup.mail >= $4 AND lookup.mail < $5 \
             AND EXISTS (SELECT 1 FROM lookup AS b WHERE b.fingerprint = $6 AND b.mail = lookup.mail) \
             AND EXISTS (SELECT 1 FROM lookup AS c WHERE c.fingerprint = $7 AND c.mail = lookup.mail) \
             AND EXISTS (SELECT 1 FROM lookup AS d WHERE d.fingerprint = $8 AND d.mail = lookup.mail) \
             AND EXISTS (SELECT 1 FROM lookup AS e WHERE e.fingerprint = $9 AND e.mail = lookup.mail) \
             ORDER BY lookup.mail DESC LIMIT $10",
            &[
                since.into(),
                until.into(),
                (*first).into(),
                low.into(),
                high.into(),
                of(0).into(),
                of(1).into(),
                of(2).into(),
                of(3).into(),
                limit,
            ],
            &mut |row| {
                mails.push(MailId(row.id(0)?));
                Ok(())
            },
        )?;
    } else {
        // All of them match, so that there is no second page: the order is that of the time.
        sql.query(
            "SELECT id FROM mail WHERE accepted >= $1 AND accepted < $2 AND id < $3 \
             ORDER BY accepted DESC, id DESC LIMIT $4",
            &[since.into(), until.into(), before.0.into(), limit],
            &mut |row| {
                mails.push(MailId(row.id(0)?));
                Ok(())
            },
        )?;
    }
    let mut facts = Vec::with_capacity(mails.len());
    for mail in mails {
        facts.extend(
            read_facts(sql, mail)?
                .filter(|facts| facts.accepted.0 >= since && facts.accepted.0 < until),
        );
    }
    Ok(facts)
}

/// What to look up: the rarest kind first, as far as one can know.
fn fingerprints(query: &Query) -> Vec<i64> {
    let addresses = [&query.address, &query.recipient, &query.sender].into_iter().flatten();
    let mut keys: Vec<i64> =
        query.message_id.iter().map(|id| message_id_fingerprint(bare(id))).collect();
    keys.extend(addresses.map(address_fingerprint));
    keys.extend(query.host.as_deref().map(host_fingerprint));
    keys
}

/// Between which ids, the first of them included, lie the messages that were accepted between two
/// times: ids are given out when a message begins to arrive, which is at most a day before it is
/// accepted, and in this order unless somebody sets the clock back by more than that.
fn ids_between(
    sql: &mut impl Executor,
    since: i64,
    until: i64,
    before: MailId,
) -> Result<(u64, u64), SqlError> {
    const ARRIVING_MAX: i64 = 24 * 3600 * 1000;
    let low = match since {
        i64::MIN => None,
        since => sql.number(
            "SELECT id FROM mail WHERE accepted < $1 ORDER BY accepted DESC LIMIT 1",
            &[since.saturating_sub(ARRIVING_MAX).into()],
        )?,
    };
    let high = match until {
        i64::MAX => None,
        until => sql.number(
            "SELECT id FROM mail WHERE accepted >= $1 ORDER BY accepted LIMIT 1",
            &[until.saturating_add(ARRIVING_MAX).into()],
        )?,
    };
    let high = high.map_or(before.0, |high| before.0.min(high.cast_unsigned()));
    Ok((low.map_or(0, i64::cast_unsigned), high))
}

/// A fingerprint may be shared, and an address be the sender's or a recipient's; the record tells.
/// A host that was offered a message is not in it: of hosts the fingerprint alone decides.
fn matches(query: &Query, accepted: &Accepted) -> bool {
    let message_id = query
        .message_id
        .as_deref()
        .is_none_or(|wanted| accepted.message_id.as_deref().is_some_and(|id| id == bare(wanted)));
    let sent_by = |folded: &str| {
        accepted.reverse_path.address().is_some_and(|address| address.folded() == folded)
    };
    let sent_to =
        |folded: &str| accepted.custodies.iter().any(|one| one.recipient.folded() == folded);
    let holds = |wanted: &Option<Address>, is: &dyn Fn(&str) -> bool| {
        wanted.as_ref().is_none_or(|wanted| is(&wanted.folded()))
    };
    message_id
        && holds(&query.address, &|folded| sent_by(folded) || sent_to(folded))
        && holds(&query.sender, &sent_by)
        && holds(&query.recipient, &sent_to)
}

fn bare(message_id: &str) -> &str {
    message_id.trim().trim_start_matches('<').trim_end_matches('>')
}

pub(crate) fn read_story(
    sql: &mut impl Executor,
    mail: MailId,
) -> Result<Vec<(RecordSeq, Place)>, SqlError> {
    let mut places = Vec::new();
    sql.query(
        "SELECT seq, segment, place FROM story WHERE mail = $1 ORDER BY seq",
        &[mail.0.into()],
        &mut |row| {
            let segment = u32::try_from(row.int(1)?).unwrap_or(u32::MAX);
            places.push((RecordSeq(row.id(0)?), Place { segment, offset: row.id(2)? }));
            Ok(())
        },
    )?;
    Ok(places)
}

pub(crate) fn read_custodies(
    sql: &mut impl Executor,
    mail: MailId,
) -> Result<Vec<CustodyStory>, SqlError> {
    let mut custodies = Vec::new();
    sql.query(
        "SELECT custody.id, custody.recipient, custody.state, custody.mailbox, custody.uid, \
         custody.report, queue.due, queue.attempts, queue.uncertain, mailbox.name, \
         held.held_by, held.reason, held.purge_at, held.release_at \
         FROM custody LEFT JOIN queue ON queue.custody = custody.id \
         LEFT JOIN held ON held.custody = custody.id \
         LEFT JOIN mailbox ON mailbox.id = custody.mailbox \
         WHERE custody.mail = $1 ORDER BY custody.id",
        &[mail.0.into()],
        &mut |row| {
            let code = row.int(2)?;
            let state = CustodyState::from_code(code).ok_or_else(|| SqlError {
                doing: "read a custody's state".to_owned(),
                cause: format!("{code} is none").into(),
            })?;
            let mailbox = row.int_or_null(3)?.map(|id| MailboxId(id.cast_unsigned()));
            let uid = row.int_or_null(4)?.and_then(|uid| u32::try_from(uid).ok());
            let name = row.text_or_null(9)?.unwrap_or_default().to_owned();
            let attempts =
                row.int_or_null(7)?.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
            let purge_at = row.int_or_null(12)?.map(Timestamp);
            let by = row.text_or_null(10)?.and_then(HeldBy::from_word);
            let reason = row.text_or_null(11)?.unwrap_or_default().to_owned();
            let hold = by.map(|by| Hold { by, reason, purge_at });
            custodies.push(CustodyStory {
                custody: CustodyId(row.id(0)?),
                recipient: row.text(1)?.to_owned(),
                state,
                delivered: mailbox.zip(uid).map(|(mailbox, uid)| (mailbox, name, uid)),
                next_try: row.int_or_null(6)?.map(Timestamp).zip(attempts),
                uncertain: row.int_or_null(8)? == Some(1),
                report: row.int_or_null(5)?.map(|id| MailId(id.cast_unsigned())),
                hold,
                release_at: row.int_or_null(13)?.map(Timestamp),
            });
            Ok(())
        },
    )?;
    Ok(custodies)
}
