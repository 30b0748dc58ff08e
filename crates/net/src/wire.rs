//! A connection for a library that speaks its protocol itself: HTTP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use mail_types::TlsFacts;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::Stream;
use crate::{Link, Peer};

/// The bytes of a connection, behind its TLS handshake where there is one. Waits are its user's to
/// limit.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    /// The other side.
    pub peer: Peer,
    /// Of the handshake; none in clear.
    pub tls: Option<TlsFacts>,
    /// What ALPN settled on (RFC 7301); none where nothing was offered.
    pub protocol: Option<Vec<u8>>,
}

impl Link {
    /// Does the handshake where it comes first, and hands the connection over.
    ///
    /// # Errors
    /// The handshake's; [`io::ErrorKind::TimedOut`] where it takes longer than the link's limit.
    pub async fn into_wire(mut self) -> io::Result<Wire> {
        let tls = if self.begins_with_tls() { Some(self.start_tls().await?) } else { None };
        let peer = self.peer();
        let stream = self.into_stream();
        let protocol = match &stream {
            Stream::Tls(stream) => stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec),
            Stream::Plain(_) | Stream::Unix(_) | Stream::Gone => None,
        };
        Ok(Wire { stream, peer, tls, protocol })
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Gone => Poll::Ready(Ok(())),
        }
    }
}
