//! The body of an answer: whole, or made while it is sent, so that it may be larger than memory.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

/// Octets sent at once.
const CHUNK_BYTES: usize = 32 << 10;
/// Chunks that wait to be sent.
const CHUNKS_MAX: usize = 4;
/// How long a chunk may wait: whoever takes none is not there any more.
const SEND_WAIT: Duration = Duration::from_secs(120);

/// Makes a body; blocks. Why it could not be made whole, in words: the answer is broken off then.
pub type Maker = Box<dyn FnOnce(&mut dyn Write) -> Result<(), String> + Send>;

/// The body of an answer.
#[derive(Debug)]
pub enum Content {
    /// All of it.
    Whole(Full<Bytes>),
    /// As it is made.
    Made {
        /// What was made before the answer began.
        first: Option<Bytes>,
        /// What comes.
        rest: Receiver<Result<Bytes, Broken>>,
    },
}

/// An answer that could not be made whole.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be made whole: {0}")]
pub struct Broken(pub String);

impl Content {
    /// Begins to make one, and waits for its first octets.
    ///
    /// # Errors
    /// Where it cannot be made at all.
    pub async fn made(maker: Maker) -> Result<Self, Broken> {
        let (sender, mut rest) = channel(CHUNKS_MAX);
        tokio::task::spawn_blocking(move || {
            let mut pipe = Pipe { sender, chunk: Vec::with_capacity(CHUNK_BYTES) };
            let made = maker(&mut pipe).and_then(|()| pipe.flush().map_err(|e| e.to_string()));
            if let Err(why) = made {
                tracing::warn!(%why, "an answer was broken off");
                // Whoever was to have it may be gone, which is why.
                pipe.send(Err(Broken(why))).ok();
            }
        });
        match rest.recv().await {
            Some(Err(broken)) => Err(broken),
            Some(Ok(first)) => Ok(Self::Made { first: Some(first), rest }),
            None => Ok(Self::Made { first: None, rest }),
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(whole) => {
                Pin::new(whole).poll_frame(context).map_err(|never| match never {})
            }
            Self::Made { first, rest } => match first.take() {
                Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
                None => rest.poll_recv(context).map(|made| made.map(|made| made.map(Frame::data))),
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Made { .. } => SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Made { .. } => false,
        }
    }
}

/// Where it is written to, on a thread that may wait.
struct Pipe {
    sender: Sender<Result<Bytes, Broken>>,
    chunk: Vec<u8>,
}

impl Pipe {
    fn send(&self, chunk: Result<Bytes, Broken>) -> io::Result<()> {
        let sent = Handle::current().block_on(timeout(SEND_WAIT, self.sender.send(chunk)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES - self.chunk.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.chunk.extend_from_slice(taken);
        if self.chunk.len() == CHUNK_BYTES {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        self.send(Ok(chunk.into()))
    }
}
