//! The durable queue of `deliver`, kept by the store.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deliver::{
    Attempt, Due, Item, Late, LateTaken, Leaving, Mail, Piece, Pieces, Queue, QueueError, Sent,
    Skip, Taken,
};
use mail_types::{Address, CustodyId, Domain, Host, MailId, Peer, ReversePath, Timestamp};
use store::{
    Directory, Lane, MailFacts, NewReport, Pending, QueueItem, Refused, Resolution, Settled, Store,
    StoreError, TlsPolicySeen,
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
struct Open {
    /// Custodies whose attempt was recorded.
    begun: HashSet<CustodyId>,
    /// The messages of taken items.
    mails: HashMap<MailId, Kept>,
    /// What taken items are of.
    items: HashMap<CustodyId, MailId>,
    /// What goes in front of messages.
    fronts: HashMap<MailId, Front>,
    /// Reverse-paths that forwarded messages leave with.
    forwarded: HashMap<MailId, ReversePath>,
    /// Messages that were read and of which more is wanted.
    pieces: Pieces,
}

impl Default for Open {
    fn default() -> Self {
        Self {
            begun: HashSet::new(),
            mails: HashMap::new(),
            items: HashMap::new(),
            fronts: HashMap::new(),
            forwarded: HashMap::new(),
            pieces: Pieces::new(KEPT_BYTES_MAX),
        }
    }
}

/// A message of which items are taken.
#[derive(Clone, Copy)]
struct Kept {
    facts: MailFacts,
    /// Octets at its beginning that do not leave.
    skipped: u64,
    /// How many of its recipients are taken.
    taken: usize,
}

/// What goes in front of a message as it leaves; the same for all its recipients.
#[derive(Clone)]
struct Front {
    kind: FrontKind,
    /// Once it was made.
    made: Option<Arc<str>>,
}

/// What it is.
#[derive(Clone)]
enum FrontKind {
    /// DKIM-Signature fields: it is ours.
    Signatures,
    /// An ARC set of this domain, which forwards it.
    Seal(Domain),
}

impl Outbound {
    pub fn new(store: Store, hostname: Domain) -> Self {
        let changed = Arc::new(Notify::new());
        let wake = Arc::clone(&changed);
        store.on_queue(Box::new(move || wake.notify_one()));
        let signing = Signing::new(store.clone());
        Self { store, hostname, changed, open: Mutex::default(), signing }
    }

    /// Reads a message, checks it, and keeps what it can of a large one while its pieces are asked
    /// for, from `start` on.
    async fn read_whole(&self, facts: MailFacts, start: usize) -> Result<Arc<Vec<u8>>, QueueError> {
        let store = self.store.clone();
        let read = move || store.body(&facts).map(Arc::new);
        // A body in the journal is one read of a few KiB; a thread's hand-over would cost more.
        let large = facts.body_bytes >= SMALL_BYTES;
        let body = if large { blocking(read).await? } else { read() }.map_err(failed)?;
        if large {
            self.open().pieces.keep(facts.receipt.mail, &body, start);
        }
        Ok(body)
    }

    /// Part of a message as it is kept.
    async fn piece(&self, facts: MailFacts, range: Range<usize>) -> Result<Piece, QueueError> {
        let known = self.open().pieces.get(facts.receipt.mail, range.clone());
        match known {
            Some(piece) => Ok(piece),
            None => Ok(Piece::of(self.read_whole(facts, range.start).await?, range)),
        }
    }

    /// The same; where it is kept already, from there.
    async fn body(&self, kept: Kept) -> Result<Arc<Vec<u8>>, QueueError> {
        let known = self.open().pieces.whole(kept.facts.receipt.mail);
        match known {
            Some(body) => Ok(body),
            None => self.read_whole(kept.facts, 0).await,
        }
    }

    fn kept(&self, mail: MailId) -> Result<Kept, QueueError> {
        let known = self.open().mails.get(&mail).copied();
        known.ok_or_else(|| QueueError(format!("message {mail} is not taken")))
    }

    /// What goes in front of a message, where it is known already or there is nothing.
    fn known_front(&self, mail: MailId) -> Option<Arc<str>> {
        match self.open().fronts.get(&mail) {
            None => Some(Arc::default()),
            Some(front) => front.made.clone(),
        }
    }

    /// What goes in front of a message, made the first time that it is asked for.
    async fn front(&self, kept: Kept, body: &Arc<Vec<u8>>) -> Result<Arc<str>, QueueError> {
        let mail = kept.facts.receipt.mail;
        let kind = match self.open().fronts.get(&mail) {
            None => return Ok(Arc::default()),
            Some(Front { made: Some(made), .. }) => return Ok(Arc::clone(made)),
            Some(Front { kind, made: None }) => kind.clone(),
        };
        let (signing, whole) = (self.signing.clone(), Arc::clone(body));
        let start = octets_of(kept.skipped, body);
        let make = move || match kind {
            FrontKind::Signatures => signing.sign(&whole[start..], net::now()),
            FrontKind::Seal(domain) => signing.seal(&whole[start..], &domain, net::now()),
        };
        let made: Arc<str> = if body.len() as u64 >= SMALL_BYTES {
            blocking(make).await?.into()
        } else {
            make().into()
        };
        // Kept, so that a later piece follows on the same signatures.
        let mut open = self.open();
        Ok(match open.fronts.get_mut(&mail) {
            Some(front) => Arc::clone(front.made.get_or_insert(made)),
            None => made,
        })
    }

    /// Items that were taken, as the runner sees them.
    fn note_all(&self, items: Vec<QueueItem>, now: Timestamp) -> Vec<Item> {
        let directory = self.store.directory();
        let mut open = self.open();
        let mut mails: HashMap<MailId, Arc<Mail>> = HashMap::new();
        let note = |item: QueueItem| {
            open.note(&item, &directory, now);
            let id = item.mail.accepted.mail;
            let mail = mails.entry(id).or_insert_with(|| Arc::new(mail_of(&item))).clone();
            item_of(item, mail)
        };
        items.into_iter().map(note).collect()
    }

    fn settle(&self, attempt: Attempt) -> Result<Pending<()>, QueueError> {
        let report = attempt.report.map(report_of).transpose()?;
        let peer = attempt.peer;
        let settled = attempt
            .results
            .into_iter()
            .map(|(custody, outcome)| settled_of(custody, peer.clone(), outcome))
            .collect();
        let tries = attempt.tries.iter().map(|tried| try_of(tried, peer.as_ref())).collect();
        let policies = attempt.tries.iter().filter_map(|tried| tried.published.as_deref());
        let policies = policies.map(policy_of).collect();
        Ok(self.store.settle_seen(settled, tries, report, policies))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The domain that leads a message of somebody outside out again by an alias: it answers for it, in
/// the reverse-path and by its seal.
fn forwarder<'a>(item: &'a QueueItem, directory: &Directory) -> Option<&'a Domain> {
    let accepted = &item.mail.accepted;
    if dkim_signing::is_ours(&accepted.source) {
        return None;
    }
    // Held before the alias was looked at, or sent elsewhere by an operator: the address that it
    // came for leads out.
    let came_for = &accepted.custodies[item.place].recipient;
    if item.recipient != *came_for
        && let Some(domain) = came_for.domain()
        && directory.is_local(domain)
    {
        return Some(domain);
    }
    let alias = accepted.custodies.iter().find(|custody| match &custody.fate {
        store::Fate::Expanded { into } => into.contains(&item.custody),
        store::Fate::Delivered { .. } | store::Fate::Queued { .. } | store::Fate::Held(_) => false,
    })?;
    alias.recipient.domain()
}

/// As an offset into this body.
fn octets_of(octets: u64, body: &[u8]) -> usize {
    usize::try_from(octets).unwrap_or(usize::MAX).min(body.len())
}

/// Bytes of the Return-Path line in front of a kept message. RFC 5321 §4.4: it is for final
/// delivery alone, so what goes to other hosts begins behind it.
fn return_path_bytes(item: &QueueItem) -> u64 {
    message::return_path(&item.mail.accepted.reverse_path).len() as u64
}

impl Open {
    /// An item was taken.
    fn note(&mut self, item: &QueueItem, directory: &Directory, now: Timestamp) {
        let (accepted, facts) = (&item.mail.accepted, item.mail.facts);
        let mail = accepted.mail;
        if self.items.insert(item.custody, mail).is_none() {
            let skipped = return_path_bytes(item);
            self.mails.entry(mail).or_insert(Kept { facts, skipped, taken: 0 }).taken += 1;
        }
        let front = |kind| Front { kind, made: None };
        if dkim_signing::is_ours(&accepted.source) {
            self.fronts.entry(mail).or_insert_with(|| front(FrontKind::Signatures));
        } else if let Some(domain) = forwarder(item, directory) {
            let path = || directory.forwarding_path(mail, &accepted.reverse_path, domain, now);
            self.forwarded.entry(mail).or_insert_with(path);
            let seal = || front(FrontKind::Seal(domain.clone()));
            self.fronts.entry(mail).or_insert_with(seal);
        }
    }

    /// An item is taken no longer.
    fn forget(&mut self, custody: CustodyId) {
        self.begun.remove(&custody);
        let Some(mail) = self.items.remove(&custody) else { return };
        if let Some(kept) = self.mails.get_mut(&mail) {
            kept.taken = kept.taken.saturating_sub(1);
            if kept.taken == 0 {
                self.mails.remove(&mail);
                self.fronts.remove(&mail);
                self.forwarded.remove(&mail);
                self.pieces.forget(mail);
            }
        }
    }
}

impl Queue for Outbound {
    async fn take_due(&self, want: Due) -> Result<Taken, QueueError> {
        let store = self.store.clone();
        let skip = lane_test(want.skip);
        let taken = blocking(move || store.take_due(want.now, want.count_max, &skip)).await?;
        let (items, next_due) = taken.map_err(failed)?;
        let items = self.note_all(items, want.now);
        Ok(Taken { items, next_due })
    }

    async fn take_late(&self, want: Late) -> Result<LateTaken, QueueError> {
        let store = self.store.clone();
        let which = lane_test(want.which);
        let late = store::Late {
            now: want.now,
            over_since: want.over_since,
            warn_since: want.warn_since,
            after: want.after,
            count_max: want.count_max,
        };
        let taken = blocking(move || store.take_late(&late, &which)).await?;
        let (items, after) = taken.map_err(failed)?;
        Ok(LateTaken { items: self.note_all(items, want.now), after })
    }

    async fn take_by_deadline(
        &self,
        now: Timestamp,
        count_max: usize,
    ) -> Result<Vec<Item>, QueueError> {
        let store = self.store.clone();
        let taken = blocking(move || store.take_by_deadline(now, count_max)).await?;
        Ok(self.note_all(taken.map_err(failed)?, now))
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.store.next_deadline()
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
        let kept = self.kept(mail)?;
        let front = match self.known_front(mail) {
            Some(front) => front,
            None => self.front(kept, &self.body(kept).await?).await?,
        };
        let octets = usize::try_from(kept.facts.body_bytes).unwrap_or(usize::MAX);
        let skipped = usize::try_from(kept.skipped).unwrap_or(usize::MAX).min(octets);
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let in_front = front.as_bytes().get(offset..).unwrap_or_default();
        let in_front = &in_front[..in_front.len().min(bytes_max)];
        let start = skipped + offset.saturating_sub(front.len()).min(octets - skipped);
        let end = start.saturating_add(bytes_max - in_front.len()).min(octets);
        let piece = self.piece(kept.facts, start..end).await?;
        if end == octets {
            self.open().pieces.forget(mail);
        }
        Ok([in_front, &piece].concat())
    }

    async fn begin_attempts(
        &self,
        custodies: &[CustodyId],
        peer: &Peer,
    ) -> Result<Vec<CustodyId>, QueueError> {
        let begun = self.store.begin_attempts(custodies.to_vec(), peer.clone());
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
                attempt.results.iter().for_each(|(custody, _)| open.forget(*custody));
            }
            results.push(result);
        }
        results
    }

    async fn leaving(&self, mail: &Mail) -> Result<Leaving, QueueError> {
        let forwarded = self.open().forwarded.get(&mail.id).cloned();
        let reverse_path = forwarded.unwrap_or_else(|| mail.reverse_path.clone());
        let front = match self.known_front(mail.id) {
            Some(front) => front,
            None => {
                let kept = self.kept(mail.id)?;
                let body = self.body(kept).await?;
                // What was read to be signed is sent next.
                self.open().pieces.keep_whole(mail.id, &body);
                self.front(kept, &body).await?
            }
        };
        Ok(Leaving { reverse_path, octets: mail.body_bytes + front.len() as u64 })
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
        // Before they are back: from then on they may be taken anew, and noted here again.
        let begun: Vec<CustodyId> = {
            let mut open = self.open();
            let begun = custodies.iter().copied().filter(|custody| open.begun.contains(custody));
            let begun = begun.collect();
            custodies.iter().for_each(|custody| open.forget(*custody));
            begun
        };
        let back = self.store.give_back(custodies, begun.clone()).await.map_err(refused);
        if back.is_err() {
            // It is asked for again, and then has to be recorded.
            self.open().begun.extend(begun);
        }
        back
    }
}

/// What the runner asks of destinations, asked of lanes.
fn lane_test(test: Skip) -> impl Fn(&Lane) -> bool {
    move |lane| {
        let relay = lane.relay.as_deref().and_then(|relay| relay.parse().ok());
        match format!("x@{}", lane.destination).parse::<Address>() {
            Ok(address) => test(&address.host, relay.as_ref(), lane.priority),
            Err(_) => false,
        }
    }
}

/// The postmaster of the host's name or, where that is no mail domain, of a local one.
fn postmaster(directory: &Directory, hostname: &Domain) -> Option<Address> {
    let of = |domain: &Domain| {
        let address = Address::parse(&format!("postmaster@{domain}")).ok()?;
        match directory.resolve(&address) {
            Resolution::Account(_) | Resolution::Alias(_) => Some(address),
            Resolution::SenderOf(_) | Resolution::UnknownUser | Resolution::Remote => None,
        }
    };
    of(hostname).or_else(|| directory.domains().find_map(of))
}

/// Messages below this are read without a thread of their own.
const SMALL_BYTES: u64 = 256 << 10;
/// Messages kept whole in memory while they are sent; beyond it a part of each large one is.
const KEPT_BYTES_MAX: usize = 64 << 20;

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
        tls_optional: item.mail.facts.tls_optional,
        priority: item.priority,
        future_release: item.mail.facts.future_release.map(|later| later.request()),
        deliver_by: item.mail.facts.deliver_by,
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

/// A host that is also the one asked last is not written twice.
fn try_of(tried: &deliver::Try, last: Option<&Peer>) -> store::Try {
    store::Try {
        begun: tried.begun,
        path: tried.path,
        peer: (last != Some(&tried.peer)).then(|| tried.peer.clone()),
        preference: tried.preference,
        source: tried.source,
        policy: tried.policy.clone(),
        policy_said: tried.policy_said.clone(),
        before: tried.before,
        phases: tried.phases.clone(),
    }
}

fn policy_of(published: &deliver::Published) -> TlsPolicySeen {
    let deliver::Published { domain, host, owner, strings, mx } = published.clone();
    let host = host.map(|host| host.to_ascii_lowercase()).unwrap_or_default();
    TlsPolicySeen { domain: domain.as_str().to_ascii_lowercase(), host, owner, strings, mx }
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

fn settled_of(custody: CustodyId, peer: Option<Peer>, outcome: deliver::Outcome) -> Settled {
    let (outcome, reported) = match outcome {
        deliver::Outcome::Relayed { reply, reported, may_be_duplicate } => {
            (store::Outcome::Relayed { reply, report: None, may_be_duplicate }, reported)
        }
        deliver::Outcome::Deferred { reason, status, reply, due, reported } => {
            (store::Outcome::Deferred { reason, status, reply, due, report: None }, reported)
        }
        deliver::Outcome::Waits { reason, due, reported } => {
            (store::Outcome::Waits { reason, due, report: None }, reported)
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
