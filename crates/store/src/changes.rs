//! What people do with mail that is not settled: hold, release, try now, send another way, purge,
//! give back; and the undoing of it. One command is one change with a number, in records of at most
//! [`CUSTODIES_PER_JOB`] custodies, each with what it was before.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use journal::Disk;
use mail_types::{Address, CustodyId, MailId, RecordSeq, Timestamp};

use crate::commit::Work;
use crate::queue::CUSTODIES_PER_JOB;
use crate::record::{Actor, Place, Record};
use crate::record_held::{
    ChangeKind, Changed, Condition, CustodiesChanged, HeldBy, Hold, REASON_BYTES_MAX, Waiting,
};
use crate::released::{Reports, at_once, let_go, sent_on};
use crate::sql::{Executor, Row, SqlError};
use crate::{Pending, Refused, Store, StoreError};

/// What is to be done with custodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Keep them back until they are released.
    Hold(HeldBy),
    /// Let held ones go on: into the queue, due as they were, or into their mailbox.
    Release,
    /// Try them now.
    Retry,
    /// Send them to this host (`HOST:PORT`); with none, where routes and MX records say again.
    Reroute(Option<String>),
    /// Send them to this address instead.
    EditRecipient(Address),
    /// Hold them for so long, then they are gone.
    Purge(Duration),
    /// Give them back to their sender now.
    Return,
}

impl Wish {
    const fn kind(&self) -> ChangeKind {
        match self {
            Self::Hold(_) => ChangeKind::Hold,
            Self::Release => ChangeKind::Release,
            Self::Retry => ChangeKind::Retry,
            Self::Reroute(_) => ChangeKind::Reroute,
            Self::EditRecipient(_) => ChangeKind::EditRecipient,
            Self::Purge(_) => ChangeKind::Purge,
            Self::Return => ChangeKind::Return,
        }
    }
}

/// What came of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeOutcome {
    /// Its number; none where nothing was changed.
    pub change: Option<u64>,
    /// The change that was undone.
    pub undone: Option<u64>,
    /// Custodies that were changed.
    pub changed: u64,
    /// Why others were not, and how many.
    pub skipped: BTreeMap<String, u64>,
}

/// A custody as it stands, as far as it can be changed.
pub struct Standing {
    pub mail: MailId,
    /// The recipient that was accepted.
    pub recipient: Address,
    pub condition: Condition,
    /// A host may be about to take it.
    begun: bool,
}

/// Why one custody stays as it is.
pub type Skip = String;

const SENDING: &str = "being sent at this moment";
pub const SETTLED: &str = "settled already";

/// A destination whose mail waits by an operator's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Domain or address literal; every one where there is none.
    pub destination: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// In the operator's words.
    pub reason: Option<String>,
}

impl<D: Disk> Store<D> {
    /// Changes these custodies; blocks until all of it is durable. A crash in the middle leaves the
    /// first of them changed, and each of them whole; the same command does the rest, and undoing
    /// covers what was done.
    ///
    /// # Errors
    /// Where the store takes no changes; those before it are kept.
    pub fn change_custodies(
        &self,
        actor: &Actor,
        wish: &Wish,
        reason: Option<&str>,
        custodies: &[CustodyId],
    ) -> Result<ChangeOutcome, Refused> {
        self.change_custodies_while(actor, wish, reason, custodies, &mut |_| true)
    }

    /// The same, telling after each part how many custodies it has come to; `go_on` says whether
    /// the rest is wanted still. What is left then is as it was.
    ///
    /// # Errors
    /// As [`Store::change_custodies`].
    pub fn change_custodies_while(
        &self,
        actor: &Actor,
        wish: &Wish,
        reason: Option<&str>,
        custodies: &[CustodyId],
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<ChangeOutcome, Refused> {
        if let Some(reason) = reason
            && reason.len() > REASON_BYTES_MAX
        {
            return Err(Refused::Invalid(format!("a reason has at most {REASON_BYTES_MAX} bytes")));
        }
        let mut outcome = ChangeOutcome::default();
        let mut looked_at = 0;
        for custodies in custodies.chunks(CUSTODIES_PER_JOB) {
            if !go_on(looked_at) {
                break;
            }
            looked_at += custodies.len() as u64;
            let part = Part {
                actor: actor.clone(),
                kind: wish.kind(),
                change: outcome.change,
                undoes: None,
                reason: reason.map(str::to_owned),
            };
            let (wish, custodies) = (wish.clone(), custodies.to_vec());
            let why = reason.map(str::to_owned);
            let reports = match &wish {
                Wish::Release => self.delivery_reports(&custodies, None)?,
                Wish::EditRecipient(to) => self.delivery_reports(&custodies, Some(to))?,
                Wish::Hold(_) | Wish::Retry | Wish::Reroute(_) | Wish::Purge(_) | Wish::Return => {
                    Reports::new()
                }
            };
            let done = self.change_part(part, move |work, change| {
                change.reports = reports;
                for custody in custodies {
                    change.one(work, custody, |work, standing| {
                        next_condition(work, &wish, why.as_deref(), standing)
                    })?;
                }
                Ok(())
            });
            outcome.add(done.wait()?);
        }
        Ok(outcome)
    }

    /// Undoes a change (the last one that is not undone): every custody that is still as the change
    /// left it is again what it was before. Blocks until all of it is durable. What a crash in the
    /// middle leaves is undone by undoing the same change once more.
    ///
    /// # Errors
    /// [`Refused::Missing`] where there is none; else as [`Store::change_custodies`].
    pub fn undo_change(
        &self,
        actor: &Actor,
        change: Option<u64>,
        reason: Option<&str>,
    ) -> Result<ChangeOutcome, Refused> {
        let unavailable = |error: StoreError| Refused::Unavailable(error.to_string());
        let found = self.read(|sql| last_change(sql, change)).map_err(unavailable)?;
        let Some((undone, parts)) = found else {
            return Err(Refused::Missing("a change of the queue that can be undone".to_owned()));
        };
        let mut outcome = ChangeOutcome { undone: Some(undone), ..ChangeOutcome::default() };
        let mut parts = parts.into_iter().peekable();
        // Ends: each turn takes a part. What is delivered has a part of its own for each recipient.
        loop {
            let mut items = Vec::new();
            while items.len() < CUSTODIES_PER_JOB
                && let Some((seq, at)) = parts.next()
            {
                let entry = self.entry_at(at).map_err(unavailable)?;
                let Record::CustodiesChanged(changed) = entry.record else { continue };
                for item in changed.items {
                    let since = self.since_release(&item, seq).map_err(unavailable)?;
                    items.push((item, since));
                }
            }
            let part = Part {
                actor: actor.clone(),
                kind: ChangeKind::Undo,
                change: outcome.change,
                undoes: Some(undone),
                reason: reason.map(str::to_owned),
            };
            let is_last = parts.peek().is_none();
            let done = self.change_part(part, move |work, change| {
                for (item, since) in items {
                    match since {
                        Some(since) => change.take_back(work, item, &since)?,
                        None => change.one(work, item.custody, |_, standing| {
                            Ok(former_condition(&item, &standing.condition))
                        })?,
                    }
                }
                change.flush(work)?;
                match is_last {
                    // Not before: what a crash leaves half undone is the last change still.
                    true => {
                        work.record(&change.part.actor, Record::ChangeUndone { change: undone })
                    }
                    false => Ok(()),
                }
            });
            outcome.add(done.wait()?);
            if is_last {
                return Ok(outcome);
            }
        }
    }

    /// What was to be purged, and whose time is over, is gone for good. Answers how many; asks for
    /// as many as one job may have at a time.
    ///
    /// # Errors
    /// As [`Store::change_custodies`].
    pub fn purge_due(&self) -> Result<u64, Refused> {
        let mut purged = 0;
        loop {
            let done = self.change_part(Part::when_due(ChangeKind::PurgeDue), |work, change| {
                for custody in due_for_purge(work)? {
                    change.one(work, custody, |_, _| Ok(Ok(Condition::Purged)))?;
                }
                Ok(())
            });
            let changed = done.wait()?.changed;
            purged += changed;
            if changed < CUSTODIES_PER_JOB as u64 {
                return Ok(purged);
            }
        }
    }

    /// Mail to a destination (none: all of it) waits from now on, or goes on.
    pub fn pause_queue(
        &self,
        actor: Actor,
        destination: Option<String>,
        paused: bool,
        reason: Option<String>,
    ) -> Pending<()> {
        self.change(move |work| {
            let name = destination.as_deref().unwrap_or(crate::index::EVERYWHERE);
            if !paused && !work.index.pauses.contains(name) {
                return Err(Refused::Missing("such a pause".to_owned()));
            }
            work.record(&actor, Record::QueuePaused { destination, paused, reason })
        })
    }

    /// What waits by an operator's word.
    ///
    /// # Errors
    /// The index's.
    pub fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.read(|sql| {
            let mut pauses = Vec::new();
            let query = "SELECT destination, since, reason FROM pause ORDER BY destination";
            sql.query(query, &[], &mut |row| {
                let name = row.text(0)?;
                let destination = (name != crate::index::EVERYWHERE).then(|| name.to_owned());
                let reason = row.text_or_null(2)?.map(str::to_owned);
                pauses.push(Pause { destination, since: Timestamp(row.int(1)?), reason });
                Ok(())
            })?;
            Ok(pauses)
        })
    }

    pub(crate) fn change_part(
        &self,
        part: Part,
        fill: impl FnOnce(&mut Work<'_>, &mut Change) -> Result<(), Refused> + Send + 'static,
    ) -> Pending<ChangeOutcome> {
        self.change(move |work| {
            let number = part.change.unwrap_or(work.next_seq().0);
            let (items, outcome) = (Vec::new(), ChangeOutcome::default());
            let (reports, added) = (Reports::new(), HashMap::new());
            let mut change = Change { part, number, items, outcome, reports, added };
            fill(work, &mut change)?;
            change.flush(work)?;
            Ok(change.outcome)
        })
    }
}

impl ChangeOutcome {
    fn add(&mut self, part: Self) {
        self.change = self.change.or(part.change);
        self.changed += part.changed;
        for (reason, count) in part.skipped {
            *self.skipped.entry(reason).or_default() += count;
        }
    }
}

/// What all custodies of one record share.
pub struct Part {
    pub actor: Actor,
    pub kind: ChangeKind,
    /// The number, once the first record has it.
    pub change: Option<u64>,
    pub undoes: Option<u64>,
    pub reason: Option<String>,
}

impl Part {
    /// Of what the server does by itself, when its time has come.
    pub const fn when_due(kind: ChangeKind) -> Self {
        Self { actor: Actor::Server, kind, change: None, undoes: None, reason: None }
    }
}

/// A record while it is filled.
pub struct Change {
    pub part: Part,
    number: u64,
    pub items: Vec<Changed>,
    pub outcome: ChangeOutcome,
    /// For those that are delivered.
    pub reports: Reports,
    /// Records that this job has added to the stories of messages that it took back.
    pub added: HashMap<MailId, u64>,
}

impl Change {
    /// Adds one custody with what `next` makes of it, or counts why it stays as it is.
    pub fn one(
        &mut self,
        work: &mut Work<'_>,
        custody: CustodyId,
        next: impl FnOnce(&mut Work<'_>, &Standing) -> Result<Result<Condition, Skip>, Refused>,
    ) -> Result<(), Refused> {
        let standing = match standing(work, custody) {
            Ok(standing) => standing,
            Err(error) => return Err(work.fail(error.into())),
        };
        let next = match &standing {
            None => Err(SETTLED.to_owned()),
            Some(standing) if standing.begun => Err(SENDING.to_owned()),
            Some(standing) => next(work, standing)?,
        };
        match (standing, next) {
            (Some(standing), Ok(is)) => {
                // The next UID of a mailbox is known only behind this one.
                let delivered = matches!(is, Condition::Delivered { .. });
                self.items.push(Changed { custody, was: standing.condition, is });
                if delivered || self.items.len() >= CUSTODIES_PER_JOB {
                    self.flush(work)?;
                }
                if delivered && let Some((mail, report)) = self.reports.remove(&custody) {
                    // A sender that does not exist here is told nothing.
                    crate::queue::accept_report(work, mail, report)?;
                }
            }
            (_, Err(why)) => *self.outcome.skipped.entry(why).or_default() += 1,
            (None, Ok(_)) => {}
        }
        Ok(())
    }

    pub fn flush(&mut self, work: &mut Work<'_>) -> Result<(), Refused> {
        if self.items.is_empty() {
            return Ok(());
        }
        let items = std::mem::take(&mut self.items);
        self.outcome.changed += items.len() as u64;
        self.outcome.change = Some(self.number);
        let changed = CustodiesChanged {
            change: self.number,
            kind: self.part.kind,
            undoes: self.part.undoes,
            reason: self.part.reason.clone(),
            items,
        };
        work.record(&self.part.actor, Record::CustodiesChanged(Box::new(changed)))
    }
}

/// The words for a hold that a wish makes.
fn hold_for(wish: &Wish, reason: Option<&str>, now: Timestamp) -> Hold {
    let (by, purge_at) = match wish {
        Wish::Hold(by) => (*by, None),
        Wish::Purge(wait) => (HeldBy::Purge, Some(now.after(*wait))),
        Wish::Release | Wish::Retry | Wish::Reroute(_) | Wish::EditRecipient(_) | Wish::Return => {
            (HeldBy::Operator, None)
        }
    };
    Hold { by, reason: reason.unwrap_or_default().to_owned(), purge_at }
}

/// What a wish makes of a custody.
fn next_condition(
    work: &mut Work<'_>,
    wish: &Wish,
    reason: Option<&str>,
    standing: &Standing,
) -> Result<Result<Condition, Skip>, Refused> {
    let now = work.now;
    let same = |what: &str| Ok(Err(what.to_owned()));
    Ok(match (wish, &standing.condition) {
        (Wish::Hold(_) | Wish::Purge(_), Condition::Queued(waiting)) => {
            Ok(Condition::Held { hold: hold_for(wish, reason, now), then: Some(waiting.clone()) })
        }
        (Wish::Hold(_), Condition::Held { hold, .. })
            if hold.purge_at.is_none() && hold.by != HeldBy::Future =>
        {
            return same("held already");
        }
        (Wish::Hold(_) | Wish::Purge(_), Condition::Held { then, .. }) => {
            Ok(Condition::Held { hold: hold_for(wish, reason, now), then: then.clone() })
        }
        (Wish::Release, _) => return let_go(work, standing),
        (Wish::EditRecipient(_), Condition::Queued(waiting)) => {
            return sent_on(work, standing, edited(wish, reason, waiting, now));
        }
        (Wish::EditRecipient(_), Condition::Held { hold, then: None }) => {
            let then = Some(edited(wish, reason, &at_once(now), now));
            Ok(Condition::Held { hold: hold.clone(), then })
        }
        (wish, Condition::Queued(waiting)) => {
            Ok(Condition::Queued(edited(wish, reason, waiting, now)))
        }
        (wish, Condition::Held { hold, then: Some(waiting) }) => {
            let then = Some(edited(wish, reason, waiting, now));
            Ok(Condition::Held { hold: hold.clone(), then })
        }
        (_, Condition::Held { then: None, .. }) => return same("held, and was never queued"),
        (_, Condition::Delivered { .. } | Condition::Purged) => return same(SETTLED),
    })
}

/// The same waiting, as retry, reroute, edit-recipient and return change it.
fn edited(wish: &Wish, reason: Option<&str>, waiting: &Waiting, now: Timestamp) -> Waiting {
    let mut waiting = waiting.clone();
    match wish {
        Wish::Retry => waiting.due = now,
        Wish::Reroute(relay) => {
            waiting.relay.clone_from(relay);
            waiting.due = now;
        }
        Wish::EditRecipient(recipient) => {
            waiting.recipient = Some(recipient.clone());
            waiting.due = now;
        }
        Wish::Return => {
            let why = reason.unwrap_or("the postmaster of this server gave it back");
            waiting.give_back = Some(why.to_owned());
            waiting.due = now;
        }
        Wish::Hold(_) | Wish::Release | Wish::Purge(_) => {}
    }
    waiting
}

/// What undoing makes of a custody: what it was, as far as nothing came in between.
fn former_condition(changed: &Changed, now_is: &Condition) -> Result<Condition, Skip> {
    let gone_on = || Err("changed again since, or went on".to_owned());
    match (&changed.was, &changed.is, now_is) {
        (was, is, now_is) if is == now_is => Ok(was.clone()),
        // It was tried in between: the rest is as it was, and the next try is when it would be.
        (Condition::Queued(was), Condition::Queued(is), Condition::Queued(now_is)) => {
            let same = Waiting { due: is.due, ..now_is.clone() };
            if same != *is || (&was.recipient, &was.relay) == (&is.recipient, &is.relay) {
                return gone_on();
            }
            Ok(Condition::Queued(Waiting { due: now_is.due, ..was.clone() }))
        }
        _ => gone_on(),
    }
}

/// A segment and an offset, from this column and the one behind it.
pub fn place(row: &dyn Row, column: usize) -> Result<Place, SqlError> {
    let segment = u32::try_from(row.int(column)?).unwrap_or(u32::MAX);
    Ok(Place { segment, offset: row.id(column + 1)? })
}

/// The records of a change in order.
type Parts = Vec<(RecordSeq, Place)>;

/// The number of a change that can be undone, and its records.
fn last_change(
    sql: &mut impl Executor,
    change: Option<u64>,
) -> Result<Option<(u64, Parts)>, SqlError> {
    let last = "SELECT max(id) FROM queue_change WHERE undone = 0 \
                AND kind NOT IN ('undo', 'purge-due', 'release-due')";
    // What is undone of it already, where the server stopped in between, is as it was, and passed
    // over.
    let this = "SELECT id FROM queue_change WHERE id = $1 \
                AND kind NOT IN ('undo', 'purge-due', 'release-due')";
    let found = match change {
        Some(change) => sql.number(this, &[change.into()])?,
        None => sql.number(last, &[])?,
    };
    let Some(found) = found else { return Ok(None) };
    let mut parts = Vec::new();
    let query = "SELECT seq, segment, place FROM queue_change_part WHERE id = $1 ORDER BY seq";
    sql.query(query, &[found.into()], &mut |row| {
        parts.push((RecordSeq(row.id(0)?), place(row, 1)?));
        Ok(())
    })?;
    Ok(Some((found.cast_unsigned(), parts)))
}

fn due_for_purge(work: &mut Work<'_>) -> Result<Vec<CustodyId>, Refused> {
    let mut due = Vec::new();
    let query = "SELECT custody FROM held WHERE purge_at <= $1 ORDER BY purge_at, custody LIMIT $2";
    let params = [work.now.0.into(), (CUSTODIES_PER_JOB as u64).into()];
    let found = work.index.sql.query(query, &params, &mut |row| {
        due.push(CustodyId(row.id(0)?));
        Ok(())
    });
    found.map_err(|error| work.fail(error.into()))?;
    Ok(due)
}

/// How a custody stands, where it is in the queue or held.
fn standing(work: &mut Work<'_>, custody: CustodyId) -> Result<Option<Standing>, SqlError> {
    let mut found = None;
    let queued = "SELECT queue.mail, queue.due, queue.recipient, queue.relay, queue.give_back, \
                  queue.begun, custody.recipient FROM queue \
                  JOIN custody ON custody.id = queue.custody WHERE queue.custody = $1";
    work.index.sql.query(queued, &[custody.0.into()], &mut |row| {
        found = Some(Standing {
            mail: MailId(row.id(0)?),
            condition: Condition::Queued(waiting(row)?),
            begun: row.int(5)? != 0,
            recipient: address(row.text(6)?)?,
        });
        Ok(())
    })?;
    let held = "SELECT held.mail, held.due, held.recipient, held.relay, held.give_back, \
                held.held_by, held.reason, held.purge_at, held.was_queued, custody.recipient \
                FROM held JOIN custody ON custody.id = held.custody WHERE held.custody = $1";
    work.index.sql.query(held, &[custody.0.into()], &mut |row| {
        let hold = Hold {
            by: HeldBy::from_word(row.text(5)?).unwrap_or(HeldBy::Operator),
            reason: row.text(6)?.to_owned(),
            purge_at: row.int_or_null(7)?.map(Timestamp),
        };
        let then = if row.int(8)? != 0 { Some(waiting(row)?) } else { None };
        found = Some(Standing {
            mail: MailId(row.id(0)?),
            condition: Condition::Held { hold, then },
            begun: false,
            recipient: address(row.text(9)?)?,
        });
        Ok(())
    })?;
    Ok(found)
}

/// From the columns 1 to 4: due, recipient, relay, give_back.
fn waiting(row: &dyn Row) -> Result<Waiting, SqlError> {
    Ok(Waiting {
        due: Timestamp(row.int(1)?),
        recipient: row.text_or_null(2)?.map(address).transpose()?,
        relay: row.text_or_null(3)?.map(str::to_owned),
        give_back: row.text_or_null(4)?.map(str::to_owned),
    })
}

fn address(text: &str) -> Result<Address, SqlError> {
    text.parse().map_err(|cause| SqlError {
        doing: "read an address of the queue".to_owned(),
        cause: Box::new(cause),
    })
}
