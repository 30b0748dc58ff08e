//! Messages of other systems: each comes once, however often its import is begun.

use journal::Disk;
use mail_types::{AccountId, MailId, ReceiptId};

use crate::accept_many::{Append, Appended, NewMessage, append_all};
use crate::mailboxes::SessionActor;
use crate::read::{MailFacts, read_facts};
use crate::record::{Actor, ImportKey, Record, Source};
use crate::sql::{Executor, Param};
use crate::{Pending, Receipt, Refused, Store, StoreError};

/// Messages of one commit, with what they are known by.
pub struct Import {
    /// Into whose mailboxes.
    pub account: AccountId,
    /// The mailbox's name; it must exist.
    pub mailbox: String,
    /// Where they come from, in words.
    pub from: String,
    /// The messages: at most [`crate::APPEND_MESSAGES_MAX`], of at most
    /// [`crate::APPEND_BYTES_MAX`] bytes.
    pub messages: Vec<(ImportKey, NewMessage)>,
}

/// What became of a message of another system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportedMail {
    /// What it is known by there.
    pub key: ImportKey,
    /// And here.
    pub facts: MailFacts,
}

impl<D: Disk> Store<D> {
    /// Puts messages into a mailbox and notes what they are known by, all in one commit or not at
    /// all. Refused where one of them is here already: who imports asks [`Store::imported`] first.
    pub fn import(&self, import: Import) -> Pending<Appended> {
        let Import { account, mailbox, from, messages } = import;
        let id = |(_, one): &(ImportKey, NewMessage)| ReceiptId::new(one.mail, &one.body.hash);
        let ids: Vec<ReceiptId> = messages.iter().map(id).collect();
        self.change_and(
            move |work| {
                let (keys, messages): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
                let known: Vec<(ImportKey, MailId)> =
                    keys.iter().copied().zip(messages.iter().map(|one| one.mail)).collect();
                let twice = find_any(&mut work.index.sql, &keys);
                if twice.map_err(|error| work.fail(error.into()))? {
                    return Err(Refused::Exists("one of these messages".to_owned()));
                }
                let via = crate::Via::Control;
                let actor = SessionActor { account, ip: None, via, session: None };
                let append = Append { actor, mailbox, messages, replaces: None, room: None };
                let by = append.actor.into();
                let placed = append_all(work, append, Source::Import { account }, by)?;
                let (uid_validity, uids) =
                    placed.ok_or_else(|| Refused::Missing("the mailbox".to_owned()))?;
                work.record(
                    &Actor::from(actor),
                    Record::Imported { account, from, messages: known },
                )?;
                Ok((work.now, uid_validity, uids))
            },
            move |(at, uid_validity, uids), synced| {
                let receipts = ids.into_iter().map(|id| Receipt::committed(id, at, synced));
                Appended { receipts: receipts.collect(), uid_validity, uids }
            },
        )
    }

    /// Those of these messages that are here, or were and have been taken out since.
    ///
    /// # Errors
    /// The index's.
    pub fn imported(&self, keys: &[ImportKey]) -> Result<Vec<ImportedMail>, StoreError> {
        self.read(|sql| {
            let mut found = Vec::new();
            for &key in keys {
                let query = "SELECT mail FROM imported WHERE key = $1";
                let mail = sql.number(query, &[Param::Blob(&key.0)])?;
                let Some(mail) = mail.map(|mail| MailId(mail.cast_unsigned())) else { continue };
                let facts = read_facts(sql, mail)?;
                found.extend(facts.map(|facts| ImportedMail { key, facts }));
            }
            Ok(found)
        })
    }
}

/// Whether one of these keys is there, or stands here twice.
fn find_any(sql: &mut impl Executor, keys: &[ImportKey]) -> Result<bool, crate::sql::SqlError> {
    let mut seen = std::collections::HashSet::new();
    for key in keys {
        let query = "SELECT mail FROM imported WHERE key = $1";
        if !seen.insert(key) || sql.number(query, &[Param::Blob(&key.0)])?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
