use std::collections::VecDeque;

use mail_types::Acceptance;

use super::append::server_bug;
use super::finish::Then;
use super::{Flow, Session, Status, Work};
use crate::ask::{Answer, Appended, Question};
use crate::grammar::Tag;
use crate::reader::Read;
use crate::write::push_text;

/// Messages that are being committed while the next ones come: what was answered `OK` to none of
/// them yet, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Appends {
    waiting: VecDeque<Waiting>,
    octets: u64,
    /// The oldest is decided, says the service.
    decided: bool,
}

#[derive(Debug)]
struct Waiting {
    tag: Tag,
    octets: u64,
    replaced: bool,
}

/// Commands whose commits one session has under way.
const COMMITS_MAX: usize = 256;
/// Octets of their messages.
const COMMITS_OCTETS_MAX: u64 = 8 * 1024 * 1024;

impl Appends {
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether some must be answered before more is read.
    pub(super) fn is_due(&self) -> bool {
        let full = self.waiting.len() >= COMMITS_MAX || self.octets > COMMITS_OCTETS_MAX;
        // RFC 8508 §3.4: the messages replaced are told of before anything else is done.
        self.is_waiting() && (self.decided || full || self.waiting.iter().any(|one| one.replaced))
    }

    /// The service has decided about the oldest.
    pub(super) const fn decided(&mut self) {
        self.decided = true;
    }

    pub(super) fn wait(&mut self, tag: Tag, octets: u64, replaced: bool) {
        self.octets += octets;
        self.waiting.push_back(Waiting { tag, octets, replaced });
    }

    fn next(&mut self) -> Option<Waiting> {
        let next = self.waiting.pop_front()?;
        self.octets -= next.octets;
        Some(next)
    }
}

impl<R: Acceptance> Session<R> {
    /// Reads on. Every other command comes behind the answers to those before it: `None` where these
    /// are to be given first.
    pub(super) fn read_behind_appends(&mut self) -> Option<Read> {
        let read = self.read.take().unwrap_or_else(|| self.reader.read());
        if self.appends.is_waiting() && !matches!(read, Read::Incomplete | Read::Append(_)) {
            self.read = Some(read);
            return None;
        }
        Some(read)
    }

    /// Asks what has become of the oldest commits, and goes on with `then`.
    pub(super) fn settle(&mut self, then: Work) -> Flow {
        self.appends.decided = false;
        self.ask(Work::Settle(Box::new(then)), Question::AppendSettle)
    }

    // The one place that says OK to a message: with the proof in hand that it is kept.
    pub(super) fn settled(&mut self, then: Work, answer: Option<Answer<R>>) -> Flow {
        let results = match answer {
            Some(Answer::Appended(results)) if !results.is_empty() => results,
            Some(Answer::No(refusal)) => vec![Err(refusal)],
            Some(_) | None => vec![Err(server_bug())],
        };
        let tag = self.tag.take();
        let mut lines = Vec::new();
        for result in results {
            let Some(Waiting { tag, replaced, .. }) = self.appends.next() else { break };
            self.tag = Some(tag);
            let appended = result.and_then(|appended| {
                let Appended { receipts, uid_validity, uids } = appended;
                let all = receipts.len() as u64 == uids.len();
                let first = receipts.first().filter(|_| all).map(Acceptance::receipt_id);
                let code = format!("[APPENDUID {uid_validity} {uids}]");
                first.map(|receipt| (code, receipt, uid_validity, uids)).ok_or_else(server_bug)
            });
            lines.extend_from_slice(&match appended {
                Ok((code, receipt, uid_validity, uids)) => {
                    // RFC 3501 §6.3.11: a message for the selected mailbox is told at once.
                    self.stirred = self.selected.is_some();
                    self.note_own(uid_validity, uids.ranges().iter().copied());
                    if replaced {
                        // RFC 8508 §3.4: APPENDUID comes before the EXPUNGE, in an untagged OK.
                        push_text(
                            &mut self.output,
                            &format!("* OK {code} It replaces the other\r\n"),
                        );
                        self.tagged(Status::Ok, "", &format!("Kept as {receipt}"))
                    } else {
                        self.tagged(Status::Ok, &code, &format!("Kept as {receipt}"))
                    }
                }
                Err(refusal) => {
                    let code = refusal.code.map(|code| format!("[{}]", code.name()));
                    self.tagged(Status::No, &code.unwrap_or_default(), &refusal.text)
                }
            });
        }
        self.tag = tag;
        match then {
            Work::Ready => self.finish_with(Then::Line(lines)),
            then => {
                // In the middle of the next command: what is new is told at its end.
                self.output.extend_from_slice(&lines);
                self.again(then)
            }
        }
    }
}
