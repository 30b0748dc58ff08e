use journal::sim::SimDisk;
use journal::{Body, Disk, Journal, Options, RealDisk};
use mail_types::RecordSeq;

use crate::support::{arrive, noise, seen, small};

fn round_trip<D: Disk + Clone>(disk: D, options: Options) {
    let (mut journal, opened) = Journal::open(disk.clone(), options.clone(), None).unwrap();
    assert!(opened.created && opened.damage.is_empty());
    let text = b"Subject: hello\r\n\r\n".repeat(30);
    let mut bodies = Vec::new();
    let mut halfway = None;
    for seq in 1..=40_u64 {
        let large = noise(seq, 3000);
        let bytes: &[u8] = if seq % 4 == 0 { &large } else { &text[..seq as usize * 10] };
        let body = arrive(&journal, bytes).unwrap();
        assert_eq!(body.file().is_some(), bytes.len() > options.inline_body_bytes_max);
        bodies.push((journal.append_body(&body).unwrap(), bytes.to_vec()));
        journal.append_record(RecordSeq(seq), format!("record {seq}").as_bytes()).unwrap();
        if seq % 3 == 0 {
            assert_eq!(journal.sync().unwrap().last_seq, RecordSeq(seq));
        }
        if seq == 21 {
            halfway = Some(journal.head());
        }
    }
    let head = journal.sync().unwrap();
    let reader = journal.reader();
    for (at, bytes) in &bodies {
        assert_eq!(&reader.read_body(*at).unwrap(), bytes);
    }
    drop(journal);

    let before = seen(&reader, None);
    assert_eq!(before.records.len(), 40);
    assert!(before.damage.is_empty());
    for from in [None, halfway, Some(head)] {
        let (journal, opened) = Journal::open(disk.clone(), options.clone(), from).unwrap();
        assert!(opened.cut.is_empty() && opened.damage.is_empty() && !opened.created);
        assert_eq!(journal.head().last_seq, RecordSeq(40));
        let all = seen(&journal.reader(), None);
        assert_eq!(all.records, before.records);
        let behind = seen(&journal.reader(), from);
        let skipped = from.map_or(0, |head| head.last_seq.0 as usize);
        assert_eq!(behind.records, before.records[skipped..]);
        for (at, bytes) in &bodies {
            assert_eq!(&journal.reader().read_body(*at).unwrap(), bytes);
        }
    }
}

#[test]
fn what_was_synced_is_there_on_the_simulated_disk() {
    round_trip(SimDisk::new(), small());
}

#[test]
fn what_was_synced_is_there_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    round_trip(RealDisk::new(dir.path()), small());
    let dir = tempfile::tempdir().unwrap();
    round_trip(RealDisk::new(dir.path()), Options::default());
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Journal::open(RealDisk::new(dir.path()), Options::default(), None);
    let first = open().unwrap();
    assert!(matches!(open(), Err(journal::OpenError::InUse)));
    drop(first);
    assert!(open().is_ok());
}

#[test]
fn records_have_no_gaps_and_a_limit() {
    let (mut journal, _) = Journal::open(SimDisk::new(), small(), None).unwrap();
    assert!(journal.append_record(RecordSeq(2), b"x").is_err());
    journal.append_record(RecordSeq(1), b"x").unwrap();
    assert!(journal.append_record(RecordSeq(1), b"x").is_err());
    let large = vec![0; journal::RECORD_BYTES_MAX + 1];
    assert!(matches!(
        journal.append_record(RecordSeq(2), &large),
        Err(journal::AppendError::TooLarge { .. })
    ));
    journal.abandon();
    journal.append_record(RecordSeq(1), b"y").unwrap();
    journal.sync().unwrap();
    assert_eq!(seen(&journal.reader(), None).records, [(RecordSeq(1), b"y".to_vec())]);
}

#[test]
fn a_full_group_says_so_and_can_be_synced() {
    let (mut journal, _) = Journal::open(SimDisk::new(), Options::default(), None).unwrap();
    let body = Body::from_bytes(&noise(1, journal::INLINE_BODY_BYTES_MAX)).unwrap();
    let mut fitted = 0;
    while journal.append_body(&body).is_ok() {
        fitted += 1;
    }
    assert_eq!(fitted, journal::GROUP_BYTES_MAX / journal::INLINE_BODY_BYTES_MAX - 1);
    journal.sync().unwrap();
    let at = journal.append_body(&body).unwrap();
    journal.sync().unwrap();
    assert_eq!(journal.reader().read_body(at).unwrap().len() as u64, body.size);
    assert_eq!(seen(&journal.reader(), None).bodies.len(), fitted + 1);
}

/// Around the border between memory and file, and beyond the pieces that a file is copied in.
#[test]
fn what_comes_last_may_stand_in_front() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(RealDisk::new(dir.path()), small(), None).unwrap();
    for (front, content) in
        [(0, 5), (10, 0), (10, 990), (11, 990), (1000, 1), (1500, 3), (7, 1001), (2000, 700_000)]
    {
        let (front, content) = (noise(1, front), noise(2, content));
        let mut arrival = journal.arrivals().begin();
        for part in content.chunks(100_000) {
            arrival.write(part).unwrap();
        }
        let fits = arrival.fits_inline(front.len());
        let body = arrival.behind(&front).unwrap().finish().unwrap();
        let whole = [front, content].concat();
        assert_eq!(body.file().is_none(), whole.len() <= 1000);
        assert_eq!(fits, whole.len() <= 1000);
        assert_eq!(body.hash.0, *blake3::hash(&whole).as_bytes());
        let at = journal.append_body(&body).unwrap();
        journal.sync().unwrap();
        assert_eq!(journal.reader().read_body(at).unwrap(), whole);
    }
    // The first files of those that were copied are gone.
    let arriving = std::fs::read_dir(dir.path().join("bodies/arriving")).unwrap();
    assert_eq!(arriving.count(), 0);
}
