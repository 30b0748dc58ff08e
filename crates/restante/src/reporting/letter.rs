//! A report as a message of ours.

use mail_types::{Address, ReversePath, Timestamp};
use message::{MailDate, ReportLetter};
use store::{ReportKind, ReportMail};

use super::{Made, Reporting};
use crate::request::Failure;

/// The message with a report in it.
pub fn write(
    made: &Made,
    to: &Address,
    reporting: &Reporting,
    now: Timestamp,
) -> Result<ReportMail, Failure> {
    let report = &made.report;
    let what = match report.kind {
        ReportKind::Dmarc => "DMARC",
        ReportKind::Tls => "TLS",
    };
    let counted = match report.kind {
        ReportKind::Dmarc => "messages",
        ReportKind::Tls => "connections",
    };
    let text = format!(
        "This is an aggregate {what} report from {} about {}\nfrom {} to {} (UTC):\n\
         {} {counted}, {} of them failed. The attached file is for programs.\n\n\
         Questions go to {}.\n",
        reporting.organization,
        report.about,
        report.begin,
        report.end,
        report.counted,
        report.failed,
        reporting.contact,
    );
    // Each destination gets a message of its own; the report in it is the same.
    let unique = blake3::hash(report.to.as_bytes()).to_hex();
    let message_id = format!("{}.{}@{}", report.id, &unique[..8], reporting.domain);
    // RFC 8460 §5.3 wants the first two; §3 wants it delivered whatever is wrong with TLS, which is
    // what RFC 8689 §5 says to all on the way.
    let tls_fields = [
        ("TLS-Report-Domain", report.about.as_str()),
        ("TLS-Report-Submitter", reporting.domain.as_str()),
        ("TLS-Required", "No"),
    ];
    let (fields, report_type): (&[(&str, &str)], Option<&str>) = match report.kind {
        ReportKind::Dmarc => (&[], None),
        ReportKind::Tls => (&tls_fields, Some("tlsrpt")),
    };
    let letter = ReportLetter {
        from: (&reporting.organization, &reporting.from),
        to,
        subject: &made.subject,
        at: MailDate { at: now, offset_minutes: 0 },
        message_id: &format!("<{message_id}>"),
        fields,
        report_type,
        text: &text,
        file: (made.media_type, &made.file_name, &made.file),
    };
    // Delivered to an account of ours it needs its Return-Path; it is taken off where it goes on.
    let path = ReversePath::Address(reporting.from.clone());
    let mut bytes = message::return_path(&path).into_bytes();
    bytes.extend_from_slice(&letter.build());
    let body = journal::Body::from_bytes(&bytes).map_err(|error| Failure {
        what: format!("a report cannot be kept: {error}"),
        mend: None,
    })?;
    Ok(ReportMail {
        from: reporting.from.clone(),
        to: to.clone(),
        body,
        subject: made.subject.clone(),
        message_id,
        tls_optional: report.kind == ReportKind::Tls,
    })
}
