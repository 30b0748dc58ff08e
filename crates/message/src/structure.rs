use std::ops::Range;

use memchr::{memchr_iter, memmem};

use crate::content::Content;
use crate::envelope::Envelope;
use crate::header::{Fields, is_blank, line_end};
use crate::{Bytes, Limits};

/// The place of a part in [`Structure::parts`].
pub type PartIndex = usize;

/// The tree of a message's parts, as byte ranges into the message. The message is not held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// In the order in which they begin; the first is the message itself. Never empty.
    pub(crate) parts: Vec<Part>,
}

/// An entity of MIME (RFC 2045 §2.4): the message, a part of a multipart, or a message inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Octets of its header in the message, with the blank line that ends it.
    pub header: Range<usize>,
    /// Octets of its body in the message; the line end before a boundary is no part of it.
    pub body: Range<usize>,
    /// Line feeds in the body.
    pub lines: usize,
    /// What its Content-* fields say.
    pub content: Content,
    /// What is inside.
    pub kind: Kind,
}

/// What is inside of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing but its body.
    Leaf,
    /// It says that parts are inside, and was not taken apart.
    Opaque(Opaque),
    /// Parts, at least one.
    Multipart(Vec<PartIndex>),
    /// A message (message/rfc822, message/global).
    Message {
        /// The message inside.
        inner: PartIndex,
        /// Its envelope.
        envelope: Box<Envelope>,
    },
}

/// Why a composite part was not taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opaque {
    /// A multipart without boundary parameter, or whose boundary does not occur.
    NoParts,
    /// [`Limits::depth_max`] or [`Limits::parts_max`] is reached.
    Limit,
    /// A message in base64 or quoted-printable, which RFC 2046 §5.2.1 forbids.
    Encoded,
}

impl Part {
    /// Type and subtype by which programs shall treat it: the declared one, unless the part is
    /// opaque. A multipart without parts is text; what is too deep or encoded is a file to save.
    #[must_use]
    pub fn shown_type(&self) -> (&str, &str) {
        match self.kind {
            Kind::Opaque(Opaque::NoParts) => ("text", "plain"),
            Kind::Opaque(Opaque::Limit | Opaque::Encoded) => ("application", "octet-stream"),
            Kind::Leaf | Kind::Multipart(_) | Kind::Message { .. } => {
                (&self.content.media_type, &self.content.subtype)
            }
        }
    }
}

impl Structure {
    /// Reads the structure in one pass, in time linear in the message's size. Every octet of the
    /// message is in the ranges of its parts, or is preamble, delimiter or epilogue of a multipart.
    #[must_use]
    pub fn parse(bytes: &[u8], limits: &Limits) -> Self {
        let mut parser = Parser {
            bytes,
            limits,
            parts: Vec::new(),
            open: Vec::new(),
            boundaries: 0,
            counted: (0, 0),
        };
        parser.run();
        Self { parts: parser.parts }
    }

    /// The message itself.
    #[must_use]
    pub fn root(&self) -> &Part {
        // Proven: the parser opens the root first, and `Summary::decode` refuses an empty list.
        &self.parts[0]
    }

    /// All parts, in the order in which they begin.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Octets of the message.
    #[must_use]
    pub fn size(&self) -> usize {
        self.root().body.end
    }
}

/// An entity whose end is not yet known.
struct Open {
    part: PartIndex,
    /// While it is looked for.
    boundary: Option<Bytes>,
    /// Line feeds before its body.
    lines_before: usize,
}

struct Parser<'a> {
    bytes: &'a [u8],
    limits: &'a Limits,
    parts: Vec<Part>,
    /// From the message down to the entity being read.
    open: Vec<Open>,
    /// How many of `open` have a boundary.
    boundaries: usize,
    /// Line feeds counted up to this position.
    counted: (usize, usize),
}

/// A delimiter line (RFC 2046 §5.1.1).
struct Delimiter {
    /// Which of `open` it belongs to.
    owner: usize,
    closing: bool,
    /// Where the line begins.
    start: usize,
}

impl Parser<'_> {
    fn run(&mut self) {
        let mut at = self.enter(0, false);
        let finder = memmem::Finder::new(b"\n--");
        while self.boundaries > 0 && self.parts.len() < self.limits.parts_max {
            let Some(delimiter) = self.next_delimiter(&finder, at) else { break };
            at = self.delimit(&delimiter);
        }
        while let Some(open) = self.open.pop() {
            self.close(&open, self.bytes.len(), self.bytes.len());
        }
    }

    /// The next delimiter line of any open multipart at or behind `from`, which is a line's begin.
    fn next_delimiter(&self, finder: &memmem::Finder<'_>, from: usize) -> Option<Delimiter> {
        if let Some(found) = self.delimiter_at(from) {
            return Some(found);
        }
        finder
            .find_iter(&self.bytes[from..])
            .find_map(|line_feed| self.delimiter_at(from + line_feed + 1))
    }

    /// RFC 2046 §5.1.1: "it is sufficient that the boundary appear in its entirety following the
    /// CRLF", whatever stands behind it. Of several that do, the longest has the line, so that one
    /// may begin with another; of several that are the same, the innermost.
    fn delimiter_at(&self, start: usize) -> Option<Delimiter> {
        let line = self.bytes.get(start..)?.strip_prefix(b"--")?;
        let mut found: Option<(usize, &[u8])> = None;
        for (owner, open) in self.open.iter().enumerate() {
            if let Some(boundary) = &open.boundary
                && line.starts_with(boundary)
                && found.is_none_or(|(_, longest)| boundary.len() >= longest.len())
            {
                found = Some((owner, boundary));
            }
        }
        let (owner, boundary) = found?;
        Some(Delimiter { owner, closing: line[boundary.len()..].starts_with(b"--"), start })
    }

    /// Ends what the delimiter ends and begins what it begins; returns where to read on.
    fn delimit(&mut self, delimiter: &Delimiter) -> usize {
        // The line end before the delimiter belongs to it, unless it ends the delimiter before.
        let body_end = delimiter.start - line_end_octets(&self.bytes[..delimiter.start]);
        let child = self.open.get(delimiter.owner + 1);
        let begin = child.map_or(0, |open| self.parts[open.part].header.start);
        let body_end = body_end.max(begin);
        while self.open.len() > delimiter.owner + 1 {
            let Some(open) = self.open.pop() else { break };
            self.close(&open, body_end, delimiter.start);
        }
        let behind = line_end(self.bytes, delimiter.start);
        let owner = &mut self.open[delimiter.owner];
        if delimiter.closing {
            owner.boundary = None;
            self.boundaries -= 1;
            return behind;
        }
        let part = owner.part;
        let child = self.parts.len();
        match &mut self.parts[part].kind {
            Kind::Multipart(children) => children.push(child),
            kind @ (Kind::Leaf | Kind::Opaque(_) | Kind::Message { .. }) => {
                *kind = Kind::Multipart(vec![child]);
            }
        }
        let in_digest = self.parts[part].content.is("multipart", "digest");
        self.enter(behind, in_digest)
    }

    /// Reads the header of an entity, and of the messages directly inside; returns where its body
    /// begins.
    fn enter(&mut self, start: usize, in_digest: bool) -> usize {
        let (mut start, mut in_digest) = (start, in_digest);
        loop {
            let header = start..self.header_end(start);
            let body = header.end;
            let fields = Fields::limited(&self.bytes[header.clone()], self.limits);
            let content = Content::read(fields, in_digest, self.limits);
            let boundary = (&*content.media_type == "multipart").then(|| content.boundary());
            let is_message = content.is("message", "rfc822") || content.is("message", "global");
            let is_identity = content.encoding.is_identity();
            let part = self.parts.len();
            let kind = match &boundary {
                Some(_) => Kind::Opaque(Opaque::NoParts),
                None => Kind::Leaf,
            };
            self.parts.push(Part { header, body: body..body, lines: 0, content, kind });
            let lines_before = self.lines_to(body);
            self.open.push(Open { part, boundary: None, lines_before });

            let full = self.open.len() >= self.limits.depth_max
                || self.parts.len() >= self.limits.parts_max;
            if full && (boundary.is_some() || is_message) {
                self.parts[part].kind = Kind::Opaque(Opaque::Limit);
            } else if let (Some(Some(boundary)), Some(open)) = (boundary, self.open.last_mut()) {
                open.boundary = Some(boundary);
                self.boundaries += 1;
            } else if is_message && !is_identity {
                self.parts[part].kind = Kind::Opaque(Opaque::Encoded);
            } else if is_message {
                let inner = self.parts.len();
                let envelope = Box::new(Envelope::default());
                self.parts[part].kind = Kind::Message { inner, envelope };
                (start, in_digest) = (body, false);
                continue;
            }
            self.fill_envelope(part);
            return body;
        }
    }

    /// Reads the envelopes of the messages that end in `last`, now that their headers are known.
    fn fill_envelope(&mut self, last: PartIndex) {
        let mut inner = last;
        while let Some(outer) = inner.checked_sub(1) {
            let header = self.parts[inner].header.clone();
            match &mut self.parts[outer].kind {
                Kind::Message { inner: found, envelope } if *found == inner => {
                    if !header.is_empty() {
                        **envelope = Envelope::read(&self.bytes[header], self.limits);
                    }
                }
                _ => break,
            }
            inner = outer;
        }
    }

    /// A header ends behind its blank line, or where a delimiter of an open multipart cuts it off.
    fn header_end(&self, start: usize) -> usize {
        let mut at = start;
        while at < self.bytes.len() {
            if is_blank(&self.bytes[at..]) {
                return line_end(self.bytes, at);
            }
            if self.boundaries > 0 && self.delimiter_at(at).is_some() {
                return at;
            }
            at = line_end(self.bytes, at);
        }
        at
    }

    /// Sets the end of a body. `counted_to` is the position up to which lines may be counted; the
    /// line feed between `end` and it is taken off again.
    fn close(&mut self, open: &Open, end: usize, counted_to: usize) {
        if open.boundary.is_some() {
            self.boundaries -= 1;
        }
        let lines = self.lines_to(counted_to) - open.lines_before;
        let Part { header, body, lines: kept, .. } = &mut self.parts[open.part];
        // RFC 2046 §5.1.1: so may the blank line of a header be the delimiter's.
        header.end = header.end.min(end);
        header.start = header.start.min(end);
        *body = header.end..end;
        *kept = lines - usize::from(end < counted_to).min(lines);
    }

    /// Line feeds before `at`. Positions only grow, so that each octet is counted once.
    fn lines_to(&mut self, at: usize) -> usize {
        let (from, lines) = self.counted;
        if at > from {
            self.counted = (at, lines + memchr_iter(b'\n', &self.bytes[from..at]).count());
        }
        self.counted.1
    }
}

/// Octets of the CRLF or LF that `bytes` ends in.
fn line_end_octets(bytes: &[u8]) -> usize {
    match bytes {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n'] => 1,
        _ => 0,
    }
}
