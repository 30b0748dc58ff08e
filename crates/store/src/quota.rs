//! How much an account may keep (RFC 9208). The operator sets it; what is used follows from the
//! counts of the account's mailboxes, those that others put messages into included.
//!
//! A full account is refused more by IMAP, and by SMTP at RCPT, before anything of the message is
//! taken. What was taken is delivered, full or not: mail is never turned away behind its acceptance.

use std::collections::HashMap;

use journal::Disk;
use mail_types::{AccountId, Address};

use crate::commit::Work;
use crate::directory::Resolution;
use crate::record::{Actor, Quota, Record};
use crate::sql::{Executor, SqlError};
use crate::{Pending, Refused, Store, StoreError};

/// What an account keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all messages in all its mailboxes; a copy counts again.
    pub bytes: u64,
    /// Those messages.
    pub messages: u64,
    /// Its mailboxes.
    pub mailboxes: u64,
}

impl Quota {
    /// Whether so much more does not fit in.
    #[must_use]
    pub fn is_exceeded(&self, usage: Usage, more_messages: u64, more_bytes: u64) -> bool {
        let exceeds = |limit: Option<u64>, used: u64, more: u64| {
            limit.is_some_and(|limit| used.saturating_add(more) > limit)
        };
        exceeds(self.messages, usage.messages, more_messages)
            || exceeds(self.storage_bytes, usage.bytes, more_bytes)
    }
}

impl<D: Disk> Store<D> {
    /// What an account keeps, and how much it may.
    ///
    /// # Errors
    /// The index's.
    pub fn usage(&self, account: AccountId) -> Result<(Usage, Quota), StoreError> {
        self.read(|sql| Ok((used_by(sql, account)?, read_quota(sql, account)?)))
    }

    /// Whether so much more fits into what an account may keep, as of a moment ago.
    ///
    /// # Errors
    /// [`Refused::OverQuota`]
    pub fn check_quota(
        &self,
        account: AccountId,
        more_messages: u64,
        more_bytes: u64,
    ) -> Result<(), Refused> {
        match self.shared.quota(account) {
            Some((usage, quota)) if quota.is_exceeded(usage, more_messages, more_bytes) => {
                Err(Refused::OverQuota)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a message of so many bytes, if its sender has said so, may come for this recipient.
    /// An alias is refused only where every account that it leads to is full: one member of a list
    /// does not keep it from the others, and then gets what it leads to all the same.
    ///
    /// # Errors
    /// [`Refused::OverQuota`]
    pub fn check_room_for(&self, recipient: &Address, bytes: u64) -> Result<(), Refused> {
        let directory = self.directory();
        match directory.resolve(recipient) {
            Resolution::Account(account) => self.check_quota(account, 1, bytes.max(1)),
            Resolution::Alias(targets) => {
                let leaves = directory.expand(&targets);
                let is_full = |leaf: &Resolution| match leaf {
                    Resolution::Account(account) => {
                        self.check_quota(*account, 1, bytes.max(1)).is_err()
                    }
                    Resolution::Alias(_)
                    | Resolution::SenderOf(_)
                    | Resolution::UnknownUser
                    | Resolution::Remote => false,
                };
                if !leaves.is_empty() && leaves.iter().all(|(_, leaf)| is_full(leaf)) {
                    return Err(Refused::OverQuota);
                }
                Ok(())
            }
            Resolution::SenderOf(_) | Resolution::UnknownUser | Resolution::Remote => Ok(()),
        }
    }

    /// How much an account may keep from now on. What it has beyond that stays.
    pub fn set_quota(&self, actor: Actor, address: Address, quota: Quota) -> Pending<()> {
        self.change(move |work| {
            let directory = &work.index.directory;
            let account = directory.by_address.get(&address.folded()).copied();
            let account = account.ok_or_else(|| Refused::Missing(format!("account {address}")))?;
            work.record(&actor, Record::QuotaSet { account, quota })
        })
    }
}

/// So much more fits into what an account may keep, as of the jobs before this one.
pub(crate) fn check(
    work: &Work<'_>,
    account: AccountId,
    more_messages: u64,
    more_bytes: u64,
) -> Result<(), Refused> {
    let Some(quota) = work.index.quotas.get(&account) else { return Ok(()) };
    let usage = work.index.usage.get(&account).copied().unwrap_or_default();
    if quota.is_exceeded(usage, more_messages, more_bytes) {
        return Err(Refused::OverQuota);
    }
    Ok(())
}

/// What an account keeps, counted anew from its mailboxes.
pub(crate) fn used_by(sql: &mut impl Executor, account: AccountId) -> Result<Usage, SqlError> {
    let mut usage = Usage::default();
    sql.query(
        "SELECT coalesce(sum(bytes), 0), coalesce(sum(messages), 0), count(*) FROM mailbox \
         WHERE account = $1 AND deleted = 0",
        &[account.0.into()],
        &mut |row| {
            usage = Usage { bytes: row.id(0)?, messages: row.id(1)?, mailboxes: row.id(2)? };
            Ok(())
        },
    )?;
    Ok(usage)
}

fn read_quota(sql: &mut impl Executor, account: AccountId) -> Result<Quota, SqlError> {
    let mut quotas = HashMap::new();
    crate::index::read_quotas(sql, &mut quotas)?;
    Ok(quotas.get(&account).copied().unwrap_or_default())
}
