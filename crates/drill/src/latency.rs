//! How long replies took: a histogram of fixed size with an error of at most one sixteenth.

use std::time::Duration;

/// Steps within each power of two of microseconds.
const STEPS: usize = 16;
const POWERS: usize = 40;

/// Counts of durations, in microseconds.
#[derive(Clone, Debug)]
pub struct Latency {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: vec![0; STEPS * POWERS], total: 0 }
    }
}

impl Latency {
    /// Counts one.
    pub fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let power = micros.ilog2() as usize;
        let step = ((u128::from(micros) * STEPS as u128) >> power) as usize - STEPS;
        let place = (power * STEPS + step).min(self.counts.len() - 1);
        self.counts[place] += 1;
        self.total += 1;
    }

    /// The time within which this share (0.0 to 1.0) of all replies came; zero when there are none.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                let (power, step) = (place / STEPS, place % STEPS);
                let micros = ((STEPS + step + 1) as u128 * (1_u128 << power)) / STEPS as u128;
                return Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
            }
        }
        Duration::ZERO
    }

    /// How many were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }
}
