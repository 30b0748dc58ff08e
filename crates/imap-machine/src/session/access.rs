//! Access control lists (RFC 4314).

use mail_types::{Acceptance, Right, Rights};

use super::{Flow, Session, Status as Ended, Work};
use crate::ask::{AclAnswer, AclQuestion, Answer, Code, Question, QuotaQuestion};
use crate::grammar::{MailboxName, Manage, Names};
use crate::write::push_text;

/// A question about an access control list.
#[derive(Debug)]
pub(super) struct AskedAcl {
    mailbox: MailboxName,
    /// Of LISTRIGHTS, as the client wrote it.
    identifier: Option<String>,
}

impl<R: Acceptance> Session<R> {
    // RFC 2342 §5: those of others stand below their addresses.
    pub(super) fn namespace(&mut self) -> Flow {
        let namespaces = "((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL";
        push_text(&mut self.output, &format!("* NAMESPACE {namespaces}\r\n"));
        self.finish(Ended::Ok, "", "Done")
    }

    /// The selected mailbox is gone, or out of reach (RFC 2180 §3.3, RFC 4314 §5.1.1 allow to end
    /// the session).
    pub(super) fn gone(&mut self) -> Flow {
        self.selected = None;
        self.bye("The selected mailbox was deleted, or may no longer be read")
    }

    pub(super) fn manage(&mut self, command: Manage) -> Flow {
        let Some(account) = self.account() else { return self.misfit() };
        let (mailbox, identifier, what) = match command {
            Manage::GetMetadata(get) => return self.get_metadata(get),
            Manage::SetMetadata(set) => return self.set_metadata(set),
            Manage::GetQuota(root) => return self.quota(QuotaQuestion::Root(root)),
            Manage::GetQuotaRoot(mailbox) => return self.quota(QuotaQuestion::Of(mailbox)),
            // RFC 9208 §4.1.3: only the operator sets limits, and not over IMAP.
            Manage::SetQuota(_) => return self.no(Code::NoPerm, "The operator sets quotas"),
            Manage::GetAcl(mailbox) => (mailbox, None, AclQuestion::List),
            Manage::MyRights(mailbox) => (mailbox, None, AclQuestion::Mine),
            Manage::ListRights(mailbox, identifier) => {
                (mailbox, Some(identifier.clone()), AclQuestion::Possible(identifier))
            }
            Manage::SetAcl { mailbox, identifier, change } => {
                (mailbox, None, AclQuestion::Set(identifier, change))
            }
        };
        let question = Question::Acl { account, mailbox: mailbox.clone(), what };
        self.ask(Work::Acl(Box::new(AskedAcl { mailbox, identifier })), question)
    }

    pub(super) fn acl_answered(&mut self, asked: AskedAcl, answer: Option<Answer<R>>) -> Flow {
        let out = &mut self.output;
        let name = asked.mailbox.as_str();
        match (answer, asked.identifier) {
            (Some(Answer::No(refusal)), _) => return self.refuse(&refusal),
            (Some(Answer::Done), None) => {}
            // RFC 4314 §3.6: acl-data = "ACL" SP mailbox *(SP identifier SP rights)
            (Some(Answer::Acl(AclAnswer::List(entries))), None) => {
                push_text(out, "* ACL ");
                self.reader.names.write(name, out);
                for (identifier, rights) in entries {
                    out.push(b' ');
                    message::write_astring(out, identifier.as_bytes());
                    push_rights(out, rights);
                }
                push_text(out, "\r\n");
            }
            (Some(Answer::Acl(AclAnswer::Mine(rights))), None) => {
                write_my_rights(out, (self.reader.names, name), rights);
            }
            // RFC 4314 §3.7: listrights-data = "LISTRIGHTS" SP mailbox SP identifier SP rights
            // *(SP rights)
            (Some(Answer::Acl(AclAnswer::Possible { always })), Some(identifier)) => {
                push_text(out, "* LISTRIGHTS ");
                self.reader.names.write(name, out);
                out.push(b' ');
                message::write_astring(out, identifier.as_bytes());
                push_text(out, if always.is_empty() { " \"\"" } else { " " });
                always
                    .iter()
                    .for_each(|right| push_text(out, right.letter().encode_utf8(&mut [0; 4])));
                for right in Rights::ALL.without(always).iter() {
                    push_text(out, &format!(" {}", right.letter()));
                }
                // RFC 4314 §2.1.1: the virtual rights can be given too.
                push_text(out, " c d\r\n");
            }
            (_, _) => return self.misfit(),
        }
        self.finish(Ended::Ok, "", "Done")
    }
}

// RFC 4314 §3.8: myrights-data = "MYRIGHTS" SP mailbox SP rights
pub(super) fn write_my_rights(out: &mut Vec<u8>, (names, mailbox): (Names, &str), rights: Rights) {
    push_text(out, "* MYRIGHTS ");
    names.write(mailbox, out);
    push_rights(out, rights);
    push_text(out, "\r\n");
}

fn push_rights(out: &mut Vec<u8>, rights: Rights) {
    out.push(b' ');
    message::write_astring(out, rights.to_string().as_bytes());
}

/// RFC 4314 §5.1.1: PERMANENTFLAGS says which flags somebody with these rights can change.
pub(super) fn permanent_flags(rights: Rights, keywords: &str) -> String {
    let needed = [
        ("\\Answered", Right::Write),
        ("\\Flagged", Right::Write),
        ("\\Deleted", Right::DeleteMessages),
        ("\\Seen", Right::Seen),
        ("\\Draft", Right::Write),
    ];
    let flags: Vec<&str> =
        needed.iter().filter(|(_, right)| rights.has(*right)).map(|(flag, _)| *flag).collect();
    let more = if rights.has(Right::Write) { format!("{keywords} \\*") } else { String::new() };
    format!("{}{more}", flags.join(" "))
}

/// RFC 4314 §5.2: what makes a mailbox one that somebody can change.
pub(super) fn can_change(rights: Rights) -> bool {
    rights.has_any(Rights::from_iter([
        Right::Insert,
        Right::Expunge,
        Right::Seen,
        Right::Write,
        Right::DeleteMessages,
    ]))
}
