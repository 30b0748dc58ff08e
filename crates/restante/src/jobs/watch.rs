//! How far work is, and whether it is wanted still.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Between whoever does long work and whoever waits for it.
#[derive(Debug, Default)]
pub struct Watch {
    done: AtomicU64,
    /// None is nothing known: what is found is not counted before.
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl Watch {
    /// So much is done.
    pub fn done(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// So much there is to do; what was done before was something else.
    pub fn begin(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Both at once, as a copy tells them.
    pub fn at(&self, done: u64, total: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Whether it is to go on.
    pub fn go_on(&self) -> bool {
        !self.is_cancelled()
    }

    /// It is not wanted any more.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// What is done, and what there is to do, where that is known.
    pub fn seen(&self) -> (u64, Option<u64>) {
        let total = self.total.load(Ordering::Relaxed);
        (self.done.load(Ordering::Relaxed), (total > 0).then_some(total))
    }
}
