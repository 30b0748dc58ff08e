//! `restante backup` and `restante restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use backup::Backup;
use backup::age::Identity;
use clap::{Args, Subcommand};
use ledger::heads_path;
use mail_types::Timestamp;
use serde_json::{Value, json};
use store::{Actor, Store};

use super::{Backups, extract, healing, open, view};
use crate::control;
use crate::data_dir::DataDir;
use crate::kept_file;
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
  restante backup keygen --out backup-identity.txt    a key to encrypt backups to; keep it elsewhere
  restante backup --to s3://BUCKET/PREFIX --encrypt-to age1...

A place is a directory, or s3://BUCKET/PREFIX (see backup.s3_endpoint and its neighbours in
docs/settings.md, or AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY).
A backup that is not encrypted holds all mail and all private keys as they are: keep it as safe as
the server. Set backup.to and backup.every in restante.toml to have the server take it by itself.";

/// `restante backup`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true)]
pub struct Take {
    /// The place of the backup: what is there already is not copied again
    #[arg(long, required = true)]
    to: Option<PathBuf>,
    /// Encrypt it to this public key, besides those of backup.encrypt_to; may be given again
    #[arg(long, value_name = "age1…")]
    encrypt_to: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What can be restored
    List {
        #[command(flatten)]
        from: From,
    },
    /// Read every byte of a backup and compare it with what was written
    Check {
        #[command(flatten)]
        from: From,
    },
    /// Restore into a place of its own, verify it, compare the heads, say how long it took
    Rehearse {
        #[command(flatten)]
        from: From,
        /// Where to, instead of where temporary files go; it is removed again
        #[arg(long)]
        scratch: Option<PathBuf>,
    },
    /// Take messages out of a backup; needs no server
    Extract(extract::Extract),
    /// Make a key that backups can be encrypted to, and its identity, which opens them
    Keygen {
        /// A new file for the identity: keep it away from this server, and do not lose it
        #[arg(long)]
        out: PathBuf,
    },
}

/// Which backup.
#[derive(Debug, Args)]
pub struct From {
    /// The backup: a directory or s3://BUCKET/PREFIX
    #[arg(long)]
    from: PathBuf,
    /// The file of the identity that opens an encrypted backup (of `backup keygen`, or age-keygen)
    #[arg(long)]
    identity: Option<PathBuf>,
}

impl From {
    /// Opens it, under the settings of the data directory where there is one.
    pub fn open(&self, data: &DataDir) -> anyhow::Result<Backup> {
        let config = open::settings(data);
        let settings = config.as_ref().map(|config| (data, config));
        open::open(&self.from, settings, self.identity.as_deref())
    }
}

/// `restante restore`.
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    from: From,
    /// As of then: so many records, or a time; without it, the latest (see `backup list`)
    #[arg(long)]
    at: Option<String>,
}

/// `restante backup …`.
pub fn backup(data: &DataDir, take: Take, as_json: bool) -> anyhow::Result<ExitCode> {
    match take.command {
        Some(Command::List { from }) => list(&from.open(data)?, as_json),
        Some(Command::Check { from }) => return check(&from.open(data)?, as_json),
        Some(Command::Rehearse { from, scratch }) => {
            return rehearse(&from.open(data)?, scratch.as_deref(), as_json);
        }
        Some(Command::Extract(args)) => extract::extract(data, &args, as_json),
        Some(Command::Keygen { out }) => keygen(&std::path::absolute(out)?, as_json),
        None => take_one(data, &take.to.unwrap_or_default(), take.encrypt_to, as_json),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn take_one(
    data: &DataDir,
    to: &Path,
    encrypt_to: Vec<String>,
    as_json: bool,
) -> anyhow::Result<()> {
    let to = open::absolute(to)?;
    let taken = control::ask(data, Request::Backup { to: to.clone(), encrypt_to })?;
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
    if taken["encrypted"] != true {
        show::line("It holds all mail and all private keys: keep it as safe as the server.");
    }
    Ok(())
}

/// A new identity in a file of its own; its public key is shown.
fn keygen(out: &Path, as_json: bool) -> anyhow::Result<()> {
    let identity = Identity::generate()?;
    let recipient = identity.recipient().to_string();
    let text = format!("# public key: {recipient}\n{}\n", &*identity.to_text());
    if out.exists() {
        bail!("{} is there already; name another file", out.display());
    }
    let written = kept_file::replace(out, text.as_bytes());
    written.with_context(|| format!("cannot write {}", out.display()))?;
    if as_json {
        show::json(&json!({ "recipient": recipient, "identity_file": out }));
        return Ok(());
    }
    show::line(&format!("Public key: {recipient}"));
    show::line(&format!("In restante.toml: [backup] encrypt_to = [{recipient:?}]"));
    show::line(&format!(
        "The identity is in {}. Without it nobody can restore what is encrypted to this key: keep \
         it in two places, neither of them this server or the backup.",
        out.display()
    ));
    Ok(())
}

/// The same where no server runs.
pub fn take_alone(
    data: &DataDir,
    store: &Store,
    to: &Path,
    encrypt_to: &[String],
) -> Result<Value, Failure> {
    let failed = |error: anyhow::Error| Failure { what: format!("{error:#}"), mend: None };
    let config = data.config().map_err(failed)?;
    let backups = Backups::new(data, &config, store);
    Ok(view(&backups.take(to, encrypt_to, &mut progress())?))
}

/// Healing where no server runs.
pub fn heal_alone(
    data: &DataDir,
    store: &Store,
    ask: &healing::Ask,
    actor: &Actor,
) -> Result<Value, Failure> {
    let failed = |error: anyhow::Error| Failure { what: format!("{error:#}"), mend: None };
    let config = data.config().map_err(failed)?;
    Backups::new(data, &config, store).heal(ask, actor, &mut progress())
}

fn list(from: &Backup, as_json: bool) -> anyhow::Result<()> {
    let manifest = from.manifest()?;
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
            "encrypted_to": manifest.sealed.map(|sealed| sealed.recipients),
            "points": rows,
        }));
    } else {
        show::table_of(&Value::Array(rows), &["taken", "records", "signed"], "nothing");
        show::line(&format!("{} in all.", config::format_bytes(manifest.bytes())));
        if let Some(sealed) = manifest.sealed {
            show::line(&format!("Encrypted to {}.", sealed.recipients.join(", ")));
        }
    }
    Ok(())
}

fn progress() -> impl FnMut(u64, u64) {
    |done, all| show::progress(&format!("{} %", (done * 100 / all.max(1)).min(100)))
}

fn check(from: &Backup, as_json: bool) -> anyhow::Result<ExitCode> {
    let checked = from.check(&mut progress())?;
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
            show::line("What to do: take the backup anew into an empty place.");
        }
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Restores, and makes it an installation to go on with: its index, and its heads as of then.
fn restored(backup: &Backup, to: &Path, at: Option<&str>) -> anyhow::Result<Value> {
    let records = at.map(|at| point(backup, at)).transpose()?;
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
    let done = restored(&args.from.open(data)?, &to, args.at.as_deref())?;
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
fn rehearse(from: &Backup, scratch: Option<&Path>, as_json: bool) -> anyhow::Result<ExitCode> {
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
