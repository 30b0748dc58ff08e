//! A message becomes ours: one record, with every recipient in a known state.

use std::collections::HashMap;

use journal::{Body, Disk};
use mail_types::{
    AccountId, Address, CustodyId, Deadline, Flags, MailId, MailboxId, ModSeq, Priority, ReceiptId,
    ReversePath, SpecialUse, Timestamp, Uid,
};

use crate::commit::Work;
use crate::directory::Resolution;
use crate::later::{FutureRelease, accept_later};
use crate::queue::NewReport;
use crate::record::{Accepted, Actor, Fate, NewCustody, Notify, Record, Source};
use crate::record_held::{HeldBy, Hold, REASON_BYTES_MAX};
use crate::record_judged::{Judged, JudgedAct};
use crate::{Pending, Receipt, Refused, SendKey, Store};

/// Bytes of Message-ID and of Subject kept in the record.
const FIELD_BYTES_MAX: usize = 255;
/// Custodies of one message, those behind aliases included.
const CUSTODIES_MAX: usize = 10_000;
/// Bytes that the custodies of one message may take in its record, of which the journal takes 4 MiB.
const CUSTODIES_BYTES_MAX: usize = 3 << 20;
/// Bytes of a custody in its record besides its texts.
const CUSTODY_BYTES: usize = 64;

/// A message that has come in whole, and what is known of it.
pub struct Arrived {
    /// From [`Store::next_mail`].
    pub mail: MailId,
    /// Who brought it.
    pub actor: Actor,
    /// Where it came from.
    pub source: Source,
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// RFC 3461 ENVID, decoded.
    pub envelope_id: Option<String>,
    /// RFC 3461 RET=HDRS; `None` where nothing was said.
    pub return_headers_only: Option<bool>,
    /// BODY=8BITMIME.
    pub eight_bit: bool,
    /// SMTPUTF8.
    pub smtp_utf8: bool,
    /// REQUIRETLS (RFC 8689).
    pub requires_tls: bool,
    /// Its bytes, trace header included.
    pub body: Body,
    /// Its Message-ID, without angle brackets.
    pub message_id: Option<String>,
    /// Its Subject, decoded.
    pub subject: Option<String>,
    /// To whom, as given in RCPT TO.
    pub recipients: Vec<Recipient>,
}

impl Arrived {
    /// A message from `<>` of which nothing else was said: no wish of a sender's, nothing of its
    /// header.
    #[must_use]
    pub fn plain(
        mail: MailId,
        (actor, source): (Actor, Source),
        body: Body,
        recipients: Vec<Recipient>,
    ) -> Self {
        Self {
            mail,
            actor,
            source,
            reverse_path: ReversePath::Null,
            envelope_id: None,
            return_headers_only: None,
            eight_bit: false,
            smtp_utf8: false,
            requires_tls: false,
            body,
            message_id: None,
            subject: None,
            recipients,
        }
    }
}

impl Recipient {
    /// An address with which nothing else was said.
    #[must_use]
    pub fn plain(address: Address) -> Self {
        Self { address, notify: None, original_recipient: None }
    }

    /// One whose reports nobody reads (RFC 3461 §4.1: NOTIFY=NEVER).
    #[must_use]
    pub fn silent(address: Address) -> Self {
        let notify = Notify { never: true, success: false, failure: false, delay: false };
        Self { address, notify: Some(notify), original_recipient: None }
    }
}

/// One RCPT TO.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The address.
    pub address: Address,
    /// RFC 3461 NOTIFY; `None` where nothing was said.
    pub notify: Option<Notify>,
    /// RFC 3461 ORCPT, `type;address`, decoded.
    pub original_recipient: Option<String>,
}

/// What stands beside a message in the commit that accepts it.
#[derive(Default)]
pub struct Beside {
    /// Tells the sender of the delivery, which it asked for.
    pub report: Option<NewReport>,
    /// Keeps the same request of the HTTP API from being taken twice.
    pub key: Option<SendKey>,
    /// What was found out about the sender, and what is made of it.
    pub judged: Option<Judged>,
    /// It says that it goes out whatever TLS policies say (TLS-Required: No, RFC 8689).
    pub tls_optional: bool,
    /// When it is to leave, where that is not at once (RFC 4865).
    pub future: Option<FutureRelease>,
    /// How urgent it is (RFC 6710).
    pub priority: Priority,
    /// Until when it is to be delivered (RFC 2852).
    pub deliver_by: Option<Deadline>,
}

/// Where local recipients get a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// In their inbox.
    Inbox,
    /// In their folder for junk (RFC 6154 `\\Junk`); in the inbox of those without one.
    Junk,
}

impl<D: Disk> Store<D> {
    /// Accepts a message: local recipients have it in their mailbox in the same commit, others are
    /// queued in it. What may not be relayed, or goes to nobody, is refused as a whole.
    pub fn accept(&self, arrived: Arrived) -> Pending<Receipt> {
        self.accept_and_report(arrived, None)
    }

    /// The same; `report` tells the sender of the delivery, which it asked for, and is accepted in
    /// the same commit.
    pub fn accept_and_report(
        &self,
        arrived: Arrived,
        report: Option<NewReport>,
    ) -> Pending<Receipt> {
        self.accept_with(arrived, Beside { report, ..Beside::default() })
    }

    /// Records the verdict on a message that is turned away. Nobody waits for it.
    pub fn turned_away(&self, actor: Actor, judged: Judged) -> Pending<()> {
        let judged = Judged { mail: None, ..judged };
        self.change(move |work| work.record(&actor, Record::Judged(Box::new(judged))))
    }

    /// The same with all that may stand beside it in the same commit; refused as
    /// [`Refused::Exists`] where a message came by its key already.
    pub fn accept_with(
        &self,
        arrived: Arrived,
        Beside { report, key, judged, tls_optional, future, priority, deliver_by }: Beside,
    ) -> Pending<Receipt> {
        let id = ReceiptId::new(arrived.mail, &arrived.body.hash);
        let senders = self.senders(&arrived);
        let report = report.map(|report| (self.next_mail(), report));
        let witnessed = self.witnessed();
        self.change_and(
            move |work| {
                witnessed?;
                if let Some(key) = &key {
                    crate::send_key::check_unused(work, key)?;
                }
                let (actor, accepted) = (arrived.actor.clone(), arrived.mail);
                match (judged, future) {
                    (None, None) => accept(work, arrived, senders)?,
                    (Some(judged), None) => accept_as(work, arrived, judged, senders)?,
                    // Only what is submitted can be held so, and that is not judged; a verdict to
                    // hold goes before.
                    (Some(judged), Some(_)) if judged.act == JudgedAct::Hold => {
                        accept_as(work, arrived, judged, senders)?;
                    }
                    (_, Some(future)) => accept_later(work, arrived, future, senders)?,
                }
                if priority != Priority::NORMAL {
                    work.record(&actor, Record::PrioritySet { mail: accepted, priority })?;
                }
                if let Some(by) = deliver_by {
                    work.record(&actor, Record::DeliverBy { mail: accepted, by })?;
                }
                if tls_optional {
                    work.record(&actor, Record::TlsOptional { mail: accepted })?;
                }
                if let Some(key) = &key {
                    crate::send_key::use_key(work, &actor, key, accepted)?;
                }
                if let Some((mail, report)) = report {
                    // A sender that does not exist here is told nothing.
                    crate::queue::accept_report(work, mail, report)?;
                }
                Ok(work.now)
            },
            move |at, synced| Receipt::committed(id, at, synced),
        )
    }

    /// Whom the recipients stand for that are the reverse-path of a message forwarded from here. What
    /// cannot be read now is refused for now.
    fn senders(&self, arrived: &Arrived) -> Senders {
        let directory = self.directory();
        let numbers = arrived.recipients.iter().filter_map(|recipient| {
            match directory.resolve(&recipient.address) {
                Resolution::SenderOf(mail) => Some(mail),
                Resolution::Account(_)
                | Resolution::Alias(_)
                | Resolution::UnknownUser
                | Resolution::Remote => None,
            }
        });
        let senders = numbers.filter_map(|mail| Some((mail, self.sender_of(mail).ok()??)));
        senders.collect()
    }
}

/// Who sent the messages whose reverse-paths are among the recipients.
pub type Senders = HashMap<MailId, Address>;

impl<D: Disk> Store<D> {
    /// Accepts a message and holds it for every recipient: it is safe, and neither delivered nor
    /// sent until somebody releases it ([`Store::change_custodies`]). What may not be relayed, or
    /// goes to nobody, is refused as by [`Store::accept`].
    pub fn accept_held(&self, arrived: Arrived, hold: Hold) -> Pending<Receipt> {
        let id = ReceiptId::new(arrived.mail, &arrived.body.hash);
        let senders = self.senders(&arrived);
        let witnessed = self.witnessed();
        self.change_and(
            move |work| {
                witnessed?;
                let fates = held(fates(work, &arrived, Placement::Inbox, senders)?, &hold);
                record(work, arrived, fates, None)?;
                Ok(work.now)
            },
            move |at, synced| Receipt::committed(id, at, synced),
        )
    }
}

/// Works out every recipient's fate and records the message. Used for reports too, in the commit
/// of what they report.
pub fn accept(work: &mut Work<'_>, arrived: Arrived, senders: Senders) -> Result<(), Refused> {
    // RFC 5321 §3.6.2: nobody relays through us who has not signed in; what we write ourselves goes
    // anywhere.
    let fates = fates(work, &arrived, Placement::Inbox, senders)?;
    record(work, arrived, fates, None)
}

/// The same as a verdict has it.
fn accept_as(
    work: &mut Work<'_>,
    arrived: Arrived,
    judged: Judged,
    senders: Senders,
) -> Result<(), Refused> {
    let fates = match judged.act {
        JudgedAct::Deliver | JudgedAct::Reject => fates(work, &arrived, Placement::Inbox, senders)?,
        JudgedAct::Junk => fates(work, &arrived, Placement::Junk, senders)?,
        JudgedAct::Hold => {
            let reason = shortened_to(judged.reasons.join("; "), REASON_BYTES_MAX);
            let hold = Hold { by: HeldBy::Verdict, reason, purge_at: None };
            held(fates(work, &arrived, Placement::Inbox, senders)?, &hold)
        }
    };
    let actor = arrived.actor.clone();
    record(work, arrived, fates, None)?;
    work.record(&actor, Record::Judged(Box::new(judged)))
}

/// The same custodies, none of them delivered or queued.
pub fn held(mut custodies: Vec<NewCustody>, hold: &Hold) -> Vec<NewCustody> {
    for custody in &mut custodies {
        match custody.fate {
            Fate::Delivered { .. } | Fate::Queued { .. } => {
                custody.fate = Fate::Held(hold.clone());
            }
            Fate::Expanded { .. } | Fate::Held(_) => {}
        }
    }
    custodies
}

/// What becomes of every recipient.
pub fn fates(
    work: &Work<'_>,
    arrived: &Arrived,
    placement: Placement,
    senders: Senders,
) -> Result<Vec<NewCustody>, Refused> {
    let may_relay = match arrived.source {
        Source::Smtp { .. } | Source::Lmtp { .. } => false,
        Source::Submission { .. }
        | Source::Append { .. }
        | Source::Report { .. }
        | Source::PeriodReport
        | Source::Import { .. } => true,
    };
    let mut fates = Fates::new(work, may_relay, placement, senders);
    for recipient in &arrived.recipients {
        fates.add(recipient)?;
    }
    Ok(fates.custodies)
}

/// Records the message with these custodies.
pub fn record(
    work: &mut Work<'_>,
    arrived: Arrived,
    custodies: Vec<NewCustody>,
    internal_date: Option<Timestamp>,
) -> Result<(), Refused> {
    // Checked before anything is written: a record that the journal cannot take would fail its whole
    // group, and again at each try.
    let bytes: usize = custodies.iter().map(custody_bytes).sum();
    if custodies.len() > CUSTODIES_MAX || bytes > CUSTODIES_BYTES_MAX {
        return Err(Refused::Invalid(format!(
            "the message goes to {} recipients, more than fit into one transaction",
            custodies.len()
        )));
    }
    let body_at = work.body(&arrived.body)?;
    let accepted = Accepted {
        mail: arrived.mail,
        source: arrived.source,
        reverse_path: arrived.reverse_path,
        envelope_id: arrived.envelope_id,
        return_headers_only: arrived.return_headers_only,
        eight_bit: arrived.eight_bit,
        smtp_utf8: arrived.smtp_utf8,
        body_hash: arrived.body.hash,
        body_bytes: arrived.body.size,
        body_at,
        internal_date: internal_date.unwrap_or(work.now),
        message_id: arrived.message_id.map(shortened),
        subject: arrived.subject.map(shortened),
        custodies,
    };
    let mail = accepted.mail;
    work.record(&arrived.actor, Record::Accepted(Box::new(accepted)))?;
    if arrived.requires_tls {
        work.record(&arrived.actor, Record::TlsRequired { mail })?;
    }
    Ok(())
}

fn custody_bytes(custody: &NewCustody) -> usize {
    /// An IPv6 literal at its longest.
    const LITERAL_BYTES: usize = 48;
    let Address { localpart, host } = &custody.recipient;
    let host = host.domain().map_or(LITERAL_BYTES, |domain| domain.as_str().len());
    let recipient = localpart.as_str().len() + host;
    let original = custody.original_recipient.as_ref().map_or(0, String::len);
    CUSTODY_BYTES + recipient + original
}

/// The UID and modification sequence that the next message of a mailbox has.
pub fn next_in(work: &Work<'_>, mailbox: MailboxId) -> Result<(Uid, ModSeq), Refused> {
    let found = work
        .index
        .mailboxes
        .get(&mailbox)
        .ok_or_else(|| Refused::Missing("the mailbox".to_owned()))?;
    // The last number is never given, so that UIDNEXT can always be one above all.
    let uid = Uid::new(found.uid_next).filter(|uid| uid.get() < u32::MAX);
    Ok((uid.ok_or(Refused::UidsUsedUp)?, ModSeq(found.mod_seq.0 + 1)))
}

/// The custodies of a message while they are worked out.
struct Fates<'a, 'b> {
    work: &'a Work<'b>,
    may_relay: bool,
    placement: Placement,
    custodies: Vec<NewCustody>,
    /// Accounts that have the message already.
    delivered: HashMap<AccountId, Fate>,
    /// Addresses elsewhere that it goes to already, by [`Address::folded`], with when their sender
    /// wants to hear of them: one copy is sent, however many ways lead there.
    queued: HashMap<(String, Option<Notify>), CustodyId>,
    senders: Senders,
}

impl<'a, 'b> Fates<'a, 'b> {
    fn new(work: &'a Work<'b>, may_relay: bool, placement: Placement, senders: Senders) -> Self {
        let (custodies, delivered, queued) = (Vec::new(), HashMap::new(), HashMap::new());
        Self { work, may_relay, placement, custodies, delivered, queued, senders }
    }

    fn add(&mut self, recipient: &Recipient) -> Result<(), Refused> {
        let address = &recipient.address;
        match self.work.index.directory.resolve(address) {
            Resolution::UnknownUser => Err(Refused::UnknownUser(address.clone())),
            Resolution::Remote if !self.may_relay => Err(Refused::RelayDenied(address.clone())),
            Resolution::Remote => {
                let fate = match self.queued.get(&place(recipient)) {
                    Some(&known) => Fate::Expanded { into: vec![known] },
                    None => Fate::Queued { due: self.work.now },
                };
                self.push(recipient, fate);
                Ok(())
            }
            Resolution::SenderOf(mail) => match self.senders.get(&mail).cloned() {
                Some(sender) => self.add_alias(recipient, &[sender]),
                None => Err(Refused::UnknownUser(address.clone())),
            },
            Resolution::Account(account) => {
                let fate = self.delivered_to(account)?;
                self.push(recipient, fate);
                Ok(())
            }
            Resolution::Alias(targets) => self.add_alias(recipient, &targets),
        }
    }

    fn add_alias(&mut self, recipient: &Recipient, targets: &[Address]) -> Result<(), Refused> {
        let (leaves, all) = self.work.index.directory.expand_within_limits(targets);
        if !all {
            // To deliver to some and forget the others would be losing mail.
            return Err(Refused::Invalid(format!(
                "the alias {} leads to more addresses, or through more aliases, than it may",
                recipient.address
            )));
        }
        if leaves.is_empty() {
            return Err(Refused::UnknownUser(recipient.address.clone()));
        }
        let alias = self.custodies.len();
        let mut into = Vec::with_capacity(leaves.len());
        self.push(recipient, Fate::Expanded { into: Vec::new() });
        for (address, leaf) in leaves {
            let target = Recipient { address, ..recipient.clone() };
            let fate = match leaf {
                Resolution::Account(account) => self.delivered_to(account)?,
                _ => match self.queued.get(&place(&target)) {
                    Some(&known) => {
                        into.push(known);
                        continue;
                    }
                    None => Fate::Queued { due: self.work.now },
                },
            };
            into.push(self.next_custody());
            self.push(&target, fate);
        }
        self.custodies[alias].fate = Fate::Expanded { into };
        Ok(())
    }

    fn push(&mut self, recipient: &Recipient, fate: Fate) {
        if let Fate::Queued { .. } = fate {
            self.queued.insert(place(recipient), self.next_custody());
        }
        self.custodies.push(NewCustody {
            custody: self.next_custody(),
            recipient: recipient.address.clone(),
            notify: recipient.notify,
            original_recipient: recipient.original_recipient.clone(),
            fate,
        });
    }

    fn next_custody(&self) -> CustodyId {
        CustodyId(self.work.index.last.custody + 1 + self.custodies.len() as u64)
    }

    fn delivered_to(&mut self, account: AccountId) -> Result<Fate, Refused> {
        if let Some(fate) = self.delivered.get(&account) {
            return Ok(fate.clone());
        }
        let names = self.work.index.mailbox_names.get(&account);
        let junk = match self.placement {
            Placement::Inbox => None,
            Placement::Junk => names.and_then(|names| {
                let is_junk = |id: &&MailboxId| {
                    let mailbox = self.work.index.mailboxes.get(id);
                    mailbox.is_some_and(|mailbox| mailbox.special_use == Some(SpecialUse::Junk))
                };
                names.values().find(is_junk)
            }),
        };
        let mailbox = junk
            .or_else(|| names.and_then(|names| names.get(crate::mailboxes::INBOX)))
            .copied()
            .ok_or_else(|| Refused::Unavailable(format!("account {account} has no inbox")))?;
        let (uid, mod_seq) = next_in(self.work, mailbox)?;
        let fate = Fate::Delivered { mailbox, uid, mod_seq, flags: Flags::default() };
        self.delivered.insert(account, fate.clone());
        Ok(fate)
    }
}

/// What tells addresses elsewhere apart. RFC 3461 §5.2: what its sender wants to hear is heard of each.
fn place(recipient: &Recipient) -> (String, Option<Notify>) {
    (recipient.address.folded(), recipient.notify)
}

/// At most 255 bytes, cut between characters.
fn shortened(text: String) -> String {
    shortened_to(text, FIELD_BYTES_MAX)
}

fn shortened_to(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or(0));
    }
    text
}
