use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use imap_machine::grammar::{MailboxName, StoreMode, UidSet};
use imap_machine::view::Newest;
use imap_machine::{Answer, Copied, Event, Question, Refusal, Selected as Opened};
use mail_types::{AccountId, Flags, MailboxId, ModSeq, Right, Rights, UidValidity};
use net::{Ear, Service, now};
use sign_in::Standing;
use store::{
    FlagsChange, Mailbox, OpenMailbox, Receipt, Refused, SessionActor, SessionId, Store,
    Transferred, Vanished, Via,
};

use crate::Shared;
use crate::appending::Appends;
use crate::decoded::Decoded;
use crate::refusals::{Missing, lost_track, no_mailbox, not_now, refusal};
use crate::selected::{Selected, uid_set};
use crate::url_octets::UrlHeld;
use crate::watching::Watching;

/// UIDs that a client is told of as expunged one by one; of more, all that no message has.
const VANISHED_MAX: usize = 100_000;

/// What a question comes to: its answer, or why not.
pub type Answered = Result<Answer<Receipt>, Refusal>;

/// One connection's side of the service.
pub struct Session {
    pub shared: Arc<Shared>,
    peer: IpAddr,
    number: SessionId,
    selected: Option<Selected>,
    /// Who has selected it: the machine names no account in questions about what is selected.
    account: Option<AccountId>,
    pub appends: Appends,
    /// What a URL names and is sent in pieces.
    pub url_held: Option<Box<UrlHeld>>,
    /// What of a part is decoded ahead.
    pub decoded: Option<Box<Decoded>>,
    /// By which credentials it has signed in.
    standing: Option<Standing>,
    accounts: Ear,
    /// NOTIFY wants news of all mailboxes.
    pub watching: Option<Box<Watching>>,
}

impl Service for Session {
    type Machine = imap_machine::Session<Receipt>;

    async fn answer(&mut self, question: Question) -> Answer<Receipt> {
        if !matches!(question, Question::Flush | Question::UrlFetch { .. }) {
            self.url_held = None;
        }
        if !matches!(question, Question::Flush | Question::Fetch { .. }) {
            self.decoded = None;
        }
        self.answered(question).await.unwrap_or_else(Answer::No)
    }

    async fn event(&mut self) -> Event {
        let Self { selected, appends, shared, standing, accounts, watching, .. } = self;
        let changed = async {
            match selected {
                Some(selected) => selected.changed().await,
                None => std::future::pending().await,
            }
        };
        let news = async {
            match watching {
                Some(watching) => watching.changed().await,
                None => std::future::pending().await,
            }
        };
        let signed_out = async {
            match standing {
                Some(standing) => accounts.until(|| !shared.sign_in.stands(standing)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = signed_out => Event::SignedOut,
            () = appends.decided() => Event::Appended,
            event = changed => event,
            event = news => event,
        }
    }
}

impl Session {
    pub fn new(shared: Arc<Shared>, peer: IpAddr) -> Self {
        let appends = Appends::default();
        let accounts = shared.accounts.listen();
        let number = shared.store.next_session();
        Self {
            shared,
            number,
            peer,
            selected: None,
            account: None,
            appends,
            url_held: None,
            decoded: None,
            standing: None,
            accounts,
            watching: None,
        }
    }

    async fn answered(&mut self, question: Question) -> Answered {
        match question {
            Question::Flush => {
                // What takes long is asked for in pieces, so that other sessions have their turn.
                tokio::task::yield_now().await;
                Ok(Answer::Done)
            }
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
            Question::Forget => {
                self.forget();
                Ok(Answer::Done)
            }
            Question::Vanished { mailbox, since } => self.vanished(mailbox, since).await,
            Question::Poll { .. } if self.may_read().is_err() => Ok(Answer::Gone),
            Question::Poll { .. } => self.newest(Answer::Newest),
            Question::Fetch { messages, need, .. } => {
                self.may_read()?;
                self.fetch(&messages, &need).await
            }
            Question::Store { mailbox, uids, mode, flags, unchanged_since } => {
                self.store(mailbox, &uids, (mode, flags), unchanged_since).await
            }
            Question::Copy { account, mailbox, uids, to } => {
                let store = self.handle();
                let uids = uids.ranges().to_vec();
                let copied = store.copy(self.actor(account), mailbox, uids, to.as_str()).await;
                match self.transferred(account, &to, copied).await? {
                    Some(copied) => Ok(Answer::Copied(copied)),
                    None => Ok(Answer::Gone),
                }
            }
            Question::Move { account, mailbox, uids, to } => {
                let store = self.handle();
                let uids = uids.ranges().to_vec();
                let actor = self.actor(account);
                let moved = store.move_messages(actor, mailbox, uids, to.as_str()).await;
                match self.transferred(account, &to, moved).await? {
                    Some(moved) => self.newest(|newest| Answer::Moved(moved, newest)),
                    None => Ok(Answer::Gone),
                }
            }
            Question::Expunge { mailbox, uids } => self.expunge(mailbox, uids).await,
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
            Question::UrlFetch { account, url, rump, wanted, from } => {
                self.url_fetch(account, &url, rump, wanted, from).await
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
                done(self.handle().delete_mailbox(self.actor(account), mailbox.as_str()).await)
            }
            Question::Rename { account, from, to } => self.rename(account, &from, &to).await,
            Question::Subscribe { account, mailbox, subscribed } => {
                let actor = self.actor(account);
                done(self.handle().set_subscribed(actor, mailbox.as_str(), subscribed).await)
            }
            Question::Match { messages, keys, .. } => {
                self.may_read()?;
                self.matches(&messages, &keys).await
            }
            Question::SortFacts { messages, .. } => {
                self.may_read()?;
                self.sort_facts(&messages).await
            }
            Question::Watch { account, on } => self.watch(account, on),
            Question::News { .. } => self.news(),
            Question::Glance { account, mailbox } => self.glance(account, &mailbox).await,
        }
    }

    /// UNAUTHENTICATE (RFC 8437): nothing of who was signed in is left.
    fn forget(&mut self) {
        self.selected = None;
        self.account = None;
        self.watching = None;
        self.standing = None;
        self.appends = Appends::default();
        self.url_held = None;
    }

    pub const fn actor(&self, account: AccountId) -> SessionActor {
        let (ip, session) = (Some(self.peer), Some(self.number));
        SessionActor { account, ip, via: Via::Imap, session }
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

    async fn sign_in(&mut self, question: sasl::Question) -> sasl::Answer {
        let sign_in = &self.shared.sign_in;
        let answer = sign_in.answer(question, self.peer, now, tokio::time::sleep).await;
        self.standing = sign_in.standing(&answer);
        answer
    }

    /// The mailbox of this name, with which the account may do this; and what else it may.
    pub fn mailbox(
        &self,
        account: AccountId,
        name: &MailboxName,
        right: Right,
        missing: Missing,
    ) -> Result<(Mailbox, Rights), Refusal> {
        let found = self.shared.store.reach(account, name.as_str());
        let (mailbox, rights) = found.ok_or_else(|| no_mailbox(missing))?;
        store::permit(rights, right).map_err(|refused| refusal(&refused, missing))?;
        Ok((mailbox, rights))
    }

    async fn select(&mut self, account: AccountId, name: MailboxName, read_only: bool) -> Answered {
        self.selected = None;
        let (mailbox, rights) = self.mailbox(account, &name, Right::Read, Missing::NonExistent)?;
        let mut selected = Selected::new(self.open(mailbox.id).await?, read_only);
        let newest = selected.opened(&self.shared.caches);
        let newest = newest.ok_or_else(|| no_mailbox(Missing::NonExistent))?;
        self.selected = Some(selected);
        self.account = Some(account);
        opened(mailbox.id, read_only, newest, rights)
    }

    async fn glance(&self, account: AccountId, name: &MailboxName) -> Answered {
        let (mailbox, rights) = self.mailbox(account, name, Right::Read, Missing::NonExistent)?;
        let rows = self.open(mailbox.id).await?.take();
        let rows = rows.ok_or_else(|| no_mailbox(Missing::NonExistent))?;
        let recent = self.shared.caches.recent(mailbox.id, rows.uid_next(), false);
        opened(mailbox.id, true, Newest { rows, recent }, rights)
    }

    /// A mailbox's messages, from memory where they are there.
    async fn open(&self, id: MailboxId) -> Result<OpenMailbox, Refusal> {
        let open = match self.shared.store.opened(id) {
            Some(open) => Some(open),
            None => self.read("open a mailbox", move |store| store.open_mailbox(id)).await?,
        };
        open.ok_or_else(|| no_mailbox(Missing::NonExistent))
    }

    async fn vanished(&self, mailbox: MailboxId, since: ModSeq) -> Answered {
        let read = self.read("look for what was expunged", move |store| {
            store.vanished(mailbox, since, VANISHED_MAX)
        });
        Ok(Answer::Vanished(match read.await? {
            Vanished::Uids(uids) => Some(uids.into_iter().collect()),
            Vanished::TooMany => None,
        }))
    }

    /// RFC 4314 §4: whoever is no longer let to read reads no more, the selected mailbox included.
    /// (What was in one that is deleted can still be fetched, RFC 2180 §4.1.)
    fn may_read(&self) -> Result<(), Refusal> {
        let (Some(selected), Some(account)) = (&self.selected, self.account) else { return Ok(()) };
        let rights = self.shared.store.rights_on(account, selected.mailbox());
        if rights.is_some_and(|rights| !rights.has(Right::Read)) {
            return Err(refusal(&Refused::NotAllowed, Missing::NonExistent));
        }
        Ok(())
    }

    /// The selected mailbox as it is now; [`Answer::Gone`] where it is gone.
    fn newest(&mut self, answer: impl FnOnce(Newest) -> Answer<Receipt>) -> Answered {
        let selected = self.selected.as_mut().ok_or_else(lost_track)?;
        Ok(selected.newest(&self.shared.caches).map_or(Answer::Gone, answer))
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
    ) -> Answered {
        let actor = self.actor_in(mailbox)?;
        let change = match mode {
            StoreMode::Replace => FlagsChange::Replace,
            StoreMode::Add => FlagsChange::Add,
            StoreMode::Remove => FlagsChange::Remove,
        };
        let uids = uids.ranges().to_vec();
        let store = self.handle();
        match store.set_flags(actor, mailbox, uids, change, flags, unchanged_since).await {
            Ok(outcome) => {
                let modified = uid_set(&outcome.modified);
                self.newest(|newest| Answer::Stored { newest, modified })
            }
            Err(Refused::Missing(_)) => Ok(Answer::Gone),
            Err(refused) => Err(refusal(&refused, Missing::NonExistent)),
        }
    }

    async fn expunge(&mut self, mailbox: MailboxId, uids: Option<UidSet>) -> Answered {
        let actor = self.actor_in(mailbox)?;
        let uids = uids.map(|uids| uids.ranges().to_vec());
        match self.handle().expunge(actor, mailbox, uids).await {
            Ok(_) => self.newest(Answer::Newest),
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
                self.mailbox(account, to, Right::Lookup, Missing::TryCreate)?;
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

fn opened(mailbox: MailboxId, read_only: bool, newest: Newest, rights: Rights) -> Answered {
    Ok(Answer::Selected(Box::new(Opened {
        mailbox,
        read_only,
        uid_validity: uid_validity(newest.rows.uid_validity())?,
        uid_next: newest.rows.uid_next(),
        rows: newest.rows,
        recent: newest.recent,
        rights,
    })))
}

pub fn uid_validity(number: u32) -> Result<UidValidity, Refusal> {
    let number = NonZeroU32::new(number).map(UidValidity);
    number.ok_or_else(|| not_now("tell a UIDVALIDITY", "it is 0"))
}
