//! Who did something in which session.

use serde::{Deserialize, Serialize};

/// A session of somebody who signed in: no other one of this store has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

/// Written with digits and letters, as people name it.
impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let (mut number, mut text) = (self.0, Vec::new());
        while number > 0 || text.is_empty() {
            text.push(char::from(DIGITS[(number % 36) as usize]));
            number /= 36;
        }
        text.iter().rev().try_for_each(|digit| write!(f, "{digit}"))
    }
}

impl std::str::FromStr for SessionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 36).map(Self)
    }
}
