//! Message content on the wire: DATA (RFC 5321 §4.5.2) and BDAT (RFC 3030), both ways.
//!
//! Only `<CRLF>.<CRLF>` ends DATA. A bare CR or LF never counts as a line end, so no two readers of
//! the same bytes can differ about where a message ends ("SMTP smuggling"); the content is marked
//! as broken and read to its true end.

use mail_types::Refusal;
use memchr::memchr3;

/// What content holds that SMTP cannot carry (RFC 5321 §2.3.8, §4.1.1.4; RFC 5322 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// CR without LF.
    BareCr,
    /// LF without CR.
    BareLf,
    /// An octet of zero.
    Nul,
}

impl Fault {
    /// For people.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::BareCr => "a bare CR (lines end with CRLF)",
            Self::BareLf => "a bare LF (lines end with CRLF)",
            Self::Nul => "a NUL octet",
        }
    }

    /// RFC 5321 §2.3.8, §4.1.1.4: a bare CR or LF must not be taken for a line end, and a message
    /// that has one means different things to different readers: nobody gets it, on whatever way
    /// it came.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        Refusal::permanent(550, 6, 0, format!("The message holds {}", self.what()))
    }
}

/// Where a reader stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    LineStart,
    Line,
    /// Behind a CR.
    Cr,
    /// Behind a dot at the begin of a line, not yet known whether stuffed or final.
    Dot,
    /// Behind such a dot and a CR.
    DotCr,
}

/// Reads the content of DATA: takes the stuffed dots out and finds the end.
#[derive(Clone, Debug)]
pub struct DotReader {
    at: At,
    fault: Option<Fault>,
}

impl Default for DotReader {
    fn default() -> Self {
        // The CRLF of the DATA line counts as one: content may begin with the final dot.
        Self { at: At::LineStart, fault: None }
    }
}

/// How far a [`DotReader`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Octets of the input that are done with.
    pub taken: usize,
    /// Whether `<CRLF>.<CRLF>` was among them.
    pub ended: bool,
}

impl DotReader {
    /// Reads on, appending content to `out`: at most one octet more than `input` has. Runs of
    /// lines without stuffed dots are copied in one piece.
    pub fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Scanned {
        let mut at = 0;
        // input[copied..at] is content that is not yet in `out`.
        let mut copied = 0;
        while at < input.len() {
            match self.at {
                At::LineStart if input[at] == b'.' => {
                    out.extend_from_slice(&input[copied..at]);
                    at += 1;
                    copied = at;
                    self.at = At::Dot;
                }
                At::LineStart => self.at = At::Line,
                At::Dot if input[at] == b'\r' => {
                    at += 1;
                    copied = at;
                    self.at = At::DotCr;
                }
                // RFC 5321 §4.5.2: the dot was stuffed; it is gone.
                At::Dot => self.at = At::Line,
                At::DotCr if input[at] == b'\n' => {
                    return Scanned { taken: at + 1, ended: true };
                }
                At::DotCr => {
                    out.push(b'\r');
                    self.found(Fault::BareCr);
                    self.at = At::Line;
                }
                At::Line | At::Cr => at = self.read_line(input, at),
            }
        }
        out.extend_from_slice(&input[copied..]);
        Scanned { taken: input.len(), ended: false }
    }

    /// The first thing found that SMTP cannot carry.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Whether this is at the begin of a line or (BDAT) of the content.
    const fn in_cr(&self) -> bool {
        matches!(self.at, At::Cr | At::DotCr)
    }

    /// Goes on in a line, at most to the begin of the next; the new place.
    fn read_line(&mut self, input: &[u8], from: usize) -> usize {
        let mut at = from;
        if self.at == At::Cr {
            if input[at] == b'\n' {
                self.at = At::LineStart;
                return at + 1;
            }
            self.found(Fault::BareCr);
            self.at = At::Line;
        }
        while let Some(found) = memchr3(b'\r', b'\n', 0, &input[at..]) {
            at += found + 1;
            match (input[at - 1], input.get(at)) {
                (b'\r', Some(b'\n')) => {
                    self.at = At::LineStart;
                    return at + 1;
                }
                (b'\r', None) => {
                    self.at = At::Cr;
                    return at;
                }
                (b'\r', Some(_)) => self.found(Fault::BareCr),
                (b'\n', _) => self.found(Fault::BareLf),
                (_, _) => self.found(Fault::Nul),
            }
        }
        input.len()
    }

    fn found(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}

/// Reads the content of BDAT chunks, which comes as it is: only looks for faults.
#[derive(Clone, Debug, Default)]
pub struct ChunkReader(DotReader);

impl ChunkReader {
    /// Looks at the next octets of the content, from whichever chunk.
    pub fn read(&mut self, input: &[u8]) {
        let mut at = 0;
        while at < input.len() {
            if self.0.at == At::LineStart {
                self.0.at = At::Line;
            }
            at = self.0.read_line(input, at);
        }
    }

    /// The content is over: the last octet may not be a CR.
    pub fn end(&mut self) {
        if self.0.in_cr() {
            self.0.found(Fault::BareCr);
        }
    }

    /// The first thing found that SMTP cannot carry.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        self.0.fault
    }
}

/// Writes content for DATA: stuffs dots (RFC 5321 §4.5.2) and ends it.
///
/// Quirk `mend-line-ends`: a bare CR or LF, which must not be sent (RFC 5321 §2.3.8), becomes CRLF,
/// so that no receiver, however careless, sees an end of message in the content.
#[derive(Clone, Debug)]
pub struct DotWriter {
    at: At,
}

impl Default for DotWriter {
    fn default() -> Self {
        Self { at: At::LineStart }
    }
}

impl DotWriter {
    /// Appends the next octets of the content to `out`, ready for the wire.
    pub fn write(&mut self, content: &[u8], out: &mut Vec<u8>) {
        out.reserve(content.len() + content.len() / 32);
        let mut at = 0;
        let mut copied = 0;
        while at < content.len() {
            // A CR from the content's last piece has been written; its LF may follow.
            if self.at == At::Cr {
                if content[at] == b'\n' {
                    at += 1;
                } else {
                    out.push(b'\n');
                }
                if at > copied {
                    out.extend_from_slice(&content[copied..at]);
                    copied = at;
                }
                self.at = At::LineStart;
                continue;
            }
            if self.at == At::LineStart && content[at] == b'.' {
                out.extend_from_slice(&content[copied..at]);
                out.push(b'.');
                copied = at;
            }
            self.at = At::Line;
            let Some(found) = memchr::memchr2(b'\r', b'\n', &content[at..]) else { break };
            at += found;
            match (content[at], content.get(at + 1)) {
                (b'\r', Some(b'\n')) => {
                    at += 2;
                    self.at = At::LineStart;
                }
                (b'\r', None) => {
                    at += 1;
                    self.at = At::Cr;
                }
                (_, _) => {
                    out.extend_from_slice(&content[copied..at]);
                    out.extend_from_slice(b"\r\n");
                    at += 1;
                    copied = at;
                    self.at = At::LineStart;
                }
            }
        }
        out.extend_from_slice(&content[copied..]);
    }

    /// Completes the last line if the content did not.
    pub fn end_line(&mut self, out: &mut Vec<u8>) {
        match self.at {
            At::LineStart => {}
            At::Cr => out.push(b'\n'),
            At::Line | At::Dot | At::DotCr => out.extend_from_slice(b"\r\n"),
        }
        self.at = At::LineStart;
    }
}
