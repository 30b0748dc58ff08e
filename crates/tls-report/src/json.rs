//! The JSON of a report (RFC 8460 §4.4).

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    FailureDetail, PolicyKind, PolicyResult, REPORT_ENTRIES_MAX, TlsReport, TlsReportError,
};

/// Characters kept of any one text of a report of others.
const TEXT_CHARS_MAX: usize = 1000;
/// Lines or records kept of one policy of others.
const STRINGS_MAX: usize = 100;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    #[serde(default)]
    organization_name: String,
    date_range: DateRange,
    #[serde(default)]
    contact_info: String,
    #[serde(default)]
    report_id: String,
    policies: Vec<Policy>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DateRange {
    start_datetime: String,
    end_datetime: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Policy {
    policy: Described,
    summary: Summary,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failure_details: Vec<Failure>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Described {
    policy_type: String,
    #[serde(default, skip_serializing_if = "is_nothing")]
    policy_string: Value,
    #[serde(default)]
    policy_domain: String,
    // RFC 8460 erratum 5889: an array, which its schema calls a string; many write either.
    #[serde(default, skip_serializing_if = "is_nothing")]
    mx_host: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    #[serde(default)]
    total_successful_session_count: u64,
    #[serde(default)]
    total_failure_session_count: u64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Failure {
    result_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sending_mta_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving_mx_hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving_mx_helo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving_ip: Option<String>,
    failed_session_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_information: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason_code: Option<String>,
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

pub(crate) fn write(report: &TlsReport) -> String {
    let report = Report {
        organization_name: report.organization.clone(),
        date_range: DateRange {
            start_datetime: date_time(report.begin_secs),
            end_datetime: date_time(report.end_secs),
        },
        contact_info: report.contact.clone(),
        report_id: report.id.clone(),
        policies: report.policies.iter().map(described).collect(),
    };
    // Texts and numbers alone: they are always JSON.
    serde_json::to_string_pretty(&report).unwrap_or_default()
}

fn described(policy: &PolicyResult) -> Policy {
    Policy {
        policy: Described {
            policy_type: policy.kind.as_str().to_owned(),
            policy_string: policy.strings.iter().map(String::as_str).collect(),
            policy_domain: policy.domain.clone(),
            mx_host: policy.mx.iter().map(String::as_str).collect(),
        },
        summary: Summary {
            total_successful_session_count: policy.successes,
            total_failure_session_count: policy.failures,
        },
        failure_details: policy.details.iter().map(failure).collect(),
    }
}

fn failure(detail: &FailureDetail) -> Failure {
    let ip = |ip: &Option<IpAddr>| ip.map(|ip| ip.to_canonical().to_string());
    Failure {
        result_type: detail.result.clone(),
        sending_mta_ip: ip(&detail.sending_ip),
        receiving_mx_hostname: detail.mx.clone(),
        receiving_mx_helo: detail.helo.clone(),
        receiving_ip: ip(&detail.receiving_ip),
        failed_session_count: detail.sessions,
        additional_information: detail.information.clone(),
        failure_reason_code: detail.reason.clone(),
    }
}

/// RFC 8460 §4.2: RFC 3339, in UTC.
fn date_time(secs: i64) -> String {
    Timestamp::from_second(secs).unwrap_or_default().to_string()
}

pub(crate) fn read(bytes: &[u8]) -> Result<TlsReport, TlsReportError> {
    let no_report = |error: serde_json::Error| TlsReportError::NoReport(error.to_string());
    let report: Report = serde_json::from_slice(bytes).map_err(no_report)?;
    if report.report_id.is_empty() && report.organization_name.is_empty() {
        return Err(TlsReportError::NoReport("nobody says to have made it".to_owned()));
    }
    let entries = |policy: &Policy| 1 + policy.failure_details.len();
    if report.policies.iter().map(entries).sum::<usize>() > REPORT_ENTRIES_MAX {
        return Err(TlsReportError::NoReport("it has too many entries".to_owned()));
    }
    let secs = |text: &str| text.parse::<Timestamp>().map_or(0, |time| time.as_second());
    Ok(TlsReport {
        organization: short(report.organization_name),
        begin_secs: secs(&report.date_range.start_datetime),
        end_secs: secs(&report.date_range.end_datetime),
        contact: short(report.contact_info),
        id: short(report.report_id),
        policies: report.policies.into_iter().map(result).collect(),
    })
}

fn result(policy: Policy) -> PolicyResult {
    let Policy { policy, summary, failure_details } = policy;
    PolicyResult {
        kind: match policy.policy_type.as_str() {
            "tlsa" => PolicyKind::Tlsa,
            "sts" => PolicyKind::Sts,
            _ => PolicyKind::NoPolicyFound,
        },
        strings: strings(policy.policy_string),
        domain: short(policy.policy_domain).to_ascii_lowercase(),
        mx: strings(policy.mx_host),
        successes: summary.total_successful_session_count,
        failures: summary.total_failure_session_count,
        details: failure_details.into_iter().map(detail).collect(),
    }
}

fn detail(failure: Failure) -> FailureDetail {
    let ip = |text: Option<String>| text.and_then(|text| text.parse().ok());
    FailureDetail {
        result: short(failure.result_type),
        sending_ip: ip(failure.sending_mta_ip),
        mx: failure.receiving_mx_hostname.map(short),
        helo: failure.receiving_mx_helo.map(short),
        receiving_ip: ip(failure.receiving_ip),
        sessions: failure.failed_session_count,
        information: failure.additional_information.map(short),
        reason: failure.failure_reason_code.map(short),
    }
}

/// An array of texts, or one text.
fn strings(value: Value) -> Vec<String> {
    let text = |value: Value| match value {
        Value::String(text) => Some(short(text)),
        _ => None,
    };
    match value {
        Value::Array(all) => all.into_iter().take(STRINGS_MAX).filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}

fn short(text: String) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((at, _)) => text[..at].to_owned(),
        None => text,
    }
}
