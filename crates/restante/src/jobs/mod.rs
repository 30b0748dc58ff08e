//! Jobs: long work that a running server does beside everything else, says how far it is, and ends
//! early when somebody says so.
//!
//! Any request that may take long ([`is_long`]) can be started as a job. What a job does is done by
//! the same code as without one, in steps that are whole each: one that is cancelled, or that a crash
//! cuts off, has done its first steps, says which, and what it did can be taken back. Jobs themselves
//! are kept in memory: after a start there are none, and the records tell what was done.

mod command;
mod long;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Actor, Store};
use tokio::sync::watch as signal;

pub use command::{JobCommand, follow};
pub use long::{Described, ended_early, is_long, perform, runs_of};
pub use watch::Watch;

use crate::control::{self, Parts};
use crate::request::{Failure, Request, did};

/// Jobs under way at a time.
const RUNNING_MAX: usize = 4;
/// Jobs that are told of, with those that are over.
const KEPT_MAX: usize = 200;

/// What is asked about jobs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// All that are known, the latest first.
    List,
    /// One of them.
    Show { job: u64 },
    /// Do this as a job.
    Start { request: Box<Request> },
    /// End it early.
    Cancel { job: u64 },
    /// Take back what it did; itself a job.
    Undo { job: u64 },
}

/// The jobs of a running server.
pub struct Jobs {
    known: Mutex<Known>,
    /// How many are under way.
    running: signal::Sender<usize>,
}

#[derive(Default)]
struct Known {
    last: u64,
    stopping: bool,
    jobs: BTreeMap<u64, Job>,
}

/// One of them.
struct Job {
    is: Described,
    by: String,
    began: Timestamp,
    ended: Option<(Timestamp, Result<Value, Failure>)>,
    watch: Arc<Watch>,
    /// The job that has taken it back.
    undone_by: Option<u64>,
}

impl Jobs {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { known: Mutex::default(), running: signal::Sender::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers what is asked about jobs.
    pub fn answer(
        self: &Arc<Self>,
        store: &Store,
        parts: &Parts,
        ask: Ask,
        actor: Actor,
    ) -> Result<Value, Failure> {
        match ask {
            Ask::List => {
                let known = self.lock();
                Ok(known.jobs.iter().rev().map(|(number, job)| job.view(*number)).collect())
            }
            Ask::Show { job } => {
                self.lock().jobs.get(&job).map(|known| known.view(job)).ok_or_else(|| missing(job))
            }
            Ask::Start { request } => {
                let number = self.start(store, parts, *request, actor)?;
                Ok(json!({ "did": format!("job {number} is under way"), "job": number }))
            }
            Ask::Cancel { job } => {
                let known = self.lock();
                let found = known.jobs.get(&job).ok_or_else(|| missing(job))?;
                if found.ended.is_some() {
                    let what = format!("job {job} is over already");
                    return Err(Failure { what, mend: None });
                }
                if !found.is.ends_early {
                    let what = format!("job {job} is one that goes on to its end");
                    return Err(Failure { what, mend: None });
                }
                found.watch.cancel();
                Ok(did(format!("job {job} ends as soon as its step is done")))
            }
            Ask::Undo { job } => {
                let request = self.undoing(job)?;
                let number = self.start(store, parts, request, actor)?;
                if let Some(undone) = self.lock().jobs.get_mut(&job) {
                    undone.undone_by = Some(number);
                }
                let told = format!("job {number} takes back what job {job} did");
                Ok(json!({ "did": told, "job": number }))
            }
        }
    }

    /// The request that takes back what a job did.
    fn undoing(&self, job: u64) -> Result<Request, Failure> {
        let known = self.lock();
        let found = known.jobs.get(&job).ok_or_else(|| missing(job))?;
        let failed = |what: &str| Failure { what: format!("job {job} {what}"), mend: None };
        let (_, result) = found.ended.as_ref().ok_or_else(|| failed("is under way still"))?;
        if let Some(by) = found.undone_by {
            return Err(failed(&format!("is taken back already, by job {by}")));
        }
        let result = result.as_ref().map_err(|_| failed("did not get as far as that"))?;
        long::undo_of(result).ok_or_else(|| failed("did nothing that can be taken back"))
    }

    /// Does a request as a job; answers its number.
    fn start(
        self: &Arc<Self>,
        store: &Store,
        parts: &Parts,
        request: Request,
        actor: Actor,
    ) -> Result<u64, Failure> {
        let Some(is) = long::described(&request) else {
            let mend = Some("ask for it as it is".to_owned());
            return Err(Failure { what: "this is no job: it takes a moment".to_owned(), mend });
        };
        let watch = Arc::new(Watch::default());
        let number = {
            let mut known = self.lock();
            let under_way = known.jobs.values().filter(|job| job.ended.is_none()).count();
            if under_way >= RUNNING_MAX || known.stopping {
                let what = format!("{under_way} jobs are under way already");
                return Err(Failure { what, mend: Some("wait for one, or cancel it".to_owned()) });
            }
            known.last += 1;
            let number = known.last;
            let (by, watch) = (by(&actor), Arc::clone(&watch));
            let job = Job { is, by, began: net::now(), ended: None, watch, undone_by: None };
            known.jobs.insert(number, job);
            known.forget();
            // Before anybody can see it, so that a stop waits for it.
            self.running.send_modify(|running| *running += 1);
            number
        };
        let (jobs, store, parts) = (Arc::clone(self), store.clone(), parts.clone());
        tokio::spawn(async move {
            // Boxed: what it does may ask about jobs again, as far as the compiler knows.
            let work = Box::pin(control::done(&store, &parts, request, actor, &watch));
            let result = work.await;
            if let Err(failure) = &result {
                tracing::warn!(job = number, error = failure.what, "a job failed");
            }
            if let Some(job) = jobs.lock().jobs.get_mut(&number) {
                job.ended = Some((net::now(), result));
            }
            jobs.running.send_modify(|running| *running -= 1);
        });
        Ok(number)
    }

    /// Has all of them end early at the stop, and waits for it: nothing must touch the store when it
    /// closes.
    pub async fn until(self: Arc<Self>, mut stop: net::Stop) {
        stop.requested().await;
        {
            let mut known = self.lock();
            known.stopping = true;
            known.jobs.values().for_each(|job| job.watch.cancel());
        }
        // The sender is ours: it cannot be gone.
        self.running.subscribe().wait_for(|running| *running == 0).await.map(drop).ok();
    }
}

impl Known {
    /// The oldest that are over make room.
    fn forget(&mut self) {
        let over = self.jobs.iter().filter(|(_, job)| job.ended.is_some());
        let too_many = self.jobs.len().saturating_sub(KEPT_MAX);
        let oldest: Vec<u64> = over.map(|(number, _)| *number).take(too_many).collect();
        for number in oldest {
            self.jobs.remove(&number);
        }
    }
}

impl Job {
    fn view(&self, number: u64) -> Value {
        let (done, total) = self.watch.seen();
        let (state, result, trouble) = match &self.ended {
            None if self.watch.is_cancelled() => ("cancelling", None, None),
            None => ("running", None, None),
            Some((_, Ok(result))) if result["cancelled"] == true => {
                ("cancelled", Some(result), None)
            }
            Some((_, Ok(result))) => ("done", Some(result), None),
            Some((_, Err(failure))) => ("failed", None, Some(failure)),
        };
        let can_undo = self.undone_by.is_none() && result.and_then(long::undo_of).is_some();
        json!({
            "job": number,
            "what": self.is.what,
            "by": self.by,
            "began": self.began.to_string(),
            "ended": self.ended.as_ref().map(|(at, _)| at.to_string()),
            "state": state,
            "done": done,
            "total": total,
            "unit": self.is.unit,
            "can_cancel": self.ended.is_none() && self.is.ends_early,
            "result": result,
            "trouble": trouble,
            "can_undo": can_undo,
            "undone_by": self.undone_by,
        })
    }
}

fn missing(job: u64) -> Failure {
    Failure {
        what: format!("there is no job {job}"),
        mend: Some("jobs are forgotten when the server stops; what they did is kept".to_owned()),
    }
}

fn by(actor: &Actor) -> String {
    match actor {
        Actor::Operator { name } => format!("{name} (command line)"),
        Actor::Console { operator, .. } => format!("{operator} (console)"),
        Actor::Peer { .. } | Actor::Account { .. } | Actor::Session { .. } | Actor::Server => {
            "the server".to_owned()
        }
    }
}
