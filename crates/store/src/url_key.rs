//! Keys by which URLs of messages are authorized (RFC 4467 §2: the mailbox access key table), and
//! what such a URL leads to.

use journal::Disk;
use mail_types::{AccountId, MailId, MailboxId, Right, Uid};
use serde::{Deserialize, Serialize};

use crate::acl;
use crate::commit::Work;
use crate::mailboxes::SessionActor;
use crate::read::{MailFacts, read_facts};
use crate::record::Record;
use crate::sql::{Executor, Param, SqlError};
use crate::{Pending, Refused, Store, StoreError};

/// The version of the tokens below, at their begin: the key alone does not say how it is used.
const TOKEN_VERSION: &str = "01";

/// The secret of an account and one of its mailboxes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlKey([u8; 32]);

impl UrlKey {
    /// From random bytes.
    #[must_use]
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// What proves that whoever has the key wrote this URL: hexadecimal digits.
    #[must_use]
    pub fn token(&self, rump: &[u8]) -> String {
        format!("{TOKEN_VERSION}{}", blake3::keyed_hash(&self.0, rump).to_hex())
    }

    /// Whether the token proves it; takes the same time wherever the two differ.
    #[must_use]
    pub fn proves(&self, rump: &[u8], token: &str) -> bool {
        let digits = token.strip_prefix(TOKEN_VERSION).unwrap_or_default();
        let hash = blake3::Hash::from_hex(digits.to_ascii_lowercase());
        hash.is_ok_and(|hash| hash == blake3::keyed_hash(&self.0, rump))
    }
}

impl std::fmt::Debug for UrlKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UrlKey(..)")
    }
}

/// A message that a URL names.
#[derive(Clone, Debug)]
pub struct UrlTarget {
    /// UIDVALIDITY of its mailbox.
    pub uid_validity: u32,
    /// Where it lies.
    pub facts: MailFacts,
}

impl<D: Disk> Store<D> {
    /// The key of an account's mailbox; `fresh` from now on where it has none.
    pub fn url_key(&self, actor: SessionActor, mailbox: &str, fresh: UrlKey) -> Pending<UrlKey> {
        let mailbox = mailbox.to_owned();
        self.change(move |work| {
            let account = actor.account;
            let mailbox = acl::find(work, account, &mailbox, Right::Read)?;
            if let Some(key) = key_in(work, account, mailbox)? {
                return Ok(key);
            }
            let record = Record::UrlKeySet { account, mailbox, key: fresh.clone() };
            work.record(&actor.into(), record)?;
            Ok(fresh)
        })
    }

    /// Takes back every URL of this mailbox, or of all of the account's (RFC 4467 §6 RESETKEY).
    pub fn reset_url_keys(&self, actor: SessionActor, mailbox: Option<&str>) -> Pending<()> {
        let mailbox = mailbox.map(str::to_owned);
        self.change(move |work| {
            let account = actor.account;
            let mailbox =
                mailbox.map(|name| acl::find(work, account, &name, Right::Read)).transpose()?;
            work.record(&actor.into(), Record::UrlKeysReset { account, mailbox })
        })
    }

    /// The key of an account's mailbox, if it has one.
    ///
    /// # Errors
    /// The index's.
    pub fn known_url_key(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<UrlKey>, StoreError> {
        self.read(|sql| read_key(sql, account, mailbox))
    }

    /// The message of this UID; `None` where there is none.
    ///
    /// # Errors
    /// The index's.
    pub fn url_target(
        &self,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Result<Option<UrlTarget>, StoreError> {
        self.read(|sql| {
            let mut found = None;
            sql.query(
                "SELECT mailbox.uid_validity, message.mail FROM mailbox, message \
                 WHERE mailbox.id = $1 AND mailbox.deleted = 0 \
                 AND message.mailbox = $1 AND message.uid = $2",
                &[mailbox.0.into(), uid.get().into()],
                &mut |row| {
                    found = Some((u32::try_from(row.int(0)?).unwrap_or(0), MailId(row.id(1)?)));
                    Ok(())
                },
            )?;
            let Some((uid_validity, mail)) = found else { return Ok(None) };
            let facts = read_facts(sql, mail)?;
            Ok(facts.map(|facts| UrlTarget { uid_validity, facts }))
        })
    }
}

fn key_in(
    work: &mut Work<'_>,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Option<UrlKey>, Refused> {
    read_key(&mut work.index.sql, account, mailbox).map_err(|error| work.fail(error.into()))
}

fn read_key(
    sql: &mut impl Executor,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Option<UrlKey>, SqlError> {
    let mut key = None;
    sql.query(
        "SELECT key FROM url_key WHERE account = $1 AND mailbox = $2",
        &[account.0.into(), mailbox.0.into()],
        &mut |row| {
            key = row.blob(0)?.try_into().ok().map(UrlKey);
            Ok(())
        },
    )?;
    Ok(key)
}

/// Applies a record about keys.
///
/// # Errors
/// The engine's.
pub fn apply(sql: &mut impl Executor, record: &Record) -> Result<(), SqlError> {
    match record {
        Record::UrlKeySet { account, mailbox, key } => set(sql, *account, *mailbox, key),
        Record::UrlKeysReset { account, mailbox } => reset(sql, *account, *mailbox),
        _ => Ok(()),
    }
}

/// Applies [`Record::UrlKeySet`].
fn set(
    sql: &mut impl Executor,
    account: AccountId,
    mailbox: MailboxId,
    key: &UrlKey,
) -> Result<(), SqlError> {
    sql.execute(
        "INSERT INTO url_key (account, mailbox, key) VALUES ($1, $2, $3) \
         ON CONFLICT (account, mailbox) DO UPDATE SET key = excluded.key",
        &[account.0.into(), mailbox.0.into(), Param::Blob(&key.0)],
    )?;
    Ok(())
}

/// Applies [`Record::UrlKeysReset`].
fn reset(
    sql: &mut impl Executor,
    account: AccountId,
    mailbox: Option<MailboxId>,
) -> Result<(), SqlError> {
    match mailbox {
        Some(mailbox) => sql.execute(
            "DELETE FROM url_key WHERE account = $1 AND mailbox = $2",
            &[account.0.into(), mailbox.0.into()],
        )?,
        None => sql.execute("DELETE FROM url_key WHERE account = $1", &[account.0.into()])?,
    };
    Ok(())
}

/// A deleted mailbox has no URLs, whoever made them.
pub fn mailbox_deleted(sql: &mut impl Executor, mailbox: MailboxId) -> Result<(), SqlError> {
    sql.execute("DELETE FROM url_key WHERE mailbox = $1", &[mailbox.0.into()])?;
    Ok(())
}
