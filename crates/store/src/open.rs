use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use extract::Extract;
use journal::{Arrival, Arrivals, Disk, Journal, Reader, RealDisk};
use mail_types::{MailId, Timestamp};

use crate::archive::Retention;
use crate::commit::{Finish, Job, Replayed, Request, Synced, Work, Writer, replay};
use crate::counts::Counted;
use crate::directory::Directory;
use crate::extracting::{Extracting, extract_path};
use crate::index::Index;
use crate::live::Live;
use crate::released::DeliveryReport;
use crate::shared::{Alarm, DirectoryWake, EventWake, QueueWake, Shared};
use crate::sql::{Executor, SqlError};
use crate::sqlite::Sqlite;
use crate::witness::Witness;
use crate::{Pending, Refused, SessionId, StoreError};

/// Changes that may wait for the writer. What their bodies take is counted by who brings them.
const JOBS_WAITING_MAX: usize = 16_384;

/// How the store is opened.
pub struct Options {
    /// Of the journal.
    pub journal: journal::Options,
    /// How long the index may lag when nobody reads; default 1 s.
    pub index_commit_interval: Duration,
    /// The time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Hears of every failure of the store's own.
    pub alarm: Alarm,
    /// How long mail is kept in the archive; default a year, junk thirty days.
    pub retention: Retention,
    /// Makes the reports that are due when held mail is released into a mailbox; none: nobody is
    /// told.
    pub delivery_report: Option<DeliveryReport>,
    /// Who else must have what is acknowledged; none: nobody.
    pub witness: Option<Arc<dyn Witness>>,
}

impl Options {
    /// The defaults with this clock, and an alarm that only logs.
    #[must_use]
    pub fn new(clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        Self {
            journal: journal::Options::default(),
            index_commit_interval: Duration::from_secs(1),
            clock,
            alarm: Box::new(|_| {}),
            retention: Retention::default(),
            delivery_report: None,
            witness: None,
        }
    }
}

/// What opening found and mended.
#[derive(Clone, Debug, Default)]
pub struct Started {
    /// The directory was empty.
    pub created: bool,
    /// Records that the index was behind and has now.
    pub replayed: u64,
    /// Why the index was made anew, if it was.
    pub rebuilt: Option<String>,
    /// What was cut from the journal's end: groups that nobody was told of.
    pub cut: Vec<String>,
    /// Damage in what was read of the journal. The store works; what is damaged is named.
    pub damage: Vec<String>,
    /// Attempts that were under way when the server stopped, now marked uncertain.
    pub uncertain: u64,
}

/// A handle on the store; cheap to clone.
pub struct Store<D: Disk = RealDisk> {
    pub(crate) requests: Sender<Request>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) reader: Reader<D>,
    pub(crate) extract: Extract,
    arrivals: Arrivals<D>,
    pub(crate) taken: Arc<Mutex<crate::taken::TakenItems>>,
    /// In which order it is taken.
    pub(crate) lanes: Arc<Mutex<crate::lanes::Lanes>>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
    pub(crate) clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Whose changes these are; see [`Store::by`].
    pub(crate) origin: Option<u64>,
    pub(crate) retention: Retention,
    pub(crate) delivery_report: Option<DeliveryReport>,
    pub(crate) witness: Option<Arc<dyn Witness>>,
}

impl<D: Disk> Clone for Store<D> {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
            shared: Arc::clone(&self.shared),
            reader: self.reader.clone(),
            extract: self.extract.clone(),
            arrivals: self.arrivals.clone(),
            taken: Arc::clone(&self.taken),
            lanes: Arc::clone(&self.lanes),
            writer: Arc::clone(&self.writer),
            origin: self.origin,
            retention: self.retention,
            delivery_report: self.delivery_report.clone(),
            witness: self.witness.clone(),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<D: Disk> fmt::Debug for Store<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

/// Where the index lies in the data directory.
pub(crate) fn index_path(root: &Path) -> PathBuf {
    root.join("index.sqlite")
}

impl Store<RealDisk> {
    /// Opens the store in this directory, making it where there is none, and mends what a crash
    /// left: a torn group at the journal's end is cut, the index is brought up to the journal.
    ///
    /// # Errors
    /// Where the directory is in use, unreadable, or damaged in a way that cannot be contained.
    pub fn open(root: &Path, options: Options) -> Result<(Self, Started), StoreError> {
        std::fs::create_dir_all(root).map_err(|cause| StoreError::Io {
            doing: format!("make the directory {}", root.display()),
            cause,
        })?;
        Self::open_on(RealDisk::new(root), &index_path(root), options)
    }
}

impl<D: Disk> Store<D> {
    /// Opens the store on a disk, with its index in a file of the real one.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(
        disk: D,
        index_path: &Path,
        options: Options,
    ) -> Result<(Self, Started), StoreError> {
        let mut started = Started::default();
        // An index that cannot be read is no loss: it is made anew below.
        let (mut index, unusable) = match usable_index(index_path) {
            Ok(index) => (index, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let applied = match &mut index {
            Some(index) => index.applied()?,
            None => None,
        };
        let (journal, opened) = match Journal::open(disk, options.journal.clone(), applied) {
            Err(journal::OpenError::HeadMissing { head }) => {
                return Err(StoreError::IndexAhead(head.to_string()));
            }
            other => other?,
        };
        started.created = opened.created;
        started.cut = opened.cut.iter().map(ToString::to_string).collect();
        started.damage = opened.damage.iter().map(ToString::to_string).collect();
        let head = journal.head();
        let mut index = match index {
            Some(index) => index,
            None => {
                if !opened.created {
                    let missing = || "it was missing or of another version".to_owned();
                    started.rebuilt = Some(unusable.unwrap_or_else(missing));
                }
                fresh_index(index_path)?
            }
        };
        if started.rebuilt.is_some() {
            tracing::info!(records = head.last_seq.0, "making the index anew from the journal");
        }
        let reader = journal.reader();
        let replayed = match catch_up(&mut index, &reader, &head) {
            // An index that records do not fit into is no index of this journal.
            Err(StoreError::Index(error))
                if started.rebuilt.is_none() && crate::sqlite::is_broken(&error) =>
            {
                tracing::warn!(%error, "the index is broken: making it anew from the journal");
                started.rebuilt = Some(error.to_string());
                drop(index);
                index = fresh_index(index_path)?;
                catch_up(&mut index, &reader, &head)?
            }
            replayed => replayed?,
        };
        started.replayed = replayed.records;
        started.damage.extend(replayed.damage);
        started.damage.dedup();
        if !started.damage.is_empty() {
            (options.alarm)(&StoreError::Damaged(started.damage.join("; ")));
        }
        if started.damage.is_empty() && !index.is_damaged()? {
            remove_orphans(&journal, &mut index)?;
        }
        Ok((Self::start(journal, index, index_path, options, &mut started)?, started))
    }

    fn start(
        journal: Journal<D>,
        mut index: Index<Sqlite>,
        index_path: &Path,
        options: Options,
        started: &mut Started,
    ) -> Result<Self, StoreError> {
        let (extracting, extract) = Extracting::start(index_path, journal.reader())?;
        let shared = Arc::new(Shared::new(
            index_path.to_owned(),
            index.last.mail,
            (options.clock)().0.cast_unsigned().wrapping_mul(1000),
            Arc::clone(&index.directory),
            extracting,
            options.alarm,
        ));
        shared.note_quotas(index.take_quota_news());
        let seq = journal.head().last_seq;
        shared.acknowledged.store(seq.0, Ordering::Release);
        shared.published.store(seq.0, Ordering::Release);
        shared.mailboxes.update(index.mailboxes.keys().copied(), &index, |_, _, _| {});
        let begun = crate::queue_rows::begun(&mut index)?;
        let lanes = crate::queue_rows::lanes(&mut index)?;
        let release_at = crate::later::next_release(&mut index.sql)?;
        shared.release_at.store(release_at.map_or(i64::MAX, |at| at.0), Ordering::Release);
        let deadline = crate::late::first_deadline(&mut index.sql)?;
        shared.deadline.store(deadline.map_or(i64::MAX, |at| at.0), Ordering::Release);
        index.queue_news = Some(Vec::new());
        let (reader, arrivals) = (journal.reader(), journal.arrivals());
        let retention = options.retention;
        let (requests, inbox) = mpsc::channel();
        let writer = Writer {
            journal,
            index,
            live: Live::default(),
            shared: Arc::clone(&shared),
            requests: inbox,
            clock: Arc::clone(&options.clock),
            index_commit_interval: options.index_commit_interval,
            witness: options.witness.clone(),
            seq,
            open: None,
            expected: 0,
            groups: 0,
            index_lost: false,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|cause| StoreError::Io { doing: "start the writer".to_owned(), cause })?;
        let store = Self {
            requests,
            shared,
            reader,
            extract,
            arrivals,
            taken: Arc::default(),
            lanes: Arc::new(Mutex::new(lanes)),
            writer: Arc::new(Mutex::new(Some(thread))),
            clock: options.clock,
            origin: None,
            retention,
            delivery_report: options.delivery_report,
            witness: options.witness,
        };
        store.watch_clock()?;
        started.uncertain = begun.len() as u64;
        for begun in begun.chunks(crate::queue::CUSTODIES_PER_JOB) {
            // Only a full disk can refuse it, and then they are still found at the next start.
            if let Err(refused) = store.mark_uncertain(begun.to_vec()).wait() {
                tracing::warn!(%refused, "attempts of the last run are not marked uncertain yet");
            }
        }
        if let Err(error) = store.punch_again() {
            tracing::warn!(%error, "purged bodies are not off the disk yet: the next purge goes on");
        }
        Ok(store)
    }

    /// Finishes what was asked for, brings the index up to date and stops the writer. Every handle
    /// refuses changes from then on.
    pub fn close(&self) {
        self.requests.send(Request::Stop).ok();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the writer ended in a panic");
        }
        self.shared.extracting.stop();
    }

    /// Begins taking in a message: write its bytes, then finish. Dropping it removes it.
    #[must_use]
    pub fn arrival(&self) -> Arrival<D> {
        self.arrivals.begin()
    }

    /// The id that the next message will have. It is used up even where the message does not come.
    #[must_use]
    pub fn next_mail(&self) -> MailId {
        MailId(self.shared.last_mail.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A number for a session, which no other one of this store has: they begin with the time.
    #[must_use]
    pub fn next_session(&self) -> SessionId {
        SessionId(self.shared.last_session.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Domains, accounts, aliases and routes as of now.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.shared.directory()
    }

    /// Accepts nothing more, for this reason: every change is refused from now on, until the store
    /// is opened anew. What is acknowledged stays so.
    pub fn halt(&self, reason: &str) {
        self.shared.stop(reason);
    }

    /// Whether a message may be begun now.
    pub(crate) fn witnessed(&self) -> Result<(), Refused> {
        self.witness
            .as_ref()
            .map_or(Ok(()), |witness| witness.ready().map_err(Refused::Unavailable))
    }

    /// Why nothing is accepted any more, if so.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        self.shared.stopped()
    }

    /// What was done since the start.
    #[must_use]
    pub fn counted(&self) -> Counted {
        self.shared.counts.now()
    }

    /// Records that readers of the index do not see yet, and messages that wait to be extracted.
    #[must_use]
    pub fn behind(&self) -> (u64, usize) {
        let acknowledged = self.shared.acknowledged.load(Ordering::Acquire);
        let published = self.shared.published.load(Ordering::Acquire);
        (acknowledged.saturating_sub(published), self.shared.extracting.waiting())
    }

    /// Has `wake` called whenever the directory has changed, when it can be read already.
    pub fn on_directory(&self, wake: DirectoryWake) {
        self.shared.set_directory_wake(wake);
    }

    /// Has `wake` called whenever something may be due in the queue earlier than before.
    pub fn on_queue(&self, wake: QueueWake) {
        self.shared.set_queue_wake(wake);
    }

    /// Has `wake` called whenever something happened that [`Store::happened`] tells of.
    pub fn on_event(&self, wake: EventWake) {
        self.shared.set_event_wake(wake);
    }

    /// Has the writer perform `change` in its next group; the answer comes after the sync.
    pub(crate) fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Work<'_>) -> Result<T, Refused> + Send + 'static,
    ) -> Pending<T> {
        self.change_and(change, |value, _| value)
    }

    /// The same, with a last step behind the sync.
    pub(crate) fn change_and<T: Send + 'static, U: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Work<'_>) -> Result<T, Refused> + Send + 'static,
        behind_sync: impl FnOnce(T, &Synced) -> U + Send + 'static,
    ) -> Pending<U> {
        let (sender, receiver) = oneshot::channel();
        let (shared, origin) = (Arc::clone(&self.shared), self.origin);
        if shared.waiting.fetch_add(1, Ordering::Relaxed) >= JOBS_WAITING_MAX {
            shared.waiting.fetch_sub(1, Ordering::Relaxed);
            let text = "too many changes wait for the disk".to_owned();
            sender.send(Err(Refused::Unavailable(text))).ok();
            return Pending::new(receiver);
        }
        let job: Job = Box::new(move |work| {
            shared.waiting.fetch_sub(1, Ordering::Relaxed);
            let result = match work {
                Some(work) => {
                    work.origin = origin;
                    whole(change, work)
                }
                None => Err(Refused::Unavailable("the store has stopped".to_owned())),
            };
            let finish: Finish = Box::new(move |synced| {
                let answer = match synced {
                    Ok(synced) => result.map(|value| behind_sync(value, synced)),
                    Err(error) => Err(Refused::Unavailable(error.to_string())),
                };
                // Whoever asked may be gone: the change is made all the same.
                sender.send(answer).ok();
            });
            finish
        });
        // A writer that is gone drops the sender, which the receiver notices.
        self.requests.send(Request::Job(job)).ok();
        Pending::new(receiver)
    }

    /// Reads the index, with everything in it that was acknowledged before this call.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&mut Sqlite) -> Result<T, SqlError>,
    ) -> Result<T, StoreError> {
        let acknowledged = self.shared.acknowledged.load(Ordering::Acquire);
        if self.shared.published.load(Ordering::Acquire) < acknowledged {
            let (done, published) = oneshot::channel();
            self.requests.send(Request::Publish(done)).ok();
            // A writer that is gone has published everything at its end.
            published.recv().ok();
            if self.shared.published.load(Ordering::Acquire) < acknowledged {
                return Err(StoreError::IndexBehind);
            }
        }
        self.read_committed(read)
    }

    /// Reads the index as of its last commit.
    pub(crate) fn read_committed<T>(
        &self,
        read: impl FnOnce(&mut Sqlite) -> Result<T, SqlError>,
    ) -> Result<T, StoreError> {
        let mut sql = match self.shared.take_reader() {
            Some(sql) => sql,
            None => Sqlite::open_reader(&self.shared.index_path)?,
        };
        sql.batch("BEGIN")?;
        let result = read(&mut sql);
        sql.batch("COMMIT")?;
        self.shared.give_back_reader(sql);
        Ok(result?)
    }
}

/// The index that is there, if it is one to go on with.
pub(crate) fn usable_index(path: &Path) -> Result<Option<Index<Sqlite>>, SqlError> {
    let Some(mut index) = Index::load(Sqlite::open_writer(path)?)? else { return Ok(None) };
    if index.has_gaps()? {
        return Err(SqlError {
            doing: "use it".to_owned(),
            cause: "the disk could not read the whole journal when it was made".into(),
        });
    }
    Ok(Some(index))
}

/// Brings the index up to the journal.
fn catch_up<D: Disk>(
    index: &mut Index<Sqlite>,
    reader: &Reader<D>,
    head: &journal::Head,
) -> Result<Replayed, StoreError> {
    let applied = index.applied()?;
    replay(index, reader, applied, head)
}

/// Removes the files of large bodies that came in whole in an earlier run and were never accepted;
/// in this one none has begun yet.
/// Only where the journal was never damaged: else they may be all that is left of a message.
fn remove_orphans<D: Disk>(
    journal: &Journal<D>,
    index: &mut Index<Sqlite>,
) -> Result<(), StoreError> {
    let io = |doing: String| move |cause| StoreError::Io { doing, cause };
    for file in journal.reader().body_files().map_err(io("list the body files".to_owned()))? {
        if !index.has_body_file(file)? {
            tracing::info!(body = %file.hash, "a body that was never accepted is removed");
            let doing = format!("remove the body file of {}", file.hash);
            journal.remove_body_file(file).map_err(io(doing))?;
        }
    }
    Ok(())
}

/// Performs a change. What is refused must have recorded nothing; where it has all the same, the
/// group fails rather than half a change become true.
fn whole<T>(
    change: impl FnOnce(&mut Work<'_>) -> Result<T, Refused>,
    work: &mut Work<'_>,
) -> Result<T, Refused> {
    let before = work.frames();
    let result = change(work);
    if let Err(refused) = &result
        && work.frames() != before
    {
        return Err(work.fail(StoreError::HalfDone(refused.clone())));
    }
    result
}

/// An index with empty tables in place of whatever is there.
pub(crate) fn fresh_index(path: &Path) -> Result<Index<Sqlite>, StoreError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::Io { doing: format!("remove {}", path.display()), cause });
            }
            _ => {}
        }
    }
    Ok(Index::create(Sqlite::open_writer(path)?)?)
}

/// Makes the index anew from the journal alone; answers how many records it stands for, and what
/// could not be read. The server must not run.
///
/// # Errors
/// Where the journal cannot be read, or is damaged where a record was.
pub fn rebuild(root: &Path, options: journal::Options) -> Result<(u64, Vec<String>), StoreError> {
    let (journal, _) = Journal::open(RealDisk::new(root), options, None)?;
    let path = index_path(root);
    let mut index = fresh_index(&path)?;
    // What is kept of messages is made anew behind the next start.
    Extract::drop_all(extract_path(&path))
        .map_err(|error| StoreError::Io { doing: error.doing, cause: error.source })?;
    let replayed = replay(&mut index, &journal.reader(), None, &journal.head())?;
    Ok((replayed.records, replayed.damage))
}
