use std::collections::HashMap;

use imap_machine::grammar::MailboxName;
use imap_machine::{Answer, Counts, Listed, Refusal, Status};
use mail_types::{AccountId, MailboxId, Right, SpecialUse};
use store::{DeletedCounts, Mailbox};

use crate::refusals::{Missing, refusal};
use crate::session::{Answered, Session, done, uid_validity};

/// LIST, STATUS, CREATE and RENAME (RFC 3501 §6.3).
impl Session {
    pub async fn list(&self, account: AccountId, counts: Option<Counts>) -> Answered {
        let wants_deleted = counts == Some(Counts::Deleted);
        let read = self.read("list mailboxes", move |store| {
            let listed = store.mailboxes(account)?;
            let ids = listed.iter().filter_map(|listed| Some(listed.mailbox.as_ref()?.id));
            let ids: Vec<MailboxId> = if wants_deleted { ids.collect() } else { Vec::new() };
            let deleted = store.deleted_counts(&ids)?;
            Ok((listed, deleted))
        });
        let (listed, deleted) = read.await?;
        let mut answer = Vec::with_capacity(listed.len());
        for listed in listed {
            let Ok(name) = MailboxName::new(&listed.name) else {
                tracing::warn!(name = listed.name, "a mailbox name cannot be shown over IMAP");
                continue;
            };
            let status = match (&listed.mailbox, counts) {
                (Some(mailbox), Some(_)) if listed.rights.has(Right::Read) => {
                    Some(Box::new(self.status_of(mailbox, &deleted)?))
                }
                (_, _) => None,
            };
            answer.push(Listed {
                name,
                exists: listed.mailbox.is_some(),
                special_use: listed.mailbox.and_then(|mailbox| mailbox.special_use),
                subscribed: listed.subscribed,
                rights: listed.rights,
                status,
            });
        }
        Ok(Answer::Mailboxes(answer))
    }

    pub async fn status(&self, account: AccountId, name: &MailboxName, counts: Counts) -> Answered {
        let (mailbox, _) = self.mailbox(account, name, Right::Read, Missing::NonExistent)?;
        let deleted = match counts {
            Counts::Known => HashMap::new(),
            Counts::Deleted => {
                let id = mailbox.id;
                self.read("count messages", move |store| store.deleted_counts(&[id])).await?
            }
        };
        Ok(Answer::Status(self.status_of(&mailbox, &deleted)?))
    }

    pub fn status_of(
        &self,
        mailbox: &Mailbox,
        deleted: &HashMap<MailboxId, DeletedCounts>,
    ) -> Result<Status, Refusal> {
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let recent = self.shared.caches.recent(mailbox.id, mailbox.uid_next, false);
        let deleted = deleted.get(&mailbox.id).copied().unwrap_or_default();
        Ok(Status {
            mailbox: mailbox.id,
            messages: count(mailbox.messages),
            recent: count(recent.len().min(mailbox.messages)),
            uid_next: mailbox.uid_next,
            uid_validity: uid_validity(mailbox.uid_validity)?,
            unseen: count(mailbox.unseen),
            highest_modseq: mailbox.mod_seq,
            octets: mailbox.bytes,
            deleted: count(deleted.messages),
            deleted_octets: deleted.bytes,
        })
    }

    pub async fn create(
        &self,
        account: AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Answered {
        let actor = self.actor(account);
        let created = self.handle().create_mailbox(actor, name.as_str(), special_use).await;
        let created = created.map_err(|refused| refusal(&refused, Missing::NonExistent))?;
        Ok(Answer::Created(created))
    }

    pub async fn rename(
        &self,
        account: AccountId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Answered {
        let actor = self.actor(account);
        done(self.handle().rename_mailbox(actor, from.as_str(), to.as_str()).await)
    }
}
