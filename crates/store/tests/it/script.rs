//! A scripted day of a store, and what must be found of it whatever happened in between.

use std::path::Path;

use std::time::Duration;

use journal::Disk;
use journal::sim::SimDisk;
use mail_types::{AccountId, CustodyId, EnhancedStatus, Peer, Reply, SystemFlag, Timestamp};
use store::{
    CustodyState, FlagsChange, NewReport, Notice, Options, Outcome, Query, QueueFilter, Receipt,
    Refused, Settled, Store, StoreError,
};

use crate::support::{PEER, address, arrived, operator, options, populate_or, session};

/// Bodies of more than this have a file of their own here.
const INLINE_BYTES: usize = 600;

/// Small segments, so that a short script fills some; an index that is committed only when read.
pub fn small() -> Options {
    let journal = journal::Options {
        segment_bytes: 4096,
        inline_body_bytes_max: INLINE_BYTES,
        ..journal::Options::default()
    };
    Options { journal, index_commit_interval: Duration::from_hours(1), ..options() }
}

pub fn open(disk: &SimDisk, index: &Path) -> Result<Store<SimDisk>, StoreError> {
    Store::open_on(disk.clone(), index, small()).map(|(store, _)| store)
}

/// A message that was acknowledged: what must be found of it.
pub struct Acknowledged {
    pub receipt: Receipt,
    pub text: String,
    /// Accounts that have it.
    pub local: Vec<&'static str>,
    pub remote: usize,
}

/// What was acknowledged so far.
#[derive(Default)]
pub struct Log {
    pub mails: Vec<Acknowledged>,
    pub flagged: bool,
    pub moved: bool,
    pub expunged: bool,
    pub relayed: Option<CustodyId>,
    pub returned: Option<CustodyId>,
}

pub fn peer() -> Peer {
    Peer {
        host: "mx.example.com".to_owned(),
        ip: PEER,
        port: 25,
        tls: None,
        tls_verified: false,
        tls_failure: None,
    }
}

fn send<D: Disk>(
    store: &Store<D>,
    log: &mut Log,
    to: &[&str],
    local: &[&'static str],
    remote: usize,
    text: String,
) -> Result<(), Refused> {
    let Ok(arrived) = try_arrived(store, to, &text) else {
        return Err(Refused::Unavailable("the body did not come in".to_owned()));
    };
    let receipt = store.accept(arrived).wait()?;
    log.mails.push(Acknowledged { receipt, text, local: local.to_vec(), remote });
    Ok(())
}

/// As [`arrived`], where the disk may refuse the body.
fn try_arrived<D: Disk>(
    store: &Store<D>,
    to: &[&str],
    text: &str,
) -> std::io::Result<store::Arrived> {
    let mut arrival = store.arrival();
    arrival.write(text.as_bytes())?;
    let body = arrival.finish()?;
    Ok(store::Arrived { body, ..arrived(store, false, to, "") })
}

/// Runs the script until something is refused.
pub fn run<D: Disk>(store: &Store<D>, log: &mut Log) -> Result<(), Refused> {
    let (ann, _) = populate_or(store)?;
    let team = vec![address("ann@example.org"), address("x@example.com")];
    store.set_alias(operator(), address("team@example.org"), team).wait()?;
    send(store, log, &["ann@example.org"], &["ann"], 0, "one".to_owned())?;
    let large = |letter: &str| letter.repeat(2 * INLINE_BYTES);
    let to = ["ann@example.org", "bob@example.org", "y@example.com"];
    send(store, log, &to, &["ann", "bob"], 1, large("two"))?;
    send(store, log, &["team@example.org"], &["ann"], 1, "three".to_owned())?;
    let inbox = store.mailbox(ann, "INBOX").ok().flatten();
    let inbox = inbox.ok_or_else(|| Refused::Missing("INBOX".to_owned()))?.id;
    let by = session(ann);
    let flags = [SystemFlag::Deleted, SystemFlag::Seen].into_iter().collect();
    store.set_flags(by, inbox, vec![(1, 1)], FlagsChange::Add, flags, None).wait()?;
    log.flagged = true;
    store.create_mailbox(by, "Work/2026", None).wait()?;
    store.move_messages(by, inbox, vec![(2, 2)], "Work/2026").wait()?;
    log.moved = true;
    store.expunge(by, inbox, None).wait()?;
    log.expunged = true;
    let later = Timestamp(i64::MAX);
    let (items, _) = store
        .take_due(later, 10, &|_| false)
        .map_err(|error| Refused::Unavailable(error.to_string()))?;
    assert_eq!(items.len(), 2);
    settle(store, log, items[0].custody, items[1].custody, items[1].mail.facts.receipt.mail)?;
    send(store, log, &["bob@example.org"], &["bob"], 0, large("four"))?;
    send(store, log, &["z@example.com"], &[], 1, "five".to_owned())?;
    let begun = store.queue(&QueueFilter::default()).unwrap().pop().unwrap().custody;
    store.begin_attempts(vec![begun], peer()).wait().map(|_| ())
}

fn settle<D: Disk>(
    store: &Store<D>,
    log: &mut Log,
    first: CustodyId,
    second: CustodyId,
    about: mail_types::MailId,
) -> Result<(), Refused> {
    store.begin_attempts(vec![first], peer()).wait()?;
    let reply = Reply::new(250, None, "kept");
    let outcome = Outcome::Relayed { reply, report: None, may_be_duplicate: false };
    let relayed =
        Settled { custody: first, peer: Some(peer()), outcome: outcome.clone(), reported: false };
    store.settle(vec![relayed], Vec::new(), None).wait()?;
    log.relayed = Some(first);
    let outcome = Outcome::Returned {
        reason: "no such user".to_owned(),
        status: EnhancedStatus::new(5, 1, 1),
        reply: None,
        notice: Notice::Sent { report: about },
    };
    let returned = Settled { custody: second, peer: None, outcome, reported: true };
    let report = NewReport {
        to: address("ann@example.org"),
        about,
        body: journal::Body::from_bytes(b"Subject: returned\r\n\r\nSorry.\r\n").unwrap(),
        subject: Some("returned".to_owned()),
        message_id: None,
    };
    store.settle(vec![returned], Vec::new(), Some(report)).wait()?;
    log.returned = Some(second);
    Ok(())
}

/// Everything acknowledged is there, exactly once, and nothing is there in part.
pub fn check<D: Disk>(store: &Store<D>, log: &Log) {
    for mail in &log.mails {
        let id = mail.receipt.id();
        let query = Query { receipt: Some(id), count_max: 10, ..Query::default() };
        let stories = store.trace(&query).unwrap();
        assert_eq!(stories.len(), 1, "receipt {id}");
        let story = &stories[0];
        assert_eq!(store.body(&story.facts).unwrap(), mail.text.as_bytes());
        let count = |state| story.custodies.iter().filter(|one| one.state == state).count();
        assert_eq!(count(CustodyState::Delivered), mail.local.len(), "receipt {id}");
        let open = [CustodyState::Queued, CustodyState::Relayed, CustodyState::Returned];
        let remote: usize = open.into_iter().map(count).sum();
        assert_eq!(remote, mail.remote, "receipt {id}");
        for (account, name) in [(AccountId(1), "ann"), (AccountId(2), "bob")] {
            let copies = rows(store, account).filter(|row| *row == id.mail).count();
            let first = log.mails.first().is_some_and(|one| one.receipt.id() == id);
            // The first is taken out by the script, acknowledged or not.
            let expected = usize::from(mail.local.contains(&name));
            let gone_too = first && log.flagged && !log.expunged && copies == 0;
            let expected = if first && log.expunged || gone_too { 0 } else { expected };
            assert_eq!(copies, expected, "receipt {id} at {name}");
        }
    }
    let queued: Vec<CustodyId> =
        store.queue(&QueueFilter::default()).unwrap().iter().map(|item| item.custody).collect();
    for settled in [log.relayed, log.returned].into_iter().flatten() {
        assert!(!queued.contains(&settled));
    }
    if log.moved {
        let work = store.mailbox(AccountId(1), "Work/2026").unwrap().unwrap();
        assert_eq!(work.messages, 1);
    }
}

/// The messages of all mailboxes of an account.
fn rows<D: Disk>(
    store: &Store<D>,
    account: AccountId,
) -> impl Iterator<Item = mail_types::MailId> + use<D> {
    let mut mails = Vec::new();
    for listed in store.mailboxes(account).unwrap() {
        let Some(mailbox) = listed.mailbox else { continue };
        let (_, rows) = store.snapshot(mailbox.id).unwrap().unwrap();
        mails.extend(rows.into_iter().map(|row| row.mail));
    }
    mails.into_iter()
}

/// Proves the invariants; the index must equal one that is rebuilt.
pub fn verify(disk: &SimDisk, index: &Path) {
    let scratch = tempfile::tempdir().unwrap();
    let report = store::verify_on(disk.clone(), index, scratch.path(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.violations);
}
