//! What a signed-in account does to its mailboxes. Each change is one record; what is taken out of
//! a mailbox stays in the archive.

use std::collections::HashMap;
use std::net::IpAddr;

use journal::Disk;
use mail_types::{AccountId, Flags, MailboxId, ModSeq, Right, Rights, SystemFlag, Uid};

use crate::accept::next_in;
use crate::acl;
use crate::boxes::{By, read_mailboxes};
use crate::commit::Work;
use crate::index::Mailbox;
use crate::record::{Actor, Record, Via};
use crate::subscription::{MessageRow, read_rows};
use crate::{Pending, Refused, Store, StoreError};

/// The mailbox that every account has (RFC 3501 §5.1).
pub const INBOX: &str = "INBOX";

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
            let may = acl::rights(work, actor.account, mailbox);
            check_may_flag(may, change, &flags)?;
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
                let new = flags_within(may, &row.flags, new);
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

    /// Copies messages into another mailbox, which may be another account's.
    pub fn copy(
        &self,
        actor: SessionActor,
        mailbox: MailboxId,
        uids: UidRanges,
        to: &str,
    ) -> Pending<Transferred> {
        let to = to.to_owned();
        self.change(move |work| transfer(work, actor, mailbox, &to, &uids, false))
    }

    /// Moves messages into another mailbox, which may be another account's, in one commit (RFC 6851).
    pub fn move_messages(
        &self,
        actor: SessionActor,
        mailbox: MailboxId,
        uids: UidRanges,
        to: &str,
    ) -> Pending<Transferred> {
        let to = to.to_owned();
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
            acl::allow(work, actor.account, mailbox, Right::Expunge)?;
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
            acl::allow(work, actor.account, mailbox, Right::Expunge)?;
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
    // RFC 4314 §4, RFC 6851 §4.4: MOVE takes the rights of COPY, STORE and EXPUNGE together.
    let needed: &[Right] =
        if take_out { &[Right::DeleteMessages, Right::Expunge] } else { &[Right::Read] };
    needed.iter().try_for_each(|&right| acl::allow(work, actor.account, from, right))?;
    let to = acl::find(work, actor.account, to, Right::Insert)?;
    check_room(work, (from, to), uids, take_out)?;
    let changed = flags_not_kept(work, actor, (from, to), uids)?;
    let transferred = transfer_to(work, actor, (from, to), uids, take_out)?;
    if !changed.is_empty() {
        let new: HashMap<Uid, Uid> = transferred.messages.iter().copied().collect();
        let mod_seq = ModSeq(mod_seq(work, to)?.0 + 1);
        for mut sets in changed {
            for (_, uids) in &mut sets {
                *uids = uids.iter().filter_map(|old| new.get(old).copied()).collect();
            }
            work.record(&actor.into(), Record::FlagsSet { mailbox: to, mod_seq, sets })?;
        }
    }
    Ok(transferred)
}

/// RFC 9208 §4: what is copied counts again; what only moves within an account does not.
fn check_room(
    work: &mut Work<'_>,
    (from, to): (MailboxId, MailboxId),
    uids: &[(u32, u32)],
    take_out: bool,
) -> Result<(), Refused> {
    let owner = |mailbox| work.index.mailboxes.get(mailbox).map(|mailbox| mailbox.account);
    let (giver, Some(taker)) = (owner(&from), owner(&to)) else { return Ok(()) };
    if (take_out && giver == Some(taker)) || !work.index.quotas.contains_key(&taker) {
        return Ok(());
    }
    let rows = rows(work, from, uids)?;
    let bytes = rows.iter().map(|row| row.bytes).sum();
    crate::quota::check(work, taker, rows.len() as u64, bytes)
}

/// RFC 4314 §4: only flags that somebody may set come along into another mailbox. The messages
/// for which that makes a difference, by their old UIDs.
fn flags_not_kept(
    work: &mut Work<'_>,
    actor: SessionActor,
    (from, to): (MailboxId, MailboxId),
    uids: &[(u32, u32)],
) -> Result<Vec<FlagSets>, Refused> {
    let may = acl::rights(work, actor.account, to);
    if FLAG_RIGHTS.iter().all(|&right| may.has(right)) {
        return Ok(Vec::new());
    }
    let mut sets: HashMap<Flags, Vec<Uid>> = HashMap::new();
    for row in rows(work, from, uids)? {
        let kept = flags_within(may, &Flags::default(), row.flags.clone());
        if kept != row.flags {
            sets.entry(kept).or_default().push(row.uid);
        }
    }
    in_records(sets)
}

/// Rights to set flags.
const FLAG_RIGHTS: [Right; 3] = [Right::Seen, Right::Write, Right::DeleteMessages];

/// `new`, but for what these rights do not allow to change of `old`.
pub fn flags_within(may: Rights, old: &Flags, new: Flags) -> Flags {
    if FLAG_RIGHTS.iter().all(|&right| may.has(right)) {
        return new;
    }
    let mut kept = if may.has(Right::Write) { new.clone() } else { old.clone() };
    for (flag, right) in
        [(SystemFlag::Seen, Right::Seen), (SystemFlag::Deleted, Right::DeleteMessages)]
    {
        let from = if may.has(right) { &new } else { old };
        if from.has(flag) {
            kept.insert(flag);
        } else {
            kept.remove_all(&Flags::from_iter([flag]));
        }
    }
    kept
}

/// RFC 4314 §4: STORE fails only where none of its flags may be changed.
fn check_may_flag(may: Rights, change: FlagsChange, flags: &Flags) -> Result<(), Refused> {
    let seen = flags.has(SystemFlag::Seen);
    let deleted = flags.has(SystemFlag::Deleted);
    let mut others = flags.clone();
    others.remove_all(&Flags::from_iter([SystemFlag::Seen, SystemFlag::Deleted]));
    let replaces = change == FlagsChange::Replace;
    let wanted = [
        (seen || replaces, Right::Seen),
        (deleted || replaces, Right::DeleteMessages),
        (others != Flags::default() || replaces, Right::Write),
    ];
    let wants_any = wanted.iter().any(|&(wanted, _)| wanted);
    if !wants_any || wanted.iter().any(|&(wanted, right)| wanted && may.has(right)) {
        return Ok(());
    }
    let first = wanted.iter().find(|(wanted, _)| *wanted).map_or(Right::Write, |&(_, right)| right);
    acl::permit(may, first)
}

/// All messages of a mailbox can go into a new one in one command.
pub fn check_all_can_move(work: &mut Work<'_>, from: MailboxId) -> Result<(), Refused> {
    check_count(rows(work, from, &[(1, u32::MAX)])?.len())
}

/// Moves all messages of a mailbox into a new one.
pub fn move_all(
    work: &mut Work<'_>,
    actor: SessionActor,
    from: MailboxId,
    to: MailboxId,
) -> Result<(), Refused> {
    transfer_to(work, actor, (from, to), &[(1, u32::MAX)], true).map(|_| ())
}

fn transfer_to(
    work: &mut Work<'_>,
    actor: SessionActor,
    (from, to): (MailboxId, MailboxId),
    uids: &[(u32, u32)],
    take_out: bool,
) -> Result<Transferred, Refused> {
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
