//! `restante tls`: the certificate of this host, and what TLS must be towards other domains.

mod policy;
mod status;

use std::process::ExitCode;

use clap::Subcommand;
use mail_types::Domain;
use serde::{Deserialize, Serialize};

use crate::control;
use crate::data_dir::DataDir;
use crate::request::Request;

pub use policy::policy;

#[derive(Debug, Subcommand)]
pub enum Tls {
    /// What TLS must be towards a domain's mail hosts, and why: DANE, MTA-STS or what is offered
    #[command(after_help = POLICY_EXAMPLES)]
    Policy {
        /// The domain mail is for
        domain: Domain,
    },
    /// The certificates of this host: names, issuer, how long they are good
    Status,
}

const POLICY_EXAMPLES: &str = "\
Examples:
  restante tls policy example.org          each mail host with what it must show, or mail waits
  restante tls policy example.org --json   the same for programs

It asks the running server, which looks up what it would look up to send.";

/// What is asked of a running server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    Policy { domain: Domain },
}

pub fn tls(data: &DataDir, command: Tls, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Tls::Policy { domain } => {
            let ask = Ask::Policy { domain: domain.clone() };
            let answer = control::ask(data, Request::Tls { ask })?;
            policy::show(&domain, &answer, json);
            Ok(ExitCode::SUCCESS)
        }
        Tls::Status => status::status(data, json),
    }
}
