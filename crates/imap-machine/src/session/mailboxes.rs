use mail_types::Acceptance;

use super::{Flow, Session, Status as Ended, Work};
use crate::ask::{Answer, Code, Question, Refusal, Status};
use crate::grammar::{Command, MailboxName, StatusItem};
use crate::list::{Entry, list};
use crate::write::{push_mailbox, push_number, push_text};

/// A question that one answer ends.
#[derive(Debug)]
pub(super) enum Asked {
    /// Whatever the answer, so long as it is no refusal.
    Plain(&'static str),
    List {
        subscribed: bool,
        reference: Vec<u8>,
        pattern: Vec<u8>,
    },
    Status(MailboxName, Vec<StatusItem>),
    /// CLOSE: its EXPUNGE, of which nothing is told.
    Close,
}

/// Lines of LIST or LSUB that are still to be written.
#[derive(Debug)]
pub(super) struct Lines {
    name: &'static str,
    entries: std::vec::IntoIter<Entry>,
}

impl<R: Acceptance> Session<R> {
    pub(super) fn ask_about_mailboxes(&mut self, command: Command) -> Flow {
        // Proven: `out_of_state` lets these through only after sign-in.
        let Some(account) = self.signed_in.as_ref().map(|signed_in| signed_in.account) else {
            return self.misfit();
        };
        let (asked, question) = match command {
            Command::Create(mailbox) if mailbox.is_inbox() => {
                return self.no(Code::AlreadyExists, "INBOX is always there");
            }
            Command::Create(mailbox) => {
                (Asked::Plain("Created"), Question::Create { account, mailbox })
            }
            // RFC 3501 §6.3.4: it is an error to delete INBOX.
            Command::Delete(mailbox) if mailbox.is_inbox() => {
                return self.no(Code::Cannot, "INBOX cannot be deleted");
            }
            Command::Delete(mailbox) => {
                (Asked::Plain("Deleted"), Question::Delete { account, mailbox })
            }
            Command::Rename(from, to) => {
                (Asked::Plain("Renamed"), Question::Rename { account, from, to })
            }
            Command::Subscribe(mailbox) => {
                let subscribed = true;
                (Asked::Plain("Subscribed"), Question::Subscribe { account, mailbox, subscribed })
            }
            Command::Unsubscribe(mailbox) => {
                let subscribed = false;
                (Asked::Plain("Unsubscribed"), Question::Subscribe { account, mailbox, subscribed })
            }
            // RFC 3501 §6.3.8: an empty pattern asks for the separator and the reference's root.
            Command::List { subscribed: false, pattern, .. } if pattern.is_empty() => {
                push_text(&mut self.output, "* LIST (\\Noselect) \"/\" \"\"\r\n");
                return self.finish(Ended::Ok, "", "Done");
            }
            Command::List { subscribed, reference, pattern } => {
                (Asked::List { subscribed, reference, pattern }, Question::List { account })
            }
            Command::Status(mailbox, items) => {
                if items.contains(&StatusItem::HighestModSeq) {
                    self.enable_condstore();
                }
                (Asked::Status(mailbox.clone(), items), Question::Status { account, mailbox })
            }
            _ => return self.misfit(),
        };
        self.ask(Work::Asked(asked), question)
    }

    pub(super) fn asked_answered(&mut self, asked: Asked, answer: Option<Answer<R>>) -> Flow {
        match (asked, answer) {
            (Asked::Close, Some(Answer::No(refusal))) => self.refuse(&refusal),
            (Asked::Close, Some(Answer::Changes(_) | Answer::Gone)) => self.deselect(),
            (_, Some(Answer::No(refusal))) => self.refuse(&refusal),
            (Asked::Plain(text), Some(Answer::Done)) => self.finish(Ended::Ok, "", text),
            (Asked::List { subscribed, reference, pattern }, Some(Answer::Mailboxes(listed))) => {
                let entries = list(listed, &reference, &pattern, subscribed).into_iter();
                let name = if subscribed { "LSUB" } else { "LIST" };
                self.again(Work::Lines(Lines { name, entries }))
            }
            (Asked::Status(mailbox, items), Some(Answer::Status(status))) => {
                write_status(&mut self.output, &mailbox, &items, &status);
                self.finish(Ended::Ok, "", "Done")
            }
            (_, _) => self.misfit(),
        }
    }

    // RFC 3501 §7.2.2: mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE /
    // nil) SP mailbox
    pub(super) fn lines_go_on(&mut self, mut lines: Lines) -> Flow {
        while !self.output_is_full() {
            let Some(entry) = lines.entries.next() else {
                return self.finish(Ended::Ok, "", "Done");
            };
            let out = &mut self.output;
            push_text(out, "* ");
            push_text(out, lines.name);
            push_text(out, " (");
            push_text(out, &entry.attributes.join(" "));
            push_text(out, ") \"/\" ");
            push_mailbox(out, &entry.name);
            push_text(out, "\r\n");
        }
        self.again(Work::Lines(lines))
    }

    // RFC 3501 §6.4.2
    pub(super) fn close(&mut self) -> Flow {
        match &self.selected {
            Some(mailbox) if !mailbox.read_only => {
                let since = mailbox.view.highest_modseq();
                let question = Question::Expunge { mailbox: mailbox.id, uids: None, since };
                self.ask(Work::Asked(Asked::Close), question)
            }
            Some(_) | None => self.deselect(),
        }
    }

    /// Back to the authenticated state.
    pub(super) fn deselect(&mut self) -> Flow {
        self.stirred = false;
        match self.selected.take() {
            Some(mailbox) => self.ask(
                Work::Asked(Asked::Plain("Closed")),
                Question::Deselect { mailbox: mailbox.id },
            ),
            None => self.finish(Ended::Ok, "", "Closed"),
        }
    }

    /// The refusal that a set of sequence numbers earns which names messages that are gone, though
    /// the client could not know (RFC 2180 §4).
    pub(super) fn expunge_issued() -> Refusal {
        Refusal::new(Code::ExpungeIssued, "Some of the messages no longer exist")
    }
}

// RFC 3501 §7.2.4
fn write_status(out: &mut Vec<u8>, mailbox: &MailboxName, items: &[StatusItem], status: &Status) {
    push_text(out, "* STATUS ");
    push_mailbox(out, mailbox.as_str());
    push_text(out, " (");
    for (at, item) in items.iter().enumerate() {
        let (name, number) = match item {
            StatusItem::Messages => ("MESSAGES ", u64::from(status.messages)),
            StatusItem::Recent => ("RECENT ", u64::from(status.recent)),
            StatusItem::UidNext => ("UIDNEXT ", u64::from(status.uid_next)),
            StatusItem::UidValidity => ("UIDVALIDITY ", u64::from(status.uid_validity.get())),
            StatusItem::Unseen => ("UNSEEN ", u64::from(status.unseen)),
            StatusItem::HighestModSeq => ("HIGHESTMODSEQ ", status.highest_modseq.0.max(1)),
        };
        if at > 0 {
            out.push(b' ');
        }
        push_text(out, name);
        push_number(out, number);
    }
    push_text(out, ")\r\n");
}
