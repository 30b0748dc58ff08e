//! Orders of events in which the queue sent, counted, doubled or stranded what it should not.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use journal::Disk;
use journal::sim::{Faults, SimDisk};
use mail_types::{CustodyId, EnhancedStatus, Peer, Phase, PhaseName, Reply, Timestamp};
use store::{
    CustodyState, HeldBy, Hold, Notice, Options, Outcome, Query, QueueFilter, QueueItem, Settled,
    Store, Try, Wish, verify,
};

use crate::support::{address, arrived, operator, options, populate, session};

const LATE: Timestamp = Timestamp(i64::MAX);

fn ids<D: Disk>(store: &Store<D>) -> Vec<CustodyId> {
    let items = store.queue(&QueueFilter::default()).unwrap();
    items.iter().map(|item| item.custody).collect()
}

fn take<D: Disk>(store: &Store<D>) -> Vec<QueueItem> {
    store.take_due(LATE, 100, &|_| false).unwrap().0
}

fn clean(root: &Path) {
    let scratch = tempfile::tempdir().unwrap();
    let report = verify(root, scratch.path(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.violations);
}

/// A clock that is set by hand.
fn by_hand() -> (Arc<AtomicI64>, Options) {
    let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
    let now = Arc::clone(&clock);
    let read = move || Timestamp(now.load(Ordering::SeqCst));
    (clock, Options { clock: Arc::new(read), ..options() })
}

/// The writer has made the change and not synced it; then the old way is taken from the index as it
/// was.
#[test]
fn what_is_taken_between_a_change_and_its_sync_is_not_begun_the_old_way() {
    type Taken = Arc<Mutex<Vec<QueueItem>>>;
    let root = tempfile::tempdir().unwrap();
    let taken = Taken::default();
    let opened: Arc<OnceLock<Store>> = Arc::default();
    let (entered, is_in) = mpsc::channel();
    let (go_on, wait) = mpsc::channel();
    let (at_clock, in_clock, wait) = (Arc::clone(&opened), Arc::clone(&taken), Mutex::new(wait));
    let (entered, looks) = (Mutex::new(entered), AtomicU32::new(0));
    let clock = move || {
        if let Some(store) = at_clock.get() {
            match looks.fetch_add(1, Ordering::SeqCst) {
                // The change waits here until another is in line behind it.
                0 => {
                    entered.lock().unwrap().send(()).unwrap();
                    wait.lock().unwrap().recv().unwrap();
                }
                1 => in_clock.lock().unwrap().extend(take(store)),
                _ => {}
            }
        }
        Timestamp(1_800_000_000_000)
    };
    let (store, _) =
        Store::open(root.path(), Options { clock: Arc::new(clock), ..options() }).unwrap();
    let (_, bob) = populate(&store);
    store.accept(arrived(&store, false, &["a@far.example"], "hello")).wait().unwrap();
    // The index is up to date, so that reading it in the clock does not wait for the writer.
    let one = ids(&store);
    opened.set(store.clone()).ok().unwrap();
    let (by, custodies) = (store.clone(), one.clone());
    let change = std::thread::spawn(move || {
        let wish = Wish::EditRecipient(address("b@other.example"));
        by.change_custodies(&operator(), &wish, None, &custodies).unwrap()
    });
    is_in.recv().unwrap();
    let second = store.set_subscribed(session(bob), "anything", true);
    go_on.send(()).unwrap();
    assert_eq!(change.join().unwrap().changed, 1);
    second.wait().unwrap();
    let taken = std::mem::take(&mut *taken.lock().unwrap());
    assert_eq!(taken[0].recipient.to_string(), "a@far.example");
    assert_eq!(store.begin_attempts(one.clone(), crate::script::peer()).wait(), Ok(vec![]));
    // Nor has it an outcome: it is open, and taken anew.
    store.settle(vec![returned(one[0], "no such user", 1)], Vec::new(), None).wait().unwrap();
    let again = take(&store);
    assert_eq!(again[0].recipient.to_string(), "b@other.example");
    assert_eq!(store.begin_attempts(one.clone(), crate::script::peer()).wait(), Ok(one));
    store.close();
    clean(root.path());
}

fn returned(custody: CustodyId, text: &str, lines: usize) -> Settled {
    let lines = vec![text.to_owned(); lines];
    let outcome = Outcome::Returned {
        reason: format!("mx.example.com: {}", lines.join(" ")),
        status: EnhancedStatus::new(5, 1, 1),
        reply: Some(Reply { code: 550, status: None, lines }),
        notice: Notice::NotWanted,
    };
    Settled { custody, peer: Some(crate::script::peer()), outcome, reported: false }
}

/// A record that the journal cannot take would fail its group, and again at each try.
#[test]
fn what_hosts_say_at_length_fails_no_group() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    let to: Vec<String> = (0..5).map(|number| format!("{number}@far.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    store.accept(arrived(&store, false, &to, "hello")).wait().unwrap();
    let custodies: Vec<CustodyId> = take(&store).iter().map(|item| item.custody).collect();
    let peer: Peer = crate::script::peer();
    store.begin_attempts(custodies.clone(), peer).wait().unwrap();
    let line = "y".repeat(4090);
    let settled: Vec<Settled> =
        custodies.iter().map(|custody| returned(*custody, &line, 127)).collect();
    let reply = Reply { code: 250, status: None, lines: vec![line; 127] };
    let phase = Phase { name: PhaseName::Mail, reply: Some(reply), millis: 1 };
    let tried = Try {
        begun: Timestamp(1),
        path: mail_types::Path::Direct,
        peer: None,
        preference: None,
        source: None,
        policy: String::new(),
        policy_said: None,
        before: 0,
        phases: vec![phase],
    };
    let large = store.settle(settled, vec![tried], None);
    let small = store.accept(arrived(&store, true, &["ann@example.org"], "x"));
    large.wait().unwrap();
    small.wait().unwrap();
    let stories = store.trace(&Query { count_max: 10, ..Query::default() }).unwrap();
    let states = stories.iter().flat_map(|story| &story.custodies).map(|custody| custody.state);
    assert_eq!(states.filter(|state| *state == CustodyState::Returned).count(), 5);
    store.close();
    clean(root.path());
}

/// The index cannot be read in the middle of a taking: nothing is taken then, and nothing lost.
#[test]
fn what_was_taken_when_reading_failed_can_be_taken_again() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    for host in ["far", "other", "third"] {
        for number in 0..3 {
            let to = format!("{number}@{host}.example");
            store.accept(arrived(&store, false, &[&to], "hello")).wait().unwrap();
        }
    }
    // One is taken already, so that its lane stands behind it.
    let first = store.take_due(LATE, 1, &|_| false).unwrap().0;
    assert_eq!((ids(&store).len(), first.len()), (9, 1));
    let index = rusqlite::Connection::open(root.path().join("index.sqlite")).unwrap();
    index.execute("UPDATE queue SET recipient = 'nobody' WHERE custody = 8", []).unwrap();
    store.take_due(LATE, 100, &|_| false).unwrap_err();
    index.execute("UPDATE queue SET recipient = NULL WHERE custody = 8", []).unwrap();
    drop(index);
    assert_eq!(take(&store).len(), 8);
    store.close();
    clean(root.path());
}

#[test]
fn time_in_which_mail_is_held_or_paused_does_not_count() {
    let root = tempfile::tempdir().unwrap();
    let (clock, options) = by_hand();
    let (store, _) = Store::open(root.path(), options).unwrap();
    populate(&store);
    let hours = |count: i64| count * 3_600_000;
    let begun = clock.load(Ordering::SeqCst);
    let since = |store: &Store| {
        let items = store.queue(&QueueFilter::default()).unwrap();
        items.iter().map(|item| (item.since.0 - begun) / 3_600_000).collect::<Vec<_>>()
    };
    store.accept(arrived(&store, false, &["a@far.example"], "hello")).wait().unwrap();
    clock.fetch_add(hours(2), Ordering::SeqCst);
    let all = ids(&store);
    store.change_custodies(&operator(), &Wish::Hold(HeldBy::Operator), None, &all).unwrap();
    clock.fetch_add(hours(144), Ordering::SeqCst);
    store.change_custodies(&operator(), &Wish::Release, None, &all).unwrap();
    assert_eq!(since(&store), [144]);
    // Paused twice over; one comes while it is.
    let far = Some("far.example".to_owned());
    store.pause_queue(operator(), far.clone(), true, None).wait().unwrap();
    clock.fetch_add(hours(10), Ordering::SeqCst);
    store.pause_queue(operator(), None, true, None).wait().unwrap();
    let to = ["b@far.example", "c@other.example"];
    store.accept(arrived(&store, false, &to, "hello")).wait().unwrap();
    clock.fetch_add(hours(10), Ordering::SeqCst);
    // Said once more: it is the same pause.
    store.pause_queue(operator(), far.clone(), true, None).wait().unwrap();
    store.pause_queue(operator(), far, false, None).wait().unwrap();
    assert_eq!(since(&store), [154, 156, 156], "the other pause goes on");
    clock.fetch_add(hours(10), Ordering::SeqCst);
    store.pause_queue(operator(), None, false, None).wait().unwrap();
    assert_eq!(since(&store), [174, 176, 176]);
    store.close();
    clean(root.path());
}

/// Where not even the mark can be written at the start, the next attempt is known as one that may
/// double the message.
#[test]
fn what_was_begun_by_an_earlier_run_is_uncertain_without_its_mark() {
    let root = tempfile::tempdir().unwrap();
    let index = root.path().join("index.sqlite");
    let disk = SimDisk::new();
    let (store, _) = Store::open_on(disk.clone(), &index, options()).unwrap();
    populate(&store);
    store.accept(arrived(&store, false, &["a@far.example"], "hello")).wait().unwrap();
    let one: Vec<CustodyId> = take(&store).iter().map(|item| item.custody).collect();
    store.begin_attempts(one, crate::script::peer()).wait().unwrap();
    assert_eq!(ids(&store).len(), 1);
    // Killed, and the disk takes no writes of the next start.
    let disk = disk.after_kill();
    drop(store);
    let first = disk.operations() + 1;
    disk.set_faults(Faults { half_writes: (first..first + 100).collect(), ..Faults::default() });
    let Ok((store, started)) = Store::open_on(disk.clone(), &index, options()) else {
        panic!("it starts all the same");
    };
    assert_eq!(started.uncertain, 1);
    let taken = take(&store);
    assert_eq!((taken.len(), taken[0].uncertain), (1, true));
    store.close();
}

#[test]
fn mail_released_for_two_addresses_of_an_account_is_there_once() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    let hold = Hold { by: HeldBy::Verdict, reason: "a test".to_owned(), purge_at: None };
    let team = vec![address("ann@example.org"), address("bob@example.org")];
    store.set_alias(operator(), address("team@example.org"), team).wait().unwrap();
    let to = ["ann@example.org", "team@example.org"];
    store.accept_held(arrived(&store, true, &to, "hello"), hold).wait().unwrap();
    let stories = store.trace(&Query { count_max: 1, ..Query::default() }).unwrap();
    let custodies: Vec<CustodyId> = stories[0].custodies.iter().map(|one| one.custody).collect();
    let done = store.change_custodies(&operator(), &Wish::Release, None, &custodies).unwrap();
    assert_eq!(done.changed, 3, "{done:?}");
    assert_eq!(store.mailbox(ann, "INBOX").unwrap().unwrap().messages, 1);
    store.close();
    clean(root.path());
}

/// A change of many is undone in parts; after the first of them the disk fails.
#[test]
fn undoing_that_was_cut_off_is_finished_by_undoing_once_more() {
    let root = tempfile::tempdir().unwrap();
    let disk = SimDisk::new();
    let open = |disk: &SimDisk, name: &str| {
        Store::open_on(disk.clone(), &root.path().join(name), options()).unwrap().0
    };
    let store = open(&disk, "first.sqlite");
    populate(&store);
    let to: Vec<String> = (0..2500).map(|number| format!("{number}@far.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    store.accept(arrived(&store, false, &to, "hello")).wait().unwrap();
    let purge = Wish::Purge(Duration::from_secs(3600));
    let done = store.change_custodies(&operator(), &purge, None, &ids(&store)).unwrap();
    assert_eq!(done.changed, 2500);
    disk.set_faults(Faults { fail_syncs: vec![disk.syncs() + 2], ..Faults::default() });
    store.undo_change(&operator(), done.change, None).unwrap_err();
    store.close();
    let disk = disk.after_power_cut(0);
    let store = open(&disk, "second.sqlite");
    assert_eq!(ids(&store).len(), 1000);
    let undone = store.undo_change(&operator(), done.change, None).unwrap();
    assert_eq!(undone.changed, 1500, "{undone:?}");
    assert_eq!(ids(&store).len(), 2500);
    store.close();
}

/// RFC 8689 §5: a report about a message with REQUIRETLS needs it too.
#[test]
fn a_report_about_mail_with_requiretls_is_sent_with_it() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    let mail = arrived(&store, false, &["a@far.example"], "hello");
    store.accept(store::Arrived { requires_tls: true, ..mail }).wait().unwrap();
    let item = take(&store).remove(0);
    let about = item.mail.facts.receipt.mail;
    let report = store::NewReport {
        to: address("eve@other.example"),
        about,
        body: journal::Body::from_bytes(b"Subject: returned\r\n\r\nSorry.\r\n").unwrap(),
        subject: None,
        message_id: None,
    };
    let mut failed = returned(item.custody, "no", 1);
    failed.reported = true;
    store.settle(vec![failed], Vec::new(), Some(report)).wait().unwrap();
    let told = take(&store).remove(0);
    assert!(told.mail.facts.requires_tls && told.mail.facts.receipt.mail != about);
    store.close();
}

/// What goes another way than its destination is taken in a turn of its own.
#[test]
fn what_is_rerouted_can_be_skipped_without_the_rest() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    for number in 0..6 {
        let to = format!("{number}@far.example");
        store.accept(arrived(&store, false, &[&to], "hello")).wait().unwrap();
    }
    let some = &ids(&store)[..3];
    let wish = Wish::Reroute(Some("relay.example:25".to_owned()));
    store.change_custodies(&operator(), &wish, None, some).unwrap();
    let by_relay = |lane: &store::Lane| lane.relay.as_deref() == Some("relay.example:25");
    let (taken, next) = store.take_due(LATE, 100, &by_relay).unwrap();
    assert_eq!((taken.len(), next), (3, None));
    assert!(taken.iter().all(|item| item.relay.is_none()));
    assert!(take(&store).iter().all(|item| item.relay.is_some()));
    store.close();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    assert_eq!(store.take_due(LATE, 100, &by_relay).unwrap().0.len(), 3);
    store.close();
    clean(root.path());
}
