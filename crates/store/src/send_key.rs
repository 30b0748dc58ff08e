//! Idempotency-Key of requests to send: what was accepted under it, so that the same request sent
//! again brings nothing twice.

use std::time::Duration;

use journal::Disk;
use mail_types::{AccountId, MailId, Timestamp};

use crate::commit::Work;
use crate::read::{MailFacts, read_facts};
use crate::record::{Actor, Record};
use crate::sql::{Executor, Param, SqlError};
use crate::{Refused, Store, StoreError};

/// The key of a request, and what the request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendKey {
    /// Whose request.
    pub account: AccountId,
    /// BLAKE3 of the key.
    pub key: [u8; 32],
    /// BLAKE3 of all that the request asks for.
    pub request: [u8; 32],
    /// So long ago it counts.
    pub kept_for: Duration,
}

/// A request of this key that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentBefore {
    /// Whether it asked for the same.
    pub is_same: bool,
    /// What was accepted.
    pub facts: MailFacts,
}

impl<D: Disk> Store<D> {
    /// What was accepted under this key.
    ///
    /// # Errors
    /// The index's.
    pub fn sent_before(&self, key: &SendKey) -> Result<Option<SentBefore>, StoreError> {
        let now = (self.clock)();
        self.read(|sql| {
            let Some((mail, request)) = find(sql, key, now)? else { return Ok(None) };
            let facts = read_facts(sql, mail)?;
            Ok(facts.map(|facts| SentBefore { is_same: request == key.request, facts }))
        })
    }
}

/// Notes in the commit of the message that it came by this key; refused where another did since the
/// caller looked.
pub fn use_key(
    work: &mut Work<'_>,
    actor: &Actor,
    key: &SendKey,
    mail: MailId,
) -> Result<(), Refused> {
    let SendKey { account, key, request, .. } = *key;
    work.record(actor, Record::SendKeyUsed { account, key, request, mail })
}

/// Before anything is recorded.
pub fn check_unused(work: &mut Work<'_>, key: &SendKey) -> Result<(), Refused> {
    let now = work.now;
    match find(&mut work.index.sql, key, now) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(Refused::Exists("a message of this Idempotency-Key".to_owned())),
        Err(error) => Err(work.fail(error.into())),
    }
}

fn find(
    sql: &mut impl Executor,
    key: &SendKey,
    now: Timestamp,
) -> Result<Option<(MailId, [u8; 32])>, SqlError> {
    let kept_ms = i64::try_from(key.kept_for.as_millis()).unwrap_or(i64::MAX);
    let since = now.0.saturating_sub(kept_ms);
    let mut found = None;
    sql.query(
        "SELECT mail, request FROM send_key WHERE account = $1 AND key = $2 AND used >= $3",
        &[key.account.0.into(), Param::Blob(&key.key), since.into()],
        &mut |row| {
            let request = <[u8; 32]>::try_from(row.blob(1)?).unwrap_or_default();
            found = Some((MailId(row.id(0)?), request));
            Ok(())
        },
    )?;
    Ok(found)
}
