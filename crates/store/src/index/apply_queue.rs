//! What the queue's records make due.

use mail_types::{CustodyId, Priority, RecordSeq, Timestamp};

use super::Index;
use crate::lanes::Lane;
use crate::record::Place;
use crate::record_tried::Tried;
use crate::sql::{Executor, SqlError};

impl<E: Executor> Index<E> {
    pub(super) fn tried(
        &mut self,
        tried: &Tried,
        when: Timestamp,
        (seq, at): (RecordSeq, Place),
    ) -> Result<(), SqlError> {
        self.note_sent(tried, when)?;
        self.add_hosts(tried)?;
        tried.outcomes.iter().try_for_each(|(custody, outcome)| {
            self.attempted(*custody, outcome)?;
            self.tell_story_of_custody(*custody, seq, at)
        })
    }

    /// Lanes in which something has become due since this was asked last.
    pub fn take_queue_news(&mut self) -> Vec<(Lane, Timestamp)> {
        self.queue_news.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A new item is in this lane.
    pub(super) fn new_in_lane(&mut self, destination: &str, account: u64, due: Timestamp) {
        if let Some(news) = &mut self.queue_news {
            let (relay, priority, again) = (None, Priority::NORMAL, false);
            let lane = Lane { destination: destination.into(), relay, account, priority, again };
            // Recipients of one message are one piece of news.
            if !news.last().is_some_and(|(last, at)| *last == lane && *at <= due) {
                news.push((lane, due));
            }
        }
    }

    /// An item is due at another time, or in another lane, or in the queue again.
    pub(crate) fn moved_in_queue(&mut self, custody: CustodyId) -> Result<(), SqlError> {
        let Some(news) = &mut self.queue_news else { return Ok(()) };
        let query = "SELECT destination, account, priority, again, due, relay FROM queue WHERE custody = $1";
        self.sql.query(query, &[custody.0.into()], &mut |row| {
            let lane = Lane {
                destination: row.text(0)?.into(),
                relay: row.text_or_null(5)?.map(Into::into),
                account: row.id(1)?,
                priority: Priority::nearest(row.int(2)?),
                again: row.int(3)? != 0,
            };
            news.push((lane, Timestamp(row.int(4)?)));
            Ok(())
        })
    }
}
