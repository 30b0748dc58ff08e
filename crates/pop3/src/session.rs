use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use mail_types::{AccountId, MailId, MailboxId, Uid};
use net::{Ear, Service, now};
use pop3_machine::{Answer, Entry, Question, Trouble, TroubleCode};
use sign_in::Standing;
use store::{INBOX, SessionActor, Store, UidRanges, Via};

use crate::Shared;
use crate::locks::Lock;

/// One connection's side of the service.
pub struct Session {
    shared: Arc<Shared>,
    peer: IpAddr,
    maildrop: Option<Maildrop>,
    /// The message being sent, from its first part to its last.
    reading: Option<(usize, Vec<u8>)>,
    /// By which credentials it has signed in.
    standing: Option<Standing>,
    accounts: Ear,
}

/// The inbox as it was at sign-in.
struct Maildrop {
    actor: SessionActor,
    mailbox: MailboxId,
    messages: Vec<(Uid, MailId)>,
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
            Question::Continue => Answer::Continue,
            Question::Remove { messages } => Answer::Remove(self.remove(&messages).await),
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
        Self { shared, peer, maildrop: None, reading: None, standing: None, accounts }
    }

    async fn sign_in(&mut self, question: sasl::Question) -> sasl::Answer {
        let sign_in = &self.shared.sign_in;
        let answer = sign_in.answer(question, self.peer, now, tokio::time::sleep).await;
        self.standing = sign_in.standing(&answer);
        answer
    }

    async fn open(&mut self, account: AccountId) -> Result<Vec<Entry>, Trouble> {
        // RFC 1939 §4: the lock comes first, then what it protects is read.
        let Some(lock) = self.shared.locks.lock(account).await else {
            let text = "another session has this mailbox open, try again later".to_owned();
            return Err(Trouble { code: TroubleCode::InUse, text });
        };
        let actor = SessionActor { account, ip: Some(self.peer), via: Via::Pop3 };
        let store = self.shared.store.clone();
        let read = tokio::task::spawn_blocking(move || read_inbox(&store, account)).await;
        let (mailbox, messages, entries) =
            read.map_err(|error| not_now("read an inbox", error))??;
        self.maildrop = Some(Maildrop { actor, mailbox, messages, _lock: lock });
        Ok(entries)
    }

    async fn read(
        &mut self,
        message: usize,
        from: u64,
        octets_max: usize,
    ) -> Result<Vec<u8>, Trouble> {
        let body = match self.reading.take() {
            Some((index, body)) if index == message => body,
            _ => self.body(message).await?,
        };
        let rest = usize::try_from(from).ok().and_then(|from| body.get(from..)).unwrap_or_default();
        let part = rest[..rest.len().min(octets_max)].to_vec();
        if part.len() < rest.len() {
            self.reading = Some((message, body));
        }
        Ok(part)
    }

    async fn body(&self, message: usize) -> Result<Vec<u8>, Trouble> {
        let maildrop = self.maildrop.as_ref();
        let mail = maildrop.and_then(|maildrop| maildrop.messages.get(message));
        let Some(&(_, mail)) = mail else {
            return Err(not_now("read a message", "it is not in the maildrop"));
        };
        let store = self.shared.store.clone();
        // What another session has expunged meanwhile is in the archive still, and can be read.
        let read = tokio::task::spawn_blocking(move || match store.mail_facts(&[mail]) {
            Ok(facts) => match facts.first() {
                Some(facts) => store.body(facts).map_err(|error| error.to_string()),
                None => Err("it is not known".to_owned()),
            },
            Err(error) => Err(error.to_string()),
        });
        match read.await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(cause)) => Err(not_now("read a message", format_args!("{mail}: {cause}"))),
            Err(error) => Err(not_now("read a message", error)),
        }
    }

    async fn remove(&self, messages: &[usize]) -> Result<(), Trouble> {
        let Some(maildrop) = &self.maildrop else {
            return Err(not_now("remove messages", "no maildrop is open"));
        };
        let uids = messages.iter().filter_map(|&index| Some(maildrop.messages.get(index)?.0));
        let removed = self.shared.store.remove(maildrop.actor, maildrop.mailbox, ranges(uids));
        match removed.await {
            Ok(_) => Ok(()),
            Err(refused) => Err(not_now("remove messages", refused)),
        }
    }
}

type Inbox = (MailboxId, Vec<(Uid, MailId)>, Vec<Entry>);

fn read_inbox(store: &Store, account: AccountId) -> Result<Inbox, Trouble> {
    let trouble = |error: store::StoreError| not_now("read an inbox", error);
    let missing = || not_now("read an inbox", format_args!("account {account} has none"));
    let inbox = store.mailbox(account, INBOX).map_err(trouble)?.ok_or_else(missing)?;
    let (inbox, rows) = store.snapshot(inbox.id).map_err(trouble)?.ok_or_else(missing)?;
    let entries = rows.iter().map(|row| Entry {
        octets: row.bytes,
        // RFC 1939 §7: neither number ever comes to mean another message (RFC 3501 §2.3.1.1).
        unique_id: format!("{}.{}", inbox.uid_validity, row.uid).into(),
    });
    let entries = entries.collect();
    let messages = rows.into_iter().map(|row| (row.uid, row.mail)).collect();
    Ok((inbox.id, messages, entries))
}

/// Ascending UIDs as ranges that hold no other.
fn ranges(uids: impl Iterator<Item = Uid>) -> UidRanges {
    let mut ranges = UidRanges::new();
    for uid in uids.map(Uid::get) {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(uid) => *last = uid,
            _ => ranges.push((uid, uid)),
        }
    }
    ranges
}

/// Our own trouble: the operator reads the cause, the client that it may come again.
fn not_now(doing: &str, cause: impl Display) -> Trouble {
    tracing::error!(%cause, "cannot {doing}");
    let text = "this is not possible at the moment, nothing is lost, try again later".to_owned();
    Trouble { code: TroubleCode::Temporary, text }
}
