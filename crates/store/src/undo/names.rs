//! Mailboxes: their names, whether they are there, who shares them.

use mail_types::{AccountId, MailboxId, ModSeq};

use super::{Skip, Taken, is_overtaken};
use crate::Refused;
use crate::act::{Act, ActKind};
use crate::commit::Work;
use crate::mailboxes::INBOX;
use crate::naming::{check_room, create, lookup};
use crate::record::{Actor, Record};
use crate::sql::Executor;

/// Names tried for a mailbox that comes back while another has its name.
const NAMES_TRIED_MAX: u32 = 100;
/// Bytes of annotations that come back with a mailbox. Everybody who shares it may have 1.6 MB of
/// their own, and a group of the journal takes 32 MiB.
const ANNOTATION_BYTES_MAX: usize = 12 << 20;
/// Annotations that do: each is a record, and a group takes 65,536.
const ANNOTATIONS_MAX: usize = 16_384;

/// Where messages of a mailbox come back: itself, or where it is gone one of its name, which is made
/// if need be.
pub fn target(
    work: &mut Work<'_>,
    actor: &Actor,
    mailbox: MailboxId,
) -> Result<Result<MailboxId, Skip>, Refused> {
    if work.index.mailboxes.contains_key(&mailbox) {
        return Ok(Ok(mailbox));
    }
    let Some((owner, name, _)) = deleted(work, mailbox)? else {
        return Ok(Err("its mailbox is not known".to_owned()));
    };
    if let Some(found) = lookup(work, owner, &name) {
        return Ok(Ok(found));
    }
    create(work, actor, owner, name, None).map(Ok)
}

/// Owner, name and last MODSEQ of a mailbox that is deleted.
fn deleted(
    work: &mut Work<'_>,
    mailbox: MailboxId,
) -> Result<Option<(AccountId, String, ModSeq)>, Refused> {
    let mut found = None;
    let read = work.index.sql.query(
        "SELECT account, name, mod_seq FROM mailbox WHERE id = $1 AND deleted = 1",
        &[mailbox.0.into()],
        &mut |row| {
            found = Some((AccountId(row.id(0)?), row.text(1)?.to_owned(), ModSeq(row.id(2)?)));
            Ok(())
        },
    );
    match read {
        Ok(()) => Ok(found),
        Err(error) => Err(work.fail(error.into())),
    }
}

/// A deleted mailbox is there again, with its messages, whom it is shared with and its annotations.
pub(super) fn bring_back(
    work: &mut Work<'_>,
    actor: &Actor,
    act: &Act,
) -> Result<Result<Taken, Skip>, Refused> {
    let Some(mailbox) = act.mailbox else { return Ok(Ok(Taken::default())) };
    let Some((owner, name, mod_seq)) = deleted(work, mailbox)? else {
        return Ok(Err("its mailbox is there already".to_owned()));
    };
    if is_overtaken(work, act, true)? {
        return Ok(Err("its mailbox came back and was deleted again since".to_owned()));
    }
    let free = |name: &String| lookup(work, owner, name).is_none();
    let numbered = (2..NAMES_TRIED_MAX).map(|number| format!("{name} (restored {number})"));
    let mut names =
        [name.clone(), format!("{name} (restored)")].into_iter().chain(numbered).filter(free);
    let Some(name) = names.next() else {
        return Ok(Err("other mailboxes have its name".to_owned()));
    };
    drop(names);
    check_room(work, owner, 1)?;
    let mod_seq = ModSeq(mod_seq.0 + 1);
    work.record(actor, Record::MailboxRestored { mailbox, name, mod_seq, deleted: act.seq })?;
    let messages = work.index.mailboxes.get(&mailbox).map_or(0, |mailbox| mailbox.messages);
    let mut taken = Taken { messages, ..Taken::default() };
    let (mut bytes, mut count, mut left) = (0, 0, 0);
    for record in &act.before {
        if let Record::MetadataSet { entry, value, .. } = record {
            bytes += entry.len() + value.as_ref().map_or(0, Vec::len);
            count += 1;
            if bytes > ANNOTATION_BYTES_MAX || count > ANNOTATIONS_MAX {
                left += 1;
                continue;
            }
        }
        work.record(actor, record.clone())?;
    }
    taken.skip("annotations: more than come back at once", left);
    Ok(Ok(taken))
}

/// Whether messages came into a mailbox behind an act, other than by what took later acts back:
/// that brought it nearer to this one.
fn has_mail_since(work: &mut Work<'_>, mailbox: MailboxId, act: &Act) -> Result<bool, Refused> {
    let found = work.index.sql.number(
        "SELECT 1 FROM message WHERE mailbox = $1 AND saved >= $2 AND NOT EXISTS (\
         SELECT 1 FROM story JOIN act ON act.seq = story.seq WHERE story.mail = message.mail \
         AND act.at = message.saved AND act.undoes > $3) LIMIT 1",
        &[mailbox.0.into(), act.at.0.into(), act.seq.0.into()],
    );
    match found {
        Ok(found) => Ok(found.is_some()),
        Err(error) => Err(work.fail(error.into())),
    }
}

/// What was done to a mailbox itself.
pub(super) fn take_back(
    work: &mut Work<'_>,
    actor: &Actor,
    act: &Act,
) -> Result<Result<Taken, Skip>, Refused> {
    let known = act.mailbox.and_then(|mailbox| work.index.mailboxes.get(&mailbox));
    let (known, account) = (known.cloned(), act.owner.unwrap_or(AccountId(0)));
    let any_subject = matches!(act.kind, ActKind::Renamed);
    let is_inbox = known.as_ref().is_some_and(|mailbox| mailbox.name == INBOX);
    let has_new = match (act.kind, act.mailbox) {
        (ActKind::MailboxRestored, Some(mailbox)) => has_mail_since(work, mailbox, act)?,
        _ => false,
    };
    let refused = match (act.kind, &known) {
        (ActKind::Subscribed, _) => None,
        (ActKind::Annotated, None) if act.mailbox.is_none() => None,
        (_, None) => Some("its mailbox is gone"),
        // RFC 3501 §5.1: mail comes into it.
        (ActKind::Created | ActKind::MailboxRestored, Some(_)) if is_inbox => {
            Some("an account always has an INBOX")
        }
        (ActKind::MailboxRestored, Some(_)) if has_new => Some("mail came into the mailbox since"),
        (ActKind::Created, Some(mailbox)) if mailbox.messages > 0 => {
            Some("there is mail in the new mailbox")
        }
        (ActKind::Renamed, Some(_)) if lookup(work, account, &act.subject).is_some() => {
            Some("another mailbox has the old name")
        }
        (_, Some(_)) => None,
    };
    if let Some(why) = refused {
        return Ok(Err(why.to_owned()));
    }
    if is_overtaken(work, act, any_subject)? {
        return Ok(Err("changed again since".to_owned()));
    }
    for record in &act.before {
        work.record(actor, record.clone())?;
    }
    Ok(Ok(Taken::default()))
}
