//! Annotations of mailboxes and of the server (RFC 5464): small texts that programs keep. Private ones
//! are one account's; shared ones everybody sees who may see the mailbox.

use std::collections::BTreeMap;

use journal::Disk;
use mail_types::{AccountId, MailboxId, Right, Rights};

use crate::acl;
use crate::commit::Work;
use crate::mailboxes::SessionActor;
use crate::record::{Actor, Record};
use crate::sql::{Executor, Param, SqlError};
use crate::{Pending, Refused, Store, StoreError};

/// Bytes of one value.
pub const METADATA_BYTES_MAX: usize = 16_384;
/// Entries of one mailbox, or of the server, that are shared, and as many of each account's own.
const ENTRIES_MAX: usize = 100;
/// Where private entries begin.
const PRIVATE: &str = "/private/";

/// Name and new value of an entry; none takes it away. Names are in lower case.
pub type MetadataChange = (String, Option<Vec<u8>>);

impl<D: Disk> Store<D> {
    /// The entries of these names, and of those below them so many levels (`None`: all), that a
    /// mailbox, or the server, has for an account: name and value, each once.
    ///
    /// # Errors
    /// The index's.
    pub fn metadata(
        &self,
        account: AccountId,
        mailbox: Option<MailboxId>,
        names: &[String],
        levels: Option<usize>,
    ) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let all = self.read(|sql| read_all(sql, mailbox, account))?;
        let is_wanted = |entry: &str| {
            names.iter().any(|name| match entry.strip_prefix(name.as_str()) {
                Some("") => true,
                Some(rest) if rest.starts_with('/') => {
                    levels.is_none_or(|levels| rest.matches('/').count() <= levels)
                }
                Some(_) | None => false,
            })
        };
        Ok(all.into_iter().filter(|(entry, _)| is_wanted(entry)).collect())
    }

    /// Sets entries of a mailbox, or of the server (no name): all or none.
    pub fn set_metadata(
        &self,
        actor: SessionActor,
        mailbox: Option<String>,
        changes: Vec<MetadataChange>,
    ) -> Pending<()> {
        self.change(move |work| {
            let mailbox = match mailbox {
                Some(name) => Some(find(work, actor.account, &name, &changes)?),
                // RFC 5464 §3.3: what the server says to everybody is the operator's.
                None if changes.iter().any(|(entry, _)| !entry.starts_with(PRIVATE)) => {
                    return Err(Refused::NotAllowed);
                }
                None => None,
            };
            check(work, actor.account, mailbox, &changes)?;
            let changes: BTreeMap<String, Option<Vec<u8>>> = changes.into_iter().collect();
            for (entry, value) in changes {
                let account = entry.starts_with(PRIVATE).then_some(actor.account);
                let record = Record::MetadataSet { mailbox, account, entry, value };
                work.record(&actor.into(), record)?;
            }
            Ok(())
        })
    }
}

/// RFC 5464 §3.3: the mailbox is seen, and something may be done with its messages; what everybody
/// sees needs the right to change them.
fn find(
    work: &Work<'_>,
    account: AccountId,
    name: &str,
    changes: &[MetadataChange],
) -> Result<MailboxId, Refused> {
    let mailbox = acl::find(work, account, name, Right::Lookup)?;
    let may = acl::rights(work, account, mailbox);
    let shared = changes.iter().any(|(entry, _)| !entry.starts_with(PRIVATE));
    if !may_annotate(may) || (shared && !may.has(Right::Write)) {
        return Err(Refused::NotAllowed);
    }
    Ok(mailbox)
}

/// RFC 5464 §3.3: whether these rights are enough to see annotations and to have one's own.
#[must_use]
pub fn may_annotate(rights: Rights) -> bool {
    let any = [Right::Read, Right::Seen, Right::Write, Right::Insert, Right::Post];
    rights.has(Right::Lookup) && rights.has_any(any.into_iter().collect())
}

fn check(
    work: &mut Work<'_>,
    account: AccountId,
    mailbox: Option<MailboxId>,
    changes: &[MetadataChange],
) -> Result<(), Refused> {
    if changes.iter().flat_map(|(_, value)| value).any(|value| value.len() > METADATA_BYTES_MAX) {
        return Err(Refused::MetadataTooLarge);
    }
    let mut all = match read_all(&mut work.index.sql, mailbox, account) {
        Ok(all) => all,
        Err(error) => return Err(work.fail(error.into())),
    };
    for (entry, value) in changes {
        match value {
            Some(_) => drop(all.insert(entry.clone(), Vec::new())),
            None => drop(all.remove(entry)),
        }
    }
    let private = all.keys().filter(|entry| entry.starts_with(PRIVATE)).count();
    if private > ENTRIES_MAX || all.len() - private > ENTRIES_MAX {
        return Err(Refused::MetadataTooMany);
    }
    Ok(())
}

/// RFC 5464 §4.1: RENAME of INBOX copies its annotations; the others follow their mailbox, whose id
/// stays.
pub(crate) fn copy_all(
    work: &mut Work<'_>,
    actor: &Actor,
    account: AccountId,
    (from, to): (MailboxId, MailboxId),
) -> Result<(), Refused> {
    let all = match read_all(&mut work.index.sql, Some(from), account) {
        Ok(all) => all,
        Err(error) => return Err(work.fail(error.into())),
    };
    for (entry, value) in all {
        let account = entry.starts_with(PRIVATE).then_some(account);
        let (mailbox, value) = (Some(to), Some(value));
        work.record(actor, Record::MetadataSet { mailbox, account, entry, value })?;
    }
    Ok(())
}

/// What is shared and what is the account's own.
fn read_all(
    sql: &mut impl Executor,
    mailbox: Option<MailboxId>,
    account: AccountId,
) -> Result<BTreeMap<String, Vec<u8>>, SqlError> {
    let mut all = BTreeMap::new();
    sql.query(
        "SELECT entry, value FROM metadata WHERE mailbox = $1 AND account IN (0, $2)",
        &[key_of(mailbox).into(), account.0.into()],
        &mut |row| {
            all.insert(row.text(0)?.to_owned(), row.blob(1)?.to_vec());
            Ok(())
        },
    )?;
    Ok(all)
}

/// The value of one entry.
pub(crate) fn read_one(
    sql: &mut impl Executor,
    mailbox: Option<MailboxId>,
    account: Option<AccountId>,
    entry: &str,
) -> Result<Option<Vec<u8>>, SqlError> {
    let mut value = None;
    sql.query(
        "SELECT value FROM metadata WHERE mailbox = $1 AND account = $2 AND entry = $3",
        &[key_of(mailbox).into(), account.map_or(0, |account| account.0).into(), entry.into()],
        &mut |row| {
            value = Some(row.blob(0)?.to_vec());
            Ok(())
        },
    )?;
    Ok(value)
}

/// Everything of a mailbox, as the records that make it so.
pub(crate) fn read_of_mailbox(
    sql: &mut impl Executor,
    mailbox: MailboxId,
) -> Result<Vec<Record>, SqlError> {
    let mut records = Vec::new();
    sql.query(
        "SELECT account, entry, value FROM metadata WHERE mailbox = $1 ORDER BY account, entry",
        &[mailbox.0.into()],
        &mut |row| {
            let account = match row.id(0)? {
                0 => None,
                account => Some(AccountId(account)),
            };
            let (entry, value) = (row.text(1)?.to_owned(), Some(row.blob(2)?.to_vec()));
            records.push(Record::MetadataSet { mailbox: Some(mailbox), account, entry, value });
            Ok(())
        },
    )?;
    Ok(records)
}

/// 0 is no mailbox's id: it stands for the server.
fn key_of(mailbox: Option<MailboxId>) -> u64 {
    mailbox.map_or(0, |mailbox| mailbox.0)
}

/// Applies [`Record::MetadataSet`].
pub(crate) fn apply(
    sql: &mut impl Executor,
    mailbox: Option<MailboxId>,
    account: Option<AccountId>,
    entry: &str,
    value: Option<&[u8]>,
) -> Result<(), SqlError> {
    // 0 is no account's id: it stands for all.
    let key: [Param<'_>; 3] =
        [key_of(mailbox).into(), account.map_or(0, |account| account.0).into(), entry.into()];
    match value {
        Some(value) => sql.execute(
            "INSERT INTO metadata (mailbox, account, entry, value) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (mailbox, account, entry) DO UPDATE SET value = excluded.value",
            &[key[0], key[1], key[2], Param::Blob(value)],
        ),
        None => sql.execute(
            "DELETE FROM metadata WHERE mailbox = $1 AND account = $2 AND entry = $3",
            &key,
        ),
    }?;
    Ok(())
}
