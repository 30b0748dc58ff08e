use clap::Args;
use sender_auth::{
    Authors, DmarcInput, DmarcResult, Identifier, Reading, SpfResult, authors, dmarc, spf_mail_from,
};
use serde_json::json;

use super::message::Message;
use super::{Client, print};
use crate::data_dir::DataDir;

pub const EXAMPLES: &str = "\
Examples:
  restante check dmarc message.eml --ip 192.0.2.1 --mail-from ann@example.org
  restante check dmarc - --ip 192.0.2.1 --helo mail.example.org --mail-from '<>' --json";

#[derive(Debug, Args)]
pub struct Dmarc {
    #[command(flatten)]
    message: Message,
    #[command(flatten)]
    client: Client,
}

pub async fn dmarc_of(data: &DataDir, args: &Dmarc, json: bool) -> anyhow::Result<()> {
    let message = args.message.bytes()?;
    let session = args.client.session();
    let mut reading = Reading::new();
    reading.write(&message);
    let examined = reading.finish();
    let now = args.message.now();
    let mut authority = args.message.asking().authority(data)?;
    let (spf, dkim) = authority
        .drive(|answers| spf_mail_from(&session, answers).both(examined.dkim(answers, now)))
        .await;
    let signatures = dkim.iter().filter_map(|one| {
        let domain = one.domain.as_ref()?.as_str().to_owned();
        Some(Identifier { verdict: one.outcome.verdict, domain })
    });
    let input = DmarcInput {
        authors: authors(&message),
        spf: Some(Identifier { verdict: spf.outcome.verdict, domain: spf.domain.clone() }),
        dkim: signatures.collect(),
    };
    let result = authority.drive(|answers| dmarc(&input, answers)).await;
    let mut lines = policy_lines(&result);
    lines.push(format!("spf: {} of {}", spf.outcome, spf.domain));
    lines.extend(dkim.iter().map(|one| {
        let domain = one.domain.as_ref().map_or("no domain", |domain| domain.as_str());
        format!("dkim: {} of {domain}", one.outcome)
    }));
    let facts = facts(&input, &result, &spf, authority.driven().lookups);
    print(&result.outcome, &lines, facts, json);
    Ok(())
}

fn policy_lines(result: &DmarcResult) -> Vec<String> {
    let Some(published) = &result.published else { return Vec::new() };
    let asked = published.policy.as_str();
    let testing = if published.record.testing { ", in test mode" } else { "" };
    vec![
        format!("policy: {asked} ({} of _dmarc.{}{testing})", published.tag, published.domain),
        format!("requested: {}", result.requested.as_str()),
    ]
}

fn facts(
    input: &DmarcInput,
    result: &DmarcResult,
    spf: &SpfResult,
    lookups: usize,
) -> serde_json::Value {
    let authors = match &input.authors {
        Authors::Domains(domains)
        | Authors::Partly { domains, .. }
        | Authors::TooMany { domains, .. } => domains.clone(),
        Authors::Unusable(_) => Vec::new(),
    };
    let identifier =
        |one: &Identifier| json!({"result": one.verdict.as_str(), "domain": one.domain});
    json!({
        "from": result.from,
        "authors": authors,
        "requested": result.requested.as_str(),
        "policy": result.published.as_ref().map(|published| json!({
            "domain": published.domain,
            "tag": published.tag,
            "policy": published.policy.as_str(),
            "organization": published.organization,
            "testing": published.record.testing,
        })),
        "spf": {"result": spf.outcome.verdict.as_str(), "domain": spf.domain,
                "reason": spf.outcome.reason(), "aligned": result.spf_aligned},
        "dkim": input.dkim.iter().map(identifier).collect::<Vec<_>>(),
        "dkim_aligned": result.dkim_aligned,
        "lookups": lookups,
    })
}
