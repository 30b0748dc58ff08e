//! Mail that goes back to the queue untried, and does so again where the queue would not have it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mail_types::CustodyId;
use net::Stop;
use tokio::sync::Notify;

use crate::Runner;
use crate::queue::Queue;

/// How long after the queue did not take mail back it is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What the queue has not taken back yet. Bounded by what was taken.
#[derive(Default)]
pub(crate) struct Returns {
    refused: Mutex<Vec<CustodyId>>,
    some: Notify,
}

impl Returns {
    fn add(&self, custodies: &[CustodyId]) {
        // A list is whole at every moment.
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).extend(custodies);
        self.some.notify_one();
    }

    fn take(&self) -> Vec<CustodyId> {
        std::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<Q: Queue> Runner<Q> {
    /// Tells the queue that these came to nothing, now or a little later.
    pub(crate) async fn give_back(&self, custodies: &[CustodyId]) {
        if custodies.is_empty() {
            return;
        }
        match self.queue.give_back(custodies).await {
            // They may be due; nobody else says so.
            Ok(()) => self.desk.room.notify_one(),
            Err(error) => {
                let count = custodies.len();
                tracing::error!(%error, count, "mail cannot go back to the queue yet");
                self.returns.add(custodies);
            }
        }
    }

    /// Gives back what the queue did not take, until a stop: then a restart does.
    pub(crate) async fn give_back_again(self: Arc<Self>, mut stop: Stop) {
        loop {
            tokio::select! {
                () = stop.requested() => return,
                () = self.returns.some.notified() => {}
            }
            tokio::select! {
                () = stop.requested() => return,
                () = tokio::time::sleep(AGAIN_AFTER) => {}
            }
            self.give_back(&self.returns.take()).await;
        }
    }
}
