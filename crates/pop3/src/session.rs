use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use mail_types::{AccountId, MailboxId};
use mailbox::Rows;
use net::{Ear, Service, now};
use pop3_machine::{Answer, Question, Trouble, TroubleCode};
use sign_in::Standing;
use store::{INBOX, SessionActor, UidRanges, Via};

use crate::Shared;
use crate::ahead::{Ahead, Plan};
use crate::locks::Lock;

/// One connection's side of the service.
pub struct Session {
    shared: Arc<Shared>,
    peer: IpAddr,
    maildrop: Option<Maildrop>,
    /// What was read and not yet sent.
    ahead: Ahead,
    /// By which credentials it has signed in.
    standing: Option<Standing>,
    accounts: Ear,
}

/// The inbox as it was at sign-in: a reference, no copy.
struct Maildrop {
    actor: SessionActor,
    mailbox: MailboxId,
    rows: Rows,
    _lock: Lock,
}

impl Service for Session {
    type Machine = pop3_machine::Session;

    async fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::SignIn(question) => Answer::SignIn(self.sign_in(question).await),
            Question::Open { account, .. } => Answer::Open(self.open(account).await),
            Question::Read { message, from, octets_max } => {
                Answer::Read(self.read(message, from, octets_max).await)
            }
            Question::Continue => {
                // A long list is written in pieces, so that other sessions have their turn.
                tokio::task::yield_now().await;
                Answer::Continue
            }
            Question::Remove { uids } => Answer::Remove(self.remove(uids).await),
        }
    }

    /// Its account is gone, or has another password.
    async fn event(&mut self) {
        match &self.standing {
            Some(standing) => {
                self.accounts.until(|| !self.shared.sign_in.stands(standing)).await;
            }
            None => std::future::pending().await,
        }
    }
}

impl Session {
    pub fn new(shared: Arc<Shared>, peer: IpAddr) -> Self {
        let accounts = shared.accounts.listen();
        Self { shared, peer, maildrop: None, ahead: Ahead::default(), standing: None, accounts }
    }

    async fn sign_in(&mut self, question: sasl::Question) -> sasl::Answer {
        let sign_in = &self.shared.sign_in;
        let answer = sign_in.answer(question, self.peer, now, tokio::time::sleep).await;
        self.standing = sign_in.standing(&answer);
        answer
    }

    async fn open(&mut self, account: AccountId) -> Result<Rows, Trouble> {
        // RFC 1939 §4: the lock comes first, then what it protects is read.
        let Some(lock) = self.shared.locks.lock(account).await else {
            let text = "another session has this mailbox open, try again later".to_owned();
            return Err(Trouble { code: TroubleCode::InUse, text });
        };
        let (ip, session) = (Some(self.peer), Some(self.shared.store.next_session()));
        let actor = SessionActor { account, ip, via: Via::Pop3, session };
        let (mailbox, rows) = self.inbox(account).await?;
        self.maildrop = Some(Maildrop { actor, mailbox, rows: rows.clone(), _lock: lock });
        Ok(rows)
    }

    /// The inbox's messages as of the last sync, from memory where they are there.
    async fn inbox(&self, account: AccountId) -> Result<(MailboxId, Rows), Trouble> {
        let doing = "read an inbox";
        let store = &self.shared.store;
        let missing = || not_now(doing, format_args!("account {account} has none"));
        let inbox = store.mailbox(account, INBOX).map_err(|error| not_now(doing, error))?;
        let inbox = inbox.ok_or_else(missing)?.id;
        let open = match store.opened(inbox) {
            Some(open) => Some(open),
            None => {
                let store = store.clone();
                let read = tokio::task::spawn_blocking(move || store.open_mailbox(inbox)).await;
                let read = read.map_err(|error| not_now(doing, error))?;
                read.map_err(|error| not_now(doing, error))?
            }
        };
        let rows = open.and_then(|mut open| open.take()).ok_or_else(missing)?;
        Ok((inbox, rows))
    }

    async fn read(
        &mut self,
        message: usize,
        from: u64,
        octets_max: usize,
    ) -> Result<Vec<u8>, Trouble> {
        if let Some(part) = self.ahead.take(message, from, octets_max) {
            return Ok(part);
        }
        let plan = match &self.maildrop {
            Some(maildrop) => self.ahead.plan(&maildrop.rows, message, from),
            None => None,
        };
        let plan = plan.ok_or_else(|| not_now("read a message", "it is not in the maildrop"))?;
        self.ahead = self.read_ahead(plan).await?;
        let part = self.ahead.take(message, from, octets_max);
        part.ok_or_else(|| not_now("read a message", "it cannot be read"))
    }

    async fn read_ahead(&self, plan: Plan) -> Result<Ahead, Trouble> {
        let _turn = self.shared.reads.turn().await;
        let store = self.shared.store.clone();
        // What another session has expunged meanwhile is in the archive still, and can be read.
        let read = tokio::task::spawn_blocking(move || plan.read(&store)).await;
        let read = read.map_err(|error| not_now("read a message", error))?;
        read.map_err(|error| not_now("read a message", error))
    }

    async fn remove(&self, uids: UidRanges) -> Result<(), Trouble> {
        let Some(maildrop) = &self.maildrop else {
            return Err(not_now("remove messages", "no maildrop is open"));
        };
        let removed = self.shared.store.remove(maildrop.actor, maildrop.mailbox, uids);
        match removed.await {
            Ok(_) => Ok(()),
            Err(refused) => Err(not_now("remove messages", refused)),
        }
    }
}

/// Our own trouble: the operator reads the cause, the client that it may come again.
fn not_now(doing: &str, cause: impl Display) -> Trouble {
    tracing::error!(%cause, "cannot {doing}");
    let text = "this is not possible at the moment, nothing is lost, try again later".to_owned();
    Trouble { code: TroubleCode::Temporary, text }
}
