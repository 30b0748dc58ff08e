use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mail_types::AccountId;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a session waits for the one before it: a client that comes back right after its QUIT,
/// or after a connection that broke, finds the old session ending.
const WAIT: Duration = Duration::from_secs(3);

/// The exclusive-access locks of RFC 1939 §4, by account. They keep POP3 sessions of one account
/// apart; the store is safe without them, so other protocols do not heed them, and they need not
/// outlive the process.
#[derive(Clone, Debug, Default)]
pub struct Locks(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    accounts: Mutex<HashSet<AccountId>>,
    released: Notify,
}

/// A maildrop that is locked until this is dropped.
#[derive(Debug)]
pub struct Lock {
    account: AccountId,
    locks: Locks,
}

impl Locks {
    /// Locks an account's maildrop; `None` where another session keeps it.
    pub(crate) async fn lock(&self, account: AccountId) -> Option<Lock> {
        timeout(WAIT, self.free(account)).await.ok()?;
        Some(Lock { account, locks: self.clone() })
    }

    async fn free(&self, account: AccountId) {
        loop {
            // Made before the look, so that no release in between is missed.
            let released = self.0.released.notified();
            if self.accounts().insert(account) {
                return;
            }
            released.await;
        }
    }

    fn accounts(&self) -> MutexGuard<'_, HashSet<AccountId>> {
        self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locks.accounts().remove(&self.account);
        self.locks.0.released.notify_waiters();
    }
}
