//! TLS reports of others (RFC 8460).

use std::collections::HashSet;

use serde_json::{Value, json};
use tls_report::{TlsReport, TlsReportError, TlsReportSummary};

/// Kinds of failures that are listed, those with the most sessions first.
const RESULTS_MAX: usize = 50;

/// What was read so far.
#[derive(Default)]
pub struct Found {
    summary: TlsReportSummary,
    /// Reporter, id, begin, end of each.
    reports: Vec<Value>,
    seen: HashSet<(String, String)>,
    again: u64,
    unreadable: Vec<Value>,
}

impl Found {
    /// Takes a message in, or a bare report.
    pub fn add(&mut self, name: &str, bytes: &[u8], domain: Option<&str>) {
        let reports = match TlsReport::parse_packed(bytes) {
            Ok(report) => vec![Ok(report)],
            Err(TlsReportError::Format) => TlsReport::of_message(bytes),
            Err(why) => vec![Err(why)],
        };
        for report in reports {
            match report {
                Err(why) => self.unreadable.push(json!({"in": name, "why": why.to_string()})),
                Ok(report)
                    if domain.is_some_and(|domain| {
                        report.policies.iter().all(|policy| policy.domain != domain)
                    }) => {}
                // RFC 8460 §5.5: one that comes again has the same id.
                Ok(report) => {
                    if self.seen.insert((report.organization.clone(), report.id.clone())) {
                        self.summary.add(&report, domain);
                        self.reports.push(listed(&report, name));
                    } else {
                        self.again += 1;
                    }
                }
            }
        }
    }

    /// All of it for programs.
    pub fn told(self) -> Value {
        let domains: serde_json::Map<String, Value> = self
            .summary
            .domains
            .iter()
            .map(|(domain, of_it)| {
                let policies: serde_json::Map<String, Value> = of_it
                    .policies
                    .iter()
                    .map(|(kind, (good, bad))| {
                        (kind.as_str().to_owned(), json!({ "successes": good, "failures": bad }))
                    })
                    .collect();
                let mut results: Vec<_> = of_it.results.iter().collect();
                results.sort_by_key(|(of, sessions)| (std::cmp::Reverse(**sessions), *of));
                let results: Vec<Value> = results
                    .into_iter()
                    .take(RESULTS_MAX)
                    .map(|((result, mx), sessions)| {
                        json!({ "result": result, "host": mx, "sessions": sessions })
                    })
                    .collect();
                (domain.clone(), json!({ "policies": policies, "failures": results }))
            })
            .collect();
        json!({
            "reports": self.summary.reports,
            "sessions": self.summary.successes.saturating_add(self.summary.failures),
            "successes": self.summary.successes,
            "failures": self.summary.failures,
            "reporters": self.summary.reporters,
            "domains": domains,
            "received": self.reports,
            "received_again": self.again,
            "unreadable": self.unreadable,
        })
    }
}

fn listed(report: &TlsReport, name: &str) -> Value {
    json!({
        "in": name,
        "from": report.organization,
        "id": report.id,
        "begin_secs": report.begin_secs,
        "end_secs": report.end_secs,
        "policies": report.policies.len(),
    })
}

/// The answer as sentences and rows for people.
pub fn sentences(answer: &Value) -> Vec<String> {
    let number = |name: &str| answer[name].as_u64().unwrap_or(0);
    let reports = number("reports");
    if reports == 0 && answer["unreadable"].as_array().is_none_or(Vec::is_empty) {
        return vec![
            "No TLS report was found. Reports go where `rua=` of the TXT record at _smtp._tls of \
             your domain says."
                .to_owned(),
        ];
    }
    let mut lines = vec![format!(
        "{reports} {} on {} connections: {} went well, {} did not.",
        if reports == 1 { "report" } else { "reports" },
        number("sessions"),
        number("successes"),
        number("failures")
    )];
    for (domain, of_it) in answer["domains"].as_object().into_iter().flatten() {
        for (kind, sums) in of_it["policies"].as_object().into_iter().flatten() {
            lines.push(format!(
                "  {domain} ({kind}): {} well, {} failed",
                sums["successes"], sums["failures"]
            ));
        }
        for one in of_it["failures"].as_array().into_iter().flatten() {
            let host = one["host"].as_str().filter(|host| !host.is_empty());
            lines.push(format!(
                "    {} at {}: {}",
                one["result"].as_str().unwrap_or_default(),
                host.unwrap_or("an unnamed host"),
                one["sessions"]
            ));
        }
    }
    for one in answer["unreadable"].as_array().into_iter().flatten() {
        lines.push(format!(
            "Not readable, in {}: {}",
            one["in"].as_str().unwrap_or_default(),
            one["why"].as_str().unwrap_or_default()
        ));
    }
    lines
}
