//! Signing in: makes an account's credentials from a password, answers the questions of `sasl`
//! about them, remembers what it has verified, and slows down guessing.
//!
//! Argon2id (RFC 9106) costs 19 MiB and some ten milliseconds on purpose, so a verified password
//! is remembered for a while as a keyed hash in memory, and a reconnect costs microseconds. A
//! thread of its own verifies, one password at a time.
//!
//! An unknown name costs what a known one does: the same hash to verify against, the same tables,
//! the same waits. Tries wait before they are looked at, right ones too, so that the answer's delay
//! tells nothing and many connections are no way around it. Nobody is locked out: the longest wait
//! is a few seconds, and an account that is attacked keeps its speed where it is at home.
//!
//! Whether a token of an OAuth 2.0 server is good is asked of whoever knows ([`Tokens`]); a good one
//! is remembered like a password, for as long as its answer holds. What is slowed down is the same.
//!
//! It never keeps or logs a password or a token, opens no socket, reads no clock and draws no randomness of its
//! own.
//!
//! Operators of the console sign in by themselves, with a code of an authenticator where they have
//! one.
//!
//! RFCs: 6238 (TOTP), 9106 (Argon2id), 5802 and 7677 (SCRAM-SHA-256), 4616 (PLAIN), 7628 (OAUTHBEARER).

mod counts;
mod credentials;
mod generations;
mod hashing;
mod operators;
mod slowdown;
mod tokens;
mod totp;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mail_types::{AccountId, Timestamp};
use sasl::{Answer, Question, ScramKeys, Secret};
use store::{Account, Credentials, Directory};

use crate::counts::Counts;
pub use crate::counts::Tries;
use crate::credentials::SCRAM_ITERATIONS;
pub use crate::credentials::{CredentialsError, credentials, operator_password};
use crate::generations::Generations;
use crate::hashing::Hashing;
use crate::operators::StepsTaken;
pub use crate::operators::{OperatorAnswer, OperatorClaim};
pub use crate::slowdown::Limits;
use crate::slowdown::{GuessKey, NameKey, Slowdown, TooMany, Try};
use crate::tokens::{Claim, GoodToken, TOKENS_MAX, TokenKey};
pub use crate::tokens::{TokenCheck, TokenFault, Tokens};
pub use crate::totp::{totp_code, totp_step, totp_text};

/// Verified passwords remembered: so many, or twice as many.
const REMEMBERED_MAX: usize = 50_000;

/// Sign-in cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Argon2 lacks memory.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The system gives no thread.
    #[error("cannot start the thread that verifies passwords: {0}")]
    Thread(#[from] io::Error),
}

/// Answers sign-in questions of all services.
pub struct SignIn {
    directory: Box<dyn Fn() -> Arc<Directory> + Send + Sync>,
    /// Keys the remembered hashes and the made-up SCRAM keys; new at each start.
    secret: [u8; 32],
    /// What an unknown name is verified against, so that it takes as long.
    nobody: Credentials,
    remember_for: Duration,
    hashing: Hashing,
    tokens: Option<Box<dyn Tokens>>,
    steps: StepsTaken,
    state: Mutex<State>,
    counts: Counts,
}

struct State {
    /// By account: keyed hash of password and stored hash, and until when it holds.
    remembered: Generations<AccountId, ([u8; 32], Timestamp)>,
    tokens: Generations<TokenKey, GoodToken>,
    slowdown: Slowdown,
}

/// Who a session has signed in as, and by which credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    account: AccountId,
    /// A hash of the credentials: they have changed where it is another one.
    version: [u8; 8],
}

impl SignIn {
    /// `directory` gives the accounts as of now; `secret` is fresh randomness.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub fn new(
        directory: impl Fn() -> Arc<Directory> + Send + Sync + 'static,
        secret: [u8; 32],
        remember_for: Duration,
        limits: Limits,
    ) -> Result<Self, SignInError> {
        let mut salt = [0; 16];
        salt.copy_from_slice(&secret[..16]);
        let remembered = Generations::new(REMEMBERED_MAX);
        Ok(Self {
            directory: Box::new(directory),
            secret,
            nobody: credentials("nobody signs in with this", &salt)?,
            remember_for,
            hashing: Hashing::start()?,
            tokens: None,
            steps: StepsTaken::default(),
            state: Mutex::new(State {
                remembered,
                tokens: Generations::new(TOKENS_MAX),
                slowdown: Slowdown::new(limits),
            }),
            counts: Counts::default(),
        })
    }

    /// Answers a question of a client at `ip`, which may take seconds: `sleep` waits so long.
    pub async fn answer<S: Future<Output = ()>>(
        &self,
        question: Question,
        ip: IpAddr,
        now: impl Fn() -> Timestamp,
        sleep: impl FnOnce(Duration) -> S,
    ) -> Answer {
        // Whichever way it goes, it is counted.
        let answer = async {
            let question = match question {
                Question::Token { authzid, token } => {
                    return self.token(Claim { ip, authzid, token }, now, sleep).await;
                }
                other => other,
            };
            let account = self.account(question.authcid());
            let name = self.name_key(question.authcid(), account.as_deref());
            let who = Try { ip, name, account: account.as_ref().map(|account| account.id) };
            match question {
                // It has gone its own way above.
                Question::Token { .. } => Answer::Unavailable,
                Question::Password { authcid, authzid, password } => {
                    // RFC 4616 §2: acting as somebody else is for nobody here.
                    let itself = authzid.is_none_or(|wanted| {
                        let address = account.as_ref().map(|account| account.address.to_string());
                        wanted.is_empty() || wanted == authcid || Some(wanted) == address
                    });
                    self.password(who, account.as_deref(), password, itself, now, sleep).await
                }
                Question::ScramKeys { authcid } => {
                    let wait = self.state().slowdown.wait(&who, now());
                    match wait {
                        Ok(wait) => sleep(wait).await,
                        Err(TooMany) => return Answer::Unavailable,
                    }
                    self.scram_keys(&authcid, account.as_deref())
                }
                Question::ScramProof { right, guess, .. } => match account.filter(|_| right) {
                    Some(account) => {
                        self.state().slowdown.succeeded(&who, now());
                        accepted(&account)
                    }
                    None => {
                        let guess = self.guess_key(who.name, &guess);
                        self.state().slowdown.failed(&who, guess, now());
                        Answer::Refused
                    }
                },
            }
        };
        let answer = answer.await;
        self.counts.add(&answer);
        answer
    }

    /// How many tries there were since the start, by what came of them.
    #[must_use]
    pub fn tries(&self) -> Tries {
        self.counts.now()
    }

    /// What the session that has this answer stands on; `None` where it is not signed in by it, or
    /// its account is gone.
    #[must_use]
    pub fn standing(&self, answer: &Answer) -> Option<Standing> {
        let Answer::Accepted { account, .. } = answer else { return None };
        Some(Standing { account: *account, version: self.version(*account)? })
    }

    /// What a session stands on that was let in by other means than a password: the account as it is.
    #[must_use]
    pub fn standing_of(&self, account: AccountId) -> Option<Standing> {
        Some(Standing { account, version: self.version(account)? })
    }

    /// Whether the account is there and has the credentials of the sign-in. A session for which
    /// this is no longer so has to end.
    #[must_use]
    pub fn stands(&self, standing: &Standing) -> bool {
        self.version(standing.account) == Some(standing.version)
    }

    fn version(&self, account: AccountId) -> Option<[u8; 8]> {
        let directory = (self.directory)();
        let account = directory.account(account)?;
        let hash = blake3::keyed_hash(&self.secret, account.credentials.argon2id.as_bytes());
        let mut version = [0; 8];
        version.copy_from_slice(&hash.as_bytes()[..8]);
        Some(version)
    }

    async fn password<S: Future<Output = ()>>(
        &self,
        who: Try,
        account: Option<&Account>,
        password: Secret,
        itself: bool,
        now: impl Fn() -> Timestamp,
        sleep: impl FnOnce(Duration) -> S,
    ) -> Answer {
        let hash = account.map_or(&self.nobody, |account| &account.credentials).argon2id.clone();
        let fingerprint = self.fingerprint(&hash, &password);
        let (known, remembered, wait) = {
            let mut state = self.state();
            let at = now();
            let remembered = account
                .and_then(|account| state.remembered.get(&account.id))
                .is_some_and(|(of, until)| at < *until && fingerprint == *of);
            let known = state.slowdown.is_known(&who, at);
            // What a program of the owner does all day waits for nothing.
            let wait = if known && remembered {
                Ok(Duration::ZERO)
            } else {
                state.slowdown.wait(&who, at)
            };
            (known, remembered, wait)
        };
        match wait {
            Ok(Duration::ZERO) => {}
            Ok(wait) => sleep(wait).await,
            Err(TooMany) => return Answer::Unavailable,
        }
        let right = remembered
            || match self.hashing.verify(hash, password, known).await {
                Some(right) => right,
                None => return Answer::Unavailable,
            };
        let mut state = self.state();
        let Some(account) = account.filter(|_| right && itself) else {
            let guess = self.guess_key(who.name, fingerprint.as_bytes());
            state.slowdown.failed(&who, guess, now());
            return Answer::Refused;
        };
        state.slowdown.succeeded(&who, now());
        if !remembered {
            let until = now().after(self.remember_for);
            state.remembered.put(account.id, (*fingerprint.as_bytes(), until));
        }
        accepted(account)
    }

    fn account(&self, authcid: &str) -> Option<Arc<Account>> {
        (self.directory)().sign_in_name(authcid).cloned()
    }

    /// One key for all spellings of an account's name, and one for each name that has none.
    fn name_key(&self, authcid: &str, account: Option<&Account>) -> NameKey {
        let name = account.map_or_else(|| authcid.to_lowercase(), |known| known.address.folded());
        let mut key = NameKey::default();
        blake3::Hasher::new_keyed(&self.secret)
            .update(name.as_bytes())
            .finalize_xof()
            .fill(&mut key);
        key
    }

    fn guess_key(&self, name: NameKey, guess: &[u8; 32]) -> GuessKey {
        let mut key = GuessKey::default();
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&name).update(guess).finalize_xof().fill(&mut key);
        key
    }

    /// The stored hash is part of it, so that a new password forgets the old one.
    fn fingerprint(&self, hash: &str, password: &Secret) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&(hash.len() as u64).to_le_bytes());
        hasher.update(hash.as_bytes()).update(password.expose().as_bytes());
        hasher.finalize()
    }

    fn scram_keys(&self, authcid: &str, account: Option<&Account>) -> Answer {
        if let Some(account) = account {
            let kept = &account.credentials;
            let keys = ScramKeys {
                salt: kept.scram_salt.clone(),
                iterations: kept.scram_iterations,
                stored_key: kept.scram_stored_key,
                server_key: kept.scram_server_key,
            };
            return Answer::Keys { account: account.id, name: account.address.to_string(), keys };
        }
        // Made up, the same for the same name, and proved by no password.
        let mut made_up = [0; 80];
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(authcid.to_lowercase().as_bytes()).finalize_xof().fill(&mut made_up);
        let (mut stored_key, mut server_key) = ([0; 32], [0; 32]);
        stored_key.copy_from_slice(&made_up[16..48]);
        server_key.copy_from_slice(&made_up[48..]);
        let salt = made_up[..16].to_vec();
        let keys = ScramKeys { salt, iterations: SCRAM_ITERATIONS, stored_key, server_key };
        Answer::Keys { account: AccountId(0), name: authcid.to_owned(), keys }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is guarded here is whole at every moment, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accepted(account: &Account) -> Answer {
    Answer::Accepted { account: account.id, name: account.address.to_string() }
}
