//! What goes on beside the connections, until the stop.

use anyhow::Context;
use tokio::task::JoinHandle;

/// Tasks that end by themselves when the server stops.
#[derive(Default)]
pub struct Background(Vec<(&'static str, JoinHandle<()>)>);

impl Background {
    /// Starts one; `what` says what it does, for the case that it ends by a bug.
    pub fn start(&mut self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.push((what, tokio::spawn(task)));
    }

    /// The same for what blocks.
    pub fn start_blocking(&mut self, what: &'static str, work: impl FnOnce() + Send + 'static) {
        self.0.push((what, tokio::task::spawn_blocking(work)));
    }

    /// Waits until all have ended.
    pub async fn end(self) -> anyhow::Result<()> {
        for (what, task) in self.0 {
            task.await.with_context(|| format!("{what} ended by a bug"))?;
        }
        Ok(())
    }
}
