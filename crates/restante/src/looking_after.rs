//! What looks after a running server's data by itself: signs heads, audits, reads again, backs up.

use std::sync::Arc;

use config::Config;
use net::Stop;
use serde_json::{Map, Value};
use store::Store;

use crate::auditing::Auditing;
use crate::background::Background;
use crate::backups::Backups;
use crate::data_dir::DataDir;
use crate::heads::{Heads, asked::About, sending::Sending};
use crate::scrubbing::Scrubbing;

/// All of it.
#[derive(Clone)]
pub struct LookingAfter {
    /// Signs heads, where it can.
    pub heads: Option<Arc<Heads>>,
    /// Where they are kept and sent.
    pub about_heads: About,
    /// Takes backups.
    pub backups: Arc<Backups>,
    auditing: Arc<Auditing>,
    scrubbing: Arc<Scrubbing>,
}

impl LookingAfter {
    pub fn new(data: &DataDir, config: &Config, store: &Store, heads: Option<Arc<Heads>>) -> Self {
        let backups = Backups::new(data, config, store);
        Self {
            heads,
            about_heads: About::new(data, config),
            auditing: Auditing::new(config, store),
            scrubbing: Scrubbing::new(data, config, store, &backups),
            backups,
        }
    }

    /// Has it work until the stop.
    pub fn run(&self, data: &DataDir, config: &Config, background: &mut Background, stop: &Stop) {
        background.run("taking backups", Arc::clone(&self.backups).run(stop.clone()));
        background.run("auditing", Arc::clone(&self.auditing).run(stop.clone()));
        let scrubbing = Arc::clone(&self.scrubbing).run(stop.clone());
        background.run("reading the journal again", scrubbing);
        if let Some((heads, sending)) = self.heads.clone().zip(Sending::new(data, config)) {
            background.run("sending signed heads", sending.run(heads, stop.clone()));
        }
    }

    /// For the status.
    pub fn view(&self) -> Map<String, Value> {
        let mut view = self.auditing.view();
        view.insert("scrub".to_owned(), self.scrubbing.view());
        view.insert("backup".to_owned(), self.backups.view());
        view
    }
}
