//! `restante standby promote`: the directory becomes a server's.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use journal::{Copy, Head, OpenError, RealDisk};
use serde_json::{Value, json};
use standby::KeptState;
use store::{Follower, Store, StoreError};

use super::Promoting;
use super::status::ask;
use crate::control;
use crate::data_dir::{DataDir, journal_options};

/// How long the standby's process has for its end.
const END_WAIT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Promotes it. `anyway`: although the server is there.
pub fn promote(data: &DataDir, reason: Option<String>, anyway: bool) -> anyhow::Result<Value> {
    let root = data.path();
    if !data.follows() {
        // A promotion that a crash cut short is ended by doing it again.
        if let Some(promoting) = Promoting::read(root)? {
            return record(data, &promoting);
        }
        bail!("{} follows nobody: there is nothing to promote", root.display());
    }
    let config = data.config().context(
        "the settings have not come over the link yet, or are not right; nothing was changed",
    )?;
    stop_following(data, anyway)?;
    let after = released(data, &journal_options(&config), &reason)?;
    let kept = KeptState::read(root);
    KeptState { told: false, trouble: None, ..kept }.write(root)?;
    record(data, &Promoting { after: after.to_bytes().to_vec(), reason })
}

/// Has its process end, if one runs.
fn stop_following(data: &DataDir, anyway: bool) -> anyhow::Result<()> {
    let Some(status) = ask(data, "status")? else { return Ok(()) };
    if status["linked"] == true && !anyway {
        bail!(
            "the server {} is there, and linked: two servers must not run from the same past; \
             nothing was changed.\nWhat to do: stop that server first (it hands over what came last \
             and ends); or --anyway, whereupon it is told to serve no more",
            status["server"].as_str().unwrap_or("that it follows")
        );
    }
    ask(data, "stop").map(drop)
}

/// Opens the journal once its process has let go of it; brings the index and the purges up to its
/// end, and makes it a journal of its own.
fn released(
    data: &DataDir,
    options: &journal::Options,
    reason: &Option<String>,
) -> anyhow::Result<Head> {
    let root = data.path();
    let until = Instant::now() + END_WAIT;
    let mut copy = loop {
        let mut follower = Follower::open(root)?;
        let applied = follower.applied()?;
        drop(follower);
        match Copy::open(RealDisk::new(root), options.clone(), applied) {
            Err(OpenError::InUse) if Instant::now() < until => std::thread::sleep(LOOK_AGAIN),
            Err(OpenError::HeadMissing { .. }) => drop(Follower::anew(root)?),
            opened => break opened.context("the standby's journal cannot be opened")?.0,
        }
    };
    let (reader, head) = (copy.reader(), copy.head());
    let mut follower = Follower::open(root)?;
    match follower.apply(&reader, &head) {
        // A damaged copy is better than none; the start tells of it, and `verify`.
        Ok(_) | Err(StoreError::Damaged(_)) => {}
        Err(error) => return Err(error).context("the index cannot be brought up to the journal"),
    }
    // A true purge is true here, before anybody can ask.
    let mut kept = KeptState::read(root);
    while let Some((through, bodies)) = follower.purges_behind(&reader, kept.punched())? {
        copy.punch_all(&bodies).context("purged mail cannot be taken off the disk")?;
        kept.punched_through = through.0;
    }
    kept.write(root)?;
    Promoting { after: head.to_bytes().to_vec(), reason: reason.clone() }.write(root)?;
    copy.release()?;
    Ok(head)
}

/// The promotion is a record.
fn record(data: &DataDir, promoting: &Promoting) -> anyhow::Result<Value> {
    let config = data.config()?;
    let (store, started) = Store::open(data.path(), DataDir::store_options(&config))
        .with_context(|| format!("cannot open the store in {}", data.path().display()))?;
    let recorded = promoting.record(&store, &control::own_actor(data));
    store.close();
    let promotion = recorded?;
    Ok(json!({
        "data": data.path(),
        "epoch": promotion.epoch,
        "followed_records": promotion.after.last_seq.0,
        "at": promotion.at.to_string(),
        "uncertain": started.uncertain,
        "damage": started.damage,
    }))
}
