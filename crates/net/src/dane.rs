//! What a client may demand of a server's certificate, and whether it holds: DANE (RFC 7671, 7672)
//! or a chain to a public root.

use std::sync::Arc;

use mail_types::Domain;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};

use crate::Tlsa;
use crate::x509::public_key;

/// Certificates of a presented chain that are looked at.
const CHAIN_LEN_MAX: usize = 16;

/// What must hold of a server's certificate before anything is said to it.
#[derive(Clone, Debug, Default)]
pub enum Demand {
    /// Nothing (RFC 7435): that it is for its name is noted where it is so.
    #[default]
    Nothing,
    /// Its chain leads to a root we trust, and it is for the name we connect to.
    Chain,
    /// It matches a TLSA record.
    Dane(Arc<Dane>),
}

/// What DNS says, signed, of a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dane {
    /// Usable ones ([`Tlsa::is_usable`]); one that matches is enough (RFC 7671 §8: several stand
    /// side by side while keys roll over).
    pub records: Vec<Tlsa>,
    /// Names of which the certificate must have one, for usage 2 alone: the TLSA base domain first
    /// (RFC 7672 §3.2.2 and §3.2.3).
    pub names: Vec<Domain>,
}

/// By which usage a certificate matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaneMatch {
    /// DANE-EE(3): it is the very certificate or key that DNS names.
    EndEntity,
    /// DANE-TA(2): it leads to the authority that DNS names.
    TrustAnchor,
}

/// Why a certificate is not good enough.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsRefusal {
    /// No TLSA record is about it.
    #[error("its certificate matches none of the {records} TLSA records")]
    NoTlsaMatch {
        /// Usable ones.
        records: usize,
    },
    /// It is for other names.
    #[error("its certificate is not for {name}")]
    OtherName {
        /// The first that was wanted.
        name: String,
    },
    /// Its time is over, or has not come.
    #[error("its certificate is not good now: {why}")]
    Expired {
        /// In the words of the library.
        why: String,
    },
    /// Nobody we trust vouches for it.
    #[error("its certificate leads to no authority we trust: {why}")]
    NotTrusted {
        /// In the words of the library.
        why: String,
    },
}

impl TlsRefusal {
    pub(crate) fn of(error: &Error, name: &str) -> Self {
        let why = error.to_string();
        let Error::InvalidCertificate(certificate) = error else { return Self::NotTrusted { why } };
        match certificate {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::OtherName { name: name.to_owned() }
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Expired { why },
            // Not our enum: what else there is, or comes, is a matter of trust.
            _ => Self::NotTrusted { why },
        }
    }
}

impl Dane {
    /// Whether the chain (leaf first) matches now.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn check(
        &self,
        chain: &[CertificateDer<'_>],
        provider: &Arc<CryptoProvider>,
        now: UnixTime,
    ) -> Result<DaneMatch, TlsRefusal> {
        let no_match = TlsRefusal::NoTlsaMatch { records: self.records.len() };
        let Some((leaf, others)) = chain.split_first() else { return Err(no_match) };
        let others = &others[..others.len().min(CHAIN_LEN_MAX)];
        // RFC 7671 §5.1, RFC 7672 §3.1.1: for DANE-EE neither names nor dates nor chains count:
        // DNS has named this very key.
        let is_about = |usage: u8, certificate: &[u8]| {
            let key = public_key(certificate);
            self.records.iter().any(|tlsa| tlsa.usage == usage && tlsa.matches(certificate, key))
        };
        if is_about(3, leaf) {
            return Ok(DaneMatch::EndEntity);
        }
        // RFC 7672 §3.1.2: the server sends the authority's certificate along; one that stands whole
        // in DNS (RFC 7671 §5.2.1) need not be sent.
        let whole = |tlsa: &&Tlsa| (tlsa.usage, tlsa.selector, tlsa.matching) == (2, 0, 0);
        let sent = others.iter().filter(|certificate| is_about(2, certificate)).cloned();
        let told = self.records.iter().filter(whole);
        let told = told.map(|tlsa| CertificateDer::from(tlsa.association.clone()));
        let mut roots = RootCertStore::empty();
        for authority in sent.map(CertificateDer::into_owned).chain(told) {
            if let Err(error) = roots.add(authority) {
                return Err(TlsRefusal::NotTrusted { why: error.to_string() });
            }
        }
        if roots.is_empty() {
            return Err(no_match);
        }
        let roots = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
            .build()
            .map_err(|error| TlsRefusal::NotTrusted { why: error.to_string() })?;
        self.check_names(leaf, others, &roots, now).map(|()| DaneMatch::TrustAnchor)
    }

    /// RFC 7672 §3.2.2: DANE-TA checks names: any of ours will do.
    fn check_names(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        roots: &WebPkiServerVerifier,
        now: UnixTime,
    ) -> Result<(), TlsRefusal> {
        let mut refusal = TlsRefusal::OtherName { name: String::new() };
        for (index, name) in self.names.iter().enumerate() {
            let Ok(server_name) = ServerName::try_from(name.as_str()) else { continue };
            match roots.verify_server_cert(leaf, others, &server_name, &[], now) {
                Ok(_) => return Ok(()),
                Err(error) if index == 0 => refusal = TlsRefusal::of(&error, name.as_str()),
                Err(_) => {}
            }
        }
        Err(refusal)
    }
}
