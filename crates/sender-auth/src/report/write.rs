use std::fmt::Write as _;
use std::net::IpAddr;

use super::{AggregateReport, PolicyPublished, ReportRecord, SIGNATURES_MAX};
use crate::{DmarcPolicy, Verdict};

/// RFC 9990 §3.1.1, appendix A: elements in the order of the schema.
pub(super) fn xml(report: &AggregateReport) -> String {
    let mut xml = Xml::default();
    xml.text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.text.push_str("<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n");
    xml.depth = 1;
    xml.leaf("version", "1.0");
    xml.within("report_metadata", |xml| {
        xml.leaf("org_name", &report.org_name);
        xml.leaf("email", &report.email);
        xml.optional("extra_contact_info", report.extra_contact_info.as_deref());
        xml.leaf("report_id", &report.report_id);
        xml.within("date_range", |xml| {
            xml.leaf("begin", &report.begin_secs.to_string());
            xml.leaf("end", &report.end_secs.to_string());
        });
        for error in &report.errors {
            xml.leaf("error", error);
        }
        xml.optional("generator", report.generator.as_deref());
    });
    policy(&mut xml, &report.policy);
    for one in &report.records {
        xml.within("record", |xml| record(xml, one));
    }
    xml.text.push_str("</feedback>\n");
    xml.text
}

fn policy(xml: &mut Xml, policy: &PolicyPublished) {
    let p = policy.p.unwrap_or(DmarcPolicy::None);
    xml.within("policy_published", |xml| {
        xml.leaf("domain", &policy.domain);
        xml.optional("discovery_method", policy.discovery_method.as_deref());
        xml.leaf("p", p.as_str());
        // RFC 9990 §3.1.1.5: "unspecified tags have their default values".
        let sp = policy.sp.unwrap_or(p);
        xml.leaf("sp", sp.as_str());
        xml.leaf("np", policy.np.unwrap_or(sp).as_str());
        xml.optional("fo", policy.fo.as_deref());
        xml.leaf("adkim", policy.adkim.as_str());
        xml.leaf("aspf", policy.aspf.as_str());
        xml.optional("testing", policy.testing.map(|testing| if testing { "y" } else { "n" }));
    });
}

fn record(xml: &mut Xml, record: &ReportRecord) {
    xml.within("row", |xml| {
        xml.leaf("source_ip", &ip(record.source_ip));
        xml.leaf("count", &record.count.to_string());
        xml.within("policy_evaluated", |xml| {
            xml.leaf("disposition", record.disposition.as_str());
            xml.leaf("dkim", pass_or_fail(record.dkim));
            xml.leaf("spf", pass_or_fail(record.spf));
            for (kind, comment) in &record.reasons {
                xml.within("reason", |xml| {
                    xml.leaf("type", kind);
                    xml.optional("comment", comment.as_deref());
                });
            }
        });
    });
    xml.within("identifiers", |xml| {
        xml.leaf("header_from", &record.header_from);
        xml.optional("envelope_from", record.envelope_from.as_deref());
        xml.optional("envelope_to", record.envelope_to.as_deref());
    });
    xml.within("auth_results", |xml| {
        for one in record.signatures.iter().take(SIGNATURES_MAX) {
            xml.within("dkim", |xml| {
                xml.leaf("domain", &one.domain);
                xml.leaf("selector", one.selector.as_deref().unwrap_or_default());
                xml.leaf("result", one.result.as_str());
                xml.optional("human_result", one.human_result.as_deref());
            });
        }
        // RFC 9990 §3.1.1.10: at most one, of the MAIL FROM identity.
        for one in record.spf_results.iter().take(1) {
            xml.within("spf", |xml| {
                xml.leaf("domain", &one.domain);
                xml.leaf("scope", "mfrom");
                xml.leaf("result", one.result.as_str());
                xml.optional("human_result", one.human_result.as_deref());
            });
        }
    });
}

const fn pass_or_fail(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        _ => "fail",
    }
}

fn ip(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}

#[derive(Default)]
struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    fn within(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.indent();
        self.text.push_str(&format!("<{name}>\n"));
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.indent();
        self.text.push_str(&format!("</{name}>\n"));
    }

    fn leaf(&mut self, name: &str, value: &str) {
        self.indent();
        self.text.push_str(&format!("<{name}>"));
        for c in value.chars() {
            match c {
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '&' => self.text.push_str("&amp;"),
                // XML 1.0 §2.2: no other controls may stand there.
                c if c.is_control() && !matches!(c, '\t' | '\n') => self.text.push('?'),
                '\u{fffe}' | '\u{ffff}' => self.text.push('?'),
                c => self.text.push(c),
            }
        }
        // Writing to a String does not fail.
        writeln!(self.text, "</{name}>").unwrap_or_default();
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.leaf(name, value);
        }
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
    }
}
