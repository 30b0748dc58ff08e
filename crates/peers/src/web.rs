use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Certified;

/// Octets of a request that are read.
const REQUEST_OCTETS_MAX: usize = 4 << 20;

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Such as GET.
    pub method: String,
    /// Its Host field.
    pub host: String,
    /// Its target.
    pub path: String,
    /// Its header lines, as they came.
    pub headers: Vec<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// An HTTP server on loopback, over TLS where it has a certificate, that answers with pages a test
/// gives it (404 else), whatever the method. Each connection is closed after one answer.
#[derive(Debug)]
pub struct Web {
    addr: SocketAddr,
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
    asked: watch::Receiver<Vec<Asked>>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Debug)]
struct Page {
    status: u16,
    media_type: String,
    body: Vec<u8>,
}

impl Web {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn start(certified: Option<&Certified>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let pages: Arc<Mutex<BTreeMap<String, Page>>> = Arc::default();
        let (sender, asked) = watch::channel(Vec::new());
        let acceptor = certified.map(Certified::acceptor);
        let (sender, shared) = (Arc::new(sender), Arc::clone(&pages));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (pages, sender) = (Arc::clone(&shared), Arc::clone(&sender));
                match acceptor.clone() {
                    None => drop(tokio::spawn(async move { serve(stream, &pages, &sender).await })),
                    Some(acceptor) => drop(tokio::spawn(async move {
                        // A client that does not believe the certificate ends here.
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, &pages, &sender).await;
                        }
                    })),
                }
            }
        });
        Self { addr, pages, asked, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers so at a path from now on, whatever the host.
    pub fn page(&self, path: &str, status: u16, media_type: &str, body: &str) -> &Self {
        let page = Page { status, media_type: media_type.to_owned(), body: body.into() };
        self.pages.lock().unwrap().insert(path.to_owned(), page);
        self
    }

    /// Answers 404 there from now on.
    pub fn remove(&self, path: &str) -> &Self {
        self.pages.lock().unwrap().remove(path);
        self
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Waits until this was asked.
    ///
    /// # Panics
    /// Where it was not after `limit`.
    pub async fn wait_for(&self, limit: Duration, wanted: impl Fn(&[Asked]) -> bool) -> Vec<Asked> {
        let mut asked = self.asked.clone();
        let reached = tokio::time::timeout(limit, asked.wait_for(|asked| wanted(asked))).await;
        match reached {
            Ok(reached) => reached.unwrap().clone(),
            Err(_) => panic!("nobody asked so: {:#?}", self.asked()),
        }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    pages: &Mutex<BTreeMap<String, Page>>,
    sender: &watch::Sender<Vec<Asked>>,
) {
    let Some(asked) = read(&mut stream).await else { return };
    let page = pages.lock().unwrap().get(&asked.path).cloned().unwrap_or(Page {
        status: 404,
        media_type: "text/plain".to_owned(),
        body: b"nothing here\n".to_vec(),
    });
    sender.send_modify(|all| all.push(asked));
    let head = format!(
        "HTTP/1.1 {} X\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.status,
        page.media_type,
        page.body.len()
    );
    let whole = [head.as_bytes(), &page.body].concat();
    // A client that is gone is its own affair.
    stream.write_all(&whole).await.ok();
    stream.shutdown().await.ok();
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let octets = stream.read(&mut buffer).await.ok()?;
        bytes.extend_from_slice(&buffer[..octets]);
        if let Some(asked) = parse(&bytes) {
            return Some(asked);
        }
        if octets == 0 || bytes.len() > REQUEST_OCTETS_MAX {
            return None;
        }
    }
}

/// The request, once it is whole.
fn parse(bytes: &[u8]) -> Option<Asked> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<String> = lines.map(str::to_owned).collect();
    let field = |name: &str| {
        headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length = field("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
    let host = field("host").unwrap_or_default();
    Some(Asked { method, host, path, headers, body })
}
