use mail_types::Acceptance;

use super::{Flow, Session, Status, Work};
use crate::ask::{Answer, Code, Question, Refusal};
use crate::grammar::AppendHead;
use crate::reader::Read;
use crate::write::push_text;

/// Octets of a message handed to the service at a time.
const PIECE_OCTETS_MAX: usize = 64 * 1024;

/// APPEND (RFC 3501 §6.3.11): the message goes through in pieces.
#[derive(Debug)]
pub(super) struct Append {
    stage: Stage,
    /// The client waits for `+`.
    waits: bool,
}

#[derive(Debug)]
enum Stage {
    /// The service is asked whether it may come.
    Begun,
    /// It comes.
    Stream,
    /// The service has a piece of it.
    Piece,
    /// It comes though it was refused (RFC 7888 §4); or the client did not wait for the refusal.
    PassOver(Refused),
    /// All of it is there; the line must end now.
    Tail(Option<Refused>),
    /// The service commits.
    Ended,
    /// The service drops it.
    Aborted,
}

/// How a refused APPEND is answered.
#[derive(Debug)]
enum Refused {
    No(Refusal),
    SignInFirst,
}

impl<R: Acceptance> Session<R> {
    pub(super) fn append_begins(&mut self, head: AppendHead) -> Flow {
        self.expunge_allowed = true;
        self.by_uid = false;
        let AppendHead { tag, mailbox, flags, internal_date, octets, waits } = head;
        self.tag = Some(tag);
        let Some(account) = self.signed_in.as_ref().map(|signed_in| signed_in.account) else {
            return self.append_refused(waits, Refused::SignInFirst);
        };
        self.bad_commands = 0;
        let max = self.config.limits.message_octets_max;
        if octets > max {
            let text = format!("A message has at most {max} octets here");
            return self.append_refused(waits, Refused::No(Refusal::new(Code::TooBig, text)));
        }
        if octets == 0 {
            let refusal = Refusal::new(Code::ClientBug, "An empty message is none");
            return self.append_refused(waits, Refused::No(refusal));
        }
        let question = Question::AppendBegin { account, mailbox, flags, internal_date, octets };
        self.ask(Work::Append(Box::new(Append { stage: Stage::Begun, waits })), question)
    }

    pub(super) fn append_goes_on(&mut self, work: Append, answer: Option<Answer<R>>) -> Flow {
        let waits = work.waits;
        match work.stage {
            Stage::Begun => match answer {
                Some(Answer::Done) => {
                    if waits {
                        push_text(&mut self.output, "+ Send the message\r\n");
                    }
                    self.append_at(Stage::Stream)
                }
                Some(Answer::No(refusal)) => self.append_refused(waits, Refused::No(refusal)),
                Some(_) | None => self.append_refused(waits, Refused::No(server_bug())),
            },
            Stage::Stream => match self.reader.stream(PIECE_OCTETS_MAX) {
                None => self.append_at(Stage::Tail(None)),
                Some(piece) if piece.is_empty() => self.append_waits(Stage::Stream),
                Some(piece) => {
                    let work = Append { stage: Stage::Piece, waits: false };
                    self.ask(Work::Append(Box::new(work)), Question::AppendBytes(piece))
                }
            },
            Stage::Piece => match answer {
                Some(Answer::Done) => self.append_at(Stage::Stream),
                Some(Answer::No(refusal)) => self.append_at(Stage::PassOver(Refused::No(refusal))),
                Some(_) | None => self.append_at(Stage::PassOver(Refused::No(server_bug()))),
            },
            Stage::PassOver(refused) => match self.reader.stream(PIECE_OCTETS_MAX) {
                None => self.append_at(Stage::Tail(Some(refused))),
                Some(piece) if piece.is_empty() => self.append_waits(Stage::PassOver(refused)),
                Some(_) => self.append_at(Stage::PassOver(refused)),
            },
            Stage::Tail(refused) => self.append_tail(refused),
            Stage::Ended => self.append_ended(answer),
            Stage::Aborted => {
                self.bad("", "The command goes on behind the message (one message, no MULTIAPPEND)")
            }
        }
    }

    fn append_at(&mut self, stage: Stage) -> Flow {
        self.again(Work::Append(Box::new(Append { stage, waits: false })))
    }

    fn append_waits(&mut self, stage: Stage) -> Flow {
        self.work = Work::Append(Box::new(Append { stage, waits: false }));
        Flow::NeedInput
    }

    /// Refuses before the message: one that waits for `+` is not sent, any other comes anyway.
    fn append_refused(&mut self, waits: bool, refused: Refused) -> Flow {
        if waits {
            self.reader.stream_refused();
            return self.append_is_refused(refused);
        }
        self.append_at(Stage::PassOver(refused))
    }

    fn append_is_refused(&mut self, refused: Refused) -> Flow {
        match refused {
            Refused::No(refusal) => self.refuse(&refusal),
            Refused::SignInFirst => self.bad("", "Sign in first"),
        }
    }

    /// Behind the message the line must end.
    fn append_tail(&mut self, refused: Option<Refused>) -> Flow {
        let well_ended = match self.reader.read() {
            Read::Incomplete => return self.append_waits(Stage::Tail(refused)),
            Read::Continue => {
                // A further literal: read it with the rest, to refuse all of it.
                push_text(&mut self.output, "+ Go on\r\n");
                return self.append_at(Stage::Tail(refused));
            }
            Read::Command => {
                let well_ended = matches!(self.reader.command(), b"\r\n" | b"\n");
                self.reader.consume();
                well_ended
            }
            Read::TooLong(_) => false,
            Read::Append(_) | Read::Endless => {
                return self.bye("Garbage behind a message");
            }
        };
        match refused {
            Some(refused) => self.append_is_refused(refused),
            None if well_ended => {
                let work = Append { stage: Stage::Ended, waits: false };
                self.ask(Work::Append(Box::new(work)), Question::AppendEnd)
            }
            None => {
                let work = Append { stage: Stage::Aborted, waits: false };
                self.ask(Work::Append(Box::new(work)), Question::AppendAbort)
            }
        }
    }

    // The one place that says OK to a message: with the proof in hand that it is kept.
    fn append_ended(&mut self, answer: Option<Answer<R>>) -> Flow {
        match answer {
            Some(Answer::Appended { receipt, uid_validity, uid }) => {
                // RFC 3501 §6.3.11: a message for the selected mailbox is told at once.
                self.stirred = self.selected.is_some();
                let code = format!("[APPENDUID {uid_validity} {uid}]");
                let text = format!("Kept as {}", receipt.receipt_id());
                self.finish(Status::Ok, &code, &text)
            }
            Some(Answer::No(refusal)) => self.refuse(&refusal),
            Some(_) | None => self.misfit(),
        }
    }
}

fn server_bug() -> Refusal {
    Refusal::new(Code::ServerBug, "Internal error, the message is not kept")
}
