//! What is kept in memory, read from the tables.

use std::sync::Arc;

use mail_types::{AccountId, Address, MailboxId, ModSeq, SpecialUse};

use super::{Index, Mailbox, broken, parsed};
use crate::directory::{Account, Alias, Directory, Route};
use crate::dkim_keys::PrivateKey;
use crate::record::{Credentials, RelayLogin, RelayPassword};
use crate::sql::{Executor, Row, SqlError};

impl<E: Executor> Index<E> {
    pub(super) fn load_directory(&mut self) -> Result<(), SqlError> {
        let mut directory = Directory::default();
        self.sql.query("SELECT name FROM domain", &[], &mut |row| {
            directory.domains.insert(parsed(row.text(0)?)?);
            Ok(())
        })?;
        self.sql.query(
            "SELECT id, address, credentials FROM account WHERE removed = 0",
            &[],
            &mut |row| {
                let account = account_from(row)?;
                directory.by_address.insert(account.address.folded(), account.id);
                directory.accounts.insert(account.id, Arc::new(account));
                Ok(())
            },
        )?;
        self.sql.query("SELECT address, targets FROM alias", &[], &mut |row| {
            let targets = row.text(1)?.split('\n').map(parsed).collect::<Result<_, _>>()?;
            directory.aliases.insert(row.text(0)?.to_owned(), Alias { targets });
            Ok(())
        })?;
        self.sql.query("SELECT domain, host, port FROM route", &[], &mut |row| {
            let domain = match row.text(0)? {
                "*" => None,
                name => Some(parsed(name)?),
            };
            let port = u16::try_from(row.int(2)?).map_err(broken)?;
            directory.routes.insert(domain, Route { host: row.text(1)?.to_owned(), port });
            Ok(())
        })?;
        self.sql.query("SELECT relay, name, password FROM relay_login", &[], &mut |row| {
            let password = String::from_utf8(row.blob(2)?.to_vec()).map_err(broken)?;
            let (name, password) = (row.text(1)?.to_owned(), RelayPassword(password));
            directory.logins.insert(row.text(0)?.to_owned(), RelayLogin { name, password });
            Ok(())
        })?;
        let keys = "SELECT domain, selector, key, since FROM dkim_key ORDER BY domain, selector";
        self.sql.query(keys, &[], &mut |row| {
            let (domain, key) = crate::dkim_keys::key_from(row)?;
            directory.dkim_keys.entry(domain).or_default().push(Arc::new(key));
            Ok(())
        })?;
        self.sql.query("SELECT key FROM srs_key ORDER BY place", &[], &mut |row| {
            directory.srs_keys.push(Arc::new(PrivateKey(row.blob(0)?.to_vec())));
            Ok(())
        })?;
        self.directory = Arc::new(directory);
        Ok(())
    }

    pub(super) fn load_mailboxes(&mut self) -> Result<(), SqlError> {
        let (mailboxes, names) = (&mut self.mailboxes, &mut self.mailbox_names);
        self.sql.query(
            "SELECT id, account, name, uid_validity, special_use, uid_next, mod_seq, messages, \
             unseen, bytes FROM mailbox WHERE deleted = 0",
            &[],
            &mut |row| {
                let mailbox = mailbox_from(row)?;
                names.entry(mailbox.account).or_default().insert(mailbox.name.clone(), mailbox.id);
                mailboxes.insert(mailbox.id, mailbox);
                Ok(())
            },
        )
    }
}

/// An account from its row: id, address, credentials.
pub(super) fn account_from(row: &dyn Row) -> Result<Account, SqlError> {
    let address: Address = parsed(row.text(1)?)?;
    let credentials: Credentials = postcard::from_bytes(row.blob(2)?).map_err(broken)?;
    Ok(Account { id: AccountId(row.id(0)?), address, credentials })
}

/// A mailbox from its row: id, account, name, uid_validity, special_use, uid_next, mod_seq,
/// messages, unseen, bytes.
pub fn mailbox_from(row: &dyn Row) -> Result<Mailbox, SqlError> {
    Ok(Mailbox {
        id: MailboxId(row.id(0)?),
        account: AccountId(row.id(1)?),
        name: row.text(2)?.to_owned(),
        uid_validity: u32::try_from(row.int(3)?).map_err(broken)?,
        special_use: row.text_or_null(4)?.and_then(|attribute| {
            SpecialUse::ALL.into_iter().find(|known| known.attribute() == attribute)
        }),
        uid_next: u32::try_from(row.int(5)?).map_err(broken)?,
        mod_seq: ModSeq(row.id(6)?),
        messages: row.id(7)?,
        unseen: row.id(8)?,
        bytes: row.id(9)?,
    })
}
