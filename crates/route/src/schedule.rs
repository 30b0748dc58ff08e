use std::time::Duration;

use mail_types::Timestamp;

/// What comes after a temporary failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again then.
    Due(Timestamp),
    /// Its lifetime is over: give it back to the sender.
    GiveUp,
}

/// When mail that could not go out is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The wait after the first, second, … failed attempt; the last one repeats. An empty list
    /// means one hour. Default: 1, 5, 15, 30 min, 1 h, 2 h, then 4 h, so that greylisting costs
    /// minutes (RFC 5321 §4.5.4.1 asks for at least 30 min in general and for more thought).
    pub waits: Vec<Duration>,
    /// Each wait is made longer or shorter by up to this part of itself, in percent, at most 100,
    /// so that what failed together does not come back together. Default: 10.
    pub jitter_percent: u32,
    /// How long after its acceptance mail is tried. RFC 5321 §4.5.4.1: at least 4 to 5 days.
    /// Default: 5 days.
    pub lifetime: Duration,
    /// How long after its acceptance the sender is told of a delay; `None`: never. Default: 4
    /// hours.
    pub warn_after: Option<Duration>,
}

impl Default for Schedule {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        Self {
            waits: [1, 5, 15, 30, 60, 120, 240].map(minutes).to_vec(),
            jitter_percent: 10,
            lifetime: minutes(5 * 24 * 60),
            warn_after: Some(minutes(240)),
        }
    }
}

impl Schedule {
    /// When to try again after `attempts` failed ones (1 or more), for mail accepted then. `random`
    /// is any number, evenly drawn.
    ///
    /// The last attempt is made when the lifetime ends, and one when the delay warning is due, so
    /// that a warning tells the truth of that moment.
    #[must_use]
    pub fn next(&self, attempts: u32, accepted: Timestamp, now: Timestamp, random: u64) -> Next {
        let end = accepted.after(self.lifetime);
        if now >= end {
            return Next::GiveUp;
        }
        let due = now.after(self.wait(attempts, random)).min(end);
        match self.warning_due(accepted) {
            Some(warning) if now < warning => Next::Due(due.min(warning)),
            _ => Next::Due(due),
        }
    }

    /// Attempts that mail gets within its lifetime where only its hosts keep it waiting, at least:
    /// each listed wait that ends before the lifetime does leads to one. What was kept from being
    /// tried by ourselves gets as many before it is given up.
    #[must_use]
    pub fn tries_least(&self) -> u32 {
        let mut waited = Duration::ZERO;
        let in_time = self.waits.iter().take_while(|wait| {
            waited = waited.saturating_add(**wait);
            waited < self.lifetime
        });
        u32::try_from(in_time.count()).unwrap_or(u32::MAX)
    }

    /// When the sender is to be told that the mail is delayed.
    #[must_use]
    pub fn warning_due(&self, accepted: Timestamp) -> Option<Timestamp> {
        self.warn_after.map(|wait| accepted.after(wait))
    }

    /// The wait after so many failed attempts, with jitter.
    #[must_use]
    pub fn wait(&self, attempts: u32, random: u64) -> Duration {
        const WITHOUT_LIST: Duration = Duration::from_secs(3600);
        let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let listed = self.waits.get(index).or(self.waits.last());
        let wait = listed.copied().unwrap_or(WITHOUT_LIST);
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let span = (millis / 100).saturating_mul(u64::from(self.jitter_percent.min(100)));
        // Evenly from `wait - span` to `wait + span`; a span of 0 draws 0.
        let drawn = random % span.saturating_mul(2).saturating_add(1);
        Duration::from_millis(millis.saturating_sub(span).saturating_add(drawn))
    }
}
