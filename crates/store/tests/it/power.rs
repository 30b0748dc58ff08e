//! The power is cut at every operation on the disk; whatever the cut left of journal and index,
//! everything acknowledged is found, once, and nothing in part.

use std::path::{Path, PathBuf};

use journal::sim::{Faults, SimDisk};
use store::{Refused, StoreError};

use crate::script::{Log, check, open, run, verify};
use crate::support::arrived;

/// What is left of the index.
#[derive(Clone, Copy, Debug)]
enum IndexLeft {
    Nothing,
    AsLastCommitted,
    AsWritten,
}

const ALL_LEFT: [IndexLeft; 3] =
    [IndexLeft::Nothing, IndexLeft::AsLastCommitted, IndexLeft::AsWritten];

fn copy_index(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        if name(from).exists() {
            std::fs::copy(name(from), name(to)).unwrap();
        }
    }
}

/// Runs the script up to a fault; the log, the disk, and the index in both of its states.
struct Fallen {
    disk: SimDisk,
    log: Log,
    root: tempfile::TempDir,
    finished: bool,
}

fn fall(faults: Faults) -> Fallen {
    let root = tempfile::tempdir().unwrap();
    let (disk, mut log) = (SimDisk::new(), Log::default());
    let index = root.path().join("index.sqlite");
    disk.set_faults(faults);
    let mut finished = false;
    if let Ok(store) = open(&disk, &index) {
        finished = run(&store, &mut log).is_ok();
        copy_index(&index, &root.path().join("committed.sqlite"));
        store.close();
    }
    copy_index(&index, &root.path().join("written.sqlite"));
    Fallen { disk, log, root, finished }
}

impl Fallen {
    fn get_up(&self, seed: u64, left: IndexLeft) {
        let disk = self.disk.after_power_cut(seed);
        let place = tempfile::tempdir().unwrap();
        let index = place.path().join("index.sqlite");
        match left {
            IndexLeft::Nothing => {}
            IndexLeft::AsLastCommitted => {
                copy_index(&self.root.path().join("committed.sqlite"), &index);
            }
            IndexLeft::AsWritten => copy_index(&self.root.path().join("written.sqlite"), &index),
        }
        let store = open(&disk, &index).unwrap();
        check(&store, &self.log);
        if !self.log.mails.is_empty() {
            store.accept(arrived(&store, true, &["ann@example.org"], "on")).wait().unwrap();
        }
        store.close();
        verify(&disk, &index);
    }
}

fn operations() -> u64 {
    let whole = fall(Faults::default());
    assert!(whole.finished);
    check_all_logged(&whole.log);
    whole.disk.operations()
}

fn check_all_logged(log: &Log) {
    assert_eq!(log.mails.len(), 5);
    assert!(log.flagged && log.moved && log.expunged);
    assert!(log.relayed.is_some() && log.returned.is_some());
}

fn cut_everywhere(seed: u64, lefts: &[IndexLeft]) {
    let operations = operations();
    for cut in 1..=operations + 1 {
        let fallen = fall(Faults { cut_at_operation: Some(cut), ..Faults::default() });
        for &left in lefts {
            fallen.get_up(if seed < 2 { seed } else { seed + cut }, left);
        }
    }
}

#[test]
fn power_cut_everywhere_keeps_what_was_acknowledged() {
    cut_everywhere(0, &ALL_LEFT);
}

#[test]
fn power_cut_everywhere_with_all_writes_kept() {
    cut_everywhere(1, &[IndexLeft::AsLastCommitted]);
}

#[test]
fn power_cut_everywhere_with_any_mix_of_writes() {
    cut_everywhere(1000, &[IndexLeft::AsWritten]);
}

#[test]
fn power_cut_everywhere_with_another_mix_and_no_index() {
    cut_everywhere(77_000, &[IndexLeft::Nothing]);
}

/// A start that is itself cut is only a longer cut.
#[test]
fn power_cut_while_starting_again() {
    let cut = operations() * 2 / 3;
    let fallen = fall(Faults { cut_at_operation: Some(cut), ..Faults::default() });
    for second in 1.. {
        let disk = fallen.disk.after_power_cut(second);
        disk.set_faults(Faults { cut_at_operation: Some(second), ..Faults::default() });
        let place = tempfile::tempdir().unwrap();
        let index = place.path().join("index.sqlite");
        let opened = open(&disk, &index);
        let whole = opened.is_ok() && disk.operations() < second;
        if let Ok(store) = opened {
            store.close();
        }
        let disk = disk.after_power_cut(second + 1);
        let store = open(&disk, &index).unwrap();
        check(&store, &fallen.log);
        store.close();
        verify(&disk, &index);
        if whole {
            break;
        }
    }
}

#[test]
fn sync_that_fails_is_the_last_one_believed() {
    let syncs = {
        let whole = fall(Faults::default());
        whole.disk.syncs()
    };
    // The last one is the seal at the end.
    for sync in 1..syncs {
        let fallen = fall(Faults { fail_syncs: vec![sync], ..Faults::default() });
        assert!(!fallen.finished, "sync {sync}");
        for left in [IndexLeft::AsLastCommitted, IndexLeft::AsWritten] {
            fallen.get_up(0, left);
        }
    }
}

#[test]
fn sync_that_failed_refuses_everything_after_it() {
    let root = tempfile::tempdir().unwrap();
    let (disk, mut log) = (SimDisk::new(), Log::default());
    let store = open(&disk, &root.path().join("index.sqlite")).unwrap();
    run(&store, &mut log).unwrap();
    disk.set_faults(Faults { fail_syncs: vec![disk.syncs() + 1], ..Faults::default() });
    for _ in 0..3 {
        let refused = store.accept(arrived(&store, true, &["ann@example.org"], "x")).wait();
        assert!(matches!(refused, Err(Refused::Unavailable(_))), "{refused:?}");
        assert!(store.stopped().is_some());
    }
    // What was acknowledged before can still be read.
    check(&store, &log);
    store.close();
    check(&store, &log);
}

#[test]
fn full_disk_refuses_and_goes_on_when_there_is_space() {
    let root = tempfile::tempdir().unwrap();
    let (disk, mut log) = (SimDisk::new(), Log::default());
    let index = root.path().join("index.sqlite");
    let store = open(&disk, &index).unwrap();
    run(&store, &mut log).unwrap();
    disk.set_faults(Faults { capacity_bytes: Some(disk.used_bytes()), ..Faults::default() });
    let text: String = (0..500).map(|i| char::from(33 + (i * i % 89) as u8)).collect();
    let mut refused = None;
    let mut taken = 0;
    for _ in 0..100 {
        match store.accept(arrived(&store, true, &["bob@example.org"], &text)).wait() {
            Ok(_) => taken += 1,
            Err(refusal) => {
                refused = Some(refusal);
                break;
            }
        }
    }
    assert!(matches!(refused, Some(Refused::Unavailable(_))), "{refused:?}");
    assert_eq!(store.stopped(), None);
    check(&store, &log);
    disk.set_faults(Faults::default());
    store.accept(arrived(&store, true, &["bob@example.org"], "on")).wait().unwrap();
    let bob = mail_types::AccountId(2);
    assert_eq!(store.mailbox(bob, "INBOX").unwrap().unwrap().messages, 2 + taken + 1);
    store.close();
    verify(&disk, &index);
}

/// No software keeps what the disk only claims to have kept; but the loss is noticed.
#[test]
fn sync_that_lied_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let (disk, mut log) = (SimDisk::new(), Log::default());
    let index = root.path().join("index.sqlite");
    let store = open(&disk, &index).unwrap();
    run(&store, &mut log).unwrap();
    let lies = (1..100).map(|n| disk.syncs() + n).collect();
    disk.set_faults(Faults { lying_syncs: lies, ..Faults::default() });
    store.accept(arrived(&store, true, &["ann@example.org"], "x")).wait().unwrap();
    store.close();
    let opened = open(&disk.after_power_cut(0), &index);
    assert!(matches!(opened, Err(StoreError::IndexAhead(_))), "{:?}", opened.err());
}

/// A group that cannot be written while the index cannot be brought back either: no later change
/// may touch the index before it is.
#[test]
fn index_that_is_lost_for_a_while_is_not_written_meanwhile() {
    let root = tempfile::tempdir().unwrap();
    let (disk, mut log) = (SimDisk::new(), Log::default());
    let (there, away) = (root.path().join("there"), root.path().join("away"));
    std::fs::create_dir(&there).unwrap();
    let index = there.join("index.sqlite");
    let store = open(&disk, &index).unwrap();
    run(&store, &mut log).unwrap();
    let bob = mail_types::AccountId(2);
    let before = store.mailbox(bob, "INBOX").unwrap().unwrap();
    let half_writes = (1..10).map(|n| disk.operations() + n).collect();
    disk.set_faults(Faults { half_writes, ..Faults::default() });
    std::fs::rename(&there, &away).unwrap();
    for _ in 0..3 {
        let refused = store.accept(arrived(&store, true, &["bob@example.org"], "x")).wait();
        assert!(matches!(refused, Err(Refused::Unavailable(_))), "{refused:?}");
    }
    std::fs::rename(&away, &there).unwrap();
    disk.set_faults(Faults::default());
    assert_eq!(store.mailbox(bob, "INBOX").unwrap().unwrap(), before);
    store.accept(arrived(&store, true, &["bob@example.org"], "y")).wait().unwrap();
    let after = store.mailbox(bob, "INBOX").unwrap().unwrap();
    assert_eq!((after.messages, after.uid_next), (before.messages + 1, before.uid_next + 1));
    store.close();
    verify(&disk, &index);
}
