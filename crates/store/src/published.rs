//! Every mailbox by name, as of the last sync: what SELECT and STATUS ask for without the index.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use mail_types::{AccountId, MailboxId};

use crate::acl::AclEntry;
use crate::index::{Index, Mailbox};

/// The mailboxes that there are.
#[derive(Default)]
pub struct Published(RwLock<Mailboxes>);

/// What is known of a mailbox.
pub struct Known {
    /// The mailbox.
    pub mailbox: Mailbox,
    /// Its access control list.
    pub acl: Vec<AclEntry>,
}

#[derive(Default)]
struct Mailboxes {
    by_id: HashMap<MailboxId, Arc<Known>>,
    by_name: HashMap<AccountId, HashMap<String, Arc<Known>>>,
}

impl Published {
    /// These have changed: they are now what the index says. `note` is told of each what it was
    /// and is.
    pub fn update<E>(
        &self,
        changed: impl IntoIterator<Item = MailboxId>,
        index: &Index<E>,
        mut note: impl FnMut(MailboxId, Option<Arc<Known>>, Option<&Arc<Known>>),
    ) {
        // What is guarded here is whole between calls; a panic within would need memory to run out.
        let mut mailboxes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for id in changed {
            let now = index.mailboxes.get(&id).map(|mailbox| Known {
                mailbox: mailbox.clone(),
                acl: index.acl.get(&id).cloned().unwrap_or_default(),
            });
            let before = mailboxes.update(id, now);
            note(id, before, mailboxes.by_id.get(&id));
        }
    }

    /// A mailbox by its id.
    pub fn get(&self, id: MailboxId) -> Option<Arc<Known>> {
        let mailboxes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        mailboxes.by_id.get(&id).cloned()
    }

    /// A mailbox by its canonical name.
    pub fn find(&self, account: AccountId, name: &str) -> Option<Arc<Known>> {
        let mailboxes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        mailboxes.by_name.get(&account)?.get(name).cloned()
    }
}

impl Mailboxes {
    /// Returns what it was.
    fn update(&mut self, id: MailboxId, now: Option<Known>) -> Option<Arc<Known>> {
        let before = self.by_id.remove(&id);
        if let Some(before) = &before
            && now.as_ref().is_none_or(|now| now.mailbox.name != before.mailbox.name)
            && let Some(names) = self.by_name.get_mut(&before.mailbox.account)
            // Another one may have its name by now.
            && names.get(&before.mailbox.name).is_some_and(|named| named.mailbox.id == id)
        {
            names.remove(&before.mailbox.name);
        }
        let Some(now) = now else { return before };
        let now = Arc::new(now);
        let names = self.by_name.entry(now.mailbox.account).or_default();
        match names.get_mut(&now.mailbox.name) {
            Some(named) => *named = Arc::clone(&now),
            None => drop(names.insert(now.mailbox.name.clone(), Arc::clone(&now))),
        }
        self.by_id.insert(id, now);
        before
    }
}
