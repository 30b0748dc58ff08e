use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::{fs, io};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::names;
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
    challenges: Challenges,
    /// Whether ALPN offers the versions of HTTP.
    http: bool,
}

/// RFC 9113 §3.2, RFC 7301 §6: what an HTTPS listener speaks. RFC 8737 §4 is for proving to an
/// authority that a name is ours, and says nothing beyond the handshake.
const HTTP_PROTOCOLS: [&[u8]; 3] = [b"h2", b"http/1.1", ACME_TLS];
/// RFC 8737 §4.
const ACME_TLS: &[u8] = b"acme-tls/1";

/// What a handshake needs.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) config: Arc<ServerConfig>,
    /// The same with ALPN for HTTP.
    http: Arc<ServerConfig>,
    certificates: Arc<ByName>,
}

impl Setting {
    /// RFC 5929 §4: of the certificate that whoever asked for this name got, where it has one.
    pub(crate) fn end_point(&self, name: Option<&str>) -> Option<Box<[u8]>> {
        server_end_point(self.certificates.find(name).cert.first()?)
    }
}

impl ServerTls {
    /// Reads a chain (leaf first) and its private key from PEM files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn from_pem_files(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::from_files(&[(chain.to_owned(), key.to_owned())])
    }

    /// Reads several chains and keys from PEM files. Who asks for a name (SNI, RFC 6066 §3) that
    /// one of them is for gets that one, all others the first.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn from_files(pairs: &[(PathBuf, PathBuf)]) -> Result<Self, TlsError> {
        let challenges = Challenges::default();
        let setting = setting(read_all(pairs)?, &challenges)?;
        Ok(Self { shared: Arc::new(RwLock::new(setting)), challenges, http: false })
    }

    /// One chain and key from PEM texts.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let challenges = Challenges::default();
        let setting = setting(vec![certified(chain, key)?], &challenges)?;
        Ok(Self { shared: Arc::new(RwLock::new(setting)), challenges, http: false })
    }

    /// The same certificates, now and after each [`ServerTls::reload`], for an HTTPS listener.
    #[must_use]
    pub fn for_http(&self) -> Self {
        Self { http: true, ..self.clone() }
    }

    /// Reads a chain and key anew in place of all, for all clones; as [`ServerTls::reload_all`].
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn reload(&self, chain: &Path, key: &Path) -> Result<(), TlsError> {
        self.reload_all(&[(chain.to_owned(), key.to_owned())])
    }

    /// Reads files again, for all clones, at once. Sessions that stand are not touched; on an error
    /// all of the old setting stays.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn reload_all(&self, pairs: &[(PathBuf, PathBuf)]) -> Result<(), TlsError> {
        let fresh = setting(read_all(pairs)?, &self.challenges)?;
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// From now on whoever asks for this name by `acme-tls/1` (RFC 8737) gets this certificate,
    /// until [`ServerTls::end_challenge`].
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn begin_challenge(&self, name: &str, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let (chain, key) = parsed(chain, key)?;
        // Its critical extension (RFC 8737 §3) is one that only the authority understands, so that
        // key and certificate are not held against each other here.
        let key = aws_lc_rs::default_provider().key_provider.load_private_key(key)?;
        let certified = Arc::new(CertifiedKey::new(chain, key));
        self.challenges.lock().insert(name.to_ascii_lowercase(), certified);
        Ok(())
    }

    /// Forgets it.
    pub fn end_challenge(&self, name: &str) {
        self.challenges.lock().remove(&name.to_ascii_lowercase());
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

/// Certificates by the names they are for.
#[derive(Debug)]
struct ByName {
    first: Arc<CertifiedKey>,
    /// In lower case; `*.example.org` stands for one label more.
    named: HashMap<String, Arc<CertifiedKey>>,
    challenges: Challenges,
}

/// Certificates that prove to an authority that a name is ours, by name.
#[derive(Clone, Debug, Default)]
struct Challenges(Arc<Mutex<HashMap<String, Arc<CertifiedKey>>>>);

impl Challenges {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<CertifiedKey>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ByName {
    fn find(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let found = name.map(str::to_ascii_lowercase).and_then(|name| {
            let wildcard = || Some(format!("*.{}", name.split_once('.')?.1));
            let named = self.named.get(&name);
            named.or_else(|| self.named.get(&wildcard()?)).cloned()
        });
        found.unwrap_or_else(|| Arc::clone(&self.first))
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        if hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == ACME_TLS)) {
            // RFC 8737 §3: without a challenge under way the handshake fails.
            return self.challenges.lock().get(&name?.to_ascii_lowercase()).cloned();
        }
        Some(self.find(name))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn read_all(pairs: &[(PathBuf, PathBuf)]) -> Result<Vec<CertifiedKey>, TlsError> {
    pairs.iter().map(|(chain, key)| certified(&read(chain)?, &read(key)?)).collect()
}

fn certified(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let (chain, key) = parsed(chain, key)?;
    // This checks that they belong together.
    Ok(CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?)
}

/// Chain and key of PEM texts.
pub(crate) fn parsed(
    chain: &[u8],
    key: &[u8],
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .take(CHAIN_LEN_MAX + 1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Chain(error.to_string()))?;
    if chain.is_empty() || chain.len() > CHAIN_LEN_MAX {
        return Err(TlsError::Chain(format!("{} certificates", chain.len())));
    }
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
    Ok((chain, key))
}

/// TLS 1.3 and 1.2 (RFC 8996 forbids older ones), no client certificates. Tickets keep a
/// reconnecting client's handshake cheap, and nothing of them in our memory.
fn setting(certified: Vec<CertifiedKey>, challenges: &Challenges) -> Result<Setting, TlsError> {
    let all: Vec<Arc<CertifiedKey>> = certified.into_iter().map(Arc::new).collect();
    let first = all.first().ok_or_else(|| TlsError::Chain("none is named".to_owned()))?;
    let mut named = HashMap::new();
    for one in &all {
        for name in one.cert.first().map(|leaf| names(leaf)).unwrap_or_default() {
            // Of two for one name the first counts.
            named.entry(name).or_insert_with(|| Arc::clone(one));
        }
    }
    let (first, challenges) = (Arc::clone(first), challenges.clone());
    let certificates = Arc::new(ByName { first, named, challenges });
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    let mut http = config.clone();
    http.alpn_protocols = HTTP_PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Setting { config: Arc::new(config), http: Arc::new(http), certificates })
}
