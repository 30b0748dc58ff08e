//! Mailboxes by name: what LIST and STATUS tell of them.

use std::collections::HashMap;

use journal::Disk;
use mail_types::{AccountId, MailboxId, Right, Rights};

use crate::acl::{AclEntry, effective, entry_from, name_for_others};
use crate::directory::Directory;
use crate::index::Mailbox;
use crate::naming::canonical;
use crate::sql::{Executor, SqlError};
use crate::{Store, StoreError};

/// Mailboxes of others that one account is told of.
const SHARED_MAX: usize = 10_000;

/// A mailbox as LIST shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxListed {
    /// Its whole name, as the account calls it.
    pub name: String,
    /// The mailbox; none for a name that is only subscribed to.
    pub mailbox: Option<Mailbox>,
    /// What the account may do with it.
    pub rights: Rights,
    /// Whether LSUB has it.
    pub subscribed: bool,
}

/// What of a mailbox has `\Deleted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletedCounts {
    /// How many messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl<D: Disk> Store<D> {
    /// All mailboxes of an account, those of others that it may see, and the names it subscribes
    /// to, by name.
    ///
    /// # Errors
    /// The index's.
    pub fn mailboxes(&self, account: AccountId) -> Result<Vec<MailboxListed>, StoreError> {
        let directory = self.directory();
        self.read(|sql| {
            let mut listed = own_mailboxes(sql, account)?;
            listed.extend(shared_mailboxes(sql, account, &directory)?);
            listed.sort_by(|a, b| a.name.cmp(&b.name));
            let known = listed.len();
            sql.query(
                "SELECT name FROM subscription WHERE account = $1",
                &[account.0.into()],
                &mut |row| {
                    let name = row.text(0)?;
                    let by_name = |other: &MailboxListed| other.name.as_str().cmp(name);
                    match listed[..known].binary_search_by(by_name) {
                        Ok(place) => listed[place].subscribed = true,
                        Err(_) => listed.push(MailboxListed {
                            name: name.to_owned(),
                            mailbox: None,
                            rights: Rights::NONE,
                            subscribed: true,
                        }),
                    }
                    Ok(())
                },
            )?;
            listed.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(listed)
        })
    }

    /// One of the account's own mailboxes by name, as of the last sync. Reads nothing.
    ///
    /// # Errors
    /// The index's.
    pub fn mailbox(&self, account: AccountId, name: &str) -> Result<Option<Mailbox>, StoreError> {
        let found = self.shared.mailboxes.find(account, &canonical(name));
        Ok(found.map(|known| known.mailbox.clone()))
    }

    /// What has `\Deleted` in these mailboxes; those without such messages are left out.
    ///
    /// # Errors
    /// The index's.
    pub fn deleted_counts(
        &self,
        mailboxes: &[MailboxId],
    ) -> Result<HashMap<MailboxId, DeletedCounts>, StoreError> {
        self.read(|sql| {
            let mut counts = HashMap::new();
            for &mailbox in mailboxes {
                sql.query(
                    "SELECT count(*), coalesce(sum(bytes), 0) FROM message \
                     WHERE mailbox = $1 AND flags & 8 <> 0",
                    &[mailbox.0.into()],
                    &mut |row| {
                        let count = DeletedCounts { messages: row.id(0)?, bytes: row.id(1)? };
                        if count.messages > 0 {
                            counts.insert(mailbox, count);
                        }
                        Ok(())
                    },
                )?;
            }
            Ok(counts)
        })
    }
}

fn own_mailboxes(
    sql: &mut impl Executor,
    account: AccountId,
) -> Result<Vec<MailboxListed>, SqlError> {
    let mut entries: HashMap<MailboxId, Vec<AclEntry>> = HashMap::new();
    sql.query(
        "SELECT acl.mailbox, acl.account, acl.negative, acl.rights FROM acl JOIN mailbox \
         ON mailbox.id = acl.mailbox WHERE acl.account = $1 AND mailbox.account = $1",
        &[account.0.into()],
        &mut |row| {
            let entry = entry_from(row.id(1)?, row.int(2)?, row.int(3)?);
            entries.entry(MailboxId(row.id(0)?)).or_default().push(entry);
            Ok(())
        },
    )?;
    let mut listed = Vec::new();
    read_mailboxes(sql, By::Account(account), &mut |mailbox| {
        let about_it = entries.get(&mailbox.id).map_or(&[][..], Vec::as_slice);
        listed.push(MailboxListed {
            name: mailbox.name.clone(),
            rights: effective(account, account, about_it),
            mailbox: Some(mailbox),
            subscribed: false,
        });
    })?;
    Ok(listed)
}

fn shared_mailboxes(
    sql: &mut impl Executor,
    account: AccountId,
    directory: &Directory,
) -> Result<Vec<MailboxListed>, SqlError> {
    let mut entries: HashMap<MailboxId, Vec<AclEntry>> = HashMap::new();
    sql.query(
        "SELECT acl.mailbox, acl.account, acl.negative, acl.rights FROM acl JOIN mailbox \
         ON mailbox.id = acl.mailbox WHERE acl.account IN (0, $1) AND mailbox.account <> $1 \
         ORDER BY acl.mailbox",
        &[account.0.into()],
        &mut |row| {
            let mailbox = MailboxId(row.id(0)?);
            if entries.len() < SHARED_MAX || entries.contains_key(&mailbox) {
                let entry = entry_from(row.id(1)?, row.int(2)?, row.int(3)?);
                entries.entry(mailbox).or_default().push(entry);
            }
            Ok(())
        },
    )?;
    let mut listed = Vec::new();
    for (id, entries) in entries {
        read_mailboxes(sql, By::Id(id), &mut |mailbox| {
            let rights = effective(mailbox.account, account, &entries);
            let owner = directory.account(mailbox.account);
            let name = owner.and_then(|owner| name_for_others(&owner.address, &mailbox.name));
            if let Some(name) = name.filter(|_| rights.has(Right::Lookup)) {
                let mailbox = Some(mailbox);
                listed.push(MailboxListed { name, mailbox, rights, subscribed: false });
            }
        })?;
    }
    Ok(listed)
}

/// Which mailboxes to read.
#[derive(Clone, Copy)]
pub enum By {
    Account(AccountId),
    Id(MailboxId),
}

pub fn read_mailboxes(
    sql: &mut impl Executor,
    by: By,
    on_mailbox: &mut dyn FnMut(Mailbox),
) -> Result<(), SqlError> {
    let on_row = &mut |row: &dyn crate::sql::Row| {
        on_mailbox(crate::index::mailbox_from(row)?);
        Ok(())
    };
    match by {
        By::Account(account) => sql.query(
            "SELECT id, account, name, uid_validity, special_use, uid_next, mod_seq, messages, \
             unseen, bytes FROM mailbox WHERE account = $1 AND deleted = 0 ORDER BY name",
            &[account.0.into()],
            on_row,
        ),
        By::Id(mailbox) => sql.query(
            "SELECT id, account, name, uid_validity, special_use, uid_next, mod_seq, messages, \
             unseen, bytes FROM mailbox WHERE id = $1 AND deleted = 0",
            &[mailbox.0.into()],
            on_row,
        ),
    }
}
