//! TLS reports of ours (RFC 8460).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use mail_types::{Domain, Path, PhaseName};
use net::{HttpLimits, HttpRequest, Lookup, Reach};
use store::{ReportKind, ReportOutcome, ReportSpan, Reported, TlsPolicySeen, Tried, Try};
use tls_report::{FailureDetail, PolicyKind, PolicyResult, ReportUri, TlsReport, TlsReportRecord};

use super::counts::ROWS_MAX;
use super::{LOOK_UP_MAX, Made, Outcomes, Reporter, Reporting, Settling, report_id, seconds};
use crate::request::Failure;

/// Octets of what a server says to a report.
const ANSWER_OCTETS_MAX: usize = 64 << 10;

/// How connections went, by the domain that mail was for.
#[derive(Default)]
pub struct TlsCounts {
    pub domains: BTreeMap<String, Policies>,
    rows: usize,
}

/// By policy; that of a host where it is DANE.
pub type Policies = BTreeMap<(PolicyKind, String), Sums>;

/// How connections under one policy went.
#[derive(Default)]
pub struct Sums {
    pub successes: u64,
    pub failures: u64,
    /// Failures by kind (sessions are 0 there).
    details: HashMap<FailureDetail, u64>,
}

/// What one connection came to.
enum Session {
    Good,
    Failed { result: String, reason: Option<String> },
}

impl TlsCounts {
    /// Counts the connections of an attempt.
    pub fn add(&mut self, tried: &Tried, destination: &str) {
        // An address has no policies, and nobody to report to.
        if Domain::new(destination).is_err() {
            return;
        }
        let mut before: Option<(IpAddr, &str)> = None;
        for one in &tried.tries {
            let Some(peer) = one.peer.as_ref().or(tried.peer.as_ref()) else { continue };
            let said = one.policy_said.as_deref();
            // What fell back from a handshake that failed is the same failure.
            let same = said.is_some_and(|said| before == Some((peer.ip, said)));
            before = said.map(|said| (peer.ip, said));
            if same || one.path != Path::Direct || one.before > 0 {
                continue;
            }
            let Some(kind) = kind_of(one) else { continue };
            let Some(session) = session(one, peer.tls.is_some()) else { continue };
            let host = match kind {
                PolicyKind::Tlsa => peer.host.to_ascii_lowercase(),
                PolicyKind::Sts | PolicyKind::NoPolicyFound => String::new(),
            };
            let detail = match session {
                Session::Good => None,
                Session::Failed { result, reason } => Some(FailureDetail {
                    result,
                    sending_ip: one.source,
                    mx: Some(peer.host.to_ascii_lowercase()),
                    receiving_ip: Some(peer.ip),
                    reason,
                    ..FailureDetail::default()
                }),
            };
            let policies = self.domains.entry(destination.to_owned()).or_default();
            let sums = policies.entry((kind, host)).or_default();
            match detail {
                None => sums.successes += 1,
                Some(detail) => {
                    sums.failures += 1;
                    if let Some(count) = sums.details.get_mut(&detail) {
                        *count += 1;
                    } else if self.rows < ROWS_MAX {
                        sums.details.insert(detail, 1);
                        self.rows += 1;
                    }
                }
            }
        }
    }
}

/// Whence the policy of a try is; `None` where TLS was no question.
fn kind_of(one: &Try) -> Option<PolicyKind> {
    let said = one.policy_said.as_deref().unwrap_or_default();
    match one.policy.as_str() {
        policy if policy.starts_with("DANE") => Some(PolicyKind::Tlsa),
        policy if policy.starts_with("MTA-STS") => Some(PolicyKind::Sts),
        // There is a policy, which could not be had.
        "opportunistic" if said.starts_with("sts-") => Some(PolicyKind::Sts),
        "opportunistic" => Some(PolicyKind::NoPolicyFound),
        _ => None,
    }
}

/// What came of it; `None` where it did not come to TLS.
fn session(one: &Try, is_encrypted: bool) -> Option<Session> {
    if let Some(said) = &one.policy_said {
        let (result, reason) = said.split_once(": ").unwrap_or((said, ""));
        let reason = (!reason.is_empty()).then(|| reason.to_owned());
        return Some(Session::Failed { result: result.to_owned(), reason });
    }
    if is_encrypted {
        return Some(Session::Good);
    }
    let is_over = one.phases.iter().any(|phase| phase.name == PhaseName::Mail);
    is_over.then(|| Session::Failed { result: "starttls-not-supported".to_owned(), reason: None })
}

/// The part of the report on each policy (RFC 8460 §4.4).
fn results(domain: &str, policies: &Policies, seen: &[TlsPolicySeen]) -> Vec<PolicyResult> {
    let result = |((kind, host), sums): (&(PolicyKind, String), &Sums)| {
        let known = seen.iter().find(|policy| match kind {
            PolicyKind::Tlsa => policy.host.eq_ignore_ascii_case(host),
            PolicyKind::Sts => policy.host.is_empty(),
            PolicyKind::NoPolicyFound => false,
        });
        let owner = match kind {
            // RFC 8460 §1.2: for DANE "the TLSA base domain".
            PolicyKind::Tlsa => host.as_str(),
            PolicyKind::Sts | PolicyKind::NoPolicyFound => domain,
        };
        let mut details: Vec<FailureDetail> = sums
            .details
            .iter()
            .map(|(detail, count)| FailureDetail { sessions: *count, ..detail.clone() })
            .collect();
        details.sort();
        PolicyResult {
            kind: *kind,
            strings: known.map(|known| known.strings.clone()).unwrap_or_default(),
            domain: known.map_or(owner, |known| known.owner.as_str()).to_owned(),
            mx: known.map(|known| known.mx.clone()).unwrap_or_default(),
            successes: sums.successes,
            failures: sums.failures,
            details,
        }
    };
    policies.iter().map(result).collect()
}

impl Reporter {
    /// Sends the reports of a span on connections.
    pub(super) async fn send_tls(
        &self,
        counts: &TlsCounts,
        span: &ReportSpan,
        reporting: &Reporting,
        outcomes: &mut Outcomes,
    ) -> Result<(), Failure> {
        for (domain, policies) in &counts.domains {
            let record = match self.tls_record(domain).await {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(why) => {
                    tracing::info!(domain, why, "whether it wants TLS reports is not known");
                    outcomes.unknown.push(domain.clone());
                    continue;
                }
            };
            let made = self.tls_report(domain, policies, span, reporting)?;
            for to in &record.rua {
                outcomes.add(self.deliver_tls(&made, to, reporting).await?);
            }
        }
        Ok(())
    }

    fn tls_report(
        &self,
        domain: &str,
        policies: &Policies,
        span: &ReportSpan,
        reporting: &Reporting,
    ) -> Result<Made, Failure> {
        let seen = self.store.tls_policies_seen(domain)?;
        let (begin_secs, end_secs) = seconds(span);
        let report = TlsReport {
            organization: reporting.organization.clone(),
            begin_secs,
            end_secs,
            contact: reporting.contact.clone(),
            id: report_id(ReportKind::Tls, domain, span.begin, &self.config.hostname),
            policies: results(domain, policies, &seen),
        };
        let sum = |of: fn(&Sums) -> u64| policies.values().map(of).sum::<u64>();
        let failed = sum(|sums| sums.failures);
        Ok(Made {
            report: Reported {
                kind: ReportKind::Tls,
                about: domain.to_owned(),
                begin: span.begin,
                end: span.end.unwrap_or(span.begin),
                to: String::new(),
                id: report.id.clone(),
                counted: failed + sum(|sums| sums.successes),
                failed,
                outcome: ReportOutcome::Dropped { why: String::new() },
            },
            subject: report.subject(reporting.domain.as_str(), domain),
            file_name: report.file_name(reporting.domain.as_str(), domain),
            media_type: "application/tlsrpt+gzip",
            file: report.to_gzip(),
        })
    }

    async fn deliver_tls(
        &self,
        made: &Made,
        to: &ReportUri,
        reporting: &Reporting,
    ) -> Result<Settling, Failure> {
        let made = Made {
            report: Reported { to: to.to_uri(), ..made.report.clone() },
            subject: made.subject.clone(),
            file_name: made.file_name.clone(),
            media_type: made.media_type,
            file: made.file.clone(),
        };
        if self.is_settled(&made.report)? {
            return Ok(Settling::Done);
        }
        match to {
            ReportUri::Mail(address) => self.mail(&made, address, reporting).await,
            ReportUri::Https(url) => self.post(&made, url).await,
        }
    }

    /// RFC 8460 §5.4. A stop between the answer and its record has it posted once more, with the same
    /// id.
    async fn post(&self, made: &Made, url: &str) -> Result<Settling, Failure> {
        let request = HttpRequest::post(url, made.media_type, made.file.clone());
        let limits = HttpLimits {
            time: LOOK_UP_MAX,
            body_octets_max: ANSWER_OCTETS_MAX,
            reach: Reach::Outward,
            ..HttpLimits::default()
        };
        let why = match self.http.send(request, &limits).await {
            Ok(response) if response.status.is_success() => {
                let outcome = ReportOutcome::Posted { status: response.status.as_u16() };
                self.settle(Reported { outcome, ..made.report.clone() }, None).await?;
                return Ok(Settling::Done);
            }
            Ok(response) => format!("HTTP status {}", response.status.as_u16()),
            Err(error) => error.to_string(),
        };
        tracing::info!(url, why, "a TLS report has to wait");
        Ok(Settling::Later(Box::new(made.report.clone()), why))
    }

    /// Where reports on connections to this domain go; `None` where none is wanted.
    async fn tls_record(&self, domain: &str) -> Result<Option<TlsReportRecord>, String> {
        let Ok(name) = Domain::new(&format!("_smtp._tls.{domain}")) else { return Ok(None) };
        match self.resolver.txt(&name).await {
            Lookup::Found { records, .. } => {
                Ok(TlsReportRecord::find(&records).unwrap_or_else(|error| {
                    tracing::debug!(domain, %error, "no TLS report");
                    None
                }))
            }
            Lookup::NoData | Lookup::NxDomain => Ok(None),
            Lookup::Temporary(why) => Err(why.to_string()),
        }
    }
}
