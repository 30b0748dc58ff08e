//! Who may do what with a mailbox (RFC 4314), and how somebody else's is named.
//!
//! The owner may do everything, or what an entry about it says; it always sees a mailbox and says
//! who may do what with it. Others may do what entries about them and about `anyone` grant, without
//! what negative entries take away. Whoever may not even see a mailbox is told that there is none.

use journal::Disk;
use mail_types::{AccountId, Address, MailboxId, Right, Rights};

use crate::commit::Work;
use crate::directory::Directory;
use crate::index::Mailbox;
use crate::mailboxes::SessionActor;
use crate::naming::canonical;
use crate::record::{Grantee, Record};
use crate::sql::{Executor, SqlError};
use crate::{Pending, Refused, Store, StoreError};

/// Below this name are the mailboxes of others: their address, then the mailbox's own name.
pub const OTHER_USERS: &str = "Other Users";
/// Entries in the access control list of one mailbox.
const ENTRIES_MAX: usize = 1000;

/// What SETACL and DELETEACL do to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclChange {
    /// These rights.
    Replace(Rights),
    /// These too.
    Add(Rights),
    /// Without these.
    Remove(Rights),
    /// No entry.
    Delete,
}

/// One entry of an access control list.
pub type AclEntry = (Grantee, Rights);

/// What entries of a mailbox's list come to for somebody.
pub fn effective<'a>(
    owner: AccountId,
    account: AccountId,
    entries: impl IntoIterator<Item = &'a AclEntry>,
) -> Rights {
    let is_owner = owner == account;
    let (mut granted, mut denied) = (None, Rights::NONE);
    for (grantee, rights) in entries {
        // Entries about anyone are about anyone else.
        let is_meant = grantee.account.map_or(!is_owner, |meant| meant == account);
        if is_meant && grantee.negative {
            denied = denied.union(*rights);
        } else if is_meant {
            granted = Some(granted.unwrap_or(Rights::NONE).union(*rights));
        }
    }
    if is_owner {
        let always = Rights::from_iter([Right::Lookup, Right::Administer]);
        granted.unwrap_or(Rights::ALL).without(denied).union(always)
    } else {
        granted.unwrap_or(Rights::NONE).without(denied)
    }
}

/// Whose mailbox a name of this account's means, and its own name: `Other Users/ann@example.org/x`
/// is ann's `x`. `None` where the name is below that of others and means no account's mailbox.
pub fn owner_of(
    directory: &Directory,
    account: AccountId,
    name: &str,
) -> Option<(AccountId, String)> {
    let Some(rest) = name.strip_prefix(OTHER_USERS) else {
        return Some((account, canonical(name)));
    };
    if rest.is_empty() {
        return None;
    }
    let Some(rest) = rest.strip_prefix('/') else { return Some((account, canonical(name))) };
    let (address, own) = rest.split_once('/')?;
    let address = Address::parse(address).ok()?;
    Some((*directory.by_address.get(&address.folded())?, canonical(own)))
}

/// The name that others have for a mailbox. `None` for an address that would be two levels of it.
pub(crate) fn name_for_others(owner: &Address, name: &str) -> Option<String> {
    let address = owner.to_string();
    (!address.contains('/')).then(|| format!("{OTHER_USERS}/{address}/{name}"))
}

/// Whose mailbox a name means; see [`owner_of`].
pub(crate) fn named(
    work: &Work<'_>,
    account: AccountId,
    name: &str,
) -> Result<(AccountId, String), Refused> {
    owner_of(&work.index.directory, account, name)
        .ok_or_else(|| Refused::Missing(format!("mailbox {name}")))
}

/// What an account may do with a mailbox, as of the jobs before this one; nothing where there is
/// none.
pub(crate) fn rights(work: &Work<'_>, account: AccountId, mailbox: MailboxId) -> Rights {
    let Some(found) = work.index.mailboxes.get(&mailbox) else { return Rights::NONE };
    let entries = work.index.acl.get(&mailbox).map_or(&[][..], Vec::as_slice);
    effective(found.account, account, entries)
}

/// The mailbox is there and the account may do this with it.
pub(crate) fn allow(
    work: &Work<'_>,
    account: AccountId,
    mailbox: MailboxId,
    right: Right,
) -> Result<(), Refused> {
    permit(rights(work, account, mailbox), right)
}

/// The same of rights that are known.
///
/// # Errors
/// `Missing` to those who may not know that it is there.
pub fn permit(rights: Rights, right: Right) -> Result<(), Refused> {
    if rights.has(right) {
        Ok(())
    } else if rights.has(Right::Lookup) {
        Err(Refused::NotAllowed)
    } else {
        Err(Refused::Missing("the mailbox".to_owned()))
    }
}

/// The mailbox of this name, with which the account may do this.
pub(crate) fn find(
    work: &Work<'_>,
    account: AccountId,
    name: &str,
    right: Right,
) -> Result<MailboxId, Refused> {
    let (owner, own) = named(work, account, name)?;
    let mailbox = crate::naming::find(work, owner, &own)?;
    allow(work, account, mailbox, right)?;
    Ok(mailbox)
}

impl<D: Disk> Store<D> {
    /// The mailbox that a name of this account's means, as of the last sync, with what it may do
    /// with it: nothing or more. `None` where there is none. Reads nothing.
    #[must_use]
    pub fn reach(&self, account: AccountId, name: &str) -> Option<(Mailbox, Rights)> {
        let (owner, own) = owner_of(&self.directory(), account, name)?;
        let known = self.shared.mailboxes.find(owner, &own)?;
        Some((known.mailbox.clone(), effective(owner, account, &known.acl)))
    }

    /// What an account may do with a mailbox, as of the last sync; `None` where it is gone. Reads
    /// nothing.
    #[must_use]
    pub fn rights_on(&self, account: AccountId, mailbox: MailboxId) -> Option<Rights> {
        let known = self.shared.mailboxes.get(mailbox)?;
        Some(effective(known.mailbox.account, account, &known.acl))
    }

    /// The access control list of a mailbox, the owner's entry first, whether it has one or not.
    /// Entries about accounts that are gone are left out.
    ///
    /// # Errors
    /// The index's.
    pub fn acl(&self, mailbox: &Mailbox) -> Result<Vec<AclEntry>, StoreError> {
        let entries = self.read(|sql| read_entries(sql, mailbox.id))?;
        let owner = Grantee { account: Some(mailbox.account), negative: false };
        let rights = effective(mailbox.account, mailbox.account, &entries);
        let directory = self.directory();
        let known = |(grantee, _): &AclEntry| {
            *grantee != owner
                && grantee.account.is_none_or(|account| directory.account(account).is_some())
        };
        Ok([(owner, rights)].into_iter().chain(entries.into_iter().filter(known)).collect())
    }

    /// Changes one entry of a mailbox's access control list (SETACL, DELETEACL).
    pub fn set_acl(
        &self,
        actor: SessionActor,
        name: &str,
        grantee: Grantee,
        change: AclChange,
    ) -> Pending<()> {
        let name = name.to_owned();
        self.change(move |work| {
            let mailbox = find(work, actor.account, &name, Right::Administer)?;
            let owner = work.index.mailboxes.get(&mailbox).map(|mailbox| mailbox.account);
            let entries = work.index.acl.get(&mailbox).map_or(&[][..], Vec::as_slice);
            let known =
                entries.iter().find(|(known, _)| *known == grantee).map(|(_, known)| *known);
            let is_owner = grantee.account == owner && !grantee.negative;
            // The owner has all rights until an entry says which.
            let before = known.unwrap_or(if is_owner { Rights::ALL } else { Rights::NONE });
            let rights = match change {
                AclChange::Replace(rights) => Some(rights),
                AclChange::Add(rights) => Some(before.union(rights)),
                AclChange::Remove(rights) => Some(before.without(rights)),
                AclChange::Delete => None,
            };
            // No rights are no entry, but for the owner, whom it would give all of them.
            let rights = rights.filter(|rights| is_owner || !rights.is_empty());
            if known.is_none() && rights.is_some() && entries.len() >= ENTRIES_MAX {
                return Err(Refused::Invalid(format!(
                    "an access control list has at most {ENTRIES_MAX} entries"
                )));
            }
            if rights == known {
                return Ok(());
            }
            work.record(&actor.into(), Record::AclSet { mailbox, grantee, rights })
        })
    }
}

/// The entries of a mailbox.
pub(crate) fn read_entries(
    sql: &mut impl Executor,
    mailbox: MailboxId,
) -> Result<Vec<AclEntry>, SqlError> {
    let mut entries = Vec::new();
    sql.query(
        "SELECT account, negative, rights FROM acl WHERE mailbox = $1 ORDER BY account, negative",
        &[mailbox.0.into()],
        &mut |row| {
            entries.push(entry_from(row.id(0)?, row.int(1)?, row.int(2)?));
            Ok(())
        },
    )?;
    Ok(entries)
}

/// An entry from the columns account (0 is anyone), negative and rights.
pub(crate) fn entry_from(account: u64, negative: i64, rights: i64) -> AclEntry {
    let account = (account != 0).then_some(AccountId(account));
    let grantee = Grantee { account, negative: negative != 0 };
    (grantee, Rights::from_bits(u16::try_from(rights).unwrap_or(0)))
}
