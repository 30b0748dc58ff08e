use std::net::{IpAddr, Ipv4Addr};

use super::xml::{self, Seen};
use super::{
    AggregateReport, Disposition, DomainResult, REPORT_RECORDS_MAX, ReportError, ReportRecord,
    SIGNATURES_MAX, SignatureResult,
};
use crate::{Alignment, DmarcPolicy, Verdict};

/// Errors and reasons kept.
const NOTES_MAX: usize = 20;

pub(super) fn report(xml: &[u8]) -> Result<AggregateReport, ReportError> {
    let mut reader = Reader::default();
    xml::read(xml, &mut reader)?;
    let report = reader.report;
    if report.policy.domain.is_empty() {
        return Err(ReportError::NoReport("it names no domain"));
    }
    if report.report_id.is_empty() && report.org_name.is_empty() {
        return Err(ReportError::NoReport("nobody says to have made it"));
    }
    Ok(report)
}

#[derive(Default)]
struct Reader {
    report: AggregateReport,
    record: Option<ReportRecord>,
    /// Whether the record's address could be read.
    has_source: Option<IpAddr>,
}

impl Seen for Reader {
    fn begin(&mut self, path: &[String]) -> Result<(), ReportError> {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["feedback"] => {}
            [_] => return Err(ReportError::NoReport("its root is not feedback")),
            ["feedback", "record"] => {
                if self.report.records.len() == REPORT_RECORDS_MAX {
                    return Err(ReportError::NoReport("it has too many records"));
                }
                self.record = Some(ReportRecord::empty());
                self.has_source = None;
            }
            ["feedback", "record", rest @ ..] => {
                if let Some(record) = &mut self.record {
                    record.begin(rest);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, path: &[String], text: &str) -> Result<(), ReportError> {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["feedback", "record"] => {
                if let (Some(mut record), Some(ip)) = (self.record.take(), self.has_source) {
                    record.source_ip = ip;
                    self.report.records.push(record);
                }
            }
            ["feedback", "record", "row", "source_ip"] => self.has_source = text.parse().ok(),
            ["feedback", "record", rest @ ..] => {
                if let Some(record) = &mut self.record {
                    record.set(rest, text);
                }
            }
            ["feedback", "report_metadata", rest @ ..] => metadata(&mut self.report, rest, text),
            ["feedback", "policy_published", name] => policy(&mut self.report, name, text),
            _ => {}
        }
        Ok(())
    }
}

fn metadata(report: &mut AggregateReport, path: &[&str], text: &str) {
    let owned = || text.to_owned();
    match path {
        ["org_name"] => report.org_name = owned(),
        ["email"] => report.email = owned(),
        ["extra_contact_info"] => report.extra_contact_info = Some(owned()),
        ["report_id"] => report.report_id = owned(),
        ["generator"] => report.generator = Some(owned()),
        ["error"] if report.errors.len() < NOTES_MAX => report.errors.push(owned()),
        ["date_range", "begin"] => report.begin_secs = text.parse().unwrap_or(0),
        ["date_range", "end"] => report.end_secs = text.parse().unwrap_or(0),
        _ => {}
    }
}

fn policy(report: &mut AggregateReport, name: &str, text: &str) {
    let policy = &mut report.policy;
    let asked = || {
        [DmarcPolicy::None, DmarcPolicy::Quarantine, DmarcPolicy::Reject]
            .into_iter()
            .find(|policy| text.eq_ignore_ascii_case(policy.as_str()))
    };
    let alignment = || match text {
        "s" | "S" => Alignment::Strict,
        _ => Alignment::Relaxed,
    };
    match name {
        "domain" => policy.domain = text.to_ascii_lowercase(),
        "discovery_method" => policy.discovery_method = Some(text.to_owned()),
        "p" => policy.p = asked(),
        "sp" => policy.sp = asked(),
        "np" => policy.np = asked(),
        "adkim" => policy.adkim = alignment(),
        "aspf" => policy.aspf = alignment(),
        "testing" => policy.testing = Some(text.eq_ignore_ascii_case("y")),
        "fo" => policy.fo = Some(text.to_owned()),
        _ => {}
    }
}

impl ReportRecord {
    fn empty() -> Self {
        Self {
            source_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            count: 0,
            disposition: Disposition::None,
            dkim: Verdict::Fail,
            spf: Verdict::Fail,
            reasons: Vec::new(),
            header_from: String::new(),
            envelope_from: None,
            envelope_to: None,
            signatures: Vec::new(),
            spf_results: Vec::new(),
        }
    }

    fn begin(&mut self, path: &[&str]) {
        match path {
            ["auth_results", "dkim"] if self.signatures.len() < SIGNATURES_MAX => {
                self.signatures.push(SignatureResult {
                    domain: String::new(),
                    selector: None,
                    result: Verdict::None,
                    human_result: None,
                });
            }
            ["auth_results", "spf"] if self.spf_results.len() < SIGNATURES_MAX => {
                let (domain, human_result) = (String::new(), None);
                self.spf_results.push(DomainResult { domain, result: Verdict::None, human_result });
            }
            ["row", "policy_evaluated", "reason"] if self.reasons.len() < NOTES_MAX => {
                self.reasons.push((String::new(), None));
            }
            _ => {}
        }
    }

    fn set(&mut self, path: &[&str], text: &str) {
        let owned = || text.to_owned();
        let lower = || text.to_ascii_lowercase();
        match path {
            ["row", "count"] => self.count = text.parse().unwrap_or(0),
            ["row", "policy_evaluated", "disposition"] => self.disposition = disposition(text),
            ["row", "policy_evaluated", "dkim"] => self.dkim = aligned(text),
            ["row", "policy_evaluated", "spf"] => self.spf = aligned(text),
            ["row", "policy_evaluated", "reason", part] => match (self.reasons.last_mut(), *part) {
                (Some(reason), "type") => reason.0 = owned(),
                (Some(reason), "comment") => reason.1 = Some(owned()),
                _ => {}
            },
            // RFC 7489's reports say `identities` here and there.
            ["identifiers" | "identities", "header_from"] => self.header_from = lower(),
            ["identifiers" | "identities", "envelope_from"] => self.envelope_from = Some(lower()),
            ["identifiers" | "identities", "envelope_to"] => self.envelope_to = Some(lower()),
            ["auth_results", "dkim", part] => {
                let Some(one) = self.signatures.last_mut() else { return };
                match *part {
                    "domain" => one.domain = lower(),
                    "selector" => one.selector = Some(owned()),
                    "result" => one.result = result(text),
                    "human_result" => one.human_result = Some(owned()),
                    _ => {}
                }
            }
            ["auth_results", "spf", part] => {
                let Some(one) = self.spf_results.last_mut() else { return };
                match *part {
                    "domain" => one.domain = lower(),
                    "result" => one.result = result(text),
                    "human_result" => one.human_result = Some(owned()),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

fn disposition(text: &str) -> Disposition {
    [Disposition::Pass, Disposition::Quarantine, Disposition::Reject]
        .into_iter()
        .find(|one| text.eq_ignore_ascii_case(one.as_str()))
        .unwrap_or_default()
}

fn aligned(text: &str) -> Verdict {
    if text.eq_ignore_ascii_case("pass") { Verdict::Pass } else { Verdict::Fail }
}

/// RFC 7489's schema: "unknown" and "error" stand for temperror and permerror.
fn result(text: &str) -> Verdict {
    match text.to_ascii_lowercase().as_str() {
        "unknown" => Verdict::TempError,
        "error" => Verdict::PermError,
        word => Verdict::parse(word).unwrap_or(Verdict::None),
    }
}
