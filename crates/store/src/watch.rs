//! News of all mailboxes that an account can see, for whoever watches them (IMAP NOTIFY).
//!
//! The writer notes behind each sync what has changed, once for each who watches; nothing is read
//! then. What it comes to is looked up when the watcher takes it, so ten thousand messages into one
//! mailbox are one piece of news. A watcher that takes nothing holds [`NEWS_MAX`] pieces at most:
//! then all of it is dropped, and it is told so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use journal::Disk;
use mail_types::{AccountId, MailboxId, Right, Rights};

use crate::Store;
use crate::acl::{effective, name_for_others};
use crate::directory::Directory;
use crate::index::Mailbox;
use crate::metadata::may_annotate;
use crate::published::Known;

/// Pieces of news that one watcher has not taken: mailboxes, subscriptions and annotations.
const NEWS_MAX: usize = 10_000;

/// One thing that a record did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Messages came into a mailbox.
    New(MailboxId),
    /// Messages went out of a mailbox.
    Expunged(MailboxId),
    /// Messages of a mailbox have other flags.
    Flags(MailboxId),
    /// A mailbox was made, renamed, deleted, or others may see it than before.
    Named(MailboxId),
    /// An account subscribes to a name, or no longer.
    Subscription(AccountId, String, bool),
    /// An annotation of a mailbox, or of the server, has changed; one account's own, or everybody's.
    Metadata(Option<MailboxId>, Option<AccountId>, String),
}

/// A change, and whose handle on the store made it.
#[derive(Debug)]
pub struct Made {
    pub change: Change,
    pub by: Option<u64>,
}

/// A mailbox before and behind a group.
pub type BeforeAndNow = (Option<Arc<Known>>, Option<Arc<Known>>);

/// Who watches.
#[derive(Default)]
pub struct Watches {
    numbers: AtomicU64,
    by_account: Mutex<HashMap<AccountId, Vec<Weak<Slot>>>>,
}

struct Slot {
    number: u64,
    account: AccountId,
    untold: Mutex<Untold>,
}

/// What a watcher has not taken yet.
#[derive(Default)]
struct Untold {
    mailboxes: BTreeMap<MailboxId, Changed>,
    subscriptions: BTreeMap<String, bool>,
    metadata: BTreeSet<(Option<MailboxId>, String)>,
    overflow: bool,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Changed {
    /// Where its name, or who may see it, has changed: what it was before the first such change.
    named: Option<Option<Arc<Known>>>,
    new: bool,
    expunged: bool,
    flags: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here is whole at every moment, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Untold {
    fn is_empty(&self) -> bool {
        !self.overflow && self.len() == 0
    }

    fn len(&self) -> usize {
        self.mailboxes.len() + self.subscriptions.len() + self.metadata.len()
    }

    fn add(&mut self, change: &Change, before: Option<&Arc<Known>>) {
        match change {
            Change::New(id) => self.mailboxes.entry(*id).or_default().new = true,
            Change::Expunged(id) => self.mailboxes.entry(*id).or_default().expunged = true,
            Change::Flags(id) => self.mailboxes.entry(*id).or_default().flags = true,
            Change::Named(id) => {
                let changed = self.mailboxes.entry(*id).or_default();
                changed.named.get_or_insert_with(|| before.cloned());
            }
            Change::Subscription(_, name, subscribed) => {
                self.subscriptions.insert(name.clone(), *subscribed);
            }
            Change::Metadata(mailbox, _, entry) => {
                self.metadata.insert((*mailbox, entry.clone()));
            }
        }
        if self.len() > NEWS_MAX {
            let waker = self.waker.take();
            *self = Self { overflow: true, waker, ..Self::default() };
        }
    }
}

impl Watches {
    /// Whether nobody watches, so that nothing need be noted.
    pub fn is_empty(&self) -> bool {
        lock(&self.by_account).is_empty()
    }

    fn add(&self, account: AccountId) -> Arc<Slot> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let slot = Arc::new(Slot { number, account, untold: Mutex::default() });
        lock(&self.by_account).entry(account).or_default().push(Arc::downgrade(&slot));
        slot
    }

    fn remove(&self, account: AccountId) {
        let mut by_account = lock(&self.by_account);
        if let Some(slots) = by_account.get_mut(&account) {
            slots.retain(|slot| slot.strong_count() > 0);
            if slots.is_empty() {
                by_account.remove(&account);
            }
        }
    }

    /// Notes what a synced group has changed. What is published must be so already.
    pub fn tell(&self, made: &[Made], mailboxes: &HashMap<MailboxId, BeforeAndNow>) {
        let mut woken = Vec::new();
        {
            let by_account = lock(&self.by_account);
            for Made { change, by } in made {
                let (before, now) = match change {
                    Change::New(id) | Change::Expunged(id) | Change::Flags(id) => {
                        mailboxes.get(id).map_or((None, None), |(_, now)| (None, now.as_ref()))
                    }
                    Change::Named(id) => mailboxes
                        .get(id)
                        .map_or((None, None), |(before, now)| (before.as_ref(), now.as_ref())),
                    Change::Subscription(..) | Change::Metadata(..) => (None, None),
                };
                let mut tell = |slots: &[Weak<Slot>]| {
                    let others = slots.iter().filter_map(Weak::upgrade);
                    for slot in others.filter(|slot| Some(slot.number) != *by) {
                        let mut untold = lock(&slot.untold);
                        untold.add(change, before);
                        woken.extend(untold.waker.take());
                    }
                };
                match concerned(change, before, now) {
                    Some(accounts) => {
                        let slots = accounts.iter().filter_map(|account| by_account.get(account));
                        slots.for_each(|slots| tell(slots));
                    }
                    None => by_account.values().for_each(|slots| tell(slots)),
                }
            }
        }
        woken.into_iter().for_each(Waker::wake);
    }
}

/// Whose mailboxes a change may be about; `None`: everybody's.
fn concerned(
    change: &Change,
    before: Option<&Arc<Known>>,
    now: Option<&Arc<Known>>,
) -> Option<BTreeSet<AccountId>> {
    match change {
        Change::Subscription(account, ..) | Change::Metadata(_, Some(account), _) => {
            Some(BTreeSet::from([*account]))
        }
        // Annotations that everybody sees are rare: who may see the mailbox is looked up later.
        Change::Metadata(_, None, _) => None,
        Change::New(_) | Change::Expunged(_) | Change::Flags(_) | Change::Named(_) => {
            let mut accounts = BTreeSet::new();
            for known in before.into_iter().chain(now) {
                accounts.insert(known.mailbox.account);
                for (grantee, _) in &known.acl {
                    accounts.insert(grantee.account?);
                }
            }
            Some(accounts)
        }
    }
}

/// Somebody who hears of all mailboxes that an account can see.
pub struct Watch {
    slot: Arc<Slot>,
    watches: Arc<Watches>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // So that the slot is gone when its account's are looked through.
        let account = self.slot.account;
        let watches = Arc::clone(&self.watches);
        let gone = Slot { number: 0, account, untold: Mutex::default() };
        drop(std::mem::replace(&mut self.slot, Arc::new(gone)));
        watches.remove(account);
    }
}

impl Watch {
    /// Waits for news. Safe to drop and call again.
    pub async fn changed(&self) {
        poll_fn(|context| {
            let mut untold = lock(&self.slot.untold);
            if !untold.is_empty() {
                return Poll::Ready(());
            }
            untold.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// What names changes made by its own watcher; see [`Store::by`].
    pub(crate) fn number(&self) -> u64 {
        self.slot.number
    }
}

/// A mailbox as the watching account sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the account calls it.
    pub name: String,
    /// What it may do with it.
    pub rights: Rights,
    /// The mailbox.
    pub mailbox: Mailbox,
}

/// What has happened to one mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxNews {
    /// Where its name, or who may see it, has changed: what the account saw before.
    pub before: Option<Option<Seen>>,
    /// What the account sees now; none: it cannot see it, or it is gone.
    pub now: Option<Seen>,
    /// Messages came in.
    pub new: bool,
    /// Messages went out.
    pub expunged: bool,
    /// Messages have other flags.
    pub flags: bool,
}

/// What has happened since it was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// More than is kept: it was dropped.
    pub overflow: bool,
    /// Mailboxes.
    pub mailboxes: Vec<MailboxNews>,
    /// Names that are subscribed to now, or no longer.
    pub subscriptions: Vec<(String, bool)>,
    /// Annotations, by mailbox; no mailbox: the server's.
    pub metadata: Vec<(Option<Seen>, String)>,
}

impl<D: Disk> Store<D> {
    /// Watches all mailboxes that an account can see.
    #[must_use]
    pub fn watch(&self, account: AccountId) -> Watch {
        let watches = Arc::clone(&self.shared.watches);
        Watch { slot: watches.add(account), watches }
    }

    /// A handle whose changes are no news to this watcher.
    #[must_use]
    pub fn by(&self, watch: &Watch) -> Self {
        let mut handle = self.clone();
        handle.origin = Some(watch.number());
        handle
    }

    /// Takes what is new. Reads nothing.
    #[must_use]
    pub fn news(&self, watch: &Watch) -> News {
        let untold = {
            let mut untold = lock(&watch.slot.untold);
            let waker = untold.waker.take();
            std::mem::replace(&mut *untold, Untold { waker, ..Untold::default() })
        };
        let (account, directory) = (watch.slot.account, self.directory());
        let seen = |known: &Known| seen(&directory, account, known);
        let now = |id| self.shared.mailboxes.get(id).and_then(|known| seen(&known));
        let mailboxes = untold.mailboxes.into_iter().map(|(id, changed)| MailboxNews {
            before: changed.named.map(|before| before.and_then(|known| seen(&known))),
            now: now(id),
            new: changed.new,
            expunged: changed.expunged,
            flags: changed.flags,
        });
        let metadata = untold.metadata.into_iter().filter_map(|(id, entry)| {
            Some(match id {
                None => (None, entry),
                Some(id) => (Some(now(id).filter(|seen| may_annotate(seen.rights))?), entry),
            })
        });
        News {
            overflow: untold.overflow,
            mailboxes: mailboxes.collect(),
            subscriptions: untold.subscriptions.into_iter().collect(),
            metadata: metadata.collect(),
        }
    }
}

/// What an account sees of a mailbox: nothing without the right to look it up.
fn seen(directory: &Directory, account: AccountId, known: &Known) -> Option<Seen> {
    let mailbox = &known.mailbox;
    let rights = effective(mailbox.account, account, &known.acl);
    if !rights.has(Right::Lookup) {
        return None;
    }
    let name = if mailbox.account == account {
        mailbox.name.clone()
    } else {
        name_for_others(&directory.account(mailbox.account)?.address, &mailbox.name)?
    };
    Some(Seen { name, rights, mailbox: mailbox.clone() })
}
