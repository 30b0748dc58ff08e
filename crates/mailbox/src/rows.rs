use std::ops::Range;
use std::sync::Arc;

use mail_types::{Flags, ModSeq, SystemFlag, Timestamp, Uid};

use crate::flags::{FlagSet, FlagSets};
use crate::slices::Slices;

/// Messages in one chunk: what a change of one message copies at most, 20 KiB.
pub const CHUNK_ROWS_MAX: usize = 512;
/// Neighbours that have no more than this between them become one chunk.
const CHUNK_ROWS_MERGED: usize = CHUNK_ROWS_MAX / 2;
/// Flag sets beyond two for each message before those that nobody has are cleared out.
const SPARE_SETS_MAX: usize = 64;

/// A message of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its UID.
    pub uid: Uid,
    /// When it last changed.
    pub modseq: ModSeq,
    /// Its flags.
    pub flags: Flags,
    /// INTERNALDATE, to the second.
    pub internal_date: Timestamp,
    /// SAVEDATE (RFC 8514): when it came into this mailbox, to the second.
    pub saved: Timestamp,
    /// RFC822.SIZE.
    pub size: u32,
    /// The owner's own key.
    pub mail: u64,
}

/// The same, packed: 40 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// When it last changed.
    pub modseq: u64,
    /// The owner's own key.
    pub mail: u64,
    /// INTERNALDATE in seconds since 1970.
    pub internal_secs: i64,
    /// SAVEDATE in seconds since 1970.
    pub saved_secs: u32,
    /// Its UID.
    pub uid: u32,
    /// RFC822.SIZE.
    pub size: u32,
    /// Which of [`Rows::flag_sets`] it has.
    pub flags: u32,
}

impl Packed {
    /// Whether it has a system flag; `rows` are those it is from.
    #[must_use]
    pub fn has(&self, rows: &Rows, flag: SystemFlag) -> bool {
        rows.flag_set(self).flags.has(flag)
    }

    /// Its UID.
    #[must_use]
    pub fn uid(&self) -> Uid {
        // Proven: rows are made from `Row`, whose UID is not 0.
        Uid::new(self.uid).unwrap_or(Uid::FIRST)
    }
}

/// What STATUS counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages without `\Seen`.
    pub unseen: usize,
    /// Messages with `\Deleted`.
    pub deleted: usize,
    /// Octets of all messages.
    pub octets: u64,
}

/// The messages of a mailbox at one moment, by UID. A place is a sequence number less one.
#[derive(Clone, Debug, Default)]
pub struct Rows(Arc<Inner>);

type Chunk = Arc<Vec<Packed>>;

#[derive(Clone, Debug, Default)]
struct Inner {
    /// None of them empty.
    chunks: Vec<Chunk>,
    /// The place of each chunk's first row.
    starts: Vec<usize>,
    len: usize,
    /// Numbers of sets are only ever added; where that would be too many, every chunk is written
    /// anew. So a chunk that two states share means the same in both.
    sets: Arc<FlagSets>,
    counts: Counts,
    uid_validity: u32,
    uid_next: u32,
    highest: ModSeq,
}

/// Two states are equal when they say the same, however they are cut.
impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Packed, &Packed)| {
            Packed { flags: 0, ..*a } == Packed { flags: 0, ..*b }
                && self.flag_set(a).flags == other.flag_set(b).flags
        };
        self.len() == other.len()
            && self.highest_modseq() == other.highest_modseq()
            && self.uid_next() == other.uid_next()
            && self.uid_validity() == other.uid_validity()
            && self.iter().zip(other.iter()).all(same)
    }
}

impl Eq for Rows {}

impl Rows {
    /// No messages yet. `uid_next` is the least that UIDNEXT is.
    #[must_use]
    pub fn new(uid_validity: u32, uid_next: u32, highest: ModSeq) -> Self {
        Self(Arc::new(Inner { uid_validity, uid_next, highest, ..Inner::default() }))
    }

    /// How many messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// UIDVALIDITY.
    #[must_use]
    pub fn uid_validity(&self) -> u32 {
        self.0.uid_validity
    }

    /// UIDNEXT.
    #[must_use]
    pub fn uid_next(&self) -> u32 {
        self.0.uid_next
    }

    /// The UID of the last message; 0 where there is none.
    #[must_use]
    pub fn uid_max(&self) -> u32 {
        self.0.chunks.last().and_then(|chunk| chunk.last()).map_or(0, |row| row.uid)
    }

    /// HIGHESTMODSEQ.
    #[must_use]
    pub fn highest_modseq(&self) -> ModSeq {
        self.0.highest
    }

    /// What STATUS counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counts
    }

    /// Whether both are one and the same copy: nothing has changed between them.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The row at a place.
    ///
    /// # Panics
    /// Where there are not so many.
    #[must_use]
    pub fn at(&self, place: usize) -> &Packed {
        let chunk = self.chunk_of(place);
        &self.0.chunks[chunk][place - self.0.starts[chunk]]
    }

    /// The row at a place, unpacked.
    ///
    /// # Panics
    /// Where there are not so many.
    #[must_use]
    pub fn row(&self, place: usize) -> Row {
        self.unpack(self.at(place))
    }

    /// A row of this mailbox, unpacked.
    #[must_use]
    pub fn unpack(&self, packed: &Packed) -> Row {
        Row {
            uid: packed.uid(),
            modseq: ModSeq(packed.modseq),
            flags: self.flag_set(packed).flags.clone(),
            internal_date: Timestamp::from_secs(packed.internal_secs),
            saved: Timestamp::from_secs(packed.saved_secs.into()),
            size: packed.size,
            mail: packed.mail,
        }
    }

    /// All rows in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Packed> + Clone {
        self.0.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The rows at places of a range, as slices with the place of each one's first. What lies
    /// behind the end is left out.
    #[must_use]
    pub fn slices(&self, range: Range<usize>) -> Slices<'_> {
        let range = range.start..range.end.min(self.len());
        let chunk = if range.is_empty() { 0 } else { self.chunk_of(range.start) };
        Slices::new(self, chunk, range)
    }

    /// The place of a UID.
    #[must_use]
    pub fn find(&self, uid: u32) -> Option<usize> {
        let place = self.lower_bound(uid);
        (place < self.len() && self.at(place).uid == uid).then_some(place)
    }

    /// How many messages have a smaller UID: the place of the first that has this one or a greater.
    #[must_use]
    pub fn lower_bound(&self, uid: u32) -> usize {
        let chunk = self.0.chunks.partition_point(|chunk| chunk[0].uid < uid);
        let Some(chunk) = chunk.checked_sub(1) else { return 0 };
        self.0.starts[chunk] + self.0.chunks[chunk].partition_point(|row| row.uid < uid)
    }

    /// The places whose UID is in an inclusive range.
    #[must_use]
    pub fn places(&self, first: u32, last: u32) -> Range<usize> {
        let start = self.lower_bound(first);
        let end = last.checked_add(1).map_or(self.len(), |next| self.lower_bound(next));
        start..end.max(start)
    }

    /// The flags of a row.
    #[must_use]
    pub fn flag_set(&self, row: &Packed) -> &FlagSet {
        &self.0.sets.sets[row.flags as usize]
    }

    /// Every set of flags that a row may have; some may be nobody's any more.
    #[must_use]
    pub fn flag_sets(&self) -> &[FlagSet] {
        &self.0.sets.sets
    }

    /// Octets of memory that the rows take, without what the allocator adds.
    #[must_use]
    pub fn memory(&self) -> usize {
        let chunks = self.0.chunks.iter().map(|chunk| chunk.capacity() * size_of::<Packed>());
        let lists = self.0.chunks.capacity() * (size_of::<Chunk>() + size_of::<usize>());
        chunks.sum::<usize>() + lists + size_of::<Inner>()
    }

    /// The place of a chunk's first row.
    pub(crate) fn start_of(&self, chunk: usize) -> usize {
        self.0.starts[chunk]
    }

    /// Which chunk holds a place.
    fn chunk_of(&self, place: usize) -> usize {
        let starts = &self.0.starts;
        // Full chunks are the rule.
        let guess = place / CHUNK_ROWS_MAX;
        if starts.get(guess).is_some_and(|&start| start <= place)
            && starts.get(guess + 1).is_none_or(|&start| start > place)
        {
            return guess;
        }
        starts.partition_point(|&start| start <= place).saturating_sub(1)
    }
}

/// Changes. A chunk that others share is copied first; one that nobody shares is changed in place.
impl Rows {
    /// Adds a message, or replaces the one with its UID. Cheap where UIDs ascend.
    pub fn put(&mut self, row: &Row) {
        let is_last = row.uid.get() > self.uid_max();
        let place = if is_last { self.len() } else { self.lower_bound(row.uid.get()) };
        let inner = Arc::make_mut(&mut self.0);
        let flags = inner.intern(&row.flags);
        let packed = inner.pack(row, flags);
        inner.uid_next = inner.uid_next.max(packed.uid.saturating_add(1));
        if place == inner.len {
            inner.push(packed);
        } else {
            inner.put_between(place, packed);
        }
    }

    /// Adds messages that are not there, by ascending UID, anywhere between the others.
    pub fn insert_all(&mut self, rows: &[Row]) {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return };
        let inner = Arc::make_mut(&mut self.0);
        inner.uid_next = inner.uid_next.max(last.uid.get().saturating_add(1));
        let pack = |row: &Row| {
            // Not cleared out here: numbers of sets must not change before all rows are in.
            let flags = inner.find_or_add(&row.flags);
            inner.pack(row, flags)
        };
        let mut added = rows.iter().map(pack).collect::<Vec<_>>().into_iter().peekable();
        let from =
            inner.chunks.partition_point(|chunk| chunk[0].uid < first.uid.get()).saturating_sub(1);
        let behind = inner.chunks.split_off(from);
        let chunks = behind.len();
        for (at, chunk) in behind.into_iter().enumerate() {
            let end =
                if at + 1 == chunks { u32::MAX } else { chunk.last().map_or(0, |row| row.uid) };
            if added.peek().is_none_or(|row| row.uid > end) {
                inner.chunks.push(chunk);
                continue;
            }
            let mut merged = Vec::with_capacity(chunk.len());
            for row in chunk.iter() {
                while let Some(row) = added.next_if(|added| added.uid < row.uid) {
                    merged.push(row);
                }
                merged.push(*row);
            }
            while let Some(row) = added.next_if(|added| added.uid <= end) {
                merged.push(row);
            }
            let pieces = merged.chunks(CHUNK_ROWS_MAX).map(|piece| Arc::new(piece.to_vec()));
            inner.chunks.extend(pieces);
        }
        let rest: Vec<Packed> = added.collect();
        inner.chunks.extend(rest.chunks(CHUNK_ROWS_MAX).map(|piece| Arc::new(piece.to_vec())));
        inner.number(from.min(inner.starts.len()));
    }

    /// Gives messages other flags; UIDs that are not there are passed over.
    pub fn set_flags(
        &mut self,
        uids: impl IntoIterator<Item = u32>,
        flags: &Flags,
        modseq: ModSeq,
    ) {
        let inner = Arc::make_mut(&mut self.0);
        let set = inner.intern(flags);
        inner.highest = inner.highest.max(modseq);
        let (unseen, deleted) = (flag_counts(flags).unseen, flag_counts(flags).deleted);
        let mut chunk = 0;
        for uid in uids {
            // UIDs mostly ascend: the next one is mostly in the same chunk.
            if !inner.spans(chunk, uid) {
                chunk = inner.chunks.partition_point(|chunk| chunk[0].uid <= uid).saturating_sub(1);
                if !inner.spans(chunk, uid) {
                    continue;
                }
            }
            let Ok(at) = inner.chunks[chunk].binary_search_by_key(&uid, |row| row.uid) else {
                continue;
            };
            let before =
                inner.sets.sets[inner.chunks[chunk][at].flags as usize].flags.system_bits();
            let before = flag_counts(&Flags::from_parts(before, Vec::new()));
            let counts = &mut inner.counts;
            counts.unseen = counts.unseen + unseen - before.unseen;
            counts.deleted = counts.deleted + deleted - before.deleted;
            let row = &mut Arc::make_mut(&mut inner.chunks[chunk])[at];
            row.flags = set;
            row.modseq = modseq.0;
        }
    }

    /// Removes the rows at these places, which ascend.
    pub fn remove(&mut self, places: &[usize]) {
        let Some(&first) = places.first() else { return };
        let first = self.chunk_of(first);
        let inner = Arc::make_mut(&mut self.0);
        let mut places = places.iter().copied().peekable();
        let chunks = inner.chunks.split_off(first);
        let starts = inner.starts.split_off(first);
        for (mut chunk, start) in chunks.into_iter().zip(starts) {
            let end = start + chunk.len();
            if places.peek().is_some_and(|&place| place < end) {
                let rows = Arc::make_mut(&mut chunk);
                let mut at = start;
                rows.retain(|row| {
                    let is_gone = places.next_if_eq(&at).is_some();
                    at += 1;
                    if is_gone {
                        inner.counts.subtract(&inner.sets.sets[row.flags as usize], row.size);
                    }
                    !is_gone
                });
            }
            inner.keep(chunk);
        }
        inner.number(first.saturating_sub(1));
    }

    /// Raises HIGHESTMODSEQ.
    pub fn raise_modseq(&mut self, highest: ModSeq) {
        if highest > self.0.highest {
            Arc::make_mut(&mut self.0).highest = highest;
        }
    }

    /// Raises UIDNEXT.
    pub fn raise_uid_next(&mut self, uid_next: u32) {
        if uid_next > self.0.uid_next {
            Arc::make_mut(&mut self.0).uid_next = uid_next;
        }
    }

    /// The chunks.
    pub(crate) fn chunks(&self) -> &[Chunk] {
        &self.0.chunks
    }
}

fn flag_counts(flags: &Flags) -> Counts {
    Counts {
        unseen: usize::from(!flags.has(SystemFlag::Seen)),
        deleted: usize::from(flags.has(SystemFlag::Deleted)),
        octets: 0,
    }
}

impl Counts {
    fn subtract(&mut self, set: &FlagSet, size: u32) {
        let of = flag_counts(&set.flags);
        self.unseen -= of.unseen;
        self.deleted -= of.deleted;
        self.octets -= u64::from(size);
    }
}

impl Inner {
    /// A row, counted.
    fn pack(&mut self, row: &Row, flags: u32) -> Packed {
        let packed = Packed {
            modseq: row.modseq.0,
            mail: row.mail,
            internal_secs: row.internal_date.secs(),
            saved_secs: u32::try_from(row.saved.secs().max(0)).unwrap_or(u32::MAX),
            uid: row.uid.get(),
            size: row.size,
            flags,
        };
        self.highest = self.highest.max(row.modseq);
        self.count(&packed, true);
        packed
    }

    fn count(&mut self, row: &Packed, is_new: bool) {
        let set = &self.sets.sets[row.flags as usize];
        if is_new {
            let of = flag_counts(&set.flags);
            self.counts.unseen += of.unseen;
            self.counts.deleted += of.deleted;
            self.counts.octets += u64::from(row.size);
        } else {
            self.counts.subtract(set, row.size);
        }
    }

    /// Adds a row behind all others.
    fn push(&mut self, packed: Packed) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_ROWS_MAX => match Arc::get_mut(last) {
                Some(rows) => rows.push(packed),
                // Copied once, with room for what comes next.
                None => {
                    let room = (last.len() + 1).next_power_of_two().min(CHUNK_ROWS_MAX);
                    let mut rows = Vec::with_capacity(room);
                    rows.extend_from_slice(last);
                    rows.push(packed);
                    *last = Arc::new(rows);
                }
            },
            Some(_) | None => {
                self.chunks.push(Arc::new(vec![packed]));
                self.starts.push(self.len);
            }
        }
        self.len += 1;
    }

    /// Puts a row where one of the same UID is, or before the one that is there.
    fn put_between(&mut self, place: usize, packed: Packed) {
        let chunk = self.starts.partition_point(|&start| start <= place).saturating_sub(1);
        let at = place - self.starts[chunk];
        if self.chunks[chunk][at].uid == packed.uid {
            let before = self.chunks[chunk][at];
            self.count(&before, false);
            Arc::make_mut(&mut self.chunks[chunk])[at] = packed;
            return;
        }
        let rows = Arc::make_mut(&mut self.chunks[chunk]);
        rows.insert(at, packed);
        if rows.len() > CHUNK_ROWS_MAX {
            let rest = rows.split_off(rows.len() / 2);
            self.chunks.insert(chunk + 1, Arc::new(rest));
        }
        self.number(chunk);
    }

    /// Puts a chunk behind those that are kept; with a small one before it, it becomes one.
    fn keep(&mut self, mut chunk: Chunk) {
        if chunk.is_empty() {
            return;
        }
        match self.chunks.last_mut() {
            Some(last) if last.len() + chunk.len() <= CHUNK_ROWS_MERGED => {
                Arc::make_mut(last).extend_from_slice(&chunk);
            }
            Some(_) | None => {
                if chunk.capacity() > 2 * chunk.len()
                    && let Some(rows) = Arc::get_mut(&mut chunk)
                {
                    rows.shrink_to_fit();
                }
                self.chunks.push(chunk);
            }
        }
    }

    /// Says anew where chunks start, from the n-th on.
    fn number(&mut self, from: usize) {
        self.starts.truncate(from);
        let mut start = match from.checked_sub(1) {
            Some(before) => self.starts[before] + self.chunks[before].len(),
            None => 0,
        };
        for chunk in &self.chunks[from..] {
            self.starts.push(start);
            start += chunk.len();
        }
        self.len = start;
    }

    /// Whether a UID lies between the first and the last of a chunk.
    fn spans(&self, chunk: usize, uid: u32) -> bool {
        self.chunks.get(chunk).is_some_and(|rows| {
            rows[0].uid <= uid && rows.last().is_some_and(|last| last.uid >= uid)
        })
    }

    /// The number of a flag set.
    fn intern(&mut self, flags: &Flags) -> u32 {
        if let Some(index) = self.sets.find(flags) {
            return index;
        }
        // Sets that no message has any more are cleared out before they outnumber the messages.
        if self.sets.sets.len() > 2 * self.len + SPARE_SETS_MAX {
            self.rebuild_sets();
        }
        self.find_or_add(flags)
    }

    fn find_or_add(&mut self, flags: &Flags) -> u32 {
        let known = self.sets.find(flags);
        known.unwrap_or_else(|| Arc::make_mut(&mut self.sets).add(flags.clone()))
    }

    fn rebuild_sets(&mut self) {
        let old = std::mem::take(&mut self.sets);
        let mut sets = FlagSets::default();
        let mut moved: Vec<Option<u32>> = vec![None; old.sets.len()];
        for chunk in &mut self.chunks {
            for row in Arc::make_mut(chunk) {
                let from = row.flags as usize;
                row.flags = match moved[from] {
                    Some(to) => to,
                    None => *moved[from].insert(sets.add(old.sets[from].flags.clone())),
                };
            }
        }
        self.sets = Arc::new(sets);
    }
}
