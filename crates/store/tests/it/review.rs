//! Ways to lose or to double something that were found by reading, and stay closed.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};

use journal::RealDisk;
use mail_types::{Timestamp, Uid};
use store::{OpenMailbox, Options, Pending, Refused, Store};

use crate::support::{address, arrived, operator, options, populate, session};

/// To deliver to some targets of an alias and forget the others would be losing mail.
#[test]
fn alias_that_leads_to_too_many_is_refused_as_a_whole() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    let many = |from: usize, count: usize| -> Vec<_> {
        (from..from + count).map(|n| address(&format!("u{n}@example.com"))).collect()
    };
    let refused = store.set_alias(operator(), address("all@example.org"), many(0, 1001)).wait();
    assert!(matches!(refused, Err(Refused::Invalid(_))), "{refused:?}");
    for (name, from) in [("a", 0), ("b", 1000)] {
        let alias = address(&format!("{name}@example.org"));
        store.set_alias(operator(), alias, many(from, 1000)).wait().unwrap();
    }
    let both = vec![address("a@example.org"), address("b@example.org")];
    store.set_alias(operator(), address("all@example.org"), both).wait().unwrap();
    let refused = store.accept(arrived(&store, true, &["all@example.org"], "x")).wait();
    assert!(matches!(refused, Err(Refused::Invalid(_))), "{refused:?}");
    store.accept(arrived(&store, true, &["a@example.org"], "x")).wait().unwrap();
    assert_eq!(store.queue_counts().unwrap()["example.com"], 1000);
    store.close();
}

/// A record that the journal cannot take is refused alone, before anything is written.
#[test]
fn message_to_more_than_a_record_holds_fails_no_group() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    let long = "d".repeat(60);
    let to: Vec<String> = (0..21_000)
        .map(|n| format!("{}{n}@{long}.{long}.{long}.example.com", "l".repeat(50)))
        .collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let large = store.accept(arrived(&store, false, &to, "x"));
    let small = store.accept(arrived(&store, true, &["ann@example.org"], "x"));
    let refused = large.wait();
    assert!(matches!(refused, Err(Refused::Invalid(_))), "{refused:?}");
    small.wait().unwrap();
    assert_eq!(store.mailbox(ann, "INBOX").unwrap().unwrap().messages, 1);
    store.close();
}

/// Two mailboxes of one name would hide one of them with its mail.
#[test]
fn rename_onto_what_a_deleted_mailbox_left_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    let by = session(ann);
    for name in ["Old/x", "Work/x"] {
        store.create_mailbox(by, name, None).wait().unwrap();
    }
    store.delete_mailbox(by, "Old").wait().unwrap();
    let before = store.mailboxes(ann).unwrap();
    let refused = store.rename_mailbox(by, "Work", "Old").wait();
    assert!(matches!(refused, Err(Refused::Exists(_))), "{refused:?}");
    assert_eq!(store.mailboxes(ann).unwrap(), before);
    store.close();
}

/// What is refused has changed nothing, parents that were to be made included.
#[test]
fn refused_rename_makes_no_parents() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    let by = session(ann);
    let deep = vec!["a"; 30].join("/");
    store.create_mailbox(by, &deep, None).wait().unwrap();
    let before = store.mailboxes(ann).unwrap();
    // Its children would lie too deep.
    let refused = store.rename_mailbox(by, "a", &vec!["b"; 40].join("/")).wait();
    assert!(matches!(refused, Err(Refused::Invalid(_))), "{refused:?}");
    assert_eq!(store.mailboxes(ann).unwrap(), before);
    store.close();
}

/// A session that opens a mailbox between a delivery and its sync has the message or hears of it.
#[test]
fn mailbox_opened_while_mail_waits_for_its_sync_is_told() {
    type Opened = Arc<OnceLock<(Store<RealDisk>, mail_types::MailboxId)>>;
    let root = tempfile::tempdir().unwrap();
    let opened: Opened = Arc::default();
    let opening: Arc<Mutex<Option<Pending<Option<OpenMailbox>>>>> = Arc::default();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (at_clock, in_clock) = (Arc::clone(&opened), Arc::clone(&opening));
    let looks = std::sync::atomic::AtomicU64::new(0);
    let clock = move || {
        if let Some((store, inbox)) = at_clock.get() {
            // First look: wait until a second change is in line. Second: the first is performed
            // and not synced yet, and what the index tells readers is from before it.
            match looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => wait.lock().unwrap().recv().unwrap(),
                1 => *in_clock.lock().unwrap() = store.read_mailbox(*inbox).unwrap(),
                _ => {}
            }
        }
        Timestamp(1_800_000_000_000)
    };
    let options = Options { clock: Arc::new(clock), ..options() };
    let (store, _) = Store::open(root.path(), options).unwrap();
    let (ann, bob) = populate(&store);
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    assert!(store.opened(inbox).is_none());
    // The index is up to date, so that reading it in the clock does not wait for the writer.
    assert!(store.snapshot(inbox).unwrap().unwrap().1.is_empty());
    let mail = arrived(&store, true, &["ann@example.org"], "x");
    opened.set((store.clone(), inbox)).ok().unwrap();
    let first = store.accept(mail);
    let second = store.set_subscribed(session(bob), "anything", true);
    go_on.send(()).unwrap();
    first.wait().unwrap();
    second.wait().unwrap();
    let mut open = opening.lock().unwrap().take().unwrap().wait().unwrap().unwrap();
    assert_eq!(open.take().unwrap().len(), 1);
    store.close();
}

/// What has its outcome is not given another one.
#[test]
fn what_is_not_in_the_queue_is_not_attempted() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    let nowhere = vec![mail_types::CustodyId(77)];
    let begun = store.begin_attempts(nowhere.clone(), crate::script::peer()).wait();
    assert_eq!(begun, Ok(Vec::new()));
    assert_eq!(store.retry(operator(), nowhere).wait(), Ok(0));
    store.close();
}

#[test]
fn alias_and_account_never_share_an_address_and_a_domain_outlives_its_aliases() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    store.add_domain(operator(), "example.net".parse().unwrap()).wait().unwrap();
    let alias = address("info@example.net");
    let targets = vec![address("ann@example.org")];
    store.set_alias(operator(), alias.clone(), targets).wait().unwrap();
    let refused = store.add_account(operator(), alias.clone(), crate::support::credentials());
    assert!(matches!(refused.wait(), Err(Refused::Exists(_))));
    let refused = store.remove_domain(operator(), "example.net".parse().unwrap()).wait();
    assert!(matches!(refused, Err(Refused::Invalid(_))), "{refused:?}");
    store.remove_alias(operator(), alias).wait().unwrap();
    store.remove_domain(operator(), "example.net".parse().unwrap()).wait().unwrap();
    store.close();
}

/// UIDNEXT is kept, not made from what is there: an expunged UID never comes again.
#[test]
fn uid_of_an_expunged_message_never_comes_again() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    store.accept(arrived(&store, true, &["ann@example.org"], "x")).wait().unwrap();
    assert_eq!(store.remove(session(ann), inbox, vec![(1, 1)]).wait().unwrap(), [Uid::FIRST]);
    store.close();
    drop(store);
    let (store, _) = Store::open(root.path(), options()).unwrap();
    store.accept(arrived(&store, true, &["ann@example.org"], "y")).wait().unwrap();
    let (_, rows) = store.snapshot(inbox).unwrap().unwrap();
    assert_eq!(rows[0].uid.get(), 2);
    store.close();
}
