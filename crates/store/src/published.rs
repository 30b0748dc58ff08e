//! Every mailbox by name, as of the last sync: what SELECT and STATUS ask for without the index.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use mail_types::{AccountId, MailboxId};

use crate::index::Mailbox;

/// The mailboxes that there are.
#[derive(Default)]
pub struct Published(RwLock<Mailboxes>);

#[derive(Default)]
struct Mailboxes {
    by_id: HashMap<MailboxId, Arc<Mailbox>>,
    by_name: HashMap<AccountId, HashMap<String, Arc<Mailbox>>>,
}

impl Published {
    /// These have changed: they are now what `known` says.
    pub fn update(
        &self,
        changed: impl IntoIterator<Item = MailboxId>,
        known: &HashMap<MailboxId, Mailbox>,
    ) {
        // What is guarded here is whole between calls; a panic within would need memory to run out.
        let mut mailboxes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for id in changed {
            mailboxes.update(id, known.get(&id));
        }
    }

    /// A mailbox by its canonical name.
    pub fn find(&self, account: AccountId, name: &str) -> Option<Arc<Mailbox>> {
        let mailboxes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        mailboxes.by_name.get(&account)?.get(name).cloned()
    }
}

impl Mailboxes {
    fn update(&mut self, id: MailboxId, now: Option<&Mailbox>) {
        let before = self.by_id.remove(&id);
        if let Some(before) = &before
            && now.is_none_or(|now| now.name != before.name)
            && let Some(names) = self.by_name.get_mut(&before.account)
            // Another one may have its name by now.
            && names.get(&before.name).is_some_and(|named| named.id == id)
        {
            names.remove(&before.name);
        }
        let Some(now) = now else { return };
        let mailbox = Arc::new(now.clone());
        let names = self.by_name.entry(now.account).or_default();
        match names.get_mut(&now.name) {
            Some(named) => *named = Arc::clone(&mailbox),
            None => drop(names.insert(now.name.clone(), Arc::clone(&mailbox))),
        }
        self.by_id.insert(id, mailbox);
    }
}
