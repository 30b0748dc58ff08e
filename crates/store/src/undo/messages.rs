//! Messages: out of a mailbox again, back where they were.

use std::collections::BTreeMap;

use mail_types::{AccountId, MailboxId, ModSeq, Uid};

use super::{Plan, Skip, Taken, names};
use crate::Refused;
use crate::accept::next_in;
use crate::act::Act;
use crate::bring_back::owner;
use crate::commit::Work;
use crate::mailboxes::{MESSAGES_PER_RECORD, mod_seq};
use crate::record::{Actor, Fate, Record};
use crate::sql::{Executor, SqlError};

/// Steps from mailbox to mailbox that are followed: more than anybody moves one message.
const STEPS_MAX: usize = 1000;
/// Why what is in a mailbox of another account by now stays as it is there.
pub(super) const OF_OTHERS: &str = "messages that somebody else has by now";

/// Where a message has got to.
pub enum Now {
    /// It is in this mailbox.
    In(MailboxId, Uid),
    /// It was taken out of this one.
    OutOf(MailboxId, Uid),
}

/// Follows a message from a place where it was.
pub fn now(work: &mut Work<'_>, mailbox: MailboxId, uid: Uid) -> Result<Now, Refused> {
    follow(&mut work.index.sql, mailbox, uid).map_err(|error| work.fail(error.into()))
}

fn follow(sql: &mut impl Executor, mailbox: MailboxId, uid: Uid) -> Result<Now, SqlError> {
    let (mut mailbox, mut uid) = (mailbox, uid);
    for _ in 0..STEPS_MAX {
        let key = [mailbox.0.into(), uid.get().into()];
        let mut next = None;
        sql.query(
            "SELECT next_mailbox, next_uid FROM expunged WHERE mailbox = $1 AND uid = $2",
            &key,
            &mut |row| {
                let there = row.int_or_null(0)?.map(|id| MailboxId(id.cast_unsigned()));
                let its = row.int_or_null(1)?.and_then(|uid| Uid::new(u32::try_from(uid).ok()?));
                next = Some(there.zip(its));
                Ok(())
            },
        )?;
        match next {
            None => return Ok(Now::In(mailbox, uid)),
            Some(None) => return Ok(Now::OutOf(mailbox, uid)),
            Some(Some(place)) => (mailbox, uid) = place,
        }
    }
    Ok(Now::OutOf(mailbox, uid))
}

/// Messages by the mailbox they are in.
type ByMailbox = BTreeMap<MailboxId, Vec<Uid>>;

/// Whether a mailbox is not of the account whose acts alone are taken back: what got there is not
/// the account's to change any more, whatever it did to it before.
pub(super) fn is_of_another(
    work: &mut Work<'_>,
    mine: Option<AccountId>,
    mailbox: MailboxId,
) -> Result<bool, Refused> {
    Ok(mine.is_some() && owner(work, mailbox)? != mine)
}

/// Those that are in a mailbox, by mailbox; the others are skipped.
fn places(
    work: &mut Work<'_>,
    taken: &mut Taken,
    messages: impl Iterator<Item = (MailboxId, Uid)>,
) -> Result<ByMailbox, Refused> {
    let (mut found, mut gone) = (ByMailbox::new(), 0);
    for (mailbox, uid) in messages {
        match now(work, mailbox, uid)? {
            Now::In(mailbox, uid) => found.entry(mailbox).or_default().push(uid),
            Now::OutOf(..) => gone += 1,
        }
    }
    taken.skip("messages deleted since", gone);
    Ok(found)
}

/// What an act put into a mailbox goes out of it.
pub(super) fn take_out(
    work: &mut Work<'_>,
    actor: &Actor,
    plan: &Plan,
) -> Result<Result<Taken, Skip>, Refused> {
    let mut put_in: Vec<(MailboxId, Uid)> = Vec::new();
    match &plan.record {
        Some(Record::Copied { to, messages, .. } | Record::Restored { to, messages, .. }) => {
            put_in.extend(messages.iter().map(|&(_, uid)| (*to, uid)));
        }
        Some(Record::Accepted(mail)) => {
            for custody in &mail.custodies {
                if let Fate::Delivered { mailbox, uid, .. } = custody.fate {
                    put_in.push((mailbox, uid));
                }
            }
        }
        _ => {}
    }
    let mut taken = Taken::default();
    for (mailbox, mut uids) in places(work, &mut taken, put_in.into_iter())? {
        if is_of_another(work, plan.owner, mailbox)? {
            taken.skip(OF_OTHERS, uids.len() as u64);
            continue;
        }
        uids.sort_unstable();
        let mod_seq = ModSeq(mod_seq(work, mailbox)?.0 + 1);
        for uids in uids.chunks(MESSAGES_PER_RECORD) {
            work.record(actor, Record::Expunged { mailbox, mod_seq, uids: uids.to_vec() })?;
            taken.messages += uids.len() as u64;
        }
    }
    Ok(Ok(taken))
}

/// What was moved goes back. What is in a mailbox of somebody else's by now stays there, and comes
/// back as a copy.
pub(super) fn move_back(
    work: &mut Work<'_>,
    actor: &Actor,
    plan: &Plan,
) -> Result<Result<Taken, Skip>, Refused> {
    let Some(Record::Moved { from, to, messages, .. }) = &plan.record else {
        return Ok(Ok(Taken::default()));
    };
    let mut taken = Taken::default();
    let found = places(work, &mut taken, messages.iter().map(|&(_, uid)| (*to, uid)))?;
    if found.is_empty() {
        return Ok(Ok(taken));
    }
    let target = match names::target(work, actor, *from)? {
        Ok(target) => target,
        Err(why) => return Ok(Err(why)),
    };
    check_uids(work, target, &found)?;
    for (mailbox, mut uids) in found {
        if mailbox == target {
            taken.skip("messages back already", uids.len() as u64);
            continue;
        }
        uids.sort_unstable();
        let stays = is_of_another(work, plan.owner, mailbox)?;
        let (first, to_mod_seq) = next_in(work, target)?;
        let messages = numbered(first, &uids)?;
        let from_mod_seq = ModSeq(mod_seq(work, mailbox)?.0 + 1);
        for messages in messages.chunks(MESSAGES_PER_RECORD) {
            taken.messages += messages.len() as u64;
            let (from, to, messages) = (mailbox, target, messages.to_vec());
            let record = if stays {
                Record::Copied { from, to, mod_seq: to_mod_seq, messages }
            } else {
                Record::Moved { from, to, from_mod_seq, to_mod_seq, messages }
            };
            work.record(actor, record)?;
        }
    }
    Ok(Ok(taken))
}

/// What was expunged comes back.
pub(super) fn bring_back(
    work: &mut Work<'_>,
    actor: &Actor,
    plan: &Plan,
) -> Result<Result<Taken, Skip>, Refused> {
    let act: &Act = &plan.act;
    let mut taken = Taken::default();
    let Some(mailbox) = act.mailbox else { return Ok(Ok(taken)) };
    let mut uids: Vec<Uid> = Vec::new();
    let mut purged = 0;
    let read = work.index.sql.query(
        "SELECT uid, purged FROM expunged JOIN mail ON mail.id = expunged.mail \
         WHERE mailbox = $1 AND seq = $2 ORDER BY uid",
        &[mailbox.0.into(), act.seq.0.into()],
        &mut |row| {
            match row.int_or_null(1)? {
                None => uids.extend(u32::try_from(row.int(0)?).ok().and_then(Uid::new)),
                Some(_) => purged += 1,
            }
            Ok(())
        },
    );
    if let Err(error) = read {
        return Err(work.fail(error.into()));
    }
    let (mut gone, mut there, mut of_others) = (ByMailbox::new(), 0, 0);
    for uid in uids {
        match now(work, mailbox, uid)? {
            Now::In(..) => there += 1,
            Now::OutOf(mailbox, _) if is_of_another(work, plan.owner, mailbox)? => of_others += 1,
            Now::OutOf(mailbox, uid) => gone.entry(mailbox).or_default().push(uid),
        }
    }
    taken.skip("messages back already", there);
    taken.skip(OF_OTHERS, of_others);
    taken.skip("messages purged since", purged);
    if gone.is_empty() {
        return Ok(Ok(taken));
    }
    let target = match names::target(work, actor, mailbox)? {
        Ok(target) => target,
        Err(why) => return Ok(Err(why)),
    };
    check_uids(work, target, &gone)?;
    for (from, uids) in gone {
        let (first, mod_seq) = next_in(work, target)?;
        for messages in numbered(first, &uids)?.chunks(MESSAGES_PER_RECORD) {
            taken.messages += messages.len() as u64;
            let messages = messages.to_vec();
            work.record(actor, Record::Restored { from, to: target, mod_seq, messages })?;
        }
    }
    Ok(Ok(taken))
}

/// Whether so many UIDs are left: behind the first record it would be too late to refuse.
fn check_uids(work: &mut Work<'_>, target: MailboxId, all: &ByMailbox) -> Result<(), Refused> {
    let (first, _) = next_in(work, target)?;
    let count = all.values().map(|uids| uids.len() as u64).sum::<u64>();
    if count > u64::from(u32::MAX) - u64::from(first.get()) {
        return Err(Refused::UidsUsedUp);
    }
    Ok(())
}

/// UID there, UID here, from the first that is free.
fn numbered(first: Uid, uids: &[Uid]) -> Result<Vec<(Uid, Uid)>, Refused> {
    if uids.len() as u64 > u64::from(u32::MAX) - u64::from(first.get()) {
        return Err(Refused::UidsUsedUp);
    }
    let new = (first.get()..).filter_map(Uid::new);
    Ok(uids.iter().copied().zip(new).collect())
}
