//! Reports of others about our domains: found in the archive by the address they were sent to, so
//! that they are counted wherever somebody has moved them since.

mod tls;

use mail_types::{Address, Timestamp};
use sender_auth::{AggregateReport, ReportError, ReportSummary};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Query, Store};

use crate::request::Failure;

/// Messages that are looked at, the newest first.
const MESSAGES_MAX: usize = 10_000;
/// Octets of a message that is looked at: a larger one is no report that anybody sends.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;
/// Sources that are listed, those with the most failures first.
const SOURCES_MAX: usize = 50;

/// What reports are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Mail in our domains' names (DMARC, RFC 9990).
    Dmarc,
    /// TLS on the way to us (RFC 8460).
    Tls,
}

/// Which reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Which {
    /// About what.
    pub kind: Kind,
    /// Sent to this address.
    pub to: Address,
    /// Accepted at this time or later, in milliseconds.
    pub since: Option<i64>,
    /// Only about this domain.
    pub domain: Option<String>,
}

/// Reads them from the archive and adds them up.
pub fn summarised(store: &Store, which: &Which) -> Result<Value, Failure> {
    let query = Query {
        address: Some(which.to.clone()),
        since: which.since.map(Timestamp),
        count_max: MESSAGES_MAX,
        ..Query::default()
    };
    let mut found = Sum::new(which.kind);
    for story in store.trace_all(&query)?.stories {
        if story.facts.body_bytes <= MESSAGE_BYTES_MAX {
            let receipt = story.facts.receipt.to_string();
            found.add(&receipt, &store.body(&story.facts)?, which.domain.as_deref());
        }
    }
    Ok(found.told())
}

/// Reports of files, for whoever keeps them elsewhere.
pub fn of_files(kind: Kind, files: &[(String, Vec<u8>)], domain: Option<&str>) -> Value {
    let mut found = Sum::new(kind);
    for (name, bytes) in files {
        found.add(name, bytes, domain);
    }
    found.told()
}

/// Reports of one kind, added up.
enum Sum {
    Dmarc(Box<Found>),
    Tls(Box<tls::Found>),
}

impl Sum {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Dmarc => Self::Dmarc(Box::default()),
            Kind::Tls => Self::Tls(Box::default()),
        }
    }

    fn add(&mut self, name: &str, bytes: &[u8], domain: Option<&str>) {
        match self {
            Self::Dmarc(found) => found.add(name, bytes, domain),
            Self::Tls(found) => found.add(name, bytes, domain),
        }
    }

    fn told(self) -> Value {
        match self {
            Self::Dmarc(found) => found.told(),
            Self::Tls(found) => found.told(),
        }
    }
}

#[derive(Default)]
struct Found {
    summary: ReportSummary,
    /// Reporter, id, domain, begin, end of each.
    reports: Vec<Value>,
    seen: std::collections::HashSet<(String, String, String)>,
    again: u64,
    unreadable: Vec<Value>,
}

impl Found {
    /// Takes a message in, or a bare report.
    fn add(&mut self, name: &str, bytes: &[u8], domain: Option<&str>) {
        let reports = match AggregateReport::parse_packed(bytes) {
            Ok(report) => vec![Ok(report)],
            Err(ReportError::Format) => AggregateReport::of_message(bytes),
            Err(why) => vec![Err(why)],
        };
        for report in reports {
            match report {
                Err(why) => self.unreadable.push(json!({"in": name, "why": why.to_string()})),
                Ok(report) if domain.is_some_and(|domain| domain != report.policy.domain) => {}
                // RFC 9990 §3.5.4: the same report twice is one.
                Ok(report) => {
                    let (org, id) = (report.org_name.clone(), report.report_id.clone());
                    if self.seen.insert((org, id, report.policy.domain.clone())) {
                        self.summary.add(&report);
                        self.reports.push(listed(&report, name));
                    } else {
                        self.again += 1;
                    }
                }
            }
        }
    }

    fn told(self) -> Value {
        let summary = &self.summary;
        let mut sources: Vec<_> = summary.sources.iter().collect();
        sources.sort_by_key(|(ip, source)| {
            let failed = source.messages - source.passed;
            (std::cmp::Reverse(failed), std::cmp::Reverse(source.messages), **ip)
        });
        let more = sources.len().saturating_sub(SOURCES_MAX);
        let sources: Vec<Value> = sources
            .into_iter()
            .take(SOURCES_MAX)
            .map(|(ip, source)| {
                json!({
                    "source": ip,
                    "messages": source.messages,
                    "passed": source.passed,
                    "failed": source.messages - source.passed,
                    "dkim": source.dkim,
                    "spf": source.spf,
                })
            })
            .collect();
        let dispositions: serde_json::Map<String, Value> = summary
            .dispositions
            .iter()
            .map(|(one, count)| (one.as_str().to_owned(), (*count).into()))
            .collect();
        json!({
            "reports": summary.reports,
            "messages": summary.messages,
            "passed": summary.passed,
            "failed": summary.messages - summary.passed,
            "dispositions": dispositions,
            "reporters": summary.reporters,
            "sources": sources,
            "sources_not_listed": more,
            "received": self.reports,
            "received_again": self.again,
            "unreadable": self.unreadable,
        })
    }
}

fn listed(report: &AggregateReport, name: &str) -> Value {
    let messages: u64 =
        report.records.iter().fold(0, |sum, record| sum.saturating_add(record.count));
    json!({
        "in": name,
        "from": report.org_name,
        "id": report.report_id,
        "domain": report.policy.domain,
        "begin_secs": report.begin_secs,
        "end_secs": report.end_secs,
        "messages": messages,
    })
}

/// The answer as sentences and rows for people.
pub fn sentences(kind: Kind, answer: &Value) -> Vec<String> {
    match kind {
        Kind::Dmarc => dmarc_sentences(answer),
        Kind::Tls => tls::sentences(answer),
    }
}

fn dmarc_sentences(answer: &Value) -> Vec<String> {
    let number = |name: &str| answer[name].as_u64().unwrap_or(0);
    let (reports, messages) = (number("reports"), number("messages"));
    if reports == 0 && answer["unreadable"].as_array().is_none_or(Vec::is_empty) {
        return vec![
            "No DMARC report was found. Reports go where `rua=` of your DMARC record says."
                .to_owned(),
        ];
    }
    let reporters: Vec<String> = answer["reporters"]
        .as_object()
        .map(|all| all.iter().map(|(name, count)| format!("{name} ({count})")).collect())
        .unwrap_or_default();
    let mut lines = vec![
        format!(
            "{reports} {} on {messages} messages: {} passed DMARC, {} did not.",
            if reports == 1 { "report" } else { "reports" },
            number("passed"),
            number("failed")
        ),
        format!("Reported by {}.", reporters.join(", ")),
    ];
    let dispositions = answer["dispositions"].as_object().into_iter().flatten();
    let done: Vec<String> = dispositions.map(|(word, count)| format!("{word} {count}")).collect();
    lines.push(format!("What was done with them: {}.", done.join(", ")));
    for source in answer["sources"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  {}: {} messages, {} failed ({} passed by DKIM, {} by SPF)",
            source["source"].as_str().unwrap_or_default(),
            source["messages"],
            source["failed"],
            source["dkim"],
            source["spf"]
        ));
    }
    if number("sources_not_listed") > 0 {
        lines.push(format!("  and {} more sources", number("sources_not_listed")));
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
