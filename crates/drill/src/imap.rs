//! A minimal IMAP client that reads what a mailbox holds: the judge's eyes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::token::Token;

/// The largest literal taken; the messages of a load are far smaller.
const LITERAL_BYTES_MAX: usize = 64 << 20;
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Why a mailbox could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ImapError {
    /// The connection failed.
    #[error("IMAP connection: {0}")]
    Io(#[from] std::io::Error),
    /// The server closed it.
    #[error("IMAP: closed by the server")]
    Closed,
    /// A tagged NO or BAD, or no greeting.
    #[error("IMAP refused {command}: {answer}")]
    Refused {
        /// What was asked, without a password.
        command: String,
        /// The server's words.
        answer: String,
    },
    /// More bytes than any answer of a load has.
    #[error("IMAP: an answer too long")]
    TooLong,
}

/// A signed-in connection.
pub struct Imap {
    reader: BufReader<TcpStream>,
    answer: Vec<u8>,
    tag: u32,
}

/// What a mailbox holds.
#[derive(Debug, Default)]
pub struct Holding {
    /// How often each token is there.
    pub tokens: HashMap<Token, u32>,
    /// Messages without a token.
    pub foreign: u64,
    /// All messages.
    pub messages: u64,
}

impl Imap {
    /// Connects to a plain port and signs in; `wait` is the limit of each read and write.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn sign_in(
        server: SocketAddr,
        user: &str,
        password: &str,
        wait: Duration,
    ) -> Result<Self, ImapError> {
        let stream = TcpStream::connect_timeout(&server, wait)?;
        stream.set_read_timeout(Some(wait))?;
        stream.set_write_timeout(Some(wait))?;
        stream.set_nodelay(true)?;
        let mut imap =
            Self { reader: BufReader::with_capacity(1 << 16, stream), answer: Vec::new(), tag: 0 };
        imap.response()?;
        if !imap.answer.starts_with(b"* OK") {
            return Err(imap.refused("greeting"));
        }
        imap.command("LOGIN", &format!("LOGIN {} {}", quoted(user), quoted(password)), |_| ())?;
        Ok(imap)
    }

    /// Opens a mailbox read-only; the number of messages it has.
    ///
    /// # Errors
    /// When the server refuses or the connection fails.
    pub fn examine(&mut self, mailbox: &str) -> Result<u64, ImapError> {
        let mut exists = 0;
        let command = format!("EXAMINE {}", quoted(mailbox));
        self.command("EXAMINE", &command, |answer| {
            if let Some(count) = exists_of(answer) {
                exists = count;
            }
        })?;
        Ok(exists)
    }

    /// Counts every token of a mailbox.
    ///
    /// # Errors
    /// When the server refuses or the connection fails.
    pub fn tokens(&mut self, mailbox: &str) -> Result<Holding, ImapError> {
        let mut holding = Holding { messages: self.examine(mailbox)?, ..Holding::default() };
        if holding.messages == 0 {
            return Ok(holding);
        }
        self.fetch("BODY.PEEK[HEADER.FIELDS (X-Load-Token)]", &mut |answer| match Token::find_in(
            answer,
        ) {
            Some(token) => *holding.tokens.entry(token).or_default() += 1,
            None => holding.foreign += 1,
        })?;
        Ok(holding)
    }

    /// Fetches an item of all messages of the opened mailbox and shows each answer; the number of
    /// answers and their bytes.
    ///
    /// # Errors
    /// When the server refuses or the connection fails.
    pub fn fetch(
        &mut self,
        item: &str,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(u64, u64), ImapError> {
        self.fetch_of("1:*", item, each)
    }

    /// The same of the messages with these sequence numbers.
    ///
    /// # Errors
    /// When the server refuses or the connection fails.
    pub fn fetch_of(
        &mut self,
        set: &str,
        item: &str,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(u64, u64), ImapError> {
        let (mut answers, mut bytes) = (0, 0);
        self.command("FETCH", &format!("FETCH {set} ({item})"), |answer| {
            if is_fetch(answer) {
                answers += 1;
                bytes += answer.len() as u64;
                each(answer);
            }
        })?;
        Ok((answers, bytes))
    }

    /// Searches the opened mailbox; adds the UIDs found, with spaces between them.
    ///
    /// # Errors
    /// When the server refuses or the connection fails.
    pub fn search(&mut self, key: &str, uids: &mut String) -> Result<(), ImapError> {
        self.command("SEARCH", &format!("UID SEARCH {key}"), |answer| {
            if let Some(found) = answer.strip_prefix(b"* SEARCH ") {
                uids.push_str(String::from_utf8_lossy(found).trim());
            }
        })
    }

    /// Stores a message; the server's whole `OK` line, which is its receipt.
    ///
    /// # Errors
    /// When the server refuses or the connection fails; then the message may be there or not.
    pub fn append(&mut self, mailbox: &str, message: &[u8]) -> Result<String, ImapError> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        let start = format!("{tag} APPEND {} {{{}}}\r\n", quoted(mailbox), message.len());
        self.reader.get_mut().write_all(start.as_bytes())?;
        self.response()?;
        if !self.answer.starts_with(b"+") {
            return Err(self.refused("APPEND"));
        }
        self.reader.get_mut().write_all(&[message, b"\r\n"].concat())?;
        self.finish("APPEND", &tag, |_| ())?;
        Ok(String::from_utf8_lossy(&self.answer).trim_end().to_owned())
    }

    fn command(
        &mut self,
        name: &str,
        command: &str,
        each: impl FnMut(&[u8]),
    ) -> Result<(), ImapError> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        self.reader.get_mut().write_all(format!("{tag} {command}\r\n").as_bytes())?;
        self.finish(name, &tag, each)
    }

    fn finish(
        &mut self,
        name: &str,
        tag: &str,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), ImapError> {
        loop {
            self.response()?;
            match self.answer.strip_prefix(tag.as_bytes()) {
                Some(rest) if rest.starts_with(b" OK") => return Ok(()),
                Some(rest) if rest.starts_with(b" ") => return Err(self.refused(name)),
                _ => each(&self.answer),
            }
        }
    }

    /// RFC 3501 §4.3: a line that ends in `{n}` goes on after n octets of literal.
    fn response(&mut self) -> Result<(), ImapError> {
        self.answer.clear();
        loop {
            let line_start = self.answer.len();
            let mut limited = (&mut self.reader).take(LINE_BYTES_MAX);
            if limited.read_until(b'\n', &mut self.answer)? == 0 {
                return Err(ImapError::Closed);
            }
            if !self.answer.ends_with(b"\n") {
                return Err(ImapError::TooLong);
            }
            let Some(literal_bytes) = literal_bytes_of(&self.answer[line_start..]) else {
                return Ok(());
            };
            let start = self.answer.len();
            if literal_bytes > LITERAL_BYTES_MAX || start > LITERAL_BYTES_MAX {
                return Err(ImapError::TooLong);
            }
            self.answer.resize(start + literal_bytes, 0);
            self.reader.read_exact(&mut self.answer[start..])?;
        }
    }

    fn refused(&self, command: &str) -> ImapError {
        ImapError::Refused {
            command: command.to_owned(),
            answer: String::from_utf8_lossy(&self.answer).trim_end().to_owned(),
        }
    }
}

fn literal_bytes_of(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line).strip_suffix(b"}")?;
    let open = line.iter().rposition(|&byte| byte == b'{')?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}

fn exists_of(answer: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(answer).ok()?.trim_end();
    text.strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse().ok()
}

fn is_fetch(answer: &[u8]) -> bool {
    let mut words = answer.split(|&byte| byte == b' ');
    words.next() == Some(b"*".as_slice()) && words.nth(1) == Some(b"FETCH".as_slice())
}

/// RFC 3501 §4.3: a quoted string; the names and passwords of drills hold no CR, LF or NUL.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
