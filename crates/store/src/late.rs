//! Mail that waits for longer than its sender wants (DELIVERBY, RFC 2852), or than this server keeps
//! it: taken out of the queue wherever it lies, so that it goes back or its sender hears of it.

use std::sync::atomic::Ordering;

use journal::Disk;
use mail_types::{ByMode, CustodyId, Deadline, MailId, Priority, RecordSeq, Timestamp};

use crate::index::Index;
use crate::lanes::Lane;
use crate::queue_rows::{QueueRow, queue_row};
use crate::read::read_facts;
use crate::record::Place;
use crate::sql::{Executor, Param, Row, SqlError};
use crate::sqlite::Sqlite;
use crate::{QueueItem, Store, StoreError};

/// Rows of the queue that are read at once.
const ROWS_MAX: u64 = 1000;

/// What to take of what waits for long.
#[derive(Clone, Copy, Debug)]
pub struct Late {
    /// The time now.
    pub now: Timestamp,
    /// Whose time in the queue began then or before.
    pub over_since: Timestamp,
    /// The same of mail whose sender was not told of the delay; none where nobody is.
    pub warn_since: Option<Timestamp>,
    /// Only what comes behind this one.
    pub after: CustodyId,
    /// Custodies to take at most.
    pub count_max: usize,
}

/// Whose lane decides.
type Which<'a> = dyn Fn(&Lane) -> bool + 'a;
/// Reads a page of rows behind a custody.
type Read<'a> = dyn Fn(&mut Sqlite, CustodyId) -> Result<Vec<(QueueRow, Lane)>, SqlError> + 'a;

impl<D: Disk> Store<D> {
    /// Takes items that are due, not taken, in such a lane and as old as wanted, in order of their
    /// ids. Answers also behind which there may be more; none where that was all.
    ///
    /// # Errors
    /// Where index or journal cannot be read; nothing is taken then.
    pub fn take_late(
        &self,
        want: &Late,
        which: &Which<'_>,
    ) -> Result<(Vec<QueueItem>, Option<CustodyId>), StoreError> {
        const LATE: &str = "SELECT custody, mail, destination, due, attempts, begun, uncertain, \
            delay_told, accepted, recipient, relay, give_back, priority, account, again FROM queue \
            WHERE custody > $1 AND due <= $2 AND (accepted <= $3 OR delay_told = 0 AND \
            accepted <= $4) ORDER BY custody LIMIT $5";
        let warn_since = want.warn_since.map_or(i64::MIN, |at| at.0);
        let (now, over_since) = (want.now.0, want.over_since.0);
        let read = |sql: &mut Sqlite, after: CustodyId| {
            let after = after.0.into();
            let ages = [now.into(), over_since.into(), warn_since.into()];
            let [now, over_since, warn_since] = ages;
            read_page(sql, LATE, &[after, now, over_since, warn_since, ROWS_MAX.into()])
        };
        self.take_pages(want.after, want.count_max, which, &read)
    }

    /// Takes items that are not taken and whose time to be delivered by is over, at most so many.
    ///
    /// # Errors
    /// As [`Store::take_late`].
    pub fn take_by_deadline(
        &self,
        now: Timestamp,
        count_max: usize,
    ) -> Result<Vec<QueueItem>, StoreError> {
        const OVER: &str = "SELECT queue.custody, queue.mail, destination, due, attempts, begun, \
            uncertain, delay_told, accepted, queue.recipient, relay, give_back, priority, account, \
            again FROM deliver_by JOIN custody ON custody.mail = deliver_by.mail \
            JOIN queue ON queue.custody = custody.id \
            WHERE deliver_by.until BETWEEN $1 AND $2 AND (comes_back = 1 OR delay_told = 0) \
            AND queue.custody > $3 ORDER BY queue.custody LIMIT $4";
        // Put on before it is looked: what comes meanwhile puts it back.
        let from = self.shared.deadline.swap(i64::MAX, Ordering::AcqRel);
        let read = |sql: &mut Sqlite, after: CustodyId| {
            read_page(sql, OVER, &[from.into(), now.0.into(), after.0.into(), ROWS_MAX.into()])
        };
        let taken = self.take_pages(CustodyId(0), count_max, &|_| true, &read);
        let next = match &taken {
            Ok((_, None)) => self.read(|sql| next_deadline(sql, now)),
            // The rest with the next call.
            Ok((_, Some(_))) | Err(_) => Ok(Some(Timestamp(from))),
        };
        // Where the next one is not known, it is looked for again.
        let next = next.map_or(from, |at| at.map_or(i64::MAX, |at| at.0));
        self.shared.deadline.fetch_min(next, Ordering::AcqRel);
        Ok(taken?.0)
    }

    /// When the next time to deliver mail by is over of which [`Store::take_by_deadline`] has not
    /// heard. Mail of that time may be delivered already.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let at = self.shared.deadline.load(Ordering::Acquire);
        (at < i64::MAX).then_some(Timestamp(at))
    }

    /// Takes what nobody has, page after page, at most so many. Answers also behind which there may
    /// be more.
    fn take_pages(
        &self,
        after: CustodyId,
        count_max: usize,
        which: &Which<'_>,
        read: &Read<'_>,
    ) -> Result<(Vec<QueueItem>, Option<CustodyId>), StoreError> {
        let mut rows: Vec<QueueRow> = Vec::new();
        let mut after = Some(after);
        // Ends: each page is behind the one before.
        while let Some(last) = after
            && rows.len() < count_max
        {
            let taken = self.read(|sql| {
                let page = read(sql, last)?;
                self.take_rows(sql, page, count_max, which, &mut rows)
            });
            match taken {
                Ok(next) => after = next,
                Err(error) => {
                    let mut taken = self.taken();
                    rows.iter().for_each(|row| taken.untake(row.custody));
                    return Err(error);
                }
            }
        }
        Ok((self.items(rows), after))
    }

    /// Takes of one page.
    fn take_rows(
        &self,
        sql: &mut Sqlite,
        page: Vec<(QueueRow, Lane)>,
        count_max: usize,
        which: &Which<'_>,
        rows: &mut Vec<QueueRow>,
    ) -> Result<Option<CustodyId>, SqlError> {
        let is_last = (page.len() as u64) < ROWS_MAX;
        let mut last = None;
        for (mut row, lane) in page {
            if rows.len() >= count_max {
                return Ok(last);
            }
            last = Some(row.custody);
            if !which(&lane) || self.taken().is_taken(row.custody, row.due, &lane) {
                continue;
            }
            row.facts = read_facts(sql, row.mail)?;
            self.taken().take(row.custody, row.due, &lane, row.way.clone());
            // Nobody else has it, so an earlier run has begun it.
            row.uncertain |= row.begun;
            rows.push(row);
        }
        Ok(last.filter(|_| !is_last))
    }
}

fn read_page(
    sql: &mut Sqlite,
    query: &'static str,
    params: &[Param<'_>],
) -> Result<Vec<(QueueRow, Lane)>, SqlError> {
    let mut page = Vec::new();
    sql.query(query, params, &mut |row| {
        let lane = Lane {
            destination: row.text(2)?.into(),
            relay: row.text_or_null(10)?.map(Into::into),
            account: row.id(13)?,
            priority: Priority::nearest(row.int(12)?),
            again: row.int(14)? != 0,
        };
        page.push((queue_row(row)?, lane));
        Ok(())
    })?;
    Ok(page)
}

fn next_deadline(sql: &mut impl Executor, now: Timestamp) -> Result<Option<Timestamp>, SqlError> {
    let query = "SELECT min(until) FROM deliver_by WHERE until > $1";
    Ok(sql.number(query, &[now.0.into()])?.map(Timestamp))
}

/// The first time to deliver by of anything that is in the queue or held.
pub fn first_deadline(sql: &mut impl Executor) -> Result<Option<Timestamp>, SqlError> {
    let query = "SELECT min(until) FROM deliver_by \
                 JOIN custody ON custody.mail = deliver_by.mail \
                 LEFT JOIN queue ON queue.custody = custody.id \
                 LEFT JOIN held ON held.custody = custody.id \
                 WHERE queue.custody IS NOT NULL OR held.custody IS NOT NULL";
    Ok(sql.number(query, &[])?.map(Timestamp))
}

/// From the columns until, asked_secs, comes_back and trace, the first of which is this.
pub fn read_deadline(row: &dyn Row, first: usize) -> Result<Option<Deadline>, SqlError> {
    let Some(at) = row.int_or_null(first)?.map(Timestamp) else { return Ok(None) };
    let mode = match row.int(first + 2)? {
        0 => ByMode::Notify,
        _ => ByMode::Return,
    };
    let asked_secs = i32::try_from(row.int(first + 1)?).unwrap_or(0);
    Ok(Some(Deadline { at, asked_secs, mode, trace: row.int(first + 3)? != 0 }))
}

impl<E: Executor> Index<E> {
    /// The message of a record before is to be delivered by then.
    pub(crate) fn deliver_by(
        &mut self,
        mail: MailId,
        by: Deadline,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        let comes_back = match by.mode {
            ByMode::Notify => 0_i64,
            ByMode::Return => 1,
        };
        self.sql.execute(
            "INSERT INTO deliver_by (mail, until, asked_secs, comes_back, trace) \
             VALUES ($1, $2, $3, $4, $5)",
            &[
                mail.0.into(),
                by.at.0.into(),
                i64::from(by.asked_secs).into(),
                comes_back.into(),
                i64::from(by.trace).into(),
            ],
        )?;
        self.tell_story(mail, seq, at)
    }
}
