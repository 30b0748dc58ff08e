//! SMTP TLS reports (RFC 8460): how others fared with TLS on their way to a domain's mail hosts.
//! Reads the record by which a domain asks for them, writes reports and reads those of others, packed
//! or in a message, and adds them up.
//!
//! It counts nothing itself and sends nothing: what is in a report is given to it. What it reads may
//! be hostile: sizes and counts have limits, and what is merely odd is read as well as can be.
//!
//! RFC 8460 (TLS reports), RFC 7493 (I-JSON), RFC 1952 (gzip).

mod json;
mod record;
mod summary;

pub use record::{RecordError, ReportUri, TlsReportRecord};
pub use summary::{DomainSummary, TlsReportSummary};

use std::net::IpAddr;

use message::{Kind, Limits, Structure, decoded_part_range};

/// Octets of a report, unpacked, that are read.
pub const REPORT_OCTETS_MAX: usize = sender_auth::REPORT_XML_BYTES_MAX;
/// Policies and failures of one report that are read.
pub const REPORT_ENTRIES_MAX: usize = 100_000;
/// Reports of one message that are read.
const REPORTS_MAX: usize = 20;

/// A report.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TlsReport {
    /// Who reports.
    pub organization: String,
    /// Its time, in seconds since 1970.
    pub begin_secs: i64,
    /// Its last second.
    pub end_secs: i64,
    /// Whom to ask about it.
    pub contact: String,
    /// Unique among the reports of who reports.
    pub id: String,
    /// What was found, by policy.
    pub policies: Vec<PolicyResult>,
}

/// How sessions under one policy went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyResult {
    /// Whence the policy is.
    pub kind: PolicyKind,
    /// Its lines, or its TLSA records.
    pub strings: Vec<String>,
    /// Whose it is.
    pub domain: String,
    /// The hosts that it names (MTA-STS).
    pub mx: Vec<String>,
    /// Sessions that went well.
    pub successes: u64,
    /// Sessions that did not.
    pub failures: u64,
    /// The failures, by kind.
    pub details: Vec<FailureDetail>,
}

/// RFC 8460 §4.2: whence a policy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum PolicyKind {
    /// TLSA records (DANE).
    Tlsa,
    /// MTA-STS.
    Sts,
    /// There is none.
    #[default]
    NoPolicyFound,
}

/// Failures of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FailureDetail {
    /// The result type of RFC 8460 §4.3, or another one's word.
    pub result: String,
    /// Who connected.
    pub sending_ip: Option<IpAddr>,
    /// The mail host's name.
    pub mx: Option<String>,
    /// What it called itself.
    pub helo: Option<String>,
    /// Its address.
    pub receiving_ip: Option<IpAddr>,
    /// How many sessions.
    pub sessions: u64,
    /// More about it: a URI.
    pub information: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
}

/// Why a received report cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsReportError {
    /// Neither JSON nor packed.
    #[error("it is no JSON and no gzip file")]
    Format,
    /// The archive is damaged.
    #[error("the archive is damaged")]
    Archive,
    /// It would unpack to more than [`REPORT_OCTETS_MAX`].
    #[error("it unpacks to more than {} MiB", REPORT_OCTETS_MAX >> 20)]
    TooLarge,
    /// JSON that is broken, or no report.
    #[error("it is no TLS report: {0}")]
    NoReport(String),
}

impl PolicyKind {
    /// Its word in a report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tlsa => "tlsa",
            Self::Sts => "sts",
            Self::NoPolicyFound => "no-policy-found",
        }
    }
}

impl TlsReport {
    /// The report as JSON (RFC 8460 §4.4).
    #[must_use]
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// The JSON as a gzip file, which is how reports are sent (RFC 8460 §5.2).
    #[must_use]
    pub fn to_gzip(&self) -> Vec<u8> {
        sender_auth::gzip(self.to_json().as_bytes())
    }

    /// Name of the attachment (RFC 8460 §5.1): `sender!policy-domain!begin!end!id.json.gz`.
    #[must_use]
    pub fn file_name(&self, sender: &str, domain: &str) -> String {
        let id: String = self.id.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("{sender}!{domain}!{}!{}!{id}.json.gz", self.begin_secs, self.end_secs)
    }

    /// Subject of the message that carries it (RFC 8460 §5.3).
    #[must_use]
    pub fn subject(&self, submitter: &str, domain: &str) -> String {
        format!("Report Domain: {domain} Submitter: {submitter} Report-ID: <{}>", self.id)
    }

    /// Reads a report as it is attached or posted: JSON, or gzip of it.
    ///
    /// # Errors
    /// [`TlsReportError`]; what is merely odd in it is read as well as can be.
    pub fn parse_packed(bytes: &[u8]) -> Result<Self, TlsReportError> {
        let bare = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        match bytes {
            [0x1f, 0x8b, 8, ..] => {
                let unpacked = sender_auth::gunzip(bytes).map_err(|error| match error {
                    sender_auth::ReportError::TooLarge => TlsReportError::TooLarge,
                    _ => TlsReportError::Archive,
                })?;
                json::read(&unpacked)
            }
            _ if bare.first() != Some(&b'{') => Err(TlsReportError::Format),
            _ if bytes.len() > REPORT_OCTETS_MAX => Err(TlsReportError::TooLarge),
            _ => json::read(bare),
        }
    }

    /// The reports that a message carries (RFC 8460 §5.3). Parts are known by their first octets, as
    /// some are sent under wrong types; one that says to be a report and is none is an error.
    #[must_use]
    pub fn of_message(message: &[u8]) -> Vec<Result<Self, TlsReportError>> {
        let structure = Structure::parse(message, &Limits::default());
        let mut reports = Vec::new();
        for part in structure.parts().iter().filter(|part| part.kind == Kind::Leaf) {
            let (kind, subtype) = part.shown_type();
            let is_prose = kind.eq_ignore_ascii_case("text");
            if is_prose || reports.len() == REPORTS_MAX {
                continue;
            }
            let Ok(file) = decoded_part_range(message, part, 0, REPORT_OCTETS_MAX) else {
                continue;
            };
            let says_so = subtype.to_ascii_lowercase().starts_with("tlsrpt+");
            match Self::parse_packed(&file) {
                Err(_) if !says_so => {}
                report => reports.push(report),
            }
        }
        reports
    }
}
