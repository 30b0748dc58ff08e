//! The auditor: says nothing of a store that is right, and names each thing that is made wrong.

use mail_types::Timestamp;
use store::{Audit, Auditor, Store, TooOld};

use crate::script::{Log, run, small};

/// Mail of these times, in milliseconds: the second is for what came to its first attempt late.
const fn older_than(before: i64, late_before: i64) -> TooOld {
    TooOld { before: Timestamp(before), tries_least: 7, late_before: Timestamp(late_before) }
}

fn audited(store: &Store) -> Audit {
    let mut auditor = Auditor::default();
    for _ in 0..10 {
        let audit = store.audit(&mut auditor, older_than(0, 0)).unwrap();
        if audit.rounds > 0 {
            return audit;
        }
    }
    panic!("no round ends");
}

#[test]
fn what_is_right_is_accounted_for() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), small()).unwrap();
    assert_eq!(audited(&store).unaccounted, 0, "nothing at all");
    run(&store, &mut Log::default()).unwrap();
    let audit = audited(&store);
    assert_eq!((audit.unaccounted, audit.overdue), (0, 0), "{:?}", audit.findings);
    assert!(audit.open > 0 && audit.custodies.0 == audit.custodies.1 && audit.custodies.1 > 5);
    // Everything that waits is older than the end of time.
    let overdue = |too_old| store.audit(&mut Auditor::default(), too_old).unwrap().overdue;
    let all = overdue(older_than(i64::MAX, i64::MAX));
    assert!(all > 0);
    // What was tried, and less often than others of its age, came to its first attempt late.
    let tried_once = tried_once(&store);
    assert!(tried_once > 0, "or this shows nothing");
    assert_eq!(overdue(older_than(i64::MAX, 0)), all - tried_once);
    store.close();
}

fn tried_once(store: &Store) -> u64 {
    let mut count = 0;
    let queued = store::WaitingFilter {
        state: Some(store::CustodyState::Queued),
        ..store::WaitingFilter::default()
    };
    let found = store.find_waiting(&queued, false, &mut |item| {
        count += u64::from(item.attempts > 0);
        true
    });
    found.unwrap();
    count
}

#[test]
fn what_is_wrong_is_named() {
    for wrong in [
        "DELETE FROM queue WHERE custody = (SELECT min(custody) FROM queue)",
        "UPDATE custody SET state = 2 WHERE state = 0",
        "UPDATE custody SET state = 4 WHERE state = 1",
        "UPDATE custody SET state = 9 WHERE id = 2",
        "DELETE FROM custody WHERE id = 2",
        "DELETE FROM message WHERE mailbox = (SELECT min(mailbox) FROM message)",
        "UPDATE mailbox SET messages = messages + 1 WHERE id = (SELECT min(id) FROM mailbox)",
        "UPDATE custody SET report = 100000 WHERE id = 1",
        "DELETE FROM mail WHERE id = 1",
    ] {
        let root = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(root.path(), small()).unwrap();
        run(&store, &mut Log::default()).unwrap();
        store.close();
        let sql = rusqlite::Connection::open(root.path().join("index.sqlite")).unwrap();
        assert!(sql.execute(wrong, []).unwrap() > 0, "{wrong}");
        drop(sql);
        let (store, _) = Store::open(root.path(), small()).unwrap();
        let audit = audited(&store);
        assert!(audit.unaccounted > 0 && !audit.findings.is_empty(), "{wrong}");
        store.close();
    }
}

/// What finds rows is checked as rows are: a lookup that leads nowhere is a lost message to whoever
/// asks by it.
#[test]
fn a_flipped_bit_in_what_finds_rows_is_found_by_verify() {
    use std::os::unix::fs::FileExt;
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), small()).unwrap();
    run(&store, &mut Log::default()).unwrap();
    store.close();
    drop(store);
    let path = root.path().join("index.sqlite");
    let sql = rusqlite::Connection::open(&path).unwrap();
    let number = |query: &str| -> u64 {
        let found: i64 = sql.query_row(query, [], |row| row.get(0)).unwrap();
        found.cast_unsigned()
    };
    let page = number("SELECT rootpage FROM sqlite_schema WHERE name = 'custody_mail'");
    let bytes = number("PRAGMA page_size");
    // Everything is moved into the file.
    sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(sql);
    let verify = || {
        let scratch = tempfile::tempdir().unwrap();
        store::verify(root.path(), scratch.path(), &mut |_| {}).unwrap()
    };
    assert!(verify().is_clean());
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let mut last = [0];
    file.read_exact_at(&mut last, page * bytes - 1).unwrap();
    file.write_all_at(&[last[0] ^ 2], page * bytes - 1).unwrap();
    let report = verify();
    let found = report.violations.iter().any(|one| one.invariant == store::Invariant::IndexEqual);
    assert!(found, "{:?}", report.violations);
}
