//! What keeps a message: where it lies, whose it is, and since when nobody has it. From its story
//! alone, so that no delivery pays for it.

use std::collections::BTreeSet;

use journal::Disk;
use mail_types::{AccountId, MailId, MailboxId, RecordSeq, SpecialUse, Timestamp, Uid};

use super::Rules;
use crate::custody::CustodyState;
use crate::record::{Entry, Fate, Place, Record, Source};
use crate::record_archive::{Keep, RetentionOf};
use crate::record_held::Condition;
use crate::record_judged::JudgedAct;
use crate::sql::{Executor, SqlError};
use crate::sqlite::Sqlite;
use crate::trace::read_story;
use crate::{Store, StoreError};

/// Why a message is still there, or is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Somebody is still to get it: a recipient is in this state.
    Open(CustodyState),
    /// It lies in these mailboxes.
    InMailboxes(Vec<(MailboxId, Uid)>),
    /// A legal hold of this name keeps it.
    OnHold(String),
    /// In the archive, until then; none: for ever.
    Until(Option<Timestamp>),
    /// Its time is over.
    Over {
        /// How long it was to be kept.
        keep: Keep,
        /// Whether it had been judged to be junk.
        spam: bool,
        /// Whose rule that is; none: the server's settings.
        of: Option<RetentionOf>,
    },
    /// Its body is gone since then.
    Purged(Timestamp),
}

/// The parts of a story that the index has.
pub struct Parts {
    /// Its acceptance.
    pub accepted_at: Timestamp,
    record_at: Place,
    /// The record that purged it, and when.
    pub purged: Option<(RecordSeq, Timestamp)>,
    /// What happened since, in order.
    pub story: Vec<(RecordSeq, Place)>,
    /// A recipient that is not settled.
    pub open: Option<CustodyState>,
}

/// What the records of a message say.
#[derive(Clone, Debug)]
pub struct Traits {
    /// Where it was put, ever.
    pub places: Vec<(MailboxId, Uid)>,
    /// Who sent it here, or put it in.
    pub sender: Option<AccountId>,
    /// The domains of its recipients.
    pub domains: BTreeSet<String>,
    /// Recipients for whom it was held when it came, in the spelling that addresses are compared by.
    pub held_for: BTreeSet<String>,
    /// It was judged to be junk.
    pub spam: bool,
    /// When something last happened to it.
    pub last_at: Timestamp,
}

/// An account, and its domain.
pub type Owner = (AccountId, Option<String>);

/// Whose a message is, and where it lies.
#[derive(Clone, Debug)]
pub struct Holding {
    /// Accounts that sent it here or had it in a mailbox.
    pub owners: Vec<Owner>,
    /// Where it lies now.
    pub there: Vec<(MailboxId, Uid)>,
    /// It was judged to be junk, and nobody put it anywhere but into their folders for junk and
    /// trash: else somebody wanted it.
    pub spam: bool,
}

/// The first step: what the index has. `None`: there is no such message.
///
/// # Errors
/// The engine's.
pub fn read_parts(sql: &mut impl Executor, mail: MailId) -> Result<Option<Parts>, SqlError> {
    let mut found = None;
    sql.query(
        "SELECT accepted, mail.segment, mail.place, purged, at FROM mail \
         LEFT JOIN purge ON purge.seq = mail.purged WHERE id = $1",
        &[mail.0.into()],
        &mut |row| {
            let place = |column| -> Result<Place, SqlError> {
                let segment = u32::try_from(row.int(column)?).unwrap_or(u32::MAX);
                Ok(Place { segment, offset: row.id(column + 1)? })
            };
            let purged = row.int_or_null(3)?.map(|seq| RecordSeq(seq.cast_unsigned()));
            found = Some(Parts {
                accepted_at: Timestamp(row.int(0)?),
                record_at: place(1)?,
                purged: purged.zip(row.int_or_null(4)?.map(Timestamp)),
                story: Vec::new(),
                open: None,
            });
            Ok(())
        },
    )?;
    let Some(mut parts) = found else { return Ok(None) };
    let open = "SELECT state FROM custody WHERE mail = $1 AND state IN ($2, $3) LIMIT 1";
    let states = [CustodyState::Queued.code().into(), CustodyState::Held.code().into()];
    let open = sql.number(open, &[mail.0.into(), states[0], states[1]])?;
    parts.open = open.and_then(CustodyState::from_code);
    parts.story = read_story(sql, mail)?;
    Ok(Some(parts))
}

/// The second step: what its records say.
///
/// # Errors
/// Where one of them cannot be read.
pub fn follow(
    mail: MailId,
    parts: &Parts,
    read: &dyn Fn(Place) -> Result<Entry, StoreError>,
) -> Result<Traits, StoreError> {
    let mut traits = Traits {
        places: Vec::new(),
        sender: None,
        domains: BTreeSet::new(),
        held_for: BTreeSet::new(),
        spam: false,
        last_at: parts.accepted_at,
    };
    let accepted = read(parts.record_at)?;
    if let Record::Accepted(accepted) = accepted.record {
        traits.sender = match accepted.source {
            Source::Submission { account, .. }
            | Source::Append { account }
            | Source::Import { account } => Some(account),
            Source::Smtp { .. }
            | Source::Lmtp { .. }
            | Source::Report { .. }
            | Source::PeriodReport => None,
        };
        for custody in &accepted.custodies {
            traits.domains.extend(custody.recipient.domain().map(|d| d.as_str().to_owned()));
            match custody.fate {
                Fate::Delivered { mailbox, uid, .. } => traits.places.push((mailbox, uid)),
                Fate::Held(_) => {
                    traits.held_for.insert(custody.recipient.folded());
                }
                Fate::Queued { .. } | Fate::Expanded { .. } => {}
            }
        }
    }
    for (_, at) in &parts.story {
        let entry = read(*at)?;
        traits.last_at = traits.last_at.max(entry.at);
        match &entry.record {
            Record::Copied { from, to, messages, .. }
            | Record::Moved { from, to, messages, .. }
            | Record::Restored { from, to, messages, .. } => {
                let known = |(old, _): &&(Uid, Uid)| traits.places.contains(&(*from, *old));
                let new: Vec<_> =
                    messages.iter().filter(known).map(|(_, new)| (*to, *new)).collect();
                traits.places.extend(new);
            }
            Record::CustodiesChanged(change) => {
                traits.places.extend(change.items.iter().filter_map(|item| match &item.is {
                    Condition::Delivered { mailbox, uid, mail: of, .. } if *of == mail => {
                        Some((*mailbox, *uid))
                    }
                    _ => None,
                }));
            }
            Record::Judged(judged) => {
                traits.spam |= matches!(judged.act, JudgedAct::Junk | JudgedAct::Hold);
            }
            _ => {}
        }
    }
    traits.places.sort_unstable();
    traits.places.dedup();
    Ok(traits)
}

/// The third step: whose it is, and where it lies now.
///
/// # Errors
/// The engine's.
pub fn holding(
    sql: &mut impl Executor,
    mail: MailId,
    traits: &Traits,
) -> Result<Holding, SqlError> {
    let mut accounts: BTreeSet<AccountId> = traits.sender.into_iter().collect();
    // It was theirs, though it never came into a mailbox of theirs; whether they are still there or
    // not.
    for address in &traits.held_for {
        accounts.extend(accounts_of(sql, address)?);
    }
    let (mut there, mut spam) = (Vec::new(), traits.spam);
    for &(mailbox, uid) in &traits.places {
        let query = "SELECT account, special_use FROM mailbox WHERE id = $1";
        sql.query(query, &[mailbox.0.into()], &mut |row| {
            accounts.insert(AccountId(row.id(0)?));
            let unwanted = [SpecialUse::Junk, SpecialUse::Trash].map(SpecialUse::attribute);
            spam &= row.text_or_null(1)?.is_some_and(|of| unwanted.contains(&of));
            Ok(())
        })?;
        let found = "SELECT 1 FROM message WHERE mailbox = $1 AND uid = $2 AND mail = $3";
        let key = [mailbox.0.into(), uid.get().into(), mail.0.into()];
        if sql.number(found, &key)?.is_some() {
            there.push((mailbox, uid));
        }
    }
    let mut owners = Vec::with_capacity(accounts.len());
    for account in accounts {
        let mut domain = None;
        let query = "SELECT address FROM account WHERE id = $1";
        sql.query(query, &[account.0.into()], &mut |row| {
            let text = row.text(0)?;
            domain = text.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
            Ok(())
        })?;
        owners.push((account, domain));
    }
    Ok(Holding { owners, there, spam })
}

/// The accounts that have this address or had it, or the address without what is behind its `+`.
fn accounts_of(sql: &mut impl Executor, address: &str) -> Result<Vec<AccountId>, SqlError> {
    let mut found = Vec::new();
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let plain = local.split_once('+').map(|(local, _)| format!("{local}@{domain}"));
    for address in [Some(address), plain.as_deref()].into_iter().flatten() {
        let query = "SELECT id FROM account WHERE address = $1 COLLATE NOCASE";
        sql.query(query, &[address.into()], &mut |row| {
            found.push(AccountId(row.id(0)?));
            Ok(())
        })?;
    }
    Ok(found)
}

/// A message with what keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub kept: Kept,
    /// The last record of its story: what was found holds as long as there is no later one.
    pub seen: RecordSeq,
    pub last_at: Timestamp,
    pub there: Vec<(MailboxId, Uid)>,
    /// The legal hold over it, wherever it lies.
    pub hold: Option<String>,
}

/// How new what is read must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum As {
    /// With everything that was acknowledged.
    OfNow,
    /// As of the last commit of the index, a moment ago: work in the background has nobody's answer
    /// wait for another one.
    Committed,
}

impl<D: Disk> Store<D> {
    pub(super) fn read_as<T>(
        &self,
        when: As,
        read: impl FnOnce(&mut Sqlite) -> Result<T, SqlError>,
    ) -> Result<T, StoreError> {
        match when {
            As::OfNow => self.read(read),
            As::Committed => self.read_committed(read),
        }
    }

    /// What keeps a message; `None`: there is none.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn kept(&self, mail: MailId, rules: &Rules) -> Result<Option<Kept>, StoreError> {
        Ok(self.standing(mail, rules, As::OfNow)?.map(|standing| standing.kept))
    }

    /// The rules as of now.
    ///
    /// # Errors
    /// The index's.
    pub fn retention_rules(&self) -> Result<Rules, StoreError> {
        let default = self.retention;
        self.read(|sql| Rules::read(sql, default))
    }

    pub(crate) fn standing(
        &self,
        mail: MailId,
        rules: &Rules,
        when: As,
    ) -> Result<Option<Standing>, StoreError> {
        let parts = self.read_as(when, |sql| read_parts(sql, mail))?;
        let Some(parts) = parts else { return Ok(None) };
        let traits = follow(mail, &parts, &|at| self.entry_at(at))?;
        let Holding { owners, there, spam } =
            self.read_as(when, |sql| holding(sql, mail, &traits))?;
        let hold = rules.hold(&owners, parts.accepted_at).map(|known| known.hold.name.clone());
        let kept = if let Some((_, at)) = parts.purged {
            Kept::Purged(at)
        } else if let Some(state) = parts.open {
            Kept::Open(state)
        } else if !there.is_empty() {
            Kept::InMailboxes(there.clone())
        } else if let Some(name) = &hold {
            Kept::OnHold(name.clone())
        } else {
            let (keep, of) = rules.keep(&owners, &traits.domains, spam);
            let until = ends(traits.last_at, keep);
            match until {
                Some(until) if until <= (self.clock)() => Kept::Over { keep, spam, of },
                until => Kept::Until(until),
            }
        };
        Ok(Some(Standing {
            kept,
            seen: parts.story.last().map_or(RecordSeq(0), |(seq, _)| *seq),
            last_at: traits.last_at,
            there,
            hold,
        }))
    }
}

/// When what nobody has since `since` may go; `None`: never.
pub(crate) fn ends(since: Timestamp, keep: Keep) -> Option<Timestamp> {
    match keep {
        Keep::Secs(secs) => {
            let millis = i64::try_from(secs.saturating_mul(1000)).unwrap_or(i64::MAX);
            Some(Timestamp(since.0.saturating_add(millis)))
        }
        Keep::Forever => None,
    }
}
