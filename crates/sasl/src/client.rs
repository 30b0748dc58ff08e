//! The client's side: how we sign in to a smart host.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, pbkdf2};

use crate::encoding::{base64_decode, base64_encode};
use crate::scram::{hmac_sha256, sha256};
use crate::{Mechanism, Secret};

/// Rounds of PBKDF2 that a server may ask for: more would keep us busy for it.
const ITERATIONS_MAX: u32 = 500_000;
/// RFC 7677 §4: fewer make a stolen exchange cheap to guess at.
const ITERATIONS_MIN: u32 = 4096;

/// Who we are to a server. `Debug` shows no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name there.
    pub name: String,
    /// The password there.
    pub password: Secret,
}

/// What is wrong with what a server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It does not follow RFC 5802.
    #[error("the server's part of the sign-in cannot be understood")]
    Malformed,
    /// It asks for too few or too many rounds.
    #[error("the server asks for {0} rounds of its password hash, which is too few or too many")]
    Iterations(u32),
    /// It has not shown that it knows the password.
    #[error("the server has not proved that it knows the password")]
    Unproven,
}

/// A sign-in under way.
pub struct SignIn {
    mechanism: Mechanism,
    login: Login,
    nonce: String,
    step: Step,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    First,
    /// The server asks for the name, and then for the password.
    Name,
    Password,
    /// The server's first message of SCRAM is due.
    Challenge,
    /// Its last is due, which begins with this.
    Verifier(String),
    Done,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

impl SignIn {
    /// The best of what is offered (names separated by spaces): SCRAM-SHA-256, else PLAIN or LOGIN
    /// where the password may be told. `nonce`: fresh printable randomness without commas.
    #[must_use]
    pub fn choose(offered: &str, login: &Login, nonce: &str, may_tell: bool) -> Option<Self> {
        let offers = |wanted: Mechanism| {
            offered.split_ascii_whitespace().any(|name| name.eq_ignore_ascii_case(wanted.name()))
        };
        let mechanism = match () {
            () if offers(Mechanism::ScramSha256) => Mechanism::ScramSha256,
            () if offers(Mechanism::Plain) && may_tell => Mechanism::Plain,
            // Some large providers offer nothing else.
            () if offers(Mechanism::Login) && may_tell => Mechanism::Login,
            () => return None,
        };
        Some(Self { mechanism, login: login.clone(), nonce: nonce.to_owned(), step: Step::First })
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn mechanism(&self) -> &'static str {
        self.mechanism.name()
    }

    /// The initial response, base64; empty where there is none.
    pub fn initial(&mut self) -> String {
        let Login { name, password } = &self.login;
        if self.mechanism == Mechanism::ScramSha256 {
            self.step = Step::Challenge;
            // RFC 5802 §6: `n`, since nothing is bound to the channel here.
            return base64_encode(format!("n,,{}", self.first_bare()).as_bytes());
        }
        if self.mechanism == Mechanism::Login {
            self.step = Step::Name;
            return String::new();
        }
        self.step = Step::Done;
        // RFC 4616 §2.
        base64_encode(format!("\0{name}\0{}", password.expose()).as_bytes())
    }

    /// The response to a challenge, both base64.
    ///
    /// # Errors
    /// See [`ClientError`]: the sign-in must not go on.
    pub fn respond(&mut self, challenge: &str) -> Result<String, ClientError> {
        // Servers ask in words of their own, in this order.
        match self.step {
            Step::Name => {
                self.step = Step::Password;
                return Ok(base64_encode(self.login.name.as_bytes()));
            }
            Step::Password => {
                self.step = Step::Done;
                return Ok(base64_encode(self.login.password.expose().as_bytes()));
            }
            Step::First | Step::Challenge | Step::Verifier(_) | Step::Done => {}
        }
        let challenge = base64_decode(challenge.trim().as_bytes());
        let challenge = challenge.map_err(|_| ClientError::Malformed)?;
        let challenge = std::str::from_utf8(&challenge).map_err(|_| ClientError::Malformed)?;
        match std::mem::replace(&mut self.step, Step::First) {
            Step::Challenge => self.prove(challenge),
            Step::Verifier(wanted) => {
                // RFC 5802 §3: ServerSignature, by which the server proves itself.
                let same =
                    constant_time::verify_slices_are_equal(challenge.as_bytes(), wanted.as_bytes());
                same.map_err(|_| ClientError::Unproven)?;
                self.step = Step::Done;
                Ok(String::new())
            }
            Step::First | Step::Name | Step::Password | Step::Done => Err(ClientError::Malformed),
        }
    }

    /// Whether a server that says yes now has done its part: with SCRAM it has proved itself.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.step == Step::Done
    }

    /// RFC 5802 §7: `client-first-message-bare`.
    fn first_bare(&self) -> String {
        let name = self.login.name.replace('=', "=3D").replace(',', "=2C");
        format!("n={name},r={}", self.nonce)
    }

    /// RFC 5802 §3: the client's proof for the server's first message.
    fn prove(&mut self, server_first: &str) -> Result<String, ClientError> {
        let mut parts = server_first.split(',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name));
        let (nonce, salt, iterations) = match (part("r="), part("s="), part("i=")) {
            (Some(nonce), Some(salt), Some(iterations)) => (nonce, salt, iterations),
            _ => return Err(ClientError::Malformed),
        };
        // RFC 5802 §5.1: the server's nonce begins with ours.
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(ClientError::Malformed);
        }
        let salt = base64_decode(salt.as_bytes()).map_err(|_| ClientError::Malformed)?;
        let iterations: u32 = iterations.parse().map_err(|_| ClientError::Malformed)?;
        let rounds = NonZeroU32::new(iterations)
            .filter(|rounds| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&rounds.get()))
            .ok_or(ClientError::Iterations(iterations))?;
        let mut salted = [0_u8; 32];
        let password = self.login.password.expose().as_bytes();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password, &mut salted);
        let without_proof = format!("c={},r={nonce}", base64_encode(b"n,,"));
        let message = format!("{},{server_first},{without_proof}", self.first_bare());
        let client_key = hmac_sha256(&salted, b"Client Key");
        let signature = hmac_sha256(&sha256(&client_key), message.as_bytes());
        let mut proof = client_key;
        proof.iter_mut().zip(signature).for_each(|(byte, other)| *byte ^= other);
        let server_key = hmac_sha256(&salted, b"Server Key");
        let verifier = base64_encode(&hmac_sha256(&server_key, message.as_bytes()));
        self.step = Step::Verifier(format!("v={verifier}"));
        let last = format!("{without_proof},p={}", base64_encode(&proof));
        Ok(base64_encode(last.as_bytes()))
    }
}
