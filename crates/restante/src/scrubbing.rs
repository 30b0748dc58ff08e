//! The scrubber: reads the journal and its bodies from the disk, a little at a time, so that what is
//! damaged is known before it is needed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use config::Config;
use journal::{Damage, Head, Position, Reader, RealDisk, Scrubbed};
use mail_types::Timestamp;
use net::Stop;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::Store;

use crate::backups::Backups;
use crate::control;
use crate::data_dir::DataDir;
use crate::kept_file;
use crate::request::Request;
use crate::show;

/// A step of the round is made so often.
const STEP_EACH: Duration = Duration::from_secs(10);
/// A step reads at least so much: less costs more than it spares.
const STEP_BYTES_MIN: u64 = 1 << 20;
/// Of a round by hand.
const STEP_BYTES: u64 = 16 << 20;
/// Where the round is, is written down so often.
const KEEP_EACH: Duration = Duration::from_secs(300);
/// Damage told one by one; the rest is counted.
const TOLD_MAX: usize = 100;

/// Where a round is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Round {
    /// When it began, and the one before ended, in milliseconds.
    began: i64,
    finished: Option<i64>,
    /// Segment and offset to go on at; `None` where it has ended.
    at: Option<(u32, u64)>,
    bytes: u64,
    damage: Vec<String>,
    damage_count: u64,
    /// What the round before found.
    found_before: u64,
    /// What was damaged and was written once more from the backup.
    #[serde(default)]
    healed: Vec<String>,
}

/// The scrubber of a running server.
pub struct Scrubbing {
    store: Store,
    path: PathBuf,
    every: Duration,
    round: Mutex<(Round, u64)>,
    backups: Arc<Backups>,
}

impl Scrubbing {
    pub fn new(
        data: &DataDir,
        config: &Config,
        store: &Store,
        backups: &Arc<Backups>,
    ) -> Arc<Self> {
        let path = data.path().join("scrub.json");
        let round = read(&path).unwrap_or_default();
        let round = Mutex::new((round, total(data.path())));
        let (store, backups) = (store.clone(), Arc::clone(backups));
        Arc::new(Self { store, path, every: config.scrub.every, round, backups })
    }

    fn lock(&self) -> MutexGuard<'_, (Round, u64)> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads, until the stop.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        if self.every.is_zero() {
            return;
        }
        let mut kept = Instant::now();
        loop {
            let scrubbing = Arc::clone(&self);
            let step = tokio::task::spawn_blocking(move || scrubbing.step(net::now()));
            let found = step.await.unwrap_or_else(|error| {
                tracing::error!(%error, "reading the journal again failed");
                false
            });
            if found || kept.elapsed() >= KEEP_EACH {
                self.keep();
                kept = Instant::now();
            }
            tokio::select! {
                () = tokio::time::sleep(STEP_EACH) => {}
                () = stop.requested() => break,
            }
        }
        self.keep();
    }

    /// Reads the next piece, if it is time; whether there is something to be kept at once.
    fn step(&self, now: Timestamp) -> bool {
        let reader = self.store.journal();
        let Some(head) = reader.head() else { return false };
        let (mut round, all) = self.lock().clone();
        if round.at.is_none() {
            let due = round.began == 0 || now.since(Timestamp(round.began)) >= self.every;
            if !due {
                return false;
            }
            let root = self.path.parent().unwrap_or(Path::new("."));
            self.lock().1 = total(root);
            round = Round {
                began: now.millis(),
                finished: round.finished,
                at: Some((1, 0)),
                found_before: round.damage_count,
                ..Round::default()
            };
        }
        // So much that the round ends in its time.
        let steps = (self.every.as_secs() / STEP_EACH.as_secs()).max(1);
        let bytes_max = (all / steps).max(STEP_BYTES_MIN);
        let from = round.at.map(|(segment, offset)| Position { segment, offset });
        let mut done = reader.scrub(from, &head, bytes_max);
        let found = !done.damage.is_empty();
        if found && self.backups.heals() {
            self.heal(&mut done, &mut round);
        }
        round.add(&done);
        for damage in &done.damage {
            let damage = damage.to_string();
            tracing::error!(damage, "ALARM: the journal is damaged; see `restante scrub`");
        }
        if done.next.is_none() {
            round.finished = Some(net::now().millis());
        }
        let keep = done.next.is_none() || found;
        self.lock().0 = round;
        keep
    }

    /// Has what was found written once more from the backup; what cannot be stays damage.
    fn heal(&self, done: &mut Scrubbed, round: &mut Round) {
        let healed = self.backups.heal_found(&done.damage);
        let mut left = Vec::new();
        for (damage, healed) in done.damage.drain(..).zip(healed) {
            match healed {
                Ok(healed) => {
                    let (what, from) = (healed.what, healed.from);
                    tracing::warn!(what, from, "ALARM: damage in the journal was healed");
                    if round.healed.len() < TOLD_MAX {
                        round.healed.push(what);
                    }
                }
                Err(why) => {
                    tracing::warn!(%damage, why, "damage cannot be healed from the backup");
                    left.push(damage);
                }
            }
        }
        done.damage = left;
    }

    fn keep(&self) {
        let round = self.lock().0.clone();
        let written = serde_json::to_vec(&round)
            .map_err(std::io::Error::other)
            .and_then(|bytes| kept_file::replace(&self.path, &bytes));
        if let Err(error) = written {
            tracing::warn!(%error, "the next start reads the journal again from the beginning");
        }
    }

    /// For the status.
    pub fn view(&self) -> Value {
        let (round, all) = self.lock().clone();
        if self.every.is_zero() {
            return Value::Null;
        }
        let percent = match round.at {
            None => 100,
            Some(_) => (round.bytes * 100).checked_div(all).unwrap_or(0).min(99),
        };
        json!({
            "percent": percent,
            "began": Timestamp(round.began).to_string(),
            "finished": round.finished.map(|at| Timestamp(at).to_string()),
            "bytes": round.bytes,
            "damaged": round.damage_count.max(round.found_before),
            "damage": round.damage,
            "healed": round.healed,
        })
    }
}

impl Round {
    fn add(&mut self, done: &Scrubbed) {
        self.at = done.next.map(|at| (at.segment, at.offset));
        self.bytes += done.bytes;
        self.damage_count += done.damage.len() as u64;
        let room = TOLD_MAX.saturating_sub(self.damage.len());
        self.damage.extend(done.damage.iter().take(room).map(Damage::to_string));
    }
}

fn read(path: &Path) -> Option<Round> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Bytes that a round reads, roughly: what cannot be read counts nothing.
fn total(root: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = ["journal", "bodies"].into_iter().filter_map(|dir| {
        let files = std::fs::read_dir(root.join(dir)).ok()?;
        Some(files.filter_map(|file| file.ok()?.metadata().ok()))
    });
    // What is reserved and not used is not read.
    files.flatten().filter(std::fs::Metadata::is_file).map(|file| file.blocks() * 512).sum()
}

/// Where the journal ends, for a command that reads it itself.
pub fn head(store: &Store) -> Value {
    let bytes = store.journal().head().map(|head| head.to_bytes().to_vec());
    json!({ "head": bytes })
}

/// `restante scrub`: reads everything now, beside a server or without one.
pub fn scrub(data: &DataDir, as_json: bool) -> anyhow::Result<ExitCode> {
    let answer = control::ask(data, Request::JournalHead)?;
    let bytes: Option<Vec<u8>> = serde_json::from_value(answer["head"].clone())?;
    let head = bytes.and_then(|bytes| Head::from_bytes(&bytes));
    let head = head.context("the server does not say where the journal ends")?;
    let reader = Reader::look(RealDisk::new(data.path()));
    let all = total(data.path()).max(1);
    let (mut round, mut frames) = (Round { at: Some((1, 0)), ..Round::default() }, 0);
    while let Some((segment, offset)) = round.at {
        let done = reader.scrub(Some(Position { segment, offset }), &head, STEP_BYTES);
        frames += done.frames;
        round.add(&done);
        show::progress(&format!("{} %", (round.bytes * 100 / all).min(100)));
    }
    show::progress("");
    if as_json {
        show::json(&json!({
            "clean": round.damage_count == 0,
            "frames": frames,
            "bytes": round.bytes,
            "damaged": round.damage_count,
            "damage": round.damage,
        }));
    } else {
        show::line(&format!(
            "Read {} in {frames} frames from the disk: {} damaged.",
            config::format_bytes(round.bytes),
            round.damage_count
        ));
        for damage in &round.damage {
            show::line(&format!("  {damage}"));
        }
        if round.damage_count > 0 {
            show::line("What to do: restante heal --from BACKUP");
        }
    }
    Ok(if round.damage_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
