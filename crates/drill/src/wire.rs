//! The client's side of one SMTP connection: just enough to load a server and to read its replies.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets; a reply of many lines more.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Why a connection could not go on.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection was refused, reset or could not be read.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
    /// The server closed it.
    #[error("closed by the server")]
    Closed,
    /// No reply in time.
    #[error("no reply in time")]
    Late,
    /// The server said something that is no reply, or one longer than any reply.
    #[error("not an SMTP reply: {0:?}")]
    NotAReply(String),
    /// The server refused to start at all.
    #[error("refused: {0}")]
    Refused(String),
}

/// Name and password of an account.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The account's address.
    pub user: String,
    /// Its password.
    pub password: String,
}

pub(crate) struct Wire {
    stream: TcpStream,
    incoming: Vec<u8>,
    start: usize,
    reply_text: String,
    reply_wait: Duration,
    pub(crate) pipelining: bool,
}

impl Wire {
    /// Connects, reads the greeting, says EHLO and signs in.
    pub(crate) async fn open(
        server: SocketAddr,
        sign_in: Option<&SignIn>,
        reply_wait: Duration,
    ) -> Result<Self, WireError> {
        let connecting = tokio::time::timeout(reply_wait, TcpStream::connect(server));
        let stream = connecting.await.map_err(|_| WireError::Late)??;
        stream.set_nodelay(true)?;
        let mut wire = Self {
            stream,
            incoming: Vec::with_capacity(4096),
            start: 0,
            reply_text: String::new(),
            reply_wait,
            pipelining: false,
        };
        wire.expect(220).await?;
        wire.write(b"EHLO load.invalid\r\n").await?;
        wire.expect(250).await?;
        wire.pipelining =
            wire.reply_text.lines().any(|line| line.eq_ignore_ascii_case("PIPELINING"));
        if let Some(SignIn { user, password }) = sign_in {
            // RFC 4616 §2: authorization identity (empty), NUL, name, NUL, password.
            let plain = base64(format!("\0{user}\0{password}").as_bytes());
            wire.write(format!("AUTH PLAIN {plain}\r\n").as_bytes()).await?;
            wire.expect(235).await?;
        }
        Ok(wire)
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// The next reply's code; its lines are in [`Self::text`].
    pub(crate) async fn reply(&mut self) -> Result<u16, WireError> {
        self.reply_text.clear();
        loop {
            while let Some(end) = self.incoming[self.start..].iter().position(|&b| b == b'\n') {
                let line = &self.incoming[self.start..self.start + end];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let (code, more) = parse_line(line)?;
                if !self.reply_text.is_empty() {
                    self.reply_text.push('\n');
                }
                self.reply_text.push_str(&String::from_utf8_lossy(line.get(4..).unwrap_or(b"")));
                self.start += end + 1;
                if !more {
                    return Ok(code);
                }
            }
            self.fill().await?;
        }
    }

    /// The texts of the last reply's lines, without their codes.
    pub(crate) fn text(&self) -> &str {
        &self.reply_text
    }

    async fn expect(&mut self, wanted: u16) -> Result<(), WireError> {
        match self.reply().await? {
            code if code == wanted => Ok(()),
            code => Err(WireError::Refused(format!("{code} {}", self.reply_text))),
        }
    }

    async fn fill(&mut self) -> Result<(), WireError> {
        self.incoming.drain(..self.start);
        self.start = 0;
        if self.incoming.len() > REPLY_BYTES_MAX {
            return Err(WireError::NotAReply("a line without end".to_owned()));
        }
        let reading =
            tokio::time::timeout(self.reply_wait, self.stream.read_buf(&mut self.incoming));
        match reading.await.map_err(|_| WireError::Late)?? {
            0 => Err(WireError::Closed),
            _ => Ok(()),
        }
    }
}

/// RFC 5321 §4.2: three digits, then "-" where lines follow, SP or nothing on the last one.
fn parse_line(line: &[u8]) -> Result<(u16, bool), WireError> {
    let code = line.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
    let code = code.and_then(|digits| digits.parse::<u16>().ok());
    match (code, line.get(3)) {
        (Some(code), Some(b'-')) => Ok((code, true)),
        (Some(code), Some(b' ') | None) => Ok((code, false)),
        _ => Err(WireError::NotAReply(String::from_utf8_lossy(line).into_owned())),
    }
}

/// RFC 4648 §4: the text of these bytes, with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, &byte| group << 8 | u32::from(byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
