//! What the reference service says of mailboxes' names, rights, quotas and annotations.

use imap_machine::grammar::{Depth, RightsChange};
use imap_machine::{
    AclAnswer, AclQuestion, Answer, Code, METADATA_OCTETS_MAX, MetadataQuestion, Question,
    QuotaQuestion, QuotaRoot, Refusal,
};
use mail_types::{MailboxId, Right, Rights};

use crate::service::{Mailbox, Proof, Service};

impl Service {
    pub fn rename_and_so_on(&mut self, question: Question) -> Result<Answer<Proof>, Refusal> {
        Ok(match question {
            Question::Create { mailbox, special_use, .. } => {
                if self.by_name(&mailbox).is_ok() {
                    return Err(Refusal::new(Code::AlreadyExists, "It exists"));
                }
                let made = self.create(mailbox.as_str(), special_use);
                made.subscribed = false;
                Answer::Created(made.id)
            }
            Question::Delete { mailbox, .. } => {
                let mailbox = self.by_name(&mailbox)?;
                mailbox.exists = false;
                let id = mailbox.id;
                self.changed.push(id);
                Answer::Done
            }
            Question::Rename { from, to, .. } => {
                if self.by_name(&to).is_ok() {
                    return Err(Refusal::new(Code::AlreadyExists, "It exists"));
                }
                self.by_name(&from)?.name = to;
                Answer::Done
            }
            Question::Subscribe { mailbox, subscribed, .. } => {
                match self.mailboxes.iter_mut().find(|known| known.name == mailbox) {
                    Some(known) => known.subscribed = subscribed,
                    None => self.create(mailbox.as_str(), None).exists = false,
                }
                Answer::Done
            }
            other => panic!("{other:?} is another question"),
        })
    }

    pub fn manage(&mut self, question: Question) -> Result<Answer<Proof>, Refusal> {
        Ok(match question {
            Question::Metadata { mailbox, what, .. } => {
                let of = match &mailbox {
                    Some(mailbox) => Some(self.by_name(mailbox)?.id),
                    None => None,
                };
                self.metadata(of, what)?
            }
            Question::Quota { what, .. } => {
                match what {
                    QuotaQuestion::Root(root) if root.is_empty() => {}
                    QuotaQuestion::Of(mailbox) => drop(self.by_name(&mailbox)?),
                    QuotaQuestion::Root(_) => {
                        return Err(Refusal::new(Code::NonExistent, "No such quota root"));
                    }
                }
                let resources = vec![("STORAGE", 10, 512)];
                Answer::Quota(QuotaRoot { name: String::new(), resources })
            }
            Question::Acl { mailbox, what, .. } => self.by_name(&mailbox)?.acl(what)?,
            other => panic!("{other:?} is another question"),
        })
    }

    fn metadata(
        &mut self,
        of: Option<MailboxId>,
        what: MetadataQuestion,
    ) -> Result<Answer<Proof>, Refusal> {
        match what {
            MetadataQuestion::Get { entries, depth } => {
                let is_wanted = |name: &str| {
                    entries.iter().any(|entry| match name.strip_prefix(entry.as_str()) {
                        Some("") => true,
                        Some(rest) => match depth {
                            Depth::Zero => false,
                            Depth::One => rest.rfind('/') == Some(0),
                            Depth::Infinity => rest.starts_with('/'),
                        },
                        None => false,
                    })
                };
                let found =
                    self.metadata.iter().filter(|((id, name), _)| *id == of && is_wanted(name));
                let found = found.map(|((_, name), value)| (name.clone(), value.clone()));
                Ok(Answer::Metadata(found.collect()))
            }
            MetadataQuestion::Set(values) => {
                for (entry, value) in values {
                    let key = (of, entry.as_str().to_owned());
                    match value {
                        Some(value) if value.len() > METADATA_OCTETS_MAX => {
                            return Err(Refusal::new(Code::MetadataMaxSize, "Too large"));
                        }
                        Some(value) => drop(self.metadata.insert(key, value)),
                        None => drop(self.metadata.remove(&key)),
                    }
                }
                Ok(Answer::Done)
            }
        }
    }
}

impl Mailbox {
    fn acl(&mut self, what: AclQuestion) -> Result<Answer<Proof>, Refusal> {
        if what != AclQuestion::Mine && !self.rights.has(Right::Administer) {
            return Err(Refusal::new(Code::NoPerm, "Not allowed"));
        }
        Ok(Answer::Acl(match what {
            AclQuestion::List => AclAnswer::List(self.acl.clone()),
            AclQuestion::Mine => AclAnswer::Mine(self.rights),
            AclQuestion::Possible(identifier) if identifier == "ann@example.org" => {
                AclAnswer::Possible { always: Rights::parse("la").unwrap() }
            }
            AclQuestion::Possible(_) => AclAnswer::Possible { always: Rights::NONE },
            AclQuestion::Set(identifier, change) => {
                let place = self.acl.iter().position(|(known, _)| *known == identifier);
                let before = place.map_or(Rights::NONE, |place| self.acl.remove(place).1);
                let after = match change {
                    RightsChange::Replace(rights) => rights,
                    RightsChange::Add(rights) => before.union(rights),
                    RightsChange::Remove(rights) => before.without(rights),
                    RightsChange::Delete => Rights::NONE,
                };
                if !after.is_empty() {
                    self.acl.push((identifier, after));
                }
                return Ok(Answer::Done);
            }
        }))
    }
}
