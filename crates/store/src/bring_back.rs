//! One message of the archive back into a mailbox.

use journal::Disk;
use mail_types::{AccountId, MailboxId, Uid};

use crate::accept::next_in;
use crate::commit::Work;
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

impl<D: Disk> Store<D> {
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

/// Whether the body of what was taken out of a mailbox is gone: what lies in one has its body.
fn is_purged(work: &mut Work<'_>, mailbox: MailboxId, uid: Uid) -> Result<bool, Refused> {
    let query = "SELECT 1 FROM expunged JOIN mail ON mail.id = expunged.mail \
                 WHERE mailbox = $1 AND uid = $2 AND purged IS NOT NULL";
    let found = work.index.sql.number(query, &[mailbox.0.into(), uid.get().into()]);
    found.map(|found| found.is_some()).map_err(|error| work.fail(error.into()))
}
