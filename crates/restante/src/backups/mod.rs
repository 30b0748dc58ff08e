//! Backups while the server runs: by hand, and on a schedule. Crate `backup` copies.

pub mod asked;
pub mod command;
pub mod extract;
mod small_files;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backup::{Backup, Source, Taken};
use config::Config;
use ledger::{View, heads_path};
use mail_types::Timestamp;
use net::Stop;
use serde_json::{Value, json};
use store::Store;

use crate::data_dir::DataDir;
use crate::request::Failure;

/// Between two looks whether it is time.
const LOOK_EACH: Duration = Duration::from_secs(5);
/// After one that failed.
const AFTER_TROUBLE: Duration = Duration::from_secs(600);

/// Takes backups of an open store.
pub struct Backups {
    data: DataDir,
    store: Store,
    hostname: String,
    to: Option<PathBuf>,
    every: Duration,
    last: Mutex<Last>,
    /// What checks came to is written by one at a time.
    keeping: Mutex<()>,
}

/// What is known of the schedule's backup.
#[derive(Clone, Debug, Default)]
struct Last {
    taken: Option<(Timestamp, u64)>,
    tried: Option<Timestamp>,
    failed: Option<String>,
    damage: Vec<String>,
}

impl Backups {
    pub fn new(data: &DataDir, config: &Config, store: &Store) -> Arc<Self> {
        let to = config.backup.to.as_ref().map(|path| data.resolve(path));
        let latest = to.as_ref().and_then(|to| {
            let manifest = Backup::at(to).manifest().ok()?;
            let point = manifest.latest().ok()?;
            Some((Timestamp(point.taken), point.records))
        });
        Arc::new(Self {
            data: data.clone(),
            store: store.clone(),
            hostname: config.hostname.to_string(),
            to,
            every: config.backup.every,
            last: Mutex::new(Last { taken: latest, ..Last::default() }),
            keeping: Mutex::default(),
        })
    }

    /// Takes one now.
    pub fn take(&self, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Taken, Failure> {
        if to.starts_with(self.data.path()) {
            return Err(Failure {
                what: format!("{} is in the data directory itself", to.display()),
                mend: Some("choose a directory on another disk".to_owned()),
            });
        }
        let failed = |error: &dyn std::fmt::Display| Failure {
            what: format!("no backup was taken: {error}"),
            mend: None,
        };
        // Heads before the journal's own: a signed head must not be of more than is copied.
        let view = View::open(&heads_path(self.data.path())).ok();
        let note = view.as_ref().and_then(|view| Some(view.latest().ok()?.note.to_string()));
        let files = small_files::read(self.data.path()).map_err(|error| failed(&error))?;
        let head = self.store.journal().head();
        let head = head.ok_or_else(|| failed(&"the journal is not open"))?;
        // Whoever has the same key is the same installation, whatever it is called by now.
        let installation =
            view.map_or_else(|| self.hostname.clone(), |view| view.verifier().to_string());
        let source = Source {
            root: self.data.path(),
            head,
            installation: &installation,
            note,
            files,
            now: net::now().millis(),
        };
        Backup::at(to).take(&source, progress).map_err(|error| failed(&error))
    }

    /// Takes one when it is time, until the stop.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        if self.to.is_none() || self.every.is_zero() {
            return;
        }
        loop {
            let backups = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || backups.look(net::now())).await
            {
                tracing::error!(%error, "taking a backup failed");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EACH) => {}
                () = stop.requested() => return,
            }
        }
    }

    fn look(&self, now: Timestamp) {
        let Some(to) = &self.to else { return };
        let last = self.lock().clone();
        let over = |at: Timestamp, wait| now < at || now.since(at) >= wait;
        let due = last.taken.is_none_or(|(at, _)| over(at, self.every));
        let again = last.failed.is_none() || last.tried.is_none_or(|at| over(at, AFTER_TROUBLE));
        if !due || !again {
            return;
        }
        match self.take(to, &mut |_, _| {}) {
            Ok(taken) => {
                for damage in &taken.damage {
                    tracing::error!(damage, "ALARM: damage was found while a backup was taken");
                }
                tracing::info!(records = taken.records, copied = taken.copied_bytes, "backed up");
                let taken_at = Some((now, taken.records));
                let damage = taken.damage;
                *self.lock() = Last { taken: taken_at, tried: Some(now), failed: None, damage };
            }
            Err(failure) => {
                tracing::error!(error = failure.what, "ALARM: no backup was taken");
                let mut last = self.lock();
                (last.tried, last.failed) = (Some(now), Some(failure.what));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the status; null where there is no schedule.
    pub fn view(&self) -> Value {
        let Some(to) = self.to.as_ref().filter(|_| !self.every.is_zero()) else {
            return Value::Null;
        };
        let last = self.lock().clone();
        json!({
            "to": to,
            "taken": last.taken.map(|(at, _)| at.to_string()),
            "records": last.taken.map(|(_, records)| records),
            "failed": last.failed,
            "damage": last.damage,
        })
    }

    /// Takes one for a command that waits at the other end: progress on lines of its own.
    pub fn serve(&self, to: &Path, mut stream: UnixStream) -> std::io::Result<()> {
        let mut told = 0;
        let mut gone = Ok(());
        let mut progress = |done: u64, all: u64| {
            let percent = (done * 100).checked_div(all).unwrap_or(0).min(100);
            if percent != told && gone.is_ok() {
                told = percent;
                gone = writeln!(stream, "{}", json!({ "progress": format!("{percent} %") }));
            }
        };
        let taken = self.take(to, &mut progress);
        gone?;
        let answer = match taken {
            Ok(taken) => json!({ "ok": view(&taken) }),
            Err(failure) => json!({ "error": failure }),
        };
        writeln!(stream, "{answer}")
    }
}

/// What a backup was.
pub fn view(taken: &Taken) -> Value {
    json!({
        "records": taken.records,
        "bytes": taken.bytes,
        "copied_bytes": taken.copied_bytes,
        "copied_files": taken.copied_files,
        "damage": taken.damage,
    })
}
