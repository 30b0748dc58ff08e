//! The canonical forms of header fields and bodies (RFC 6376 §3.4).

use aws_lc_rs::digest::{Context, SHA256};

/// Canonical octets that are gathered before they are hashed.
const PIECE_BYTES: usize = 8 << 10;

/// How far a message may change on its way without breaking its signature (RFC 6376 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Canon {
    /// Hardly at all.
    Simple,
    /// In its white space.
    Relaxed,
}

/// Appends a field in canonical form; `raw` is the whole of it, with its line end. What it appends
/// ends in CRLF.
pub(crate) fn field(canon: Canon, raw: &[u8], into: &mut Vec<u8>) {
    match canon {
        // RFC 6376 §3.4.1: header fields MUST NOT be changed.
        Canon::Simple => into.extend_from_slice(without_crlf(raw)),
        Canon::Relaxed => relaxed_field(raw, into),
    }
    into.extend_from_slice(b"\r\n");
}

fn without_crlf(raw: &[u8]) -> &[u8] {
    raw.strip_suffix(b"\r\n").unwrap_or(raw)
}

/// RFC 6376 §3.4.2: the name in lower case, no white space around the colon and at the end, one
/// space for each run of white space, folds undone.
fn relaxed_field(raw: &[u8], into: &mut Vec<u8>) {
    let colon = memchr::memchr(b':', raw).unwrap_or(raw.len());
    let (name, value) = raw.split_at(colon);
    into.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    into.push(b':');
    let mut value = value.strip_prefix(b":").unwrap_or(value);
    let (mut begun, mut space) = (false, false);
    while let Some((&byte, rest)) = value.split_first() {
        value = match byte {
            // RFC 6376 §3.4.2: unfold; a lone CR or LF is no fold and stays.
            b'\r' if rest.first() == Some(&b'\n') => &rest[1..],
            b' ' | b'\t' => {
                space = true;
                rest
            }
            _ => {
                if space && begun {
                    into.push(b' ');
                }
                (begun, space) = (true, false);
                into.push(byte);
                rest
            }
        };
    }
}

/// A body in canonical form, hashed as it passes: once for each length that signatures want.
pub(crate) struct BodyHashes {
    canon: Canon,
    /// White space, seen and not yet known to stand inside a line (relaxed).
    space: bool,
    /// A CR that may begin a line end.
    cr: bool,
    /// Line ends that are dropped where nothing follows.
    lines: u64,
    piece: Vec<u8>,
    /// Canonical octets hashed so far.
    length: u64,
    hashes: Vec<LimitedHash>,
}

/// The hash of the first octets of a canonical body.
struct LimitedHash {
    limit: Option<u64>,
    left: u64,
    context: Context,
}

/// What a body came to.
pub(crate) struct BodyDigests {
    /// Octets of the canonical form.
    pub length: u64,
    digests: Vec<(Option<u64>, [u8; 32])>,
}

impl BodyDigests {
    /// Of a body that nobody asked about.
    pub const NONE: Self = Self { length: 0, digests: Vec::new() };

    /// The hash of so many octets, all of them without a limit.
    pub fn get(&self, limit: Option<u64>) -> Option<&[u8; 32]> {
        self.digests.iter().find(|(known, _)| *known == limit).map(|(_, digest)| digest)
    }
}

impl BodyHashes {
    pub fn new(canon: Canon) -> Self {
        Self {
            canon,
            space: false,
            cr: false,
            lines: 0,
            piece: Vec::with_capacity(PIECE_BYTES + 8),
            length: 0,
            hashes: Vec::new(),
        }
    }

    /// Wants the hash of the first `limit` octets too (`l=`), or of all.
    pub fn want(&mut self, limit: Option<u64>) {
        if self.hashes.iter().all(|hash| hash.limit != limit) {
            let left = limit.unwrap_or(u64::MAX);
            self.hashes.push(LimitedHash { limit, left, context: Context::new(&SHA256) });
        }
    }

    /// The next octets of the body.
    pub fn write(&mut self, bytes: &[u8]) {
        match self.canon {
            Canon::Simple => self.write_simple(bytes),
            Canon::Relaxed => self.write_relaxed(bytes),
        }
    }

    /// RFC 6376 §3.4.3: all but the empty lines at the end.
    fn write_simple(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match byte {
                b'\n' if self.cr => {
                    (self.cr, self.lines) = (false, self.lines + 1);
                    bytes = rest;
                }
                b'\r' => {
                    self.end_cr();
                    self.cr = true;
                    bytes = rest;
                }
                _ => {
                    let end = memchr::memchr(b'\r', bytes).unwrap_or(bytes.len());
                    self.flush_held();
                    self.take(&bytes[..end]);
                    bytes = &bytes[end..];
                }
            }
        }
    }

    /// RFC 6376 §3.4.4: besides, no white space at the end of a line, one space for each run of it.
    fn write_relaxed(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match byte {
                b'\n' if self.cr => {
                    (self.cr, self.space, self.lines) = (false, false, self.lines + 1);
                    bytes = rest;
                }
                b'\r' => {
                    self.end_cr();
                    self.cr = true;
                    bytes = rest;
                }
                b' ' | b'\t' => {
                    self.end_cr();
                    self.space = true;
                    bytes = rest;
                }
                _ => {
                    let plain = |byte: &u8| matches!(byte, b'\r' | b' ' | b'\t');
                    let end = bytes.iter().position(plain).unwrap_or(bytes.len());
                    self.flush_held();
                    self.take(&bytes[..end]);
                    bytes = &bytes[end..];
                }
            }
        }
    }

    /// A CR without its LF is an octet like any other.
    fn end_cr(&mut self) {
        if self.cr {
            self.flush_held();
        }
    }

    /// Something follows: what was held back before it is part of the body.
    fn flush_held(&mut self) {
        for _ in 0..std::mem::take(&mut self.lines) {
            self.take(b"\r\n");
        }
        if std::mem::take(&mut self.space) {
            self.take(b" ");
        }
        if std::mem::take(&mut self.cr) {
            self.take(b"\r");
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        if bytes.len() > PIECE_BYTES {
            self.hash_piece();
            self.hash(bytes);
            return;
        }
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.hash_piece();
        }
    }

    fn hash_piece(&mut self) {
        let mut piece = std::mem::take(&mut self.piece);
        self.hash(&piece);
        piece.clear();
        self.piece = piece;
    }

    /// RFC 6376 §3.5 `l=`: the count is of the canonical body, not of the one on the wire.
    fn hash(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        for hash in &mut self.hashes {
            let count = usize::try_from(hash.left).unwrap_or(usize::MAX).min(bytes.len());
            hash.context.update(&bytes[..count]);
            hash.left -= count as u64;
        }
    }

    /// The body is complete.
    pub fn finish(mut self) -> BodyDigests {
        self.end_cr();
        let is_empty = self.length == 0 && self.piece.is_empty();
        // RFC 6376 §3.4.3: an empty body is a CRLF; §3.4.4: relaxed, it is nothing. Any other ends
        // in exactly one.
        if self.canon == Canon::Simple || !is_empty {
            self.take(b"\r\n");
        }
        self.hash_piece();
        let digest = |hash: LimitedHash| {
            let mut octets = [0; 32];
            octets.copy_from_slice(hash.context.finish().as_ref());
            (hash.limit, octets)
        };
        BodyDigests { length: self.length, digests: self.hashes.into_iter().map(digest).collect() }
    }
}
