//! Replies of a peer (RFC 5321 §4.2), read strictly and with limits.

use mail_types::{EnhancedStatus, Reply};

/// Octets of one line with its CRLF. RFC 5321 §4.5.3.1.5: 512; some servers write more.
pub const REPLY_LINE_OCTETS_MAX: usize = 4096;
/// Lines of one reply.
pub const REPLY_LINES_MAX: usize = 128;
/// Octets of the text of a reply that are kept, as whole lines where there are several: what hosts say
/// to people fits, and what a host says goes into records and reports, once for each recipient.
pub const REPLY_TEXT_OCTETS_MAX: usize = 4096;

/// What is no SMTP reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// RFC 5321 §4.2: three digits, the first 2 to 5, then a space, a hyphen, or nothing.
    #[error("a line that does not begin with a reply code")]
    Code,
    /// RFC 5321 §4.2.1: all lines of a reply have the same code.
    #[error("a reply with different codes in its lines")]
    CodesDiffer,
    /// RFC 5321 §2.3.8.
    #[error("a reply line that does not end with CRLF")]
    LineEnd,
    /// Beyond [`REPLY_LINE_OCTETS_MAX`].
    #[error("a reply line longer than 4096 octets")]
    LineTooLong,
    /// Beyond [`REPLY_LINES_MAX`].
    #[error("a reply of more than 128 lines")]
    TooManyLines,
}

/// Puts a reply together from its lines.
#[derive(Clone, Debug, Default)]
pub struct ReplyReader {
    code: Option<u16>,
    lines: Vec<String>,
}

impl ReplyReader {
    /// Takes the next line, without its CRLF; the reply if this was its last line. What cannot be
    /// shown safely (controls, broken UTF-8) is replaced, what is beyond [`REPLY_TEXT_OCTETS_MAX`]
    /// is read and left out, all else is kept as it came.
    ///
    /// # Errors
    /// [`ReplyError`]; the connection has lost its place then.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let (code, more, text) = split(line).ok_or(ReplyError::Code)?;
        if self.code.is_some_and(|first| first != code) {
            return Err(ReplyError::CodesDiffer);
        }
        if self.lines.len() >= REPLY_LINES_MAX {
            return Err(ReplyError::TooManyLines);
        }
        let text = String::from_utf8_lossy(text);
        self.lines.push(text.chars().map(|c| if c.is_control() { '?' } else { c }).collect());
        if more {
            self.code = Some(code);
            return Ok(None);
        }
        self.code = None;
        let (status, lines) = take_status(code, std::mem::take(&mut self.lines));
        Ok(Some(Reply { code, status, lines: shortened(lines, REPLY_TEXT_OCTETS_MAX) }))
    }
}

/// Whole lines, as many as fit; at least a part of the first.
pub(crate) fn shortened(mut lines: Vec<String>, octets_max: usize) -> Vec<String> {
    let mut octets = 0;
    let fits = |line: &&String| {
        octets += line.len();
        octets <= octets_max
    };
    let count = lines.iter().take_while(fits).count();
    lines.truncate(count.max(1));
    if let (0, Some(first)) = (count, lines.first_mut()) {
        first.truncate(first.floor_char_boundary(octets_max));
    }
    lines
}

/// Reads one whole reply from the front of `bytes`: it and how many octets it has; `None` where
/// more is needed.
///
/// # Errors
/// [`ReplyError`].
pub fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>, ReplyError> {
    let mut reader = ReplyReader::default();
    let mut at = 0;
    // Ends: each turn takes a line, and a reply has at most REPLY_LINES_MAX.
    loop {
        let rest = &bytes[at..];
        let window = &rest[..rest.len().min(REPLY_LINE_OCTETS_MAX)];
        let Some(end) = memchr::memchr(b'\n', window) else {
            let too_long = rest.len() >= REPLY_LINE_OCTETS_MAX;
            return if too_long { Err(ReplyError::LineTooLong) } else { Ok(None) };
        };
        let line = rest[..end].strip_suffix(b"\r").ok_or(ReplyError::LineEnd)?;
        at += end + 1;
        if let Some(reply) = reader.line(line)? {
            return Ok(Some((reply, at)));
        }
    }
}

/// `Reply-line = Reply-code [ ("-" / SP) textstring ]`: code, whether more lines follow, text.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !matches!(digits[0], b'2'..=b'5') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.split_first() {
        None => Some((code, false, b"")),
        Some((b' ', text)) => Some((code, false, text)),
        Some((b'-', text)) => Some((code, true, text)),
        Some(_) => None,
    }
}

/// RFC 2034 §4: the enhanced status at the begin of every line, if its class is that of the code.
/// Lines that have another one, or none, keep their text.
fn take_status(code: u16, mut lines: Vec<String>) -> (Option<EnhancedStatus>, Vec<String>) {
    let fits = |status: &EnhancedStatus| u16::from(status.class) == code / 100;
    let first = lines.first().and_then(|line| EnhancedStatus::parse_prefix(line));
    let Some(status) = first.map(|(status, _)| status).filter(fits) else {
        return (None, lines);
    };
    for line in &mut lines {
        if let Some((same, rest)) = EnhancedStatus::parse_prefix(line)
            && same == status
        {
            *line = rest.to_owned();
        }
    }
    (Some(status), lines)
}
