//! The one writer. Everything that waits is performed as one group: each job checks its change
//! against the index and records facts, the group goes to the journal in one write and one sync,
//! and only behind that sync does anybody hear that something is so.
//!
//! The order, and why a crash at any point is harmless:
//! 1. jobs apply their records to the index inside an open transaction (readers see none of it);
//! 2. the journal writes and syncs the group: from here on it is true;
//! 3. answers go out, receipts among them;
//! 4. the index transaction is committed, at the latest a moment later, or sooner when a reader
//!    asks. A crash before it loses nothing: the start replays the journal behind the index.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::task::Waker;
use std::time::{Duration, Instant};

use journal::{
    Body, DamageKind, Disk, Entry as JournalEntry, Head, Journal, Position, PunchError, Reader,
    SyncError,
};
use mail_types::{RecordSeq, Timestamp};

use crate::effects::Effects;
use crate::index::Index;
use crate::live::Live;
use crate::record::{Actor, Entry, Place, Record};
use crate::shared::Shared;
use crate::sql::{Executor, SqlError};
use crate::sqlite::Sqlite;
use crate::witness::Witness;
use crate::{Refused, StoreError};

/// Jobs in one group: a bound on how long the first of them waits for the last.
const GROUP_JOBS_MAX: usize = 512;
/// Bytes of a group after which no further job joins it. What the largest job adds still fits into
/// the journal's limit of 32 MiB.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// Frames of a group after which no further job joins it; the journal's limit is 65,536.
const GROUP_FRAMES_MAX: usize = 16_384;
/// How long a group waits at a time for those who came with the last one, and how often. Together
/// one millisecond, which is what a sync takes on many disks.
const GATHER_WAIT: Duration = Duration::from_micros(250);
const GATHER_WAITS_MAX: u32 = 4;
/// One group in so many waits for twice as many as came last.
const GROUPS_PER_PROBE: u32 = 16;
/// Records after which the index is committed even if nobody asks.
const INDEX_RECORDS_MAX: usize = 4096;
/// Records after which a replay commits what it has: a replay that is killed goes on from there.
const REPLAY_RECORDS_MAX: u64 = 20_000;

/// Proof that the group a job was part of is synced. Only this file can make one.
pub struct Synced(RecordSeq);

impl Synced {
    /// The last record of the group.
    pub const fn seq(&self) -> RecordSeq {
        self.0
    }
}

/// What a job leaves to be done when its group's fate is known.
pub type Finish = Box<dyn FnOnce(Result<&Synced, &StoreError>) + Send>;
/// A change: checks, records, and says how to answer. Without anything to work with it only says
/// how to answer, which is then with an error.
pub type Job = Box<dyn FnOnce(Option<&mut Work<'_>>) -> Finish + Send>;

/// What the writer is asked.
pub enum Request {
    /// Part of the next group.
    Job(Job),
    /// Make everything acknowledged visible to readers.
    Publish(oneshot::Sender<()>),
    /// Take bodies off the disk, whose purge is durable.
    Punch {
        /// Their places.
        bodies: Vec<Position>,
        /// Hears when it is done, or why it could not be.
        done: oneshot::Sender<Result<(), String>>,
    },
    /// Write damaged bytes once more.
    Mend(Box<crate::healing::Mending>),
    /// Stop when everything asked before is done.
    Stop,
}

/// What a job may use.
pub struct Work<'a> {
    /// The index, with everything that jobs before this one did.
    pub index: &'a mut Index<Sqlite>,
    /// The time of the group.
    pub now: Timestamp,
    journal: &'a mut dyn Append,
    records: &'a mut usize,
    frames: &'a mut usize,
    failure: &'a mut Option<StoreError>,
    seq: &'a mut RecordSeq,
    effects: &'a mut Effects,
    /// Which handle asks, among those whose watchers hear of changes.
    pub origin: Option<u64>,
    /// The open mailboxes, with everything that jobs before this one did.
    pub live: &'a mut Live,
}

/// The part of the journal that a job needs, whatever disk is below.
trait Append {
    fn body(&mut self, body: &Body) -> Result<Place, StoreError>;
    fn record(&mut self, seq: RecordSeq, bytes: &[u8]) -> Result<Place, StoreError>;
}

impl<D: Disk> Append for Journal<D> {
    fn body(&mut self, body: &Body) -> Result<Place, StoreError> {
        Ok(self.append_body(body)?.into())
    }

    fn record(&mut self, seq: RecordSeq, bytes: &[u8]) -> Result<Place, StoreError> {
        Ok(self.append_record(seq, bytes)?.into())
    }
}

impl Work<'_> {
    /// Writes a body into the group.
    ///
    /// # Errors
    /// Where the journal cannot; the whole group then fails.
    pub fn body(&mut self, body: &Body) -> Result<Place, Refused> {
        let at = self.journal.body(body).map_err(|error| self.fail(error))?;
        *self.frames += 1;
        if let Some(file) = body.file()
            && let Err(error) = self.index.body_file(file)
        {
            return Err(self.fail(error.into()));
        }
        Ok(at)
    }

    /// The number that the next record has.
    pub const fn next_seq(&self) -> RecordSeq {
        RecordSeq(self.seq.0 + 1)
    }

    /// How much was added to the group so far, by this job and those before it.
    pub const fn frames(&self) -> usize {
        *self.frames
    }

    /// Makes `record` so. Check before: what is recorded is true.
    ///
    /// # Errors
    /// Where journal or index cannot; the whole group then fails.
    pub fn record(&mut self, actor: &Actor, record: Record) -> Result<(), Refused> {
        let entry = Entry { at: self.now, actor: actor.clone(), record };
        self.append(entry).map_err(|error| self.fail(error))
    }

    fn append(&mut self, entry: Entry) -> Result<(), StoreError> {
        let bytes = entry.encode()?;
        let seq = RecordSeq(self.seq.0 + 1);
        let at = self.journal.record(seq, &bytes)?;
        *self.seq = seq;
        *self.records += 1;
        *self.frames += 1;
        self.effects.add(&entry.record, self.origin);
        self.live.apply(entry, self.index, (seq, at))?;
        Ok(())
    }

    /// A failure of ours inside a job takes the group with it: half a job must not become true.
    pub fn fail(&mut self, error: StoreError) -> Refused {
        let text = error.to_string();
        self.failure.get_or_insert(error);
        Refused::Unavailable(text)
    }
}

/// The writer's thread.
pub struct Writer<D: Disk> {
    pub journal: Journal<D>,
    pub index: Index<Sqlite>,
    /// The open mailboxes.
    pub live: Live,
    pub shared: Arc<Shared>,
    pub requests: Receiver<Request>,
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// How long the index may lag when nobody reads.
    pub index_commit_interval: Duration,
    /// Who else must have a group before anybody is told of it.
    pub witness: Option<Arc<dyn Witness>>,
    pub seq: RecordSeq,
    pub open: Option<OpenTransaction>,
    /// The index could not be brought back after a failure: it must not be written before it is.
    pub index_lost: bool,
    /// Jobs that the next group waits for, if they come soon.
    pub expected: usize,
    /// Groups so far, for expecting more now and then.
    pub groups: u32,
}

/// The index transaction that is open.
pub struct OpenTransaction {
    since: Instant,
    records: usize,
}

impl<D: Disk> Writer<D> {
    /// Works until told to stop, or until every handle is gone.
    pub fn run(mut self) {
        while let Some(request) = self.next_request() {
            match request {
                Request::Job(job) => {
                    if !self.group(job) {
                        break;
                    }
                }
                Request::Publish(done) => {
                    self.publish();
                    // Nobody waits any more: then nobody needs to know.
                    done.send(()).ok();
                }
                Request::Punch { bodies, done } => {
                    // Nobody waits any more: the next start asks again.
                    done.send(self.punch(&bodies)).ok();
                }
                Request::Mend(mending) => self.mend(*mending),
                Request::Stop => break,
            }
        }
        self.seal();
        self.publish();
    }

    /// Takes purged bodies off the disk. One whose frame is damaged has no bytes that anybody could
    /// read; it is told of by `verify`, and keeps no other one.
    fn punch(&mut self, bodies: &[Position]) -> Result<(), String> {
        let punched = match self.journal.punch_all(bodies) {
            Err(PunchError::Read(_)) => {
                bodies.iter().try_for_each(|&at| match self.journal.punch(at) {
                    Err(PunchError::Read(error)) => {
                        tracing::warn!(%error, "a purged body cannot be taken off the disk");
                        Ok(())
                    }
                    punched => punched,
                })
            }
            punched => punched,
        };
        punched.map_err(|error| {
            if let PunchError::Poisoned(poisoned) = &error {
                self.shared.stop(&poisoned.to_string());
            }
            error.to_string()
        })
    }

    /// Proves the last group durable, so that damage to it can never be taken for a torn write.
    fn seal(&mut self) {
        if self.shared.stopped().is_none()
            && let Err(error) = self.journal.seal()
        {
            // Everything acknowledged is durable all the same; the next start proves it.
            tracing::warn!(%error, "the journal could not be sealed");
        }
    }

    /// The next request, committing the index when it has lagged long enough.
    fn next_request(&mut self) -> Option<Request> {
        loop {
            let Some(open) = &self.open else { return self.requests.recv().ok() };
            let age = open.since.elapsed();
            if age >= self.index_commit_interval || open.records >= INDEX_RECORDS_MAX {
                self.publish();
                continue;
            }
            match self.requests.recv_timeout(self.index_commit_interval - age) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Performs `first` and everything that waits behind it as one group. False: asked to stop.
    fn group(&mut self, first: Job) -> bool {
        let mut group = Group::default();
        let (mut publish, mut punches, mut mends) = (Vec::new(), Vec::new(), Vec::new());
        let mut waits = 0;
        let mut go_on = true;
        if let Err(error) = self.begin() {
            // Nothing may be applied outside a transaction: readers would see it at once.
            group.finishes.push(first(None));
            group.failure = Some(error);
        } else {
            let mut next = Some(first);
            while let Some(job) = next.take() {
                self.perform(job, &mut group);
                if group.is_full(self.journal.group_bytes()) {
                    break;
                }
                match self.one_more(group.finishes.len(), &mut waits) {
                    Some(Request::Job(job)) => next = Some(job),
                    Some(Request::Publish(done)) => publish.push(done),
                    Some(Request::Punch { bodies, done }) => punches.push((bodies, done)),
                    Some(Request::Mend(mending)) => mends.push(mending),
                    Some(Request::Stop) => go_on = false,
                    None => {}
                }
            }
        }
        self.note_size(group.finishes.len());
        self.finish_group(group);
        for (bodies, done) in punches {
            done.send(self.punch(&bodies)).ok();
        }
        mends.into_iter().for_each(|mending| self.mend(*mending));
        if !publish.is_empty() {
            self.publish();
            publish.into_iter().for_each(|done| {
                done.send(()).ok();
            });
        }
        go_on
    }

    /// What waits already, or, while fewer came than last time, what comes in a moment: as many
    /// senders as last time are probably on their way, and one sync serves them all. A lone sender
    /// is never waited for.
    fn one_more(&self, have: usize, waits: &mut u32) -> Option<Request> {
        loop {
            match self.requests.try_recv() {
                Ok(request) => return Some(request),
                Err(_) if have >= self.expected || *waits == GATHER_WAITS_MAX => return None,
                Err(_) => {
                    *waits += 1;
                    std::thread::sleep(GATHER_WAIT);
                }
            }
        }
    }

    /// Learns how many to expect: as many as now, and now and then twice as many, to notice that
    /// there are more.
    fn note_size(&mut self, jobs: usize) {
        self.groups = self.groups.wrapping_add(1);
        let probe = if self.groups.is_multiple_of(GROUPS_PER_PROBE) { 2 } else { 1 };
        self.expected = if jobs < 2 { 0 } else { jobs * probe };
    }

    fn perform(&mut self, job: Job, group: &mut Group) {
        let mut work = Work {
            index: &mut self.index,
            now: (self.clock)(),
            journal: &mut self.journal,
            records: &mut group.records,
            frames: &mut group.frames,
            failure: &mut group.failure,
            seq: &mut self.seq,
            effects: &mut group.effects,
            origin: None,
            live: &mut self.live,
        };
        // A job that panics has done half of something: the group fails, the server goes on.
        match std::panic::catch_unwind(AssertUnwindSafe(|| job(Some(&mut work)))) {
            Ok(finish) => group.finishes.push(finish),
            Err(_) => {
                group.failure.get_or_insert(StoreError::Panicked);
            }
        }
    }

    fn finish_group(&mut self, group: Group) {
        let Group { records, failure, effects, finishes, .. } = group;
        let outcome = match failure {
            None if records == 0 => Ok(()),
            None => {
                let begun = Instant::now();
                let synced = self.journal.sync().map(|_| ()).map_err(StoreError::Sync);
                if synced.is_ok() {
                    self.shared.counts.synced(records, begun.elapsed());
                }
                synced
            }
            Some(error) => Err(error),
        };
        match outcome {
            Ok(()) => {
                if let Some(open) = &mut self.open {
                    open.records += records;
                }
                if records > 0 {
                    self.shared.acknowledged.store(self.seq.0, Ordering::Release);
                    self.shared.note_quotas(self.index.take_quota_news());
                    self.shared.add_queue_news(self.seq, self.index.take_queue_news());
                    self.shared.tell(&self.index, effects);
                }
                let wake = self.live.publish(&self.shared.views);
                self.acknowledge(Synced(self.seq), records, finishes);
                // Whoever made the change knows it; those who only watch hear of it behind them.
                wake.into_iter().for_each(Waker::wake);
            }
            Err(error) => {
                tracing::error!(%error, "nothing of this group was accepted");
                self.shared.alarm(&error);
                self.live.roll_back();
                self.recover(&error);
                finishes.into_iter().for_each(|finish| finish(Err(&error)));
            }
        }
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        if let Some(reason) = self.shared.stopped() {
            return Err(StoreError::Stopped(reason));
        }
        if self.index_lost {
            self.reload()?;
        }
        if self.open.is_none() {
            self.index.begin()?;
            self.open = Some(OpenTransaction { since: Instant::now(), records: 0 });
        }
        Ok(())
    }

    /// Commits the index, so that readers see everything acknowledged.
    fn publish(&mut self) {
        if self.index_lost
            && let Err(error) = self.reload()
        {
            tracing::error!(%error, "the index still cannot be brought up to the journal");
        }
        if self.open.is_some() {
            let head = self.journal.head();
            let applied = self.live.apply_deferred(&mut self.index);
            match applied.and_then(|()| self.index.commit(&head)) {
                Ok(()) => {
                    self.open = None;
                    self.shared.published.store(self.seq.0, Ordering::Release);
                    self.live.clear_out();
                }
                Err(error) => {
                    let error = StoreError::from(error);
                    tracing::error!(%error, "the index could not be committed");
                    self.shared.alarm(&error);
                    self.recover(&error);
                }
            }
        }
    }

    /// After a failure: forgets what was not synced, and brings the index back to what the journal
    /// says. Where that fails too (a full disk), the next group or reader tries it again first.
    /// After a failed sync nothing is accepted any more.
    fn recover(&mut self, error: &StoreError) {
        self.journal.abandon();
        if let StoreError::Sync(SyncError::Poisoned(_)) = error {
            self.shared.stop(&error.to_string());
        }
        self.open = None;
        if let Err(again) = self.reload() {
            tracing::error!(error = %again, "the index could not be brought up to the journal");
            self.shared.alarm(&again);
        }
    }

    fn reload(&mut self) -> Result<(), StoreError> {
        self.index_lost = true;
        // Fails where no transaction is open, which is what is wanted then.
        self.index.sql.batch("ROLLBACK").ok();
        let sql = Sqlite::open_writer(&self.shared.index_path)?;
        let mut index = Index::load(sql)?.ok_or(StoreError::IndexMissing)?;
        let applied = index.applied()?;
        let replayed = replay(&mut index, &self.journal.reader(), applied, &self.journal.head())?;
        if !replayed.damage.is_empty() {
            self.shared.alarm(&StoreError::Damaged(replayed.damage.join("; ")));
        }
        self.index = index;
        self.live.forget_deferred();
        self.index_lost = false;
        self.index.queue_news = Some(Vec::new());
        self.shared.note_quotas(self.index.take_quota_news());
        self.seq = self.journal.head().last_seq;
        self.shared.published.store(self.seq.0, Ordering::Release);
        Ok(())
    }
}

/// A group while its jobs are performed.
#[derive(Default)]
struct Group {
    records: usize,
    frames: usize,
    failure: Option<StoreError>,
    effects: Effects,
    finishes: Vec<Finish>,
}

impl Group {
    fn is_full(&self, bytes: usize) -> bool {
        self.failure.is_some()
            || self.finishes.len() >= GROUP_JOBS_MAX
            || self.frames >= GROUP_FRAMES_MAX
            || bytes >= GROUP_BYTES_MAX
    }
}

/// What a replay did.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Records applied.
    pub records: u64,
    /// What could not be read. The records around it are applied: a lost record takes only its own
    /// change with it, and is named here, in the alarm, and by `verify` until it is mended.
    pub damage: Vec<String>,
    /// Some of it the disk could not read now and may read another time.
    pub unreadable: bool,
}

/// Damage told one by one; the rest is counted by `verify`.
const DAMAGE_TOLD_MAX: usize = 100;

/// Applies to the index what the journal holds behind `applied`, up to `head`.
pub fn replay<D: Disk, E: Executor>(
    index: &mut Index<E>,
    reader: &Reader<D>,
    applied: Option<Head>,
    head: &Head,
) -> Result<Replayed, StoreError> {
    let mut replayed = Replayed::default();
    if applied.as_ref() == Some(head) {
        return Ok(replayed);
    }
    index.begin()?;
    let mut committed = 0;
    let mut expected = applied.as_ref().map_or(0, |applied| applied.last_seq.0) + 1;
    for found in reader.scan(applied) {
        let trouble = match found {
            JournalEntry::Record { seq, payload, at } if seq <= head.last_seq => {
                let gap = (seq.0 != expected)
                    .then(|| format!("records {expected} to {} are lost", seq.0.wrapping_sub(1)));
                index.apply(&Entry::decode(&payload)?, seq, at.into())?;
                expected = seq.0 + 1;
                replayed.records += 1;
                gap
            }
            JournalEntry::Commit { head: reached } => {
                if replayed.records >= committed + REPLAY_RECORDS_MAX && reached.group < head.group
                {
                    index.commit(&reached)?;
                    committed = replayed.records;
                    tracing::info!(records = committed, of = head.last_seq.0, "index replayed");
                    index.begin()?;
                }
                None
            }
            JournalEntry::Body { file: Some(file), .. } => {
                index.body_file(file)?;
                None
            }
            JournalEntry::Record { .. } | JournalEntry::Body { .. } | JournalEntry::TornTail(_) => {
                None
            }
            JournalEntry::Damage(damage) => {
                replayed.unreadable |= matches!(
                    damage.kind,
                    DamageKind::Unreadable(_) | DamageKind::SegmentUnreadable(_)
                );
                Some(damage.to_string())
            }
        };
        if trouble.is_some() {
            index.mark_damaged(replayed.unreadable)?;
        }
        if replayed.damage.len() < DAMAGE_TOLD_MAX {
            replayed.damage.extend(trouble);
        }
    }
    index.commit(head)?;
    Ok(replayed)
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        Self::Index(error)
    }
}
