//! What TLS must be towards a domain.
#![allow(clippy::print_stdout)]

use deliver::Runner;
use mail_types::Domain;
use serde_json::{Value, json};

use crate::outbound::Outbound;
use crate::request::Failure;
use crate::show;

/// What TLS must be towards a domain, as the running server would see to it now.
pub async fn policy(runner: &Runner<Outbound>, domain: &Domain) -> Result<Value, Failure> {
    let found = runner.tls_policy(domain).await;
    let dnssec = match found.dnssec {
        net::Dnssec::Off => "off: DANE is not used (dns.dnssec)",
        net::Dnssec::TrustServer => "checked by the DNS server",
        net::Dnssec::Validate => "checked here",
    };
    let hosts = found.hosts.map_err(|why| Failure { what: why, mend: None })?;
    let hosts: Vec<Value> = hosts
        .into_iter()
        .map(|host| {
            json!({
                "host": host.host,
                "preference": host.preference,
                "policy": host.policy,
                "mandatory": host.is_mandatory,
                "explained": host.explained,
            })
        })
        .collect();
    Ok(json!({ "domain": domain, "by": found.hop, "dnssec": dnssec, "hosts": hosts }))
}

pub fn show(domain: &Domain, answer: &Value, as_json: bool) {
    if as_json {
        return show::json(answer);
    }
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    println!(
        "Mail for {domain} goes by {}. DNSSEC is {}.",
        word(&answer["by"]),
        word(&answer["dnssec"])
    );
    for host in answer["hosts"].as_array().into_iter().flatten() {
        let must = if host["mandatory"] == true { "must" } else { "may" };
        println!("\n{} (preference {})", word(&host["host"]), host["preference"]);
        println!("  {} ({must}): {}.", word(&host["policy"]), word(&host["explained"]));
    }
}
