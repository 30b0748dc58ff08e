//! The backup of the schedule as operators see it over console and API: how old it is, what checking
//! and rehearsing it came to; and having one taken, checked or rehearsed now.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use std::time::Duration;

use backup::BackupError;
use mail_types::Timestamp;
use rustix::process::{Pid, setpriority_process};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Backups, view};
use crate::jobs::{Described, Watch, ended_early};
use crate::kept_file;
use crate::request::Failure;

/// Points that are shown.
const POINTS_MAX: usize = 50;
/// Between two looks whether a check has ended, or is to.
const LOOK_EACH: Duration = Duration::from_millis(50);
/// How much checking and rehearsing stand behind everything else.
const NICENESS: i32 = 15;
/// Octets of what a check says: what is damaged is counted, and the first of it named.
const SAID_BYTES_MAX: u64 = 16 << 20;
/// Findings that are kept of one check.
const FINDINGS_MAX: usize = 50;
/// What the last check and rehearsal came to.
const KEPT: &str = "backup.json";
/// Has the commands tell their progress on lines of their own.
pub const PROGRESS_LINES: &str = "RESTANTE_PROGRESS_LINES";

/// What is asked about the backup of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// How it is.
    State,
    /// Take one now.
    Take,
    /// Read every byte of it.
    Check,
    /// Restore it somewhere, and verify that.
    Rehearse,
}

/// A job of it.
pub fn described(ask: &Ask) -> Option<Described> {
    let job = |what: &str, unit, ends_early| Described { what: what.to_owned(), unit, ends_early };
    match ask {
        Ask::State => None,
        // What it has copied would be copied again.
        Ask::Take => Some(job("take a backup", "bytes", false)),
        Ask::Check => Some(job("check the backup", "percent", true)),
        Ask::Rehearse => Some(job("rehearse a restore of the backup", "percent", true)),
    }
}

impl Backups {
    /// Answers, or does it; blocks.
    pub fn answer(&self, ask: Ask, watch: &Watch) -> Result<Value, Failure> {
        match ask {
            Ask::State => Ok(self.health()),
            Ask::Take => self.take_now(watch),
            Ask::Check => self.examine("check", watch),
            Ask::Rehearse => self.examine("rehearse", watch),
        }
    }

    fn to(&self) -> Result<&Path, Failure> {
        self.to.as_deref().ok_or_else(|| Failure {
            what: "the settings name no place for backups".to_owned(),
            mend: Some("set backup.to in restante.toml".to_owned()),
        })
    }

    fn health(&self) -> Value {
        self.look_what_is_there();
        let last = self.lock().clone();
        let mut state = json!({
            "to": self.to,
            "every_secs": self.every.as_secs(),
            "taken": last.taken.map(|(at, _)| at.to_string()),
            "records": last.taken.map(|(_, records)| records),
            "failed": last.failed,
            "damage": last.damage,
        });
        let now = net::now();
        if let Some((at, _)) = last.taken {
            state["age_secs"] = (now.since(at).as_secs()).into();
            let is_late = !self.every.is_zero() && now.since(at) > self.every * 2;
            state["late"] = is_late.into();
        }
        let Ok(backup) = self.configured() else { return state };
        match backup.manifest() {
            Ok(manifest) => {
                let points = manifest.points.iter().rev().take(POINTS_MAX).map(|point| {
                    json!({
                        "taken": Timestamp(point.taken).to_string(),
                        "records": point.records,
                        "signed": point.note.is_some(),
                    })
                });
                state["points"] = points.collect();
                state["bytes"] = manifest.bytes().into();
            }
            // None was taken yet.
            Err(BackupError::None(_)) => {}
            Err(error) => state["unreadable_because"] = error.to_string().into(),
        }
        let kept = self.kept();
        state["checked"] = kept["check"].clone();
        state["rehearsed"] = kept["rehearse"].clone();
        state
    }

    fn take_now(&self, watch: &Watch) -> Result<Value, Failure> {
        let to = self.to()?;
        let now = net::now();
        let taken = self.take(to, &[], &mut |done, all| watch.at(done, all))?;
        let mut answer = view(&taken);
        self.note_taken(now, &taken);
        let copied = config::format_bytes(taken.copied_bytes);
        answer["did"] = format!("{} records are backed up; {copied} copied", taken.records).into();
        Ok(answer)
    }

    /// Checks or rehearses, in a process of its own: it takes memory and time that mail should have,
    /// and can be ended anywhere.
    fn examine(&self, what: &str, watch: &Watch) -> Result<Value, Failure> {
        let to = self.to()?;
        let failed = |error: &dyn std::fmt::Display| Failure {
            what: format!("the backup could not be looked at: {error}"),
            mend: Some(format!("try it by hand: restante backup {what} --from {}", to.display())),
        };
        let scratch = tempfile::tempdir().map_err(|error| failed(&error))?;
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let mut command = Command::new(program);
        command.args(["backup", what, "--json", "--from"]).arg(to);
        command.arg("--data").arg(self.data.path());
        if what == "rehearse" {
            command.arg("--scratch").arg(scratch.path());
        }
        command.env(PROGRESS_LINES, "1").stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let ended = attended(child.map_err(|error| failed(&error))?, watch);
        let (said, trouble) = ended.map_err(|error| failed(&error))?;
        if watch.is_cancelled() {
            let mut answer = json!({ "did": "nothing was found out about the backup" });
            ended_early(&mut answer, 0, "");
            return Ok(answer);
        }
        let mut found: Value =
            serde_json::from_slice(&said).map_err(|_| failed(&trouble.trim()))?;
        let damage = if what == "check" { "damage" } else { "violations" };
        if let Some(list) = found[damage].as_array_mut() {
            let whole = list.len();
            list.truncate(FINDINGS_MAX);
            found["wrong"] = whole.into();
        }
        found["at"] = net::now().to_string().into();
        let mut kept = self.kept();
        kept[what] = found.clone();
        self.keep(&kept);
        found["did"] = match (what, found["clean"].as_bool().unwrap_or(false)) {
            ("check", true) => "every byte of the backup is as it was written".to_owned(),
            (_, true) => "the backup was restored elsewhere and verified".to_owned(),
            (_, false) => {
                tracing::error!(wrong = %found["wrong"], "ALARM: the backup is damaged");
                format!("the backup is damaged: {} findings", found["wrong"])
            }
        }
        .into();
        Ok(found)
    }

    fn kept_path(&self) -> PathBuf {
        self.data.path().join(KEPT)
    }

    fn kept(&self) -> Value {
        let bytes = std::fs::read(self.kept_path()).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_else(|_| json!({}))
    }

    fn keep(&self, kept: &Value) {
        let _one_at_a_time = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = kept_file::replace(&self.kept_path(), kept.to_string().as_bytes()) {
            tracing::warn!(%error, "what a check of the backup came to is not kept");
        }
    }
}

/// Waits for a process that tells its progress; ends it when it is not wanted any more. Answers what
/// it said, and the last lines of trouble.
fn attended(mut child: Child, watch: &Watch) -> std::io::Result<(Vec<u8>, String)> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Err(error) = setpriority_process(pid, NICENESS) {
        tracing::debug!(%error, "looking at the backup has the common priority");
    }
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (mut said, mut trouble) = (Vec::new(), String::new());
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| match out {
            Some(out) => out.take(SAID_BYTES_MAX).read_to_end(&mut said).map(drop),
            None => Ok(()),
        });
        scope.spawn(|| {
            for line in err.into_iter().flat_map(|err| BufReader::new(err).lines()) {
                let Ok(line) = line else { break };
                match line.strip_suffix(" %").and_then(|percent| percent.parse().ok()) {
                    Some(percent) => watch.at(percent, 100),
                    None => trouble = line,
                }
            }
        });
        while child.try_wait()?.is_none() {
            if !watch.go_on() {
                child.kill()?;
                child.wait()?;
                break;
            }
            std::thread::sleep(LOOK_EACH);
        }
        reading.join().unwrap_or_else(|_| Err(std::io::Error::other("a bug")))
    })?;
    Ok((said, trouble))
}
