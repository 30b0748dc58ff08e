//! Domains, accounts, aliases, routes and quotas.

use super::{Skip, Taken, is_overtaken};
use crate::Refused;
use crate::act::Act;
use crate::commit::Work;
use crate::operator::{check_local, check_removable, route_removed};
use crate::record::{Actor, Record};
use crate::sql::Executor;

/// As it was before, where that is still possible.
pub(super) fn take_back(
    work: &mut Work<'_>,
    actor: &Actor,
    act: &Act,
) -> Result<Result<Taken, Skip>, Refused> {
    if is_overtaken(work, act, false)? {
        return Ok(Err("changed again since".to_owned()));
    }
    for record in &act.before {
        if let Err(why) = is_possible(work, record)? {
            return Ok(Err(why));
        }
    }
    for record in &act.before {
        match record {
            Record::RouteRemoved { domain } => route_removed(work, actor, domain.clone())?,
            // Who we are there was told anew since.
            Record::RelayLoginSet { relay, .. }
                if work.index.directory.logins.contains_key(relay) => {}
            record => work.record(actor, record.clone())?,
        }
    }
    Ok(Ok(Taken::default()))
}

fn is_possible(work: &mut Work<'_>, record: &Record) -> Result<Result<(), Skip>, Refused> {
    let told = |checked: Result<(), Refused>| checked.map_err(|refused| refused.to_string());
    let directory = std::sync::Arc::clone(&work.index.directory);
    Ok(match record {
        Record::DomainAdded { domain } if directory.is_local(domain) => {
            Err(format!("domain {domain} is local already"))
        }
        Record::DomainRemoved { domain } => told(check_removable(&directory, domain)),
        Record::AccountRemoved { account } if directory.account(*account).is_none() => {
            Err("the account is removed already".to_owned())
        }
        Record::AccountRestored { account } => {
            let mut address = None;
            let read = work.index.sql.query(
                "SELECT address FROM account WHERE id = $1 AND removed = 1",
                &[account.0.into()],
                &mut |row| {
                    address = mail_types::Address::parse(row.text(0)?).ok();
                    Ok(())
                },
            );
            if let Err(error) = read {
                return Err(work.fail(error.into()));
            }
            match address {
                None => Err("the account is there already".to_owned()),
                Some(address) if directory.by_address.contains_key(&address.folded()) => {
                    Err(format!("another account has the address {address}"))
                }
                Some(address) if directory.aliases.contains_key(&address.folded()) => {
                    Err(format!("{address} is an alias now"))
                }
                Some(address) => told(check_local(&directory, &address)),
            }
        }
        Record::AliasSet { alias, .. } if directory.by_address.contains_key(&alias.folded()) => {
            Err(format!("{alias} is an account now"))
        }
        Record::AliasSet { alias, .. } => told(check_local(&directory, alias)),
        Record::RouteRemoved { domain } if !directory.routes.contains_key(domain) => {
            Err("the route is gone already".to_owned())
        }
        _ => Ok(()),
    })
}
