//! SEARCH (RFC 3501 §6.4.4), SORT and THREAD (RFC 5256): find, look into messages where the view
//! cannot tell, put in order, answer.

use std::sync::Arc;

use mail_types::{Acceptance, Timestamp};

use super::answer::{Correlator, Numbers, write_result};
use super::context::Update;
use super::multisearch::Elsewhere;
use super::order::{OrderError, Ordering};
use super::{Flow, Session, Work};
use crate::ask::{Answer, Code, Question, Refusal};
use crate::grammar::{Search, SearchKey, SearchOrder, SearchReturn, UidSet};
use crate::search::{Bits, Compiled, Evaluator, Found, Matched, NoSuchNumber};
use crate::view::View;
use crate::write::push_text;

/// Bits of one answer about contents: messages times keys.
const ANSWER_BITS_MAX: usize = 4 << 20;
/// Seconds between two tellings of how far a search is (RFC 9585 §4: 10 to 15 are good).
const PROGRESS_SECS: i64 = 10;

/// A search under way.
#[derive(Debug)]
pub(super) struct Searching {
    pub search: Arc<Search>,
    pub compiled: Arc<Compiled>,
    /// Where, and what for.
    pub aim: Aim,
    /// What has been found so far.
    pub found: Bits,
    stage: Stage,
    /// When the client was last told something.
    told: Timestamp,
}

/// Where a search looks, and what its result is for.
#[derive(Debug)]
pub(super) enum Aim {
    /// In the selected mailbox, for the command.
    Command,
    /// Among the messages of the selected mailbox that changed, for a context (RFC 5267).
    Update(Update),
    /// In another mailbox (RFC 7377).
    Elsewhere(Box<Elsewhere>),
}

#[derive(Debug)]
enum Stage {
    /// The rows from the n-th on are looked at; these have to be looked into.
    Rows(Vec<usize>, usize),
    /// The service looks into messages.
    Matching(Matching),
    /// The service tells what messages are put in order by.
    Ordering(Box<Ordering>),
    /// The answer is written, from the n-th octet on.
    Write(Vec<u8>, usize),
}

/// How far looking into messages is.
#[derive(Debug)]
struct Matching {
    /// Places of messages to look into.
    candidates: Vec<usize>,
    /// How many of them are done.
    done: usize,
    /// How many more have been asked for.
    asked: usize,
}

impl<R: Acceptance> Session<R> {
    pub(super) fn search(&mut self, mut search: Search) -> Flow {
        self.by_uid = search.uid;
        // RFC 6855 §3: "the server MUST reject it with a BAD".
        if self.utf8 && search.names_charset && search.order == SearchOrder::Mailbox {
            return self.bad("", "With UTF8=ACCEPT a search names no charset");
        }
        // RFC 9051 appendix E: RECENT, NEW and OLD are gone.
        if self.rev2 && search.key.has(&|key| matches!(key, SearchKey::Recent)) {
            return self.bad("", "IMAP4rev2 has no RECENT, NEW and OLD");
        }
        // RFC 9051 §6.4.4: SEARCH is always answered with ESEARCH.
        if self.rev2 && search.order == SearchOrder::Mailbox && search.returns.is_none() {
            search.returns = Some(SearchReturn { all: true, ..SearchReturn::default() });
        }
        // RFC 3501 §7.4.1; RFC 5256 §3 says the same of SORT and THREAD.
        self.expunge_allowed = search.uid;
        if search.sources.is_some() {
            return self.multisearch(search);
        }
        let limit = self.message_limit();
        let Some(mailbox) = &mut self.selected else { return self.misfit() };
        let compiled = match Compiled::new(&search.key, &mailbox.view, self.now) {
            Ok(compiled) => compiled,
            Err(NoSuchNumber) => return self.bad("", "There is no message of that number"),
        };
        // RFC 5182 §2.1: a search that is to be saved and fails leaves nothing saved.
        if search.returns.is_some_and(|returns| returns.save) {
            mailbox.view.save(UidSet::new());
        }
        let cut = limit.and_then(|limit| compiled.cut(&mailbox.view, limit));
        if cut.is_some() && search.order != SearchOrder::Mailbox {
            return self.above_limit("Too many messages to put in order at once; name fewer");
        }
        self.cut = cut;
        let compiled = match cut {
            Some(lowest) => compiled.starting_at(lowest),
            None => compiled,
        };
        if compiled.names_modseq {
            self.enable_condstore();
        }
        self.search_begins(Arc::new(search), Arc::new(compiled), Aim::Command)
    }

    /// Looks at the rows, then into the messages.
    pub(super) fn search_begins(
        &mut self,
        search: Arc<Search>,
        compiled: Arc<Compiled>,
        aim: Aim,
    ) -> Flow {
        let stage = Stage::Rows(Vec::new(), 0);
        let mut work =
            Searching { search, compiled, aim, found: Bits::default(), stage, told: self.now };
        let Some(view) = self.searched(&work) else { return self.misfit() };
        work.found = Bits::none(view.rows().len());
        self.search_rows(Box::new(work), Vec::new(), 0)
    }

    /// Looks at the next rows, as many as one step may: a hostile search has ten thousand keys.
    /// `candidates` are those so far whose messages have to be looked into.
    fn search_rows(
        &mut self,
        mut work: Box<Searching>,
        mut candidates: Vec<usize>,
        from: usize,
    ) -> Flow {
        let mut found = std::mem::take(&mut work.found);
        let Some(view) = self.searched(&work) else { return self.misfit() };
        let rows = view.rows();
        let among = match &work.aim {
            Aim::Update(update) => Some(&*update.changed),
            Aim::Command | Aim::Elsewhere(_) => None,
        };
        let count = among.map_or(rows.len(), <[usize]>::len);
        let to = count.min(from.saturating_add(work.compiled.rows_at_a_time()));
        let mut evaluator = match among {
            Some(places) => Evaluator::some(view, &places[from..to], None),
            None => Evaluator::range(view, from..to),
        };
        let Found { surely, mut maybe } = evaluator.find(&work.compiled);
        maybe.without(&surely);
        let place = |at: usize| among.map_or(from + at, |places| places[from + at]);
        let is_there = |place: &usize| !view.is_gone(rows.at(*place).uid);
        candidates.extend(maybe.iter().map(place).filter(is_there));
        surely.iter().map(place).for_each(|place| found.set(place));
        work.found = found;
        if to < count {
            work.stage = Stage::Rows(candidates, to);
            return self.pause(Work::Search(work));
        }
        self.search_matches(work, Matching { candidates, done: 0, asked: 0 })
    }

    pub(super) fn search_goes_on(
        &mut self,
        mut work: Box<Searching>,
        answer: Option<Answer<R>>,
    ) -> Flow {
        match std::mem::replace(&mut work.stage, Stage::Write(Vec::new(), 0)) {
            Stage::Rows(candidates, from) => self.search_rows(work, candidates, from),
            Stage::Matching(matching) => self.search_matched(work, matching, answer),
            Stage::Ordering(ordering) => self.search_ordered(work, ordering, answer),
            Stage::Write(text, at) => self.search_writes(work, text, at),
        }
    }

    /// The mailbox that is searched.
    fn searched<'a>(&'a self, work: &'a Searching) -> Option<&'a View> {
        match &work.aim {
            Aim::Elsewhere(elsewhere) => Some(&elsewhere.view),
            Aim::Command | Aim::Update(_) => self.view(),
        }
    }

    /// Asks about the next messages, or goes on when all is known.
    fn search_matches(&mut self, mut work: Box<Searching>, mut matching: Matching) -> Flow {
        let (Some(view), Some(signed_in)) = (self.searched(&work), &self.signed_in) else {
            return self.misfit();
        };
        let left = &matching.candidates[matching.done..];
        if left.is_empty() {
            return self.search_found(work);
        }
        let rows = view.rows();
        let count_max = (ANSWER_BITS_MAX / work.compiled.keys.len().max(1))
            .min(work.compiled.rows_at_a_time())
            .clamp(1, self.config.limits.match_messages_max);
        let batch = left.iter().take(count_max);
        let messages: Vec<_> = batch.map(|&place| View::wanted(rows.at(place))).collect();
        matching.asked = messages.len();
        let keys = Arc::clone(&work.compiled.keys);
        let question = Question::Match { account: signed_in.account, messages, keys };
        work.stage = Stage::Matching(matching);
        self.ask(Work::Search(work), question)
    }

    fn search_matched(
        &mut self,
        mut work: Box<Searching>,
        mut matching: Matching,
        answer: Option<Answer<R>>,
    ) -> Flow {
        let answer = match answer {
            Some(Answer::Matches(answer)) => answer,
            answer => return self.search_fails(*work, answer),
        };
        let keys = work.compiled.keys.len();
        let count = answer.len() / keys.div_ceil(64).max(1);
        let Some(view) = self.searched(&work) else { return self.misfit() };
        if count == 0 || count > matching.asked {
            return self.search_fails(*work, None);
        }
        let places = &matching.candidates[matching.done..matching.done + count];
        let Some(matched) = Matched::new(&answer, keys, count) else {
            return self.search_fails(*work, None);
        };
        let found = Evaluator::some(view, places, Some(&matched)).find(&work.compiled);
        found.surely.iter().for_each(|at| work.found.set(places[at]));
        matching.done += count;
        self.tell_progress(&mut work.told, matching.done, matching.candidates.len());
        self.search_matches(work, matching)
    }

    // RFC 9585 §3: "INPROGRESS" [SP "(" inprogress-tag SP inprogress-state-nums ")"]
    fn tell_progress(&mut self, told: &mut Timestamp, done: usize, goal: usize) {
        if self.now.secs() - told.secs() < PROGRESS_SECS {
            return;
        }
        *told = self.now;
        let Some(tag) = self.tag.as_ref() else { return };
        let mut line = b"* OK [INPROGRESS (".to_vec();
        message::write_string(&mut line, tag.as_str().as_bytes());
        push_text(&mut line, &format!(" {done} {goal})] Still looking\r\n"));
        self.output.extend_from_slice(&line);
    }

    /// All is known but the order.
    fn search_found(&mut self, mut work: Box<Searching>) -> Flow {
        let Some(view) = self.searched(&work) else { return self.misfit() };
        let rows = view.rows();
        let is_there = |&place: &usize| !view.is_gone(rows.at(place).uid);
        let mut found: Vec<usize> = work.found.iter().filter(is_there).collect();
        if let Aim::Update(update) = &mut work.aim {
            match self.update_found(update, found) {
                // Something has come in between: all are put in order again.
                Some(all) => found = all,
                None => return self.update_ends(*work, &[]),
            }
        }
        work.found = Bits::default();
        let ordering = match &work.search.order {
            SearchOrder::Mailbox => {
                // RFC 9738 §3.1: "from highest to lowest UID".
                if self.cut.is_some() && work.search.returns.is_none() {
                    found.reverse();
                }
                return self.search_answers(work, &Numbers::List(found));
            }
            SearchOrder::Sorted(criteria) => Ordering::sorting(criteria, found),
            SearchOrder::Threads(algorithm) => Ordering::threading(*algorithm, found),
        };
        self.search_orders(work, Box::new(ordering))
    }

    /// Asks for what the next messages are put in order by, or puts them in order.
    fn search_orders(&mut self, mut work: Box<Searching>, mut ordering: Box<Ordering>) -> Flow {
        let (Some(view), Some(signed_in)) = (self.searched(&work), &self.signed_in) else {
            return self.misfit();
        };
        let messages = match ordering.next(view.rows(), self.config.limits.match_messages_max) {
            Ok(messages) => messages,
            Err(error) => return self.order_fails(*work, error),
        };
        if messages.is_empty() {
            let numbers = ordering.done();
            return self.search_answers(work, &numbers);
        }
        let question = Question::SortFacts { account: signed_in.account, messages };
        work.stage = Stage::Ordering(ordering);
        self.ask(Work::Search(work), question)
    }

    fn search_ordered(
        &mut self,
        mut work: Box<Searching>,
        mut ordering: Box<Ordering>,
        answer: Option<Answer<R>>,
    ) -> Flow {
        let facts = match answer {
            Some(Answer::SortFacts(facts)) => facts,
            answer => return self.search_fails(*work, answer),
        };
        let Some(view) = self.searched(&work) else { return self.misfit() };
        if let Err(error) = ordering.take(&facts, view.rows()) {
            return self.order_fails(*work, error);
        }
        let (done, goal) = ordering.progress();
        self.tell_progress(&mut work.told, done, goal);
        self.search_orders(work, ordering)
    }

    fn order_fails(&mut self, work: Searching, error: OrderError) -> Flow {
        let text = "Too much to put in order at once; ask for fewer messages";
        let answer = match error {
            OrderError::Misfit => None,
            OrderError::TooMuchText => Some(Answer::No(Refusal::new(Code::Limit, text))),
        };
        self.search_fails(work, answer)
    }

    /// The service did not answer what it was asked.
    fn search_fails(&mut self, work: Searching, answer: Option<Answer<R>>) -> Flow {
        match (work.aim, answer) {
            (_, Some(Answer::Gone)) => self.gone(),
            (Aim::Update(update), _) => self.update_fails(update),
            (Aim::Command | Aim::Elsewhere(_), Some(Answer::No(refusal))) => self.refuse(&refusal),
            (Aim::Command | Aim::Elsewhere(_), _) => self.misfit(),
        }
    }

    /// All is known: answers.
    fn search_answers(&mut self, work: Box<Searching>, numbers: &Numbers) -> Flow {
        if let (Aim::Update(_), Numbers::List(places)) = (&work.aim, numbers) {
            return self.update_ends(*work, places);
        }
        let Some(view) = self.searched(&work) else { return self.misfit() };
        let correlator = Correlator {
            tag: self.tag.as_ref().map_or("*", |tag| tag.as_str()),
            uid: work.search.uid,
            mailbox: match &work.aim {
                Aim::Elsewhere(elsewhere) => {
                    Some((&elsewhere.name, elsewhere.uid_validity, self.reader.names))
                }
                Aim::Command | Aim::Update(_) => None,
            },
        };
        let mut text = Vec::new();
        let names_modseq = work.compiled.names_modseq;
        let saved = write_result(&work.search, numbers, view, names_modseq, &correlator, &mut text);
        if let (Aim::Command, Some(mailbox), Some(saved)) = (&work.aim, &mut self.selected, saved) {
            mailbox.view.save(saved);
        }
        if let (Aim::Command, Numbers::List(places)) = (&work.aim, numbers)
            && work.search.returns.is_some_and(|returns| returns.update)
        {
            self.keep_context(&work, places, &mut text);
        }
        self.search_writes(work, text, 0)
    }

    /// Writes the answer while there is room.
    fn search_writes(&mut self, mut work: Box<Searching>, text: Vec<u8>, at: usize) -> Flow {
        let room = self.config.limits.output_octets_max.saturating_sub(self.output.len());
        let end = text.len().min(at.saturating_add(room.max(1)));
        self.output.extend_from_slice(&text[at..end]);
        if end < text.len() {
            work.stage = Stage::Write(text, end);
            return self.again(Work::Search(work));
        }
        match work.aim {
            Aim::Elsewhere(elsewhere) => self.multisearch_next(elsewhere.others),
            Aim::Command | Aim::Update(_) => self.finish_cut("", "Done"),
        }
    }
}
