use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use mail_types::{BodyHash, RecordSeq};

use crate::body::BodyFile;
use crate::error::ReadError;
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, Kind, Payload};
use crate::scan::Scan;
use crate::segment::{segment_numbers, segment_path};
use crate::{Disk, DiskFile, Head, Position};

/// Segment files kept open for reading; beyond that all are closed and opened again as needed.
const OPEN_SEGMENTS_MAX: usize = 128;
/// Bytes read with the header in one call: most bodies are smaller.
const FIRST_READ_BYTES: usize = 8 << 10;
/// Bytes of a body file hashed at a time.
const HASH_STEP_BYTES: usize = 256 << 10;

/// Reads what is durable, from any thread, beside the writer.
pub struct Reader<D: Disk> {
    pub(crate) shared: Arc<ReaderShared<D>>,
}

pub(crate) struct ReaderShared<D: Disk> {
    pub disk: Arc<D>,
    /// The durable head of the open journal; `None` where only a reader has it open.
    pub head: RwLock<Option<Head>>,
    segments: RwLock<HashMap<u32, Arc<D::File>>>,
}

impl<D: Disk> Clone for Reader<D> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// How a body is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// As it is, behind its frame's header.
    Plain,
    /// As one zstd frame, behind its frame's header: [`crate::decompress_into`].
    Zstd,
    /// Masked, as few are: only [`Reader::read_body`] reads it.
    Masked,
    /// In a file of its own: [`Reader::read_body_file`].
    File,
}

/// A body with what is needed to find its bytes again without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBody {
    /// Its bytes; their hash was checked.
    pub bytes: Vec<u8>,
    /// Bytes that are kept behind the frame's header.
    pub stored: u32,
    /// How they are kept.
    pub kept: Kept,
}

/// What [`Reader::check`] found whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A record.
    Record {
        /// Its number.
        seq: RecordSeq,
    },
    /// A body that has its hash.
    Body {
        /// BLAKE3 of its bytes.
        hash: BodyHash,
        /// Its bytes.
        size: u64,
    },
    /// A body that was purged.
    Purged {
        /// BLAKE3 of the bytes it had.
        hash: BodyHash,
        /// How many they were.
        size: u64,
    },
}

impl<D: Disk> Reader<D> {
    /// For looking only (`verify` without a server): changes nothing, and takes no lock.
    #[must_use]
    pub fn look(disk: D) -> Self {
        Self::new(Arc::new(disk), None)
    }

    pub(crate) fn new(disk: Arc<D>, head: Option<Head>) -> Self {
        let (head, segments) = (RwLock::new(head), RwLock::new(HashMap::new()));
        Self { shared: Arc::new(ReaderShared { disk, head, segments }) }
    }

    /// The bytes of a body, decompressed, from the segment or its file; its hash is checked.
    ///
    /// # Errors
    /// [`ReadError`]; `Purged` where it was purged.
    pub fn read_body(&self, at: Position) -> Result<Vec<u8>, ReadError> {
        Ok(self.read_kept_body(at)?.bytes)
    }

    /// The same, and how it is kept.
    ///
    /// # Errors
    /// As [`Reader::read_body`].
    pub fn read_kept_body(&self, at: Position) -> Result<KeptBody, ReadError> {
        let (header, payload) = self.frame(at)?;
        match (header.kind, payload) {
            (Kind::Body, Payload::Whole(bytes)) => {
                let kept = match (header.masked, header.zstd) {
                    (true, _) => Kept::Masked,
                    (false, true) => Kept::Zstd,
                    (false, false) => Kept::Plain,
                };
                Ok(KeptBody { bytes, stored: header.stored, kept })
            }
            (Kind::BodyFile, Payload::InFile) => {
                let mut bytes = Vec::with_capacity(header.raw as usize);
                self.body_file(at, &header, |part| bytes.extend_from_slice(part))?;
                Ok(KeptBody { bytes, stored: header.stored, kept: Kept::File })
            }
            (_, Payload::Purged) => Err(ReadError::Purged { at }),
            (_, Payload::Bad(what)) => Err(ReadError::Damaged { at, what }),
            _ => Err(ReadError::Damaged { at, what: "there is no body here" }),
        }
    }

    /// Bytes of a segment as they are kept, to read many bodies at once whose places and checks the
    /// caller knows: nothing is checked here.
    ///
    /// # Errors
    /// What the system says.
    pub fn read_segment(&self, segment: u32, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.segment(segment)?.read_at(offset, buffer)
    }

    /// A part of a body that has a file of its own, unchecked: the hash is of the whole. Returns
    /// the bytes read.
    ///
    /// # Errors
    /// [`ReadError`]; `Purged` where it was purged.
    pub fn read_body_file(
        &self,
        at: Position,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, ReadError> {
        let (header, payload) = self.frame(at)?;
        match (header.kind, payload) {
            (Kind::BodyFile, Payload::InFile) => {
                let opened = self.open_body_file(at, &header)?;
                opened.read_at(offset, buffer).map_err(|source| ReadError::Io { at, source })
            }
            (_, Payload::Purged) => Err(ReadError::Purged { at }),
            _ => Err(ReadError::Damaged { at, what: "there is no body file here" }),
        }
    }

    /// Number and payload of a record.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_record(&self, at: Position) -> Result<(RecordSeq, Vec<u8>), ReadError> {
        let (header, payload) = self.frame(at)?;
        match (header.kind, payload) {
            (Kind::Record, Payload::Whole(bytes)) => Ok((RecordSeq(header.seq), bytes)),
            (_, Payload::Bad(what)) => Err(ReadError::Damaged { at, what }),
            _ => Err(ReadError::Damaged { at, what: "there is no record here" }),
        }
    }

    /// Reads a record or body and checks everything about it, without handing it out. A body file
    /// is read in steps.
    ///
    /// # Errors
    /// [`ReadError`]; a purged body is none.
    pub fn check(&self, at: Position) -> Result<Found, ReadError> {
        let (header, payload) = self.frame(at)?;
        let (hash, size) = (BodyHash(header.hash), u64::from(header.raw));
        match (header.kind, payload) {
            (Kind::Record, Payload::Whole(_)) => Ok(Found::Record { seq: RecordSeq(header.seq) }),
            (Kind::Body, Payload::Whole(_)) => Ok(Found::Body { hash, size }),
            (Kind::BodyFile, Payload::InFile) => {
                self.body_file(at, &header, |_| ())?;
                Ok(Found::Body { hash, size })
            }
            (_, Payload::Purged) => Ok(Found::Purged { hash, size }),
            (_, Payload::Bad(what)) => Err(ReadError::Damaged { at, what }),
            _ => Err(ReadError::Damaged { at, what: "there is no record or body here" }),
        }
    }

    /// The durable head of the open journal; `None` where it is only looked at.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        *self.shared.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that is in the journal behind `from` (`None`: from the first frame), in order, with
    /// every hash checked. On an open journal it ends at the head that is durable now.
    #[must_use]
    pub fn scan(&self, from: Option<Head>) -> Scan<D> {
        let limit = *self.shared.head.read().unwrap_or_else(PoisonError::into_inner);
        Scan::new(self.clone(), from.unwrap_or(Head::START), limit)
    }

    /// All files of large bodies, named by a frame or not.
    ///
    /// # Errors
    /// What the disk says.
    pub fn body_files(&self) -> io::Result<Vec<BodyFile>> {
        let names = self.shared.disk.list(crate::body::BODIES)?;
        Ok(names.iter().filter_map(|name| BodyFile::from_name(name)).collect())
    }

    fn frame(&self, at: Position) -> Result<(FrameHeader, Payload), ReadError> {
        match self.frame_once(at)? {
            // It may be being purged this moment; its mark is written before its bytes go, so
            // that a second look tells.
            (FrameHeader { kind: Kind::Body, .. }, Payload::Bad(_)) => self.frame_once(at),
            read => Ok(read),
        }
    }

    fn frame_once(&self, at: Position) -> Result<(FrameHeader, Payload), ReadError> {
        let io = |source| ReadError::Io { at, source };
        let file = self.segment(at.segment).map_err(io)?;
        let mut bytes = vec![0; FIRST_READ_BYTES];
        let read = file.read_at(at.offset, &mut bytes).map_err(io)?;
        bytes.truncate(read);
        let header = FrameHeader::decode(&bytes)
            .ok_or(ReadError::Damaged { at, what: "there is no frame here" })?;
        // At most the limits of the format, which `decode` checks.
        let whole = FRAME_HEADER_BYTES + header.space();
        if bytes.len() < whole && read == FIRST_READ_BYTES {
            bytes.resize(whole, 0);
            let rest = at.offset + read as u64;
            let more = file.read_at(rest, &mut bytes[read..]).map_err(io)?;
            bytes.truncate(read + more);
        }
        Ok((header, header.payload(&bytes[FRAME_HEADER_BYTES..])))
    }

    /// Reads the file of a large body in steps, and checks its length and hash.
    fn body_file(
        &self,
        at: Position,
        header: &FrameHeader,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), ReadError> {
        let file = BodyFile { hash: BodyHash(header.hash), serial: header.seq };
        let wrong = |what| ReadError::BodyFile { at, name: file.path(), what };
        let io = |source| ReadError::Io { at, source };
        let opened = self.open_body_file(at, header)?;
        let mut hasher = blake3::Hasher::new();
        let mut step = vec![0; HASH_STEP_BYTES];
        let mut done = 0;
        while done < u64::from(header.raw) {
            let read = opened.read_at(done, &mut step).map_err(io)?;
            if read == 0 {
                return Err(wrong("became shorter while it was read"));
            }
            hasher.update(&step[..read]);
            each(&step[..read]);
            done += read as u64;
        }
        if *hasher.finalize().as_bytes() == header.hash {
            Ok(())
        } else {
            Err(wrong("is not what its hash says"))
        }
    }

    /// Opens the file of a large body, and checks its length.
    fn open_body_file(&self, at: Position, header: &FrameHeader) -> Result<D::File, ReadError> {
        let file = BodyFile { hash: BodyHash(header.hash), serial: header.seq };
        let wrong = |what| ReadError::BodyFile { at, name: file.path(), what };
        let io = |source| ReadError::Io { at, source };
        let opened = match self.shared.disk.open(&file.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(wrong("is missing"));
            }
            opened => opened.map_err(io)?,
        };
        if opened.len().map_err(io)? != u64::from(header.raw) {
            return Err(wrong("has the wrong length"));
        }
        Ok(opened)
    }

    /// A segment's file, from those held open.
    pub(crate) fn segment(&self, number: u32) -> io::Result<Arc<D::File>> {
        let held = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = held.get(&number) {
            return Ok(Arc::clone(file));
        }
        drop(held);
        let file = Arc::new(self.shared.disk.open(&segment_path(number))?);
        let mut held = self.shared.segments.write().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= OPEN_SEGMENTS_MAX {
            held.clear();
        }
        held.insert(number, Arc::clone(&file));
        Ok(file)
    }

    /// Forgets files that are no longer what they were (`open` removed or remade them).
    pub(crate) fn forget_segments(&self) {
        self.shared.segments.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn set_head(&self, head: Head) {
        *self.shared.head.write().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }

    /// Number of the last segment that exists; 0 where none does.
    pub(crate) fn last_segment(&self) -> io::Result<u32> {
        Ok(segment_numbers(&*self.shared.disk)?.last().copied().unwrap_or(0))
    }
}
