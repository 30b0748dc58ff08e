//! Taking a backup.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use journal::{Head, Position, Reader};

use crate::error::{BackupError, io};
use crate::manifest::{self, Manifest, Point, Segment, SmallFile};
use crate::{Backup, BackupDisk, Progress, files};

/// What is to be copied.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// The data directory.
    pub root: &'a Path,
    /// A durable head of its journal: everything up to it is copied.
    pub head: Head,
    /// Whose it is; a backup of another is left alone.
    pub installation: &'a str,
    /// The signed head, where there is one: of no more records than `head`.
    pub note: Option<String>,
    /// Further files: their paths in the data directory and what is in them.
    pub files: Vec<(String, Vec<u8>)>,
    /// The time, in milliseconds since 1970.
    pub now: i64,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records that are in the backup.
    pub records: u64,
    /// Bytes of all of it.
    pub bytes: u64,
    /// Bytes that were copied this time.
    pub copied_bytes: u64,
    /// Segments and body files that were copied this time.
    pub copied_files: u64,
    /// What is wrong with what was copied, as it was wrong at its source: the first of it.
    pub damage: Vec<String>,
}

/// Damage told one by one.
const DAMAGE_MAX: usize = 100;

impl Backup {
    /// Takes a backup, while the journal grows.
    ///
    /// # Errors
    /// [`BackupError`]; the backup that was there is then as it was.
    pub fn take(&self, source: &Source<'_>, progress: Progress<'_>) -> Result<Taken, BackupError> {
        for dir in ["journal", "bodies", "files"] {
            files::make_dir(&self.dir.join(dir))?;
        }
        let _lock = self.lock()?;
        let before = manifest::read(&self.dir)?;
        if let Some(before) = &before {
            self.check_same(before, source)?;
        }
        let mut manifest = Manifest::new(source.installation.to_owned());
        manifest.points = before.as_ref().map_or(Vec::new(), |before| before.points.clone());
        let mut taking = Taking { backup: self, source, taken: Taken::default(), progress, all: 0 };
        taking.all = taking.all_bytes();
        let first_new = taking.segments(before.as_ref(), &mut manifest)?;
        taking.bodies(&mut manifest)?;
        taking.small_files(&mut manifest)?;
        for dir in ["journal", "bodies", "files"] {
            files::sync_dir(&self.dir.join(dir))?;
        }
        taking.read_back(first_new, &manifest);
        let Taking { mut taken, .. } = taking;
        manifest.add_point(Point::new(source.now, &source.head, source.note.clone()));
        manifest::write(&self.dir, &mut manifest)?;
        self.remove_unnamed(&manifest)?;
        (taken.records, taken.bytes) = (source.head.last_seq.0, manifest.bytes());
        Ok(taken)
    }

    /// One backup at a time.
    fn lock(&self) -> Result<File, BackupError> {
        let path = self.dir.join("lock");
        let file = files::create(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => Err(BackupError::InUse),
            Err(std::fs::TryLockError::Error(error)) => Err(io("lock", &path)(error)),
        }
    }

    fn check_same(&self, before: &Manifest, source: &Source<'_>) -> Result<(), BackupError> {
        if before.installation != source.installation {
            let (dir, theirs) = (self.dir.clone(), before.installation.clone());
            return Err(BackupError::Other { dir, theirs });
        }
        let backup = before.latest()?.head()?;
        let journal = source.head;
        let same = backup.group < journal.group || backup == journal;
        let (backup, journal) = (backup.last_seq.0, journal.last_seq.0);
        if same { Ok(()) } else { Err(BackupError::Ahead { backup, journal }) }
    }

    /// Removes what no manifest names any more: only behind the new one.
    fn remove_unnamed(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let segments = manifest.segments.iter().map(|one| one.file.as_str()).collect();
        let bodies = manifest.bodies.iter().map(|(name, _)| name.as_str()).collect();
        let small = manifest.files.iter().map(|one| one.file.as_str()).collect();
        let named: [(&str, BTreeSet<&str>); 3] =
            [("journal", segments), ("bodies", bodies), ("files", small)];
        for (dir, named) in named {
            let dir = self.dir.join(dir);
            for name in names(&dir)?.iter().filter(|name| !named.contains(name.as_str())) {
                files::remove(&dir.join(name))?;
            }
        }
        Ok(())
    }
}

/// The files of a directory.
fn names(dir: &Path) -> Result<Vec<String>, BackupError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io("read", dir))? {
        let entry = entry.map_err(io("read", dir))?;
        let is_file = entry.file_type().map_err(io("read", dir))?.is_file();
        if let Ok(name) = entry.file_name().into_string()
            && is_file
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

struct Taking<'a, 'b> {
    backup: &'a Backup,
    source: &'a Source<'a>,
    taken: Taken,
    progress: Progress<'b>,
    /// Bytes to be looked at, roughly.
    all: u64,
}

impl Taking<'_, '_> {
    fn all_bytes(&self) -> u64 {
        let dirs = ["journal", "bodies"].map(|dir| self.source.root.join(dir));
        let files = dirs.iter().filter_map(|dir| Some((dir, names(dir).ok()?)));
        let sizes = files.flat_map(|(dir, names)| {
            names.into_iter().filter_map(|name| Some(dir.join(name).metadata().ok()?.len()))
        });
        sizes.sum()
    }

    /// Copies a file and reads the copy back.
    fn copy(&mut self, from: &Path, to: &Path, bytes: u64) -> Result<(String, u64), BackupError> {
        let (progress, all, before) = (&mut *self.progress, self.all, self.taken.copied_bytes);
        let mut done = before;
        let (hash, copied) = files::copy(from, to, bytes, false, &mut |bytes| {
            done += bytes;
            progress(done, all);
        })?;
        let (read, _) = files::hash(to, &mut |_| {})?;
        if read != hash {
            return Err(BackupError::Copy(to.display().to_string()));
        }
        self.taken.copied_bytes += copied;
        self.taken.copied_files += 1;
        Ok((hash.to_hex().to_string(), copied))
    }

    /// Copies the segments that are not in the backup as they are; the first of them.
    fn segments(
        &mut self,
        before: Option<&Manifest>,
        manifest: &mut Manifest,
    ) -> Result<Option<u32>, BackupError> {
        let known = before.map_or(&[][..], |before| &before.segments);
        let known: BTreeMap<u32, &Segment> = known.iter().map(|one| (one.number, one)).collect();
        let dir = self.backup.dir.join("journal");
        let (end, mut first_new) = (self.source.head.end, None);
        for number in 1..=end.segment {
            let from = self.source.root.join(format!("journal/{number:08}.seg"));
            let full = number < end.segment;
            let found = match from.metadata() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.missing(known.get(&number).copied(), number, manifest);
                    continue;
                }
                found => found.map_err(io("read", &from))?,
            };
            // Looked at before it is read: what is purged meanwhile is copied once more.
            let changed = found.mtime() * 1_000_000_000 + found.mtime_nsec();
            let same = known.get(&number).filter(|one| {
                full && one.full && one.changed == changed && dir.join(&one.file).exists()
            });
            if let Some(same) = same {
                manifest.segments.push((*same).clone());
                continue;
            }
            first_new.get_or_insert(number);
            let fresh = dir.join(format!("{number:08}.new"));
            let bytes = if full { found.len() } else { end.offset };
            let (blake3, bytes) = self.copy(&from, &fresh, bytes)?;
            let file = format!("{number:08}-{}.seg", &blake3[..16]);
            files::rename(&fresh, &dir.join(&file))?;
            manifest.segments.push(Segment { number, file, bytes, blake3, changed, full });
        }
        Ok(first_new)
    }

    /// A segment that is lost: an earlier copy of it is all there is.
    fn missing(&mut self, known: Option<&Segment>, number: u32, manifest: &mut Manifest) {
        self.tell(format!("segment {number} is missing in the journal"));
        manifest.segments.extend(known.cloned());
    }

    fn tell(&mut self, what: String) {
        if self.taken.damage.len() < DAMAGE_MAX {
            self.taken.damage.push(what);
        }
    }

    fn bodies(&mut self, manifest: &mut Manifest) -> Result<(), BackupError> {
        let (from, to) = (self.source.root.join("bodies"), self.backup.dir.join("bodies"));
        for name in names(&from)? {
            let (source, copy) = (from.join(&name), to.join(&name));
            let bytes = match source.metadata() {
                // Purged since the names were read.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                found => found.map_err(io("read", &source))?.len(),
            };
            if !copy.metadata().is_ok_and(|copy| copy.len() == bytes) {
                let fresh = copy.with_extension("new");
                let (blake3, copied) = match self.copy(&source, &fresh, bytes) {
                    Err(BackupError::Io { source, .. })
                        if source.kind() == std::io::ErrorKind::NotFound =>
                    {
                        continue;
                    }
                    copied => copied?,
                };
                // Its name says what it must be.
                if !name.starts_with(&blake3) || copied != bytes {
                    self.tell(format!("the body file {name} is not what its name says"));
                }
                files::rename(&fresh, &copy)?;
            }
            manifest.bodies.push((name, bytes));
        }
        Ok(())
    }

    fn small_files(&mut self, manifest: &mut Manifest) -> Result<(), BackupError> {
        let dir = self.backup.dir.join("files");
        for (name, bytes) in &self.source.files {
            let blake3 = blake3::hash(bytes).to_hex().to_string();
            let file = blake3[..32].to_owned();
            files::replace(&dir.join(&file), bytes)?;
            manifest.files.push(SmallFile { name: name.clone(), file, blake3 });
        }
        Ok(())
    }

    /// Reads what was copied as a journal: what was damaged at its source is told now, while there
    /// may still be another copy.
    fn read_back(&mut self, first_new: Option<u32>, manifest: &Manifest) {
        let Some(segment) = first_new else { return };
        let reader = Reader::look(BackupDisk::new(self.backup.dir.clone(), manifest));
        let from = Position { segment, offset: 0 };
        let found = reader.scrub(Some(from), &self.source.head, u64::MAX);
        for damage in found.damage {
            self.tell(damage.to_string());
        }
    }
}

/// A path of the data directory that is no way out of it.
pub fn inside(root: &Path, name: &str) -> Result<PathBuf, BackupError> {
    let plain =
        Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if plain { Ok(root.join(name)) } else { Err(BackupError::Damaged(name.to_owned())) }
}
