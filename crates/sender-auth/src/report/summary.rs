use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{AggregateReport, Disposition};
use crate::Verdict;

/// What reports say of a domain, put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportSummary {
    /// How many reports.
    pub reports: u64,
    /// Messages in all.
    pub messages: u64,
    /// Of them, those that DMARC passed.
    pub passed: u64,
    /// By what was done with them.
    pub dispositions: BTreeMap<Disposition, u64>,
    /// Who reported, and how many messages.
    pub reporters: BTreeMap<String, u64>,
    /// By who sent them.
    pub sources: BTreeMap<IpAddr, SourceSummary>,
}

/// What one address has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceSummary {
    /// Messages in all.
    pub messages: u64,
    /// Passed by an aligned signature.
    pub dkim: u64,
    /// Passed by aligned SPF.
    pub spf: u64,
    /// Passed by either.
    pub passed: u64,
}

impl ReportSummary {
    /// Takes a report in.
    pub fn add(&mut self, report: &AggregateReport) {
        self.reports += 1;
        for record in &report.records {
            let count = record.count;
            let (dkim, spf) = (record.dkim == Verdict::Pass, record.spf == Verdict::Pass);
            let add = |sum: &mut u64, counts: bool| {
                if counts {
                    *sum = sum.saturating_add(count);
                }
            };
            add(&mut self.messages, true);
            add(&mut self.passed, dkim || spf);
            add(self.dispositions.entry(record.disposition).or_default(), true);
            add(self.reporters.entry(report.org_name.clone()).or_default(), true);
            let source = self.sources.entry(record.source_ip).or_default();
            add(&mut source.messages, true);
            add(&mut source.dkim, dkim);
            add(&mut source.spf, spf);
            add(&mut source.passed, dkim || spf);
        }
    }
}
