//! `cargo run -p xtask -- CHORE`: see the crate's documentation, or run it without a chore.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to a terminal")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use xtask::tree::Tree;
use xtask::{ChoreError, fuzz, planted, rfc, root, tidy};

const USAGE: &str = "\
cargo run -p xtask -- CHORE

  tidy [DIRECTORY]              hold this tree, or that one, against the house rules
  planted [NAME...]             plant each bug of planted/ and see its test fail
  settings                      write docs/settings.md from crates/config
  rfc [--write]                 who cites each RFC; or fill in rfc/index.tsv from that
  fuzz [TARGET] [--seconds N]   fuzz one target or all, N seconds each (60)
  bench [--help]                measure the release binary (add --release to cargo run)";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["tidy"] => tidy(&root()),
        ["tidy", directory] => tidy(Path::new(directory)),
        ["planted", names @ ..] => planted::run(&root(), names),
        ["settings"] => settings(),
        ["rfc", rest @ ..] => rfc::run(&root(), rest),
        ["fuzz", rest @ ..] => fuzz::run(&root(), rest),
        ["bench", rest @ ..] => return xtask::bench::run(rest),
        _ => Err(ChoreError::Other(USAGE.to_owned())),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprint!("{error}");
            let mut cause = error.source();
            while let Some(next) = cause {
                eprint!(": {next}");
                cause = next.source();
            }
            eprintln!();
            ExitCode::from(2)
        }
    }
}

/// Whether the tree keeps all rules.
fn tidy(directory: &Path) -> Result<bool, ChoreError> {
    let mut findings = tidy::check(&Tree::of_directory(directory)?);
    findings.extend(tidy::licences::of_directory(directory)?);
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} findings", findings.len());
    Ok(findings.is_empty())
}

fn settings() -> Result<bool, ChoreError> {
    let path = root().join(tidy::SETTINGS_PAGE);
    std::fs::write(&path, config::reference_page()).map_err(|source| ChoreError::File {
        what: "write",
        path: path.display().to_string(),
        source,
    })?;
    println!("wrote {}", tidy::SETTINGS_PAGE);
    Ok(true)
}
