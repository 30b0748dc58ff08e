//! The archive: mail that lies in no mailbox any more. It is kept for its retention time, longer
//! where a legal hold says so, and then its body is purged: first the record, then the bytes in the
//! journal, then what [`extract`] made of them. The record of its acceptance and its whole story
//! stay.
//!
//! Mail that lies in a mailbox, or that somebody is still to get, is never purged by its age.

mod clock;
mod purge;
mod rules;
mod standing;
mod sweep;

pub(crate) use clock::ClockWatch;
pub(crate) use rules::keep_code;
pub use rules::{HoldKnown, Rules};
pub use standing::Kept;
pub(crate) use standing::{Holding, ends, follow, holding, read_parts};
pub(crate) use sweep::Swept;
pub use sweep::{Due, PurgeOutcome};

use std::time::Duration;

/// How long mail is kept where no rule for its account or domain says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Mail.
    pub keep: Duration,
    /// What was judged to be junk.
    pub spam: Duration,
}

impl Default for Retention {
    /// A year, and thirty days for junk.
    fn default() -> Self {
        const DAY_SECS: u64 = 86_400;
        Self { keep: Duration::from_secs(365 * DAY_SECS), spam: Duration::from_secs(30 * DAY_SECS) }
    }
}
