use aws_lc_rs::rand;

/// Octets of randomness in a [`nonce`]: 144 bits, so that it is never drawn twice.
const NONCE_OCTETS: usize = 18;

/// RFC 4648 §5: the URL-safe alphabet, without a comma, which SCRAM nonces may not hold.
const PRINTABLE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The operating system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct RandomError;

/// `N` bytes that nobody can guess.
///
/// # Errors
/// Where the generator fails; then nothing secret may be made.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

/// A fresh text of 24 letters, digits, hyphens and underscores (RFC 5802 §5.1: printable, no
/// comma), for SCRAM, challenges and boundaries.
///
/// # Errors
/// As [`random_bytes`].
pub fn nonce() -> Result<String, RandomError> {
    let bytes = random_bytes::<NONCE_OCTETS>()?;
    let digits = bytes.chunks_exact(3).flat_map(|chunk| {
        let word = u32::from_be_bytes([0, chunk[0], chunk[1], chunk[2]]);
        [18, 12, 6, 0].map(|shift| char::from(PRINTABLE[(word >> shift & 63) as usize]))
    });
    Ok(digits.collect())
}
