//! An IMAP client that costs next to nothing: it counts what comes and looks into as little of it as
//! it must, so that what is measured is the server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use crate::imap::ImapError;

const BUFFER_BYTES: usize = 256 << 10;
/// The longest line: a SORT of a hundred thousand messages is 700 kB.
const LINE_BYTES_MAX: usize = 64 << 20;
/// Bytes of untagged lines that are kept to be looked at.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// One connection. Lines are looked for, literals are only counted.
#[derive(Debug)]
pub struct ImapWire {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    tag: u32,
    literal_left: u64,
    /// Whether the next line goes on with a response that a literal interrupted.
    inside: bool,
    /// What CAPABILITY said last.
    pub capabilities: String,
}

/// What came in answer to a command.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Untagged responses.
    pub untagged: u64,
    /// Bytes of all lines and literals.
    pub bytes: u64,
    /// The untagged lines (without literals) up to 16 MiB, where they were asked for.
    pub text: String,
    /// The tagged line, without the tag.
    pub status: String,
}

/// Whether an answer's lines are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of them, up to 16 MiB.
    Lines,
    /// Only their number.
    Nothing,
}

impl ImapWire {
    /// Connects and reads the greeting; `wait` is the limit of each read and write.
    ///
    /// # Errors
    /// When the server cannot be reached or does not greet.
    pub fn connect(server: SocketAddr, wait: Duration) -> Result<Self, ImapError> {
        let stream = TcpStream::connect_timeout(&server, wait)?;
        stream.set_read_timeout(Some(wait))?;
        stream.set_write_timeout(Some(wait))?;
        stream.set_nodelay(true)?;
        let mut wire = Self {
            stream,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            tag: 0,
            literal_left: 0,
            inside: false,
            capabilities: String::new(),
        };
        let line = wire.line()?;
        let greeting = String::from_utf8_lossy(&wire.buffer[line]).into_owned();
        if !greeting.starts_with("* OK") {
            return Err(refused("the greeting", &greeting));
        }
        Ok(wire)
    }

    /// Connects, signs in with LOGIN and asks for the capabilities.
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
        wire.command(&format!("LOGIN \"{user}\" \"{password}\""), Keep::Nothing)?;
        wire.capabilities = wire.command("CAPABILITY", Keep::Lines)?.text.to_ascii_uppercase();
        Ok(wire)
    }

    /// Whether this was announced after sign-in.
    #[must_use]
    pub fn offers(&self, capability: &str) -> bool {
        self.capabilities.split_ascii_whitespace().any(|word| word == capability)
    }

    /// Sends a command and reads to its `OK`.
    ///
    /// # Errors
    /// When it is answered NO or BAD, or the connection fails.
    pub fn command(&mut self, command: &str, keep: Keep) -> Result<Answer, ImapError> {
        let tag = self.send(command, b"")?;
        self.finish(&tag, command, keep)
    }

    /// Sends a command, with a literal at its end where that is not empty; its tag.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn send(&mut self, command: &str, literal: &[u8]) -> Result<String, ImapError> {
        let tag = self.next_tag();
        let mut out = format!("{tag} {command}").into_bytes();
        if !literal.is_empty() {
            write!(out, " {{{}+}}\r\n", literal.len())?;
            out.extend_from_slice(literal);
        }
        out.extend_from_slice(b"\r\n");
        self.write(&out)?;
        Ok(tag)
    }

    /// Reads to the line with this tag, whatever it says, or to a continuation request.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn answer(&mut self, tag: &str) -> Result<Answer, ImapError> {
        self.read_answer(tag, Keep::Lines)
    }

    /// Appends messages, each by a command of its own, of which up to `window` are under way.
    ///
    /// # Errors
    /// When one is refused or the connection fails.
    pub fn append_pipelined(
        &mut self,
        mailbox: &str,
        messages: &[(String, Vec<u8>)],
        window: usize,
    ) -> Result<(), ImapError> {
        let (mut sent, mut answered) = (0, 0);
        let mut out = Vec::with_capacity(BUFFER_BYTES);
        while answered < messages.len() {
            out.clear();
            while let Some((date, message)) =
                messages.get(sent).filter(|_| sent - answered < window)
            {
                let tag = self.next_tag();
                let bytes = message.len();
                write!(out, "{tag} APPEND {mailbox} \"{date}\" {{{bytes}+}}\r\n")?;
                out.extend_from_slice(message);
                out.extend_from_slice(b"\r\n");
                sent += 1;
            }
            self.write(&out)?;
            answered += self.tagged_line()?;
            while memchr::memchr(b'\n', &self.buffer[self.start..self.end]).is_some() {
                answered += self.tagged_line()?;
            }
        }
        Ok(())
    }

    /// Appends messages by one command (MULTIAPPEND).
    ///
    /// # Errors
    /// When it is refused or the connection fails.
    pub fn append_together(
        &mut self,
        mailbox: &str,
        messages: &[(String, Vec<u8>)],
    ) -> Result<(), ImapError> {
        let tag = self.next_tag();
        let mut out = Vec::with_capacity((messages.len() * 5) << 10);
        write!(out, "{tag} APPEND {mailbox}")?;
        for (date, message) in messages {
            write!(out, " \"{date}\" {{{}+}}\r\n", message.len())?;
            out.extend_from_slice(message);
        }
        out.extend_from_slice(b"\r\n");
        self.write(&out)?;
        self.finish(&tag, "APPEND", Keep::Nothing)?;
        Ok(())
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ImapError> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// 1 for a tagged OK, 0 for an untagged line.
    fn tagged_line(&mut self) -> Result<usize, ImapError> {
        let line = self.line()?;
        let line = &self.buffer[line];
        if line.starts_with(b"* ") {
            return Ok(0);
        }
        let text = String::from_utf8_lossy(line);
        match text.split_once(' ') {
            Some((_, status)) if status.starts_with("OK") => Ok(1),
            _ => Err(refused("APPEND", &text)),
        }
    }

    fn next_tag(&mut self) -> String {
        self.tag += 1;
        format!("w{}", self.tag)
    }

    fn finish(&mut self, tag: &str, command: &str, keep: Keep) -> Result<Answer, ImapError> {
        let answer = self.read_answer(tag, keep)?;
        if answer.status.starts_with("OK") {
            Ok(answer)
        } else {
            let name = command.split(' ').next().unwrap_or_default();
            Err(refused(name, &answer.status))
        }
    }

    fn read_answer(&mut self, tag: &str, keep: Keep) -> Result<Answer, ImapError> {
        let mut answer = Answer::default();
        let mut kept = Vec::new();
        loop {
            let begins = !self.inside;
            let line = self.line()?;
            answer.bytes += line.len() as u64 + self.literal_left;
            let line = &self.buffer[line];
            if begins && line.starts_with(tag.as_bytes()) && line.get(tag.len()) == Some(&b' ') {
                let status = String::from_utf8_lossy(&line[tag.len() + 1..]);
                answer.status = status.trim_end().to_owned();
                break;
            }
            if begins && line.starts_with(b"+") {
                answer.status = "+".to_owned();
                break;
            }
            answer.untagged += u64::from(begins);
            if keep == Keep::Lines && kept.len() + line.len() <= KEPT_BYTES_MAX {
                kept.extend_from_slice(line);
            }
        }
        answer.text = String::from_utf8_lossy(&kept).into_owned();
        Ok(answer)
    }

    /// Where the next line stands in the buffer, its LF included; literals before it are skipped.
    fn line(&mut self) -> Result<Range<usize>, ImapError> {
        self.skip_literal()?;
        let mut searched = 0;
        loop {
            let window = &self.buffer[self.start + searched..self.end];
            if let Some(place) = memchr::memchr(b'\n', window) {
                let line = self.start..self.start + searched + place + 1;
                self.start = line.end;
                let literal = literal_bytes(&self.buffer[line.clone()]);
                self.inside = literal.is_some();
                self.literal_left = literal.unwrap_or(0);
                return Ok(line);
            }
            searched = self.end - self.start;
            self.fill()?;
        }
    }

    fn skip_literal(&mut self) -> Result<(), ImapError> {
        while self.literal_left > 0 {
            if self.start == self.end {
                self.fill()?;
            }
            let here = (self.end - self.start) as u64;
            let skipped = here.min(self.literal_left);
            self.start += skipped as usize;
            self.literal_left -= skipped;
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), ImapError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            if self.buffer.len() >= LINE_BYTES_MAX {
                return Err(ImapError::TooLong);
            }
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        match self.stream.read(&mut self.buffer[self.end..])? {
            0 => Err(ImapError::Closed),
            read => {
                self.end += read;
                Ok(())
            }
        }
    }
}

fn refused(command: &str, answer: &str) -> ImapError {
    ImapError::Refused { command: command.to_owned(), answer: answer.trim_end().to_owned() }
}

/// RFC 9051 §4.3: `{n}` at a line's end announces n octets.
fn literal_bytes(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}\r\n")?;
    let digits = &line[memchr::memrchr(b'{', line)? + 1..];
    std::str::from_utf8(digits).ok()?.parse().ok()
}
