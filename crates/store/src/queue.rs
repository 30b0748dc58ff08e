//! The queue: custodies that are to be sent on. What is taken by the runner is known in memory
//! only; a restart has everything waiting again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use journal::{Body, Disk};
use mail_types::{Address, CustodyId, MailId, RecordSeq, ReversePath, Timestamp};

use crate::accept::{Arrived, Recipient};
use crate::commit::Work;
use crate::index::Index;
use crate::read::read_facts;
use crate::record::{Accepted, Actor, Outcome, Peer, Record, Source};
use crate::record_tried::{Tried, Try};
use crate::sql::{Executor, SqlError};
use crate::sqlite::Sqlite;
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

/// What the runner has taken.
///
/// What is settled is not simply forgotten: a reader may still look at the index as it was before,
/// where the item is due, and would take it again and send it twice. It is free for a reader that
/// sees the record that settled it.
#[derive(Default)]
pub struct TakenItems(HashMap<CustodyId, Option<RecordSeq>>);

impl TakenItems {
    fn release(&mut self, custodies: &[CustodyId], settled_by: RecordSeq) {
        for custody in custodies {
            if let Some(taken) = self.0.get_mut(custody) {
                *taken = Some(settled_by);
            }
        }
    }

    /// Forgets what was settled by records that a reader at `seen` sees.
    fn forget(&mut self, seen: RecordSeq) {
        self.0.retain(|_, settled_by| settled_by.is_none_or(|seq| seq > seen));
    }
}

impl<D: Disk> Store<D> {
    /// Takes items that are due, oldest first; what is taken is not taken again before
    /// [`Store::settle`] or [`Store::give_back`] names it. Answers also when the next one that was
    /// not taken is due.
    ///
    /// # Errors
    /// Where index or journal cannot be read; nothing is taken then.
    pub fn take_due(
        &self,
        now: Timestamp,
        count_max: usize,
        skip: &HashSet<String>,
    ) -> Result<(Vec<QueueItem>, Option<Timestamp>), StoreError> {
        let (rows, next_due) = self.read(|sql| {
            let seen = crate::index::applied_in(sql)?.map_or(RecordSeq(0), |head| head.last_seq);
            let mut taken = self.taken();
            taken.forget(seen);
            let mut rows: Vec<QueueRow> = Vec::new();
            let mut next_due = None;
            read_queue(sql, Some(now), &mut |row, destination| {
                if taken.0.contains_key(&row.custody) || skip.contains(destination) {
                    return true;
                }
                if rows.len() == count_max {
                    next_due = Some(now);
                    return false;
                }
                rows.push(row);
                true
            })?;
            if next_due.is_none() {
                let later = "SELECT min(due) FROM queue WHERE due > $1";
                next_due = sql.number(later, &[now.0.into()])?.map(Timestamp);
            }
            taken.0.extend(rows.iter().map(|row| (row.custody, None)));
            Ok((rows, next_due))
        })?;
        // What cannot be read stays taken until a restart, so that it does not fill every page.
        Ok((self.items(rows), next_due))
    }

    /// What is in the queue, by due time.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn queue(&self, filter: &QueueFilter) -> Result<Vec<QueueItem>, StoreError> {
        let rows = self.read(|sql| {
            let mut rows = Vec::new();
            read_queue(sql, None, &mut |row: QueueRow, destination| {
                if filter.mail.is_none_or(|mail| mail == row.mail)
                    && filter.destination.as_deref().is_none_or(|wanted| wanted == destination)
                {
                    rows.push(row);
                }
                filter.count_max.is_none_or(|max| rows.len() < max)
            })?;
            Ok(rows)
        })?;
        Ok(self.items(rows))
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

    /// Records that these are about to be offered to `peer`.
    pub fn begin_attempts(&self, custodies: Vec<CustodyId>, peer: Peer) -> Pending<()> {
        self.change(move |work| {
            if queued(work, &custodies)?.len() != custodies.len() {
                return Err(Refused::Missing("an item to be sent".to_owned()));
            }
            work.record(&Actor::Server, Record::AttemptBegun { custodies, peer })
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
        let taken = Arc::clone(&self.taken);
        let report = report.map(|report| (self.next_mail(), report));
        let custodies: Vec<CustodyId> = settled.iter().map(|one| one.custody).collect();
        self.change_and(
            move |work| settle(work, settled, tries, report),
            move |(), synced| {
                let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                taken.release(&custodies, synced.seq());
            },
        )
    }

    /// Gives back items that came to nothing; `begun` are those of them whose attempt was recorded
    /// but never reached the final dot.
    pub fn give_back(&self, custodies: &[CustodyId], begun: Vec<CustodyId>) -> Pending<()> {
        let taken = Arc::clone(&self.taken);
        let custodies = custodies.to_vec();
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
                taken.release(&custodies, synced.seq());
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

    fn taken(&self) -> MutexGuard<'_, TakenItems> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the messages' records, each once.
    fn items(&self, rows: Vec<QueueRow>) -> Vec<QueueItem> {
        let mut mails: HashMap<MailId, Arc<QueuedMail>> = HashMap::new();
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let mail = match mails.get(&row.mail) {
                Some(mail) => Arc::clone(mail),
                None => {
                    let accepted = match self.accepted(&row.facts) {
                        Ok((_, accepted)) => accepted,
                        // Contained: mail around it goes on. It stays in the queue, and `verify`
                        // names it.
                        Err(error) => {
                            tracing::error!(%error, custody = %row.custody, "cannot be sent");
                            self.shared.alarm(&error);
                            continue;
                        }
                    };
                    let mail = Arc::new(QueuedMail { facts: row.facts, accepted: *accepted });
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
                recipient: mail.accepted.custodies[place].recipient.clone(),
                place,
                mail,
                due: row.due,
                attempts: row.attempts,
                begun: row.begun,
                uncertain: row.uncertain,
                delay_told: row.delay_told,
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

fn settle(
    work: &mut Work<'_>,
    mut settled: Vec<Settled>,
    tries: Vec<Try>,
    report: Option<(MailId, NewReport)>,
) -> Result<(), Refused> {
    let custodies: Vec<CustodyId> = settled.iter().map(|one| one.custody).collect();
    let open: HashSet<CustodyId> = queued(work, &custodies)?.into_iter().collect();
    settled.retain(|one| open.contains(&one.custody));
    if settled.is_empty() {
        // Asked for once more after its answer was lost: it is done already, report included.
        return Ok(());
    }
    let report = match report {
        Some((mail, report)) => accept_report(work, mail, report)?,
        None => None,
    };
    let mut outcomes = Vec::with_capacity(settled.len());
    for Settled { custody, peer, mut outcome, reported } in settled {
        let told = report.filter(|_| reported);
        match &mut outcome {
            Outcome::Relayed { report, .. } | Outcome::Deferred { report, .. } => *report = told,
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
    if tries.is_empty() {
        for (custody, peer, outcome) in outcomes {
            work.record(&Actor::Server, Record::Attempted { custody, peer, outcome })?;
        }
        return Ok(());
    }
    let peer = outcomes.first().and_then(|(_, peer, _)| peer.clone());
    let outcomes = outcomes.into_iter().map(|(custody, _, outcome)| (custody, outcome)).collect();
    work.record(&Actor::Server, Record::Tried(Box::new(Tried { peer, outcomes, tries })))
}

/// Accepts a report; `None` where it goes to nobody that exists (a local user that is gone).
pub fn accept_report(
    work: &mut Work<'_>,
    mail: MailId,
    report: NewReport,
) -> Result<Option<MailId>, Refused> {
    let arrived = Arrived {
        mail,
        actor: Actor::Server,
        source: Source::Report { about: report.about },
        reverse_path: ReversePath::Null,
        envelope_id: None,
        return_headers_only: None,
        eight_bit: false,
        smtp_utf8: report.to.needs_smtputf8(),
        body: report.body,
        message_id: report.message_id,
        subject: report.subject,
        recipients: vec![Recipient { address: report.to, notify: None, original_recipient: None }],
    };
    match crate::accept::accept(work, arrived) {
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

struct QueueRow {
    custody: CustodyId,
    mail: MailId,
    facts: MailFacts,
    due: Timestamp,
    attempts: u32,
    begun: bool,
    uncertain: bool,
    delay_told: bool,
}

/// Reads the queue by due time, up to `due_max` if given, until `on_row` says false.
fn read_queue(
    sql: &mut Sqlite,
    due_max: Option<Timestamp>,
    on_row: &mut dyn FnMut(QueueRow, &str) -> bool,
) -> Result<(), SqlError> {
    /// Rows read at once: the bound on what is read past the last one wanted.
    const PAGE: i64 = 256;
    let due_max = due_max.map_or(i64::MAX, |due| due.0);
    let (mut last_due, mut last_custody) = (i64::MIN, i64::MIN);
    loop {
        let mut page = Vec::new();
        sql.query(
            "SELECT custody, mail, destination, due, attempts, begun, uncertain, delay_told \
             FROM queue WHERE due <= $1 AND (due, custody) > ($2, $3) ORDER BY due, custody LIMIT $4",
            &[due_max.into(), last_due.into(), last_custody.into(), PAGE.into()],
            &mut |row| {
                let flags = (row.int(5)? != 0, row.int(6)? != 0, row.int(7)? != 0);
                page.push((
                    CustodyId(row.id(0)?),
                    MailId(row.id(1)?),
                    row.text(2)?.to_owned(),
                    row.int(3)?,
                    row.int(4)?,
                    flags,
                ));
                Ok(())
            },
        )?;
        let Some(last) = page.last() else { return Ok(()) };
        (last_due, last_custody) = (last.3, last.0.0.cast_signed());
        for (custody, mail, destination, due, attempts, (begun, uncertain, delay_told)) in page {
            let Some(facts) = read_facts(sql, mail)? else { continue };
            let row = QueueRow {
                custody,
                mail,
                facts,
                due: Timestamp(due),
                attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                begun,
                uncertain,
                delay_told,
            };
            if !on_row(row, &destination) {
                return Ok(());
            }
        }
    }
}

/// The custodies whose attempt was begun and has no result.
pub fn begun(index: &mut Index<Sqlite>) -> Result<Vec<CustodyId>, SqlError> {
    let mut begun = Vec::new();
    index.sql.query("SELECT custody FROM queue WHERE begun = 1", &[], &mut |row| {
        begun.push(CustodyId(row.id(0)?));
        Ok(())
    })?;
    Ok(begun)
}
