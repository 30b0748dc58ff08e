//! `restante report`: what others report about our domains, and what this server reports to others.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use mail_types::{Address, Domain};
use serde_json::Value;

use crate::cli::parse_time;
use crate::data_dir::DataDir;
use crate::reporting::command::{Ask, SentArgs, sentences};
use crate::reports::{Kind, Which, of_files};
use crate::request::Request;
use crate::{balance, control, reports, show};

#[derive(Debug, Subcommand)]
pub enum Report {
    /// Of everything accepted, where it went: inbox, junk, held, returned, relayed, open
    #[command(after_help = balance::EXAMPLES)]
    Balance(balance::BalanceArgs),
    /// Add up the DMARC aggregate reports (RFC 9990) that an address has received, or files
    #[command(after_help = DMARC_EXAMPLES)]
    Dmarc(Received),
    /// Add up the TLS reports (RFC 8460) that an address has received, or files
    #[command(after_help = TLS_EXAMPLES)]
    Tls(Received),
    /// List the reports that this server has sent to other domains, the latest first
    #[command(after_help = SENT_EXAMPLES)]
    Sent(SentArgs),
    /// What the next reports to other domains will say, as far as it is known
    Next,
    /// Send them now instead of after midnight (UTC); what is sent is not sent again
    Send,
}

/// Which reports of others.
#[derive(Debug, Args)]
pub struct Received {
    /// Reports as messages or as they are attached, instead of those in the archive
    #[arg(required_unless_present = "to", conflicts_with = "to")]
    files: Vec<PathBuf>,
    /// The address that reports are sent to: what `rua=` of the record in the DNS says
    #[arg(long)]
    to: Option<Address>,
    /// Only those accepted at this time or later: 2026-11-21, or 7d (ago)
    #[arg(long, requires = "to")]
    since: Option<String>,
    /// Only what is about this domain
    #[arg(long)]
    domain: Option<Domain>,
}

const DMARC_EXAMPLES: &str = "\
Examples:
  restante report dmarc --to dmarc-reports@example.org --since 7d
  restante report dmarc --to dmarc-reports@example.org --domain example.org --json
  restante report dmarc 'google.com!example.org!1795219200!1795305599.zip'";

const TLS_EXAMPLES: &str = "\
Examples:
  restante report tls --to postmaster@example.org --since 7d
  restante report tls 'google.com!example.org!1795219200!1795305599!001.json.gz' --json";

const SENT_EXAMPLES: &str = "\
Examples:
  restante report sent --since 7d
  restante report sent --domain example.org --json

Whether any are sent, and as whom, stands under [reports] in restante.toml.";

pub fn run(data: &DataDir, command: Report, as_json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Report::Balance(args) => {
            let answer = control::ask(data, Request::Balance(args.ask()?))?;
            if as_json {
                show::json(&answer);
            } else {
                balance::show(&answer);
            }
            if answer["balanced"] != true {
                return Ok(ExitCode::FAILURE);
            }
        }
        Report::Dmarc(received) => self::received(data, Kind::Dmarc, received, as_json)?,
        Report::Tls(received) => self::received(data, Kind::Tls, received, as_json)?,
        Report::Sent(SentArgs { since, domain }) => {
            let since = since.as_deref().map(parse_time).transpose()?;
            let domain = domain.map(|domain| domain.as_str().to_owned());
            sent(data, Ask::Sent { since, domain }, as_json)?;
        }
        Report::Next => sent(data, Ask::Next, as_json)?,
        Report::Send => sent(data, Ask::Send, as_json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn sent(data: &DataDir, ask: Ask, as_json: bool) -> anyhow::Result<()> {
    let answer = control::ask(data, Request::Reports { ask: ask.clone() })?;
    if as_json {
        show::json(&answer);
    } else {
        sentences(&ask, &answer).iter().for_each(|text| show::line(text));
    }
    Ok(())
}

fn received(data: &DataDir, kind: Kind, which: Received, as_json: bool) -> anyhow::Result<()> {
    let Received { files, to, since, domain } = which;
    let domain = domain.map(|domain| domain.as_str().to_owned());
    let answer: Value = match to {
        Some(to) => {
            let since = since.as_deref().map(parse_time).transpose()?;
            let which = Which { kind, to, since, domain };
            control::ask(data, Request::ReportsReceived(which))?
        }
        None => {
            let mut read = Vec::with_capacity(files.len());
            for file in &files {
                let name = file.display().to_string();
                let bytes = std::fs::read(file).with_context(|| format!("cannot read {name}"))?;
                read.push((name, bytes));
            }
            of_files(kind, &read, domain.as_deref())
        }
    };
    if as_json {
        show::json(&answer);
    } else {
        reports::sentences(kind, &answer).iter().for_each(|text| show::line(text));
    }
    Ok(())
}
