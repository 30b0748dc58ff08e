use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup as Answered;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use mail_types::Domain;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::dnssec::{AskAuthentic, Dnssec, trust_anchors};

/// Where systems name their DNS servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// resolv.conf(5): MAXNS, the name servers that count.
const NAME_SERVERS_MAX: usize = 3;
/// Look-ups on their way at a time; the next ones wait. Each may hold a socket.
const LOOKUPS_MAX: usize = 256;
/// The same for what strangers cause, beside those.
pub(crate) const STRANGERS_LOOKUPS_MAX: usize = 512;
/// Records of one answer that are handed on: beyond is no honest use for mail.
const RECORDS_MAX: usize = 256;
/// Look-ups without any answer, one after the other, before an alarm.
const SILENT_LOOKUPS_MAX: u32 = 5;
/// A look-up that was given up before this says nothing about the server.
const SILENT_AFTER: Duration = Duration::from_millis(500);

/// A DNS server to ask, over UDP and TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

/// How to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverSettings {
    /// The recursive servers to ask; those of `/etc/resolv.conf` where empty.
    pub servers: Vec<NameServer>,
    /// One question to one server is given up after this. Default 4 s.
    pub attempt: Duration,
    /// Questions asked again after a time-out. Default 2.
    pub retries: usize,
    /// A look-up ends after this, whatever it waits for. Default 20 s.
    pub deadline: Duration,
    /// Answers kept. Default 8192.
    pub cache_entries: u64,
    /// No answer is kept for longer. Default 1 day.
    pub ttl_max: Duration,
    /// Whose word that an answer is authentic is believed. Default: nobody's.
    pub dnssec: Dnssec,
    /// Files of trust anchors (DNSKEY or DS records), to check signatures with; the root's key where
    /// empty.
    pub trust_anchors: Vec<PathBuf>,
    /// No "there is none" is kept for longer (RFC 2308 §5 advises 1 to 3 hours at most; mail to a
    /// domain that was mended should not wait for that). Default 5 min.
    pub negative_ttl_max: Duration,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            attempt: Duration::from_secs(4),
            retries: 2,
            deadline: Duration::from_secs(20),
            cache_entries: 8192,
            ttl_max: Duration::from_secs(86_400),
            dnssec: Dnssec::Off,
            trust_anchors: Vec::new(),
            negative_ttl_max: Duration::from_secs(300),
        }
    }
}

impl ResolverSettings {
    /// The servers that are asked: the system's where none are named.
    ///
    /// # Errors
    /// Where the system's list cannot be read.
    pub fn servers_to_ask(&self) -> Result<Vec<NameServer>, ResolveError> {
        match self.servers.is_empty() {
            true => system_servers(),
            false => Ok(self.servers.clone()),
        }
    }
}

/// Why no resolver can be made.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The system's list of servers cannot be read.
    #[error("cannot read {path}: {source}")]
    ResolvConf {
        /// Of the list.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file of trust anchors is none.
    #[error("cannot read the DNSSEC trust anchors in {path}: {why}")]
    TrustAnchors {
        /// Of the file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The library refuses the settings.
    #[error("cannot set up DNS look-ups: {0}")]
    Setup(String),
}

/// What a look-up found. Only `NoData` and `NxDomain` are the DNS saying that there is nothing;
/// all trouble, the server's or ours, is `Temporary` (RFC 5321 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// At least one record.
    Found {
        /// In the order of the answer.
        records: Vec<T>,
        /// For how long they hold.
        ttl: Duration,
    },
    /// The name exists and has no record of this type (RFC 2308 §2.2).
    NoData,
    /// The name does not exist (RFC 2308 §2.1).
    NxDomain,
    /// Nothing is known; ask again later.
    Temporary(Temporary),
}

impl<T> Lookup<T> {
    fn map<U>(self, each: impl Fn(T) -> U) -> Lookup<U> {
        match self {
            Self::Found { records, ttl } => {
                Lookup::Found { records: records.into_iter().map(each).collect(), ttl }
            }
            Self::NoData => Lookup::NoData,
            Self::NxDomain => Lookup::NxDomain,
            Self::Temporary(why) => Lookup::Temporary(why),
        }
    }

    /// Both answers about one name, of two types, as one.
    pub(crate) fn or(self, other: Self) -> Self {
        use Lookup as L;
        match (self, other) {
            (L::Found { mut records, ttl }, L::Found { records: more, ttl: other }) => {
                records.extend(more);
                L::Found { records, ttl: ttl.min(other) }
            }
            (found @ L::Found { .. }, L::NoData | L::NxDomain | L::Temporary(_))
            | (L::NoData | L::NxDomain | L::Temporary(_), found @ L::Found { .. }) => found,
            (L::Temporary(why), L::NoData | L::NxDomain | L::Temporary(_))
            | (L::NoData | L::NxDomain, L::Temporary(why)) => L::Temporary(why),
            // A name that has some type exists, whatever a careless server says of another.
            (L::NoData, L::NoData | L::NxDomain) | (L::NxDomain, L::NoData) => L::NoData,
            (L::NxDomain, L::NxDomain) => L::NxDomain,
        }
    }
}

/// Why a look-up said nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Temporary {
    /// The server could not find out: broken delegation, DNSSEC failure, upstream trouble.
    #[error("the DNS server answered SERVFAIL")]
    ServFail,
    /// The server does not want to answer us.
    #[error("the DNS server refused to answer")]
    Refused,
    /// No answer in time.
    #[error("the DNS server did not answer in time")]
    TimedOut,
    /// DNSSEC says that the answer is forged, or damaged (RFC 4035 §5). Never the same as "there is
    /// none".
    #[error("the DNS answer fails its DNSSEC check")]
    Bogus,
    /// Anything else, in the library's words.
    #[error("the DNS look-up failed: {0}")]
    Other(String),
}

/// An MX record (RFC 5321 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mx {
    /// Lower ones are tried first.
    pub preference: u16,
    /// Who takes the mail.
    pub exchange: MxHost,
}

/// The host of an MX record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MxHost {
    /// A host with addresses of its own.
    Host(Domain),
    /// RFC 7505: `.`, the domain takes no mail.
    Null,
    /// No host name, though a DNS name.
    Invalid(String),
}

/// Asks recursive DNS servers, and remembers what they said.
#[derive(Debug)]
pub struct Resolver {
    inner: hickory_resolver::Resolver<AskAuthentic>,
    /// Checks signatures itself; there where we are to.
    validating: Option<TokioResolver>,
    pub(crate) dnssec: Dnssec,
    deadline: Duration,
    slots: Semaphore,
    silence: Silence,
}

impl Resolver {
    /// Sets up; asks nothing yet. Must run within tokio.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub fn new(settings: &ResolverSettings) -> Result<Self, ResolveError> {
        let servers = settings.servers_to_ask()?;
        let servers = servers.iter().map(|server| name_server(*server)).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let set_up = |error: NetError| ResolveError::Setup(error.to_string());
        let provider = AskAuthentic::new(settings.dnssec == Dnssec::TrustServer);
        let mut builder = hickory_resolver::Resolver::builder_with_config(config.clone(), provider);
        set_options(builder.options_mut(), settings);
        let inner = builder.build().map_err(set_up)?;
        let validating = match settings.dnssec {
            Dnssec::Off | Dnssec::TrustServer => None,
            Dnssec::Validate => {
                let provider = TokioRuntimeProvider::default();
                let mut builder = TokioResolver::builder_with_config(config, provider);
                set_options(builder.options_mut(), settings);
                builder.options_mut().validate = true;
                let builder = builder.with_trust_anchor(trust_anchors(&settings.trust_anchors)?);
                Some(builder.build().map_err(set_up)?)
            }
        };
        let (dnssec, deadline) = (settings.dnssec, settings.deadline);
        let (slots, silence) = (Semaphore::new(LOOKUPS_MAX), Silence::default());
        Ok(Self { inner, validating, dnssec, deadline, slots, silence })
    }

    /// The same servers and the same memory, for what strangers cause by what they send: its
    /// look-ups have places of their own, so that delivery never waits for them.
    #[must_use]
    pub fn for_strangers(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            validating: self.validating.clone(),
            dnssec: self.dnssec,
            deadline: self.deadline,
            slots: Semaphore::new(STRANGERS_LOOKUPS_MAX),
            silence: Silence::default(),
        }
    }

    /// MX records, as they come (not sorted).
    pub async fn mx(&self, domain: &Domain) -> Lookup<Mx> {
        self.records(domain.as_str(), RecordType::MX, |rdata| match rdata {
            RData::MX(mx) => {
                Some(Mx { preference: mx.preference, exchange: exchange(&mx.exchange) })
            }
            _ => None,
        })
        .await
    }

    /// IPv4 addresses.
    pub async fn a(&self, host: &Domain) -> Lookup<Ipv4Addr> {
        self.records(host.as_str(), RecordType::A, |rdata| match rdata {
            RData::A(a) => Some(a.0),
            _ => None,
        })
        .await
    }

    /// IPv6 addresses.
    pub async fn aaaa(&self, host: &Domain) -> Lookup<Ipv6Addr> {
        self.records(host.as_str(), RecordType::AAAA, |rdata| match rdata {
            RData::AAAA(aaaa) => Some(aaaa.0),
            _ => None,
        })
        .await
    }

    /// IPv6 and IPv4 addresses, in this order. What one look-up found is good even if the other
    /// failed; "there is none" must be said by both.
    pub async fn addresses(&self, host: &Domain) -> Lookup<IpAddr> {
        let (aaaa, a) = tokio::join!(self.aaaa(host), self.a(host));
        aaaa.map(IpAddr::V6).or(a.map(IpAddr::V4))
    }

    /// The names of an address (RFC 1035 §3.5, RFC 3596 §2.5); those that are no host names are
    /// left out.
    pub async fn ptr(&self, ip: IpAddr) -> Lookup<Domain> {
        let name = Name::from(ip.to_canonical()).to_ascii();
        self.records(&name, RecordType::PTR, |rdata| match rdata {
            RData::PTR(name) => Domain::new(&name.0.to_ascii()).ok(),
            _ => None,
        })
        .await
    }

    /// TXT records, the strings of each joined without a gap (RFC 7208 §3.3).
    pub async fn txt(&self, domain: &Domain) -> Lookup<Vec<u8>> {
        self.records(domain.as_str(), RecordType::TXT, |rdata| match rdata {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        })
        .await
    }

    /// Records of a name that need not be a host's.
    pub(crate) async fn records<T>(
        &self,
        name: &str,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Lookup<T> {
        let answer = match self.ask(name, kind, false).await {
            Ok(answer) => answer,
            Err(nothing) => return nothing,
        };
        picked(&answer, pick)
    }

    /// The whole answer to one question; or what its absence says.
    pub(crate) async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        is_proof_wanted: bool,
    ) -> Result<Answered, Lookup<T>> {
        // RFC 6761 §6.3: the library knows these itself, and no server is heard from.
        let bare = name.trim_end_matches('.');
        let is_answered_here = bare.ends_with("localhost") || bare.ends_with("127.in-addr.arpa");
        // As bytes: which characters a host name may have is `Domain`'s to say.
        let mut name = Name::from_labels(name.split_terminator('.').map(str::as_bytes))
            .map_err(|error| Lookup::Temporary(Temporary::Other(error.to_string())))?;
        // Never tried within a search domain.
        name.set_fqdn(true);
        let ask = async {
            // The semaphore is never closed; were it, asking without it would be right.
            let _slot = self.slots.acquire().await;
            match &self.validating {
                Some(validating) if is_proof_wanted => {
                    // In a task of its own: the validator asserts things that strangers' zones
                    // decide (NSEC3 below the root, for one), and its panic is one look-up's trouble.
                    let validating = validating.clone();
                    tokio::spawn(async move { validating.lookup(name, kind).await })
                        .await
                        .unwrap_or_else(|error| Err(NetError::from(error.to_string())))
                }
                Some(_) | None => self.inner.lookup(name, kind).await,
            }
        };
        let mut waiting = (!is_answered_here).then(|| Waiting {
            silence: &self.silence,
            since: Instant::now(),
            heard: None,
        });
        let heard = match timeout(self.deadline, ask).await {
            Ok(answer) => answer.map_err(nothing),
            Err(_) => Err(Lookup::Temporary(Temporary::TimedOut)),
        };
        let is_silent =
            matches!(heard, Err(Lookup::Temporary(Temporary::TimedOut | Temporary::Other(_))));
        if let Some(waiting) = &mut waiting {
            waiting.heard = Some(!is_silent);
        }
        heard
    }
}

/// Look-ups since the last one that any server answered, be it with trouble of its own.
#[derive(Debug, Default)]
struct Silence(AtomicU32);

/// One look-up; whoever asked may have gone before its answer.
struct Waiting<'a> {
    silence: &'a Silence,
    since: Instant,
    /// Whether any server answered; `None` where nobody waited for it to the end.
    heard: Option<bool>,
}

impl Drop for Waiting<'_> {
    /// One name's servers may be dead; so many names in a row are a server of ours that is.
    fn drop(&mut self) {
        let count = &self.silence.0;
        match self.heard {
            Some(true) => {
                if count.swap(0, Ordering::Relaxed) >= SILENT_LOOKUPS_MAX {
                    tracing::info!("the DNS answers again");
                }
                return;
            }
            None if self.since.elapsed() < SILENT_AFTER => return,
            Some(false) | None => {}
        }
        if count.fetch_add(1, Ordering::Relaxed) + 1 == SILENT_LOOKUPS_MAX {
            tracing::error!("ALARM: no DNS server answers; mail waits, and senders go unchecked");
        }
    }
}

/// What of an answer is of use.
pub(crate) fn picked<T>(answer: &Answered, pick: impl Fn(&RData) -> Option<T>) -> Lookup<T> {
    let records: Vec<T> =
        answer.answers().iter().filter_map(|record| pick(&record.data)).take(RECORDS_MAX).collect();
    if records.is_empty() {
        // For example a CNAME whose target has none of this type.
        return Lookup::NoData;
    }
    Lookup::Found { records, ttl: answer.valid_until().saturating_duration_since(Instant::now()) }
}

/// What an error of the library says about the name. Only two of its forms say that there is
/// nothing; every other one, also those to come, is temporary.
fn nothing<T>(error: NetError) -> Lookup<T> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Lookup::NxDomain,
            // A referral: the server did not look further, and so knows nothing.
            ResponseCode::NoError if none.soa.is_none() && none.ns.is_some() => Lookup::Temporary(
                Temporary::Other("the server only refers to other servers".to_owned()),
            ),
            ResponseCode::NoError => Lookup::NoData,
            code => failed(code),
        },
        // The same with the proof of absence that a validating look-up asks for. An unproven
        // absence is what an attacker would send to have a TLSA record overlooked.
        NetError::Dns(DnsError::Nsec { response, proof, .. }) => {
            match (proof, response.response_code) {
                (Proof::Bogus | Proof::Indeterminate, _) => Lookup::Temporary(Temporary::Bogus),
                (Proof::Secure | Proof::Insecure, ResponseCode::NXDomain) => Lookup::NxDomain,
                (Proof::Secure | Proof::Insecure, ResponseCode::NoError) => Lookup::NoData,
                (Proof::Secure | Proof::Insecure, code) => failed(code),
            }
        }
        NetError::Dns(DnsError::DnssecBogus) => Lookup::Temporary(Temporary::Bogus),
        NetError::Dns(DnsError::ResponseCode(code)) => failed(code),
        NetError::Timeout => Lookup::Temporary(Temporary::TimedOut),
        other => Lookup::Temporary(Temporary::Other(other.to_string())),
    }
}

fn failed<T>(code: ResponseCode) -> Lookup<T> {
    Lookup::Temporary(match code {
        ResponseCode::ServFail => Temporary::ServFail,
        ResponseCode::Refused => Temporary::Refused,
        other => Temporary::Other(other.to_string()),
    })
}

pub(crate) fn exchange(name: &Name) -> MxHost {
    if name.is_root() {
        return MxHost::Null;
    }
    let text = name.to_ascii();
    Domain::new(&text).map_or(MxHost::Invalid(text), MxHost::Host)
}

fn name_server(server: NameServer) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.0.port();
        connection
    });
    // A server's "there is none" is believed: asking the next server would only be slower.
    NameServerConfig::new(server.0.ip(), true, connections.into())
}

fn set_options(options: &mut ResolverOpts, settings: &ResolverSettings) {
    options.timeout = settings.attempt;
    options.attempts = settings.retries;
    options.cache_size = settings.cache_entries;
    options.positive_max_ttl = Some(settings.ttl_max);
    options.negative_max_ttl = Some(settings.negative_ttl_max);
    // To see where a chain of CNAMEs leads.
    options.preserve_intermediates = true;
    options.use_hosts_file = ResolveHosts::Never;
    options.max_active_requests = LOOKUPS_MAX + STRANGERS_LOOKUPS_MAX;
}

/// The servers of resolv.conf(5). Without the file, or one in it, the one of this machine.
fn system_servers() -> Result<Vec<NameServer>, ResolveError> {
    let text = match fs::read_to_string(RESOLV_CONF) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => {
            return Err(ResolveError::ResolvConf { path: RESOLV_CONF.into(), source });
        }
    };
    Ok(name_servers(&text))
}

fn name_servers(resolv_conf: &str) -> Vec<NameServer> {
    let mut servers: Vec<NameServer> = resolv_conf
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let ip = (words.next()? == "nameserver").then(|| words.next()?.parse().ok())?;
            ip.map(|ip| NameServer(SocketAddr::new(ip, 53)))
        })
        .take(NAME_SERVERS_MAX)
        .collect();
    if servers.is_empty() {
        servers.push(NameServer(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53)));
    }
    servers
}
