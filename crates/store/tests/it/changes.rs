//! Mail that is held, released, rerouted, purged and given back, and the undoing of it.

use std::time::Duration;

use mail_types::{CustodyId, Timestamp};
use store::{
    CustodyState, HeldBy, Hold, Options, Query, QueueFilter, QueueItem, Store, Wish, verify,
};

use crate::support::{arrived, operator, options, populate};

fn open(root: &std::path::Path) -> Store {
    Store::open(root, options()).unwrap().0
}

fn queue(store: &Store) -> Vec<QueueItem> {
    store.queue(&QueueFilter::default()).unwrap()
}

fn ids(items: &[QueueItem]) -> Vec<CustodyId> {
    items.iter().map(|item| item.custody).collect()
}

/// What the queue says of an item.
type Row = (CustodyId, String, Timestamp, Option<String>, Option<String>);

/// What of an item a command may change.
fn shape(items: &[QueueItem]) -> Vec<Row> {
    let of = |item: &QueueItem| {
        let (relay, back) = (item.relay.clone(), item.give_back.clone());
        (item.custody, item.recipient.to_string(), item.due, relay, back)
    };
    items.iter().map(of).collect()
}

fn send(store: &Store, to: &[&str]) {
    store.accept(arrived(store, false, to, "hello")).wait().unwrap();
}

fn states(store: &Store) -> Vec<CustodyState> {
    let stories = store.trace(&Query { count_max: 100, ..Query::default() }).unwrap();
    stories.iter().flat_map(|story| &story.custodies).map(|custody| custody.state).collect()
}

fn clean(root: &std::path::Path) {
    let scratch = tempfile::tempdir().unwrap();
    let report = verify(root, scratch.path(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.violations);
}

#[test]
fn every_command_and_its_undoing_leave_the_queue_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    populate(&store);
    send(&store, &["a@far.example", "b@far.example", "c@other.example"]);
    let before = shape(&queue(&store));
    let all = ids(&queue(&store));
    let to = "d@third.example".parse().unwrap();
    for wish in [
        Wish::Hold(HeldBy::Operator),
        Wish::Purge(Duration::from_secs(3600)),
        Wish::Retry,
        Wish::Reroute(Some("relay.example:2525".to_owned())),
        Wish::EditRecipient(to),
        Wish::Return,
    ] {
        let done = store.change_custodies(&operator(), &wish, Some("a test"), &all).unwrap();
        assert_eq!((done.changed, done.skipped.len()), (3, 0), "{wish:?}");
        let undone = store.undo_change(&operator(), None, None).unwrap();
        assert_eq!((undone.undone, undone.changed), (done.change, 3), "{wish:?}");
        assert_eq!(shape(&queue(&store)), before, "{wish:?}");
    }
    let nothing = store.undo_change(&operator(), None, None);
    assert!(nothing.is_err(), "everything is undone: {nothing:?}");
    store.close();
    clean(root.path());
}

#[test]
fn what_is_held_is_taken_by_nobody_and_goes_on_where_it_was() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    populate(&store);
    send(&store, &["a@far.example", "b@far.example"]);
    let items = queue(&store);
    let due = items[0].due;
    let one = vec![items[0].custody];
    let hold = Wish::Hold(HeldBy::Operator);
    store.change_custodies(&operator(), &hold, None, &one).unwrap();
    let (taken, next) = store.take_due(Timestamp(i64::MAX), 10, &|_| false).unwrap();
    assert_eq!(ids(&taken), [items[1].custody]);
    assert_eq!(next, None);
    let again = store.change_custodies(&operator(), &hold, None, &one).unwrap();
    assert_eq!(again.changed, 0);
    assert_eq!(again.skipped["held already"], 1);
    store.change_custodies(&operator(), &Wish::Release, None, &one).unwrap();
    let (taken, _) = store.take_due(Timestamp(i64::MAX), 10, &|_| false).unwrap();
    assert_eq!((ids(&taken), taken[0].due), (one, due));
    store.close();
    clean(root.path());
}

#[test]
fn what_was_taken_and_then_changed_is_not_begun_before_it_is_taken_anew() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    populate(&store);
    send(&store, &["a@far.example"]);
    let (taken, _) = store.take_due(Timestamp(i64::MAX), 10, &|_| false).unwrap();
    let one = ids(&taken);
    let relay = Wish::Reroute(Some("relay.example:25".to_owned()));
    store.change_custodies(&operator(), &relay, None, &one).unwrap();
    let begun = store.begin_attempts(one.clone(), crate::script::peer()).wait().unwrap();
    assert_eq!(begun, []);
    store.give_back(&one, Vec::new()).wait().unwrap();
    let (taken, _) = store.take_due(Timestamp(i64::MAX), 10, &|_| false).unwrap();
    assert_eq!(taken[0].relay.as_deref(), Some("relay.example:25"));
    let begun = store.begin_attempts(one.clone(), crate::script::peer()).wait().unwrap();
    assert_eq!(begun, one);
    // Now a host may have it any moment.
    let late = store.change_custodies(&operator(), &Wish::Hold(HeldBy::Operator), None, &one);
    assert_eq!(late.unwrap().skipped["being sent at this moment"], 1);
    store.close();
    clean(root.path());
}

#[test]
fn paused_mail_is_neither_taken_nor_begun() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    populate(&store);
    send(&store, &["a@far.example", "b@other.example"]);
    let (taken, _) = store.take_due(Timestamp(i64::MAX), 10, &|_| false).unwrap();
    let custodies = ids(&taken);
    let to = |destination: &str| Some(destination.to_owned());
    store.pause_queue(operator(), to("far.example"), true, None).wait().unwrap();
    let begun = store.begin_attempts(custodies.clone(), crate::script::peer()).wait().unwrap();
    let far = |one: &&QueueItem| one.recipient.to_string() == "a@far.example";
    assert!(!begun.contains(&taken.iter().find(far).unwrap().custody));
    assert_eq!(begun.len(), 1);
    store.give_back(&custodies, begun).wait().unwrap();
    store.close();
    let store = open(root.path());
    let (taken, _) = store.take_due(Timestamp(i64::MAX), 10, &|_| false).unwrap();
    assert_eq!(taken.len(), 1);
    store.pause_queue(operator(), to("far.example"), false, None).wait().unwrap();
    let (taken, _) = store.take_due(Timestamp(i64::MAX), 10, &|_| false).unwrap();
    assert_eq!(taken[0].recipient.to_string(), "a@far.example");
    let nothing = store.pause_queue(operator(), to("far.example"), false, None).wait();
    assert!(nothing.is_err());
    store.close();
    clean(root.path());
}

#[test]
fn mail_held_as_it_came_is_released_into_its_mailbox_or_the_queue() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    populate(&store);
    let reason = "DMARC says reject".to_owned();
    let hold = Hold { by: HeldBy::Verdict, reason, purge_at: None };
    let to = ["ann@example.org", "a@far.example"];
    store.accept_held(arrived(&store, false, &to, "hello"), hold).wait().unwrap();
    assert_eq!(states(&store), [CustodyState::Held, CustodyState::Held]);
    assert!(queue(&store).is_empty());
    let stories = store.trace(&Query { count_max: 1, ..Query::default() }).unwrap();
    let custodies: Vec<CustodyId> = stories[0].custodies.iter().map(|one| one.custody).collect();
    let done = store.change_custodies(&operator(), &Wish::Release, None, &custodies).unwrap();
    assert_eq!(done.changed, 2, "{done:?}");
    assert_eq!(states(&store), [CustodyState::Delivered, CustodyState::Queued]);
    store.close();
    clean(root.path());
}

#[test]
fn a_purge_is_final_only_after_its_hold() {
    let root = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(1_700_000_000_000));
    let now = std::sync::Arc::clone(&clock);
    let read = move || Timestamp(now.load(std::sync::atomic::Ordering::SeqCst));
    let options = Options { clock: std::sync::Arc::new(read), ..options() };
    let store = Store::open(root.path(), options).unwrap().0;
    populate(&store);
    send(&store, &["a@far.example"]);
    let all = ids(&queue(&store));
    let purge = Wish::Purge(Duration::from_secs(60));
    store.change_custodies(&operator(), &purge, Some("spam"), &all).unwrap();
    assert_eq!(store.purge_due().unwrap(), 0);
    assert_eq!(states(&store), [CustodyState::Held]);
    clock.fetch_add(60_000, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(store.purge_due().unwrap(), 1);
    assert_eq!(states(&store), [CustodyState::Purged]);
    let late = store.undo_change(&operator(), None, None).unwrap();
    assert_eq!((late.changed, late.skipped["settled already"]), (0, 1));
    store.close();
    clean(root.path());
}
