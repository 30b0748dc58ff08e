//! GETQUOTA and GETQUOTAROOT (RFC 9208).

use mail_types::Acceptance;

use super::{Flow, Session, Status as Ended, Work};
use crate::ask::{Answer, Question, QuotaQuestion, QuotaRoot};
use crate::grammar::MailboxName;
use crate::write::{push_number, push_text};

impl<R: Acceptance> Session<R> {
    pub(super) fn quota(&mut self, what: QuotaQuestion) -> Flow {
        let Some(account) = self.account() else { return self.misfit() };
        let of = match &what {
            QuotaQuestion::Of(mailbox) => Some(mailbox.clone()),
            QuotaQuestion::Root(_) => None,
        };
        self.ask(Work::Quota(of), Question::Quota { account, what })
    }

    pub(super) fn quota_answered(
        &mut self,
        of: Option<MailboxName>,
        answer: Option<Answer<R>>,
    ) -> Flow {
        let root = match answer {
            Some(Answer::Quota(root)) => root,
            Some(Answer::No(refusal)) => return self.refuse(&refusal),
            Some(_) | None => return self.misfit(),
        };
        if let Some(mailbox) = of {
            // RFC 9208 §4.2.2: quotaroot-response = "QUOTAROOT" SP mailbox *(SP quota-root-name)
            push_text(&mut self.output, "* QUOTAROOT ");
            self.reader.names.write(mailbox.as_str(), &mut self.output);
            self.output.push(b' ');
            message::write_astring(&mut self.output, root.name.as_bytes());
            push_text(&mut self.output, "\r\n");
        }
        write_quota(&mut self.output, &root);
        self.finish(Ended::Ok, "", "Done")
    }
}

// RFC 9208 §4.2.1: quota-response = "QUOTA" SP quota-root-name SP quota-list
fn write_quota(out: &mut Vec<u8>, root: &QuotaRoot) {
    push_text(out, "* QUOTA ");
    message::write_astring(out, root.name.as_bytes());
    push_text(out, " (");
    for (at, (name, used, limit)) in root.resources.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        push_text(out, name);
        out.push(b' ');
        push_number(out, *used);
        out.push(b' ');
        push_number(out, *limit);
    }
    push_text(out, ")\r\n");
}
