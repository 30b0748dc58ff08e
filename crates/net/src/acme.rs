//! Certificates from an authority that speaks ACME (RFC 8555), by our HTTP client.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::Bytes;
use instant_acme::{
    Account, AccountBuilder, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse,
    CertificateIdentifier, ChallengeType, ExternalAccountKey, Identifier, NewAccount, NewOrder,
    OrderStatus, RetryPolicy,
};
use mail_types::Domain;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};

use crate::{AcmeCertificateId, HttpClient, HttpLimits, HttpRequest, Reach};

/// Names in one certificate (what public authorities take).
const NAMES_MAX: usize = 100;
/// An authority takes no longer to look at the proofs, and to sign.
const PATIENCE: Duration = Duration::from_secs(300);
/// Orders until one goes through without a refused nonce.
const ORDERS_MAX: u32 = 5;
/// The first step of an order.
const ORDERING: &str = "ordering";
/// One request takes no longer.
pub(crate) const REQUEST_TIME: Duration = Duration::from_secs(30);

/// How it is shown that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// RFC 8555 §8.3: a page on port 80.
    Http01,
    /// RFC 8737: a certificate on port 443.
    TlsAlpn01,
    /// RFC 8555 §8.4: a TXT record.
    Dns01,
}

/// What to show, for one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcmeProof {
    /// This text at this path of `http://` the name.
    Page {
        /// `/.well-known/acme-challenge/…`
        path: String,
        /// The page.
        text: String,
    },
    /// This certificate to who asks for the name by `acme-tls/1`.
    Certificate {
        /// PEM.
        chain: String,
        /// PEM.
        key: String,
    },
    /// This TXT record.
    Txt {
        /// `_acme-challenge.` and the name.
        owner: String,
        /// Its one string.
        value: String,
    },
}

/// Shows proofs to the authority.
pub trait AcmeProver: Send + Sync {
    /// Shows one for this name. Returns once it can be seen.
    fn show<'a>(
        &'a self,
        name: &'a Domain,
        proof: &'a AcmeProof,
    ) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;
    /// Takes it away again.
    fn hide<'a>(
        &'a self,
        name: &'a Domain,
        proof: &'a AcmeProof,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// What to order.
#[derive(Clone, Debug)]
pub struct AcmeOrder<'a> {
    /// The authority's directory, a URL.
    pub directory: &'a str,
    /// Whom the authority may tell of trouble, `mailto:` addresses.
    pub contact: &'a [String],
    /// The account from an earlier order, so that the authority knows us again.
    pub account: Option<&'a str>,
    /// An account of another kind with the authority, where it wants to know whose the new one is.
    pub external: Option<AcmeExternal<'a>>,
    /// The certificate that it takes the place of, where the authority hears of such (RFC 9773 §5).
    pub replaces: Option<&'a AcmeCertificateId>,
    /// The names it is for; the first is its subject.
    pub names: &'a [Domain],
    /// How it is shown that they are ours.
    pub challenge: AcmeChallenge,
}

/// What binds a new account to another one (RFC 8555 §7.3.4).
#[derive(Clone)]
pub struct AcmeExternal<'a> {
    /// The key's id, as the authority gave it.
    pub id: &'a str,
    /// The key: its octets.
    pub key: &'a [u8],
}

/// Shows no key.
impl std::fmt::Debug for AcmeExternal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcmeExternal").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What an order came to.
#[derive(Clone)]
pub struct AcmeIssued {
    /// The chain and, behind it, its private key, PEM in one text: one file, so that both are always
    /// of one piece.
    pub chain_and_key: String,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The account kept from before cannot be read.
    #[error("the kept ACME account cannot be read: {0}")]
    Account(String),
    /// None, or more names than authorities take.
    #[error("a certificate is for 1 to 100 names, not {0}")]
    Names(usize),
    /// The authority said no, or could not be asked.
    #[error("{doing}: {source}")]
    Authority {
        /// What was being done.
        doing: String,
        /// What it said.
        source: instant_acme::Error,
    },
    /// The authority does not take this kind of proof for the name.
    #[error("the authority wants another challenge than {challenge} for {name}")]
    NoSuchChallenge {
        /// Ours.
        challenge: &'static str,
        /// For which.
        name: Domain,
    },
    /// The proof cannot be shown.
    #[error("the proof for {name} cannot be shown: {source}")]
    Show {
        /// For which name.
        name: Domain,
        /// What went wrong.
        source: io::Error,
    },
    /// The authority did not believe the proofs.
    #[error("the authority does not believe that the names are ours: {0}")]
    Invalid(String),
    /// When the certificate is to be renewed cannot be had.
    #[error("when to renew cannot be asked: {0}")]
    Renewal(String),
    /// No key or request could be made.
    #[error("no key or certificate request can be made: {0}")]
    Request(#[from] rcgen::Error),
}

impl AcmeError {
    /// Whether the authority said so (RFC 8555 §6.7).
    fn is(&self, kind: &str) -> bool {
        let Self::Authority { source: instant_acme::Error::Api(problem), .. } = self else {
            return false;
        };
        let said = problem.r#type.as_deref().unwrap_or_default();
        said.strip_prefix("urn:ietf:params:acme:error:") == Some(kind)
    }
}

/// Our HTTP client as the library wants it.
struct Http(HttpClient);

impl instant_acme::HttpClient for Http {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let other =
                |error: Box<dyn std::error::Error + Send + Sync>| instant_acme::Error::Other(error);
            let (parts, body) = request.into_parts();
            let body = http_body_util::BodyExt::collect(body)
                .await
                .map_err(|error| other(error.into()))?
                .to_bytes();
            let request = HttpRequest {
                method: parts.method,
                url: parts.uri.to_string(),
                headers: parts.headers,
                body: body.to_vec(),
            };
            // The operator wrote the directory's URL; the authority the others.
            let limits =
                HttpLimits { time: REQUEST_TIME, reach: Reach::Anywhere, ..HttpLimits::default() };
            let response =
                client.send(request, &limits).await.map_err(|error| other(error.into()))?;
            let mut answer =
                http::Response::new(http_body_util::Full::new(Bytes::from(response.body)));
            *answer.status_mut() = response.status;
            *answer.headers_mut() = response.headers;
            Ok(BytesResponse::from(answer))
        })
    }
}

/// An account with the authority: `order.account`, or a fresh one, with what is to be kept of it.
///
/// # Errors
/// See [`AcmeError`].
pub async fn acme_account(
    http: &HttpClient,
    order: &AcmeOrder<'_>,
) -> Result<(AcmeAccount, Option<String>), AcmeError> {
    let builder = || -> AccountBuilder { Account::builder_with_http(Box::new(Http(http.clone()))) };
    let unreadable = |error: serde_json::Error| AcmeError::Account(error.to_string());
    if let Some(kept) = order.account {
        let kept: AccountCredentials = serde_json::from_str(kept).map_err(unreadable)?;
        let account = builder()
            .from_credentials(kept)
            .await
            .map_err(|source| failed("finding the account again", source))?;
        return Ok((AcmeAccount(account), None));
    }
    let contact: Vec<&str> = order.contact.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let external = order.external.as_ref();
    let external = external.map(|key| ExternalAccountKey::new(key.id.to_owned(), key.key));
    let (account, credentials) = builder()
        .create(&wanted, order.directory.to_owned(), external.as_ref())
        .await
        .map_err(|source| failed("opening an account", source))?;
    let kept = serde_json::to_string(&credentials).map_err(unreadable)?;
    Ok((AcmeAccount(account), Some(kept)))
}

/// An account with an authority.
pub struct AcmeAccount(Account);

impl AcmeAccount {
    /// Orders a certificate with a fresh key (ECDSA P-256), shows the proofs, and waits for it.
    ///
    /// # Errors
    /// See [`AcmeError`].
    pub async fn order(
        &self,
        order: &AcmeOrder<'_>,
        prover: &dyn AcmeProver,
    ) -> Result<AcmeIssued, AcmeError> {
        // RFC 8555 §6.5: a nonce that the authority does not want any more is no reason to give up;
        // what is proven already stays proven.
        let mut order = order.clone();
        for _ in 1..ORDERS_MAX {
            match self.order_once(&order, prover).await {
                Err(error) if error.is("badNonce") => {}
                // RFC 9773 §5: another order has taken its place, or the authority does not say that
                // it has understood; a certificate is wanted all the same.
                Err(AcmeError::Authority { doing, .. })
                    if doing == ORDERING && order.replaces.is_some() =>
                {
                    order.replaces = None;
                }
                result => return result,
            }
        }
        self.order_once(&order, prover).await
    }

    async fn order_once(
        &self,
        order: &AcmeOrder<'_>,
        prover: &dyn AcmeProver,
    ) -> Result<AcmeIssued, AcmeError> {
        if !(1..=NAMES_MAX).contains(&order.names.len()) {
            return Err(AcmeError::Names(order.names.len()));
        }
        let identifiers: Vec<Identifier> =
            order.names.iter().map(|name| Identifier::Dns(name.to_string())).collect();
        let mut wanted = NewOrder::new(&identifiers);
        if let Some(id) = order.replaces {
            wanted = wanted.replaces(CertificateIdentifier {
                authority_key_identifier: id.authority_key.as_str().into(),
                serial: id.serial.as_str().into(),
            });
        }
        let mut open =
            self.0.new_order(&wanted).await.map_err(|source| failed(ORDERING, source))?;
        let mut shown = Vec::new();
        let result = prove(&mut open, order, prover, &mut shown).await;
        for (name, proof) in &shown {
            prover.hide(name, proof).await;
        }
        result?;
        let key = KeyPair::generate()?;
        let names: Vec<String> = order.names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key)?;
        open.finalize_csr(request.der())
            .await
            .map_err(|source| failed("asking for the signature", source))?;
        let chain = open
            .poll_certificate(&RetryPolicy::new().timeout(PATIENCE))
            .await
            .map_err(|source| failed("waiting for the certificate", source))?;
        let mut chain_and_key = chain.trim_end().to_owned();
        chain_and_key.push('\n');
        chain_and_key.push_str(&key.serialize_pem());
        Ok(AcmeIssued { chain_and_key })
    }
}

async fn prove(
    open: &mut instant_acme::Order,
    order: &AcmeOrder<'_>,
    prover: &dyn AcmeProver,
    shown: &mut Vec<(Domain, AcmeProof)>,
) -> Result<(), AcmeError> {
    let mut authorizations = open.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization =
            authorization.map_err(|source| failed("asking what to prove", source))?;
        match authorization.status {
            // Known from an earlier order.
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            ref other => return Err(AcmeError::Invalid(format!("an authorization is {other:?}"))),
        }
        let name = authorization.identifier().to_string();
        let name = Domain::new(&name)
            .map_err(|error| AcmeError::Invalid(format!("it asks about {name}: {error}")))?;
        let (kind, word) = match order.challenge {
            AcmeChallenge::Http01 => (ChallengeType::Http01, "http-01"),
            AcmeChallenge::TlsAlpn01 => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
            AcmeChallenge::Dns01 => (ChallengeType::Dns01, "dns-01"),
        };
        let mut challenge = authorization
            .challenge(kind)
            .ok_or_else(|| AcmeError::NoSuchChallenge { challenge: word, name: name.clone() })?;
        let said = challenge.key_authorization();
        let proof = match order.challenge {
            AcmeChallenge::Http01 => AcmeProof::Page {
                path: format!("/.well-known/acme-challenge/{}", challenge.token),
                text: said.as_str().to_owned(),
            },
            AcmeChallenge::TlsAlpn01 => alpn_certificate(&name, said.digest().as_ref())?,
            AcmeChallenge::Dns01 => {
                AcmeProof::Txt { owner: format!("_acme-challenge.{name}"), value: said.dns_value() }
            }
        };
        let outcome = prover.show(&name, &proof).await;
        shown.push((name.clone(), proof));
        outcome.map_err(|source| AcmeError::Show { name, source })?;
        challenge
            .set_ready()
            .await
            .map_err(|source| failed("saying that proofs are there", source))?;
    }
    let status = open
        .poll_ready(&RetryPolicy::new().timeout(PATIENCE))
        .await
        .map_err(|source| failed("waiting for the proofs to be looked at", source))?;
    match status {
        OrderStatus::Ready | OrderStatus::Valid => Ok(()),
        other => Err(AcmeError::Invalid(why_invalid(open).await.unwrap_or(format!("{other:?}")))),
    }
}

/// What the authority says of the first proof that it did not believe.
async fn why_invalid(open: &mut instant_acme::Order) -> Option<String> {
    let mut authorizations = open.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        let said = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(said) = said {
            return Some(format!("{}: {said}", authorization.identifier()));
        }
    }
    None
}

/// RFC 8737 §3: it signs itself, is for the name alone, and holds the digest in a critical
/// extension.
fn alpn_certificate(name: &Domain, digest: &[u8]) -> Result<AcmeProof, AcmeError> {
    let mut params = CertificateParams::new(vec![name.to_string()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let chain = params.self_signed(&key)?.pem();
    Ok(AcmeProof::Certificate { chain, key: key.serialize_pem() })
}

fn failed(doing: &str, source: instant_acme::Error) -> AcmeError {
    AcmeError::Authority { doing: doing.to_owned(), source }
}
