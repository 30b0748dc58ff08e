//! The power goes at every single operation of a script that crosses all borders: small and large
//! bodies, a group past the end of a segment, new segments, purges, abandoned and sealed groups.

use journal::sim::{Faults, SimDisk};
use journal::{Head, Journal, Position, ReadError};
use mail_types::{BodyHash, RecordSeq};

use crate::support::{arrive, noise, seen, small};

/// What the script was told, and what it was about to be told.
#[derive(Default, Debug)]
struct Told {
    /// After each sync that said `Ok`: the head, and how many records and bodies are in.
    heads: Vec<(Head, usize)>,
    records: Vec<Vec<u8>>,
    /// Of each record, the bodies appended with it.
    bodies: Vec<(Position, BodyHash, usize)>,
    /// Bodies whose purge was asked for, and those of them for which it said `Ok`.
    purge_begun: Vec<Position>,
    purged: Vec<Position>,
}

const GROUPS: u64 = 14;

/// `Err` where the power went.
fn script(disk: &SimDisk, told: &mut Told) -> Result<(), Box<dyn std::error::Error>> {
    let (mut journal, _) = Journal::open(disk.clone(), small(), None)?;
    for group in 1..=GROUPS {
        if group % 5 == 0 {
            // A group that is given up, with the same numbers as the next one.
            let seq = journal.next_seq();
            journal.append_record(seq, &noise(group + 100, 200))?;
            journal.abandon();
        }
        for member in 0..=group % 3 {
            let bytes = match (group + member) % 4 {
                0 => noise(group * 10 + member, 2500),
                1 => b"text ".repeat(150),
                2 => noise(group * 10 + member, 900),
                _ => Vec::new(),
            };
            let body = arrive(&journal, &bytes)?;
            let at = journal.append_body(&body)?;
            let seq = journal.next_seq();
            let record = format!("record {seq} of group {group} with body {}", body.hash);
            journal.append_record(seq, record.as_bytes())?;
            told.bodies.push((at, body.hash, told.records.len()));
            told.records.push(record.into_bytes());
        }
        let head = journal.sync()?;
        told.heads.push((head, told.records.len()));
        if group % 4 == 0 {
            let at = told.bodies[group as usize - 2].0;
            let second = told.bodies[group as usize - 3].0;
            told.purge_begun.extend([at, second]);
            journal.punch_all(&[at, second])?;
            told.purged.extend([at, second]);
        }
        if group % 6 == 0 {
            let head = journal.seal()?;
            told.heads.push((head, told.records.len()));
        }
    }
    Ok(())
}

/// Everything acknowledged is there and exact, the group in flight is there whole or not at all.
fn check(found: &SimDisk, told: &Told, from: Option<Head>, context: &str) {
    let (mut journal, opened) =
        Journal::open(found.clone(), small(), from).unwrap_or_else(|e| panic!("{context}: {e}"));
    assert_eq!(opened.damage, [], "{context}");
    let reader = journal.reader();
    let all = seen(&reader, None);
    assert_eq!(all.damage, [], "{context}");
    assert_eq!(all.tails, 0, "{context}");
    let acked = told.heads.last().map_or(0, |(_, records)| *records);
    let there = all.records.len();
    assert!(there == acked || there == told.records.len(), "{context}: {there} of {acked}");
    for (index, (seq, payload)) in all.records.iter().enumerate() {
        assert_eq!((seq.0, payload), (index as u64 + 1, &told.records[index]), "{context}");
    }
    for (head, _) in &told.heads {
        assert!(all.heads.contains(head), "{context}");
    }
    for (at, hash, record) in &told.bodies {
        if *record >= there {
            continue;
        }
        assert!(all.bodies.contains(&(*hash, *at)), "{context}");
        match reader.read_body(*at) {
            Ok(bytes) => {
                assert_eq!(*blake3::hash(&bytes).as_bytes(), hash.0, "{context}");
                assert!(!told.purged.contains(at), "{context}: purged and still there");
            }
            Err(ReadError::Purged { .. }) => assert!(told.purge_begun.contains(at), "{context}"),
            Err(ReadError::BodyFile { .. }) => panic!("{context}: lost a body file"),
            Err(error) => panic!("{context}: {error}"),
        }
    }
    // It goes on, and what it found is now durable whatever happens.
    let seq = journal.next_seq();
    assert_eq!(seq, RecordSeq(there as u64 + 1), "{context}");
    journal.append_record(seq, b"after the cut").unwrap();
    journal.sync().unwrap();
    let (journal, opened) = Journal::open(found.after_power_cut(0), small(), None).unwrap();
    assert_eq!((opened.damage, opened.cut), (Vec::new(), Vec::new()), "{context}");
    let again = seen(&journal.reader(), None).records;
    assert_eq!(again[..there], all.records, "{context}");
    assert_eq!(again.len(), there + 1, "{context}");
}

#[test]
fn a_cut_at_any_operation_loses_nothing_acknowledged() {
    let disk = SimDisk::new();
    let mut told = Told::default();
    script(&disk, &mut told).unwrap();
    assert!(told.heads.last().unwrap().0.end.segment >= 3, "the script must cross segments");
    let operations = disk.operations();
    assert!(operations > 100);
    check(&disk, &told, None, "without a cut");

    for cut in 1..=operations {
        for seed in 0..6 {
            let disk = SimDisk::new();
            disk.set_faults(Faults { cut_at_operation: Some(cut), ..Faults::default() });
            let mut told = Told::default();
            script(&disk, &mut told).unwrap_err();
            // Seeds that keep a mix differ from cut to cut.
            let seed = if seed < 2 { seed } else { cut * 100 + seed };
            let context = format!("cut at operation {cut} with seed {seed}");
            check(&disk.after_power_cut(seed), &told, None, &context);
            let last = told.heads.last().map(|(head, _)| *head);
            check(&disk.after_power_cut(seed), &told, last, &context);
            let earlier = told.heads.get(told.heads.len() / 2).map(|(head, _)| *head);
            check(&disk.after_power_cut(seed), &told, earlier, &context);
        }
    }
}

#[test]
fn a_cut_while_opening_after_a_cut_loses_nothing_either() {
    for cut in (1..).step_by(7) {
        let disk = SimDisk::new();
        disk.set_faults(Faults { cut_at_operation: Some(cut), ..Faults::default() });
        let mut told = Told::default();
        if script(&disk, &mut told).is_ok() {
            return;
        }
        for second in 1.. {
            let found = disk.after_power_cut(cut * 31 + second);
            found.set_faults(Faults { cut_at_operation: Some(second), ..Faults::default() });
            let opened = Journal::open(found.clone(), small(), None).is_ok();
            let context = format!("cut at operation {cut}, then at operation {second} of open");
            // What the first reboot kept may be lost again by the second, acknowledged or not
            // being the only border.
            check(&found.after_power_cut(cut * 37 + second), &told, None, &context);
            if opened {
                break;
            }
        }
    }
}
