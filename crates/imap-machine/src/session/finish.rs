use mail_types::Acceptance;

use super::{Flow, Session, Status, Work};
use crate::ask::{Answer, Question};
use crate::view::View;
use crate::write::{push_human, push_number, push_text};

/// EXPUNGE responses written between looks at the output.
const EXPUNGES_PER_ROUND: usize = 4096;

/// The end of a command, or a push while idle: what changed is told first (RFC 3501 §7: untagged
/// data, then the tagged response).
#[derive(Debug)]
pub(super) struct Finish {
    stage: Stage,
    then: Then,
}

/// What comes behind news.
#[derive(Debug)]
pub(super) enum Then {
    /// The tagged line that ends the command.
    Line(Vec<u8>),
    /// On with IDLE.
    Idle,
    /// On with the next command: news came between two.
    Next,
}

#[derive(Debug)]
enum Stage {
    /// The service is asked what changed.
    Polled,
    /// New flags of these rows are told, from the n-th on.
    Flags(Vec<usize>, usize),
    /// Results that are followed take in what changed (RFC 5267).
    Contexts,
    /// EXPUNGE, then EXISTS.
    Counts,
}

impl Finish {
    /// Tells the flags of these rows, then the rest.
    pub(super) const fn telling(changed: Vec<usize>, line: Vec<u8>) -> Self {
        Self { stage: Stage::Flags(changed, 0), then: Then::Line(line) }
    }

    /// Goes on with EXPUNGE.
    pub(super) const fn counting(then: Then) -> Self {
        Self { stage: Stage::Counts, then }
    }
}

impl<R: Acceptance> Session<R> {
    /// Ends the command: news first, then the tagged response. `code` with brackets, or empty.
    pub(super) fn finish(&mut self, status: Status, code: &str, text: &str) -> Flow {
        let line = self.tagged(status, code, text);
        self.finish_with(Then::Line(line))
    }

    /// Ends the command without news.
    pub(super) fn finish_silently(&mut self, status: Status, code: &str, text: &str) -> Flow {
        self.write_tagged(status, code, text);
        self.tag = None;
        Flow::Again
    }

    pub(super) fn write_tagged(&mut self, status: Status, code: &str, text: &str) {
        let line = self.tagged(status, code, text);
        self.output.extend_from_slice(&line);
    }

    /// Tells the news, then goes on with this.
    pub(super) fn finish_with(&mut self, then: Then) -> Flow {
        let wanted = self.wants_selected();
        let stale = self.has_stale_contexts();
        let Some(mailbox) = &mut self.selected else {
            return self.finished(then);
        };
        if wanted && std::mem::take(&mut self.stirred) {
            let question = Question::Poll { mailbox: mailbox.id };
            return self.ask(Work::Finish(Finish { stage: Stage::Polled, then }), question);
        }
        if !mailbox.view.has_news(self.expunge_allowed) && !stale {
            return self.finished(then);
        }
        let changed = mailbox.view.take_changed();
        self.again(Work::Finish(Finish { stage: Stage::Flags(changed, 0), then }))
    }

    pub(super) fn finish_goes_on(&mut self, work: Finish, answer: Option<Answer<R>>) -> Flow {
        let Finish { stage, then } = work;
        match stage {
            Stage::Polled => {
                let tells_flags = self.wants_flags();
                match (&mut self.selected, answer) {
                    (Some(mailbox), Some(Answer::Newest(newest))) => {
                        mailbox.view.take(&newest, |_, _, _| !tells_flags);
                    }
                    (_, Some(Answer::Gone)) => {
                        if let Then::Line(line) = then {
                            self.output.extend_from_slice(&line);
                        }
                        return self.gone();
                    }
                    // The service cannot tell now: the command itself is done nevertheless.
                    (_, _) => {}
                }
                let view = self.selected.as_mut().map(|mailbox| &mut mailbox.view);
                let changed = view.map(View::take_changed).unwrap_or_default();
                self.again(Work::Finish(Finish { stage: Stage::Flags(changed, 0), then }))
            }
            Stage::Flags(changed, from) => {
                let next = self.write_new_flags(&changed, from);
                let stage = if next < changed.len() {
                    Stage::Flags(changed, next)
                } else {
                    Stage::Contexts
                };
                self.again(Work::Finish(Finish { stage, then }))
            }
            Stage::Contexts => self.update_contexts(0, then),
            Stage::Counts => {
                if let Some(mailbox) = &mut self.selected {
                    let view = &mut mailbox.view;
                    // RFC 7162 §3.2.10: VANISHED in place of EXPUNGE, where that may be.
                    let write = if self.qresync || self.uid_only {
                        View::write_vanished
                    } else {
                        View::write_expunges
                    };
                    if self.expunge_allowed && write(view, EXPUNGES_PER_ROUND, &mut self.output) {
                        return self.again(Work::Finish(Finish { stage: Stage::Counts, then }));
                    }
                    view.write_exists(&mut self.output);
                }
                self.tell_new(then)
            }
        }
    }

    /// Goes on behind the news.
    pub(super) fn finished(&mut self, then: Then) -> Flow {
        match then {
            Then::Line(line) => {
                self.output.extend_from_slice(&line);
                self.tag = None;
                Flow::Again
            }
            Then::Idle => self.again(Work::Idle),
            Then::Next => Flow::Again,
        }
    }

    /// Writes the flags of changed rows from the n-th on while there is room; returns the next.
    fn write_new_flags(&mut self, changed: &[usize], from: usize) -> usize {
        let Some(mailbox) = &self.selected else { return changed.len() };
        let rows = mailbox.view.rows();
        for (at, &place) in changed.iter().enumerate().skip(from) {
            if self.output.len() >= self.config.limits.output_octets_max {
                return at;
            }
            let row = rows.at(place);
            let out = &mut self.output;
            mailbox.view.write_head(place, out);
            if !self.uid_only && (self.by_uid || self.condstore) {
                out.extend_from_slice(b"UID ");
                push_number(out, u64::from(row.uid));
                out.push(b' ');
            }
            out.extend_from_slice(b"FLAGS ");
            mailbox.view.write_flags(row, out);
            if self.condstore {
                out.extend_from_slice(b" MODSEQ (");
                push_number(out, row.modseq);
                out.push(b')');
            }
            out.extend_from_slice(b")\r\n");
        }
        changed.len()
    }

    /// The tagged status line; untagged where the tag could not be read.
    pub(super) fn tagged(&self, status: Status, code: &str, text: &str) -> Vec<u8> {
        let mut line = Vec::with_capacity(64);
        push_text(&mut line, self.tag.as_ref().map_or("*", |tag| tag.as_str()));
        push_text(
            &mut line,
            match status {
                Status::Ok => " OK ",
                Status::No => " NO ",
                Status::Bad => " BAD ",
            },
        );
        if !code.is_empty() {
            push_text(&mut line, code);
            line.push(b' ');
        }
        push_human(&mut line, text);
        push_text(&mut line, "\r\n");
        line
    }
}
