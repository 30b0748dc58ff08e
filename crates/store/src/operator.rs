//! What the operator tells the server: domains, accounts, aliases, routes.

use journal::Disk;
use mail_types::{AccountId, Address, Domain, SpecialUse};

use crate::commit::Work;
use crate::directory::{ALIAS_TARGETS_MAX, Resolution};
use crate::record::{Actor, Credentials, Record, RelayLogin};
use crate::{Pending, Refused, Store};

impl<D: Disk> Store<D> {
    /// Mail for this domain is local from now on.
    pub fn add_domain(&self, actor: Actor, domain: Domain) -> Pending<()> {
        self.change(move |work| {
            if work.index.directory.is_local(&domain) {
                return Err(Refused::Exists(format!("domain {domain}")));
            }
            work.record(&actor, Record::DomainAdded { domain })
        })
    }

    /// Mail for this domain is no longer local. Refused while accounts or aliases are in it.
    pub fn remove_domain(&self, actor: Actor, domain: Domain) -> Pending<()> {
        self.change(move |work| {
            check_removable(&work.index.directory, &domain)?;
            work.record(&actor, Record::DomainRemoved { domain })
        })
    }

    /// A new account with its special-use mailboxes.
    pub fn add_account(
        &self,
        actor: Actor,
        address: Address,
        credentials: Credentials,
    ) -> Pending<AccountId> {
        self.change(move |work| {
            check_local(work.index.directory.as_ref(), &address)?;
            if work.index.directory.by_address.contains_key(&address.folded()) {
                return Err(Refused::Exists(format!("account {address}")));
            }
            if work.index.directory.aliases.contains_key(&address.folded()) {
                return Err(Refused::Exists(format!("alias {address}")));
            }
            let account = AccountId(work.index.last.account + 1);
            work.record(&actor, Record::AccountAdded { account, address, credentials })?;
            crate::naming::create(work, &actor, account, crate::INBOX.to_owned(), None)?;
            let subscribe = |name: &str| Record::Subscription {
                account,
                name: name.to_owned(),
                subscribed: true,
            };
            work.record(&actor, subscribe(crate::INBOX))?;
            for special_use in SpecialUse::ALL {
                let name = special_use.mailbox_name();
                let made = Some(special_use);
                crate::naming::create(work, &actor, account, name.to_owned(), made)?;
                work.record(&actor, subscribe(name))?;
            }
            Ok(account)
        })
    }

    /// The account may no longer sign in or receive; its mail stays.
    pub fn remove_account(&self, actor: Actor, address: Address) -> Pending<()> {
        self.change(move |work| {
            let account = account_of(&work.index.directory, &address)?;
            work.record(&actor, Record::AccountRemoved { account })
        })
    }

    /// A new password.
    pub fn set_credentials(
        &self,
        actor: Actor,
        address: Address,
        credentials: Credentials,
    ) -> Pending<()> {
        self.change(move |work| {
            let account = account_of(&work.index.directory, &address)?;
            work.record(&actor, Record::CredentialsSet { account, credentials })
        })
    }

    /// Mail for `alias` goes to `targets` from now on.
    pub fn set_alias(&self, actor: Actor, alias: Address, targets: Vec<Address>) -> Pending<()> {
        self.change(move |work| {
            let directory = &work.index.directory;
            check_local(directory, &alias)?;
            if directory.by_address.contains_key(&alias.folded()) {
                return Err(Refused::Exists(format!("account {alias}")));
            }
            if targets.is_empty() {
                return Err(Refused::Invalid("an alias needs at least one target".to_owned()));
            }
            if targets.len() > ALIAS_TARGETS_MAX {
                return Err(Refused::Invalid(format!(
                    "an alias has at most {ALIAS_TARGETS_MAX} targets"
                )));
            }
            for target in &targets {
                if directory.resolve(target) == Resolution::UnknownUser {
                    return Err(Refused::UnknownUser(target.clone()));
                }
            }
            work.record(&actor, Record::AliasSet { alias, targets })
        })
    }

    /// The alias is gone.
    pub fn remove_alias(&self, actor: Actor, alias: Address) -> Pending<()> {
        self.change(move |work| {
            if !work.index.directory.aliases.contains_key(&alias.folded()) {
                return Err(Refused::Missing(format!("alias {alias}")));
            }
            work.record(&actor, Record::AliasRemoved { alias })
        })
    }

    /// Mail for a domain (`None`: for every domain without its own route) goes to a smart host.
    pub fn set_route(
        &self,
        actor: Actor,
        domain: Option<Domain>,
        host: String,
        port: u16,
    ) -> Pending<()> {
        self.change(move |work| work.record(&actor, Record::RouteSet { domain, host, port }))
    }

    /// Who we are to a smart host from now on.
    pub fn set_relay_login(
        &self,
        actor: Actor,
        host: &str,
        port: u16,
        login: RelayLogin,
    ) -> Pending<()> {
        let relay = relay_of(&crate::Route { host: host.to_owned(), port });
        self.change(move |work| {
            work.record(&actor, Record::RelayLoginSet { relay, login: Some(login) })
        })
    }

    /// The route is gone; with the last one to a smart host, who we are to it, too.
    pub fn remove_route(&self, actor: Actor, domain: Option<Domain>) -> Pending<()> {
        self.change(move |work| {
            if !work.index.directory.routes.contains_key(&domain) {
                return Err(Refused::Missing("such a route".to_owned()));
            }
            route_removed(work, &actor, domain)
        })
    }
}

/// Records it.
pub fn route_removed(
    work: &mut Work<'_>,
    actor: &Actor,
    domain: Option<Domain>,
) -> Result<(), Refused> {
    let login = last_login(&work.index.directory, &domain);
    work.record(actor, Record::RouteRemoved { domain })?;
    match login {
        Some((relay, _)) => work.record(actor, Record::RelayLoginSet { relay, login: None }),
        None => Ok(()),
    }
}

/// Who we are to the smart host of a route, where no other route leads there.
pub fn last_login(
    directory: &crate::Directory,
    domain: &Option<Domain>,
) -> Option<(String, RelayLogin)> {
    let relay = relay_of(directory.routes.get(domain)?);
    let mut others = directory.routes.iter().filter(|(other, _)| *other != domain);
    if others.any(|(_, route)| relay_of(route) == relay) {
        return None;
    }
    let login = directory.logins.get(&relay)?.clone();
    Some((relay, login))
}

/// A route's smart host, as logins name it.
fn relay_of(route: &crate::Route) -> String {
    match route.host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V6(ip)) => format!("[{ip}]:{}", route.port),
        _ => format!("{}:{}", route.host, route.port),
    }
}

/// A domain can go when nobody is in it.
pub fn check_removable(directory: &crate::Directory, domain: &Domain) -> Result<(), Refused> {
    if !directory.is_local(domain) {
        return Err(Refused::Missing(format!("domain {domain}")));
    }
    let accounts = directory.accounts();
    if let Some(account) = accounts.iter().find(|a| a.address.domain() == Some(domain)) {
        return Err(Refused::Invalid(format!(
            "domain {domain} has the account {}; remove its accounts first",
            account.address
        )));
    }
    let mut aliases = directory.aliases();
    let is_in = |alias: &str| alias.rsplit_once('@').is_some_and(|(_, d)| d == domain.as_str());
    match aliases.find(|(alias, _)| is_in(alias)) {
        Some((alias, _)) => Err(Refused::Invalid(format!(
            "domain {domain} has the alias {alias}; remove its aliases first"
        ))),
        None => Ok(()),
    }
}

fn account_of(directory: &crate::Directory, address: &Address) -> Result<AccountId, Refused> {
    let found = directory.by_address.get(&address.folded()).copied();
    found.ok_or_else(|| Refused::Missing(format!("account {address}")))
}

pub fn check_local(directory: &crate::Directory, address: &Address) -> Result<(), Refused> {
    match address.domain() {
        Some(domain) if directory.is_local(domain) => Ok(()),
        _ => Err(Refused::Invalid(format!(
            "{} is no local domain; add it first: restante domain add {}",
            address.host, address.host
        ))),
    }
}
