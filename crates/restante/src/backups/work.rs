//! Backups over the HTTP API and at the console: begun there, and looked at while they go on.

use std::sync::{Arc, PoisonError};

use mail_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Backups, view};
use crate::request::Failure;

/// What is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Taking a backup.
    Take,
    /// Comparing every byte of it with its manifest.
    Check,
}

/// Work that goes on, or the last one that did.
pub struct Work {
    kind: Kind,
    began: Timestamp,
    done: u64,
    all: u64,
    ended: Option<(Timestamp, Result<Value, Failure>)>,
}

impl Work {
    fn view(&self) -> Value {
        let percent = (self.done * 100).checked_div(self.all).unwrap_or(0).min(100);
        let ended = self.ended.as_ref();
        json!({
            "what": self.kind,
            "began": self.began.to_string(),
            "percent": if ended.is_some() { 100 } else { percent },
            "ended": ended.map(|(at, _)| at.to_string()),
            "result": ended.and_then(|(_, result)| result.as_ref().ok()),
            "failed": ended.and_then(|(_, result)| result.as_ref().err()),
        })
    }
}

impl Backups {
    fn work(&self) -> std::sync::MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands with backups: the schedule, and what was begun here.
    pub fn state(&self) -> Value {
        let work = self.work().as_ref().map(Work::view);
        json!({ "schedule": self.view(), "place": self.to, "work": work })
    }

    /// What can be restored from the settings' backup, the latest first. Asks the place.
    pub fn points(&self) -> Result<Value, Failure> {
        let failed = |error: backup::BackupError| Failure { what: error.to_string(), mend: None };
        let backup = self.configured()?;
        let manifest = backup.manifest().map_err(failed)?;
        let points: Vec<Value> = manifest
            .points
            .iter()
            .rev()
            .map(|point| {
                json!({
                    "taken": Timestamp(point.taken).to_string(),
                    "records": point.records,
                    "signed": point.note.is_some(),
                })
            })
            .collect();
        Ok(json!({
            "place": backup.place(),
            "installation": manifest.installation,
            "bytes": manifest.bytes(),
            "encrypted_to": manifest.sealed.map(|sealed| sealed.recipients).unwrap_or_default(),
            "points": points,
        }))
    }

    /// Begins work on the settings' backup; answers the state. One at a time.
    pub fn begin(self: &Arc<Self>, kind: Kind) -> Result<Value, Failure> {
        let Some(to) = self.to.clone() else {
            return self.configured().map(|_| Value::Null);
        };
        let mut work = self.work();
        if work.as_ref().is_some_and(|work| work.ended.is_none()) {
            return Err(Failure {
                what: "it is being taken or checked already".to_owned(),
                mend: Some("look at how far it is, and wait".to_owned()),
            });
        }
        let began = net::now();
        *work = Some(Work { kind, began, done: 0, all: 0, ended: None });
        drop(work);
        let backups = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let mut progress = |done, all| {
                if let Some(work) = &mut *backups.work() {
                    (work.done, work.all) = (done, all);
                }
            };
            let result = match kind {
                Kind::Take => backups.take(&to, &[], &mut progress).map(|taken| {
                    backups.note_taken(began, &taken);
                    view(&taken)
                }),
                Kind::Check => backups.checked(&mut progress),
            };
            if let Some(work) = &mut *backups.work() {
                work.ended = Some((net::now(), result));
            }
        });
        Ok(self.state())
    }

    fn checked(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Value, Failure> {
        let checked = self.configured()?.check(progress);
        let checked = checked.map_err(|error| Failure { what: error.to_string(), mend: None })?;
        if !checked.damage.is_empty() {
            let first = checked.damage.first();
            tracing::error!(first, count = checked.damage.len(), "ALARM: the backup is damaged");
        }
        Ok(json!({
            "clean": checked.damage.is_empty(),
            "files": checked.files,
            "bytes": checked.bytes,
            "damage": checked.damage,
        }))
    }
}
