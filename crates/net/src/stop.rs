use std::future::pending;

use tokio::sync::watch;

/// Asks everything that holds the [`Stop`] to stop. Dropping it asks, too: whoever could have
/// asked is gone.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Whether a stop was asked for; cheap to clone, one for each connection.
#[derive(Clone, Debug)]
pub struct Stop(Option<watch::Receiver<bool>>);

/// A fresh pair.
#[must_use]
pub fn stopper() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(Some(receiver)))
}

impl Stopper {
    /// Asks for the stop. Once asked, it stays asked.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// One more receiver of the same wish.
    #[must_use]
    pub fn watch(&self) -> Stop {
        Stop(Some(self.0.subscribe()))
    }
}

impl Stop {
    /// A stop that never comes.
    #[must_use]
    pub const fn never() -> Self {
        Self(None)
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.as_ref().is_some_and(|wish| *wish.borrow() || wish.has_changed().is_err())
    }

    /// Waits until it is asked for. May be dropped and called again.
    pub async fn requested(&mut self) {
        match &mut self.0 {
            // An error says that the stopper is gone, which counts as asked.
            Some(wish) => drop(wish.wait_for(|asked| *asked).await),
            None => pending().await,
        }
    }
}
