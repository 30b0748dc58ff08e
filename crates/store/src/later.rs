//! Mail that leaves at a time its sender has named (FUTURERELEASE, RFC 4865).
//!
//! It is accepted as every other message, and held for all its recipients until then: nobody here
//! has it sooner than people elsewhere. Then each recipient goes on as if it were accepted at that
//! moment. What an operator does with held mail can be done with this, too.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use journal::Disk;
use mail_types::{CustodyId, MailId, RecordSeq, Timestamp};

use crate::accept::{Arrived, Placement, Senders, fates, held, record};
use crate::changes::Part;
use crate::commit::Work;
use crate::index::Index;
use crate::queue::CUSTODIES_PER_JOB;
use crate::record::{Place, Record};
use crate::record_held::{ChangeKind, Condition, HeldBy, Hold, Waiting};
use crate::released::let_go;
use crate::sql::{Executor, SqlError};
use crate::{Refused, Store, StoreError};

/// After a failure it is tried again so much later.
const AFTER_FAILURE_MS: i64 = 60_000;

/// When a message is to leave, and how that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FutureRelease {
    /// Not before.
    pub until: Timestamp,
    /// HOLDFOR, in seconds; else it was HOLDUNTIL.
    pub asked_secs: Option<u32>,
}

impl FutureRelease {
    /// RFC 4865 §6: the value of Future-Release-Request in reports.
    #[must_use]
    pub fn request(&self) -> String {
        match self.asked_secs {
            Some(secs) => format!("for;{secs}"),
            None => format!("until;{}", self.until),
        }
    }
}

/// Accepts a message and holds it for every recipient until then.
pub fn accept_later(
    work: &mut Work<'_>,
    arrived: Arrived,
    FutureRelease { until, asked_secs }: FutureRelease,
    senders: Senders,
) -> Result<(), Refused> {
    let reason = format!("until {until}, as its sender asked");
    let hold = Hold { by: HeldBy::Future, reason, purge_at: None };
    let custodies = held(fates(work, &arrived, Placement::Inbox, senders)?, &hold);
    let (actor, mail) = (arrived.actor.clone(), arrived.mail);
    record(work, arrived, custodies, None)?;
    work.record(&actor, Record::FutureRelease { mail, until, asked_secs })
}

impl<D: Disk> Store<D> {
    /// Lets go on whose time has come; answers how many recipients. Costs nothing while there are
    /// none.
    ///
    /// # Errors
    /// As [`Store::change_custodies`].
    pub fn release_due(&self) -> Result<u64, Refused> {
        let mut count = 0;
        while self.shared.release_at.load(Ordering::Acquire) <= (self.clock)().0 {
            // Put on before it is looked: what comes meanwhile puts it back.
            self.shared.release_at.store(i64::MAX, Ordering::Release);
            let done = match self.release_some() {
                Ok(done) => done,
                Err(refused) => {
                    // Not at once: a store that has stopped says so each time.
                    let again = (self.clock)().0 + AFTER_FAILURE_MS;
                    self.shared.release_at.fetch_min(again, Ordering::AcqRel);
                    return Err(refused);
                }
            };
            count += done;
            let next = self.read(next_release).map_err(unavailable);
            // Where the next one is not known, it is looked for again.
            let again = (self.clock)().0 + AFTER_FAILURE_MS;
            let next_at = next.as_ref().map_or(again, |next| next.map_or(i64::MAX, |at| at.0));
            self.shared.release_at.fetch_min(next_at, Ordering::AcqRel);
            next?;
            if done == 0 {
                break;
            }
        }
        Ok(count)
    }

    /// Lets go on as many as one job may have.
    fn release_some(&self) -> Result<u64, Refused> {
        let now = (self.clock)();
        let due = self.read(|sql| due_for_release(sql, now)).map_err(unavailable)?;
        let reports = self.delivery_reports(&due, None)?;
        let part = Part::when_due(ChangeKind::ReleaseDue);
        let done = self.change_part(part, move |work, change| {
            change.reports = reports;
            let due_yet = due_for_release(&mut work.index.sql, now);
            let due_yet: BTreeSet<CustodyId> =
                due_yet.map_err(|error| work.fail(error.into()))?.into_iter().collect();
            // Those whose report is there, if one is due.
            for custody in due.into_iter().filter(|custody| due_yet.contains(custody)) {
                change.one(work, custody, |work, standing| {
                    let now = work.now;
                    Ok(Ok(match let_go(work, standing)? {
                        Ok(condition) => condition,
                        Err(why) => given_back(&why, now),
                    }))
                })?;
            }
            Ok(())
        });
        Ok(done.wait()?.changed)
    }
}

fn unavailable(error: StoreError) -> Refused {
    Refused::Unavailable(error.to_string())
}

/// What nobody can have any more goes back to who sent it.
fn given_back(why: &str, now: Timestamp) -> Condition {
    let why = format!("it was held until now as its sender asked, and is {why}");
    Condition::Queued(Waiting { due: now, recipient: None, relay: None, give_back: Some(why) })
}

fn due_for_release(sql: &mut impl Executor, now: Timestamp) -> Result<Vec<CustodyId>, SqlError> {
    let mut due = Vec::new();
    let query =
        "SELECT custody FROM held WHERE release_at <= $1 ORDER BY release_at, custody LIMIT $2";
    let params = [now.0.into(), (CUSTODIES_PER_JOB as u64).into()];
    sql.query(query, &params, &mut |row| {
        due.push(CustodyId(row.id(0)?));
        Ok(())
    })?;
    Ok(due)
}

/// When the next recipient is to be released.
pub fn next_release(sql: &mut impl Executor) -> Result<Option<Timestamp>, SqlError> {
    let query = "SELECT min(release_at) FROM held WHERE release_at IS NOT NULL";
    Ok(sql.number(query, &[])?.map(Timestamp))
}

impl<E: Executor> Index<E> {
    pub(crate) fn apply_later(
        &mut self,
        record: &Record,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        match record {
            Record::FutureRelease { mail, until, asked_secs } => {
                let (until, asked_secs) = (*until, *asked_secs);
                self.future_release(*mail, FutureRelease { until, asked_secs }, seq, at)
            }
            Record::PrioritySet { mail, priority } => self.priority_set(*mail, *priority, seq, at),
            _ => Ok(()),
        }
    }

    /// The message of a record before is held until then.
    fn future_release(
        &mut self,
        mail: MailId,
        FutureRelease { until, asked_secs }: FutureRelease,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO future_release (mail, until, asked_secs) VALUES ($1, $2, $3)",
            &[mail.0.into(), until.0.into(), asked_secs.into()],
        )?;
        // Its time in the queue begins when it may leave.
        self.sql.execute(
            "UPDATE held SET release_at = $2, accepted = $2 WHERE held_by = 'future' \
             AND custody IN (SELECT id FROM custody WHERE mail = $1)",
            &[mail.0.into(), until.0.into()],
        )?;
        self.tell_story(mail, seq, at)
    }

    /// The message of a record before is more or less urgent than others.
    fn priority_set(
        &mut self,
        mail: MailId,
        priority: mail_types::Priority,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        let mut queued = Vec::new();
        let open = "SELECT queue.custody FROM custody JOIN queue ON queue.custody = custody.id \
                    WHERE custody.mail = $1";
        self.sql.query(open, &[mail.0.into()], &mut |row| {
            queued.push(CustodyId(row.id(0)?));
            Ok(())
        })?;
        let priority = i64::from(priority.get());
        for custody in queued {
            self.sql.execute(
                "UPDATE queue SET priority = $2 WHERE custody = $1",
                &[custody.0.into(), priority.into()],
            )?;
            self.moved_in_queue(custody)?;
        }
        self.sql.execute(
            "UPDATE held SET priority = $2 \
             WHERE custody IN (SELECT id FROM custody WHERE mail = $1)",
            &[mail.0.into(), priority.into()],
        )?;
        self.tell_story(mail, seq, at)
    }
}
