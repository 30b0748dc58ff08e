//! `restante search`: any message ever accepted, found, shown, and written out with proofs.

mod collect;
mod export;
mod exporting;
mod manifest;
mod reader;
mod session;
mod sights;
mod view;
mod zip;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use mail_types::{Address, ReceiptId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::data_dir::DataDir;
use crate::request::{Failure, Request};
use crate::{control, jobs, restore_found, show};

pub use collect::{collect, sight};
pub use exporting::{Exporting, query};
pub use reader::{ReaderArgs, read_attachments, start, until};
pub use session::{perform_alone, serve};
pub use sights::{DomainSight, OwnSight};
pub use view::hit;

/// Messages shown where nothing else is said.
const SHOWN: usize = 20;
/// Nothing was found.
const EXIT_NOTHING_FOUND: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  restante search from:anna subject:invoice
  restante search 'account:bob@example.org is:deleted after:2026-11-01'
  restante search '\"annual report\" OR 年度报告 has:attachment larger:1M'
  restante search filename:xlsx file:budget direction:in --limit 100 --json
  restante search to:bob@example.org before:2026-10 --export /tmp/bob-october
  restante search from:anna@example.com --export /tmp/anna.mbox
  restante search from:anna@example.com --export /tmp/anna.zip
  restante search --account bob@example.org invoice        as Bob himself would find it
  restante search 'id:r2k-9f86d081' --restore-to bob@example.org --mailbox INBOX
  restante search 'from:anna is:deleted' --restore --dry-run
  restante search 'from:anna is:deleted' --restore        each to the account that had it

All of these must hold:
  word, \"some words\"    anywhere: people, subject, text, names and texts of attachments
  from: to: subject: body:  there alone        filename: file:     of attachments: name, or text too
  after: before: on:     2026-11-21, 2026-11, 7d (ago), today       larger: smaller:  5M, 500K
  has:attachment, has:unread (one that could not be read)
  is:deleted (taken out of a mailbox)        in:Archive  (lies there now)
  account:ANN@EXAMPLE.ORG  host:192.0.2.1      id:RECEIPT or id:MESSAGE-ID
  direction: in, out, internal                 verdict: spam, ham, held, none
  state: queued, delivered, relayed, returned, held, purged
  -term: not this        one OR other: either of two

Parts of words are found (three letters or more), and any two characters of Chinese, Japanese or
Korean. Every message ever accepted is found, also what users have deleted, what is queued or held.
Without a query it says how many messages can be found. An export holds the messages byte for byte,
with a manifest of their hashes and envelopes; begun anew, it goes on where it was.";

/// What is looked for.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchArgs {
    /// Words and keys, see below
    query: Vec<String>,
    /// As this account would find it: what it has sent and what came into its mailboxes, without
    /// anything of others
    #[arg(long, value_name = "ADDRESS")]
    account: Option<Address>,
    /// At most so many, the newest first [default: 20; for an export: all]
    #[arg(long)]
    limit: Option<usize>,
    /// Write the messages into this directory as EML files, into this file.mbox, or all into one
    /// file.zip with their proofs
    #[arg(long, value_name = "DIR|FILE.mbox|FILE.zip")]
    export: Option<PathBuf>,
    /// In the zip file, one mbox in place of a file for each message
    #[arg(long, requires = "export")]
    mbox: bool,
    /// Put the messages that are found into a mailbox of this account again
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "export")]
    restore_to: Option<Address>,
    /// Into which
    #[arg(long, default_value = "INBOX", requires = "restore_to")]
    mailbox: String,
    /// Put everything that is found and was deleted back to the accounts that it belonged to
    #[arg(long, conflicts_with_all = ["export", "restore_to", "limit"])]
    restore: bool,
    /// Show what that would do, and change nothing
    #[arg(long, requires = "restore")]
    dry_run: bool,
}

/// What a session is begun with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SearchRequest {
    /// As it was typed; none asks how far it is.
    pub query: Option<String>,
    /// At most so many.
    pub count_max: Option<usize>,
    /// With the place in the text.
    #[serde(default)]
    pub excerpts: bool,
    /// Each followed by the bytes of the message.
    #[serde(default)]
    pub bodies: bool,
    /// As this account would find it: its own mail alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Address>,
}

/// Nothing can be found.
pub fn off() -> Failure {
    Failure {
        what: "the archive is not searched".to_owned(),
        mend: Some("set search.enabled = true in restante.toml and start again".to_owned()),
    }
}

/// Finds and shows, or writes out.
pub fn run(data: &DataDir, args: &SearchArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let query = query_of(&args.query);
    if let Some(path) = &args.export {
        let Some(query) = query else {
            bail!("say what to export: restante search QUERY --export …")
        };
        return export::export(data, &query, args, path, as_json);
    }
    if args.restore {
        let Some(query) = query else {
            bail!("say what to restore: restante search QUERY --restore")
        };
        return restore_all(data, query, args.dry_run, as_json);
    }
    if let Some(to) = &args.restore_to {
        let Some(query) = query else {
            bail!("say what to restore: restante search QUERY --restore-to {to}")
        };
        return restore(data, query, to, args, as_json);
    }
    let request = SearchRequest {
        count_max: Some(args.limit.unwrap_or(SHOWN)),
        excerpts: query.is_some(),
        bodies: false,
        account: args.account.clone(),
        query,
    };
    let asked = request.query.is_some();
    let mut client = session::Client::open(data, &request)?;
    let mut found = 0;
    let end = client.each(&mut |hit, _| {
        found += 1;
        if as_json {
            show::line(&hit.to_string());
        } else {
            view::show(hit);
        }
        Ok(())
    })?;
    client.close()?;
    if as_json {
        show::line(&serde_json::json!({ "end": end }).to_string());
    } else {
        view::show_end(&end, asked);
    }
    let nothing = asked && found == 0;
    Ok(if nothing { ExitCode::from(EXIT_NOTHING_FOUND) } else { ExitCode::SUCCESS })
}

/// Messages that a trace looks at, the newest that a search finds.
const TRACED_MAX: usize = 1000;

/// The numbers of the messages that a query finds, the newest first.
pub fn mails(data: &DataDir, query: &str) -> anyhow::Result<Vec<u64>> {
    let (query, count_max) = (Some(query.to_owned()), Some(TRACED_MAX));
    let request = SearchRequest { query, count_max, ..SearchRequest::default() };
    let mut mails = Vec::new();
    let mut client = session::Client::open(data, &request)?;
    client.each(&mut |hit, _| {
        let receipt = hit["receipt"].as_str().and_then(|text| text.parse::<ReceiptId>().ok());
        mails.extend(receipt.map(|receipt| receipt.mail.0));
        Ok(())
    })?;
    client.close()?;
    Ok(mails)
}

/// Puts everything that is found back where it belonged.
fn restore_all(
    data: &DataDir,
    query: String,
    dry_run: bool,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let ask = restore_found::Ask { query: Some(query), receipts: Vec::new(), dry_run };
    let request = Request::RestoreFound(ask);
    let answer = match dry_run {
        true => control::ask(data, request.clone())?,
        false => jobs::follow(data, request.clone())?,
    };
    show::answer(&request, &answer, as_json);
    if let (Some(acts), false) = (answer["acts"].as_str().filter(|acts| !acts.is_empty()), as_json)
    {
        show::line(&format!("To take this back: restante undo {acts}"));
    }
    let nothing =
        answer["found"] == 0 || (answer["restored"] == 0 && answer["skipped"] == json!({}));
    Ok(if nothing { ExitCode::from(EXIT_NOTHING_FOUND) } else { ExitCode::SUCCESS })
}

/// Puts what is found into a mailbox again.
fn restore(
    data: &DataDir,
    query: String,
    to: &Address,
    args: &SearchArgs,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let count_max = Some(args.limit.unwrap_or(SHOWN));
    let (query, account) = (Some(query), args.account.clone());
    let request = SearchRequest { query, count_max, account, ..SearchRequest::default() };
    let mut found = Vec::new();
    let mut client = session::Client::open(data, &request)?;
    let end = client.each(&mut |hit, _| {
        found.push(hit.clone());
        Ok(())
    })?;
    client.close()?;
    if end["more"] == true && args.limit.is_none() {
        bail!(
            "more than {SHOWN} messages are found: look at them first, then say how many with --limit"
        );
    }
    for hit in &found {
        let (receipt, mailbox) = (text(&hit["receipt"]), args.mailbox.clone());
        let request = Request::BringBack { receipt: receipt.clone(), to: to.clone(), mailbox };
        let answer = control::ask(data, request)?;
        if as_json {
            show::line(&answer.to_string());
            continue;
        }
        let did = if answer["was_there"] == true { "was there" } else { "is there again" };
        let (uid, mailbox) = (&answer["uid"], &args.mailbox);
        show::line(&format!("{receipt} {did}: {mailbox} of {to}, UID {uid}"));
    }
    Ok(if found.is_empty() { ExitCode::from(EXIT_NOTHING_FOUND) } else { ExitCode::SUCCESS })
}

/// The words of the command line as one query. A shell takes quotes away: an argument with spaces and
/// no quotes of its own was in some, where there are others.
fn query_of(words: &[String]) -> Option<String> {
    if let [whole] = words {
        return (!whole.trim().is_empty()).then(|| whole.clone());
    }
    let quoted = words.iter().map(|word| {
        let plain = !word.contains(char::is_whitespace) || word.contains('"');
        match (plain, word.split_once(':')) {
            (true, _) => word.clone(),
            (false, Some((key, value))) if key.chars().all(|c| c.is_ascii_alphabetic()) => {
                format!("{key}:\"{value}\"")
            }
            (false, _) => format!("\"{word}\""),
        }
    });
    let all = quoted.collect::<Vec<_>>().join(" ");
    (!all.trim().is_empty()).then_some(all)
}

/// A member of an answer, as text for people.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}
