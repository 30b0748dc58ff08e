use tokio::sync::watch;

/// Rung when something has changed that every connection may have to look at.
#[derive(Clone, Debug, Default)]
pub struct Bell(watch::Sender<()>);

/// One connection's ear for a [`Bell`].
#[derive(Debug)]
pub struct Ear(watch::Receiver<()>);

impl Bell {
    /// Tells all ears.
    pub fn ring(&self) {
        self.0.send_replace(());
    }

    /// Hears what is rung from now on.
    #[must_use]
    pub fn listen(&self) -> Ear {
        Ear(self.0.subscribe())
    }
}

impl Ear {
    /// Waits until it has been rung since the last time. May be dropped and called again.
    pub async fn rung(&mut self) {
        if self.0.changed().await.is_err() {
            // The bell is gone: nothing changes any more.
            std::future::pending().await
        }
    }

    /// Waits until this is so, looking whenever it is rung.
    pub async fn until(&mut self, mut is_so: impl FnMut() -> bool) {
        loop {
            self.rung().await;
            if is_so() {
                return;
            }
        }
    }
}
