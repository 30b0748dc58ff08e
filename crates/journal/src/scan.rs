use std::collections::VecDeque;
use std::fmt;
use std::io;

use mail_types::{BodyHash, RecordSeq};

use crate::body::BodyFile;
use crate::frame::{
    COMMIT_FRAME_BYTES, Chain, Commit, FRAME_HEADER_BYTES, FrameHeader, GROUP_BYTES_MAX,
    GROUP_FRAMES_MAX, Kind, Payload, SEGMENT_HEADER_BYTES, segment_header,
};
use crate::window::Window;
use crate::{Disk, Head, Position, Reader};

/// One thing found by a [`Scan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A record of a durable group.
    Record {
        /// Its number.
        seq: RecordSeq,
        /// Its bytes.
        payload: Vec<u8>,
        /// Where its frame begins.
        at: Position,
    },
    /// A body of a durable group; its bytes are read with [`Reader::read_body`].
    Body {
        /// BLAKE3 of its bytes.
        hash: BodyHash,
        /// Its bytes.
        size: u64,
        /// Where its frame begins.
        at: Position,
        /// The file it lies in, if it has one. The scan does not open it ([`Reader::check`] does).
        file: Option<BodyFile>,
        /// Whether it was purged.
        purged: bool,
    },
    /// The end of a durable group.
    Commit {
        /// The head after it.
        head: Head,
    },
    /// Something that was durable and is not what was written.
    Damage(Damage),
    /// Bytes behind the last durable group, of one that never became durable: [`crate::Journal`]
    /// cuts them when it is opened. The last of the scan.
    TornTail(TornTail),
}

/// Bytes that were durable and are not what was written. What lies around them is still read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins.
    pub at: Position,
    /// How many bytes are concerned; 0 where that is not known.
    pub bytes: u64,
    /// What is wrong.
    pub kind: DamageKind,
}

/// What is wrong with damaged bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// The segment's file is not there.
    SegmentMissing,
    /// The segment's file cannot be opened.
    SegmentUnreadable(String),
    /// The segment's own header is wrong. Its frames are read all the same.
    SegmentHeader,
    /// The disk says that it cannot read these bytes.
    Unreadable(String),
    /// No frame begins where one did; records and bodies in these bytes are lost.
    NoFrame,
    /// A record with a whole header and a wrong payload.
    Record {
        /// Its number.
        seq: RecordSeq,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A body with a whole header and a wrong payload.
    Body {
        /// BLAKE3 of the bytes it had.
        hash: BodyHash,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Whole frames whose group is not closed by the commit frame that belongs there. They are
    /// handed out, but their order and completeness are not proved.
    Chain,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.at)?;
        match &self.kind {
            DamageKind::SegmentMissing => f.write_str("the segment is missing"),
            DamageKind::SegmentUnreadable(cause) => {
                write!(f, "the segment cannot be opened ({cause})")
            }
            DamageKind::SegmentHeader => f.write_str("the header of the segment is wrong"),
            DamageKind::Unreadable(cause) => {
                write!(f, "{} bytes cannot be read ({cause})", self.bytes)
            }
            DamageKind::NoFrame => write!(f, "{} bytes are no frames any more", self.bytes),
            DamageKind::Record { seq, what } => write!(f, "record {seq} is lost: {what}"),
            DamageKind::Body { hash, what } => write!(f, "body {hash} is lost: {what}"),
            DamageKind::Chain => write!(f, "{} bytes do not follow the chain", self.bytes),
        }
    }
}

/// Bytes behind the last durable group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The first of them that is not zero.
    pub at: Position,
    /// Up to the last of them that is not zero.
    pub bytes: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {} that never became durable", self.bytes, self.at)
    }
}

/// Goes through a journal, group by group. A group's entries come out only once its commit frame
/// is found right, or once a later group proves that it was durable. Holds one group in memory.
pub struct Scan<D: Disk> {
    reader: Reader<D>,
    head: Head,
    /// Where an open journal ends: durable without further proof, and what is behind is not ours.
    limit: Option<Head>,
    last_segment: u32,
    window: Option<(u32, Window<D::File>)>,
    queue: VecDeque<Entry>,
    suspects: VecDeque<Damage>,
    salvage: Option<Salvage>,
    /// Last segment of which missing or a wrong header was reported.
    reported_segment: u32,
    /// Up to here, unreadable bytes were reported.
    reported_until: Position,
    /// Where the last group began, if it was read: `open` makes it durable once more.
    last_group: Option<LastGroup>,
    done: bool,
}

/// What `open` must know of the last group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastGroup {
    pub start: Position,
    /// It is a seal.
    pub empty: bool,
}

/// A stretch between two points known to be durable, in which groups cannot be followed.
struct Salvage {
    at: Position,
    to: Head,
}

/// A group that is closed as it should be.
struct Group {
    entries: Vec<Entry>,
    start: Position,
    head: Head,
    /// Some payload is wrong.
    damaged: bool,
}

impl<D: Disk> Iterator for Scan<D> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        // Each turn hands out an entry, moves on in the journal, or ends.
        loop {
            if let Some(entry) = self.queue.pop_front() {
                return Some(entry);
            }
            if self.done {
                return None;
            }
            match self.salvage.take() {
                Some(salvage) => self.salvage_step(salvage),
                None => self.group_step(),
            }
            self.note_unreadable();
        }
    }
}

impl<D: Disk> Scan<D> {
    pub(crate) fn new(reader: Reader<D>, head: Head, limit: Option<Head>) -> Self {
        let mut queue = VecDeque::new();
        let last_segment = match limit {
            Some(limit) => limit.end.segment,
            None => reader.last_segment().unwrap_or_else(|cause| {
                let kind = DamageKind::SegmentUnreadable(cause.to_string());
                queue.push_back(Entry::Damage(Damage { at: head.end, bytes: 0, kind }));
                head.end.segment
            }),
        };
        Self {
            reader,
            head,
            limit,
            last_segment,
            window: None,
            queue,
            suspects: VecDeque::new(),
            salvage: None,
            reported_segment: 0,
            reported_until: Position { segment: 0, offset: 0 },
            last_group: None,
            done: false,
        }
    }

    /// The head behind the last group read.
    pub(crate) const fn head(&self) -> Head {
        self.head
    }

    /// Where the last group read began; `None` where none was.
    pub(crate) const fn last_group(&self) -> Option<LastGroup> {
        self.last_group
    }

    fn group_step(&mut self) {
        if self.limit.is_some_and(|limit| self.head.group >= limit.group) {
            self.done = true;
            self.report_suspects();
            return;
        }
        let here = self.head.end;
        let next_segment = Position::first_of(here.segment.saturating_add(1));
        let mut group = self.read_group(here);
        if group.is_none() && next_segment.segment <= self.last_segment {
            group = self.read_group(next_segment);
        }
        match group {
            // A wrong payload in the last group may be a torn write; in any other it is damage.
            Some(group) if !group.damaged || self.is_proved(&group) => {
                self.head = group.head;
                self.report_suspects();
                self.last_group =
                    Some(LastGroup { start: group.start, empty: group.entries.is_empty() });
                self.queue.extend(group.entries);
                self.queue.push_back(Entry::Commit { head: group.head });
            }
            _ => match self.find_proof(here, self.head.group + 2) {
                Some(proof) => {
                    let to = Head {
                        end: proof.previous_end,
                        group: proof.group - 1,
                        last_seq: RecordSeq(proof.first_seq.saturating_sub(1)),
                        chain: proof.previous_chain,
                    };
                    self.salvage = Some(Salvage { at: here, to });
                }
                None => match self.limit {
                    Some(limit) => self.salvage = Some(Salvage { at: here, to: limit }),
                    None => self.tail(),
                },
            },
        }
    }

    fn is_proved(&mut self, group: &Group) -> bool {
        match self.limit {
            Some(_) => true,
            None => self.find_proof(group.head.end, group.head.group + 1).is_some(),
        }
    }

    /// The group that follows the head and begins at `start`; `None` where there is none, or where
    /// its frames cannot be followed to the commit frame that belongs there.
    fn read_group(&mut self, start: Position) -> Option<Group> {
        let expected = self.head;
        let mut chain = Chain::begin(&expected.chain, expected.group + 1);
        let mut group = Group { entries: Vec::new(), start, head: expected, damaged: false };
        let mut last_seq = expected.last_seq;
        let mut at = start;
        for frames in 0..=GROUP_FRAMES_MAX {
            let header = self.window(start.segment)?.header(at.offset)?;
            let end = at.plus((FRAME_HEADER_BYTES + header.space()) as u64);
            if end.offset - start.offset > GROUP_BYTES_MAX as u64 {
                return None;
            }
            let window = self.window(start.segment)?;
            let space = window.bytes(at.offset + FRAME_HEADER_BYTES as u64, header.space());
            if header.kind == Kind::Commit {
                let commit = Commit::decode(&header, space)?;
                let follows = commit.group == expected.group + 1
                    && commit.frames == frames
                    && commit.previous_end == expected.end
                    && commit.previous_chain == expected.chain
                    && commit.first_seq == expected.last_seq.0 + 1
                    && commit.last_seq == last_seq.0
                    && commit.chain == chain.finish();
                group.head = commit.head(end);
                return follows.then_some(group);
            }
            chain.add(&header.encode());
            if header.kind == Kind::Record {
                (header.seq == last_seq.0 + 1).then_some(())?;
                last_seq = RecordSeq(header.seq);
            }
            let entry = entry_of(at, &header, header.payload(space));
            group.damaged |= matches!(entry, Entry::Damage(_));
            group.entries.push(entry);
            at = end;
        }
        None
    }

    /// Queues what the disk could not read since asked last.
    fn note_unreadable(&mut self) {
        let Some((segment, window)) = &mut self.window else { return };
        if let Some((offset, bytes, cause)) = window.take_unreadable() {
            let at = Position { segment: *segment, offset };
            if at >= self.reported_until {
                self.reported_until = at.plus(bytes);
                let kind = DamageKind::Unreadable(cause.to_string());
                self.queue.push_back(Entry::Damage(Damage { at, bytes, kind }));
            }
        }
    }

    /// A commit frame from `from` on that proves its predecessor durable: of group `group_min` or
    /// a later one. A group is written only once the one before it is synced.
    fn find_proof(&mut self, from: Position, group_min: u64) -> Option<Commit> {
        let mut at = from;
        for segment in from.segment..=self.last_segment {
            if segment != at.segment {
                at = Position::first_of(segment);
            }
            let (limit, head) = (self.limit, self.head);
            let Some(window) = self.window(segment) else { continue };
            let end = match limit {
                Some(limit) if limit.end.segment == segment => limit.end.offset,
                _ => window.len(),
            };
            while let Some((offset, header)) = window.find_header(at.offset, end) {
                let space =
                    window.bytes(offset + FRAME_HEADER_BYTES as u64, header.space()).to_vec();
                let here = Position { segment, offset };
                if let Some(commit) = Commit::decode(&header, &space)
                    && commit.group >= group_min
                    && (head.end..=here).contains(&commit.previous_end)
                {
                    return Some(commit);
                }
                at = here.plus(crate::frame::ALIGN_BYTES);
            }
        }
        None
    }

    /// Handles one frame, or one gap, of a stretch whose groups cannot be followed.
    fn salvage_step(&mut self, salvage: Salvage) {
        let Salvage { at, to } = salvage;
        if at >= to.end {
            self.head = to;
            self.report_suspects();
            self.last_group = None;
            return;
        }
        let last = at.segment == to.end.segment;
        let Some(window) = self.window(at.segment) else {
            return self.go_on(Position::first_of(at.segment + 1), to);
        };
        let end = if last { to.end.offset } else { window.len() };
        let Some(header) = window
            .header(at.offset)
            .filter(|header| at.offset + (FRAME_HEADER_BYTES + header.space()) as u64 <= end)
        else {
            return self.salvage_gap(at, end, last, to);
        };
        let space = window.bytes(at.offset + FRAME_HEADER_BYTES as u64, header.space());
        let entry = match header.kind {
            Kind::Commit if Commit::decode(&header, space).is_some() => {
                let kind = DamageKind::Chain;
                Entry::Damage(Damage { at, bytes: COMMIT_FRAME_BYTES as u64, kind })
            }
            Kind::Commit => {
                let kind = DamageKind::NoFrame;
                Entry::Damage(Damage { at, bytes: COMMIT_FRAME_BYTES as u64, kind })
            }
            _ => entry_of(at, &header, header.payload(space)),
        };
        self.queue.push_back(entry);
        self.go_on(at.plus((FRAME_HEADER_BYTES + header.space()) as u64), to);
    }

    /// Passes over bytes that are no frame, up to the next one.
    fn salvage_gap(&mut self, at: Position, end: u64, last: bool, to: Head) {
        let Some(window) = self.window(at.segment) else { return };
        let data = window.find_data(at.offset, end);
        let next = window.find_header(at.offset + crate::frame::ALIGN_BYTES, end);
        let until = next.map_or(end, |(offset, _)| offset);
        // The unused end of a segment is no damage, unless the stretch goes on in it.
        if data.is_some() || next.is_some() || last {
            let bytes = until.saturating_sub(at.offset);
            self.queue.push_back(Entry::Damage(Damage { at, bytes, kind: DamageKind::NoFrame }));
        }
        let next = match next {
            Some((offset, _)) => Position { segment: at.segment, offset },
            None if last => to.end,
            None => Position::first_of(at.segment + 1),
        };
        self.go_on(next, to);
    }

    fn go_on(&mut self, at: Position, to: Head) {
        self.salvage = Some(Salvage { at, to });
    }

    /// Says what lies behind the last durable group, and ends.
    fn tail(&mut self) {
        self.done = true;
        self.report_suspects();
        // A file that is there and cannot be opened may hold anything.
        for damage in std::mem::take(&mut self.suspects) {
            if matches!(damage.kind, DamageKind::SegmentUnreadable(_)) {
                self.queue.push_back(Entry::Damage(damage));
            }
        }
        let mut from = self.head.end;
        for segment in self.head.end.segment..=self.last_segment {
            if segment != from.segment {
                from = Position::first_of(segment);
            }
            let Some(window) = self.window(segment) else { continue };
            let end = window.len();
            let Some(first) = window.find_data(from.offset, end) else { continue };
            let mut last = first;
            while let Some(more) = window.find_data(last + crate::frame::ALIGN_BYTES, end) {
                last = more;
            }
            let bytes = last + crate::frame::ALIGN_BYTES - first;
            let at = Position { segment, offset: first };
            self.queue.push_back(Entry::TornTail(TornTail { at, bytes }));
        }
    }

    /// The window on a segment; reports a segment that cannot be opened, or has a wrong header,
    /// when it is first looked at.
    fn window(&mut self, segment: u32) -> Option<&mut Window<D::File>> {
        if self.window.as_ref().is_none_or(|(open, _)| *open != segment) {
            self.window = None;
            let at = Position { segment, offset: 0 };
            match self.reader.segment(segment).and_then(Window::new) {
                Ok(mut window) => {
                    let header = window.bytes(0, SEGMENT_HEADER_BYTES as usize);
                    if *header != segment_header(segment) {
                        let (bytes, kind) = (SEGMENT_HEADER_BYTES, DamageKind::SegmentHeader);
                        self.report(Damage { at, bytes, kind });
                    }
                    self.window = Some((segment, window));
                }
                Err(cause) => {
                    let kind = match cause.kind() {
                        io::ErrorKind::NotFound => DamageKind::SegmentMissing,
                        _ => DamageKind::SegmentUnreadable(cause.to_string()),
                    };
                    self.report(Damage { at, bytes: 0, kind });
                }
            }
        }
        self.window.as_mut().map(|(_, window)| window)
    }

    /// Keeps damage of a whole segment until it is known whether that segment holds a group: one
    /// that was being made when the power went is none.
    fn report(&mut self, damage: Damage) {
        if damage.at.segment > self.reported_segment {
            self.reported_segment = damage.at.segment;
            self.suspects.push_back(damage);
        }
    }

    fn report_suspects(&mut self) {
        let reached = if self.head.group > 0 { self.head.end.segment } else { 0 };
        while let Some(damage) = self.suspects.pop_front_if(|damage| damage.at.segment <= reached) {
            self.queue.push_back(Entry::Damage(damage));
        }
    }
}

fn entry_of(at: Position, header: &FrameHeader, payload: Payload) -> Entry {
    let hash = BodyHash(header.hash);
    let size = u64::from(header.raw);
    let bytes = (FRAME_HEADER_BYTES + header.space()) as u64;
    let seq = RecordSeq(header.seq);
    match (header.kind, payload) {
        (Kind::Record, Payload::Whole(payload)) => Entry::Record { seq, payload, at },
        (Kind::Record, Payload::Bad(what)) => {
            Entry::Damage(Damage { at, bytes, kind: DamageKind::Record { seq, what } })
        }
        (_, Payload::Bad(what)) => {
            Entry::Damage(Damage { at, bytes, kind: DamageKind::Body { hash, what } })
        }
        (kind, payload) => {
            let file = (kind == Kind::BodyFile).then_some(BodyFile { hash, serial: header.seq });
            let purged = matches!(payload, Payload::Purged);
            Entry::Body { hash, size, at, file, purged }
        }
    }
}
