//! What is asked about the queue, done.

use std::collections::BTreeSet;

use mail_types::CustodyId;
use serde_json::{Value, json};
use store::{Actor, ChangeOutcome, Query, Resolution, Store, WaitingItem};

use crate::jobs::{Watch, ended_early};
use crate::queue_command::{Filter, What};
use crate::request::{Failure, did};
use crate::view;

/// Items listed if not asked for more.
const LISTED_DEFAULT: usize = 1000;
/// Stories told if not asked for more.
const STORIES_DEFAULT: usize = 100;
/// Items that a trial run shows.
const DRY_RUN_SHOWN_MAX: usize = 20;

pub fn list(store: &Store, filter: &Filter, count_max: Option<usize>) -> Result<Value, Failure> {
    let max = count_max.unwrap_or(LISTED_DEFAULT);
    let mut items: Vec<WaitingItem> = Vec::new();
    let read = filter.read(store, net::now())?;
    store.find_waiting(&read, true, &mut |item| {
        if items.len() < max && filter.names(item.custody) {
            items.push(item);
        }
        items.len() < max
    })?;
    items.sort_by_key(|item| (item.hold.is_some(), item.due, item.custody));
    Ok(items.iter().map(view::waiting).collect())
}

pub fn show(store: &Store, filter: &Filter, count_max: Option<usize>) -> Result<Value, Failure> {
    let max = count_max.unwrap_or(STORIES_DEFAULT);
    let mut mails = BTreeSet::new();
    let read = filter.read(store, net::now())?;
    store.find_waiting(&read, false, &mut |item| {
        if filter.names(item.custody) {
            mails.insert(item.mail.facts.receipt.mail);
        }
        mails.len() < max
    })?;
    let directory = store.directory();
    let mut shown = Vec::new();
    for mail in mails {
        let query = Query { mail: Some(mail), count_max: 1, ..Query::default() };
        shown.extend(store.trace(&query)?.iter().map(|story| view::story(story, &directory)));
    }
    Ok(shown.into())
}

/// Shows what would be changed, or changes it.
pub fn change(
    store: &Store,
    actor: &Actor,
    what: &What,
    filter: &Filter,
    reason: Option<&str>,
    dry_run: bool,
) -> Result<Value, Failure> {
    if !dry_run {
        return change_while(store, actor, what, filter, reason, &Watch::default());
    }
    check(store, what)?;
    let mut shown = Vec::new();
    let custodies = wanted(store, filter, &mut |item| {
        if shown.len() < DRY_RUN_SHOWN_MAX {
            shown.push(view::waiting(item));
        }
    })?;
    let found = custodies.len();
    Ok(json!({ "dry_run": true, "would_change": found, "first": shown }))
}

/// Changes as many as are wanted while it goes on.
pub fn change_while(
    store: &Store,
    actor: &Actor,
    what: &What,
    filter: &Filter,
    reason: Option<&str>,
    watch: &Watch,
) -> Result<Value, Failure> {
    check(store, what)?;
    let custodies = wanted(store, filter, &mut |_| {})?;
    let all = custodies.len() as u64;
    watch.begin(all);
    // What is left when it is ended early was not looked at in any way.
    let mut looked_at = all;
    let outcome =
        store.change_custodies_while(actor, &what.wish(), reason, &custodies, &mut |done| {
            watch.done(done);
            let go_on = watch.go_on();
            if !go_on {
                looked_at = done;
            }
            go_on
        })?;
    watch.done(looked_at);
    let mut answer = told(&outcome, what.done());
    if looked_at < all {
        ended_early(&mut answer, all - looked_at, "recipients");
    }
    Ok(answer)
}

fn check(store: &Store, what: &What) -> Result<(), Failure> {
    match what {
        What::EditRecipient { recipient }
            if store.directory().resolve(recipient) == Resolution::UnknownUser =>
        {
            Err(Failure {
                what: format!("{recipient} is nobody's address here"),
                mend: Some("see restante account list and restante alias list".to_owned()),
            })
        }
        _ => Ok(()),
    }
}

fn wanted(
    store: &Store,
    filter: &Filter,
    each: &mut dyn FnMut(&WaitingItem),
) -> Result<Vec<CustodyId>, Failure> {
    filter.check_says_which()?;
    let read = filter.read(store, net::now())?;
    let mut custodies: Vec<CustodyId> = Vec::new();
    store.find_waiting(&read, false, &mut |item| {
        if filter.names(item.custody) {
            custodies.push(item.custody);
            each(&item);
        }
        true
    })?;
    Ok(custodies)
}

pub fn undo(
    store: &Store,
    actor: &Actor,
    change: Option<u64>,
    reason: Option<&str>,
) -> Result<Value, Failure> {
    let outcome = store.undo_change(actor, change, reason)?;
    let undone = outcome.undone.unwrap_or_default();
    Ok(told(&outcome, &format!("as they were before change {undone}")))
}

pub fn pause(
    store: &Store,
    actor: &Actor,
    destination: Option<String>,
    paused: bool,
    reason: Option<String>,
) -> Result<Value, Failure> {
    let to = destination.clone().unwrap_or_else(|| "every destination".to_owned());
    store.pause_queue(actor.clone(), destination, paused, reason).wait()?;
    Ok(did(match paused {
        true => format!("mail to {to} waits until `queue resume`"),
        false => format!("mail to {to} goes on"),
    }))
}

/// What came of a change, in words and for programs.
fn told(outcome: &ChangeOutcome, done: &str) -> Value {
    let mut text = format!("{} {done}", count(outcome.changed, "recipient"));
    if let Some(change) = outcome.change {
        text.push_str(&format!(" (change {change}; take it back with `queue undo {change}`)"));
    }
    for (why, left) in &outcome.skipped {
        text.push_str(&format!("; {} left as it was: {why}", count(*left, "recipient")));
    }
    json!({
        "did": text,
        "change": outcome.change,
        "undone": outcome.undone,
        "changed": outcome.changed,
        "skipped": outcome.skipped,
    })
}

fn count(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
