//! A small HTTP/1.1 client (RFC 9110, 9112) for policies, web hooks, certificates and tokens.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, LOCATION, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mail_types::Domain;
use route::Inward;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::{Lookup, Resolver, Trust};

/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 4;
/// A connection to one address stands within this, or the next is tried.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Octets of a response's header at most.
const HEADER_OCTETS_MAX: usize = 64 << 10;
/// Fields of a response's header at most.
const HEADER_FIELDS_MAX: usize = 128;
/// Octets of a URL at most.
const URL_OCTETS_MAX: usize = 8192;

/// Asks HTTP servers. Each request has a connection of its own: what it is for is rare.
///
/// Proxies are never used, whatever the environment says. The name is looked up with our resolver
/// and the connection made to exactly the address that was checked, so that a name cannot change
/// in between.
#[derive(Clone, Debug)]
pub struct HttpClient {
    resolver: Arc<Resolver>,
    tls: Arc<ClientConfig>,
    inward: Arc<Inward>,
}

/// What to ask.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// Such as GET.
    pub method: Method,
    /// Absolute, `https://host[:port]/path`.
    pub url: String,
    /// Besides Host, User-Agent and Content-Length, which are added.
    pub headers: HeaderMap,
    /// May be empty.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// A GET without more.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: Method::GET, url: url.into(), headers: HeaderMap::new(), body: Vec::new() }
    }

    /// A POST of this body.
    #[must_use]
    pub fn post(url: impl Into<String>, content_type: &'static str, body: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { method: Method::POST, url: url.into(), headers, body }
    }
}

/// Where a request may lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Into the public network, and the inward networks that the operator allows: for URLs that
    /// strangers wrote.
    #[default]
    Outward,
    /// Anywhere: for URLs that the operator wrote.
    Anywhere,
}

/// What a request may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// From the look-up of the name to the last octet, redirects included. Default 60 s.
    pub time: Duration,
    /// Octets of the response's body. Default 1 MiB.
    pub body_octets_max: usize,
    /// Redirects that are followed, of GET and HEAD alone. Default 0: a 3xx is the response.
    pub redirects_max: u32,
    /// Default: outward only.
    pub reach: Reach,
    /// Whether `http:` is as good as `https:`. Default no.
    pub may_be_plain: bool,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            body_octets_max: 1 << 20,
            redirects_max: 0,
            reach: Reach::Outward,
            may_be_plain: false,
        }
    }
}

/// What a server said.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// Any, also 4xx and 5xx.
    pub status: StatusCode,
    /// As they came.
    pub headers: HeaderMap,
    /// Whole.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The media type without parameters, in lower case (RFC 9110 §8.3.1); none where it is
    /// missing.
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        let value = self.headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?;
        Some(value.split(';').next()?.trim().to_ascii_lowercase())
    }
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// What was asked is no request.
    #[error("{url} is no URL for it: {why}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// DNS has no address, or no answer.
    #[error("{host} has no address that is known: {why}")]
    Dns {
        /// Of the URL.
        host: String,
        /// What the look-up said.
        why: String,
    },
    /// The name leads to this machine or its neighbours, and must not.
    #[error("{host} leads inward, to {ip}")]
    Inward {
        /// Of the URL.
        host: String,
        /// Its address.
        ip: IpAddr,
    },
    /// No address took the connection.
    #[error("cannot connect to {host} ({address}): {source}")]
    Connect {
        /// Of the URL.
        host: String,
        /// The last that was tried.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The handshake failed, the certificate among its reasons.
    #[error("TLS with {host} failed: {source}")]
    Tls {
        /// Of the URL.
        host: String,
        /// What rustls says.
        source: io::Error,
    },
    /// The other side does not speak HTTP, or went away.
    #[error("the HTTP exchange with {host} failed: {source}")]
    Exchange {
        /// Of the URL.
        host: String,
        /// What hyper says.
        source: hyper::Error,
    },
    /// The body is longer than the limit.
    #[error("the response of {host} has more than {octets_max} octets")]
    TooLarge {
        /// Of the URL.
        host: String,
        /// The limit.
        octets_max: usize,
    },
    /// It took longer than the limit.
    #[error("{url} did not answer within {} s", limit.as_secs())]
    TimedOut {
        /// As given.
        url: String,
        /// The limit.
        limit: Duration,
    },
    /// More redirects than the limit.
    #[error("{url} redirects too often")]
    Redirects {
        /// The last.
        url: String,
    },
}

/// A URL taken apart.
struct Target {
    uri: Uri,
    host: String,
    port: u16,
    is_tls: bool,
}

impl HttpClient {
    /// Looks names up with `resolver` and believes certificates that lead to `trust`. Requests
    /// that only reach outward may nevertheless reach the networks that `inward` allows.
    ///
    /// # Errors
    /// Where rustls refuses the set-up.
    pub fn new(
        resolver: Arc<Resolver>,
        trust: &Trust,
        inward: Inward,
    ) -> Result<Self, crate::TlsError> {
        let mut config = trust.verifying_config()?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { resolver, tls: Arc::new(config), inward: Arc::new(inward) })
    }

    /// Asks once, and again where a redirect is followed. Any status is a response.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn send(
        &self,
        request: HttpRequest,
        limits: &HttpLimits,
    ) -> Result<HttpResponse, HttpError> {
        let url = request.url.clone();
        timeout(limits.time, self.follow(request, limits))
            .await
            .unwrap_or(Err(HttpError::TimedOut { url, limit: limits.time }))
    }

    async fn follow(
        &self,
        mut request: HttpRequest,
        limits: &HttpLimits,
    ) -> Result<HttpResponse, HttpError> {
        for _ in 0..=limits.redirects_max {
            let target = target(&request.url, limits)?;
            let response = self.once(&target, &request, limits).await?;
            let follows = limits.redirects_max > 0
                && matches!(request.method, Method::GET | Method::HEAD)
                && matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308);
            let Some(location) = response.headers.get(LOCATION).filter(|_| follows) else {
                return Ok(response);
            };
            let next = absolute(&target, location);
            // RFC 9110 §15.4: what was for one origin is not told to another.
            if !same_origin(&target, &next) {
                request.headers.remove(AUTHORIZATION);
                request.headers.remove(COOKIE);
            }
            request.url = next;
        }
        Err(HttpError::Redirects { url: request.url })
    }

    async fn once(
        &self,
        target: &Target,
        request: &HttpRequest,
        limits: &HttpLimits,
    ) -> Result<HttpResponse, HttpError> {
        let stream = self.connect(target, limits.reach).await?;
        if !target.is_tls {
            return exchange(stream, target, request, limits).await;
        }
        let failed = |source| HttpError::Tls { host: target.host.clone(), source };
        let name = ServerName::try_from(target.host.clone())
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, stream).await.map_err(failed)?;
        exchange(stream, target, request, limits).await
    }

    async fn connect(&self, target: &Target, reach: Reach) -> Result<TcpStream, HttpError> {
        let host = &target.host;
        let mut failed = None;
        for ip in self.addresses(host).await?.into_iter().take(ADDRESSES_MAX) {
            if reach == Reach::Outward && !self.inward.may_reach(ip) {
                failed = failed.or(Some(HttpError::Inward { host: host.clone(), ip }));
                continue;
            }
            let address = SocketAddr::new(ip, target.port);
            let connected = timeout(CONNECT_MAX, TcpStream::connect(address)).await;
            match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => return Ok(stream),
                Err(source) => {
                    failed = Some(HttpError::Connect { host: host.clone(), address, source });
                }
            }
        }
        let why = "it has none".to_owned();
        Err(failed.unwrap_or(HttpError::Dns { host: host.clone(), why }))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, HttpError> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        // RFC 6761 §6.3: always loopback, and never asked of DNS.
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let failed = |why: String| HttpError::Dns { host: host.to_owned(), why };
        let domain = Domain::new(host).map_err(|error| failed(error.to_string()))?;
        match self.resolver.addresses(&domain).await {
            Lookup::Found { records, .. } => Ok(records),
            Lookup::NoData => Err(failed("it has none".to_owned())),
            Lookup::NxDomain => Err(failed("the name does not exist".to_owned())),
            Lookup::Temporary(why) => Err(failed(why.to_string())),
        }
    }
}

fn target(url: &str, limits: &HttpLimits) -> Result<Target, HttpError> {
    let bad = |why: &str| HttpError::Url { url: url.to_owned(), why: why.to_owned() };
    if url.len() > URL_OCTETS_MAX {
        return Err(HttpError::Url { url: url.chars().take(64).collect(), why: "too long".into() });
    }
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
    let is_tls = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP && limits.may_be_plain => false,
        Some(scheme) if *scheme == Scheme::HTTP => return Err(bad("it must begin with https://")),
        Some(_) | None => return Err(bad("it begins with neither https:// nor http://")),
    };
    let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
    // RFC 9110 §4.2.4: user information in a URL is a trap.
    if authority.as_str().contains('@') {
        return Err(bad("it holds user information"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() {
        return Err(bad("it names no host"));
    }
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    Ok(Target { uri, host, port, is_tls })
}

/// The place a redirect names: a whole URL, or a path on the same host (RFC 3986 §4.2).
fn absolute(from: &Target, location: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(location.as_bytes()).into_owned();
    let origin = || {
        let scheme = if from.is_tls { "https" } else { "http" };
        let authority = from.uri.authority().map_or("", |authority| authority.as_str());
        format!("{scheme}://{authority}")
    };
    match text.as_str() {
        path if path.starts_with("//") => {
            format!("{}:{path}", if from.is_tls { "https" } else { "http" })
        }
        path if path.starts_with('/') => format!("{}{path}", origin()),
        whole if whole.contains("://") => whole.to_owned(),
        relative => {
            let base = from.uri.path().rsplit_once('/').map_or("", |(base, _)| base);
            format!("{}{base}/{relative}", origin())
        }
    }
}

fn same_origin(from: &Target, url: &str) -> bool {
    let anything = HttpLimits { may_be_plain: true, ..HttpLimits::default() };
    target(url, &anything).is_ok_and(|to| {
        to.is_tls == from.is_tls && to.port == from.port && to.host.eq_ignore_ascii_case(&from.host)
    })
}

/// One request and its response on a connection that nothing else uses.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    target: &Target,
    request: &HttpRequest,
    limits: &HttpLimits,
) -> Result<HttpResponse, HttpError> {
    let host = || target.host.clone();
    let failed = |source| HttpError::Exchange { host: host(), source };
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEADER_OCTETS_MAX)
        .max_headers(HEADER_FIELDS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let request = message(target, request)?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, limits.body_octets_max).collect().await.map_err(|error| {
            match error.downcast::<hyper::Error>() {
                Ok(source) => failed(*source),
                Err(error) => {
                    debug_assert!(error.is::<LengthLimitError>(), "{error}");
                    HttpError::TooLarge { host: host(), octets_max: limits.body_octets_max }
                }
            }
        })?;
        let body = body.to_bytes().to_vec();
        Ok(HttpResponse { status: parts.status, headers: parts.headers, body })
    };
    tokio::pin!(answered, connection);
    // The connection is driven here rather than in a task: it ends when the answer is there.
    let mut connected = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut answered => return answer,
            // Its error, if any, reaches the request, too.
            _ = &mut connection, if connected => connected = false,
        }
    }
}

fn message(
    target: &Target,
    request: &HttpRequest,
) -> Result<http::Request<Full<Bytes>>, HttpError> {
    let path = target.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut message = http::Request::new(Full::new(Bytes::from(request.body.clone())));
    let bad = |why: String| HttpError::Url { url: request.url.clone(), why };
    *message.uri_mut() =
        path.parse().map_err(|error: http::uri::InvalidUri| bad(error.to_string()))?;
    message.method_mut().clone_from(&request.method);
    let headers = message.headers_mut();
    headers.clone_from(&request.headers);
    let authority = target.uri.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(authority).map_err(|error| bad(error.to_string()))?;
    headers.insert(HOST, host);
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, HeaderValue::from_static("restante"));
    }
    if !request.body.is_empty() || !matches!(request.method, Method::GET | Method::HEAD) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
    }
    Ok(message)
}
