use mail_types::{Acceptance, AccountId, SpecialUse};

use super::listing::Lines;
use super::select::write_renamed;
use super::{Flow, Session, Status as Ended, Work};
use crate::ask::{Answer, Code, Question, Refusal};
use crate::grammar::{Command, List, MailboxName, StatusItem};
use crate::write::push_object_id;

/// A question that one answer ends.
#[derive(Debug)]
pub(super) enum Asked {
    /// Whatever the answer, so long as it is no refusal.
    Plain(&'static str),
    /// CREATE, and RENAME; with a name that was brought into its normal form, and what it was.
    Create(Option<Box<(MailboxName, MailboxName)>>),
    Rename(Option<Box<(MailboxName, MailboxName)>>),
    List(Box<List>),
    Status(MailboxName, Vec<StatusItem>),
    /// CLOSE: its EXPUNGE, of which nothing is told.
    Close,
    /// The mailbox is closed; the response code to say so with.
    Closed(String),
}

impl<R: Acceptance> Session<R> {
    /// Who has signed in: `out_of_state` lets most commands through only then.
    pub(super) fn account(&self) -> Option<AccountId> {
        self.signed_in.as_ref().map(|signed_in| signed_in.account)
    }

    // RFC 9051 §5.1: names that are made are in their normal form, whatever the client wrote.
    fn normalize(&self, command: Command) -> (Command, Option<MailboxName>) {
        match command {
            Command::Create { mailbox, uses } if self.rev2 => match mailbox.normalized() {
                Some(normal) => (Command::Create { mailbox: normal, uses }, Some(mailbox)),
                None => (Command::Create { mailbox, uses }, None),
            },
            Command::Rename(from, to) if self.rev2 => match to.normalized() {
                Some(normal) => (Command::Rename(from, normal), Some(to)),
                None => (Command::Rename(from, to), None),
            },
            command => (command, None),
        }
    }

    pub(super) fn ask_about_mailboxes(&mut self, command: Command) -> Flow {
        let Some(account) = self.account() else { return self.misfit() };
        let (command, old) = self.normalize(command);
        let (asked, question) = match command {
            Command::Create { mailbox, .. } if mailbox.is_inbox() => {
                return self.no(Code::AlreadyExists, "INBOX is always there");
            }
            Command::Create { mailbox, uses } => match special_use(&uses) {
                Ok(special_use) => {
                    let asked = Asked::Create(old.map(|old| Box::new((mailbox.clone(), old))));
                    (asked, Question::Create { account, mailbox, special_use })
                }
                Err(refusal) => return self.refuse(&refusal),
            },
            // RFC 3501 §6.3.4: it is an error to delete INBOX.
            Command::Delete(mailbox) if mailbox.is_inbox() => {
                return self.no(Code::Cannot, "INBOX cannot be deleted");
            }
            Command::Delete(mailbox) => {
                (Asked::Plain("Deleted"), Question::Delete { account, mailbox })
            }
            Command::Rename(from, to) => {
                let asked = Asked::Rename(old.map(|old| Box::new((to.clone(), old))));
                (asked, Question::Rename { account, from, to })
            }
            Command::Subscribe(mailbox) => {
                let subscribed = true;
                (Asked::Plain("Subscribed"), Question::Subscribe { account, mailbox, subscribed })
            }
            Command::Unsubscribe(mailbox) => {
                let subscribed = false;
                (Asked::Plain("Unsubscribed"), Question::Subscribe { account, mailbox, subscribed })
            }
            Command::List(list) => return self.list(*list),
            Command::Status(mailbox, items) => return self.status(mailbox, items),
            _ => return self.misfit(),
        };
        self.ask(Work::Asked(asked), question)
    }

    pub(super) fn asked_answered(&mut self, asked: Asked, answer: Option<Answer<R>>) -> Flow {
        match (asked, answer) {
            // RFC 4314 §4: whoever may not expunge closes without it.
            (Asked::Close, Some(Answer::No(Refusal { code: Some(Code::NoPerm), .. }))) => {
                self.deselect()
            }
            (Asked::Close, Some(Answer::No(refusal))) => self.refuse(&refusal),
            (Asked::Close, Some(Answer::Newest(newest))) => {
                let before = self.selected.as_ref().map(|mailbox| mailbox.view.highest_modseq());
                let now = newest.rows.highest_modseq();
                // RFC 7162 §3.2.8
                let code = self.highest_code(before.unwrap_or(now), now);
                self.deselect_with(code)
            }
            (Asked::Close, Some(Answer::Gone)) => self.deselect(),
            (Asked::Closed(code), Some(Answer::Done)) => self.finish(Ended::Ok, &code, "Closed"),
            (_, Some(Answer::No(refusal))) => self.refuse(&refusal),
            (Asked::Plain(text), Some(Answer::Done)) => self.finish(Ended::Ok, "", text),
            // RFC 8474 §4.1: CREATE tells the new mailbox's id.
            (Asked::Rename(renamed), Some(Answer::Done)) => {
                self.tell_normalized(renamed.as_deref());
                self.finish(Ended::Ok, "", "Renamed")
            }
            (Asked::Create(renamed), Some(Answer::Created(mailbox))) => {
                self.tell_normalized(renamed.as_deref());
                let mut code = b"[MAILBOXID ".to_vec();
                push_object_id(&mut code, mailbox);
                code.push(b']');
                self.finish(Ended::Ok, &String::from_utf8_lossy(&code), "Created")
            }
            (Asked::List(list), Some(Answer::Mailboxes(listed))) => {
                self.again(Work::Lines(Box::new(Lines::new(*list, listed))))
            }
            (Asked::Status(mailbox, items), Some(Answer::Status(status))) => {
                self.write_status(&mailbox, &items, &status);
                self.finish(Ended::Ok, "", "Done")
            }
            (_, _) => self.misfit(),
        }
    }

    // RFC 9051 §6.3.9.7: "whenever the supplied mailbox name differs from the resulting normalized
    // mailbox name".
    fn tell_normalized(&mut self, renamed: Option<&(MailboxName, MailboxName)>) {
        if let Some((name, old)) = renamed {
            write_renamed(self.reader.names, name, Some(old), &mut self.output);
        }
    }

    // RFC 3501 §6.4.2
    pub(super) fn close(&mut self) -> Flow {
        match &self.selected {
            Some(mailbox) if !mailbox.read_only => {
                let question = Question::Expunge { mailbox: mailbox.id, uids: None };
                self.ask(Work::Asked(Asked::Close), question)
            }
            Some(_) | None => self.deselect(),
        }
    }

    /// Back to the authenticated state.
    pub(super) fn deselect(&mut self) -> Flow {
        self.deselect_with(String::new())
    }

    /// The same, with a response code.
    fn deselect_with(&mut self, code: String) -> Flow {
        self.stirred = false;
        match self.selected.take() {
            Some(mailbox) => self
                .ask(Work::Asked(Asked::Closed(code)), Question::Deselect { mailbox: mailbox.id }),
            None => self.finish(Ended::Ok, &code, "Closed"),
        }
    }

    /// The refusal that a set of sequence numbers earns which names messages that are gone, though
    /// the client could not know (RFC 2180 §4).
    pub(super) fn expunge_issued() -> Refusal {
        Refusal::new(Code::ExpungeIssued, "Some of the messages no longer exist")
    }
}

// RFC 6154 §3: a use that a mailbox cannot have is refused with USEATTR.
fn special_use(uses: &[String]) -> Result<Option<SpecialUse>, Refusal> {
    match uses {
        [] => Ok(None),
        [name] => {
            let known = SpecialUse::ALL.into_iter();
            let found = known
                .map(Some)
                .find(|use_| use_.is_some_and(|use_| use_.attribute().eq_ignore_ascii_case(name)));
            found.ok_or_else(|| Refusal::new(Code::UseAttr, "No mailbox can have this use here"))
        }
        _ => Err(Refusal::new(Code::UseAttr, "A mailbox has one use at most here")),
    }
}
