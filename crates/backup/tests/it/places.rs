//! Places that fail: whatever is cut, the backup that was there stays, and none is called good that
//! is not.

use std::any::Any;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backup::{Backup, DirectoryPlace, Place, Source};
use journal::{Entry, Reader};

use crate::{Made, WHOSE, add, entries, made};

/// A place whose line is cut after so many bytes: what was being put is not there.
#[derive(Debug)]
struct Cut {
    inner: DirectoryPlace,
    left: AtomicU64,
    /// One upload fails, and the next ones go through.
    comes_back: bool,
}

impl Place for Cut {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(name, offset, buffer)
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        self.inner.size(name)
    }

    fn put(&self, name: &str, from: &mut dyn Read, bytes: u64) -> io::Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        if left < bytes + 1 {
            self.left.store(if self.comes_back { u64::MAX } else { 0 }, Ordering::Relaxed);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.left.store(left - bytes - 1, Ordering::Relaxed);
        self.inner.put(name, from, bytes)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.left.load(Ordering::Relaxed) {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            _ => self.inner.remove(name),
        }
    }

    fn settle(&self, dir: &str) -> io::Result<()> {
        self.inner.settle(dir)
    }

    fn wants_reading_back(&self) -> bool {
        false
    }

    fn lock(&self) -> io::Result<Box<dyn Any>> {
        self.inner.lock()
    }
}

#[test]
fn a_line_that_is_cut_leaves_a_backup_that_is_whole() {
    let Made { _dir, root, backup, mut journal } = made(20);
    let first = entries(&root);
    add(&mut journal, 15);
    let second = entries(&root);
    let mut done = false;
    let cuts = (0..80_000).step_by(900).flat_map(|left| [(left, false), (left, true)]);
    for (left, comes_back) in cuts {
        let work = backup.with_extension("work");
        drop(std::fs::remove_dir_all(&work));
        copy_dir(&backup, &work);
        let inner = DirectoryPlace::new(&work);
        let place = Arc::new(Cut { inner, left: AtomicU64::new(left), comes_back });
        let source = Source {
            root: &root,
            head: journal.head(),
            installation: WHOSE,
            note: None,
            files: vec![("restante.toml".to_owned(), b"hostname = 2".to_vec())],
            now: 5_000,
            sealing: None,
        };
        let taken = Backup::new(place, None).take(&source, &mut |_, _| {});
        done |= taken.is_ok();
        // Good whatever happened: as it was before, or as it is now.
        let there = Backup::at(&work);
        assert_eq!(there.check(&mut |_, _| {}).unwrap().damage, Vec::<String>::new(), "{left}");
        let to = work.with_extension("restored");
        drop(std::fs::remove_dir_all(&to));
        there.restore(&to, None, &mut |_, _| {}).unwrap();
        let found = entries(&to);
        assert!(found == second || (found == first && taken.is_err()), "cut after {left} bytes");
    }
    assert!(done, "and with enough of them it is taken");
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

/// Damage that a disk tells of by a new time does not push the good copy out.
#[test]
fn a_copy_from_before_the_damage_is_kept_until_it_is_healed() {
    let Made { _dir, root, backup, mut journal } = made(40);
    let segment = root.join("journal/00000001.seg");
    let whole = std::fs::read(&segment).unwrap();
    let mut bent = whole.clone();
    bent[1000] ^= 1;
    std::fs::write(&segment, &bent).unwrap();
    for round in 0..2 {
        add(&mut journal, 1);
        let taken = crate::take(&backup, &root, &journal).unwrap();
        assert_eq!(taken.damage.is_empty(), round > 0, "told when it is copied: {taken:?}");
        let there = Backup::at(&backup);
        assert_eq!(there.check(&mut |_, _| {}).unwrap().damage, Vec::<String>::new());
        let sound = Reader::look(there.sound_disk().unwrap().unwrap());
        assert!(!sound.scan(None).any(|entry| matches!(entry, Entry::Damage(_))));
    }
    std::fs::write(&segment, &whole).unwrap();
    add(&mut journal, 1);
    crate::take(&backup, &root, &journal).unwrap();
    assert!(Backup::at(&backup).sound_disk().unwrap().is_none());
}
