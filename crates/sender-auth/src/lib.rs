//! Who a message is from, as the DNS bears witness: SPF, DKIM, DMARC, ARC and iprev.
//!
//! Each check is a plain function of what is to be judged and of the DNS answers known so far. It
//! says its result, or which look-ups it lacks ([`Step::Ask`]); it is called again once they are
//! there, and comes to the same point. So it waits for nothing, and its tests need no DNS. It never
//! opens a socket, reads a clock, or decides what becomes of a message.

mod arc;
mod auth_results;
mod canon;
pub mod check;
mod dkim;
mod dmarc;
mod dns;
mod examined;
mod iprev;
mod keys;
mod outcome;
mod report;
mod spf;
mod tags;

pub use arc::{ArcResult, ArcSet};
pub use auth_results::{AuthResults, MethodResult, Property, claims_to_be_of, pvalue};
pub use dkim::{DkimResult, KeyError, SigningKey, dkim_overall};
pub use dmarc::{
    Alignment, Authors, DmarcInput, DmarcPolicy, DmarcRecord, DmarcResult, Identifier, Psd,
    Published, ReportAddress, authors, dmarc, dmarc_record, percent_decoded, report_destinations,
};
pub use dns::{Answer, Answers, Query, QueryKind, Step};
pub use examined::{Examined, Reading};
pub use iprev::{IprevResult, iprev};
pub use keys::Algorithm;
pub use outcome::{Outcome, Verdict};
pub use report::{
    AggregateReport, Disposition, DomainResult, PolicyPublished, REPORT_RECORDS_MAX,
    REPORT_XML_BYTES_MAX, ReportError, ReportRecord, ReportSummary, SignatureResult, SourceSummary,
    gunzip, gzip,
};
pub use spf::{SpfResult, SpfScope, SpfSession, spf_helo, spf_mail_from};
