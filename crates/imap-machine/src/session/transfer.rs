use mail_types::{Acceptance, SystemFlag};
use mailbox::Packed;

use super::limit::limit_code;
use super::{Flow, Session, Status, Work};
use crate::ask::{Answer, Code, Copied, Question};
use crate::grammar::{MailboxName, SequenceSet, UidSet};
use crate::write::push_text;

/// COPY, MOVE or EXPUNGE: the service is asked.
#[derive(Debug)]
pub(super) enum Transfer {
    Copy,
    Move,
    Expunge,
}

impl<R: Acceptance> Session<R> {
    // RFC 3501 §6.4.7, RFC 6851
    pub(super) fn transfer(
        &mut self,
        uid: bool,
        set: &SequenceSet,
        to: MailboxName,
        away: bool,
    ) -> Flow {
        self.by_uid = uid;
        let (Some(mailbox), Some(signed_in)) = (&self.selected, &self.signed_in) else {
            return self.misfit();
        };
        if away && mailbox.read_only {
            return self.no(Code::ReadOnly, "The mailbox is opened read-only");
        }
        let Some(places) = mailbox.view.places(set, uid) else {
            return self.bad("", "There is no message of that number");
        };
        let has_gone = |range: std::ops::Range<usize>| {
            let mut slices = mailbox.view.rows().slices(range);
            slices.any(|(_, rows)| rows.iter().any(|row| mailbox.view.is_gone(row.uid)))
        };
        // RFC 2180 §4.4.1: all or nothing.
        if !uid && places.iter().cloned().any(has_gone) {
            return self.refuse(&Self::expunge_issued());
        }
        let mut uids = mailbox.view.uid_set(&places);
        if uids.is_empty() {
            return self.finish(Status::Ok, "", "No such messages");
        }
        let limit = if away { self.message_limit() } else { self.save_limit() };
        if let Some(limit) = limit
            && let Some((last, lowest)) = mailbox.view.last_of(&places, limit, |_| true)
        {
            if !away {
                // RFC 9738 §3.1: COPY is all or nothing.
                let code = limit_code(limit, Some(lowest));
                let text = "Too many messages to copy at once, nothing is copied";
                return self.finish(Status::No, &code, text);
            }
            (uids, self.cut) = (mailbox.view.uid_set(&last), Some(lowest));
        }
        let account = signed_in.account;
        let mailbox = mailbox.id;
        if away {
            let question = Question::Move { account, mailbox, uids, to };
            self.ask(Work::Transfer(Transfer::Move), question)
        } else {
            let question = Question::Copy { account, mailbox, uids, to };
            self.ask(Work::Transfer(Transfer::Copy), question)
        }
    }

    // RFC 3501 §6.4.3, RFC 4315 §2.1
    pub(super) fn expunge(&mut self, set: Option<&SequenceSet>) -> Flow {
        self.by_uid = set.is_some();
        let Some(mailbox) = &self.selected else { return self.misfit() };
        if mailbox.read_only {
            return self.no(Code::ReadOnly, "The mailbox is opened read-only");
        }
        let places = set.map(|set| mailbox.view.places(set, true).unwrap_or_default());
        let mut uids = places.as_ref().map(|places| mailbox.view.uid_set(places));
        // RFC 9738 §3.1: UID EXPUNGE is limited, EXPUNGE is not.
        let rows = mailbox.view.rows();
        let is_deleted = |row: &Packed| row.has(rows, SystemFlag::Deleted);
        if let (Some(limit), Some(places)) = (self.message_limit(), &places)
            && let Some((last, lowest)) = mailbox.view.last_of(places, limit, is_deleted)
        {
            (uids, self.cut) = (Some(mailbox.view.uid_set(&last)), Some(lowest));
        }
        if uids.as_ref().is_some_and(UidSet::is_empty) {
            return self.finish(Status::Ok, "", "No such messages");
        }
        let question = Question::Expunge { mailbox: mailbox.id, uids };
        self.ask(Work::Transfer(Transfer::Expunge), question)
    }

    pub(super) fn transfer_answered(&mut self, work: Transfer, answer: Option<Answer<R>>) -> Flow {
        let (copied, newest) = match (work, answer) {
            (_, Some(Answer::No(refusal))) => return self.refuse(&refusal),
            (_, Some(Answer::Gone)) => return self.gone(),
            (Transfer::Copy, Some(Answer::Copied(copied))) => (Some(copied), None),
            (Transfer::Move, Some(Answer::Moved(copied, newest))) => {
                // RFC 6851 §4.3: COPYUID comes before the EXPUNGEs, in an untagged OK.
                if let Some(code) = copy_uid(&copied) {
                    push_text(&mut self.output, &format!("* OK {code} Moved\r\n"));
                }
                (None, Some(newest))
            }
            (Transfer::Expunge, Some(Answer::Newest(newest))) => (None, Some(newest)),
            (Transfer::Copy | Transfer::Move | Transfer::Expunge, _) => return self.misfit(),
        };
        let mut highest = String::new();
        if let (Some(mailbox), Some(newest)) = (&mut self.selected, newest) {
            let before = mailbox.view.highest_modseq();
            mailbox.view.take(&newest, |_, _, _| false);
            let now = mailbox.view.highest_modseq();
            highest = self.highest_code(before, now);
        }
        if let Some(copied) = &copied {
            let own = copied.uids.iter().map(|(_, to)| (to.get(), to.get()));
            self.note_own(copied.uid_validity, own);
        }
        // What was copied may have come into this very mailbox.
        self.stirred = copied.is_some();
        let code = copied.as_ref().and_then(copy_uid).unwrap_or(highest);
        self.finish_cut(&code, "Done")
    }
}

// RFC 4315 §4: resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set; none where nothing
// was copied. Both sets ascend, so the n-th of one is the n-th of the other.
fn copy_uid(copied: &Copied) -> Option<String> {
    if copied.uids.is_empty() {
        return None;
    }
    let from: UidSet = copied.uids.iter().map(|(from, _)| from.get()).collect();
    let to: UidSet = copied.uids.iter().map(|(_, to)| to.get()).collect();
    Some(format!("[COPYUID {} {from} {to}]", copied.uid_validity))
}
