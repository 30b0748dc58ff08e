//! The server's own purging: what is over its time goes, in the background, as long as the server
//! runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use net::Stop;
use store::{Actor, Store};

/// The first look, if the interval is not shorter: a start has other work, but a server that is
/// started often must come to it too.
const FIRST_AFTER: Duration = Duration::from_secs(900);

/// Lets go what is over its time, until the stop.
pub async fn sweep(store: Store, every: Duration, mut stop: Stop) {
    let mut wait = every.min(FIRST_AFTER);
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.requested() => return,
        }
        wait = every;
        if let Some(ahead) = store.clock_ahead() {
            let days = ahead.as_secs() / 86_400;
            tracing::error!(
                days,
                "the clock went ahead: no mail is purged for a day, or until `restante purge` is run"
            );
            continue;
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let (work, until) = (store.clone(), Arc::clone(&stopped));
        let mut sweeping = tokio::task::spawn_blocking(move || {
            work.purge_over(&Actor::Server, false, &|| !until.load(Ordering::Acquire), &mut |_| {})
        });
        let swept = tokio::select! {
            swept = &mut sweeping => swept,
            () = stop.requested() => {
                stopped.store(true, Ordering::Release);
                sweeping.await
            }
        };
        match swept {
            Ok(Ok(outcome)) if outcome.purged == 0 => {}
            Ok(Ok(outcome)) => tracing::info!(
                messages = outcome.purged,
                bytes = outcome.bytes,
                kept_by_holds = outcome.on_hold,
                "mail was purged: its time was over"
            ),
            Ok(Err(error)) => tracing::error!(%error, "mail that is over its time is not purged"),
            Err(error) => tracing::error!(%error, "purging mail failed"),
        }
    }
}
