//! Backups of real journals: incremental, checked bit by bit, restored as of any point.
#![allow(clippy::unwrap_used)]

mod places;
mod sealed;

use std::path::{Path, PathBuf};

use backup::{Backup, BackupError, Source, Taken};
use journal::{Entry, Journal, Options, Position, Reader, RealDisk};

const WHOSE: &str = "mx.example.test/restante";

fn open(root: &Path) -> Journal<RealDisk> {
    // Segments so small that there are several, and bodies with files of their own.
    let options =
        Options { segment_bytes: 8192, inline_body_bytes_max: 2048, ..Options::default() };
    Journal::open(RealDisk::new(root), options, None).unwrap().0
}

/// Adds records with bodies, the last of them a large one; the places of the bodies.
fn add(journal: &mut Journal<RealDisk>, records: u64) -> Vec<Position> {
    let mut places = Vec::new();
    for number in 0..records {
        let seq = journal.next_seq();
        let bytes = if number + 1 == records { 5000 } else { 700 };
        let mut arrival = journal.arrivals().begin();
        let text = format!("body of {seq} ").repeat(bytes / 10);
        arrival.write(text.as_bytes()).unwrap();
        places.push(journal.append_body(&arrival.finish().unwrap()).unwrap());
        journal.append_record(seq, format!("record {seq}").as_bytes()).unwrap();
        journal.sync().unwrap();
    }
    places
}

fn take(dir: &Path, root: &Path, journal: &Journal<RealDisk>) -> Result<Taken, BackupError> {
    let source = Source {
        root,
        head: journal.head(),
        installation: WHOSE,
        note: None,
        files: vec![
            ("restante.toml".to_owned(), b"hostname = 1".to_vec()),
            ("tls/key.pem".to_owned(), b"secret".to_vec()),
        ],
        now: 1_000 + journal.head().group.cast_signed(),
        sealing: None,
    };
    Backup::at(dir).take(&source, &mut |_, _| {})
}

fn entries(root: &Path) -> Vec<Entry> {
    Reader::look(RealDisk::new(root)).scan(None).collect()
}

struct Made {
    _dir: tempfile::TempDir,
    root: PathBuf,
    backup: PathBuf,
    journal: Journal<RealDisk>,
}

fn made(records: u64) -> Made {
    let dir = tempfile::tempdir().unwrap();
    let (root, backup) = (dir.path().join("data"), dir.path().join("backup"));
    std::fs::create_dir(&root).unwrap();
    let mut journal = open(&root);
    add(&mut journal, records);
    let taken = take(&backup, &root, &journal).unwrap();
    assert_eq!((taken.records, taken.damage), (records, vec![]));
    Made { _dir: dir, root, backup, journal }
}

#[test]
fn what_is_restored_is_what_was_there_at_every_point() {
    let Made { _dir, root, backup, mut journal, .. } = made(20);
    let mut points = vec![(20, entries(&root))];
    for round in 1..5 {
        add(&mut journal, 7);
        take(&backup, &root, &journal).unwrap();
        points.push((20 + 7 * round, entries(&root)));
    }
    let checked = Backup::at(&backup).check(&mut |_, _| {}).unwrap();
    assert_eq!(checked.damage, Vec::<String>::new());
    for (records, then) in &points {
        let to = tempfile::tempdir().unwrap();
        let restored =
            Backup::at(&backup).restore(to.path(), Some(records + 3), &mut |_, _| {}).unwrap();
        assert_eq!(restored.point.records, *records);
        assert!(entries(to.path()) == *then, "as of {records} records");
        assert_eq!(std::fs::read(to.path().join("tls/key.pem")).unwrap(), b"secret");
        // It is a journal to go on with.
        let mut journal = open(to.path());
        assert_eq!(journal.head().last_seq.0, *records);
        add(&mut journal, 1);
    }
    assert!(matches!(
        Backup::at(&backup).restore(&root.join("x"), Some(19), &mut |_, _| {}),
        Err(BackupError::NoPoint(20))
    ));
    let full = Backup::at(&backup).restore(&root, None, &mut |_, _| {});
    assert!(matches!(full, Err(BackupError::NotEmpty(_))));
}

#[test]
fn only_what_is_new_is_copied() {
    let Made { _dir, root, backup, mut journal, .. } = made(60);
    let again = take(&backup, &root, &journal).unwrap();
    assert_eq!(again.copied_files, 1, "the segment that grows");
    assert!(again.copied_bytes <= 8192 + 4096, "{again:?}");
    add(&mut journal, 1);
    let more = take(&backup, &root, &journal).unwrap();
    assert!(more.copied_files <= 3, "{more:?}");
}

#[test]
fn a_purge_reaches_the_next_backup() {
    let Made { _dir, root, backup, mut journal, .. } = made(3);
    let places = add(&mut journal, 40);
    take(&backup, &root, &journal).unwrap();
    let words = b"body of 5 body of 5";
    let holds = |dir: &Path| {
        let files = std::fs::read_dir(dir.join("journal")).unwrap();
        let mut files = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        files.any(|bytes| bytes.windows(words.len()).any(|part| part == words))
    };
    assert!(holds(&backup));
    journal.punch(places[1]).unwrap();
    let large = places[39];
    journal.punch(large).unwrap();
    let files = |dir: &Path| std::fs::read_dir(dir.join("bodies")).unwrap().count();
    let before = files(&backup);
    take(&backup, &root, &journal).unwrap();
    assert!(!holds(&backup), "the words are still in the backup");
    assert_eq!(files(&backup), before - 1);
    assert_eq!(Backup::at(&backup).check(&mut |_, _| {}).unwrap().damage, Vec::<String>::new());
}

#[test]
fn a_backup_of_another_or_of_more_is_left_alone() {
    let Made { _dir, root, backup, journal, .. } = made(5);
    let before = std::fs::read(backup.join("manifest.json")).unwrap();
    let other = tempfile::tempdir().unwrap();
    let mut short = open(other.path());
    add(&mut short, 4);
    assert!(matches!(
        take(&backup, other.path(), &short),
        Err(BackupError::Ahead { backup: 5, journal: 4 })
    ));
    let source = Source {
        root: &root,
        head: journal.head(),
        installation: "another",
        note: None,
        files: Vec::new(),
        now: 1,
        sealing: None,
    };
    let refused = Backup::at(&backup).take(&source, &mut |_, _| {});
    assert!(matches!(refused, Err(BackupError::Other { .. })));
    assert_eq!(std::fs::read(backup.join("manifest.json")).unwrap(), before);
}

/// Damage at the source is told when it is copied, and does not replace a copy that is good.
#[test]
fn damage_at_the_source_is_told_and_does_not_spread() {
    use std::os::unix::fs::FileExt;
    let Made { _dir, root, backup, mut journal, .. } = made(30);
    let segment = root.join("journal/00000001.seg");
    let changed = segment.metadata().unwrap().modified().unwrap();
    let file = std::fs::File::options().write(true).open(&segment).unwrap();
    file.write_all_at(b"rot", 1000).unwrap();
    // Disks do not tell when they rot.
    file.set_modified(changed).unwrap();
    add(&mut journal, 3);
    let taken = take(&backup, &root, &journal).unwrap();
    assert_eq!(taken.damage, Vec::<String>::new());
    assert_eq!(Backup::at(&backup).check(&mut |_, _| {}).unwrap().damage, Vec::<String>::new());
    let reader = Reader::look(Backup::at(&backup).disk().unwrap());
    assert!(!reader.scan(None).any(|entry| matches!(entry, Entry::Damage(_))));
    let fresh = backup.with_extension("fresh");
    let taken = take(&fresh, &root, &journal).unwrap();
    assert!(taken.damage[0].contains("segment 1"), "{:?}", taken.damage);
}

/// Every flipped bit of a backup is found, and no restore believes it.
#[test]
fn ten_thousand_flipped_bits_are_found() {
    let Made { _dir, backup, .. } = made(25);
    let mut files = vec![backup.join("manifest.json")];
    for dir in ["journal", "bodies", "files"] {
        let names = std::fs::read_dir(backup.join(dir)).unwrap();
        files.extend(names.map(|name| name.unwrap().path()));
    }
    let check = || Backup::at(&backup).check(&mut |_, _| {});
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for flip in 0..10_000 {
        // xorshift64: the same every time.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let path = &files[(random % files.len() as u64) as usize];
        let whole = std::fs::read(path).unwrap();
        let bit = (random >> 16) as usize % (whole.len() * 8);
        let mut bent = whole.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(path, &bent).unwrap();
        let found = check().map_or(true, |checked| !checked.damage.is_empty());
        assert!(found, "flip {flip}: bit {bit} of {}", path.display());
        if flip % 500 == 0 {
            let to = backup.with_extension("restored");
            assert!(Backup::at(&backup).restore(&to, None, &mut |_, _| {}).is_err());
            assert!(!to.exists(), "nothing is where it was to be");
        }
        std::fs::write(path, &whole).unwrap();
    }
    assert_eq!(check().unwrap().damage, Vec::<String>::new(), "and none falsely");
}
