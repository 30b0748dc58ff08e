//! What a signed-in account does to its mailboxes. Each change is one record; what is taken out of
//! a mailbox stays in the archive.

use std::collections::HashMap;
use std::net::IpAddr;

use journal::Disk;
use mail_types::{AccountId, Flags, MailboxId, ModSeq, SpecialUse, Uid};

use crate::accept::next_in;
use crate::boxes::{By, read_mailboxes};
use crate::commit::Work;
use crate::index::Mailbox;
use crate::record::{Actor, Record, Via};
use crate::sql::Executor;
use crate::subscription::{MessageRow, read_rows};
use crate::{Pending, Refused, Store, StoreError};

/// The mailbox that every account has (RFC 3501 §5.1).
pub const INBOX: &str = "INBOX";
/// Mailboxes an account may have.
const MAILBOXES_MAX: usize = 10_000;
/// Bytes in a mailbox name.
const NAME_BYTES_MAX: usize = 1000;
/// Levels in a mailbox name, as IMAP takes them too.
const NAME_LEVELS_MAX: usize = 32;
/// Names that an account may subscribe to.
const SUBSCRIPTIONS_MAX: i64 = 10_000;

/// Messages that one command changes.
const MESSAGES_MAX: usize = 1_000_000;
/// Messages named by one record; a change of more is several records of one group.
const MESSAGES_PER_RECORD: usize = 50_000;
/// Bytes of flags that one command records.
const FLAGS_BYTES_MAX: usize = 8 << 20;
/// Bytes of flags in one record, of which the journal takes 4 MiB.
const FLAGS_BYTES_PER_RECORD: usize = 1 << 20;

/// Whose session makes a change.
#[derive(Clone, Copy, Debug)]
pub struct SessionActor {
    /// The account.
    pub account: AccountId,
    /// Where it is.
    pub ip: Option<IpAddr>,
    /// The protocol it uses.
    pub via: Via,
}

impl From<SessionActor> for Actor {
    fn from(session: SessionActor) -> Self {
        Self::Account { account: session.account, ip: session.ip, via: session.via }
    }
}

/// What STORE does with its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagsChange {
    /// FLAGS
    Replace,
    /// +FLAGS
    Add,
    /// -FLAGS
    Remove,
}

/// What came of a change of flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagsOutcome {
    /// Messages left alone since they changed after `unchanged_since` (RFC 7162 §3.1.3).
    pub modified: Vec<Uid>,
    /// HIGHESTMODSEQ of the mailbox now.
    pub mod_seq: ModSeq,
}

/// Messages that were copied or moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// UIDVALIDITY of the mailbox they are in now.
    pub uid_validity: u32,
    /// UID there, UID here, in order.
    pub messages: Vec<(Uid, Uid)>,
}

/// Inclusive ranges of UIDs, first ≤ last.
pub type UidRanges = Vec<(u32, u32)>;

impl<D: Disk> Store<D> {
    /// A mailbox with all its messages by UID, as of one moment.
    ///
    /// # Errors
    /// The index's.
    pub fn snapshot(
        &self,
        mailbox: MailboxId,
    ) -> Result<Option<(Mailbox, Vec<MessageRow>)>, StoreError> {
        self.read(|sql| {
            let mut found = None;
            read_mailboxes(sql, By::Id(mailbox), &mut |mailbox| found = Some(mailbox))?;
            let Some(found) = found else { return Ok(None) };
            let mut rows = Vec::with_capacity(usize::try_from(found.messages).unwrap_or(0));
            read_rows(sql, mailbox, 1, u32::MAX, &mut |row| rows.push(row))?;
            Ok(Some((found, rows)))
        })
    }

    /// Makes a mailbox, and those above it that are missing (RFC 3501 §6.3.3).
    pub fn create_mailbox(
        &self,
        actor: SessionActor,
        name: &str,
        special_use: Option<SpecialUse>,
    ) -> Pending<MailboxId> {
        let name = canonical(name);
        self.change(move |work| {
            check_name(&name)?;
            if lookup(work, actor.account, &name).is_some() {
                return Err(Refused::Exists(format!("mailbox {name}")));
            }
            let missing = missing_parents(work, actor.account, &name);
            check_room(work, actor.account, missing.len() + 1)?;
            create_all(work, actor, missing)?;
            create(work, &actor.into(), actor.account, name, special_use)
        })
    }

    /// Deletes a mailbox; its messages stay in the archive. Those below it stay where they are: its
    /// name is then none that can be selected or deleted, until nothing is below it (RFC 3501 §6.3.4).
    pub fn delete_mailbox(&self, actor: SessionActor, name: &str) -> Pending<()> {
        let name = canonical(name);
        self.change(move |work| {
            if name == INBOX {
                return Err(Refused::Invalid("INBOX cannot be deleted".to_owned()));
            }
            if lookup(work, actor.account, &name).is_none() && has_below(work, actor.account, &name)
            {
                return Err(Refused::HasChildren(name));
            }
            let mailbox = find(work, actor.account, &name)?;
            work.record(&actor.into(), Record::MailboxDeleted { mailbox })
        })
    }

    /// Renames a mailbox with everything below it. Renaming INBOX moves its messages into a new
    /// mailbox and leaves it empty (RFC 3501 §6.3.5).
    pub fn rename_mailbox(&self, actor: SessionActor, from: &str, to: &str) -> Pending<()> {
        let (from, to) = (canonical(from), canonical(to));
        self.change(move |work| {
            check_name(&to)?;
            // A name that is no mailbox itself takes those below it along all the same.
            let mailbox = lookup(work, actor.account, &from);
            if mailbox.is_none() && !has_below(work, actor.account, &from) {
                return Err(Refused::Missing(format!("mailbox {from}")));
            }
            if lookup(work, actor.account, &to).is_some() {
                return Err(Refused::Exists(format!("mailbox {to}")));
            }
            if to.starts_with(&format!("{from}/")) && from != INBOX {
                return Err(Refused::Invalid(format!("{to} lies below {from} itself")));
            }
            let missing = missing_parents(work, actor.account, &to);
            check_room(work, actor.account, missing.len() + 1)?;
            if let (INBOX, Some(mailbox)) = (&*from, mailbox) {
                let all = [(1, u32::MAX)];
                check_count(rows(work, mailbox, &all)?.len())?;
                create_all(work, actor, missing)?;
                create(work, &actor.into(), actor.account, to.clone(), None)?;
                transfer(work, actor, mailbox, &to, &all, true)?;
                return Ok(());
            }
            let below = format!("{from}/");
            let children: Vec<(MailboxId, String)> = work
                .index
                .mailbox_names
                .get(&actor.account)
                .into_iter()
                .flatten()
                .filter_map(|(name, &id)| {
                    Some((id, format!("{to}/{}", name.strip_prefix(&below)?)))
                })
                .collect();
            // The mailbox that had the new name may be deleted and have left others below it.
            for (_, name) in &children {
                check_name(name)?;
                if lookup(work, actor.account, name).is_some() {
                    return Err(Refused::Exists(format!("mailbox {name}")));
                }
            }
            create_all(work, actor, missing)?;
            let itself = mailbox.map(|mailbox| (mailbox, to));
            for (mailbox, name) in itself.into_iter().chain(children) {
                work.record(&actor.into(), Record::MailboxRenamed { mailbox, name })?;
            }
            Ok(())
        })
    }

    /// Puts a name on the list of LSUB, or takes it off.
    pub fn set_subscribed(&self, actor: SessionActor, name: &str, subscribed: bool) -> Pending<()> {
        let name = canonical(name);
        self.change(move |work| {
            check_name(&name)?;
            let account = actor.account;
            if subscribed {
                check_subscriptions(work, account)?;
            }
            work.record(&actor.into(), Record::Subscription { account, name, subscribed })
        })
    }

    /// Changes flags of the messages in these ranges.
    pub fn set_flags(
        &self,
        actor: SessionActor,
        mailbox: MailboxId,
        uids: UidRanges,
        change: FlagsChange,
        flags: Flags,
        unchanged_since: Option<ModSeq>,
    ) -> Pending<FlagsOutcome> {
        self.change(move |work| {
            own(work, actor, mailbox)?;
            let mut modified = Vec::new();
            let mut sets: HashMap<Flags, Vec<Uid>> = HashMap::new();
            for row in rows(work, mailbox, &uids)? {
                if unchanged_since.is_some_and(|limit| row.mod_seq > limit) {
                    modified.push(row.uid);
                    continue;
                }
                let mut new = row.flags.clone();
                match change {
                    FlagsChange::Replace => new = flags.clone(),
                    FlagsChange::Add => new.add_all(&flags),
                    FlagsChange::Remove => new.remove_all(&flags),
                }
                if new == row.flags {
                    continue;
                }
                sets.entry(new).or_default().push(row.uid);
            }
            let current = mod_seq(work, mailbox)?;
            if sets.is_empty() {
                return Ok(FlagsOutcome { modified, mod_seq: current });
            }
            let mod_seq = ModSeq(current.0 + 1);
            for sets in in_records(sets)? {
                work.record(&actor.into(), Record::FlagsSet { mailbox, mod_seq, sets })?;
            }
            Ok(FlagsOutcome { modified, mod_seq })
        })
    }

    /// Copies messages into another mailbox of the account.
    pub fn copy(
        &self,
        actor: SessionActor,
        mailbox: MailboxId,
        uids: UidRanges,
        to: &str,
    ) -> Pending<Transferred> {
        let to = canonical(to);
        self.change(move |work| transfer(work, actor, mailbox, &to, &uids, false))
    }

    /// Moves messages into another mailbox of the account, in one commit (RFC 6851).
    pub fn move_messages(
        &self,
        actor: SessionActor,
        mailbox: MailboxId,
        uids: UidRanges,
        to: &str,
    ) -> Pending<Transferred> {
        let to = canonical(to);
        self.change(move |work| transfer(work, actor, mailbox, &to, &uids, true))
    }

    /// Takes out of the mailbox what has `\Deleted`, among `uids` if given (UID EXPUNGE).
    pub fn expunge(
        &self,
        actor: SessionActor,
        mailbox: MailboxId,
        uids: Option<UidRanges>,
    ) -> Pending<Vec<Uid>> {
        self.change(move |work| {
            own(work, actor, mailbox)?;
            let ranges = uids.unwrap_or_else(|| vec![(1, u32::MAX)]);
            let deleted = rows(work, mailbox, &ranges)?
                .into_iter()
                .filter(|row| row.flags.has(mail_types::SystemFlag::Deleted))
                .map(|row| row.uid)
                .collect();
            take_out(work, actor, mailbox, deleted)
        })
    }

    /// Takes these messages out of the mailbox, whatever their flags (POP3 DELE).
    pub fn remove(
        &self,
        actor: SessionActor,
        mailbox: MailboxId,
        uids: UidRanges,
    ) -> Pending<Vec<Uid>> {
        self.change(move |work| {
            own(work, actor, mailbox)?;
            let gone = rows(work, mailbox, &uids)?.into_iter().map(|row| row.uid).collect();
            take_out(work, actor, mailbox, gone)
        })
    }
}

/// Takes these messages out of the mailbox.
pub fn take_out(
    work: &mut Work<'_>,
    actor: SessionActor,
    mailbox: MailboxId,
    uids: Vec<Uid>,
) -> Result<Vec<Uid>, Refused> {
    if !uids.is_empty() {
        check_count(uids.len())?;
        let mod_seq = ModSeq(mod_seq(work, mailbox)?.0 + 1);
        for uids in uids.chunks(MESSAGES_PER_RECORD) {
            let record = Record::Expunged { mailbox, mod_seq, uids: uids.to_vec() };
            work.record(&actor.into(), record)?;
        }
    }
    Ok(uids)
}

fn transfer(
    work: &mut Work<'_>,
    actor: SessionActor,
    from: MailboxId,
    to: &str,
    uids: &[(u32, u32)],
    take_out: bool,
) -> Result<Transferred, Refused> {
    own(work, actor, from)?;
    let to = find(work, actor.account, to)?;
    let (first, to_mod_seq) = next_in(work, to)?;
    let old: Vec<Uid> = rows(work, from, uids)?.into_iter().map(|row| row.uid).collect();
    check_count(old.len())?;
    let room = u64::from(u32::MAX) - u64::from(first.get());
    if old.len() as u64 > room {
        return Err(Refused::UidsUsedUp);
    }
    let messages: Vec<(Uid, Uid)> =
        (first.get()..).zip(old).filter_map(|(new, old)| Some((old, Uid::new(new)?))).collect();
    let uid_validity = work.index.mailboxes.get(&to).map_or(0, |mailbox| mailbox.uid_validity);
    // Within one mailbox the messages come behind themselves: two steps of its MODSEQ.
    let from_mod_seq = ModSeq(if from == to { to_mod_seq.0 } else { mod_seq(work, from)?.0 } + 1);
    for messages in messages.chunks(MESSAGES_PER_RECORD) {
        let messages = messages.to_vec();
        let record = if take_out {
            Record::Moved { from, to, from_mod_seq, to_mod_seq, messages }
        } else {
            Record::Copied { from, to, mod_seq: to_mod_seq, messages }
        };
        work.record(&actor.into(), record)?;
    }
    Ok(Transferred { uid_validity, messages })
}

/// Bounds what one command adds to its group, which must fit into the journal's limits.
fn check_count(messages: usize) -> Result<(), Refused> {
    if messages > MESSAGES_MAX {
        return Err(Refused::Invalid(format!(
            "one command changes at most {MESSAGES_MAX} messages; name fewer"
        )));
    }
    Ok(())
}

/// Each set of flags with the messages that have it.
type FlagSets = Vec<(Flags, Vec<Uid>)>;

/// Sets of flags in as many records as they need.
fn in_records(sets: HashMap<Flags, Vec<Uid>>) -> Result<Vec<FlagSets>, Refused> {
    check_count(sets.values().map(Vec::len).sum())?;
    let mut sets: Vec<_> = sets.into_iter().collect();
    sets.sort_by_key(|(_, uids)| uids.first().copied());
    let mut records: Vec<FlagSets> = Vec::new();
    let (mut messages, mut bytes, mut bytes_in_all) = (0, 0, 0);
    for (flags, uids) in sets {
        let flags_bytes: usize = flags.keywords().iter().map(|word| word.as_str().len() + 2).sum();
        for uids in uids.chunks(MESSAGES_PER_RECORD) {
            bytes_in_all += flags_bytes;
            if records.is_empty()
                || messages + uids.len() > MESSAGES_PER_RECORD
                || bytes + flags_bytes > FLAGS_BYTES_PER_RECORD
            {
                records.push(Vec::new());
                (messages, bytes) = (0, 0);
            }
            messages += uids.len();
            bytes += flags_bytes;
            if let Some(record) = records.last_mut() {
                record.push((flags.clone(), uids.to_vec()));
            }
        }
    }
    if bytes_in_all > FLAGS_BYTES_MAX {
        return Err(Refused::Invalid("too many different flags; name fewer messages".to_owned()));
    }
    Ok(records)
}

/// The messages of a mailbox in these ranges.
pub fn rows(
    work: &mut Work<'_>,
    mailbox: MailboxId,
    ranges: &[(u32, u32)],
) -> Result<Vec<MessageRow>, Refused> {
    let mut rows = Vec::new();
    // Ranges that overlap are read once, however often a client names them.
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable();
    let mut read_until = 0;
    for (first, last) in ranges {
        let first = first.max(read_until);
        if first > last {
            continue;
        }
        read_until = last.saturating_add(1);
        let read = read_rows(&mut work.index.sql, mailbox, first, last, &mut |row| rows.push(row));
        if let Err(error) = read {
            return Err(work.fail(error.into()));
        }
    }
    Ok(rows)
}

fn mod_seq(work: &Work<'_>, mailbox: MailboxId) -> Result<ModSeq, Refused> {
    let found = work.index.mailboxes.get(&mailbox);
    found.map(|mailbox| mailbox.mod_seq).ok_or_else(|| Refused::Missing("the mailbox".to_owned()))
}

/// The mailbox is the session's own and still there.
pub fn own(work: &Work<'_>, actor: SessionActor, mailbox: MailboxId) -> Result<(), Refused> {
    match work.index.mailboxes.get(&mailbox) {
        Some(found) if found.account == actor.account => Ok(()),
        _ => Err(Refused::Missing("the mailbox".to_owned())),
    }
}

fn lookup(work: &Work<'_>, account: AccountId, name: &str) -> Option<MailboxId> {
    work.index.mailbox_names.get(&account)?.get(name).copied()
}

/// The mailbox of this name, which is canonical.
pub fn find(work: &Work<'_>, account: AccountId, name: &str) -> Result<MailboxId, Refused> {
    lookup(work, account, &canonical(name))
        .ok_or_else(|| Refused::Missing(format!("mailbox {name}")))
}

/// INBOX in any case is INBOX (RFC 3501 §5.1), also above others.
pub fn canonical(name: &str) -> String {
    let (top, rest) = name.split_once('/').map_or((name, None), |(top, rest)| (top, Some(rest)));
    match rest {
        _ if !top.eq_ignore_ascii_case(INBOX) => name.to_owned(),
        None => INBOX.to_owned(),
        Some(rest) => format!("{INBOX}/{rest}"),
    }
}

fn check_name(name: &str) -> Result<(), Refused> {
    let levels = name.split('/').count();
    if name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || levels > NAME_LEVELS_MAX
        || name.split('/').any(str::is_empty)
        || name.chars().any(char::is_control)
    {
        return Err(Refused::Invalid(format!(
            "a mailbox name has 1 to {NAME_BYTES_MAX} bytes in at most {NAME_LEVELS_MAX} levels, \
             none of them empty, and no control characters"
        )));
    }
    Ok(())
}

/// Names above this one that no mailbox has.
fn missing_parents(work: &Work<'_>, account: AccountId, name: &str) -> Vec<String> {
    name.match_indices('/')
        .map(|(end, _)| name[..end].to_owned())
        .filter(|parent| lookup(work, account, parent).is_none())
        .collect()
}

/// Whether mailboxes are below this name.
fn has_below(work: &Work<'_>, account: AccountId, name: &str) -> bool {
    let below = |other: &String| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    work.index.mailbox_names.get(&account).is_some_and(|names| names.keys().any(below))
}

fn create_all(work: &mut Work<'_>, actor: SessionActor, names: Vec<String>) -> Result<(), Refused> {
    for name in names {
        create(work, &actor.into(), actor.account, name, None)?;
    }
    Ok(())
}

fn check_room(work: &Work<'_>, account: AccountId, more: usize) -> Result<(), Refused> {
    let known = work.index.mailbox_names.get(&account).map_or(0, HashMap::len);
    if known + more > MAILBOXES_MAX {
        return Err(Refused::Invalid(format!("an account has at most {MAILBOXES_MAX} mailboxes")));
    }
    Ok(())
}

/// Names of mailboxes that do not exist can be subscribed to as well, so they have their own limit.
fn check_subscriptions(work: &mut Work<'_>, account: AccountId) -> Result<(), Refused> {
    let query = "SELECT count(*) FROM subscription WHERE account = $1";
    match work.index.sql.number(query, &[account.0.into()]) {
        Ok(count) if count.unwrap_or(0) < SUBSCRIPTIONS_MAX => Ok(()),
        Ok(_) => Err(Refused::Invalid(format!(
            "an account subscribes to at most {SUBSCRIPTIONS_MAX} names"
        ))),
        Err(error) => Err(work.fail(error.into())),
    }
}

/// Makes one mailbox. UIDVALIDITY grows with the clock and never comes twice in this store, so a
/// mailbox made under an old name is another one to every client (RFC 3501 §2.3.1.1).
pub fn create(
    work: &mut Work<'_>,
    actor: &Actor,
    account: AccountId,
    name: String,
    special_use: Option<SpecialUse>,
) -> Result<MailboxId, Refused> {
    check_room(work, account, 1)?;
    let by_clock = u32::try_from(work.now.secs()).unwrap_or(0);
    let uid_validity = by_clock.max(work.index.last.uid_validity.saturating_add(1));
    let mailbox = MailboxId(work.index.last.mailbox + 1);
    work.record(
        actor,
        Record::MailboxCreated { mailbox, account, name, uid_validity, special_use },
    )?;
    Ok(mailbox)
}
