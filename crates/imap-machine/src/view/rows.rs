use std::collections::HashMap;
use std::sync::Arc;

use mail_types::{Flags, ModSeq, SystemFlag, Timestamp, Uid};

/// A message of a mailbox, as the service tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its UID.
    pub uid: Uid,
    /// When it last changed.
    pub modseq: ModSeq,
    /// Its flags.
    pub flags: Flags,
    /// When it came in, to the second.
    pub internal_date: Timestamp,
    /// RFC822.SIZE.
    pub size: u32,
    /// The service's own key.
    pub mail: u64,
}

/// The same, packed: 40 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub modseq: u64,
    pub mail: u64,
    pub internal_secs: i64,
    pub uid: u32,
    pub size: u32,
    /// Index into the flag sets.
    pub flags: u32,
}

/// A set of flags that occurs in the mailbox, kept once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FlagSet {
    pub flags: Flags,
    /// As on the wire, without parentheses.
    pub text: Box<str>,
}

/// The messages of a mailbox at one moment, by UID: compact, and shared: a clone is a reference,
/// and a session that changes its own copies only if others hold it too.
#[derive(Clone, Debug, Default)]
pub struct Rows(Arc<Inner>);

#[derive(Clone, Debug, Default)]
struct Inner {
    packed: Vec<Packed>,
    sets: Vec<FlagSet>,
    /// Where flag sets without keywords are in `sets`, plus one, by their bits.
    plain: [u32; 32],
    /// The same for those with keywords.
    with_keywords: HashMap<Flags, u32>,
    highest: ModSeq,
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        self.highest_modseq() == other.highest_modseq() && self.iter().eq(other.iter())
    }
}

impl Eq for Rows {}

impl Rows {
    /// No messages; `capacity` is how many are to come.
    #[must_use]
    pub fn with_capacity(capacity: usize, highest: ModSeq) -> Self {
        Self(Arc::new(Inner { packed: Vec::with_capacity(capacity), highest, ..Inner::default() }))
    }

    /// Adds a message, or replaces the one with its UID. Cheap where UIDs ascend.
    pub fn put(&mut self, row: &Row) {
        let inner = Arc::make_mut(&mut self.0);
        let packed = Packed {
            modseq: row.modseq.0,
            mail: row.mail,
            internal_secs: row.internal_date.secs(),
            uid: row.uid.get(),
            size: row.size,
            flags: inner.intern(&row.flags),
        };
        inner.highest = inner.highest.max(row.modseq);
        match inner.packed.last() {
            Some(last) if last.uid >= packed.uid => {
                match inner.packed.binary_search_by_key(&packed.uid, |row| row.uid) {
                    Ok(place) => inner.packed[place] = packed,
                    Err(place) => inner.packed.insert(place, packed),
                }
            }
            _ => inner.packed.push(packed),
        }
    }

    /// How many messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.packed.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.packed.is_empty()
    }

    /// The highest modification sequence of the mailbox.
    #[must_use]
    pub fn highest_modseq(&self) -> ModSeq {
        self.0.highest
    }

    /// The rows, unpacked.
    pub fn iter(&self) -> impl Iterator<Item = Row> + '_ {
        (0..self.len()).map(|place| self.row(place))
    }

    /// The row at a place, unpacked.
    pub(crate) fn row(&self, place: usize) -> Row {
        let packed = &self.0.packed[place];
        Row {
            uid: uid(packed.uid),
            modseq: ModSeq(packed.modseq),
            flags: self.flag_set(packed).flags.clone(),
            internal_date: Timestamp::from_secs(packed.internal_secs),
            size: packed.size,
            mail: packed.mail,
        }
    }

    pub(crate) fn packed(&self) -> &[Packed] {
        &self.0.packed
    }

    pub(crate) fn flag_set(&self, row: &Packed) -> &FlagSet {
        &self.0.sets[row.flags as usize]
    }

    pub(crate) fn flag_sets(&self) -> &[FlagSet] {
        &self.0.sets
    }

    /// The place of a UID.
    pub(crate) fn find(&self, uid: u32) -> Option<usize> {
        self.0.packed.binary_search_by_key(&uid, |row| row.uid).ok()
    }

    pub(crate) fn set_highest(&mut self, highest: ModSeq) {
        if highest > self.0.highest {
            Arc::make_mut(&mut self.0).highest = highest;
        }
    }

    /// Removes the rows at these places, which ascend.
    pub(crate) fn remove(&mut self, places: &[usize]) {
        let Some(&first) = places.first() else { return };
        let packed = &mut Arc::make_mut(&mut self.0).packed;
        let mut gone = places.iter().copied().peekable();
        let mut to = first;
        for from in first..packed.len() {
            if gone.next_if_eq(&from).is_none() {
                packed[to] = packed[from];
                to += 1;
            }
        }
        packed.truncate(to);
    }
}

impl Inner {
    /// The index of a flag set, kept once however many messages have it.
    fn intern(&mut self, flags: &Flags) -> u32 {
        let bits = usize::from(flags.system_bits());
        if flags.keywords().is_empty() && self.plain[bits] > 0 {
            return self.plain[bits] - 1;
        }
        if let Some(&index) = self.with_keywords.get(flags) {
            return index;
        }
        // Sets that no message has any more are cleared out before they outnumber the messages.
        if self.sets.len() > 2 * self.packed.len() + 64 {
            self.rebuild_sets();
        }
        self.add_set(flags.clone())
    }

    fn add_set(&mut self, flags: Flags) -> u32 {
        // Proven: there are at most twice as many sets as messages, whose number fits 32 bits.
        let index = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.sets.push(FlagSet { text: flags.to_string().into(), flags: flags.clone() });
        if flags.keywords().is_empty() {
            self.plain[usize::from(flags.system_bits())] = index + 1;
        } else {
            self.with_keywords.insert(flags, index);
        }
        index
    }

    fn rebuild_sets(&mut self) {
        let old = std::mem::take(&mut self.sets);
        self.plain = [0; 32];
        self.with_keywords.clear();
        let mut moved: Vec<Option<u32>> = vec![None; old.len()];
        let mut packed = std::mem::take(&mut self.packed);
        for row in &mut packed {
            let from = row.flags as usize;
            row.flags = match moved[from] {
                Some(to) => to,
                None => *moved[from].insert(self.add_set(old[from].flags.clone())),
            };
        }
        self.packed = packed;
    }
}

impl Packed {
    pub(crate) fn has(&self, rows: &Rows, flag: SystemFlag) -> bool {
        rows.flag_set(self).flags.has(flag)
    }
}

/// The UID of a row.
pub(crate) fn uid(number: u32) -> Uid {
    // Proven: rows are made from `Row`, whose UID is not 0.
    Uid::new(number).unwrap_or(Uid::FIRST)
}
