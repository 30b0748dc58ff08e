//! Drills: loads a real server, kills it, pulls its plug, and counts what is left.
//!
//! The judge is the load's own list of acknowledged messages, never the server: each acknowledged
//! (message, recipient) must be found exactly once. For that reason nothing of the product's
//! protocol code is used here; the SMTP, IMAP and POP3 clients and the SMTP sink are this crate's own,
//! and as small as they can be. It never reads the data directory itself,
//! but for `flips`, which damages it.
//!
//! RFC 5321 and RFC 2920 (client and sink), RFC 3501 and RFC 1939 (clients), RFC 4616 (sign-in).

use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub mod append;
pub mod console;
pub mod expunged;
pub mod flips;
pub mod guest;
pub mod hostile;
pub mod imap;
pub mod imap_wire;
pub mod judge;
pub mod kill;
pub mod latency;
pub mod letters;
pub mod load;
mod manual;
pub mod pop3_wire;
pub mod powercut;
pub mod random;
pub mod reading;
pub mod server;
pub mod sessions;
pub mod sink;
pub mod template;
pub mod token;
mod wire;

pub use manual::{ImapArgs, LoadArgs};
pub use wire::base64;

/// `restante drill …`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which drill.
    #[command(subcommand)]
    pub drill: Drill,
}

/// The drills.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Drill {
    /// Sends marked messages to a server and prints rates and latencies
    Load(LoadArgs),
    /// Counts the marked messages of mailboxes over IMAP
    Imap(ImapArgs),
    /// Kills a loaded server at random moments and counts what is left
    Kill(kill::KillArgs),
    /// Random IMAP sessions on one mailbox against a model, with restarts and kills in between
    Sessions(sessions::SessionsArgs),
    /// Expunges hundreds of thousands of messages and comes back with QRESYNC
    Expunged(expunged::ExpungedArgs),
    /// Flips random bits of journal and index and has `verify` find each of them
    Flips(flips::FlipsArgs),
    /// Pulls the plug of a machine that runs a loaded server and counts what is left
    Powercut(powercut::PowercutArgs),
    /// The load inside the machine of `powercut`
    #[command(hide = true)]
    GuestLoad(guest::GuestLoadArgs),
    /// The count inside the machine of `powercut`
    #[command(hide = true)]
    GuestCheck(guest::GuestCheckArgs),
}

/// Why a drill could not be held. What a drill *finds* is never an error but a report.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The server could not be made, started or asked.
    #[error(transparent)]
    Server(#[from] server::ServerError),
    /// A mailbox could not be read.
    #[error(transparent)]
    Imap(#[from] imap::ImapError),
    /// A program or library is not there.
    #[error("{tool} cannot be used ({source}): install {package}")]
    MissingTool {
        /// What was looked for.
        tool: String,
        /// The Debian package that has it.
        package: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The machine of a power cut did not do its part.
    #[error("the machine: {0}")]
    Guest(String),
    /// A report could not be written as JSON.
    #[error("JSON: {0}")]
    Json(serde_json::Error),
    /// A thread of the drill panicked.
    #[error("a thread of the drill panicked")]
    Panicked,
}

/// Exit code of a drill that found a fault.
const EXIT_FOUND: u8 = 1;
/// Exit code of a drill that could not be held.
const EXIT_NOT_HELD: u8 = 2;

/// Holds a drill and prints its finding: 0 all is well, 1 a fault was found, 2 it could not be held.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let finding = match &args.drill {
        Drill::Load(args) => manual::load(args),
        Drill::Imap(args) => manual::imap(args),
        Drill::Kill(args) => kill::run(args).and_then(|report| {
            print(args.json, &report, &kill_text(&report))?;
            Ok(report.is_clean())
        }),
        Drill::Sessions(args) => sessions::run(args).map(|report| {
            console::say(&report.to_string());
            report.fault.is_none()
        }),
        Drill::Expunged(args) => expunged::run(args).and_then(|report| {
            print(args.json, &report, &expunged_text(&report))?;
            Ok(report.faults.is_empty())
        }),
        Drill::Flips(args) => flips::run(args).and_then(|report| {
            print(args.json, &report, &flips::text(&report))?;
            Ok(report.fault_count == 0)
        }),
        Drill::Powercut(args) => powercut::run(args).and_then(|report| {
            print(args.json, &report, &powercut_text(&report))?;
            Ok(report.is_as_wanted())
        }),
        Drill::GuestLoad(args) => guest::load(args).inspect_err(guest::complain).map(|()| true),
        Drill::GuestCheck(args) => guest::check(args).inspect_err(guest::complain).map(|()| true),
    };
    match finding {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FOUND),
        Err(error) => {
            console::note(&format!("error: {error}"));
            // A server that does not come up again is what a drill looks for.
            let is_fault =
                matches!(error, DrillError::Server(server::ServerError::NotReady { .. }));
            ExitCode::from(if is_fault { EXIT_FOUND } else { EXIT_NOT_HELD })
        }
    }
}

fn print(json: bool, report: &impl serde::Serialize, text: &str) -> Result<(), DrillError> {
    if json {
        console::say(&serde_json::to_string_pretty(report).map_err(DrillError::Json)?);
    } else {
        console::say(text);
    }
    Ok(())
}

fn kill_text(report: &kill::KillReport) -> String {
    let verdict = &report.verdict;
    let mut text = format!(
        "{} kills ({} while starting), slowest start {} ms\n\
         {} acknowledged: {} found, {} open, {} lost, {} doubled, {} unexplained\n\
         {} without a reply, of which {} exist; {} sent twice after an uncertain attempt\n\
         {} read in every way, {} of them misread\n\
         verify: {}",
        report.kills,
        report.kills_while_starting,
        report.slowest_start_ms,
        verdict.acknowledged,
        verdict.found,
        verdict.open,
        verdict.lost,
        verdict.doubled,
        verdict.unexplained,
        verdict.uncertain,
        verdict.uncertain_found,
        verdict.doubled_after_uncertain,
        report.read,
        report.misread.len(),
        if report.verified { "clean" } else { report.verify_output.as_str() },
    );
    for line in verdict.listed.iter().chain(&report.misread) {
        text.push('\n');
        text.push_str(line);
    }
    if let Some(kept) = &report.kept {
        text.push_str(&format!("\nkept: {} (seed {})", kept.display(), report.seed));
    }
    text
}

fn expunged_text(report: &expunged::ExpungedReport) -> String {
    let mut text = format!("{} UIDs given, one in a thousand is left", report.uids);
    for (what, millis, kib, octets) in &report.ways {
        text.push_str(&format!("\n{what}: {millis} ms, {kib} KiB, {octets} octets"));
    }
    for fault in &report.faults {
        text.push_str(&format!("\nFAULT {fault}"));
    }
    text
}

fn powercut_text(report: &powercut::PowercutReport) -> String {
    let mut text = format!(
        "{} power cuts, {} receipts, {} lost{}",
        report.cuts.len(),
        report.receipts(),
        report.lost(),
        if report.control.is_some() { " (a control: losses are what it must show)" } else { "" },
    );
    if !report.is_as_wanted() {
        let cuts = report.cuts.iter();
        for line in cuts.flat_map(|cut| {
            let listed = cut.verdict.iter().flat_map(|verdict| verdict.listed.iter());
            listed.chain(&cut.console)
        }) {
            text.push('\n');
            text.push_str(line);
        }
    }
    text
}

/// The binary named, or the one that runs this.
pub(crate) fn binary_or_this(binary: Option<&Path>) -> Result<PathBuf, DrillError> {
    let path = match binary {
        Some(path) => path.canonicalize(),
        None => std::env::current_exe(),
    };
    Ok(path.map_err(server::doing("finding the server's binary"))?)
}
