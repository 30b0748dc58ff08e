//! Names of mailboxes: CREATE, DELETE, RENAME, SUBSCRIBE.

use std::collections::HashMap;

use journal::Disk;
use mail_types::{AccountId, MailboxId, Right, SpecialUse};

use crate::acl::{self, OTHER_USERS};
use crate::commit::Work;
use crate::mailboxes::{INBOX, SessionActor};
use crate::record::{Actor, Record};
use crate::sql::Executor;
use crate::{Pending, Refused, Store};

/// Mailboxes an account may have.
pub const MAILBOXES_MAX: usize = 10_000;
/// Bytes in a mailbox name.
const NAME_BYTES_MAX: usize = 1000;
/// Levels in a mailbox name, as IMAP takes them too.
const NAME_LEVELS_MAX: usize = 32;
/// Names that an account may subscribe to.
const SUBSCRIPTIONS_MAX: i64 = 10_000;

impl<D: Disk> Store<D> {
    /// Makes a mailbox, and those above it that are missing (RFC 3501 §6.3.3). They have the access
    /// control list of the nearest mailbox above (RFC 4314 §4).
    pub fn create_mailbox(
        &self,
        actor: SessionActor,
        name: &str,
        special_use: Option<SpecialUse>,
    ) -> Pending<MailboxId> {
        let name = name.to_owned();
        self.change(move |work| {
            let (owner, name) = named_new(work, actor.account, &name)?;
            let parent = may_create(work, actor, owner, &name)?;
            if lookup(work, owner, &name).is_some() {
                return Err(Refused::Exists(format!("mailbox {name}")));
            }
            let missing = missing_parents(work, owner, &name);
            check_room(work, owner, missing.len() + 1)?;
            create_all(work, actor, owner, missing, parent)?;
            create_like(work, actor, owner, (name, special_use), parent)
        })
    }

    /// Deletes a mailbox; its messages stay in the archive. Those below it stay where they are: its
    /// name is then none that can be selected or deleted, until nothing is below it (RFC 3501 §6.3.4).
    pub fn delete_mailbox(&self, actor: SessionActor, name: &str) -> Pending<()> {
        let name = name.to_owned();
        self.change(move |work| {
            let (owner, name) = acl::named(work, actor.account, &name)?;
            let is_own = owner == actor.account;
            if is_own && lookup(work, owner, &name).is_none() && has_below(work, owner, &name) {
                return Err(Refused::HasChildren(name));
            }
            let mailbox = find(work, owner, &name)?;
            acl::allow(work, actor.account, mailbox, Right::DeleteMailbox)?;
            if name == INBOX {
                return Err(Refused::Invalid("INBOX cannot be deleted".to_owned()));
            }
            work.record(&actor.into(), Record::MailboxDeleted { mailbox })
        })
    }

    /// Renames a mailbox with everything below it. Renaming INBOX moves its messages into a new
    /// mailbox and leaves it empty (RFC 3501 §6.3.5). A mailbox stays its owner's.
    pub fn rename_mailbox(&self, actor: SessionActor, from: &str, to: &str) -> Pending<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.change(move |work| {
            let (owner, from) = acl::named(work, actor.account, &from)?;
            let is_own = owner == actor.account;
            // A name that is no mailbox itself takes those below it along all the same.
            let mailbox = lookup(work, owner, &from);
            match mailbox {
                Some(mailbox) => acl::allow(work, actor.account, mailbox, Right::DeleteMailbox)?,
                None if is_own && has_below(work, owner, &from) => {}
                None => return Err(Refused::Missing(format!("mailbox {from}"))),
            }
            let (new_owner, to) = named_new(work, actor.account, &to)?;
            if new_owner != owner {
                return Err(Refused::Invalid("a mailbox stays with its owner".to_owned()));
            }
            let parent = may_create(work, actor, owner, &to)?;
            if lookup(work, owner, &to).is_some() {
                return Err(Refused::Exists(format!("mailbox {to}")));
            }
            if to.starts_with(&format!("{from}/")) && from != INBOX {
                return Err(Refused::Invalid(format!("{to} lies below {from} itself")));
            }
            let missing = missing_parents(work, owner, &to);
            check_room(work, owner, missing.len() + 1)?;
            if let (INBOX, Some(mailbox)) = (&*from, mailbox) {
                if !is_own {
                    return Err(Refused::Invalid("INBOX stays its owner's".to_owned()));
                }
                crate::mailboxes::check_all_can_move(work, mailbox)?;
                create_all(work, actor, owner, missing, parent)?;
                let to = create_like(work, actor, owner, (to, None), parent)?;
                crate::metadata::copy_all(work, &actor.into(), owner, (mailbox, to))?;
                return crate::mailboxes::move_all(work, actor, mailbox, to);
            }
            let children = children(work, owner, &from, &to);
            // The mailbox that had the new name may be deleted and have left others below it.
            for (_, name) in &children {
                check_name(name)?;
                if lookup(work, owner, name).is_some() {
                    return Err(Refused::Exists(format!("mailbox {name}")));
                }
            }
            create_all(work, actor, owner, missing, parent)?;
            let itself = mailbox.map(|mailbox| (mailbox, to));
            for (mailbox, name) in itself.into_iter().chain(children) {
                work.record(&actor.into(), Record::MailboxRenamed { mailbox, name })?;
            }
            Ok(())
        })
    }

    /// Puts a name on the list of LSUB, or takes it off. Names of others' mailboxes are kept as the
    /// account calls them.
    pub fn set_subscribed(&self, actor: SessionActor, name: &str, subscribed: bool) -> Pending<()> {
        let name = canonical(name);
        self.change(move |work| {
            check_name(&name)?;
            let account = actor.account;
            if subscribed {
                check_subscriptions(work, account)?;
            }
            // What changes nothing is no act.
            let query = "SELECT 1 FROM subscription WHERE account = $1 AND name = $2";
            let known = work.index.sql.number(query, &[account.0.into(), name.as_str().into()]);
            match known {
                Err(error) => Err(work.fail(error.into())),
                Ok(known) if known.is_some() == subscribed => Ok(()),
                Ok(_) => {
                    work.record(&actor.into(), Record::Subscription { account, name, subscribed })
                }
            }
        })
    }
}

/// Whose a new mailbox of this name is, and what it calls it.
fn named_new(
    work: &Work<'_>,
    account: AccountId,
    name: &str,
) -> Result<(AccountId, String), Refused> {
    // Whether there is such an account is not told.
    let (owner, name) =
        acl::owner_of(&work.index.directory, account, name).ok_or(Refused::NotAllowed)?;
    check_name(&name)?;
    if name == OTHER_USERS || name.starts_with(&format!("{OTHER_USERS}/")) {
        return Err(Refused::Invalid(format!("“{OTHER_USERS}” is where others' mailboxes are")));
    }
    Ok((owner, name))
}

/// RFC 4314 §4: CREATE and RENAME need `k` on the nearest mailbox above, which is answered. Above
/// everything else only the owner makes mailboxes.
fn may_create(
    work: &Work<'_>,
    actor: SessionActor,
    owner: AccountId,
    name: &str,
) -> Result<Option<MailboxId>, Refused> {
    let above = name.rmatch_indices('/').find_map(|(end, _)| lookup(work, owner, &name[..end]));
    match above {
        Some(above) => {
            let rights = acl::rights(work, actor.account, above);
            if rights.has(Right::Create) { Ok(Some(above)) } else { Err(Refused::NotAllowed) }
        }
        None if owner == actor.account => Ok(None),
        None => Err(Refused::NotAllowed),
    }
}

/// The mailboxes below `from` and what they are called below `to`.
fn children(work: &Work<'_>, owner: AccountId, from: &str, to: &str) -> Vec<(MailboxId, String)> {
    let names = work.index.mailbox_names.get(&owner).into_iter().flatten();
    let below = format!("{from}/");
    let children =
        names.filter_map(|(name, &id)| Some((id, format!("{to}/{}", name.strip_prefix(&below)?))));
    children.collect()
}

pub fn lookup(work: &Work<'_>, account: AccountId, name: &str) -> Option<MailboxId> {
    work.index.mailbox_names.get(&account)?.get(name).copied()
}

/// The mailbox of this name of its owner's.
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

fn create_all(
    work: &mut Work<'_>,
    actor: SessionActor,
    owner: AccountId,
    names: Vec<String>,
    parent: Option<MailboxId>,
) -> Result<(), Refused> {
    for name in names {
        create_like(work, actor, owner, (name, None), parent)?;
    }
    Ok(())
}

/// Makes a mailbox with the access control list of another.
fn create_like(
    work: &mut Work<'_>,
    actor: SessionActor,
    owner: AccountId,
    (name, special_use): (String, Option<SpecialUse>),
    like: Option<MailboxId>,
) -> Result<MailboxId, Refused> {
    let mailbox = create(work, &actor.into(), owner, name, special_use)?;
    let entries = like.and_then(|like| work.index.acl.get(&like)).cloned().unwrap_or_default();
    for (grantee, rights) in entries {
        let record = Record::AclSet { mailbox, grantee, rights: Some(rights) };
        work.record(&actor.into(), record)?;
    }
    Ok(mailbox)
}

pub fn check_room(work: &Work<'_>, account: AccountId, more: usize) -> Result<(), Refused> {
    let known = work.index.mailbox_names.get(&account).map_or(0, HashMap::len);
    if known + more > MAILBOXES_MAX {
        return Err(Refused::OverQuota);
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
