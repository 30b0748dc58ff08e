use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mail_types::BodyHash;

use crate::error::Poison;
use crate::frame::{BODY_BYTES_MAX, FrameHeader, INLINE_BODY_BYTES_MAX, Kind};
use crate::{Disk, DiskFile};

/// Directory of the files of large bodies.
pub(crate) const BODIES: &str = "bodies";
/// Directory of the files of bodies that are still arriving; emptied at open.
pub(crate) const ARRIVING: &str = "bodies/arriving";
/// Bodies smaller than this are not worth compressing: two pages at most are saved, and reading a
/// mailbox of such bodies would cost seven times as much.
const COMPRESS_BYTES_MIN: usize = 8 << 10;
/// Bytes gathered before they are written to the file of an arrival.
const SPILL_BYTES: usize = 256 << 10;

/// A whole body, hashed, compressed where that saves: ready for [`crate::Journal::append_body`],
/// which then only copies.
#[derive(Clone, Debug)]
pub struct Body {
    /// BLAKE3 of its exact bytes.
    pub hash: BodyHash,
    /// Bytes, before compression.
    pub size: u64,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Inline { stored: Vec<u8>, zstd: bool },
    File { serial: u64 },
}

impl Body {
    /// A body that lies in the journal itself, whatever `inline_body_bytes_max` is; for what we
    /// write ourselves. Hashes and compresses (zstd level 1).
    ///
    /// # Errors
    /// `FileTooLarge` above [`INLINE_BODY_BYTES_MAX`]: use an arrival.
    pub fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        if bytes.len() > INLINE_BODY_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Self::inline(bytes.to_vec(), 1))
    }

    fn inline(bytes: Vec<u8>, level: i32) -> Self {
        let hash = BodyHash(*blake3::hash(&bytes).as_bytes());
        let size = bytes.len() as u64;
        let content = match compress(&bytes, level) {
            Some(stored) => Content::Inline { stored, zstd: true },
            None => Content::Inline { stored: bytes, zstd: false },
        };
        Self { hash, size, content }
    }

    /// The file it lies in, if it has one.
    #[must_use]
    pub const fn file(&self) -> Option<BodyFile> {
        match self.content {
            Content::File { serial } => Some(BodyFile { hash: self.hash, serial }),
            Content::Inline { .. } => None,
        }
    }

    /// Bytes that it takes in the journal itself, besides its frame: as compressed, and none where
    /// it has a file.
    #[must_use]
    pub const fn stored_bytes(&self) -> usize {
        match &self.content {
            Content::Inline { stored, .. } => stored.len(),
            Content::File { .. } => 0,
        }
    }

    /// Header and stored payload of its frame.
    pub(crate) fn frame(&self) -> (FrameHeader, &[u8]) {
        let (kind, stored, zstd, seq): (_, &[u8], _, _) = match &self.content {
            Content::Inline { stored, zstd } => (Kind::Body, stored, *zstd, 0),
            Content::File { serial } => (Kind::BodyFile, &[], false, *serial),
        };
        let header = FrameHeader {
            kind,
            zstd,
            masked: false,
            // At most INLINE_BODY_BYTES_MAX, checked by the two makers of a Body.
            stored: stored.len() as u32,
            // At most BODY_BYTES_MAX, checked by `Arrival::write`.
            raw: self.size as u32,
            seq,
            hash: self.hash.0,
        };
        (header, stored)
    }
}

/// The file of a large body: `bodies/<hash>-<serial>`. The serial keeps two arrivals of the same
/// bytes apart, so that purging one leaves the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BodyFile {
    /// BLAKE3 of its bytes.
    pub hash: BodyHash,
    /// Tells files of the same bytes apart.
    pub serial: u64,
}

impl BodyFile {
    /// Whether its arrival began before this group was durable.
    #[must_use]
    pub const fn began_before(&self, group: u64) -> bool {
        self.serial < first_serial(group)
    }

    pub(crate) fn path(&self) -> String {
        format!("{BODIES}/{}-{:016x}", self.hash, self.serial)
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let (hash, serial) = name.split_once('-')?;
        if hash.len() != 64 || serial.len() != 16 || !name.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(hash.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        let file = Self { hash: BodyHash(bytes), serial: u64::from_str_radix(serial, 16).ok()? };
        // Only a name that we would write is ours.
        file.path().ends_with(name).then_some(file)
    }
}

/// Serial numbers of body files begin here after group `group`: a file is named by a later group
/// than the one its serial began at, so that no committed file has a serial that comes again.
pub(crate) const fn first_serial(group: u64) -> u64 {
    group << 24
}

/// Where bodies arrive: one for the whole server, cloned into each session.
pub struct Arrivals<D: Disk> {
    pub(crate) shared: Arc<ArrivalsShared<D>>,
}

pub(crate) struct ArrivalsShared<D> {
    pub disk: Arc<D>,
    pub inline_bytes_max: usize,
    pub zstd_level: i32,
    pub next_serial: AtomicU64,
    pub poison: Arc<Poison>,
}

impl<D: Disk> Clone for Arrivals<D> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<D: Disk> Arrivals<D> {
    /// Begins a body. It stays in memory up to the inline limit and goes to a file beyond it.
    #[must_use]
    pub fn begin(&self) -> Arrival<D> {
        Arrival { arrivals: self.clone(), buffer: Vec::new(), size: 0, spilled: None }
    }
}

/// A body on its way in. Dropping it removes what it wrote.
pub struct Arrival<D: Disk> {
    arrivals: Arrivals<D>,
    /// What is not in the file yet: at most the inline limit or [`SPILL_BYTES`].
    buffer: Vec<u8>,
    size: u64,
    spilled: Option<Spilled<D>>,
}

struct Spilled<D: Disk> {
    file: D::File,
    serial: u64,
    written: u64,
    hasher: blake3::Hasher,
    /// Renamed away: nothing to remove any more.
    moved: bool,
}

impl<D: Disk> Arrival<D> {
    /// Adds bytes. Blocks on the disk where the body is a large one.
    ///
    /// # Errors
    /// What the disk says; `FileTooLarge` above [`BODY_BYTES_MAX`]. The arrival is then of no use.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        if self.size > BODY_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let limit = match self.spilled {
                None => self.arrivals.shared.inline_bytes_max,
                Some(_) => SPILL_BYTES,
            };
            if self.buffer.len() >= limit {
                self.spill()?;
                continue;
            }
            let take = rest.len().min(limit - self.buffer.len());
            self.buffer.extend_from_slice(&rest[..take]);
            rest = &rest[take..];
        }
        Ok(())
    }

    /// Bytes so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Whether it has a file of its own, so that finishing it waits for the disk.
    #[must_use]
    pub const fn is_file(&self) -> bool {
        self.spilled.is_some()
    }

    /// Gives it a file of its own whatever its size: many small bodies that must be committed
    /// together would take too much memory and too much of one group.
    ///
    /// # Errors
    /// What the disk says. The arrival is then of no use.
    pub fn into_file(mut self) -> io::Result<Self> {
        if self.spilled.is_none() {
            self.spill()?;
        }
        Ok(self)
    }

    /// Puts bytes in front of all that was written: what is known of a message once it is whole.
    /// A body in memory is moved behind them; one that has a file is copied into another behind
    /// them, which blocks on the disk and is as durable afterwards as the first was: not at all
    /// before [`Arrival::finish`].
    ///
    /// # Errors
    /// As for [`Arrival::write`]. The arrival is then of no use.
    pub fn behind(mut self, front: &[u8]) -> io::Result<Self> {
        if !self.fits_inline(front.len()) {
            return self.copied_behind(front);
        }
        self.size += front.len() as u64;
        self.buffer.splice(0..0, front.iter().copied());
        Ok(self)
    }

    /// Whether so many more bytes leave it without a file.
    #[must_use]
    pub fn fits_inline(&self, more: usize) -> bool {
        self.spilled.is_none()
            && self.buffer.len().saturating_add(more) <= self.arrivals.shared.inline_bytes_max
    }

    fn copied_behind(self, front: &[u8]) -> io::Result<Self> {
        let mut copy = self.arrivals.begin();
        copy.write(front)?;
        if let Some(Spilled { file, written, .. }) = &self.spilled {
            let mut piece = vec![0; SPILL_BYTES];
            let mut at = 0;
            while at < *written {
                let read = file.read_at(at, &mut piece)?;
                if read == 0 {
                    // What was written is not there: no body is better than half of one.
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                copy.write(&piece[..read])?;
                at += read as u64;
            }
        }
        copy.write(&self.buffer)?;
        // Dropped, `self` removes its file.
        Ok(copy)
    }

    /// Hashes, compresses, or makes the file durable: content first, then its name.
    ///
    /// # Errors
    /// What the disk says; the body is then gone.
    pub fn finish(mut self) -> io::Result<Body> {
        if self.spilled.is_none() {
            let bytes = std::mem::take(&mut self.buffer);
            return Ok(Body::inline(bytes, self.arrivals.shared.zstd_level));
        }
        self.spill()?;
        let shared = Arc::clone(&self.arrivals.shared);
        let Some(spilled) = &mut self.spilled else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let hash = BodyHash(*spilled.hasher.finalize().as_bytes());
        let file = BodyFile { hash, serial: spilled.serial };
        shared.poison.check().map_err(io::Error::other)?;
        // A full disk may say so as late as here (delayed allocation). That, like any failure of
        // this file's content, costs this body alone: nothing was acknowledged that stands on it,
        // the file is removed, and the next arrival has a file and pages of its own. Other
        // failures mean a disk that is not to be trusted with the next sync either.
        spilled.file.sync_data().inspect_err(|error| {
            if !matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                shared.poison.set("syncing a body file", error);
            }
        })?;
        shared.disk.rename(&arriving_path(spilled.serial), &file.path())?;
        spilled.moved = true;
        // Names of other bodies stand on the same directory: after a failed sync of it no later
        // one proves anything.
        shared.disk.sync_dir(BODIES).inspect_err(|error| {
            shared.poison.set("syncing the directory of body files", error);
        })?;
        Ok(Body { hash, size: self.size, content: Content::File { serial: file.serial } })
    }

    /// Moves the buffer into the file, making it where there is none yet.
    fn spill(&mut self) -> io::Result<()> {
        if self.spilled.is_none() {
            let shared = &self.arrivals.shared;
            let serial = shared.next_serial.fetch_add(1, Ordering::Relaxed);
            let path = arriving_path(serial);
            let file = shared.disk.create(&path)?;
            let hasher = blake3::Hasher::new();
            self.spilled = Some(Spilled { file, serial, written: 0, hasher, moved: false });
        }
        let Some(spilled) = &mut self.spilled else { return Ok(()) };
        spilled.file.write_at(spilled.written, &self.buffer)?;
        spilled.hasher.update(&self.buffer);
        spilled.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl<D: Disk> Drop for Arrival<D> {
    fn drop(&mut self) {
        if let Some(Spilled { serial, moved: false, .. }) = self.spilled
            && self.arrivals.shared.disk.remove(&arriving_path(serial)).is_err()
        {
            // Nobody to tell, and no harm: `open` empties this directory.
        }
    }
}

pub(crate) fn arriving_path(serial: u64) -> String {
    format!("{ARRIVING}/{serial:016x}")
}

thread_local! {
    // A zstd context is some hundred KiB that would otherwise be made and cleared for each body.
    static COMPRESSOR: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> =
        const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        const { RefCell::new(None) };
}

/// `None` where it does not save at least an eighth (or zstd has no memory: then uncompressed).
fn compress(bytes: &[u8], level: i32) -> Option<Vec<u8>> {
    if bytes.len() < COMPRESS_BYTES_MIN {
        return None;
    }
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(made_for, _)| *made_for != level) {
            *slot = Some((level, zstd::bulk::Compressor::new(level).ok()?));
        }
        let (_, compressor) = slot.as_mut()?;
        // Room for what is worth keeping and no more: zstd stops where it would need more.
        let mut out = vec![0; bytes.len() - bytes.len() / 8];
        let stored = compressor.compress_to_buffer(bytes, &mut out).ok()?;
        out.truncate(stored);
        out.shrink_to_fit();
        Some(out)
    })
}

/// Decompresses stored bytes of a body into `raw`, which has exactly the room for it; `None` where
/// they are not so many bytes of zstd.
#[must_use]
pub fn decompress_into(stored: &[u8], raw: &mut [u8]) -> Option<()> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(zstd::bulk::Decompressor::new().ok()?);
        }
        let bytes = slot.as_mut()?.decompress_to_buffer(stored, raw).ok()?;
        (bytes == raw.len()).then_some(())
    })
}

/// The raw payload of a stored one; `None` where it is not `raw` bytes of zstd.
pub(crate) fn decompress(stored: &[u8], raw: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(zstd::bulk::Decompressor::new().ok()?);
        }
        let bytes = slot.as_mut()?.decompress(stored, raw).ok()?;
        (bytes.len() == raw).then_some(bytes)
    })
}
