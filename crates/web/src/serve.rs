use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mail_types::TlsFacts;
use net::{Link, Stop, Wire};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::asked::ROOM_UNIT_BYTES;
use crate::busy::{Busy, Watched};
use crate::{Api, Asked, Console, Health, Limits, PageSource, router};

/// What every connection shares.
pub struct Shared {
    /// What requests may cost.
    pub limits: Limits,
    /// Asked one after the other for a page.
    pub pages: Vec<PageSource>,
    /// What those who start, balance and watch servers ask.
    pub health: Option<Arc<dyn Health>>,
    /// What is below `/api/v1/`; none where pages are all that is served.
    pub api: Option<Arc<Api>>,
    /// What operators have; none where there is no console.
    pub console: Option<Arc<Console>>,
    /// What bodies of requests may take together, in KiB.
    pub room: Arc<Semaphore>,
}

impl Shared {
    /// Room for bodies of so many bytes together.
    #[must_use]
    pub fn room(bytes: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new((bytes / ROOM_UNIT_BYTES).min(Semaphore::MAX_PERMITS)))
    }
}

/// What a connection over a limit is told before it is closed, where it is in clear.
pub const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// RFC 9113 §3.2.
const HTTP_2: &[u8] = b"h2";
/// RFC 9113 §4.2: the least that a peer takes as a frame, and enough.
const FRAME_BYTES_MAX: u32 = 16_384;

/// Serves one connection to its end.
pub async fn serve(shared: Arc<Shared>, link: Link, stop: Stop) {
    let peer = link.peer();
    let ends = Ends {
        idle: shared.limits.header_wait,
        write_stall: link.limits.write_stall,
        grace: link.limits.grace,
    };
    let wire = match link.into_wire().await {
        Ok(wire) => wire,
        Err(error) => {
            tracing::debug!(%peer, %error, "no TLS stands");
            return;
        }
    };
    let served = if wire.protocol.as_deref() == Some(HTTP_2) {
        serve_http2(&shared, wire, stop, ends).await
    } else {
        serve_http1(&shared, wire, stop, ends).await
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "an HTTP connection ended early");
    }
}

/// Runs a connection; when the server stops, what is under way may end within its grace, and one that
/// asks nothing is ended.
macro_rules! run {
    ($connection:ident, $stop:ident, $ends:ident, $busy:ident) => {{
        tokio::pin!($connection);
        let grace = tokio::select! {
            ended = &mut $connection => return ended,
            () = $stop.requested() => $ends.grace,
            () = $busy.idle($ends.idle) => {
                // Behind the preface of HTTP/2 alone can it end by itself.
                if !$busy.has_asked() {
                    return Ok(());
                }
                $ends.write_stall
            }
        };
        $connection.as_mut().graceful_shutdown();
        timeout(grace, $connection).await.unwrap_or(Ok(()))
    }};
}

/// When a connection is ended.
#[derive(Clone, Copy)]
struct Ends {
    /// It asks nothing for so long.
    idle: Duration,
    /// It takes nothing of what it asked for.
    write_stall: Duration,
    /// Since the server stops.
    grace: Duration,
}

async fn serve_http1(
    shared: &Arc<Shared>,
    wire: Wire,
    mut stop: Stop,
    ends: Ends,
) -> hyper::Result<()> {
    let busy = Arc::new(Busy::new());
    let answers = answers(Arc::clone(shared), Arc::clone(&busy), wire.peer.ip, wire.tls.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.header_wait)
        .max_buf_size(shared.limits.header_bytes_max)
        .serve_connection(TokioIo::new(wire), answers);
    run!(connection, stop, ends, busy)
}

async fn serve_http2(
    shared: &Arc<Shared>,
    wire: Wire,
    mut stop: Stop,
    ends: Ends,
) -> hyper::Result<()> {
    let busy = Arc::new(Busy::new());
    let answers = answers(Arc::clone(shared), Arc::clone(&busy), wire.peer.ip, wire.tls.clone());
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(shared.limits.header_wait)
        .keep_alive_timeout(shared.limits.header_wait)
        .max_concurrent_streams(shared.limits.streams_max)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(u32::try_from(shared.limits.header_bytes_max).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(wire), answers);
    run!(connection, stop, ends, busy)
}

fn answers(
    shared: Arc<Shared>,
    busy: Arc<Busy>,
    peer: IpAddr,
    tls: Option<TlsFacts>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = Response<Watched>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Watched>, Infallible>> + Send + 'static,
> {
    service_fn(move |request: Request<Incoming>| {
        let (shared, tls, under_way) = (Arc::clone(&shared), tls.clone(), busy.begin());
        async move {
            let head = request.method() == hyper::Method::HEAD;
            let mut reply = router::answer(&shared, Asked::new(request, peer, tls)).await;
            if head {
                // hyper leaves the body of an answer to HEAD out, and keeps what is said of it.
                let length = hyper::body::Body::size_hint(reply.body()).lower();
                reply.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            }
            Ok(reply.map(|body| Watched::new(body, under_way)))
        }
    })
}
