use std::collections::BTreeSet;

use mail_types::{Acceptance, Keyword};

use super::access::{can_change, permanent_flags};
use super::{Flow, Mailbox, Session, Work};
use crate::ask::{Answer, Code, Question, Refusal, Selected};
use crate::grammar::{MailboxName, Names, Resync, SelectParams, UidSet};
use crate::view::{Rows, View};
use crate::write::{push_number, push_object_id, push_text};

/// Keywords that FLAGS names; there may be more (PERMANENTFLAGS says `\*`).
const KEYWORDS_NAMED_MAX: usize = 200;

const SYSTEM_FLAGS: &str = "\\Answered \\Flagged \\Deleted \\Seen \\Draft";

/// SELECT or EXAMINE: the service opens the mailbox.
#[derive(Debug)]
pub(super) struct Select {
    mailbox: MailboxName,
    read_only: bool,
    resync: Option<Box<Resync>>,
    /// What the client called it: not in its normal form.
    old: Option<MailboxName>,
}

impl<R: Acceptance> Session<R> {
    // RFC 3501 §6.3.1, §6.3.2
    pub(super) fn select(
        &mut self,
        mailbox: MailboxName,
        read_only: bool,
        params: SelectParams,
    ) -> Flow {
        // RFC 7162 §3.2.5: only behind ENABLE QRESYNC.
        if params.qresync.is_some() && !self.qresync {
            return self.not_enabled();
        }
        // Proven: `out_of_state` lets SELECT through only after sign-in.
        let Some(account) = self.signed_in.as_ref().map(|signed_in| signed_in.account) else {
            return self.misfit();
        };
        // RFC 3501 §6.3.1: whatever was selected is so no more, even if this fails.
        self.stirred = false;
        if self.selected.take().is_some() {
            // RFC 7162 §3.2.11
            push_text(&mut self.output, "* OK [CLOSED] Previous mailbox is closed\r\n");
        }
        if params.condstore {
            self.enable_condstore();
        }
        let question = Question::Select { account, mailbox: mailbox.clone(), read_only };
        let work = Select { mailbox, read_only, resync: params.qresync, old: None };
        self.ask(Work::Select(work), question)
    }

    pub(super) fn select_answered(&mut self, work: Select, answer: Option<Answer<R>>) -> Flow {
        let selected = match answer {
            Some(Answer::Selected(selected)) => *selected,
            // RFC 9051 §6.3.9.7: a name that is not in its normal form may mean one that is.
            Some(Answer::No(Refusal { code: Some(Code::NonExistent), .. }))
                if self.rev2 && work.old.is_none() && work.mailbox.normalized().is_some() =>
            {
                return self.select_normalized(work);
            }
            Some(Answer::No(refusal)) => return self.refuse(&refusal),
            Some(_) | None => return self.misfit(),
        };
        let Selected { mailbox: id, read_only, uid_validity, uid_next, rows, recent, rights } =
            selected;
        let read_only = work.read_only || read_only || !can_change(rights);
        let keywords = keywords(&rows);
        let view = View::new(rows, recent).in_rev2(self.rev2).by_uid_only(self.uid_only);

        let out = &mut self.output;
        push_text(out, &format!("* FLAGS ({SYSTEM_FLAGS}{keywords})\r\n"));
        view.write_counts(out);
        if self.rev2 {
            // RFC 9051 §6.3.2: LIST is a required response.
            write_renamed(self.reader.names, &work.mailbox, work.old.as_ref(), out);
        } else if let Some(place) = view.first_unseen().filter(|_| !self.uid_only) {
            // RFC 9051 appendix E has done away with it, and RFC 9586 §3.2 for UIDONLY.
            push_text(out, "* OK [UNSEEN ");
            push_number(out, place as u64 + 1);
            push_text(out, "] First unseen\r\n");
        }
        if read_only {
            push_text(out, "* OK [PERMANENTFLAGS ()] Nothing can be changed here\r\n");
        } else {
            let flags = permanent_flags(rights, &keywords);
            let line = format!("* OK [PERMANENTFLAGS ({flags})] Flags are kept\r\n");
            push_text(out, &line);
        }
        let highest = view.highest_modseq().0.max(1);
        let lines = format!(
            "* OK [UIDNEXT {uid_next}] Next UID\r\n\
             * OK [UIDVALIDITY {uid_validity}] UIDs are valid\r\n\
             * OK [HIGHESTMODSEQ {highest}] Highest\r\n"
        );
        push_text(out, &lines);
        // RFC 8474 §4.2
        push_text(out, "* OK [MAILBOXID ");
        push_object_id(out, id);
        push_text(out, "] Id of this mailbox\r\n");
        let (name, contexts) = (work.mailbox, Vec::new());
        let (fresh_from, own) = (view.rows().uid_next(), UidSet::new());
        let mailbox = Mailbox { id, name, read_only, view, contexts, fresh_from, own };
        self.selected = Some(Box::new(mailbox));
        let ends =
            if read_only { ("[READ-ONLY]", "Examined") } else { ("[READ-WRITE]", "Selected") };
        self.select_ends(work.resync, uid_validity.get(), ends)
    }
}

impl<R: Acceptance> Session<R> {
    fn select_normalized(&mut self, work: Select) -> Flow {
        let (Some(account), Some(mailbox)) = (self.account(), work.mailbox.normalized()) else {
            return self.misfit();
        };
        let Select { read_only, resync, mailbox: old, .. } = work;
        let question = Question::Select { account, mailbox: mailbox.clone(), read_only };
        let work = Select { mailbox, read_only, resync, old: Some(old) };
        self.ask(Work::Select(work), question)
    }
}

// RFC 9051 §9: oldname-extended-item = "OLDNAME" SP "(" mailbox ")"
pub(super) fn write_renamed(
    names: Names,
    name: &MailboxName,
    old: Option<&MailboxName>,
    out: &mut Vec<u8>,
) {
    push_text(out, "* LIST () \"/\" ");
    names.write(name.as_str(), out);
    if let Some(old) = old {
        push_text(out, " (\"OLDNAME\" (");
        names.write(old.as_str(), out);
        push_text(out, "))");
    }
    push_text(out, "\r\n");
}

/// The keywords in use, each with a space in front.
fn keywords(rows: &Rows) -> String {
    let used = rows.flag_sets().iter().flat_map(|set| set.flags.keywords());
    let used: BTreeSet<&Keyword> = used.collect();
    used.into_iter().take(KEYWORDS_NAMED_MAX).fold(String::new(), |mut text, keyword| {
        text.push(' ');
        text.push_str(keyword.as_str());
        text
    })
}
