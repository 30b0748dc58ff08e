//! CONTEXT=SEARCH and CONTEXT=SORT (RFC 5267): results that follow the mailbox.

use std::sync::Arc;

use mail_types::{Acceptance, ModSeq};

use super::answer::{Correlator, write_ranges};
use super::finish::{Finish, Then};
use super::search::{Aim, Searching};
use super::{Flow, Session, Status, Work};
use crate::grammar::{FetchAttribute, Search, SearchOrder, Tag, UidSet};
use crate::search::Compiled;
use crate::view::View;
use crate::write::{push_number, push_text};

/// Results that one session may have followed.
const CONTEXTS_MAX: usize = 8;

/// A result that is kept up to date.
#[derive(Debug)]
pub(super) struct Context {
    tag: Tag,
    search: Arc<Search>,
    compiled: Arc<Compiled>,
    /// UIDs in order, as the client has been told.
    result: Vec<u32>,
    /// All changes up to this are in it.
    modseq: ModSeq,
    /// UIDs that joined it, and whose messages are to be fetched if they are new.
    joined: UidSet,
}

/// A context that takes in changes.
#[derive(Debug)]
pub(super) struct Update {
    /// Which of the mailbox's contexts.
    context: usize,
    /// Places of the messages that changed, or are new.
    pub changed: Vec<usize>,
    /// What comes behind it.
    then: Then,
}

impl Context {
    /// What to fetch of a new message because it has joined this result (RFC 5465 §7).
    pub(super) fn fetches(&self, uid: u32) -> &[FetchAttribute] {
        if self.joined.contains(uid) { &self.search.update_fetch } else { &[] }
    }

    pub(super) fn wants_messages(&self) -> bool {
        !self.search.update_fetch.is_empty()
    }
}

impl<R: Acceptance> Session<R> {
    /// Keeps the result of a search that was made with UPDATE.
    pub(super) fn keep_context(&mut self, work: &Searching, places: &[usize], out: &mut Vec<u8>) {
        let (Some(mailbox), Some(tag)) = (&mut self.selected, &self.tag) else { return };
        // Its tag names it: an earlier one of the same tag could no longer be told apart.
        mailbox.contexts.retain(|context| context.tag != *tag);
        // RFC 5267 §4.3.1: a server may refuse; here also what changes as time passes.
        if mailbox.contexts.len() == CONTEXTS_MAX || work.compiled.names_age {
            write_no_update(tag, out);
            return;
        }
        let rows = mailbox.view.rows();
        mailbox.contexts.push(Context {
            tag: tag.clone(),
            search: Arc::clone(&work.search),
            compiled: Arc::clone(&work.compiled),
            result: places.iter().map(|&place| rows.at(place).uid).collect(),
            modseq: mailbox.view.highest_modseq(),
            joined: UidSet::new(),
        });
    }

    // RFC 5267 §4.3.5
    pub(super) fn cancel_update(&mut self, tags: &[Tag]) -> Flow {
        if let Some(mailbox) = &mut self.selected {
            mailbox.contexts.retain(|context| !tags.contains(&context.tag));
        }
        self.finish(Status::Ok, "", "No longer updated")
    }

    /// Whether some context has yet to take in changes.
    pub(super) fn has_stale_contexts(&self) -> bool {
        self.selected.as_ref().is_some_and(|mailbox| {
            let highest = mailbox.view.highest_modseq();
            mailbox.contexts.iter().any(|context| context.modseq < highest)
        })
    }

    /// Takes changes into the n-th context and those behind it, then goes on ending the command.
    pub(super) fn update_contexts(&mut self, at: usize, then: Then) -> Flow {
        let Some(mailbox) = &mut self.selected else {
            return self.again(Work::Finish(Finish::counting(then)));
        };
        let view = &mut mailbox.view;
        let highest = view.highest_modseq();
        let mut stale = mailbox.contexts.iter_mut().enumerate().skip(at);
        let Some((at, context)) = stale.find(|(_, context)| context.modseq < highest) else {
            return self.again(Work::Finish(Finish::counting(then)));
        };
        // A message must be known before it can be told of.
        view.write_exists(&mut self.output);
        let since = std::mem::replace(&mut context.modseq, highest);
        let changed = view.rows().iter().enumerate();
        let changed = changed.filter(|(_, row)| row.modseq > since.0 && !view.is_gone(row.uid));
        let changed = changed.map(|(place, _)| place).collect();
        let (search, compiled) = (Arc::clone(&context.search), Arc::clone(&context.compiled));
        self.search_begins(search, compiled, Aim::Update(Update { context: at, changed, then }))
    }

    /// What of the changed messages a search finds is known: the places of the whole new result in
    /// the order of the mailbox, or `None` where nothing has come in.
    pub(super) fn update_found(&self, update: &Update, found: Vec<usize>) -> Option<Vec<usize>> {
        let mailbox = self.selected.as_ref()?;
        let context = mailbox.contexts.get(update.context)?;
        let rows = mailbox.view.rows();
        let before: UidSet = context.result.iter().copied().collect();
        if found.iter().all(|&place| before.contains(rows.at(place).uid)) {
            return None;
        }
        let mut all: Vec<usize> = kept(&mailbox.view, &context.result, &update.changed);
        all.extend(found);
        all.sort_unstable();
        Some(all)
    }

    /// The new result is known: `places` in order, or none where nothing has come in. Tells the
    /// difference.
    pub(super) fn update_ends(&mut self, work: Searching, places: &[usize]) -> Flow {
        let (Aim::Update(update), Some(mailbox)) = (work.aim, &mut self.selected) else {
            return self.misfit();
        };
        let view = &mailbox.view;
        let rows = view.rows();
        let Some(context) = mailbox.contexts.get_mut(update.context) else { return self.misfit() };
        let after: Vec<u32> = if places.is_empty() {
            let is_found = |place: &usize| work.found.contains(*place);
            let left = update.changed.iter().copied().filter(|place| !is_found(place));
            let left: UidSet = left.map(|place| rows.at(place).uid).collect();
            let stays = |uid: &u32| {
                !left.contains(*uid) && rows.find(*uid).is_some() && !view.is_gone(*uid)
            };
            context.result.iter().copied().filter(stays).collect()
        } else {
            places.iter().map(|&place| rows.at(place).uid).collect()
        };
        let before = std::mem::replace(&mut context.result, after);
        if !context.search.update_fetch.is_empty() {
            let was: UidSet = before.iter().copied().collect();
            let joined = context.result.iter().copied().filter(|&uid| !was.contains(uid));
            context.joined = joined.collect();
        }
        let is_sorted = matches!(context.search.order, SearchOrder::Sorted(_));
        let after = &context.result;
        let changes = Changes::between(&before, after, |uid| {
            if context.search.uid {
                Some(uid)
            } else {
                rows.find(uid).map(|place| place as u32 + 1)
            }
        });
        changes.write(&context.tag, context.search.uid, is_sorted, &mut self.output);
        self.update_contexts(update.context + 1, update.then)
    }

    /// A context could not be brought up to date: it ends (RFC 5267 §4.3.1).
    pub(super) fn update_fails(&mut self, update: Update) -> Flow {
        if let Some(mailbox) = &mut self.selected
            && update.context < mailbox.contexts.len()
        {
            let context = mailbox.contexts.remove(update.context);
            write_no_update(&context.tag, &mut self.output);
        }
        self.update_contexts(update.context, update.then)
    }
}

/// The places of UIDs that are still there, but for those of these places.
fn kept(view: &View, uids: &[u32], but: &[usize]) -> Vec<usize> {
    let rows = view.rows();
    let places = uids.iter().filter_map(|&uid| rows.find(uid).filter(|_| !view.is_gone(uid)));
    places.filter(|place| but.binary_search(place).is_err()).collect()
}

// RFC 5267 §4.3.1: resp-text-code =/ "NOUPDATE" SP quoted
fn write_no_update(tag: &Tag, out: &mut Vec<u8>) {
    push_text(out, "* NO [NOUPDATE ");
    message::write_string(out, tag.as_str().as_bytes());
    push_text(out, "] This result will not be updated\r\n");
}

/// What has changed between two results.
#[derive(Debug, Default)]
struct Changes {
    removed: Vec<u32>,
    /// What was added, with its place in the new result, counted from 1.
    added: Vec<(usize, u32)>,
}

impl Changes {
    /// Of UIDs, told as what `number` makes of them.
    fn between(before: &[u32], after: &[u32], number: impl Fn(u32) -> Option<u32>) -> Self {
        let (was, is): (UidSet, UidSet) =
            (before.iter().copied().collect(), after.iter().copied().collect());
        let removed = before.iter().filter(|&&uid| !is.contains(uid));
        let added = after.iter().enumerate().filter(|&(_, &uid)| !was.contains(uid));
        Self {
            removed: removed.filter_map(|&uid| number(uid)).collect(),
            added: added.filter_map(|(at, &uid)| Some((at + 1, number(uid)?))).collect(),
        }
    }

    // RFC 5267 §4.3.3, §4.3.4: "ADDTO" / "REMOVEFROM" SP "(" context-position SP sequence-set ")".
    // Position 0 says nothing: a result in the order of the mailbox needs none, and what is removed
    // is found by its number.
    fn write(&self, tag: &Tag, uid: bool, is_sorted: bool, out: &mut Vec<u8>) {
        if self.removed.is_empty() && self.added.is_empty() {
            return;
        }
        Correlator { tag: tag.as_str(), uid, mailbox: None }.write(out);
        if !self.removed.is_empty() {
            push_text(out, " REMOVEFROM (0 ");
            let removed: UidSet = self.removed.iter().copied().collect();
            push_text(out, &removed.to_string());
            out.push(b')');
        }
        // §4.3.2: items are taken in the order in which they stand, so each position is that in
        // the new result. A set is in ascending order, so each run of such is one item.
        let follows =
            |a: &(usize, u32), b: &(usize, u32)| !is_sorted || (a.0 + 1 == b.0 && a.1 < b.1);
        for run in self.added.chunk_by(follows) {
            push_text(out, " ADDTO (");
            push_number(out, if is_sorted { run[0].0 as u64 } else { 0 });
            out.push(b' ');
            write_ranges(run.iter().map(|&(_, number)| number), out);
            out.push(b')');
        }
        push_text(out, "\r\n");
    }
}
