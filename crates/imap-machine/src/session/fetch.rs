use std::borrow::Cow;
use std::ops::Range;

use mail_types::{Acceptance, Flags, SystemFlag, Timestamp};
use mailbox::Packed;
use message::{SectionText, filter_fields, header_range};

use super::binary::{write_binary, write_binary_size};
use super::fresh::Fresh;
use super::large::Large;
use super::plan::{FactItem, Item, Plan, RowItem};
use super::resync::Resyncing;
use super::{Flow, Session, Work};
use crate::ask::{Answer, Code, Content, Contents, Octets, Question};
use crate::grammar::date::write_date_time;
use crate::grammar::{Fetch, FetchAttribute, PartialRange, Section, StoreMode, UidSet};
use crate::view::{Places, View};
use crate::write::push_number;

/// FETCH (RFC 3501 §6.4.5).
#[derive(Debug)]
pub(super) struct Fetching {
    pub plan: Plan,
    pub places: Places,
    /// Which of `places` is under way; its start moves.
    pub range: usize,
    pub stage: Stage,
    /// Some message's data was not to be had.
    pub lost: bool,
    /// Some part is in a transfer encoding that nobody knows.
    pub unknown_cte: bool,
    /// New messages are told unasked: this comes behind them.
    pub unasked: Option<Fresh>,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Goes over the rows.
    Rows,
    /// The service reads the messages at these places.
    Read(Vec<usize>),
    /// The service sets `\Seen`.
    Seen(Batch),
    /// The messages are written.
    Write(Batch),
    /// A large message is written in pieces.
    Large(Box<Large>),
}

/// Messages with their data.
#[derive(Debug)]
pub(super) struct Batch {
    places: Vec<usize>,
    contents: Contents,
    /// The message under way, and its item.
    at: usize,
    item: usize,
}

impl<R: Acceptance> Session<R> {
    pub(super) fn fetch(&mut self, mut fetch: Fetch) -> Flow {
        self.by_uid = fetch.uid;
        // RFC 3501 §7.4.1
        self.expunge_allowed = fetch.uid;
        // RFC 7162 §3.1: naming MODSEQ or CHANGEDSINCE enables it.
        if fetch.changed_since.is_some() || fetch.attributes.contains(&FetchAttribute::ModSeq) {
            self.enable_condstore();
        }
        if fetch.vanished && !self.qresync {
            return self.not_enabled();
        }
        let Some(mailbox) = &self.selected else { return self.misfit() };
        let Some(mut places) = mailbox.view.places(&fetch.set, fetch.uid) else {
            return self.bad("", "There is no message of that number");
        };
        if let Some(partial) = fetch.partial {
            // RFC 9738 §3.1: what counts is the range that was asked for.
            if self.is_above_limit(partial.len_max().into()) {
                return self.above_limit("Too many messages at once: ask for a smaller PARTIAL");
            }
            places = some_of(&mailbox.view, &places, fetch.changed_since, partial);
        } else if let Some(limit) = self.message_limit() {
            let since = fetch.changed_since;
            let is_meant = |row: &Packed| since.is_none_or(|since| row.modseq > since);
            if let Some((last, lowest)) = mailbox.view.last_of(&places, limit, is_meant) {
                (places, self.cut) = (last, Some(lowest));
            }
        }
        let vanished = fetch.changed_since.filter(|_| fetch.vanished);
        let vanished = vanished.map(|since| (since, fetch.set.clone()));
        // RFC 9586 §3.3: UIDFETCH names the UID already.
        fetch.uid &= !self.uid_only;
        let plan = Plan::new(fetch, mailbox.read_only, self.dialect());
        let (stage, lost, unknown_cte) = (Stage::Rows, false, false);
        let unasked = None;
        let work = Box::new(Fetching { plan, places, range: 0, stage, lost, unknown_cte, unasked });
        match vanished {
            Some((since, set)) => self.ask_vanished(since, Resyncing::Fetch(set, work)),
            None => self.again(Work::Fetch(work)),
        }
    }

    pub(super) fn fetch_goes_on(
        &mut self,
        mut work: Box<Fetching>,
        answer: Option<Answer<R>>,
    ) -> Flow {
        match std::mem::replace(&mut work.stage, Stage::Rows) {
            Stage::Rows if work.plan.needs_messages() => self.fetch_asks(work),
            Stage::Rows => self.fetch_rows(work),
            Stage::Read(places) => self.fetch_answered(work, places, answer),
            Stage::Seen(batch) => self.fetch_seen(work, batch, answer),
            Stage::Write(batch) => self.fetch_writes(work, batch),
            Stage::Large(large) => self.large_goes_on(work, large, answer),
        }
    }

    /// What the view alone can tell: the fast way, row after row.
    fn fetch_rows(&mut self, mut work: Box<Fetching>) -> Flow {
        let Some(mailbox) = &self.selected else { return self.misfit() };
        let view = &mailbox.view;
        let since = work.plan.changed_since;
        let max = self.config.limits.output_octets_max;
        let out = &mut self.output;
        while let Some(range) = work.places.get_mut(work.range) {
            for (first, rows) in view.rows().slices(range.clone()) {
                for (offset, row) in rows.iter().enumerate() {
                    if since.is_some_and(|since| row.modseq <= since) {
                        continue;
                    }
                    if out.len() >= max {
                        range.start = first + offset;
                        return self.again(Work::Fetch(work));
                    }
                    view.write_head(first + offset, out);
                    for (at, item) in work.plan.items.iter().enumerate() {
                        if at > 0 {
                            out.push(b' ');
                        }
                        if let Item::Row(item) = item {
                            write_row_item(view, row, *item, out);
                        }
                    }
                    out.extend_from_slice(b")\r\n");
                }
            }
            work.range += 1;
        }
        self.fetch_ends(work)
    }

    /// Asks for the data of the next messages, as many as the limits allow.
    fn fetch_asks(&mut self, mut work: Box<Fetching>) -> Flow {
        let (Some(mailbox), Some(signed_in)) = (&self.selected, &self.signed_in) else {
            return self.misfit();
        };
        let limits = &self.config.limits;
        let rows = mailbox.view.rows();
        let mut places = Vec::new();
        let mut octets = 0_u64;
        let mut large = false;
        while places.len() < limits.fetch_messages_max {
            let Some(range) = work.places.get_mut(work.range) else { break };
            let Some(place) = range.next() else {
                work.range += 1;
                continue;
            };
            let row = rows.at(place);
            if work.plan.changed_since.is_some_and(|since| row.modseq <= since) {
                continue;
            }
            if work.plan.need.octets == Octets::All {
                octets += u64::from(row.size);
                large = row.size > limits.fetch_octets_max;
                if octets > u64::from(limits.fetch_octets_max) && !places.is_empty() {
                    // It begins the next batch.
                    range.start = place;
                    large = false;
                    break;
                }
            }
            places.push(place);
            if large {
                break;
            }
        }
        if places.is_empty() {
            return self.fetch_ends(work);
        }
        let messages = places.iter().map(|&place| View::wanted(rows.at(place))).collect();
        let mut need = work.plan.need.clone();
        if large {
            need.summary = true;
            need.octets = Octets::Header;
        }
        let question = Question::Fetch { account: signed_in.account, messages, need };
        work.stage = Stage::Read(places);
        self.ask(Work::Fetch(work), question)
    }

    fn fetch_answered(
        &mut self,
        mut work: Box<Fetching>,
        mut places: Vec<usize>,
        answer: Option<Answer<R>>,
    ) -> Flow {
        let contents = match answer {
            Some(Answer::Contents(contents)) => contents,
            Some(Answer::No(refusal)) => {
                return match work.unasked {
                    // Nobody has asked: the client fetches them when it wants them.
                    Some(fresh) => self.tell_next(fresh),
                    None => self.refuse(&refusal),
                };
            }
            Some(Answer::Gone) => return self.gone(),
            Some(_) | None => return self.misfit(),
        };
        let count = contents.messages.len();
        let facts = count * work.plan.need.facts.len();
        if count == 0 || count > places.len() || contents.facts.len() != facts {
            return self.misfit();
        }
        // The service may have answered for the first ones only.
        let left = places.split_off(count);
        let left = left.into_iter().map(|place| place..place + 1);
        let rest = work.places.split_off(work.range.min(work.places.len()));
        work.places = left.chain(rest).collect();
        work.range = 0;
        let Some(mailbox) = &self.selected else { return self.misfit() };
        let unseen = UidSet::from_iter(places.iter().filter_map(|&place| {
            let row = mailbox.view.rows().at(place);
            let is_seen = row.has(mailbox.view.rows(), SystemFlag::Seen);
            (!is_seen && !mailbox.view.is_gone(row.uid)).then_some(row.uid)
        }));
        let batch = Batch { places, contents, at: 0, item: 0 };
        if !work.plan.sets_seen || unseen.is_empty() {
            return self.fetch_has(work, batch);
        }
        // RFC 3501 §6.4.5: "The \Seen flag is implicitly set".
        let question = Question::Store {
            mailbox: mailbox.id,
            uids: unseen,
            mode: StoreMode::Add,
            flags: Flags::from_iter([SystemFlag::Seen]),
            unchanged_since: None,
        };
        work.stage = Stage::Seen(batch);
        self.ask(Work::Fetch(work), question)
    }

    fn fetch_seen(&mut self, work: Box<Fetching>, batch: Batch, answer: Option<Answer<R>>) -> Flow {
        let Some(mailbox) = &mut self.selected else { return self.misfit() };
        match answer {
            Some(Answer::Stored { newest, .. }) => {
                let tells_flags =
                    work.plan.items.iter().any(|item| matches!(item, Item::Row(RowItem::Flags)));
                let rows = mailbox.view.rows();
                let read = batch.places.iter().map(|&place| rows.at(place).uid);
                let read: UidSet = read.collect();
                mailbox.view.take(&newest, |uid, _, _| tells_flags && read.contains(uid));
            }
            Some(Answer::Gone) => return self.gone(),
            // A flag that could not be set is no reason to withhold the message.
            Some(_) | None => {}
        }
        self.fetch_has(work, batch)
    }

    /// The data is there: writes it, or begins to write a large message.
    fn fetch_has(&mut self, mut work: Box<Fetching>, mut batch: Batch) -> Flow {
        let Some(mailbox) = &self.selected else { return self.misfit() };
        let rows = mailbox.view.rows();
        if let ([place], [Some(_)]) = (&*batch.places, &*batch.contents.messages) {
            let row = rows.at(*place);
            let max = self.config.limits.fetch_octets_max;
            if work.plan.need.octets == Octets::All && row.size > max {
                let contents = std::mem::take(&mut batch.contents);
                return self.large_begins(work, *place, contents);
            }
        }
        work.stage = Stage::Write(batch);
        self.again(Work::Fetch(work))
    }

    /// Writes messages item by item while there is room.
    fn fetch_writes(&mut self, mut work: Box<Fetching>, mut batch: Batch) -> Flow {
        let Some(mailbox) = &self.selected else { return self.misfit() };
        let view = &mailbox.view;
        let facts = work.plan.need.facts.len();
        while let Some(&place) = batch.places.get(batch.at) {
            let Some(content) = &batch.contents.messages[batch.at] else {
                work.lost = true;
                batch.at += 1;
                continue;
            };
            let row = view.rows().at(place);
            if batch.item == 0 {
                view.write_head(place, &mut self.output);
            }
            while let Some(item) = work.plan.items.get(batch.item) {
                if self.output.len() >= self.config.limits.output_octets_max {
                    work.stage = Stage::Write(batch);
                    return self.again(Work::Fetch(work));
                }
                let out = &mut self.output;
                if batch.item > 0 {
                    out.push(b' ');
                }
                match item {
                    Item::Section { name, section } => {
                        write_section(name, section, &batch.contents, content, out);
                    }
                    Item::Fact(item) => {
                        write_fact(item, &batch.contents, batch.at * facts + item.at, out);
                    }
                    Item::BinarySize { name, at } => {
                        let at = batch.at * facts + at;
                        work.unknown_cte |= write_binary_size(name, &batch.contents, at, out);
                    }
                    Item::Binary { name, binary, .. } => {
                        let octets = batch.contents.octets(&content.octets);
                        let summary = content.summary.as_deref();
                        work.unknown_cte |= write_binary(name, binary, summary, octets, out);
                    }
                    Item::Row(item) => write_row_item(view, row, *item, out),
                }
                batch.item += 1;
            }
            self.output.extend_from_slice(b")\r\n");
            batch.at += 1;
            batch.item = 0;
        }
        self.again(Work::Fetch(work))
    }

    fn fetch_ends(&mut self, work: Box<Fetching>) -> Flow {
        if let Some(fresh) = work.unasked {
            return self.tell_next(fresh);
        }
        if work.lost {
            self.tell_cut();
            return self.refuse(&Self::expunge_issued());
        }
        // RFC 3516 §4.3
        if work.unknown_cte {
            self.tell_cut();
            return self.no(Code::UnknownCte, "A part is in an unknown transfer encoding");
        }
        self.finish_cut("", "Fetched")
    }
}

/// An item that the view answers.
pub(super) fn write_row_item(view: &View, row: &Packed, item: RowItem, out: &mut Vec<u8>) {
    match item {
        RowItem::Flags => {
            out.extend_from_slice(b"FLAGS ");
            view.write_flags(row, out);
        }
        RowItem::Uid => {
            out.extend_from_slice(b"UID ");
            push_number(out, u64::from(row.uid));
        }
        RowItem::InternalDate => {
            out.extend_from_slice(b"INTERNALDATE ");
            write_date_time(Timestamp::from_secs(row.internal_secs), out);
        }
        RowItem::Size => {
            out.extend_from_slice(b"RFC822.SIZE ");
            push_number(out, u64::from(row.size));
        }
        RowItem::ModSeq => {
            out.extend_from_slice(b"MODSEQ (");
            push_number(out, row.modseq);
            out.push(b')');
        }
        // RFC 8514 §4.1
        RowItem::SaveDate => {
            out.extend_from_slice(b"SAVEDATE ");
            write_date_time(Timestamp::from_secs(row.saved_secs.into()), out);
        }
        RowItem::BinarySizeOfAll => {
            out.extend_from_slice(b"BINARY.SIZE[] ");
            push_number(out, u64::from(row.size));
        }
        // RFC 8474 §5.1: copies are the same message.
        RowItem::EmailId => {
            out.extend_from_slice(b"EMAILID (M");
            push_number(out, row.mail);
            out.push(b')');
        }
    }
}

/// Some of the messages at places: the n-th to the m-th of those that changed after `since`.
fn some_of(
    view: &View,
    places: &[Range<usize>],
    since: Option<u64>,
    partial: PartialRange,
) -> Places {
    let rows = view.rows();
    let is_wanted = |place: &usize| since.is_none_or(|since| rows.at(*place).modseq > since);
    let all: Vec<usize> = places.iter().cloned().flatten().filter(is_wanted).collect();
    let some = &all[partial.of(all.len())];
    some.chunk_by(|a, b| a + 1 == *b).map(|run| run[0]..run[run.len() - 1] + 1).collect()
}

/// An item that the service has rendered; `at` is its place among all facts of the answer.
pub(super) fn write_fact(item: &FactItem, contents: &Contents, at: usize, out: &mut Vec<u8>) {
    let rendered = contents.facts.get(at).map(|range| contents.octets(range)).unwrap_or_default();
    let rendered = (item.downgraded)(rendered);
    out.extend_from_slice(item.name.as_bytes());
    out.push(b' ');
    // A service that left out what it was asked for: nothing can be said in its place but NIL.
    out.extend_from_slice(if rendered.is_empty() { b"NIL" } else { &rendered });
}

/// A section; NIL where the message has no such part.
fn write_section(
    name: &[u8],
    section: &Section,
    contents: &Contents,
    content: &Content,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(name);
    out.push(b' ');
    match octets_of(section, contents, content) {
        Some(octets) => {
            let octets = &octets[partial_of(section, octets.len())];
            message::write_literal(out, octets);
        }
        None => out.extend_from_slice(b"NIL"),
    }
}

/// The octets of a section of a message that is there as a whole, or of its header.
pub(super) fn octets_of<'a>(
    section: &Section,
    contents: &'a Contents,
    content: &Content,
) -> Option<Cow<'a, [u8]>> {
    let bytes = contents.octets(&content.octets);
    if !section.spec.part.is_empty() {
        let summary = content.summary.as_ref()?;
        return message::section(&summary.structure, bytes, &section.spec);
    }
    Some(match &section.spec.text {
        SectionText::All => Cow::Borrowed(bytes),
        SectionText::Header => Cow::Borrowed(&bytes[header_range(bytes)]),
        text @ (SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_)) => {
            Cow::Owned(filter_fields(&bytes[header_range(bytes)], text))
        }
        SectionText::Text => Cow::Borrowed(&bytes[header_range(bytes).end..]),
        SectionText::Mime => return None,
    })
}

/// RFC 3501 §6.4.5: a partial that begins behind the end is empty, one that goes past it is cut.
pub(super) fn partial_of(section: &Section, octets: usize) -> Range<usize> {
    part_of(section.partial, octets)
}

/// The octets that `<first.count>` means, of so many.
pub(super) fn part_of(partial: Option<(u32, u32)>, octets: usize) -> Range<usize> {
    let Some((first, count)) = partial else { return 0..octets };
    let start = (first as usize).min(octets);
    start..start.saturating_add(count as usize).min(octets)
}
