use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A text that is not canonical base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not base64 (RFC 4648 §4: alphabet A-Z a-z 0-9 + /, padded with =, no spaces)")]
pub struct Base64Error;

/// RFC 4648 §4 base64 with padding, as SASL profiles carry challenges and responses.
#[must_use]
pub fn base64_encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Strict decoding: full padding, no foreign characters (RFC 4648 §3.3), no stray bits in the last
/// digit (§3.5), so that every value has one spelling.
///
/// # Errors
/// [`Base64Error`] for everything else.
pub fn base64_decode(text: &[u8]) -> Result<Vec<u8>, Base64Error> {
    STANDARD.decode(text).map_err(|_| Base64Error)
}
