//! The auditor while the server runs: looks every minute whether all mail is accounted for.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use config::Config;
use mail_types::Timestamp;
use net::Stop;
use serde_json::{Map, Value, json};
use store::{Audit, Auditor, Store, TooOld};

use crate::control;
use crate::data_dir::DataDir;
use crate::request::{Failure, Request};
use crate::show;

/// Between two looks.
const LOOK_EACH: Duration = Duration::from_secs(60);
/// Beyond lifetime and last wait, mail may still be in hand for so long.
const SLACK: Duration = Duration::from_secs(3600);
/// Looks of one whole round: 50,000 custodies each.
const LOOKS_MAX: u32 = 1_000_000;

/// What it found last.
pub struct Auditing {
    store: Store,
    in_queue: InQueue,
    found: Mutex<Option<(Timestamp, Audit)>>,
}

/// How long mail may be in the queue.
#[derive(Clone, Copy, Debug)]
struct InQueue {
    /// From acceptance until it must be out: its lifetime, and the wait that it may end in.
    max: Duration,
    /// The same of what came to its first attempt late, and had fewer than so many.
    late_max: Duration,
    tries_least: u32,
}

impl InQueue {
    fn new(config: &Config) -> Self {
        let (waits, lifetime) = (config.queue.retry_schedule.clone(), config.queue.lifetime);
        let wait = waits.iter().max().copied().unwrap_or_default();
        let max = lifetime + wait * 2 + SLACK;
        let schedule = route::Schedule { waits, lifetime, ..route::Schedule::default() };
        Self { max, late_max: max + lifetime, tries_least: schedule.tries_least() }
    }

    fn too_old(self, now: Timestamp) -> TooOld {
        let (before, late_before) = (before(now, self.max), before(now, self.late_max));
        TooOld { before, tries_least: self.tries_least, late_before }
    }
}

impl Auditing {
    pub fn new(config: &Config, store: &Store) -> Arc<Self> {
        let in_queue = InQueue::new(config);
        Arc::new(Self { store: store.clone(), in_queue, found: Mutex::new(None) })
    }

    /// Looks every minute, until the stop.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        let mut auditor = Auditor::default();
        loop {
            let auditing = Arc::clone(&self);
            let look = tokio::task::spawn_blocking(move || {
                auditing.look(&mut auditor);
                auditor
            });
            auditor = look.await.unwrap_or_else(|error| {
                tracing::error!(%error, "auditing failed");
                Auditor::default()
            });
            tokio::select! {
                () = tokio::time::sleep(LOOK_EACH) => {}
                () = stop.requested() => return,
            }
        }
    }

    fn look(&self, auditor: &mut Auditor) {
        let now = net::now();
        match self.store.audit(auditor, self.in_queue.too_old(now)) {
            Ok(audit) => {
                tell(&audit);
                *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, audit));
            }
            Err(error) => tracing::error!(%error, "what is accounted for cannot be looked at"),
        }
    }

    /// For the status: nothing before the first look.
    pub fn view(&self) -> Map<String, Value> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, audit)) = &*found else { return Map::new() };
        let mut view = view(audit);
        view["audit"]["at"] = at.to_string().into();
        view.as_object().cloned().unwrap_or_default()
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    Timestamp(now.millis().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)))
}

fn tell(audit: &Audit) {
    if audit.unaccounted > 0 {
        let (unaccounted, first) = (audit.unaccounted, audit.findings.first());
        tracing::error!(unaccounted, first, "ALARM: mail is not accounted for: restante verify");
    }
    if audit.overdue > 0 {
        let overdue = audit.overdue;
        tracing::error!(overdue, "ALARM: mail is in the queue beyond its lifetime");
    }
}

fn view(audit: &Audit) -> Value {
    json!({
        "unaccounted": audit.unaccounted,
        "overdue": audit.overdue,
        "audit": {
            "open": audit.open,
            "held": audit.held,
            "custodies_looked_at": audit.custodies.0,
            "custodies": audit.custodies.1,
            "rounds": audit.rounds,
            "findings": audit.findings,
        },
    })
}

/// One whole round, now; the times in milliseconds.
pub fn whole(
    store: &Store,
    (before, late_before): (i64, i64),
    tries_least: u32,
) -> Result<Value, Failure> {
    let (before, late_before) = (Timestamp(before), Timestamp(late_before));
    let too_old = TooOld { before, tries_least, late_before };
    let mut auditor = Auditor::default();
    for _ in 0..LOOKS_MAX {
        let audit = store.audit(&mut auditor, too_old)?;
        if audit.rounds > 0 {
            return Ok(view(&audit));
        }
    }
    Err(Failure { what: "there is too much to look at".to_owned(), mend: None })
}

/// `restante verify --online`.
pub fn online(data: &DataDir, config: &Config, as_json: bool) -> anyhow::Result<ExitCode> {
    let TooOld { before, tries_least, late_before } = InQueue::new(config).too_old(net::now());
    let (too_old, late) = (before.millis(), late_before.millis());
    let found = control::ask(data, Request::Audit { too_old, tries_least, late })?;
    let wrong = ["unaccounted", "overdue"].map(|name| found[name].as_u64().unwrap_or(1));
    if as_json {
        show::json(&found);
    } else {
        show::line(&format!(
            "{} recipients looked at: {} unaccounted for, {} overdue.",
            found["audit"]["custodies"], found["unaccounted"], found["overdue"]
        ));
        for finding in found["audit"]["findings"].as_array().into_iter().flatten() {
            show::line(&format!("  {}", show::text(finding)));
        }
    }
    Ok(if wrong == [0, 0] { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
