//! `restante standby`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use config::Service;
use serde_json::json;
use standby::{Token, invited};

use super::{leftover, promote, run, status, when};
use crate::data_dir::DataDir;
use crate::show;

const EXAMPLES: &str = "\
Examples:
  On the server, with `standby = 4190` under [listen] in restante.toml:
    restante standby invite --data DIR              prints a token, once
  On the other machine:
    restante standby --data DIR --from mx.example.org:4190 --token rst-standby1-…
    restante standby --data DIR                     goes on following, at each later start
    restante standby status --data DIR              how far it is; the same on the server
  When the server is gone:
    restante standby promote --data DIR             the directory is the server's now
    restante serve --data DIR

A standby has everything: all mail, all settings, all private keys. Keep it as safe as the server.";

/// `restante standby`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct StandbyArgs {
    /// HOST:PORT of the server to follow from now on; without it, whom it followed before
    #[arg(long, requires = "token")]
    from: Option<String>,
    /// What `restante standby invite` printed there; `-`: the first line of standard input
    #[arg(long, requires = "from")]
    token: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// On the server: lets one more standby follow; prints its token, which is kept nowhere
    Invite {
        /// What it is called here
        #[arg(long, default_value = "standby")]
        name: String,
    },
    /// How far each standby is; on a standby, how far it is
    Status,
    /// On the server: a standby may follow no more
    Forget {
        /// What it is called here
        name: String,
    },
    /// On a standby: makes its directory a server's
    Promote {
        /// Why, for the record
        #[arg(long)]
        reason: Option<String>,
        /// Although the server is there and linked: it is told to serve no more
        #[arg(long)]
        anyway: bool,
    },
    /// On a server whose standby was promoted without its last records: the messages among them
    Leftover {
        /// Write each into a file of its own in this directory
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// `restante standby …`.
pub fn standby(data: &DataDir, args: StandbyArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    match args.command {
        None => {
            let whom = match (args.from, args.token) {
                (Some(from), Some(token)) => Some(run::Whom { from, token: token_of(&token)? }),
                (_, _) => None,
            };
            run::run(data, whom)?;
        }
        Some(Command::Invite { name }) => invite(data, &name, as_json)?,
        Some(Command::Status) => status::status(data, as_json)?,
        Some(Command::Forget { name }) => forget(data, &name, as_json)?,
        Some(Command::Promote { reason, anyway }) => {
            let done = promote::promote(data, reason, anyway)?;
            if as_json {
                show::json(&done);
            } else {
                promoted(data, &done);
            }
        }
        Some(Command::Leftover { out }) => leftover::leftover(data, out.as_deref(), as_json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn token_of(text: &str) -> anyhow::Result<Token> {
    if text != "-" {
        return Ok(text.parse()?);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("cannot read the token")?;
    Ok(line.parse()?)
}

fn invite(data: &DataDir, name: &str, as_json: bool) -> anyhow::Result<()> {
    if data.follows() {
        bail!("this is a standby itself: invite on the server that it follows");
    }
    let config = data.config()?;
    let token = standby::invite(data.path(), name, config.hostname.as_str(), net::now())?;
    let listens = config.listeners().into_iter().find(|one| one.service == Service::Standby);
    let port = listens.map(|listener| listener.address.port());
    if as_json {
        show::json(&json!({ "name": name, "token": token.to_string(), "port": port }));
        return Ok(());
    }
    show::line("The token, shown only now. Whoever has it gets all mail and all keys:");
    show::line(&format!("  {token}"));
    let port = port.map_or_else(|| "PORT".to_owned(), |port| port.to_string());
    show::line("On the machine of the standby:");
    show::line(&format!(
        "  restante standby --data DIR --from {}:{port} --token {token}",
        config.hostname
    ));
    if listens.is_none() {
        show::line(&format!(
            "First set a port for standbys, such as `standby = 4190` under [listen] in {}, and start \
             the server anew.",
            data.settings_path().display()
        ));
    }
    Ok(())
}

fn forget(data: &DataDir, name: &str, as_json: bool) -> anyhow::Result<()> {
    if !standby::forget(data.path(), name)? {
        let known: Vec<String> = invited(data.path())?
            .into_iter()
            .map(|one| format!("{} ({})", one.name, when(one.at)))
            .collect();
        bail!("no standby is called {name}; there are: {}", known.join(", "));
    }
    if as_json {
        show::json(&json!({ "forgotten": name }));
    } else {
        show::line(&format!("{name} may follow no more; a link that it has ends in a moment."));
    }
    Ok(())
}

fn promoted(data: &DataDir, done: &serde_json::Value) {
    let place = data.path().display();
    show::line(&format!(
        "{place} is a server now, with everything up to record {} of the one that it followed \
         (promotion {}).",
        done["followed_records"], done["epoch"]
    ));
    if done["uncertain"].as_u64().unwrap_or(0) > 0 {
        show::line(&format!(
            "{} recipients' mail was being sent at the time; it is sent again, marked as a possible \
             duplicate.",
            done["uncertain"]
        ));
    }
    for damage in done["damage"].as_array().into_iter().flatten() {
        show::line(&format!("Damaged: {}", show::text(damage)));
    }
    show::line(&format!(
        "Look over {} (addresses to listen on), then: restante serve --data {place}",
        data.settings_path().display()
    ));
    show::line(
        "Let the names in DNS lead here. The old server, once it can be reached, is told to serve no more.",
    );
}
