//! Look-ups whose answers come with what DNSSEC says of them.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use futures_util::TryFutureExt;
use hickory_resolver::ConnectionProvider;
use hickory_resolver::PoolContext;
use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::lookup::Lookup as Answered;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle};
use hickory_resolver::proto::dnssec::{self, TrustAnchors};
use hickory_resolver::proto::op::DnsRequest;
use hickory_resolver::proto::rr::{RData, RecordType};
use mail_types::Domain;

use crate::resolve::{ResolveError, exchange, picked};
use crate::{Lookup, Mx, Resolver, Temporary, Tlsa};

/// Whose word that an answer is authentic is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// Nobody's: no answer is proven, and so there is no DANE.
    #[default]
    Off,
    /// The server's (its AD bit, RFC 6840 §5.8): it validates, and the way to it is safe. That is
    /// so for one on this machine.
    TrustServer,
    /// Our own: signatures are checked from the root's key down.
    Validate,
}

/// What DNSSEC says of an answer that is not bogus (RFC 4033 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// Nobody signed it, or nobody checked.
    Insecure,
    /// All of it, aliases on the way included, is signed from the root down.
    Secure,
}

/// An answer and its proof. A bogus one is [`Temporary::Bogus`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven<T> {
    /// The answer.
    pub found: Lookup<T>,
    /// Of records alone: that there is none needs no proof here, since it only ever makes what
    /// would be stricter less so where the whole name is insecure, too.
    pub proof: Proof,
    /// Where the aliases (CNAME) of the name lead; none where it is none.
    pub alias_of: Option<Domain>,
}

impl Resolver {
    /// How answers are proven.
    #[must_use]
    pub const fn dnssec(&self) -> Dnssec {
        self.dnssec
    }

    /// MX records, as [`Resolver::mx`].
    pub async fn mx_proven(&self, domain: &Domain) -> Proven<Mx> {
        let pick = |rdata: &RData| match rdata {
            RData::MX(mx) => {
                Some(Mx { preference: mx.preference, exchange: exchange(&mx.exchange) })
            }
            _ => None,
        };
        self.proven(domain.as_str(), RecordType::MX, pick).await
    }

    /// Addresses, as [`Resolver::addresses`]; secure where every record that was found is.
    pub async fn addresses_proven(&self, host: &Domain) -> Proven<IpAddr> {
        let aaaa = |rdata: &RData| match rdata {
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        };
        let a = |rdata: &RData| match rdata {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            _ => None,
        };
        let (six, four) = tokio::join!(
            self.proven(host.as_str(), RecordType::AAAA, aaaa),
            self.proven(host.as_str(), RecordType::A, a)
        );
        let proof = match (&six.found, &four.found) {
            (Lookup::Found { .. }, Lookup::Found { .. }) => six.proof.min(four.proof),
            (Lookup::Found { .. }, _) => six.proof,
            (_, Lookup::Found { .. }) => four.proof,
            (_, _) => Proof::Insecure,
        };
        let alias_of = six.alias_of.or(four.alias_of);
        Proven { found: six.found.or(four.found), proof, alias_of }
    }

    /// The host that a name is an alias of, one step.
    pub async fn cname_proven(&self, host: &Domain) -> Proven<Domain> {
        let pick = |rdata: &RData| match rdata {
            RData::CNAME(target) => Domain::new(&target.0.to_ascii()).ok(),
            _ => None,
        };
        self.proven(host.as_str(), RecordType::CNAME, pick).await
    }

    /// RFC 6698 §3: the TLSA records of a TCP port of a host.
    pub async fn tlsa(&self, host: &Domain, port: u16) -> Proven<Tlsa> {
        let pick = |rdata: &RData| match rdata {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: u8::from(tlsa.cert_usage),
                selector: u8::from(tlsa.selector),
                matching: u8::from(tlsa.matching),
                association: tlsa.cert_data.clone(),
            }),
            _ => None,
        };
        self.proven(&format!("_{port}._tcp.{host}"), RecordType::TLSA, pick).await
    }

    async fn proven<T>(
        &self,
        name: &str,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Proven<T> {
        let answer = match self.ask(name, kind, true).await {
            Ok(answer) => answer,
            Err(found) => return Proven { found, proof: Proof::Insecure, alias_of: None },
        };
        let alias_of = alias_of(&answer, kind);
        match self.proof(&answer, kind) {
            Ok(proof) => Proven { found: picked(&answer, pick), proof, alias_of },
            Err(why) => Proven { found: Lookup::Temporary(why), proof: Proof::Insecure, alias_of },
        }
    }

    fn proof(&self, answer: &Answered, kind: RecordType) -> Result<Proof, Temporary> {
        match self.dnssec {
            Dnssec::Off => Ok(Proof::Insecure),
            // RFC 4035 §3.2.3: AD covers the whole answer, its CNAMEs included; a recursive server
            // answers with the whole chain.
            Dnssec::TrustServer if answer.message().metadata.authentic_data => Ok(Proof::Secure),
            Dnssec::TrustServer => Ok(Proof::Insecure),
            Dnssec::Validate => {
                let of_interest =
                    |record_type| record_type == kind || record_type == RecordType::CNAME;
                let mut proof = Proof::Secure;
                for record in answer.answers().iter().filter(|r| of_interest(r.record_type())) {
                    match record.proof {
                        dnssec::Proof::Secure => {}
                        dnssec::Proof::Insecure => proof = Proof::Insecure,
                        dnssec::Proof::Bogus | dnssec::Proof::Indeterminate => {
                            return Err(Temporary::Bogus);
                        }
                    }
                }
                Ok(proof)
            }
        }
    }
}

/// The owner of the records that were asked for, where aliases lead to it.
fn alias_of(answer: &Answered, kind: RecordType) -> Option<Domain> {
    if kind == RecordType::CNAME {
        return None;
    }
    let is_alias = answer.answers().iter().any(|r| r.record_type() == RecordType::CNAME);
    let record = answer.answers().iter().find(|record| record.record_type() == kind)?;
    is_alias.then(|| Domain::new(&record.name.to_ascii()).ok())?
}

/// The keys of these files, one DNSKEY record a line in zone-file form; the root's own without any.
pub(crate) fn trust_anchors(files: &[PathBuf]) -> Result<Arc<TrustAnchors>, ResolveError> {
    if files.is_empty() {
        return Ok(Arc::new(TrustAnchors::default()));
    }
    let mut text = String::new();
    for path in files {
        let failed = |why: String| ResolveError::TrustAnchors { path: path.clone(), why };
        let one = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        TrustAnchors::from_str(&one).map_err(|error| failed(error.to_string()))?;
        text.push_str(&one);
        text.push('\n');
    }
    let anchors =
        TrustAnchors::from_str(&text).map_err(|error| ResolveError::Setup(error.to_string()))?;
    Ok(Arc::new(anchors))
}

/// Connections whose questions say that we understand the AD bit (RFC 6840 §5.7), where its word is
/// wanted: a server need not tell it otherwise.
#[derive(Clone)]
pub(crate) struct AskAuthentic {
    inner: TokioRuntimeProvider,
    is_wanted: bool,
}

impl AskAuthentic {
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self { inner: TokioRuntimeProvider::default(), is_wanted }
    }
}

impl ConnectionProvider for AskAuthentic {
    type Conn = Asking;
    type FutureConn = Pin<Box<dyn Future<Output = Result<Asking, NetError>> + Send>>;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        cx: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let is_wanted = self.is_wanted;
        let connection = self.inner.new_connection(ip, config, cx)?;
        Ok(Box::pin(connection.map_ok(move |inner| Asking { inner, is_wanted })))
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.inner
    }
}

/// A connection of [`AskAuthentic`].
#[derive(Clone)]
pub(crate) struct Asking {
    inner: DnsExchange<TokioRuntimeProvider>,
    is_wanted: bool,
}

impl DnsHandle for Asking {
    type Response = <DnsExchange<TokioRuntimeProvider> as DnsHandle>::Response;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, mut request: DnsRequest) -> Self::Response {
        request.metadata.authentic_data |= self.is_wanted;
        self.inner.send(request)
    }
}
