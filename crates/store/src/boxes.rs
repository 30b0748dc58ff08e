//! Mailboxes by name: what LIST and STATUS tell of them.

use std::collections::HashMap;

use journal::Disk;
use mail_types::{AccountId, MailboxId};

use crate::index::Mailbox;
use crate::mailboxes::canonical;
use crate::sql::{Executor, SqlError};
use crate::{Store, StoreError};

/// A mailbox as LIST shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxListed {
    /// Its whole name.
    pub name: String,
    /// The mailbox; none for a name that is only subscribed to.
    pub mailbox: Option<Mailbox>,
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
    /// All mailboxes of an account and the names it subscribes to, by name.
    ///
    /// # Errors
    /// The index's.
    pub fn mailboxes(&self, account: AccountId) -> Result<Vec<MailboxListed>, StoreError> {
        self.read(|sql| {
            let mut listed = Vec::new();
            read_mailboxes(sql, By::Account(account), &mut |mailbox| {
                listed.push(MailboxListed {
                    name: mailbox.name.clone(),
                    mailbox: Some(mailbox),
                    subscribed: false,
                });
            })?;
            listed.sort_by(|a, b| a.name.cmp(&b.name));
            let known = listed.len();
            sql.query(
                "SELECT name FROM subscription WHERE account = $1",
                &[account.0.into()],
                &mut |row| {
                    let name = row.text(0)?;
                    let place =
                        listed[..known].binary_search_by(|other| other.name.as_str().cmp(name));
                    match place {
                        Ok(place) => listed[place].subscribed = true,
                        Err(_) => listed.push(MailboxListed {
                            name: name.to_owned(),
                            mailbox: None,
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

    /// One mailbox by name, as of the last sync. Reads nothing.
    ///
    /// # Errors
    /// The index's.
    pub fn mailbox(&self, account: AccountId, name: &str) -> Result<Option<Mailbox>, StoreError> {
        let found = self.shared.mailboxes.find(account, &canonical(name));
        Ok(found.map(|mailbox| (*mailbox).clone()))
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
