//! ESEARCH (RFC 7377): one search in several mailboxes.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use mail_types::{Acceptance, UidValidity};

use super::search::Aim;
use super::{Flow, Session, Status, Work};
use crate::ask::{Answer, Listed, Question, Selected};
use crate::grammar::{MailboxFilter, MailboxName, Search, SearchKey};
use crate::search::Compiled;
use crate::view::View;

/// A mailbox that is searched, and those that will be.
#[derive(Debug)]
pub(super) struct Elsewhere {
    pub name: MailboxName,
    pub uid_validity: UidValidity,
    pub view: View,
    pub others: Others,
}

/// What is still to be searched.
#[derive(Debug)]
pub(super) struct Others {
    search: Arc<Search>,
    names: VecDeque<MailboxName>,
}

/// What the service is asked before a mailbox can be searched.
#[derive(Debug)]
pub(super) enum Multisearch {
    /// Which mailboxes there are.
    List(Arc<Search>),
    /// What is in this one.
    Glance(MailboxName, Others),
}

impl<R: Acceptance> Session<R> {
    pub(super) fn multisearch(&mut self, search: Search) -> Flow {
        let sources = search.sources.as_deref().unwrap_or_default();
        let Some(signed_in) = &self.signed_in else { return self.misfit() };
        if sources.contains(&MailboxFilter::Selected) && self.selected.is_none() {
            return self.bad("", "Select a mailbox first, or name one");
        }
        // RFC 7377 §2.2: sequence numbers mean nothing in a mailbox that is not selected.
        if search.key.has(&names_numbers) {
            return self.bad("", "Sequence numbers mean nothing here");
        }
        let returns = search.returns.unwrap_or_default();
        if returns.save || returns.update {
            return self.bad("", "Only a search of the selected mailbox can be saved or updated");
        }
        let question = Question::List { account: signed_in.account, counts: None };
        self.ask(Work::Multisearch(Multisearch::List(Arc::new(search))), question)
    }

    pub(super) fn multisearch_goes_on(
        &mut self,
        work: Multisearch,
        answer: Option<Answer<R>>,
    ) -> Flow {
        match (work, answer) {
            (Multisearch::List(search), Some(Answer::Mailboxes(listed))) => {
                let selected = self.selected.as_ref().map(|mailbox| &mailbox.name);
                let sources = search.sources.as_deref().unwrap_or_default();
                let names = named(sources, selected, &listed);
                self.multisearch_next(Others { search, names })
            }
            (Multisearch::Glance(name, others), Some(Answer::Selected(selected))) => {
                let Selected { uid_validity, rows, recent, .. } = *selected;
                let view = View::new(rows, recent);
                let Ok(compiled) = Compiled::new(&others.search.key, &view, self.now) else {
                    return self.misfit();
                };
                let search = Arc::clone(&others.search);
                let elsewhere = Elsewhere { name, uid_validity, view, others };
                self.search_begins(search, Arc::new(compiled), Aim::Elsewhere(Box::new(elsewhere)))
            }
            // RFC 7377 §2.2: a mailbox that is not there, or not to be seen, is passed over.
            (Multisearch::Glance(_, others), Some(Answer::No(_))) => self.multisearch_next(others),
            (Multisearch::List(_), Some(Answer::No(refusal))) => self.refuse(&refusal),
            (_, _) => self.misfit(),
        }
    }

    pub(super) fn multisearch_next(&mut self, mut others: Others) -> Flow {
        let Some(signed_in) = &self.signed_in else { return self.misfit() };
        let Some(name) = others.names.pop_front() else {
            return self.finish(Status::Ok, "", "Done");
        };
        let question = Question::Glance { account: signed_in.account, mailbox: name.clone() };
        self.ask(Work::Multisearch(Multisearch::Glance(name, others)), question)
    }
}

/// The mailboxes that filters name, each once, by name.
fn named(
    filters: &[MailboxFilter],
    selected: Option<&MailboxName>,
    listed: &[Listed],
) -> VecDeque<MailboxName> {
    let there: BTreeMap<&MailboxName, &Listed> = listed
        .iter()
        .filter(|mailbox| mailbox.exists)
        .map(|listed| (&listed.name, listed))
        .collect();
    let mut wanted: HashSet<&MailboxName> = HashSet::new();
    for filter in filters {
        match filter {
            MailboxFilter::Selected | MailboxFilter::SelectedDelayed => wanted.extend(selected),
            // RFC 7377 §2.2: named ones that are not there are passed over when they are opened.
            MailboxFilter::Mailboxes(names) => wanted.extend(names),
            filter @ (MailboxFilter::Inboxes
            | MailboxFilter::Personal
            | MailboxFilter::Subscribed
            | MailboxFilter::Subtree(_)
            | MailboxFilter::SubtreeOne(_)) => {
                let is_meant = |listed: &&&Listed| {
                    filter.covers(&listed.name, listed.special_use, listed.subscribed)
                };
                wanted.extend(there.values().filter(is_meant).map(|listed| &listed.name));
            }
        }
    }
    let mut names: Vec<MailboxName> = wanted.into_iter().cloned().collect();
    names.sort_unstable();
    names.into()
}

/// Sequence numbers, or `$`.
fn names_numbers(key: &SearchKey) -> bool {
    matches!(key, SearchKey::Numbers { uid, set } if !uid || set.is_saved())
}
