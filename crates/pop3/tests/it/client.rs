use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No reply takes longer.
const LIMIT: Duration = Duration::from_secs(20);

/// A client that speaks POP3 line by line.
pub struct Client(BufReader<TcpStream>);

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut client = Self(BufReader::new(stream));
        assert!(client.line().await.starts_with("+OK "));
        client
    }

    /// Sends a command and reads the first line of its reply.
    pub async fn say(&mut self, command: &str) -> String {
        self.send(command).await;
        self.line().await
    }

    pub async fn send(&mut self, command: &str) {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
    }

    /// Sends a command that works; answers the text behind `+OK `.
    pub async fn ok(&mut self, command: &str) -> String {
        let reply = self.say(command).await;
        reply.strip_prefix("+OK ").unwrap_or_else(|| panic!("{command}: {reply}")).to_owned()
    }

    /// Sends a command that works and has many lines; answers them as sent, dots undoubled.
    pub async fn lines(&mut self, command: &str) -> Vec<String> {
        self.ok(command).await;
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            match line.strip_prefix('.') {
                Some("") => return lines,
                Some(rest) => lines.push(rest.to_owned()),
                None => lines.push(line),
            }
        }
    }

    /// Waits until the server closes.
    pub async fn closed(&mut self) {
        let mut rest = String::new();
        let read = timeout(LIMIT, self.0.read_line(&mut rest)).await.unwrap();
        assert_eq!(read.unwrap(), 0, "{rest}");
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(LIMIT, self.0.read_line(&mut line)).await.unwrap().unwrap();
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("cut off: {line:?}")).to_owned()
    }
}
