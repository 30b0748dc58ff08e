use store::{CustodyState, FlagsChange, Query, Refused, Store};

use crate::support::{address, arrived, operator, options, populate, session};

fn verified_clean(root: &std::path::Path) {
    let scratch = tempfile::tempdir().unwrap();
    let report = store::verify(root, scratch.path(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.violations);
}

#[test]
fn a_message_is_in_the_inbox_before_its_receipt_exists() {
    let root = tempfile::tempdir().unwrap();
    let (store, started) = Store::open(root.path(), options()).unwrap();
    assert!(started.created);
    let (ann, _) = populate(&store);
    let to = ["ann@example.org", "Bob+lists@example.org"];
    let receipt = store.accept(arrived(&store, true, &to, "hello\r\n")).wait().unwrap();
    let inbox = store.mailbox(ann, "inbox").unwrap().unwrap();
    assert_eq!((inbox.messages, inbox.unseen, inbox.uid_next), (1, 1, 2));
    let (_, rows) = store.snapshot(inbox.id).unwrap().unwrap();
    let facts = store.mail_facts(&[rows[0].mail]).unwrap();
    assert!(store.body(&facts[0]).unwrap().ends_with(b"\r\n\r\nhello\r\n"));
    let query = Query { receipt: Some(receipt.id()), count_max: 10, ..Query::default() };
    let stories = store.trace(&query).unwrap();
    assert_eq!(stories.len(), 1);
    assert!(stories[0].custodies.iter().all(|one| one.state == CustodyState::Delivered));
    store.close();
    verified_clean(root.path());
}

#[test]
fn what_may_not_be_relayed_is_refused_by_the_store_too() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    let refused = store.accept(arrived(&store, true, &["x@example.com"], "")).wait();
    assert_eq!(refused, Err(Refused::RelayDenied(address("x@example.com"))));
    let refused = store.accept(arrived(&store, true, &["nobody@example.org"], "")).wait();
    assert_eq!(refused, Err(Refused::UnknownUser(address("nobody@example.org"))));
    let sent = store.accept(arrived(&store, false, &["x@example.com"], "")).wait();
    assert!(sent.is_ok());
    assert_eq!(store.queue_counts().unwrap()["example.com"], 1);
    store.close();
    verified_clean(root.path());
}

#[test]
fn an_alias_carries_its_mail_on_and_a_loop_ends() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    let all = address("all@example.org");
    let targets = vec![address("ann@example.org"), address("x@example.com")];
    store.set_alias(operator(), all.clone(), targets).wait().unwrap();
    let targets = vec![all.clone(), address("team@example.org")];
    store.set_alias(operator(), address("team@example.org"), vec![all.clone()]).wait().unwrap();
    store.set_alias(operator(), address("team@example.org"), targets).wait().unwrap();
    let to = ["team@example.org", "ann@example.org"];
    store.accept(arrived(&store, true, &to, "x")).wait().unwrap();
    assert_eq!(store.mailbox(ann, "INBOX").unwrap().unwrap().messages, 1, "one copy for ann");
    assert_eq!(store.queue_counts().unwrap()["example.com"], 1);
    store.close();
    verified_clean(root.path());
}

#[test]
fn mailboxes_change_in_records_and_come_back_after_a_rebuild() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    for text in ["one", "two", "three"] {
        store.accept(arrived(&store, true, &["ann@example.org"], text)).wait().unwrap();
    }
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    let seen = [mail_types::SystemFlag::Seen, mail_types::SystemFlag::Deleted];
    let by = session(ann);
    let set = store.set_flags(
        by,
        inbox,
        vec![(2, 2)],
        FlagsChange::Add,
        seen.into_iter().collect(),
        None,
    );
    set.wait().unwrap();
    store.create_mailbox(by, "Work/2026", None).wait().unwrap();
    let moved = store.move_messages(by, inbox, vec![(1, 1)], "Work/2026").wait().unwrap();
    assert_eq!(moved.messages.len(), 1);
    assert_eq!(store.expunge(by, inbox, None).wait().unwrap().len(), 1);
    store.rename_mailbox(by, "Work", "Old").wait().unwrap();
    assert_eq!(store.mailbox(ann, "Old/2026").unwrap().unwrap().messages, 1);
    store.rename_mailbox(by, "INBOX", "Old/Inbox").wait().unwrap();
    assert_eq!(store.mailbox(ann, "INBOX").unwrap().unwrap().messages, 0);
    assert_eq!(store.mailbox(ann, "Old/Inbox").unwrap().unwrap().messages, 1);
    store.delete_mailbox(by, "Old/Inbox").wait().unwrap();
    let before = store.mailboxes(ann).unwrap();
    store.close();
    drop(store);
    verified_clean(root.path());
    let (records, damage) = store::rebuild(root.path(), journal::Options::default()).unwrap();
    assert!(records > 20 && damage.is_empty());
    verified_clean(root.path());
    let (store, started) = Store::open(root.path(), options()).unwrap();
    assert_eq!(started.replayed, 0);
    assert_eq!(store.mailboxes(ann).unwrap(), before);
}
