//! Purging bodies: the bytes go, the frame's header with hash and length stays.

use mail_types::BodyHash;

use crate::body::{BODIES, BodyFile};
use crate::error::{PunchError, ReadError};
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, Kind, TOMBSTONE_BYTES};
use crate::{Disk, DiskFile, Journal, Position};

impl<D: Disk> Journal<D> {
    /// Purges a body: see [`Journal::punch_all`].
    ///
    /// # Errors
    /// [`PunchError`].
    pub fn punch(&mut self, at: Position) -> Result<(), PunchError> {
        self.punch_all(&[at])
    }

    /// Purges bodies. A mark bound to the frame takes the place of the payload, then the rest
    /// becomes a hole (or the body's file is removed); reading one gives [`ReadError::Purged`].
    /// Two syncs for all of them, and one for removed names. Purging again is harmless, and is
    /// what to do where a crash came between.
    ///
    /// The reason for the purge must be durable before: it is a record of the caller's.
    ///
    /// # Errors
    /// [`PunchError`]; of the bodies before the one named, all may be purged.
    pub fn punch_all(&mut self, bodies: &[Position]) -> Result<(), PunchError> {
        self.poison.check()?;
        let mut frames = Vec::with_capacity(bodies.len());
        for &at in bodies {
            frames.push((at, self.body_header(at)?));
        }
        // The mark is durable before a byte behind it goes: what is found without its bytes and
        // without a mark is always damage.
        for (at, header) in &frames {
            let file = self.reader.segment(at.segment).map_err(io(*at))?;
            file.write_at(at.offset + FRAME_HEADER_BYTES as u64, &header.tombstone())
                .map_err(io(*at))?;
        }
        self.sync_segments(&frames)?;
        let mut removed = false;
        for (at, header) in &frames {
            if header.kind == Kind::BodyFile {
                let file = BodyFile { hash: BodyHash(header.hash), serial: header.seq };
                match self.disk.remove(&file.path()) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    done => done.map_err(io(*at))?,
                }
                removed = true;
                continue;
            }
            let rest = (header.space() - TOMBSTONE_BYTES) as u64;
            if rest > 0 {
                let file = self.reader.segment(at.segment).map_err(io(*at))?;
                let from = at.offset + (FRAME_HEADER_BYTES + TOMBSTONE_BYTES) as u64;
                file.punch_hole(from, rest).map_err(io(*at))?;
            }
        }
        self.sync_segments(&frames)?;
        if removed && let Err(cause) = self.disk.sync_dir(BODIES) {
            return Err(self.poison.set("syncing the directory of body files", &cause).into());
        }
        Ok(())
    }

    fn body_header(&self, at: Position) -> Result<FrameHeader, PunchError> {
        let no_body = ReadError::Damaged { at, what: "there is no body here" };
        let file = self.reader.segment(at.segment).map_err(|error| match error.kind() {
            // Nobody can read what is in it, now or later.
            std::io::ErrorKind::NotFound => {
                ReadError::Damaged { at, what: "its segment is missing" }.into()
            }
            _ => io(at)(error),
        })?;
        let mut bytes = [0; FRAME_HEADER_BYTES];
        let read = file.read_at(at.offset, &mut bytes).map_err(io(at))?;
        match FrameHeader::decode(&bytes[..read]) {
            Some(header) if matches!(header.kind, Kind::Body | Kind::BodyFile) => {
                // What is not durable yet may still be abandoned.
                if at < self.head.end { Ok(header) } else { Err(no_body.into()) }
            }
            _ => Err(no_body.into()),
        }
    }

    fn sync_segments(&self, frames: &[(Position, FrameHeader)]) -> Result<(), PunchError> {
        let mut segments: Vec<u32> = frames.iter().map(|(at, _)| at.segment).collect();
        segments.sort_unstable();
        segments.dedup();
        for segment in segments {
            let at = Position::first_of(segment);
            let file = self.reader.segment(segment).map_err(io(at))?;
            // The current segment's last group may stand on this sync, through another handle.
            if let Err(cause) = file.sync_data() {
                return Err(self.poison.set("syncing a purge", &cause).into());
            }
        }
        Ok(())
    }
}

fn io(at: Position) -> impl FnOnce(std::io::Error) -> PunchError {
    move |source| PunchError::Io { at, source }
}
