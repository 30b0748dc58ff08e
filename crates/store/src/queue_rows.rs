//! What the index says of the queue.

use std::collections::HashSet;

use mail_types::{CustodyId, MailId, Priority, Timestamp};

use crate::MailFacts;
use crate::index::Index;
use crate::lanes::{Lane, Lanes};
use crate::sql::{Executor, Row, SqlError};
use crate::sqlite::Sqlite;
use crate::taken::Way;

/// A row of the queue.
pub struct QueueRow {
    pub custody: CustodyId,
    pub mail: MailId,
    pub facts: Option<MailFacts>,
    pub due: Timestamp,
    pub attempts: u32,
    pub begun: bool,
    pub uncertain: bool,
    pub delay_told: bool,
    pub since: Timestamp,
    pub way: Way,
    pub priority: Priority,
}

/// The next items of a lane behind a place: one more than `count`, and whether there may be more.
pub fn lane_page(
    sql: &mut Sqlite,
    lane: &Lane,
    after: Option<(Timestamp, CustodyId)>,
    count: usize,
) -> Result<(Vec<QueueRow>, bool), SqlError> {
    const PAGE: &str = "SELECT custody, mail, destination, due, attempts, begun, uncertain, \
        delay_told, accepted, recipient, relay, give_back, priority FROM queue \
        WHERE destination = $1 AND account = $2 AND priority = $3 AND again = $4 \
        AND relay IS $8 AND (due, custody) > ($5, $6) ORDER BY due, custody LIMIT $7";
    let (due, custody) =
        after.map_or((i64::MIN, i64::MIN), |(due, custody)| (due.0, custody.0.cast_signed()));
    let limit = count + 1;
    let mut page = Vec::with_capacity(limit);
    let params = [
        (&*lane.destination).into(),
        lane.account.into(),
        i64::from(lane.priority.get()).into(),
        i64::from(lane.again).into(),
        due.into(),
        custody.into(),
        (limit as u64).into(),
        lane.relay.as_deref().into(),
    ];
    sql.query(PAGE, &params, &mut |row| {
        page.push(queue_row(row)?);
        Ok(())
    })?;
    let more = page.len() == limit;
    Ok((page, more))
}

/// The destinations that wait by an operator's word.
pub fn pauses(sql: &mut Sqlite) -> Result<HashSet<String>, SqlError> {
    let mut pauses = HashSet::new();
    sql.query("SELECT destination FROM pause", &[], &mut |row| {
        pauses.insert(row.text(0)?.to_owned());
        Ok(())
    })?;
    Ok(pauses)
}

/// Every lane with what is next due in it.
pub fn lanes(index: &mut Index<Sqlite>) -> Result<Lanes, SqlError> {
    let mut lanes = Lanes::default();
    let query = "SELECT destination, account, priority, again, min(due), relay FROM queue \
                 GROUP BY destination, relay, account, priority, again";
    index.sql.query(query, &[], &mut |row| {
        let lane = Lane {
            destination: row.text(0)?.into(),
            relay: row.text_or_null(5)?.map(Into::into),
            account: row.id(1)?,
            priority: Priority::nearest(row.int(2)?),
            again: row.int(3)? != 0,
        };
        lanes.note(&lane, Timestamp(row.int(4)?));
        Ok(())
    })?;
    Ok(lanes)
}

/// From the columns custody, mail, destination, due, attempts, begun, uncertain, delay_told,
/// accepted, recipient, relay, give_back, priority.
pub fn queue_row(row: &dyn Row) -> Result<QueueRow, SqlError> {
    Ok(QueueRow {
        custody: CustodyId(row.id(0)?),
        mail: MailId(row.id(1)?),
        facts: None,
        due: Timestamp(row.int(3)?),
        attempts: u32::try_from(row.int(4)?).unwrap_or(u32::MAX),
        begun: row.int(5)? != 0,
        uncertain: row.int(6)? != 0,
        delay_told: row.int(7)? != 0,
        since: Timestamp(row.int(8)?),
        way: way(row, 9)?,
        priority: Priority::nearest(row.int(12)?),
    })
}

/// How a custody is sent now; none where it is not in the queue.
pub fn way_of(sql: &mut impl Executor, custody: CustodyId) -> Result<Option<Way>, SqlError> {
    let mut found = None;
    let query = "SELECT recipient, relay, give_back FROM queue WHERE custody = $1";
    sql.query(query, &[custody.0.into()], &mut |row| {
        found = Some(way(row, 0)?);
        Ok(())
    })?;
    Ok(found)
}

/// From the columns recipient, relay, give_back, the first of which is this.
fn way(row: &dyn Row, first: usize) -> Result<Way, SqlError> {
    let recipient = row.text_or_null(first)?.map(|text| {
        text.parse().map_err(|cause| SqlError {
            doing: "read an address of the queue".to_owned(),
            cause: Box::new(cause),
        })
    });
    Ok(Way {
        recipient: recipient.transpose()?,
        relay: row.text_or_null(first + 1)?.map(str::to_owned),
        give_back: row.text_or_null(first + 2)?.map(str::to_owned),
    })
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
