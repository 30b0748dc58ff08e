use std::sync::Arc;
use std::time::Duration;

use mail_types::CustodyId;
use net::Stop;
use tokio::sync::mpsc;

use crate::Runner;
use crate::desk::Key;
use crate::queue::{Attempt, Queue};
use crate::settle::Ended;

/// Results written at once, at most.
const RESULTS_AT_ONCE_MAX: usize = 256;
/// How long after a failure to write results it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// An attempt that is over, for the recorder; `None` says that nothing more comes.
pub(crate) type Settled = Option<(Key, Attempt)>;

impl<Q: Queue> Runner<Q> {
    /// Decides what follows from an attempt and hands it on to be recorded. Waits while too many
    /// results are not yet on disk, which holds up sending.
    pub(crate) async fn end(&self, key: &Key, ended: Ended) {
        let Some(attempt) = self.settle(&ended).await else { return };
        if self.results.send(Some((key.clone(), attempt))).await.is_err() {
            // Only after `run` has ended. The custodies stay taken, and open.
            tracing::error!(%key.hop, "a result came too late to be recorded");
        }
    }

    /// Writes results in groups, each group in one call, until the last. While the queue cannot
    /// take them they are kept, and sending stops once `results_max` of them wait.
    pub(crate) async fn record_results(
        self: Arc<Self>,
        mut results: mpsc::Receiver<Settled>,
        mut stop: Stop,
    ) {
        let mut group = Vec::with_capacity(RESULTS_AT_ONCE_MAX);
        let mut is_last = false;
        while !is_last {
            if results.recv_many(&mut group, RESULTS_AT_ONCE_MAX).await == 0 {
                return;
            }
            let (mut keys, mut attempts) = (Vec::new(), Vec::new());
            for settled in group.drain(..) {
                match settled {
                    Some((key, attempt)) => {
                        keys.push(key);
                        attempts.push(attempt);
                    }
                    None => is_last = true,
                }
            }
            if attempts.is_empty() {
                continue;
            }
            while let Err(error) = self.queue.record(&attempts).await {
                tracing::error!(%error, results = attempts.len(), "results are not recorded yet");
                if stop.is_requested() {
                    // They stay begun: uncertain after the restart, never lost.
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(AGAIN_AFTER) => {}
                    () = stop.requested() => {}
                }
            }
            let now = self.clock.now();
            for (key, attempt) in keys.iter().zip(&attempts) {
                self.desk.recorded(key, attempt.results.len(), now);
            }
        }
    }

    /// Tells the queue that these came to nothing.
    pub(crate) async fn give_back(&self, custodies: &[CustodyId]) {
        if custodies.is_empty() {
            return;
        }
        if let Err(error) = self.queue.give_back(custodies).await {
            tracing::error!(%error, count = custodies.len(), "mail stays taken until a restart");
        }
    }
}
