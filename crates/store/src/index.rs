//! The index: what the journal's records come to. [`Index::apply`] is the one place that says what
//! a record means, for a live commit, a replay and a rebuild alike; it depends on nothing but the
//! records before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use journal::Head;
use mail_types::{
    AccountId, Address, CustodyId, Domain, Flags, MailId, MailboxId, ModSeq, RecordSeq, SpecialUse,
    SystemFlag, Uid,
};

use crate::custody::CustodyState;
use crate::directory::{Account, Alias, Directory, Route};
use crate::record::{Accepted, Credentials, Entry, Fate, NewCustody, Outcome, Place, Record};
use crate::schema;
use crate::sql::{Executor, Param, Row, SqlError};

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
    /// Mailboxes whose row is behind what is in memory.
    dirty: HashSet<MailboxId>,
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
            dirty: HashSet::new(),
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
        index.load_mailboxes()?;
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

    fn load_directory(&mut self) -> Result<(), SqlError> {
        let mut directory = Directory::default();
        self.sql.query("SELECT name FROM domain", &[], &mut |row| {
            directory.domains.insert(parsed(row.text(0)?)?);
            Ok(())
        })?;
        self.sql.query(
            "SELECT id, address, credentials FROM account WHERE removed = 0",
            &[],
            &mut |row| {
                let id = AccountId(row.id(0)?);
                let address: Address = parsed(row.text(1)?)?;
                let credentials: Credentials =
                    postcard::from_bytes(row.blob(2)?).map_err(broken)?;
                directory.by_address.insert(address.folded(), id);
                directory.accounts.insert(id, Arc::new(Account { id, address, credentials }));
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
        self.directory = Arc::new(directory);
        Ok(())
    }

    fn load_mailboxes(&mut self) -> Result<(), SqlError> {
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

    /// The journal's head that the tables stand for; `None` for an empty index.
    ///
    /// # Errors
    /// The engine's.
    pub fn applied(&mut self) -> Result<Option<Head>, SqlError> {
        Ok(read_meta(&mut self.sql, "applied")?.and_then(|bytes| Head::from_bytes(&bytes)))
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

    /// Applies one record.
    ///
    /// # Errors
    /// The engine's.
    pub fn apply(&mut self, entry: &Entry, seq: RecordSeq, at: Place) -> Result<(), SqlError> {
        match &entry.record {
            Record::DomainAdded { .. }
            | Record::DomainRemoved { .. }
            | Record::AccountAdded { .. }
            | Record::AccountRemoved { .. }
            | Record::CredentialsSet { .. }
            | Record::AliasSet { .. }
            | Record::AliasRemoved { .. }
            | Record::RouteSet { .. }
            | Record::RouteRemoved { .. } => self.apply_directory(&entry.record),
            Record::MailboxCreated { mailbox, account, name, uid_validity, special_use } => self
                .mailbox_created(Mailbox {
                    id: *mailbox,
                    account: *account,
                    name: name.clone(),
                    uid_validity: *uid_validity,
                    special_use: *special_use,
                    uid_next: 1,
                    mod_seq: ModSeq(1),
                    messages: 0,
                    unseen: 0,
                    bytes: 0,
                }),
            Record::MailboxRenamed { mailbox, name } => self.mailbox_renamed(*mailbox, name),
            Record::MailboxDeleted { mailbox } => self.mailbox_deleted(*mailbox, seq),
            Record::Subscription { account, name, subscribed } => {
                let sql = if *subscribed {
                    "INSERT INTO subscription (account, name) VALUES ($1, $2) \
                     ON CONFLICT (account, name) DO NOTHING"
                } else {
                    "DELETE FROM subscription WHERE account = $1 AND name = $2"
                };
                self.sql.execute(sql, &[account.0.into(), name.as_str().into()])?;
                Ok(())
            }
            Record::Accepted(accepted) => self.accepted(entry, accepted, at),
            Record::FlagsSet { mailbox, mod_seq, sets } => self.flags_set(*mailbox, *mod_seq, sets),
            Record::Copied { from, to, mod_seq, messages } => {
                self.copied(*from, *to, *mod_seq, messages, seq, at)
            }
            Record::Moved { from, to, from_mod_seq, to_mod_seq, messages } => {
                self.copied(*from, *to, *to_mod_seq, messages, seq, at)?;
                let uids: Vec<Uid> = messages.iter().map(|&(uid, _)| uid).collect();
                self.expunged(*from, *from_mod_seq, &uids, seq)
            }
            Record::Expunged { mailbox, mod_seq, uids } => {
                self.tell_story_of_messages(*mailbox, uids, seq, at)?;
                self.expunged(*mailbox, *mod_seq, uids, seq)
            }
            Record::AttemptBegun { custodies, .. } => {
                for &custody in custodies {
                    self.sql.execute(
                        "UPDATE queue SET attempts = attempts + (1 - begun), begun = 1 WHERE custody = $1",
                        &[custody.0.into()],
                    )?;
                    self.tell_story_of_custody(custody, seq, at)?;
                }
                Ok(())
            }
            Record::AttemptDropped { custodies } => {
                for &custody in custodies {
                    self.sql.execute(
                        "UPDATE queue SET begun = 0, attempts = attempts - begun WHERE custody = $1",
                        &[custody.0.into()],
                    )?;
                    self.tell_story_of_custody(custody, seq, at)?;
                }
                Ok(())
            }
            Record::Attempted { custody, outcome, .. } => {
                self.attempted(*custody, outcome)?;
                self.tell_story_of_custody(*custody, seq, at)
            }
            Record::Rescheduled { custodies, due } => {
                for &custody in custodies {
                    self.sql.execute(
                        "UPDATE queue SET due = $2 WHERE custody = $1",
                        &[custody.0.into(), due.0.into()],
                    )?;
                    self.tell_story_of_custody(custody, seq, at)?;
                }
                Ok(())
            }
        }
    }

    fn apply_directory(&mut self, record: &Record) -> Result<(), SqlError> {
        let directory = Arc::make_mut(&mut self.directory);
        match record {
            Record::DomainAdded { domain } => {
                directory.domains.insert(domain.clone());
                self.sql.execute(
                    "INSERT INTO domain (name) VALUES ($1) ON CONFLICT (name) DO NOTHING",
                    &[domain.as_str().into()],
                )?;
            }
            Record::DomainRemoved { domain } => {
                directory.domains.remove(domain);
                self.sql
                    .execute("DELETE FROM domain WHERE name = $1", &[domain.as_str().into()])?;
            }
            Record::AccountAdded { account, address, credentials } => {
                self.last.account = self.last.account.max(account.0);
                directory.by_address.insert(address.folded(), *account);
                let bytes = postcard::to_stdvec(credentials).map_err(broken)?;
                self.sql.execute(
                    "INSERT INTO account (id, address, credentials) VALUES ($1, $2, $3)",
                    &[account.0.into(), address.to_string().as_str().into(), Param::Blob(&bytes)],
                )?;
                let added = Account {
                    id: *account,
                    address: address.clone(),
                    credentials: credentials.clone(),
                };
                directory.accounts.insert(*account, Arc::new(added));
            }
            Record::AccountRemoved { account } => {
                if let Some(removed) = directory.accounts.remove(account) {
                    directory.by_address.remove(&removed.address.folded());
                }
                self.sql
                    .execute("UPDATE account SET removed = 1 WHERE id = $1", &[account.0.into()])?;
            }
            Record::CredentialsSet { account, credentials } => {
                if let Some(known) = directory.accounts.get_mut(account) {
                    Arc::make_mut(known).credentials = credentials.clone();
                }
                let bytes = postcard::to_stdvec(credentials).map_err(broken)?;
                self.sql.execute(
                    "UPDATE account SET credentials = $2 WHERE id = $1",
                    &[account.0.into(), Param::Blob(&bytes)],
                )?;
            }
            Record::AliasSet { alias, targets } => {
                let folded = alias.folded();
                let text = targets.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
                self.sql.execute(
                    "INSERT INTO alias (address, targets) VALUES ($1, $2) \
                     ON CONFLICT (address) DO UPDATE SET targets = excluded.targets",
                    &[folded.as_str().into(), text.as_str().into()],
                )?;
                directory.aliases.insert(folded, Alias { targets: targets.clone() });
            }
            Record::AliasRemoved { alias } => {
                directory.aliases.remove(&alias.folded());
                self.sql.execute(
                    "DELETE FROM alias WHERE address = $1",
                    &[alias.folded().as_str().into()],
                )?;
            }
            Record::RouteSet { domain, host, port } => {
                let name = domain.as_ref().map_or("*", Domain::as_str);
                self.sql.execute(
                    "INSERT INTO route (domain, host, port) VALUES ($1, $2, $3) \
                     ON CONFLICT (domain) DO UPDATE SET host = excluded.host, port = excluded.port",
                    &[name.into(), host.as_str().into(), i64::from(*port).into()],
                )?;
                directory.routes.insert(domain.clone(), Route { host: host.clone(), port: *port });
            }
            Record::RouteRemoved { domain } => {
                directory.routes.remove(domain);
                let name = domain.as_ref().map_or("*", Domain::as_str);
                self.sql.execute("DELETE FROM route WHERE domain = $1", &[name.into()])?;
            }
            _ => {}
        }
        Ok(())
    }

    fn mailbox_created(&mut self, mailbox: Mailbox) -> Result<(), SqlError> {
        self.last.mailbox = self.last.mailbox.max(mailbox.id.0);
        self.last.uid_validity = self.last.uid_validity.max(mailbox.uid_validity);
        self.sql.execute(
            "INSERT INTO mailbox (id, account, name, uid_validity, special_use, uid_next, mod_seq, \
             messages, unseen, bytes) VALUES ($1, $2, $3, $4, $5, 1, 1, 0, 0, 0)",
            &[
                mailbox.id.0.into(),
                mailbox.account.0.into(),
                mailbox.name.as_str().into(),
                mailbox.uid_validity.into(),
                mailbox.special_use.map(SpecialUse::attribute).into(),
            ],
        )?;
        self.mailbox_names
            .entry(mailbox.account)
            .or_default()
            .insert(mailbox.name.clone(), mailbox.id);
        self.mailboxes.insert(mailbox.id, mailbox);
        Ok(())
    }

    fn mailbox_renamed(&mut self, id: MailboxId, name: &str) -> Result<(), SqlError> {
        self.sql
            .execute("UPDATE mailbox SET name = $2 WHERE id = $1", &[id.0.into(), name.into()])?;
        if let Some(mailbox) = self.mailboxes.get_mut(&id) {
            let names = self.mailbox_names.entry(mailbox.account).or_default();
            names.remove(&mailbox.name);
            names.insert(name.to_owned(), id);
            name.clone_into(&mut mailbox.name);
        }
        Ok(())
    }

    /// The row stays, with its last counters: its UIDVALIDITY must never come again, and its
    /// messages can be brought back.
    fn mailbox_deleted(&mut self, id: MailboxId, seq: RecordSeq) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO expunged (mailbox, uid, mail, mod_seq, seq) \
             SELECT mailbox, uid, mail, mod_seq, $2 FROM message WHERE mailbox = $1",
            &[id.0.into(), seq.0.into()],
        )?;
        self.sql.execute("DELETE FROM message WHERE mailbox = $1", &[id.0.into()])?;
        if let Some(mailbox) = self.mailboxes.remove(&id) {
            if let Some(names) = self.mailbox_names.get_mut(&mailbox.account) {
                names.remove(&mailbox.name);
            }
            self.dirty.remove(&id);
            self.sql.execute(
                "UPDATE mailbox SET deleted = 1, uid_next = $2, mod_seq = $3, messages = 0, \
                 unseen = 0, bytes = 0 WHERE id = $1",
                &[id.0.into(), mailbox.uid_next.into(), mailbox.mod_seq.0.into()],
            )?;
        }
        Ok(())
    }

    fn accepted(&mut self, entry: &Entry, mail: &Accepted, at: Place) -> Result<(), SqlError> {
        self.last.mail = self.last.mail.max(mail.mail.0);
        let receipt = mail_types::ReceiptId::new(mail.mail, &mail.body_hash);
        self.sql.execute(
            "INSERT INTO mail (id, accepted, receipt_check, segment, place, body_segment, \
             body_place, body_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                mail.mail.0.into(),
                entry.at.0.into(),
                receipt.check.into(),
                at.segment.into(),
                at.offset.into(),
                mail.body_at.segment.into(),
                mail.body_at.offset.into(),
                mail.body_bytes.into(),
            ],
        )?;
        for custody in &mail.custodies {
            self.custody_begins(entry, mail, custody)?;
        }
        self.add_lookups(mail)
    }

    fn custody_begins(
        &mut self,
        entry: &Entry,
        mail: &Accepted,
        custody: &NewCustody,
    ) -> Result<(), SqlError> {
        self.last.custody = self.last.custody.max(custody.custody.0);
        let (state, place) = match &custody.fate {
            Fate::Delivered { mailbox, uid, mod_seq, flags } => {
                // Two recipients may lead to one account, which then has the message once.
                if self.mailboxes.get(mailbox).is_some_and(|known| uid.get() >= known.uid_next) {
                    let arrival = NewMessage {
                        mail: mail.mail,
                        uid: *uid,
                        mod_seq: *mod_seq,
                        flags,
                        internal_date: mail.internal_date.0,
                        bytes: mail.body_bytes,
                    };
                    self.insert_message(*mailbox, &arrival)?;
                }
                (CustodyState::Delivered, Some((*mailbox, *uid)))
            }
            Fate::Queued { due } => {
                let destination = custody.recipient.host.to_string();
                self.sql.execute(
                    "INSERT INTO queue (custody, mail, destination, due, attempts, begun, \
                     uncertain, delay_told, accepted) VALUES ($1, $2, $3, $4, 0, 0, 0, 0, $5)",
                    &[
                        custody.custody.0.into(),
                        mail.mail.0.into(),
                        destination.as_str().into(),
                        due.0.into(),
                        entry.at.0.into(),
                    ],
                )?;
                (CustodyState::Queued, None)
            }
            Fate::Expanded { .. } => (CustodyState::Expanded, None),
        };
        self.sql.execute(
            "INSERT INTO custody (id, mail, recipient, state, mailbox, uid) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                custody.custody.0.into(),
                mail.mail.0.into(),
                custody.recipient.to_string().as_str().into(),
                state.code().into(),
                place.map(|(mailbox, _)| mailbox.0).into(),
                place.map(|(_, uid)| uid.get()).into(),
            ],
        )?;
        Ok(())
    }

    fn insert_message(&mut self, id: MailboxId, new: &NewMessage<'_>) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO message (mailbox, uid, mail, mod_seq, flags, keywords, internal_date, \
             bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                id.0.into(),
                new.uid.get().into(),
                new.mail.0.into(),
                new.mod_seq.0.into(),
                i64::from(new.flags.system_bits()).into(),
                keywords_text(new.flags).as_deref().into(),
                new.internal_date.into(),
                new.bytes.into(),
            ],
        )?;
        if let Some(mailbox) = self.mailboxes.get_mut(&id) {
            mailbox.uid_next = mailbox.uid_next.max(new.uid.get().saturating_add(1));
            mailbox.mod_seq = mailbox.mod_seq.max(new.mod_seq);
            mailbox.messages += 1;
            mailbox.bytes += new.bytes;
            mailbox.unseen += u64::from(!new.flags.has(SystemFlag::Seen));
            self.dirty.insert(id);
        }
        Ok(())
    }

    /// Message-ID, sender and recipients by fingerprint, so that a trace finds them. A fingerprint
    /// may lie; the trace compares with the record.
    fn add_lookups(&mut self, mail: &Accepted) -> Result<(), SqlError> {
        let mut fingerprints: Vec<i64> =
            mail.custodies.iter().map(|custody| address_fingerprint(&custody.recipient)).collect();
        fingerprints.extend(mail.reverse_path.address().map(address_fingerprint));
        fingerprints.extend(mail.message_id.as_deref().map(message_id_fingerprint));
        fingerprints.sort_unstable();
        fingerprints.dedup();
        for fingerprint in fingerprints {
            self.sql.execute(
                "INSERT INTO lookup (fingerprint, mail) VALUES ($1, $2) \
                 ON CONFLICT (fingerprint, mail) DO NOTHING",
                &[fingerprint.into(), mail.mail.0.into()],
            )?;
        }
        Ok(())
    }

    fn flags_set(
        &mut self,
        id: MailboxId,
        mod_seq: ModSeq,
        sets: &[(Flags, Vec<Uid>)],
    ) -> Result<(), SqlError> {
        let mut unseen_change = 0_i64;
        for (flags, uids) in sets {
            let keywords = keywords_text(flags);
            for (first, last) in runs(uids) {
                let key: [Param<'_>; 3] = [id.0.into(), first.into(), last.into()];
                let was_unseen = self
                    .sql
                    .number(
                        "SELECT count(*) FROM message WHERE mailbox = $1 AND uid BETWEEN $2 AND $3 \
                         AND flags & 1 = 0",
                        &key,
                    )?
                    .unwrap_or(0);
                let changed = self.sql.execute(
                    "UPDATE message SET mod_seq = $4, flags = $5, keywords = $6 \
                     WHERE mailbox = $1 AND uid BETWEEN $2 AND $3",
                    &[
                        key[0],
                        key[1],
                        key[2],
                        mod_seq.0.into(),
                        i64::from(flags.system_bits()).into(),
                        keywords.as_deref().into(),
                    ],
                )?;
                let is_unseen = if flags.has(SystemFlag::Seen) { 0 } else { changed };
                unseen_change += i64::try_from(is_unseen).unwrap_or(i64::MAX) - was_unseen;
            }
        }
        if let Some(mailbox) = self.mailboxes.get_mut(&id) {
            mailbox.unseen = mailbox.unseen.saturating_add_signed(unseen_change);
            mailbox.mod_seq = mailbox.mod_seq.max(mod_seq);
            self.dirty.insert(id);
        }
        Ok(())
    }

    fn copied(
        &mut self,
        from: MailboxId,
        to: MailboxId,
        mod_seq: ModSeq,
        messages: &[(Uid, Uid)],
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        for &(old, new) in messages {
            let mut found = None;
            self.sql.query(
                "SELECT mail, flags, keywords, internal_date, bytes FROM message \
                 WHERE mailbox = $1 AND uid = $2",
                &[from.0.into(), old.get().into()],
                &mut |row| {
                    let flags = flags_from(row.int(1)?, row.text_or_null(2)?);
                    found = Some((MailId(row.id(0)?), flags, row.int(3)?, row.id(4)?));
                    Ok(())
                },
            )?;
            let Some((mail, flags, internal_date, bytes)) = found else { continue };
            let copy = NewMessage { mail, uid: new, mod_seq, flags: &flags, internal_date, bytes };
            self.insert_message(to, &copy)?;
            self.tell_story(mail, seq, at)?;
        }
        Ok(())
    }

    fn expunged(
        &mut self,
        id: MailboxId,
        mod_seq: ModSeq,
        uids: &[Uid],
        seq: RecordSeq,
    ) -> Result<(), SqlError> {
        let (mut messages, mut unseen, mut bytes) = (0, 0, 0);
        for (first, last) in runs(uids) {
            let key: [Param<'_>; 3] = [id.0.into(), first.into(), last.into()];
            self.sql.query(
                "SELECT count(*), coalesce(sum(1 - (flags & 1)), 0), coalesce(sum(bytes), 0) \
                 FROM message WHERE mailbox = $1 AND uid BETWEEN $2 AND $3",
                &key,
                &mut |row| {
                    messages += row.id(0)?;
                    unseen += row.id(1)?;
                    bytes += row.id(2)?;
                    Ok(())
                },
            )?;
            self.sql.execute(
                "INSERT INTO expunged (mailbox, uid, mail, mod_seq, seq) \
                 SELECT mailbox, uid, mail, $4, $5 FROM message \
                 WHERE mailbox = $1 AND uid BETWEEN $2 AND $3",
                &[key[0], key[1], key[2], mod_seq.0.into(), seq.0.into()],
            )?;
            self.sql.execute(
                "DELETE FROM message WHERE mailbox = $1 AND uid BETWEEN $2 AND $3",
                &key,
            )?;
        }
        if let Some(mailbox) = self.mailboxes.get_mut(&id) {
            mailbox.messages = mailbox.messages.saturating_sub(messages);
            mailbox.unseen = mailbox.unseen.saturating_sub(unseen);
            mailbox.bytes = mailbox.bytes.saturating_sub(bytes);
            mailbox.mod_seq = mailbox.mod_seq.max(mod_seq);
            self.dirty.insert(id);
        }
        Ok(())
    }

    fn attempted(&mut self, custody: CustodyId, outcome: &Outcome) -> Result<(), SqlError> {
        let (state, report) = match outcome {
            Outcome::Relayed { report, .. } => (CustodyState::Relayed, *report),
            Outcome::Returned { notice, .. } => (CustodyState::Returned, notice.report()),
            Outcome::Deferred { due, report, .. } => {
                let delay_told = i64::from(report.is_some());
                self.sql.execute(
                    "UPDATE queue SET begun = 0, due = $2, \
                     attempts = attempts + (1 - begun), \
                     delay_told = CASE WHEN $3 = 1 THEN 1 ELSE delay_told END WHERE custody = $1",
                    &[custody.0.into(), due.0.into(), delay_told.into()],
                )?;
                return Ok(());
            }
            Outcome::Uncertain { due, .. } => {
                self.sql.execute(
                    "UPDATE queue SET begun = 0, uncertain = 1, due = $2 WHERE custody = $1",
                    &[custody.0.into(), due.0.into()],
                )?;
                return Ok(());
            }
        };
        self.sql.execute("DELETE FROM queue WHERE custody = $1", &[custody.0.into()])?;
        self.sql.execute(
            "UPDATE custody SET state = $2, report = $3 WHERE id = $1",
            &[custody.0.into(), state.code().into(), report.map(|mail| mail.0).into()],
        )?;
        Ok(())
    }

    fn tell_story(&mut self, mail: MailId, seq: RecordSeq, at: Place) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO story (mail, seq, segment, place) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (mail, seq) DO NOTHING",
            &[mail.0.into(), seq.0.into(), at.segment.into(), at.offset.into()],
        )?;
        Ok(())
    }

    fn tell_story_of_custody(
        &mut self,
        custody: CustodyId,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO story (mail, seq, segment, place) \
             SELECT mail, $2, $3, $4 FROM custody WHERE id = $1 \
             ON CONFLICT (mail, seq) DO NOTHING",
            &[custody.0.into(), seq.0.into(), at.segment.into(), at.offset.into()],
        )?;
        Ok(())
    }

    fn tell_story_of_messages(
        &mut self,
        mailbox: MailboxId,
        uids: &[Uid],
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        for (first, last) in runs(uids) {
            self.sql.execute(
                "INSERT INTO story (mail, seq, segment, place) \
                 SELECT DISTINCT mail, $4, $5, $6 FROM message \
                 WHERE mailbox = $1 AND uid BETWEEN $2 AND $3 ON CONFLICT (mail, seq) DO NOTHING",
                &[
                    mailbox.0.into(),
                    first.into(),
                    last.into(),
                    seq.0.into(),
                    at.segment.into(),
                    at.offset.into(),
                ],
            )?;
        }
        Ok(())
    }
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

/// A message about to be in a mailbox.
struct NewMessage<'a> {
    mail: MailId,
    uid: Uid,
    mod_seq: ModSeq,
    flags: &'a Flags,
    internal_date: i64,
    bytes: u64,
}

/// Runs of consecutive numbers, first and last, of UIDs in any order.
pub fn runs(uids: &[Uid]) -> Vec<(u32, u32)> {
    let mut numbers: Vec<u32> = uids.iter().map(|uid| uid.get()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

fn keywords_text(flags: &Flags) -> Option<String> {
    let keywords = flags.keywords();
    (!keywords.is_empty())
        .then(|| keywords.iter().map(mail_types::Keyword::as_str).collect::<Vec<_>>().join(" "))
}

/// Flags from the columns `flags` and `keywords`.
pub fn flags_from(bits: i64, keywords: Option<&str>) -> Flags {
    let keywords = keywords
        .unwrap_or_default()
        .split(' ')
        .filter_map(|keyword| mail_types::Keyword::new(keyword).ok())
        .collect();
    Flags::from_parts(u8::try_from(bits & 31).unwrap_or(0), keywords)
}

/// Where an address is looked up.
pub fn address_fingerprint(address: &Address) -> i64 {
    fingerprint(b'a', &address.folded())
}

/// Where a Message-ID is looked up.
pub fn message_id_fingerprint(message_id: &str) -> i64 {
    fingerprint(b'm', message_id)
}

fn fingerprint(kind: u8, text: &str) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind]).update(text.as_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    i64::from_be_bytes(first)
}

fn read_meta(sql: &mut impl Executor, name: &'static str) -> Result<Option<Vec<u8>>, SqlError> {
    let mut found = None;
    sql.query("SELECT bytes FROM meta WHERE name = $1", &[name.into()], &mut |row| {
        found = Some(row.blob(0)?.to_vec());
        Ok(())
    })?;
    Ok(found)
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, SqlError>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(broken)
}

fn broken(cause: impl std::error::Error + Send + Sync + 'static) -> SqlError {
    SqlError { doing: "read what the index holds".to_owned(), cause: Box::new(cause) }
}
