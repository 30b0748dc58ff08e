//! Whole groups, as they lie in a segment: read out for whoever keeps the same journal elsewhere,
//! and checked byte by byte on both sides.

use std::io;
use std::sync::Arc;

use mail_types::{BodyHash, RecordSeq};

use crate::body::BodyFile;
use crate::frame::{
    COMMIT_FRAME_BYTES, Chain, Commit, FRAME_HEADER_BYTES, FrameHeader, GROUP_BYTES_MAX,
    GROUP_FRAMES_MAX, Kind, Payload,
};
use crate::window::Window;
use crate::{Disk, DiskFile, Head, Position, Reader};

/// A durable group, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawGroup {
    /// Where it begins.
    pub start: Position,
    /// Its frames, the commit frame among them: at most 32 MiB.
    pub bytes: Vec<u8>,
    /// The head behind it.
    pub head: Head,
    /// The files of large bodies that it names, with their bytes; those of purged ones are gone.
    pub files: Vec<(BodyFile, u64)>,
}

/// Why a group cannot be handed out, or taken.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// This journal does not have the head that is to be followed.
    #[error("the journal does not hold {head}: it ends at {ours}")]
    NotHeld {
        /// What is asked for.
        head: Box<Head>,
        /// Where this one ends.
        ours: Box<Head>,
    },
    /// The group does not continue what is there: it is of another journal, or of another past.
    #[error("the group at {at} does not continue the journal: {what}")]
    Other {
        /// Where it begins.
        at: Position,
        /// What differs.
        what: &'static str,
    },
    /// A frame is not what was written.
    #[error("the journal is damaged at {at}: {what}")]
    Damaged {
        /// Where.
        at: Position,
        /// What is wrong.
        what: &'static str,
    },
    /// The disk failed.
    #[error("cannot read the journal at {at}")]
    Io {
        /// Where.
        at: Position,
        /// The cause.
        source: io::Error,
    },
}

/// What the bytes of a group say, every payload checked by its hash.
pub(crate) struct Checked {
    pub head: Head,
    pub files: Vec<(BodyFile, u64)>,
}

/// Reads a group that is to follow `after` and begins at `start`; nothing may stand behind it.
pub(crate) fn check(after: &Head, start: Position, bytes: &[u8]) -> Result<Checked, GroupError> {
    let other = |what| GroupError::Other { at: start, what };
    if start != after.end && start != Position::first_of(after.end.segment.saturating_add(1)) {
        return Err(other("it lies at another place"));
    }
    if bytes.len() > GROUP_BYTES_MAX {
        return Err(other("it is larger than groups are"));
    }
    let mut chain = Chain::begin(&after.chain, after.group + 1);
    let (mut files, mut last_seq, mut offset) = (Vec::new(), after.last_seq, 0);
    for frames in 0..=GROUP_FRAMES_MAX {
        let at = start.plus(offset as u64);
        let damaged = |what| GroupError::Damaged { at, what };
        let rest = &bytes[offset..];
        let header = FrameHeader::decode(rest).ok_or_else(|| damaged("there is no frame here"))?;
        let end = FRAME_HEADER_BYTES + header.space();
        let space = rest.get(FRAME_HEADER_BYTES..end);
        let space = space.ok_or_else(|| damaged("the group ends inside the frame"))?;
        if header.kind == Kind::Commit {
            let commit = Commit::decode(&header, space);
            let commit = commit.ok_or_else(|| damaged("the commit frame is wrong"))?;
            let expected = (after.group + 1, after.end, after.chain, after.last_seq.0 + 1);
            let says = (commit.group, commit.previous_end, commit.previous_chain, commit.first_seq);
            if says != expected {
                return Err(other("it follows another group"));
            }
            let whole = (commit.frames, commit.last_seq, commit.chain);
            if whole != (frames, last_seq.0, chain.finish()) {
                return Err(damaged("the commit frame is of other frames"));
            }
            if rest.len() != end {
                return Err(other("something stands behind it"));
            }
            let head = commit.head(at.plus(end as u64));
            return Ok(Checked { head, files });
        }
        chain.add(&header.encode());
        if header.kind == Kind::Record {
            if header.seq != last_seq.0 + 1 {
                return Err(other("its records have other numbers"));
            }
            last_seq = RecordSeq(header.seq);
        }
        match header.payload(space) {
            Payload::Whole(_) | Payload::Purged => {}
            Payload::InFile => {
                let file = BodyFile { hash: BodyHash(header.hash), serial: header.seq };
                files.push((file, u64::from(header.raw)));
            }
            Payload::Bad(what) => return Err(damaged(what)),
        }
        offset += end;
    }
    Err(other("it has more frames than groups have"))
}

/// Durable groups in order, as they lie in the segments.
pub struct Groups<D: Disk> {
    reader: Reader<D>,
    after: Head,
    /// The head before the last group handed out.
    before: Head,
    /// The journal's head when the window was opened: what the window holds of later bytes is old.
    limit: Head,
    window: Option<(u32, Window<D::File>)>,
}

impl<D: Disk> Reader<D> {
    /// Whether the journal had this head.
    ///
    /// # Errors
    /// What the disk says.
    pub fn holds(&self, head: &Head) -> io::Result<bool> {
        if *head == Head::START {
            return Ok(true);
        }
        let Some(at) = head.end.offset.checked_sub(COMMIT_FRAME_BYTES as u64) else {
            return Ok(false);
        };
        if self.head().is_some_and(|ours| ours.group < head.group || ours.end < head.end) {
            return Ok(false);
        }
        let file = match self.segment(head.end.segment) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        let mut frame = [0; COMMIT_FRAME_BYTES];
        let read = file.read_at(at, &mut frame)?;
        let commit = FrameHeader::decode(&frame[..read])
            .and_then(|header| Commit::decode(&header, &frame[FRAME_HEADER_BYTES..]));
        Ok(commit.is_some_and(|commit| commit.head(head.end) == *head))
    }

    /// The groups behind a head of this journal, of those that are durable.
    ///
    /// # Errors
    /// [`GroupError::NotHeld`] where the journal never had this head.
    pub fn groups(&self, after: Head) -> Result<Groups<D>, GroupError> {
        let ours = self.head().unwrap_or(Head::START);
        let held = self.holds(&after);
        if !held.map_err(|source| GroupError::Io { at: after.end, source })? {
            return Err(GroupError::NotHeld { head: Box::new(after), ours: Box::new(ours) });
        }
        Ok(Groups { reader: self.clone(), after, before: after, limit: after, window: None })
    }

    /// Opens the file of a large body, to read all of it. Nothing is checked.
    ///
    /// # Errors
    /// What the disk says; `NotFound` where it is purged, or lost.
    pub fn open_body(&self, file: BodyFile) -> io::Result<D::File> {
        self.shared.disk.open(&file.path())
    }
}

impl<D: Disk> Groups<D> {
    /// The head behind the last group handed out.
    #[must_use]
    pub const fn after(&self) -> Head {
        self.after
    }

    /// The same from the last group on that was handed out, as it is by now.
    #[must_use]
    pub fn before_last(&self) -> Self {
        let (reader, after) = (self.reader.clone(), self.before);
        Self { reader, after, before: after, limit: after, window: None }
    }

    /// The next group, checked; `None` where no more is durable now.
    ///
    /// # Errors
    /// [`GroupError`]; the next call tries the same group again.
    // It is no iterator: behind `None` there may be more later.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<RawGroup>, GroupError> {
        if self.after.group >= self.limit.group {
            self.window = None;
            self.limit = self.reader.head().unwrap_or(self.after);
            if self.after.group >= self.limit.group {
                return Ok(None);
            }
        }
        let read = match self.read() {
            // A body may be being purged this moment: its mark stands there at the second look.
            Err(GroupError::Damaged { .. }) => {
                self.window = None;
                self.read()
            }
            read => read,
        };
        let group = read?;
        (self.before, self.after) = (self.after, group.head);
        Ok(Some(group))
    }

    fn read(&mut self) -> Result<RawGroup, GroupError> {
        let here = self.after.end;
        let first = self.read_at(here);
        let next = Position::first_of(here.segment + 1);
        match first {
            Err(GroupError::Damaged { .. } | GroupError::Other { .. })
                if next.segment <= self.limit.end.segment =>
            {
                // The unused end of a segment is no group.
                self.read_at(next).or(first)
            }
            first => first,
        }
    }

    fn read_at(&mut self, start: Position) -> Result<RawGroup, GroupError> {
        let bytes = group_bytes(self.window(start)?, start)?;
        let Checked { head, files } = check(&self.after, start, &bytes)?;
        Ok(RawGroup { start, bytes, head, files })
    }

    fn window(&mut self, at: Position) -> Result<&mut Window<D::File>, GroupError> {
        let io = |source| GroupError::Io { at, source };
        let window = match self.window.take() {
            Some((segment, window)) if segment == at.segment => window,
            _ => Window::new(Arc::clone(&self.reader.segment(at.segment).map_err(io)?))
                .map_err(io)?,
        };
        Ok(&mut self.window.insert((at.segment, window)).1)
    }
}

/// The bytes from `start` up to the end of the first commit frame.
pub(crate) fn group_bytes<F: DiskFile>(
    window: &mut Window<F>,
    start: Position,
) -> Result<Vec<u8>, GroupError> {
    let mut at = start;
    for _ in 0..=GROUP_FRAMES_MAX {
        let header = window.header(at.offset);
        if let Some((offset, _, source)) = window.take_unreadable() {
            return Err(GroupError::Io { at: Position { offset, ..start }, source });
        }
        let header = header.ok_or(GroupError::Damaged { at, what: "there is no frame here" })?;
        at = at.plus((FRAME_HEADER_BYTES + header.space()) as u64);
        let bytes = (at.offset - start.offset) as usize;
        if bytes > GROUP_BYTES_MAX {
            break;
        }
        if header.kind == Kind::Commit {
            return Ok(window.bytes(start.offset, bytes).to_vec());
        }
    }
    Err(GroupError::Other { at: start, what: "it is larger than groups are" })
}
