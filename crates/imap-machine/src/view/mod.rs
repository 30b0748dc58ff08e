//! The selected mailbox as its session sees it: which sequence number means which message, what
//! the client has been told, and what it has yet to be told.

mod last;
mod saved;

use std::ops::Range;

use mail_types::{Flags, ModSeq, SystemFlag};
use mailbox::Packed;
pub use mailbox::{Row, Rows};

use crate::ask::Wanted;
use crate::grammar::{SeqNumber, SequenceSet, UidSet};
use crate::write::{push_number, push_text};

/// A mailbox as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// Its messages.
    pub rows: Rows,
    /// UIDs that this session is the first to be told of, and was not told of before.
    pub recent: UidSet,
}

/// Places of rows: sequence numbers less one, as sorted ranges.
pub(crate) type Places = Vec<Range<usize>>;

/// A selected mailbox. Sequence numbers stay what the client knows: a message that is gone keeps
/// its number until EXPUNGE is written. While none is gone, this is the state that all sessions on
/// the mailbox share, and not a copy.
#[derive(Clone, Debug)]
pub struct View {
    /// The newest state, and what is gone of it and not told.
    rows: Rows,
    /// The newest state.
    newest: Rows,
    recent: UidSet,
    /// Messages the client knows of.
    told: usize,
    /// Places whose flags have changed and that the client has not been told of, ascending.
    changed: Vec<usize>,
    /// UIDs that are gone while the client still counts them.
    gone: UidSet,
    /// `$`: what the last search saved, UIDs.
    saved: UidSet,
    /// RFC 9051 appendix E: nothing is told of `\Recent`.
    rev2: bool,
    /// RFC 9586: messages are told by UID alone.
    uid_only: bool,
}

impl View {
    /// A mailbox just selected; the client has been told how many messages there are.
    #[must_use]
    pub fn new(rows: Rows, recent: UidSet) -> Self {
        let (told, newest) = (rows.len(), rows.clone());
        let (gone, saved) = (UidSet::new(), UidSet::new());
        Self {
            rows,
            newest,
            recent,
            told,
            changed: Vec::new(),
            gone,
            saved,
            rev2: false,
            uid_only: false,
        }
    }

    /// The same for a client that speaks IMAP4rev2, or not.
    #[must_use]
    pub fn in_rev2(self, rev2: bool) -> Self {
        Self { rev2, ..self }
    }

    /// The same for a client that knows UIDs only (RFC 9586), or not.
    #[must_use]
    pub fn by_uid_only(self, uid_only: bool) -> Self {
        Self { uid_only, ..self }
    }

    /// `* n FETCH (`, or `* n UIDFETCH (` (RFC 9586 §3.3) with the UID.
    pub(crate) fn write_head(&self, place: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* ");
        if self.uid_only {
            push_number(out, u64::from(self.rows.at(place).uid));
            out.extend_from_slice(b" UIDFETCH (");
        } else {
            push_number(out, place as u64 + 1);
            out.extend_from_slice(b" FETCH (");
        }
    }

    /// Messages, those included that are gone and not yet told.
    #[must_use]
    pub fn exists(&self) -> usize {
        self.rows.len()
    }

    /// The highest modification sequence that the view has taken in.
    #[must_use]
    pub fn highest_modseq(&self) -> ModSeq {
        self.rows.highest_modseq()
    }

    /// UIDs by sequence number, for tests and diagnosis.
    pub fn uids(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.iter().map(|row| row.uid)
    }

    /// How many messages are `\Recent`.
    #[must_use]
    pub fn recent(&self) -> usize {
        let count = |&(first, last): &(u32, u32)| self.rows.places(first, last).len();
        self.recent.ranges().iter().map(count).sum()
    }

    /// Whether there is something that the client has not been told.
    #[must_use]
    pub fn has_news(&self, expunge_allowed: bool) -> bool {
        !self.changed.is_empty()
            || self.told != self.rows.len()
            || (expunge_allowed && !self.gone.is_empty())
    }

    /// Takes the newest state in. `expected` says of a UID, its flags before and its flags now
    /// whether the client knows the latter without being told (it asked for them with .SILENT).
    pub fn take(&mut self, newest: &Newest, mut expected: impl FnMut(u32, &Flags, &Flags) -> bool) {
        let Newest { rows: newest, recent } = newest;
        if !recent.is_empty() {
            self.recent = self.recent.ranges().iter().chain(recent.ranges()).copied().collect();
        }
        if self.newest.is_same(newest) {
            return;
        }
        let difference = self.rows.diff(newest);
        for (place, now) in difference.changed {
            // One that is new to the client is told by EXISTS, and asked for.
            if place >= self.told {
                break;
            }
            let (before, now) = (self.rows.at(place), newest.at(now));
            let uid = now.uid;
            let before = &self.rows.flag_set(before).flags;
            let now = &newest.flag_set(now).flags;
            if before != now && !expected(uid, before, now) {
                self.changed.push(place);
            }
        }
        self.changed.sort_unstable();
        self.changed.dedup();
        // What came and went before the client heard of it never was.
        let gone = difference.removed.into_iter().take_while(|&place| place < self.told);
        let gone: Vec<Row> = gone.map(|place| self.rows.row(place)).collect();
        self.newest = newest.clone();
        self.rows = newest.clone();
        self.gone = gone.iter().map(|row| row.uid.get()).collect();
        self.rows.insert_all(&gone);
    }

    /// The places whose flags the client has yet to be told; they count as told now.
    pub(crate) fn take_changed(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.changed)
    }

    /// Where messages are that are gone, at most `count_max` of them, ascending; and whether more
    /// are left.
    fn gone_places(&self, count_max: usize) -> (Vec<usize>, bool) {
        let mut places = Vec::new();
        let mut more = false;
        for &(first, last) in self.gone.ranges() {
            let gone = self.rows.places(first, last);
            let room = count_max - places.len();
            more |= gone.len() > room;
            places.extend(gone.take(room));
        }
        (places, more)
    }

    /// The client has been told that these are gone.
    fn told_gone(&mut self, places: &[usize], more: bool) {
        self.told -= places.len();
        self.changed.clear();
        if more {
            self.rows.remove(places);
        } else {
            self.rows = self.newest.clone();
            self.gone = UidSet::new();
        }
    }

    /// The same as VANISHED (RFC 7162 §3.2.10), which names UIDs.
    pub(crate) fn write_vanished(&mut self, count_max: usize, out: &mut Vec<u8>) -> bool {
        let (places, more) = self.gone_places(count_max);
        let uids: UidSet = places.iter().map(|&place| self.rows.at(place).uid).collect();
        if !uids.is_empty() {
            push_text(out, &format!("* VANISHED {uids}\r\n"));
        }
        self.told_gone(&places, more);
        more
    }

    /// Writes EXPUNGE for messages that are gone, at most `count_max` of them; returns whether more
    /// are left.
    pub fn write_expunges(&mut self, count_max: usize, out: &mut Vec<u8>) -> bool {
        let (places, more) = self.gone_places(count_max);
        // RFC 3501 §7.4.1: each EXPUNGE renumbers what follows at once.
        for (before, place) in places.iter().enumerate() {
            out.extend_from_slice(b"* ");
            push_number(out, (place + 1 - before) as u64);
            out.extend_from_slice(b" EXPUNGE\r\n");
        }
        self.told_gone(&places, more);
        more
    }

    /// Writes EXISTS and RECENT if the client does not know how many messages there are.
    pub fn write_exists(&mut self, out: &mut Vec<u8>) {
        if self.told != self.rows.len() {
            self.told = self.rows.len();
            self.write_counts(out);
        }
    }

    /// Writes EXISTS and RECENT.
    pub(crate) fn write_counts(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* ");
        push_number(out, self.rows.len() as u64);
        out.extend_from_slice(b" EXISTS\r\n");
        if self.rev2 {
            return;
        }
        out.extend_from_slice(b"* ");
        push_number(out, self.recent() as u64);
        out.extend_from_slice(b" RECENT\r\n");
    }

    /// The flags of a row in parentheses, with `\Recent` where it is.
    pub(crate) fn write_flags(&self, row: &Packed, out: &mut Vec<u8>) {
        let text = &self.rows.flag_set(row).text;
        out.push(b'(');
        if !self.rev2 && !self.recent.is_empty() && self.recent.contains(row.uid) {
            push_text(out, if text.is_empty() { "\\Recent" } else { "\\Recent " });
        }
        push_text(out, text);
        out.push(b')');
    }

    pub(crate) const fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(crate) fn is_recent(&self, uid: u32) -> bool {
        self.recent.contains(uid)
    }

    /// Whether the message is gone and the client has not been told.
    pub(crate) fn is_gone(&self, uid: u32) -> bool {
        !self.gone.is_empty() && self.gone.contains(uid)
    }

    /// How a question names the message of a row.
    pub(crate) fn wanted(row: &Packed) -> Wanted {
        Wanted { uid: row.uid(), mail: row.mail, size: row.size }
    }

    /// The place of the first message without `\Seen`.
    pub(crate) fn first_unseen(&self) -> Option<usize> {
        self.rows.iter().position(|row| !row.has(&self.rows, SystemFlag::Seen))
    }

    /// The rows that a set of the client means. `None` where it names a sequence number that no
    /// message has (RFC 3501 §9 seq-number: "should respond with a tagged BAD"). A quirk for
    /// programs that fetch 1:* of whatever they have selected: `*` in an empty mailbox is nobody,
    /// not an error.
    pub(crate) fn places(&self, set: &SequenceSet, by_uid: bool) -> Option<Places> {
        if set.is_saved() {
            return Some(self.saved_places());
        }
        let rows = &self.rows;
        if by_uid {
            if rows.is_empty() {
                return Some(Vec::new());
            }
            let places = |&(first, last): &(u32, u32)| rows.places(first, last);
            let resolved = set.resolve(rows.uid_max());
            let found = resolved.ranges().iter().map(places);
            return Some(found.filter(|range| !range.is_empty()).collect());
        }
        let exists = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let known = |end: SeqNumber| match end {
            SeqNumber::Number(number) => number.get() <= exists,
            SeqNumber::Star | SeqNumber::Saved => true,
        };
        if exists == 0 {
            let stars = set.0.iter().all(|&(a, b)| a == SeqNumber::Star || b == SeqNumber::Star);
            return stars.then(Vec::new);
        }
        if !set.0.iter().all(|&(a, b)| known(a) && known(b)) {
            return None;
        }
        let resolved = set.resolve(exists);
        Some(resolved.ranges().iter().map(|&(a, b)| a as usize - 1..b as usize).collect())
    }

    /// The sequence numbers of UIDs.
    pub(crate) fn numbers(&self, uids: &UidSet) -> UidSet {
        let places = uids.ranges().iter().map(|&(first, last)| self.rows.places(first, last));
        let there = places.filter(|places| !places.is_empty());
        there.map(|places| (places.start as u32 + 1, places.end as u32)).collect()
    }

    /// The UIDs of rows. Ranges may span numbers that no message has (any more), never ones that a
    /// message unknown to the session could get.
    pub(crate) fn uid_set(&self, places: &[Range<usize>]) -> UidSet {
        let ranges = places.iter().filter(|range| !range.is_empty());
        let uid = |place| self.rows.at(place).uid;
        ranges.map(|range| (uid(range.start), uid(range.end - 1))).collect()
    }
}
