use mail_types::MailId;
use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};
use message::fold;

use crate::made::alone;
use crate::{Header, Made};

/// Keys whose bits stand in one word of an answer.
const WORD_KEYS: usize = 64;

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
    /// Belongs to the thread of this number: [`crate::thread_number`].
    Thread(u64),
}

/// Keys from which on each text's grams are noted first: it costs about as much as looking for so
/// many keys that are not there.
const GRAMS_KEYS_MIN: usize = 32;
/// Grams of a key that are looked up.
const KEY_GRAMS: usize = 4;
/// Octets of a gram.
const GRAM: usize = 3;

/// Which grams stand in a text, by their hash: of ten thousand keys, most are then not looked for.
#[derive(Clone, Debug)]
struct Grams(Box<[u64; 1024]>);

/// Keys made ready, once for all messages. What is found is a bit for each key, the first key the
/// lowest; a word for every 64 of them.
#[derive(Clone, Debug)]
pub struct Keys {
    keys: Vec<Ready>,
    /// Bits of keys that the header decides.
    header: Vec<u64>,
    /// Bits of keys that look at the body's text.
    text: Vec<u64>,
}

#[derive(Clone, Debug)]
enum Ready {
    Header { name: Vec<u8>, text: Text },
    Body(Text),
    Text(Text),
    Sent { first: i64, last: i64 },
    Thread(u64),
}

/// A text to look for.
#[derive(Clone, Debug)]
struct Text {
    finder: Finder<'static>,
    /// Hashes of some of its grams; none of a text that is shorter than one.
    grams: Vec<u16>,
}

impl Text {
    fn new(text: &str) -> Self {
        let folded = fold(text);
        let octets = folded.as_bytes();
        let count = (octets.len() + 1).saturating_sub(GRAM);
        // From one end to the other.
        let step = count.div_ceil(KEY_GRAMS).max(1);
        let grams = (0..count).step_by(step).map(|at| gram(octets, at)).collect();
        Self { finder: Finder::new(octets).into_owned(), grams }
    }

    /// Whether it stands in a text, of which the grams may be known.
    fn is_in(&self, text: &[u8], grams: Option<&Grams>) -> bool {
        let may_be = grams.is_none_or(|grams| self.grams.iter().all(|gram| grams.has(*gram)));
        may_be && self.finder.find(text).is_some()
    }
}

impl Grams {
    fn of(text: &[u8]) -> Self {
        let mut grams = Self(Box::new([0; 1024]));
        for at in 0..(text.len() + 1).saturating_sub(GRAM) {
            let gram = gram(text, at);
            grams.0[usize::from(gram / 64)] |= 1 << (gram % 64);
        }
        grams
    }

    fn has(&self, gram: u16) -> bool {
        self.0[usize::from(gram / 64)] >> (gram % 64) & 1 == 1
    }
}

/// The hash of a gram; there is one.
fn gram(text: &[u8], at: usize) -> u16 {
    let octets = u32::from(text[at]) << 16 | u32::from(text[at + 1]) << 8 | u32::from(text[at + 2]);
    // The upper half of the product depends on every octet (Knuth's multiplicative hash).
    (octets.wrapping_mul(0x9e37_79b1) >> 16) as u16
}

impl Keys {
    /// Makes keys ready.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        let mut ready = Self { keys: Vec::new(), header: Vec::new(), text: Vec::new() };
        for key in keys {
            let (in_header, in_text) = match key {
                Key::Header { .. } | Key::Sent { .. } | Key::Thread(_) => (1, 0),
                Key::Body(_) => (0, 1),
                Key::Text(_) => (1, 1),
            };
            let (word, bit) = (ready.keys.len() / WORD_KEYS, ready.keys.len() % WORD_KEYS);
            ready.header.resize(word + 1, 0);
            ready.text.resize(word + 1, 0);
            ready.header[word] |= in_header << bit;
            ready.text[word] |= in_text << bit;
            ready.keys.push(match key {
                Key::Header { name, text } => {
                    Ready::Header { name: fold(&name).into_bytes(), text: Text::new(&text) }
                }
                Key::Body(text) => Ready::Body(Text::new(&text)),
                Key::Text(text) => Ready::Text(Text::new(&text)),
                Key::Sent { first, last } => Ready::Sent { first, last },
                Key::Thread(thread) => Ready::Thread(thread),
            });
        }
        ready
    }

    /// Words for each message.
    #[must_use]
    pub const fn words(&self) -> usize {
        self.header.len()
    }

    /// Whether some key looks at the header.
    #[must_use]
    pub fn look_at_header(&self) -> bool {
        self.header.iter().any(|word| *word != 0)
    }

    /// Whether some key that is not among `found` looks at the body's text.
    #[must_use]
    pub fn look_at_text(&self, found: &[u64]) -> bool {
        self.text.iter().zip(found).any(|(word, found)| word & !found != 0)
    }

    /// Adds the keys that the header matches.
    pub fn in_header(&self, mail: MailId, header: &Header<'_>, found: &mut [u64]) {
        let grams = self.grams(header.folded);
        self.find(&self.header, found, |key| match key {
            Ready::Header { name, text } => {
                text.is_in(header.folded, grams.as_ref()) && has_field(header.folded, name, text)
            }
            Ready::Text(text) => text.is_in(header.folded, grams.as_ref()),
            Ready::Sent { first, last } => {
                header.sent.is_some_and(|sent| (*first..=*last).contains(&sent))
            }
            Ready::Thread(thread) => header.thread.unwrap_or_else(|| alone(mail)) == *thread,
            Ready::Body(_) => false,
        });
    }

    /// Adds the keys that the text of the body matches.
    pub fn in_text(&self, text: &[u8], found: &mut [u64]) {
        let grams = self.grams(text);
        self.find(&self.text, found, |key| match key {
            Ready::Body(wanted) | Ready::Text(wanted) => wanted.is_in(text, grams.as_ref()),
            Ready::Header { .. } | Ready::Sent { .. } | Ready::Thread(_) => false,
        });
    }

    /// The same for all keys, in a message that is there as a whole.
    pub fn in_body(&self, mail: MailId, body: &[u8], found: &mut [u64]) {
        let mut made = Made::of(body);
        if !made.header_whole || !made.text_whole {
            made = Made::whole(body);
        }
        if let Some(header) = Header::read(&made.header) {
            self.in_header(mail, &header, found);
        }
        self.in_text(made.text.as_bytes(), found);
    }

    fn grams(&self, text: &[u8]) -> Option<Grams> {
        (self.keys.len() >= GRAMS_KEYS_MIN).then(|| Grams::of(text))
    }

    /// Tries the keys in `among` that were not found yet.
    fn find(&self, among: &[u64], found: &mut [u64], matches: impl Fn(&Ready) -> bool) {
        let words = self.keys.chunks(WORD_KEYS).zip(among).zip(found);
        for ((keys, among), found) in words {
            let mut open = among & !*found;
            while open != 0 {
                let at = open.trailing_zeros();
                open &= open - 1;
                *found |= u64::from(matches(&keys[at as usize])) << at;
            }
        }
    }
}

/// Whether a field of this name holds the text. Each line of the folded header is a field: its
/// name, a colon and, unless its value is empty, a space and the value.
fn has_field(folded: &[u8], name: &[u8], text: &Text) -> bool {
    // A colon ends a name: none holds one.
    if memchr(b':', name).is_some() {
        return false;
    }
    let mut start = 0;
    memchr_iter(b'\n', folded).any(|end| {
        let line = &folded[start..end];
        start = end + 1;
        let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(b":"));
        let value = value.map(|value| value.strip_prefix(b" ").unwrap_or(value));
        value.is_some_and(|value| text.finder.find(value).is_some())
    })
}
