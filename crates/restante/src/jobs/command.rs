//! `restante job`, and how commands wait for long work.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;

use super::Ask;
use crate::control;
use crate::data_dir::DataDir;
use crate::request::{Failure, Request};
use crate::show;

/// Between two looks how far a job is.
const LOOK_EACH: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  restante job list
  restante job watch 3          says how far it is until it is over
  restante job cancel 3         what it has done stays done, and is told
  restante job undo 3           takes back what it did, as a job of its own

Console, HTTP API and commands at a terminal do long work as jobs of the running server: restoring
what a search finds, changes of the queue, undoing, purging, backups. A stop of the server ends them
in order; afterwards the records tell what was done (restante audit, history, trace).";

/// `restante job …`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum JobCommand {
    /// Those of the running server, the latest first
    List,
    /// One of them, with what came of it
    Show {
        /// Its number
        job: u64,
    },
    /// Say how far it is until it is over
    Watch {
        /// Its number
        job: u64,
    },
    /// End it early
    Cancel {
        /// Its number
        job: u64,
    },
    /// Take back what it did
    Undo {
        /// Its number
        job: u64,
    },
}

impl JobCommand {
    /// Asks, and shows.
    pub fn run(self, data: &DataDir, as_json: bool) -> anyhow::Result<ExitCode> {
        let ask = match self {
            Self::List => Ask::List,
            Self::Show { job } => Ask::Show { job },
            Self::Watch { job } => {
                let result = attended(data, job)?;
                tell(&result, as_json);
                return Ok(ExitCode::SUCCESS);
            }
            Self::Cancel { job } => Ask::Cancel { job },
            Self::Undo { job } => Ask::Undo { job },
        };
        let request = Request::Job { ask };
        let mut answer = control::ask(data, request.clone())?;
        if let (Value::Array(jobs), false) = (&mut answer, as_json) {
            for job in jobs {
                job["progress"] = progress_of(job).into();
            }
        }
        show::answer(&request, &answer, as_json);
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(result: &Value, as_json: bool) {
    match result["did"].as_str() {
        Some(did) if !as_json => show::line(did),
        _ => show::json(result),
    }
}

/// Has long work done, saying how far it is: as a job where a server runs, else as it is.
///
/// # Errors
/// What went wrong with it.
pub fn follow(data: &DataDir, request: Request) -> anyhow::Result<Value> {
    let ask = Ask::Start { request: Box::new(request) };
    let answer = control::ask(data, Request::Job { ask })?;
    match answer["job"].as_u64() {
        Some(job) => attended(data, job),
        None => Ok(answer),
    }
}

fn attended(data: &DataDir, job: u64) -> anyhow::Result<Value> {
    loop {
        let mut seen = control::ask(data, Request::Job { ask: Ask::Show { job } })?;
        if seen["ended"].is_null() {
            let how_far = progress_of(&seen);
            show::progress(&format!("{how_far} (restante job cancel {job} ends it)"));
            std::thread::sleep(LOOK_EACH);
            continue;
        }
        show::progress("");
        if let Ok(failure) = serde_json::from_value::<Failure>(seen["trouble"].take()) {
            return Err(control::told(failure));
        }
        return Ok(seen["result"].take());
    }
}

fn progress_of(job: &Value) -> String {
    let (done, unit) = (&job["done"], show::text(&job["unit"]));
    match (job["total"].as_u64(), job["unit"].as_str()) {
        (Some(_), Some("percent")) => format!("{done} %"),
        (Some(total), _) => format!("{done} of {total} {unit}"),
        (None, _) => format!("{done} {unit}"),
    }
}
