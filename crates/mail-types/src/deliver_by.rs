use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Digits of a by-time (RFC 2852 §4).
const DIGITS_MAX: usize = 9;

/// Within which time a sender wants a message delivered, and what is to happen if it is not
/// (DELIVERBY, RFC 2852): the value of `BY=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverBy {
    /// Seconds from MAIL on, 9 digits at most. Above 0 with [`ByMode::Return`]; else 0 or less where
    /// the time was over before.
    pub secs: i32,
    /// What happens then.
    pub mode: ByMode,
    /// `T`: the sender wants to hear of each host that it is handed on to.
    pub trace: bool,
}

/// What happens to a message that is not delivered in time (RFC 2852 §4: `by-mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ByMode {
    /// `N`: its sender is told of the delay, and it is tried on.
    Notify,
    /// `R`: it goes back to its sender, and is never delivered later.
    Return,
}

/// The end of that time, and how it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// When.
    pub at: Timestamp,
    /// By-time as it came, in seconds.
    pub asked_secs: i32,
    /// What happens then.
    pub mode: ByMode,
    /// Whether the sender hears of each host that it is handed on to.
    pub trace: bool,
}

impl DeliverBy {
    /// The end of the time, where MAIL came at `now`.
    #[must_use]
    pub fn deadline(self, now: Timestamp) -> Deadline {
        let millis = i64::from(self.secs).saturating_mul(1000);
        let at = Timestamp(now.0.saturating_add(millis));
        Deadline { at, asked_secs: self.secs, mode: self.mode, trace: self.trace }
    }
}

impl Deadline {
    /// What the next host is asked for (RFC 2852 §4): the time that is left of it. With
    /// [`ByMode::Return`] at least one second; ask [`Deadline::is_over`] first.
    #[must_use]
    pub fn left(self, now: Timestamp) -> DeliverBy {
        const MAX: i64 = 999_999_999;
        let secs = self.at.0.saturating_sub(now.0).div_euclid(1000).clamp(-MAX, MAX);
        let secs = i32::try_from(secs).unwrap_or(0);
        let secs = match self.mode {
            ByMode::Notify => secs,
            ByMode::Return => secs.max(1),
        };
        DeliverBy { secs, mode: self.mode, trace: self.trace }
    }

    /// Whether the message is to go back to its sender now.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        self.mode == ByMode::Return && now >= self.at
    }

    /// When its sender is to be told that it is late; `None` where nobody here is to do it: it goes
    /// back instead, or was late before it came.
    #[must_use]
    pub fn late_at(self) -> Option<Timestamp> {
        (self.mode == ByMode::Notify && self.asked_secs > 0).then_some(self.at)
    }

    /// For how long it was to be tried when it came.
    #[must_use]
    pub fn asked(self) -> Duration {
        Duration::from_secs(u64::try_from(self.asked_secs).unwrap_or(0))
    }
}

/// A text that is no value of `BY=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time with a mode as of RFC 2852, such as 3600;R")]
pub struct DeliverByError;

/// RFC 2852 §4: `by-value = by-time ";" by-mode [by-trace]`, `by-time = ["-" / "+"] 1*9DIGIT`, and
/// "a negative or zero value is not allowed with a by-mode of R".
impl FromStr for DeliverBy {
    type Err = DeliverByError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (time, letters) = text.split_once(';').ok_or(DeliverByError)?;
        let digits = time.strip_prefix(['-', '+']).unwrap_or(time);
        let fits = (1..=DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        let secs: i32 = match fits {
            true => time.parse().map_err(|_| DeliverByError)?,
            false => return Err(DeliverByError),
        };
        let (mode, trace) = match letters.to_ascii_uppercase().as_str() {
            "N" => (ByMode::Notify, false),
            "NT" => (ByMode::Notify, true),
            "R" => (ByMode::Return, false),
            "RT" => (ByMode::Return, true),
            _ => return Err(DeliverByError),
        };
        match mode {
            ByMode::Return if secs <= 0 => Err(DeliverByError),
            ByMode::Return | ByMode::Notify => Ok(Self { secs, mode, trace }),
        }
    }
}

impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            ByMode::Notify => "N",
            ByMode::Return => "R",
        };
        write!(f, "{};{mode}{}", self.secs, if self.trace { "T" } else { "" })
    }
}
