//! What accounts and domain-admins see of the archive.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use archive_search::{Seen, Sight};
use mail_types::{AccountId, Domain, MailboxId};
use store::{Directory, Lies, Source, Store, StoreError, Story};

use crate::narrow;

/// An account: what it has sent, and what is or was in its mailboxes. Of mail that came to it, itself
/// is the only recipient that it sees. A sender that somebody has made up is nobody's.
pub struct OwnSight {
    account: [AccountId; 1],
    /// The account's, those that are gone among them.
    pub mailboxes: HashMap<MailboxId, String>,
}

impl OwnSight {
    /// Of this account.
    pub fn new(store: &Store, account: AccountId) -> Result<Self, StoreError> {
        Ok(Self { account: [account], mailboxes: store.mailbox_names(account)? })
    }
}

impl Sight for OwnSight {
    fn accounts(&self) -> &[AccountId] {
        &self.account
    }

    fn see(&self, mut story: Story) -> Option<Seen> {
        let whole = sender(&story).is_some_and(|account| self.account.contains(&account));
        let is_own = |mailbox: &MailboxId| self.mailboxes.contains_key(mailbox);
        let places = kept(&story, &is_own);
        if !whole && places.is_empty() {
            return None;
        }
        if !whole {
            story.custodies.retain(|one| one.delivered.as_ref().is_some_and(|(at, ..)| is_own(at)));
            let own: HashSet<_> = story.custodies.iter().map(|one| one.custody).collect();
            story.accepted.custodies.retain(|one| own.contains(&one.custody));
        }
        // Who did what elsewhere is not its business.
        story.events.clear();
        story.damaged.clear();
        story.mailbox_names.retain(|mailbox, _| is_own(mailbox));
        story.mailbox_owners.retain(|mailbox, _| is_own(mailbox));
        for one in &mut story.custodies {
            one.delivered.take_if(|(at, ..)| !is_own(at));
        }
        Some(Seen { story, places, whole })
    }

    fn may_name(&self, account: AccountId) -> bool {
        self.account.contains(&account)
    }

    fn name(&self) -> String {
        format!("account {}", self.account[0])
    }
}

/// The administrator of domains, who sees what a trace tells him ([`narrow::story`]).
pub struct DomainSight {
    operator: String,
    domains: Vec<Domain>,
    accounts: Vec<AccountId>,
    directory: Arc<Directory>,
}

impl DomainSight {
    /// Of an operator with these domains.
    pub fn new(store: &Store, operator: &str, domains: &[Domain]) -> Result<Self, StoreError> {
        Ok(Self {
            operator: operator.to_owned(),
            domains: domains.to_vec(),
            accounts: store.accounts_ever_in(domains)?,
            directory: store.directory(),
        })
    }

    /// Whether an account is or was one of the domains'.
    pub fn has(&self, account: AccountId) -> bool {
        // They come in order.
        self.accounts.binary_search(&account).is_ok()
    }
}

impl Sight for DomainSight {
    fn accounts(&self) -> &[AccountId] {
        &self.accounts
    }

    fn see(&self, story: Story) -> Option<Seen> {
        let recipients = story.accepted.custodies.len();
        let own: HashSet<MailboxId> = story
            .mailbox_owners
            .iter()
            .filter(|(_, owner)| self.has(**owner))
            .map(|(mailbox, _)| *mailbox)
            .collect();
        let places = kept(&story, &|mailbox| own.contains(mailbox));
        let story = narrow::story(story, &self.domains, &self.directory)?;
        let whole = story.accepted.custodies.len() == recipients;
        Some(Seen { story, places, whole })
    }

    fn may_name(&self, account: AccountId) -> bool {
        self.has(account)
    }

    fn name(&self) -> String {
        format!("operator {}", self.operator)
    }
}

/// The account that has sent a message here, or put it in.
fn sender(story: &Story) -> Option<AccountId> {
    match &story.accepted.source {
        Source::Submission { account, .. }
        | Source::Append { account }
        | Source::Import { account } => Some(*account),
        Source::Smtp { .. }
        | Source::Lmtp { .. }
        | Source::Report { .. }
        | Source::PeriodReport => None,
    }
}

fn kept(story: &Story, is_own: &dyn Fn(&MailboxId) -> bool) -> Vec<Lies> {
    story.places().into_iter().filter(|lies| is_own(&lies.mailbox)).collect()
}
