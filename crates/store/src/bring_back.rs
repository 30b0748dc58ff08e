//! Messages of the archive back into mailboxes: one that somebody names, and many at once.

use std::collections::{BTreeMap, BTreeSet};

use journal::Disk;
use mail_types::{AccountId, MailboxId, RecordSeq, Uid};

use crate::accept::next_in;
use crate::commit::Work;
use crate::mailboxes::MESSAGES_PER_RECORD;
use crate::record::{Actor, Record};
use crate::sql::Executor;
use crate::undo::Now;
use crate::{Pending, Refused, Store};

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BroughtBack {
    /// It is there now.
    Put(Uid),
    /// It was there.
    WasThere(Uid),
    /// It is out of every mailbox of this account, and is in none to copy it from: its bytes must be
    /// put in anew.
    NowhereNear,
}

/// A message that was deleted, and where it is to be again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComeBack {
    /// A place where it was: the mailbox…
    pub mailbox: MailboxId,
    /// …and its UID there.
    pub uid: Uid,
    /// Whose it was.
    pub account: AccountId,
    /// The name of the account's mailbox that it comes back into; none: the one it was in, which is
    /// made anew where it is gone.
    pub to: Option<String>,
}

/// What came of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CameBack {
    /// Messages that are in a mailbox again.
    pub messages: u64,
    /// Those that were in one already.
    pub there: u64,
    /// Those that cannot be had back: purged since, another's by now, or the mailbox is gone.
    pub lost: u64,
    /// The acts of it, each of which can be taken back.
    pub acts: Vec<RecordSeq>,
}

impl<D: Disk> Store<D> {
    /// Puts messages that were deleted into mailboxes again, with their flags and dates: all of them
    /// or, where it is refused, none. One that cannot be had back stops no other.
    pub fn bring_back_all(&self, actor: Actor, messages: Vec<ComeBack>) -> Pending<CameBack> {
        self.change(move |work| {
            let mut done = CameBack::default();
            // New flags of open mailboxes wait: what comes back comes back behind them.
            if let Err(error) = work.live.apply_deferred(work.index) {
                return Err(work.fail(error.into()));
            }
            let begun = work.next_seq();
            let groups = sorted(work, &actor, messages, &mut done)?;
            // Behind the first message it would be too late to refuse.
            let mut room: BTreeMap<MailboxId, u64> = BTreeMap::new();
            for ((_, to), uids) in &groups {
                let (first, _) = next_in(work, *to)?;
                let left = room.entry(*to).or_insert(u64::from(u32::MAX) - u64::from(first.get()));
                *left = left.checked_sub(uids.len() as u64).ok_or(Refused::UidsUsedUp)?;
            }
            for ((from, to), uids) in groups {
                for uids in uids.chunks(MESSAGES_PER_RECORD) {
                    let (first, mod_seq) = next_in(work, to)?;
                    let new = (first.get()..).filter_map(Uid::new);
                    let messages: Vec<(Uid, Uid)> = uids.iter().copied().zip(new).collect();
                    done.messages += messages.len() as u64;
                    work.record(&actor, Record::Restored { from, to, mod_seq, messages })?;
                }
            }
            done.acts = (begun.0..work.next_seq().0).map(RecordSeq).collect();
            Ok::<_, Refused>(done)
        })
    }

    /// Puts a message that is or was in these mailboxes into the one of this name: brought back with
    /// its flags and dates where it was deleted, copied where it lies somewhere. An act, that can be
    /// taken back.
    pub fn bring_back(
        &self,
        actor: Actor,
        places: Vec<(MailboxId, Uid)>,
        account: AccountId,
        mailbox: String,
    ) -> Pending<BroughtBack> {
        self.change(move |work| {
            let to = crate::naming::find(work, account, &mailbox)?;
            let (mut is_in, mut out_of) = (None, None);
            for (mailbox, uid) in places {
                match crate::undo::now(work, mailbox, uid)? {
                    Now::In(mailbox, uid) if mailbox == to => {
                        return Ok(BroughtBack::WasThere(uid));
                    }
                    Now::In(mailbox, uid) => is_in = Some((mailbox, uid)),
                    // Brought back elsewhere it would not come back to its own account any more.
                    Now::OutOf(mailbox, uid) => {
                        let mine = owner(work, mailbox)? == Some(account);
                        out_of = mine.then_some((mailbox, uid)).or(out_of);
                    }
                }
            }
            if let Some((from, uid)) = out_of
                && is_purged(work, from, uid)?
            {
                return Err(Refused::Invalid("its body is gone for good".to_owned()));
            }
            let (uid, mod_seq) = next_in(work, to)?;
            let record = match (out_of, is_in) {
                (Some((from, old)), _) => {
                    Record::Restored { from, to, mod_seq, messages: vec![(old, uid)] }
                }
                (None, Some((from, old))) => {
                    Record::Copied { from, to, mod_seq, messages: vec![(old, uid)] }
                }
                (None, None) => return Ok(BroughtBack::NowhereNear),
            };
            work.record(&actor, record)?;
            Ok::<_, Refused>(BroughtBack::Put(uid))
        })
    }
}

/// Whose a mailbox is, or was.
pub fn owner(work: &mut Work<'_>, mailbox: MailboxId) -> Result<Option<AccountId>, Refused> {
    let select = "SELECT account FROM mailbox WHERE id = $1";
    let found = work.index.sql.number(select, &[mailbox.0.into()]);
    let found = found.map_err(|error| work.fail(error.into()))?;
    Ok(found.map(|id| AccountId(id.cast_unsigned())))
}

/// UIDs by where they were last and where they go, each message once.
type Groups = BTreeMap<(MailboxId, MailboxId), Vec<Uid>>;

/// Where each of them goes; mailboxes that are wanted and gone are made.
fn sorted(
    work: &mut Work<'_>,
    actor: &Actor,
    messages: Vec<ComeBack>,
    done: &mut CameBack,
) -> Result<Groups, Refused> {
    let mut groups = Groups::new();
    let mut seen = BTreeSet::new();
    for message in messages {
        let (from, uid) = match crate::undo::now(work, message.mailbox, message.uid)? {
            Now::In(..) => {
                done.there += 1;
                continue;
            }
            Now::OutOf(mailbox, uid) => (mailbox, uid),
        };
        let is_own = owner(work, from)? == Some(message.account);
        if !is_own || is_purged(work, from, uid)? {
            done.lost += 1;
            continue;
        }
        let to = match &message.to {
            Some(name) => crate::naming::find(work, message.account, name).map(Ok),
            None => crate::undo::target(work, actor, from),
        };
        match to {
            Ok(Ok(to)) if seen.insert((from, uid)) => {
                groups.entry((from, to)).or_default().push(uid);
            }
            Err(refused @ Refused::Unavailable(_)) => return Err(refused),
            // The same message named twice; no such mailbox, or no room for one more.
            Ok(Ok(_) | Err(_)) | Err(_) => done.lost += 1,
        }
    }
    groups.values_mut().for_each(|uids| uids.sort_unstable());
    Ok(groups)
}

/// Whether the body of what was taken out of a mailbox is gone: what lies in one has its body.
fn is_purged(work: &mut Work<'_>, mailbox: MailboxId, uid: Uid) -> Result<bool, Refused> {
    let query = "SELECT 1 FROM expunged JOIN mail ON mail.id = expunged.mail \
                 WHERE mailbox = $1 AND uid = $2 AND purged IS NOT NULL";
    let found = work.index.sql.number(query, &[mailbox.0.into(), uid.get().into()]);
    found.map(|found| found.is_some()).map_err(|error| work.fail(error.into()))
}
