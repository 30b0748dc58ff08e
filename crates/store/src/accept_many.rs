//! APPEND, MULTIAPPEND and REPLACE: messages that a session puts into a mailbox, all of them in one
//! commit or none.

use journal::{Body, Disk};
use mail_types::{
    CustodyId, Flags, MailId, MailboxId, ModSeq, ReceiptId, ReversePath, Right, Timestamp, Uid,
};

use crate::Actor;
use crate::accept::{Arrived, next_in, record};
use crate::acl;
use crate::commit::Work;
use crate::flags::{check_keywords, flags_within};
use crate::mailboxes::{SessionActor, take_out};
use crate::record::{Fate, NewCustody, Source};
use crate::{Pending, Receipt, Refused, Store};

/// Messages of one command.
pub const APPEND_MESSAGES_MAX: usize = 4096;
/// Bytes that the messages of one command may take in the journal, as they are stored: with what is
/// in the group already and their records they fit into its limit of 32 MiB. A body in a file of
/// its own takes none.
pub const APPEND_BYTES_MAX: usize = 17 << 20;

/// What a session puts into a mailbox.
pub struct Append {
    /// Whose session.
    pub actor: SessionActor,
    /// The mailbox's name.
    pub mailbox: String,
    /// The messages, in the order of their UIDs; at least one.
    pub messages: Vec<NewMessage>,
    /// This message is taken out of its mailbox in the same commit (RFC 8508).
    pub replaces: Option<(MailboxId, Uid)>,
    /// Whatever counts the memory that the messages take: dropped when they are in the journal's
    /// group, also where nobody waits for the answer any more.
    pub room: Option<Box<dyn Send>>,
}

/// One of them.
pub struct NewMessage {
    /// From [`Store::next_mail`].
    pub mail: MailId,
    /// Its bytes.
    pub body: Body,
    /// Its flags.
    pub flags: Flags,
    /// Its internal date; the time of the commit where the client gave none.
    pub internal_date: Option<Timestamp>,
    /// Its Message-ID, without angle brackets.
    pub message_id: Option<String>,
    /// Its Subject, decoded.
    pub subject: Option<String>,
}

/// Where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// One for each message, in order.
    pub receipts: Vec<Receipt>,
    /// UIDVALIDITY of the mailbox.
    pub uid_validity: u32,
    /// The UID of each.
    pub uids: Vec<Uid>,
}

impl<D: Disk> Store<D> {
    /// Puts messages into a mailbox. All of them are kept, by one group of the journal, or none:
    /// also where the power goes in between. `None` where the message to be replaced is gone; then
    /// nothing is done.
    pub fn append(&self, append: Append) -> Pending<Option<Appended>> {
        let by = append.actor.into();
        self.append_by(append, by)
    }

    /// The same, done by somebody else than the one as whom it is allowed: what an operator brings
    /// into a mailbox is recorded as the operator's doing.
    pub fn append_by(&self, append: Append, by: Actor) -> Pending<Option<Appended>> {
        let id = |one: &NewMessage| ReceiptId::new(one.mail, &one.body.hash);
        let ids: Vec<ReceiptId> = append.messages.iter().map(id).collect();
        let witnessed = self.witnessed();
        self.change_and(
            move |work| {
                witnessed?;
                let source = Source::Append { account: append.actor.account };
                Ok(append_all(work, append, source, by)?.map(|placed| (work.now, placed)))
            },
            move |done, synced| {
                let (at, (uid_validity, uids)) = done?;
                let receipts = ids.into_iter().map(|id| Receipt::committed(id, at, synced));
                Some(Appended { receipts: receipts.collect(), uid_validity, uids })
            },
        )
    }
}

/// UIDVALIDITY of the mailbox and the UID of each message.
pub type Placed = (u32, Vec<Uid>);

/// Puts the messages into the mailbox and records where they came from.
pub fn append_all(
    work: &mut Work<'_>,
    append: Append,
    source: Source,
    by: Actor,
) -> Result<Option<Placed>, Refused> {
    let Append { actor, mailbox: name, messages, replaces, room } = append;
    let mailbox = acl::find(work, actor.account, &name, Right::Insert)?;
    let may = acl::rights(work, actor.account, mailbox);
    check(&messages)?;
    let found = work.index.mailboxes.get(&mailbox);
    let found = found.ok_or_else(|| Refused::Missing(format!("mailbox {name}")))?;
    let uid_validity = found.uid_validity;
    let owner = found.account;
    let account = work.index.directory.account(owner);
    let recipient = account.ok_or_else(|| Refused::Missing("the account".to_owned()))?;
    let recipient = recipient.address.clone();
    let (first, _) = next_in(work, mailbox)?;
    if u64::from(u32::MAX - first.get()) <= messages.len() as u64 {
        return Err(Refused::UidsUsedUp);
    }
    if let Some((from, uid)) = replaces {
        // RFC 8508 §6: as MOVE, it takes a message out.
        acl::allow(work, actor.account, from, Right::DeleteMessages)?;
        acl::allow(work, actor.account, from, Right::Expunge)?;
        if work.rows(from, &[(uid.get(), uid.get())])?.find(uid.get()).is_none() {
            return Ok(None);
        }
    }
    // RFC 9208 §4: a message that goes makes room for the one that comes instead.
    let goes = u64::from(replaces.is_some());
    let bytes = messages.iter().map(|message| message.body.size).sum();
    crate::quota::check(work, owner, messages.len() as u64 - goes, bytes)?;
    let mut uids = Vec::with_capacity(messages.len());
    for message in messages {
        let (uid, mod_seq): (Uid, ModSeq) = next_in(work, mailbox)?;
        // RFC 4314 §4: flags that may not be set are left out.
        let flags = flags_within(may, &Flags::default(), message.flags);
        let custody = NewCustody {
            custody: CustodyId(work.index.last.custody + 1),
            recipient: recipient.clone(),
            notify: None,
            original_recipient: None,
            fate: Fate::Delivered { mailbox, uid, mod_seq, flags },
        };
        let arrived = Arrived {
            mail: message.mail,
            actor: by.clone(),
            source: source.clone(),
            reverse_path: ReversePath::Null,
            envelope_id: None,
            return_headers_only: None,
            eight_bit: false,
            smtp_utf8: false,
            requires_tls: false,
            body: message.body,
            message_id: message.message_id,
            subject: message.subject,
            recipients: Vec::new(),
        };
        record(work, arrived, vec![custody], message.internal_date)?;
        uids.push(uid);
    }
    if let Some((from, uid)) = replaces {
        take_out(work, actor, from, vec![uid])?;
    }
    drop(room);
    Ok(Some((uid_validity, uids)))
}

/// Before anything is written: what does not fit into a group would fail the others in it too.
fn check(messages: &[NewMessage]) -> Result<(), Refused> {
    let bytes: usize = messages.iter().map(|message| message.body.stored_bytes()).sum();
    if messages.is_empty() || messages.len() > APPEND_MESSAGES_MAX || bytes > APPEND_BYTES_MAX {
        return Err(Refused::Invalid(format!(
            "{} messages with {bytes} bytes do not fit into one transaction",
            messages.len()
        )));
    }
    messages.iter().try_for_each(|message| check_keywords(0, &message.flags))
}
