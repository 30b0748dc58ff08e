//! Signing in: makes an account's credentials from a password, answers the questions of `sasl`
//! about them, remembers what it has verified, and slows down guessing.
//!
//! Argon2id (RFC 9106) costs 19 MiB and some ten milliseconds on purpose, so a verified password
//! is remembered for a while as a keyed hash in memory, and a reconnect costs microseconds. An
//! unknown name costs the same as a known one. It never keeps or logs a password, opens no socket
//! and draws no randomness of its own. Calls may block for those milliseconds: async callers use a
//! thread for them.
//!
//! RFCs: 9106 (Argon2id), 5802 and 7677 (SCRAM-SHA-256), 4616 (PLAIN).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use mail_types::{AccountId, Timestamp};
use sasl::{Answer, Question, ScramKeys};
use store::{Account, Credentials, Directory};

/// PBKDF2 rounds of SCRAM keys. RFC 7677 §4 wants at least 4096; more make a stolen store dearer
/// to guess from, and every SCRAM client slower.
const SCRAM_ITERATIONS: u32 = 16_384;
/// Verified passwords remembered at most.
const REMEMBERED_MAX: usize = 100_000;
/// Sources whose failures are counted at most.
const SOURCES_MAX: usize = 100_000;
/// The first failure's wait; each further one doubles it.
const DELAY_FIRST: Duration = Duration::from_millis(250);
/// The longest wait.
const DELAY_MAX: Duration = Duration::from_secs(8);
/// After this long without a failure a source starts anew.
const FAILURES_FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// Credentials could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot hash the password: {0}")]
pub struct CredentialsError(String);

/// The credentials of a password; `salt` is fresh randomness.
///
/// # Errors
/// Only where Argon2 lacks memory.
pub fn credentials(password: &str, salt: &[u8; 16]) -> Result<Credentials, CredentialsError> {
    let hash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|error| CredentialsError(error.to_string()))?;
    let keys = ScramKeys::derive(password, salt, SCRAM_ITERATIONS);
    Ok(Credentials {
        argon2id: hash.to_string(),
        scram_salt: keys.salt,
        scram_iterations: keys.iterations,
        scram_stored_key: keys.stored_key,
        scram_server_key: keys.server_key,
    })
}

/// Answers sign-in questions of all services.
pub struct SignIn {
    directory: Box<dyn Fn() -> Arc<Directory> + Send + Sync>,
    /// Keys the remembered hashes and the made-up SCRAM keys; new at each start.
    secret: [u8; 32],
    /// What an unknown name is verified against, so that it takes as long.
    nobody: Credentials,
    remember_for: Duration,
    state: Mutex<State>,
    /// Argon2 takes 19 MiB: one at a time is what a small machine can stand, and a slow start for
    /// whoever guesses.
    hashing: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// By account: keyed hash of password and stored hash, and until when it holds.
    remembered: HashMap<AccountId, ([u8; 32], Timestamp)>,
    /// By source: failures in a row, and the last one's time.
    failures: HashMap<IpAddr, (u32, Timestamp)>,
}

/// An answer, and how long to hold it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The answer.
    pub answer: Answer,
    /// Send it after this long.
    pub delay: Duration,
}

impl SignIn {
    /// `directory` gives the accounts as of now; `secret` is fresh randomness.
    ///
    /// # Errors
    /// As [`credentials`].
    pub fn new(
        directory: impl Fn() -> Arc<Directory> + Send + Sync + 'static,
        secret: [u8; 32],
        remember_for: Duration,
    ) -> Result<Self, CredentialsError> {
        let mut salt = [0; 16];
        salt.copy_from_slice(&secret[..16]);
        Ok(Self {
            directory: Box::new(directory),
            secret,
            nobody: credentials("nobody signs in with this", &salt)?,
            remember_for,
            state: Mutex::default(),
            hashing: Mutex::new(()),
        })
    }

    /// Answers a question of a client at `ip`.
    #[must_use]
    pub fn answer(&self, question: &Question, ip: IpAddr, now: Timestamp) -> Held {
        match question {
            Question::ScramKeys { authcid } => {
                let answer = self.scram_keys(authcid);
                Held { answer, delay: Duration::ZERO }
            }
            Question::Password { authcid, authzid, password } => {
                let account = (self.directory)().sign_in_name(authcid).cloned();
                let itself = account.as_ref().is_none_or(|account| {
                    // RFC 4616 §2: acting as somebody else is for nobody here.
                    authzid.as_ref().is_none_or(|wanted| {
                        wanted.is_empty()
                            || wanted == authcid
                            || *wanted == account.address.to_string()
                    })
                });
                let right = self.verify(account.as_deref(), password.expose(), now) && itself;
                match account.filter(|_| right) {
                    Some(account) => {
                        self.state().failures.remove(&ip);
                        let name = account.address.to_string();
                        let answer = Answer::Accepted { account: account.id, name };
                        Held { answer, delay: Duration::ZERO }
                    }
                    None => Held { answer: Answer::Refused, delay: self.failed(ip, now) },
                }
            }
        }
    }

    fn scram_keys(&self, authcid: &str) -> Answer {
        match (self.directory)().sign_in_name(authcid) {
            Some(account) => {
                let kept = &account.credentials;
                let keys = ScramKeys {
                    salt: kept.scram_salt.clone(),
                    iterations: kept.scram_iterations,
                    stored_key: kept.scram_stored_key,
                    server_key: kept.scram_server_key,
                };
                Answer::Keys { account: account.id, name: account.address.to_string(), keys }
            }
            None => {
                // Made up, the same for the same name, and proved by no password.
                let mut made_up = [0; 80];
                let mut hasher = blake3::Hasher::new_keyed(&self.secret);
                hasher.update(authcid.to_lowercase().as_bytes()).finalize_xof().fill(&mut made_up);
                let (mut stored_key, mut server_key) = ([0; 32], [0; 32]);
                stored_key.copy_from_slice(&made_up[16..48]);
                server_key.copy_from_slice(&made_up[48..]);
                let salt = made_up[..16].to_vec();
                let iterations = SCRAM_ITERATIONS;
                let keys = ScramKeys { salt, iterations, stored_key, server_key };
                Answer::Keys { account: AccountId(0), name: authcid.to_owned(), keys }
            }
        }
    }

    fn verify(&self, account: Option<&Account>, password: &str, now: Timestamp) -> bool {
        let kept = account.map_or(&self.nobody, |account| &account.credentials);
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        // The stored hash is part of it, so that a new password forgets the old one.
        hasher.update(&(kept.argon2id.len() as u64).to_le_bytes());
        hasher.update(kept.argon2id.as_bytes()).update(password.as_bytes());
        let fingerprint = hasher.finalize();
        if let Some(account) = account
            && let Some((known, until)) = self.state().remembered.get(&account.id)
            && now < *until
            && fingerprint == *known
        {
            return true;
        }
        let right = {
            let _one = self.hashing.lock().unwrap_or_else(PoisonError::into_inner);
            PasswordHash::new(&kept.argon2id).is_ok_and(|hash| {
                Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
            })
        };
        let Some(account) = account.filter(|_| right) else { return false };
        let mut state = self.state();
        if state.remembered.len() >= REMEMBERED_MAX {
            state.remembered.retain(|_, (_, until)| now < *until);
        }
        if state.remembered.len() < REMEMBERED_MAX {
            let until = now.after(self.remember_for);
            state.remembered.insert(account.id, (*fingerprint.as_bytes(), until));
        }
        true
    }

    /// Counts a failure and says how long its answer waits. Loopback does not wait.
    fn failed(&self, ip: IpAddr, now: Timestamp) -> Duration {
        if ip.is_loopback() {
            return Duration::ZERO;
        }
        let mut state = self.state();
        if state.failures.len() >= SOURCES_MAX {
            state.failures.retain(|_, (_, last)| now.since(*last) < FAILURES_FORGOTTEN);
        }
        if state.failures.len() >= SOURCES_MAX {
            return DELAY_MAX;
        }
        let (count, last) = state.failures.entry(ip).or_insert((0, now));
        if now.since(*last) >= FAILURES_FORGOTTEN {
            *count = 0;
        }
        let doublings = (*count).min(16);
        *count = count.saturating_add(1);
        *last = now;
        DELAY_FIRST.saturating_mul(1 << doublings).min(DELAY_MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
