//! Reading again what was written long ago, from the disk and not from memory: disks forget, and
//! what nobody reads is found damaged when it is needed.

use std::io;
use std::sync::Arc;

use mail_types::{BodyHash, RecordSeq};

use crate::body::BodyFile;
use crate::error::ReadError;
use crate::frame::{
    ALIGN_BYTES, Commit, FRAME_HEADER_BYTES, FrameHeader, GROUP_FRAMES_MAX, Kind, Payload,
    SEGMENT_HEADER_BYTES, segment_header,
};
use crate::scan::{Damage, DamageKind};
use crate::window::Window;
use crate::{Disk, DiskFile, Head, Position, Reader};

/// Damage handed out by one step: a step that finds as much ends there.
const DAMAGE_MAX: usize = 1000;

/// What one step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Bytes read, those of body files included.
    pub bytes: u64,
    /// Frames that were whole.
    pub frames: u64,
    /// What was not what was written.
    pub damage: Vec<Damage>,
    /// Where to go on; `None` where everything up to the head was read.
    pub next: Option<Position>,
}

impl<D: Disk> Reader<D> {
    /// Reads frames from `from` on (`None`: the first) up to the head, each checked by its hash,
    /// until about `bytes_max` were read. The system is asked to forget before what it has of them
    /// in memory. Order and completeness are not looked at: `scan` does that.
    #[must_use]
    pub fn scrub(&self, from: Option<Position>, until: &Head, bytes_max: u64) -> Scrubbed {
        let mut done = Scrubbed::default();
        let mut at = from.unwrap_or(Position { segment: 1, offset: 0 });
        // Each turn is a segment, or the part of it that there is time for.
        while at < until.end && done.bytes < bytes_max && done.damage.len() < DAMAGE_MAX {
            at = match self.segment(at.segment).and_then(|file| self.segment_part(&file)) {
                Ok(window) => self.scrub_segment(at, until, bytes_max, window, &mut done),
                Err(cause) => {
                    let kind = match cause.kind() {
                        io::ErrorKind::NotFound => DamageKind::SegmentMissing,
                        _ => DamageKind::SegmentUnreadable(cause.to_string()),
                    };
                    done.damage.push(Damage { at, bytes: 0, kind });
                    next_segment(at)
                }
            };
        }
        done.next = (at < until.end).then_some(at);
        done
    }

    fn segment_part(&self, file: &Arc<D::File>) -> io::Result<Window<D::File>> {
        file.forget_read();
        Window::new(Arc::clone(file))
    }

    /// Reads on in one segment; where to go on.
    fn scrub_segment(
        &self,
        from: Position,
        until: &Head,
        bytes_max: u64,
        mut window: Window<D::File>,
        done: &mut Scrubbed,
    ) -> Position {
        let last = from.segment == until.end.segment;
        let end = if last { until.end.offset } else { window.len() };
        let mut at = from;
        if at.offset < SEGMENT_HEADER_BYTES {
            let header = window.bytes(0, SEGMENT_HEADER_BYTES as usize);
            if *header != segment_header(at.segment) {
                let (bytes, kind) = (SEGMENT_HEADER_BYTES, DamageKind::SegmentHeader);
                done.damage.push(Damage { at: Position { offset: 0, ..at }, bytes, kind });
            }
            at.offset = SEGMENT_HEADER_BYTES;
        }
        while at.offset < end && done.bytes < bytes_max && done.damage.len() < DAMAGE_MAX {
            let header = window.header(at.offset);
            let header = header.filter(|header| at.offset + frame_bytes(header) <= end);
            let Some(header) = header else {
                match self.gap(&mut window, at, end, last) {
                    Some(damage) => {
                        at = at.plus(damage.bytes);
                        done.bytes += damage.bytes;
                        done.damage.push(damage);
                    }
                    None => break,
                }
                continue;
            };
            let found = self.frame_damage(at, &header, &mut window);
            if let Some((offset, bytes, cause)) = window.take_unreadable() {
                let kind = DamageKind::Unreadable(cause.to_string());
                done.damage.push(Damage { at: Position { offset, ..at }, bytes, kind });
            }
            match found {
                Some(kind) => {
                    done.damage.push(Damage { at, bytes: frame_bytes(&header), kind });
                }
                None => done.frames += 1,
            }
            let file = if header.kind == Kind::BodyFile { u64::from(header.raw) } else { 0 };
            done.bytes += frame_bytes(&header) + file;
            at = at.plus(frame_bytes(&header));
        }
        let full = done.bytes >= bytes_max || done.damage.len() >= DAMAGE_MAX;
        if at.offset < end && full || last { at } else { next_segment(at) }
    }

    /// Bytes that are no frame, up to the next one; `None` at the unused end of a segment.
    fn gap(
        &self,
        window: &mut Window<D::File>,
        at: Position,
        end: u64,
        last: bool,
    ) -> Option<Damage> {
        let data = window.find_data(at.offset, end);
        let next = window.find_header(at.offset + ALIGN_BYTES, end).map(|(offset, _)| offset);
        let is_end = || data.is_none() || self.ends_at(at).unwrap_or(false);
        if next.is_none() && !last && is_end() {
            return None;
        }
        let bytes = next.unwrap_or(end) - at.offset;
        Some(Damage { at, bytes, kind: DamageKind::NoFrame })
    }

    /// Whether the first group of the next segment says that the one before it ended here: what is
    /// behind is nothing, whatever it is.
    fn ends_at(&self, at: Position) -> io::Result<bool> {
        let file = self.segment(at.segment + 1)?;
        let mut window = Window::new(file)?;
        let mut offset = SEGMENT_HEADER_BYTES;
        for _ in 0..=GROUP_FRAMES_MAX {
            let Some(header) = window.header(offset) else { return Ok(false) };
            let space = window.bytes(offset + FRAME_HEADER_BYTES as u64, header.space());
            if header.kind == Kind::Commit {
                return Ok(
                    Commit::decode(&header, space).is_some_and(|commit| commit.previous_end == at)
                );
            }
            offset += frame_bytes(&header);
        }
        Ok(false)
    }

    /// What is wrong with a frame.
    fn frame_damage(
        &self,
        at: Position,
        header: &FrameHeader,
        window: &mut Window<D::File>,
    ) -> Option<DamageKind> {
        let space = window.bytes(at.offset + FRAME_HEADER_BYTES as u64, header.space());
        if header.kind == Kind::Commit {
            return Commit::decode(header, space).is_none().then_some(DamageKind::NoFrame);
        }
        let hash = BodyHash(header.hash);
        match (header.kind, header.payload(space)) {
            (Kind::BodyFile, Payload::InFile) => {
                let file = BodyFile { hash, serial: header.seq };
                if let Ok(opened) = self.shared.disk.open(&file.path()) {
                    opened.forget_read();
                }
                self.body_damage(at, hash)
            }
            // It may be being purged this moment: a second look tells.
            (Kind::Body | Kind::BodyFile, Payload::Bad(_)) => self.body_damage(at, hash),
            (_, Payload::Bad(what)) => {
                Some(DamageKind::Record { seq: RecordSeq(header.seq), what })
            }
            (_, Payload::Whole(_) | Payload::InFile | Payload::Purged) => None,
        }
    }

    fn body_damage(&self, at: Position, hash: BodyHash) -> Option<DamageKind> {
        match self.check(at) {
            Ok(_) => None,
            Err(ReadError::Damaged { what, .. } | ReadError::BodyFile { what, .. }) => {
                Some(DamageKind::Body { hash, what })
            }
            Err(error) => Some(DamageKind::Unreadable(error.to_string())),
        }
    }
}

fn next_segment(at: Position) -> Position {
    Position { segment: at.segment + 1, offset: 0 }
}

fn frame_bytes(header: &FrameHeader) -> u64 {
    (FRAME_HEADER_BYTES + header.space()) as u64
}
