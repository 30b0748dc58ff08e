//! Many programs that wait in IDLE: what each costs in memory, and how soon they hear of mail.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use drill::latency::Latency;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsConnector;

use super::{BenchError, Figure, Goal, Host, Results, WAITING};
use crate::bench::target::Target;

/// Connections that are being opened at a time.
const OPENING: usize = 32;
/// What a connection's reader holds here.
const READER_BYTES: usize = 512;
/// Messages that are delivered, one after the other.
const DELIVERIES: usize = 200;
const PUSH_WAIT: Duration = Duration::from_secs(30);
const OPEN_WAIT: Duration = Duration::from_secs(300);

/// A thousand and five thousand of them, in plain and over TLS.
pub(super) fn measure(
    host: &mut Host,
    quick: bool,
    results: &mut Results,
) -> Result<(), BenchError> {
    let scale = if quick { 10 } else { 1 };
    for count in [1_000 / scale, 5_000 / scale] {
        for tls in [false, true] {
            let address = if tls { host.target.imaps } else { Some(host.target.imap) };
            if let Some(address) = address {
                // So that nothing of earlier connections is left to be used again.
                host.restart()?;
                waiting(host, address, count, tls, results)?;
            }
        }
    }
    Ok(())
}

fn waiting(
    host: &Host,
    address: SocketAddr,
    count: usize,
    tls: bool,
    results: &mut Results,
) -> Result<(), BenchError> {
    // The first sign-in of each account is dear in time and memory, which is another figure.
    for account in WAITING {
        host.connect(account)?;
    }
    let before = host.settled_memory_kib();
    let crowd = Crowd::gather(&host.target, address, count, tls)?;
    let each = host.settled_memory_kib().saturating_sub(before) as f64 / count as f64;
    let how = if tls { "TLS" } else { "plain" };
    let goal = Goal::AtMost(if tls { 40.0 } else { 16.0 });
    let figure = Figure::new(format!("{count} in IDLE, {how}: memory of each"), "KiB");
    results.push(figure.value(each).goal(goal));

    let mut post = Post::open(&host.target)?;
    let mut latency = Latency::default();
    let (wall, cpu, pushes) = host.timed(|| {
        let mut pushes = 0;
        for delivery in 0..DELIVERIES {
            pushes += crowd.deliver(&mut post, &host.target, delivery, &mut latency)?;
        }
        Ok(pushes)
    })?;
    let note = format!("{:.0} pushes/s, from the final dot", pushes as f64 / wall * 1_000.0);
    for (share, name) in [(0.5, "median"), (0.99, "p99")] {
        let figure = Figure::new(format!("{count} in IDLE, {how}: to the push, {name}"), "ms");
        let millis = latency.percentile(share).as_secs_f64() * 1_000.0;
        results.push(figure.value(millis).cpu(cpu / pushes as f64).note(note.clone()));
    }
    Ok(())
}

/// Clients that wait, on a thread of their own.
struct Crowd {
    /// (index of the account, when its EXISTS came)
    pushes: Receiver<(usize, Instant)>,
    of_account: Vec<usize>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Crowd {
    fn gather(
        target: &Target,
        address: SocketAddr,
        count: usize,
        tls: bool,
    ) -> Result<Self, BenchError> {
        let accounts: Vec<String> = target.accounts[WAITING].to_vec();
        let mut of_account = vec![0; accounts.len()];
        (0..count).for_each(|place| of_account[place % accounts.len()] += 1);
        let (pushed, pushes) = channel();
        let (opened, openings) = channel();
        let (end, ended) = oneshot::channel();
        let password = target.password.clone();
        let connector = tls.then(connector).transpose()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(BenchError::io("making a runtime"))?;
        let thread = std::thread::spawn(move || {
            let gate = Arc::new(Semaphore::new(OPENING));
            for place in 0..count {
                let account = place % accounts.len();
                let client = Client {
                    address,
                    connector: connector.clone(),
                    sign_in: format!("a LOGIN \"{}\" \"{password}\"\r\n", accounts[account]),
                    account,
                    gate: Arc::clone(&gate),
                    pushed: pushed.clone(),
                };
                let opened = opened.clone();
                runtime.spawn(async move {
                    let went = client.wait(&opened).await;
                    // Where nobody listens any more, the measuring is over.
                    opened.send(went.map_or_else(|error| Err(error.to_string()), |()| Ok(()))).ok();
                });
            }
            runtime.block_on(ended).ok();
        });
        let crowd = Self { pushes, of_account, end: Some(end), thread: Some(thread) };
        for _ in 0..count {
            match openings.recv_timeout(OPEN_WAIT) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(BenchError::Peer(format!("to IDLE: {error}"))),
                Err(_) => return Err(BenchError::NotDelivered),
            }
        }
        Ok(crowd)
    }

    /// Delivers one message and waits until all who wait for it have heard; how many they were.
    fn deliver(
        &self,
        post: &mut Post,
        target: &Target,
        delivery: usize,
        latency: &mut Latency,
    ) -> Result<usize, BenchError> {
        let account = delivery % self.of_account.len();
        let sent = post.deliver(&target.accounts[WAITING.start + account], delivery)?;
        for _ in 0..self.of_account[account] {
            let push = self.pushes.recv_timeout(PUSH_WAIT);
            let (_, at) = push.map_err(|_| BenchError::NotDelivered)?;
            latency.record(at.saturating_duration_since(sent));
        }
        Ok(self.of_account[account])
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // What the thread had to say was said through the channels.
            thread.join().ok();
        }
    }
}

struct Client {
    address: SocketAddr,
    connector: Option<TlsConnector>,
    sign_in: String,
    account: usize,
    gate: Arc<Semaphore>,
    pushed: Sender<(usize, Instant)>,
}

impl Client {
    /// Signs in, selects, idles; says so; and then tells of every EXISTS.
    async fn wait(&self, opened: &Sender<Result<(), String>>) -> std::io::Result<()> {
        let permit = self.gate.acquire().await.map_err(std::io::Error::other)?;
        let stream = tokio::net::TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        match &self.connector {
            None => self.talk(stream, opened, permit).await,
            Some(connector) => {
                let name = ServerName::from(self.address.ip());
                let stream = connector.connect(name, stream).await?;
                self.talk(stream, opened, permit).await
            }
        }
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        opened: &Sender<Result<(), String>>,
        permit: tokio::sync::SemaphorePermit<'_>,
    ) -> std::io::Result<()> {
        let mut reader = tokio::io::BufReader::with_capacity(READER_BYTES, stream);
        let mut line = Vec::with_capacity(READER_BYTES);
        next_line(&mut reader, &mut line).await?;
        for (command, answer) in [
            (self.sign_in.as_str(), &b"a OK"[..]),
            ("b SELECT INBOX\r\n", b"b OK"),
            ("c IDLE\r\n", b"+"),
        ] {
            reader.get_mut().write_all(command.as_bytes()).await?;
            reader.get_mut().flush().await?;
            loop {
                next_line(&mut reader, &mut line).await?;
                if line.starts_with(answer) {
                    break;
                }
                if !line.starts_with(b"* ") {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    return Err(std::io::Error::other(line));
                }
            }
        }
        drop(permit);
        opened.send(Ok(())).ok();
        loop {
            next_line(&mut reader, &mut line).await?;
            if line.ends_with(b" EXISTS\r\n") {
                self.pushed.send((self.account, Instant::now())).ok();
            }
        }
    }
}

async fn next_line<R: tokio::io::AsyncBufRead + Unpin>(
    reader: &mut R,
    line: &mut Vec<u8>,
) -> std::io::Result<()> {
    line.clear();
    match reader.read_until(b'\n', line).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// One connection that brings mail, by SMTP or LMTP (RFC 2033).
struct Post {
    reader: BufReader<TcpStream>,
}

impl Post {
    fn open(target: &Target) -> Result<Self, BenchError> {
        let stream =
            TcpStream::connect(target.smtp).map_err(BenchError::io("connecting for delivery"))?;
        stream.set_nodelay(true).map_err(BenchError::io("connecting for delivery"))?;
        stream
            .set_read_timeout(Some(PUSH_WAIT))
            .map_err(BenchError::io("connecting for delivery"))?;
        let mut post = Self { reader: BufReader::new(stream) };
        post.reply()?;
        post.say(if target.is_lmtp { "LHLO bench.test\r\n" } else { "EHLO bench.test\r\n" })?;
        Ok(post)
    }

    /// When the final dot had been written.
    fn deliver(&mut self, recipient: &str, number: usize) -> Result<Instant, BenchError> {
        self.say("MAIL FROM:<bench@load.invalid>\r\n")?;
        self.say(&format!("RCPT TO:<{recipient}>\r\n"))?;
        self.say("DATA\r\n")?;
        let message = format!(
            "From: <bench@load.invalid>\r\nTo: <{recipient}>\r\nSubject: push {number}\r\n\r\n\
             {}\r\n.\r\n",
            "A short message that is waited for.\r\n".repeat(50)
        );
        self.write(&message)?;
        let sent = Instant::now();
        self.reply()?;
        Ok(sent)
    }

    fn say(&mut self, line: &str) -> Result<(), BenchError> {
        self.write(line)?;
        self.reply()
    }

    fn write(&mut self, text: &str) -> Result<(), BenchError> {
        self.reader.get_mut().write_all(text.as_bytes()).map_err(BenchError::io("delivering"))
    }

    fn reply(&mut self) -> Result<(), BenchError> {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).map_err(BenchError::io("delivering"))?;
            if !line.starts_with(['2', '3']) {
                return Err(BenchError::Peer(format!("delivering: {}", line.trim_end())));
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}

fn connector() -> Result<TlsConnector, BenchError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| BenchError::Peer(format!("TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The server of this run has made its certificate itself; there is nobody in between on loopback.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
