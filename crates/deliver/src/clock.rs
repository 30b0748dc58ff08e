use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use mail_types::Timestamp;

/// The longest single wait: the wall clock may be set meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The time by which mail is due. Waits of the protocol itself go by the runtime's clock.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Returns once `now` is `at` or later.
    fn until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        net::now()
    }

    fn until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            loop {
                let wait = at.since(self.now());
                if wait.is_zero() {
                    return;
                }
                tokio::time::sleep(wait.min(WAIT_MAX)).await;
            }
        })
    }
}
