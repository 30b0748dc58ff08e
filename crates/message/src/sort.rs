use crate::address_list::{EnvelopeAddress, parse_addresses};
use crate::codec::{Decoder, Encoder, SummaryError};
use crate::date::parse_date;
use crate::fold::casemap;
use crate::header::Fields;
use crate::params::skip_cfws;
use crate::subject::base_subject;
use crate::text::decode_words;
use crate::{Bytes, Limits};

/// First octet of encoded facts. Old versions are read for ever.
const VERSION: u8 = 1;

/// Octets kept of a text to sort by, and of a Message-ID. Longer ones that are the same so far
/// count as the same.
const KEY_OCTETS_MAX: usize = 4096;

/// Message-IDs kept of one References field: the first, and the last of those behind it.
const REFERENCES_MAX: usize = 1000;

/// What SORT and THREAD (RFC 5256, RFC 5957) ask of a header. The texts are in the form in which
/// i;unicode-casemap compares them by their octets ([`casemap`]), and empty where the header has
/// nothing to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SortFacts<T = Box<str>> {
    /// The Date field, in seconds since 1970 UTC. RFC 5256 §2.2: where it is `None`, the internal
    /// date counts, which the caller puts here.
    pub sent: Option<i64>,
    /// RFC 5256 §2.1 base subject.
    pub subject: T,
    /// Whether finding the base subject took off the marks of a reply or forward.
    pub subject_is_reply_or_forward: bool,
    /// RFC 5256 §3: addr-mailbox of the first From address.
    pub from: T,
    /// Of the first To address.
    pub to: T,
    /// Of the first Cc address.
    pub cc: T,
    /// RFC 5957 §3: what is shown of the first From address.
    pub display_from: T,
    /// Of the first To address.
    pub display_to: T,
    /// Without brackets and quotes, compared exactly; `None` where there is no valid one.
    pub message_id: Option<T>,
    /// Message-IDs of the messages before this one in its thread, the oldest first, in the form of
    /// `message_id`, a line feed between two; see [`SortFacts::references`].
    pub reference_lines: T,
}

impl SortFacts {
    /// Reads a header, or a message that begins with one, within the limits. Of two fields of one
    /// name the first counts that says something.
    #[must_use]
    pub fn read(header: &[u8], limits: &Limits) -> Self {
        let mut facts = Self::default();
        let (mut has_date, mut subject) = (false, None);
        let (mut from, mut to, mut cc) = (Vec::new(), Vec::new(), Vec::new());
        let (mut references, mut in_reply_to) = (Vec::new(), None);
        // The first of each list is all that counts.
        let first_only = Limits { addresses_max: 2, ..limits.clone() };
        for field in Fields::limited(header, limits) {
            match field.name.len() {
                2 if field.is("To") && to.is_empty() => {
                    parse_addresses(field.value, &first_only, &mut to);
                }
                2 if field.is("Cc") && cc.is_empty() => {
                    parse_addresses(field.value, &first_only, &mut cc);
                }
                4 if field.is("From") && from.is_empty() => {
                    parse_addresses(field.value, &first_only, &mut from);
                }
                4 if field.is("Date") && !has_date => {
                    has_date = true;
                    facts.sent = parse_date(field.value).map(|date| date.at.secs());
                }
                7 if field.is("Subject") && subject.is_none() => subject = Some(field.value),
                10 if field.is("Message-ID") && facts.message_id.is_none() => {
                    facts.message_id = MessageIds::new(field.value).next();
                }
                10 if field.is("References") && references.is_empty() => {
                    references = read_references(field.value);
                }
                // RFC 5256 §3: the first valid one of In-Reply-To where References has none.
                11 if field.is("In-Reply-To") && in_reply_to.is_none() => {
                    in_reply_to = MessageIds::new(field.value).next();
                }
                _ => {}
            }
        }
        if let Some(subject) = subject {
            let subject = &subject[..subject.len().min(limits.value_bytes_max)];
            let (base, is_reply_or_forward) = base_subject(&decode_words(subject));
            facts.subject = key(casemap(&base));
            facts.subject_is_reply_or_forward = is_reply_or_forward;
        }
        facts.from = mailbox_key(from.first());
        facts.to = mailbox_key(to.first());
        facts.cc = mailbox_key(cc.first());
        facts.display_from = display_key(from.first());
        facts.display_to = display_key(to.first());
        if references.is_empty() {
            references.extend(in_reply_to);
        }
        facts.reference_lines = references.join("\n").into();
        facts
    }
}

impl<T: AsRef<str>> SortFacts<T> {
    /// Message-IDs of the messages before this one in its thread, the oldest first.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        self.reference_lines.as_ref().split('\n').filter(|id| !id.is_empty())
    }

    /// The same facts, their texts borrowed.
    pub fn by_ref(&self) -> SortFacts<&str> {
        SortFacts {
            sent: self.sent,
            subject: self.subject.as_ref(),
            subject_is_reply_or_forward: self.subject_is_reply_or_forward,
            from: self.from.as_ref(),
            to: self.to.as_ref(),
            cc: self.cc.as_ref(),
            display_from: self.display_from.as_ref(),
            display_to: self.display_to.as_ref(),
            message_id: self.message_id.as_ref().map(AsRef::as_ref),
            reference_lines: self.reference_lines.as_ref(),
        }
    }

    /// A compact form to keep.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let facts = self.by_ref();
        let mut out = Encoder::new(VERSION, 256);
        // Zigzag: what is before 1970 stays small too.
        let sent = facts.sent.map(|secs| (secs.unsigned_abs() << 1) | u64::from(secs < 0));
        let sent = sent.map_or(0, |secs| secs.saturating_add(1) & (u64::MAX >> 1));
        out.number(usize::try_from(sent).unwrap_or(0));
        out.number(usize::from(facts.subject_is_reply_or_forward));
        let texts = [
            facts.subject,
            facts.from,
            facts.to,
            facts.cc,
            facts.display_from,
            facts.display_to,
            facts.reference_lines,
        ];
        for text in texts {
            out.text(text.as_bytes());
        }
        out.optional(facts.message_id.map(str::as_bytes));
        out.out
    }
}

impl<'a> SortFacts<&'a str> {
    /// The inverse of [`SortFacts::encode`], borrowed from it.
    ///
    /// # Errors
    /// Where the octets were not made by this or an older version, see [`SummaryError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, SummaryError> {
        let mut decoder = Decoder::new(VERSION, bytes)?;
        let sent = decoder.number()?.checked_sub(1).map(|secs| {
            let size = i64::try_from(secs >> 1).unwrap_or(i64::MAX);
            if secs & 1 == 1 { -size } else { size }
        });
        let subject_is_reply_or_forward = match decoder.number()? {
            0 => false,
            1 => true,
            _ => return Err(SummaryError::Damaged),
        };
        let facts = Self {
            sent,
            subject_is_reply_or_forward,
            subject: decoder.str()?,
            from: decoder.str()?,
            to: decoder.str()?,
            cc: decoder.str()?,
            display_from: decoder.str()?,
            display_to: decoder.str()?,
            reference_lines: decoder.str()?,
            message_id: decoder.optional_str()?,
        };
        if decoder.rest.is_empty() { Ok(facts) } else { Err(SummaryError::Damaged) }
    }

    /// The same facts with texts of their own.
    #[must_use]
    pub fn into_owned(self) -> SortFacts {
        SortFacts {
            sent: self.sent,
            subject: self.subject.into(),
            subject_is_reply_or_forward: self.subject_is_reply_or_forward,
            from: self.from.into(),
            to: self.to.into(),
            cc: self.cc.into(),
            display_from: self.display_from.into(),
            display_to: self.display_to.into(),
            message_id: self.message_id.map(Into::into),
            reference_lines: self.reference_lines.into(),
        }
    }
}

/// RFC 5256 §3: the addr-mailbox of an envelope's address; of a group that is its name.
fn mailbox_key(address: Option<&EnvelopeAddress>) -> Box<str> {
    let mailbox = address.and_then(|address| address.mailbox.as_deref());
    key(casemap(&String::from_utf8_lossy(mailbox.unwrap_or_default())))
}

/// RFC 5957 §3: the display name decoded, else the name of a group, else `mailbox@host`.
fn display_key(address: Option<&EnvelopeAddress>) -> Box<str> {
    let Some(address) = address else { return Box::default() };
    let name: Option<&Bytes> = address.name.as_ref();
    key(casemap(&match (name, address.address_text()) {
        (Some(name), _) => decode_words(name),
        (None, Some(text)) => text,
        (None, None) => decode_words(address.mailbox.as_deref().unwrap_or_default()),
    }))
}

/// Cut to [`KEY_OCTETS_MAX`] between characters.
fn key(text: String) -> Box<str> {
    let mut text = text;
    let mut end = text.len().min(KEY_OCTETS_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.into()
}

fn read_references(value: &[u8]) -> Vec<Box<str>> {
    let mut ids: Vec<_> = MessageIds::new(value).collect();
    if let Some(excess) = ids.len().checked_sub(REFERENCES_MAX) {
        ids.drain(1..=excess);
    }
    ids
}

/// The valid msg-ids of a field (RFC 5322 §3.6.4), other text passed over.
struct MessageIds<'a> {
    rest: &'a [u8],
    /// A comment was found unclosed: behind it there is none, and brackets are plain text.
    comments_broken: bool,
}

impl<'a> MessageIds<'a> {
    const fn new(value: &'a [u8]) -> Self {
        Self { rest: value, comments_broken: false }
    }
}

impl Iterator for MessageIds<'_> {
    type Item = Box<str>;

    fn next(&mut self) -> Option<Box<str>> {
        loop {
            let start = memchr::memchr(b'<', self.rest)?;
            self.rest = &self.rest[start + 1..];
            let found = self.id();
            if found.is_some() {
                return found;
            }
        }
    }
}

impl MessageIds<'_> {
    /// What stands up to the `>`, without white space, comments and quotes, so that two ways to
    /// write one msg-id are the same (RFC 5256 §3); `None` where it is none. A `<` begins anew.
    fn id(&mut self) -> Option<Box<str>> {
        let mut id = Vec::new();
        let (mut has_at, mut in_quotes) = (false, false);
        while let [first, tail @ ..] = self.rest {
            match first {
                b'"' => in_quotes = !in_quotes,
                b'\\' if in_quotes => {
                    id.extend(tail.first());
                    self.rest = tail.get(1..).unwrap_or_default();
                    continue;
                }
                b'>' if !in_quotes => {
                    self.rest = tail;
                    let is_valid = has_at && !id.starts_with(b"@") && !id.ends_with(b"@");
                    let id = &id[..id.len().min(KEY_OCTETS_MAX)];
                    return is_valid.then(|| String::from_utf8_lossy(id).into());
                }
                b'<' if !in_quotes => return None,
                b'(' if !in_quotes && !self.comments_broken => {
                    let behind = skip_cfws(self.rest);
                    self.comments_broken = behind.is_empty();
                    if !self.comments_broken {
                        self.rest = behind;
                    }
                    continue;
                }
                b'\r' | b'\n' | 0 => {}
                b' ' | b'\t' if !in_quotes => {}
                byte => {
                    has_at |= *byte == b'@';
                    id.push(*byte);
                }
            }
            self.rest = tail;
        }
        None
    }
}
