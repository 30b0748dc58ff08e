//! DMARC aggregate reports of ours (RFC 9990).

use std::collections::{BTreeMap, HashMap};

use mail_types::ReversePath;
use net::Authority;
use sender_auth::{
    AggregateReport, Disposition, DmarcPolicy, DmarcRecord, DomainResult, PolicyPublished,
    REPORT_RECORDS_MAX, ReportAddress, ReportRecord, SignatureResult, Verdict, dmarc_record,
    report_destinations,
};
use store::{DmarcFacts, Fact, Judged, JudgedAct, PublishedPolicy, ReportKind, ReportOutcome};
use store::{ReportSpan, Reported};

use super::counts::ROWS_MAX;
use super::{LOOK_UP_MAX, Made, Outcomes, Reporter, Reporting, Settling, report_id, seconds};
use crate::request::Failure;

/// RFC 9990 §3.1.3: signatures in one record.
const SIGNATURES_MAX: usize = 100;

/// What came, by the domain whose policy it was judged by.
#[derive(Default)]
pub struct DmarcCounts {
    pub domains: BTreeMap<String, Rows>,
    rows: usize,
}

/// What came in the name of one domain and of those below it.
#[derive(Default)]
pub struct Rows {
    /// Each kind of message (its count is 0 there) with how many came.
    rows: HashMap<ReportRecord, u64>,
    /// Messages of further kinds.
    left_out: u64,
}

impl DmarcCounts {
    /// Counts a message, where there is a policy to report to.
    pub fn add(&mut self, judged: &Judged, subject: Option<&str>) {
        let Some(dmarc) = &judged.dmarc else { return };
        let Some(published) = &dmarc.published else { return };
        let verdict = result_of(judged, "dmarc");
        // What could not be judged says nothing of the domain's mail.
        if !matches!(verdict, Verdict::Pass | Verdict::Fail) {
            return;
        }
        // No report about reports, which would go to and fro for ever. Whoever forges the subject of
        // one does not pass.
        let is_report = subject.is_some_and(|subject| subject.starts_with("Report Domain: "));
        if verdict == Verdict::Pass && is_report {
            return;
        }
        let of_domain = self.domains.entry(published.domain.to_ascii_lowercase()).or_default();
        let row = row(judged, dmarc, published, verdict);
        let is_full = of_domain.rows.len() >= REPORT_RECORDS_MAX || self.rows >= ROWS_MAX;
        match of_domain.rows.get_mut(&row) {
            Some(count) => *count += 1,
            None if is_full => of_domain.left_out += 1,
            None => {
                of_domain.rows.insert(row, 1);
                self.rows += 1;
            }
        }
    }
}

impl Rows {
    /// Messages, and those of them that failed.
    pub fn sums(&self) -> (u64, u64) {
        let counted: u64 = self.rows.values().sum::<u64>() + self.left_out;
        let failed = |row: &ReportRecord| row.dkim != Verdict::Pass && row.spf != Verdict::Pass;
        let failed = self.rows.iter().filter(|(row, _)| failed(row)).map(|(_, count)| count).sum();
        (counted, failed)
    }

    /// The report (RFC 9990 §3.1).
    fn report(
        &self,
        domain: &str,
        record: &DmarcRecord,
        reporting: &Reporting,
        span: &ReportSpan,
        id: String,
    ) -> AggregateReport {
        let (begin, end) = seconds(span);
        let mut errors = Vec::new();
        if self.left_out > 0 {
            errors.push(format!("{} messages of further kinds are not listed", self.left_out));
        }
        let mut records: Vec<ReportRecord> = self
            .rows
            .iter()
            .map(|(row, count)| ReportRecord { count: *count, ..row.clone() })
            .map(|row| with_test_mode(row, record))
            .collect();
        records.sort();
        AggregateReport {
            org_name: reporting.organization.clone(),
            email: reporting.contact.clone(),
            extra_contact_info: None,
            report_id: id,
            begin_secs: begin.cast_unsigned(),
            end_secs: end.cast_unsigned(),
            errors,
            generator: Some(format!("Restante {}", env!("CARGO_PKG_VERSION"))),
            policy: PolicyPublished {
                domain: domain.to_owned(),
                discovery_method: Some("treewalk".to_owned()),
                p: record.p,
                sp: record.sp,
                np: record.np,
                adkim: record.adkim,
                aspf: record.aspf,
                testing: Some(record.testing),
                fo: record.fo.clone(),
            },
            records,
        }
    }
}

/// RFC 9990 §3.1.6: a fail that was treated more mildly because the domain only tests needs a reason.
fn with_test_mode(mut row: ReportRecord, record: &DmarcRecord) -> ReportRecord {
    let failed = row.dkim != Verdict::Pass && row.spf != Verdict::Pass;
    let asks = record.p.is_some_and(|p| p != DmarcPolicy::None);
    if record.testing && failed && asks && row.reasons.is_empty() {
        row.reasons.push(("policy_test_mode".to_owned(), None));
    }
    row
}

fn row(
    judged: &Judged,
    dmarc: &DmarcFacts,
    published: &PublishedPolicy,
    verdict: Verdict,
) -> ReportRecord {
    let aligned = |passed: bool| if passed { Verdict::Pass } else { Verdict::Fail };
    ReportRecord {
        source_ip: judged.ip.to_canonical(),
        count: 0,
        disposition: match judged.act {
            JudgedAct::Deliver if verdict == Verdict::Pass && published.policy != "none" => {
                Disposition::Pass
            }
            JudgedAct::Deliver => Disposition::None,
            JudgedAct::Junk | JudgedAct::Hold => Disposition::Quarantine,
            JudgedAct::Reject => Disposition::Reject,
        },
        dkim: aligned(dmarc.dkim_aligned),
        spf: aligned(dmarc.spf_aligned),
        reasons: dmarc.overridden.iter().map(|why| (why.clone(), None)).collect(),
        header_from: dmarc.from.clone(),
        // RFC 9990 §3.1.1.9: empty for the null reverse-path.
        envelope_from: Some(match &judged.reverse_path {
            ReversePath::Null => String::new(),
            ReversePath::Address(address) => {
                address.domain().map(ToString::to_string).unwrap_or_default()
            }
        }),
        envelope_to: None,
        signatures: signatures(judged, &dmarc.from),
        spf_results: judged
            .facts
            .iter()
            .filter(|fact| fact.method == "spf" && fact.property == "mailfrom")
            .filter(|fact| !fact.about.is_empty())
            .map(|fact| DomainResult {
                domain: fact.about.clone(),
                result: verdict_of(fact),
                human_result: None,
            })
            .take(1)
            .collect(),
    }
}

/// RFC 9990 §3.1.3: those that passed first, and of them those of the author's own domain.
fn signatures(judged: &Judged, from: &str) -> Vec<SignatureResult> {
    let mut all: Vec<SignatureResult> = judged
        .facts
        .iter()
        .filter(|fact| fact.method == "dkim" && !fact.about.is_empty())
        .map(|fact| SignatureResult {
            domain: fact.about.clone(),
            selector: Some(fact.property.clone()),
            result: verdict_of(fact),
            human_result: None,
        })
        .collect();
    all.sort_by_key(|one| (one.result != Verdict::Pass, !one.domain.eq_ignore_ascii_case(from)));
    all.truncate(SIGNATURES_MAX);
    all
}

fn verdict_of(fact: &Fact) -> Verdict {
    Verdict::parse(&fact.result).unwrap_or(Verdict::None)
}

fn result_of(judged: &Judged, method: &str) -> Verdict {
    let fact = judged.facts.iter().find(|fact| fact.method == method);
    fact.map_or(Verdict::None, verdict_of)
}

/// Where a report may go, and where it may not.
struct Destinations {
    record: DmarcRecord,
    confirmed: Vec<ReportAddress>,
    /// Addresses outside the organization that have not agreed.
    refused: Vec<ReportAddress>,
}

impl Reporter {
    /// Sends the reports of a span on what came.
    pub(super) async fn send_dmarc(
        &self,
        counts: &DmarcCounts,
        span: &ReportSpan,
        reporting: &Reporting,
        outcomes: &mut Outcomes,
    ) -> Result<(), Failure> {
        for (domain, rows) in &counts.domains {
            let destinations = match self.destinations(domain).await {
                Ok(Some(destinations)) => destinations,
                Ok(None) => continue,
                Err(why) => {
                    tracing::info!(domain, why, "whether it wants DMARC reports is not known");
                    outcomes.unknown.push(domain.clone());
                    continue;
                }
            };
            let id = report_id(ReportKind::Dmarc, domain, span.begin, &self.config.hostname);
            let report = rows.report(domain, &destinations.record, reporting, span, id);
            let (counted, failed) = rows.sums();
            let made = Made {
                report: Reported {
                    kind: ReportKind::Dmarc,
                    about: domain.clone(),
                    begin: span.begin,
                    end: span.end.unwrap_or(span.begin),
                    to: String::new(),
                    id: report.report_id.clone(),
                    counted,
                    failed,
                    outcome: ReportOutcome::Dropped { why: String::new() },
                },
                subject: report.subject(reporting.domain.as_str()),
                // RFC 9990 §3.1.4: the very same as Report-ID.
                file_name: report.file_name(reporting.domain.as_str(), &report.report_id),
                media_type: "application/gzip",
                file: report.to_gzip(),
            };
            for to in &destinations.confirmed {
                outcomes.add(self.mail_dmarc(&made, to, reporting).await?);
            }
            for to in &destinations.refused {
                let made = made.to(to);
                if !self.is_settled(&made.report)? {
                    let why = format!(
                        "{} has not agreed to reports about {domain} (RFC 9990 §4)",
                        to.address
                    );
                    outcomes.add(self.drop(&made, why).await?);
                }
            }
        }
        Ok(())
    }

    async fn mail_dmarc(
        &self,
        made: &Made,
        to: &ReportAddress,
        reporting: &Reporting,
    ) -> Result<Settling, Failure> {
        let made = made.to(to);
        if self.is_settled(&made.report)? {
            return Ok(Settling::Done);
        }
        // RFC 9990 §3.5: a size that is exceeded "after any encoding" forbids the URI.
        let octets = (made.file.len() as u64).div_ceil(57) * 78;
        if let Some(most) = to.bytes_max.filter(|most| octets > *most) {
            let why = format!("it has {octets} octets, of which {} takes {most}", to.address);
            return self.drop(&made, why).await;
        }
        self.mail(&made, &to.address, reporting).await
    }

    /// By what the DNS says now: where reports about this domain go; `None` where none is wanted.
    async fn destinations(&self, domain: &str) -> Result<Option<Destinations>, String> {
        let mut authority = Authority::new(std::sync::Arc::clone(&self.resolver), LOOK_UP_MAX);
        let found = authority.drive(|answers| dmarc_record(domain, answers)).await?;
        let Some(record) = found.filter(|record| !record.rua.is_empty()) else { return Ok(None) };
        let confirmed =
            authority.drive(|answers| report_destinations(domain, &record, answers)).await;
        let host = |one: &ReportAddress| one.address.domain().cloned();
        let is_refused =
            |one: &&ReportAddress| confirmed.iter().all(|other| host(other) != host(one));
        let refused = record.rua.iter().filter(is_refused).cloned().collect();
        Ok(Some(Destinations { record, confirmed, refused }))
    }
}

impl Made {
    fn to(&self, to: &ReportAddress) -> Self {
        let to = format!("mailto:{}", to.address);
        let report = Reported { to, ..self.report.clone() };
        let (subject, file_name) = (self.subject.clone(), self.file_name.clone());
        Self { report, subject, file_name, media_type: self.media_type, file: self.file.clone() }
    }
}
