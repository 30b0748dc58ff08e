//! The durable queue of `deliver`, kept by the store.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deliver::{Attempt, Due, Item, Mail, Queue, QueueError, Sent, Taken};
use mail_types::{Address, CustodyId, Domain, Host, MailId, ReversePath};
use store::{
    Directory, MailFacts, NewReport, Pending, QueueItem, Refused, Resolution, Settled, Store,
    StoreError,
};
use tokio::sync::Notify;

use crate::dkim_signing::{self, Signing};

/// The store as the queue runner sees it.
pub struct Outbound {
    store: Store,
    hostname: Domain,
    changed: Arc<Notify>,
    open: Mutex<Open>,
    signing: Signing,
}

/// What is known of items that are taken.
#[derive(Default)]
struct Open {
    /// Custodies whose attempt was recorded.
    begun: HashSet<CustodyId>,
    /// Where the messages of taken items lie, and how many of them are taken.
    mails: HashMap<MailId, (MailFacts, u64, usize)>,
    /// Messages of ours, with their DKIM-Signature fields once they were made: the same for all
    /// their recipients.
    ours: HashMap<MailId, Option<Arc<str>>>,
    /// Reverse-paths that forwarded messages leave with.
    forwarded: HashMap<MailId, ReversePath>,
    /// Large messages of which pieces are being sent.
    large: HashMap<MailId, Arc<Vec<u8>>>,
}

impl Outbound {
    pub fn new(store: Store, hostname: Domain) -> Self {
        let changed = Arc::new(Notify::new());
        let wake = Arc::clone(&changed);
        store.on_queue(Box::new(move || wake.notify_one()));
        let signing = Signing::new(store.clone());
        Self { store, hostname, changed, open: Mutex::default(), signing }
    }

    /// Reads a message, checks it, and keeps a large one while its pieces are asked for.
    async fn read_whole(&self, facts: MailFacts) -> Result<Arc<Vec<u8>>, QueueError> {
        let store = self.store.clone();
        let read = move || store.body(&facts).map(Arc::new);
        // A body in the journal is one read of a few KiB; a thread's hand-over would cost more.
        let large = facts.body_bytes >= SMALL_BYTES;
        let body = if large { blocking(read).await? } else { read() }.map_err(failed)?;
        let mut open = self.open();
        let kept: usize = open.large.values().map(|body| body.len()).sum();
        if large && kept + body.len() <= LARGE_KEPT_BYTES_MAX {
            open.large.insert(facts.receipt.mail, Arc::clone(&body));
        }
        Ok(body)
    }

    /// The DKIM-Signature fields that go in front of a message of ours, made at its first read.
    async fn signatures(
        &self,
        mail: MailId,
        body: &Arc<Vec<u8>>,
        front: usize,
    ) -> Result<Arc<str>, QueueError> {
        match self.open().ours.get(&mail) {
            None => return Ok(Arc::default()),
            Some(Some(made)) => return Ok(Arc::clone(made)),
            Some(None) => {}
        }
        let (signing, whole) = (self.signing.clone(), Arc::clone(body));
        let sign = move || signing.sign(&whole[front..], net::now());
        let made: Arc<str> = if body.len() as u64 >= SMALL_BYTES {
            blocking(sign).await?.into()
        } else {
            sign().into()
        };
        // Kept, so that a later piece follows on the same signatures.
        let mut open = self.open();
        Ok(match open.ours.get_mut(&mail) {
            Some(place) => Arc::clone(place.get_or_insert(made)),
            None => made,
        })
    }

    fn settle(&self, attempt: Attempt) -> Result<Pending<()>, QueueError> {
        let report = attempt.report.map(report_of).transpose()?;
        let peer = attempt.peer.map(peer_of);
        let settled = attempt
            .results
            .into_iter()
            .map(|(custody, outcome)| settled_of(custody, peer.clone(), outcome))
            .collect();
        let tries = attempt.tries.iter().map(|tried| try_of(tried, peer.as_ref())).collect();
        Ok(self.store.settle(settled, tries, report))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reverse-path for a message of somebody outside that an alias leads out again: of the alias's
/// domain, which may send it.
fn forwarding_path(
    directory: &Directory,
    item: &QueueItem,
    now: mail_types::Timestamp,
) -> Option<ReversePath> {
    let accepted = &item.mail.accepted;
    if dkim_signing::is_ours(&accepted.source) {
        return None;
    }
    let alias = accepted.custodies.iter().find(|custody| match &custody.fate {
        store::Fate::Expanded { into } => into.contains(&item.custody),
        store::Fate::Delivered { .. } | store::Fate::Queued { .. } | store::Fate::Held(_) => false,
    })?;
    let domain = alias.recipient.domain()?;
    Some(directory.forwarding_path(&accepted.reverse_path, domain, now))
}

/// Bytes of the Return-Path line in front of a kept message. RFC 5321 §4.4: it is for final
/// delivery alone, so what goes to other hosts begins behind it.
fn return_path_bytes(item: &QueueItem) -> u64 {
    message::return_path(&item.mail.accepted.reverse_path).len() as u64
}

impl Open {
    fn forget(&mut self, mail: MailId, count: usize) {
        if let Some((_, _, taken)) = self.mails.get_mut(&mail) {
            *taken = taken.saturating_sub(count);
            if *taken == 0 {
                self.mails.remove(&mail);
                self.ours.remove(&mail);
                self.forwarded.remove(&mail);
                self.large.remove(&mail);
            }
        }
    }
}

impl Queue for Outbound {
    async fn take_due(&self, want: Due) -> Result<Taken, QueueError> {
        let store = self.store.clone();
        let skip = move |destination: &str, priority| match format!("x@{destination}")
            .parse::<Address>()
        {
            Ok(address) => (want.skip)(&address.host, priority),
            Err(_) => false,
        };
        let taken = blocking(move || store.take_due(want.now, want.count_max, &skip)).await?;
        let (items, next_due) = taken.map_err(failed)?;
        let directory = self.store.directory();
        let mut open = self.open();
        let mut mails: HashMap<MailId, Arc<Mail>> = HashMap::new();
        let items = items
            .into_iter()
            .map(|item| {
                let facts = item.mail.facts;
                let front = return_path_bytes(&item);
                let id = facts.receipt.mail;
                open.mails.entry(id).or_insert((facts, front, 0)).2 += 1;
                if let Some(path) = forwarding_path(&directory, &item, want.now) {
                    open.forwarded.entry(id).or_insert(path);
                }
                if dkim_signing::is_ours(&item.mail.accepted.source) {
                    open.ours.entry(id).or_default();
                }
                let mail = mails.entry(id).or_insert_with(|| Arc::new(mail_of(&item))).clone();
                item_of(item, mail)
            })
            .collect();
        Ok(Taken { items, next_due })
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    async fn read_body(
        &self,
        mail: MailId,
        offset: u64,
        bytes_max: usize,
    ) -> Result<Vec<u8>, QueueError> {
        let known = self.open().mails.get(&mail).copied();
        let (facts, front, _) =
            known.ok_or_else(|| QueueError(format!("message {mail} is not taken")))?;
        let kept = self.open().large.get(&mail).cloned();
        let body = match kept {
            Some(body) => body,
            None => self.read_whole(facts).await?,
        };
        let front = usize::try_from(front).unwrap_or(usize::MAX).min(body.len());
        let signatures = self.signatures(mail, &body, front).await?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let signature = signatures.as_bytes().get(offset..).unwrap_or_default();
        let signature = &signature[..signature.len().min(bytes_max)];
        let start = front + offset.saturating_sub(signatures.len()).min(body.len() - front);
        let end = start.saturating_add(bytes_max - signature.len()).min(body.len());
        if end == body.len() {
            self.open().large.remove(&mail);
        }
        Ok([signature, &body[start..end]].concat())
    }

    async fn begin_attempts(
        &self,
        custodies: &[CustodyId],
        peer: &deliver::Peer,
    ) -> Result<Vec<CustodyId>, QueueError> {
        let begun = self.store.begin_attempts(custodies.to_vec(), peer_of(peer.clone()));
        let begun = begun.await.map_err(refused)?;
        self.open().begun.extend(&begun);
        Ok(begun)
    }

    async fn record(&self, attempts: &[Attempt]) -> Vec<Result<(), QueueError>> {
        // All of them are with the writer before the first is waited for: one group, one sync.
        let pending: Vec<_> =
            attempts.iter().cloned().map(|attempt| self.settle(attempt)).collect();
        let mut results = Vec::with_capacity(pending.len());
        for (attempt, pending) in attempts.iter().zip(pending) {
            let result = match pending {
                Ok(pending) => pending.await.map_err(refused),
                Err(error) => Err(error),
            };
            if result.is_ok() {
                let mut open = self.open();
                open.forget(attempt.mail, attempt.results.len());
                for (custody, _) in &attempt.results {
                    open.begun.remove(custody);
                }
            }
            results.push(result);
        }
        results
    }

    fn sent_as(&self, mail: &Mail) -> ReversePath {
        let forwarded = self.open().forwarded.get(&mail.id).cloned();
        forwarded.unwrap_or_else(|| mail.reverse_path.clone())
    }

    async fn reached_lately(&self, hosts_max: usize) -> Vec<Host> {
        let store = self.store.clone();
        let read = blocking(move || store.reached_lately(hosts_max)).await;
        read.and_then(|hosts| hosts.map_err(failed)).unwrap_or_else(|error| {
            tracing::warn!(%error, "nothing is known of hosts that mail has reached");
            Vec::new()
        })
    }

    async fn sent_lately(&self) -> Sent {
        let store = self.store.clone();
        let read = blocking(move || store.sent_lately()).await;
        let read = read.and_then(|sent| sent.map_err(failed));
        let store::Sent { by_host, by_source } = read.unwrap_or_else(|error| {
            tracing::warn!(%error, "nothing is known of what was sent; rates begin anew");
            store::Sent::default()
        });
        Sent { by_host, by_source }
    }

    fn postmaster(&self) -> Option<Address> {
        postmaster(&self.store.directory(), &self.hostname)
    }

    async fn give_back(&self, custodies: &[CustodyId]) -> Result<(), QueueError> {
        let begun: Vec<CustodyId> = {
            let open = self.open();
            custodies.iter().copied().filter(|custody| open.begun.contains(custody)).collect()
        };
        self.store.give_back(custodies, begun).await.map_err(refused)?;
        let mut open = self.open();
        custodies.iter().for_each(|custody| {
            open.begun.remove(custody);
        });
        Ok(())
    }
}

/// The postmaster of the host's name or, where that is no mail domain, of a local one.
fn postmaster(directory: &Directory, hostname: &Domain) -> Option<Address> {
    let of = |domain: &Domain| {
        let address = Address::parse(&format!("postmaster@{domain}")).ok()?;
        match directory.resolve(&address) {
            Resolution::Account(_) | Resolution::Alias(_) => Some(address),
            Resolution::UnknownUser | Resolution::Remote => None,
        }
    };
    of(hostname).or_else(|| directory.domains().find_map(of))
}

/// Messages below this are read without a thread of their own.
const SMALL_BYTES: u64 = 256 << 10;
/// Large messages kept in memory while they are sent; beyond it each piece is read anew.
const LARGE_KEPT_BYTES_MAX: usize = 64 << 20;

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, QueueError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| QueueError(error.to_string()))
}

fn failed(error: StoreError) -> QueueError {
    QueueError(error.to_string())
}

fn refused(refused: Refused) -> QueueError {
    QueueError(refused.to_string())
}

fn mail_of(item: &QueueItem) -> Mail {
    let accepted = &item.mail.accepted;
    Mail {
        id: accepted.mail,
        receipt: Some(item.mail.facts.receipt),
        reverse_path: accepted.reverse_path.clone(),
        envelope_id: accepted.envelope_id.clone(),
        return_headers_only: accepted.return_headers_only,
        eight_bit: accepted.eight_bit,
        smtp_utf8: accepted.smtp_utf8,
        requires_tls: item.mail.facts.requires_tls,
        priority: item.priority,
        future_release: item.mail.facts.future_release.map(|later| later.request()),
        body_bytes: accepted.body_bytes.saturating_sub(return_path_bytes(item)),
        accepted: item.mail.facts.accepted,
        for_postmaster: accepted
            .custodies
            .first()
            .is_some_and(|first| is_postmaster(&first.recipient)),
    }
}

/// RFC 5321 §4.5.1: the name is reserved, in any case.
fn is_postmaster(address: &Address) -> bool {
    address.localpart.as_str().eq_ignore_ascii_case("postmaster")
}

fn item_of(item: QueueItem, mail: Arc<Mail>) -> Item {
    let custody = &item.mail.accepted.custodies[item.place];
    let notify = custody.notify.map(|notify| {
        if notify.never {
            deliver::Notify::Never
        } else {
            let store::Notify { success, failure, delay, .. } = notify;
            deliver::Notify::On { success, failure, delay }
        }
    });
    Item {
        custody: item.custody,
        mail,
        notify,
        original_recipient: custody.original_recipient.clone(),
        recipient: item.recipient,
        attempts: item.attempts,
        warned: item.delay_told,
        uncertain: item.uncertain,
        since: item.since,
        relay: item.relay.and_then(|relay| relay.parse().ok()),
        give_back: item.give_back,
    }
}

fn peer_of(peer: deliver::Peer) -> store::Peer {
    let deliver::Peer { host, ip, port, tls, tls_verified, tls_failure } = peer;
    store::Peer { host, ip, port, tls, tls_verified, tls_failure }
}

/// A host that is also the one asked last is not written twice.
fn try_of(tried: &deliver::Try, last: Option<&store::Peer>) -> store::Try {
    let peer = peer_of(tried.peer.clone());
    store::Try {
        begun: tried.begun,
        path: match tried.path {
            deliver::Path::Direct => store::Path::Direct,
            deliver::Path::SmartHost => store::Path::SmartHost,
        },
        peer: (last != Some(&peer)).then_some(peer),
        preference: tried.preference,
        source: tried.source,
        policy: tried.policy.clone(),
        policy_said: tried.policy_said.clone(),
        before: tried.before,
        phases: tried.phases.iter().map(phase_of).collect(),
    }
}

fn phase_of(phase: &deliver::Phase) -> store::Phase {
    use deliver::PhaseName as From;
    use store::PhaseName as To;
    let name = match phase.name {
        From::Dns => To::Dns,
        From::Connect => To::Connect,
        From::Greeting => To::Greeting,
        From::Hello => To::Hello,
        From::StartTls => To::StartTls,
        From::Handshake => To::Handshake,
        From::Rset => To::Rset,
        From::Mail => To::Mail,
        From::Rcpt => To::Rcpt,
        From::Data => To::Data,
        From::Content => To::Content,
        From::Dot => To::Dot,
    };
    store::Phase { name, reply: phase.reply.clone(), millis: phase.millis }
}

fn report_of(report: deliver::Report) -> Result<NewReport, QueueError> {
    let facts = message::HeaderFacts::read(&report.body, &message::Limits::default());
    let message_id = facts
        .message_id
        .map(|id| String::from_utf8_lossy(&id).trim_matches(['<', '>', ' ']).to_owned());
    // Delivered to an account of ours it needs its Return-Path; `take_due` takes it off again
    // where it goes on.
    let mut bytes = message::return_path(&mail_types::ReversePath::Null).into_bytes();
    bytes.extend_from_slice(&report.body);
    let body = journal::Body::from_bytes(&bytes)
        .map_err(|error| QueueError(format!("a report cannot be kept: {error}")))?;
    Ok(NewReport { to: report.to, about: report.about, body, subject: facts.subject, message_id })
}

fn settled_of(custody: CustodyId, peer: Option<store::Peer>, outcome: deliver::Outcome) -> Settled {
    let (outcome, reported) = match outcome {
        deliver::Outcome::Relayed { reply, reported, may_be_duplicate } => {
            (store::Outcome::Relayed { reply, report: None, may_be_duplicate }, reported)
        }
        deliver::Outcome::Deferred { reason, status, reply, due, reported } => {
            (store::Outcome::Deferred { reason, status, reply, due, report: None }, reported)
        }
        deliver::Outcome::Uncertain { reason, due } => {
            (store::Outcome::Uncertain { reason, due }, false)
        }
        deliver::Outcome::Returned { reason, status, reply, notice } => {
            let (notice, reported) = match notice {
                // The id is the commit's to give.
                deliver::Notice::Reported => (store::Notice::NotWanted, true),
                deliver::Notice::NullReversePath => (store::Notice::NullReversePath, false),
                deliver::Notice::NotWanted => (store::Notice::NotWanted, false),
            };
            (store::Outcome::Returned { reason, status, reply, notice }, reported)
        }
    };
    Settled { custody, peer, outcome, reported }
}
