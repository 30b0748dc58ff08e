/// Writes a message as the lines of a multi-line response (RFC 1939 §3): dots doubled at the start
/// of lines, every line ended by CRLF, a lone dot at the end. Takes it in parts, cut anywhere.
#[derive(Clone, Debug)]
pub(crate) struct BodyWriter {
    extent: Extent,
    /// Octets of the current line so far, its CR counted.
    line_octets: u64,
    /// The last octet was a CR.
    after_cr: bool,
}

/// How much of the message is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// RETR.
    Whole,
    /// TOP, still within the header; then this many lines.
    HeaderAnd(u64),
    /// TOP, this many lines of the body are left.
    Lines(u64),
    /// TOP, nothing more is wanted.
    Enough,
}

impl BodyWriter {
    pub(crate) const fn new(extent: Extent) -> Self {
        Self { extent, line_octets: 0, after_cr: false }
    }

    /// Whether no more of the message is wanted.
    pub(crate) fn is_done(&self) -> bool {
        self.extent == Extent::Enough
    }

    /// Whether the message is wanted to its end.
    pub(crate) fn wants_all(&self) -> bool {
        self.extent == Extent::Whole
    }

    /// Writes the next part.
    pub(crate) fn write(&mut self, part: &[u8], out: &mut Vec<u8>) {
        for piece in part.split_inclusive(|&octet| octet == b'\n') {
            if self.is_done() {
                return;
            }
            if self.line_octets == 0 && piece.starts_with(b".") {
                out.push(b'.');
            }
            let Some(before) = piece.strip_suffix(b"\n") else {
                out.extend_from_slice(piece);
                self.line_octets += piece.len() as u64;
                self.after_cr = piece.ends_with(b"\r");
                return;
            };
            out.extend_from_slice(before);
            let ended_by_cr =
                if before.is_empty() { self.after_cr } else { before.ends_with(b"\r") };
            if !ended_by_cr {
                // quirk: no message that we accept holds a bare LF, but one from elsewhere may,
                // and a client that ends lines at LF must not take `LF . CR LF` for the end.
                out.push(b'\r');
            }
            out.push(b'\n');
            let octets = self.line_octets + before.len() as u64;
            self.end_line(octets == u64::from(ended_by_cr));
        }
    }

    fn end_line(&mut self, empty: bool) {
        self.line_octets = 0;
        self.after_cr = false;
        self.extent = match self.extent {
            // RFC 1939 §7: the headers, the blank line, then the lines of the body.
            Extent::HeaderAnd(0) if empty => Extent::Enough,
            Extent::HeaderAnd(lines) if empty => Extent::Lines(lines),
            Extent::Lines(0 | 1) => Extent::Enough,
            Extent::Lines(lines) => Extent::Lines(lines - 1),
            Extent::Whole | Extent::HeaderAnd(_) | Extent::Enough => self.extent,
        };
    }

    /// Ends the response.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        if self.line_octets > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }
}
