//! What a standby has told of is there after a power cut.

use journal::sim::{Faults, SimDisk};
use journal::{Copy, Head, Journal, Options};
use standby::{Keeper, Task};

const GROUPS: u64 = 24;

fn options() -> Options {
    Options { segment_bytes: 4096, inline_body_bytes_max: 1000, ..Options::default() }
}

fn original() -> Journal<SimDisk> {
    let (mut journal, _) = Journal::open(SimDisk::new(), options(), None).unwrap();
    for group in 0..GROUPS {
        for _ in 0..=group % 3 {
            let payload = vec![group as u8; 150];
            journal.append_record(journal.next_seq(), &payload).unwrap();
        }
        journal.sync().unwrap();
    }
    journal
}

/// Takes groups, some at a time; hears of every head that the other side was told of.
fn kept(disk: &SimDisk, from: &Journal<SimDisk>, at_a_time: usize, told: &mut Vec<Head>) -> bool {
    let Ok((copy, _)) = Copy::open(disk.clone(), options(), None) else { return false };
    let mut groups = from.reader().groups(copy.head()).unwrap();
    let mut keeper = Keeper::new(copy);
    loop {
        let mut taken = 0;
        while taken < at_a_time
            && let Some(group) = groups.next().unwrap()
        {
            if keeper.take(Task::Group { start: group.start, bytes: group.bytes }).is_err() {
                return false;
            }
            taken += 1;
        }
        match keeper.acknowledge() {
            Ok(head) => told.push(head),
            Err(_) => return false,
        }
        if taken == 0 {
            return keeper.take(Task::Quiet).is_ok();
        }
    }
}

#[test]
fn what_was_told_of_is_there_after_a_power_cut_at_any_operation() {
    let journal = original();
    for at_a_time in [1, 5] {
        for cut in 1.. {
            let disk = SimDisk::new();
            disk.set_faults(Faults { cut_at_operation: Some(cut), ..Faults::default() });
            let mut told = Vec::new();
            let done = kept(&disk, &journal, at_a_time, &mut told);
            for seed in [0, 1, cut * 13 + 5] {
                let context = format!("{at_a_time} at a time, cut at {cut}, seed {seed}");
                let found = disk.after_power_cut(seed);
                let (copy, opened) = Copy::open(found.clone(), options(), None).unwrap();
                assert_eq!(opened.damage, [], "{context}");
                if let Some(last) = told.last() {
                    assert!(copy.head().group >= last.group, "{context}: told of and lost");
                }
                drop(copy);
                assert!(kept(&found, &journal, at_a_time, &mut Vec::new()), "{context}");
            }
            if done {
                break;
            }
        }
    }
}
