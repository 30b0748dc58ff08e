use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use imap_machine::grammar::MailboxName;
use imap_machine::{Answer, Appended, Code, NewMessage, Refusal};
use journal::{Arrival, RealDisk};
use mail_types::{AccountId, Flags, MailboxId, Right, Uid};
use message::{HeaderFacts, Limits};
use store::{Append, Pending, Receipt, Refused};
use tokio::sync::OwnedSemaphorePermit;

use crate::caches::Caches;
use crate::refusals::{Missing, lost_track, not_now, refusal};
use crate::session::{Answered, Session, uid_validity};

/// Octets of a header that are read for Message-ID and Subject.
const HEADER_OCTETS_MAX: usize = 64 * 1024;
/// Octets of the messages of one command that wait in memory for its end; further ones go to files.
const HELD_OCTETS_MAX: u64 = 16 << 20;

/// What a session appends.
#[derive(Default)]
pub struct Appends {
    /// The mailbox that took a message last: that it is there need not be looked up again, since
    /// the commit looks too.
    known: Option<(AccountId, MailboxName, AccountId)>,
    coming: Option<Box<Coming>>,
    /// Commits under way, the oldest first.
    commits: VecDeque<Commit>,
    /// The machine knows that the oldest is decided.
    announced: bool,
}

/// Messages of one command on their way in. They are kept as they come: no trace field is added.
struct Coming {
    account: AccountId,
    mailbox: MailboxName,
    replaces: Option<(MailboxId, Uid)>,
    whole: Vec<store::NewMessage>,
    /// Octets of those that have no file.
    held_octets: u64,
    /// Room for them.
    room: Option<OwnedSemaphorePermit>,
    message: NewMessage,
    arrival: Arrival<RealDisk>,
    /// Its first octets.
    header: Vec<u8>,
}

type Decided = Result<Option<store::Appended>, Refused>;

enum Commit {
    /// The lock is never waited for: it is there since a session is shared by reference between
    /// threads, which the store's answer may not be.
    UnderWay(Mutex<<Pending<Option<store::Appended>> as IntoFuture>::IntoFuture>),
    Decided(Decided),
}

impl Commit {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Self::UnderWay(commit) = self {
            let commit = commit.get_mut().unwrap_or_else(PoisonError::into_inner);
            *self = Self::Decided(ready!(Pin::new(commit).poll(context)));
        }
        Poll::Ready(())
    }
}

/// RFC 3501 §6.3.11, RFC 3502.
impl Session {
    pub async fn append_begin(
        &mut self,
        account: AccountId,
        mailbox: MailboxName,
        replaces: Option<(MailboxId, Uid)>,
        message: NewMessage,
    ) -> Answered {
        self.appends.coming = None;
        if let Some(reason) = self.shared.store.stopped() {
            return Err(not_now("take a message, the store has stopped", reason));
        }
        let known = self.appends.known.take();
        let owner = match known.filter(|(of, name, _)| *of == account && *name == mailbox) {
            Some((.., owner)) => owner,
            None => {
                let right = Right::Insert;
                self.mailbox(account, &mailbox, right, Missing::TryCreate)?.0.account
            }
        };
        self.appends.known = Some((account, mailbox.clone(), owner));
        // RFC 9208 §4: what will not fit is refused before it is read; the commit looks again.
        let octets = u64::from(message.octets.unwrap_or(0));
        let goes = u64::from(replaces.is_some());
        let room = self.shared.store.check_quota(owner, 1 - goes, octets);
        room.map_err(|refused| refusal(&refused, Missing::TryCreate))?;
        self.appends.coming = Some(Box::new(Coming {
            account,
            mailbox,
            replaces,
            whole: Vec::new(),
            held_octets: 0,
            room: None,
            message,
            arrival: self.shared.store.arrival(),
            header: Vec::new(),
        }));
        Ok(Answer::Done)
    }

    pub async fn append_next(&mut self, message: NewMessage) -> Answered {
        let coming = self.appends.coming.take().ok_or_else(lost_track)?;
        self.appends.coming = Some(self.finished(coming, message).await?);
        Ok(Answer::Done)
    }

    pub fn append_bytes(&mut self, bytes: &[u8]) -> Answered {
        let coming = self.appends.coming.as_mut().ok_or_else(lost_track)?;
        // Of a message put together from parts the machine does not know all sizes.
        let max = self.shared.limits.message_octets_max;
        if coming.arrival.size() + bytes.len() as u64 > u64::from(max) {
            self.appends.coming = None;
            let text = format!("A message has at most {max} octets here");
            return Err(Refusal::new(Code::TooBig, text));
        }
        let room = HEADER_OCTETS_MAX - coming.header.len();
        coming.header.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if let Err(error) = coming.arrival.write(bytes) {
            self.appends.coming = None;
            return Err(disk_trouble(&error));
        }
        Ok(Answer::Done)
    }

    /// Has it committed; what comes of it is asked for later.
    pub async fn append_end(&mut self) -> Answered {
        let coming = self.appends.coming.take().ok_or_else(lost_track)?;
        let none = NewMessage { flags: Flags::default(), internal_date: None, octets: None };
        let coming = self.finished(coming, none).await?;
        let append = Append {
            actor: self.actor(coming.account),
            mailbox: coming.mailbox.to_string(),
            messages: coming.whole,
            replaces: coming.replaces,
            room: coming.room.map(|room| Box::new(room) as Box<dyn Send>),
        };
        let commit = self.handle().append(append).into_future();
        self.appends.commits.push_back(Commit::UnderWay(Mutex::new(commit)));
        Ok(Answer::Done)
    }

    pub fn append_abort(&mut self) -> Answer<Receipt> {
        self.appends.coming = None;
        Answer::Done
    }

    /// What has become of the oldest commit, and of those behind it that are decided too.
    pub async fn append_settle(&mut self) -> Answered {
        self.appends.oldest_decided().await;
        self.appends.announced = false;
        let mut settled = Vec::new();
        while self.appends.is_oldest_decided() {
            let Some(Commit::Decided(decided)) = self.appends.commits.pop_front() else { break };
            if decided.is_err() {
                // Its mailbox may be gone.
                self.appends.known = None;
            }
            settled.push(appended(decided));
        }
        if settled.is_empty() { Err(lost_track()) } else { Ok(Answer::Appended(settled)) }
    }

    /// The message under way is whole; the next one begins.
    async fn finished(
        &self,
        mut coming: Box<Coming>,
        next: NewMessage,
    ) -> Result<Box<Coming>, Refusal> {
        let arrival = std::mem::replace(&mut coming.arrival, self.shared.store.arrival());
        let size = arrival.size();
        if size == 0 {
            return Err(Refusal::new(Code::ClientBug, "An empty message is none"));
        }
        let body = if coming.has_room(&arrival, &self.shared.caches) {
            arrival.finish()
        } else {
            // A large one is synced here.
            let finish = move || arrival.into_file()?.finish();
            match tokio::task::spawn_blocking(finish).await {
                Ok(finished) => finished,
                Err(error) => return Err(not_now("keep a message", error)),
            }
        };
        let body = body.map_err(|error| disk_trouble(&error))?;
        let facts = HeaderFacts::read(&coming.header, &Limits::default());
        coming.header.clear();
        let text = |id: &[u8]| String::from_utf8_lossy(id).trim_matches(['<', '>', ' ']).to_owned();
        let NewMessage { flags, internal_date, .. } = std::mem::replace(&mut coming.message, next);
        coming.whole.push(store::NewMessage {
            mail: self.shared.store.next_mail(),
            body,
            flags,
            internal_date,
            message_id: facts.message_id.as_deref().map(text),
            subject: facts.subject,
        });
        Ok(coming)
    }
}

impl Coming {
    /// Whether a message may wait in memory for its commit.
    fn has_room(&mut self, arrival: &Arrival<RealDisk>, caches: &Caches) -> bool {
        let held_octets = self.held_octets + arrival.size();
        if arrival.is_file() || held_octets > HELD_OCTETS_MAX {
            return false;
        }
        let Some(more) = caches.append_room(arrival.size()) else { return false };
        self.held_octets = held_octets;
        match &mut self.room {
            Some(room) => room.merge(more),
            None => self.room = Some(more),
        }
        true
    }
}

impl Appends {
    /// Waits until the oldest commit is decided and the machine does not know of it. Safe to drop
    /// and call again.
    pub async fn decided(&mut self) {
        if self.announced || self.commits.is_empty() {
            return std::future::pending().await;
        }
        self.oldest_decided().await;
        self.announced = true;
    }

    /// Waits for the oldest commit; at once where there is none.
    async fn oldest_decided(&mut self) {
        if let Some(oldest) = self.commits.front_mut() {
            poll_fn(|context| oldest.poll(context)).await;
        }
    }

    fn is_oldest_decided(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.commits.front_mut().is_some_and(|oldest| oldest.poll(&mut context).is_ready())
    }
}

fn appended(decided: Decided) -> Result<Appended<Receipt>, Refusal> {
    match decided {
        Ok(Some(store::Appended { receipts, uid_validity: number, uids })) => Ok(Appended {
            receipts,
            uid_validity: uid_validity(number)?,
            uids: uids.iter().map(|uid| uid.get()).collect(),
        }),
        Ok(None) => Err(Refusal::new(Code::ExpungeIssued, "The message to replace is gone")),
        Err(refused) => Err(refusal(&refused, Missing::TryCreate)),
    }
}

fn disk_trouble(error: &std::io::Error) -> Refusal {
    not_now("write a message", error)
}
