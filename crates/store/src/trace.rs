//! The story of a message: what the index finds, told from the journal's own records.

use std::collections::{BTreeMap, BTreeSet};

use journal::Disk;
use mail_types::{Address, CustodyId, MailId, MailboxId, ReceiptId, RecordSeq, Timestamp};

use crate::custody::CustodyState;
use crate::index::{address_fingerprint, message_id_fingerprint};
use crate::read::read_facts;
use crate::record::{Accepted, Actor, Entry, Place};
use crate::record_held::{Condition, HeldBy, Hold};
use crate::sql::{Executor, SqlError};
use crate::{MailFacts, Store, StoreError};

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
}

impl<D: Disk> Store<D> {
    /// The stories of the messages that a query finds, newest first.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn trace(&self, query: &Query) -> Result<Vec<Story>, StoreError> {
        let candidates = self.read(|sql| candidates(sql, query))?;
        let mut stories = Vec::new();
        for facts in candidates {
            if stories.len() >= query.count_max {
                break;
            }
            if query.receipt.is_some_and(|receipt| receipt != facts.receipt)
                || query.since.is_some_and(|since| facts.accepted < since)
                || query.until.is_some_and(|until| facts.accepted >= until)
            {
                continue;
            }
            let (actor, accepted) = self.accepted(&facts)?;
            if matches(query, &accepted) {
                stories.push(self.story(facts, actor, accepted)?);
            }
        }
        Ok(stories)
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
        let mut events = Vec::with_capacity(places.len());
        for (seq, at) in places {
            events.push(Event { seq, entry: self.entry_at(at)? });
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
        let mailbox_names = self.read(|sql| {
            let mut names = BTreeMap::new();
            for mailbox in mentioned {
                let name = "SELECT name FROM mailbox WHERE id = $1";
                sql.query(name, &[mailbox.0.into()], &mut |row| {
                    names.insert(mailbox, row.text(0)?.to_owned());
                    Ok(())
                })?;
            }
            Ok(names)
        })?;
        Ok(Story { facts, actor, accepted, custodies, events, mailbox_names })
    }
}

/// What the index finds: all that match and maybe more, newest first.
fn candidates(sql: &mut impl Executor, query: &Query) -> Result<Vec<MailFacts>, SqlError> {
    /// Messages looked at for one query.
    const CANDIDATES_MAX: i64 = 100_000;
    let mut mails: Vec<MailId> = Vec::new();
    let by_fingerprint =
        "SELECT mail FROM lookup WHERE fingerprint = $1 ORDER BY mail DESC LIMIT $2";
    let fingerprint = query
        .message_id
        .as_deref()
        .map(|id| message_id_fingerprint(bare(id)))
        .or_else(|| query.address.as_ref().map(address_fingerprint));
    if let Some(mail) = query.receipt.map(|receipt| receipt.mail).or(query.mail) {
        mails.push(mail);
    } else if let Some(fingerprint) = fingerprint {
        let params = [fingerprint.into(), CANDIDATES_MAX.into()];
        sql.query(by_fingerprint, &params, &mut |row| {
            mails.push(MailId(row.id(0)?));
            Ok(())
        })?;
    } else {
        let since = query.since.map_or(i64::MIN, |since| since.0);
        let until = query.until.map_or(i64::MAX, |until| until.0);
        let limit = i64::try_from(query.count_max).unwrap_or(CANDIDATES_MAX).min(CANDIDATES_MAX);
        sql.query(
            "SELECT id FROM mail WHERE accepted >= $1 AND accepted < $2 ORDER BY id DESC LIMIT $3",
            &[since.into(), until.into(), limit.into()],
            &mut |row| {
                mails.push(MailId(row.id(0)?));
                Ok(())
            },
        )?;
    }
    let mut facts = Vec::with_capacity(mails.len());
    for mail in mails {
        facts.extend(read_facts(sql, mail)?);
    }
    Ok(facts)
}

/// A fingerprint may be shared; the record tells.
fn matches(query: &Query, accepted: &Accepted) -> bool {
    let message_id = query
        .message_id
        .as_deref()
        .is_none_or(|wanted| accepted.message_id.as_deref().is_some_and(|id| id == bare(wanted)));
    let address = query.address.as_ref().is_none_or(|wanted| {
        let folded = wanted.folded();
        let is = |address: &Address| address.folded() == folded;
        accepted.reverse_path.address().is_some_and(is)
            || accepted.custodies.iter().any(|custody| is(&custody.recipient))
    });
    message_id && address
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

fn read_custodies(sql: &mut impl Executor, mail: MailId) -> Result<Vec<CustodyStory>, SqlError> {
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
