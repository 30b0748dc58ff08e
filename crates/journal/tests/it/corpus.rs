//! The fuzzer's corpus, and all one-byte changes and cuts of one journal, through the fuzzer's own
//! function.

use std::path::Path;

use journal::sim::{SimDisk, read_arbitrary};
use journal::{Disk, Journal};

use crate::support::{arrive, noise, small};

#[test]
fn the_corpus_of_the_fuzzer_panics_nowhere() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/journal_frames");
    let mut files = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        read_arbitrary(&std::fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 5, "the corpus is there");
}

/// One journal with every kind of frame, without the unused end of its segment.
fn whole() -> Vec<u8> {
    let disk = SimDisk::new();
    let (mut journal, _) = Journal::open(disk.clone(), small(), None).unwrap();
    let mut purged = None;
    for group in 0..3_u64 {
        for bytes in [b"words ".repeat(50), noise(group, 40), noise(group, 1500)] {
            let body = arrive(&journal, &bytes).unwrap();
            purged = Some(journal.append_body(&body).unwrap());
            let seq = journal.next_seq();
            journal.append_record(seq, b"names the body").unwrap();
        }
        journal.sync().unwrap();
    }
    journal.punch(purged.unwrap()).unwrap();
    let end = journal.seal().unwrap().end.offset as usize;
    assert!(disk.list("journal").unwrap().len() == 2);
    disk.contents("journal/00000001.seg").unwrap()[..end].to_vec()
}

#[test]
fn changed_and_cut_journals_panic_nowhere() {
    let whole = whole();
    read_arbitrary(&whole);
    for at in (0..whole.len()).step_by(11) {
        read_arbitrary(&whole[..at]);
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        read_arbitrary(&changed);
    }
}
