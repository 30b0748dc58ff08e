//! Whether the clock can be believed by what is purged by age: a clock that ran ahead once would let go
//! of everything, for good.

use std::time::{Duration, Instant};

use journal::Disk;
use mail_types::Timestamp;

use crate::sql::Executor;
use crate::{Store, StoreError};

/// So far may the clock be ahead of what the time since the last look, or the last record before this
/// start, makes of it.
const AHEAD_MAX: Duration = Duration::from_secs(7 * 86_400);
/// A clock that stays so is believed after this time: somebody has heard of it by then.
const BELIEVED_AFTER: Duration = Duration::from_secs(86_400);

/// What the clock said, and when.
#[derive(Debug, Default)]
pub struct ClockWatch {
    last: Option<(Timestamp, Instant)>,
    jump: Option<(Duration, Instant)>,
}

impl ClockWatch {
    fn begin(&mut self, last: Timestamp) {
        self.last = Some((last, Instant::now()));
    }

    /// How far the clock went ahead, as long as that is not believed.
    fn look(&mut self, says: Timestamp) -> Option<Duration> {
        let now = Instant::now();
        if let Some((then, at)) = self.last.replace((says, now)) {
            let ahead = says.0.saturating_sub(then.after(now.duration_since(at)).0);
            let ahead = Duration::from_millis(u64::try_from(ahead).unwrap_or(0));
            if ahead > AHEAD_MAX {
                self.jump = Some((ahead, now));
            }
        }
        if self.jump.is_some_and(|(_, at)| now.duration_since(at) >= BELIEVED_AFTER) {
            self.jump = None;
        }
        self.jump.map(|(ahead, _)| ahead)
    }

    fn believe(&mut self, says: Timestamp) {
        self.jump = None;
        self.last = Some((says, Instant::now()));
    }
}

impl<D: Disk> Store<D> {
    /// How far the clock went ahead since the last look, or since the last record before this start,
    /// where that is more than a week; for a day, or until an operator has purged what is over its
    /// time. Nothing is to be purged by age meanwhile but by an operator.
    #[must_use]
    pub fn clock_ahead(&self) -> Option<Duration> {
        self.shared.clock_watch().look((self.clock)())
    }

    /// An operator purges by this clock.
    pub(super) fn believe_clock(&self) {
        self.shared.clock_watch().believe((self.clock)());
    }

    /// At the start: when something was last recorded.
    pub(crate) fn watch_clock(&self) -> Result<(), StoreError> {
        let last = self.read(|sql| {
            let mut last = None;
            for query in [
                "SELECT accepted FROM mail ORDER BY id DESC LIMIT 1",
                "SELECT at FROM act ORDER BY seq DESC LIMIT 1",
                "SELECT at FROM purge ORDER BY seq DESC LIMIT 1",
            ] {
                last = last.max(sql.number(query, &[])?);
            }
            Ok(last)
        })?;
        if let Some(last) = last {
            self.shared.clock_watch().begin(Timestamp(last));
        }
        Ok(())
    }
}
