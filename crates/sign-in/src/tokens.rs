use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mail_types::{AccountId, Timestamp};
use sasl::{Answer, Secret};
use store::Account;

use crate::slowdown::{NameKey, TooMany, Try};
use crate::{SignIn, accepted};

/// Good tokens remembered: so many, or twice as many.
pub(crate) const TOKENS_MAX: usize = 50_000;

/// A good token, hashed with a secret.
pub(crate) type TokenKey = [u8; 32];

/// A token that was good: whose it is, and until when nobody has to be asked again.
#[derive(Clone, Debug)]
pub(crate) struct GoodToken {
    name: String,
    until: Timestamp,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// It is none, is over, or is not for whom the client says (RFC 6750 §3.1 `invalid_token`).
    Invalid,
    /// It is good, and not for mail (RFC 6750 §3.1 `insufficient_scope`).
    Scope,
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenCheck {
    /// It is good.
    Good {
        /// The address that its owner signs in with.
        name: String,
        /// It may be remembered until then.
        until: Timestamp,
    },
    /// It is not.
    Bad(TokenFault),
    /// Nobody can tell now.
    Unavailable,
}

/// Who knows tokens.
pub trait Tokens: Send + Sync {
    /// Whether this token is good at this time, and whose it is. It has the form of RFC 6750 §2.1.
    fn check<'a>(
        &'a self,
        token: &'a Secret,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = TokenCheck> + Send + 'a>>;

    /// What a client is told of a fault: a JSON object (RFC 7628 §3.2.2).
    fn error(&self, fault: TokenFault) -> String;
}

/// A client's token on its way through.
pub(crate) struct Claim {
    pub(crate) ip: IpAddr,
    pub(crate) authzid: Option<String>,
    pub(crate) token: Secret,
}

impl SignIn {
    /// Takes tokens, too. Without this there are none.
    #[must_use]
    pub fn with_tokens(mut self, tokens: impl Tokens + 'static) -> Self {
        self.tokens = Some(Box::new(tokens));
        self
    }

    /// Whether mechanisms for tokens may be offered.
    #[must_use]
    pub fn takes_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    pub(crate) async fn token<S: Future<Output = ()>>(
        &self,
        claim: Claim,
        now: impl Fn() -> Timestamp,
        sleep: impl FnOnce(Duration) -> S,
    ) -> Answer {
        let Some(tokens) = &self.tokens else { return Answer::Unavailable };
        let refused = |fault| Answer::TokenRefused { error: tokens.error(fault) };
        // RFC 7628 §4.3: a question for what is needed, and no guess.
        if claim.token.expose().is_empty() {
            return refused(TokenFault::Invalid);
        }
        let hash = blake3::keyed_hash(&self.secret, claim.token.expose().as_bytes());
        let key: TokenKey = *hash.as_bytes();
        let mut who = self.claimant(&claim, &key);
        let named = who.account;
        let (remembered, wait) = {
            let mut state = self.state();
            let at = now();
            let remembered = state.tokens.get(&key).filter(|good| at < good.until);
            let remembered = remembered.map(|good| good.name.clone());
            if let Some(account) = remembered.as_deref().and_then(|name| self.account(name)) {
                who.account = who.account.or(Some(account.id));
            }
            // What a program of the owner does all day waits for nothing.
            let wait = if remembered.is_some() && state.slowdown.is_known(&who, at) {
                Ok(Duration::ZERO)
            } else {
                state.slowdown.wait(&who, at)
            };
            (remembered, wait)
        };
        match wait {
            Ok(Duration::ZERO) => {}
            Ok(wait) => sleep(wait).await,
            Err(TooMany) => return Answer::Unavailable,
        }
        let checked = match remembered {
            Some(name) => Ok(name),
            None => match tokens.check(&claim.token, now()).await {
                TokenCheck::Good { name, until } => {
                    self.state().tokens.put(key, GoodToken { name: name.clone(), until });
                    Ok(name)
                }
                TokenCheck::Bad(fault) => Err(fault),
                TokenCheck::Unavailable => return Answer::Unavailable,
            },
        };
        let owner = |name: String| self.owner(&name, &claim, named).ok_or(TokenFault::Invalid);
        match checked.and_then(owner) {
            Ok(account) => {
                who.account = Some(account.id);
                self.state().slowdown.succeeded(&who, now());
                accepted(&account)
            }
            Err(fault) => {
                let guess = self.guess_key(who.name, &key);
                self.state().slowdown.failed(&who, guess, now());
                refused(fault)
            }
        }
    }

    /// Who tries, as far as the client says.
    fn claimant(&self, claim: &Claim, key: &TokenKey) -> Try {
        let Some(authzid) = &claim.authzid else {
            // Who names nobody is slowed down by source alone, not for what others did.
            let mut name = NameKey::default();
            let octets = name.len();
            name.copy_from_slice(&key[..octets]);
            return Try { ip: claim.ip, name, account: None };
        };
        let account = self.account(authzid);
        let name = self.name_key(authzid, account.as_deref());
        Try { ip: claim.ip, name, account: account.map(|account| account.id) }
    }

    /// The account of a good token. RFC 7628 §3.1: the client may name whom it wants to act as;
    /// acting as somebody else is for nobody here.
    fn owner(&self, name: &str, claim: &Claim, named: Option<AccountId>) -> Option<Arc<Account>> {
        let account = self.account(name)?;
        let is_itself = claim.authzid.is_none() || named == Some(account.id);
        is_itself.then_some(account)
    }
}
