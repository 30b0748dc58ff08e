//! TLS between two servers of one operator: no authority vouches for either. Who connects knows the
//! certificate of who listens by its hash, which came another way; who listens asks for a secret
//! behind the handshake.

use std::io;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as crypto};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::tls_server::{TlsError, parsed};

/// What stands in the handshake for a name; it is not looked at.
const NAME: &str = "standby.invalid";

/// SHA-256 of a certificate (DER).
pub type Pin = [u8; 32];

/// The certificate and key of the side that listens.
#[derive(Clone)]
pub struct PinnedKey {
    acceptor: TlsAcceptor,
    pin: Pin,
}

impl std::fmt::Debug for PinnedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PinnedKey(..)")
    }
}

impl PinnedKey {
    /// From PEM texts.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let (chain, key) = parsed(chain, key)?;
        let leaf = chain.first().ok_or_else(|| TlsError::Chain("it holds none".to_owned()))?;
        let pin = pin_of(leaf);
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), pin })
    }

    /// What the other side must know.
    #[must_use]
    pub const fn pin(&self) -> Pin {
        self.pin
    }

    /// The handshake of a connection that was accepted.
    ///
    /// # Errors
    /// The handshake's.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<PinnedStream> {
        stream.set_nodelay(true)?;
        let tls = self.acceptor.accept(stream).await?;
        Ok(PinnedStream(TlsStream::Server(tls)))
    }
}

/// Connects to `HOST:PORT`, and says nothing to anybody but whoever has the key of this
/// certificate.
///
/// # Errors
/// The network's, or the handshake's.
pub async fn connect_pinned(address: &str, pin: Pin) -> io::Result<PinnedStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { pin, provider: provider() }))
        .with_no_client_auth();
    let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
    let tls = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(PinnedStream(TlsStream::Client(tls)))
}

/// A connection behind its handshake.
#[derive(Debug)]
pub struct PinnedStream(TlsStream<TcpStream>);

impl PinnedStream {
    /// Both directions apart.
    #[must_use]
    pub fn split(
        self,
    ) -> (impl AsyncRead + Send + Unpin + 'static, impl AsyncWrite + Send + Unpin + 'static) {
        tokio::io::split(self.0)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::default_provider())
}

fn pin_of(certificate: &[u8]) -> Pin {
    let mut pin = [0; 32];
    pin.copy_from_slice(digest(&SHA256, certificate).as_ref());
    pin
}

/// Takes one certificate, whatever it says of itself.
#[derive(Debug)]
struct Pinned {
    pin: Pin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if pin_of(end_entity) == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Only TLS 1.3 is spoken.
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
