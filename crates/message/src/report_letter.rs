//! A message with one file that programs of others read: DMARC reports (RFC 9990 §3.5.2) and TLS
//! reports (RFC 8460 §5.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::Address;

use crate::date::{MailDate, format_date};
use crate::encode;

/// Octets that make a line of base64 (RFC 2045 §6.8: 76 characters).
const LINE_BYTES: usize = 57;
/// RFC 5322 §2.1.1: octets that a line should not exceed.
const LINE_OCTETS: usize = 78;

/// A report as a message.
#[derive(Clone, Copy, Debug)]
pub struct ReportLetter<'a> {
    /// From, with the name shown before it.
    pub from: (&'a str, &'a Address),
    /// To.
    pub to: &'a Address,
    /// Printable ASCII; folded at its spaces.
    pub subject: &'a str,
    /// When it is made.
    pub at: MailDate,
    /// Unique, with its angle brackets.
    pub message_id: &'a str,
    /// Further fields of the header: names, and values in printable ASCII.
    pub fields: &'a [(&'a str, &'a str)],
    /// RFC 6522: `report-type` of a multipart/report; none for a multipart/mixed.
    pub report_type: Option<&'a str>,
    /// What people read.
    pub text: &'a str,
    /// The file's media type, its name (printable ASCII without quotes), and its octets.
    pub file: (&'a str, &'a str, &'a [u8]),
}

impl ReportLetter<'_> {
    /// The message with CRLF line ends, 7bit throughout where the addresses are ASCII.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let (name, from) = self.from;
        let mut out = format!(
            "From: {} <{from}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: {}\r\n",
            encode::phrase(name),
            self.to,
            folded(self.subject, "Subject: ".len()),
            format_date(self.at),
            self.message_id,
        );
        for (name, value) in self.fields {
            out.push_str(&format!("{name}: {}\r\n", folded(value, name.len() + 2)));
        }
        let kind = match self.report_type {
            Some(kind) => format!("multipart/report; report-type=\"{kind}\""),
            None => "multipart/mixed".to_owned(),
        };
        // No line of base64 has a hyphen, and the text is quoted-printable or has no such line.
        let boundary = "----=_report_of_a_span_of_time";
        let text = encode::TextBody::new(self.text);
        let (media_type, file_name, file) = self.file;
        out.push_str(&format!(
            "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: {kind};\r\n\tboundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\n{}\r\n",
            text.fields()
        ));
        let mut out = out.into_bytes();
        out.extend_from_slice(text.bytes());
        out.extend_from_slice(
            format!(
                "\r\n--{boundary}\r\nContent-Type: {media_type};\r\n\tname=\"{file_name}\"\r\n\
                 Content-Disposition: attachment;\r\n\tfilename=\"{file_name}\"\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n"
            )
            .as_bytes(),
        );
        out.extend_from_slice(&base64_lines(file));
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        out
    }
}

/// Folded at spaces (RFC 5322 §2.2.3).
fn folded(text: &str, name_octets: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut line = name_octets;
    for word in text.split(' ') {
        if !out.is_empty() {
            if line + 1 + word.len() > LINE_OCTETS {
                out.push_str("\r\n");
                line = 0;
            }
            out.push(' ');
            line += 1;
        }
        out.push_str(word);
        line += word.len();
    }
    out
}

fn base64_lines(bytes: &[u8]) -> Vec<u8> {
    let line = |octets| STANDARD.encode(octets) + "\r\n";
    bytes.chunks(LINE_BYTES).flat_map(|octets| line(octets).into_bytes()).collect()
}
