use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};
use message::fold;

use crate::{Header, Made};

/// Keys in one search: the bits of an answer.
const KEYS_MAX: usize = 64;

/// What is looked for in a message. Texts are substrings, case ignored (RFC 3501 §6.4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A field of this name whose decoded value holds the text.
    Header {
        /// Field name, in any case.
        name: String,
        /// The text; any field of that name where it is empty.
        text: String,
    },
    /// In the decoded text of the body.
    Body(String),
    /// In the header or the body.
    Text(String),
    /// Day of the Date field, in days since 1970-01-01, between these, both included.
    Sent {
        /// From.
        first: i64,
        /// To.
        last: i64,
    },
}

/// Keys made ready, once for all messages.
#[derive(Clone, Debug)]
pub struct Keys {
    keys: Vec<Ready>,
    /// Bits of keys that the header decides.
    header: u64,
    /// Bits of keys that look at the body's text.
    text: u64,
}

#[derive(Clone, Debug)]
enum Ready {
    Header { name: Vec<u8>, text: Finder<'static> },
    Body(Finder<'static>),
    Text(Finder<'static>),
    Sent { first: i64, last: i64 },
}

fn finder(text: &str) -> Finder<'static> {
    Finder::new(fold(text).as_bytes()).into_owned()
}

impl Keys {
    /// Of more than 64 keys the first are taken.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        let mut ready = Self { keys: Vec::new(), header: 0, text: 0 };
        for (at, key) in keys.into_iter().take(KEYS_MAX).enumerate() {
            let bit = 1 << at;
            let key = match key {
                Key::Header { name, text } => {
                    Ready::Header { name: fold(&name).into_bytes(), text: finder(&text) }
                }
                Key::Body(text) => Ready::Body(finder(&text)),
                Key::Text(text) => Ready::Text(finder(&text)),
                Key::Sent { first, last } => Ready::Sent { first, last },
            };
            match key {
                Ready::Header { .. } | Ready::Sent { .. } => ready.header |= bit,
                Ready::Body(_) => ready.text |= bit,
                Ready::Text(_) => {
                    ready.header |= bit;
                    ready.text |= bit;
                }
            }
            ready.keys.push(key);
        }
        ready
    }

    /// Whether some key looks at the header.
    #[must_use]
    pub const fn look_at_header(&self) -> bool {
        self.header != 0
    }

    /// Whether some key that is not among `found` looks at the body's text.
    #[must_use]
    pub const fn look_at_text(&self, found: u64) -> bool {
        self.text & !found != 0
    }

    /// A bit for each key that the header matches, the first key the lowest.
    #[must_use]
    pub fn in_header(&self, header: &Header<'_>) -> u64 {
        self.bits(self.header, |key| match key {
            Ready::Header { name, text } => has_field(header.folded, name, text),
            Ready::Text(text) => text.find(header.folded).is_some(),
            Ready::Sent { first, last } => {
                header.sent.is_some_and(|sent| (*first..=*last).contains(&sent))
            }
            Ready::Body(_) => false,
        })
    }

    /// The same for the text of the body, of keys that are not among `found`.
    #[must_use]
    pub fn in_text(&self, text: &[u8], found: u64) -> u64 {
        self.bits(self.text & !found, |key| match key {
            Ready::Body(wanted) | Ready::Text(wanted) => wanted.find(text).is_some(),
            Ready::Header { .. } | Ready::Sent { .. } => false,
        })
    }

    /// All keys, in a message that is there as a whole.
    #[must_use]
    pub fn in_body(&self, body: &[u8]) -> u64 {
        let mut made = Made::of(body);
        if !made.header_whole || !made.text_whole {
            made = Made::whole(body);
        }
        let header = Header::read(&made.header);
        let found = header.map_or(0, |header| self.in_header(&header));
        found | self.in_text(made.text.as_bytes(), found)
    }

    fn bits(&self, among: u64, matches: impl Fn(&Ready) -> bool) -> u64 {
        let keys = self.keys.iter().enumerate().filter(|(at, _)| among >> at & 1 == 1);
        keys.fold(0, |bits, (at, key)| bits | u64::from(matches(key)) << at)
    }
}

/// Whether a field of this name holds the text. Each line of the folded header is a field: its
/// name, a colon and, unless its value is empty, a space and the value.
fn has_field(folded: &[u8], name: &[u8], text: &Finder<'_>) -> bool {
    // A colon ends a name: none holds one. And what is nowhere is in no field.
    if memchr(b':', name).is_some() || text.find(folded).is_none() {
        return false;
    }
    let mut start = 0;
    memchr_iter(b'\n', folded).any(|end| {
        let line = &folded[start..end];
        start = end + 1;
        let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(b":"));
        let value = value.map(|value| value.strip_prefix(b" ").unwrap_or(value));
        value.is_some_and(|value| text.find(value).is_some())
    })
}
