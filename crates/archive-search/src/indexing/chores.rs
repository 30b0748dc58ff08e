//! What is done while no message comes: attachments are tried again, and what was taken out is taken
//! off the disk.

use std::time::{Duration, Instant};

use mail_types::{MailId, Timestamp};
use store::Store;

use super::Indexer;
use crate::SearchError;
use crate::document::{Reading, document};
use crate::kept::Kept;
use crate::reading::Reader;
use crate::scour::Scouring;

/// The longest wait for what is due later: a clock may be set.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

/// Where it is.
#[derive(Debug, Default)]
pub struct Chores {
    scouring: Option<Scouring>,
    /// What was owed when it was last looked, and since when no more is.
    owed: Option<(Scouring, Instant)>,
}

impl Indexer {
    /// Does a little of what is to be done, and says how long it can wait then.
    pub(super) fn chore(&mut self, kept: &mut Kept) -> Result<Option<Duration>, SearchError> {
        let began = Instant::now();
        let next = kept.next_again()?;
        let due = next.filter(|(_, at)| *at <= self.store.now());
        if let Some((mail, _)) = due {
            let state = std::sync::Arc::clone(&self.state);
            let stopping = || state.is_stopping();
            super::has_room(&self.path)?;
            read_again(&self.store, kept, mail, &mut *self.reader, &stopping)?;
            return Ok(Some(self.settings.rest_after(began.elapsed())));
        }
        let later = next.map(|(_, at)| until(at, self.store.now()));
        let scouring = match self.chores.scouring {
            Some(scouring) => Ok(scouring),
            None => self.chores.begin(kept, self.settings.scour_after)?,
        };
        Ok(match scouring {
            Ok(scouring) => {
                self.chores.scouring = kept.scour(scouring)?;
                Some(self.settings.rest_after(began.elapsed()))
            }
            Err(wait) => [later, wait].into_iter().flatten().min(),
        })
    }
}

impl Chores {
    /// What to begin with, or how long to wait for that: a sweep takes out many, one after the other.
    fn begin(
        &mut self,
        kept: &Kept,
        after: Duration,
    ) -> Result<Result<Scouring, Option<Duration>>, SearchError> {
        let Some(owed) = kept.scouring()? else {
            self.owed = None;
            return Ok(Err(None));
        };
        let since = match self.owed {
            Some((before, since)) if before == owed => since,
            _ => Instant::now(),
        };
        self.owed = Some((owed, since));
        let left = after.saturating_sub(since.elapsed());
        Ok(if left.is_zero() { Ok(owed) } else { Err(Some(left)) })
    }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    let millis = u64::try_from(at.0.saturating_sub(now.0)).unwrap_or_default();
    Duration::from_millis(millis).min(LOOK_AGAIN)
}

/// Tries the attachments of a message again.
fn read_again(
    store: &Store,
    kept: &mut Kept,
    mail: MailId,
    reader: &mut dyn Reader,
    stopping: &dyn Fn() -> bool,
) -> Result<(), SearchError> {
    let earlier = kept.earlier(mail)?;
    let mut reading = Reading { reader, stopping, earlier };
    match document(store, mail, &mut reading)? {
        Some(document) => {
            kept.not_again(mail)?;
            kept.put(&[document])
        }
        None => kept.not_again(mail),
    }
}

/// The same with all of which it is time, where no server runs.
pub(super) fn read_all_again(
    store: &Store,
    kept: &mut Kept,
    reader: &mut dyn Reader,
) -> Result<(), SearchError> {
    while let Some((mail, _)) = kept.next_again()?.filter(|(_, at)| *at <= store.now()) {
        read_again(store, kept, mail, reader, &|| false)?;
    }
    Ok(())
}
