//! Domains, accounts, aliases and routes: small, read at every recipient, so kept in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use mail_types::{AccountId, Address, Domain, MailId, Timestamp};

use crate::operators::{Operator, OperatorToken, operator_name};
use crate::record::{Credentials, RelayLogin};

/// How deep aliases may point to aliases.
const ALIAS_DEPTH_MAX: usize = 10;
/// How many recipients one alias may come to.
pub const ALIAS_TARGETS_MAX: usize = 1000;

/// An account that may sign in and receive.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its address, which is also its name at sign-in.
    pub address: Address,
    /// How it proves itself.
    pub credentials: Credentials,
}

/// A smart host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// An alias as the operator wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Where its mail goes.
    pub targets: Vec<Address>,
}

/// A token of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: u64,
    /// Whose it is.
    pub account: AccountId,
    /// What the operator calls it.
    pub label: String,
    /// When it was made.
    pub added: Timestamp,
}

/// What a recipient's address means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// A local account.
    Account(AccountId),
    /// An alias with these targets.
    Alias(Vec<Address>),
    /// The reverse-path that this message left with when it was forwarded: whoever sent it
    /// ([`crate::Store::sender_of`]).
    SenderOf(MailId),
    /// A local domain without this user.
    UnknownUser,
    /// Not a domain of ours.
    Remote,
}

/// Everything the server is told by its operator that is not a setting.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    pub(crate) domains: BTreeSet<Domain>,
    pub(crate) accounts: HashMap<AccountId, Arc<Account>>,
    /// By [`Address::folded`].
    pub(crate) by_address: HashMap<String, AccountId>,
    /// By [`Address::folded`].
    pub(crate) aliases: BTreeMap<String, Alias>,
    pub(crate) routes: BTreeMap<Option<Domain>, Route>,
    pub(crate) logins: BTreeMap<String, RelayLogin>,
    /// The one that rewrites first.
    pub(crate) srs_keys: Vec<Arc<crate::dkim_keys::PrivateKey>>,
    /// By selector.
    pub(crate) dkim_keys: BTreeMap<Domain, Vec<Arc<crate::dkim_keys::DkimKey>>>,
    /// By their hash.
    pub(crate) tokens: HashMap<[u8; 32], Token>,
    pub(crate) operators: BTreeMap<u64, Arc<Operator>>,
    /// The highest number of an operator's token.
    pub(crate) operator_token_last: u64,
}

impl Directory {
    /// The local domains.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.domains.iter()
    }

    /// Whether mail for this domain is local.
    #[must_use]
    pub fn is_local(&self, domain: &Domain) -> bool {
        self.domains.contains(domain)
    }

    /// The tokens, by id. Those of removed accounts are gone with them.
    #[must_use]
    pub fn tokens(&self) -> Vec<&Token> {
        let mut all: Vec<&Token> = self.tokens.values().collect();
        all.sort_by_key(|token| token.id);
        all
    }

    /// The token with this text, which is nowhere kept: only its hash is.
    #[must_use]
    pub fn token(&self, text: &str) -> Option<&Token> {
        self.tokens.get(blake3::hash(text.as_bytes()).as_bytes())
    }

    /// The operators, in the order they were added.
    pub fn operators(&self) -> impl Iterator<Item = &Arc<Operator>> {
        self.operators.values()
    }

    /// The operator of this name, in any case of its letters.
    #[must_use]
    pub fn operator(&self, name: &str) -> Option<&Arc<Operator>> {
        let name = operator_name(name);
        self.operators.values().find(|known| known.name == name)
    }

    /// The operator of this number.
    #[must_use]
    pub fn operator_of(&self, id: u64) -> Option<&Arc<Operator>> {
        self.operators.get(&id)
    }

    /// The operator whose token has this text, and the token.
    #[must_use]
    pub fn operator_token(&self, text: &str) -> Option<(&Arc<Operator>, &OperatorToken)> {
        let hash = *blake3::hash(text.as_bytes()).as_bytes();
        self.operators.values().find_map(|operator| {
            Some((operator, operator.tokens.iter().find(|token| token.hash == hash)?))
        })
    }

    /// The accounts, by address.
    #[must_use]
    pub fn accounts(&self) -> Vec<&Arc<Account>> {
        let mut accounts: Vec<_> = self.accounts.values().collect();
        accounts.sort_by(|a, b| a.address.cmp(&b.address));
        accounts
    }

    /// The account of this id.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(&id)
    }

    /// The account that signs in by this name: its address in any spelling, or, where all accounts
    /// are of one domain, the local-part alone.
    #[must_use]
    pub fn sign_in_name(&self, name: &str) -> Option<&Arc<Account>> {
        let folded = match Address::parse(name) {
            Ok(address) => address.folded(),
            Err(_) if self.domains.len() == 1 && !name.contains('@') => {
                format!("{}@{}", name.to_lowercase(), self.domains.first()?)
            }
            Err(_) => return None,
        };
        self.accounts.get(self.by_address.get(&folded)?)
    }

    /// The aliases with their addresses, sorted.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &Alias)> {
        self.aliases.iter().map(|(address, alias)| (address.as_str(), alias))
    }

    /// Who we are to smart hosts, by `HOST:PORT`.
    pub fn logins(&self) -> impl Iterator<Item = (&str, &RelayLogin)> {
        self.logins.iter().map(|(relay, login)| (relay.as_str(), login))
    }

    /// The smart hosts by domain; `None` is the default route.
    pub fn routes(&self) -> impl Iterator<Item = (Option<&Domain>, &Route)> {
        self.routes.iter().map(|(domain, route)| (domain.as_ref(), route))
    }

    /// The smart host for this domain, the default one where it has none of its own.
    #[must_use]
    pub fn route(&self, domain: Option<&Domain>) -> Option<&Route> {
        domain
            .and_then(|domain| self.routes.get(&Some(domain.clone())))
            .or_else(|| self.routes.get(&None))
    }

    /// What this address means here. `ann+anything@` is `ann@` where no account or alias has the
    /// longer address (RFC 5233 subaddress).
    #[must_use]
    pub fn resolve(&self, address: &Address) -> Resolution {
        match address.domain() {
            Some(domain) if self.is_local(domain) => {}
            _ => return Resolution::Remote,
        }
        let folded = address.folded();
        if let Some(found) = self.find(&folded) {
            return found;
        }
        if let Some(sender) = self.first_sender(address) {
            return sender;
        }
        let detail = folded.split_once('@').and_then(|(localpart, domain)| {
            let (user, _) = localpart.split_once('+')?;
            self.find(&format!("{user}@{domain}"))
        });
        detail.unwrap_or(Resolution::UnknownUser)
    }

    fn find(&self, folded: &str) -> Option<Resolution> {
        if let Some(alias) = self.aliases.get(folded) {
            return Some(Resolution::Alias(alias.targets.clone()));
        }
        self.by_address.get(folded).map(|&account| Resolution::Account(account))
    }

    /// Where an alias leads in the end: no alias, no address twice, nothing that nobody has.
    /// An alias that leads back to itself keeps whatever else it leads to.
    #[must_use]
    pub fn expand(&self, targets: &[Address]) -> Vec<(Address, Resolution)> {
        self.expand_within_limits(targets).0
    }

    /// The same, and whether it is all: an alias may lead to at most 1000 addresses, through at
    /// most 10 aliases behind each other.
    pub(crate) fn expand_within_limits(
        &self,
        targets: &[Address],
    ) -> (Vec<(Address, Resolution)>, bool) {
        let mut all = true;
        let mut seen = HashSet::new();
        let mut leaves = Vec::new();
        let mut open: Vec<(Address, usize)> =
            targets.iter().rev().map(|target| (target.clone(), 0)).collect();
        while let Some((address, depth)) = open.pop() {
            if !seen.insert(address.folded()) {
                continue;
            }
            match self.resolve(&address) {
                Resolution::Alias(further) if depth < ALIAS_DEPTH_MAX => {
                    open.extend(further.into_iter().rev().map(|target| (target, depth + 1)));
                }
                Resolution::Alias(_) => all = false,
                // Nobody's alias leads there: it is the reverse-path of one message.
                Resolution::UnknownUser | Resolution::SenderOf(_) => {}
                Resolution::Account(_) | Resolution::Remote
                    if leaves.len() >= ALIAS_TARGETS_MAX =>
                {
                    return (leaves, false);
                }
                found @ (Resolution::Account(_) | Resolution::Remote) => {
                    leaves.push((address, found));
                }
            }
        }
        (leaves, all)
    }

    /// Whether this account may send as this address: its own, with or without a detail, or an
    /// alias that leads to it.
    #[must_use]
    pub fn may_send_as(&self, account: AccountId, address: &Address) -> bool {
        match self.resolve(address) {
            Resolution::Account(owner) => owner == account,
            Resolution::Alias(targets) => {
                self.expand(&targets).iter().any(|(_, leaf)| *leaf == Resolution::Account(account))
            }
            Resolution::SenderOf(_) | Resolution::UnknownUser | Resolution::Remote => false,
        }
    }
}
