//! Operators sign in: with a password and, where they have one, a code of their authenticator. What
//! slows down guessing is the same as for accounts; nothing is remembered, since a person signs in
//! once a day.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mail_types::{AccountId, Timestamp};
use sasl::Secret;

use crate::slowdown::{TooMany, Try};
use crate::{SignIn, totp_step};

/// Above all account ids there will be: operators have no networks in common with accounts.
const OPERATORS: u64 = 1 << 62;
/// Characters of a password or code that are looked at.
const TYPED_CHARS_MAX: usize = 1024;

/// Who wants to sign in, or proves itself once more.
#[derive(Debug)]
pub struct OperatorClaim {
    /// From where.
    pub ip: IpAddr,
    /// The name as typed.
    pub name: String,
    /// The password as typed.
    pub password: Secret,
    /// The code as typed; empty where none was.
    pub code: String,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorAnswer {
    /// It is this operator.
    Accepted(u64),
    /// Name, password or code is wrong; which, nobody is told.
    Refused,
    /// Too many tries wait.
    Unavailable,
}

/// The last step of each operator whose code was taken: no code is good twice.
#[derive(Debug, Default)]
pub(crate) struct StepsTaken(Mutex<HashMap<u64, i64>>);

impl StepsTaken {
    /// Takes a step; false where it, or a later one, was taken before.
    fn take(&self, operator: u64, step: i64) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.get(&operator).is_some_and(|last| step <= *last) {
            return false;
        }
        taken.insert(operator, step);
        true
    }
}

impl SignIn {
    /// Whether somebody is the operator it says; may take seconds: `sleep` waits so long.
    pub async fn operator<S: Future<Output = ()>>(
        &self,
        claim: OperatorClaim,
        now: impl Fn() -> Timestamp,
        sleep: impl FnOnce(Duration) -> S,
    ) -> OperatorAnswer {
        let operator = (self.directory)().operator(&claim.name).cloned();
        let name = match &operator {
            Some(known) => known.name.clone(),
            None => claim.name.trim().to_lowercase(),
        };
        let who = Try {
            ip: claim.ip,
            // No account has a name of two lines.
            name: self.name_key(&format!("operator\n{name}"), None),
            account: operator.as_ref().map(|known| AccountId(OPERATORS | known.id)),
        };
        let (wait, known) = {
            let mut state = self.state();
            let at = now();
            (state.slowdown.wait(&who, at), state.slowdown.is_known(&who, at))
        };
        match wait {
            Ok(Duration::ZERO) => {}
            Ok(wait) => sleep(wait).await,
            Err(TooMany) => return OperatorAnswer::Unavailable,
        }
        let typed = claim.password.expose().chars().count().max(claim.code.chars().count());
        let hash = match &operator {
            Some(known) => known.password.argon2id.clone(),
            None => self.nobody.argon2id.clone(),
        };
        let mut tried = claim.password.expose().as_bytes().to_vec();
        tried.push(0);
        tried.extend_from_slice(claim.code.as_bytes());
        let fingerprint = *blake3::keyed_hash(&self.secret, &tried).as_bytes();
        let right = match self.hashing.verify(hash, claim.password, known).await {
            Some(right) => right && typed <= TYPED_CHARS_MAX,
            None => return OperatorAnswer::Unavailable,
        };
        let found = operator.filter(|operator| {
            right
                && match &operator.second_factor {
                    None => true,
                    Some(secret) => totp_step(&secret.0, &claim.code, now())
                        .is_some_and(|step| self.steps.take(operator.id, step)),
                }
        });
        let mut state = self.state();
        match found {
            Some(operator) => {
                state.slowdown.succeeded(&who, now());
                OperatorAnswer::Accepted(operator.id)
            }
            None => {
                let guess = self.guess_key(who.name, &fingerprint);
                state.slowdown.failed(&who, guess, now());
                OperatorAnswer::Refused
            }
        }
    }
}
