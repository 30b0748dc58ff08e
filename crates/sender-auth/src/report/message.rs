use message::{Kind, Limits, Structure, decoded_part_range};

use super::{AggregateReport, REPORT_XML_BYTES_MAX, ReportError};

/// Reports of one message that are read.
const REPORTS_MAX: usize = 20;

impl AggregateReport {
    /// The reports that a message carries (RFC 9990 §3.5.2): "extract body parts with the prescribed
    /// media type and filename and ignore the rest". Parts are known by their first octets, as many
    /// are sent under wrong types; one that says to be an archive or XML and is none is an error.
    #[must_use]
    pub fn of_message(message: &[u8]) -> Vec<Result<Self, ReportError>> {
        let structure = Structure::parse(message, &Limits::default());
        let mut reports = Vec::new();
        for part in structure.parts().iter().filter(|part| part.kind == Kind::Leaf) {
            let (kind, subtype) = part.shown_type();
            let is_prose = kind.eq_ignore_ascii_case("text") && !is_report(subtype);
            if is_prose || reports.len() == REPORTS_MAX {
                continue;
            }
            let Ok(file) = decoded_part_range(message, part, 0, REPORT_XML_BYTES_MAX) else {
                continue;
            };
            match Self::parse_packed(&file) {
                Err(ReportError::Format) if !is_report(subtype) => {}
                report => reports.push(report),
            }
        }
        reports
    }
}

fn is_report(subtype: &str) -> bool {
    let subtype = subtype.to_ascii_lowercase();
    ["xml", "gzip", "x-gzip", "zip", "x-zip-compressed"].contains(&subtype.as_str())
}
