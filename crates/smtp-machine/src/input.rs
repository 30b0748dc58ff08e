use std::ops::Range;

/// Octets that came in and are not yet handled: enough for a good run of content.
const INPUT_OCTETS_MAX: usize = 64 * 1024;
/// A buffer that has grown beyond this is given back after the message.
const INPUT_OCTETS_KEPT: usize = 8 * 1024;

/// Bytes of the peer that wait to be handled.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    /// Everything in front of this is done with.
    at: usize,
}

/// What stands at the front of the input.
pub(crate) enum Front {
    /// A whole line; the range is without its LF.
    Line(Range<usize>),
    /// The begin of a line.
    Partial,
    /// More than the limit, and still no end.
    TooLong,
}

impl Input {
    /// Takes as many bytes as fit.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> usize {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        let taken = bytes.len().min(INPUT_OCTETS_MAX - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..taken]);
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    pub(crate) fn skip(&mut self, octets: usize) {
        self.at += octets;
        if self.is_empty() {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.at = 0;
        self.bytes.clear();
    }

    /// Gives the memory back that a message's content took.
    pub(crate) fn release(&mut self) {
        self.bytes.shrink_to(INPUT_OCTETS_KEPT);
    }

    /// Looks for a line of at most `octets_max` octets with its line end.
    pub(crate) fn front(&self, octets_max: usize) -> Front {
        let rest = self.rest();
        match memchr::memchr(b'\n', &rest[..rest.len().min(octets_max)]) {
            Some(end) => Front::Line(self.at..self.at + end),
            None if rest.len() >= octets_max => Front::TooLong,
            None => Front::Partial,
        }
    }

    /// Copies a line found by `front` out and skips it with its LF. The CR before it, if there is
    /// one, is taken off; `None` where there is none (a bare LF).
    pub(crate) fn take_line(&mut self, line: Range<usize>) -> Option<Vec<u8>> {
        let octets = line.len() + 1;
        let text = self.bytes[line].strip_suffix(b"\r").map(<[u8]>::to_vec);
        self.skip(octets);
        text
    }
}
