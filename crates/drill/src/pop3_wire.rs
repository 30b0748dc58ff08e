//! A POP3 client that costs next to nothing: it finds the ends of replies and counts their bytes, so
//! that what is measured is the server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::imap::ImapError;

const BUFFER_BYTES: usize = 256 << 10;
/// The end of a reply of many lines, with the end of the line before it.
const END: &[u8] = b"\r\n.\r\n";

/// One connection.
#[derive(Debug)]
pub struct Pop3Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
}

impl Pop3Wire {
    /// Connects and reads the greeting; `wait` is the limit of each read and write.
    ///
    /// # Errors
    /// When the server cannot be reached or does not greet.
    pub fn connect(server: SocketAddr, wait: Duration) -> Result<Self, ImapError> {
        let stream = TcpStream::connect_timeout(&server, wait)?;
        stream.set_read_timeout(Some(wait))?;
        stream.set_write_timeout(Some(wait))?;
        stream.set_nodelay(true)?;
        let mut wire = Self { stream, buffer: Vec::with_capacity(BUFFER_BYTES), start: 0 };
        wire.line()?;
        Ok(wire)
    }

    /// Connects and signs in with USER and PASS.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn sign_in(
        server: SocketAddr,
        user: &str,
        password: &str,
        wait: Duration,
    ) -> Result<Self, ImapError> {
        let mut wire = Self::connect(server, wait)?;
        wire.command(&format!("USER {user}"))?;
        wire.command(&format!("PASS {password}"))?;
        Ok(wire)
    }

    /// Sends a command whose reply is one line; its text.
    ///
    /// # Errors
    /// When it is answered `-ERR`, or the connection fails.
    pub fn command(&mut self, command: &str) -> Result<String, ImapError> {
        self.stream.write_all(format!("{command}\r\n").as_bytes())?;
        self.line()
    }

    /// Sends a command whose reply has many lines; their bytes.
    ///
    /// # Errors
    /// When it is answered `-ERR`, or the connection fails.
    pub fn lines(&mut self, command: &str) -> Result<u64, ImapError> {
        self.stream.write_all(format!("{command}\r\n").as_bytes())?;
        self.many()
    }

    /// Sends a command for each number, `under_way` of them at a time; the bytes of all replies.
    ///
    /// # Errors
    /// As [`Self::lines`].
    pub fn each(
        &mut self,
        count: u64,
        under_way: u64,
        command: impl Fn(u64) -> String,
    ) -> Result<u64, ImapError> {
        let (mut sent, mut bytes) = (0, 0);
        for answered in 0..count {
            if sent == answered {
                let upto = (sent + under_way).min(count);
                let commands: String = (sent..upto).map(|n| command(n + 1) + "\r\n").collect();
                self.stream.write_all(commands.as_bytes())?;
                sent = upto;
            }
            bytes += self.many()?;
        }
        Ok(bytes)
    }

    fn many(&mut self) -> Result<u64, ImapError> {
        let first = self.line()?.len() as u64;
        // An empty reply is a dot behind the line just read.
        self.start -= 2;
        let mut bytes = first;
        loop {
            let here = &self.buffer[self.start..];
            if let Some(end) = memchr::memmem::find(here, END) {
                self.start += end + END.len();
                return Ok(bytes + (end + END.len()) as u64 - 2);
            }
            // The end may lie across two reads.
            let done = here.len().saturating_sub(END.len());
            self.start += done;
            bytes += done as u64;
            self.fill()?;
        }
    }

    /// A status line without its `+OK`, read to its end.
    fn line(&mut self) -> Result<String, ImapError> {
        loop {
            let here = &self.buffer[self.start..];
            if let Some(end) = memchr::memchr(b'\n', here) {
                let line = String::from_utf8_lossy(&here[..end]).trim_end().to_owned();
                self.start += end + 1;
                return match line.strip_prefix("+OK") {
                    Some(text) => Ok(text.trim_start().to_owned()),
                    None => Err(ImapError::Refused { command: "POP3".to_owned(), answer: line }),
                };
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), ImapError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let held = self.buffer.len();
        if held >= 2 * BUFFER_BYTES {
            return Err(ImapError::TooLong);
        }
        self.buffer.resize(held + BUFFER_BYTES, 0);
        let read = self.stream.read(&mut self.buffer[held..]);
        self.buffer.truncate(held + read.as_ref().copied().unwrap_or(0));
        match read? {
            0 => Err(ImapError::Closed),
            _ => Ok(()),
        }
    }
}
