use std::collections::BTreeMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deliver::{
    Clock, Item, KeptPolicy, Mail, Notice, Notify, Outcome, Parts, PolicyFiles, Runner, Settings,
    StsPolicies, StsSettings,
};
use mail_types::{Address, CustodyId, Deadline, Domain, MailId, Peer, ReversePath, Timestamp};
use net::{
    ClientTls, Dnssec, HttpClient, NameServer, Resolver, ResolverSettings, Stopper, Trust, stopper,
};
use peers::{Dns, Script, Sink};
use route::{Inward, Routes};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::memory_queue::MemoryQueue;

/// No test waits longer for anything.
pub const LIMIT: Duration = Duration::from_secs(20);
/// When tests begin.
pub const START: Timestamp = Timestamp(1_800_000_000_000);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct ManualClock(watch::Sender<Timestamp>);

impl ManualClock {
    pub fn set(&self, now: Timestamp) {
        self.0.send_replace(now);
    }

    pub fn now_since_start(&self) -> Duration {
        self.now().since(START)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut now = self.0.subscribe();
        Box::pin(async move {
            now.wait_for(|now| *now >= at).await.unwrap();
        })
    }
}

/// A runner with its queue, DNS and clock.
pub struct World {
    pub queue: Arc<MemoryQueue>,
    pub dns: Dns,
    pub clock: Arc<ManualClock>,
    pub runner: Arc<Runner<MemoryQueue>>,
    stopper: Option<Stopper>,
    running: Option<JoinHandle<()>>,
    next: AtomicU64,
    settings: Settings,
    pub sts: StsWorld,
}

/// MTA-STS in a world.
#[derive(Clone, Default)]
pub struct StsWorld {
    trust: Option<Trust>,
    port: u16,
    pub files: Kept,
}

/// Policies on a disk that survives restarts.
#[derive(Clone, Default)]
pub struct Kept(pub Arc<Mutex<BTreeMap<Domain, KeptPolicy>>>);

impl PolicyFiles for Kept {
    fn load(&self) -> Vec<KeptPolicy> {
        self.0.lock().unwrap().values().cloned().collect()
    }

    fn keep(&self, policy: &KeptPolicy) -> std::io::Result<()> {
        self.0.lock().unwrap().insert(policy.domain.clone(), policy.clone());
        Ok(())
    }

    fn forget(&self, domain: &Domain) -> std::io::Result<()> {
        self.0.lock().unwrap().remove(domain);
        Ok(())
    }
}

/// Mail to add to a queue.
pub struct NewMail<'a> {
    pub from: &'a str,
    pub to: &'a [&'a str],
    pub body: &'a str,
    pub notify: Option<Notify>,
    pub headers_only: Option<bool>,
    pub smtp_utf8: bool,
    pub requires_tls: bool,
    pub relay: Option<&'a str>,
    pub tls_optional: bool,
    pub deliver_by: Option<Deadline>,
}

impl<'a> NewMail<'a> {
    pub const fn to(to: &'a [&'a str]) -> Self {
        Self {
            from: "sender@ours.test",
            to,
            body: "Subject: hello\r\nMessage-ID: <1@ours.test>\r\n\r\nThe text.\r\n",
            notify: None,
            headers_only: None,
            smtp_utf8: false,
            requires_tls: false,
            relay: None,
            tls_optional: false,
            deliver_by: None,
        }
    }
}

pub fn settings() -> Settings {
    let hostname = Domain::new("mx.ours.test").unwrap();
    let mut settings = Settings::new(hostname, "postmaster@ours.test".parse().unwrap());
    settings.inward = Inward::anywhere();
    settings.schedule.jitter_percent = 0;
    settings.command_timeout = LIMIT;
    settings.data_end_timeout = LIMIT;
    settings
}

impl World {
    /// With default settings; mail hosts listen on the port of this sink.
    pub async fn at(sink: &Sink) -> Self {
        Self::with(sink.addr().port(), |_| {}).await
    }

    pub async fn with(port: u16, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        settings.port = port;
        change(&mut settings);
        let dns = Dns::start().await;
        let queue = MemoryQueue::new();
        let clock = Arc::new(ManualClock(watch::channel(START).0));
        let sts = StsWorld::default();
        let (runner, stopper, running) = start(&settings, &queue, &dns, &clock, &sts);
        let (stopper, running) = (Some(stopper), Some(running));
        let next = AtomicU64::new(1);
        Self { queue, dns, clock, runner, stopper, running, next, settings, sts }
    }

    /// The same in a world where this authority is believed, and policies are fetched at a port.
    pub async fn with_sts(port: u16, trust: Trust, sts_port: u16) -> Self {
        let mut world = Self::with(port, |_| {}).await;
        world.sts = StsWorld { trust: Some(trust), port: sts_port, files: Kept::default() };
        world.stop().await;
        world.start_again().await;
        world
    }

    /// A domain whose only mail host is this sink.
    pub fn domain(&self, domain: &str, sink: &Sink) {
        self.domain_at(domain, &[sink]);
    }

    /// A domain with these mail hosts, best first: `mx10.domain`, `mx20.domain`, …
    pub fn domain_at(&self, domain: &str, sinks: &[&Sink]) {
        for (index, sink) in (1_u16..).zip(sinks) {
            let host = format!("mx{}.{domain}", index * 10);
            self.dns.mx(domain, index * 10, &host).address(&host, sink.addr().ip());
        }
    }

    /// Adds mail; returns the custodies of its recipients.
    pub fn add(&self, new: &NewMail<'_>) -> Vec<CustodyId> {
        let id = self.next.fetch_add(1000, Ordering::SeqCst);
        let reverse_path = match new.from {
            "" => ReversePath::Null,
            from => ReversePath::Address(from.parse().unwrap()),
        };
        let now = self.clock.now();
        let mail = Mail {
            priority: mail_types::Priority::NORMAL,
            future_release: None,
            deliver_by: new.deliver_by,
            id: MailId(id),
            receipt: None,
            reverse_path,
            envelope_id: None,
            return_headers_only: new.headers_only,
            eight_bit: !new.body.is_ascii(),
            smtp_utf8: new.smtp_utf8,
            requires_tls: new.requires_tls,
            tls_optional: new.tls_optional,
            body_bytes: new.body.len() as u64,
            accepted: now,
            for_postmaster: new.to.iter().any(|to| to.starts_with("postmaster@")),
        };
        let shared = Arc::new(mail.clone());
        let item = |(number, to): (u64, &&str)| Item {
            custody: CustodyId(id + number),
            mail: Arc::clone(&shared),
            recipient: Address::parse(to).unwrap(),
            notify: new.notify,
            original_recipient: None,
            attempts: 0,
            warned: false,
            uncertain: false,
            since: now,
            relay: new.relay.map(|relay| relay.parse().unwrap()),
            give_back: None,
        };
        let items: Vec<Item> = (0..).zip(new.to).map(item).collect();
        let ids = items.iter().map(|item| item.custody).collect();
        self.queue.add(mail, items, new.body.as_bytes(), now);
        ids
    }

    /// Adds mail to one recipient.
    pub fn add_to(&self, to: &str) -> CustodyId {
        self.add(&NewMail::to(&[to]))[0]
    }

    /// Waits for the first result of a custody.
    pub async fn outcome(&self, custody: CustodyId) -> Outcome {
        self.nth_outcome(custody, 1).await
    }

    /// Waits for the n-th result of a custody.
    pub async fn nth_outcome(&self, custody: CustodyId, n: usize) -> Outcome {
        let what = format!("result {n} of {custody}");
        self.queue.wait_for(&what, |state| state.custodies[&custody].outcomes.len() >= n).await;
        self.queue.read(|state| state.custodies[&custody].outcomes[n - 1].clone())
    }

    /// Who was asked in the attempt with the last result.
    pub fn last_peer(&self, custody: CustodyId) -> Option<Peer> {
        self.queue.read(|state| state.custodies[&custody].peers.last().cloned().flatten())
    }

    pub async fn wait_all_closed(&self) {
        self.queue
            .wait_for("all closed", |state| state.custodies.values().all(|c| c.due.is_none()))
            .await;
    }

    /// Moves the clock.
    pub fn advance(&self, by: Duration) {
        self.clock.set(self.clock.now().after(by));
    }

    pub fn request_stop(&self) {
        self.stopper.as_ref().unwrap().stop();
    }

    /// Stops gracefully.
    pub async fn stop(&mut self) {
        self.request_stop();
        let running = self.running.take().unwrap();
        tokio::time::timeout(LIMIT, running).await.unwrap().unwrap();
    }

    /// A crash, as far as the queue can see: no result is recorded any more, and then the runner is
    /// gone.
    pub async fn crash(&mut self) {
        self.queue.dead.store(true, Ordering::SeqCst);
        self.stop().await;
    }

    /// Starts on the queue that is there.
    pub async fn start_again(&mut self) {
        self.queue.dead.store(false, Ordering::SeqCst);
        self.queue.restart(self.clock.now());
        let (runner, stopper, running) =
            start(&self.settings, &self.queue, &self.dns, &self.clock, &self.sts);
        self.runner = runner;
        self.stopper = Some(stopper);
        self.running = Some(running);
    }
}

fn start(
    settings: &Settings,
    queue: &Arc<MemoryQueue>,
    dns: &Dns,
    clock: &Arc<ManualClock>,
    sts: &StsWorld,
) -> (Arc<Runner<MemoryQueue>>, Stopper, JoinHandle<()>) {
    let asked = ResolverSettings {
        servers: vec![NameServer(dns.addr())],
        attempt: Duration::from_millis(200),
        retries: 0,
        cache_entries: 0,
        // The stub says of nothing that it is authentic unless a test has it sign something.
        dnssec: Dnssec::TrustServer,
        ..ResolverSettings::default()
    };
    let numbers = AtomicU64::new(0);
    let resolver = Arc::new(Resolver::new(&asked).unwrap());
    let trust = sts.trust.clone().unwrap_or_else(Trust::public);
    let http = HttpClient::new(Arc::clone(&resolver), &trust, Inward::anywhere()).unwrap();
    let sts_settings = StsSettings { port: sts.port, timeout: LIMIT };
    let files = Box::new(sts.files.clone());
    let now = clock.now();
    let policies = StsPolicies::new(Arc::clone(&resolver), http, sts_settings, files, now);
    let parts = Parts {
        queue: Arc::clone(queue),
        resolver,
        tls: ClientTls::new(&trust).unwrap(),
        sts: Some(Arc::new(policies)),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        random: Box::new(move || numbers.fetch_add(1, Ordering::SeqCst)),
    };
    let runner = Runner::new(settings.clone(), parts, Routes::default());
    let (stopper, stop) = stopper();
    let running = tokio::spawn(Arc::clone(&runner).run(stop));
    (runner, stopper, running)
}

/// Class of an outcome with its status, as tables have it.
pub fn short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Relayed { may_be_duplicate: false, .. } => "relayed".into(),
        Outcome::Relayed { may_be_duplicate: true, .. } => "relayed again".into(),
        Outcome::Deferred { status, .. } => format!("deferred {status}"),
        Outcome::Uncertain { .. } => "uncertain".into(),
        Outcome::Waits { .. } => "waits".into(),
        Outcome::Returned { status, notice: Notice::Reported, .. } => format!("returned {status}"),
        Outcome::Returned { status, notice, .. } => format!("returned {status} {notice:?}"),
    }
}

/// Sinks on one port number with one behaviour each.
pub async fn sinks<const N: usize>(scripts: [Script; N]) -> [Sink; N] {
    Sink::start_several(scripts.into()).await.try_into().unwrap()
}

/// An address of this machine where nobody listens at the port of the sinks.
pub const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 0, 254, 254);
