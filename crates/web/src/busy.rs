//! Whether a connection has anything under way. hyper ends one that is silent between requests of
//! HTTP/1.1; over HTTP/2 neither one that never sends its preface nor one that only answers pings.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

/// Of one connection.
pub struct Busy {
    now: Mutex<Now>,
}

struct Now {
    /// Requests that are not answered, and answers that are not handed over whole.
    under_way: usize,
    has_asked: bool,
    /// The last of them ended, or the connection began.
    since: Instant,
}

impl Busy {
    pub fn new() -> Self {
        let now = Now { under_way: 0, has_asked: false, since: Instant::now() };
        Self { now: Mutex::new(now) }
    }

    /// A request begins; it is under way until what this returns is dropped.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        let mut now = self.now();
        now.under_way += 1;
        now.has_asked = true;
        drop(now);
        UnderWay(Arc::clone(self))
    }

    /// Whether it ever asked anything.
    pub fn has_asked(&self) -> bool {
        self.now().has_asked
    }

    /// Ends when nothing has been under way for so long.
    pub async fn idle(&self, at_most: Duration) {
        loop {
            let (under_way, since) = {
                let now = self.now();
                (now.under_way, now.since)
            };
            let now = Instant::now();
            let over = since + at_most;
            match under_way {
                0 if over <= now => return,
                0 => sleep_until(over).await,
                // Looked at again: whatever ends meanwhile is idle from then on.
                _ => sleep_until(now + at_most).await,
            }
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is under way.
pub struct UnderWay(Arc<Busy>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut now = self.0.now();
        now.under_way -= 1;
        now.since = Instant::now();
    }
}

/// Why an answer is broken off.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer, whose request is under way until it is handed over.
pub struct Watched {
    body: UnsyncBoxBody<Bytes, BoxError>,
    _under_way: UnderWay,
}

impl Watched {
    pub fn new<B>(body: B, under_way: UnderWay) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self { body: body.map_err(Into::into).boxed_unsync(), _under_way: under_way }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
