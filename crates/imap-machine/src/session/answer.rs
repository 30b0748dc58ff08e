//! How the result of a search is written.

use mail_types::UidValidity;
use message::Threads;

use crate::grammar::{MailboxName, Names, PartialRange, Search, SearchOrder, SearchReturn, UidSet};
use crate::view::View;
use crate::write::{push_number, push_text};

/// What was found: places of a view.
#[derive(Debug)]
pub(super) enum Numbers {
    /// In order.
    List(Vec<usize>),
    /// RFC 5256 §4: threads of messages, each by its number among these places.
    Threads(Threads, Vec<usize>),
}

/// What a result belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Correlator<'a> {
    pub tag: &'a str,
    /// Numbers are UIDs.
    pub uid: bool,
    /// RFC 7377 §2.1: where it was found, with UIDVALIDITY, if not in the selected mailbox alone.
    pub mailbox: Option<(&'a MailboxName, UidValidity, Names)>,
}

impl Correlator<'_> {
    // RFC 4466 §2.6.2: esearch-response = "ESEARCH" [search-correlator] [SP "UID"]
    // *(SP search-return-data); search-correlator = SP "(" "TAG" SP tag-string ")";
    // RFC 7377 §5 adds "MAILBOX" SP astring and "UIDVALIDITY" SP nz-number
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        push_text(out, "* ESEARCH (TAG ");
        message::write_string(out, self.tag.as_bytes());
        if let Some((name, uid_validity, names)) = self.mailbox {
            push_text(out, " MAILBOX ");
            names.write(name.as_str(), out);
            push_text(out, &format!(" UIDVALIDITY {uid_validity}"));
        }
        push_text(out, if self.uid { ") UID" } else { ")" });
    }
}

/// Writes the answer to a search and returns what it saves (RFC 5182).
pub(super) fn write_result(
    search: &Search,
    numbers: &Numbers,
    view: &View,
    names_modseq: bool,
    correlator: &Correlator<'_>,
    out: &mut Vec<u8>,
) -> Option<UidSet> {
    let rows = view.rows();
    let number = |place: usize| if search.uid { rows.at(place).uid } else { place as u32 + 1 };
    let places = match numbers {
        Numbers::List(places) => places,
        Numbers::Threads(threads, places) => {
            push_text(out, "* THREAD");
            if !places.is_empty() {
                out.push(b' ');
            }
            threads.write(out, |message| number(places[message]));
            push_text(out, "\r\n");
            return None;
        }
    };
    let modseq = |places: &[usize]| {
        let highest = places.iter().map(|&place| rows.at(place).modseq).max();
        highest.filter(|_| names_modseq)
    };
    let Some(returns) = search.returns else {
        push_text(
            out,
            match search.order {
                SearchOrder::Mailbox => "* SEARCH",
                SearchOrder::Sorted(_) | SearchOrder::Threads(_) => "* SORT",
            },
        );
        for &place in places {
            out.push(b' ');
            push_number(out, u64::from(number(place)));
        }
        // RFC 7162 §3.1.5
        if let Some(highest) = modseq(places) {
            push_text(out, &format!(" (MODSEQ {highest})"));
        }
        push_text(out, "\r\n");
        return None;
    };
    let told = places_told(returns, places);
    // RFC 7377 §2.1: of a mailbox where nothing was found nothing is told.
    if returns.tells() && (correlator.mailbox.is_none() || !places.is_empty()) {
        correlator.write(out);
        let mut end = |name, place: Option<&usize>| {
            if let Some(&place) = place {
                push_text(out, name);
                push_number(out, u64::from(number(place)));
            }
        };
        end(" MIN ", places.first().filter(|_| returns.min));
        end(" MAX ", places.last().filter(|_| returns.max));
        if returns.count {
            push_text(out, " COUNT ");
            push_number(out, places.len() as u64);
        }
        if returns.all && !places.is_empty() {
            push_text(out, " ALL ");
            write_ranges(places.iter().map(|&place| number(place)), out);
        }
        if let Some(range) = returns.partial {
            let some = &places[range.of(places.len())];
            write_partial(range, some.iter().map(|&place| number(place)), out);
        }
        // RFC 4731 §3.2, RFC 7162 §3.1.10: the highest among those that are told.
        if let Some(highest) = modseq(&told) {
            push_text(out, &format!(" MODSEQ {highest}"));
        }
        push_text(out, "\r\n");
    }
    // RFC 5182 §2.1, RFC 9394 §3.3: the same messages are saved that are told.
    returns.save.then(|| told.iter().map(|&place| rows.at(place).uid).collect())
}

impl SearchReturn {
    /// Whether anything is answered: RETURN (SAVE) only saves.
    const fn tells(self) -> bool {
        self.min || self.max || self.all || self.count || self.partial.is_some()
    }
}

/// The places that a result is about: all, or with MIN, MAX and PARTIAL alone only those.
fn places_told(returns: SearchReturn, places: &[usize]) -> Vec<usize> {
    let SearchReturn { min, max, all, count, partial, .. } = returns;
    if all || count || !returns.tells() {
        return places.to_vec();
    }
    let first = places.first().filter(|_| min);
    let last = places.last().filter(|_| max);
    let some = partial.map_or(&[][..], |range| &places[range.of(places.len())]);
    first.into_iter().chain(some).chain(last).copied().collect()
}

// RFC 9394 §4: "PARTIAL" SP "(" partial-range SP partial-results ")"; partial-results =
// sequence-set / "NIL"
fn write_partial(
    range: PartialRange,
    numbers: impl ExactSizeIterator<Item = u32>,
    out: &mut Vec<u8>,
) {
    push_text(out, &format!(" PARTIAL ({range} "));
    if numbers.len() == 0 {
        push_text(out, "NIL");
    } else {
        write_ranges(numbers, out);
    }
    out.push(b')');
}

/// Numbers as a sequence set in their order; those that follow each other become ranges.
pub(super) fn write_ranges(numbers: impl Iterator<Item = u32>, out: &mut Vec<u8>) {
    let mut numbers = numbers.peekable();
    let mut comma = false;
    while let Some(first) = numbers.next() {
        let mut last = first;
        while let Some(next) = numbers.next_if(|&next| Some(next) == last.checked_add(1)) {
            last = next;
        }
        if std::mem::replace(&mut comma, true) {
            out.push(b',');
        }
        push_number(out, u64::from(first));
        if last > first {
            out.push(b':');
            push_number(out, u64::from(last));
        }
    }
}
