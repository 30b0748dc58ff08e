use std::sync::Arc;
use std::sync::atomic::Ordering;

use mail_types::RecordSeq;

use crate::body::{Arrivals, ArrivalsShared, Body, BodyFile, first_serial};
use crate::error::{AppendError, OpenError, Poison, SyncError};
use crate::frame::{
    ALIGN_BYTES, COMMIT_FRAME_BYTES, Chain, Commit, FRAME_HEADER_BYTES, FrameHeader,
    GROUP_BYTES_MAX, GROUP_FRAMES_MAX, INLINE_BODY_BYTES_MAX, Kind, RECORD_BYTES_MAX, mask,
    needs_mask,
};
use crate::segment::{CreateError, Segment, create_segment};
use crate::{Disk, DiskFile, Head, Opened, Position, Reader};

/// Where a group passes the end of a segment, its reserved space grows by this part of it.
const GROW_PART: u64 = 64;
/// A group buffer larger than this is given back after the sync.
const BUFFER_KEPT_BYTES: usize = 4 << 20;

/// How a journal writes. What it reads does not depend on it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes reserved for each segment: 4 KiB to 1 GiB, default 64 MiB. A group begins a new
    /// segment once this is reached; the last group of a segment may pass it.
    pub segment_bytes: u64,
    /// Bodies up to this many bytes lie in the journal, larger ones in files of their own: 0 to
    /// 8 MiB, default 256 KiB. Also the memory that one arrival may take.
    pub inline_body_bytes_max: usize,
    /// zstd level for bodies in the journal: 1 to 19, default 1.
    pub zstd_level: i32,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, inline_body_bytes_max: 256 << 10, zstd_level: 1 }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let level = u64::try_from(self.zstd_level).unwrap_or(0);
        let limits = [
            ("segment_bytes", self.segment_bytes, 4096, 1 << 30),
            (
                "inline_body_bytes_max",
                self.inline_body_bytes_max as u64,
                0,
                INLINE_BODY_BYTES_MAX as u64,
            ),
            ("zstd_level", level, 1, 19),
        ];
        for (name, value, min, max) in limits {
            if !(min..=max).contains(&value) {
                return Err(OpenError::Option { name, value, min, max });
            }
        }
        Ok(())
    }
}

/// The writer. There is one for each journal; it belongs to one thread at a time.
pub struct Journal<D: Disk> {
    pub(crate) disk: Arc<D>,
    pub(crate) options: Options,
    pub(crate) head: Head,
    pub(crate) segment: Segment<D::File>,
    pub(crate) group: Group,
    pub(crate) reader: Reader<D>,
    pub(crate) arrivals: Arrivals<D>,
    pub(crate) poison: Arc<Poison>,
    /// The last group is without frames: what it follows is proved durable.
    sealed: bool,
    /// Serial number of body files at open: those below it are of earlier runs.
    serial_at_open: u64,
    /// Keeps other processes out.
    _lock: D::File,
}

/// Frames that wait for the next sync, as they will be written.
pub(crate) struct Group {
    bytes: Vec<u8>,
    start: Position,
    frames: u32,
    last_seq: RecordSeq,
    chain: Chain,
}

impl Group {
    pub(crate) fn new(head: &Head) -> Self {
        Self {
            bytes: Vec::new(),
            start: head.end,
            frames: 0,
            last_seq: head.last_seq,
            chain: Chain::begin(&head.chain, head.group + 1),
        }
    }
}

/// What a journal is made of when `open` has read it.
pub(crate) struct Parts<D: Disk> {
    pub disk: Arc<D>,
    pub options: Options,
    pub head: Head,
    pub segment: Segment<D::File>,
    pub reader: Reader<D>,
    pub poison: Arc<Poison>,
    pub lock: D::File,
    pub sealed: bool,
}

impl<D: Disk> Journal<D> {
    /// Opens the journal on a disk, or makes one on an empty disk.
    ///
    /// `from` is a head that is known to have been durable, such as the one that the index has
    /// applied: only what is behind it is read, so that opening takes milliseconds whatever the
    /// size. `None` reads everything. A group that was being written when the power went is cut;
    /// damage is reported in [`Opened`] and by [`Reader::scan`].
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        disk: D,
        options: Options,
        from: Option<Head>,
    ) -> Result<(Self, Opened), OpenError> {
        crate::open::open(disk, options, from)
    }

    pub(crate) fn from_parts(parts: Parts<D>) -> Self {
        let Parts { disk, options, head, segment, reader, poison, lock, sealed } = parts;
        let serial_at_open = first_serial(head.group);
        let shared = ArrivalsShared {
            disk: Arc::clone(&disk),
            inline_bytes_max: options.inline_body_bytes_max,
            zstd_level: options.zstd_level,
            next_serial: serial_at_open.into(),
            poison: Arc::clone(&poison),
        };
        let arrivals = Arrivals { shared: Arc::new(shared) };
        let group = Group::new(&head);
        Self {
            disk,
            options,
            head,
            segment,
            group,
            reader,
            arrivals,
            poison,
            sealed,
            serial_at_open,
            _lock: lock,
        }
    }

    /// Adds a body to the group. It is durable, and can be read at this place, after the next
    /// [`Journal::sync`] that returns `Ok`.
    ///
    /// # Errors
    /// [`AppendError`]; the group is then as before.
    pub fn append_body(&mut self, body: &Body) -> Result<Position, AppendError> {
        let (header, stored) = body.frame();
        self.append(header, stored)
    }

    /// Adds a record to the group; `seq` is one more than that of the record before it.
    ///
    /// # Errors
    /// [`AppendError`]; the group is then as before.
    pub fn append_record(
        &mut self,
        seq: RecordSeq,
        payload: &[u8],
    ) -> Result<Position, AppendError> {
        if payload.len() > RECORD_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes: payload.len(), max: RECORD_BYTES_MAX });
        }
        let last = self.group.last_seq;
        if last.0.checked_add(1) != Some(seq.0) {
            return Err(AppendError::OutOfOrder { seq, last });
        }
        let bytes = payload.len() as u32;
        let hash = *blake3::hash(payload).as_bytes();
        let header = FrameHeader {
            kind: Kind::Record,
            zstd: false,
            masked: false,
            stored: bytes,
            raw: bytes,
            seq: seq.0,
            hash,
        };
        let at = self.append(header, payload)?;
        self.group.last_seq = seq;
        Ok(at)
    }

    fn append(&mut self, mut header: FrameHeader, stored: &[u8]) -> Result<Position, AppendError> {
        self.poison.check()?;
        let frame_bytes = FRAME_HEADER_BYTES + header.space();
        let group_bytes = self.group.bytes.len() + frame_bytes + COMMIT_FRAME_BYTES;
        if group_bytes > GROUP_BYTES_MAX || self.group.frames >= GROUP_FRAMES_MAX {
            return Err(AppendError::GroupFull);
        }
        if self.group.frames == 0 {
            self.begin_group()?;
        }
        header.masked = needs_mask(stored);
        let group = &mut self.group;
        let begin = group.bytes.len();
        let encoded = header.encode();
        group.chain.add(&encoded);
        group.bytes.extend_from_slice(&encoded);
        group.bytes.extend_from_slice(stored);
        if header.masked {
            mask(&header.hash, &mut group.bytes[begin + FRAME_HEADER_BYTES..]);
        }
        group.bytes.resize(begin + frame_bytes, 0);
        group.frames += 1;
        Ok(group.start.plus(begin as u64))
    }

    /// Chooses the group's segment: a group lies in one, and a new one is begun only between
    /// groups.
    fn begin_group(&mut self) -> Result<(), CreateError> {
        // The current segment is another than the head's where it was made for a group that was
        // abandoned: it is still empty, and the next group goes there.
        let bytes = self.options.segment_bytes;
        if self.segment.number == self.head.end.segment && self.head.end.offset >= bytes {
            let number = self.segment.number + 1;
            self.segment = create_segment(&*self.disk, number, bytes, &self.poison)?;
        }
        self.group.start = if self.segment.number == self.head.end.segment {
            self.head.end
        } else {
            Position::first_of(self.segment.number)
        };
        Ok(())
    }

    /// Writes the group with its commit frame and syncs: the commit. On `Ok` everything appended
    /// is durable and can be read. Without anything appended it does nothing.
    ///
    /// # Errors
    /// [`SyncError`]; the group is abandoned either way.
    pub fn sync(&mut self) -> Result<Head, SyncError> {
        self.poison.check()?;
        if self.group.frames == 0 {
            return Ok(self.head);
        }
        self.commit()
    }

    /// Writes a group without frames, which proves on disk that the last one was durable: damage
    /// in that can then not be mistaken for a torn write. For when there is a quiet moment, and
    /// before stopping. Costs a sync, unless the last group is such a one already.
    ///
    /// # Errors
    /// [`SyncError`].
    pub fn seal(&mut self) -> Result<Head, SyncError> {
        self.sync()?;
        if self.sealed {
            return Ok(self.head);
        }
        self.begin_group()?;
        self.commit()
    }

    fn commit(&mut self) -> Result<Head, SyncError> {
        let next = self.close_group();
        let written = self.write_group();
        if let Err(source) = written {
            let bytes = self.group.bytes.len();
            self.abandon();
            return Err(SyncError::Write { segment: self.segment.number, bytes, source });
        }
        if let Err(cause) = self.segment.file.sync_data() {
            let poisoned = self.poison.set("syncing the journal", &cause);
            self.abandon();
            return Err(SyncError::Poisoned(poisoned));
        }
        self.segment.stale_until = 0;
        self.sealed = self.group.frames == 0;
        self.head = next;
        self.reader.set_head(next);
        self.arrivals.shared.next_serial.fetch_max(first_serial(next.group), Ordering::Relaxed);
        self.abandon();
        Ok(next)
    }

    /// Adds the commit frame; returns the head once it is durable.
    fn close_group(&mut self) -> Head {
        let group = &mut self.group;
        let commit = Commit {
            group: self.head.group + 1,
            frames: group.frames,
            previous_end: self.head.end,
            previous_chain: self.head.chain,
            first_seq: self.head.last_seq.0 + 1,
            last_seq: group.last_seq.0,
            chain: group.chain.finish(),
        };
        group.bytes.extend_from_slice(&commit.encode());
        commit.head(group.start.plus(group.bytes.len() as u64))
    }

    /// Writes the group in one call.
    ///
    /// A failure here costs this group and nothing else: no byte of it was synced or is believed,
    /// the head stays, and the bytes that did get written cannot be taken for a group. The commit
    /// frame is the last of them, so a write cut short has none; should it be there all the same
    /// when the power goes, the group is whole, was never acknowledged, and being there is allowed.
    /// The next group goes to the same place and writes zeros over what it does not cover; until
    /// those are synced, stale frames behind it do not continue its chain and number.
    fn write_group(&mut self) -> std::io::Result<()> {
        let (group, segment) = (&mut self.group, &mut self.segment);
        let end = group.start.offset + group.bytes.len() as u64;
        if end > segment.allocated {
            // So that a full disk is met here, before the write.
            let grow =
                (end - segment.allocated).next_multiple_of(self.options.segment_bytes / GROW_PART);
            segment.file.allocate(segment.allocated, grow)?;
            segment.allocated += grow;
        }
        let stale = segment.stale_until.saturating_sub(end) as usize;
        segment.stale_until = segment.stale_until.max(end);
        debug_assert!(stale.is_multiple_of(ALIGN_BYTES as usize));
        group.bytes.resize(group.bytes.len() + stale, 0);
        segment.file.write_at(group.start.offset, &group.bytes)
    }

    /// Drops what was appended since the last sync.
    pub fn abandon(&mut self) {
        let mut bytes = std::mem::take(&mut self.group.bytes);
        bytes.clear();
        bytes.shrink_to(BUFFER_KEPT_BYTES);
        self.group = Group { bytes, ..Group::new(&self.head) };
    }

    /// The durable end.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Number of the next record to append.
    #[must_use]
    pub const fn next_seq(&self) -> RecordSeq {
        RecordSeq(self.group.last_seq.0 + 1)
    }

    /// Bytes that wait for the next sync.
    #[must_use]
    pub fn group_bytes(&self) -> usize {
        self.group.bytes.len()
    }

    /// For reading, from any thread.
    #[must_use]
    pub fn reader(&self) -> Reader<D> {
        self.reader.clone()
    }

    /// For taking bodies in, from any thread.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals<D> {
        self.arrivals.clone()
    }

    /// Files of large bodies that earlier runs left: those that no record references (a crash
    /// between the file's sync and the group's) are for [`Journal::remove_body_file`]. Files of
    /// this run are left out, since their records may be on the way.
    ///
    /// # Errors
    /// What the disk says.
    pub fn body_files(&self) -> std::io::Result<Vec<BodyFile>> {
        let names = self.disk.list(crate::body::BODIES)?;
        let earlier = |file: &BodyFile| file.serial < self.serial_at_open;
        Ok(names.iter().filter_map(|name| BodyFile::from_name(name)).filter(earlier).collect())
    }

    /// Removes a body file. Only for one that nothing references.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove_body_file(&self, file: BodyFile) -> std::io::Result<()> {
        self.disk.remove(&file.path())
    }
}
