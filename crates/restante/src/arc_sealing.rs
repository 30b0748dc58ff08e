//! Seals what came from outside and leaves again (RFC 8617 §5.1), in the name of the domain that
//! forwards it: whoever gets it can see what we found when it came, though SPF and sometimes DKIM fail
//! by now.

use mail_types::{Domain, Timestamp};
use message::{Field, Fields};
use sender_auth::{AuthResults, Reading, Verdict};
use store::Directory;

use crate::dkim_signing::Signing;

/// What was found out about a message when it came in.
struct Judged {
    /// An authserv-id and results, folded.
    results: String,
    /// What came of the chain that it had already.
    chain: Verdict,
}

impl Signing {
    /// The ARC set to put in front of a message, all trace fields of ours in it; empty where it was
    /// not judged here (there would be nothing to say), where the domain has no active keys, and where
    /// no set may be added. A message is better sent unsealed than not at all.
    pub fn seal(&self, message: &[u8], domain: &Domain, now: Timestamp) -> String {
        let Some(judged) = judged(message) else { return String::new() };
        let directory = self.directory();
        let Some(key) = self.sealing_key(&directory, domain) else { return String::new() };
        let mut reading = Reading::for_signing();
        reading.write(message);
        let examined = reading.finish();
        examined.seal(judged.chain, &key, &judged.results, now).unwrap_or_default()
    }

    /// RFC 8617 §4.1.2: a set has one signature; RSA is what all verifiers know.
    fn sealing_key(
        &self,
        directory: &Directory,
        domain: &Domain,
    ) -> Option<std::sync::Arc<sender_auth::SigningKey>> {
        let (domain, mut keys) = directory.signing_keys(domain)?;
        keys.sort_by_key(|key| match key.algorithm {
            store::DkimAlgorithm::RsaSha256 => 0,
            store::DkimAlgorithm::Ed25519Sha256 => 1,
        });
        keys.into_iter().find_map(|key| self.ready(domain, key))
    }
}

/// Our own Authentication-Results stand above our own Received, and nothing from outside does.
fn judged(message: &[u8]) -> Option<Judged> {
    let header = &message[message::header_range(message)];
    let is_ours = |field: &Field<'_>| !field.is("Received");
    let field =
        Fields::new(header).take_while(is_ours).find(|field| field.is("Authentication-Results"))?;
    let read = AuthResults::parse(field.value)?;
    // RFC 8617 §4.1.1: the same words as in Authentication-Results.
    let mut results = std::str::from_utf8(field.value).ok()?.trim().to_owned();
    let chain = match read.of("arc").next() {
        Some(arc) => arc.verdict()?,
        None => {
            // RFC 8617 §10.2: where it came from, for whoever evaluates the chain.
            let iprev = read.of("iprev").flat_map(|iprev| &iprev.properties);
            let ip = iprev.filter(|one| one.property == "iprev").map(|one| &one.value).next();
            results.push_str(";\r\n\tarc=none");
            if let Some(ip) = ip {
                results.push_str(&format!(" smtp.remote-ip={}", sender_auth::pvalue(ip)));
            }
            Verdict::None
        }
    };
    Some(Judged { results, chain })
}
