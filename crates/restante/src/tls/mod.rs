//! `restante tls`: the certificate of this host, and what TLS must be towards other domains.

mod policy;
mod status;

use std::process::ExitCode;

use clap::Subcommand;
use mail_types::Domain;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::acme::Keeper;
use crate::data_dir::DataDir;
use crate::request::{Failure, Request};
use crate::{control, show};

pub use policy::policy;

#[derive(Debug, Subcommand)]
pub enum Tls {
    /// What TLS must be towards a domain's mail hosts, and why: DANE, MTA-STS or what is offered
    #[command(after_help = POLICY_EXAMPLES)]
    Policy {
        /// The domain mail is for
        domain: Domain,
    },
    /// The certificates of this host: names, how long they are good
    Status,
    /// Order a certificate now, from the authority of the settings ([acme])
    Renew,
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
    Renew,
}

/// Has the running server order a certificate, and waits for it.
pub async fn renew(keeper: Option<&Keeper>) -> Result<Value, Failure> {
    let Some(keeper) = keeper else {
        return Err(Failure {
            what: "no authority is set up".to_owned(),
            mend: Some("set enabled = true under [acme] in restante.toml, and restart".to_owned()),
        });
    };
    match keeper.renew().await {
        Ok(facts) => {
            let did = format!(
                "a certificate for {} is in use, good until {}",
                facts.names.join(", "),
                facts.to
            );
            Ok(json!({ "did": did, "names": facts.names, "to": facts.to.to_string() }))
        }
        Err(error) => Err(Failure {
            what: format!("no new certificate: {error:#}"),
            mend: Some("the old one stays in use; see the log, mend, and try again".to_owned()),
        }),
    }
}

pub fn tls(data: &DataDir, command: Tls, as_json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Tls::Policy { domain } => {
            let ask = Ask::Policy { domain: domain.clone() };
            let answer = control::ask(data, Request::Tls { ask })?;
            policy::show(&domain, &answer, as_json);
            Ok(ExitCode::SUCCESS)
        }
        Tls::Renew => {
            let request = Request::Tls { ask: Ask::Renew };
            let answer = control::ask(data, request.clone())?;
            show::answer(&request, &answer, as_json);
            Ok(ExitCode::SUCCESS)
        }
        Tls::Status => status::status(data, as_json),
    }
}
