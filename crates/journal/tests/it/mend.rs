//! Damage mended from a copy: the same bytes, nothing purged, nothing of another journal.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use journal::{Damage, Head, Journal, MendError, Options, Position, Reader, RealDisk};

fn open(root: &Path) -> Journal<RealDisk> {
    let options =
        Options { segment_bytes: 8192, inline_body_bytes_max: 2048, ..Options::default() };
    Journal::open(RealDisk::new(root), options, None).unwrap().0
}

/// Records with bodies that say `word`, every fifth one in a file of its own.
fn add(journal: &mut Journal<RealDisk>, word: &str, records: u64) -> Vec<Position> {
    let mut places = Vec::new();
    for _ in 0..records {
        let seq = journal.next_seq();
        let times = if seq.0.is_multiple_of(5) { 400 } else { 60 };
        let mut arrival = journal.arrivals().begin();
        arrival.write(format!("{word} of {seq} ").repeat(times).as_bytes()).unwrap();
        places.push(journal.append_body(&arrival.finish().unwrap()).unwrap());
        journal.append_record(seq, format!("record {seq}").as_bytes()).unwrap();
        journal.sync().unwrap();
    }
    places
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        match path.is_dir() {
            true => copy_dir(&path, &to.join(name)),
            false => drop(std::fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

fn files(root: &Path) -> Vec<PathBuf> {
    let dirs = ["journal", "bodies"].map(|dir| std::fs::read_dir(root.join(dir)).unwrap());
    let files = dirs.into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.is_file() && !path.ends_with("lock")).collect();
    files.sort();
    files
}

fn damage(journal: &Journal<RealDisk>) -> Vec<Damage> {
    journal.reader().scrub(None, &journal.head(), u64::MAX).damage
}

/// Mends until nothing is damaged, or tells why not.
fn mend(
    journal: &mut Journal<RealDisk>,
    copy: &Reader<RealDisk>,
    copied: &Head,
    purged: &BTreeSet<Position>,
) -> Result<usize, MendError> {
    let mut mended = 0;
    for _ in 0..3 {
        for damage in damage(journal) {
            let found =
                journal.reader().find_mend(copy, copied, &damage, &|at| purged.contains(&at));
            mended += usize::from(journal.mend(&found?)?.evidence.is_some());
        }
    }
    Ok(mended)
}

struct Made {
    dir: tempfile::TempDir,
    root: PathBuf,
    journal: Journal<RealDisk>,
    copied: Head,
    purged: BTreeSet<Position>,
}

/// A journal with a copy in `copy`, of less: and of what was purged since.
fn made() -> Made {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let mut journal = open(&root);
    let places = add(&mut journal, "body", 40);
    journal.punch(places[3]).unwrap();
    copy_dir(&root, &dir.path().join("copy"));
    let copied = journal.head();
    journal.punch_all(&[places[8], places[14], places[20]]).unwrap();
    let purged = BTreeSet::from([places[3], places[8], places[14], places[20]]);
    add(&mut journal, "later", 3);
    journal.seal().unwrap();
    Made { dir, root, journal, copied, purged }
}

#[test]
fn whatever_byte_is_flipped_comes_back_as_it_was() {
    let Made { dir, root, mut journal, copied, purged } = made();
    let copy = Reader::look(RealDisk::new(&dir.path().join("copy")));
    let files = files(&root);
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut found = 0;
    for flip in 0..600 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let path = &files[(random % files.len() as u64) as usize];
        let whole = std::fs::read(path).unwrap();
        let last = path.ends_with(format!("{:08}.seg", copied.end.segment));
        let later = path.file_stem().is_some_and(|stem| {
            stem.to_string_lossy().parse().is_ok_and(|number: u32| number > copied.end.segment)
        });
        let bytes = if last { copied.end.offset as usize } else { whole.len() };
        if bytes == 0
            || later
            || !dir.path().join("copy").join(path.strip_prefix(&root).unwrap()).exists()
        {
            continue;
        }
        let at = (random >> 16) as usize % bytes;
        let mut bent = whole.clone();
        // One byte, or as much as a bad sector.
        let wide = if flip % 3 == 0 { 512 } else { 1 };
        for byte in bent.iter_mut().skip(at).take(wide.min(bytes - at)) {
            *byte ^= 0x55;
        }
        write_over(path, &bent);
        if damage(&journal).is_empty() {
            write_over(path, &whole);
            continue;
        }
        found += 1;
        mend(&mut journal, &copy, &copied, &purged)
            .unwrap_or_else(|error| panic!("flip {flip} at {at} of {}: {error}", path.display()));
        assert_eq!(damage(&journal), vec![], "flip {flip}");
        let now = std::fs::read(path).unwrap();
        // What is behind a purge's mark, and behind the last frame, is nothing.
        let same = now.iter().zip(&whole).all(|(now, was)| now == was || *was == 0);
        assert!(same, "flip {flip} at {at} of {}", path.display());
        write_over(path, &whole);
    }
    assert!(found > 300, "{found}");
    assert!(std::fs::read_dir(root.join("damaged")).unwrap().count() > 100);
}

fn write_over(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

#[test]
fn a_lost_segment_and_a_lost_file_come_back() {
    let Made { dir, root, journal, copied, purged } = made();
    drop(journal);
    let copy = Reader::look(RealDisk::new(&dir.path().join("copy")));
    let segment = root.join("journal/00000002.seg");
    let whole = std::fs::read(&segment).unwrap();
    std::fs::remove_file(&segment).unwrap();
    let lost = files(&root).into_iter().find(|path| path.parent().unwrap().ends_with("bodies"));
    let lost = lost.unwrap();
    let body = std::fs::read(&lost).unwrap();
    std::fs::remove_file(&lost).unwrap();
    let mut journal = open(&root);
    assert!(!damage(&journal).is_empty());
    mend(&mut journal, &copy, &copied, &purged).unwrap();
    assert_eq!(damage(&journal), vec![]);
    assert!(std::fs::read(&segment).unwrap() == whole && std::fs::read(&lost).unwrap() == body);
    assert!(!journal.reader().scan(None).any(|entry| matches!(entry, journal::Entry::Damage(_))));
}

#[test]
fn nothing_comes_in_from_another_journal_or_a_damaged_copy() {
    use std::os::unix::fs::FileExt;
    let Made { dir, root, mut journal, copied, purged } = made();
    // The same lengths everywhere, other words.
    let other = dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let mut theirs = open(&other);
    add(&mut theirs, "BODY", 43);
    let theirs_head = theirs.head();
    let theirs = theirs.reader();
    let file =
        std::fs::File::options().write(true).open(root.join("journal/00000001.seg")).unwrap();
    let whole = std::fs::read(root.join("journal/00000001.seg")).unwrap();
    for (at, bytes) in [(64 + 20, 1), (64 + 200, 1), (64, 900)] {
        file.write_all_at(&vec![0x5A; bytes], at).unwrap();
        assert!(mend(&mut journal, &theirs, &theirs_head, &purged).is_err(), "at {at}");
        file.write_all_at(&whole, 0).unwrap();
    }
    // Damaged here and there alike.
    let copy = dir.path().join("copy");
    let there =
        std::fs::File::options().write(true).open(copy.join("journal/00000001.seg")).unwrap();
    for at in [64 + 20, 64 + 200] {
        file.write_all_at(&[0x5A], at).unwrap();
        there.write_all_at(&[0x5A], at).unwrap();
        let copy = Reader::look(RealDisk::new(&copy));
        assert!(mend(&mut journal, &copy, &copied, &purged).is_err(), "at {at}");
        assert_eq!(damage(&journal).len(), 1, "and nothing was written");
        file.write_all_at(&whole, 0).unwrap();
        there.write_all_at(&whole, 0).unwrap();
    }
}
