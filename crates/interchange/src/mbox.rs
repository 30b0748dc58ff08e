//! Reading mbox: messages one behind the other, each behind a line that begins with `From `.

use mail_types::Timestamp;

/// Bytes of a message at most; a longer one is passed over and told.
const MESSAGE_BYTES_MAX: usize = 512 << 20;
/// Bytes of a line that may be a separator.
const FROM_LINE_BYTES_MAX: usize = 1024;
/// A Content-Length above is not waited for.
const LENGTH_MAX: usize = 128 << 20;
/// Bytes of a header in which Content-Length is looked for.
const HEADER_BYTES_MAX: usize = 1 << 20;

/// How lines that begin with `From ` are told apart from separators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Found out message by message: where a Content-Length is right and an unquoted `From ` stands
    /// in the body it is mboxcl2, else mboxrd.
    #[default]
    Auto,
    /// `From ` became `>From `, and which was which cannot be known: nothing is unquoted.
    Mboxo,
    /// `>*From ` became `>>*From ` (RFC 4155 §A leaves it open; this is the one that is reversible).
    Mboxrd,
    /// Nothing is quoted, Content-Length says how long the body is.
    Mboxcl2,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A message.
    Message(Message),
    /// Bytes before the first separator: this may be no mbox at all.
    NoMbox {
        /// How many.
        bytes: u64,
    },
    /// A message above the limit was passed over.
    TooLarge {
        /// Its bytes so far.
        bytes: u64,
    },
}

/// A message as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where its separator begins in the file.
    pub offset: u64,
    /// When it was delivered, by its separator.
    pub date: Option<Timestamp>,
    /// Its bytes: line ends are CRLF, quoting is undone.
    pub content: Vec<u8>,
}

/// Finds the messages in bytes that come piece by piece.
#[derive(Debug)]
pub struct Mbox {
    dialect: Dialect,
    /// From the separator of the next message on.
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    offset: u64,
    /// So far no separator begins in the buffer, its first bytes aside.
    scanned: usize,
    /// A message that was too large is being passed over.
    passing: bool,
    ended: bool,
}

impl Mbox {
    /// At the beginning of a file.
    #[must_use]
    pub const fn new(dialect: Dialect) -> Self {
        Self { dialect, buffer: Vec::new(), offset: 0, scanned: 0, passing: false, ended: false }
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Nothing more comes.
    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// The next thing found; `None` where more bytes are needed, or all is found.
    pub fn find(&mut self) -> Option<Found> {
        if self.buffer.is_empty() {
            return None;
        }
        if !self.passing && self.separator_end(0).is_none() {
            return self.without_separator();
        }
        loop {
            match self.message_end() {
                Some(_) if self.passing => {
                    let end = self.message_end()?;
                    self.drop_front(end);
                    self.passing = false;
                    return self.find();
                }
                Some(end) => {
                    let message = self.message(end);
                    self.drop_front(end);
                    return Some(Found::Message(message));
                }
                None if self.buffer.len() > MESSAGE_BYTES_MAX && !self.ended => {
                    let bytes = self.buffer.len() as u64;
                    // The last line may be the begin of a separator.
                    let kept = memchr::memrchr(b'\n', &self.buffer).unwrap_or(0).saturating_sub(2);
                    let told = !self.passing;
                    self.drop_front(kept);
                    self.passing = true;
                    if told {
                        return Some(Found::TooLarge { bytes });
                    }
                }
                None => return None,
            }
        }
    }

    /// Bytes before the first separator are passed over, once they are all there.
    fn without_separator(&mut self) -> Option<Found> {
        if !self.ended && self.buffer.len() <= FROM_LINE_BYTES_MAX {
            return None;
        }
        let mut at = 0;
        let end = loop {
            let Some(found) = memchr::memmem::find(&self.buffer[at..], b"\nFrom ") else {
                break self.buffer.len();
            };
            at += found + 1;
            if self.separator_end(at).is_some() {
                break at;
            }
        };
        let bytes = end as u64;
        self.drop_front(end);
        Some(Found::NoMbox { bytes })
    }

    /// Where the message at the buffer's begin ends: at the next separator, or with the file.
    fn message_end(&mut self) -> Option<usize> {
        match self.end_by_length() {
            ByLength::Ends(end) => return Some(end),
            ByLength::NotYet => return None,
            ByLength::Wrong => {}
        }
        let mut at = self.scanned;
        while let Some(found) = memchr::memmem::find(&self.buffer[at..], b"\nFrom ") {
            let begin = at + found + 1;
            let whole = self.ended
                || self.buffer.len() - begin > FROM_LINE_BYTES_MAX
                || memchr::memchr(b'\n', &self.buffer[begin..]).is_some();
            if !whole {
                self.scanned = begin - 1;
                return None;
            }
            if is_behind_blank_line(&self.buffer[..begin]) && self.separator_end(begin).is_some() {
                return Some(begin);
            }
            at = begin;
        }
        if self.ended {
            return Some(self.buffer.len());
        }
        // A separator may begin in the last bytes.
        self.scanned = self.buffer.len().saturating_sub(6).max(at);
        None
    }

    /// The end that Content-Length names, where it is right: a separator or the file's end is there.
    fn end_by_length(&self) -> ByLength {
        if matches!(self.dialect, Dialect::Mboxo | Dialect::Mboxrd) || self.passing {
            return ByLength::Wrong;
        }
        let (header_end, length) = match self.content_length() {
            Some(found) => found,
            // The header may not be there whole.
            None if !self.ended && self.is_header_open() => return ByLength::NotYet,
            None => return ByLength::Wrong,
        };
        let Some(end) = header_end.checked_add(length) else { return ByLength::Wrong };
        // What comes behind it must be seen, too.
        if !self.ended && end + FROM_LINE_BYTES_MAX > self.buffer.len() {
            return if length <= LENGTH_MAX { ByLength::NotYet } else { ByLength::Wrong };
        }
        if end > self.buffer.len() {
            return ByLength::Wrong;
        }
        let mut next = end;
        for _ in 0..2 {
            // One line end may be missing in the count, one is the blank line.
            next += match &self.buffer[next..] {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                _ => 0,
            };
        }
        let at_end = next == self.buffer.len() && self.ended;
        let at_separator = next > end && self.separator_end(next).is_some();
        if at_end || at_separator { ByLength::Ends(next) } else { ByLength::Wrong }
    }

    fn is_header_open(&self) -> bool {
        let begin = self.separator_end(0).unwrap_or(0);
        let window = &self.buffer[begin..];
        window.len() < HEADER_BYTES_MAX && header_end(window).is_none()
    }

    /// Where the header ends, and the value of its Content-Length.
    fn content_length(&self) -> Option<(usize, usize)> {
        let begin = self.separator_end(0)?;
        let window = &self.buffer[begin..self.buffer.len().min(begin + HEADER_BYTES_MAX)];
        let end = header_end(window)?;
        let limits = message::Limits::default();
        let field = message::find_field(&window[..end], "Content-Length", &limits)?;
        let value = std::str::from_utf8(field.value).ok()?.trim();
        Some((begin + end, value.parse().ok()?))
    }

    fn message(&self, end: usize) -> Message {
        let begin = self.separator_end(0).unwrap_or(0);
        let line = String::from_utf8_lossy(&self.buffer[..begin]);
        let content = without_blank_line(&self.buffer[begin..end]);
        let by_length = self.end_by_length() == ByLength::Ends(end);
        let unquoted = match self.dialect {
            Dialect::Mboxo => false,
            Dialect::Mboxrd => true,
            Dialect::Mboxcl2 => !by_length,
            Dialect::Auto => !(by_length && memchr::memmem::find(content, b"\nFrom ").is_some()),
        };
        let content = if unquoted { unquote(content) } else { content.to_vec() };
        Message { offset: self.offset, date: date_of(&line), content: crate::crlf(&content) }
    }

    /// Where the separator at this place ends, if one is there whole: `From ` and, somewhere behind
    /// it, a time of day and a year. Less is text that begins with the word.
    fn separator_end(&self, at: usize) -> Option<usize> {
        let rest = self.buffer.get(at..)?;
        let window = &rest[..rest.len().min(FROM_LINE_BYTES_MAX)];
        if !window.starts_with(b"From ") {
            return None;
        }
        let end = match memchr::memchr(b'\n', window) {
            Some(end) => end + 1,
            None if self.ended && rest.len() == window.len() => window.len(),
            None => return None,
        };
        date_parts(std::str::from_utf8(&window[..end]).ok()?).map(|_| at + end)
    }

    fn drop_front(&mut self, bytes: usize) {
        self.buffer.drain(..bytes);
        self.offset += bytes as u64;
        self.scanned = 0;
    }
}

/// What Content-Length says of a message's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByLength {
    Ends(usize),
    /// More bytes are needed to know.
    NotYet,
    /// It is not there, or does not lead to a separator.
    Wrong,
}

/// Where the blank line behind a header ends.
fn header_end(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"\n") {
        return Some(1);
    }
    memchr::memchr_iter(b'\n', bytes).find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn is_behind_blank_line(before: &[u8]) -> bool {
    before.ends_with(b"\n\n") || before.ends_with(b"\n\r\n")
}

/// Without the blank line that stands between a message and the next separator.
fn without_blank_line(content: &[u8]) -> &[u8] {
    for (ends, cut) in [(&b"\r\n\r\n"[..], 2), (b"\n\n", 1), (b"\n\r\n", 2)] {
        if content.ends_with(ends) {
            return &content[..content.len() - cut];
        }
    }
    content
}

/// One `>` taken from each line that begins with `>*From `.
fn unquote(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len());
    let mut rest = content;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let line = &rest[..end];
        let marks = line.iter().take_while(|&&byte| byte == b'>').count();
        let quoted = marks > 0 && line[marks..].starts_with(b"From ");
        out.extend_from_slice(if quoted { &line[1..] } else { line });
        rest = &rest[end..];
    }
    out
}

/// RFC 4155 §A: a timestamp in the form of asctime, in UTC. Others put a zone somewhere.
fn date_of(line: &str) -> Option<Timestamp> {
    let (day, month, time, zone, year) = date_parts(line)?;
    let time = if time.len() == 5 { format!("{time}:00") } else { time.to_owned() };
    let text = format!("{day} {month} {year} {time} {}", zone.unwrap_or("+0000"));
    message::parse_date(text.as_bytes()).map(|date| date.at)
}

type DateParts<'a> = (&'a str, &'a str, &'a str, Option<&'a str>, &'a str);

/// Day, month, time, zone and year, in whatever order they stand behind the sender.
fn date_parts(line: &str) -> Option<DateParts<'_>> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words = || line.strip_prefix("From ").unwrap_or_default().split_whitespace();
    let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let time = words().find(|word| {
        let parts: Vec<&str> = word.split(':').collect();
        matches!(parts.len(), 2 | 3) && parts.iter().all(|part| part.len() == 2 && digits(part))
    })?;
    let year = words().rfind(|word| word.len() == 4 && digits(word))?;
    let month = words().find(|word| MONTHS.contains(word))?;
    let day = words().find(|word| matches!(word.len(), 1 | 2) && digits(word))?;
    let zone =
        words().find(|word| word.len() == 5 && word.starts_with(['+', '-']) && digits(&word[1..]));
    Some((day, month, time, zone, year))
}
