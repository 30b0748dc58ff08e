//! Opening: read behind what is known durable, cut what never became so, prove the rest.

use std::io;
use std::sync::Arc;

use crate::body::{ARRIVING, BODIES};
use crate::copy;
use crate::error::{OpenError, Poison, SyncError};
use crate::frame::{
    COMMIT_FRAME_BYTES, Commit, FRAME_HEADER_BYTES, FrameHeader, SEGMENT_HEADER_BYTES,
    format_version, segment_version,
};
use crate::journal::Parts;
use crate::reader::Reader;
use crate::scan::{Damage, DamageKind, Entry, LastGroup, Scan, TornTail};
use crate::segment::{
    CreateError, JOURNAL, Segment, create_segment, segment_numbers, segment_path,
};
use crate::window::Window;
use crate::{Disk, DiskFile, Head, Journal, Options, Position};

/// Damage listed in [`Opened`]; what is beyond is counted.
const DAMAGE_MAX: usize = 1000;
/// Bytes of zeros written at a time.
const ZEROS_BYTES: usize = 256 << 10;
const LOCK: &str = "journal/lock";

/// What opening a journal found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// There was no journal yet.
    pub created: bool,
    /// Groups read: those behind `from`.
    pub groups: u64,
    /// What was behind the last durable group and is cut: at most one group's worth, never
    /// acknowledged by a sync (unless the disk lied or later damaged it).
    pub cut: Vec<TornTail>,
    /// What was durable and is not what was written: a reason for an alarm.
    pub damage: Vec<Damage>,
    /// Damage beyond the first thousand.
    pub damage_left_off: u64,
}

pub fn open<D: Disk>(
    disk: D,
    options: Options,
    from: Option<Head>,
) -> Result<(Journal<D>, Opened), OpenError> {
    options.check()?;
    let disk = Arc::new(disk);
    let lock = prepare(&*disk)?;
    if copy::follows(&*disk).map_err(doing("list the segments"))? {
        return Err(OpenError::Standby);
    }
    let from = from.unwrap_or(Head::START);
    let (mut journal, opened) = opened(disk, lock, options, from, None)?;
    if journal.head().group > 0 {
        match journal.seal() {
            // On a full disk everything can still be read, and the next group proves the last one
            // as well as a seal does.
            Ok(_) | Err(SyncError::Write { .. } | SyncError::Segment { .. }) => {}
            Err(SyncError::Poisoned(poisoned)) => {
                return Err(doing("sync the journal")(io::Error::other(poisoned)));
            }
        }
    }
    Ok((journal, opened))
}

/// For a journal that follows another one: nothing is written that the other one does not have.
pub fn open_copy<D: Disk>(
    disk: D,
    options: Options,
    from: Option<Head>,
) -> Result<(Journal<D>, Opened), OpenError> {
    options.check()?;
    let disk = Arc::new(disk);
    let lock = prepare(&*disk)?;
    let list = "list the segments";
    if !copy::follows(&*disk).map_err(doing(list))? {
        if !segment_numbers(&*disk).map_err(doing(list))?.is_empty() {
            return Err(OpenError::OwnJournal);
        }
        copy::mark(&*disk).map_err(doing("mark the journal as one that follows"))?;
    }
    let batch = copy::batch(&*disk).map_err(doing("read journal/batch"))?;
    let known = from.unwrap_or(Head::START);
    let from = batch.filter(|batch| batch.group > known.group).unwrap_or(known);
    opened(disk, lock, options, from, batch)
}

/// `batch`: behind `from`, only what continues it without a gap is believed.
fn opened<D: Disk>(
    disk: Arc<D>,
    lock: D::File,
    options: Options,
    from: Head,
    batch: Option<Head>,
) -> Result<(Journal<D>, Opened), OpenError> {
    let numbers = segment_numbers(&*disk).map_err(doing("list the segments"))?;
    let reader = Reader::new(Arc::clone(&disk), None);
    check_versions(&reader, numbers.iter().copied().filter(|&n| n >= from.end.segment))?;
    check_from(&reader, from)?;

    let mut opened = Opened { created: numbers.is_empty(), ..Opened::default() };
    let (head, last_group) = match batch {
        None => scanned(&reader, from, &mut opened)?,
        Some(_) => {
            let end = copy::contiguous(&reader, from);
            let head = end.map_err(|error| {
                doing("read the end of the journal")(io::Error::other(error.to_string()))
            })?;
            opened.cut.extend(tail(&reader, head).map_err(doing("read the journal's end"))?);
            // Any of them may not be on the disk: not the last one alone is written again.
            let begun = Position::first_of(head.end.segment).max(from.end);
            (head, (begun < head.end).then_some(LastGroup { start: begun, empty: false }))
        }
    };
    let sealed = last_group.is_some_and(|group| group.empty);
    let poison = Arc::new(Poison::default());
    let repair = Repair { disk: &*disk, reader: &reader, options: &options, poison: &poison };
    // Where nothing was ever committed, the first segment is missing or was being made.
    let first_unused = if head == Head::START { 1 } else { head.end.segment + 1 };
    repair.remove_segments_from(first_unused)?;
    let segment = repair.segment(head, last_group, &opened.cut)?;
    reader.forget_segments();
    reader.set_head(head);
    let parts = Parts { disk, options, head, segment, reader, poison, lock, sealed };
    Ok((Journal::from_parts(parts), opened))
}

/// What stands behind the head in its segment and is not zero.
fn tail<D: Disk>(reader: &Reader<D>, head: Head) -> io::Result<Option<TornTail>> {
    let segment = head.end.segment;
    let file = match reader.segment(segment) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut window = Window::new(file)?;
    let end = window.len();
    let Some(first) = window.find_data(head.end.offset, end) else { return Ok(None) };
    Ok(Some(TornTail { at: Position { segment, offset: first }, bytes: end - first }))
}

/// Reads behind a head that is known to have been durable, up to the last durable group.
fn scanned<D: Disk>(
    reader: &Reader<D>,
    from: Head,
    opened: &mut Opened,
) -> Result<(Head, Option<LastGroup>), OpenError> {
    let mut scan = Scan::new(reader.clone(), from, None);
    for entry in &mut scan {
        match entry {
            Entry::Record { .. } | Entry::Body { .. } => {}
            Entry::Commit { .. } => opened.groups += 1,
            Entry::TornTail(tail) => opened.cut.push(tail),
            Entry::Damage(damage) if opened.damage.len() < DAMAGE_MAX => {
                opened.damage.push(damage);
            }
            Entry::Damage(_) => opened.damage_left_off += 1,
        }
    }
    let head = scan.head();
    check_readable(&opened.damage, head)?;
    Ok((head, scan.last_group()))
}

fn doing(what: impl Into<String>) -> impl FnOnce(io::Error) -> OpenError {
    let doing = what.into();
    move |source| OpenError::Io { doing, source }
}

/// Directories, the lock, and no arrivals of the dead.
fn prepare<D: Disk>(disk: &D) -> Result<D::File, OpenError> {
    for dir in [JOURNAL, BODIES, ARRIVING] {
        disk.make_dir(dir).map_err(doing(format!("make the directory {dir}")))?;
    }
    for dir in ["", BODIES] {
        disk.sync_dir(dir).map_err(doing(format!("sync the directory '{dir}'")))?;
    }
    let lock = match disk.create(LOCK) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => disk.open(LOCK),
        created => created,
    }
    .map_err(doing(format!("open {LOCK}")))?;
    match lock.lock() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(OpenError::InUse),
        locked => locked.map_err(doing(format!("lock {LOCK}")))?,
    }
    for name in disk.list(ARRIVING).map_err(doing(format!("list {ARRIVING}")))? {
        let path = format!("{ARRIVING}/{name}");
        disk.remove(&path).map_err(doing(format!("remove {path}")))?;
    }
    Ok(lock)
}

/// A later format must be noticed before anything is taken for a torn tail.
fn check_versions<D: Disk>(
    reader: &Reader<D>,
    segments: impl Iterator<Item = u32>,
) -> Result<(), OpenError> {
    for segment in segments {
        let mut header = [0; SEGMENT_HEADER_BYTES as usize];
        // A segment that cannot be read is damage, which the scan reports.
        let read = reader.segment(segment).and_then(|file| file.read_at(0, &mut header));
        let known = format_version();
        if read.is_ok()
            && let Some(version) = segment_version(&header)
            && version != known
        {
            return Err(OpenError::Version { segment, version, known });
        }
    }
    Ok(())
}

/// The head given must be the end of a commit frame that says the same.
fn check_from<D: Disk>(reader: &Reader<D>, from: Head) -> Result<(), OpenError> {
    if from == Head::START {
        return Ok(());
    }
    let commit_at = from.end.offset.checked_sub(COMMIT_FRAME_BYTES as u64);
    let missing = OpenError::HeadMissing { head: from };
    let (Some(commit_at), Ok(file)) = (commit_at, reader.segment(from.end.segment)) else {
        return Err(missing);
    };
    let mut frame = [0; COMMIT_FRAME_BYTES];
    let read = file.read_at(commit_at, &mut frame).map_err(doing("read the last known commit"))?;
    let found = FrameHeader::decode(&frame[..read])
        .and_then(|header| Commit::decode(&header, &frame[FRAME_HEADER_BYTES..]))
        .is_some_and(|commit| commit.head(from.end) == from);
    if found { Ok(()) } else { Err(missing) }
}

/// What the disk cannot read behind the last group known may be groups: nothing is cut on such
/// ground. The disk may read it another time, or somewhere else.
fn check_readable(damage: &[Damage], head: Head) -> Result<(), OpenError> {
    let unreadable = damage.iter().find(|damage| {
        damage.at >= head.end && matches!(damage.kind, DamageKind::Unreadable(_))
            || damage.at.segment >= head.end.segment
                && matches!(damage.kind, DamageKind::SegmentUnreadable(_))
    });
    match unreadable {
        None => Ok(()),
        Some(damage) => {
            Err(doing("read the end of the journal")(io::Error::other(damage.to_string())))
        }
    }
}

struct Repair<'a, D: Disk> {
    disk: &'a D,
    reader: &'a Reader<D>,
    options: &'a Options,
    poison: &'a Poison,
}

impl<D: Disk> Repair<'_, D> {
    /// Removes segments that hold no durable group: prepared, or begun by a torn one.
    fn remove_segments_from(&self, first: u32) -> Result<(), OpenError> {
        let numbers = segment_numbers(self.disk).map_err(doing("list the segments"))?;
        let unused: Vec<u32> = numbers.into_iter().filter(|&number| number >= first).collect();
        for number in &unused {
            let path = segment_path(*number);
            self.disk.remove(&path).map_err(doing(format!("remove {path}")))?;
        }
        if !unused.is_empty() {
            // So that a number is never found with two contents.
            self.disk.sync_dir(JOURNAL).map_err(doing("sync the journal directory"))?;
        }
        self.reader.forget_segments();
        Ok(())
    }

    /// The segment to go on in: its torn tail is zeroed, its last group made durable once more.
    fn segment(
        &self,
        head: Head,
        last_group: Option<LastGroup>,
        cut: &[TornTail],
    ) -> Result<Segment<D::File>, OpenError> {
        let number = head.end.segment;
        let file = match self.reader.segment(number) {
            Ok(file) => file,
            // A new journal; or the head's segment is lost, and its end known from what followed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let number = if head.group == 0 { number } else { number + 1 };
                return self.create(number);
            }
            Err(error) => return Err(doing(format!("open {}", segment_path(number)))(error)),
        };
        let mut changed = false;
        for tail in cut.iter().filter(|tail| tail.at.segment == number) {
            zero(&*file, tail).map_err(doing(format!("cut the torn group at {}", tail.at)))?;
            changed = true;
        }
        if let Some(LastGroup { start, .. }) = last_group {
            // The last group may be read from memory and yet not be on the disk: a sync failed and
            // the process was started again. Only writing its bytes once more and syncing makes
            // sure. Groups before it were synced before it was written.
            let again = format!("write the last group at {start} again");
            let mut bytes = vec![0; (head.end.offset - start.offset) as usize];
            let read = file.read_at(start.offset, &mut bytes).map_err(doing(&*again))?;
            file.write_at(start.offset, &bytes[..read]).map_err(doing(again))?;
            changed = true;
        }
        if changed {
            file.sync_data().map_err(doing("sync the repaired segment"))?;
        }
        // Looking for the end has read the whole preallocated segment, in large folios: each small
        // write into one would count as all of it.
        file.forget_read();
        let allocated = file.len().map_err(doing("read the length of the segment"))?;
        Ok(Segment { number, file, allocated, stale_until: 0 })
    }

    fn create(&self, number: u32) -> Result<Segment<D::File>, OpenError> {
        create_segment(self.disk, number, self.options.segment_bytes, self.poison).map_err(
            |error| {
                let cause = match error {
                    CreateError::Io { source, .. } => source,
                    CreateError::Poisoned(poisoned) => io::Error::other(poisoned),
                };
                doing(format!("make {}", segment_path(number)))(cause)
            },
        )
    }
}

fn zero<F: DiskFile>(file: &F, tail: &TornTail) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES];
    let end = tail.at.offset + tail.bytes;
    let mut at = tail.at.offset;
    while at < end {
        let step = (end - at).min(ZEROS_BYTES as u64);
        file.write_at(at, &zeros[..step as usize])?;
        at += step;
    }
    Ok(())
}
