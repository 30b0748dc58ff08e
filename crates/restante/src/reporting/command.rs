//! `restante report sent`, `next` and `send`: what this server reports to others.

use clap::Args;
use mail_types::{Domain, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{ReportOutcome, ReportSpan, SentReport, Store};

use super::counts::Counts;
use crate::request::Failure;
use crate::story::short_receipt;

/// Reports that are listed.
pub const REPORTS_MAX: usize = 10_000;

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// What was sent.
    Sent { since: Option<i64>, domain: Option<String> },
    /// What the next reports will say, as far as it is known.
    Next,
    /// Send them now; only a running server can.
    Send,
}

#[derive(Debug, Args)]
pub struct SentArgs {
    /// Only those of this time or later: 2026-11-21, or 7d (ago)
    #[arg(long)]
    pub since: Option<String>,
    /// Only those about this domain
    #[arg(long)]
    pub domain: Option<Domain>,
}

/// Does what needs the store alone.
pub fn perform(store: &Store, ask: &Ask) -> Result<Value, Failure> {
    match ask {
        Ask::Sent { since, domain } => {
            let since = Timestamp(since.unwrap_or(i64::MIN));
            let fits = |one: &&SentReport| domain.as_ref().is_none_or(|it| *it == one.report.about);
            let all = store.reports(since, REPORTS_MAX)?;
            Ok(all.iter().filter(fits).map(told).collect())
        }
        Ask::Next => {
            let Some(span) = store.report_span()? else { return Ok(json!({ "begin": null })) };
            next(store, &span)
        }
        Ask::Send => Err(Failure {
            what: "only a running server can send".to_owned(),
            mend: Some("start it with: restante serve".to_owned()),
        }),
    }
}

fn next(store: &Store, span: &ReportSpan) -> Result<Value, Failure> {
    let (counts, _) = Counts::read(store, span, true)?;
    let dmarc = counts.dmarc.domains.iter().map(|(domain, rows)| {
        let (counted, failed) = rows.sums();
        json!({ "kind": "dmarc", "about": domain, "counted": counted, "failed": failed })
    });
    let tls = counts.tls.domains.iter().map(|(domain, policies)| {
        let failed: u64 = policies.values().map(|sums| sums.failures).sum();
        let good: u64 = policies.values().map(|sums| sums.successes).sum();
        json!({ "kind": "tls", "about": domain, "counted": good + failed, "failed": failed })
    });
    Ok(json!({
        "begin": span.begin.to_string(),
        "end": span.end.map(|end| end.to_string()),
        "domains": dmarc.chain(tls).collect::<Vec<_>>(),
    }))
}

/// A report for programs.
pub fn told(sent: &SentReport) -> Value {
    let report = &sent.report;
    let (outcome, more) = match &report.outcome {
        ReportOutcome::Mailed { mail } => ("mailed", json!(short_receipt(*mail))),
        ReportOutcome::Posted { status } => ("posted", json!(status)),
        ReportOutcome::Dropped { why } => ("dropped", json!(why)),
    };
    json!({
        "at": sent.at.to_string(),
        "kind": report.kind.word(),
        "about": report.about,
        "begin": report.begin.to_string(),
        "end": report.end.to_string(),
        "to": report.to,
        "id": report.id,
        "counted": report.counted,
        "failed": report.failed,
        "outcome": outcome,
        "detail": more,
    })
}

/// An answer as sentences for people.
pub fn sentences(ask: &Ask, answer: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match ask {
        Ask::Sent { .. } => {
            let all = answer.as_array().into_iter().flatten();
            let lines: Vec<String> = all.map(sentence).collect();
            if lines.is_empty() { vec!["No report was sent.".to_owned()] } else { lines }
        }
        Ask::Next => {
            if answer["begin"].is_null() {
                return vec![
                    "No reports are sent from here: see [reports] in docs/settings.md.".to_owned(),
                ];
            }
            let mut lines = vec![format!("Not reported yet, since {}:", text(&answer["begin"]))];
            lines.extend(answer["domains"].as_array().into_iter().flatten().map(|one| {
                format!(
                    "  {} {}: {} counted, {} failed",
                    text(&one["kind"]),
                    text(&one["about"]),
                    one["counted"],
                    one["failed"]
                )
            }));
            if lines.len() == 1 {
                lines.push("  nothing".to_owned());
            }
            lines
        }
        Ask::Send => {
            let (begin, end) = (text(&answer["begin"]), text(&answer["end"]));
            let mut lines = vec![format!("Reported: {begin} to {end}.")];
            lines.extend(answer["reports"].as_array().into_iter().flatten().map(sentence));
            lines.extend(answer["later"].as_array().into_iter().flatten().map(|one| {
                let (kind, about) = (text(&one["kind"]), text(&one["about"]));
                format!(
                    "  {kind} {about} to {}: tried again for a day: {}",
                    text(&one["to"]),
                    text(&one["why"])
                )
            }));
            lines.extend(answer["not_known"].as_array().into_iter().flatten().map(|one| {
                format!("  {}: the DNS does not answer; asked again for a day", text(one))
            }));
            lines
        }
    }
}

fn sentence(one: &Value) -> String {
    let text = |name: &str| one[name].as_str().unwrap_or_default();
    let outcome = match text("outcome") {
        "mailed" => format!("mailed to {} (trace {})", text("to"), text("detail")),
        "posted" => format!("posted to {} ({})", text("to"), one["detail"]),
        _ => format!("not sent to {}: {}", text("to"), text("detail")),
    };
    format!(
        "{} {} {}: {} counted, {} failed, {outcome}",
        text("at"),
        text("kind"),
        text("about"),
        one["counted"],
        one["failed"]
    )
}
