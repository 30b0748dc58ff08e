use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// No response takes longer.
const LIMIT: Duration = Duration::from_secs(20);

/// A connection, plain or under TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// A client that sends lines and reads responses, literals included.
pub struct Client {
    stream: BufReader<Box<dyn Stream>>,
    tags: u32,
    pub greeting: String,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::greeted(Box::new(TcpStream::connect(address).await.unwrap())).await
    }

    /// Connects where TLS comes first, and checks the certificate.
    pub async fn connect_tls(address: SocketAddr, certificate_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("mail.example.org").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        Self::greeted(Box::new(stream)).await
    }

    async fn greeted(stream: Box<dyn Stream>) -> Self {
        let mut client = Self { stream: BufReader::new(stream), tags: 0, greeting: String::new() };
        client.greeting = client.response().await;
        let greeting = &client.greeting;
        assert!(greeting.starts_with("* OK [CAPABILITY IMAP4rev1 "), "{greeting}");
        client
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends a command; answers the untagged responses, and the tagged one without its tag last.
    pub async fn say(&mut self, command: &str) -> Vec<String> {
        let tag = self.begin(command).await;
        self.until(&tag).await
    }

    /// Sends a command that works; answers the untagged responses.
    pub async fn ok(&mut self, command: &str) -> Vec<String> {
        let mut responses = self.say(command).await;
        let tagged = responses.pop().unwrap();
        assert!(tagged.starts_with("OK "), "{command}: {tagged}");
        responses
    }

    /// Sends a command that works; answers the text of its tagged response.
    pub async fn ok_text(&mut self, command: &str) -> String {
        let tagged = self.say(command).await.pop().unwrap();
        tagged.strip_prefix("OK ").unwrap_or_else(|| panic!("{command}: {tagged}")).to_owned()
    }

    /// Sends a command that is refused; answers the text behind `NO `.
    pub async fn no(&mut self, command: &str) -> String {
        let tagged = self.say(command).await.pop().unwrap();
        tagged.strip_prefix("NO ").unwrap_or_else(|| panic!("{command}: {tagged}")).to_owned()
    }

    /// Sends a command, and leaves its responses to be read; answers its tag.
    pub async fn begin(&mut self, command: &str) -> String {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.send(&format!("{tag} {command}\r\n")).await;
        tag
    }

    pub async fn until(&mut self, tag: &str) -> Vec<String> {
        let mut responses = Vec::new();
        loop {
            let response = self.response().await;
            assert!(!response.is_empty(), "closed: {responses:?}");
            match response.strip_prefix(tag) {
                Some(tagged) => {
                    responses.push(tagged.trim_start().to_owned());
                    return responses;
                }
                None => responses.push(response),
            }
        }
    }

    /// Begins to idle.
    pub async fn idle(&mut self) -> String {
        let tag = self.begin("IDLE").await;
        assert_eq!(self.response().await, "+ idling");
        tag
    }

    /// The next response without its line end, literals in it; empty where the server has closed.
    pub async fn response(&mut self) -> String {
        timeout(LIMIT, self.read_response()).await.unwrap()
    }

    async fn read_response(&mut self) -> String {
        let mut bytes = Vec::new();
        loop {
            if self.stream.read_until(b'\n', &mut bytes).await.unwrap() == 0 {
                return String::new();
            }
            let line = String::from_utf8(bytes.clone()).unwrap();
            let line = line.strip_suffix("\r\n").unwrap();
            let literal = line.strip_suffix('}').and_then(|line| line.rsplit_once('{'));
            let Some(Ok(octets)) = literal.map(|(_, octets)| octets.parse::<usize>()) else {
                return line.to_owned();
            };
            let mut literal = vec![0; octets];
            self.stream.read_exact(&mut literal).await.unwrap();
            bytes.extend_from_slice(&literal);
        }
    }

    /// APPEND with a synchronizing literal; answers the tagged response.
    pub async fn append(&mut self, arguments: &str, message: &str) -> String {
        let tag = self.begin(&format!("APPEND {arguments} {{{}}}", message.len())).await;
        let go_on = self.response().await;
        if let Some(refused) = go_on.strip_prefix(&tag) {
            return refused.trim_start().to_owned();
        }
        assert!(go_on.starts_with("+ "), "{go_on}");
        self.send(message).await;
        self.send("\r\n").await;
        self.until(&tag).await.pop().unwrap()
    }
}
