//! `restante verify` and `restante rebuild`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::data_dir::{DataDir, journal_options};
use crate::show;

/// `restante verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// A signed head that was kept elsewhere: the journal must begin with it (repeatable)
    #[arg(long = "head", value_name = "FILE")]
    heads: Vec<PathBuf>,
    /// Only what the index of a running server shows: what it looks at by itself every minute
    #[arg(long, conflicts_with = "heads")]
    online: bool,
}

pub fn verify(data: &DataDir, args: &Verify, json: bool) -> anyhow::Result<ExitCode> {
    let config = data.config()?;
    if args.online {
        return crate::auditing::online(data, &config, json);
    }
    let heads = args.heads.iter().map(|path| {
        let text = ledger::read_head(path)?;
        anyhow::Ok((path.display().to_string(), text))
    });
    let heads = heads.collect::<anyhow::Result<Vec<_>>>()?;
    // The rebuilt index may be large and must not touch the data: it goes where temporary files go.
    let scratch = tempfile::tempdir().context("cannot make a directory for the rebuilt index")?;
    let report = store::verify_against(data.path(), scratch.path(), &heads, &mut |records| {
        show::progress(&format!("{records} records read"));
    })?;
    show::progress("");
    show::verified(&report, json);
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub fn rebuild(data: &DataDir, json: bool) -> anyhow::Result<ExitCode> {
    let config = data.config()?;
    let (records, damage) = store::rebuild(data.path(), journal_options(&config))
        .context("the index was not rebuilt (does the server still run?)")?;
    if json {
        show::json(&serde_json::json!({ "records": records, "damage": damage }));
    } else {
        show::line(&format!("The index was made anew from {records} records."));
        for one in &damage {
            show::line(&format!("Damaged, left out: {one}"));
        }
    }
    Ok(if damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
