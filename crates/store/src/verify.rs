//! The proof: reads the whole journal and the index, changes nothing, and needs no server. It may
//! run beside one: the index is read as of one moment, and compared with the journal up to the head
//! of that moment; the journal itself is checked to its end.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use journal::{
    BodyFile, DamageKind, Disk, Entry as JournalEntry, Head, Position, Reader, RealDisk,
};
use ledger::HeadsCheck;
use mail_types::{BodyHash, CustodyId, RecordSeq};

use crate::StoreError;
use crate::custody::CustodyState;
use crate::index::Index;
use crate::record::{Entry, Outcome, Record};
use crate::sql::{Executor, SqlError};
use crate::sqlite::Sqlite;
use crate::verify_heads;
use crate::verify_mailboxes::{check_mailboxes, check_usage};
use crate::verify_purged::{self, Holes};
use crate::verify_rows::compare;

/// Violations told one by one; the rest is counted.
const VIOLATIONS_TOLD_MAX: usize = 100;

/// What must hold. The numbers are those of the design's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// I1: the journal is whole: no gap, every checksum right, every older head a prefix.
    JournalWhole,
    /// I2: each custody has exactly one state.
    OneState,
    /// I3: a custody is open exactly where it has one queue row with a due time.
    OpenIsQueued,
    /// I4: every referenced body exists with its size and hash.
    BodyThere,
    /// I5: each returned custody names a DSN that is itself accepted, or why none was due.
    ReturnedTold,
    /// I6: each delivered custody has its message, or a later move, expunge or deletion of it.
    DeliveredThere,
    /// I7: each relayed custody holds a 2yz reply.
    RelayedReply,
    /// I8: no attempt is left without an outcome: one that is open is still in the queue.
    AttemptOutcome,
    /// I9: UIDs grow, UIDNEXT is above all, and counts equal recomputed ones.
    Counts,
    /// I10: nothing in retention or legal hold is purged, nor anything that somebody has.
    PurgedRightly,
    /// I11: accepted = delivered + relayed + returned + held + expanded + purged + open.
    Balance,
    /// I13: an index rebuilt from the journal equals the live one, row for row.
    IndexEqual,
    /// I14: what is kept of a message is what its body gives; it may be missing, but not another.
    ExtractEqual,
}

impl Invariant {
    /// Every invariant that is checked.
    pub const ALL: [Self; 13] = [
        Self::JournalWhole,
        Self::OneState,
        Self::OpenIsQueued,
        Self::BodyThere,
        Self::ReturnedTold,
        Self::DeliveredThere,
        Self::RelayedReply,
        Self::AttemptOutcome,
        Self::Counts,
        Self::PurgedRightly,
        Self::Balance,
        Self::IndexEqual,
        Self::ExtractEqual,
    ];

    /// `I1` to `I14`.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            Self::JournalWhole => "I1",
            Self::OneState => "I2",
            Self::OpenIsQueued => "I3",
            Self::BodyThere => "I4",
            Self::ReturnedTold => "I5",
            Self::DeliveredThere => "I6",
            Self::RelayedReply => "I7",
            Self::AttemptOutcome => "I8",
            Self::Counts => "I9",
            Self::PurgedRightly => "I10",
            Self::Balance => "I11",
            Self::IndexEqual => "I13",
            Self::ExtractEqual => "I14",
        }
    }

    /// What holds, in one line.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::JournalWhole => "the journal is whole",
            Self::OneState => "every custody is in exactly one state",
            Self::OpenIsQueued => "open custodies and queue rows are the same",
            Self::BodyThere => "every body is there with its size and hash",
            Self::ReturnedTold => "every return names its report, or why none was due",
            Self::DeliveredThere => {
                "every delivered message is there, or was taken out in a record"
            }
            Self::RelayedReply => "every relayed message has the remote's 2yz reply",
            Self::AttemptOutcome => "every attempt has an outcome",
            Self::Counts => "UIDs and counts are right",
            Self::PurgedRightly => "what is purged was nobody's, and kept long enough",
            Self::Balance => "the sums of all states balance",
            Self::IndexEqual => "the index equals one rebuilt from the journal",
            Self::ExtractEqual => "what is kept of messages is what their bodies give",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What should.
    pub invariant: Invariant,
    /// What was found.
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Records read.
    pub records: u64,
    /// Bodies read and hashed.
    pub bodies: u64,
    /// Bytes of those bodies.
    pub body_bytes: u64,
    /// Messages accepted.
    pub mails: u64,
    /// Custodies by state.
    pub states: BTreeMap<&'static str, u64>,
    /// Attempts under way, or under way when the server stopped: normal until the next start.
    pub attempts_open: u64,
    /// The first of what does not hold.
    pub violations: Vec<Violation>,
    /// How many there are in all.
    pub violations_count: u64,
    /// What was cut, or will be at the next start: groups that nobody was told of.
    pub torn_tail: Option<String>,
}

impl Report {
    /// Whether everything holds.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.violations_count == 0
    }

    pub(crate) fn add(&mut self, invariant: Invariant, what: impl Into<String>) {
        self.violations_count += 1;
        if self.violations.len() < VIOLATIONS_TOLD_MAX {
            self.violations.push(Violation { invariant, what: what.into() });
        }
    }
}

/// Checks everything; `scratch` is a directory for the index that is rebuilt beside the live one,
/// and `progress` hears how many records were read so far.
///
/// # Errors
/// Where it cannot be checked: the directory cannot be read, or there is no space for the rebuilt
/// index. What does not hold is no error but in the [`Report`].
pub fn verify(
    root: &Path,
    scratch: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, StoreError> {
    verify_against(root, scratch, &[], progress)
}

/// The same, against signed heads that were kept elsewhere, too: each with its name and text.
///
/// # Errors
/// As [`verify`].
pub fn verify_against(
    root: &Path,
    scratch: &Path,
    elsewhere: &[(String, String)],
    progress: &mut dyn FnMut(u64),
) -> Result<Report, StoreError> {
    let index_path = crate::open::index_path(root);
    verify_all(RealDisk::new(root), &index_path, scratch, elsewhere, progress)
}

/// The same on any disk.
///
/// # Errors
/// As [`verify`].
pub fn verify_on<D: Disk>(
    disk: D,
    index_path: &Path,
    scratch: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, StoreError> {
    verify_all(disk, index_path, scratch, &[], progress)
}

fn verify_all<D: Disk>(
    disk: D,
    index_path: &Path,
    scratch: &Path,
    elsewhere: &[(String, String)],
    progress: &mut dyn FnMut(u64),
) -> Result<Report, StoreError> {
    let reader = Reader::look(disk);
    let mut report = Report::default();
    // Read before the journal: a head that is signed meanwhile may be of records behind its scan.
    let heads = verify_heads::open(index_path, elsewhere, &mut report);
    let live = match Sqlite::open_reader(index_path) {
        Ok(mut sql) => {
            sql.batch("BEGIN")?;
            Index::load(sql).unwrap_or_else(|error| {
                report.add(Invariant::IndexEqual, format!("the index cannot be read: {error}"));
                None
            })
        }
        Err(error) => {
            report.add(Invariant::IndexEqual, format!("the index cannot be opened: {error}"));
            None
        }
    };
    let mut live = match live {
        Some(mut index) => {
            let applied = index.applied()?.unwrap_or(Head::START);
            Some(Live { sql: index.sql, applied })
        }
        None => None,
    };
    let mut rebuilt = Index::create(Sqlite::open_scratch(&scratch.join("verify.sqlite"))?)?;
    rebuilt.begin()?;
    compare_at(&mut live, &Head::START, &mut rebuilt, &mut report)?;
    let mut reading = Reading {
        reader: &reader,
        rebuilt: &mut rebuilt,
        live: &mut live,
        report: &mut report,
        heads,
        holes: Holes::new(),
    };
    let head = reading.journal(progress)?;
    let (heads, holes) = (reading.heads, reading.holes);
    verify_heads::finish(heads, &mut report);
    rebuilt.commit(&head)?;
    verify_purged::check_end(holes, &reader, &mut rebuilt.sql, &mut report)?;
    check_custodies(&mut rebuilt.sql, &mut report)?;
    check_mailboxes(&mut rebuilt.sql, &mut report)?;
    check_usage(&mut rebuilt, &mut report)?;
    crate::verify_extract::check(index_path, &reader, &mut rebuilt.sql, &mut report)?;
    if let Some(Live { applied, .. }) = live {
        report.add(
            Invariant::IndexEqual,
            format!("the index stands at {applied}, which the journal does not have"),
        );
    }
    Ok(report)
}

/// The live index, until the journal's head is reached that it stands for.
struct Live {
    sql: Sqlite,
    applied: Head,
}

/// Compares the live index with the one that is rebuilt, where that stands for the same head. The
/// live one lags behind the journal for a moment, or since a crash.
fn compare_at(
    live: &mut Option<Live>,
    head: &Head,
    rebuilt: &mut Index<Sqlite>,
    report: &mut Report,
) -> Result<(), StoreError> {
    if let Some(mut live) = live.take_if(|live| live.applied == *head) {
        rebuilt.commit(head)?;
        compare(&mut live.sql, &mut rebuilt.sql, report)?;
        rebuilt.begin()?;
    }
    Ok(())
}

/// A journal while it is read: checked, and made into an index.
struct Reading<'a, D: Disk> {
    reader: &'a Reader<D>,
    rebuilt: &'a mut Index<Sqlite>,
    live: &'a mut Option<Live>,
    report: &'a mut Report,
    heads: Option<HeadsCheck>,
    /// Bodies that are purged on the disk.
    holes: Holes,
}

/// How often the end is looked for while a server goes on writing.
const PASSES_MAX: usize = 64;

/// The bodies of the group that is read, by place.
type Bodies = HashMap<(u32, u64), (BodyHash, u64)>;

impl<D: Disk> Reading<'_, D> {
    /// Reads the journal to its end; answers the head that was reached.
    fn journal(&mut self, progress: &mut dyn FnMut(u64)) -> Result<Head, StoreError> {
        let mut reached = Head::START;
        // Listed before the frames are read: what is accepted meanwhile is no orphan.
        let body_files = self.reader.body_files().unwrap_or_else(|error| {
            let what = format!("the body files cannot be listed: {error}");
            self.report.add(Invariant::BodyThere, what);
            Vec::new()
        });
        let (mut bodies, mut frames, mut last_seal) = (Bodies::new(), 0_u64, 0);
        let mut whole = true;
        // A server that runs goes on writing, and may purge a body that was read already by a record
        // behind the end of then. Damage is told of once.
        for _ in 0..PASSES_MAX {
            let from = (reached != Head::START).then_some(reached);
            let before = reached;
            self.report.torn_tail = None;
            for found in self.reader.scan(from) {
                match found {
                    JournalEntry::Record { seq, payload, at } => {
                        frames += 1;
                        if let Some(heads) = &mut self.heads {
                            heads.record(seq, blake3::hash(&payload).as_bytes());
                        }
                        self.record(seq, &payload, at, &bodies)?;
                        if self.report.records.is_multiple_of(10_000) {
                            progress(self.report.records);
                        }
                    }
                    JournalEntry::Body { hash, size, at, file, .. } => {
                        frames += 1;
                        if let Some(file) = file {
                            self.rebuilt.body_file(file)?;
                        }
                        self.report.bodies += 1;
                        self.report.body_bytes += size;
                        bodies.insert((at.segment, at.offset), (hash, size));
                        if let Err(error) =
                            verify_purged::check_body(self.reader, at, &mut self.holes)
                        {
                            self.report.add(Invariant::BodyThere, error.to_string());
                        }
                    }
                    JournalEntry::Commit { head } => {
                        reached = head;
                        // A body belongs to a record of its own group.
                        bodies.clear();
                        // Every start and every stop leaves a group without frames.
                        if frames == 0 {
                            last_seal = head.group;
                        }
                        frames = 0;
                        compare_at(self.live, &head, self.rebuilt, self.report)?;
                    }
                    JournalEntry::Damage(damage) => {
                        whole = false;
                        let invariant = match damage.kind {
                            DamageKind::Body { .. } => Invariant::BodyThere,
                            DamageKind::Record { .. } => {
                                self.damaged_record(damage.at);
                                Invariant::JournalWhole
                            }
                            _ => Invariant::JournalWhole,
                        };
                        self.report.add(invariant, damage.to_string());
                    }
                    JournalEntry::TornTail(tail) => self.report.torn_tail = Some(tail.to_string()),
                }
            }
            if reached == before || !whole {
                break;
            }
        }
        self.orphans(body_files, last_seal)?;
        Ok(reached)
    }

    /// The header of a damaged record is whole: heads that were signed over it can be checked.
    fn damaged_record(&mut self, at: Position) {
        if let Some(heads) = &mut self.heads
            && let Ok(Some(header)) = self.reader.record_header(at)
        {
            heads.record(header.seq, &header.hash);
        }
    }

    fn record(
        &mut self,
        seq: RecordSeq,
        payload: &[u8],
        at: Position,
        bodies: &Bodies,
    ) -> Result<(), StoreError> {
        let report = &mut *self.report;
        report.records += 1;
        if seq.0 != report.records {
            let what = format!("record {} is missing before {seq}", report.records);
            report.add(Invariant::JournalWhole, what);
            report.records = seq.0;
        }
        match Entry::decode(payload) {
            Ok(entry) => {
                check_entry(&entry, bodies, report);
                verify_purged::check_record(&entry, self.reader, &mut self.rebuilt.sql, report)?;
                if let Err(error) = self.rebuilt.apply(&entry, seq, at.into()) {
                    let what = format!("record {seq} contradicts those before it: {error}");
                    report.add(Invariant::JournalWhole, what);
                }
            }
            Err(error) => report.add(Invariant::JournalWhole, format!("record {seq}: {error}")),
        }
        Ok(())
    }

    /// Those of the last run may be on their way; the next start removes what is left of them.
    fn orphans(&mut self, files: Vec<BodyFile>, last_seal: u64) -> Result<(), StoreError> {
        for file in files {
            if file.began_before(last_seal) && !self.rebuilt.has_body_file(file)? {
                let what = format!("the body file {} is named by no frame", file.hash);
                self.report.add(Invariant::BodyThere, what);
            }
        }
        Ok(())
    }
}

/// What one record shows on its own.
fn check_entry(entry: &Entry, bodies: &Bodies, report: &mut Report) {
    match &entry.record {
        Record::Accepted(mail) => {
            report.mails += 1;
            let at = (mail.body_at.segment, mail.body_at.offset);
            match bodies.get(&at) {
                Some((hash, size)) if *hash == mail.body_hash && *size == mail.body_bytes => {}
                Some(_) => report.add(
                    Invariant::BodyThere,
                    format!("message {}: its body is another one", mail.mail),
                ),
                None => report.add(
                    Invariant::BodyThere,
                    format!("message {}: no body where its record says", mail.mail),
                ),
            }
            if mail.custodies.is_empty() {
                let what = format!("message {} has no recipient", mail.mail);
                report.add(Invariant::OneState, what);
            }
        }
        Record::Attempted { custody, outcome, .. } => check_outcome(*custody, outcome, report),
        Record::Tried(tried) => {
            for (custody, outcome) in &tried.outcomes {
                check_outcome(*custody, outcome, report);
            }
        }
        _ => {}
    }
}

fn check_outcome(custody: CustodyId, outcome: &Outcome, report: &mut Report) {
    if let Outcome::Relayed { reply, .. } = outcome
        && !matches!(reply.code, 200..=299)
    {
        let what = format!("custody {custody} counts as relayed on the reply “{reply}”");
        report.add(Invariant::RelayedReply, what);
    }
}

/// Runs a query that finds what should not be, and adds a violation for each row.
pub(crate) fn none(
    sql: &mut Sqlite,
    report: &mut Report,
    invariant: Invariant,
    what: &str,
    query: &'static str,
) -> Result<(), SqlError> {
    sql.query(query, &[], &mut |row| {
        report.add(invariant, format!("{what}: {}", row.int(0)?));
        Ok(())
    })
}

fn check_custodies(sql: &mut Sqlite, report: &mut Report) -> Result<(), SqlError> {
    for (invariant, what, query) in crate::audit::OPEN {
        none(sql, report, *invariant, what, query)?;
    }
    none(
        sql,
        report,
        Invariant::OneState,
        "custody that is held until a time that nobody knows",
        "SELECT custody FROM held WHERE held_by = 'future' AND release_at IS NULL",
    )?;
    none(
        sql,
        report,
        Invariant::ReturnedTold,
        "the report about this custody was never accepted",
        "SELECT id FROM custody WHERE report IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM mail WHERE mail.id = custody.report)",
    )?;
    none(
        sql,
        report,
        Invariant::DeliveredThere,
        "delivered custody whose message is neither there nor taken out in a record",
        "SELECT id FROM custody WHERE state = 1 AND NOT EXISTS (SELECT 1 FROM message \
         WHERE message.mailbox = custody.mailbox AND message.uid = custody.uid \
         AND message.mail = custody.mail) AND NOT EXISTS (SELECT 1 FROM expunged \
         WHERE expunged.mailbox = custody.mailbox AND expunged.uid = custody.uid \
         AND expunged.mail = custody.mail)",
    )?;
    none(
        sql,
        report,
        Invariant::AttemptOutcome,
        "custody with an uncertain or open attempt that is neither settled nor to be tried again",
        "SELECT custody FROM queue WHERE (begun = 1 OR uncertain = 1) AND NOT EXISTS \
         (SELECT 1 FROM custody WHERE custody.id = queue.custody AND custody.state = 0)",
    )?;
    let begun = sql.number("SELECT count(*) FROM queue WHERE begun = 1", &[])?;
    report.attempts_open = begun.unwrap_or(0).cast_unsigned();
    let mut sum = 0;
    for state in CustodyState::ALL {
        let count = sql
            .number("SELECT count(*) FROM custody WHERE state = $1", &[state.code().into()])?
            .unwrap_or(0)
            .cast_unsigned();
        report.states.insert(state.word(), count);
        sum += count;
    }
    let all = sql.number("SELECT count(*) FROM custody", &[])?.unwrap_or(0).cast_unsigned();
    if sum != all {
        report
            .add(Invariant::Balance, format!("{all} custodies, but {sum} in all states together"));
    }
    Ok(())
}
