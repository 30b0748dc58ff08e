//! New messages of the selected mailbox, fetched unasked (RFC 5465 §5.2, §7).

use std::collections::{BTreeMap, VecDeque};

use mail_types::{Acceptance, UidValidity};

use super::fetch::{Fetching, Stage};
use super::finish::Then;
use super::plan::Plan;
use super::{Flow, Session, Work};
use crate::grammar::{FetchAttribute, UidSet};

/// What is still to be told of new messages, and what comes behind it.
#[derive(Debug)]
pub(super) struct Fresh {
    /// What of which messages, by place.
    batches: VecDeque<(Vec<FetchAttribute>, Vec<usize>)>,
    then: Then,
}

impl<R: Acceptance> Session<R> {
    /// These came into a mailbox by this session's own command.
    pub(super) fn note_own(
        &mut self,
        uid_validity: UidValidity,
        uids: impl Iterator<Item = (u32, u32)>,
    ) {
        // No two mailboxes share a UIDVALIDITY here.
        if let Some(mailbox) = &mut self.selected
            && mailbox.view.rows().uid_validity() == uid_validity.get()
            && (self.wants.is_some() || !mailbox.contexts.is_empty())
        {
            mailbox.own = mailbox.own.ranges().iter().copied().chain(uids).collect();
        }
    }

    /// The client knows how many messages there are: tells of the new ones what it wants to know.
    pub(super) fn tell_new(&mut self, then: Then) -> Flow {
        let Some(mailbox) = &mut self.selected else { return self.finished(then) };
        let rows = mailbox.view.rows();
        let from = std::mem::replace(&mut mailbox.fresh_from, rows.uid_next());
        let own = std::mem::replace(&mut mailbox.own, UidSet::new());
        let selected = self.wants.as_ref().and_then(|wants| wants.selected.as_ref());
        let always = selected.map_or(&[][..], |selected| &selected.events.fetch);
        let contexts = &mailbox.contexts;
        let nothing = always.is_empty() && !contexts.iter().any(|one| one.wants_messages());
        if nothing || from >= rows.uid_next() {
            return self.finished(then);
        }
        // RFC 5465 §5.2: "These attributes SHOULD be combined into a single FETCH response".
        let mut batches: BTreeMap<u32, (Vec<FetchAttribute>, Vec<usize>)> = BTreeMap::new();
        for place in rows.lower_bound(from)..rows.len() {
            let uid = rows.at(place).uid;
            // "A FETCH response SHOULD NOT be generated for a new message created by the client".
            if own.contains(uid) || mailbox.view.is_gone(uid) {
                continue;
            }
            let wanted = contexts.iter().map(|one| one.fetches(uid)).enumerate();
            let wanted: Vec<_> = wanted.filter(|(_, some)| !some.is_empty()).collect();
            // Proven: a session has at most 8 contexts.
            let which = wanted.iter().fold(0, |which, (at, _)| which | 1 << at);
            let (attributes, places) = batches.entry(which).or_default();
            if places.is_empty() {
                *attributes = always.to_vec();
                for attribute in wanted.iter().flat_map(|(_, some)| some.iter()) {
                    if !attributes.contains(attribute) {
                        attributes.push(attribute.clone());
                    }
                }
            }
            places.push(place);
        }
        let batches = batches.into_values().filter(|(attributes, _)| !attributes.is_empty());
        self.tell_next(Fresh { batches: batches.collect(), then })
    }

    /// Fetches the next batch, or goes on.
    pub(super) fn tell_next(&mut self, mut fresh: Fresh) -> Flow {
        let Some((mut attributes, places)) = fresh.batches.pop_front() else {
            return self.finished(fresh.then);
        };
        let Some(mailbox) = &self.selected else { return self.finished(fresh.then) };
        // RFC 7162 §3.2.4: both in every FETCH that nobody asked for.
        for (attribute, is_due) in
            [(FetchAttribute::Uid, !self.uid_only), (FetchAttribute::ModSeq, self.condstore)]
        {
            if is_due && !attributes.contains(&attribute) {
                attributes.insert(0, attribute);
            }
        }
        let plan = Plan::of(attributes, None, mailbox.read_only, self.dialect());
        let places = places.chunk_by(|a, b| a + 1 == *b);
        let places = places.map(|run| run[0]..run[run.len() - 1] + 1).collect();
        self.again(Work::Fetch(Box::new(Fetching {
            plan,
            places,
            range: 0,
            stage: Stage::Rows,
            lost: false,
            unknown_cte: false,
            unasked: Some(fresh),
        })))
    }
}
