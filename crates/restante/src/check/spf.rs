use clap::{Args, ValueEnum};
use sender_auth::{SpfScope, spf_helo, spf_mail_from};
use serde_json::json;

use super::{Asking, Client, print};
use crate::data_dir::DataDir;

pub const EXAMPLES: &str = "\
Examples:
  restante check spf --ip 192.0.2.1 --helo mail.example.org --mail-from ann@example.org
  restante check spf --ip 2001:db8::1 --helo mail.example.org --mail-from '<>'
  restante check spf --ip 192.0.2.1 --helo mail.example.org --identity helo --json
  restante check spf --ip 192.0.2.1 --mail-from ann@example.org --resolver 127.0.0.1:53";

#[derive(Debug, Args)]
pub struct Spf {
    #[command(flatten)]
    client: Client,
    /// Whose domain is checked
    #[arg(long, value_enum, default_value_t = Identity::MailFrom)]
    identity: Identity,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Identity {
    /// The reverse-path's, or the HELO name's where that is null
    MailFrom,
    /// The HELO name's
    Helo,
}

pub async fn spf(data: &DataDir, args: &Spf, json: bool) -> anyhow::Result<()> {
    let session = args.client.session();
    let mut authority = args.asking.authority(data)?;
    let result = authority
        .drive(|answers| match args.identity {
            Identity::MailFrom => spf_mail_from(&session, answers),
            Identity::Helo => spf_helo(&session, answers),
        })
        .await;
    let scope = match result.scope {
        SpfScope::Helo => "helo",
        SpfScope::MailFrom => "mailfrom",
    };
    let facts = json!({
        "domain": result.domain,
        "scope": scope,
        "explanation": result.explanation,
        "lookups": authority.driven().lookups,
    });
    let says = result.explanation.map(|text| format!("explanation: {text}"));
    let lines: Vec<String> = says.into_iter().collect();
    print(&result.outcome, &lines, facts, json);
    Ok(())
}
