//! `restante backup` and `restante restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use backup::Backup;
use clap::{Args, Subcommand};
use ledger::heads_path;
use mail_types::Timestamp;
use serde_json::{Value, json};
use store::Store;

use super::{Backups, extract, view};
use crate::control;
use crate::data_dir::DataDir;
use crate::request::{Failure, Request};
use crate::show;

const EXAMPLES: &str = "\
Examples:
  restante backup --to /mnt/backup                    take one, while the server runs or not
  restante backup list --from /mnt/backup             what can be restored
  restante backup check --from /mnt/backup            every byte, against the manifest
  restante backup rehearse --from /mnt/backup         restore somewhere, verify, say how long it takes
  restante backup extract --from /mnt/backup r2k-9f86d081 > r2k.eml
  restante restore --from /mnt/backup --data NEW

A backup holds all mail and all private keys as they are: keep it as safe as the server. Set
backup.to and backup.every in restante.toml to have the server take it by itself.";

/// `restante backup`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true)]
pub struct Take {
    /// The directory of the backup: what is there already is not copied again
    #[arg(long, required = true)]
    to: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What can be restored
    List {
        /// The backup
        #[arg(long)]
        from: PathBuf,
    },
    /// Read every byte of a backup and compare it with what was written
    Check {
        /// The backup
        #[arg(long)]
        from: PathBuf,
    },
    /// Restore into a place of its own, verify it, compare the heads, say how long it took
    Rehearse {
        /// The backup
        #[arg(long)]
        from: PathBuf,
        /// Where to, instead of where temporary files go; it is removed again
        #[arg(long)]
        scratch: Option<PathBuf>,
    },
    /// Take messages out of a backup; needs no server
    Extract(extract::Extract),
}

/// `restante restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup
    #[arg(long)]
    from: PathBuf,
    /// As of then: so many records, or a time; without it, the latest (see `backup list`)
    #[arg(long)]
    at: Option<String>,
}

/// `restante backup …`.
pub fn backup(data: &DataDir, take: Take, as_json: bool) -> anyhow::Result<ExitCode> {
    match take.command {
        Some(Command::List { from }) => list(&from, as_json),
        Some(Command::Check { from }) => return check(&from, as_json),
        Some(Command::Rehearse { from, scratch }) => {
            return rehearse(&from, scratch.as_deref(), as_json);
        }
        Some(Command::Extract(args)) => extract::extract(&args, as_json),
        None => take_one(data, &take.to.unwrap_or_default(), as_json),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn take_one(data: &DataDir, to: &Path, as_json: bool) -> anyhow::Result<()> {
    let to = std::path::absolute(to).context("the directory has no name")?;
    let taken = control::ask(data, Request::Backup { to: to.clone() })?;
    show::progress("");
    if as_json {
        show::json(&taken);
        return Ok(());
    }
    let bytes = |name: &str| config::format_bytes(taken[name].as_u64().unwrap_or(0));
    show::line(&format!(
        "{} records are in {} ({}); {} in {} files were copied and read back.",
        taken["records"],
        to.display(),
        bytes("bytes"),
        bytes("copied_bytes"),
        taken["copied_files"]
    ));
    for damage in taken["damage"].as_array().into_iter().flatten() {
        show::line(&format!("Damaged at its source: {}", show::text(damage)));
    }
    show::line("It holds all mail and all private keys: keep it as safe as the server.");
    Ok(())
}

/// The same where no server runs.
pub fn take_alone(data: &DataDir, store: &Store, to: &Path) -> Result<Value, Failure> {
    let failed = |error: anyhow::Error| Failure { what: format!("{error:#}"), mend: None };
    let config = data.config().map_err(failed)?;
    let backups = Backups::new(data, &config, store);
    let mut progress =
        |done: u64, all: u64| show::progress(&format!("{} %", (done * 100 / all.max(1)).min(100)));
    Ok(view(&backups.take(to, &mut progress)?))
}

fn list(from: &Path, as_json: bool) -> anyhow::Result<()> {
    let manifest = Backup::at(from).manifest()?;
    let rows: Vec<Value> = manifest
        .points
        .iter()
        .map(|point| {
            json!({
                "taken": Timestamp(point.taken).to_string(),
                "records": point.records,
                "signed": point.note.is_some(),
            })
        })
        .collect();
    if as_json {
        show::json(&json!({
            "installation": manifest.installation,
            "bytes": manifest.bytes(),
            "points": rows,
        }));
    } else {
        show::table_of(&Value::Array(rows), &["taken", "records", "signed"], "nothing");
        show::line(&format!("{} in all.", config::format_bytes(manifest.bytes())));
    }
    Ok(())
}

fn progress() -> impl FnMut(u64, u64) {
    |done, all| show::progress(&format!("{} %", (done * 100 / all.max(1)).min(100)))
}

fn check(from: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let checked = Backup::at(from).check(&mut progress())?;
    show::progress("");
    let clean = checked.damage.is_empty();
    if as_json {
        show::json(&json!({
            "clean": clean,
            "files": checked.files,
            "bytes": checked.bytes,
            "damage": checked.damage,
        }));
    } else {
        show::line(&format!(
            "{} files, {}: {} damaged.",
            checked.files,
            config::format_bytes(checked.bytes),
            checked.damage.len()
        ));
        checked.damage.iter().for_each(|damage| show::line(&format!("  {damage}")));
        if !clean {
            show::line("What to do: take the backup anew into an empty directory.");
        }
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Restores, and makes it an installation to go on with: its index, and its heads as of then.
fn restored(from: &Path, to: &Path, at: Option<&str>) -> anyhow::Result<Value> {
    let backup = Backup::at(from);
    let records = at.map(|at| point(&backup, at)).transpose()?;
    let restored = backup.restore(to, records, &mut progress())?;
    show::progress("the index is made from the journal");
    ledger::cut_heads(&heads_path(to), restored.head.last_seq)?;
    let data = DataDir::new(to);
    let config = data.config()?;
    // As a start does: the index is made, and body files of later records than these are removed.
    let (store, started) = Store::open(to, DataDir::store_options(&config))?;
    store.close();
    let (records, damage) = (restored.point.records, started.damage);
    show::progress("");
    Ok(json!({
        "data": to,
        "taken": Timestamp(restored.point.taken).to_string(),
        "records": records,
        "bytes": restored.bytes,
        "damage": damage,
        "head": restored.point.note,
    }))
}

/// How many records the wanted point may have at most.
fn point(backup: &Backup, at: &str) -> anyhow::Result<u64> {
    if let Ok(records) = at.parse() {
        return Ok(records);
    }
    let time = crate::cli::parse_time(at)?;
    let manifest = backup.manifest()?;
    let found = manifest.points.iter().rev().find(|point| point.taken <= time);
    Ok(found.context("no backup was taken at or before that time")?.records)
}

/// `restante restore`.
pub fn restore(data: &DataDir, args: &Restore, as_json: bool) -> anyhow::Result<ExitCode> {
    let to = std::path::absolute(data.path())?;
    let done = restored(&args.from, &to, args.at.as_deref())?;
    let clean = done["damage"].as_array().is_none_or(Vec::is_empty);
    if as_json {
        show::json(&done);
    } else {
        show::line(&format!(
            "{} has the {} records of the backup of {}.",
            to.display(),
            done["records"],
            show::text(&done["taken"])
        ));
        for damage in done["damage"].as_array().into_iter().flatten() {
            show::line(&format!("Damaged in the backup, too: {}", show::text(damage)));
        }
        let data = to.display();
        show::line(&format!("Prove it: restante verify --data {data}"));
        show::line(&format!("Then start it: restante serve --data {data}"));
        show::line("Do not let two servers run from the same backup: both would send its queue.");
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Restores somewhere and proves that it would do.
fn rehearse(from: &Path, scratch: Option<&Path>, as_json: bool) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let place = match scratch {
        Some(path) => tempfile::tempdir_in(path),
        None => tempfile::tempdir(),
    }
    .context("cannot make a directory to restore into")?;
    let to = place.path().join("data");
    let done = restored(from, &to, None)?;
    let restored_in = began.elapsed();
    // The head as it was signed when the backup was taken, whatever is in the restored files.
    let head = done["head"].as_str().map(|note| ("the backup's head".to_owned(), note.to_owned()));
    let heads: Vec<(String, String)> = head.into_iter().collect();
    let report = store::verify_against(&to, place.path(), &heads, &mut |records| {
        show::progress(&format!("{records} records verified"));
    })?;
    show::progress("");
    let took = began.elapsed();
    if as_json {
        show::json(&json!({
            "clean": report.is_clean(),
            "records": report.records,
            "messages": report.mails,
            "taken": done["taken"],
            "head_compared": !heads.is_empty(),
            "restore_ms": restored_in.as_millis(),
            "all_ms": took.as_millis(),
            "violations": report.violations.iter().map(|one| &one.what).collect::<Vec<_>>(),
        }));
    } else {
        show::verified(&report, false);
        show::line(&format!(
            "The backup of {} was restored in {:.1} s and verified in {:.1} s more{}.",
            show::text(&done["taken"]),
            restored_in.as_secs_f64(),
            (took - restored_in).as_secs_f64(),
            if heads.is_empty() { "; it has no signed head" } else { ", its signed head too" }
        ));
    }
    if !report.is_clean() && report.records == 0 {
        bail!("nothing could be restored");
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
