use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::{fs, io};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::end_point::server_end_point;

/// Certificates that one chain may hold.
const CHAIN_LEN_MAX: usize = 16;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or may not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Of the certificate or key.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The PEM text holds no certificate, too many, or a damaged one.
    #[error("no usable certificate chain in PEM form: {0}")]
    Chain(String),
    /// The PEM text holds no private key.
    #[error("no usable private key in PEM form: {0}")]
    Key(String),
    /// rustls refuses them, for example since key and certificate do not belong together.
    #[error("certificate and key do not serve for TLS: {0}")]
    Config(#[from] rustls::Error),
}

/// What the server side of TLS needs: certificate chain, private key, and keys for session
/// tickets. Clones share one setting; [`ServerTls::reload`] changes it for handshakes to come.
#[derive(Clone, Debug)]
pub struct ServerTls {
    shared: Arc<RwLock<Setting>>,
    /// Whether ALPN offers the versions of HTTP.
    http: bool,
}

/// RFC 9113 §3.2, RFC 7301 §6: what an HTTPS listener speaks.
const HTTP_PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What a handshake needs.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) config: Arc<ServerConfig>,
    /// The same with ALPN for HTTP.
    http: Arc<ServerConfig>,
    /// RFC 5929 §4, where the certificate has one.
    pub(crate) end_point: Option<Arc<[u8]>>,
}

impl ServerTls {
    /// Reads a chain (leaf first) and its private key from PEM files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn from_pem_files(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read(chain)?, &read(key)?)
    }

    /// The same from PEM texts.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self { shared: Arc::new(RwLock::new(setting(chain, key)?)), http: false })
    }

    /// The same certificate, now and after each [`ServerTls::reload`], for an HTTPS listener.
    #[must_use]
    pub fn for_http(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), http: true }
    }

    /// Reads the files again, for all clones. Sessions that stand are not touched; on an error
    /// the old setting stays.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn reload(&self, chain: &Path, key: &Path) -> Result<(), TlsError> {
        let fresh = setting(&read(chain)?, &read(key)?)?;
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// The setting of now.
    pub(crate) fn setting(&self) -> Setting {
        let mut setting = self.shared.read().unwrap_or_else(PoisonError::into_inner).clone();
        if self.http {
            setting.config = Arc::clone(&setting.http);
        }
        setting
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// TLS 1.3 and 1.2 (RFC 8996 forbids older ones), no client certificates. Tickets keep a
/// reconnecting client's handshake cheap, and nothing of them in our memory.
fn setting(chain: &[u8], key: &[u8]) -> Result<Setting, TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .take(CHAIN_LEN_MAX + 1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Chain(error.to_string()))?;
    if chain.is_empty() || chain.len() > CHAIN_LEN_MAX {
        return Err(TlsError::Chain(format!("{} certificates", chain.len())));
    }
    let end_point = chain.first().and_then(|leaf| server_end_point(leaf)).map(Arc::from);
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    let mut http = config.clone();
    http.alpn_protocols = HTTP_PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Setting { config: Arc::new(config), http: Arc::new(http), end_point })
}
