//! Mending: what is damaged here is written once more from a copy of the same journal.
//!
//! What a frame's own whole header names needs no more proof than its hash. Where headers are
//! gone, the copy's groups are followed from the damage to the first commit frame behind it that is
//! whole here: the chain in that covers every header before it, so that bytes of another journal,
//! or of another past of this one, can never come in.

use std::io;
use std::sync::Arc;

use mail_types::BodyHash;

use crate::body::{ARRIVING, BODIES, BodyFile};
use crate::error::MendError;
use crate::frame::{
    Chain, Commit, FRAME_HEADER_BYTES, FrameHeader, Kind, Payload, SEGMENT_HEADER_BYTES,
    TOMBSTONE_BYTES, segment_header,
};
use crate::scan::{Damage, DamageKind};
use crate::segment::{JOURNAL, segment_path};
use crate::window::Window;
use crate::{Disk, DiskFile, Head, Journal, Position, Reader};

/// Where damaged bytes are kept that were written over.
const DAMAGED: &str = "damaged";
/// Names tried for one of them, where earlier ones are taken.
const EVIDENCE_MAX: u32 = 1000;
/// Bytes of a body file copied at a time.
const STEP_BYTES: usize = 256 << 10;
/// Bytes that are written over at once: a segment at its largest, with its last group.
const RANGE_BYTES_MAX: u64 = (1 << 30) + crate::frame::GROUP_BYTES_MAX as u64;

/// What is to be written where damage is, proved to be what was there.
#[derive(Clone, Debug)]
pub struct Mend {
    at: Position,
    bytes: Vec<u8>,
    /// The file of a large body, copied and synced: its present name, and whose it is.
    file: Option<(String, BodyFile)>,
    /// Bodies that can be read again afterwards.
    pub bodies: Vec<Position>,
    /// Records that can be read again afterwards.
    pub records: Vec<Position>,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Bytes.
    pub bytes: u64,
    /// Where the damaged bytes are kept now, below the data directory; none where there were none.
    pub evidence: Option<String>,
}

impl<D: Disk> Reader<D> {
    /// Finds in a copy of this journal, which ends at `copied`, what stood where `damage` is. A
    /// body that `is_purged` says is to be gone stays gone, whatever the copy has.
    ///
    /// # Errors
    /// [`MendError`]: why the copy does not help.
    pub fn find_mend<C: Disk>(
        &self,
        copy: &Reader<C>,
        copied: &Head,
        damage: &Damage,
        is_purged: &dyn Fn(Position) -> bool,
    ) -> Result<Mend, MendError> {
        let at = damage.at;
        match &damage.kind {
            DamageKind::SegmentHeader => {
                let bytes = segment_header(at.segment).to_vec();
                let at = Position { offset: 0, ..at };
                Ok(Mend { at, bytes, file: None, bodies: Vec::new(), records: Vec::new() })
            }
            DamageKind::Body { .. } => self.mend_body(copy, at, is_purged(at)),
            DamageKind::Record { .. } => {
                let bytes = whole_frame(copy, at, self.own_header(at)?)?;
                let records = vec![at];
                Ok(Mend { at, bytes, file: None, bodies: Vec::new(), records })
            }
            DamageKind::SegmentMissing => {
                self.mend_range(copy, copied, (Position { offset: 0, ..at }, 0), is_purged)
            }
            DamageKind::NoFrame | DamageKind::Unreadable(_) => {
                self.mend_range(copy, copied, (at, damage.bytes), is_purged)
            }
            DamageKind::SegmentUnreadable(cause) => Err(MendError::Disk(cause.clone())),
            DamageKind::Chain => Err(MendError::NoCopy { at, why: "it follows other damage" }),
        }
    }

    /// The frame header here, which is whole.
    fn own_header(&self, at: Position) -> Result<FrameHeader, MendError> {
        let file = self.segment(at.segment).map_err(io_at(at))?;
        let header = Window::new(file).map_err(io_at(at))?.header(at.offset);
        header.ok_or(MendError::NoCopy { at, why: "its header is not what it was" })
    }

    fn mend_body<C: Disk>(
        &self,
        copy: &Reader<C>,
        at: Position,
        purged: bool,
    ) -> Result<Mend, MendError> {
        let header = self.own_header(at)?;
        let (bodies, records) = (Vec::new(), Vec::new());
        if purged {
            let bytes = purged_frame(&header);
            return Ok(Mend { at, bytes, file: None, bodies, records });
        }
        let bodies = vec![at];
        if header.kind == Kind::BodyFile {
            let mut bytes = header.encode().to_vec();
            bytes.resize(FRAME_HEADER_BYTES + header.space(), 0);
            // Where only the frame is damaged, the file needs no copy.
            let file = match self.is_file_whole(&header) {
                true => None,
                false => Some(self.copy_body_file(copy, at, &header)?),
            };
            return Ok(Mend { at, bytes, file, bodies, records });
        }
        let bytes = whole_frame(copy, at, header)?;
        Ok(Mend { at, bytes, file: None, bodies, records })
    }

    fn is_file_whole(&self, header: &FrameHeader) -> bool {
        let file = BodyFile { hash: BodyHash(header.hash), serial: header.seq };
        let Ok(opened) = self.shared.disk.open(&file.path()) else { return false };
        hash_file(&opened, &mut |_| Ok(()))
            .is_ok_and(|(hash, bytes)| hash == header.hash && bytes == u64::from(header.raw))
    }

    /// Copies the file of a large body to where arrivals lie, checked and synced: what a crash
    /// leaves there is removed at the next start.
    fn copy_body_file<C: Disk>(
        &self,
        copy: &Reader<C>,
        at: Position,
        header: &FrameHeader,
    ) -> Result<(String, BodyFile), MendError> {
        let file = BodyFile { hash: BodyHash(header.hash), serial: header.seq };
        let opened = match copy.shared.disk.open(&file.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(MendError::NoCopy { at, why: "the copy does not have its file" });
            }
            opened => opened.map_err(io_at(at))?,
        };
        let path = format!("{ARRIVING}/{:016x}-mend", header.seq);
        match self.shared.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_at(at)(error)),
            Ok(()) | Err(_) => {}
        }
        let fresh = self.shared.disk.create(&path).map_err(io_at(at))?;
        let mut written = 0;
        let copied = hash_file(&opened, &mut |piece| {
            fresh.write_at(written, piece)?;
            written += piece.len() as u64;
            Ok(())
        });
        let (hash, bytes) = copied.map_err(io_at(at))?;
        if hash != header.hash || bytes != u64::from(header.raw) {
            self.shared.disk.remove(&path).map_err(io_at(at))?;
            return Err(MendError::NoCopy { at, why: "the copy is damaged, too" });
        }
        fresh.sync_data().map_err(io_at(at))?;
        Ok((path, file))
    }

    /// Frames whose headers are gone: `(at, bytes)`; no bytes mean the whole segment.
    fn mend_range<C: Disk>(
        &self,
        copy: &Reader<C>,
        copied: &Head,
        (at, bytes): (Position, u64),
        is_purged: &dyn Fn(Position) -> bool,
    ) -> Result<Mend, MendError> {
        let no_copy = |why| MendError::NoCopy { at, why };
        let file = match copy.segment(at.segment) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(no_copy("it is not in the copy"));
            }
            file => file.map_err(io_at(at))?,
        };
        let mut window = Window::new(file).map_err(io_at(at))?;
        let whole_segment = bytes == 0;
        let to = if whole_segment { window.len() } else { at.offset + bytes };
        let last = at.segment == copied.end.segment;
        let copy_ends = if last { copied.end.offset } else { window.len() };
        if at >= copied.end || last && (whole_segment || to > copied.end.offset) {
            return Err(no_copy("the copy was made before it was written"));
        }
        if to - at.offset > RANGE_BYTES_MAX {
            return Err(no_copy("it is more than a segment"));
        }
        let mut range = Range { mend: Mend::empty(at), to };
        let from = range.mend.at;
        if from.offset < SEGMENT_HEADER_BYTES {
            range.mend.bytes.extend_from_slice(&segment_header(at.segment));
        }
        let after = self.known_after(Position { offset: to, ..at }, copied)?;
        let mut follow = Follow { groups: Groups::default(), after, proved: false };
        let mut offset = SEGMENT_HEADER_BYTES;
        // Each turn passes a frame of the copy.
        while offset < copy_ends && !(follow.proved && offset >= to) {
            let Some(header) = window.header(offset) else { break };
            let here = Position { segment: at.segment, offset };
            let space = window.bytes(offset + FRAME_HEADER_BYTES as u64, header.space()).to_vec();
            range.add(here, &header, &space, is_purged)?;
            follow.frame(here, &header, &space, from)?;
            offset = here.plus((FRAME_HEADER_BYTES + header.space()) as u64).offset;
        }
        if !follow.proved {
            follow.on(copy, Position::first_of(at.segment + 1), copied, from)?;
        }
        range.finish(window.find_data(offset, to).is_none())
    }

    /// The first commit frame at or behind `at` that is whole here: its chain covers what is before
    /// it. Where none is, the durable head that the writer knows.
    fn known_after(&self, at: Position, copied: &Head) -> Result<Known, MendError> {
        let mut from = at;
        for segment in at.segment..=copied.end.segment.saturating_add(1) {
            if segment != from.segment {
                from = Position::first_of(segment);
            }
            let Ok(file) = self.segment(segment) else { continue };
            let mut window = Window::new(file).map_err(io_at(from))?;
            let end = window.len();
            let mut offset = from.offset;
            while let Some((found, header)) = window.find_header(offset, end) {
                let space = found + FRAME_HEADER_BYTES as u64;
                let space = window.bytes(space, header.space());
                if let Some(commit) = Commit::decode(&header, space) {
                    return Ok(Known::Commit(commit));
                }
                offset = found + FRAME_HEADER_BYTES as u64 + header.space() as u64;
            }
        }
        match self.head() {
            Some(head) => Ok(Known::Head(head)),
            None => Err(MendError::NoCopy { at, why: "nothing behind it is whole" }),
        }
    }
}

/// What of this journal is known to be whole behind the damage.
enum Known {
    Commit(Commit),
    Head(Head),
}

/// The groups of the copy, followed until one is known here.
struct Follow {
    groups: Groups,
    after: Known,
    proved: bool,
}

/// Headers of the group in hand, and the chain of the one before.
#[derive(Default)]
struct Groups {
    headers: Vec<[u8; FRAME_HEADER_BYTES]>,
    /// Of the last group whose own frames were checked.
    chain: Option<(u64, [u8; 32])>,
}

impl Follow {
    /// Takes the next frame of the copy; groups that end before the damage need no check.
    fn frame(
        &mut self,
        at: Position,
        header: &FrameHeader,
        space: &[u8],
        from: Position,
    ) -> Result<(), MendError> {
        let other = MendError::NoCopy { at, why: "the copy is of another journal" };
        if header.kind != Kind::Commit {
            self.groups.headers.push(header.encode());
            return Ok(());
        }
        let damaged = MendError::NoCopy { at, why: "the copy is damaged, too" };
        let Some(commit) = Commit::decode(header, space) else { return Err(damaged) };
        let headers = std::mem::take(&mut self.groups.headers);
        if at < from {
            return Ok(());
        }
        let mut chain = Chain::begin(&commit.previous_chain, commit.group);
        headers.iter().for_each(|header| chain.add(header));
        if chain.finish() != commit.chain {
            return Err(damaged);
        }
        let follows = self.groups.chain.is_none_or(|(group, chain)| {
            group + 1 == commit.group && chain == commit.previous_chain
        });
        if !follows {
            return Err(damaged);
        }
        self.groups.chain = Some((commit.group, commit.chain));
        let (group, known) = match &self.after {
            Known::Commit(known) if known.group == commit.group + 1 => {
                (commit.group, known.previous_chain)
            }
            Known::Commit(known) => (known.group, known.chain),
            Known::Head(head) => (head.group, head.chain),
        };
        if group == commit.group {
            self.proved = known == commit.chain;
            return if self.proved { Ok(()) } else { Err(other) };
        }
        if group < commit.group { Err(other) } else { Ok(()) }
    }

    /// Goes on in the next segments of the copy until something is proved.
    fn on<C: Disk>(
        &mut self,
        copy: &Reader<C>,
        mut at: Position,
        copied: &Head,
        from: Position,
    ) -> Result<(), MendError> {
        while !self.proved && at < copied.end {
            let file = copy.segment(at.segment).map_err(io_at(at))?;
            let mut window = Window::new(file).map_err(io_at(at))?;
            let last = at.segment == copied.end.segment;
            let end = if last { copied.end.offset } else { window.len() };
            while !self.proved && at.offset < end {
                let Some(header) = window.header(at.offset) else { break };
                let space = at.offset + FRAME_HEADER_BYTES as u64;
                let space = window.bytes(space, header.space()).to_vec();
                self.frame(at, &header, &space, from)?;
                at = at.plus((FRAME_HEADER_BYTES + header.space()) as u64);
            }
            at = Position::first_of(at.segment + 1);
        }
        let why = "nothing behind it proves that the copy is of this journal";
        if self.proved { Ok(()) } else { Err(MendError::NoCopy { at: from, why }) }
    }
}

/// Frames put together for a range.
struct Range {
    mend: Mend,
    /// The range reaches so far in its segment.
    to: u64,
}

impl Mend {
    fn empty(at: Position) -> Self {
        let (bytes, bodies, records) = (Vec::new(), Vec::new(), Vec::new());
        Self { at, bytes, file: None, bodies, records }
    }
}

impl Range {
    /// Adds a frame of the copy where it lies in the range.
    fn add(
        &mut self,
        here: Position,
        header: &FrameHeader,
        space: &[u8],
        is_purged: &dyn Fn(Position) -> bool,
    ) -> Result<(), MendError> {
        let end = here.plus((FRAME_HEADER_BYTES + header.space()) as u64).offset;
        if end <= self.mend.at.offset || here.offset >= self.to {
            return Ok(());
        }
        if self.mend.bytes.is_empty() {
            self.mend.at = here;
        }
        let body = matches!(header.kind, Kind::Body | Kind::BodyFile);
        if body && is_purged(here) {
            self.mend.bytes.extend(purged_frame(header));
            return Ok(());
        }
        match (header.kind, header.payload(space)) {
            (_, Payload::Bad(_)) => {
                return Err(MendError::NoCopy { at: here, why: "the copy is damaged, too" });
            }
            (Kind::Record, _) => self.mend.records.push(here),
            (Kind::Body | Kind::BodyFile, Payload::Whole(_) | Payload::InFile) => {
                self.mend.bodies.push(here);
            }
            (Kind::Body | Kind::BodyFile, Payload::Purged) | (Kind::Commit, _) => {}
        }
        self.mend.bytes.extend_from_slice(&header.encode());
        self.mend.bytes.extend_from_slice(&space[..header.space()]);
        Ok(())
    }

    /// Behind the last frame of a segment are zeros.
    fn finish(mut self, rest_is_zeros: bool) -> Result<Mend, MendError> {
        let wanted = self.to.saturating_sub(self.mend.at.offset);
        let short = (self.mend.bytes.len() as u64) < wanted;
        if short && !rest_is_zeros {
            let why = "the copy is damaged, too";
            return Err(MendError::NoCopy { at: self.mend.at, why });
        }
        if short {
            // At most a segment.
            self.mend.bytes.resize(usize::try_from(wanted).unwrap_or(usize::MAX), 0);
        }
        Ok(self.mend)
    }
}

impl<D: Disk> Journal<D> {
    /// Writes what a mend has where it belongs, and reads it back from the disk. What was there is
    /// kept below `damaged/`, durably, before a byte of it changes.
    ///
    /// # Errors
    /// [`MendError`]; the damage may then still be there, and mending may be tried again.
    pub fn mend(&mut self, mend: &Mend) -> Result<Mended, MendError> {
        self.poison.check().map_err(|poisoned| MendError::Disk(poisoned.to_string()))?;
        let (at, bytes) = (mend.at, mend.bytes.len() as u64);
        let behind = at.plus(bytes);
        if behind > self.head.end {
            return Err(MendError::NoCopy { at, why: "the journal is being written there" });
        }
        let mut mended = Mended { bytes, evidence: None };
        if let Some((fresh, file)) = &mend.file {
            mended.evidence = self.put_body_file(at, fresh, *file)?;
            mended.bytes += u64::from(self.reader.own_header(at)?.raw);
        }
        match self.reader.segment(at.segment) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make_segment(mend)?,
            Err(error) => return Err(io_at(at)(error)),
            Ok(segment) => {
                // What the disk cannot read counts as zeros: there is nothing of it to keep.
                let mut window = Window::new(Arc::clone(&segment)).map_err(io_at(at))?;
                let was = window.bytes(at.offset, mend.bytes.len());
                if was != mend.bytes {
                    let name = format!("{:08}-{:010}", at.segment, at.offset);
                    mended.evidence = Some(self.keep_evidence(at, &name, was)?);
                    segment.write_at(at.offset, &mend.bytes).map_err(io_at(at))?;
                    self.sync_mended(at, &segment)?;
                }
            }
        }
        self.read_back(mend)?;
        Ok(mended)
    }

    /// A sync of the segment that grows is one the next group stands on; of another, it only says
    /// that the mend did not work.
    fn sync_mended(&self, at: Position, segment: &Arc<D::File>) -> Result<(), MendError> {
        segment.sync_data().map_err(|cause| match at.segment == self.segment.number {
            true => MendError::Disk(self.poison.set("syncing a mend", &cause).to_string()),
            false => io_at(at)(cause),
        })
    }

    /// A segment that was lost, under its name only once it is whole.
    fn make_segment(&self, mend: &Mend) -> Result<(), MendError> {
        let (at, path) = (mend.at, segment_path(mend.at.segment));
        let fresh = format!("{path}.mend");
        match self.disk.remove(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_at(at)(error)),
            Ok(()) | Err(_) => {}
        }
        let file = self.disk.create(&fresh).map_err(io_at(at))?;
        file.write_at(0, &mend.bytes).and_then(|()| file.sync_data()).map_err(io_at(at))?;
        self.disk.rename(&fresh, &path).map_err(io_at(at))?;
        self.reader.forget_segments();
        self.disk.sync_dir(JOURNAL).map_err(|cause| {
            MendError::Disk(self.poison.set("syncing the journal directory", &cause).to_string())
        })
    }

    /// Puts the copied file of a large body in the place of the damaged one, which is kept.
    fn put_body_file(
        &self,
        at: Position,
        fresh: &str,
        file: BodyFile,
    ) -> Result<Option<String>, MendError> {
        let path = file.path();
        let name = path.strip_prefix(BODIES).unwrap_or(&path).trim_start_matches('/');
        self.disk.make_dir(DAMAGED).map_err(io_at(at))?;
        let kept = self.free_name(at, name)?;
        let evidence = match self.disk.rename(&path, &kept) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            renamed => {
                renamed.map_err(io_at(at))?;
                Some(kept)
            }
        };
        self.disk.rename(fresh, &path).map_err(io_at(at))?;
        for dir in [DAMAGED, ""] {
            self.disk.sync_dir(dir).map_err(io_at(at))?;
        }
        self.disk.sync_dir(BODIES).map_err(|cause| {
            let poisoned = self.poison.set("syncing the directory of body files", &cause);
            MendError::Disk(poisoned.to_string())
        })?;
        Ok(evidence)
    }

    fn keep_evidence(&self, at: Position, name: &str, was: &[u8]) -> Result<String, MendError> {
        self.disk.make_dir(DAMAGED).map_err(io_at(at))?;
        let path = self.free_name(at, name)?;
        let file = self.disk.create(&path).map_err(io_at(at))?;
        file.write_at(0, was).and_then(|()| file.sync_data()).map_err(io_at(at))?;
        for dir in [DAMAGED, ""] {
            self.disk.sync_dir(dir).map_err(io_at(at))?;
        }
        Ok(path)
    }

    fn free_name(&self, at: Position, name: &str) -> Result<String, MendError> {
        let taken = self.disk.list(DAMAGED).map_err(io_at(at))?;
        let names = (0..EVIDENCE_MAX).map(|number| match number {
            0 => name.to_owned(),
            number => format!("{name}.{number}"),
        });
        let free = names.into_iter().find(|name| !taken.contains(name));
        let free = free.ok_or(MendError::NoCopy { at, why: "it was damaged too often" })?;
        Ok(format!("{DAMAGED}/{free}"))
    }

    fn read_back(&self, mend: &Mend) -> Result<(), MendError> {
        let at = mend.at;
        let file = self.reader.segment(at.segment).map_err(io_at(at))?;
        file.forget_read();
        let mut window = Window::new(file).map_err(io_at(at))?;
        let right = *window.bytes(at.offset, mend.bytes.len()) == *mend.bytes
            && (mend.file.is_none() || self.reader.check(at).is_ok());
        let why = "the disk does not return what was written";
        if right { Ok(()) } else { Err(MendError::Disk(format!("{at}: {why}"))) }
    }
}

/// A frame of the copy with just this header, and its payload whole.
fn whole_frame<C: Disk>(
    copy: &Reader<C>,
    at: Position,
    header: FrameHeader,
) -> Result<Vec<u8>, MendError> {
    let no_copy = |why| MendError::NoCopy { at, why };
    let file = match copy.segment(at.segment) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(no_copy("it is not in the copy"));
        }
        file => file.map_err(io_at(at))?,
    };
    let mut window = Window::new(file).map_err(io_at(at))?;
    let bytes = FRAME_HEADER_BYTES + header.space();
    let frame = window.bytes(at.offset, bytes).to_vec();
    if frame.len() < bytes || frame[..FRAME_HEADER_BYTES] != header.encode() {
        return Err(no_copy("the copy does not have it"));
    }
    match header.payload(&frame[FRAME_HEADER_BYTES..]) {
        Payload::Whole(_) => Ok(frame),
        Payload::Purged => Err(no_copy("it was purged in the copy")),
        Payload::InFile | Payload::Bad(_) => Err(no_copy("the copy is damaged, too")),
    }
}

/// A frame whose body is gone on purpose.
fn purged_frame(header: &FrameHeader) -> Vec<u8> {
    let mut frame = header.encode().to_vec();
    frame.extend_from_slice(&header.tombstone());
    debug_assert_eq!(frame.len(), FRAME_HEADER_BYTES + TOMBSTONE_BYTES);
    frame.resize(FRAME_HEADER_BYTES + header.space(), 0);
    frame
}

/// BLAKE3 and length of a file, whose pieces are handed on.
fn hash_file<F: DiskFile>(
    file: &F,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<([u8; 32], u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; STEP_BYTES];
    let mut at = 0;
    loop {
        let read = file.read_at(at, &mut piece)?;
        if read == 0 {
            return Ok((*hasher.finalize().as_bytes(), at));
        }
        hasher.update(&piece[..read]);
        each(&piece[..read])?;
        at += read as u64;
    }
}

fn io_at(at: Position) -> impl FnOnce(io::Error) -> MendError {
    move |source| MendError::Io { at, source }
}
