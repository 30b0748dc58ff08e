//! What the writer and the handles share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use mail_types::{AccountId, MailId, MailboxId, RecordSeq, Timestamp};

use crate::StoreError;
use crate::archive::{ClockWatch, Swept};
use crate::counts::Counts;
use crate::directory::Directory;
use crate::effects::Effects;
use crate::extracting::Extracting;
use crate::index::Index;
use crate::lanes::{Lane, News};
use crate::live::Views;
use crate::published::Published;
use crate::quota::Usage;
use crate::record::Quota;
use crate::sqlite::Sqlite;
use crate::watch::{BeforeAndNow, Watches};

/// Idle read connections kept open; each holds up to 2 MiB of the index.
const READERS_IDLE_MAX: usize = 4;

/// Called with every failure that an operator must hear of.
pub type Alarm = Box<dyn Fn(&StoreError) + Send + Sync>;
/// Called when mail was put into the queue or became due at once.
pub type QueueWake = Box<dyn Fn() + Send + Sync>;
/// Called when accounts, domains, aliases or routes have changed.
pub type DirectoryWake = Box<dyn Fn() + Send + Sync>;

/// Called with messages that were accepted.
pub type AcceptedWake = Box<dyn Fn(&[MailId]) + Send + Sync>;

/// Called when something happened to mail that may be told of.
pub type EventWake = Box<dyn Fn() + Send + Sync>;

/// What the writer and the handles share.
pub struct Shared {
    pub index_path: PathBuf,
    /// The last record that was acknowledged.
    pub acknowledged: AtomicU64,
    /// The last record that readers of the index see.
    pub published: AtomicU64,
    /// The last mail id given to an arrival.
    pub last_mail: AtomicU64,
    /// The number of the last session.
    pub last_session: AtomicU64,
    /// Changes that wait for the writer.
    pub waiting: AtomicUsize,
    /// Hears of every accepted message.
    pub extracting: Extracting,
    directory: RwLock<Arc<Directory>>,
    /// Of accounts that have one, and what they use of it.
    quotas: RwLock<HashMap<AccountId, (Usage, Quota)>>,
    stopped: Mutex<Option<String>>,
    readers: Mutex<Vec<Sqlite>>,
    /// Every mailbox by name.
    pub mailboxes: Published,
    /// The open mailboxes.
    pub views: Views,
    /// Who watches mailboxes.
    pub watches: Arc<Watches>,
    alarm: Alarm,
    queue_wake: RwLock<Option<QueueWake>>,
    queue_news: Mutex<News>,
    directory_wake: RwLock<Option<DirectoryWake>>,
    event_wake: RwLock<Option<EventWake>>,
    accepted_wake: RwLock<Option<AcceptedWake>>,
    /// Nothing that is held is to be released before, in milliseconds as [`Timestamp`]s have them.
    pub release_at: AtomicI64,
    /// When mail is next to be delivered by, in milliseconds; what is over was taken.
    pub deadline: AtomicI64,
    /// What was done since the start.
    pub counts: Counts,
    /// What the last look for mail whose time is over has found.
    swept: Mutex<Swept>,
    /// What the clock said when the sweep last looked.
    clock_watch: Mutex<ClockWatch>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here is whole at every moment, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(
        index_path: PathBuf,
        last_mail: u64,
        first_session: u64,
        directory: Arc<Directory>,
        extracting: Extracting,
        alarm: Alarm,
    ) -> Self {
        Self {
            index_path,
            acknowledged: AtomicU64::new(0),
            published: AtomicU64::new(0),
            last_mail: AtomicU64::new(last_mail),
            last_session: AtomicU64::new(first_session),
            waiting: AtomicUsize::new(0),
            extracting,
            directory: RwLock::new(directory),
            quotas: RwLock::default(),
            stopped: Mutex::new(None),
            readers: Mutex::new(Vec::new()),
            mailboxes: Published::default(),
            views: Views::default(),
            watches: Arc::default(),
            alarm,
            queue_wake: RwLock::new(None),
            queue_news: Mutex::default(),
            directory_wake: RwLock::new(None),
            event_wake: RwLock::new(None),
            accepted_wake: RwLock::new(None),
            release_at: AtomicI64::new(0),
            deadline: AtomicI64::new(i64::MAX),
            counts: Counts::default(),
            swept: Mutex::default(),
            clock_watch: Mutex::default(),
        }
    }

    /// One sweep at a time has it.
    pub fn swept(&self) -> MutexGuard<'_, Swept> {
        lock(&self.swept)
    }

    pub fn clock_watch(&self) -> MutexGuard<'_, ClockWatch> {
        lock(&self.clock_watch)
    }

    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How much the account may keep and what it does keep; `None` where there is no limit.
    pub fn quota(&self, account: AccountId) -> Option<(Usage, Quota)> {
        self.quotas.read().unwrap_or_else(PoisonError::into_inner).get(&account).copied()
    }

    pub fn note_quotas(&self, news: Vec<(AccountId, Option<(Usage, Quota)>)>) {
        if news.is_empty() {
            return;
        }
        let mut quotas = self.quotas.write().unwrap_or_else(PoisonError::into_inner);
        for (account, quota) in news {
            match quota {
                Some(quota) => quotas.insert(account, quota),
                None => quotas.remove(&account),
            };
        }
    }

    pub fn alarm(&self, error: &StoreError) {
        (self.alarm)(error);
    }

    /// Why nothing is accepted any more, if so.
    pub fn stopped(&self) -> Option<String> {
        lock(&self.stopped).clone()
    }

    pub fn stop(&self, reason: &str) {
        lock(&self.stopped).get_or_insert_with(|| reason.to_owned());
    }

    /// Something has become due in lanes of the queue, by records up to `seq`.
    pub fn add_queue_news(&self, seq: RecordSeq, news: Vec<(Lane, Timestamp)>) {
        if !news.is_empty() {
            let mut known = lock(&self.queue_news);
            news.into_iter().for_each(|(lane, due)| known.add(lane, seq, due));
        }
    }

    /// Tells and forgets what a reader at `seen` sees of it.
    pub fn take_queue_news(&self, seen: RecordSeq, tell: &mut dyn FnMut(&Lane, Timestamp)) {
        lock(&self.queue_news).take(seen, tell);
    }

    pub fn set_queue_wake(&self, wake: QueueWake) {
        *self.queue_wake.write().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }

    pub fn set_directory_wake(&self, wake: DirectoryWake) {
        *self.directory_wake.write().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }

    /// Tells of messages that are new, or not what they were.
    pub fn tell_accepted(&self, mails: &[MailId]) {
        if let Some(wake) = &*self.accepted_wake.read().unwrap_or_else(PoisonError::into_inner) {
            wake(mails);
        }
    }

    pub fn set_accepted_wake(&self, wake: AcceptedWake) {
        *self.accepted_wake.write().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }

    pub fn set_event_wake(&self, wake: EventWake) {
        *self.event_wake.write().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }

    pub fn take_reader(&self) -> Option<Sqlite> {
        lock(&self.readers).pop()
    }

    pub fn give_back_reader(&self, reader: Sqlite) {
        let mut readers = lock(&self.readers);
        if readers.len() < READERS_IDLE_MAX {
            readers.push(reader);
        }
    }

    /// Tells everybody what a synced group has changed.
    pub fn tell(&self, index: &Index<Sqlite>, effects: Effects) {
        let Effects { directory, queue, events, mailboxes, accepted, made, counted, .. } = effects;
        let Effects { release_at, deadline, .. } = effects;
        self.counts.add(&counted);
        if let Some(at) = release_at {
            self.release_at.fetch_min(at.0, Ordering::AcqRel);
        }
        if let Some(at) = deadline {
            self.deadline.fetch_min(at.0, Ordering::AcqRel);
        }
        let watched = !self.watches.is_empty();
        let mut before_and_now: HashMap<MailboxId, BeforeAndNow> = HashMap::new();
        self.mailboxes.update(mailboxes, index, |id, before, now| {
            if watched {
                // Of several changes in one group, what was before the first.
                let known = before_and_now.entry(id).or_insert((before, None));
                known.1 = now.cloned();
            }
        });
        if watched {
            self.watches.tell(&made, &before_and_now);
        }
        for &(mail, at) in &accepted {
            self.extracting.accepted(mail, at);
        }
        if !accepted.is_empty() {
            self.tell_accepted(&accepted.iter().map(|(mail, _)| *mail).collect::<Vec<_>>());
        }
        if directory {
            let mut current = self.directory.write().unwrap_or_else(PoisonError::into_inner);
            *current = Arc::clone(&index.directory);
        }
        if directory
            && let Some(wake) = &*self.directory_wake.read().unwrap_or_else(PoisonError::into_inner)
        {
            wake();
        }
        if events
            && let Some(wake) = &*self.event_wake.read().unwrap_or_else(PoisonError::into_inner)
        {
            wake();
        }
        if queue
            && let Some(wake) = &*self.queue_wake.read().unwrap_or_else(PoisonError::into_inner)
        {
            wake();
        }
    }
}
