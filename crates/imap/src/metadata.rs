use imap_machine::grammar::{Depth, EntryName, MailboxName};
use imap_machine::{Answer, METADATA_OCTETS_MAX, MetadataQuestion};
use mail_types::{AccountId, Right};
use store::{METADATA_BYTES_MAX, MetadataChange, Refused, may_annotate};

use crate::refusals::{Missing, refusal};
use crate::session::{Answered, Session, done};

// What the response code says is what the store takes.
const _: () = assert!(METADATA_OCTETS_MAX == METADATA_BYTES_MAX);

/// GETMETADATA and SETMETADATA (RFC 5464).
impl Session {
    pub async fn metadata(
        &self,
        account: AccountId,
        mailbox: Option<MailboxName>,
        what: MetadataQuestion,
    ) -> Answered {
        match what {
            MetadataQuestion::Get { entries, depth } => {
                let id = match mailbox {
                    Some(name) => {
                        let missing = Missing::NonExistent;
                        let reached = self.mailbox(account, &name, Right::Lookup, missing)?;
                        if !may_annotate(reached.1) {
                            return Err(refusal(&Refused::NotAllowed, missing));
                        }
                        Some(reached.0.id)
                    }
                    None => None,
                };
                let names: Vec<String> = entries.iter().map(text).collect();
                let levels = match depth {
                    Depth::Zero => Some(0),
                    Depth::One => Some(1),
                    Depth::Infinity => None,
                };
                let found = self.read("read annotations", move |store| {
                    store.metadata(account, id, &names, levels)
                });
                Ok(Answer::Metadata(found.await?.into_iter().collect()))
            }
            MetadataQuestion::Set(values) => {
                let changes: Vec<MetadataChange> =
                    values.into_iter().map(|(entry, value)| (text(&entry), value)).collect();
                let (actor, mailbox) = (self.actor(account), mailbox.map(|name| name.to_string()));
                done(self.handle().set_metadata(actor, mailbox, changes).await)
            }
        }
    }
}

fn text(entry: &EntryName) -> String {
    entry.as_str().to_owned()
}
