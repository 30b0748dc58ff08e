use message::{SortFacts, Threads, thread_ordered_subject, thread_references};

use super::answer::Numbers;
use crate::ask::Wanted;
use crate::grammar::{SortCriterion, ThreadAlgorithm};
use crate::sort::{Sorter, TEXT_OCTETS_MAX, TooMuchText};
use crate::view::{Rows, View};

/// Messages found that are being put in order.
#[derive(Debug)]
pub(super) struct Ordering {
    /// Their places in the mailbox.
    places: Vec<usize>,
    /// Of so many of them all is known.
    known: usize,
    by: By,
}

#[derive(Debug)]
enum By {
    Sort(Sorter),
    Thread(ThreadAlgorithm, Threaded),
}

/// What threading asks of messages, their texts in one.
#[derive(Debug, Default)]
struct Threaded {
    texts: String,
    messages: Vec<Message>,
}

/// Of one message; the texts stand behind each other.
#[derive(Debug)]
struct Message {
    sent: i64,
    is_reply: bool,
    has_id: bool,
    /// Where subject, Message-ID and references end.
    ends: [u32; 3],
}

/// Why messages cannot be put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderError {
    /// The service's answer does not fit.
    Misfit,
    /// They have more text than may be held.
    TooMuchText,
}

impl From<TooMuchText> for OrderError {
    fn from(_: TooMuchText) -> Self {
        Self::TooMuchText
    }
}

impl Ordering {
    pub(super) fn sorting(criteria: &[SortCriterion], places: Vec<usize>) -> Self {
        Self { places, known: 0, by: By::Sort(Sorter::new(criteria)) }
    }

    pub(super) fn threading(algorithm: ThreadAlgorithm, places: Vec<usize>) -> Self {
        Self { places, known: 0, by: By::Thread(algorithm, Threaded::default()) }
    }

    /// The next messages of which facts are needed, at most so many; none where all is known.
    pub(super) fn next(
        &mut self,
        rows: &Rows,
        count_max: usize,
    ) -> Result<Vec<Wanted>, OrderError> {
        if let By::Sort(sorter) = &mut self.by
            && !sorter.needs_facts()
        {
            for &place in &self.places[self.known..] {
                sorter.push(rows.at(place), &SortFacts::default())?;
            }
            self.known = self.places.len();
        }
        let next = self.places[self.known..].iter().take(count_max);
        Ok(next.map(|&place| View::wanted(rows.at(place))).collect())
    }

    /// Takes the facts of the next messages, or the first of them. One that is lost has none.
    pub(super) fn take(&mut self, answer: &[Box<[u8]>], rows: &Rows) -> Result<(), OrderError> {
        if answer.is_empty() || answer.len() > self.places.len() - self.known {
            return Err(OrderError::Misfit);
        }
        for (encoded, &place) in answer.iter().zip(&self.places[self.known..]) {
            let facts = if encoded.is_empty() {
                SortFacts::default()
            } else {
                SortFacts::decode(encoded).map_err(|_| OrderError::Misfit)?
            };
            let row = rows.at(place);
            match &mut self.by {
                By::Sort(sorter) => sorter.push(row, &facts)?,
                By::Thread(_, threaded) => threaded.push(row.internal_secs, &facts)?,
            }
        }
        self.known += answer.len();
        Ok(())
    }

    /// How many are known, of how many.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.known, self.places.len())
    }

    /// All is known: puts them in order.
    pub(super) fn done(self) -> Numbers {
        let Self { places, by, .. } = self;
        match by {
            By::Sort(sorter) => {
                let order = sorter.order();
                Numbers::List(order.into_iter().map(|at| places[at as usize]).collect())
            }
            By::Thread(algorithm, threaded) => {
                Numbers::Threads(threaded.threads(algorithm), places)
            }
        }
    }
}

impl Threaded {
    fn push(&mut self, internal_secs: i64, facts: &SortFacts<&str>) -> Result<(), TooMuchText> {
        let texts = [facts.subject, facts.message_id.unwrap_or_default(), facts.reference_lines];
        let octets: usize = texts.iter().map(|text| text.len()).sum();
        if self.texts.len() + octets > TEXT_OCTETS_MAX {
            return Err(TooMuchText);
        }
        let ends = texts.map(|text| {
            self.texts.push_str(text);
            // Proven: it is not longer than TEXT_OCTETS_MAX.
            self.texts.len() as u32
        });
        self.messages.push(Message {
            // RFC 5256 §2.2
            sent: facts.sent.unwrap_or(internal_secs),
            is_reply: facts.subject_is_reply_or_forward,
            has_id: facts.message_id.is_some(),
            ends,
        });
        Ok(())
    }

    fn threads(&self, algorithm: ThreadAlgorithm) -> Threads {
        let mut start = 0;
        let mut text =
            |end: u32| &self.texts[std::mem::replace(&mut start, end as usize)..end as usize];
        let facts = self.messages.iter().map(|message| {
            let [subject, id, references] = message.ends.map(&mut text);
            SortFacts {
                sent: Some(message.sent),
                subject,
                subject_is_reply_or_forward: message.is_reply,
                message_id: message.has_id.then_some(id),
                reference_lines: references,
                ..SortFacts::default()
            }
        });
        let facts: Vec<SortFacts<&str>> = facts.collect();
        match algorithm {
            ThreadAlgorithm::OrderedSubject => thread_ordered_subject(&facts),
            ThreadAlgorithm::References => thread_references(&facts),
        }
    }
}
