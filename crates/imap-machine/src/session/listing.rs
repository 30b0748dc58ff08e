//! LIST, LSUB and STATUS: what they ask of the service, and their responses.

use mail_types::Acceptance;

use super::access::write_my_rights;
use super::mailboxes::Asked;
use super::metadata::write_entries;
use super::{Flow, Session, Status as Ended, Work};
use crate::ask::{Answer, Counts, Listed, MetadataQuestion, Question, Status};
use crate::grammar::{Depth, EntryName, List, ListReturn, MailboxName, StatusItem};
use crate::list::{Entries, Entry};
use crate::write::{push_number, push_object_id, push_text};

/// Lines of LIST or LSUB that are still to be written.
#[derive(Debug)]
pub(super) struct Lines {
    name: &'static str,
    entries: Entries,
    returns: Vec<ListReturn>,
    /// The mailbox whose annotations the service is asked for (RFC 9590).
    asked: Option<MailboxName>,
}

impl Lines {
    pub fn new(list: List, listed: Vec<Listed>) -> Self {
        let entries = Entries::new(&list, listed);
        Self {
            name: if list.lsub { "LSUB" } else { "LIST" },
            entries,
            returns: list.returns,
            asked: None,
        }
    }
}

impl<R: Acceptance> Session<R> {
    pub(super) fn list(&mut self, list: List) -> Flow {
        let Some(account) = self.account() else { return self.misfit() };
        // RFC 3501 §6.3.8: an empty pattern asks for the separator and the reference's root.
        if !list.lsub && !list.extended && list.patterns.iter().all(Vec::is_empty) {
            push_text(&mut self.output, "* LIST (\\Noselect) \"/\" \"\"\r\n");
            return self.finish(Ended::Ok, "", "Done");
        }
        let counts = list.returns.iter().find_map(|option| match option {
            ListReturn::Status(items) => Some(counts_for(items)),
            _ => None,
        });
        if let Some(ListReturn::Status(items)) =
            list.returns.iter().find(|option| matches!(option, ListReturn::Status(_)))
            && items.contains(&StatusItem::HighestModSeq)
        {
            self.enable_condstore();
        }
        let question = Question::List { account, counts };
        self.ask(Work::Asked(Asked::List(Box::new(list))), question)
    }

    pub(super) fn status(&mut self, mailbox: MailboxName, items: Vec<StatusItem>) -> Flow {
        let Some(account) = self.account() else { return self.misfit() };
        // RFC 7162 §3.1.2: asking for HIGHESTMODSEQ enables CONDSTORE.
        if items.contains(&StatusItem::HighestModSeq) {
            self.enable_condstore();
        }
        let question =
            Question::Status { account, mailbox: mailbox.clone(), counts: counts_for(&items) };
        self.ask(Work::Asked(Asked::Status(mailbox, items)), question)
    }

    pub(super) fn lines_go_on(&mut self, mut lines: Box<Lines>, answer: Option<Answer<R>>) -> Flow {
        // RFC 9590 §3: what may not be looked up is left out.
        if let Some(mailbox) = lines.asked.take()
            && let Some(Answer::Metadata(found)) = answer
        {
            let entries = wanted_entries(&lines.returns).iter().map(|entry| {
                let value = found.iter().find(|(name, _)| name == entry.as_str());
                (entry.as_str(), value.map(|(_, value)| value.as_slice()))
            });
            let of = (self.reader.names, Some(&mailbox));
            write_entries(of, entries, &mut self.output);
        }
        lines.entries.match_some();
        if !lines.entries.are_matched() {
            return self.pause(Work::Lines(lines));
        }
        while !self.output_is_full() {
            let Some(entry) = lines.entries.next() else {
                return self.finish(Ended::Ok, "", "Done");
            };
            self.write_line(&lines, &entry);
            if let Some(question) = self.about_metadata(&mut lines, &entry) {
                return self.ask(Work::Lines(lines), question);
            }
        }
        self.again(Work::Lines(lines))
    }

    /// What the service is asked of the annotations of a mailbox just told, if any are wanted.
    fn about_metadata(&self, lines: &mut Lines, entry: &Entry) -> Option<Question> {
        let account = self.account()?;
        let entries = wanted_entries(&lines.returns).to_vec();
        let listed = lines.entries.listed(entry.place?);
        if entries.is_empty() || !listed.exists {
            return None;
        }
        lines.asked = Some(listed.name.clone());
        let what = MetadataQuestion::Get { entries, depth: Depth::Zero };
        Some(Question::Metadata { account, mailbox: lines.asked.clone(), what })
    }

    // RFC 5258 §6: mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP
    // mailbox [SP mbox-list-extended]
    fn write_line(&mut self, lines: &Lines, entry: &Entry) {
        let out = &mut self.output;
        push_text(out, "* ");
        push_text(out, lines.name);
        push_text(out, " (");
        push_text(out, &entry.attributes.join(" "));
        push_text(out, ") \"/\" ");
        self.reader.names.write(&entry.name, out);
        if entry.child_info {
            push_text(out, " (\"CHILDINFO\" (");
            push_text(out, lines.entries.criteria());
            push_text(out, "))");
        }
        push_text(out, "\r\n");
        let Some(listed) = entry.place.map(|place| lines.entries.listed(place)) else { return };
        if !listed.exists {
            return;
        }
        for option in &lines.returns {
            match option {
                // RFC 5819 §2: behind the mailbox's LIST response; none where it may not be read.
                ListReturn::Status(items) => {
                    if let Some(status) = &listed.status {
                        self.write_status(&listed.name, items, status);
                    }
                }
                // RFC 8440 §3
                ListReturn::MyRights => {
                    let name = (self.reader.names, listed.name.as_str());
                    write_my_rights(&mut self.output, name, listed.rights);
                }
                // These come behind it, when the service has told them.
                ListReturn::Metadata(_) => {}
                ListReturn::Subscribed | ListReturn::Children | ListReturn::SpecialUse => {}
            }
        }
    }

    pub(super) fn write_status(
        &mut self,
        mailbox: &MailboxName,
        items: &[StatusItem],
        status: &Status,
    ) {
        let line = self.status_line(mailbox, items, status);
        self.output.extend_from_slice(&line);
    }

    // RFC 3501 §7.2.4
    pub(super) fn status_line(
        &self,
        mailbox: &MailboxName,
        items: &[StatusItem],
        status: &Status,
    ) -> Vec<u8> {
        let append_limit = self.config.limits.message_octets_max;
        let mut line = Vec::with_capacity(128);
        let out = &mut line;
        push_text(out, "* STATUS ");
        self.reader.names.write(mailbox.as_str(), out);
        push_text(out, " (");
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            push_text(out, item.name());
            out.push(b' ');
            let number = match item {
                StatusItem::Messages => u64::from(status.messages),
                StatusItem::Recent => u64::from(status.recent),
                StatusItem::UidNext => u64::from(status.uid_next),
                StatusItem::UidValidity => u64::from(status.uid_validity.get()),
                StatusItem::Unseen => u64::from(status.unseen),
                StatusItem::HighestModSeq => status.highest_modseq.0.max(1),
                // RFC 8438 §2: below 2^63.
                StatusItem::Size => status.octets.min(u64::MAX >> 1),
                StatusItem::Deleted => u64::from(status.deleted),
                StatusItem::DeletedStorage => status.deleted_octets.min(u64::MAX >> 1),
                StatusItem::AppendLimit => u64::from(append_limit),
                StatusItem::MailboxId => {
                    push_object_id(out, status.mailbox);
                    continue;
                }
            };
            push_number(out, number);
        }
        push_text(out, ")\r\n");
        line
    }
}

fn wanted_entries(returns: &[ListReturn]) -> &[EntryName] {
    let entries = returns.iter().find_map(|option| match option {
        ListReturn::Metadata(entries) => Some(entries.as_slice()),
        _ => None,
    });
    entries.unwrap_or_default()
}

/// What must be counted for these items.
fn counts_for(items: &[StatusItem]) -> Counts {
    let deleted = [StatusItem::Deleted, StatusItem::DeletedStorage];
    if items.iter().any(|item| deleted.contains(item)) { Counts::Deleted } else { Counts::Known }
}
