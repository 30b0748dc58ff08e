//! DMARC aggregate reports (RFC 9990): ours for others, theirs for us.

mod message;
mod pack;
mod read;
mod summary;
mod write;
mod xml;

use std::net::IpAddr;

use crate::{Alignment, DmarcPolicy, Verdict};

use pack::unpack;
pub use pack::{gunzip, gzip};
pub use summary::{ReportSummary, SourceSummary};

/// Octets of a report's XML, unpacked, that are read: what a zip bomb may cost.
pub const REPORT_XML_BYTES_MAX: usize = 32 << 20;
/// Records of one report that are read.
pub const REPORT_RECORDS_MAX: usize = 100_000;
/// RFC 9990 §3.1.3: signatures in one record.
const SIGNATURES_MAX: usize = 100;
/// Characters kept of any one text of a report.
const TEXT_CHARS_MAX: usize = 1000;

/// A report.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AggregateReport {
    /// Who reports.
    pub org_name: String,
    /// Whom to ask about it.
    pub email: String,
    /// More of that.
    pub extra_contact_info: Option<String>,
    /// Unique among the reports for a domain.
    pub report_id: String,
    /// Its time, in seconds since 1970.
    pub begin_secs: u64,
    /// The end of its time.
    pub end_secs: u64,
    /// What was wrong with the policy record.
    pub errors: Vec<String>,
    /// The program that made it.
    pub generator: Option<String>,
    /// The policy that was applied.
    pub policy: PolicyPublished,
    /// What was seen.
    pub records: Vec<ReportRecord>,
}

/// The policy as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PolicyPublished {
    /// Where it was found.
    pub domain: String,
    /// `treewalk` or `psl`.
    pub discovery_method: Option<String>,
    /// `p`.
    pub p: Option<DmarcPolicy>,
    /// `sp`.
    pub sp: Option<DmarcPolicy>,
    /// `np`.
    pub np: Option<DmarcPolicy>,
    /// `adkim`.
    pub adkim: Alignment,
    /// `aspf`.
    pub aspf: Alignment,
    /// `t`.
    pub testing: Option<bool>,
    /// `fo`.
    pub fo: Option<String>,
}

/// What was done with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Disposition {
    /// Nothing.
    #[default]
    None,
    /// Nothing, for they passed a policy that asks for something.
    Pass,
    /// They were held or marked.
    Quarantine,
    /// They were turned away.
    Reject,
}

/// Messages of one kind: source, identifiers and results alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReportRecord {
    /// Who sent them.
    pub source_ip: IpAddr,
    /// How many.
    pub count: u64,
    /// What was done.
    pub disposition: Disposition,
    /// DKIM with alignment: pass or fail.
    pub dkim: Verdict,
    /// SPF with alignment: pass or fail.
    pub spf: Verdict,
    /// Why something else was done than was asked for: type and comment.
    pub reasons: Vec<(String, Option<String>)>,
    /// The author's domain.
    pub header_from: String,
    /// The domain of MAIL FROM; empty for the null reverse-path.
    pub envelope_from: Option<String>,
    /// The domain of the recipients.
    pub envelope_to: Option<String>,
    /// The signatures, whatever their alignment.
    pub signatures: Vec<SignatureResult>,
    /// SPF, whatever its alignment.
    pub spf_results: Vec<DomainResult>,
}

/// A DKIM signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignatureResult {
    /// `d=`.
    pub domain: String,
    /// `s=`.
    pub selector: Option<String>,
    /// What came of it.
    pub result: Verdict,
    /// Why.
    pub human_result: Option<String>,
}

/// A domain that SPF looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainResult {
    /// The domain.
    pub domain: String,
    /// What came of it.
    pub result: Verdict,
    /// Why.
    pub human_result: Option<String>,
}

/// Why a received report cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Neither XML nor gzip nor zip.
    #[error("it is no XML, no gzip and no zip file")]
    Format,
    /// The archive is damaged.
    #[error("the archive is damaged")]
    Archive,
    /// It would unpack to more than [`REPORT_XML_BYTES_MAX`].
    #[error("it unpacks to more than {} MiB", REPORT_XML_BYTES_MAX >> 20)]
    TooLarge,
    /// Not well-formed XML, or with a document type, which no report needs.
    #[error("its XML is broken at octet {0}")]
    Xml(usize),
    /// Well-formed, and no report.
    #[error("it is no DMARC report: {0}")]
    NoReport(&'static str),
}

impl Disposition {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

impl AggregateReport {
    /// The report as XML (RFC 9990 §3.1, appendix A).
    #[must_use]
    pub fn to_xml(&self) -> String {
        write::xml(self)
    }

    /// The XML as a gzip file, which is how reports are mailed (RFC 9990 §3.5.2).
    #[must_use]
    pub fn to_gzip(&self) -> Vec<u8> {
        pack::gzip(self.to_xml().as_bytes())
    }

    /// Name of the attachment (RFC 9990 §3.5.2): `receiver!domain!begin!end!id.xml.gz`.
    #[must_use]
    pub fn file_name(&self, receiver: &str, unique_id: &str) -> String {
        let (domain, begin, end) = (&self.policy.domain, self.begin_secs, self.end_secs);
        let id: String = unique_id.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("{receiver}!{domain}!{begin}!{end}!{id}.xml.gz")
    }

    /// Subject of the message that carries it (RFC 9990 §3.5.2).
    #[must_use]
    pub fn subject(&self, submitter: &str) -> String {
        let (domain, id) = (&self.policy.domain, &self.report_id);
        format!("Report Domain: {domain} Submitter: {submitter} Report-ID: <{id}>")
    }

    /// Reads the XML of a report.
    ///
    /// # Errors
    /// [`ReportError`]; what is merely odd in it is read as well as can be.
    pub fn parse(xml: &[u8]) -> Result<Self, ReportError> {
        read::report(xml)
    }

    /// Reads a report as it is attached: XML, gzip or zip.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn parse_packed(bytes: &[u8]) -> Result<Self, ReportError> {
        Self::parse(&unpack(bytes)?)
    }
}
