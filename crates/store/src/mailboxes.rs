//! What a signed-in account does to its mailboxes. Each change is one record; what is taken out of
//! a mailbox stays in the archive.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use journal::Disk;
use mail_types::{AccountId, Flags, MailboxId, ModSeq, SpecialUse, SystemFlag, Uid};
use mailbox::Rows;

use crate::accept::next_in;
use crate::commit::Work;
use crate::record::{Actor, Record, Via};
use crate::sql::Executor;
use crate::{Pending, Refused, Store};

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
}

impl From<SessionActor> for Actor {
    fn from(session: SessionActor) -> Self {
        Self::Account { account: session.account, ip: session.ip, via: session.via }
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
                check_count(self::uids(work, mailbox, &all, |_| true)?.len())?;
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
            own(work, actor, mailbox)?;
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
    own(work, actor, from)?;
    let to = find(work, actor.account, to)?;
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
