//! What a signed-in account does to its mailboxes. Each change is one record; what is taken out of
//! a mailbox stays in the archive.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use journal::Disk;
use mail_types::{AccountId, Flags, MailboxId, ModSeq, Right, SystemFlag, Uid};
use mailbox::Rows;

use crate::accept::next_in;
use crate::acl;
use crate::commit::Work;
use crate::flags::flags_not_kept;
use crate::record::{Actor, Record, SessionId, Via};
use crate::{Pending, Refused, Store};

/// The mailbox that every account has (RFC 3501 §5.1).
pub const INBOX: &str = "INBOX";

/// Messages that one command changes.
const MESSAGES_MAX: usize = 1_000_000;
/// Messages named by one record; a change of more is several records of one group.
pub const MESSAGES_PER_RECORD: usize = 50_000;
/// Whose session makes a change.
#[derive(Clone, Copy, Debug)]
pub struct SessionActor {
    /// The account.
    pub account: AccountId,
    /// Where it is.
    pub ip: Option<IpAddr>,
    /// The protocol it uses.
    pub via: Via,
    /// Its number ([`Store::next_session`]), where somebody signed in.
    pub session: Option<SessionId>,
}

impl From<SessionActor> for Actor {
    fn from(actor: SessionActor) -> Self {
        let SessionActor { account, ip, via, session } = actor;
        match session {
            Some(session) => Self::Session { account, ip, via, session },
            None => Self::Account { account, ip, via },
        }
    }
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
            let is_deleted = |flags: &Flags| flags.has(SystemFlag::Deleted);
            let deleted = self::uids(work, mailbox, &ranges, is_deleted)?;
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
            let gone = self::uids(work, mailbox, &uids, |_| true)?;
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
    let (rows, places) = rows(work, from, uids)?;
    let messages = places.iter().map(|places| places.len() as u64).sum();
    let slices = places.into_iter().flat_map(|places| rows.slices(places));
    let bytes = slices.flat_map(|(_, slice)| slice).map(|row| u64::from(row.size)).sum();
    crate::quota::check(work, taker, messages, bytes)
}

/// All messages of a mailbox can go into a new one in one command.
pub fn check_all_can_move(work: &mut Work<'_>, from: MailboxId) -> Result<(), Refused> {
    check_count(uids(work, from, &[(1, u32::MAX)], |_| true)?.len())
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
    let old = self::uids(work, from, uids, |_| true)?;
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
pub fn check_count(messages: usize) -> Result<(), Refused> {
    if messages > MESSAGES_MAX {
        return Err(Refused::Invalid(format!(
            "one command changes at most {MESSAGES_MAX} messages; name fewer"
        )));
    }
    Ok(())
}

/// The messages of a mailbox, and the places in them that ranges of UIDs mean: ascending, each
/// once, however often a client names it.
pub fn rows(
    work: &mut Work<'_>,
    mailbox: MailboxId,
    ranges: &[(u32, u32)],
) -> Result<(Rows, Vec<Range<usize>>), Refused> {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable();
    let mut apart: UidRanges = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match apart.last_mut() {
            Some((_, until)) if first <= *until => *until = last.max(*until),
            _ => apart.push((first, last)),
        }
    }
    let rows = work.rows(mailbox, &apart)?;
    let places = apart.iter().map(|&(first, last)| rows.places(first, last)).collect();
    Ok((rows, places))
}

/// The UIDs of messages in these ranges that are such.
fn uids(
    work: &mut Work<'_>,
    mailbox: MailboxId,
    ranges: &[(u32, u32)],
    is_such: impl Fn(&Flags) -> bool,
) -> Result<Vec<Uid>, Refused> {
    let (rows, places) = rows(work, mailbox, ranges)?;
    let such: Vec<bool> = rows.flag_sets().iter().map(|set| is_such(&set.flags)).collect();
    let slices = places.into_iter().flat_map(|places| rows.slices(places));
    let found = slices.flat_map(|(_, slice)| slice).filter(|row| such[row.flags as usize]);
    Ok(found.map(|row| row.uid()).collect())
}

pub fn mod_seq(work: &Work<'_>, mailbox: MailboxId) -> Result<ModSeq, Refused> {
    let found = work.index.mailboxes.get(&mailbox);
    found.map(|mailbox| mailbox.mod_seq).ok_or_else(|| Refused::Missing("the mailbox".to_owned()))
}
