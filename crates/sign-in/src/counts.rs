use std::sync::atomic::{AtomicU64, Ordering};

use sasl::Answer;

/// Tries to sign in since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// That were let in.
    pub accepted: u64,
    /// With a wrong name, password or token.
    pub refused: u64,
    /// That could not be looked at: too many at a time, or nobody who knows answered.
    pub unavailable: u64,
}

/// The same, where many add.
#[derive(Debug, Default)]
pub struct Counts {
    accepted: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
}

impl Counts {
    pub fn add(&self, answer: &Answer) {
        let of = match answer {
            Answer::Accepted { .. } => &self.accepted,
            Answer::Refused | Answer::TokenRefused { .. } => &self.refused,
            Answer::Unavailable => &self.unavailable,
            // The exchange goes on.
            Answer::Keys { .. } => return,
        };
        of.fetch_add(1, Ordering::Relaxed);
    }

    pub fn now(&self) -> Tries {
        Tries {
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            unavailable: self.unavailable.load(Ordering::Relaxed),
        }
    }
}
