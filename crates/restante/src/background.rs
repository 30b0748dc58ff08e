//! What works beside the services until the stop: schedules, renewals, reports.

use anyhow::Context;
use tokio::task::JoinHandle;

/// All of it, each with what it is for.
#[derive(Default)]
pub struct Background(Vec<(&'static str, JoinHandle<()>)>);

impl Background {
    /// Runs it beside everything else; it ends by itself when the server is to stop.
    pub fn run(&mut self, what: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.0.push((what, tokio::spawn(work)));
    }

    /// The same for what blocks a thread.
    pub fn run_blocking(&mut self, what: &'static str, work: impl FnOnce() + Send + 'static) {
        self.0.push((what, tokio::task::spawn_blocking(work)));
    }

    /// Waits until all of it has ended; says what ended otherwise than it should.
    pub async fn ended(self) -> anyhow::Result<()> {
        for (what, task) in self.0 {
            task.await.with_context(|| format!("{what} ended by a bug"))?;
        }
        Ok(())
    }
}
