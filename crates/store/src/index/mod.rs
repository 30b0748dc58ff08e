//! The index: what the journal's records come to. [`Index::apply`] is the one place that says what
//! a record means, for a live commit, a replay and a rebuild alike; it depends on nothing but the
//! records before.

mod apply_acl;
mod apply_act;
mod apply_archive;
mod apply_directory;
mod apply_doors;
mod apply_held;
mod apply_mail;
mod apply_mailbox;
mod apply_operators;
mod apply_promoted;
mod apply_queue;
mod apply_quota;
mod apply_restored;
mod load;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use journal::{BodyFile, Head};
use mail_types::{AccountId, MailboxId, ModSeq, RecordSeq, SpecialUse, Timestamp};

use crate::acl::AclEntry;
use crate::directory::Directory;
use crate::lanes::Lane;
use crate::quota::Usage;
use crate::record::{Entry, Place, Quota, Record};
use crate::record_report::ReportOutcome;
use crate::schema;
use crate::sent::SentNews;
use crate::sql::{Executor, Param, SqlError};
pub use apply_act::NewAct;
pub use apply_held::EVERYWHERE;
pub use apply_mail::{address_fingerprint, host_fingerprint, message_id_fingerprint};
use apply_mailbox::{CopiedMessages, Taken};
pub use apply_mailbox::{flags_from, runs};
pub use apply_quota::read_quotas;
pub use load::mailbox_from;

/// What is known of a mailbox without reading its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Its id.
    pub id: MailboxId,
    /// Whose.
    pub account: AccountId,
    /// Its whole name.
    pub name: String,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// RFC 6154.
    pub special_use: Option<SpecialUse>,
    /// UIDNEXT.
    pub uid_next: u32,
    /// HIGHESTMODSEQ.
    pub mod_seq: ModSeq,
    /// How many messages.
    pub messages: u64,
    /// How many without `\Seen`.
    pub unseen: u64,
    /// Bytes of all messages.
    pub bytes: u64,
}

impl Mailbox {
    /// An empty one.
    const fn new(id: MailboxId, account: AccountId, name: String) -> Self {
        Self {
            id,
            account,
            name,
            uid_validity: 0,
            special_use: None,
            uid_next: 1,
            mod_seq: ModSeq(1),
            messages: 0,
            unseen: 0,
            bytes: 0,
        }
    }
}

/// The index and what of it is kept in memory.
pub struct Index<E> {
    /// The tables.
    pub sql: E,
    /// The directory; sessions hold clones of the `Arc`.
    pub directory: Arc<Directory>,
    /// Every mailbox that is not deleted.
    pub mailboxes: HashMap<MailboxId, Mailbox>,
    /// By account and name.
    pub mailbox_names: HashMap<AccountId, HashMap<String, MailboxId>>,
    /// Access control lists that are not empty.
    pub acl: HashMap<MailboxId, Vec<AclEntry>>,
    /// Quotas of accounts that have one.
    pub quotas: HashMap<AccountId, Quota>,
    /// Destinations whose mail waits; `*` for all.
    pub pauses: HashSet<String>,
    /// Lanes of the queue in which something has become due; nobody asks while it is replayed.
    pub queue_news: Option<Vec<(Lane, Timestamp)>>,
    /// How much mail went by, where its table does not have it yet.
    flow: apply_operators::FlowNews,
    /// What accounts keep; their mailboxes are not counted here.
    pub usage: HashMap<AccountId, Usage>,
    /// Accounts whose quota, or what is used of it, has changed.
    quota_news: HashSet<AccountId>,
    /// Mailboxes whose row is behind what is in memory.
    dirty: HashSet<MailboxId>,
    /// Messages that were sent and are not yet counted in the tables.
    pub(crate) sent_news: SentNews,
    /// The last ids in use.
    pub last: LastIds,
}

/// The highest ids given out so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastIds {
    /// Of accounts.
    pub account: u64,
    /// Of mailboxes.
    pub mailbox: u64,
    /// Of messages.
    pub mail: u64,
    /// Of custodies.
    pub custody: u64,
    /// The last UIDVALIDITY.
    pub uid_validity: u32,
}

impl<E: Executor> Index<E> {
    /// An index in an empty database.
    ///
    /// # Errors
    /// The engine's.
    pub fn create(mut sql: E) -> Result<Self, SqlError> {
        sql.batch(schema::SQLITE)?;
        sql.execute(
            "INSERT INTO meta (name, bytes) VALUES ('version', $1)",
            &[Param::Blob(&schema::VERSION.to_be_bytes())],
        )?;
        Ok(Self::empty(sql))
    }

    fn empty(sql: E) -> Self {
        Self {
            sql,
            directory: Arc::default(),
            mailboxes: HashMap::new(),
            mailbox_names: HashMap::new(),
            acl: HashMap::new(),
            quotas: HashMap::new(),
            pauses: HashSet::new(),
            queue_news: None,
            flow: apply_operators::FlowNews::default(),
            usage: HashMap::new(),
            quota_news: HashSet::new(),
            dirty: HashSet::new(),
            sent_news: SentNews::default(),
            last: LastIds::default(),
        }
    }

    /// Reads what is kept in memory of an index that exists; `None` where the tables are missing or
    /// of another version.
    ///
    /// # Errors
    /// The engine's.
    pub fn load(mut sql: E) -> Result<Option<Self>, SqlError> {
        let mut tables = false;
        sql.query("SELECT name FROM sqlite_master WHERE name = 'meta'", &[], &mut |_| {
            tables = true;
            Ok(())
        })?;
        if !tables || read_meta(&mut sql, "version")? != Some(schema::VERSION.to_be_bytes().into())
        {
            return Ok(None);
        }
        let mut index = Self::empty(sql);
        index.load_directory()?;
        index.load_tokens()?;
        index.load_operators()?;
        index.load_mailboxes()?;
        index.load_acl()?;
        index.load_quotas()?;
        index.load_pauses()?;
        let sql = &mut index.sql;
        let mut last =
            |query| Ok::<u64, SqlError>(sql.number(query, &[])?.unwrap_or(0).cast_unsigned());
        index.last = LastIds {
            account: last("SELECT max(id) FROM account")?,
            mailbox: last("SELECT max(id) FROM mailbox")?,
            mail: last("SELECT max(id) FROM mail")?,
            custody: last("SELECT max(id) FROM custody")?,
            uid_validity: u32::try_from(last("SELECT max(uid_validity) FROM mailbox")?)
                .unwrap_or(u32::MAX),
        };
        Ok(Some(index))
    }

    /// The journal's head that the tables stand for; `None` for an empty index.
    ///
    /// # Errors
    /// The engine's.
    pub fn applied(&mut self) -> Result<Option<Head>, SqlError> {
        applied_in(&mut self.sql)
    }

    /// Begins what [`Index::commit`] ends.
    ///
    /// # Errors
    /// The engine's.
    pub fn begin(&mut self) -> Result<(), SqlError> {
        self.sql.batch("BEGIN")
    }

    /// Makes everything applied visible to readers, as of `head`. Call it after the journal's sync
    /// alone: the index must never know more than the journal.
    ///
    /// # Errors
    /// The engine's; the index must then be loaded anew.
    pub fn commit(&mut self, head: &Head) -> Result<(), SqlError> {
        self.write_flow()?;
        self.write_sent()?;
        for id in std::mem::take(&mut self.dirty) {
            let Some(mailbox) = self.mailboxes.get(&id) else { continue };
            self.sql.execute(
                "UPDATE mailbox SET uid_next = $2, mod_seq = $3, messages = $4, unseen = $5, \
                 bytes = $6 WHERE id = $1",
                &[
                    id.0.into(),
                    mailbox.uid_next.into(),
                    mailbox.mod_seq.0.into(),
                    mailbox.messages.into(),
                    mailbox.unseen.into(),
                    mailbox.bytes.into(),
                ],
            )?;
        }
        self.sql.execute(
            "INSERT INTO meta (name, bytes) VALUES ('applied', $1) \
             ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes",
            &[Param::Blob(&head.to_bytes())],
        )?;
        self.sql.batch("COMMIT")
    }

    /// Notes that a frame names this body file, so that no start takes it for one left over.
    ///
    /// # Errors
    /// The engine's.
    pub fn body_file(&mut self, file: BodyFile) -> Result<(), SqlError> {
        let insert = "INSERT INTO body_file (serial, hash) VALUES ($1, $2) \
                      ON CONFLICT (serial, hash) DO NOTHING";
        self.sql.execute(insert, &[file.serial.into(), Param::Blob(&file.hash.0)])?;
        Ok(())
    }

    /// Whether a frame names this body file.
    ///
    /// # Errors
    /// The engine's.
    pub fn has_body_file(&mut self, file: BodyFile) -> Result<bool, SqlError> {
        let query = "SELECT 1 FROM body_file WHERE serial = $1 AND hash = $2";
        let key = [file.serial.into(), Param::Blob(&file.hash.0)];
        Ok(self.sql.number(query, &key)?.is_some())
    }

    /// Notes for good that the journal was damaged where this index was made from it: frames may be
    /// missing here, so what nothing here names may be all that is left of a message. `unreadable`:
    /// the disk may read it another time, so the next start makes the index anew.
    ///
    /// # Errors
    /// The engine's.
    pub fn mark_damaged(&mut self, unreadable: bool) -> Result<(), SqlError> {
        let name = if unreadable { "unreadable" } else { "damaged" };
        self.sql.execute(
            "INSERT INTO meta (name, bytes) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            &[name.into(), Param::Blob(&[1])],
        )?;
        Ok(())
    }

    /// Whether it was made from a damaged journal.
    ///
    /// # Errors
    /// The engine's.
    pub fn is_damaged(&mut self) -> Result<bool, SqlError> {
        Ok(read_meta(&mut self.sql, "damaged")?.is_some() || self.has_gaps()?)
    }

    /// Whether it lacks what the disk could not read and may read now.
    ///
    /// # Errors
    /// The engine's.
    pub fn has_gaps(&mut self) -> Result<bool, SqlError> {
        Ok(read_meta(&mut self.sql, "unreadable")?.is_some())
    }

    /// Applies one record.
    ///
    /// # Errors
    /// The engine's.
    pub fn apply(&mut self, entry: &Entry, seq: RecordSeq, at: Place) -> Result<(), SqlError> {
        self.note(entry, seq, at)?;
        match &entry.record {
            Record::DomainAdded { .. }
            | Record::DomainRemoved { .. }
            | Record::AccountAdded { .. }
            | Record::AccountRemoved { .. }
            | Record::AccountRestored { .. }
            | Record::CredentialsSet { .. }
            | Record::AliasSet { .. }
            | Record::AliasRemoved { .. }
            | Record::RouteSet { .. }
            | Record::RouteRemoved { .. }
            | Record::RelayLoginSet { .. } => self.apply_directory(&entry.record),
            Record::KeyChanged(change) => self.apply_key(change, entry.at),
            Record::MailboxCreated { mailbox, account, name, uid_validity, special_use } => {
                let name = name.clone();
                self.mailbox_created(Mailbox {
                    uid_validity: *uid_validity,
                    special_use: *special_use,
                    ..Mailbox::new(*mailbox, *account, name)
                })
            }
            Record::MailboxRenamed { mailbox, name } => self.mailbox_renamed(*mailbox, name),
            Record::MailboxDeleted { mailbox } => {
                crate::url_key::mailbox_deleted(&mut self.sql, *mailbox)?;
                self.mailbox_deleted(*mailbox, entry.at, seq, at)
            }
            Record::Subscription { account, name, subscribed } => {
                self.subscription(*account, name, *subscribed)
            }
            Record::Accepted(accepted) => self.accepted(entry, accepted, at),
            Record::TlsRequired { .. }
            | Record::TlsOptional { .. }
            | Record::FutureRelease { .. }
            | Record::PrioritySet { .. }
            | Record::DeliverBy { .. }
            | Record::Judged(_)
            | Record::Reported(_)
            | Record::ReportSpanSet(_)
            | Record::TlsPolicySeen(_) => self.apply_beside_mail(entry, seq, at),
            Record::FlagsSet { mailbox, mod_seq, sets } => self.flags_set(*mailbox, *mod_seq, sets),
            Record::Copied { from, to, mod_seq, messages } => {
                let (from, to, mod_seq, saved) = (*from, *to, *mod_seq, entry.at);
                self.copied(&CopiedMessages { from, to, mod_seq, saved, messages }, seq, at)
            }
            Record::Moved { from, to, from_mod_seq, to_mod_seq, messages } => {
                let (from, to, mod_seq, saved) = (*from, *to, *to_mod_seq, entry.at);
                self.copied(&CopiedMessages { from, to, mod_seq, saved, messages }, seq, at)?;
                let taken = Taken::moved(to, messages);
                self.expunged(from, *from_mod_seq, &taken, (entry.at, seq))
            }
            Record::Expunged { mailbox, mod_seq, uids } => {
                self.tell_story_of_messages(*mailbox, uids, seq, at)?;
                self.expunged(*mailbox, *mod_seq, &Taken::gone(uids), (entry.at, seq))
            }
            Record::Restored { .. } | Record::MailboxRestored { .. } | Record::Undone { .. } => {
                self.apply_restoring(entry, seq, at)
            }
            Record::RetentionSet(_)
            | Record::LegalHoldSet(_)
            | Record::HoldsEnded(_)
            | Record::Purged(_)
            | Record::BodiesGone { .. } => self.apply_archive(entry, seq, at),
            Record::Promoted(promoted) => self.promoted(promoted, entry.at, seq),
            Record::AttemptBegun { custodies, .. } => self.attempt_begun(custodies, seq, at),
            Record::AttemptDropped { custodies } => self.attempt_dropped(custodies, seq, at),
            Record::Attempted { custody, outcome, .. } => {
                self.attempted(*custody, outcome)?;
                self.tell_story_of_custody(*custody, seq, at)
            }
            Record::Tried(tried) => self.tried(tried, entry.at, (seq, at)),
            Record::CustodiesChanged(change) => self.custodies_changed(entry.at, change, seq, at),
            Record::ChangeUndone { change } => self.change_undone(*change),
            Record::QueuePaused { destination, paused, reason } => {
                self.queue_paused(entry.at, destination.as_deref(), *paused, reason.as_deref())
            }
            Record::Rescheduled { custodies, due } => self.rescheduled(custodies, *due, seq, at),
            Record::UrlKeySet { .. } | Record::UrlKeysReset { .. } => {
                crate::url_key::apply(&mut self.sql, &entry.record)
            }
            Record::AclSet { mailbox, grantee, rights } => {
                self.acl_set(*mailbox, *grantee, *rights)
            }
            Record::TokenAdded { .. }
            | Record::TokenRemoved { .. }
            | Record::SendKeyUsed { .. }
            | Record::Imported { .. }
            | Record::HookSet { .. }
            | Record::HookRemoved { .. }
            | Record::HookReached { .. } => self.apply_door(entry),
            Record::OperatorChanged(change) => self.apply_operator(entry, change),
            Record::Looked(_) | Record::Healed(_) => self.apply_beside_story(entry, seq, at),
            Record::HookTried { hook, tries } => self.hook_tried(*hook, tries, seq),
            Record::QuotaSet { account, quota } => self.quota_set(*account, *quota),
            Record::MetadataSet { mailbox, account, entry, value } => {
                crate::metadata::apply(&mut self.sql, *mailbox, *account, entry, value.as_deref())
            }
        }
    }
}

impl<E: Executor> Index<E> {
    /// What stands beside a message: its wishes, the verdict on it, the report that it is; and what
    /// reports to others are made of.
    fn apply_beside_mail(
        &mut self,
        entry: &Entry,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        match &entry.record {
            Record::TlsRequired { mail } => {
                let insert = "INSERT INTO tls_required (mail) VALUES ($1)";
                self.sql.execute(insert, &[mail.0.into()]).map(drop)
            }
            Record::TlsOptional { mail } => {
                let insert = "INSERT INTO tls_optional (mail) VALUES ($1)";
                self.sql.execute(insert, &[mail.0.into()]).map(drop)
            }
            Record::FutureRelease { .. } | Record::PrioritySet { .. } => {
                self.apply_later(&entry.record, seq, at)
            }
            Record::DeliverBy { mail, by } => self.deliver_by(*mail, *by, seq, at),
            // What was turned away has no story.
            Record::Judged(judged) => match judged.mail {
                Some(mail) => self.tell_story(mail, seq, at),
                None => Ok(()),
            },
            Record::Reported(report) => {
                self.apply_reported(report, entry.at)?;
                match report.outcome {
                    ReportOutcome::Mailed { mail } => self.tell_story(mail, seq, at),
                    ReportOutcome::Posted { .. } | ReportOutcome::Dropped { .. } => Ok(()),
                }
            }
            Record::ReportSpanSet(span) => self.apply_report_span(span),
            Record::TlsPolicySeen(policy) => self.apply_tls_policy(policy, entry.at),
            _ => Ok(()),
        }
    }
}

/// The journal's head that the tables stand for, as this connection sees them now.
pub fn applied_in(sql: &mut impl Executor) -> Result<Option<Head>, SqlError> {
    Ok(read_meta(sql, "applied")?.and_then(|bytes| Head::from_bytes(&bytes)))
}

fn read_meta(sql: &mut impl Executor, name: &'static str) -> Result<Option<Vec<u8>>, SqlError> {
    let mut found = None;
    sql.query("SELECT bytes FROM meta WHERE name = $1", &[name.into()], &mut |row| {
        found = Some(row.blob(0)?.to_vec());
        Ok(())
    })?;
    Ok(found)
}

pub(crate) fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, SqlError>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(broken)
}

pub(crate) fn broken(cause: impl std::error::Error + Send + Sync + 'static) -> SqlError {
    SqlError { doing: "read what the index holds".to_owned(), cause: Box::new(cause) }
}
