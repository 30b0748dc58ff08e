use std::cmp::Ordering;

use crate::ask::Listed;
use crate::grammar::{SEPARATOR, mutf7_decode};

/// Octets of a LIST pattern, its reference included.
const PATTERN_OCTETS_MAX: usize = 2000;

/// A LIST pattern (RFC 3501 §6.3.8): `*` matches anything, `%` anything but the separator. Matching
/// takes time proportional to name times pattern at worst, whatever the wildcards: all places of
/// the pattern that a name could have reached are kept as bits and moved together.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// For each octet, at which places of the pattern it stands.
    stands: Vec<Vec<u64>>,
    /// Which index of `stands` is for this octet; 0 is for octets that do not occur.
    index: [u8; 256],
    /// Places of `*`.
    star: Vec<u64>,
    /// Places of `*` and `%`.
    wild: Vec<u64>,
    /// Places in the pattern.
    len: usize,
}

impl Pattern {
    /// From Unicode. `None` where it is too long to match any name.
    #[must_use]
    pub fn new(pattern: &str) -> Option<Self> {
        if pattern.len() > PATTERN_OCTETS_MAX {
            return None;
        }
        let places = collapse_wildcards(pattern.as_bytes());
        let words = places.len() / 64 + 1;
        let mut compiled = Self {
            stands: vec![vec![0; words]],
            index: [0; 256],
            star: vec![0; words],
            wild: vec![0; words],
            len: places.len(),
        };
        for (at, &octet) in places.iter().enumerate() {
            let (word, bit) = (at / 64, 1 << (at % 64));
            match octet {
                b'*' => compiled.star[word] |= bit,
                b'%' => {}
                _ => {
                    let index = &mut compiled.index[usize::from(octet)];
                    if *index == 0 {
                        // Proven: fewer than 255 octets occur in UTF-8 beside the two wildcards.
                        *index = compiled.stands.len() as u8;
                        compiled.stands.push(vec![0; words]);
                    }
                    compiled.stands[usize::from(*index)][word] |= bit;
                }
            }
            if matches!(octet, b'*' | b'%') {
                compiled.wild[word] |= bit;
            }
        }
        Some(compiled)
    }

    /// Whether it matches the whole name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let words = self.star.len();
        let mut reached = vec![0_u64; words];
        let mut next = vec![0_u64; words];
        reached[0] = 1;
        self.pass_wildcards(&mut reached);
        for octet in name.bytes() {
            let stands = &self.stands[usize::from(self.index[usize::from(octet)])];
            let stay = if octet == SEPARATOR as u8 { &self.star } else { &self.wild };
            let mut carry = 0;
            for word in 0..words {
                let moved = reached[word] & stands[word];
                next[word] = moved << 1 | carry | reached[word] & stay[word];
                carry = moved >> 63;
            }
            std::mem::swap(&mut reached, &mut next);
            self.pass_wildcards(&mut reached);
            if reached.iter().all(|&word| word == 0) {
                return false;
            }
        }
        reached[self.len / 64] >> (self.len % 64) & 1 == 1
    }

    /// A wildcard matches nothing too. No two stand together, so one pass is enough.
    fn pass_wildcards(&self, reached: &mut [u64]) {
        let mut carry = 0;
        for (word, wild) in reached.iter_mut().zip(&self.wild) {
            let passed = *word & wild;
            *word |= passed << 1 | carry;
            carry = passed >> 63;
        }
    }
}

/// A run of wildcards matches what its strongest one matches.
fn collapse_wildcards(pattern: &[u8]) -> Vec<u8> {
    let mut places: Vec<u8> = Vec::with_capacity(pattern.len());
    for &octet in pattern {
        match (places.last_mut(), octet) {
            (Some(last @ (b'*' | b'%')), b'*' | b'%') => {
                if octet == b'*' {
                    *last = b'*';
                }
            }
            _ => places.push(octet),
        }
    }
    places
}

/// A line of LIST or LSUB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub name: String,
    pub attributes: Vec<&'static str>,
}

/// The answer to LIST or LSUB: what matches, by name, parents that are no mailboxes included.
pub(crate) fn list(
    mut listed: Vec<Listed>,
    reference: &[u8],
    pattern: &[u8],
    subscribed: bool,
) -> Vec<Entry> {
    let wire = [reference, pattern].concat();
    let Ok(text) = mutf7_decode(&wire) else { return Vec::new() };
    // INBOX is matched without regard to case (RFC 3501 §5.1).
    let (Some(exact), Some(inbox)) =
        (Pattern::new(&text), Pattern::new(&text.to_ascii_uppercase()))
    else {
        return Vec::new();
    };
    let matches = |name: &str| exact.matches(name) || (name == "INBOX" && inbox.matches(name));
    listed.retain(|mailbox| if subscribed { mailbox.subscribed } else { mailbox.exists });
    listed.sort_unstable_by(|a, b| tree_order(a.name.as_str(), b.name.as_str()));
    let mut entries = Vec::new();
    let mut before = "";
    for (at, mailbox) in listed.iter().enumerate() {
        let name = mailbox.name.as_str();
        for parent in missing_parents(before, name) {
            if matches(parent) {
                // RFC 3501 §6.3.9: LSUB tells such a parent where `%` ends at it.
                let attributes = if subscribed {
                    vec!["\\Noselect"]
                } else {
                    vec!["\\Noselect", "\\HasChildren"]
                };
                entries.push(Entry { name: parent.to_owned(), attributes });
            }
        }
        before = name;
        if !matches(name) {
            continue;
        }
        let has_children =
            listed.get(at + 1).is_some_and(|next| is_below(next.name.as_str(), name));
        let mut attributes = Vec::new();
        if !mailbox.exists {
            attributes.push("\\Noselect");
        }
        if !subscribed {
            attributes.push(if has_children { "\\HasChildren" } else { "\\HasNoChildren" });
            attributes.extend(mailbox.special_use.map(mail_types::SpecialUse::attribute));
        }
        entries.push(Entry { name: name.to_owned(), attributes });
    }
    entries
}

/// The order in which a mailbox is directly followed by those below it: the separator before
/// everything else.
fn tree_order(a: &str, b: &str) -> Ordering {
    let key = |octet: u8| if octet == SEPARATOR as u8 { 0 } else { octet };
    a.bytes().map(key).cmp(b.bytes().map(key))
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above).is_some_and(|rest| rest.starts_with(SEPARATOR))
}

/// The names above `name` that neither are nor lead to `before`, which comes before it in tree
/// order; the highest first.
fn missing_parents<'a>(before: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let ends = name.match_indices(SEPARATOR).map(|(end, _)| &name[..end]);
    ends.filter(move |&parent| parent != before && !is_below(before, parent))
}
