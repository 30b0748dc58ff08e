use std::fs;
use std::path::Path;

use mail_types::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::tls_server::TlsError;
use crate::x509;

/// Years for which a self-signed certificate is good.
const VALID_YEARS: i32 = 10;

/// A self-signed certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a self-signed certificate for {names}: {source}")]
pub struct CertificateError {
    names: String,
    source: rcgen::Error,
}

/// A fresh key and a certificate for it that it signed itself, both PEM.
#[derive(Clone)]
pub struct SelfSigned {
    /// For everyone.
    pub certificate_pem: String,
    /// For the server alone: write it to a file of mode 0600.
    pub key_pem: String,
}

/// Shows no key.
impl std::fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SelfSigned").field("certificate_pem", &self.certificate_pem).finish()
    }
}

/// Makes a certificate (ECDSA P-256) for these host names and IP addresses; the first is its
/// subject. Good from a year before `now`'s (clients' clocks err) for ten years.
///
/// # Errors
/// Where a name does not fit into a certificate or no key can be made.
pub fn self_signed(names: &[String], now: Timestamp) -> Result<SelfSigned, CertificateError> {
    make(names, now).map_err(|source| CertificateError { names: names.join(", "), source })
}

fn make(names: &[String], now: Timestamp) -> Result<SelfSigned, rcgen::Error> {
    // The text of a timestamp begins with its year.
    let year = now.to_string().split('-').next().and_then(|year| year.parse().ok()).unwrap_or(1970);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(first) = names.first() {
        params.distinguished_name.push(DnType::CommonName, first);
    }
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + VALID_YEARS, 1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(SelfSigned { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The host names it is for (RFC 5280 §4.2.1.6), in lower case, wildcards as they are.
    pub names: Vec<String>,
    /// Good from then …
    pub from: Timestamp,
    /// … to then.
    pub to: Timestamp,
    /// Nobody else vouches for it.
    pub is_self_signed: bool,
}

impl CertificateFacts {
    /// Of the first certificate (the leaf) in a PEM file.
    ///
    /// # Errors
    /// Where it cannot be read, or is none.
    pub fn from_pem_file(path: &Path) -> Result<Self, TlsError> {
        let pem =
            fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
        let leaf = CertificateDer::from_pem_slice(&pem)
            .map_err(|error| TlsError::Chain(error.to_string()))?;
        Self::of(&leaf).ok_or_else(|| TlsError::Chain("it is no X.509 certificate".to_owned()))
    }

    /// Of a certificate (DER); `None` where it is none.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (from, to) = x509::validity(certificate)?;
        let is_self_signed = x509::is_self_issued(certificate)?;
        Some(Self { names: names(certificate), from, to, is_self_signed })
    }
}

/// The host names a certificate is for.
pub(crate) fn names(certificate: &[u8]) -> Vec<String> {
    let der = CertificateDer::from(certificate);
    let Ok(leaf) = webpki::EndEntityCert::try_from(&der) else { return Vec::new() };
    leaf.valid_dns_names().map(str::to_ascii_lowercase).collect()
}
