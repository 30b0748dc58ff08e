//! What a domain should have in the DNS.

use config::{Config, Service};
use mail_types::Domain;
use net::RecordKind;
use serde_json::Value;

use crate::mta_sts;
use crate::zone::txt;

/// A record to publish.
pub struct Wanted {
    /// Its owner, without a dot at the end.
    pub name: String,
    pub kind: RecordKind,
    /// As a resolver shows it: texts without quotes, names in lower case with a dot at the end.
    pub data: String,
    /// What it is for.
    pub why: &'static str,
    /// Mail works badly without it; others are advised.
    pub needed: bool,
    pub right: Right,
}

/// When a record that is there is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// It is the very same.
    Same,
    /// SPF lets this host send (RFC 7208).
    Spf,
    /// It has the same key (RFC 6376 §3.6.1).
    Key,
    /// It leads to the policy that is shown here (RFC 8461 §3.1).
    Sts,
    /// It is a DMARC policy, whose reports arrive: which one is the domain's choice.
    Dmarc,
    /// Its reports arrive (RFC 8460 §3).
    TlsReports,
    /// There is one: which is the operator's to know.
    Any,
}

impl Wanted {
    /// A line of a zone file.
    pub fn line(&self) -> String {
        let data = match self.kind {
            RecordKind::Txt => txt(&self.data),
            RecordKind::A
            | RecordKind::Aaaa
            | RecordKind::Cname
            | RecordKind::Mx
            | RecordKind::Ptr
            | RecordKind::Srv
            | RecordKind::Tlsa => self.data.clone(),
        };
        format!("{}. 3600 IN {} {data}", self.name, self.kind.as_str())
    }
}

/// Everything that can be named without asking the DNS.
pub fn records(domain: &Domain, config: &Config, keys: &Value, certificate: &[u8]) -> Vec<Wanted> {
    let host = &config.hostname;
    let record = |name: String, kind, data: String, why, needed, right| Wanted {
        name,
        kind,
        data,
        why,
        needed,
        right,
    };
    use RecordKind::{Cname, Mx, Srv, Tlsa, Txt};
    let mut all = vec![
        record(domain.to_string(), Mx, format!("10 {host}."), "mail comes here", true, Right::Same),
        record(
            domain.to_string(),
            Txt,
            "v=spf1 mx -all".to_owned(),
            "this host may send (SPF)",
            true,
            Right::Spf,
        ),
    ];
    let keys = keys.as_array().into_iter().flatten();
    for key in keys.flat_map(|domain| domain["keys"].as_array().into_iter().flatten()) {
        let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
        let why = match key["state"].as_str() {
            Some("active") => "key that signs (DKIM)",
            Some("prepared") => "key that will sign (DKIM)",
            _ => "key of mail on its way (DKIM)",
        };
        let needed = key["state"] == "active";
        all.push(record(text("name"), Txt, text("record"), why, needed, Right::Key));
    }
    let postmaster = format!("mailto:postmaster@{domain}");
    // RFC 9989 §4.7: none asks for reports and changes nothing; to be made stricter later.
    let dmarc = format!("v=DMARC1; p=none; rua={postmaster}");
    all.push(record(format!("_dmarc.{domain}"), Txt, dmarc, "policy (DMARC)", true, Right::Dmarc));
    let sts = mta_sts::txt_record(config);
    let shows_policy = sts.is_some();
    if let Some(sts) = sts {
        let why = "there is a policy for TLS (MTA-STS)";
        all.push(record(format!("_mta-sts.{domain}"), Txt, sts, why, false, Right::Sts));
    }
    let reports = format!("v=TLSRPTv1; rua={postmaster}");
    let why = "reports on TLS (TLS-RPT)";
    all.push(record(format!("_smtp._tls.{domain}"), Txt, reports, why, false, Right::TlsReports));
    if let Some(data) = net::tlsa_data(certificate) {
        let why = "the key of our certificate (DANE; needs DNSSEC)";
        all.push(record(format!("_25._tcp.{host}"), Tlsa, data, why, false, Right::Same));
    }
    for (name, service) in services() {
        // RFC 6186 §3.4: a `.` tells programs that there is no such service.
        let target = match config.port_of(service) {
            Some(port) => format!("0 1 {port} {host}."),
            None => "0 0 0 .".to_owned(),
        };
        let why = "mail programs find this service";
        all.push(record(format!("{name}._tcp.{domain}"), Srv, target, why, false, Right::Same));
    }
    let names = ["autoconfig", "autodiscover", "mta-sts"];
    for name in names.into_iter().filter(|name| shows_policy || *name != "mta-sts") {
        let why = match name {
            "mta-sts" => "the policy for TLS is there (MTA-STS)",
            _ => "mail programs set themselves up",
        };
        let to = format!("{host}.");
        all.push(record(format!("{name}.{domain}"), Cname, to, why, false, Right::Any));
    }
    all
}

/// RFC 6186 §3, RFC 8314 §5.1.
const fn services() -> [(&'static str, Service); 6] {
    [
        ("_submissions", Service::Submissions),
        ("_submission", Service::Submission),
        ("_imaps", Service::Imaps),
        ("_imap", Service::Imap),
        ("_pop3s", Service::Pop3s),
        ("_pop3", Service::Pop3),
    ]
}
