//! Backups while the server runs: by hand, and on a schedule. Crate `backup` copies.

pub mod asked;
pub mod command;
pub mod extract;
pub mod healing;
pub mod open;
mod s3;
mod signature;
mod small_files;
mod work;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use backup::age::Recipient;
use backup::{Backup, Sealing, Source, Taken};
use config::Config;
use ledger::{View, heads_path};
use mail_types::Timestamp;
use net::Stop;
use serde_json::{Value, json};
use store::Store;

use crate::data_dir::DataDir;
use crate::kept_file;
use crate::request::Failure;
pub use work::Kind;
use work::Work;

/// Between two looks whether it is time.
const LOOK_EACH: Duration = Duration::from_secs(5);
/// After one that failed.
const AFTER_TROUBLE: Duration = Duration::from_secs(600);
/// Between two alarms that the last one is old.
const OLD_AGAIN: Duration = Duration::from_secs(3600);
/// The secret that names of large bodies are hashed with in encrypted backups.
const NAMES_KEY: &str = "backup.key";

/// Takes backups of an open store.
pub struct Backups {
    data: DataDir,
    config: Config,
    store: Store,
    /// Where the settings want them.
    to: Option<PathBuf>,
    every: Duration,
    started: Timestamp,
    last: Mutex<Last>,
    /// What checks came to is written by one at a time.
    keeping: Mutex<()>,
    /// One at a time, wherever to.
    turn: Mutex<()>,
    work: Mutex<Option<Work>>,
}

/// What is known of the schedule's backup.
#[derive(Clone, Debug, Default)]
struct Last {
    /// It was looked what is in the place.
    looked: bool,
    taken: Option<(Timestamp, u64)>,
    tried: Option<Timestamp>,
    failed: Option<String>,
    damage: Vec<String>,
    /// That the last one is old was told then.
    old_told: Option<Timestamp>,
}

/// What goes wrong before anything is copied.
fn failed(error: &dyn std::fmt::Display) -> Failure {
    let what = error.to_string();
    match what.split_once("\nWhat to do: ") {
        Some((what, mend)) => {
            Failure { what: format!("no backup was taken: {what}"), mend: Some(mend.to_owned()) }
        }
        None => Failure { what: format!("no backup was taken: {what}"), mend: None },
    }
}

impl Backups {
    pub fn new(data: &DataDir, config: &Config, store: &Store) -> Arc<Self> {
        let to = config.backup.to.as_ref().map(|path| match open::is_url(path) {
            true => path.clone(),
            false => data.resolve(path),
        });
        Arc::new(Self {
            data: data.clone(),
            config: config.clone(),
            store: store.clone(),
            to,
            every: config.backup.every,
            keeping: Mutex::default(),
            started: net::now(),
            last: Mutex::default(),
            turn: Mutex::default(),
            work: Mutex::default(),
        })
    }

    /// Opens a place under this installation's settings.
    fn open(&self, place: &Path, identity: Option<&Path>) -> anyhow::Result<Backup> {
        open::open(place, Some((&self.data, &self.config)), identity)
    }

    /// The backup that the settings name.
    fn configured(&self) -> Result<Backup, Failure> {
        let to = self.to.as_ref().ok_or_else(|| Failure {
            what: "the settings name no place for backups".to_owned(),
            mend: Some("set backup.to in restante.toml".to_owned()),
        })?;
        self.open(to, None).map_err(|error| Failure { what: format!("{error:#}"), mend: None })
    }

    /// Takes one now, encrypted to these besides what the settings say.
    pub fn take(
        &self,
        to: &Path,
        encrypt_to: &[String],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Taken, Failure> {
        if to.starts_with(self.data.path()) {
            return Err(Failure {
                what: format!("{} is in the data directory itself", to.display()),
                mend: Some("choose a directory on another disk".to_owned()),
            });
        }
        // Whoever asks while another one is taken wants what came since, too.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let backup = self.open(to, None).map_err(|error| failed(&format!("{error:#}")))?;
        let sealing = self.sealing(encrypt_to).map_err(|error| failed(&format!("{error:#}")))?;
        // Heads before the journal's own: a signed head must not be of more than is copied.
        let view = View::open(&heads_path(self.data.path())).ok();
        let note = view.as_ref().and_then(|view| Some(view.latest().ok()?.note.to_string()));
        let files = small_files::read(self.data.path()).map_err(|error| failed(&error))?;
        let head = self.store.journal().head();
        let head = head.ok_or_else(|| failed(&"the journal is not open"))?;
        // Whoever has the same key is the same installation, whatever it is called by now.
        let hostname = self.config.hostname.to_string();
        let installation = view.map_or(hostname, |view| view.verifier().to_string());
        let source = Source {
            root: self.data.path(),
            head,
            installation: &installation,
            note,
            files,
            now: net::now().millis(),
            sealing,
        };
        backup.take(&source, progress).map_err(|error| failed(&error))
    }

    fn sealing(&self, encrypt_to: &[String]) -> anyhow::Result<Option<Sealing>> {
        let texts = self.config.backup.encrypt_to.iter().chain(encrypt_to);
        let mut recipients: Vec<Recipient> = Vec::new();
        for text in texts {
            let recipient = Recipient::parse(text)?;
            if !recipients.contains(&recipient) {
                recipients.push(recipient);
            }
        }
        if recipients.is_empty() {
            return Ok(None);
        }
        let path = self.data.path().join(NAMES_KEY);
        let names_key = match std::fs::read(&path) {
            Ok(bytes) => {
                let key = <[u8; 32]>::try_from(bytes.as_slice());
                key.ok()
                    .with_context(|| format!("{} is not 32 bytes; remove it", path.display()))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key: [u8; 32] = net::random_bytes()?;
                kept_file::replace(&path, &key)?;
                key
            }
            Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
        };
        Ok(Some(Sealing { recipients, names_key }))
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
        if self.turn.try_lock().is_err() {
            // One is being taken by hand.
            return;
        }
        self.look_what_is_there();
        let last = self.lock().clone();
        let over = |at: Timestamp, wait| now < at || now.since(at) >= wait;
        let due = last.taken.is_none_or(|(at, _)| over(at, self.every));
        let again = last.failed.is_none() || last.tried.is_none_or(|at| over(at, AFTER_TROUBLE));
        if due && again {
            self.take_scheduled(to, now);
        }
        self.tell_if_old(now);
    }

    /// What earlier runs left: once, as soon as the place answers.
    fn look_what_is_there(&self) {
        if self.lock().looked {
            return;
        }
        let Ok(backup) = self.configured() else { return };
        let found = backup.manifest().ok().and_then(|manifest| {
            let point = manifest.latest().ok()?;
            Some((Timestamp(point.taken), point.records))
        });
        let mut last = self.lock();
        last.looked = true;
        last.taken = last.taken.or(found);
    }

    fn take_scheduled(&self, to: &Path, now: Timestamp) {
        match self.take(to, &[], &mut |_, _| {}) {
            Ok(taken) => {
                for damage in &taken.damage {
                    tracing::error!(damage, "ALARM: damage was found while a backup was taken");
                }
                tracing::info!(records = taken.records, copied = taken.copied_bytes, "backed up");
                self.note_taken(now, &taken);
            }
            Err(failure) => {
                tracing::error!(error = failure.what, "ALARM: no backup was taken");
                let mut last = self.lock();
                (last.tried, last.failed) = (Some(now), Some(failure.what));
            }
        }
    }

    fn note_taken(&self, now: Timestamp, taken: &Taken) {
        let mut last = self.lock();
        *last = Last {
            looked: true,
            taken: Some((now, taken.records)),
            tried: Some(now),
            damage: taken.damage.clone(),
            ..Last::default()
        };
    }

    /// Whoever relies on backups hears when there are none any more.
    fn tell_if_old(&self, now: Timestamp) {
        let limit = self.config.backup.alarm_after;
        let mut last = self.lock();
        let since = last.taken.map_or(self.started, |(at, _)| at);
        let told = last.old_told.is_some_and(|at| now >= at && now.since(at) < OLD_AGAIN);
        if limit.is_zero() || now < since || now.since(since) < limit || told {
            return;
        }
        last.old_told = Some(now);
        let taken = last.taken.map_or_else(|| "never".to_owned(), |(at, _)| at.to_string());
        tracing::error!(taken, "ALARM: the last backup is too old");
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the settings' last backup was taken, in seconds before now, and whether the last try
    /// failed; `None` where the settings want none.
    pub fn age(&self) -> Option<(Option<f64>, bool)> {
        self.to.as_ref().filter(|_| !self.every.is_zero())?;
        let (last, now) = (self.lock().clone(), net::now());
        let age = last.taken.map(|(at, _)| now.since(at.min(now)).as_secs_f64());
        Some((age, last.failed.is_some()))
    }

    /// For the status; null where there is no schedule.
    pub fn view(&self) -> Value {
        let Some(to) = self.to.as_ref().filter(|_| !self.every.is_zero()) else {
            return Value::Null;
        };
        let last = self.lock().clone();
        json!({
            "to": to,
            "every": config::format_duration(self.every),
            "encrypted_to": self.config.backup.encrypt_to,
            "taken": last.taken.map(|(at, _)| at.to_string()),
            "records": last.taken.map(|(_, records)| records),
            "failed": last.failed,
            "damage": last.damage,
        })
    }

    /// Takes one for a command that waits at the other end: progress on lines of its own.
    pub fn serve(
        &self,
        to: &Path,
        encrypt_to: &[String],
        stream: UnixStream,
    ) -> std::io::Result<()> {
        told(stream, |progress| {
            let now = net::now();
            let taken = self.take(to, encrypt_to, progress)?;
            if self.to.as_deref() == Some(to) {
                self.note_taken(now, &taken);
            }
            Ok(view(&taken))
        })
    }

    /// Heals for a command that waits at the other end.
    pub fn serve_heal(
        &self,
        ask: &healing::Ask,
        actor: &store::Actor,
        stream: UnixStream,
    ) -> std::io::Result<()> {
        told(stream, |progress| self.heal(ask, actor, progress))
    }
}

/// Work for a command that waits at the other end of a connection, with its progress.
fn told(
    mut stream: UnixStream,
    work: impl FnOnce(&mut dyn FnMut(u64, u64)) -> Result<Value, Failure>,
) -> std::io::Result<()> {
    let (mut shown, mut gone) = (0, Ok(()));
    let mut progress = |done: u64, all: u64| {
        let percent = (done * 100).checked_div(all).unwrap_or(0).min(100);
        if percent != shown && gone.is_ok() {
            shown = percent;
            gone = writeln!(stream, "{}", json!({ "progress": format!("{percent} %") }));
        }
    };
    let done = work(&mut progress);
    gone?;
    let answer = match done {
        Ok(value) => json!({ "ok": value }),
        Err(failure) => json!({ "error": failure }),
    };
    writeln!(stream, "{answer}")
}

/// What a backup was.
pub fn view(taken: &Taken) -> Value {
    json!({
        "records": taken.records,
        "bytes": taken.bytes,
        "copied_bytes": taken.copied_bytes,
        "copied_files": taken.copied_files,
        "encrypted": taken.encrypted,
        "damage": taken.damage,
    })
}
