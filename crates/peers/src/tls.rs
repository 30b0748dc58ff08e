use std::sync::Arc;

use rcgen::PublicKeyData;
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
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
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
        public_key: made.signing_key.subject_public_key_info(),
    }
}

/// An authority that signs certificates, as a public one does.
#[derive(Debug)]
pub struct Authority {
    /// Its own certificate, DER.
    pub certificate: CertificateDer<'static>,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    /// Where no key can be made.
    #[must_use]
    pub fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority for tests");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: rcgen::Issuer::new(params, key) }
    }

    /// Its certificate in PEM form.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// A certificate for these names, good from 2020 to 2040.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Certified {
        self.issue_until(names, 2040)
    }

    /// The same, good until the begin of this year.
    ///
    /// # Panics
    /// Where a name is none.
    #[must_use]
    pub fn issue_until(&self, names: &[&str], year: i32) -> Certified {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2015, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Certified {
            public_key: key.subject_public_key_info(),
            chain: vec![certificate, self.certificate.clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A chain, leaf first and authority last, with the leaf's key.
#[derive(Debug)]
pub struct Certified {
    /// DER.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS #8 DER.
    pub key: PrivatePkcs8KeyDer<'static>,
    /// SubjectPublicKeyInfo of the leaf, DER.
    pub public_key: Vec<u8>,
}

impl Clone for Certified {
    fn clone(&self) -> Self {
        let (chain, public_key) = (self.chain.clone(), self.public_key.clone());
        Self { chain, key: self.key.clone_key(), public_key }
    }
}

impl Certified {
    /// What a server needs.
    ///
    /// # Panics
    /// Where the key does not fit.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(self.key.clone_key());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .unwrap();
        Arc::new(config)
    }

    /// An acceptor of TLS with it.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.server_config())
    }

    /// Chain and key as PEM texts.
    #[must_use]
    pub fn pem(&self) -> (String, String) {
        let chain = self.chain.iter().map(|one| pem("CERTIFICATE", one)).collect();
        (chain, pem("PRIVATE KEY", self.key.secret_pkcs8_der()))
    }
}

impl From<SelfSigned> for Certified {
    fn from(made: SelfSigned) -> Self {
        let SelfSigned { certificate, key, public_key } = made;
        Self { chain: vec![certificate], key, public_key }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64(der).as_bytes().chunks(64) {
        writeln!(text, "{}", String::from_utf8_lossy(line)).unwrap();
    }
    writeln!(text, "-----END {label}-----").unwrap();
    text
}

/// RFC 4648 §4.
fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let word = three.iter().fold(0_u32, |word, octet| word << 8 | u32::from(*octet))
            << (8 * (3 - three.len()));
        let digit = move |place: usize| match place <= three.len() {
            true => char::from(ALPHABET[(word >> (18 - 6 * place) & 63) as usize]),
            false => '=',
        };
        [digit(0), digit(1), digit(2), digit(3)]
    };
    octets.chunks(3).flat_map(group).collect()
}

/// An acceptor with a fresh certificate for `host`.
pub(crate) fn acceptor(host: &str) -> TlsAcceptor {
    Certified::from(self_signed(&[host])).acceptor()
}
