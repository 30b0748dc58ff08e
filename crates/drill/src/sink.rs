//! An SMTP server on a thread of its own that takes everything and counts the tokens it saw.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::token::Token;

/// Where in a message the token is looked for.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// A message larger than this is not for a sink of drills.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
const END_OF_DATA: &[u8] = b"\r\n.\r\n";

/// A running sink; it stops when dropped.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    messages: AtomicU64,
    foreign: AtomicU64,
    tokens: Mutex<HashMap<(String, Token), u32>>,
}

impl Sink {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// When no port or thread is to be had.
    pub fn start() -> std::io::Result<Self> {
        Self::listening("127.0.0.1")
    }

    /// Listens on a free port of every address of this machine, all of loopback included; its
    /// address has the port.
    ///
    /// # Errors
    /// When no port or thread is to be had.
    pub fn start_everywhere() -> std::io::Result<Self> {
        Self::listening("0.0.0.0")
    }

    fn listening(ip: &str) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind((ip, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("sink".to_owned()).spawn(move || {
            runtime.block_on(async {
                let accepting = async {
                    let Ok(listener) = TcpListener::from_std(listener) else { return };
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(receive(stream, Arc::clone(&seen)));
                    }
                };
                tokio::select! { () = accepting => (), _ = stopped => () }
            });
        })?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Messages taken so far.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.shared.messages.load(Ordering::Relaxed)
    }

    /// How often each (recipient, token) was taken.
    #[must_use]
    pub fn tokens(&self) -> HashMap<(String, Token), u32> {
        self.shared.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has taken this many messages; whether it has, within the time.
    #[must_use]
    pub fn wait_for(&self, messages: u64, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.messages() < messages {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may already have ended; then nobody needs to be told.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn receive(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut session = Session { shared, recipients: Vec::new(), in_data: false, scanned: 0 };
    let mut incoming = Vec::with_capacity(64 * 1024);
    let mut out = b"220 sink.invalid ESMTP\r\n".to_vec();
    loop {
        if stream.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
        match stream.read_buf(&mut incoming).await {
            Ok(0) | Err(_) => return,
            Ok(_) if incoming.len() > MESSAGE_BYTES_MAX => return,
            Ok(_) => {
                let used = session.take(&incoming, &mut out);
                incoming.drain(..used);
            }
        }
    }
}

struct Session {
    shared: Arc<Shared>,
    recipients: Vec<String>,
    in_data: bool,
    scanned: usize,
}

impl Session {
    /// Answers all whole commands and messages; how many bytes they had.
    fn take(&mut self, incoming: &[u8], out: &mut Vec<u8>) -> usize {
        let mut used = 0;
        loop {
            let rest = &incoming[used..];
            let taken =
                if self.in_data { self.message(rest, out) } else { self.command(rest, out) };
            match taken {
                Some(bytes) => used += bytes,
                None => return used,
            }
        }
    }

    fn command(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        let line = String::from_utf8_lossy(&rest[..end]);
        let line = line.trim_end();
        let reply: &[u8] = match line.get(..4).unwrap_or(line).to_ascii_uppercase().as_str() {
            "EHLO" => b"250-sink.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                self.recipients.push(address.to_owned());
                b"250 2.1.5 ok\r\n"
            }
            "DATA" if self.recipients.is_empty() => b"503 5.5.1 no recipients\r\n",
            "DATA" => {
                self.in_data = true;
                self.scanned = 0;
                b"354 go on\r\n"
            }
            "RSET" | "MAIL" => {
                self.recipients.clear();
                b"250 2.0.0 ok\r\n"
            }
            "HELO" | "NOOP" => b"250 2.0.0 ok\r\n",
            "QUIT" => b"221 2.0.0 bye\r\n",
            _ => b"500 5.5.2 unknown\r\n",
        };
        out.extend_from_slice(reply);
        Some(end + 1)
    }

    fn message(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        // The end may lie across two reads: look again at the last four bytes.
        let from = self.scanned.saturating_sub(END_OF_DATA.len() - 1);
        let Some(end) = find(&rest[from..], END_OF_DATA) else {
            self.scanned = rest.len();
            return None;
        };
        let end = from + end + END_OF_DATA.len();
        let number = self.shared.messages.fetch_add(1, Ordering::Relaxed) + 1;
        match Token::find_in(&rest[..end.min(HEADER_BYTES_MAX)]) {
            Some(token) => {
                // Counted before the reply: a lost reply must show as a copy.
                let mut tokens = self.shared.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                for recipient in self.recipients.drain(..) {
                    *tokens.entry((recipient, token)).or_default() += 1;
                }
            }
            None => {
                self.shared.foreign.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.recipients.clear();
        self.in_data = false;
        out.extend_from_slice(format!("250 2.0.0 sunk {number}\r\n").as_bytes());
        Some(end)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    let mut start = 0;
    // Leap from CR to CR: much cheaper than comparing windows in an unoptimised build.
    while let Some(place) = text[start..].iter().position(|&byte| byte == what[0]) {
        let place = start + place;
        if text[place..].starts_with(what) {
            return Some(place);
        }
        start = place + 1;
    }
    None
}
