//! When an authority wants a certificate renewed (ACME Renewal Information, RFC 9773).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::RETRY_AFTER;
use mail_types::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use crate::acme::{AcmeError, REQUEST_TIME};
use crate::{HttpClient, HttpLimits, HttpRequest, HttpResponse, Reach, x509};

/// RFC 9773 §4.3: to be asked again no sooner and no later, whatever the authority says; and when,
/// where it says nothing.
const AGAIN_MIN: Duration = Duration::from_secs(60);
const AGAIN_MAX: Duration = Duration::from_secs(86_400);
const AGAIN_DEFAULT: Duration = Duration::from_secs(6 * 3600);

/// What a certificate is known by: its issuer's key and its serial number (RFC 9773 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeCertificateId {
    pub(crate) authority_key: String,
    pub(crate) serial: String,
}

impl AcmeCertificateId {
    /// Of a certificate (DER); `None` where it does not name its issuer's key.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let authority_key = URL_SAFE_NO_PAD.encode(x509::authority_key(certificate)?);
        Some(Self { authority_key, serial: URL_SAFE_NO_PAD.encode(x509::serial(certificate)?) })
    }
}

impl AcmeCertificateId {
    /// Of the first certificate in a PEM file; `None` as above.
    #[must_use]
    pub fn of_pem(pem: &[u8]) -> Option<Self> {
        Self::of(&CertificateDer::from_pem_slice(pem).ok()?)
    }
}

impl std::fmt::Display for AcmeCertificateId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.authority_key, self.serial)
    }
}

/// When a certificate is to be renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeWindow {
    /// Not before.
    pub start: Timestamp,
    /// Not after.
    pub end: Timestamp,
    /// A page that says why.
    pub explanation: Option<String>,
    /// When to ask again, from now.
    pub again_after: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    renewal_info: Option<String>,
}

#[derive(Deserialize)]
struct RenewalInfo {
    #[serde(rename = "suggestedWindow")]
    suggested_window: Window,
    #[serde(rename = "explanationURL")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct Window {
    start: String,
    end: String,
}

/// Asks the authority of this directory; `None` where it says nothing of such things.
///
/// # Errors
/// [`AcmeError::Renewal`].
pub async fn acme_window(
    http: &HttpClient,
    directory: &str,
    id: &AcmeCertificateId,
) -> Result<Option<AcmeWindow>, AcmeError> {
    let found: Directory = read(&get(http, directory).await?)?;
    let Some(place) = found.renewal_info else { return Ok(None) };
    let response = get(http, &format!("{}/{id}", place.trim_end_matches('/'))).await?;
    let info: RenewalInfo = read(&response)?;
    let moment = |text: &str| match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(Timestamp(time.as_millisecond())),
        Err(error) => Err(AcmeError::Renewal(error.to_string())),
    };
    let Window { start, end } = info.suggested_window;
    let (start, end) = (moment(&start)?, moment(&end)?);
    // RFC 9773 §4.2: a window that ends before it begins is not to be heeded.
    if end <= start {
        return Err(AcmeError::Renewal("its window ends before it begins".to_owned()));
    }
    let again =
        response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let again_after =
        again.map_or(AGAIN_DEFAULT, |secs| Duration::from_secs(secs).clamp(AGAIN_MIN, AGAIN_MAX));
    Ok(Some(AcmeWindow { start, end, explanation: info.explanation_url, again_after }))
}

async fn get(http: &HttpClient, url: &str) -> Result<HttpResponse, AcmeError> {
    let limits = HttpLimits { time: REQUEST_TIME, reach: Reach::Anywhere, ..HttpLimits::default() };
    let response = http.send(HttpRequest::get(url), &limits).await;
    let response = response.map_err(|error| AcmeError::Renewal(error.to_string()))?;
    if response.status.is_success() {
        return Ok(response);
    }
    Err(AcmeError::Renewal(format!("HTTP status {} at {url}", response.status.as_u16())))
}

fn read<T: for<'de> Deserialize<'de>>(response: &HttpResponse) -> Result<T, AcmeError> {
    serde_json::from_slice(&response.body).map_err(|error| AcmeError::Renewal(error.to_string()))
}
