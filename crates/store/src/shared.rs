//! What the writer and the handles share.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use mail_types::{AccountId, MailboxId};

use crate::StoreError;
use crate::directory::Directory;
use crate::extracting::Extracting;
use crate::quota::Usage;
use crate::record::Quota;
use crate::sqlite::Sqlite;
use crate::subscription::{Effect, MailboxChange, SubscriptionState};

/// Idle read connections kept open; each holds up to 2 MiB of the index.
const READERS_IDLE_MAX: usize = 4;

/// Called with every failure that an operator must hear of.
pub type Alarm = Box<dyn Fn(&StoreError) + Send + Sync>;
/// Called when mail was put into the queue or became due at once.
pub type QueueWake = Box<dyn Fn() + Send + Sync>;

/// What the writer and the handles share.
pub struct Shared {
    pub index_path: PathBuf,
    /// The last record that was acknowledged.
    pub acknowledged: AtomicU64,
    /// The last record that readers of the index see.
    pub published: AtomicU64,
    /// The last mail id given to an arrival.
    pub last_mail: AtomicU64,
    /// Changes that wait for the writer.
    pub waiting: AtomicUsize,
    /// Hears of every accepted message.
    pub extracting: Extracting,
    directory: RwLock<Arc<Directory>>,
    /// Of accounts that have one, and what they use of it.
    quotas: RwLock<HashMap<AccountId, (Usage, Quota)>>,
    stopped: Mutex<Option<String>>,
    readers: Mutex<Vec<Sqlite>>,
    subscriptions: Mutex<HashMap<MailboxId, Vec<Weak<SubscriptionState>>>>,
    alarm: Alarm,
    queue_wake: RwLock<Option<QueueWake>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here is whole at every moment, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(
        index_path: PathBuf,
        last_mail: u64,
        directory: Arc<Directory>,
        extracting: Extracting,
        alarm: Alarm,
    ) -> Self {
        Self {
            index_path,
            acknowledged: AtomicU64::new(0),
            published: AtomicU64::new(0),
            last_mail: AtomicU64::new(last_mail),
            waiting: AtomicUsize::new(0),
            extracting,
            directory: RwLock::new(directory),
            quotas: RwLock::default(),
            stopped: Mutex::new(None),
            readers: Mutex::new(Vec::new()),
            subscriptions: Mutex::new(HashMap::new()),
            alarm,
            queue_wake: RwLock::new(None),
        }
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

    pub fn set_queue_wake(&self, wake: QueueWake) {
        *self.queue_wake.write().unwrap_or_else(PoisonError::into_inner) = Some(wake);
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

    pub fn subscribe(&self, mailbox: MailboxId, state: &Arc<SubscriptionState>) {
        let mut subscriptions = lock(&self.subscriptions);
        subscriptions.entry(mailbox).or_default().push(Arc::downgrade(state));
    }

    /// Forgets the subscriptions of this mailbox that nobody holds any more.
    pub fn unsubscribe(&self, mailbox: MailboxId) {
        let mut subscriptions = lock(&self.subscriptions);
        if let Some(states) = subscriptions.get_mut(&mailbox) {
            states.retain(|state| state.strong_count() > 0);
            if states.is_empty() {
                subscriptions.remove(&mailbox);
            }
        }
    }

    pub fn has_subscriber(&self, mailbox: MailboxId) -> bool {
        lock(&self.subscriptions).contains_key(&mailbox)
    }

    fn tell_subscribers(&self, mailbox: MailboxId, change: &MailboxChange) {
        let states: Vec<_> = lock(&self.subscriptions)
            .get(&mailbox)
            .into_iter()
            .flatten()
            .filter_map(Weak::upgrade)
            .collect();
        states.iter().for_each(|state| state.push(change));
    }

    /// Tells everybody what a synced group has changed.
    pub fn tell(&self, directory: &Arc<Directory>, effects: Vec<Effect>) {
        let mut queue = false;
        let mut unseen = HashSet::new();
        for effect in effects {
            match effect {
                Effect::Directory => {
                    let mut current =
                        self.directory.write().unwrap_or_else(PoisonError::into_inner);
                    *current = Arc::clone(directory);
                }
                Effect::Queue => queue = true,
                Effect::Accepted(mail, at) => self.extracting.accepted(mail, at),
                Effect::Mailbox(mailbox, change) => self.tell_subscribers(mailbox, &change),
                Effect::Unseen(mailbox) => {
                    unseen.insert(mailbox);
                }
            }
        }
        // Nobody listened when the change was made; whoever began since has to look.
        for mailbox in unseen {
            self.tell_subscribers(mailbox, &MailboxChange::Anew);
        }
        if queue
            && let Some(wake) = &*self.queue_wake.read().unwrap_or_else(PoisonError::into_inner)
        {
            wake();
        }
    }
}
