//! The thread that puts messages in: first those of earlier runs, at the pace it is given, and each
//! new one as it comes. Nobody waits for it; a search says what it has not come to yet.

mod chores;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mail_types::MailId;
use store::Store;

use crate::again::Earlier;
use crate::document::{Reading, document};
use crate::kept::{self, Document, Kept};
use crate::reading::Reader;
use crate::{SearchError, Settings};

/// Messages in one transaction.
const BATCH_MAILS_MAX: usize = 128;
/// Octets of words and texts in one transaction, but for the message that passes it: what strangers
/// attach is held in memory no further, and the log on the disk is moved into the file in between.
const BATCH_OCTETS_MAX: usize = 8 << 20;
/// Messages looked for at a time.
const LOOK_MAILS: u32 = 1024;
/// No message has come for so long: then those that came are put in. While mail pours in the cores
/// and the disk are those who deliver it needs, and many messages are put in for less than one by one.
const GATHER: Duration = Duration::from_millis(200);
/// The first new message waits at most so many times that long.
const GATHER_TIMES_MAX: u32 = 10;
/// New messages that may wait. Those beyond it are looked for when the others are done.
const WAITING_MAX: usize = 1 << 20;
/// The last messages here that must be those of the archive.
const COMPARED: u32 = 64;
/// How much it stands behind the threads that people wait for.
const NICENESS: i32 = 19;
/// Bytes that the disk must have left: what is derived never takes the last room from mail.
const FREE_BYTES_MIN: u64 = 256 << 20;
/// Between two tries where the disk does not let it.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// Steps of bringing pieces together after a look at all messages.
const TIDY_STEPS_MAX: usize = 1000;
/// Between two lines in the log about how far it has come.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// What the thread and the others share.
#[derive(Debug, Default)]
pub struct State {
    waiting: Mutex<Waiting>,
    news: Condvar,
    stopping: AtomicBool,
    /// Messages that are found.
    pub searchable: AtomicU64,
    /// Every message that was there when it was last asked is in.
    pub caught_up: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    mails: Vec<MailId>,
    /// Of these, some that it works on.
    taken: usize,
    overflowed: bool,
}

impl State {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes new messages.
    pub fn add(&self, mails: &[MailId]) {
        let mut waiting = self.waiting();
        if waiting.mails.len() + mails.len() > WAITING_MAX {
            waiting.overflowed = true;
        } else {
            waiting.mails.extend_from_slice(mails);
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// Whether all that is there is found.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let waiting = self.waiting();
        self.caught_up.load(Ordering::Acquire)
            && waiting.mails.is_empty()
            && waiting.taken == 0
            && !waiting.overflowed
    }

    /// Has the thread end soon.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // Under the lock: the thread looks there, then waits.
        drop(self.waiting());
        self.news.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits, at most so long, for a message or the stop.
    fn wait(&self, at_most: Option<Duration>, for_mail: bool) {
        let waiting = self.waiting();
        let idle = |waiting: &mut Waiting| {
            let has_mail = !waiting.mails.is_empty() || waiting.overflowed;
            !(self.is_stopping() || for_mail && has_mail)
        };
        match at_most {
            Some(time) => drop(self.news.wait_timeout_while(waiting, time, idle)),
            None => drop(self.news.wait_while(waiting, idle)),
        }
    }

    /// Waits until a burst of messages is over, or has gone on for long enough.
    fn gather(&self) {
        let mut before = 0;
        for _ in 0..GATHER_TIMES_MAX {
            let now = self.waiting().mails.len();
            if now == before || self.is_stopping() {
                return;
            }
            before = now;
            self.wait(Some(GATHER), false);
        }
    }

    fn take(&self) -> (Vec<MailId>, bool) {
        let mut waiting = self.waiting();
        let overflowed = std::mem::take(&mut waiting.overflowed);
        let count = waiting.mails.len().min(BATCH_MAILS_MAX);
        let mails: Vec<MailId> = waiting.mails.drain(..count).collect();
        waiting.taken = mails.len() + usize::from(overflowed);
        (mails, overflowed)
    }

    fn done(&self) {
        self.waiting().taken = 0;
    }
}

/// The thread's own.
pub struct Indexer {
    store: Store,
    path: PathBuf,
    state: Arc<State>,
    reader: Box<dyn Reader>,
    settings: Settings,
    /// The last message of earlier runs: none before it is still to come.
    last_of_earlier: MailId,
    chores: chores::Chores,
}

/// How far a look at all messages has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Messages that are found.
    pub searchable: u64,
    /// Messages that there are.
    pub messages: u64,
}

/// Whether a long work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// On, after a while.
    After(Duration),
    /// No more of it.
    Stop,
}

impl Indexer {
    /// # Errors
    /// The index's.
    pub fn new(
        store: Store,
        path: PathBuf,
        state: Arc<State>,
        reader: Box<dyn Reader>,
        settings: Settings,
    ) -> Result<Self, SearchError> {
        let last_of_earlier = store.last_mail()?.unwrap_or(MailId(0));
        let chores = chores::Chores::default();
        Ok(Self { store, path, state, reader, settings, last_of_earlier, chores })
    }

    /// Works until the stop.
    pub fn run(mut self) {
        // For this thread alone, as Linux counts; elsewhere, or where it fails, it is not humble.
        if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
            tracing::debug!(%error, "messages are made searchable at the common priority");
        }
        let mut remake = false;
        while !self.state.is_stopping() {
            match self.work(remake) {
                Ok(()) | Err(SearchError::Stopped) => return,
                Err(error) => {
                    self.state.caught_up.store(false, Ordering::Release);
                    remake = error.is_broken();
                    tracing::warn!(%error, "messages are not made searchable now");
                    self.state.wait(Some(TRY_AGAIN), false);
                }
            }
        }
    }

    fn work(&mut self, remake: bool) -> Result<(), SearchError> {
        let mut kept = if remake { kept::anew(&self.path)? } else { kept::open(&self.path)? };
        if !belongs(&kept, &self.store)? {
            tracing::warn!("what is searched in is of another archive: it is made anew");
            drop(kept);
            kept = kept::anew(&self.path)?;
        }
        self.state.searchable.store(kept.count()?, Ordering::Release);
        let state = Arc::clone(&self.state);
        forget_purged(&self.store, &mut kept, &mut *self.reader, &|| state.is_stopping())?;
        self.catch_up(&mut kept)?;
        if self.reader.is_on() {
            kept.read_what_was_off()?;
        }
        while !self.state.is_stopping() {
            let next = self.chore(&mut kept)?;
            self.state.wait(next, true);
            self.state.gather();
            self.new_ones(&mut kept)?;
        }
        Ok(())
    }

    /// Puts in what has come meanwhile.
    fn new_ones(&mut self, kept: &mut Kept) -> Result<(), SearchError> {
        loop {
            let (mails, overflowed) = self.state.take();
            if overflowed {
                self.look_at_all(kept)?;
            }
            if !mails.is_empty() {
                self.put(kept, &mails)?;
            }
            self.state.done();
            if mails.len() < BATCH_MAILS_MAX || self.state.is_stopping() {
                return Ok(());
            }
        }
    }

    fn catch_up(&mut self, kept: &mut Kept) -> Result<(), SearchError> {
        self.look_at_all(kept)?;
        if self.state.is_stopping() {
            return Ok(());
        }
        kept.set_floor(self.last_of_earlier)?;
        self.state.caught_up.store(true, Ordering::Release);
        for _ in 0..TIDY_STEPS_MAX {
            let began = Instant::now();
            if self.state.is_stopping() || !kept.tidy()? {
                break;
            }
            self.state.wait(Some(self.settings.rest_after(began.elapsed())), true);
            self.new_ones(kept)?;
        }
        Ok(())
    }

    /// Puts in everything that is missing.
    fn look_at_all(&mut self, kept: &mut Kept) -> Result<(), SearchError> {
        let (state, settings) = (Arc::clone(&self.state), self.settings);
        let mut told = Instant::now();
        let messages = self.store.mail_count()?;
        let mut from = kept.floor()?;
        let mut put = 0;
        loop {
            let mails = self.store.mails_behind(from, LOOK_MAILS)?;
            let Some(last) = mails.last() else { break };
            from = *last;
            let missing = kept.missing(&mails)?;
            for batch in missing.chunks(BATCH_MAILS_MAX) {
                let began = Instant::now();
                if state.is_stopping() {
                    return Ok(());
                }
                self.put(kept, batch)?;
                put += batch.len();
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    let searchable = state.searchable.load(Ordering::Acquire);
                    tracing::info!(searchable, messages, "earlier messages are made searchable");
                }
                // New ones are wanted first.
                if state.caught_up.load(Ordering::Acquire) || state.waiting().taken == 0 {
                    let (mails, overflowed) = state.take();
                    self.put(kept, &mails)?;
                    state.done();
                    state.waiting().overflowed |= overflowed;
                }
                state.wait(Some(settings.rest_after(began.elapsed())), false);
            }
        }
        if put > 0 {
            tracing::info!(messages = put, "earlier messages are searchable");
        }
        Ok(())
    }

    fn put(&mut self, kept: &mut Kept, mails: &[MailId]) -> Result<(), SearchError> {
        if mails.is_empty() {
            return Ok(());
        }
        let state = Arc::clone(&self.state);
        let stopping = || state.is_stopping();
        // What is extracted need not be made here once more.
        self.store.wait_extracted_unless(&stopping);
        let room = || has_room(&self.path);
        let put = put_each(&self.store, &room, kept, mails, &mut *self.reader, &stopping);
        state.searchable.store(kept.count()?, Ordering::Release);
        put
    }
}

/// Makes one message after the other and puts them in, as many together as may be held.
fn put_each(
    store: &Store,
    has_room: &dyn Fn() -> Result<(), SearchError>,
    kept: &mut Kept,
    mails: &[MailId],
    reader: &mut dyn Reader,
    stopping: &dyn Fn() -> bool,
) -> Result<(), SearchError> {
    let (mut held, mut octets) = (Vec::new(), 0);
    let mut made = Ok(());
    for mail in mails {
        let mut reading = Reading { reader, stopping, earlier: Earlier::default() };
        let one = match document(store, *mail, &mut reading) {
            _ if stopping() => Err(SearchError::Stopped),
            one => one,
        };
        match one {
            Ok(one) => {
                octets += one.as_ref().map_or(0, Document::octets);
                held.extend(one);
            }
            Err(error) => {
                made = Err(error);
                break;
            }
        }
        if octets >= BATCH_OCTETS_MAX {
            has_room()?;
            kept.put(&held)?;
            held.clear();
            octets = 0;
        }
    }
    // What was made is not lost by what could not be.
    if !held.is_empty() {
        has_room()?;
        kept.put(&held)?;
    }
    made
}

/// Puts in everything that is missing, while nobody else does: where no server runs.
///
/// # Errors
/// Where the file cannot be made, or the archive not be read.
pub fn catch_up(
    store: &Store,
    path: &Path,
    reader: &mut dyn Reader,
    each: &mut dyn FnMut(Progress) -> Pace,
) -> Result<Progress, SearchError> {
    let mut kept = kept::open(path)?;
    if !belongs(&kept, store)? {
        drop(kept);
        kept = kept::anew(path)?;
    }
    forget_purged(store, &mut kept, reader, &|| false)?;
    let messages = store.mail_count()?;
    let progress = |kept: &Kept| Ok(Progress { searchable: kept.count()?, messages });
    let mut from = kept.floor()?;
    loop {
        let mails = store.mails_behind(from, LOOK_MAILS)?;
        let Some(last) = mails.last() else { break };
        for batch in kept.missing(&mails)?.chunks(BATCH_MAILS_MAX) {
            if let Pace::Stop = each(progress(&kept)?) {
                return progress(&kept);
            }
            put_each(store, &|| has_room(path), &mut kept, batch, reader, &|| false)?;
        }
        from = *last;
    }
    kept.set_floor(from)?;
    if reader.is_on() {
        kept.read_what_was_off()?;
    }
    chores::read_all_again(store, &mut kept, reader)?;
    progress(&kept)
}

/// The words of messages that were purged while nobody told of it here: what is left of them is what
/// the journal says.
fn forget_purged(
    store: &Store,
    kept: &mut Kept,
    reader: &mut dyn Reader,
    stopping: &dyn Fn() -> bool,
) -> Result<(), SearchError> {
    let mut from = kept.purged()?;
    while let Some((last, mut mails)) = store.gone_behind(from)? {
        mails.sort_unstable();
        let missing = kept.missing(&mails)?;
        let known: Vec<MailId> = mails.into_iter().filter(|mail| !missing.contains(mail)).collect();
        for batch in known.chunks(BATCH_MAILS_MAX) {
            // Also where the disk is nearly full: it is less afterwards.
            put_each(store, &|| Ok(()), kept, batch, reader, stopping)?;
        }
        from = last;
        kept.set_purged(from)?;
    }
    Ok(())
}

/// Whether the last messages here are those of the archive under their ids.
fn belongs(kept: &Kept, store: &Store) -> Result<bool, SearchError> {
    let last = match kept.last(COMPARED) {
        Ok(last) => last,
        Err(error) if error.is_broken() => return Ok(false),
        Err(error) => return Err(error),
    };
    let mails: Vec<MailId> = last.iter().map(|row| row.mail).collect();
    let facts = store.mail_facts(&mails)?;
    let same = facts.len() == last.len()
        && facts.iter().zip(&last).all(|(facts, row)| facts.receipt.check == row.check);
    Ok(same)
}

fn has_room(path: &Path) -> Result<(), SearchError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    // Where the system does not say, there is.
    let room = rustix::fs::statvfs(dir)
        .map_or(true, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= FREE_BYTES_MIN);
    if room { Ok(()) } else { Err(SearchError::DiskFull) }
}
