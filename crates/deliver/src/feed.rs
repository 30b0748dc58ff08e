use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mail_types::{Host, Priority, Timestamp};
use net::Stop;
use route::{Failure, Relay};

use crate::Runner;
use crate::asked::Asked;
use crate::connection::run_connection;
use crate::desk::{Job, Key, Put};
use crate::late::{Look, is_late};
use crate::look_up::NextHop;
use crate::queue::{Due, Item, Queue};
use crate::rates::Wait;
use crate::setback::Setback;
use crate::settle::{Ended, Fate, Offers};

/// Custodies taken from the queue at once.
const PAGE: usize = 500;
/// How long after a failure the queue is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How long after the grace time connections that do not end are waited for.
const LINGER: Duration = Duration::from_secs(5);

impl<Q: Queue> Runner<Q> {
    /// Takes due mail as long as there is room for it, and puts it on the desk.
    pub(crate) async fn feed(self: &Arc<Self>, stop: &Stop) {
        let mut stop_wish = stop.clone();
        let mut look = Look::new(self.clock.now());
        while !stop.is_requested() {
            self.settle_orphans().await;
            let now = self.clock.now();
            let deadline = self.keep_deadlines(stop, now).await;
            let mut wake_at = [self.take(stop, now).await, deadline].into_iter().flatten().min();
            if let Some(over) = self.desk.next_wait(now) {
                // What waits for a rate is passed over until its wait is over.
                let look_at = self.look_through(&mut look, stop, now).await;
                wake_at = [wake_at, Some(over), look_at].into_iter().flatten().min();
            }
            if wake_at.is_some_and(|at| at <= now) {
                continue;
            }
            tokio::select! {
                () = stop_wish.requested() => return,
                () = self.queue.changed() => {}
                () = self.desk.room.notified() => {}
                () = reached(self, wake_at) => {}
            }
        }
    }

    /// Takes one page; answers when to come again if nothing else happens.
    async fn take(self: &Arc<Self>, stop: &Stop, now: Timestamp) -> Option<Timestamp> {
        let room = self.desk.room();
        if room == 0 {
            self.desk.wait_for_room();
            return None;
        }
        // A page may all be for one destination, and is not to fill more than its share.
        let share = self.settings.items_per_destination_max.div_ceil(2).max(1);
        let count_max = room.min(PAGE).min(share);
        let full = self.desk.full(now);
        let runner = Arc::clone(self);
        let skip = Arc::new(move |host: &Host, relay: Option<&Relay>, priority: Priority| {
            if full.is_empty() {
                return false;
            }
            let for_all = full.get(&runner.hop(host, relay));
            for_all.is_some_and(|for_all| *for_all || priority <= Priority::NORMAL)
        });
        let taken = match self.queue.take_due(Due { now, count_max, skip }).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::error!(%error, "no mail can be taken from the queue");
                return Some(now.after(AGAIN_AFTER));
            }
        };
        let nothing = taken.items.is_empty();
        self.put_all(taken.items, stop, now).await;
        match taken.next_due {
            // The queue says that there is more and gives none: not asked again in a circle.
            Some(at) if nothing && at <= now => Some(now.after(AGAIN_AFTER)),
            next_due => next_due,
        }
    }

    /// Groups recipients of a message that go the same way, and puts them on the desk.
    pub(crate) async fn put_all(self: &Arc<Self>, items: Vec<Item>, stop: &Stop, now: Timestamp) {
        let recipients_max = self.settings.recipients_per_transaction.max(1);
        let mut open: HashMap<Key, Vec<Item>> = HashMap::new();
        for item in items {
            if let Some(why) = &item.give_back {
                let failure = Failure::permanent(7, 1, why.clone());
                self.return_now(item, Fate::Failed(Setback::no_way(failure))).await;
                continue;
            }
            if item.mail.deliver_by.is_some_and(|by| by.is_over(now)) {
                self.return_now(item, Fate::TooLate).await;
                continue;
            }
            let hop = self.hop(&item.recipient.host, item.relay.as_ref());
            let key = Key { hop, asked: Asked::default(), tls_optional: item.mail.tls_optional };
            let group = open.entry(key.clone()).or_default();
            let is_other = group.first().is_some_and(|first| first.mail.id != item.mail.id);
            if is_other || group.len() >= recipients_max {
                let items = std::mem::take(group);
                group.push(item);
                self.put_new(&key, items, stop, now).await;
            } else {
                group.push(item);
            }
        }
        for (key, items) in open {
            self.put_new(&key, items, stop, now).await;
        }
    }

    /// Where mail for a host goes, by an operator's word for it or by the routes.
    pub(crate) fn hop(&self, host: &Host, relay: Option<&Relay>) -> NextHop {
        match relay {
            Some(relay) => NextHop::Relay(relay.clone()),
            None => self.next_hop(host),
        }
    }

    /// It goes back to its sender, by the word of an operator or of the sender: nobody is asked.
    async fn return_now(&self, item: Item, fate: Fate) {
        let hop = self.next_hop(&item.recipient.host);
        let key = Key { hop, asked: Asked::default(), tls_optional: item.mail.tls_optional };
        self.desk.put_aside(&key);
        let items = vec![(item, fate)];
        let ended = Ended { items, peer: None, offers: Offers::default(), tries: Vec::new() };
        self.end(&key, ended).await;
    }

    async fn put_new(self: &Arc<Self>, key: &Key, items: Vec<Item>, stop: &Stop, now: Timestamp) {
        let job = Job { key: key.clone(), items, setback: None, met_stale: false };
        let put = self.desk.put_new(key, job, now);
        self.after_put(key, put, stop).await;
    }

    /// Makes the connection that a job needs, or puts it off where the destination is paused.
    pub(crate) async fn after_put(self: &Arc<Self>, key: &Key, put: Put, stop: &Stop) {
        match put {
            Put::Queued => {}
            Put::Connect => self.connect(key.clone(), stop),
            Put::Paused(paused) => {
                let (job, setback) = *paused;
                self.fail(job, setback).await;
            }
            Put::HeldBack(job) => self.return_to_queue(*job).await,
        }
    }

    /// Starts the task of a connection that the desk has counted.
    pub(crate) fn connect(self: &Arc<Self>, key: Key, stop: &Stop) {
        tokio::spawn(run_connection(Arc::clone(self), key, stop.clone()));
    }

    /// Nothing goes there until the wait is over: its mail waits in the queue, with these jobs.
    pub(crate) async fn hold_back(&self, hop: &NextHop, wait: Wait, mut jobs: Vec<Job>) {
        tracing::debug!(%hop, %wait, "mail waits");
        let (lying, is_kept) = self.desk.hold_back(hop, wait.clone());
        jobs.extend(lying);
        let now = self.clock.now();
        for job in jobs {
            match is_kept {
                true => self.return_to_queue(job).await,
                false => self.tell_late(&job.key, job.items, Some(&wait), now).await,
            }
        }
    }

    /// To wait there as it did. RFC 3461 §4.1: who wants to hear of delays hears of this one, too.
    async fn return_to_queue(&self, job: Job) {
        let now = self.clock.now();
        let Job { key, mut items, .. } = job;
        if let Some(wait) = self.desk.wait_of(&key.hop, now) {
            let late = items.extract_if(.., |item| is_late(&self.settings, item, now));
            let late: Vec<Item> = late.collect();
            self.tell_late(&key, late, Some(&wait), now).await;
        }
        let custodies: Vec<_> = items.iter().map(|item| item.custody).collect();
        self.give_back(&custodies).await;
        self.desk.recorded(&key, custodies.len(), now);
    }

    /// The same setback for all recipients of a job.
    pub(crate) async fn fail(&self, job: Job, setback: Setback) {
        let key = job.key;
        let mut setback = match job.setback {
            Some(earlier) => earlier.over_hosts(setback),
            None => setback,
        };
        let tries = std::mem::take(&mut setback.tries);
        let peer = setback.peer.clone();
        let items =
            job.items.into_iter().map(|item| (item, Fate::Failed(setback.clone()))).collect();
        self.end(&key, Ended { items, peer, offers: Offers::default(), tries }).await;
    }

    /// Mail whose connection ended with a panic: our trouble, and uncertain behind the dot.
    async fn settle_orphans(&self) {
        for orphan in self.desk.take_orphans() {
            let failure = Failure::ours(3, 0, "sending ended with an internal error");
            let setback = Setback::no_way(failure);
            let fate = match orphan.past_dot {
                true => Fate::Uncertain(setback),
                false => Fate::Failed(setback),
            };
            let tries = orphan.job.setback.map(|setback| setback.tries).unwrap_or_default();
            let key = orphan.job.key;
            let items = orphan.job.items.into_iter().map(|item| (item, fate.clone())).collect();
            let ended = Ended { items, peer: None, offers: Offers::default(), tries };
            self.end(&key, ended).await;
        }
    }

    /// After a stop: gives back what no connection has, and waits for those that are sending.
    pub(crate) async fn wind_up(&self) {
        let custodies = self.desk.stop();
        self.give_back(&custodies).await;
        let ended = async {
            loop {
                let left = self.desk.left.notified();
                if self.desk.connections() == 0 {
                    return;
                }
                left.await;
            }
        };
        if tokio::time::timeout(self.settings.grace + LINGER, ended).await.is_err() {
            tracing::warn!(
                connections = self.desk.connections(),
                "connections did not end in time; their mail is sent again after the restart"
            );
        }
        self.settle_orphans().await;
        // What connections have put back meanwhile.
        let custodies = self.desk.stop();
        self.give_back(&custodies).await;
    }
}

async fn reached<Q: Queue>(runner: &Runner<Q>, at: Option<Timestamp>) {
    match at {
        Some(at) => runner.clock.until(at).await,
        None => std::future::pending().await,
    }
}
