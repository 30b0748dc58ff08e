//! How many messages an account, or a token, may send over the API: so many a minute, and as many at
//! once where none were sent for a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mail_types::AccountId;

/// Those who sent lately that are kept; beyond it, those who may send as many as ever are forgotten.
const SENDERS_KEPT_MAX: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

/// The limits, and what is left of them.
#[derive(Debug)]
pub struct Rates {
    per_account: u32,
    per_token: u32,
    left: Mutex<HashMap<Who, Left>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    Account(AccountId),
    Token(u64),
}

/// What somebody may send at a moment.
#[derive(Clone, Copy, Debug)]
struct Left {
    messages: f64,
    at: Instant,
}

impl Left {
    fn now(self, a_minute: f64, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.messages + passed * a_minute / MINUTE.as_secs_f64()).min(a_minute)
    }
}

impl Rates {
    /// Messages a minute of each account and of each token; 0: no limit.
    #[must_use]
    pub fn new(per_account: u32, per_token: u32) -> Self {
        Self { per_account, per_token, left: Mutex::default() }
    }

    /// Takes one message of all that is left to them.
    ///
    /// # Errors
    /// How long it takes until there is one; nothing is taken.
    pub fn take(
        &self,
        account: AccountId,
        token: Option<u64>,
        now: Instant,
    ) -> Result<(), Duration> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = [
            Some((Who::Account(account), self.per_account)),
            token.map(|token| (Who::Token(token), self.per_token)),
        ];
        let mut taken = Vec::with_capacity(limits.len());
        let mut wait = Duration::ZERO;
        for (who, a_minute) in limits.into_iter().flatten().filter(|(_, a_minute)| *a_minute > 0) {
            let a_minute = f64::from(a_minute);
            let known = left.get(&who).map_or(a_minute, |left| left.now(a_minute, now));
            if known < 1.0 {
                wait = wait.max(MINUTE.mul_f64((1.0 - known) / a_minute));
            }
            taken.push((who, Left { messages: known - 1.0, at: now }));
        }
        if wait > Duration::ZERO {
            return Err(wait);
        }
        if left.len() >= SENDERS_KEPT_MAX {
            let limit = |who: &Who| match who {
                Who::Account(_) => f64::from(self.per_account),
                Who::Token(_) => f64::from(self.per_token),
            };
            left.retain(|who, left| left.now(limit(who), now) < limit(who));
        }
        left.extend(taken);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_minute_and_no_more() {
        let (rates, start) = (Rates::new(60, 2), Instant::now());
        let (account, other) = (AccountId(1), AccountId(2));
        let at = |secs: u64| start + Duration::from_secs(secs);
        for _ in 0..2 {
            assert_eq!(rates.take(account, Some(7), at(0)), Ok(()));
        }
        // The token has none left, its account has: nothing of it is taken meanwhile.
        assert_eq!(rates.take(account, Some(7), at(0)), Err(Duration::from_secs(30)));
        for _ in 0..58 {
            assert_eq!(rates.take(account, None, at(0)), Ok(()));
        }
        assert_eq!(rates.take(account, None, at(0)), Err(Duration::from_secs(1)));
        assert_eq!(rates.take(other, None, at(0)), Ok(()));
        assert_eq!(rates.take(account, None, at(1)), Ok(()));
        assert_eq!(rates.take(account, Some(7), at(31)), Ok(()));
        // Never more than a minute's, however long nothing was sent.
        for _ in 0..60 {
            assert_eq!(rates.take(account, None, at(100_000)), Ok(()));
        }
        assert!(rates.take(account, None, at(100_000)).is_err());
        let free = Rates::new(0, 0);
        assert!((0..10_000).all(|_| free.take(account, Some(1), start).is_ok()));
    }
}
