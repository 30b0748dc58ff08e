//! Taking a backup.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use journal::{Head, Position, Reader, RealDisk};

use crate::age::{Recipient, Sealer};
use crate::error::{BackupError, doing, io};
use crate::files::{Hashing, drain};
use crate::manifest::{self, Contents, Manifest, Point, Sealed, Segment, SmallFile, Stored};
use crate::stored::Raw;
use crate::{Backup, Progress};

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
    /// Who can open it; none: it lies as it is.
    pub sealing: Option<Sealing>,
}

/// How a backup is encrypted.
#[derive(Clone, Debug)]
pub struct Sealing {
    /// Each of them can open all of it.
    pub recipients: Vec<Recipient>,
    /// A secret of the installation's: names of body files are hashes of them with it, so that they
    /// are known again and tell nobody else what is in them.
    pub names_key: [u8; 32],
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
    /// Nobody can read it without an identity.
    pub encrypted: bool,
    /// What is wrong with what was copied, as it was wrong at its source: the first of it.
    pub damage: Vec<String>,
}

/// Damage told one by one.
const DAMAGE_MAX: usize = 100;
/// Where files lie in a place.
const DIRS: [&str; 3] = ["journal", "bodies", "files"];

impl Backup {
    /// Takes a backup, while the journal grows.
    ///
    /// # Errors
    /// [`BackupError`]; the backup that was there is then as it was.
    pub fn take(&self, source: &Source<'_>, progress: Progress<'_>) -> Result<Taken, BackupError> {
        let name = self.place.name();
        let _lock = self.place.lock().map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => BackupError::InUse,
            _ => doing("lock", &name)(error),
        })?;
        let before = manifest::read(&*self.place)?;
        if let Some(before) = &before {
            self.check_same(before, source)?;
        }
        let mut manifest = Manifest::new(source.installation.to_owned());
        manifest.points = before.as_ref().map_or(Vec::new(), |before| before.points.clone());
        let mut taking = Taking::new(self, source, before.as_ref(), progress)?;
        taking.segments(&mut manifest)?;
        taking.bodies(&mut manifest)?;
        taking.small_files(&mut manifest)?;
        taking.seal_contents(&mut manifest)?;
        for dir in DIRS {
            self.place.settle(dir).map_err(doing("sync", dir))?;
        }
        let Taking { mut taken, .. } = taking;
        manifest.add_point(Point::new(source.now, &source.head, source.note.clone()));
        // Not every place has a lock that holds.
        if manifest::read(&*self.place)? != before {
            return Err(BackupError::InUse);
        }
        manifest::write(&*self.place, &mut manifest)?;
        self.remove_unnamed(&manifest)?;
        (taken.records, taken.bytes) = (source.head.last_seq.0, manifest.bytes());
        taken.encrypted = manifest.sealed.is_some();
        Ok(taken)
    }

    fn check_same(&self, before: &Manifest, source: &Source<'_>) -> Result<(), BackupError> {
        if before.installation != source.installation {
            let (place, theirs) = (self.place.name(), before.installation.clone());
            return Err(BackupError::Other { place, theirs });
        }
        if let (Some(sealed), None) = (&before.sealed, &source.sealing) {
            return Err(BackupError::Unsealed(sealed.recipients.join(", ")));
        }
        let backup = before.latest()?.head()?;
        let journal = source.head;
        let same = backup.group < journal.group || backup == journal;
        let (backup, journal) = (backup.last_seq.0, journal.last_seq.0);
        if same { Ok(()) } else { Err(BackupError::Ahead { backup, journal }) }
    }

    /// Removes what no manifest names any more: only behind the new one.
    fn remove_unnamed(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let named = manifest.stored();
        let named: BTreeSet<&str> = named.iter().map(|(file, _, _)| file.as_str()).collect();
        for dir in DIRS {
            for name in self.place.list(dir).map_err(doing("list", dir))? {
                let file = format!("{dir}/{name}");
                if !named.contains(file.as_str()) {
                    self.place.remove(&file).map_err(doing("remove", &file))?;
                }
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
    /// The last backup, where this one can go on from it: one that the same can open.
    before: Option<&'a Manifest>,
    /// What is in the place.
    there: BTreeSet<String>,
    /// In the names of files that are put now: no two backups use one name for two contents.
    token: String,
    sealed: Option<(Sealed, Contents)>,
    taken: Taken,
    progress: Progress<'b>,
    /// Bytes to be looked at, roughly.
    all: u64,
}

/// What was put into the place.
struct Put {
    /// As it lies there.
    stored: Stored,
    /// BLAKE3 of what was read, in hexadecimal digits, and its bytes.
    blake3: String,
    bytes: u64,
}

impl<'a, 'b> Taking<'a, 'b> {
    fn new(
        backup: &'a Backup,
        source: &'a Source<'a>,
        before: Option<&'a Manifest>,
        progress: Progress<'b>,
    ) -> Result<Self, BackupError> {
        let recipients = source.sealing.as_ref().map(|sealing| {
            sealing.recipients.iter().map(ToString::to_string).collect::<Vec<String>>()
        });
        let same_recipients = |before: &&Manifest| {
            before.sealed.as_ref().map(|sealed| &sealed.recipients) == recipients.as_ref()
        };
        let before = before.filter(same_recipients);
        let mut there = BTreeSet::new();
        for dir in DIRS {
            let names = backup.place.list(dir).map_err(doing("list", dir))?;
            there.extend(names.into_iter().map(|name| format!("{dir}/{name}")));
        }
        let mut token = blake3::Hasher::new();
        token.update(&source.head.to_bytes()).update(&source.now.to_le_bytes());
        let token = token.finalize().to_hex()[..16].to_owned();
        let sealed = recipients.map(|recipients| {
            let contents = Stored { file: String::new(), bytes: 0, blake3: String::new() };
            let (bodies, files) = (Vec::new(), Vec::new());
            (Sealed { recipients, bodies, files, contents }, Contents::default())
        });
        let taken = Taken::default();
        let all = all_bytes(source.root);
        Ok(Self { backup, source, before, there, token, sealed, taken, progress, all })
    }

    /// Puts the first `bytes` of a source into the place, sealed where that is wanted, and reads
    /// them back.
    fn put(&mut self, file: String, from: impl Read, bytes: u64) -> Result<Put, BackupError> {
        let place = &*self.backup.place;
        let (progress, all) = (&mut *self.progress, self.all);
        let mut done = self.taken.copied_bytes;
        let mut each = |read| {
            done += read;
            progress(done, all);
        };
        let mut plain = Hashing::new(Told { from: from.take(bytes), each: &mut each });
        let (length, blake3) = match &self.source.sealing {
            None => {
                place.put(&file, &mut plain, bytes).map_err(doing("write", &file))?;
                (bytes, plain.hex())
            }
            Some(sealing) => {
                let sealer = Sealer::new(&mut plain, &sealing.recipients)?;
                let length = sealer.bytes_of(bytes);
                let mut sealed = Hashing::new(sealer);
                place.put(&file, &mut sealed, length).map_err(doing("write", &file))?;
                (length, sealed.hex())
            }
        };
        if place.wants_reading_back() {
            let mut back = Hashing::new(Raw::new(place, &file));
            drain(&mut back, &mut |_| {}).map_err(doing("read", &file))?;
            if back.hex() != blake3 {
                return Err(BackupError::Copy(format!("{}/{file}", place.name())));
            }
        }
        let stored = Stored { file, bytes: length, blake3 };
        Ok(Put { stored, blake3: plain.hex(), bytes: plain.bytes })
    }

    /// The same with a file of the data directory, which counts.
    fn copy(&mut self, file: String, from: &Path, bytes: u64) -> Result<Put, BackupError> {
        let source = File::open(from).map_err(io("open", from))?;
        let put = self.put(file, source, bytes)?;
        self.taken.copied_bytes += put.bytes;
        self.taken.copied_files += 1;
        Ok(put)
    }

    /// Copies the segments that are not in the backup as they are.
    fn segments(&mut self, manifest: &mut Manifest) -> Result<(), BackupError> {
        let known = self.before.map_or(&[][..], |before| &before.segments);
        let known: BTreeMap<u32, &Segment> = known.iter().map(|one| (one.number, one)).collect();
        let end = self.source.head.end;
        for number in 1..=end.segment {
            let known = known.get(&number).copied();
            let from = self.source.root.join(format!("journal/{number:08}.seg"));
            let full = number < end.segment;
            let found = match from.metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    // An earlier copy of it is all there is.
                    self.tell(format!("segment {number} is missing in the journal"));
                    manifest.segments.extend(known.cloned());
                    continue;
                }
                found => found.map_err(io("read", &from))?,
            };
            // Looked at before it is read: what is purged meanwhile is copied once more.
            let changed = found.mtime() * 1_000_000_000 + found.mtime_nsec();
            let there = |one: &Segment| self.there.contains(&format!("journal/{}", one.file));
            let same = known.filter(|one| full && one.full && one.changed == changed && there(one));
            if let Some(same) = same {
                manifest.segments.push(same.clone());
                continue;
            }
            let bytes = if full { found.len() } else { end.offset.min(found.len()) };
            let file = format!("{number:08}-{}.seg", self.token);
            let Put { stored, .. } = self.copy(format!("journal/{file}"), &from, bytes)?;
            let blake3 = stored.blake3;
            let sound = self.sound(number, full, known)?;
            manifest.segments.push(Segment { number, file, bytes, blake3, changed, full, sound });
        }
        Ok(())
    }

    /// Reads a segment that was copied as a journal: what is damaged at its source is told now, and
    /// the copy from before that is kept, while there is one.
    fn sound(
        &mut self,
        number: u32,
        full: bool,
        known: Option<&Segment>,
    ) -> Result<Option<Stored>, BackupError> {
        let reader = Reader::look(RealDisk::new(self.source.root));
        let end = Position { segment: number + 1, offset: 0 };
        let until = if full { Head { end, ..self.source.head } } else { self.source.head };
        let from = Position { segment: number, offset: 0 };
        let found = reader.scrub(Some(from), &until, u64::MAX);
        if found.damage.is_empty() {
            return Ok(None);
        }
        for damage in found.damage {
            self.tell(damage.to_string());
        }
        let Some(known) = known else { return Ok(None) };
        let as_it_was = || Stored {
            file: format!("journal/{}", known.file),
            bytes: known.bytes,
            blake3: known.blake3.clone(),
        };
        let mut sound = known.sound.clone().unwrap_or_else(as_it_was);
        if self.sealed.is_some() {
            let bytes = self.backup.place.size(&sound.file);
            sound.bytes = bytes.map_err(doing("look at", &sound.file))?;
        }
        Ok(Some(sound))
    }

    fn tell(&mut self, what: String) {
        if self.taken.damage.len() < DAMAGE_MAX {
            self.taken.damage.push(what);
        }
    }

    /// The name of a body file in the place.
    fn body_file(&self, name: &str) -> String {
        match (&self.source.sealing, &self.sealed) {
            (Some(sealing), Some((sealed, _))) => {
                let mut hasher = blake3::Hasher::new_keyed(&sealing.names_key);
                hasher.update(name.as_bytes());
                // What others are to open is another file.
                sealed.recipients.iter().for_each(|one| {
                    hasher.update(one.as_bytes());
                });
                format!("bodies/{}", &hasher.finalize().to_hex()[..40])
            }
            _ => format!("bodies/{name}"),
        }
    }

    fn bodies(&mut self, manifest: &mut Manifest) -> Result<(), BackupError> {
        let from = self.source.root.join("bodies");
        let plain = self.before.map_or(&[][..], |before| &before.bodies);
        let plain: BTreeMap<&str, u64> =
            plain.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        let sealed = self.before.and_then(|before| before.sealed.as_ref());
        let sealed: BTreeMap<&str, &Stored> = sealed
            .iter()
            .flat_map(|sealed| &sealed.bodies)
            .map(|stored| (stored.file.as_str(), stored))
            .collect();
        for name in names(&from)? {
            let source = from.join(&name);
            let bytes = match source.metadata() {
                // Purged since the names were read.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                found => found.map_err(io("read", &source))?.len(),
            };
            let file = self.body_file(&name);
            let known = self
                .there
                .contains(&file)
                .then(|| sealed.get(file.as_str()).map(|stored| (*stored).clone()));
            let stored = match known {
                Some(Some(stored)) => stored,
                Some(None) if plain.contains_key(name.as_str()) => {
                    let bytes = plain.get(name.as_str()).copied().unwrap_or(bytes);
                    Stored { file, bytes, blake3: String::new() }
                }
                Some(None) | None => {
                    let put = match self.copy(file, &source, bytes) {
                        Err(BackupError::Io { source, .. })
                            if source.kind() == ErrorKind::NotFound =>
                        {
                            continue;
                        }
                        copied => copied?,
                    };
                    // Its name says what it must be.
                    if !name.starts_with(&put.blake3) {
                        self.tell(format!("the body file {name} is not what its name says"));
                        continue;
                    }
                    put.stored
                }
            };
            match &mut self.sealed {
                None => manifest.bodies.push((name, stored.bytes)),
                Some((sealed, contents)) => {
                    contents.bodies.push((name, stored.file.clone()));
                    sealed.bodies.push(stored);
                }
            }
        }
        Ok(())
    }

    fn small_files(&mut self, manifest: &mut Manifest) -> Result<(), BackupError> {
        let source = self.source;
        for (number, (name, bytes)) in source.files.iter().enumerate() {
            let blake3 = blake3::hash(bytes).to_hex().to_string();
            let file = match self.sealed {
                None => blake3[..32].to_owned(),
                Some(_) => format!("{}-{number}", self.token),
            };
            let length = bytes.len() as u64;
            let put = self.put(format!("files/{file}"), Cursor::new(bytes), length)?;
            match &mut self.sealed {
                None => manifest.files.push(SmallFile { name: name.clone(), file, blake3 }),
                Some((sealed, contents)) => {
                    contents.files.push((name.clone(), put.stored.file.clone()));
                    sealed.files.push(put.stored);
                }
            }
        }
        Ok(())
    }

    /// Puts the list of what is what beside the rest, where nothing else says it.
    fn seal_contents(&mut self, manifest: &mut Manifest) -> Result<(), BackupError> {
        let Some((mut sealed, contents)) = self.sealed.take() else { return Ok(()) };
        let bytes = serde_json::to_vec(&contents)
            .map_err(|error| BackupError::Manifest(error.to_string()))?;
        let file = format!("files/{}-contents", self.token);
        let put = self.put(file, Cursor::new(&bytes), bytes.len() as u64)?;
        sealed.contents = put.stored;
        manifest.sealed = Some(sealed);
        Ok(())
    }
}

/// Tells how much was read through it.
struct Told<'a, R> {
    from: R,
    each: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        (self.each)(read as u64);
        Ok(read)
    }
}

fn all_bytes(root: &Path) -> u64 {
    let dirs = ["journal", "bodies"].map(|dir| root.join(dir));
    let files = dirs.iter().filter_map(|dir| Some((dir, names(dir).ok()?)));
    let sizes = files.flat_map(|(dir, names)| {
        names.into_iter().filter_map(|name| Some(dir.join(name).metadata().ok()?.len()))
    });
    sizes.sum()
}

/// A path of the data directory that is no way out of it.
pub fn inside(root: &Path, name: &str) -> Result<PathBuf, BackupError> {
    let plain =
        Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if plain { Ok(root.join(name)) } else { Err(BackupError::Damaged(name.to_owned())) }
}
