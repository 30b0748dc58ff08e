use std::cmp::Ordering;

use crate::ask::Listed;
use crate::grammar::{List, ListReturn, ListSelect, MAILBOX_LEVELS_MAX, SEPARATOR};

/// Octets of a LIST pattern, its reference included; of all patterns of one LIST together too.
const PATTERN_OCTETS_MAX: usize = 2000;
/// Octets of names times words of patterns that one step matches: about a millisecond.
const STEP_WORDS_MAX: usize = 1 << 20;

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
        let last = name.matches(SEPARATOR).count();
        last < MAILBOX_LEVELS_MAX && self.levels(name) >> last & 1 == 1
    }

    /// Which levels of a name it matches, read once: bit 0 stands for the first level alone, bit 1
    /// for the first two, and so on; of [`MAILBOX_LEVELS_MAX`].
    fn levels(&self, name: &str) -> u32 {
        let mut reached = Reached { words: vec![0; self.star.len()], first: 0, last: 0 };
        reached.words[0] = 1;
        // The first place may be a wildcard; a second one does not follow it.
        reached.words[0] |= (self.wild[0] & 1) << 1;
        let (mut levels, mut level) = (0, 0);
        for octet in name.bytes() {
            let is_separator = octet == SEPARATOR as u8;
            if is_separator {
                levels |= self.at_end(&reached) << level;
                level += 1;
                if level == MAILBOX_LEVELS_MAX {
                    return levels;
                }
            }
            let stands = &self.stands[usize::from(self.index[usize::from(octet)])];
            let stay = if is_separator { &self.star } else { &self.wild };
            if !self.go_on(&mut reached, stands, stay) {
                return levels;
            }
        }
        levels | self.at_end(&reached) << level
    }

    /// Moves all places by one octet. False where none is left.
    fn go_on(&self, reached: &mut Reached, stands: &[u64], stay: &[u64]) -> bool {
        let (mut carry, mut passed_carry, mut star, mut any) = (0, 0, None, None);
        let end = (reached.last + 1).min(self.star.len() - 1);
        for at in reached.first..=end {
            // What lies behind the last word is none of this name's.
            let here = if at > reached.last { 0 } else { reached.words[at] };
            let moved = here & stands[at];
            let mut next = moved << 1 | carry | here & stay[at];
            carry = moved >> 63;
            // A wildcard matches nothing too. No two stand together, so one pass is enough.
            let passed = next & self.wild[at];
            next |= passed << 1 | passed_carry;
            passed_carry = passed >> 63;
            reached.words[at] = next;
            if next & self.star[at] != 0 {
                star = Some(at);
            }
            if next != 0 {
                any = Some(at);
            }
        }
        let Some(last) = any else { return false };
        reached.last = last;
        // Whatever a place before a `*` can still match, the `*` can: it takes in what comes up to
        // where that place would reach it.
        if let Some(at) = star {
            let highest = 63 - (reached.words[at] & self.star[at]).leading_zeros();
            reached.words[at] &= u64::MAX << highest;
            reached.first = at;
        }
        true
    }

    /// 1 where the end of the pattern is reached.
    fn at_end(&self, reached: &Reached) -> u32 {
        let (word, bit) = (self.len / 64, self.len % 64);
        if word < reached.first || word > reached.last {
            return 0;
        }
        (reached.words[word] >> bit & 1) as u32
    }
}

/// The places of a pattern that a name has reached.
struct Reached {
    /// As bits.
    words: Vec<u64>,
    /// The words that count: there is none before and none behind.
    first: usize,
    last: usize,
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

/// The patterns of one LIST.
#[derive(Debug)]
struct Patterns {
    patterns: Vec<Pattern>,
    /// One of them is INBOX in some case (RFC 3501 §5.1).
    inbox: bool,
}

impl Patterns {
    /// Those that can match anything: each as its reference and itself together (RFC 3501 §6.3.8).
    fn new(list: &List) -> Self {
        let (mut octets, mut inbox) = (0, false);
        let mut patterns = Vec::with_capacity(list.patterns.len());
        for pattern in &list.patterns {
            let Ok(text) = list.names.decode(&[&*list.reference, pattern].concat()) else {
                continue;
            };
            octets += text.len();
            if octets > PATTERN_OCTETS_MAX {
                break;
            }
            let folded = Pattern::new(&text.to_ascii_uppercase());
            inbox |= folded.is_some_and(|pattern| pattern.matches("INBOX"));
            let (first, rest) = text.split_at(text.find(SEPARATOR).unwrap_or(text.len()));
            let is_inbox = first.eq_ignore_ascii_case("INBOX");
            patterns.extend(Pattern::new(&if is_inbox { format!("INBOX{rest}") } else { text }));
        }
        Self { patterns, inbox }
    }

    /// Words of all patterns: what an octet of a name costs.
    fn words(&self) -> usize {
        self.patterns.iter().map(|pattern| pattern.star.len()).sum::<usize>().max(1)
    }

    /// Which levels of the name any of them matches.
    fn levels(&self, name: &str) -> u32 {
        let levels = self.patterns.iter().map(|pattern| pattern.levels(name));
        levels.fold(u32::from(self.inbox && name == "INBOX"), |all, levels| all | levels)
    }
}

/// What LIST or LSUB tells of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Which of the mailboxes it is; `None` for a level above some that is none itself.
    pub place: Option<usize>,
    pub name: String,
    pub attributes: Vec<&'static str>,
    /// RFC 5258 §3.5: what something below it is selected by.
    pub child_info: bool,
}

/// The answer to LIST or LSUB: what matches, in the order of a tree, one entry at a time, so that
/// no more than the mailboxes themselves is held.
#[derive(Debug)]
pub(crate) struct Entries {
    select: Vec<ListSelect>,
    lsub: bool,
    extended: bool,
    tells_subscribed: bool,
    listed: Vec<Listed>,
    patterns: Patterns,
    /// For each, which of its levels the patterns match; fewer until [`Self::are_matched`].
    levels: Vec<u32>,
    /// The mailbox that comes next, and its level that does.
    next: (usize, usize),
}

impl Entries {
    pub fn new(list: &List, mut listed: Vec<Listed>) -> Self {
        let subscribed = list.lsub || list.select.contains(&ListSelect::Subscribed);
        listed.retain(|mailbox| match (list.lsub, subscribed) {
            (true, _) => mailbox.subscribed,
            (false, true) => mailbox.exists || mailbox.subscribed,
            (false, false) => mailbox.exists,
        });
        listed.sort_unstable_by(|a, b| tree_order(a.name.as_str(), b.name.as_str()));
        let patterns = Patterns::new(list);
        let levels = Vec::with_capacity(listed.len());
        Self {
            select: list.select.clone(),
            lsub: list.lsub,
            extended: list.extended,
            // RFC 5258 §3.1: the selection option implies the return option.
            tells_subscribed: !list.lsub
                && (subscribed || list.returns.contains(&ListReturn::Subscribed)),
            listed,
            patterns,
            levels,
            next: (0, 0),
        }
    }

    /// Whether all names have been matched, which comes before the first entry.
    pub const fn are_matched(&self) -> bool {
        self.levels.len() == self.listed.len()
    }

    /// Matches the next names, as many as one step may: a hostile pattern takes time for each of
    /// ten thousand.
    pub fn match_some(&mut self) {
        let each_octet = self.patterns.words();
        let mut words: usize = 0;
        while let Some(mailbox) = self.listed.get(self.levels.len())
            && words < STEP_WORDS_MAX
        {
            let name = mailbox.name.as_str();
            words += name.len() * each_octet;
            self.levels.push(self.patterns.levels(name));
        }
    }

    /// The mailbox of an entry.
    pub fn listed(&self, place: usize) -> &Listed {
        &self.listed[place]
    }

    /// What CHILDINFO names (RFC 5258 §3.5).
    pub fn criteria(&self) -> &'static str {
        let has = |option| self.select.contains(&option);
        match (has(ListSelect::Subscribed), has(ListSelect::SpecialUse)) {
            (true, true) => "\"SUBSCRIBED\" \"SPECIAL-USE\"",
            (true, false) => "\"SUBSCRIBED\"",
            (false, _) => "\"SPECIAL-USE\"",
        }
    }

    fn is_recursive(&self) -> bool {
        self.select.contains(&ListSelect::RecursiveMatch)
    }

    /// Whether it selects by something, so that not every mailbox that matches is told.
    fn is_selective(&self) -> bool {
        self.lsub
            || self.select.contains(&ListSelect::Subscribed)
            || self.select.contains(&ListSelect::SpecialUse)
    }

    fn is_selected(&self, place: usize) -> bool {
        let mailbox = &self.listed[place];
        self.select.iter().all(|option| match option {
            ListSelect::Subscribed => mailbox.subscribed,
            ListSelect::SpecialUse => mailbox.exists && mailbox.special_use.is_some(),
            ListSelect::Remote | ListSelect::RecursiveMatch => true,
        })
    }

    fn matches(&self, place: usize) -> bool {
        let last = self.listed[place].name.as_str().matches(SEPARATOR).count();
        self.levels[place] >> last & 1 == 1
    }

    /// The places of those below a name, whose own place, or that of the first below it, is this.
    fn below<'a>(&'a self, name: &'a str, place: usize) -> impl Iterator<Item = usize> + 'a {
        let first = place + usize::from(self.listed[place].name.as_str() == name);
        let is_below = |&place: &usize| is_below(self.listed[place].name.as_str(), name);
        (first..self.listed.len()).take_while(is_below)
    }

    /// The entry of a name that matches, if it is to be told. `place` is its own where `is_whole`,
    /// otherwise that of the first mailbox below it.
    fn entry(&self, name: &str, place: usize, is_whole: bool) -> Option<Entry> {
        let selected = is_whole && self.is_selected(place);
        let mut child_info = false;
        if self.lsub || self.is_recursive() {
            let mut below = self.below(name, place).filter(|&below| self.is_selected(below));
            // RFC 5258 §3.3, RFC 3501 §6.3.9: what is below tells of a name that is not selected,
            // unless it is told itself.
            if selected {
                child_info = !self.lsub && below.next().is_some();
            } else if below.any(|below| !self.matches(below)) {
                child_info = !self.lsub;
            } else {
                return None;
            }
        } else if !selected && (is_whole || self.is_selective()) {
            return None;
        }
        let mailbox = is_whole.then(|| &self.listed[place]);
        let mut attributes = Vec::new();
        if mailbox.is_none_or(|mailbox| !mailbox.exists) {
            // RFC 5258 §3: \NonExistent says it better, to clients that know it.
            attributes.push(if self.extended { "\\NonExistent" } else { "\\Noselect" });
        }
        if !self.lsub {
            let has_children = self.below(name, place).any(|below| self.listed[below].exists);
            attributes.push(if has_children { "\\HasChildren" } else { "\\HasNoChildren" });
            attributes.extend(
                mailbox
                    .and_then(|mailbox| mailbox.special_use)
                    .map(mail_types::SpecialUse::attribute),
            );
        }
        if self.tells_subscribed && mailbox.is_some_and(|mailbox| mailbox.subscribed) {
            attributes.push("\\Subscribed");
        }
        let place = is_whole.then_some(place);
        Some(Entry { place, name: name.to_owned(), attributes, child_info })
    }
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let (place, level) = self.next;
            let name = self.listed.get(place)?.name.as_str();
            if self.levels[place] >> level == 0 {
                self.next = (place + 1, 0);
                continue;
            }
            let end = name.match_indices(SEPARATOR).nth(level).map(|(end, _)| end);
            self.next = if end.is_some() { (place, level + 1) } else { (place + 1, 0) };
            if self.levels[place] >> level & 1 == 0 {
                continue;
            }
            let above = &name[..end.unwrap_or(name.len())];
            // A level above was told already if the mailbox before is it, or lies below it too.
            let before = place.checked_sub(1).map(|before| self.listed[before].name.as_str());
            let was_told = end.is_some()
                && before.is_some_and(|before| before == above || is_below(before, above));
            if was_told {
                continue;
            }
            if let Some(entry) = self.entry(above, place, end.is_none()) {
                return Some(entry);
            }
        }
    }
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
