use mail_types::Acceptance;

use super::{Flow, Session, Status, Work};
use crate::ask::{Answer, Code, Question};
use crate::grammar::{Search, SearchKey, SearchReturn, UidSet};
use crate::search::{Bits, Contents, Evaluator, Found, SearchRefusal};
use crate::view::View;
use crate::write::{push_number, push_text};

/// Content keys in one question: the bits of an answer.
const KEYS_PER_QUESTION: usize = 64;

/// SEARCH (RFC 3501 §6.4.4).
#[derive(Debug)]
pub(super) struct Searching {
    search: Search,
    contents: Contents,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The service looks into messages.
    Asked(Asked),
    /// The found rows are told, from the n-th on.
    Tell(Vec<u32>, usize),
}

/// Where looking into messages is.
#[derive(Debug)]
struct Asked {
    /// Rows to look into.
    candidates: Vec<usize>,
    /// How many of them are done for the current keys.
    done: usize,
    /// How many have been asked for.
    asked: usize,
    /// The first of the current keys.
    keys_from: usize,
}

impl<R: Acceptance> Session<R> {
    pub(super) fn search(&mut self, search: Search) -> Flow {
        self.by_uid = search.uid;
        // RFC 3501 §7.4.1
        self.expunge_allowed = search.uid;
        if names_modseq(&search.key) {
            self.enable_condstore();
        }
        let keys_max = self.config.limits.search_content_keys_max;
        let contents = match Contents::of(&search.key, keys_max) {
            Ok(contents) => contents,
            Err(refusal) => return self.search_refused(refusal),
        };
        let Some(mailbox) = &self.selected else { return self.misfit() };
        let Found { surely, mut maybe } =
            match Evaluator::new(&mailbox.view, &contents).find(&search.key) {
                Ok(found) => found,
                Err(refusal) => return self.search_refused(refusal),
            };
        maybe.without(&surely);
        let work = Box::new(Searching { search, contents, stage: Stage::Tell(Vec::new(), 0) });
        if maybe.is_empty() {
            return self.search_found(*work);
        }
        let candidates: Vec<usize> = maybe
            .iter()
            .filter(|&place| !mailbox.view.is_gone(row_uid(&mailbox.view, place)))
            .collect();
        let asked = Asked { candidates, done: 0, asked: 0, keys_from: 0 };
        self.search_asks(work, asked)
    }

    /// Asks about the next messages, or evaluates when all is known.
    fn search_asks(&mut self, mut work: Box<Searching>, mut asked: Asked) -> Flow {
        let (Some(mailbox), Some(signed_in)) = (&self.selected, &self.signed_in) else {
            return self.misfit();
        };
        let rows = mailbox.view.rows();
        if work.contents.matched.is_empty() {
            let keys = work.contents.keys.len();
            work.contents.matched = vec![Bits::none(rows.len()); keys];
        }
        if asked.done == asked.candidates.len() {
            asked.done = 0;
            asked.keys_from += KEYS_PER_QUESTION;
        }
        if asked.keys_from >= work.contents.keys.len() || asked.candidates.is_empty() {
            return self.search_found(*work);
        }
        let count_max = self.config.limits.match_messages_max;
        let batch = asked.candidates[asked.done..].iter().take(count_max);
        let messages: Vec<_> = batch.map(|&place| View::wanted(rows.at(place))).collect();
        asked.asked = messages.len();
        let keys = work.contents.keys[asked.keys_from..].iter().take(KEYS_PER_QUESTION);
        let keys = keys.cloned().collect();
        let question = Question::Match { account: signed_in.account, messages, keys };
        work.stage = Stage::Asked(asked);
        self.ask(Work::Search(work), question)
    }

    pub(super) fn search_goes_on(&mut self, work: Searching, answer: Option<Answer<R>>) -> Flow {
        let Searching { search, mut contents, stage } = work;
        match stage {
            Stage::Asked(mut asked) => {
                let matches = match answer {
                    Some(Answer::Matches(matches)) => matches,
                    Some(Answer::No(refusal)) => return self.refuse(&refusal),
                    Some(Answer::Gone) => return self.gone(),
                    Some(_) | None => return self.misfit(),
                };
                if matches.is_empty() || matches.len() > asked.asked {
                    return self.misfit();
                }
                let places = &asked.candidates[asked.done..];
                let matched = &mut contents.matched[asked.keys_from..];
                for (&place, &bits) in places.iter().zip(&matches) {
                    for (key, matched) in matched.iter_mut().take(KEYS_PER_QUESTION).enumerate() {
                        if bits >> key & 1 == 1 {
                            matched.set(place);
                        }
                    }
                }
                asked.done += matches.len();
                let stage = Stage::Tell(Vec::new(), 0);
                self.search_asks(Box::new(Searching { search, contents, stage }), asked)
            }
            Stage::Tell(numbers, from) => {
                let stage = Stage::Tell(numbers, from);
                self.search_tells(Searching { search, contents, stage })
            }
        }
    }

    /// All is known: evaluates and answers.
    fn search_found(&mut self, work: Searching) -> Flow {
        let Some(mailbox) = &self.selected else { return self.misfit() };
        let view = &mailbox.view;
        let found = match Evaluator::new(view, &work.contents).find(&work.search.key) {
            Ok(Found { surely, .. }) => surely,
            Err(refusal) => return self.search_refused(refusal),
        };
        let there = found.iter().filter(|&place| !view.is_gone(row_uid(view, place)));
        let places: Vec<usize> = there.collect();
        let highest = places.iter().map(|&place| view.rows().at(place).modseq).max();
        let highest = highest.filter(|_| names_modseq(&work.search.key));
        let uid = work.search.uid;
        let number = |place: usize| if uid { row_uid(view, place) } else { place as u32 + 1 };
        let numbers: Vec<u32> = places.into_iter().map(number).collect();
        if let Some(returns) = work.search.returns {
            let tag = self.tag.as_ref().map_or("*", |tag| tag.as_str());
            write_esearch(&mut self.output, tag, uid, returns, &numbers, highest);
            return self.finish(Status::Ok, "", "Done");
        }
        push_text(&mut self.output, "* SEARCH");
        let (search, contents) = (work.search, Contents::default());
        let stage = Stage::Tell(numbers, 0);
        self.search_highest(Searching { search, contents, stage }, highest)
    }

    /// RFC 7162 §3.1.5 puts `(MODSEQ n)` behind the numbers: there are few enough of such searches
    /// to write their numbers in one go.
    fn search_highest(&mut self, work: Searching, highest: Option<u64>) -> Flow {
        let (Some(highest), Stage::Tell(numbers, _)) = (highest, &work.stage) else {
            return self.search_tells(work);
        };
        for &number in numbers {
            self.output.push(b' ');
            push_number(&mut self.output, u64::from(number));
        }
        push_text(&mut self.output, " (MODSEQ ");
        push_number(&mut self.output, highest);
        push_text(&mut self.output, ")\r\n");
        self.finish(Status::Ok, "", "Done")
    }

    fn search_tells(&mut self, work: Searching) -> Flow {
        let Searching { search, contents, stage } = work;
        let Stage::Tell(numbers, from) = stage else { return self.misfit() };
        for (at, &number) in numbers.iter().enumerate().skip(from) {
            if self.output_is_full() {
                let stage = Stage::Tell(numbers, at);
                return self.again(Work::Search(Box::new(Searching { search, contents, stage })));
            }
            self.output.push(b' ');
            push_number(&mut self.output, u64::from(number));
        }
        push_text(&mut self.output, "\r\n");
        self.finish(Status::Ok, "", "Done")
    }

    fn search_refused(&mut self, refusal: SearchRefusal) -> Flow {
        match refusal {
            SearchRefusal::NoSuchNumber => self.bad("", "There is no message of that number"),
            SearchRefusal::TooManyContentKeys => {
                self.no(Code::Limit, "Too many keys that look into messages; split the search")
            }
        }
    }
}

fn row_uid(view: &View, place: usize) -> u32 {
    view.rows().at(place).uid
}

/// Whether MODSEQ occurs in a search.
fn names_modseq(key: &SearchKey) -> bool {
    match key {
        SearchKey::And(keys) | SearchKey::Or(keys) => keys.iter().any(names_modseq),
        SearchKey::Not(key) => names_modseq(key),
        SearchKey::ModSeq(_) => true,
        SearchKey::Flag(_)
        | SearchKey::Recent
        | SearchKey::Keyword(_)
        | SearchKey::Numbers { .. }
        | SearchKey::Before(_)
        | SearchKey::On(_)
        | SearchKey::Since(_)
        | SearchKey::Larger(_)
        | SearchKey::Smaller(_)
        | SearchKey::Content(_) => false,
    }
}

// RFC 4466 §2.6.2, RFC 4731 §3.1: esearch-response = "ESEARCH" [search-correlator] [SP "UID"]
// *(SP search-return-data); MIN, MAX and ALL are left out where nothing was found.
fn write_esearch(
    out: &mut Vec<u8>,
    tag: &str,
    uid: bool,
    returns: SearchReturn,
    numbers: &[u32],
    highest: Option<u64>,
) {
    push_text(out, "* ESEARCH (TAG \"");
    push_text(out, tag);
    push_text(out, if uid { "\") UID" } else { "\")" });
    let mut item = |name: &str, number: Option<u64>| {
        if let Some(number) = number {
            push_text(out, name);
            push_number(out, number);
        }
    };
    item(" MIN ", numbers.first().filter(|_| returns.min).map(|&number| number.into()));
    item(" MAX ", numbers.last().filter(|_| returns.max).map(|&number| number.into()));
    item(" COUNT ", returns.count.then_some(numbers.len() as u64));
    if returns.all && !numbers.is_empty() {
        let set: UidSet = numbers.iter().copied().collect();
        push_text(out, &format!(" ALL {set}"));
    }
    if let Some(highest) = highest {
        push_text(out, &format!(" MODSEQ {highest}"));
    }
    push_text(out, "\r\n");
}
