//! Quotas, and what accounts use of them.

use std::collections::HashMap;

use mail_types::{AccountId, MailboxId};

use super::Index;
use crate::quota::Usage;
use crate::record::Quota;
use crate::sql::{Executor, SqlError};

impl<E: Executor> Index<E> {
    pub(super) fn quota_set(&mut self, account: AccountId, quota: Quota) -> Result<(), SqlError> {
        self.quota_news.insert(account);
        if quota == Quota::default() {
            self.quotas.remove(&account);
            self.sql.execute("DELETE FROM quota WHERE account = $1", &[account.0.into()])?;
            return Ok(());
        }
        self.quotas.insert(account, quota);
        // A number below 0 is no limit.
        let number =
            |limit: Option<u64>| limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        self.sql.execute(
            "INSERT INTO quota (account, storage, messages) VALUES ($1, $2, $3) \
             ON CONFLICT (account) DO UPDATE SET storage = excluded.storage, \
             messages = excluded.messages",
            &[account.0.into(), number(quota.storage_bytes).into(), number(quota.messages).into()],
        )?;
        Ok(())
    }

    /// Messages came into a mailbox.
    pub(super) fn used_more(&mut self, mailbox: MailboxId, messages: u64, bytes: u64) {
        self.used(mailbox, |usage| {
            usage.messages += messages;
            usage.bytes += bytes;
        });
    }

    /// Messages went out of a mailbox.
    pub(super) fn used_less(&mut self, mailbox: MailboxId, messages: u64, bytes: u64) {
        self.used(mailbox, |usage| {
            usage.messages = usage.messages.saturating_sub(messages);
            usage.bytes = usage.bytes.saturating_sub(bytes);
        });
    }

    fn used(&mut self, mailbox: MailboxId, change: impl FnOnce(&mut Usage)) {
        let Some(account) = self.mailboxes.get(&mailbox).map(|mailbox| mailbox.account) else {
            return;
        };
        change(self.usage.entry(account).or_default());
        if self.quotas.contains_key(&account) {
            self.quota_news.insert(account);
        }
    }

    /// What accounts with a quota, or that had one, use now, if that has changed.
    pub fn take_quota_news(&mut self) -> Vec<(AccountId, Option<(Usage, Quota)>)> {
        let news = std::mem::take(&mut self.quota_news).into_iter();
        let news = news.map(|account| {
            let usage = self.usage.get(&account).copied().unwrap_or_default();
            (account, self.quotas.get(&account).map(|quota| (usage, *quota)))
        });
        news.collect()
    }

    pub(super) fn load_quotas(&mut self) -> Result<(), SqlError> {
        read_quotas(&mut self.sql, &mut self.quotas)?;
        self.quota_news.extend(self.quotas.keys());
        for mailbox in self.mailboxes.values() {
            let usage = self.usage.entry(mailbox.account).or_default();
            usage.messages += mailbox.messages;
            usage.bytes += mailbox.bytes;
        }
        Ok(())
    }
}

/// Every quota there is.
pub fn read_quotas(
    sql: &mut impl Executor,
    quotas: &mut HashMap<AccountId, Quota>,
) -> Result<(), SqlError> {
    sql.query("SELECT account, storage, messages FROM quota", &[], &mut |row| {
        let limit = |number: i64| u64::try_from(number).ok();
        let quota = Quota { storage_bytes: limit(row.int(1)?), messages: limit(row.int(2)?) };
        quotas.insert(AccountId(row.id(0)?), quota);
        Ok(())
    })
}
