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
use std::time::{Duration, Instant};

use journal::{Body, Disk, Entry as JournalEntry, Head, Journal, Reader, SyncError};
use mail_types::{RecordSeq, Timestamp};

use crate::index::Index;
use crate::record::{Actor, Entry, Place, Record};
use crate::shared::Shared;
use crate::sql::{Executor, SqlError};
use crate::sqlite::Sqlite;
use crate::{Refused, StoreError};

/// Jobs in one group: a bound on how long the first of them waits for the last.
const GROUP_JOBS_MAX: usize = 512;
/// Body bytes in one group.
const GROUP_BYTES_MAX: u64 = 8 << 20;
/// Records after which the index is committed even if nobody asks.
const INDEX_RECORDS_MAX: usize = 4096;

/// Proof that the group a job was part of is synced. Only this file can make one.
pub struct Synced(());

/// What a job leaves to be done when its group's fate is known.
pub type Finish = Box<dyn FnOnce(Result<&Synced, &StoreError>) + Send>;
/// A change: checks, records, and says how to answer.
pub type Job = Box<dyn FnOnce(&mut Work<'_>) -> Finish + Send>;

/// What the writer is asked.
pub enum Request {
    /// Part of the next group.
    Job(Job),
    /// Make everything acknowledged visible to readers.
    Publish(oneshot::Sender<()>),
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
    shared: &'a Shared,
    records: &'a mut usize,
    bytes: &'a mut u64,
    failure: &'a mut Option<StoreError>,
    seq: &'a mut RecordSeq,
    effects: &'a mut Vec<crate::subscription::Effect>,
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
        *self.bytes += body.size;
        self.journal.body(body).map_err(|error| self.fail(error))
    }

    /// Makes `record` so. Check before: what is recorded is true.
    ///
    /// # Errors
    /// Where journal or index cannot; the whole group then fails.
    pub fn record(&mut self, actor: &Actor, record: Record) -> Result<(), Refused> {
        let entry = Entry { at: self.now, actor: actor.clone(), record };
        self.append(&entry).map_err(|error| self.fail(error))
    }

    fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let bytes = entry.encode()?;
        let seq = RecordSeq(self.seq.0 + 1);
        let at = self.journal.record(seq, &bytes)?;
        *self.seq = seq;
        *self.records += 1;
        self.index.apply(entry, seq, at)?;
        crate::subscription::effects(entry, self.index, self.shared, self.effects)?;
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
    pub shared: Arc<Shared>,
    pub requests: Receiver<Request>,
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// How long the index may lag when nobody reads.
    pub index_commit_interval: Duration,
    pub seq: RecordSeq,
    pub open: Option<OpenTransaction>,
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
                Request::Stop => break,
            }
        }
        self.publish();
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
        let mut finishes = Vec::new();
        let mut publish = Vec::new();
        let mut effects = Vec::new();
        let mut failure = self.begin().err();
        let (mut records, mut bytes, mut go_on) = (0, 0, true);
        let mut next = Some(first);
        while let Some(job) = next.take() {
            let mut work = Work {
                index: &mut self.index,
                now: (self.clock)(),
                journal: &mut self.journal,
                shared: &self.shared,
                records: &mut records,
                bytes: &mut bytes,
                failure: &mut failure,
                seq: &mut self.seq,
                effects: &mut effects,
            };
            // A job that panics has done half of something: the group fails, the server goes on.
            match std::panic::catch_unwind(AssertUnwindSafe(|| job(&mut work))) {
                Ok(finish) => finishes.push(finish),
                Err(_) => {
                    failure.get_or_insert(StoreError::Panicked);
                }
            }
            if failure.is_some() || finishes.len() >= GROUP_JOBS_MAX || bytes >= GROUP_BYTES_MAX {
                break;
            }
            match self.requests.try_recv() {
                Ok(Request::Job(job)) => next = Some(job),
                Ok(Request::Publish(done)) => publish.push(done),
                Ok(Request::Stop) => go_on = false,
                Err(_) => {}
            }
        }
        self.finish_group(records, failure, effects, finishes);
        if !publish.is_empty() {
            self.publish();
            publish.into_iter().for_each(|done| {
                done.send(()).ok();
            });
        }
        go_on
    }

    fn finish_group(
        &mut self,
        records: usize,
        failure: Option<StoreError>,
        effects: Vec<crate::subscription::Effect>,
        finishes: Vec<Finish>,
    ) {
        let outcome = match failure {
            None if records == 0 => Ok(()),
            None => self.journal.sync().map(|_| ()).map_err(StoreError::Sync),
            Some(error) => Err(error),
        };
        match outcome {
            Ok(()) => {
                if let Some(open) = &mut self.open {
                    open.records += records;
                }
                if records > 0 {
                    self.shared.acknowledged.store(self.seq.0, Ordering::Release);
                    self.shared.tell(&self.index.directory, effects);
                }
                finishes.into_iter().for_each(|finish| finish(Ok(&Synced(()))));
            }
            Err(error) => {
                tracing::error!(%error, "nothing of this group was accepted");
                self.shared.alarm(&error);
                self.recover(&error);
                finishes.into_iter().for_each(|finish| finish(Err(&error)));
            }
        }
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        if let Some(reason) = self.shared.stopped() {
            return Err(StoreError::Stopped(reason));
        }
        if self.open.is_none() {
            self.index.begin()?;
            self.open = Some(OpenTransaction { since: Instant::now(), records: 0 });
        }
        Ok(())
    }

    /// Commits the index, so that readers see everything acknowledged.
    fn publish(&mut self) {
        if self.open.is_some() {
            let head = self.journal.head();
            match self.index.commit(&head) {
                Ok(()) => {
                    self.open = None;
                    self.shared.published.store(self.seq.0, Ordering::Release);
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
    /// says. Where that fails too, or the sync itself failed, nothing is accepted any more.
    fn recover(&mut self, error: &StoreError) {
        self.journal.abandon();
        if let StoreError::Sync(SyncError::Poisoned(_)) = error {
            self.shared.stop(&error.to_string());
        }
        self.open = None;
        if let Err(again) = self.reload() {
            self.shared.stop(&format!("{error}; and then: {again}"));
        }
    }

    fn reload(&mut self) -> Result<(), StoreError> {
        // Fails where no transaction is open, which is what is wanted then.
        self.index.sql.batch("ROLLBACK").ok();
        let sql = Sqlite::open_writer(&self.shared.index_path)?;
        let mut index = Index::load(sql)?.ok_or(StoreError::IndexMissing)?;
        let applied = index.applied()?;
        replay(&mut index, &self.journal.reader(), applied, &self.journal.head())?;
        self.index = index;
        self.seq = self.journal.head().last_seq;
        self.shared.published.store(self.seq.0, Ordering::Release);
        Ok(())
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
            JournalEntry::Record { .. }
            | JournalEntry::Body { .. }
            | JournalEntry::Commit { .. }
            | JournalEntry::TornTail(_) => None,
            JournalEntry::Damage(damage) => Some(damage.to_string()),
        };
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
