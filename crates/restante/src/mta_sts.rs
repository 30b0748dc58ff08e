//! The MTA-STS policy of our own domains (RFC 8461), as `https://mta-sts.DOMAIN` shows it.

use std::sync::Arc;

use config::Config;
use mail_types::Domain;
use route::StsPolicy;
use store::Store;

/// RFC 8461 §3.3.
const PATH: &str = "/.well-known/mta-sts.txt";
/// RFC 8461 §3.2.
const PREFIX: &str = "mta-sts.";

/// The policy's text; `None` where the settings publish none.
pub fn policy(config: &Config) -> Option<String> {
    let own = &config.mta_sts;
    own.publish.then(|| {
        let mut names = vec![config.hostname.to_string()];
        names.extend(
            own.hosts.iter().filter(|host| **host != names[0]).cloned().collect::<Vec<_>>(),
        );
        let mut text = format!("version: STSv1\r\nmode: {}\r\n", own.mode.as_str());
        for name in names {
            text.push_str(&format!("mx: {name}\r\n"));
        }
        text.push_str(&format!("max_age: {}\r\n", own.max_age.as_secs()));
        text
    })
}

/// The TXT record that leads to it, at `_mta-sts.` and the domain; its id changes with the policy.
pub fn txt_record(config: &Config) -> Option<String> {
    let policy = policy(config)?;
    // FNV-1a: the id must only be another one when the policy is.
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let id = format!("{:016x}", policy.bytes().fold(0xcbf2_9ce4_8422_2325, mix));
    Some(format!("v=STSv1; id={id};"))
}

/// The pages of all our domains.
pub fn source(config: &Config, store: &Store) -> anyhow::Result<web::PageSource> {
    let policy = policy(config);
    if let Some(text) = &policy {
        // What we could not read ourselves is not shown to others.
        StsPolicy::parse(text.as_bytes())?;
    }
    let store = store.clone();
    Ok(Arc::new(move |host, path| {
        let policy = policy.as_ref().filter(|_| path == PATH)?;
        let domain = Domain::new(host.strip_prefix(PREFIX)?).ok()?;
        let is_ours = store.directory().is_local(&domain);
        is_ours.then(|| web::Page { media_type: "text/plain", bytes: policy.clone().into_bytes() })
    }))
}
