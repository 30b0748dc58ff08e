use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use sasl::ScramKeys;
use store::{Credentials, OperatorPassword};

/// PBKDF2 rounds of SCRAM keys. RFC 7677 §4 wants at least 4096; more make a stolen store dearer
/// to guess from, and every SCRAM client slower.
pub(crate) const SCRAM_ITERATIONS: u32 = 16_384;

/// Credentials could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot hash the password: {0}")]
pub struct CredentialsError(String);

/// The credentials of a password; `salt` is fresh randomness.
///
/// # Errors
/// Only where Argon2 lacks memory.
pub fn credentials(password: &str, salt: &[u8; 16]) -> Result<Credentials, CredentialsError> {
    let hash = argon2id(password, salt)?;
    let keys = ScramKeys::derive(password, salt, SCRAM_ITERATIONS);
    Ok(Credentials {
        argon2id: hash,
        scram_salt: keys.salt,
        scram_iterations: keys.iterations,
        scram_stored_key: keys.stored_key,
        scram_server_key: keys.server_key,
    })
}

/// The password of an operator, who uses no SCRAM; `salt` is fresh randomness.
///
/// # Errors
/// Only where Argon2 lacks memory.
pub fn operator_password(
    password: &str,
    salt: &[u8; 16],
) -> Result<OperatorPassword, CredentialsError> {
    Ok(OperatorPassword { argon2id: argon2id(password, salt)? })
}

fn argon2id(password: &str, salt: &[u8; 16]) -> Result<String, CredentialsError> {
    let hash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|error| CredentialsError(error.to_string()))?;
    Ok(hash.to_string())
}
