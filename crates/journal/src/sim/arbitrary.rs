//! Any bytes as a journal: for the fuzzer, and for the replay of its corpus.

use mail_types::RecordSeq;

use crate::sim::SimDisk;
use crate::{Disk, Entry, Journal, Options, Position, Reader};

/// Reads any bytes as the first segment of a journal, in every way there is, then opens it, writes
/// to it and reads that back.
///
/// # Panics
/// Where what was written to the opened journal is not read back, or a scan has no end: those are
/// the faults that the fuzzer looks for.
pub fn read_arbitrary(bytes: &[u8]) {
    let disk = SimDisk::new();
    disk.overwrite("journal/00000001.seg", 0, bytes);
    let reader = Reader::look(disk.clone());
    read_all(&reader, bytes.len());
    for offset in (0..bytes.len() as u64).step_by(8) {
        // Whatever it says is right, as long as it says it.
        let at = Position { segment: 1, offset };
        drop((reader.read_body(at), reader.read_record(at), reader.check(at)));
    }

    let options = Options { segment_bytes: 4096, ..Options::default() };
    let Ok((mut journal, _)) = Journal::open(disk.clone(), options.clone(), None) else { return };
    read_all(&journal.reader(), bytes.len());
    let seq = journal.next_seq();
    if seq == RecordSeq(0) || journal.append_record(seq, b"goes on").is_err() {
        return;
    }
    let Ok(head) = journal.sync() else { return };
    drop(journal);
    let found = disk.after_power_cut(0);
    assert!(found.list("journal").is_ok());
    let (journal, _) = Journal::open(found, options, Some(head)).expect("its own head is there");
    assert_eq!(journal.head().last_seq, seq);
}

/// An entry stands on at least eight bytes, and each is passed over a bounded number of times.
fn read_all(reader: &Reader<SimDisk>, bytes: usize) {
    let entries_max = bytes + 16;
    let mut entries = 0;
    for entry in reader.scan(None) {
        entries += 1;
        assert!(entries <= entries_max, "the scan has no end");
        if let Entry::Body { at, purged: false, .. } = entry {
            drop(reader.check(at));
        }
    }
}
