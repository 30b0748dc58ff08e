use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use mail_types::{CustodyId, Peer, Reply, TlsFacts};
use net::Stop;
use route::{Then, Trouble};
use smtp_machine::client::Said;

use crate::Runner;
use crate::asked::Asked;
use crate::desk::{Called, Idle, Job, Key, Orphan};
use crate::look_up::NextHop;
use crate::queue::{Item, Queue};
use crate::rates::Way;
use crate::setback::Setback;
use crate::settle::{Ended, Fate, Offers};
use crate::tries::Trying;

/// How a transaction ended for one recipient.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The reply to the final dot, a 2yz.
    Relayed(Reply),
    /// Something else.
    Failed {
        /// What.
        setback: Setback,
        /// The host may have been gone before this transaction began.
        is_stale: bool,
    },
}

impl End {
    const fn is_stale(&self) -> bool {
        matches!(self, Self::Failed { is_stale: true, .. })
    }
}

/// What one connection has on it, and where the next comes from. Its mail never vanishes: what is
/// on it when it is dropped goes back to the desk.
pub(crate) struct Courier<Q: Queue> {
    pub(crate) runner: Arc<Runner<Q>>,
    key: Key,
    /// The hosts that were asked in this attempt, this one included.
    asked: Asked,
    /// There is another one.
    has_next_host: bool,
    pub(crate) peer: Peer,
    /// How it came to this connection.
    pub(crate) trying: Trying,
    stop: Stop,
    /// Announced to the queue, not yet begun.
    ahead: VecDeque<Job>,
    /// In the transaction under way.
    current: Option<Job>,
    /// The final dot of `current` may have been sent.
    past_dot: bool,
    /// Transactions so far, and how many there may be.
    transactions: u32,
    pub(crate) messages_max: u32,
    /// The host wants mail: greeting and EHLO went well.
    ready: bool,
}

impl<Q: Queue> Courier<Q> {
    pub(crate) fn new(
        runner: Arc<Runner<Q>>,
        key: Key,
        (asked, has_next_host): (Asked, bool),
        peer: Peer,
        trying: Trying,
        stop: Stop,
    ) -> Self {
        let messages_max = runner.settings.messages_per_connection;
        Self {
            runner,
            key,
            asked,
            has_next_host,
            peer,
            trying,
            stop,
            ahead: VecDeque::new(),
            current: None,
            past_dot: false,
            transactions: 0,
            messages_max,
            ready: false,
        }
    }

    /// Whether the host has said that it wants mail.
    pub(crate) const fn is_ready(&self) -> bool {
        self.ready
    }

    /// The host wants mail.
    pub(crate) fn begin(&mut self, tls: Option<&TlsFacts>) {
        self.peer.tls = tls.map(|tls| format!("{} {}", tls.version, tls.cipher));
        self.peer.tls_verified = tls.is_some_and(|tls| tls.server_name.is_some());
        if !self.ready {
            self.ready = true;
            self.runner.desk.connected(&self.key);
        }
    }

    /// The next job to send, its attempt on disk; waits a little for one. `None` where the
    /// connection is to be closed.
    pub(crate) async fn next(&mut self) -> Option<&Job> {
        if self.transactions >= self.messages_max
            || (self.ahead.is_empty() && self.runner.desk.is_over(&self.key))
        {
            return None;
        }
        while self.ahead.is_empty() {
            if self.stop.is_requested() {
                return None;
            }
            let left = self.messages_max - self.transactions;
            let jobs_max = self.runner.settings.attempts_ahead.clamp(1, left as usize);
            let jobs = self.runner.desk.take(&self.key, jobs_max);
            if jobs.is_empty() {
                if !self.wait_for_mail().await {
                    return None;
                }
                continue;
            }
            let jobs = self.in_time(jobs).await;
            if jobs.is_empty() {
                continue;
            }
            let jobs = self.within_rates(jobs).await;
            if jobs.is_empty() {
                return None;
            }
            self.ahead.extend(jobs);
            if !self.announce().await {
                return None;
            }
        }
        if self.transactions > 0 {
            self.trying.begun = self.runner.clock.now();
        }
        self.transactions += 1;
        self.past_dot = false;
        self.current = self.ahead.pop_front();
        self.current.as_ref()
    }

    /// Those of the jobs whose time to be delivered by is not over (RFC 2852 §4); the others go
    /// back to their senders.
    async fn in_time(&self, mut jobs: Vec<Job>) -> Vec<Job> {
        let now = self.runner.clock.now();
        let is_over = |item: &mut Item| item.mail.deliver_by.is_some_and(|by| by.is_over(now));
        for job in &mut jobs {
            let over: Vec<Item> = job.items.extract_if(.., is_over).collect();
            self.runner.tell_late(&job.key, over, None, now).await;
        }
        jobs.retain(|job| !job.items.is_empty());
        jobs
    }

    /// Those of the jobs that may go now; the others wait in the queue.
    async fn within_rates(&self, jobs: Vec<Job>) -> Vec<Job> {
        let hosts = [self.peer.host.to_ascii_lowercase()];
        // The address of a smart host is known to the world already.
        let source = self.trying.source.filter(|_| !matches!(self.key.hop, NextHop::Relay(_)));
        let way = Way { hosts: &hosts, source };
        let now = self.runner.clock.now();
        let mut may = Vec::with_capacity(jobs.len());
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            match self.runner.rates.take(way, now) {
                Ok(()) => may.push(job),
                Err(wait) => {
                    let rest: Vec<Job> = std::iter::once(job).chain(jobs).collect();
                    let mut hops: Vec<NextHop> =
                        rest.iter().map(|job| job.key.hop.clone()).collect();
                    hops.sort();
                    hops.dedup();
                    for hop in hops {
                        self.runner.hold_back(&hop, wait.clone(), Vec::new()).await;
                    }
                    self.runner.hold_back(&self.key.hop, wait, rest).await;
                    break;
                }
            }
        }
        may
    }

    /// Makes the attempts durable before anything of them is sent. Where that fails, the mail is
    /// put off by our own trouble.
    async fn announce(&mut self) -> bool {
        let custodies: Vec<CustodyId> =
            self.ahead.iter().flat_map(|job| &job.items).map(|item| item.custody).collect();
        let error = match self.runner.queue.begin_attempts(&custodies, &self.peer).await {
            Ok(begun) => {
                if begun.len() < custodies.len() {
                    self.drop_all_but(&begun).await;
                }
                return true;
            }
            Err(error) => error,
        };
        tracing::error!(%error, "no attempt can be recorded, so nothing is sent");
        let setback = Setback::new(Trouble::Ours(&error.to_string()), None);
        while let Some(job) = self.ahead.pop_front() {
            self.runner.fail(job, setback.clone()).await;
        }
        false
    }

    /// Gives back what was not to be begun after all.
    async fn drop_all_but(&mut self, begun: &[CustodyId]) {
        let begun: HashSet<CustodyId> = begun.iter().copied().collect();
        let now = self.runner.clock.now();
        for job in &mut self.ahead {
            let items = std::mem::take(&mut job.items);
            let (kept, not): (Vec<Item>, Vec<Item>) =
                items.into_iter().partition(|item| begun.contains(&item.custody));
            job.items = kept;
            let dropped: Vec<CustodyId> = not.into_iter().map(|item| item.custody).collect();
            self.runner.give_back(&dropped).await;
            self.runner.desk.recorded(&job.key, dropped.len(), now);
        }
        self.ahead.retain(|job| !job.items.is_empty());
    }

    /// Whether there may be mail now; false where the connection is not worth keeping.
    async fn wait_for_mail(&mut self) -> bool {
        let desk = &self.runner.desk;
        let wake = match desk.begin_idle(&self.key) {
            Idle::Work => return true,
            Idle::Leave => return false,
            Idle::Wait(wake) => wake,
        };
        let tired = tokio::time::sleep(self.runner.settings.idle);
        tokio::pin!(tired);
        loop {
            let is_tired = tokio::select! {
                () = wake.notified() => false,
                () = &mut tired => true,
                () = self.stop.requested() => true,
            };
            match desk.called(&self.key, is_tired) {
                Called::Work => return true,
                Called::Leave => return false,
                Called::Wait => {}
            }
        }
    }

    /// The job in the transaction under way.
    pub(crate) const fn current(&self) -> Option<&Job> {
        self.current.as_ref()
    }

    /// The final dot of the current job goes out next; its attempt is on disk since `next`.
    pub(crate) const fn dot_follows(&mut self) {
        self.past_dot = true;
    }

    /// The transaction is over, with an end for each recipient in order.
    ///
    /// A connection that was kept for more mail may have been closed by the host meanwhile, which
    /// shows only at the next MAIL: that is no answer to this mail, which gets a fresh connection.
    pub(crate) async fn over(&mut self, ends: Vec<End>, offers: Offers, said: Vec<Said>) {
        let Some(job) = self.current.take() else { return };
        self.past_dot = false;
        if self.transactions > 1 && !job.met_stale && ends.iter().all(End::is_stale) {
            self.put_again(&job.key, job.items, job.setback, true).await;
            return;
        }
        let earlier = std::mem::take(&mut self.trying.earlier);
        let tried = self.trying.tried(&self.peer, self.transactions.saturating_sub(1), said);
        let (mut done, mut again) = (Vec::new(), Vec::new());
        // Recipients with the same words of a host stay together.
        let mut next_host: Vec<(Setback, Vec<Item>)> = Vec::new();
        let merge = |later: Setback| match job.setback.clone() {
            Some(earlier) => earlier.over_hosts(later),
            None => later,
        };
        let (mut taken, mut strained) = (false, false);
        for (item, end) in job.items.into_iter().zip(ends) {
            let failed = match end {
                End::Relayed(reply) => {
                    taken = true;
                    done.push((item, Fate::Relayed(reply)));
                    continue;
                }
                End::Failed { setback, .. } => setback,
            };
            strained |= failed.is_strain();
            match failed.verdict.then {
                Then::Uncertain => done.push((item, Fate::Uncertain(failed))),
                Then::NextTransaction => again.push(item),
                Then::NextHost if self.has_next_host => {
                    let failed = merge(failed.tried(Arc::clone(&tried)));
                    match next_host.iter_mut().find(|(same, _)| same.verdict == failed.verdict) {
                        Some((_, items)) => items.push(item),
                        None => next_host.push((failed, vec![item])),
                    }
                }
                Then::NextHost | Then::Stop => {
                    let failed = Setback { tries: Vec::new(), ..merge(failed) };
                    done.push((item, Fate::Failed(failed)));
                }
            }
        }
        if taken {
            self.runner.desk.took(&self.key);
        }
        if strained {
            self.runner.desk.struggles(&self.key, self.runner.clock.now());
        }
        self.put_again(&job.key, again, job.setback.clone(), job.met_stale).await;
        for (setback, items) in next_host {
            self.hand_on(&job.key, items, setback).await;
        }
        if !done.is_empty() {
            let peer = Some(self.peer.clone());
            let mut tries = job.setback.map(|earlier| earlier.tries).unwrap_or_default();
            tries.extend(earlier);
            tries.push(tried);
            self.runner.end(&job.key, Ended { items: done, peer, offers, tries }).await;
        }
    }

    /// Recipients that another host may take.
    async fn hand_on(&self, from: &Key, items: Vec<Item>, setback: Setback) {
        let to = Key { asked: self.asked.clone(), ..from.clone() };
        let job = Job { key: to.clone(), items, setback: Some(setback), met_stale: false };
        let put = self.runner.desk.put_over(from, &to, job, self.runner.clock.now());
        self.runner.after_put(&to, put, &self.stop).await;
    }

    /// Recipients for another transaction with the same host.
    async fn put_again(
        &self,
        key: &Key,
        items: Vec<Item>,
        setback: Option<Setback>,
        met_stale: bool,
    ) {
        if items.is_empty() {
            return;
        }
        let job = Job { key: key.clone(), items, setback, met_stale };
        let put = self.runner.desk.put_back(key, job, self.runner.clock.now());
        self.runner.after_put(key, put, &self.stop).await;
    }

    /// Puts back what was announced and not begun. Called at the end of every connection.
    pub(crate) async fn put_rest_back(&mut self) {
        while let Some(job) = self.ahead.pop_front() {
            let key = job.key.clone();
            let put = self.runner.desk.put_back(&key, job, self.runner.clock.now());
            self.runner.after_put(&key, put, &self.stop).await;
        }
    }
}

impl<Q: Queue> Drop for Courier<Q> {
    fn drop(&mut self) {
        // Nothing is here unless the task panicked or was cut.
        let past_dot = self.past_dot;
        for job in self.ahead.drain(..) {
            self.runner.desk.add_orphan(Orphan { job, past_dot: false });
        }
        if let Some(job) = self.current.take() {
            self.runner.desk.add_orphan(Orphan { job, past_dot });
        }
    }
}
