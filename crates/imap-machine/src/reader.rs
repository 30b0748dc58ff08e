use crate::config::Limits;
use crate::grammar::scan::LiteralHeader;
use crate::grammar::{
    AppendHead, AppendItem, AppendWithin, Names, Stop, SyntaxError, Tag, parse_behind_octets,
};

/// Octets of input kept beyond one command, so that pipelined ones need few reads.
const READ_AHEAD_OCTETS: usize = 16 * 1024;
/// Capacity that an empty buffer may keep.
const IDLE_CAPACITY_MAX: usize = 512;
/// Octets of a refused literal that are read over; past that the connection is closed.
const SKIPPED_OCTETS_MAX: u64 = 64 * 1024 * 1024;

/// What the reader has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Nothing whole: more bytes are needed.
    Incomplete,
    /// A literal within the limits waits for `+`.
    Continue,
    /// A complete command: [`Reader::command`], then [`Reader::consume`].
    Command,
    /// An APPEND or REPLACE up to octets of its message, which follow as a stream.
    Append(AppendHead),
    /// What stands behind such octets, up to the next ones or the end of the command.
    Items(Result<Vec<AppendItem>, SyntaxError>),
    /// The command was too long, or a literal in it; it has been dropped up to where the next one
    /// begins.
    TooLong(Option<Tag>),
    /// Too much to read over.
    Endless,
}

#[derive(Debug, PartialEq, Eq)]
enum Mode {
    /// Inside a line of a command.
    Line,
    /// Inside a literal that ends at this place of the buffer.
    Literal { end: usize },
    /// Inside octets of a message: so many are still to come.
    Stream { left: u32 },
    /// Reads over a line of a command that was too long.
    SkipLine { tag: Option<Tag> },
    /// Reads over a literal of such a command.
    SkipLiteral { left: u32, tag: Option<Tag> },
}

/// Finds the ends of commands in the stream of bytes. The one place where the size of a command
/// and of its literals is limited.
#[derive(Debug)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    /// Where the current command begins.
    start: usize,
    /// Where the current line begins.
    line: usize,
    /// Up to where the current line has been searched for its end.
    scanned: usize,
    /// Behind the complete command, once there is one.
    end: usize,
    mode: Mode,
    /// Between octets of messages of one APPEND.
    append: Option<AppendWithin>,
    /// How mailbox names stand in commands.
    pub names: Names,
    /// Octets of this APPEND before the last of these, those of messages left out.
    spent: usize,
    /// What is here will not come to be an APPEND: its literals are collected.
    no_append: bool,
    command_octets_max: usize,
    skipped: u64,
}

impl Reader {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            line: 0,
            scanned: 0,
            end: 0,
            mode: Mode::Line,
            append: None,
            names: Names::Utf7,
            spent: 0,
            no_append: false,
            command_octets_max: limits.unauthenticated_command_octets_max,
            skipped: 0,
        }
    }

    /// The client has signed in: it may send longer commands.
    pub(crate) const fn signed_in(&mut self, limits: &Limits) {
        self.command_octets_max = limits.command_octets_max;
    }

    /// The client has signed out: it may not, any more.
    pub(crate) const fn signed_out(&mut self, limits: &Limits) {
        self.command_octets_max = limits.unauthenticated_command_octets_max;
    }

    /// Takes what there is room for.
    pub(crate) fn input(&mut self, bytes: &[u8]) -> usize {
        self.compact();
        let room = (self.command_octets_max + READ_AHEAD_OCTETS).saturating_sub(self.buffer.len());
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// Forgets everything read (RFC 3501 §6.2.1, at STARTTLS).
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.begin_command(0);
    }

    /// Gives memory back while nothing is to be read.
    pub(crate) fn shrink(&mut self) {
        self.compact();
        if self.buffer.is_empty() && self.buffer.capacity() > IDLE_CAPACITY_MAX {
            self.buffer = Vec::new();
        }
    }

    /// Reads on.
    pub(crate) fn read(&mut self) -> Read {
        loop {
            match &mut self.mode {
                Mode::Line => {
                    if let Some(read) = self.line() {
                        return read;
                    }
                }
                Mode::Literal { end } => {
                    if self.buffer.len() < *end {
                        return Read::Incomplete;
                    }
                    self.line = *end;
                    self.scanned = *end;
                    self.mode = Mode::Line;
                }
                Mode::Stream { .. } => return Read::Incomplete,
                Mode::SkipLine { .. } | Mode::SkipLiteral { .. } => {
                    if let Some(read) = self.skip() {
                        return read;
                    }
                }
            }
        }
    }

    /// The command that [`Read::Command`] told of, its last line end included.
    pub(crate) fn command(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Done with the command.
    pub(crate) fn consume(&mut self) {
        self.begin_command(self.end);
    }

    /// A line outside of commands (a SASL response, DONE), without its line end; at most as long as
    /// a command. `None` while it is not there.
    pub(crate) fn bare_line(&mut self) -> Result<Option<Vec<u8>>, Read> {
        let Some(end) = self.find_line_end() else {
            if self.buffer.len() - self.start > self.command_octets_max {
                return Err(Read::Endless);
            }
            return Ok(None);
        };
        let line = self.buffer[self.start..end].trim_ascii_end().to_vec();
        self.begin_command(end);
        Ok(Some(line))
    }

    /// The next octets of the message, at most `octets_max`. `None` at its end, an empty piece
    /// where more input is needed.
    pub(crate) fn stream(&mut self, octets_max: usize) -> Option<Vec<u8>> {
        let Mode::Stream { left } = &mut self.mode else { return None };
        if *left == 0 {
            self.mode = Mode::Line;
            return None;
        }
        let there = self.buffer.len() - self.start;
        let count = there.min(octets_max).min(*left as usize);
        *left -= count as u32;
        let piece = self.buffer[self.start..self.start + count].to_vec();
        self.start += count;
        self.line = self.start;
        self.scanned = self.start;
        Some(piece)
    }

    /// The octets will not be sent, nor anything behind them, because they were refused before
    /// the `+`.
    pub(crate) fn stream_refused(&mut self) {
        self.begin_command(self.start);
    }

    fn begin_command(&mut self, at: usize) {
        self.start = at;
        self.line = at;
        self.scanned = at;
        self.end = at;
        self.mode = Mode::Line;
        self.append = None;
        self.spent = 0;
        self.no_append = false;
        self.skipped = 0;
    }

    /// Moves what is not yet handled to the front.
    fn compact(&mut self) {
        if self.start == 0 {
            return;
        }
        self.buffer.drain(..self.start);
        self.line -= self.start;
        self.scanned -= self.start;
        self.end = self.end.saturating_sub(self.start);
        if let Mode::Literal { end } = &mut self.mode {
            *end -= self.start;
        }
        self.start = 0;
    }

    /// Behind the line feed that ends the current line.
    fn find_line_end(&mut self) -> Option<usize> {
        let found = self.buffer[self.scanned..].iter().position(|&byte| byte == b'\n');
        match found {
            Some(offset) => {
                self.scanned += offset + 1;
                Some(self.scanned)
            }
            None => {
                self.scanned = self.buffer.len();
                None
            }
        }
    }

    /// A line of a command: its end, if it is there and no literal follows.
    fn line(&mut self) -> Option<Read> {
        let Some(end) = self.find_line_end() else {
            if self.buffer.len() - self.start <= self.command_octets_max {
                return Some(Read::Incomplete);
            }
            self.mode = Mode::SkipLine { tag: Tag::of_line(&self.buffer[self.start..]) };
            return None;
        };
        if self.spent + end - self.start > self.command_octets_max {
            self.mode = Mode::SkipLine { tag: Tag::of_line(&self.buffer[self.start..]) };
            self.scanned = self.line;
            return None;
        }
        let Some(header) = LiteralHeader::at_end_of(&self.buffer[self.line..end]) else {
            self.end = end;
            let Some(within) = self.append else { return Some(Read::Command) };
            let items = match parse_behind_octets(&self.buffer[self.start..end], within) {
                Ok((items, _)) => Ok(items),
                Err(Stop::Unfinished) => Err(SyntaxError("a literal is cut off")),
                Err(Stop::Wrong(error)) => Err(error),
            };
            self.begin_command(end);
            return Some(Read::Items(items));
        };
        self.literal(end, header)
    }

    /// What ends with this literal's header, if the literal is part of a message.
    fn append(&mut self, end: usize) -> Option<Read> {
        if self.no_append {
            return None;
        }
        let bytes = &self.buffer[self.start..end];
        let (read, within) = match self.append {
            None => match AppendHead::parse(bytes, self.names) {
                Some(Ok(head)) => {
                    let within = head.within;
                    (Read::Append(head), within)
                }
                Some(Err(Stop::Unfinished)) => return None,
                Some(Err(Stop::Wrong(_))) | None => {
                    self.no_append = true;
                    return None;
                }
            },
            Some(within) => match parse_behind_octets(bytes, within) {
                Ok((items, within)) => (Read::Items(Ok(items)), within),
                Err(Stop::Unfinished) => return None,
                Err(Stop::Wrong(_)) => {
                    self.no_append = true;
                    return None;
                }
            },
        };
        let items = match &read {
            Read::Append(head) => Some(&head.items),
            Read::Items(items) => items.as_ref().ok(),
            _ => None,
        };
        let Some(&AppendItem::Octets { count, .. }) = items.and_then(|items| items.last()) else {
            self.no_append = true;
            return None;
        };
        let spent = self.spent + end - self.start;
        self.begin_command(end);
        self.append = Some(within);
        self.spent = spent;
        self.mode = Mode::Stream { left: count };
        Some(read)
    }

    /// A literal's header ends the line at `end`.
    fn literal(&mut self, end: usize, header: LiteralHeader) -> Option<Read> {
        if let Some(append) = self.append(end) {
            return Some(append);
        }
        if self.spent + end - self.start + header.octets as usize > self.command_octets_max {
            let tag = Tag::of_line(&self.buffer[self.start..end]);
            self.begin_command(end);
            if header.waits {
                // RFC 3501 §7.5: without the `+` the client does not send the literal.
                return Some(Read::TooLong(tag));
            }
            self.mode = Mode::SkipLiteral { left: header.octets, tag };
            return None;
        }
        self.mode = Mode::Literal { end: end + header.octets as usize };
        header.waits.then_some(Read::Continue)
    }

    /// RFC 7888 §4: what a non-synchronizing literal announced comes whether it is wanted or not,
    /// and may hold anything; none of it may be taken for a command.
    fn skip(&mut self) -> Option<Read> {
        if self.skipped > SKIPPED_OCTETS_MAX {
            return Some(Read::Endless);
        }
        match std::mem::replace(&mut self.mode, Mode::Line) {
            Mode::SkipLiteral { left, tag } => {
                let count = (self.buffer.len() - self.start).min(left as usize);
                self.skipped += count as u64;
                let left = left - count as u32;
                let skipped = self.skipped;
                self.begin_command(self.start + count);
                self.skipped = skipped;
                if left > 0 {
                    self.mode = Mode::SkipLiteral { left, tag };
                    return Some(Read::Incomplete);
                }
                self.mode = Mode::SkipLine { tag };
                None
            }
            Mode::SkipLine { tag } => {
                let found = self.find_line_end();
                let end = found.unwrap_or(self.buffer.len());
                let header = LiteralHeader::at_end_of(&self.buffer[self.line..end]);
                self.skipped += (end - self.start) as u64;
                let skipped = self.skipped;
                // The last octets of a line tell whether a literal follows: keep them.
                let keep =
                    if found.is_some() { end } else { end.saturating_sub(16).max(self.start) };
                self.begin_command(keep);
                self.skipped = skipped;
                self.scanned = end;
                match (found, header) {
                    (None, _) => {
                        self.mode = Mode::SkipLine { tag };
                        Some(Read::Incomplete)
                    }
                    (Some(_), Some(header)) if !header.waits => {
                        self.mode = Mode::SkipLiteral { left: header.octets, tag };
                        None
                    }
                    (Some(_), _) => Some(Read::TooLong(tag)),
                }
            }
            mode => {
                self.mode = mode;
                None
            }
        }
    }
}
