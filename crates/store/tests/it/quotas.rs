//! Quotas: what does not fit is refused before it is taken, and never behind that.

use mail_types::{Flags, SystemFlag};
use store::{AclChange, FlagsChange, Grantee, Quota, Refused, Store, Usage};

use crate::support::{address, arrived, operator, options, populate, session};

fn verified_clean(root: &std::path::Path) {
    let scratch = tempfile::tempdir().unwrap();
    let report = store::verify(root, scratch.path(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.violations);
}

fn deliver(store: &Store, to: &str) {
    store.accept(arrived(store, true, &[to], "x")).wait().unwrap();
}

fn append(store: &Store, account: mail_types::AccountId, name: &str) -> Result<(), Refused> {
    let mut arrival = store.arrival();
    arrival.write(b"Subject: x\r\n\r\nx\r\n").unwrap();
    let message = store::NewMessage {
        mail: store.next_mail(),
        body: arrival.finish().unwrap(),
        flags: Flags::default(),
        internal_date: None,
        message_id: None,
        subject: None,
    };
    let (actor, mailbox, messages) = (session(account), name.to_owned(), vec![message]);
    store
        .append(store::Append { actor, mailbox, messages, replaces: None, room: None })
        .wait()
        .map(drop)
}

#[test]
fn a_full_account_takes_no_more_but_what_was_accepted() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, bob) = populate(&store);
    let anns = address("ann@example.org");
    let all = address("all@example.org");
    let targets = vec![anns.clone(), address("bob@example.org")];
    store.set_alias(operator(), all.clone(), targets).wait().unwrap();
    let only = address("only@example.org");
    store.set_alias(operator(), only.clone(), vec![anns.clone()]).wait().unwrap();
    deliver(&store, "ann@example.org");
    deliver(&store, "bob@example.org");
    let quota = Quota { messages: Some(3), storage_bytes: None };
    store.set_quota(operator(), anns.clone(), quota).wait().unwrap();
    assert!(store.check_room_for(&anns, 0).is_ok());
    append(&store, ann, "Drafts").unwrap();
    append(&store, ann, "Drafts").unwrap();

    // Full: nothing more by any way, wherever it would go.
    let over = Refused::OverQuota;
    assert_eq!(append(&store, ann, "INBOX"), Err(over.clone()));
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    assert_eq!(store.copy(session(ann), inbox, vec![(1, 1)], "Sent").wait(), Err(over.clone()));
    assert_eq!(store.check_room_for(&anns, 0), Err(over.clone()));
    assert_eq!(store.check_room_for(&only, 0), Err(over.clone()));
    // One full member keeps no list from the others.
    assert!(store.check_room_for(&all, 0).is_ok());
    assert!(store.check_room_for(&address("bob@example.org"), 0).is_ok());
    // Not by others' hands either.
    let who = Grantee { account: Some(bob), negative: false };
    let rights = AclChange::Replace(mail_types::Rights::ALL);
    store.set_acl(session(ann), "Sent", who, rights).wait().unwrap();
    let shared = "Other Users/ann@example.org/Sent";
    assert_eq!(append(&store, bob, shared), Err(over.clone()));
    let bobs = store.mailbox(bob, "INBOX").unwrap().unwrap().id;
    assert_eq!(store.copy(session(bob), bobs, vec![(1, 1)], shared).wait(), Err(over.clone()));
    assert_eq!(
        store.move_messages(session(bob), bobs, vec![(1, 1)], shared).wait(),
        Err(over.clone())
    );
    // What only changes its place, or was accepted, is no more than before.
    store.move_messages(session(ann), inbox, vec![(1, 1)], "Trash").wait().unwrap();
    deliver(&store, "ann@example.org");
    let (usage, known) = store.usage(ann).unwrap();
    assert_eq!((usage.messages, known), (4, quota));

    // Room again, at once, when something goes or the limit does.
    let drafts = store.mailbox(ann, "Drafts").unwrap().unwrap().id;
    let deleted = Flags::from_iter([SystemFlag::Deleted]);
    let change = FlagsChange::Add;
    store.set_flags(session(ann), drafts, vec![(1, 9)], change, deleted, None).wait().unwrap();
    store.expunge(session(ann), drafts, None).wait().unwrap();
    append(&store, ann, "INBOX").unwrap();
    assert_eq!(append(&store, ann, "INBOX"), Err(over));
    store.delete_mailbox(session(ann), "Trash").wait().unwrap();
    append(&store, ann, "INBOX").unwrap();
    store.set_quota(operator(), anns, Quota::default()).wait().unwrap();
    append(&store, ann, "INBOX").unwrap();
    store.close();
    verified_clean(root.path());
}

#[test]
fn bytes_are_limited_and_the_limit_outlives_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    let anns = address("ann@example.org");
    append(&store, ann, "INBOX").unwrap();
    let one = store.usage(ann).unwrap().0;
    assert_eq!((one.messages, one.mailboxes), (1, 6));
    let quota = Quota { messages: None, storage_bytes: Some(one.bytes * 2 + 5) };
    store.set_quota(operator(), anns.clone(), quota).wait().unwrap();
    store.close();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    append(&store, ann, "INBOX").unwrap();
    assert_eq!(append(&store, ann, "INBOX"), Err(Refused::OverQuota));
    assert!(store.check_room_for(&anns, 5).is_ok());
    assert_eq!(store.check_room_for(&anns, 6), Err(Refused::OverQuota));
    assert_eq!(store.usage(ann).unwrap().0, Usage { bytes: one.bytes * 2, messages: 2, ..one });
    let nobody = address("nobody@example.org");
    let set = store.set_quota(operator(), nobody, quota).wait();
    assert!(matches!(set, Err(Refused::Missing(_))));
    store.close();
    verified_clean(root.path());
}
