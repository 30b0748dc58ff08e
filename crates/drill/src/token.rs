//! The mark that makes every message of a load unique and findable.

use std::fmt;
use std::str::FromStr;

/// Names one message of one run. Text form: `t` + run (8 hex digits) + sequence (10 hex digits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The run that made it; two runs against one server must differ.
    pub run: u32,
    /// The number within the run, from 0; at most 40 bits.
    pub sequence: u64,
}

impl Token {
    /// Bytes of the text form, which is why a prebuilt message can be patched in place.
    pub const TEXT_BYTES: usize = 19;

    /// The first token in a text, wherever it stands after the header name `X-Load-Token:`.
    #[must_use]
    pub fn find_in(header: &[u8]) -> Option<Self> {
        const NAME: &[u8] = b"x-load-token:";
        let start = header.windows(NAME.len()).position(|part| part.eq_ignore_ascii_case(NAME))?;
        let value = header[start + NAME.len()..].trim_ascii_start();
        std::str::from_utf8(value.get(..Self::TEXT_BYTES)?).ok()?.parse().ok()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{:08x}{:010x}", self.run, self.sequence)
    }
}

/// A text that is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a load token")]
pub struct TokenError;

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() != Self::TEXT_BYTES || !text.is_ascii() || !text.starts_with('t') {
            return Err(TokenError);
        }
        let run = u32::from_str_radix(&text[1..9], 16).map_err(|_| TokenError)?;
        let sequence = u64::from_str_radix(&text[9..], 16).map_err(|_| TokenError)?;
        Ok(Self { run, sequence })
    }
}
