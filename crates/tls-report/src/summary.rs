use std::collections::BTreeMap;

use crate::{PolicyKind, TlsReport};

/// Result types and hosts that are told apart.
const KINDS_MAX: usize = 10_000;

/// What reports say, put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsReportSummary {
    /// How many reports.
    pub reports: u64,
    /// Sessions that went well.
    pub successes: u64,
    /// Sessions that did not.
    pub failures: u64,
    /// Who reported, and how many sessions.
    pub reporters: BTreeMap<String, u64>,
    /// By the domain whose policy it is.
    pub domains: BTreeMap<String, DomainSummary>,
}

/// What reports say of one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainSummary {
    /// Successes and failures by policy.
    pub policies: BTreeMap<PolicyKind, (u64, u64)>,
    /// Failed sessions by result type and mail host (may be empty).
    pub results: BTreeMap<(String, String), u64>,
}

impl TlsReportSummary {
    /// Takes a report in; of its policies those of `domain` alone, where one is given.
    pub fn add(&mut self, report: &TlsReport, domain: Option<&str>) {
        self.reports += 1;
        for policy in &report.policies {
            if domain.is_some_and(|domain| domain != policy.domain) {
                continue;
            }
            let (good, bad) = (policy.successes, policy.failures);
            let add = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
            add(&mut self.successes, good);
            add(&mut self.failures, bad);
            let reporter = self.reporters.entry(report.organization.clone()).or_default();
            add(reporter, good.saturating_add(bad));
            let of_domain = self.domains.entry(policy.domain.clone()).or_default();
            let sums = of_domain.policies.entry(policy.kind).or_default();
            add(&mut sums.0, good);
            add(&mut sums.1, bad);
            for detail in &policy.details {
                let key = (detail.result.clone(), detail.mx.clone().unwrap_or_default());
                if of_domain.results.len() < KINDS_MAX || of_domain.results.contains_key(&key) {
                    add(of_domain.results.entry(key).or_default(), detail.sessions);
                }
            }
        }
    }
}
