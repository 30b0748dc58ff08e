use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// A certificate that signs itself, with its key.
#[derive(Debug)]
pub struct SelfSigned {
    /// The certificate, DER.
    pub certificate: CertificateDer<'static>,
    /// Its key, PKCS #8 DER.
    pub key: PrivatePkcs8KeyDer<'static>,
}

/// Makes a certificate for these names.
///
/// # Panics
/// Where a name is none.
#[must_use]
pub fn self_signed(names: &[&str]) -> SelfSigned {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    SelfSigned {
        certificate: made.cert.der().clone(),
        key: PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()),
    }
}

/// An acceptor with a fresh certificate for `host`.
pub(crate) fn acceptor(host: &str) -> TlsAcceptor {
    let SelfSigned { certificate, key } = self_signed(&[host]);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key))
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
