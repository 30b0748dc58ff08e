//! The queue: custodies that are to be sent on. What is taken by the runner is known in memory
//! only; a restart has everything waiting again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use journal::{Body, Disk};
use mail_types::{Address, CustodyId, MailId, Peer, Priority, RecordSeq, Timestamp};

use crate::accept::{Arrived, Recipient};
use crate::commit::Work;
use crate::lanes::{Lane, Lanes, Turn};
use crate::queue_rows::{QueueRow, lane_page, pauses, queue_row};
use crate::read::read_facts;
use crate::record::{Accepted, Actor, Outcome, Record, Source};
use crate::record_report::TlsPolicySeen;
use crate::record_tried::{Tried, Try, fit_words};
use crate::sql::{Executor, SqlError};
use crate::sqlite::Sqlite;
use crate::taken::{InQueue, Taken, TakenItems, as_taken};
use crate::{MailFacts, Pending, Refused, Store, StoreError};

/// A custody in the queue.
#[derive(Clone, Debug)]
pub struct QueueItem {
    /// Its id.
    pub custody: CustodyId,
    /// The message, shared by its recipients.
    pub mail: Arc<QueuedMail>,
    /// To whom.
    pub recipient: Address,
    /// Place among `mail.accepted.custodies`.
    pub place: usize,
    /// When it is due.
    pub due: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// Whether an attempt is under way or was when the server stopped.
    pub begun: bool,
    /// Whether an earlier attempt may have sent it.
    pub uncertain: bool,
    /// Whether the sender was told of the delay.
    pub delay_told: bool,
    /// From when its time in the queue counts.
    pub since: Timestamp,
    /// The host (`HOST:PORT`) that it goes to, whatever routes and MX records say.
    pub relay: Option<String>,
    /// It is to go back to its sender, for this reason.
    pub give_back: Option<String>,
    /// RFC 6710.
    pub priority: Priority,
}

/// What the recipients of a queued message share.
#[derive(Clone, Debug)]
pub struct QueuedMail {
    /// Where it lies, and its receipt.
    pub facts: MailFacts,
    /// Its record.
    pub accepted: Accepted,
}

/// Which items to list or change.
#[derive(Clone, Debug, Default)]
pub struct QueueFilter {
    /// Only those of this message.
    pub mail: Option<MailId>,
    /// Only those to this destination: a domain, or an address literal.
    pub destination: Option<String>,
    /// At most so many.
    pub count_max: Option<usize>,
}

/// What came of an attempt for one recipient.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The recipient.
    pub custody: CustodyId,
    /// Who was asked.
    pub peer: Option<Peer>,
    /// What came of it. Where it names a report, the id is filled in by the commit.
    pub outcome: Outcome,
    /// The report of the same call tells the sender of it.
    pub reported: bool,
}

/// A DSN to accept in the commit of what it reports.
pub struct NewReport {
    /// To whom.
    pub to: Address,
    /// What it is about.
    pub about: MailId,
    /// The whole message.
    pub body: Body,
    /// Its Subject and Message-ID.
    pub subject: Option<String>,
    /// Without angle brackets.
    pub message_id: Option<String>,
}

/// Custodies that one job or one record names; longer lists are split.
pub const CUSTODIES_PER_JOB: usize = 1000;

impl<D: Disk> Store<D> {
    /// Takes items that are due, from each lane in its turn (see `lanes`); what is taken is not taken
    /// again before [`Store::settle`] or [`Store::give_back`] names it. Nothing is taken of lanes
    /// that `skip` names or whose destination an operator paused. Answers also when the next one that
    /// was not taken is due.
    ///
    /// # Errors
    /// Where index or journal cannot be read; nothing is taken then.
    pub fn take_due(
        &self,
        now: Timestamp,
        count_max: usize,
        skip: &dyn Fn(&Lane) -> bool,
    ) -> Result<(Vec<QueueItem>, Option<Timestamp>), StoreError> {
        let mut taking = Taking::default();
        match self.read(|sql| self.take_turns(sql, now, count_max, skip, &mut taking)) {
            Ok(next_due) => {
                for row in &mut taking.rows {
                    // Nobody else has it, so an earlier run has begun it; that it may have been
                    // sent could not be recorded at the start.
                    row.uncertain |= row.begun;
                }
                // What cannot be read stays taken until a restart, so that it does not fill every
                // page.
                Ok((self.items(taking.rows), next_due))
            }
            Err(error) => {
                self.untake(taking);
                Err(error)
            }
        }
    }

    fn take_turns(
        &self,
        sql: &mut Sqlite,
        now: Timestamp,
        count_max: usize,
        skip: &dyn Fn(&Lane) -> bool,
        taking: &mut Taking,
    ) -> Result<Option<Timestamp>, SqlError> {
        let seen = crate::index::applied_in(sql)?.map_or(RecordSeq(0), |head| head.last_seq);
        let mut lanes = self.lanes();
        self.shared.take_queue_news(seen, &mut |lane, due| lanes.note(lane, due));
        self.taken().forget(seen, &mut |lane, due| lanes.note(lane, due));
        lanes.wake(now);
        let pauses = pauses(sql)?;
        let paused = |to: &str| pauses.contains(crate::index::EVERYWHERE) || pauses.contains(to);
        while taking.rows.len() < count_max
            && let Some(turn) = lanes.turn()
        {
            taking.aside.push(turn.clone());
            if paused(&turn.lane.destination) || skip(&turn.lane) {
                continue;
            }
            let left = count_max - taking.rows.len();
            let share = left.div_ceil(lanes.ready() + 1).max(SHARE_MIN);
            let count = share.min(left);
            let TakenTo { after, next } =
                self.take_from(sql, &turn, now, count, &mut taking.rows)?;
            taking.aside.pop();
            taking.done.push(turn.lane.clone());
            lanes.taken(turn, after, next, now);
        }
        let is_full = taking.rows.len() >= count_max && lanes.ready() > 0;
        taking.aside.drain(..).for_each(|turn| lanes.put_off(&turn));
        Ok(if is_full { Some(now) } else { lanes.next() })
    }

    /// Nothing was taken after all: it can be taken again, and its lanes are looked at again.
    fn untake(&self, taking: Taking) {
        let mut taken = self.taken();
        taking.rows.iter().for_each(|row| taken.untake(row.custody));
        drop(taken);
        let mut lanes = self.lanes();
        taking.aside.iter().for_each(|turn| lanes.put_off(turn));
        // From the beginning: what was taken of them lies in front of where they stand.
        taking.done.iter().for_each(|lane| lanes.note(lane, Timestamp(i64::MIN)));
    }

    /// Takes at most so many items of a lane.
    fn take_from(
        &self,
        sql: &mut Sqlite,
        turn: &Turn,
        now: Timestamp,
        count: usize,
        rows: &mut Vec<QueueRow>,
    ) -> Result<TakenTo, SqlError> {
        let mut after = turn.after;
        let mut left = count;
        // Ends: every page is behind the one before.
        loop {
            let (page, more) = lane_page(sql, &turn.lane, after, left)?;
            let mut taken = self.taken();
            for mut row in page {
                if row.due > now || left == 0 {
                    return Ok(TakenTo { after, next: Some(row.due) });
                }
                after = Some((row.due, row.custody));
                if taken.is_taken(row.custody, row.due, &turn.lane) {
                    continue;
                }
                row.facts = read_facts(sql, row.mail)?;
                taken.take(row.custody, row.due, &turn.lane, row.way.clone());
                rows.push(row);
                left -= 1;
            }
            if !more {
                return Ok(TakenTo { after, next: None });
            }
        }
    }

    /// What is in the queue, by its next try.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn queue(&self, filter: &QueueFilter) -> Result<Vec<QueueItem>, StoreError> {
        const BY_DUE: &str = "SELECT custody, mail, destination, due, attempts, begun, uncertain, \
            delay_told, accepted, recipient, relay, give_back, priority FROM queue \
            WHERE ($1 IS NULL OR mail = $1) AND ($2 IS NULL OR destination = $2) \
            ORDER BY due, custody LIMIT $3";
        let rows = self.read(|sql| {
            let count_max = filter.count_max.and_then(|max| i64::try_from(max).ok());
            let mut rows = Vec::new();
            let params = [
                filter.mail.map(|mail| mail.0).into(),
                filter.destination.as_deref().into(),
                count_max.unwrap_or(i64::MAX).into(),
            ];
            sql.query(BY_DUE, &params, &mut |row| {
                rows.push(queue_row(row)?);
                Ok(())
            })?;
            for row in &mut rows {
                row.facts = read_facts(sql, row.mail)?;
            }
            Ok(rows)
        })?;
        Ok(self.items(rows))
    }

    /// How many custodies are held.
    ///
    /// # Errors
    /// The index's.
    pub fn held_count(&self) -> Result<u64, StoreError> {
        let count = self.read(|sql| sql.number("SELECT count(*) FROM held", &[]))?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }

    /// How many items wait for each destination.
    ///
    /// # Errors
    /// The index's.
    pub fn queue_counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.read(|sql| {
            let mut counts = BTreeMap::new();
            sql.query(
                "SELECT destination, count(*) FROM queue GROUP BY destination",
                &[],
                &mut |row| {
                    counts.insert(row.text(0)?.to_owned(), row.id(1)?);
                    Ok(())
                },
            )?;
            Ok(counts)
        })
    }

    /// Records that these are about to be offered to `peer`; answers those that may be: not what
    /// was settled, held, changed or paused since it was taken.
    pub fn begin_attempts(&self, custodies: Vec<CustodyId>, peer: Peer) -> Pending<Vec<CustodyId>> {
        let taken = Arc::clone(&self.taken);
        let witnessed = self.witnessed();
        self.change(move |work| {
            witnessed?;
            let InQueue { same: mut custodies, .. } = as_taken(work, &taken, &custodies)?;
            if !work.index.pauses.is_empty() {
                custodies = unpaused(work, custodies)?;
            }
            if custodies.is_empty() {
                return Ok(custodies);
            }
            let begun = custodies.clone();
            work.record(&Actor::Server, Record::AttemptBegun { custodies, peer })?;
            Ok(begun)
        })
    }

    /// Records what came of attempts, and accepts the report about them in the same commit.
    /// Afterwards the items are no longer taken; where it is refused they stay so, and it is to be
    /// asked for again. Items that have their outcome already keep it; where all have, nothing is
    /// done.
    /// `tries` are the hosts that were asked, in order; with some, all of `settled` are of one
    /// attempt, with the same peer.
    pub fn settle(
        &self,
        settled: Vec<Settled>,
        tries: Vec<Try>,
        report: Option<NewReport>,
    ) -> Pending<()> {
        self.settle_seen(settled, tries, report, Vec::new())
    }

    /// The same with what the hosts' domains want of TLS, for reports to them.
    pub fn settle_seen(
        &self,
        settled: Vec<Settled>,
        tries: Vec<Try>,
        report: Option<NewReport>,
        policies: Vec<TlsPolicySeen>,
    ) -> Pending<()> {
        let taken = Arc::clone(&self.taken);
        let known = Arc::clone(&self.taken);
        let report = report.map(|report| (self.next_mail(), report));
        let custodies: Vec<CustodyId> = settled.iter().map(|one| one.custody).collect();
        self.change_and(
            move |work| {
                crate::reports::note_tls_policies(work, policies)?;
                settle(work, &known, settled, tries, report)
            },
            move |changed, synced| {
                let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                taken.release(&custodies, Taken::SettledBy(synced.seq()));
                taken.release(&changed, Taken::Back(synced.seq()));
            },
        )
    }

    /// Gives back items that came to nothing; `begun` are those of them whose attempt was recorded
    /// but never reached the final dot. The others were taken in memory alone, and are back at once
    /// whatever becomes of these.
    pub fn give_back(&self, custodies: &[CustodyId], begun: Vec<CustodyId>) -> Pending<()> {
        let taken = Arc::clone(&self.taken);
        let is_begun: HashSet<CustodyId> = begun.iter().copied().collect();
        let at_once: Vec<CustodyId> =
            custodies.iter().copied().filter(|custody| !is_begun.contains(custody)).collect();
        self.taken().release(&at_once, Taken::Back(RecordSeq(0)));
        if begun.is_empty() {
            return Pending::ready(());
        }
        let recorded = begun.clone();
        self.change_and(
            move |work| {
                let begun = queued(work, &begun)?;
                if begun.is_empty() {
                    return Ok(());
                }
                work.record(&Actor::Server, Record::AttemptDropped { custodies: begun })
            },
            move |(), synced| {
                let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                taken.release(&recorded, Taken::Back(synced.seq()));
            },
        )
    }

    /// Makes items due now, whatever their schedule; answers how many.
    pub fn retry(&self, actor: Actor, custodies: Vec<CustodyId>) -> Pending<u64> {
        self.change(move |work| {
            let custodies = queued(work, &custodies)?;
            let due = work.now;
            for custodies in custodies.chunks(CUSTODIES_PER_JOB) {
                let custodies = custodies.to_vec();
                work.record(&actor, Record::Rescheduled { custodies, due })?;
            }
            Ok(custodies.len() as u64)
        })
    }

    /// Attempts that were under way when the server stopped: the peer may have taken the message.
    pub(crate) fn mark_uncertain(&self, begun: Vec<CustodyId>) -> Pending<()> {
        self.change(move |work| {
            for custody in queued(work, &begun)? {
                let outcome = Outcome::Uncertain {
                    reason: "the server stopped while the message was being sent".to_owned(),
                    due: work.now,
                };
                work.record(&Actor::Server, Record::Attempted { custody, peer: None, outcome })?;
            }
            Ok(())
        })
    }

    pub(crate) fn taken(&self) -> MutexGuard<'_, TakenItems> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the messages' records, each once.
    pub(crate) fn items(&self, rows: Vec<QueueRow>) -> Vec<QueueItem> {
        let mut mails: HashMap<MailId, Arc<QueuedMail>> = HashMap::new();
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(facts) = row.facts else { continue };
            let mail = match mails.get(&row.mail) {
                Some(mail) => Arc::clone(mail),
                None => {
                    let accepted = match self.accepted(&facts) {
                        Ok((_, accepted)) => accepted,
                        // Contained: mail around it goes on. It stays in the queue, and `verify`
                        // names it.
                        Err(error) => {
                            tracing::error!(%error, custody = %row.custody, "cannot be sent");
                            self.shared.alarm(&error);
                            continue;
                        }
                    };
                    let mail = Arc::new(QueuedMail { facts, accepted: *accepted });
                    mails.insert(row.mail, Arc::clone(&mail));
                    mail
                }
            };
            let place =
                mail.accepted.custodies.iter().position(|known| known.custody == row.custody);
            let Some(place) = place else {
                let what = format!("custody {} is not in the record of its message", row.custody);
                self.shared.alarm(&StoreError::Damaged(what));
                continue;
            };
            items.push(QueueItem {
                custody: row.custody,
                recipient: match row.way.recipient {
                    Some(edited) => edited,
                    None => mail.accepted.custodies[place].recipient.clone(),
                },
                place,
                mail,
                due: row.due,
                attempts: row.attempts,
                begun: row.begun,
                uncertain: row.uncertain,
                delay_told: row.delay_told,
                since: row.since,
                relay: row.way.relay,
                give_back: row.way.give_back,
                priority: row.priority,
            });
        }
        items
    }
}

/// Those of the custodies that are in the queue.
fn queued(work: &mut Work<'_>, custodies: &[CustodyId]) -> Result<Vec<CustodyId>, Refused> {
    let mut found = Vec::with_capacity(custodies.len());
    for &custody in custodies {
        let query = "SELECT 1 FROM queue WHERE custody = $1";
        match work.index.sql.number(query, &[custody.0.into()]) {
            Ok(Some(_)) => found.push(custody),
            Ok(None) => tracing::warn!(%custody, "is not in the queue"),
            Err(error) => return Err(work.fail(error.into())),
        }
    }
    Ok(found)
}

/// Those whose destination does not wait by an operator's word.
fn unpaused(work: &mut Work<'_>, custodies: Vec<CustodyId>) -> Result<Vec<CustodyId>, Refused> {
    let mut free = Vec::with_capacity(custodies.len());
    for custody in custodies {
        let mut destination = String::new();
        let query = "SELECT destination FROM queue WHERE custody = $1";
        let found = work.index.sql.query(query, &[custody.0.into()], &mut |row| {
            row.text(0)?.clone_into(&mut destination);
            Ok(())
        });
        found.map_err(|error| work.fail(error.into()))?;
        if !work.index.is_paused(&destination) {
            free.push(custody);
        }
    }
    Ok(free)
}

/// Answers which were changed since they were taken, and are as open as before.
fn settle(
    work: &mut Work<'_>,
    taken: &Mutex<TakenItems>,
    mut settled: Vec<Settled>,
    mut tries: Vec<Try>,
    report: Option<(MailId, NewReport)>,
) -> Result<Vec<CustodyId>, Refused> {
    let custodies: Vec<CustodyId> = settled.iter().map(|one| one.custody).collect();
    // What was changed since it was taken was not offered to anybody: that it could not be sent the
    // old way says nothing about the new one.
    let InQueue { same: open, changed } = as_taken(work, taken, &custodies)?;
    let open: HashSet<CustodyId> = open.into_iter().collect();
    settled.retain(|one| open.contains(&one.custody));
    if settled.is_empty() {
        // Asked for once more after its answer was lost: it is done already, report included.
        return Ok(changed);
    }
    let report = match report {
        Some((mail, report)) => accept_report(work, mail, report)?,
        None => None,
    };
    let mut outcomes = Vec::with_capacity(settled.len());
    for Settled { custody, peer, mut outcome, reported } in settled {
        let told = report.filter(|_| reported);
        match &mut outcome {
            Outcome::Relayed { report, .. }
            | Outcome::Deferred { report, .. }
            | Outcome::Waits { report, .. } => *report = told,
            Outcome::Returned { notice, .. } => {
                use crate::record::Notice;
                *notice = match (told, &*notice) {
                    (Some(report), _) => Notice::Sent { report },
                    // The sender's own address is gone meanwhile: nobody is left to tell.
                    (None, Notice::Sent { .. }) => Notice::NotWanted,
                    (None, kept) => kept.clone(),
                };
            }
            Outcome::Uncertain { .. } => {}
        }
        outcomes.push((custody, peer, outcome));
    }
    fit_words(&mut outcomes, &mut tries);
    if tries.is_empty() {
        for (custody, peer, outcome) in outcomes {
            work.record(&Actor::Server, Record::Attempted { custody, peer, outcome })?;
        }
        return Ok(changed);
    }
    let peer = outcomes.first().and_then(|(_, peer, _)| peer.clone());
    let outcomes = outcomes.into_iter().map(|(custody, _, outcome)| (custody, outcome)).collect();
    work.record(&Actor::Server, Record::Tried(Box::new(Tried { peer, outcomes, tries })))?;
    Ok(changed)
}

/// Accepts a report; `None` where it goes to nobody that exists (a local user that is gone).
pub fn accept_report(
    work: &mut Work<'_>,
    mail: MailId,
    report: NewReport,
) -> Result<Option<MailId>, Refused> {
    // RFC 8689 §5: what is said about a message with REQUIRETLS travels as it was to.
    let query = "SELECT 1 FROM tls_required WHERE mail = $1";
    let required = work.index.sql.number(query, &[report.about.0.into()]);
    let required = required.map_err(|error| work.fail(error.into()))?;
    let from = (Actor::Server, Source::Report { about: report.about });
    let arrived = Arrived {
        smtp_utf8: report.to.needs_smtputf8(),
        requires_tls: required.is_some(),
        message_id: report.message_id,
        subject: report.subject,
        ..Arrived::plain(mail, from, report.body, vec![Recipient::plain(report.to)])
    };
    match crate::accept::accept(work, arrived, crate::accept::Senders::new()) {
        Ok(()) => Ok(Some(mail)),
        Err(Refused::UnknownUser(_)) => Ok(None),
        // The sender's own address takes no mail now: what the report is about must not fail by it.
        Err(refused @ (Refused::Invalid(_) | Refused::UidsUsedUp)) => {
            tracing::error!(%refused, "a report cannot be delivered");
            Ok(None)
        }
        Err(refused) => Err(refused),
    }
}

/// What one call has taken so far.
#[derive(Default)]
struct Taking {
    rows: Vec<QueueRow>,
    /// Lanes that were taken from.
    done: Vec<Lane>,
    /// Those that had their turn and were not.
    aside: Vec<Turn>,
}

/// How far a lane is taken.
struct TakenTo {
    /// The last item.
    after: Option<(Timestamp, CustodyId)>,
    /// When the next is due.
    next: Option<Timestamp>,
}

/// Items of a lane that are taken at its turn, where others wait too.
const SHARE_MIN: usize = 4;
