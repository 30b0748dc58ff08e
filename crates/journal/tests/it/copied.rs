//! A journal that follows another one: the same bytes at the same places, whatever happens to it.

use journal::sim::{Faults, SimDisk};
use journal::{
    Copy, CopyError, Disk, DiskFile, GroupError, Head, Journal, OpenError, Position, RawGroup,
    Reader,
};

use crate::support::{arrive, noise, seen, small};

/// A journal of small and large bodies over several segments.
fn original(groups: u64) -> (SimDisk, Journal<SimDisk>, Vec<Position>) {
    let disk = SimDisk::new();
    let (mut journal, _) = Journal::open(disk.clone(), small(), None).unwrap();
    let bodies = (1..=groups).map(|group| grown(&mut journal, group)).collect();
    (disk, journal, bodies)
}

/// One group more; where its body is.
fn grown(journal: &mut Journal<SimDisk>, group: u64) -> Position {
    let bytes = match group % 4 {
        0 => noise(group, 2500),
        1 => b"text ".repeat(150),
        2 => noise(group, 900),
        _ => Vec::new(),
    };
    let body = arrive(journal, &bytes).unwrap();
    let at = journal.append_body(&body).unwrap();
    journal.append_record(journal.next_seq(), &noise(group + 1000, 100)).unwrap();
    journal.sync().unwrap();
    at
}

/// Copies everything that is missing, `per_sync` groups to a sync; hears of each head that is
/// durable.
fn follow(
    copy: &mut Copy<SimDisk>,
    from: &Reader<SimDisk>,
    per_sync: u32,
    durable: &mut Vec<Head>,
) -> Result<(), CopyError> {
    let mut groups = from.groups(copy.head())?;
    while let Some(group) = groups.next()? {
        add(copy, from, &group)?;
        if copy.pending() >= per_sync {
            durable.push(copy.sync()?);
        }
    }
    durable.push(copy.settle()?);
    Ok(())
}

fn add(
    copy: &mut Copy<SimDisk>,
    from: &Reader<SimDisk>,
    group: &RawGroup,
) -> Result<(), CopyError> {
    for (file, size) in &group.files {
        let opened = from.open_body(*file).unwrap();
        let mut bytes = vec![0; *size as usize];
        assert_eq!(opened.read_at(0, &mut bytes).unwrap(), bytes.len());
        let mut body = copy.begin_body(*file, *size)?;
        for part in bytes.chunks(1000) {
            body.write(part)?;
        }
        body.finish()?;
    }
    copy.add(group.start, &group.bytes)
}

fn segment(disk: &SimDisk, number: u32) -> Vec<u8> {
    let file = disk.open(&format!("journal/{number:08}.seg")).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

fn assert_same(one: &SimDisk, other: &SimDisk, segments: u32, context: &str) {
    for number in 1..=segments {
        assert_eq!(segment(one, number), segment(other, number), "{context}: segment {number}");
    }
    assert_eq!(one.list("bodies").unwrap(), other.list("bodies").unwrap(), "{context}");
}

#[test]
fn it_is_the_same_byte_for_byte_and_goes_on_while_the_other_grows() {
    let (disk, mut journal, bodies) = original(40);
    journal.punch_all(&[bodies[3], bodies[1]]).unwrap();
    let copied = SimDisk::new();
    for (per_sync, more) in [(1, 0), (5, 9), (100, 30), (1, 0)] {
        for group in 0..more {
            grown(&mut journal, 100 + group + u64::from(per_sync));
        }
        let (mut copy, opened) = Copy::open(copied.clone(), small(), None).unwrap();
        assert_eq!((opened.damage, opened.cut), (Vec::new(), Vec::new()));
        follow(&mut copy, &journal.reader(), per_sync, &mut Vec::new()).unwrap();
        assert_eq!(copy.head(), journal.head());
        assert_same(&disk, &copied, journal.head().end.segment, "followed");
    }
    // Nobody but a copy opens it, until it is released.
    let refused = Journal::open(copied.clone(), small(), None);
    assert!(matches!(refused, Err(OpenError::Standby)));
    let (copy, _) = Copy::open(copied.clone(), small(), None).unwrap();
    copy.release().unwrap();
    let (own, opened) = Journal::open(copied.clone(), small(), None).unwrap();
    assert_eq!(opened.damage, []);
    let all = seen(&own.reader(), None);
    assert_eq!(all.damage, []);
    assert_eq!(all.records, seen(&journal.reader(), None).records);
    drop(own);
    assert!(matches!(Copy::open(copied, small(), None), Err(OpenError::OwnJournal)));
}

#[test]
fn a_power_cut_at_any_operation_leaves_what_was_told_of_and_it_goes_on() {
    let (disk, journal, _) = original(30);
    let reader = journal.reader();
    for per_sync in [1, 4, 50] {
        for cut in 1.. {
            let copied = SimDisk::new();
            copied.set_faults(Faults { cut_at_operation: Some(cut), ..Faults::default() });
            let mut durable = Vec::new();
            let done = Copy::open(copied.clone(), small(), None).map_err(drop).and_then(
                |(mut copy, _)| follow(&mut copy, &reader, per_sync, &mut durable).map_err(drop),
            );
            for seed in [0, 1, cut * 100 + 7] {
                let context = format!("{per_sync} to a sync, cut at {cut}, seed {seed}");
                let found = copied.after_power_cut(seed);
                let (mut copy, opened) = Copy::open(found.clone(), small(), None).unwrap();
                assert_eq!(opened.damage, [], "{context}");
                let told = durable.last().map_or(0, |head| head.group);
                assert!(copy.head().group >= told, "{context}: acknowledged and lost");
                follow(&mut copy, &reader, per_sync, &mut Vec::new()).unwrap();
                drop(copy);
                assert_same(&disk, &found, journal.head().end.segment, &context);
            }
            if done.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn what_does_not_continue_it_or_is_damaged_is_refused() {
    let (_, mut journal, _) = original(9);
    let copied = SimDisk::new();
    let (mut copy, _) = Copy::open(copied.clone(), small(), None).unwrap();
    follow(&mut copy, &journal.reader(), 1, &mut Vec::new()).unwrap();
    let head = copy.head();
    grown(&mut journal, 1001);
    let mut groups = journal.reader().groups(head).unwrap();
    let group = groups.next().unwrap().unwrap();
    for at in 0..group.bytes.len() {
        let mut changed = group.bytes.clone();
        changed[at] ^= 4;
        assert!(copy.add(group.start, &changed).is_err(), "changed at {at}");
    }
    assert!(copy.add(group.start.max(Position::first_of(9)), &group.bytes).is_err());
    assert!(copy.add(group.start, &group.bytes[..group.bytes.len() - 8]).is_err());
    assert_eq!(copy.sync().unwrap(), head);
    copy.add(group.start, &group.bytes).unwrap();
    assert_eq!(copy.sync().unwrap(), journal.head());
    // Twice is not in order either.
    assert!(copy.add(group.start, &group.bytes).is_err());

    // Another past is noticed on the other side.
    let (_, mut other, _) = original(9);
    grown(&mut other, 2001);
    grown(&mut other, 2002);
    let asked = other.reader().groups(copy.head());
    assert!(matches!(asked, Err(GroupError::NotHeld { .. })));
    // So is a journal that has lost its end.
    let (_, shorter, _) = original(5);
    assert!(matches!(shorter.reader().groups(copy.head()), Err(GroupError::NotHeld { .. })));
}

#[test]
fn a_body_file_must_be_what_its_name_says_and_be_there_first() {
    let (_, journal, _) = original(4);
    let reader = journal.reader();
    let (mut copy, _) = Copy::open(SimDisk::new(), small(), None).unwrap();
    let mut groups = reader.groups(Head::START).unwrap();
    while let Some(group) = groups.next().unwrap() {
        if let Some((file, size)) = group.files.first() {
            assert!(matches!(copy.add(group.start, &group.bytes), Err(CopyError::FileMissing(_))));
            let mut body = copy.begin_body(*file, *size).unwrap();
            body.write(&vec![1; *size as usize]).unwrap();
            assert!(body.write(b"more").is_err());
            assert!(matches!(body.finish(), Err(CopyError::File(_))));
            assert!(copy.add(group.start, &group.bytes).is_err());
        }
        add(&mut copy, &reader, &group).unwrap();
    }
}
