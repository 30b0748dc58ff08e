//! GETMETADATA and SETMETADATA (RFC 5464).

use mail_types::Acceptance;

use super::{Flow, Session, Status as Ended, Work};
use crate::ask::{Answer, Metadata, MetadataQuestion, Question};
use crate::grammar::{Depth, GetMetadata, MailboxName, Names, SetMetadata};
use crate::write::{push_number, push_text};

/// Entries that are asked for, or set.
#[derive(Debug)]
pub(super) enum AskedMetadata {
    Get(Box<GetMetadata>),
    Set,
}

impl<R: Acceptance> Session<R> {
    pub(super) fn get_metadata(&mut self, get: GetMetadata) -> Flow {
        let Some(account) = self.account() else { return self.misfit() };
        let (mailbox, entries, depth) = (get.mailbox.clone(), get.entries.clone(), get.depth);
        let what = MetadataQuestion::Get { entries, depth };
        let question = Question::Metadata { account, mailbox, what };
        self.ask(Work::Metadata(AskedMetadata::Get(Box::new(get))), question)
    }

    pub(super) fn set_metadata(&mut self, set: SetMetadata) -> Flow {
        let Some(account) = self.account() else { return self.misfit() };
        let SetMetadata { mailbox, values } = set;
        let what = MetadataQuestion::Set(values);
        let question = Question::Metadata { account, mailbox, what };
        self.ask(Work::Metadata(AskedMetadata::Set), question)
    }

    pub(super) fn metadata_answered(
        &mut self,
        asked: AskedMetadata,
        answer: Option<Answer<R>>,
    ) -> Flow {
        match (asked, answer) {
            (_, Some(Answer::No(refusal))) => self.refuse(&refusal),
            (AskedMetadata::Set, Some(Answer::Done)) => self.finish(Ended::Ok, "", "Done"),
            (AskedMetadata::Get(get), Some(Answer::Metadata(found))) => {
                self.write_metadata(&get, found)
            }
            (AskedMetadata::Get(_) | AskedMetadata::Set, _) => self.misfit(),
        }
    }

    fn write_metadata(&mut self, get: &GetMetadata, found: Metadata) -> Flow {
        let octets_max = get.octets_max.map_or(usize::MAX, |octets| octets as usize);
        let longest = found.iter().map(|(_, value)| value.len()).filter(|&len| len > octets_max);
        let longest = longest.max();
        // An entry that is asked for and does not exist is NIL; of those below none is told.
        let missing = get.entries.iter().filter(|entry| {
            (get.depth == Depth::Zero || found.is_empty())
                && !found.iter().any(|(name, _)| name == entry.as_str())
        });
        let told = found.iter().filter(|(_, value)| value.len() <= octets_max);
        let told = told.map(|(name, value)| (name.as_str(), Some(value.as_slice())));
        let told = told.chain(missing.map(|entry| (entry.as_str(), None)));
        write_entries((self.reader.names, get.mailbox.as_ref()), told, &mut self.output);
        let code = longest.map(|octets| format!("[METADATA LONGENTRIES {octets}]"));
        self.finish(Ended::Ok, &code.unwrap_or_default(), "Done")
    }
}

// RFC 5464 §5: metadata-resp = "METADATA" SP mailbox SP (entry-values / entry-list)
pub(super) fn write_entries<'a>(
    (names, mailbox): (Names, Option<&MailboxName>),
    entries: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    out: &mut Vec<u8>,
) {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return;
    }
    push_text(out, "* METADATA ");
    match mailbox {
        Some(mailbox) => names.write(mailbox.as_str(), out),
        None => push_text(out, "\"\""),
    }
    let mut before = " (";
    for (name, value) in entries {
        push_text(out, before);
        message::write_astring(out, name.as_bytes());
        out.push(b' ');
        push_value(out, value);
        before = " ";
    }
    push_text(out, ")\r\n");
}

// RFC 5464 §5: value = nstring / literal8
fn push_value(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) if value.contains(&0) => {
            push_text(out, "~{");
            push_number(out, value.len() as u64);
            push_text(out, "}\r\n");
            out.extend_from_slice(value);
        }
        value => message::write_nstring(out, value),
    }
}
