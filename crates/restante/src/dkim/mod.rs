//! `restante dkim`: the keys that mail of local domains is signed with.

mod keys;

use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;
use mail_types::Domain;
use sender_auth::{Answer, Query, QueryKind};
use serde_json::Value;

pub use keys::{ensure, ensure_all, perform};

use crate::check::Asking;
use crate::control;
use crate::data_dir::DataDir;
use crate::request::{DkimRequest, Request};
use crate::show;
use crate::zone::txt;

const EXAMPLES: &str = "\
How keys are changed:
  restante dkim rotate example.org   makes new keys and prints the records to publish
  restante dkim rotate example.org   (again, once they are published) signs with the new keys
  restante dkim undo example.org     takes the last of these steps back
  restante dkim remove example.org SELECTOR   ends an old key, two weeks after it last signed";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Dkim {
    /// The keys, and what is done with each
    List {
        /// Only of this domain
        domain: Option<Domain>,
    },
    /// The records to publish for a domain's keys, as in a zone file
    Show { domain: Domain },
    /// Change keys: makes new ones; when called again, and they are published, signs with them
    Rotate {
        domain: Domain,
        /// Sign with the new keys without looking whether they are published
        #[arg(long)]
        no_check: bool,
        #[command(flatten)]
        asking: Asking,
    },
    /// A new key for the reverse-paths of forwarded mail (SRS); the one before it is still taken
    RotateSrs,
    /// Take the last rotation back: forgets keys that do not sign yet, or signs with the old ones
    Undo { domain: Domain },
    /// End a key that does not sign; its record may be taken out of the DNS then
    Remove {
        domain: Domain,
        selector: String,
        /// Also within two weeks since it signed: mail on its way then fails its check
        #[arg(long)]
        force: bool,
    },
}

pub fn run(data: &DataDir, command: Dkim, json: bool) -> anyhow::Result<ExitCode> {
    let ask = |request: DkimRequest| control::ask(data, Request::Dkim { request });
    match command {
        Dkim::List { domain } => {
            let answer = ask(DkimRequest::List { domain })?;
            if json {
                show::json(&answer);
            } else {
                list(&answer);
            }
        }
        Dkim::Show { domain } => {
            let answer = ask(DkimRequest::List { domain: Some(domain) })?;
            if json {
                show::json(&answer);
            } else {
                records(&answer, |_| true);
            }
        }
        Dkim::Rotate { domain, no_check, asking } => {
            let known = ask(DkimRequest::List { domain: Some(domain.clone()) })?;
            if !keys_of(&known).any(|key| key["state"] == "prepared") {
                let answer = ask(DkimRequest::Prepare { domain: domain.clone() })?;
                return Ok(prepared(&domain, &answer, json));
            }
            if !no_check {
                check_published(data, &asking, &known)?;
            }
            told(&ask(DkimRequest::Activate { domain })?, json);
        }
        Dkim::RotateSrs => told(&ask(DkimRequest::RotateSrs)?, json),
        Dkim::Undo { domain } => told(&ask(DkimRequest::Undo { domain })?, json),
        Dkim::Remove { domain, selector, force } => {
            told(&ask(DkimRequest::Remove { domain, selector, force })?, json);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn told(answer: &Value, json: bool) {
    match answer["did"].as_str() {
        Some(did) if !json => show::line(&format!("Done: {did}.")),
        Some(_) | None => show::json(answer),
    }
}

/// All keys in an answer.
fn keys_of(answer: &Value) -> impl Iterator<Item = &Value> {
    let domains = answer.as_array().map_or(&[][..], Vec::as_slice);
    domains.iter().flat_map(|domain| domain["keys"].as_array().map_or(&[][..], Vec::as_slice))
}

fn text<'a>(key: &'a Value, name: &str) -> &'a str {
    key[name].as_str().unwrap_or_default()
}

fn list(answer: &Value) {
    for domain in answer.as_array().map_or(&[][..], Vec::as_slice) {
        let keys = domain["keys"].as_array().map_or(&[][..], Vec::as_slice);
        show::line(text(domain, "domain"));
        for key in keys {
            show::line(&format!(
                "  {:<16} {:<16} {:<9} since {}",
                text(key, "selector"),
                text(key, "algorithm"),
                text(key, "state"),
                text(key, "since"),
            ));
        }
        if keys.is_empty() {
            let domain = text(domain, "domain");
            show::line(&format!(
                "  no keys: its mail goes unsigned; restante dkim rotate {domain}"
            ));
        }
    }
}

fn records(answer: &Value, want: impl Fn(&Value) -> bool) {
    for key in keys_of(answer).filter(|key| want(key)) {
        show::line(&format!("{}. 3600 IN TXT {}", text(key, "name"), txt(text(key, "record"))));
    }
}

fn prepared(domain: &Domain, answer: &Value, json: bool) -> ExitCode {
    if json {
        show::json(answer);
        return ExitCode::SUCCESS;
    }
    if keys_of(answer).any(|key| key["state"] == "prepared") {
        show::line("Publish these records; the old ones stay where they are:");
        records(answer, |key| key["state"] == "prepared");
        show::line(&format!("Then, to sign with the new keys: restante dkim rotate {domain}"));
    } else {
        show::line(&format!("Mail of {domain} is signed from now on. Publish these records:"));
        records(answer, |_| true);
    }
    ExitCode::SUCCESS
}

/// New keys sign only once everybody can look them up.
fn check_published(data: &DataDir, asking: &Asking, known: &Value) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let prepared: Vec<&Value> = keys_of(known).filter(|key| key["state"] == "prepared").collect();
    runtime.block_on(async {
        let mut authority = asking.authority(data)?;
        let query = |key: &Value| Query::new(text(key, "name"), QueryKind::Txt);
        authority.answer(prepared.iter().map(|key| query(key)).collect()).await;
        for key in prepared {
            let name = text(key, "name");
            let found = match authority.answers().get(&query(key)) {
                Some(Answer::Txt(records)) => records
                    .iter()
                    .any(|record| same_key(&String::from_utf8_lossy(record), text(key, "record"))),
                Some(Answer::Trouble(why)) => {
                    bail!("{name} cannot be looked up now: {why}\nNothing was changed.")
                }
                _ => false,
            };
            if !found {
                bail!(
                    "{name} is not published, or has another key\nNothing was changed. What to do: \
                     publish what restante dkim show prints; servers may remember its absence for \
                     some time. --no-check goes on without it."
                );
            }
        }
        Ok(())
    })
}

/// Whether two key records have the same `p=`.
pub fn same_key(one: &str, other: &str) -> bool {
    let public = |record: &str| {
        let mut tags = record.split(';').filter_map(|tag| tag.split_once('='));
        let (_, value) = tags.find(|(name, _)| name.trim() == "p")?;
        Some(value.split_ascii_whitespace().collect::<String>())
    };
    public(one).is_some_and(|key| !key.is_empty() && Some(key) == public(other))
}
