//! What a standby needs to follow, as one word to copy.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use net::Pin;

/// What a token begins with: the last digit is the version.
const BEGIN: &str = "rst-standby1-";
const SECRET_BYTES: usize = 32;

/// Whom to believe, and the secret that shows who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Hash of the server's certificate.
    pub pin: Pin,
    /// Known to this standby alone.
    pub secret: [u8; SECRET_BYTES],
}

/// Shows no secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.pin, self.secret].concat();
        write!(f, "{BEGIN}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// A text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no whole token: copy all of the word that begins with {BEGIN}, as \
     `restante standby invite` printed it"
)]
pub struct TokenError;

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let digits = text.trim().strip_prefix(BEGIN).ok_or(TokenError)?;
        let bytes = URL_SAFE_NO_PAD.decode(digits).map_err(|_| TokenError)?;
        let (pin, secret) = bytes.split_at_checked(32).ok_or(TokenError)?;
        let pin = pin.try_into().map_err(|_| TokenError)?;
        Ok(Self { pin, secret: secret.try_into().map_err(|_| TokenError)? })
    }
}

impl Token {
    /// What the server keeps of the secret.
    #[must_use]
    pub fn secret_hash(secret: &[u8; SECRET_BYTES]) -> blake3::Hash {
        blake3::hash(secret)
    }
}
