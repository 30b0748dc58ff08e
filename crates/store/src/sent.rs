//! How many messages were sent lately: to which hosts by the minute, and from which of our addresses
//! by the day. Rates and warm-ups of the sending side go on from here after a restart.

use std::collections::HashMap;
use std::net::IpAddr;

use journal::Disk;
use mail_types::{Path, Timestamp};

use crate::index::{Index, broken};
use crate::record::Outcome;
use crate::record_tried::Tried;
use crate::sql::{Executor, SqlError};
use crate::{Store, StoreError};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// Minutes that are kept; all days are, being few.
const MINUTES_KEPT: i64 = 61;

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Host name in lower case, the minute's begin, messages; of about an hour.
    pub by_host: Vec<(String, Timestamp, u64)>,
    /// An address of ours, the day's number since 1970-01-01 (UTC), messages.
    pub by_source: Vec<(IpAddr, i64, u64)>,
}

/// What is not yet in the tables.
#[derive(Debug, Default)]
pub struct SentNews {
    by_host: HashMap<(String, i64), u64>,
    by_source: HashMap<(IpAddr, i64), u64>,
    /// The newest minute of all; none: not looked up since the start.
    newest: Option<i64>,
}

impl<D: Disk> Store<D> {
    /// How many messages were sent lately.
    ///
    /// # Errors
    /// The index's.
    pub fn sent_lately(&self) -> Result<Sent, StoreError> {
        self.read(|sql| {
            let mut sent = Sent::default();
            let hosts = "SELECT host, minute, messages FROM sent ORDER BY minute, host";
            sql.query(hosts, &[], &mut |row| {
                let minute = Timestamp(row.int(1)?.saturating_mul(MINUTE_MS));
                sent.by_host.push((row.text(0)?.to_owned(), minute, row.id(2)?));
                Ok(())
            })?;
            let days = "SELECT source, day, messages FROM sent_daily ORDER BY day, source";
            sql.query(days, &[], &mut |row| {
                let source = row.text(0)?.parse().map_err(broken)?;
                sent.by_source.push((source, row.int(1)?, row.id(2)?));
                Ok(())
            })?;
            Ok(sent)
        })
    }
}

impl<E: Executor> Index<E> {
    /// Counts an attempt in which a host took a message.
    pub(crate) fn note_sent(&mut self, tried: &Tried, at: Timestamp) -> Result<(), SqlError> {
        let taken = |outcome: &Outcome| matches!(outcome, Outcome::Relayed { .. });
        if !tried.outcomes.iter().any(|(_, outcome)| taken(outcome)) {
            return Ok(());
        }
        if let Some(peer) = &tried.peer {
            let minute = at.0.div_euclid(MINUTE_MS);
            let host = peer.host.to_ascii_lowercase();
            self.sent_at(minute)?;
            *self.sent_news.by_host.entry((host, minute)).or_default() += 1;
        }
        // What a smart host sends on counts for its own address.
        let direct = tried.tries.last().filter(|last| last.path == Path::Direct);
        if let Some(source) = direct.and_then(|last| last.source) {
            let day = at.0.div_euclid(DAY_MS);
            *self.sent_news.by_source.entry((source, day)).or_default() += 1;
        }
        Ok(())
    }

    /// Something is sent in this minute. Where the clock had run ahead and was put right, what it said
    /// then goes, and what was too old by it, as it would have with a commit.
    fn sent_at(&mut self, minute: i64) -> Result<(), SqlError> {
        let newest = match self.sent_news.newest {
            Some(newest) => newest,
            None => self.sql.number("SELECT max(minute) FROM sent", &[])?.unwrap_or(minute),
        };
        if minute + MINUTES_KEPT < newest {
            let oldest = newest - MINUTES_KEPT;
            self.sent_news.by_host.retain(|(_, of), _| *of >= oldest && *of <= minute);
            let put_right = "DELETE FROM sent WHERE minute < $1 OR minute > $2";
            self.sql.execute(put_right, &[oldest.into(), minute.into()])?;
            self.sent_news.newest = Some(minute);
        } else {
            self.sent_news.newest = Some(newest.max(minute));
        }
        Ok(())
    }

    /// Brings the tables up to what was counted; what is old goes by the newest alone, so that a
    /// rebuilt index has the same rows.
    pub(crate) fn write_sent(&mut self) -> Result<(), SqlError> {
        let by_host = std::mem::take(&mut self.sent_news.by_host);
        let by_source = std::mem::take(&mut self.sent_news.by_source);
        let is_some = !by_host.is_empty();
        for ((host, minute), messages) in by_host {
            self.sql.execute(
                "INSERT INTO sent (host, minute, messages) VALUES ($1, $2, $3) \
                 ON CONFLICT (minute, host) \
                 DO UPDATE SET messages = sent.messages + excluded.messages",
                &[host.as_str().into(), minute.into(), messages.into()],
            )?;
        }
        for ((source, day), messages) in by_source {
            self.sql.execute(
                "INSERT INTO sent_daily (source, day, messages) VALUES ($1, $2, $3) \
                 ON CONFLICT (source, day) \
                 DO UPDATE SET messages = sent_daily.messages + excluded.messages",
                &[source.to_string().as_str().into(), day.into(), messages.into()],
            )?;
        }
        if is_some {
            let old = "DELETE FROM sent WHERE minute < (SELECT max(minute) FROM sent) - $1";
            self.sql.execute(old, &[MINUTES_KEPT.into()])?;
        }
        Ok(())
    }
}
