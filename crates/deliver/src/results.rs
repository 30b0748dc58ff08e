use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use net::Stop;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

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
    ///
    /// Words of other people's hosts are read for it. A bug in that costs the words: the mail that
    /// it happens with is put off, and whoever calls this goes on with all other mail.
    pub(crate) async fn end(&self, key: &Key, ended: Ended) {
        let attempt = match caught(self.settle(&ended)).await {
            Ok(attempt) => attempt,
            Err(Panicked) => {
                tracing::error!(%key.hop, "what follows from an attempt was not found out (a bug)");
                self.settle_without_words(&ended)
            }
        };
        let Some(attempt) = attempt else { return };
        if self.results.send(Some((key.clone(), attempt))).await.is_err() {
            // Only after `run` has ended. The custodies stay taken, and open.
            tracing::error!(%key.hop, "a result came too late to be recorded");
        }
    }

    /// Writes results in groups, each group in one call, until the last. What the queue cannot
    /// take is kept and tried again later; once a group of such waits, nothing more is received,
    /// so that sending stops when `results_max` of them wait.
    pub(crate) async fn record_results(
        self: Arc<Self>,
        mut results: mpsc::Receiver<Settled>,
        stop: Stop,
    ) {
        let mut again: Vec<(Key, Attempt)> = Vec::new();
        let mut again_at = Instant::now();
        let mut received: Vec<Settled> = Vec::with_capacity(RESULTS_AT_ONCE_MAX);
        let mut is_last = false;
        while !is_last {
            let room = RESULTS_AT_ONCE_MAX.saturating_sub(again.len());
            tokio::select! {
                count = results.recv_many(&mut received, room), if room > 0 => is_last = count == 0,
                () = sleep_until(again_at), if !again.is_empty() => {}
            }
            is_last |= received.iter().any(Option::is_none);
            let mut group: Vec<(Key, Attempt)> = received.drain(..).flatten().collect();
            if is_last || again_at <= Instant::now() {
                group.append(&mut again);
            }
            let failed = self.record_group(group).await;
            if failed.is_empty() {
                continue;
            }
            if is_last || stop.is_requested() {
                // They stay begun: uncertain after the restart, never lost.
                tracing::error!(count = failed.len(), "results are not recorded before the stop");
                continue;
            }
            again.extend(failed);
            again_at = Instant::now() + AGAIN_AFTER;
        }
    }

    /// Records a group of results; returns those that are not durable.
    async fn record_group(&self, group: Vec<(Key, Attempt)>) -> Vec<(Key, Attempt)> {
        if group.is_empty() {
            return group;
        }
        let (keys, attempts): (Vec<Key>, Vec<Attempt>) = group.into_iter().unzip();
        let mut answers = self.queue.record(&attempts).await.into_iter();
        let now = self.clock.now();
        let mut failed = Vec::new();
        for (key, attempt) in keys.into_iter().zip(attempts) {
            match answers.next() {
                Some(Ok(())) => self.desk.recorded(&key, attempt.results.len(), now),
                Some(Err(error)) => {
                    tracing::error!(mail = %attempt.mail, %error, "a result is not recorded yet");
                    failed.push((key, attempt));
                }
                None => failed.push((key, attempt)),
            }
        }
        failed
    }
}

/// Making something panicked.
struct Panicked;

/// The output of a future, or that it panicked.
async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = std::pin::pin!(future);
    // What it had in hand is dropped with it; what it shares is whole at every moment.
    std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}
