//! A request with what is known of who sent it.

use std::net::IpAddr;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HOST, HeaderName};
use hyper::{Request, StatusCode};
use mail_types::TlsFacts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::Problem;

/// What a request may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For its header to come, and for the next request.
    pub header_wait: Duration,
    /// For its body to come.
    pub body_wait: Duration,
    /// Bytes of its header.
    pub header_bytes_max: usize,
    /// Requests under way in one HTTP/2 connection.
    pub streams_max: u32,
    /// Bytes of a message.
    pub message_bytes_max: u64,
    /// Recipients of a message.
    pub recipients_max: usize,
}

/// A request whose body has not been read.
pub struct Asked {
    request: Request<()>,
    body: Option<Incoming>,
    /// Who sent it.
    pub peer: IpAddr,
    /// Over what; none in clear.
    pub tls: Option<TlsFacts>,
}

/// A body, and its place among those held in memory.
pub struct Body {
    /// Its bytes.
    pub bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Bytes that one permit of the room for bodies stands for.
pub const ROOM_UNIT_BYTES: usize = 1024;

/// What is read of a body that nobody wants.
const PASSED_OVER_BYTES_MAX: usize = 1 << 20;
const PASS_OVER_WAIT: Duration = Duration::from_secs(5);

impl Asked {
    pub(crate) fn new(request: Request<Incoming>, peer: IpAddr, tls: Option<TlsFacts>) -> Self {
        let (head, body) = request.into_parts();
        Self { request: Request::from_parts(head, ()), body: Some(body), peer, tls }
    }

    /// Reads what was not read of a body and is not large, so that a client that is still sending
    /// it hears the answer: to drop it resets the HTTP/2 stream, or the connection (RFC 9112 §9.6).
    pub(crate) async fn pass_over_body(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        let mut left = PASSED_OVER_BYTES_MAX;
        // Frame by frame: nothing of it is held, since no room was asked for it.
        let pass_over = async {
            while let Some(Ok(frame)) = body.frame().await {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match left.checked_sub(bytes) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        // Whatever comes of it, the answer is sent.
        timeout(PASS_OVER_WAIT, pass_over).await.ok();
    }

    /// Its method.
    #[must_use]
    pub fn method(&self) -> &hyper::Method {
        self.request.method()
    }

    /// Its path, as sent.
    #[must_use]
    pub fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// What stands behind `?`.
    #[must_use]
    pub fn query(&self) -> &str {
        self.request.uri().query().unwrap_or_default()
    }

    /// The host that was asked, in lower case without port (RFC 9110 §7.2).
    #[must_use]
    pub fn host(&self) -> String {
        let host = match self.request.uri().host() {
            Some(host) => host,
            None => self.header(&HOST).unwrap_or_default(),
        };
        let host = host
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
            .map_or(host, |(host, _)| host);
        host.to_ascii_lowercase()
    }

    /// The host that was asked, with its port where it has one (RFC 9110 §7.2).
    #[must_use]
    pub fn authority(&self) -> &str {
        match self.request.uri().authority() {
            Some(authority) => authority.as_str(),
            None => self.header(&HOST).unwrap_or_default(),
        }
    }

    /// A field's first value, where it is text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// All values of a field that are text.
    pub fn headers(&self, name: &HeaderName) -> impl Iterator<Item = &str> {
        self.request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// Reads its body, of at most so many bytes, and within the time for it.
    ///
    /// # Errors
    /// 413, 408, 503 where the bodies under way take all there is, 400 where it breaks off.
    pub async fn body(
        &mut self,
        bytes_max: usize,
        limits: &Limits,
        room: &std::sync::Arc<Semaphore>,
    ) -> Result<Body, Problem> {
        let too_large = || {
            let detail = format!("A request to here has a body of at most {bytes_max} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        };
        // What it says of its size is taken at its word, and it is held to it; without a word it
        // may be as large as any.
        let Some(body) = self.body.take() else {
            return Err(Problem::bad_request("The body was read already"));
        };
        let announced = hyper::body::Body::size_hint(&body).exact();
        let size = match announced {
            Some(size) if size > bytes_max as u64 => return Err(too_large()),
            Some(size) => usize::try_from(size).unwrap_or(bytes_max),
            None => bytes_max,
        };
        let units = u32::try_from(size / ROOM_UNIT_BYTES + 1).unwrap_or(u32::MAX);
        let permit = std::sync::Arc::clone(room).try_acquire_many_owned(units);
        let permit = permit
            .map_err(|_| Problem::unavailable("Too many requests are under way; try again"))?;
        let limited = Limited::new(body, bytes_max);
        match timeout(limits.body_wait, limited.collect()).await {
            Ok(Ok(whole)) => Ok(Body { bytes: whole.to_bytes(), _room: permit }),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(error)) => Err(Problem::bad_request(format!("The body broke off: {error}"))),
            Err(_) => {
                let detail = "The body took too long to come";
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
            }
        }
    }
}
