use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use imap_machine::grammar::{MailboxName, StoreMode, UidSet};
use imap_machine::view::Changes;
use imap_machine::{Answer, Copied, Event, Question, Refusal, Selected as Opened};
use mail_types::{AccountId, Flags, MailboxId, ModSeq, Right, Rights, UidValidity};
use net::{Service, now};
use store::{FlagsChange, Mailbox, Receipt, Refused, SessionActor, Store, Transferred, Via};

use crate::Shared;
use crate::appending::Appends;
use crate::refusals::{Missing, lost_track, no_mailbox, not_now, refusal};
use crate::selected::{Selected, rows, uid_set};
use crate::url_octets::UrlHeld;

/// What a question comes to: its answer, or why not.
pub type Answered = Result<Answer<Receipt>, Refusal>;

/// One connection's side of the service.
pub struct Session {
    pub shared: Arc<Shared>,
    peer: IpAddr,
    selected: Option<Selected>,
    /// Who has selected it: the machine names no account in questions about what is selected.
    account: Option<AccountId>,
    pub appends: Appends,
    /// What a URL names and is sent in pieces.
    pub url_held: Option<UrlHeld>,
}

impl Service for Session {
    type Machine = imap_machine::Session<Receipt>;

    async fn answer(&mut self, question: Question) -> Answer<Receipt> {
        if !matches!(question, Question::Flush | Question::UrlFetch { .. }) {
            self.url_held = None;
        }
        self.answered(question).await.unwrap_or_else(Answer::No)
    }

    async fn event(&mut self) -> Event {
        let Self { selected, appends, .. } = self;
        let changed = async {
            match selected {
                Some(selected) => selected.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = appends.decided() => Event::Appended,
            event = changed => event,
        }
    }
}

impl Session {
    pub fn new(shared: Arc<Shared>, peer: IpAddr) -> Self {
        let appends = Appends::default();
        Self { shared, peer, selected: None, account: None, appends, url_held: None }
    }

    async fn answered(&mut self, question: Question) -> Answered {
        match question {
            Question::Flush => Ok(Answer::Done),
            Question::SignIn(question) => Ok(Answer::SignIn(self.sign_in(question).await)),
            Question::List { account, counts } => self.list(account, counts).await,
            Question::Status { account, mailbox, counts } => {
                self.status(account, &mailbox, counts).await
            }
            Question::Select { account, mailbox, read_only } => {
                self.select(account, mailbox, read_only).await
            }
            Question::Deselect { .. } => {
                self.selected = None;
                Ok(Answer::Done)
            }
            Question::Poll { since, .. } => Ok(changed(self.changes(since).await?)),
            Question::Fetch { messages, need, .. } => self.fetch(&messages, &need).await,
            Question::Store { mailbox, uids, mode, flags, unchanged_since, since } => {
                self.store(mailbox, &uids, (mode, flags), unchanged_since, since).await
            }
            Question::Copy { account, mailbox, uids, to } => {
                let store = &self.shared.store;
                let uids = uids.ranges().to_vec();
                let copied = store.copy(self.actor(account), mailbox, uids, to.as_str()).await;
                match self.transferred(account, &to, copied).await? {
                    Some(copied) => Ok(Answer::Copied(copied)),
                    None => Ok(Answer::Gone),
                }
            }
            Question::Move { account, mailbox, uids, to, since } => {
                let store = &self.shared.store;
                let uids = uids.ranges().to_vec();
                let actor = self.actor(account);
                let moved = store.move_messages(actor, mailbox, uids, to.as_str()).await;
                match self.transferred(account, &to, moved).await? {
                    Some(moved) => {
                        let changes = self.changes_behind(since).await;
                        Ok(changes.map_or(Answer::Gone, |changes| Answer::Moved(moved, changes)))
                    }
                    None => Ok(Answer::Gone),
                }
            }
            Question::Expunge { mailbox, uids, since } => self.expunge(mailbox, uids, since).await,
            Question::AppendBegin { account, mailbox, replaces, message } => {
                self.append_begin(account, mailbox, replaces, message).await
            }
            Question::AppendNext(message) => self.append_next(message).await,
            Question::AppendBytes(bytes) => self.append_bytes(&bytes),
            Question::AppendUrl { account, selected, url } => {
                self.append_url(account, selected, &url).await
            }
            Question::UrlToken { account, url, rump } => self.url_token(account, &url, &rump).await,
            Question::ResetUrlKeys { account, mailbox } => {
                self.reset_url_keys(account, mailbox.as_ref()).await
            }
            Question::UrlFetch { account, url, rump, from } => {
                self.url_fetch(account, &url, rump, from).await
            }
            Question::AppendEnd => self.append_end().await,
            Question::Metadata { account, mailbox, what } => {
                self.metadata(account, mailbox, what).await
            }
            Question::Quota { account, what } => self.quota(account, what).await,
            Question::Acl { account, mailbox, what } => self.acl(account, &mailbox, what).await,
            Question::AppendSettle => self.append_settle().await,
            Question::AppendAbort => Ok(self.append_abort()),
            Question::Create { account, mailbox, special_use } => {
                self.create(account, &mailbox, special_use).await
            }
            Question::Delete { account, mailbox } => {
                done(self.shared.store.delete_mailbox(self.actor(account), mailbox.as_str()).await)
            }
            Question::Rename { account, from, to } => self.rename(account, &from, &to).await,
            Question::Subscribe { account, mailbox, subscribed } => {
                let actor = self.actor(account);
                done(self.shared.store.set_subscribed(actor, mailbox.as_str(), subscribed).await)
            }
            Question::Match { messages, keys, .. } => self.matches(&messages, &keys).await,
            Question::SortFacts { messages, .. } => self.sort_facts(&messages).await,
            Question::Glance { account, mailbox } => self.glance(account, &mailbox).await,
        }
    }

    pub const fn actor(&self, account: AccountId) -> SessionActor {
        SessionActor { account, ip: Some(self.peer), via: Via::Imap }
    }

    /// Reads the store on a thread that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        doing: &str,
        read: impl FnOnce(&Store) -> Result<T, store::StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let store = self.shared.store.clone();
        match tokio::task::spawn_blocking(move || read(&store)).await {
            Ok(read) => read.map_err(|error| not_now(doing, error)),
            Err(error) => Err(not_now(doing, error)),
        }
    }

    async fn sign_in(&self, question: sasl::Question) -> sasl::Answer {
        let (shared, peer) = (Arc::clone(&self.shared), self.peer);
        // Argon2 takes its milliseconds on a thread of its own.
        let held =
            tokio::task::spawn_blocking(move || shared.sign_in.answer(&question, peer, now()));
        match held.await {
            Ok(held) => {
                tokio::time::sleep(held.delay).await;
                held.answer
            }
            Err(_) => sasl::Answer::Unavailable,
        }
    }

    /// The mailbox of this name, with which the account may do this; and what else it may.
    pub async fn mailbox(
        &self,
        account: AccountId,
        name: &MailboxName,
        right: Right,
        missing: Missing,
    ) -> Result<(Mailbox, Rights), Refusal> {
        let name = name.clone();
        let found =
            self.read("look for a mailbox", move |store| store.reach(account, name.as_str()));
        let (mailbox, rights) = found.await?.ok_or_else(|| no_mailbox(missing))?;
        store::permit(rights, right).map_err(|refused| refusal(&refused, missing))?;
        Ok((mailbox, rights))
    }

    async fn select(&mut self, account: AccountId, name: MailboxName, read_only: bool) -> Answered {
        self.selected = None;
        let reached = self.mailbox(account, &name, Right::Read, Missing::NonExistent).await?;
        let (id, rights) = (reached.0.id, reached.1);
        let subscription = self.shared.store.subscribe(id);
        let snapshot = self.read("open a mailbox", move |store| store.snapshot(id)).await?;
        let Some((mailbox, messages)) = snapshot else {
            return Err(no_mailbox(Missing::NonExistent));
        };
        let opened = Opened {
            mailbox: id,
            read_only,
            uid_validity: uid_validity(mailbox.uid_validity)?,
            uid_next: mailbox.uid_next,
            rows: rows(&mailbox, messages),
            recent: self.shared.caches.recent(id, mailbox.uid_next, !read_only),
            rights,
        };
        self.selected = Some(Selected::new(subscription, read_only, mailbox.mod_seq));
        self.account = Some(account);
        Ok(Answer::Selected(Box::new(opened)))
    }

    async fn glance(&self, account: AccountId, name: &MailboxName) -> Answered {
        let reached = self.mailbox(account, name, Right::Read, Missing::NonExistent).await?;
        let (id, rights) = (reached.0.id, reached.1);
        let snapshot = self.read("look into a mailbox", move |store| store.snapshot(id)).await?;
        let Some((mailbox, messages)) = snapshot else {
            return Err(no_mailbox(Missing::NonExistent));
        };
        Ok(Answer::Selected(Box::new(Opened {
            mailbox: id,
            read_only: true,
            uid_validity: uid_validity(mailbox.uid_validity)?,
            uid_next: mailbox.uid_next,
            rows: rows(&mailbox, messages),
            recent: self.shared.caches.recent(id, mailbox.uid_next, false),
            rights,
        })))
    }

    /// What has changed in the selected mailbox; `None` where it is gone.
    async fn changes(&mut self, since: ModSeq) -> Result<Option<Changes>, Refusal> {
        let selected = self.selected.as_mut().ok_or_else(lost_track)?;
        if let Some(changes) = selected.changes(since, &self.shared.caches) {
            return Ok(Some(changes));
        }
        let id = selected.mailbox();
        let snapshot = self.read("read a mailbox anew", move |store| store.snapshot(id)).await?;
        let Some((mailbox, messages)) = snapshot else { return Ok(None) };
        let selected = self.selected.as_mut().ok_or_else(lost_track)?;
        Ok(Some(selected.anew(since, &mailbox, messages, &self.shared.caches)))
    }

    /// The same behind a change that was made: if they cannot be read now, they are told later, but
    /// nobody is told that the change was not made.
    async fn changes_behind(&mut self, since: ModSeq) -> Option<Changes> {
        let changes = self.changes(since).await;
        changes.unwrap_or_else(|_| Some(Changes { highest_modseq: since, ..Changes::default() }))
    }

    /// The actor of a change in the selected mailbox, which is checked to be this one.
    fn actor_in(&self, mailbox: MailboxId) -> Result<SessionActor, Refusal> {
        match (&self.selected, self.account) {
            (Some(selected), Some(account)) if selected.mailbox() == mailbox => {
                Ok(self.actor(account))
            }
            _ => Err(lost_track()),
        }
    }

    async fn store(
        &mut self,
        mailbox: MailboxId,
        uids: &UidSet,
        (mode, flags): (StoreMode, Flags),
        unchanged_since: Option<ModSeq>,
        since: ModSeq,
    ) -> Answered {
        let actor = self.actor_in(mailbox)?;
        let change = match mode {
            StoreMode::Replace => FlagsChange::Replace,
            StoreMode::Add => FlagsChange::Add,
            StoreMode::Remove => FlagsChange::Remove,
        };
        let uids = uids.ranges().to_vec();
        let store = &self.shared.store;
        match store.set_flags(actor, mailbox, uids, change, flags, unchanged_since).await {
            Ok(outcome) => {
                let modified = uid_set(&outcome.modified);
                let changes = self.changes_behind(since).await;
                Ok(changes.map_or(Answer::Gone, |changes| Answer::Stored { changes, modified }))
            }
            Err(Refused::Missing(_)) => Ok(Answer::Gone),
            Err(refused) => Err(refusal(&refused, Missing::NonExistent)),
        }
    }

    async fn expunge(
        &mut self,
        mailbox: MailboxId,
        uids: Option<UidSet>,
        since: ModSeq,
    ) -> Answered {
        let actor = self.actor_in(mailbox)?;
        let uids = uids.map(|uids| uids.ranges().to_vec());
        match self.shared.store.expunge(actor, mailbox, uids).await {
            Ok(_) => Ok(changed(self.changes_behind(since).await)),
            Err(Refused::Missing(_)) => Ok(Answer::Gone),
            Err(refused) => Err(refusal(&refused, Missing::NonExistent)),
        }
    }

    /// What a copy or move comes to; `None` where the selected mailbox is gone.
    async fn transferred(
        &self,
        account: AccountId,
        to: &MailboxName,
        transferred: Result<Transferred, Refused>,
    ) -> Result<Option<Copied>, Refusal> {
        match transferred {
            Ok(Transferred { uid_validity: number, messages }) => {
                Ok(Some(Copied { uid_validity: uid_validity(number)?, uids: messages }))
            }
            Err(Refused::Missing(_)) => {
                // One of the two is not there: if it is not the target, it is the selected one.
                self.mailbox(account, to, Right::Lookup, Missing::TryCreate).await?;
                Ok(None)
            }
            Err(refused) => Err(refusal(&refused, Missing::TryCreate)),
        }
    }
}

pub fn done<T>(result: Result<T, Refused>) -> Answered {
    match result {
        Ok(_) => Ok(Answer::Done),
        Err(refused) => Err(refusal(&refused, Missing::NonExistent)),
    }
}

fn changed(changes: Option<Changes>) -> Answer<Receipt> {
    changes.map_or(Answer::Gone, Answer::Changes)
}

pub fn uid_validity(number: u32) -> Result<UidValidity, Refusal> {
    let number = NonZeroU32::new(number).map(UidValidity);
    number.ok_or_else(|| not_now("tell a UIDVALIDITY", "it is 0"))
}
