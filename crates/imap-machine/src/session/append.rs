use std::collections::VecDeque;

use mail_types::{Acceptance, Uid};

use super::urls::shown_url;
use super::{Flow, Session, Work};
use crate::ask::{Answer, Code, NewMessage, Question, Refusal};
use crate::grammar::{AppendHead, AppendItem, MailboxName, Replaced, SequenceSet};
use crate::reader::Read;
use crate::write::push_text;

/// Octets of a message handed to the service at a time.
const PIECE_OCTETS_MAX: usize = 64 * 1024;
/// Messages in one APPEND (RFC 3502): they become one commit.
const MESSAGES_MAX: usize = 4096;
/// Octets of a refused message that are read over; past that the connection is closed.
const PASSED_OVER_OCTETS_MAX: u64 = 256 * 1024 * 1024;

/// APPEND (RFC 3501 §6.3.11), of one message or several (RFC 3502), and REPLACE (RFC 8508): the
/// octets go through in pieces, whatever stands between them is done item by item.
#[derive(Debug)]
pub(super) struct Append {
    stage: Stage,
    /// What was read and is still to be done.
    items: VecDeque<AppendItem>,
    /// Where to; the service knows it once it was told of the first message.
    mailbox: Option<MailboxName>,
    replaces: Option<Replaced>,
    /// Messages so far.
    messages: usize,
    /// Octets of the message under way so far, what is kept elsewhere left out.
    octets: u64,
    /// Octets of all of them.
    octets_in_all: u64,
    /// The URL that the service is asked for.
    url: Option<Vec<u8>>,
    /// The service holds something that must be committed or dropped.
    begun: bool,
    /// It was refused: the rest is read over.
    refused: Option<Refused>,
    passed_over: u64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Items are done.
    Items,
    /// The service is asked whether a message, or a part of it, may come.
    Asked,
    /// Octets come.
    Stream,
    /// The service has a piece of them.
    Piece,
    /// What stands behind the octets comes.
    Behind,
    /// The service has all of it.
    Ended,
    /// The service drops it.
    Aborted,
}

/// How a refused APPEND is answered.
#[derive(Debug)]
enum Refused {
    No(Refusal),
    Bad(&'static str),
    // RFC 9586 §3
    UidRequired,
    TooLong,
    // RFC 9738 §3.1: so many messages.
    AboveLimit,
    // RFC 4469 §4: which URL it was.
    Url(Vec<u8>),
}

impl<R: Acceptance> Session<R> {
    pub(super) fn append_begins(&mut self, head: AppendHead) -> Flow {
        self.expunge_allowed = true;
        let AppendHead { tag, mailbox, replaces, items, .. } = head;
        self.by_uid = replaces.is_some_and(|replaces| replaces.uid);
        self.tag = Some(tag);
        let refused = if self.signed_in.is_none() {
            Some(Refused::Bad("Sign in first"))
        } else if replaces.is_some() && self.selected.is_none() {
            Some(Refused::Bad("Select a mailbox first"))
        } else if self.uid_only && replaces.is_some_and(|replaced| !replaced.uid) {
            Some(Refused::UidRequired)
        } else {
            self.bad_commands = 0;
            None
        };
        self.append_items(Box::new(Append {
            stage: Stage::Items,
            items: items.into(),
            mailbox: Some(mailbox),
            replaces,
            messages: 0,
            octets: 0,
            octets_in_all: 0,
            url: None,
            begun: false,
            refused,
            passed_over: 0,
        }))
    }

    pub(super) fn append_goes_on(
        &mut self,
        mut work: Box<Append>,
        answer: Option<Answer<R>>,
    ) -> Flow {
        match work.stage {
            Stage::Items => self.append_items(work),
            Stage::Asked | Stage::Piece => {
                match answer {
                    Some(Answer::Done) => work.begun = true,
                    Some(Answer::No(refusal)) => work.refuse(Refused::No(refusal)),
                    Some(Answer::Gone) if work.url.is_some() => work.refuse_url(),
                    Some(_) | None => work.refuse(Refused::No(server_bug())),
                }
                work.url = None;
                work.stage = match work.stage {
                    Stage::Piece => Stage::Stream,
                    _ => Stage::Items,
                };
                self.again(Work::Append(work))
            }
            Stage::Stream => self.append_octets(work),
            Stage::Behind => self.append_behind(work),
            Stage::Ended => self.append_ended(work, answer),
            Stage::Aborted => self.append_is_refused(work),
        }
    }

    fn append_items(&mut self, mut work: Box<Append>) -> Flow {
        let Some(item) = work.items.pop_front() else {
            work.stage = Stage::Behind;
            return self.again(Work::Append(work));
        };
        match item {
            AppendItem::Message { flags, internal_date, catenate } => {
                work.messages += 1;
                work.octets = 0;
                if work.refused.is_some() {
                    return self.append_items(work);
                }
                let octets = match work.items.front() {
                    Some(&AppendItem::Octets { count, .. }) if !catenate => Some(count),
                    _ => None,
                };
                let message = NewMessage { flags, internal_date, octets };
                self.append_message(work, message)
            }
            AppendItem::Url(_) if work.refused.is_some() => self.append_items(work),
            AppendItem::Url(url) => self.append_url(work, url),
            AppendItem::Octets { count, waits } => self.append_octets_begin(work, count, waits),
            AppendItem::End => self.append_end(work),
        }
    }

    /// Asks whether a message may come.
    fn append_message(&mut self, mut work: Box<Append>, message: NewMessage) -> Flow {
        if let Some(octets) = message.octets
            && let Some(refusal) = self.size_refusal(octets.into())
        {
            work.refuse(Refused::No(refusal));
            return self.append_items(work);
        }
        // RFC 3502 §6.3.11: an empty literal takes back all of the command.
        if message.octets == Some(0) {
            let refusal = Refusal::new(Code::ClientBug, "An empty message is none");
            work.refuse(Refused::No(refusal));
            return self.append_items(work);
        }
        // RFC 3502: all or nothing.
        if self.save_limit().is_some_and(|limit| work.messages > limit.get() as usize) {
            work.refuse(Refused::AboveLimit);
            return self.append_items(work);
        }
        let many = work.messages > 1;
        if work.messages > MESSAGES_MAX || many && work.replaces.is_some() {
            let text = "Too many messages for one command";
            work.refuse(Refused::No(Refusal::new(Code::Limit, text)));
            return self.append_items(work);
        }
        let Some(mailbox) = work.mailbox.take() else {
            work.stage = Stage::Asked;
            return self.ask(Work::Append(work), Question::AppendNext(message));
        };
        let account = self.signed_in.as_ref().map(|signed_in| signed_in.account);
        let replaces = work.replaces.map(|replaced| self.replaced(replaced)).transpose();
        match (account, replaces) {
            (Some(account), Ok(replaces)) => {
                work.stage = Stage::Asked;
                let question = Question::AppendBegin { account, mailbox, replaces, message };
                self.ask(Work::Append(work), question)
            }
            (None, _) => self.misfit(),
            (_, Err(refused)) => {
                work.refuse(refused);
                self.append_items(work)
            }
        }
    }

    // RFC 8508 §3.2: the message to be replaced must be there.
    fn replaced(&self, replaced: Replaced) -> Result<(mail_types::MailboxId, Uid), Refused> {
        let no = |code, text| Err(Refused::No(Refusal::new(code, text)));
        let Some(mailbox) = &self.selected else {
            return Err(Refused::Bad("Select a mailbox first"));
        };
        if mailbox.read_only {
            return no(Code::ReadOnly, "The mailbox is opened read-only");
        }
        let set = SequenceSet(vec![(replaced.number, replaced.number)]);
        let Some(places) = mailbox.view.places(&set, replaced.uid) else {
            return Err(Refused::Bad("There is no message of that number"));
        };
        let uids = mailbox.view.uid_set(&places);
        let uid = uids.ranges().first().and_then(|&(uid, _)| Uid::new(uid));
        match uid {
            Some(uid) if mailbox.view.is_gone(uid.get()) => {
                Err(Refused::No(Self::expunge_issued()))
            }
            Some(uid) => Ok((mailbox.id, uid)),
            None => no(Code::NonExistent, "There is no such message to replace"),
        }
    }

    fn size_refusal(&self, octets: u64) -> Option<Refusal> {
        let max = self.config.limits.message_octets_max;
        (octets > u64::from(max))
            .then(|| Refusal::new(Code::TooBig, format!("A message has at most {max} octets here")))
    }

    fn append_octets_begin(&mut self, mut work: Box<Append>, count: u32, waits: bool) -> Flow {
        work.octets += u64::from(count);
        if let Some(refusal) = self.size_refusal(work.octets) {
            work.refuse(Refused::No(refusal));
        }
        if work.refused.is_some() {
            if waits {
                // It will not be sent.
                self.reader.stream_refused();
                return self.append_aborts(work);
            }
            work.passed_over += u64::from(count);
            if work.passed_over > PASSED_OVER_OCTETS_MAX {
                // RFC 7888 §4 allows to close rather than to read on.
                return self.bye("Far too much to read over");
            }
        } else if waits {
            if self.appends.is_waiting() {
                // Everything before it is answered first: a `+` in between would be ambiguous.
                work.octets -= u64::from(count);
                work.items.push_front(AppendItem::Octets { count, waits });
                return self.settle(Work::Append(work));
            }
            push_text(&mut self.output, "+ Send the message\r\n");
        }
        work.octets_in_all += u64::from(count);
        work.stage = Stage::Stream;
        self.again(Work::Append(work))
    }

    fn append_octets(&mut self, mut work: Box<Append>) -> Flow {
        match self.reader.stream(PIECE_OCTETS_MAX) {
            None => work.stage = Stage::Behind,
            Some(piece) if piece.is_empty() => return self.append_waits(work),
            Some(_) if work.refused.is_some() => {}
            Some(piece) => {
                work.stage = Stage::Piece;
                return self.ask(Work::Append(work), Question::AppendBytes(piece));
            }
        }
        self.again(Work::Append(work))
    }

    fn append_behind(&mut self, mut work: Box<Append>) -> Flow {
        match self.reader.read() {
            Read::Incomplete => return self.append_waits(work),
            Read::Continue => {
                if work.refused.is_some() {
                    self.reader.stream_refused();
                    return self.append_aborts(work);
                }
                push_text(&mut self.output, "+ Go on\r\n");
            }
            Read::Items(Ok(items)) => {
                work.items = items.into();
                work.stage = Stage::Items;
            }
            Read::Items(Err(error)) => {
                work.refuse(Refused::Bad(error.0));
                return self.append_aborts(work);
            }
            Read::TooLong(_) => {
                work.refuse(Refused::TooLong);
                return self.append_aborts(work);
            }
            Read::Append(_) | Read::Command | Read::Endless => {
                return self.bye("Garbage behind a message");
            }
        }
        self.again(Work::Append(work))
    }

    /// More input is needed. Earlier messages that are kept meanwhile are told.
    fn append_waits(&mut self, work: Box<Append>) -> Flow {
        if self.appends.is_due() {
            return self.settle(Work::Append(work));
        }
        self.work = Work::Append(work);
        Flow::NeedInput
    }

    fn append_end(&mut self, mut work: Box<Append>) -> Flow {
        if work.refused.is_some() {
            return self.append_aborts(work);
        }
        work.stage = Stage::Ended;
        self.ask(Work::Append(work), Question::AppendEnd)
    }

    /// The commit is under way; `OK` comes when it is done.
    fn append_ended(&mut self, mut work: Box<Append>, answer: Option<Answer<R>>) -> Flow {
        work.refuse(Refused::No(match answer {
            Some(Answer::Done) => {
                if let Some(tag) = self.tag.take() {
                    self.appends.wait(tag, work.octets_in_all, work.replaces.is_some());
                }
                return Flow::Again;
            }
            Some(Answer::No(refusal)) => refusal,
            Some(_) | None => server_bug(),
        }));
        work.begun = false;
        self.append_aborts(work)
    }

    /// The command has ended, refused.
    fn append_aborts(&mut self, mut work: Box<Append>) -> Flow {
        work.stage = Stage::Aborted;
        if work.begun {
            work.begun = false;
            return self.ask(Work::Append(work), Question::AppendAbort);
        }
        self.append_is_refused(work)
    }

    fn append_is_refused(&mut self, work: Box<Append>) -> Flow {
        if self.appends.is_waiting() {
            return self.settle(Work::Append(work));
        }
        match work.refused {
            Some(Refused::No(refusal)) => self.refuse(&refusal),
            Some(Refused::Bad(text)) => self.bad("", text),
            Some(Refused::UidRequired) => {
                self.bad("[UIDREQUIRED]", "UIDONLY is enabled: name messages by UID")
            }
            Some(Refused::AboveLimit) => {
                self.above_limit("Too many messages at once, none is kept")
            }
            Some(Refused::TooLong) => self.bad("[TOOBIG]", "The command is too long"),
            Some(Refused::Url(url)) => {
                let code = format!("[BADURL {}]", shown_url(&url));
                self.finish(super::Status::No, &code, "This URL leads to nothing here")
            }
            None => self.misfit(),
        }
    }
}

impl Append {
    /// Asks for the octets of this URL next.
    pub(super) fn asks_for(&mut self, url: Vec<u8>) {
        self.url = Some(url);
        self.stage = Stage::Asked;
    }

    /// That URL leads to nothing.
    pub(super) fn refuse_url(&mut self) {
        self.stage = Stage::Items;
        let url = self.url.take().unwrap_or_default();
        self.refuse(Refused::Url(url));
    }

    /// The first refusal is the one that is told.
    fn refuse(&mut self, refused: Refused) {
        self.refused.get_or_insert(refused);
    }
}

pub(super) fn server_bug() -> Refusal {
    Refusal::new(Code::ServerBug, "Internal error, the message is not kept")
}
