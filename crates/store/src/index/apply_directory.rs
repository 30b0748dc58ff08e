//! Domains, accounts, aliases, routes.

use std::sync::Arc;

use mail_types::{AccountId, Domain};

use super::load::account_from;
use super::{Index, broken};
use crate::directory::{Account, Alias, Route};
use crate::record::{Record, RelayLogin};
use crate::sql::{Executor, Param, SqlError};

impl<E: Executor> Index<E> {
    pub(super) fn apply_directory(&mut self, record: &Record) -> Result<(), SqlError> {
        let directory = Arc::make_mut(&mut self.directory);
        match record {
            Record::DomainAdded { domain } => {
                directory.domains.insert(domain.clone());
                self.sql.execute(
                    "INSERT INTO domain (name) VALUES ($1) ON CONFLICT (name) DO NOTHING",
                    &[domain.as_str().into()],
                )?;
            }
            Record::DomainRemoved { domain } => {
                directory.domains.remove(domain);
                self.sql
                    .execute("DELETE FROM domain WHERE name = $1", &[domain.as_str().into()])?;
            }
            Record::AccountAdded { account, address, credentials } => {
                self.last.account = self.last.account.max(account.0);
                directory.by_address.insert(address.folded(), *account);
                let bytes = postcard::to_stdvec(credentials).map_err(broken)?;
                self.sql.execute(
                    "INSERT INTO account (id, address, credentials) VALUES ($1, $2, $3)",
                    &[account.0.into(), address.to_string().as_str().into(), Param::Blob(&bytes)],
                )?;
                let added = Account {
                    id: *account,
                    address: address.clone(),
                    credentials: credentials.clone(),
                };
                directory.accounts.insert(*account, Arc::new(added));
            }
            Record::AccountRemoved { account } => {
                if let Some(removed) = directory.accounts.remove(account) {
                    directory.by_address.remove(&removed.address.folded());
                }
                directory.tokens.retain(|_, token| token.account != *account);
                self.sql.execute(
                    "UPDATE token SET removed = 1 WHERE account = $1",
                    &[account.0.into()],
                )?;
                self.sql
                    .execute("UPDATE account SET removed = 1 WHERE id = $1", &[account.0.into()])?;
            }
            Record::AccountRestored { account } => self.account_restored(*account)?,
            Record::CredentialsSet { account, credentials } => {
                if let Some(known) = directory.accounts.get_mut(account) {
                    Arc::make_mut(known).credentials = credentials.clone();
                }
                let bytes = postcard::to_stdvec(credentials).map_err(broken)?;
                self.sql.execute(
                    "UPDATE account SET credentials = $2 WHERE id = $1",
                    &[account.0.into(), Param::Blob(&bytes)],
                )?;
            }
            Record::AliasSet { alias, targets } => {
                let folded = alias.folded();
                let text = targets.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
                self.sql.execute(
                    "INSERT INTO alias (address, targets) VALUES ($1, $2) \
                     ON CONFLICT (address) DO UPDATE SET targets = excluded.targets",
                    &[folded.as_str().into(), text.as_str().into()],
                )?;
                directory.aliases.insert(folded, Alias { targets: targets.clone() });
            }
            Record::AliasRemoved { alias } => {
                directory.aliases.remove(&alias.folded());
                self.sql.execute(
                    "DELETE FROM alias WHERE address = $1",
                    &[alias.folded().as_str().into()],
                )?;
            }
            Record::RouteSet { domain, host, port } => {
                let name = domain.as_ref().map_or("*", Domain::as_str);
                self.sql.execute(
                    "INSERT INTO route (domain, host, port) VALUES ($1, $2, $3) \
                     ON CONFLICT (domain) DO UPDATE SET host = excluded.host, port = excluded.port",
                    &[name.into(), host.as_str().into(), i64::from(*port).into()],
                )?;
                directory.routes.insert(domain.clone(), Route { host: host.clone(), port: *port });
            }
            Record::RouteRemoved { domain } => {
                directory.routes.remove(domain);
                let name = domain.as_ref().map_or("*", Domain::as_str);
                self.sql.execute("DELETE FROM route WHERE domain = $1", &[name.into()])?;
            }
            Record::RelayLoginSet { relay, login } => {
                return self.relay_login_set(relay, login.as_ref());
            }
            _ => {}
        }
        Ok(())
    }

    fn relay_login_set(&mut self, relay: &str, login: Option<&RelayLogin>) -> Result<(), SqlError> {
        let logins = &mut Arc::make_mut(&mut self.directory).logins;
        let Some(login) = login else {
            logins.remove(relay);
            let remove = "DELETE FROM relay_login WHERE relay = $1";
            return self.sql.execute(remove, &[relay.into()]).map(drop);
        };
        logins.insert(relay.to_owned(), login.clone());
        let password = Param::Blob(login.password.0.as_bytes());
        self.sql.execute(
            "INSERT INTO relay_login (relay, name, password) VALUES ($1, $2, $3) \
             ON CONFLICT (relay) DO UPDATE SET name = excluded.name, password = excluded.password",
            &[relay.into(), login.name.as_str().into(), password],
        )?;
        Ok(())
    }

    fn account_restored(&mut self, account: AccountId) -> Result<(), SqlError> {
        let mut found = None;
        self.sql.query(
            "SELECT id, address, credentials FROM account WHERE id = $1",
            &[account.0.into()],
            &mut |row| {
                found = Some(account_from(row)?);
                Ok(())
            },
        )?;
        if let Some(account) = found {
            let directory = Arc::make_mut(&mut self.directory);
            directory.by_address.insert(account.address.folded(), account.id);
            directory.accounts.insert(account.id, Arc::new(account));
        }
        let restore = "UPDATE account SET removed = 0 WHERE id = $1";
        self.sql.execute(restore, &[account.0.into()])?;
        Ok(())
    }
}
