use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::tls_server::TlsError;

/// Certificates of one file of authorities.
const AUTHORITIES_MAX: usize = 1000;

/// Whom we believe that a certificate is for the name in it, when we are the client.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// The roots of Mozilla's programme (`webpki-roots`).
    #[must_use]
    pub fn public() -> Self {
        Self::of(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }

    /// The public roots, and the certificates in these PEM files beside them.
    ///
    /// # Errors
    /// Where a file cannot be read or holds no certificate.
    pub fn public_and(files: &[PathBuf]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for path in files {
            let failed = |source: io::Error| TlsError::Read { path: path.clone(), source };
            let pem = fs::read(path).map_err(failed)?;
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(&pem).take(AUTHORITIES_MAX) {
                let certificate =
                    certificate.map_err(|error| TlsError::Chain(error.to_string()))?;
                roots.add(certificate)?;
            }
            if roots.len() == before {
                return Err(TlsError::Chain(format!("{} holds none", path.display())));
            }
        }
        Ok(Self::of(roots))
    }

    /// These certificates (DER) alone, for a private authority.
    ///
    /// # Errors
    /// Where one is no certificate.
    pub fn only<'a>(authorities: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(CertificateDer::from(authority.to_vec()))?;
        }
        Ok(Self::of(roots))
    }

    fn of(roots: RootCertStore) -> Self {
        Self { roots: Arc::new(roots), provider: Arc::new(aws_lc_rs::default_provider()) }
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    pub(crate) fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
        WebPkiServerVerifier::builder_with_provider(
            Arc::clone(&self.roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| TlsError::Chain(error.to_string()))
    }

    /// TLS 1.3 and 1.2, and no connection without a verified chain and name.
    pub(crate) fn verifying_config(&self) -> Result<ClientConfig, TlsError> {
        Ok(ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth())
    }
}
