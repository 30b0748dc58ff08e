//! Held mail that goes into a mailbox, and comes out of it again; what an interrupted undoing leaves.

use std::path::Path;

use journal::Disk;
use journal::sim::{Faults, SimDisk};
use mail_types::{AccountId, CustodyId, Flags, SystemFlag, Timestamp};
use store::{
    ChangeOutcome, CustodyState, FlagsChange, HeldBy, Hold, Query, QueueFilter, Store, Wish, verify,
};

use crate::script::open;
use crate::support::{address, arrived, operator, options, populate, session};

fn hold() -> Hold {
    Hold { by: HeldBy::Verdict, reason: "a test".to_owned(), purge_at: None }
}

fn clean(root: &Path) {
    let scratch = tempfile::tempdir().unwrap();
    let report = verify(root, scratch.path(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.violations);
}

/// Custodies of all messages, in order, that are not expanded.
fn custodies<D: Disk>(store: &Store<D>) -> Vec<(CustodyId, CustodyState)> {
    let stories = store.trace(&Query { count_max: 100, ..Query::default() }).unwrap();
    let all = stories.iter().flat_map(|story| &story.custodies);
    all.filter(|one| one.state != CustodyState::Expanded)
        .map(|one| (one.custody, one.state))
        .collect()
}

fn states<D: Disk>(store: &Store<D>) -> Vec<CustodyState> {
    custodies(store).into_iter().map(|(_, state)| state).collect()
}

fn inbox(store: &Store, account: AccountId) -> u64 {
    store.mailbox(account, "INBOX").unwrap().unwrap().messages
}

fn change(store: &Store, wish: &Wish, custody: CustodyId) -> ChangeOutcome {
    let done = store.change_custodies(&operator(), wish, None, &[custody]).unwrap();
    assert_eq!(done.changed, 1, "{done:?}");
    done
}

#[test]
fn a_copy_that_two_recipients_share_comes_out_with_the_last_of_them() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path(), options()).unwrap().0;
    let (ann, _) = populate(&store);
    let targets = vec![address("ann@example.org")];
    store.set_alias(operator(), address("sales@example.org"), targets).wait().unwrap();
    let to = ["ann@example.org", "sales@example.org"];
    store.accept_held(arrived(&store, false, &to, "hello"), hold()).wait().unwrap();
    let held: Vec<CustodyId> = custodies(&store).into_iter().map(|(custody, _)| custody).collect();
    assert_eq!(held.len(), 2);
    let first = change(&store, &Wish::Release, held[0]);
    change(&store, &Wish::Release, held[1]);
    assert_eq!(inbox(&store, ann), 1);
    // The first one's is the other's too.
    let undone = store.undo_change(&operator(), first.change, None).unwrap();
    assert_eq!((undone.changed, inbox(&store, ann)), (1, 1));
    assert_eq!(states(&store), [CustodyState::Held, CustodyState::Delivered]);
    let undone = store.undo_change(&operator(), None, None).unwrap();
    assert_eq!((undone.changed, inbox(&store, ann)), (1, 0));
    // Both with one command, and back with one.
    let done = store.change_custodies(&operator(), &Wish::Release, None, &held).unwrap();
    assert_eq!((done.changed, inbox(&store, ann)), (2, 1));
    let undone = store.undo_change(&operator(), None, None).unwrap();
    assert_eq!((undone.changed, inbox(&store, ann)), (2, 0), "{undone:?}");
    assert_eq!(states(&store), [CustodyState::Held, CustodyState::Held]);
    store.close();
    clean(root.path());
}

#[test]
fn what_its_owner_has_touched_stays_where_it_is() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path(), options()).unwrap().0;
    let (ann, _) = populate(&store);
    let inbox_id = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    for touch in 0..3 {
        let mail = arrived(&store, false, &["ann@example.org"], "hello");
        store.accept_held(mail, hold()).wait().unwrap();
        let held = custodies(&store).into_iter().find(|(_, state)| *state == CustodyState::Held);
        let done = change(&store, &Wish::Release, held.unwrap().0);
        let uid = store.mailbox(ann, "INBOX").unwrap().unwrap().uid_next - 1;
        let (by, one) = (session(ann), vec![(uid, uid)]);
        match touch {
            0 => {
                let flags: Flags = [SystemFlag::Seen].into_iter().collect();
                let set = store.set_flags(by, inbox_id, one, FlagsChange::Add, flags, None);
                set.wait().map(drop).unwrap();
            }
            1 => store.copy(by, inbox_id, one, "INBOX").wait().map(drop).unwrap(),
            _ => store.remove(by, inbox_id, one).wait().map(drop).unwrap(),
        }
        let before = inbox(&store, ann);
        let undone = store.undo_change(&operator(), done.change, None).unwrap();
        assert_eq!((undone.changed, inbox(&store, ann)), (0, before), "{touch}: {undone:?}");
    }
    assert!(states(&store).iter().all(|state| *state == CustodyState::Delivered));
    store.close();
    clean(root.path());
}

#[test]
fn what_was_readdressed_into_a_mailbox_waits_again_as_it_did() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path(), options()).unwrap().0;
    let (ann, _) = populate(&store);
    store.accept(arrived(&store, false, &["a@far.example"], "hello")).wait().unwrap();
    let (taken, _) = store.take_due(Timestamp(i64::MAX), 10, &|_| false).unwrap();
    let custody = taken[0].custody;
    store.begin_attempts(vec![custody], crate::script::peer()).wait().unwrap();
    let outcome = store::Outcome::Deferred {
        reason: "not now".to_owned(),
        status: mail_types::EnhancedStatus::new(4, 0, 0),
        reply: None,
        due: Timestamp(1_900_000_000_000),
        report: None,
    };
    let settled = store::Settled { custody, peer: None, outcome, reported: false };
    store.settle(vec![settled], Vec::new(), None).wait().unwrap();
    let waits = |store: &Store| {
        let items = store.queue(&QueueFilter::default()).unwrap();
        let all = items.into_iter();
        all.map(|one| (one.custody, one.recipient.to_string(), one.due, one.attempts, one.priority))
            .collect::<Vec<_>>()
    };
    let before = waits(&store);
    assert_eq!(before[0].3, 1);
    change(&store, &Wish::EditRecipient(address("ann@example.org")), custody);
    assert_eq!((inbox(&store, ann), waits(&store).len()), (1, 0));
    store.undo_change(&operator(), None, None).unwrap();
    assert_eq!((inbox(&store, ann), waits(&store)), (0, before));
    // Held, it goes there once it is released.
    change(&store, &Wish::Hold(HeldBy::Operator), custody);
    change(&store, &Wish::EditRecipient(address("ann@example.org")), custody);
    assert_eq!(inbox(&store, ann), 0);
    change(&store, &Wish::Release, custody);
    assert_eq!((inbox(&store, ann), states(&store)), (1, vec![CustodyState::Delivered]));
    store.close();
    clean(root.path());
}

/// A change of two records whose undoing is cut off between them.
#[test]
fn an_undoing_that_was_cut_off_is_still_the_last_change() {
    let recipients: Vec<String> =
        (0..1001).map(|number| format!("u{number}@far.example")).collect();
    let to: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let mut halves = 0;
    for cut in 1..40 {
        let place = tempfile::tempdir().unwrap();
        let (disk, index) = (SimDisk::new(), place.path().join("index.sqlite"));
        let store = open(&disk, &index).unwrap();
        populate(&store);
        store.accept(arrived(&store, false, &to, "hello")).wait().unwrap();
        let all: Vec<CustodyId> =
            store.queue(&QueueFilter::default()).unwrap().iter().map(|one| one.custody).collect();
        let wish = Wish::Hold(HeldBy::Operator);
        let earlier = store.change_custodies(&operator(), &Wish::Retry, None, &all).unwrap();
        let done = store.change_custodies(&operator(), &wish, None, &all).unwrap();
        assert_eq!((earlier.changed, done.changed), (1001, 1001));
        let cut_at_operation = Some(disk.operations() + cut);
        disk.set_faults(Faults { cut_at_operation, ..Faults::default() });
        let undone = store.undo_change(&operator(), None, None);
        store.close();
        if undone.is_ok() {
            break;
        }
        let disk = disk.after_power_cut(0);
        let store = open(&disk, &place.path().join("another.sqlite")).unwrap();
        let held = store.held_count().unwrap();
        if held == 0 || held == 1001 {
            continue;
        }
        halves += 1;
        let undone = store.undo_change(&operator(), None, None).unwrap();
        assert_eq!((undone.undone, undone.changed), (done.change, held));
        assert_eq!(store.held_count().unwrap(), 0);
        let undone = store.undo_change(&operator(), None, None).unwrap();
        assert_eq!(undone.undone, earlier.change);
        store.close();
    }
    assert!(halves > 0, "no cut was between the two records");
}
