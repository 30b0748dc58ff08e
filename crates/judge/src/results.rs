use std::net::IpAddr;

use sender_auth::{AuthResults, DkimResult, MethodResult, SpfResult, Verdict as Word};

use crate::Facts;

/// The facts as an Authentication-Results field of ours tells them (RFC 8601 §2).
#[must_use]
pub fn auth_results(
    facts: &Facts,
    ip: IpAddr,
    helo: &str,
    mail_from: &str,
    us: &str,
) -> AuthResults {
    let mut methods = vec![
        // RFC 8601 §2.7.3.
        MethodResult::new("iprev", facts.iprev.outcome.verdict)
            .because(facts.iprev.outcome.reason())
            .with("policy", "iprev", &ip.to_string()),
        spf(&facts.spf_helo, "helo", helo),
    ];
    if !mail_from.is_empty() {
        methods.push(spf(&facts.spf, "mailfrom", mail_from));
    }
    if facts.dkim.is_empty() {
        methods.push(MethodResult::new("dkim", Word::None));
    }
    methods.extend(facts.dkim.iter().map(dkim));
    let arc = &facts.arc.outcome;
    if arc.verdict != Word::None {
        // RFC 8617 §10.2.
        let method = MethodResult::new("arc", arc.verdict).because(arc.reason());
        methods.push(method.with("smtp", "remote-ip", &ip.to_string()));
    }
    let dmarc = &facts.dmarc;
    let mut method = MethodResult::new("dmarc", dmarc.outcome.verdict);
    if let Some(published) = &dmarc.published {
        let word = published.policy.as_str();
        method = method.commented(&format!("{}={word} of {}", published.tag, published.domain));
    }
    method = method.because(dmarc.outcome.reason());
    if !dmarc.from.is_empty() {
        method = method.with("header", "from", &dmarc.from);
    }
    methods.push(method);
    AuthResults { authserv_id: us.to_owned(), methods }
}

/// RFC 8601 §2.7.2.
fn spf(result: &SpfResult, property: &str, value: &str) -> MethodResult {
    MethodResult::new("spf", result.outcome.verdict)
        .because(result.outcome.reason())
        .with("smtp", property, value)
}

/// RFC 8601 §2.7.1, RFC 6008 §4.
fn dkim(result: &DkimResult) -> MethodResult {
    let mut method =
        MethodResult::new("dkim", result.outcome.verdict).because(result.outcome.reason());
    if let Some(domain) = &result.domain {
        method = method.with("header", "d", domain.as_str());
    }
    for (property, value) in [("i", &result.identity), ("s", &result.selector)] {
        if let Some(value) = value {
            method = method.with("header", property, value);
        }
    }
    if let Some(algorithm) = result.algorithm {
        method = method.with("header", "a", &algorithm.to_string());
    }
    if !result.mark.is_empty() {
        method = method.with("header", "b", &result.mark);
    }
    method
}
