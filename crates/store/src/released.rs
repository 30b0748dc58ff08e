//! Held mail that goes on, into the queue or into a mailbox here; the report that its sender asked
//! for with NOTIFY=SUCCESS; and the way back out of a mailbox, where nobody has touched it there.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use journal::Disk;
use mail_types::{
    AccountId, Address, CustodyId, Flags, MailId, MailboxId, ModSeq, RecordSeq, Timestamp, Uid,
};

use crate::accept::next_in;
use crate::changes::{Change, Skip, Standing, place};
use crate::commit::Work;
use crate::custody::CustodyState;
use crate::directory::Resolution;
use crate::queue::{NewReport, QueuedMail};
use crate::read::read_facts;
use crate::record::{Actor, NewCustody, Record};
use crate::record_held::{Changed, Condition, Waiting};
use crate::sql::{Executor, SqlError};
use crate::{MailFacts, Refused, Store, StoreError};

/// Makes the report that tells the sender of a message that it is in a recipient's mailbox, where it
/// wants one. Also given the message's header.
pub type DeliveryReport =
    Arc<dyn Fn(&QueuedMail, &NewCustody, &[u8]) -> Option<NewReport> + Send + Sync>;

/// Reports that are due if custodies are delivered now.
pub type Reports = HashMap<CustodyId, (MailId, NewReport)>;

/// Where mail goes that is held no more: by the directory of now, and as an operator has changed it.
pub fn let_go(
    work: &mut Work<'_>,
    standing: &Standing,
) -> Result<Result<Condition, Skip>, Refused> {
    match &standing.condition {
        Condition::Held { then: Some(waiting), .. } => sent_on(work, standing, waiting.clone()),
        Condition::Held { then: None, .. } => {
            goes_to(work, standing, &standing.recipient, at_once(work.now))
        }
        Condition::Queued(_) => Ok(Err("not held".to_owned())),
        Condition::Delivered { .. } | Condition::Purged => {
            Ok(Err(crate::changes::SETTLED.to_owned()))
        }
    }
}

/// As it waits that was never in the queue.
pub const fn at_once(due: Timestamp) -> Waiting {
    Waiting { due, recipient: None, relay: None, give_back: None }
}

/// Where mail goes that waits so: into the queue, or where its new recipient has it.
pub fn sent_on(
    work: &mut Work<'_>,
    standing: &Standing,
    waiting: Waiting,
) -> Result<Result<Condition, Skip>, Refused> {
    match waiting.recipient.clone() {
        Some(recipient) if waiting.give_back.is_none() => {
            goes_to(work, standing, &recipient, waiting)
        }
        _ => Ok(Ok(Condition::Queued(waiting))),
    }
}

/// Where mail to this address goes, by the directory of now.
fn goes_to(
    work: &mut Work<'_>,
    standing: &Standing,
    recipient: &Address,
    waiting: Waiting,
) -> Result<Result<Condition, Skip>, Refused> {
    let directory = Arc::clone(&work.index.directory);
    let (recipient, found) = match directory.resolve(recipient) {
        Resolution::Alias(targets) => match &mut *directory.expand(&targets) {
            [one] => one.clone(),
            _ => return Ok(Err("to an alias that is not one address: name one".to_owned())),
        },
        found => (recipient.clone(), found),
    };
    match found {
        Resolution::Remote => {
            let recipient = (recipient != standing.recipient).then_some(recipient);
            Ok(Ok(Condition::Queued(Waiting { recipient, ..waiting })))
        }
        Resolution::Account(account) => delivered_to(work, standing.mail, account),
        Resolution::UnknownUser | Resolution::Alias(_) | Resolution::SenderOf(_) => {
            Ok(Err("to an address that is no account any more".to_owned()))
        }
    }
}

/// Into the inbox of an account, which has the message once.
fn delivered_to(
    work: &mut Work<'_>,
    mail: MailId,
    account: AccountId,
) -> Result<Result<Condition, Skip>, Refused> {
    let now = work.now;
    let inbox = work.index.mailbox_names.get(&account);
    let inbox = inbox.and_then(|names| names.get(crate::mailboxes::INBOX)).copied();
    let Some(mailbox) = inbox else { return Ok(Err("without an inbox".to_owned())) };
    let facts = match read_facts(&mut work.index.sql, mail) {
        Ok(Some(facts)) => facts,
        Ok(None) => return Ok(Err("without its message".to_owned())),
        Err(error) => return Err(work.fail(error.into())),
    };
    let had = place_in(work, mail, account).map_err(|error| work.fail(error.into()))?;
    let (mailbox, (uid, mod_seq)) = match had {
        // Several recipients lead to one account, which has the message once.
        Some((mailbox, uid, mod_seq)) => (mailbox, (uid, mod_seq)),
        None => (mailbox, next_in(work, mailbox)?),
    };
    Ok(Ok(Condition::Delivered {
        mailbox,
        uid,
        mod_seq,
        flags: Flags::default(),
        // RFC 3501 §2.3.3: the date of final delivery, where that was not to be at once.
        internal_date: facts.future_release.map_or(facts.accepted, |later| later.until.min(now)),
        bytes: facts.body_bytes,
        mail,
    }))
}

/// Where an account got a message as another of its recipients, though it may have moved it since.
fn place_in(
    work: &mut Work<'_>,
    mail: MailId,
    account: AccountId,
) -> Result<Option<(MailboxId, Uid, ModSeq)>, SqlError> {
    let mut places = Vec::new();
    let query = "SELECT mailbox, uid FROM custody WHERE mail = $1 AND state = $2 \
                 AND mailbox IS NOT NULL AND uid IS NOT NULL ORDER BY id";
    let params = [mail.0.into(), CustodyState::Delivered.code().into()];
    work.index.sql.query(query, &params, &mut |row| {
        places.push((MailboxId(row.id(0)?), u32::try_from(row.int(1)?).unwrap_or_default()));
        Ok(())
    })?;
    Ok(places.into_iter().find_map(|(id, uid)| {
        let mailbox = work.index.mailboxes.get(&id).filter(|known| known.account == account)?;
        Some((id, Uid::new(uid)?, mailbox.mod_seq))
    }))
}

impl<D: Disk> Store<D> {
    /// The reports that are due where these are delivered now: those asked for with NOTIFY=SUCCESS
    /// (RFC 3461 §5.2.3), which were not made while the message was held.
    ///
    /// `to`: they go to this address from now on.
    pub(crate) fn delivery_reports(
        &self,
        custodies: &[CustodyId],
        to: Option<&Address>,
    ) -> Result<Reports, Refused> {
        let mut reports = Reports::new();
        let Some(make) = &self.delivery_report else { return Ok(reports) };
        let unavailable = |error: StoreError| Refused::Unavailable(error.to_string());
        let wanted: BTreeSet<CustodyId> = custodies.iter().copied().collect();
        let mails = self.read(|sql| {
            let mut mails = BTreeSet::new();
            for custody in custodies {
                let query = "SELECT mail FROM custody WHERE id = $1";
                let mail = sql.number(query, &[custody.0.into()])?;
                mails.extend(mail.map(|mail| MailId(mail.cast_unsigned())));
            }
            Ok(mails.into_iter().collect::<Vec<_>>())
        });
        for facts in self.mail_facts(&mails.map_err(unavailable)?).map_err(unavailable)? {
            // Contained: what cannot be read goes on without a report, and `verify` names it.
            if let Err(error) = self.reports_about(facts, (&wanted, to), make, &mut reports) {
                tracing::error!(%error, "no report of a delivery can be made");
                self.shared.alarm(&error);
            }
        }
        Ok(reports)
    }

    fn reports_about(
        &self,
        facts: MailFacts,
        (wanted, to): (&BTreeSet<CustodyId>, Option<&Address>),
        make: &DeliveryReport,
        reports: &mut Reports,
    ) -> Result<(), StoreError> {
        let (_, accepted) = self.accepted(&facts)?;
        let asks = |one: &&NewCustody| {
            wanted.contains(&one.custody) && one.notify.is_some_and(|notify| notify.success)
        };
        if !accepted.custodies.iter().any(|one| asks(&one)) {
            return Ok(());
        }
        let mail = QueuedMail { facts, accepted: *accepted };
        let body = self.body(&mail.facts)?;
        let header = body.split_at(message::header_range(&body).end).0;
        for one in mail.accepted.custodies.iter().filter(asks) {
            let now_to = match to {
                Some(to) => Some(to.clone()),
                None => self.read(|sql| edited(sql, one.custody))?,
            };
            let mut named = one.clone();
            if let Some(now_to) = now_to.filter(|now_to| *now_to != one.recipient) {
                // RFC 3464 §2.3.1, §2.3.2: who has it, and whom its sender had named.
                let meant = format!("rfc822;{}", one.recipient);
                named.original_recipient.get_or_insert(meant);
                named.recipient = now_to;
            }
            if let Some(report) = make(&mail, &named, header) {
                reports.insert(one.custody, (self.next_mail(), report));
            }
        }
        Ok(())
    }

    /// Where a change has put a custody into a mailbox: what came after it in the story of its
    /// message; `None` where the change did something else.
    pub(crate) fn since_release(
        &self,
        item: &Changed,
        seq: RecordSeq,
    ) -> Result<Option<SinceRelease>, StoreError> {
        let Condition::Delivered { mailbox, uid, mail, .. } = &item.is else { return Ok(None) };
        let later = self.read(|sql| {
            let mut later = Vec::new();
            let query =
                "SELECT segment, place FROM story WHERE mail = $1 AND seq > $2 ORDER BY seq";
            sql.query(query, &[mail.0.into(), seq.0.into()], &mut |row| {
                later.push(place(row, 0)?);
                Ok(())
            })?;
            Ok(later)
        })?;
        let mut since = SinceRelease { release: seq, records: later.len() as u64, is_there: true };
        for at in later {
            let entry = self.entry_at(at)?;
            let is_it = |from: &MailboxId, one: &Uid| from == mailbox && one == uid;
            since.is_there &= match &entry.record {
                Record::Copied { from, messages, .. } | Record::Moved { from, messages, .. } => {
                    !messages.iter().any(|(uid, _)| is_it(from, uid))
                }
                Record::Expunged { mailbox: from, uids, .. } => {
                    !uids.iter().any(|uid| is_it(from, uid))
                }
                // Tries for others, other changes of custodies: it lies where it was put.
                _ => true,
            };
        }
        Ok(Some(since))
    }
}

/// What came behind the release of a message into a mailbox.
pub struct SinceRelease {
    release: RecordSeq,
    /// Later records in its story, when they were looked through.
    records: u64,
    /// None of them moved, copied or deleted it.
    is_there: bool,
}

/// How a message that was released stands in its mailbox.
struct Lying {
    /// The custody is what the release made of it.
    as_released: bool,
    /// Records behind the release.
    later: u64,
    /// Other recipients that have the same copy.
    others: u64,
}

impl Change {
    /// Takes a message that was released into a mailbox out of it again, where its owner has done
    /// nothing with it; says otherwise why not. It comes back as what it was. Where another recipient
    /// still has the same copy, that stays.
    pub fn take_back(
        &mut self,
        work: &mut Work<'_>,
        item: Changed,
        since: &SinceRelease,
    ) -> Result<(), Refused> {
        let Condition::Delivered { mailbox, uid, mail, flags, .. } = &item.is else {
            return Ok(());
        };
        let (mailbox, uid, mail) = (*mailbox, *uid, *mail);
        let lying = lying(work, item.custody, (mailbox, uid, mail), since.release);
        let lying = lying.map_err(|error| work.fail(error.into()))?;
        let added = self.added.get(&mail).copied().unwrap_or(0);
        let rows = work.rows(mailbox, &[(uid.get(), uid.get())])?;
        let why = match rows.find(uid.get()) {
            _ if !lying.as_released => "changed again since, or went on",
            None => "moved or deleted by their owner",
            Some(_) if !since.is_there || lying.later != since.records + added => {
                "moved, copied or deleted by their owner"
            }
            Some(place) if rows.flag_set(rows.at(place)).flags != *flags => {
                "seen or marked by their owner"
            }
            Some(_) => {
                self.flush(work)?;
                let added = self.added.entry(mail).or_default();
                *added += 1;
                if lying.others == 0 {
                    *added += 1;
                    let mod_seq = ModSeq(crate::mailboxes::mod_seq(work, mailbox)?.0 + 1);
                    let expunged = Record::Expunged { mailbox, mod_seq, uids: vec![uid] };
                    // The act is the undoing of the release: this one is not undone by itself.
                    work.record(&Actor::Server, expunged)?;
                }
                self.items.push(Changed { custody: item.custody, was: item.is, is: item.was });
                return self.flush(work);
            }
        };
        *self.outcome.skipped.entry(why.to_owned()).or_default() += 1;
        Ok(())
    }
}

fn lying(
    work: &mut Work<'_>,
    custody: CustodyId,
    (mailbox, uid, mail): (MailboxId, Uid, MailId),
    release: RecordSeq,
) -> Result<Lying, SqlError> {
    let sql = &mut work.index.sql;
    let at = [mailbox.0.into(), uid.get().into()];
    let delivered = CustodyState::Delivered.code();
    let there = "SELECT 1 FROM custody \
                 WHERE id = $1 AND state = $2 AND mailbox = $3 AND uid = $4";
    let there = sql.number(there, &[custody.0.into(), delivered.into(), at[0], at[1]])?;
    let others = "SELECT count(*) FROM custody \
                  WHERE mail = $1 AND id <> $2 AND state = $3 AND mailbox = $4 AND uid = $5";
    let others =
        sql.number(others, &[mail.0.into(), custody.0.into(), delivered.into(), at[0], at[1]])?;
    let later = "SELECT count(*) FROM story WHERE mail = $1 AND seq > $2";
    let later = sql.number(later, &[mail.0.into(), release.0.into()])?;
    let count = |found: Option<i64>| found.unwrap_or(0).cast_unsigned();
    Ok(Lying { as_released: there.is_some(), later: count(later), others: count(others) })
}

/// To whom a recipient's mail goes, where somebody has changed that.
fn edited(sql: &mut impl Executor, custody: CustodyId) -> Result<Option<Address>, SqlError> {
    const EDITED: &str = "SELECT recipient FROM held WHERE custody = $1 \
        UNION ALL SELECT recipient FROM queue WHERE custody = $1";
    let mut found = None;
    sql.query(EDITED, &[custody.0.into()], &mut |row| {
        found = row.text_or_null(0)?.and_then(|text| text.parse().ok());
        Ok(())
    })?;
    Ok(found)
}
