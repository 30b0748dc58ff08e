//! A message as it passes: its header is read once, its body hashed as its signatures want it.

use std::collections::HashMap;
use std::ops::Range;

use message::Fields;

use crate::Query;
use crate::arc::Chain;
use crate::canon::{self, BodyDigests, BodyHashes, Canon};
use crate::dkim::{Found, SIGNATURES_MAX};

/// Octets of a header that are read. A longer one is not verified.
const HEADER_BYTES_MAX: usize = 1 << 20;
/// Fields of a header that are read.
const FIELDS_MAX: usize = 10_000;

/// Reads a message in pieces of any size, once, for all that DKIM and ARC ask of it.
#[derive(Default)]
pub struct Reading {
    header: Vec<u8>,
    /// Where the line begins that the header's end is looked for in.
    line: usize,
    for_signing: bool,
    body: Option<Box<Body>>,
}

/// What is known once the header is complete.
struct Body {
    header: Header,
    simple: Option<BodyHashes>,
    relaxed: Option<BodyHashes>,
}

/// A header, taken apart.
struct Header {
    fields: Vec<Field>,
    signatures: Vec<Found>,
    signatures_passed_over: usize,
    chain: Chain,
    is_cut: bool,
}

/// Where a field stands in the header.
pub(crate) struct Field {
    raw: Range<usize>,
    name: Box<str>,
    /// Behind its colon.
    value_at: usize,
}

/// A message that has been read whole.
pub struct Examined {
    header: Vec<u8>,
    fields: Vec<Field>,
    /// Fields of a name (in lower case), in their order.
    by_name: HashMap<Box<str>, Vec<usize>>,
    pub(crate) signatures: Vec<Found>,
    pub(crate) signatures_passed_over: usize,
    pub(crate) chain: Chain,
    /// Not all of the header was read.
    pub(crate) header_is_cut: bool,
    simple: Option<BodyDigests>,
    relaxed: Option<BodyDigests>,
}

impl Reading {
    /// Begins a message to be verified.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a message that will be signed or sealed too.
    #[must_use]
    pub fn for_signing() -> Self {
        Self { for_signing: true, ..Self::default() }
    }

    /// Takes the next octets of the message; its lines end in CRLF.
    pub fn write(&mut self, bytes: &[u8]) {
        if let Some(body) = &mut self.body {
            body.write(bytes);
            return;
        }
        self.header.extend_from_slice(bytes);
        while let Some(end) = memchr::memchr(b'\n', &self.header[self.line..]) {
            let next = self.line + end + 1;
            let is_blank = matches!(&self.header[self.line..next], b"\n" | b"\r\n");
            if is_blank || next > HEADER_BYTES_MAX {
                self.end_header(next, !is_blank);
                return;
            }
            self.line = next;
        }
        if self.header.len() > HEADER_BYTES_MAX {
            self.end_header(self.header.len(), true);
        }
    }

    /// The keys that verifying the DKIM signatures will ask for, known once the header is complete:
    /// they can be looked up while the body comes in.
    #[must_use]
    pub fn queries(&self) -> Vec<Query> {
        let Some(body) = &self.body else { return Vec::new() };
        once(body.header.signatures.iter().filter_map(Found::query))
    }

    /// The same for the seals of ARC.
    #[must_use]
    pub fn seal_queries(&self) -> Vec<Query> {
        let Some(body) = &self.body else { return Vec::new() };
        once(body.header.chain.queries().into_iter())
    }

    /// The message is complete.
    #[must_use]
    pub fn finish(mut self) -> Examined {
        if self.body.is_none() {
            self.end_header(self.header.len(), false);
        }
        let (header, simple, relaxed) = match self.body {
            Some(body) => (body.header, body.simple, body.relaxed),
            None => (Header::parse(&[], false), None, None),
        };
        let Header { fields, signatures, signatures_passed_over, chain, is_cut } = header;
        let mut by_name: HashMap<Box<str>, Vec<usize>> = HashMap::with_capacity(fields.len());
        for (at, field) in fields.iter().enumerate() {
            by_name.entry(field.name.clone()).or_default().push(at);
        }
        Examined {
            header: self.header,
            fields,
            by_name,
            signatures,
            signatures_passed_over,
            chain,
            header_is_cut: is_cut,
            simple: simple.map(BodyHashes::finish),
            relaxed: relaxed.map(BodyHashes::finish),
        }
    }

    fn end_header(&mut self, end: usize, is_cut: bool) {
        let rest = self.header.split_off(end);
        let header = Header::parse(&self.header, is_cut);
        let mut body = Box::new(Body { header, simple: None, relaxed: None });
        body.want(self.for_signing);
        body.write(&rest);
        self.body = Some(body);
    }
}

fn once(all: impl Iterator<Item = Query>) -> Vec<Query> {
    let mut queries: Vec<Query> = Vec::new();
    for query in all {
        if !queries.contains(&query) {
            queries.push(query);
        }
    }
    queries
}

impl Body {
    fn want(&mut self, for_signing: bool) {
        let Self { header, simple, relaxed } = self;
        let signatures = header.signatures.iter().filter_map(Found::signature);
        for signature in signatures.chain(header.chain.newest_signature()) {
            let hashes = match signature.body_canon {
                Canon::Simple => &mut *simple,
                Canon::Relaxed => &mut *relaxed,
            };
            let hashes = hashes.get_or_insert_with(|| BodyHashes::new(signature.body_canon));
            hashes.want(signature.body_limit);
        }
        if for_signing {
            relaxed.get_or_insert_with(|| BodyHashes::new(Canon::Relaxed)).want(None);
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        for hashes in [&mut self.simple, &mut self.relaxed].into_iter().flatten() {
            hashes.write(bytes);
        }
    }
}

impl Header {
    fn parse(header: &[u8], is_cut: bool) -> Self {
        let mut fields = Vec::new();
        let mut at = 0;
        for field in Fields::new(header).take(FIELDS_MAX) {
            let raw = at..at + field.raw.len();
            at = raw.end;
            let colon = memchr::memchr(b':', field.raw).map_or(field.raw.len(), |colon| colon + 1);
            let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
            fields.push(Field { value_at: raw.start + colon, raw, name: name.into_boxed_str() });
        }
        let is_cut = is_cut || fields.last().is_some_and(|last| has_more(header, last.raw.end));
        let value = |field: &Field| &header[field.value_at..field.raw.end];
        let is_signature = |field: &Field| &*field.name == "dkim-signature";
        let all = || fields.iter().enumerate().filter(|(_, field)| is_signature(field));
        let found = all().take(SIGNATURES_MAX).map(|(at, field)| Found::parse(at, value(field)));
        let signatures: Vec<Found> = found.collect();
        let signatures_passed_over = all().count() - signatures.len();
        let named = fields.iter().enumerate();
        let chain = Chain::parse(named.map(|(at, field)| (at, &*field.name, value(field))));
        Self { fields, signatures, signatures_passed_over, chain, is_cut }
    }
}

/// Whether another field begins there.
fn has_more(header: &[u8], at: usize) -> bool {
    Fields::new(&header[at..]).next().is_some()
}

impl Examined {
    /// What the body came to; it was hashed in every form that a signature in the header names.
    pub(crate) fn body_digests(&self, canon: Canon) -> &BodyDigests {
        const NONE: &BodyDigests = &BodyDigests::NONE;
        let digests = match canon {
            Canon::Simple => &self.simple,
            Canon::Relaxed => &self.relaxed,
        };
        digests.as_ref().unwrap_or(NONE)
    }

    /// How many fields of this name (in lower case) there are.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.by_name.get(name).map_or(0, Vec::len)
    }

    /// The octets that a signature signs: the fields that it names, and itself without the value of
    /// `b=` (RFC 6376 §3.7). `own` is its field and where that value stands behind the colon.
    pub(crate) fn signed_text(
        &self,
        canon: Canon,
        names: &[Box<str>],
        own: (usize, Range<usize>),
    ) -> Vec<u8> {
        let (own, b_at) = own;
        let mut text = self.selected(canon, names, Some(own));
        text.extend_from_slice(&self.without_b(canon, own, b_at));
        text
    }

    /// The named fields in canonical form. RFC 6376 §5.4.2: of several with a name the last comes
    /// first; what is not there adds nothing, so that it cannot be added later.
    pub(crate) fn selected(
        &self,
        canon: Canon,
        names: &[Box<str>],
        without: Option<usize>,
    ) -> Vec<u8> {
        let mut text = Vec::with_capacity(2048);
        let mut left: HashMap<&str, &[usize]> = HashMap::new();
        for name in names {
            let Some(all) = self.by_name.get(name).filter(|_| !name.is_empty()) else { continue };
            let left = left.entry(name).or_insert(all);
            // RFC 6376 §3.5 h=: never the field itself that is being verified.
            while let Some((&at, above)) = left.split_last() {
                *left = above;
                if Some(at) != without {
                    self.field(canon, at, &mut text);
                    break;
                }
            }
        }
        text
    }

    /// Appends a field in canonical form.
    pub(crate) fn field(&self, canon: Canon, at: usize, into: &mut Vec<u8>) {
        canon::field(canon, &self.header[self.fields[at].raw.clone()], into);
    }

    /// A field in canonical form, without the value of its `b=` and the line end.
    pub(crate) fn without_b(&self, canon: Canon, at: usize, b_at: Range<usize>) -> Vec<u8> {
        let Field { raw, value_at, .. } = &self.fields[at];
        let b_at = value_at + b_at.start..value_at + b_at.end;
        let mut bare = self.header[raw.start..b_at.start].to_vec();
        bare.extend_from_slice(&self.header[b_at.end..raw.end]);
        let mut text = Vec::with_capacity(bare.len());
        canon::field(canon, &bare, &mut text);
        text.truncate(text.len() - 2);
        text
    }
}
