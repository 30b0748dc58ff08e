//! How fast mail is relayed to a sink on loopback, and what it costs: `relay_rate [MAILS] [SYNC_MS]
//! [CONNECTIONS]`. The queue is in memory; each of its "syncs" takes the given time. The sink runs
//! in this process, so the CPU time is that of both sides.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use deliver::{
    Attempt, Due, Item, Late, LateTaken, Mail, Outcome, Parts, Queue, QueueError, Runner, Settings,
    Taken, WallClock,
};
use mail_types::{Address, CustodyId, Domain, MailId, Peer, ReversePath, Timestamp};
use net::{ClientTls, Resolver, ResolverSettings, stopper};
use peers::{Script, Sink};
use route::Routes;
use tokio::sync::{Notify, watch};

const BODY_OCTETS: usize = 4096;

struct MemoryQueue {
    waiting: Mutex<VecDeque<Item>>,
    taken: Mutex<HashMap<CustodyId, ()>>,
    body: Vec<u8>,
    sync: Duration,
    syncs: AtomicU64,
    relayed: watch::Sender<u64>,
    changed: Notify,
}

impl MemoryQueue {
    async fn sync(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        if !self.sync.is_zero() {
            // The disk, as it were: this is what it takes.
            tokio::time::timeout(self.sync, std::future::pending::<()>()).await.unwrap_err();
        }
    }
}

impl Queue for MemoryQueue {
    async fn take_due(&self, want: Due) -> Result<Taken, QueueError> {
        if self
            .waiting
            .lock()
            .unwrap()
            .front()
            .is_some_and(|i| (want.skip)(&i.recipient.host, i.relay.as_ref(), i.mail.priority))
        {
            return Ok(Taken { items: Vec::new(), next_due: None });
        }
        let mut waiting = self.waiting.lock().unwrap();
        let count = want.count_max.min(waiting.len());
        let items: Vec<Item> = waiting.drain(..count).collect();
        self.taken.lock().unwrap().extend(items.iter().map(|item| (item.custody, ())));
        let next_due = waiting.front().map(|_| want.now);
        Ok(Taken { items, next_due })
    }

    /// Nothing waits for long here.
    async fn take_late(&self, _want: Late) -> Result<LateTaken, QueueError> {
        Ok(LateTaken::default())
    }

    async fn take_by_deadline(
        &self,
        _now: Timestamp,
        _count_max: usize,
    ) -> Result<Vec<Item>, QueueError> {
        Ok(Vec::new())
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    async fn read_body(&self, _: MailId, at: u64, max: usize) -> Result<Vec<u8>, QueueError> {
        let rest = &self.body[usize::try_from(at).unwrap()..];
        Ok(rest[..rest.len().min(max)].to_vec())
    }

    async fn begin_attempts(
        &self,
        ids: &[CustodyId],
        _: &Peer,
    ) -> Result<Vec<CustodyId>, QueueError> {
        self.sync().await;
        Ok(ids.to_vec())
    }

    async fn record(&self, attempts: &[Attempt]) -> Vec<Result<(), QueueError>> {
        self.sync().await;
        let mut taken = self.taken.lock().unwrap();
        let results = attempts.iter().flat_map(|attempt| &attempt.results);
        let mut count = 0;
        for (custody, outcome) in results {
            assert!(matches!(outcome, Outcome::Relayed { .. }), "{outcome:?}");
            taken.remove(custody).unwrap();
            count += 1;
        }
        drop(taken);
        self.relayed.send_modify(|relayed| *relayed += count);
        vec![Ok(()); attempts.len()]
    }

    async fn reached_lately(&self, _: usize) -> Vec<mail_types::Host> {
        Vec::new()
    }

    fn postmaster(&self) -> Option<Address> {
        None
    }

    async fn give_back(&self, _: &[CustodyId]) -> Result<(), QueueError> {
        Ok(())
    }
}

fn item(number: u64, now: Timestamp) -> Item {
    let mail = Mail {
        id: MailId(number),
        receipt: None,
        reverse_path: ReversePath::Address(Address::parse("sender@ours.test").unwrap()),
        envelope_id: None,
        return_headers_only: None,
        eight_bit: false,
        smtp_utf8: false,
        requires_tls: false,
        tls_optional: false,
        priority: mail_types::Priority::NORMAL,
        future_release: None,
        deliver_by: None,
        body_bytes: BODY_OCTETS as u64,
        accepted: now,
        for_postmaster: false,
    };
    Item {
        custody: CustodyId(number),
        mail: Arc::new(mail),
        recipient: Address::parse("someone@there.test").unwrap(),
        notify: None,
        original_recipient: None,
        attempts: 0,
        warned: false,
        uncertain: false,
        since: now,
        relay: None,
        give_back: None,
    }
}

/// User and system time of this process, in seconds.
fn cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

#[tokio::main]
async fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|arg| arg.parse().unwrap()).collect();
    let argument = |index: usize, default| numbers.get(index).copied().unwrap_or(default);
    let (mails, sync_ms, connections) = (argument(0, 50_000), argument(1, 2), argument(2, 10));

    let sink = Sink::start(Script::accept().count_only()).await;
    let line = format!("{}\r\n", "x".repeat(62));
    let queue = Arc::new(MemoryQueue {
        waiting: Mutex::new((1..=mails).map(|number| item(number, net::now())).collect()),
        taken: Mutex::default(),
        body: line.repeat(BODY_OCTETS / line.len()).into_bytes(),
        sync: Duration::from_millis(sync_ms),
        syncs: AtomicU64::new(0),
        relayed: watch::channel(0).0,
        changed: Notify::new(),
    });
    let hostname = Domain::new("mx.ours.test").unwrap();
    let mut settings = Settings::new(hostname, Address::parse("postmaster@ours.test").unwrap());
    settings.connections_per_destination_max = usize::try_from(connections).unwrap();
    let parts = Parts {
        queue: Arc::clone(&queue),
        resolver: Arc::new(Resolver::new(&ResolverSettings::default()).unwrap()),
        tls: ClientTls::with_public_roots().unwrap(),
        sts: None,
        clock: Arc::new(WallClock),
        random: Box::new(|| 7),
    };
    let route = ("*".parse().unwrap(), sink.addr().to_string().parse().unwrap());
    let runner = Runner::new(settings, parts, [route].into_iter().collect::<Routes>());
    let (stopper, stop) = stopper();
    let (begin, cpu) = (Instant::now(), cpu_secs());
    let running = tokio::spawn(runner.run(stop));
    let mut relayed = queue.relayed.subscribe();
    relayed.wait_for(|count| *count == mails).await.unwrap();
    let (secs, cpu) = (begin.elapsed().as_secs_f64(), cpu_secs() - cpu);
    let syncs = queue.syncs.load(Ordering::Relaxed);
    println!(
        "{mails} mails, {connections} connections, sync {sync_ms} ms: {:.0}/s, {:.3} ms CPU each \
         (both sides), {:.3} syncs each, {} connections made",
        mails as f64 / secs,
        cpu * 1000.0 / mails as f64,
        syncs as f64 / mails as f64,
        sink.state().connections,
    );
    assert_eq!(sink.count(), mails);
    stopper.stop();
    running.await.unwrap();
}
