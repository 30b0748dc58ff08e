//! Which requests are long work, how they are done step by step, and how what they did is taken back.

use archive_search::Search;
use serde_json::{Value, json};
use store::{Actor, Store};

use super::Watch;
use crate::request::{Failure, Request};
use crate::{archive_command, backups, history, queue_perform, restore_found};

/// Whether a request may be started as a job.
pub fn is_long(request: &Request) -> bool {
    described(request).is_some()
}

/// What is said of a job.
pub struct Described {
    /// What it is called.
    pub what: String,
    /// What it counts.
    pub unit: &'static str,
    /// It can be cancelled.
    pub ends_early: bool,
}

/// The job that a request is; `None` for what takes a moment.
pub fn described(request: &Request) -> Option<Described> {
    let steps = |what: String, unit| Some(Described { what, unit, ends_early: true });
    match request {
        Request::QueueChange { what, dry_run: false, .. } => {
            steps(format!("change the queue: {}", what.word()), "recipients")
        }
        Request::QueueUndo { change: Some(change), .. } => {
            let what = format!("take change {change} of the queue back");
            Some(Described { what, unit: "recipients", ends_early: false })
        }
        Request::Acts { ask: history::Ask::Undo { dry_run: false, .. } } => {
            steps("take acts back".to_owned(), "acts")
        }
        Request::Archive { ask: archive_command::Ask::Over { dry_run: false, .. } } => {
            steps("purge what is over its time".to_owned(), "messages")
        }
        Request::RestoreFound(ask) if !ask.dry_run => steps(ask.words(), "messages"),
        Request::Backups { ask } => backups::asked::described(ask),
        _ => None,
    }
}

/// Does a request, step by step where it is long. Blocks until it is durable.
pub fn perform(
    store: &Store,
    search: Option<&Search>,
    request: Request,
    actor: &Actor,
    watch: &Watch,
) -> Result<Value, Failure> {
    match request {
        Request::QueueChange { what, filter, reason, dry_run: false } => {
            let reason = reason.as_deref();
            queue_perform::change_while(store, actor, &what, &filter, reason, watch)
        }
        Request::Acts { ask: history::Ask::Undo { acts, filter, dry_run: false } } => {
            history::undo_while(store, actor, acts, filter.as_ref(), watch)
        }
        Request::Archive { ask: archive_command::Ask::Over { dry_run: false, .. } } => {
            archive_command::purge_over(store, actor, watch)
        }
        Request::RestoreFound(ask) => restore_found::perform(store, search, &ask, actor, watch),
        other => crate::request::perform(store, other, actor),
    }
}

/// The request that takes back what came of one, where it can be.
pub fn undo_of(result: &Value) -> Option<Request> {
    if let Some(runs) = result["acts"].as_str().filter(|runs| !runs.is_empty()) {
        let acts = acts_of(runs)?;
        return Some(Request::Acts {
            ask: history::Ask::Undo { acts, filter: None, dry_run: false },
        });
    }
    if let Some(redo) = result["redo"].as_str() {
        let filter = Some(history::Filter::redo(redo)?);
        let acts = Vec::new();
        return Some(Request::Acts { ask: history::Ask::Undo { acts, filter, dry_run: false } });
    }
    let change = result["change"].as_u64()?;
    Some(Request::QueueUndo { change: Some(change), reason: None })
}

/// The numbers of `4811-4902,4911-4911`; `None` where it is nothing of that kind, or too much.
pub fn acts_of(runs: &str) -> Option<Vec<u64>> {
    /// More than one job does.
    const ACTS_MAX: usize = 1_000_000;
    let mut acts = Vec::new();
    for run in runs.split(',') {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
        let count = usize::try_from(last.checked_sub(first)?).ok()?;
        if acts.len() + count >= ACTS_MAX {
            return None;
        }
        acts.extend(first..=last);
    }
    Some(acts)
}

/// Numbers as runs, which [`acts_of`] reads.
pub fn runs_of(acts: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &act in acts {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == act => *last = act,
            _ => runs.push((act, act)),
        }
    }
    let runs: Vec<String> = runs.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    runs.join(",")
}

/// Says in an answer that it was ended early, and what is left as it was.
pub fn ended_early(answer: &mut Value, left: u64, what: &str) {
    let told = answer["did"].as_str().unwrap_or_default();
    let left = match left {
        0 => String::new(),
        left => format!(": {left} {what} are left as they were"),
    };
    answer["did"] = format!("{told}; cancelled{left}").into();
    answer["cancelled"] = json!(true);
}
