//! Failing syncs, full disks, and what abandoned groups leave behind.

use journal::sim::{Faults, SimDisk};
use journal::{AppendError, Journal, ReadError, SyncError};
use mail_types::RecordSeq;

use crate::support::{arrive, noise, open, seen, small};

fn append(journal: &mut Journal<SimDisk>, payload: &[u8]) -> Result<(), AppendError> {
    let seq = journal.next_seq();
    journal.append_record(seq, payload).map(|_| ())
}

#[test]
fn a_failed_sync_poisons_for_good() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, b"one").unwrap();
    let head = journal.sync().unwrap();
    disk.set_faults(Faults { fail_syncs: vec![disk.syncs() + 1], ..Faults::default() });
    append(&mut journal, b"two").unwrap();
    assert!(matches!(journal.sync(), Err(SyncError::Poisoned(_))));
    let syncs = disk.syncs();
    assert!(matches!(journal.sync(), Err(SyncError::Poisoned(_))));
    assert!(matches!(journal.seal(), Err(SyncError::Poisoned(_))));
    assert!(matches!(append(&mut journal, b"three"), Err(AppendError::Poisoned(_))));
    assert!(arrive(&journal, &noise(1, 5000)).is_err());
    assert_eq!(disk.syncs(), syncs, "a failed sync is never tried again");
    assert_eq!(journal.head(), head);
    assert_eq!(seen(&journal.reader(), None).records.len(), 1);
}

#[test]
fn what_a_restart_finds_after_a_failed_sync_is_made_durable() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, b"one").unwrap();
    journal.sync().unwrap();
    disk.set_faults(Faults { fail_syncs: vec![disk.syncs() + 1], ..Faults::default() });
    append(&mut journal, b"two").unwrap();
    journal.sync().unwrap_err();
    drop(journal);
    // The kernel still shows the group that the disk does not have.
    let restarted = disk.after_kill();
    let (journal, _) = open(&restarted);
    assert_eq!(journal.head().last_seq, RecordSeq(2));
    drop(journal);
    let (journal, opened) = open(&restarted.after_power_cut(0));
    assert_eq!(opened.damage, []);
    assert_eq!(journal.head().last_seq, RecordSeq(2));
}

#[test]
fn a_full_disk_costs_what_does_not_fit_and_no_more() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    let (mut kept, mut refused, mut bodies) = (Vec::new(), 0, Vec::new());
    for round in 0..60_u64 {
        let capacity_bytes = match round % 20 {
            0..10 => None,
            10..15 => Some(disk.used_bytes()),
            _ => Some(disk.used_bytes() + 4096),
        };
        disk.set_faults(Faults { capacity_bytes, ..Faults::default() });
        let payload = noise(round, 700);
        let large = arrive(&journal, &noise(round, 6000));
        let done = large.map_err(|_| ()).and_then(|body| {
            let at = journal.append_body(&body).map_err(|_| ())?;
            append(&mut journal, &payload).map_err(|_| ())?;
            journal.sync().map_err(|error| assert!(!matches!(error, SyncError::Poisoned(_))))?;
            bodies.push(at);
            Ok(())
        });
        // Small groups may still fit in reserved space.
        let done = done.or_else(|()| {
            journal.abandon();
            append(&mut journal, &payload).map_err(|_| ())?;
            journal.sync().map_err(|_| ()).map(|_| ())
        });
        match done {
            Ok(()) => kept.push(payload),
            Err(()) => refused += 1,
        }
        journal.abandon();
    }
    disk.set_faults(Faults::default());
    assert!(refused > 3 && kept.len() > 30, "{refused} refused, {} kept", kept.len());
    drop(journal);
    for seed in 0..4 {
        let (journal, opened) = open(&disk.after_power_cut(seed));
        assert_eq!(opened.damage, []);
        let found = seen(&journal.reader(), None);
        let payloads: Vec<_> = found.records.into_iter().map(|(_, payload)| payload).collect();
        assert_eq!(payloads, kept);
        for &at in &bodies {
            assert!(journal.reader().check(at).is_ok());
        }
    }
}

#[test]
fn a_full_disk_still_opens_and_reads() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &noise(1, 4000)).unwrap();
    journal.sync().unwrap();
    drop(journal);
    let capacity_bytes = Some(disk.used_bytes());
    disk.set_faults(Faults { capacity_bytes, ..Faults::default() });
    let (mut journal, _) = open(&disk);
    assert_eq!(seen(&journal.reader(), None).records.len(), 1);
    assert!(matches!(append(&mut journal, b"more"), Err(AppendError::Segment { .. })));
    disk.set_faults(Faults::default());
    append(&mut journal, b"more").unwrap();
    journal.sync().unwrap();
}

#[test]
fn what_an_abandoned_group_left_is_never_taken_for_frames() {
    for seed in 0..40 {
        let disk = SimDisk::new();
        let (mut journal, _) = open(&disk);
        append(&mut journal, b"one").unwrap();
        journal.sync().unwrap();
        // Half of a long group reaches the disk, whole frames among them.
        disk.set_faults(Faults { half_writes: vec![disk.operations() + 1], ..Faults::default() });
        for _ in 0..6 {
            append(&mut journal, &noise(9, 200)).unwrap();
        }
        assert!(matches!(journal.sync(), Err(SyncError::Write { .. })));
        // A shorter one takes its place; its first frame is as long as the first one there was.
        append(&mut journal, &noise(10, 200)).unwrap();
        let head = journal.sync().unwrap();
        assert_eq!(seen(&journal.reader(), None).records.len(), 2);
        let look = journal::Reader::look(disk.after_power_cut(seed));
        let found = seen(&look, None);
        assert_eq!((found.records.len(), found.damage.len(), found.tails), (2, 0, 0));
        assert_eq!(found.heads.last(), Some(&head));
    }
}

/// The disk, or an operator's copy, brings back whole groups of another life of this journal
/// behind the end: everything in them is right but the chain.
#[test]
fn whole_groups_of_another_life_are_never_taken() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, b"one").unwrap();
    journal.sync().unwrap();
    drop(journal);
    let other_life = disk.after_kill();
    let mut end = Vec::new();
    for (disk, letter) in [(&disk, b'a'), (&other_life, b'b')] {
        let (mut journal, _) = open(disk);
        for _ in 0..3 {
            append(&mut journal, &[letter; 40]).unwrap();
            end.push(journal.sync().unwrap().end.offset as usize);
        }
    }
    // Life a up to its second-last group, then the last group of life b, which fits in number,
    // record number and place.
    let last = other_life.contents("journal/00000001.seg").unwrap()[end[4]..end[5]].to_vec();
    let before = disk.contents("journal/00000001.seg").unwrap()[end[1]..end[2]].to_vec();
    assert!(last.len() == before.len() && last != before && end[1] == end[4]);
    disk.overwrite("journal/00000001.seg", end[1] as u64, &last);
    // The seals of the opening above stand before, none behind: the tail is in doubt.
    let (journal, opened) = open(&disk.after_kill());
    let found = seen(&journal.reader(), None);
    assert_eq!(found.records.len(), 3);
    assert!(found.records.iter().all(|(_, payload)| !payload.contains(&b'b')));
    assert_eq!(opened.cut.len(), 1);
}

#[test]
fn a_body_whose_name_was_lost_was_never_acknowledged() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    let bytes = noise(3, 50_000);
    let body = arrive(&journal, &bytes).unwrap();
    let file = body.file().unwrap();
    // From here on it is durable, and an orphan until a group names it.
    let (found, _) = open(&disk.after_power_cut(0));
    assert_eq!(found.body_files().unwrap(), [], "may still be on its way in the first run");
    let at = journal.append_body(&body).unwrap();
    journal.sync().unwrap();
    let (found, _) = open(&disk.after_power_cut(0));
    assert_eq!(found.reader().read_body(at).unwrap(), bytes);
    assert_eq!(found.body_files().unwrap(), [file]);
    disk.lose(&format!("bodies/{}-{:016x}", file.hash, file.serial));
    assert!(matches!(journal.reader().read_body(at), Err(ReadError::BodyFile { .. })));
    assert!(matches!(journal.reader().check(at), Err(ReadError::BodyFile { .. })));
}

#[test]
fn an_arrival_that_is_dropped_leaves_nothing() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk);
    let before = disk.used_bytes();
    let mut arrival = journal.arrivals().begin();
    arrival.write(&noise(1, 20_000)).unwrap();
    assert!(disk.used_bytes() > before);
    drop(arrival);
    assert_eq!(disk.used_bytes(), before);
    // One that died with its process goes at the next open.
    let mut arrival = journal.arrivals().begin();
    arrival.write(&noise(1, 20_000)).unwrap();
    let restarted = disk.after_kill();
    open(&restarted);
    assert_eq!(restarted.used_bytes(), before);
}

#[test]
fn purging_takes_the_bytes_and_leaves_the_rest() {
    let disk = SimDisk::new();
    let options = journal::Options { inline_body_bytes_max: 100_000, ..small() };
    let (mut journal, _) = Journal::open(disk.clone(), options.clone(), None).unwrap();
    let mut places = Vec::new();
    for (index, bytes) in [40_000, 0, 3, 16, 17, 200_000, 5000].into_iter().enumerate() {
        let body = arrive(&journal, &noise(index as u64, bytes)).unwrap();
        places.push((journal.append_body(&body).unwrap(), bytes));
        append(&mut journal, b"names the body").unwrap();
    }
    assert!(journal.punch(places[0].0).is_err(), "not durable yet");
    journal.sync().unwrap();
    let used = disk.used_bytes();
    let purged: Vec<_> = places[..6].iter().map(|(at, _)| *at).collect();
    journal.punch_all(&purged).unwrap();
    journal.punch(purged[0]).unwrap();
    assert!(used - disk.used_bytes() > 230_000);
    for found in [disk.after_kill(), disk.after_power_cut(0)] {
        let (journal, opened) = Journal::open(found, options.clone(), None).unwrap();
        assert_eq!((opened.damage, opened.cut), (Vec::new(), Vec::new()));
        let reader = journal.reader();
        for at in &purged {
            assert!(matches!(reader.read_body(*at), Err(ReadError::Purged { .. })));
        }
        assert_eq!(reader.read_body(places[6].0).unwrap(), noise(6, 5000));
        assert_eq!(seen(&reader, None).records.len(), 7);
    }
    // Zeros that nobody ordered are damage, not a purge.
    disk.overwrite("journal/00000001.seg", places[6].0.offset + 64, &[0; 5000]);
    assert!(matches!(journal.reader().read_body(places[6].0), Err(ReadError::Damaged { .. })));
}
