//! `restante verify` and `restante rebuild`.

use std::process::ExitCode;

use anyhow::Context;

use crate::data_dir::{DataDir, journal_options};
use crate::show;

pub fn verify(data: &DataDir, json: bool) -> anyhow::Result<ExitCode> {
    data.config()?;
    // The rebuilt index may be large and must not touch the data: it goes where temporary files go.
    let scratch = tempfile::tempdir().context("cannot make a directory for the rebuilt index")?;
    let report = store::verify(data.path(), scratch.path(), &mut |records| {
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
