use std::fmt;

use serde::{Deserialize, Serialize};

/// How urgent a message is, against others on the same way (RFC 6710 §3): -9 to 9, 0 where nothing
/// was said.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Priority(i8);

impl Priority {
    /// Of mail whose sender says nothing.
    pub const NORMAL: Self = Self(0);
    /// The most urgent.
    pub const MAX: Self = Self(9);
    /// The least urgent.
    pub const MIN: Self = Self(-9);

    /// The priority of a number from -9 to 9.
    #[must_use]
    pub fn new(number: i64) -> Option<Self> {
        i8::try_from(number).ok().filter(|number| (-9..=9).contains(number)).map(Self)
    }

    /// The nearest priority to a number.
    #[must_use]
    pub fn nearest(number: i64) -> Self {
        Self(i8::try_from(number.clamp(-9, 9)).unwrap_or(0))
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> i8 {
        self.0
    }

    /// Place in tables of all priorities, the least urgent first.
    fn place(self) -> usize {
        usize::try_from(i16::from(self.0) + 9).unwrap_or(0)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const COUNT: usize = 19;
/// How many turns each gets for one of another: three steps up are twice as many, so that 9 has
/// eight turns for one of 0, and 0 eight for one of -9.
const WEIGHTS: [u64; COUNT] = [
    100, 126, 159, 200, 252, 317, 400, 504, 635, 800, 1008, 1270, 1600, 2016, 2540, 3200, 4032,
    5080, 6400,
];
const STRIDE: u64 = 1 << 24;

/// Whose turn it is among priorities: urgent mail goes first and more often, and none waits for
/// ever behind it (RFC 6710 §4.3 asks for the order, not for starving).
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// When, in turns weighed, each is next.
    next: [u64; COUNT],
    now: u64,
}

impl Turns {
    /// The priority whose turn it is among these, which counts as taken.
    pub fn take(&mut self, ready: impl IntoIterator<Item = Priority>) -> Option<Priority> {
        // One that had nothing for a while is due now: it has saved nothing up.
        let due = |priority: &Priority| {
            (self.next[priority.place()].max(self.now), std::cmp::Reverse(*priority))
        };
        let first = ready.into_iter().min_by_key(due)?;
        let place = first.place();
        self.now = self.next[place].max(self.now);
        self.next[place] = self.now.saturating_add(STRIDE / WEIGHTS[place]);
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_mail_goes_first_and_more_often_and_none_waits_for_ever() {
        let (high, normal, low) = (Priority::MAX, Priority::NORMAL, Priority::MIN);
        let mut turns = Turns::default();
        assert_eq!(turns.take([low, normal, high]), Some(high));
        let mut counts = [0; COUNT];
        for _ in 0..7300 {
            counts[turns.take([low, normal, high]).unwrap().place()] += 1;
        }
        for (priority, share) in [(high, 6400), (normal, 800), (low, 100)] {
            let count: i32 = counts[priority.place()];
            assert!((count - share).abs() <= 2, "{priority}: {count} turns, not {share}");
        }
        // What comes anew does not wait for what was served meanwhile.
        let mut turns = Turns::default();
        (0..1000).for_each(|_| assert_eq!(turns.take([normal]), Some(normal)));
        assert_eq!(turns.take([normal, high]), Some(high));
        assert_eq!(turns.take([]), None);
    }
}
