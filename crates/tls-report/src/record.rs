use mail_types::Address;

/// Places of one record that reports go to; those behind are ignored.
const URIS_MAX: usize = 10;
/// Octets of a place that is read.
const URI_OCTETS_MAX: usize = 2048;

/// By what a domain asks for reports: the TXT record at `_smtp._tls` below it (RFC 8460 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsReportRecord {
    /// Where to; at least one.
    pub rua: Vec<ReportUri>,
}

/// Where reports are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportUri {
    /// By mail.
    Mail(Address),
    /// By POST to this URL.
    Https(String),
}

/// Why there is no such record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// RFC 8460 §3: more than one is none.
    #[error("there is more than one TLSRPT record")]
    Several,
    /// It names no place that reports can go to.
    #[error("the TLSRPT record names no mailto: or https: URI in rua")]
    NoUri,
}

impl ReportUri {
    /// As a URI.
    #[must_use]
    pub fn to_uri(&self) -> String {
        match self {
            Self::Mail(address) => format!("mailto:{address}"),
            Self::Https(url) => url.clone(),
        }
    }

    fn parse(uri: &str) -> Option<Self> {
        if uri.len() > URI_OCTETS_MAX || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (scheme, rest) = uri.split_once(':')?;
        if scheme.eq_ignore_ascii_case("https") {
            return rest.starts_with("//").then(|| Self::Https(format!("https:{rest}")));
        }
        if !scheme.eq_ignore_ascii_case("mailto") {
            return None;
        }
        let address = sender_auth::percent_decoded(rest.split('?').next()?)?;
        Address::parse(&address).ok().map(Self::Mail)
    }
}

impl TlsReportRecord {
    /// The record among the TXT records of `_smtp._tls`; `None` where there is none of this kind.
    ///
    /// RFC 8460 §3:
    /// ```text
    /// tlsrpt-record  = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
    /// field-delim    = *WSP ";" *WSP
    /// tlsrpt-field   = tlsrpt-rua / tlsrpt-extension
    /// tlsrpt-version = %s"v=TLSRPTv1"
    /// tlsrpt-rua     = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
    /// ```
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn find(records: &[Vec<u8>]) -> Result<Option<Self>, RecordError> {
        let is_ours = |text: &&str| {
            let rest = text.strip_prefix("v=TLSRPTv1");
            rest.is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(';'))
        };
        let mut found =
            records.iter().filter_map(|txt| std::str::from_utf8(txt).ok()).filter(is_ours);
        let Some(text) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(RecordError::Several);
        }
        let wsp = [' ', '\t'];
        let mut fields = text.split(';').map(|field| field.trim_matches(wsp));
        let rua = fields.find_map(|field| field.strip_prefix("rua=")).unwrap_or_default();
        let uris = rua.split(',').map(|uri| uri.trim_matches(wsp));
        let rua: Vec<ReportUri> = uris.filter_map(ReportUri::parse).take(URIS_MAX).collect();
        if rua.is_empty() { Err(RecordError::NoUri) } else { Ok(Some(Self { rua })) }
    }
}
