//! Acts: what people did that can be taken back, each with who did it and with what makes it as it
//! was. Noted before the record is applied, while what was before is still there.

use std::net::IpAddr;

use mail_types::{Domain, MailboxId, RecordSeq, Timestamp};

use super::{Index, broken};
use crate::act::{ActKind, via_code};
use crate::record::{Actor, Entry, Fate, Place, Record, SessionId, Source, Via};
use crate::sql::{Executor, Param, SqlError};

/// An act that is not in its table yet.
pub struct NewAct {
    seq: RecordSeq,
    at: Timestamp,
    place: Place,
    doer: Doer,
    noted: Noted,
}

/// Who did something.
struct Doer {
    /// 0: an operator.
    account: u64,
    session: Option<SessionId>,
    ip: Option<IpAddr>,
    via: Option<Via>,
}

/// What of a record is noted.
struct Noted {
    kind: ActKind,
    /// Whose mail it is about; 0: nobody's.
    owner: u64,
    mailbox: MailboxId,
    /// Where messages went.
    other: MailboxId,
    /// The name of what it is about.
    subject: String,
    messages: usize,
    /// What makes it as it was, where that does not follow from the messages.
    before: Vec<Record>,
}

/// 0 is no mailbox's id.
const NONE: MailboxId = MailboxId(0);

impl<E: Executor> Index<E> {
    /// Notes an act. Nothing is noted of what this server does by itself.
    ///
    /// # Errors
    /// The engine's.
    pub fn note_act(&mut self, entry: &Entry, seq: RecordSeq, at: Place) -> Result<(), SqlError> {
        match self.act_of(entry, seq, at)? {
            Some(act) => self.insert_act(&act),
            None => Ok(()),
        }
    }

    /// The act that a record is, for [`Index::insert_act`].
    ///
    /// # Errors
    /// The engine's.
    pub fn act_of(
        &mut self,
        entry: &Entry,
        seq: RecordSeq,
        place: Place,
    ) -> Result<Option<NewAct>, SqlError> {
        let Some(doer) = doer(&entry.actor) else { return Ok(None) };
        let Some(noted) = self.noted(&entry.record)? else { return Ok(None) };
        Ok(Some(NewAct { seq, at: entry.at, place, doer, noted }))
    }

    /// Notes it.
    ///
    /// # Errors
    /// The engine's.
    pub fn insert_act(&mut self, act: &NewAct) -> Result<(), SqlError> {
        let NewAct { seq, at, place, doer, noted } = act;
        let before = if noted.before.is_empty() {
            None
        } else {
            Some(postcard::to_stdvec(&noted.before).map_err(broken)?)
        };
        let ip = doer.ip.map(|ip| ip.to_string());
        self.sql.execute(
            "INSERT INTO act (seq, at, kind, owner, mailbox, other, subject, actor, session, ip, \
             via, messages, segment, place, before) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            &[
                seq.0.into(),
                at.0.into(),
                noted.kind.code().into(),
                noted.owner.into(),
                noted.mailbox.0.into(),
                noted.other.0.into(),
                noted.subject.as_str().into(),
                doer.account.into(),
                doer.session.map_or(0, |session| session.0).into(),
                ip.as_deref().into(),
                doer.via.map(via_code).into(),
                (noted.messages as u64).into(),
                place.segment.into(),
                place.offset.into(),
                before.as_deref().map_or(Param::Null, Param::Blob),
            ],
        )?;
        let session = doer.session.map_or(0, |session| session.0);
        if session != 0 || ip.is_some() {
            self.sql.execute(
                "INSERT INTO act_run (session, ip, run) VALUES ($1, $2, $3) \
                 ON CONFLICT (session, ip, run) DO NOTHING",
                &[
                    session.into(),
                    ip.as_deref().unwrap_or_default().into(),
                    (seq.0 / crate::act::RUN).into(),
                ],
            )?;
        }
        Ok(())
    }

    fn noted(&mut self, record: &Record) -> Result<Option<Noted>, SqlError> {
        let noted = match record {
            Record::FlagsSet { mailbox, sets, .. } => {
                let messages = sets.iter().map(|(_, uids)| uids.len()).sum();
                self.of_messages(ActKind::Flags, *mailbox, NONE, messages)
            }
            Record::Copied { from, to, messages, .. } => {
                self.of_messages(ActKind::Copied, *to, *from, messages.len())
            }
            Record::Moved { from, to, messages, .. } => {
                self.of_messages(ActKind::Moved, *from, *to, messages.len())
            }
            Record::Expunged { mailbox, uids, .. } => {
                self.of_messages(ActKind::Expunged, *mailbox, NONE, uids.len())
            }
            Record::Restored { from, to, messages, .. } => {
                self.of_messages(ActKind::Restored, *to, *from, messages.len())
            }
            Record::Accepted(mail) if matches!(mail.source, Source::Append { .. }) => {
                let Some(Fate::Delivered { mailbox, .. }) =
                    mail.custodies.first().map(|custody| &custody.fate)
                else {
                    return Ok(None);
                };
                self.of_messages(ActKind::Appended, *mailbox, NONE, 1)
            }
            Record::MailboxCreated { .. }
            | Record::MailboxRenamed { .. }
            | Record::MailboxDeleted { .. }
            | Record::MailboxRestored { .. }
            | Record::Subscription { .. }
            | Record::AclSet { .. }
            | Record::MetadataSet { .. } => return self.of_mailbox(record),
            Record::DomainAdded { .. }
            | Record::DomainRemoved { .. }
            | Record::AccountAdded { .. }
            | Record::AccountRemoved { .. }
            | Record::AccountRestored { .. }
            | Record::AliasSet { .. }
            | Record::AliasRemoved { .. }
            | Record::RouteSet { .. }
            | Record::RouteRemoved { .. }
            | Record::QuotaSet { .. } => self.of_directory(record)?,
            // The queue has its own undoing, keys and rules of the archive theirs. A password or a token that was taken
            // away was taken away for a reason. Mail that comes in is nobody's act.
            Record::CredentialsSet { .. }
            | Record::Accepted(_)
            | Record::AttemptBegun { .. }
            | Record::AttemptDropped { .. }
            | Record::Attempted { .. }
            | Record::Tried(_)
            | Record::Rescheduled { .. }
            | Record::UrlKeySet { .. }
            | Record::UrlKeysReset { .. }
            | Record::CustodiesChanged(_)
            | Record::QueuePaused { .. }
            | Record::TokenAdded { .. }
            | Record::TokenRemoved { .. }
            | Record::SendKeyUsed { .. }
            | Record::Imported { .. }
            | Record::HookSet { .. }
            | Record::HookRemoved { .. }
            | Record::HookReached { .. }
            | Record::KeyChanged(_)
            | Record::Judged(_)
            | Record::TlsRequired { .. }
            | Record::TlsOptional { .. }
            | Record::FutureRelease { .. }
            | Record::PrioritySet { .. }
            | Record::DeliverBy { .. }
            | Record::Reported(_)
            | Record::ReportSpanSet(_)
            | Record::TlsPolicySeen(_)
            | Record::RetentionSet(_)
            | Record::LegalHoldSet(_)
            | Record::HoldsEnded(_)
            | Record::Purged(_)
            | Record::BodiesGone { .. }
            | Record::Promoted(_)
            | Record::OperatorChanged(_)
            | Record::Looked(_)
            | Record::Healed(_)
            | Record::Undone { .. }
            | Record::RelayLoginSet { .. }
            | Record::HookTried { .. }
            | Record::ChangeUndone { .. } => return Ok(None),
        };
        Ok(Some(noted))
    }

    fn of_messages(
        &self,
        kind: ActKind,
        mailbox: MailboxId,
        other: MailboxId,
        messages: usize,
    ) -> Noted {
        let known = self.mailboxes.get(&mailbox);
        Noted {
            kind,
            owner: known.map_or(0, |mailbox| mailbox.account.0),
            mailbox,
            other,
            subject: known.map_or_else(String::new, |mailbox| mailbox.name.clone()),
            messages,
            before: Vec::new(),
        }
    }

    fn of_mailbox(&mut self, record: &Record) -> Result<Option<Noted>, SqlError> {
        let noted = match record {
            Record::MailboxCreated { mailbox, account, name, .. } => Noted {
                kind: ActKind::Created,
                owner: account.0,
                mailbox: *mailbox,
                other: NONE,
                subject: name.clone(),
                messages: 0,
                before: vec![Record::MailboxDeleted { mailbox: *mailbox }],
            },
            Record::MailboxRenamed { mailbox, .. } => {
                let mut noted = self.of_messages(ActKind::Renamed, *mailbox, NONE, 0);
                let name = noted.subject.clone();
                noted.before.push(Record::MailboxRenamed { mailbox: *mailbox, name });
                noted
            }
            Record::MailboxDeleted { mailbox } => self.of_deletion(*mailbox)?,
            Record::MailboxRestored { mailbox, name, .. } => {
                let owner = "SELECT account FROM mailbox WHERE id = $1";
                let owner = self.sql.number(owner, &[mailbox.0.into()])?.unwrap_or(0);
                Noted {
                    kind: ActKind::MailboxRestored,
                    owner: owner.cast_unsigned(),
                    mailbox: *mailbox,
                    other: NONE,
                    subject: name.clone(),
                    messages: 0,
                    before: vec![Record::MailboxDeleted { mailbox: *mailbox }],
                }
            }
            Record::Subscription { account, name, .. } => {
                let query = "SELECT 1 FROM subscription WHERE account = $1 AND name = $2";
                let found = self.sql.number(query, &[account.0.into(), name.as_str().into()])?;
                let (account, subscribed) = (*account, found.is_some());
                Noted {
                    kind: ActKind::Subscribed,
                    owner: account.0,
                    mailbox: NONE,
                    other: NONE,
                    subject: name.clone(),
                    messages: 0,
                    before: vec![Record::Subscription { account, name: name.clone(), subscribed }],
                }
            }
            Record::AclSet { mailbox, grantee, .. } => {
                let mut noted = self.of_messages(ActKind::Shared, *mailbox, NONE, 0);
                let sign = if grantee.negative { "-" } else { "" };
                let id = grantee.account.map_or(0, |account| account.0);
                noted.subject = format!("{sign}{id}");
                let known = self.acl.get(mailbox).into_iter().flatten();
                let rights =
                    known.filter(|(of, _)| of == grantee).map(|(_, rights)| *rights).next();
                let (mailbox, grantee) = (*mailbox, *grantee);
                noted.before.push(Record::AclSet { mailbox, grantee, rights });
                noted
            }
            Record::MetadataSet { mailbox, account, entry, .. } => {
                let of = mailbox.unwrap_or(NONE);
                let mut noted = self.of_messages(ActKind::Annotated, of, NONE, 0);
                // A private one is nobody's but its account's, whoever owns the mailbox.
                if let Some(account) = account {
                    noted.owner = account.0;
                }
                let value = crate::metadata::read_one(&mut self.sql, *mailbox, *account, entry)?;
                let (mailbox, account, entry) = (*mailbox, *account, entry.clone());
                noted.subject.clone_from(&entry);
                noted.before.push(Record::MetadataSet { mailbox, account, entry, value });
                noted
            }
            _ => return Ok(None),
        };
        Ok(Some(noted))
    }

    /// The access control list and the annotations go with a mailbox, and come back with it.
    fn of_deletion(&mut self, mailbox: MailboxId) -> Result<Noted, SqlError> {
        let messages = self.mailboxes.get(&mailbox).map_or(0, |mailbox| mailbox.messages);
        let messages = usize::try_from(messages).unwrap_or(usize::MAX);
        let mut noted = self.of_messages(ActKind::Deleted, mailbox, NONE, messages);
        let mut entries = self.acl.get(&mailbox).cloned().unwrap_or_default();
        entries.sort_by_key(|(grantee, _)| (grantee.account, grantee.negative));
        for (grantee, rights) in entries {
            noted.before.push(Record::AclSet { mailbox, grantee, rights: Some(rights) });
        }
        noted.before.extend(crate::metadata::read_of_mailbox(&mut self.sql, mailbox)?);
        Ok(noted)
    }

    fn of_directory(&mut self, record: &Record) -> Result<Noted, SqlError> {
        let directory = std::sync::Arc::clone(&self.directory);
        let address = |account| {
            let known = directory.account(account);
            known.map_or_else(String::new, |known| known.address.to_string())
        };
        let mut login_before = None;
        let (kind, owner, subject, before) = match record {
            Record::DomainAdded { domain } => {
                let before = Record::DomainRemoved { domain: domain.clone() };
                (ActKind::Domain, 0, domain.to_string(), Some(before))
            }
            Record::DomainRemoved { domain } => {
                let before = Record::DomainAdded { domain: domain.clone() };
                (ActKind::Domain, 0, domain.to_string(), Some(before))
            }
            Record::AccountAdded { account, address, .. } => {
                let before = Record::AccountRemoved { account: *account };
                (ActKind::Account, account.0, address.to_string(), Some(before))
            }
            Record::AccountRemoved { account } => {
                let before = Record::AccountRestored { account: *account };
                (ActKind::Account, account.0, address(*account), Some(before))
            }
            Record::AccountRestored { account } => {
                let before = Record::AccountRemoved { account: *account };
                let mut address = String::new();
                let query = "SELECT address FROM account WHERE id = $1";
                self.sql.query(query, &[account.0.into()], &mut |row| {
                    row.text(0)?.clone_into(&mut address);
                    Ok(())
                })?;
                (ActKind::Account, account.0, address, Some(before))
            }
            Record::AliasSet { alias, .. } | Record::AliasRemoved { alias } => {
                let before = match directory.aliases.get(&alias.folded()) {
                    Some(known) => {
                        Record::AliasSet { alias: alias.clone(), targets: known.targets.clone() }
                    }
                    None => Record::AliasRemoved { alias: alias.clone() },
                };
                (ActKind::Alias, 0, alias.folded(), Some(before))
            }
            Record::RouteSet { domain, .. } | Record::RouteRemoved { domain } => {
                // The login goes with the last route to a smart host, and comes back with it.
                if matches!(record, Record::RouteRemoved { .. })
                    && let Some((relay, login)) = crate::operator::last_login(&directory, domain)
                {
                    login_before = Some(Record::RelayLoginSet { relay, login: Some(login) });
                }
                let before = match directory.routes.get(domain) {
                    Some(known) => Record::RouteSet {
                        domain: domain.clone(),
                        host: known.host.clone(),
                        port: known.port,
                    },
                    None => Record::RouteRemoved { domain: domain.clone() },
                };
                let subject = domain.as_ref().map_or("*", Domain::as_str);
                (ActKind::Route, 0, subject.to_owned(), Some(before))
            }
            Record::QuotaSet { account, .. } => {
                let quota = self.quotas.get(account).copied().unwrap_or_default();
                let before = Record::QuotaSet { account: *account, quota };
                (ActKind::Quota, account.0, address(*account), Some(before))
            }
            // Proven: the caller gives only those above.
            _ => (ActKind::Domain, 0, String::new(), None),
        };
        let before = before.into_iter().chain(login_before).collect();
        Ok(Noted { kind, owner, mailbox: NONE, other: NONE, subject, messages: 0, before })
    }
}

/// `None`: nobody did.
const fn doer(actor: &Actor) -> Option<Doer> {
    match *actor {
        Actor::Account { account, ip, via } => {
            Some(Doer { account: account.0, session: None, ip, via: Some(via) })
        }
        Actor::Session { account, ip, via, session } => {
            Some(Doer { account: account.0, session: Some(session), ip, via: Some(via) })
        }
        Actor::Console { ip, .. } => {
            Some(Doer { account: 0, session: None, ip: Some(ip), via: None })
        }
        Actor::Operator { .. } => Some(Doer { account: 0, session: None, ip: None, via: None }),
        Actor::Peer { .. } | Actor::Server => None,
    }
}
