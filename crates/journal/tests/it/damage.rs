//! A failing disk: what is damaged is named, what lies around it is read.

use journal::sim::{Faults, SimDisk};
use journal::{DamageKind, Entry, Head, Journal, OpenError, Position, ReadError, Reader};

use crate::support::{Seen, arrive, noise, open, seen, small};

const ZSTD: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
const SEGMENT_1: &str = "journal/00000001.seg";

struct Built {
    disk: SimDisk,
    seen: Seen,
    /// The last group is a seal, so that every group with content is proved.
    head: Head,
}

/// A few groups in a first segment and some more in a second.
fn build() -> Built {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    for group in 1..=4_u64 {
        for (index, bytes) in
            [b"words ".repeat(90), noise(group, 850), noise(group, 1100)].iter().enumerate()
        {
            let body = arrive(&journal, bytes).unwrap();
            journal.append_body(&body).unwrap();
            let seq = journal.next_seq();
            journal.append_record(seq, format!("{group}.{index}").as_bytes()).unwrap();
        }
        journal.sync().unwrap();
    }
    let head = journal.seal().unwrap();
    assert_eq!(head.end.segment, 2);
    Built { seen: seen(&journal.reader(), None), disk, head }
}

/// How the scan of a disk with one changed byte differs; nothing that is handed out may be wrong.
fn differs(disk: &SimDisk, good: &Seen) -> bool {
    let reader = Reader::look(disk.clone());
    let found = seen(&reader, None);
    for record in &found.records {
        assert!(good.records.contains(record));
    }
    for body in &found.bodies {
        assert!(good.bodies.contains(body));
    }
    let lost = good.records.len() - found.records.len() + good.bodies.len() - found.bodies.len();
    assert!(lost <= 1, "one byte costs {lost} frames");
    assert!(lost == 0 || !found.damage.is_empty());
    !found.damage.is_empty() || found.tails > 0
}

#[test]
fn every_changed_byte_is_found_or_lies_where_nothing_is() {
    let Built { disk, seen: good, head } = build();
    for segment in 1..=2 {
        let path = format!("journal/{segment:08}.seg");
        let bytes = disk.contents(&path).unwrap();
        // Of the first segment, the end of what is used: where its last group ends.
        let used = good.heads.iter().filter(|head| head.end.segment == segment);
        let used = used.map(|head| head.end.offset).max().unwrap() as usize;
        assert!(bytes[used..].iter().all(|&byte| byte == 0));
        for (at, byte) in bytes.iter().enumerate().take(used + 200) {
            let changed = disk.after_kill();
            changed.overwrite(&path, at as u64, &[byte ^ 1 << (at % 8)]);
            let found = differs(&changed, &good);
            let unused = segment < head.end.segment && at >= used;
            if !found && !unused {
                // A few bits of a zstd frame's own header mean nothing to its content. The bytes
                // that were acknowledged are all there.
                let zstd = bytes[at.saturating_sub(8)..=at].windows(4).any(|magic| magic == ZSTD);
                assert!(zstd, "byte {at} of segment {segment}");
                let reader = Reader::look(changed);
                assert!(good.bodies.iter().all(|(_, place)| reader.check(*place).is_ok()));
            }
            assert!(!(found && unused), "byte {at} of segment {segment} is unused");
        }
    }
}

#[test]
fn opening_contains_damage_and_goes_on_behind_it() {
    let Built { disk, seen: good, head } = build();
    let record = Position { segment: 1, offset: 64 };
    for (from, bytes) in [(70, 1), (150, 200), (64, 2000), (900, 2500)] {
        let changed = disk.after_kill();
        changed.overwrite(SEGMENT_1, from, &noise(from, bytes));
        let (mut journal, opened) = open(&changed);
        assert!(!opened.damage.is_empty());
        assert!(opened.damage.iter().all(|damage| damage.at >= record));
        assert_eq!(opened.cut, []);
        assert_eq!(journal.head().last_seq, head.last_seq);
        assert_eq!(journal.head().end, head.end);
        let found = seen(&journal.reader(), None);
        assert_eq!(found.damage, opened.damage);
        assert!(found.records.len() < good.records.len() || bytes < 300);
        assert_eq!(found.records.last(), good.records.last());
        // The index had all of it, and opens where it stood.
        drop(journal);
        let opened = Journal::open(changed.clone(), small(), Some(head)).unwrap();
        assert_eq!(opened.1.damage, []);
        journal = opened.0;
        let seq = journal.next_seq();
        journal.append_record(seq, b"goes on").unwrap();
        journal.sync().unwrap();
        assert_eq!(seen(&journal.reader(), Some(head)).records.len(), 1);
    }
}

#[test]
fn a_lost_segment_is_named_and_the_next_is_read() {
    let Built { disk, seen: good, .. } = build();
    disk.lose(SEGMENT_1);
    let (journal, opened) = open(&disk);
    assert!(opened.damage.iter().any(|damage| damage.kind == DamageKind::SegmentMissing));
    let found = seen(&journal.reader(), None);
    assert!(!found.records.is_empty());
    assert_eq!(found.records.last(), good.records.last());
}

#[test]
fn a_journal_behind_its_index_does_not_open_in_silence() {
    let Built { disk, head, .. } = build();
    let mut wrong = head;
    wrong.chain[0] ^= 1;
    disk.overwrite("journal/00000002.seg", head.end.offset - 20, &[0xAA]);
    for from in [wrong, head] {
        let opened = Journal::open(disk.clone(), small(), Some(from));
        assert!(matches!(opened.map(|_| ()), Err(OpenError::HeadMissing { .. })));
    }
}

#[test]
fn what_the_disk_cannot_read_is_named_and_never_cut() {
    let Built { disk, seen: good, head } = build();
    let broken = disk.after_kill();
    let unreadable = vec![(SEGMENT_1.to_owned(), 1000, 10)];
    broken.set_faults(Faults { unreadable, ..Faults::default() });
    let found = seen(&Reader::look(broken.clone()), None);
    assert!(found.damage.iter().any(|damage| matches!(damage.kind, DamageKind::Unreadable(_))));
    assert_eq!(found.records.last(), good.records.last());

    // At the end it may hide groups: no opening, and nothing is changed.
    let broken = disk.after_kill();
    let path = "journal/00000002.seg";
    let before = broken.contents(path);
    let unreadable = vec![(path.to_owned(), head.end.offset - 8, 10)];
    broken.set_faults(Faults { unreadable, ..Faults::default() });
    let opened = Journal::open(broken.clone(), small(), None);
    assert!(matches!(opened.map(|_| ()), Err(OpenError::Io { .. })));
    assert_eq!(broken.contents(path), before);
}

#[test]
fn a_later_format_is_refused_by_name() {
    let Built { disk, .. } = build();
    // As version 2 would write it: the check is right.
    let mut header = disk.contents(SEGMENT_1).unwrap()[..64].to_vec();
    header[8] = 2;
    let check = *blake3::hash(&header[..56]).as_bytes();
    header[56..].copy_from_slice(&check[..8]);
    disk.overwrite(SEGMENT_1, 0, &header);
    let opened = Journal::open(disk, small(), None);
    assert!(matches!(opened.map(|_| ()), Err(OpenError::Version { segment: 1, version: 2, .. })));
}

#[test]
fn a_lying_sync_that_loses_a_group_is_found() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    journal.append_record(journal.next_seq(), b"one").unwrap();
    journal.sync().unwrap();
    let next = disk.syncs() + 1;
    disk.set_faults(Faults { lying_syncs: vec![next], ..Faults::default() });
    journal.append_record(journal.next_seq(), b"two, on which the disk lies").unwrap();
    let told = journal.sync().unwrap();
    let found = disk.after_power_cut(0);
    let opened = Journal::open(found, small(), Some(told));
    assert!(matches!(opened.map(|_| ()), Err(OpenError::HeadMissing { .. })));
}

#[test]
fn a_mail_that_holds_frames_is_no_journal() {
    // An attacker sends the bytes of a journal, which then lie in ours, and the disk has a bad
    // moment before them.
    let Built { disk: source, .. } = build();
    let forged = source.contents(SEGMENT_1).unwrap();
    // So much noise that it is not compressed.
    let forged = [noise(7, 1 << 16), forged[64..].to_vec()].concat();
    let disk = SimDisk::new();
    let options = journal::Options { inline_body_bytes_max: 1 << 20, ..small() };
    let (mut journal, _) = Journal::open(disk.clone(), options.clone(), None).unwrap();
    let body = arrive(&journal, &forged).unwrap();
    let record = journal.append_record(journal.next_seq(), b"ours 1").unwrap();
    let at = journal.append_body(&body).unwrap();
    let head = journal.sync().unwrap();
    assert_eq!(journal.reader().read_body(at).unwrap(), forged);
    drop(journal);
    disk.overwrite(SEGMENT_1, at.offset + 3, b"!");
    disk.overwrite(SEGMENT_1, head.end.offset - 50, b"!");
    let entries: Vec<Entry> = Reader::look(disk.clone()).scan(None).collect();
    assert!(matches!(entries[..], [Entry::TornTail(tail)] if tail.at == record), "{entries:?}");
    let (journal, opened) = Journal::open(disk, options, None).unwrap();
    assert_eq!((opened.groups, journal.head()), (0, Head::START));
    assert!(matches!(journal.reader().read_body(at), Err(ReadError::Damaged { .. })));
}

/// What the scrubber finds is what the scan finds, frame by frame, and it finds nothing else.
#[test]
fn the_scrubber_finds_every_changed_byte_that_the_scan_finds() {
    let Built { disk, seen: good, head } = build();
    let whole = Reader::look(disk.clone()).scrub(None, &head, u64::MAX);
    assert_eq!((whole.damage, whole.next), (vec![], None));
    for segment in 1..=2 {
        let path = format!("journal/{segment:08}.seg");
        let bytes = disk.contents(&path).unwrap();
        for (at, byte) in bytes.iter().enumerate().step_by(7) {
            if segment == head.end.segment && at as u64 >= head.end.offset {
                break;
            }
            let changed = disk.after_kill();
            changed.overwrite(&path, at as u64, &[byte ^ 1 << (at % 8)]);
            let scanned = differs(&changed, &good);
            let found = Reader::look(changed).scrub(None, &head, u64::MAX);
            assert_eq!(!found.damage.is_empty(), scanned, "byte {at} of segment {segment}");
            assert!(whole.frames - found.frames <= 1, "one byte costs one frame");
        }
    }
}

/// In small steps it reads the same, and each step only about as much as it may.
#[test]
fn the_scrubber_goes_on_where_it_stopped() {
    let Built { disk, head, .. } = build();
    disk.overwrite(SEGMENT_1, 3000, &[0xAA]);
    let reader = Reader::look(disk);
    let whole = reader.scrub(None, &head, u64::MAX);
    assert_eq!(whole.damage.len(), 1);
    let (mut from, mut frames, mut damage, mut steps) = (None, 0, Vec::new(), 0);
    loop {
        let step = reader.scrub(from, &head, 1);
        frames += step.frames;
        damage.extend(step.damage);
        steps += 1;
        match step.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    assert_eq!((frames, damage), (whole.frames, whole.damage));
    assert!(steps > whole.frames, "a step for each frame, and one for the damaged");
}
