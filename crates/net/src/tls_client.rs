use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::dane::{Demand, TlsRefusal};
use crate::tls_server::TlsError;
use crate::trust::Trust;

/// What the client side of TLS needs to be opportunistic (RFC 7435 §3): the handshake takes any
/// certificate, since encryption to an unknown party is better than none, and afterwards the chain
/// and name are checked against the public roots so that the outcome can be recorded. The peer
/// still proves that it holds the certificate's key.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    roots: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
    demand: Demand,
}

impl ClientTls {
    /// Checks against the roots of Mozilla's programme (`webpki-roots`).
    ///
    /// # Errors
    /// Where rustls refuses the set-up.
    pub fn with_public_roots() -> Result<Self, TlsError> {
        Self::new(&Trust::public())
    }

    /// Checks against these certificates (DER) instead, for a private authority.
    ///
    /// # Errors
    /// Where one is no certificate, or there is none.
    pub fn with_authorities<'a>(
        authorities: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, TlsError> {
        Self::new(&Trust::only(authorities)?)
    }

    /// Checks against these roots.
    ///
    /// # Errors
    /// Where rustls refuses the set-up.
    pub fn new(trust: &Trust) -> Result<Self, TlsError> {
        let provider = trust.provider();
        let config = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Opportunistic(Arc::clone(provider))))
            .with_no_client_auth();
        let (roots, provider) = (trust.verifier()?, Arc::clone(provider));
        Ok(Self { config: Arc::new(config), roots, provider, demand: Demand::Nothing })
    }

    /// The same, for connections on which nothing is said before this holds.
    #[must_use]
    pub fn demanding(&self, demand: Demand) -> Self {
        Self { demand, ..self.clone() }
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Whether what was demanded holds of this chain (leaf first), and whether it is known to be
    /// this server's.
    ///
    /// This is asked of every session behind its handshake, and not within it: a resumed session
    /// (RFC 8446 §2.2) has no certificate in its handshake, and sessions that were begun under a
    /// weaker demand may be resumed under this one.
    ///
    /// # Errors
    /// Why what was demanded does not hold.
    pub(crate) fn check(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Result<bool, TlsRefusal> {
        match (&self.demand, self.check_chain(chain, name)) {
            (Demand::Dane(dane), _) => {
                dane.check(chain, &self.provider, UnixTime::now()).map(|_| true)
            }
            (Demand::Nothing | Demand::Chain, Ok(())) => Ok(true),
            (Demand::Nothing, Err(error)) => {
                tracing::debug!(?name, %error, "the certificate does not verify");
                Ok(false)
            }
            (Demand::Chain, Err(error)) => Err(TlsRefusal::of(&error, &name.to_str())),
        }
    }

    /// Whether this chain leads to a root and is for this name, now.
    fn check_chain(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Result<(), Error> {
        let (leaf, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        self.roots.verify_server_cert(leaf, intermediates, name, &[], UnixTime::now())?;
        Ok(())
    }
}

/// Takes every chain and name, and checks only that the peer signs with the certificate's key.
#[derive(Debug)]
struct Opportunistic(Arc<CryptoProvider>);

impl ServerCertVerifier for Opportunistic {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if end_entity.is_empty() {
            return Err(CertificateError::BadEncoding.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
