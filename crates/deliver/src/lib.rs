//! The queue runner: takes due mail from the durable queue, asks DNS and the routes where it goes,
//! sends it, and records what came of every attempt before it forgets it.
//!
//! It promises: a message that was taken over has a result or is back in the queue; nothing is sent
//! before the attempt is on disk; a lost reply is never read as a no; our own trouble never bounces
//! mail. It never decides what is due (the queue does) nor what a failure means (`route` does), and
//! it never alters a message.
//!
//! One connection is one task, which takes message after message of its destination ([`Runner`]
//! starts them); results are written in groups while sending goes on. Memory is bounded whatever
//! the length of the queue, and a destination that is stuck holds no more than its share of it.
//!
//! RFC 5321 §4.5.4 (sending strategy), §5 (hosts) · 1047 (duplicates) · 3461, 3464 (reports) ·
//! 7435 (opportunistic TLS), 7672 (DANE), 8461 (MTA-STS) · 2852 (DELIVERBY).

mod asked;
mod clock;
mod connection;
mod courier;
mod desk;
mod exchange;
mod explain;
mod familiar;
mod feed;
mod greylist;
mod late;
mod lineup;
mod look_up;
mod pieces;
mod protection;
mod queue;
mod rates;
mod results;
mod returns;
mod setback;
mod settings;
mod settle;
mod sites;
mod sts;
mod tries;
mod window;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use net::{ClientTls, Resolver, Stop};
use route::{Relay, Routes};
use tokio::sync::mpsc;

pub use clock::{Clock, WallClock};
pub use explain::{HostPolicy, TlsPolicy};
pub use pieces::{Piece, Pieces};
pub use queue::{
    Attempt, Due, Item, Late, LateTaken, Leaving, Mail, Notice, Notify, Outcome, Queue, QueueError,
    Report, Sent, Skip, Taken,
};
pub use rates::Wait;
pub use sasl::{Login, Secret};
pub use settings::{HostLimit, Settings, WarmUp};
pub use sts::{KeptPolicy, PolicyFiles, Sts, StsPolicies, StsSettings, StsTrouble};
pub use tries::{Published, Try};

use desk::Desk;
use familiar::Familiar;
use rates::Rates;
use results::Settled;
use returns::Returns;

/// What the runner works with.
pub struct Parts<Q> {
    /// Where mail comes from and results go to.
    pub queue: Arc<Q>,
    /// DNS.
    pub resolver: Arc<Resolver>,
    /// The client side of TLS.
    pub tls: ClientTls,
    /// Policies of MTA-STS; none where they are not asked for.
    pub sts: Option<Arc<StsPolicies>>,
    /// By which mail is due.
    pub clock: Arc<dyn Clock>,
    /// Any numbers, evenly drawn: for jitter and the order of equal hosts.
    pub random: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// Sends what is due, from [`Runner::run`] on until it is stopped.
pub struct Runner<Q: Queue> {
    settings: Settings,
    queue: Arc<Q>,
    resolver: Arc<Resolver>,
    tls: ClientTls,
    sts: Option<Arc<StsPolicies>>,
    clock: Arc<dyn Clock>,
    random: Box<dyn Fn() -> u64 + Send + Sync>,
    routes: RwLock<Routes>,
    logins: RwLock<HashMap<Relay, Arc<Login>>>,
    desk: Desk,
    rates: Rates,
    familiar: Familiar,
    returns: Returns,
    results: mpsc::Sender<Settled>,
    /// The other end, until `run` takes it.
    to_record: Mutex<Option<mpsc::Receiver<Settled>>>,
}

impl<Q: Queue> Runner<Q> {
    /// Sets up; sends nothing yet.
    #[must_use]
    pub fn new(settings: Settings, parts: Parts<Q>, routes: Routes) -> Arc<Self> {
        let Parts { queue, resolver, tls, sts, clock, random } = parts;
        let (results, to_record) = mpsc::channel(settings.results_max.max(1));
        Arc::new(Self {
            desk: Desk::new(&settings),
            rates: Rates::new(&settings),
            familiar: Familiar::default(),
            returns: Returns::default(),
            settings,
            queue,
            resolver,
            tls,
            sts,
            clock,
            random,
            routes: RwLock::new(routes),
            logins: RwLock::default(),
            results,
            to_record: Mutex::new(Some(to_record)),
        })
    }

    /// Sends what is due until `stop` is requested. Then what is under way ends within the grace
    /// time and is recorded, and all else goes back to the queue. Runs once; a second call returns
    /// at once.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let to_record = self.to_record.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(to_record) = to_record else { return };
        for host in self.queue.reached_lately(familiar::FAMILIAR_MAX).await {
            self.familiar.reached(&host);
        }
        self.rates.remember(&self.queue.sent_lately().await);
        let recording = tokio::spawn(Arc::clone(&self).record_results(to_record, stop.clone()));
        let returning = tokio::spawn(Arc::clone(&self).give_back_again(stop.clone()));
        self.feed(&stop).await;
        self.wind_up().await;
        if self.results.send(None).await.is_err() {
            tracing::error!("the recorder of results has ended early");
        }
        if let Err(error) = recording.await {
            tracing::error!(%error, "the recorder of results failed");
        }
        if let Err(error) = returning.await {
            tracing::error!(%error, "giving mail back failed");
        }
    }

    /// Other routes from now on, for mail not yet taken from the queue.
    pub fn set_routes(&self, routes: Routes) {
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
        // What could not be reached before may have a way now.
        self.desk.forget_pauses();
    }

    /// Who we are to smart hosts, for connections that are made from now on.
    pub fn set_logins(&self, logins: HashMap<Relay, Arc<Login>>) {
        *self.logins.write().unwrap_or_else(PoisonError::into_inner) = logins;
        self.desk.forget_pauses();
    }

    fn login(&self, relay: &Relay) -> Option<Arc<Login>> {
        self.logins.read().unwrap_or_else(PoisonError::into_inner).get(relay).cloned()
    }

    /// Forgets which destinations could not be reached: for a retry command, before the queue is
    /// told that its mail is due.
    pub fn forget_pauses(&self) {
        self.desk.forget_pauses();
    }

    /// Gives back what waits here for a connection, to be taken anew: it was changed in the queue.
    pub async fn take_anew(&self) {
        let custodies = self.desk.take_all(self.clock.now());
        self.give_back(&custodies).await;
    }

    /// What mail for this host waits for, besides its due time.
    #[must_use]
    pub fn wait_of(&self, to: &mail_types::Host, relay: Option<&route::Relay>) -> Option<Wait> {
        self.desk.wait_of(&self.hop(to, relay), self.clock.now())
    }

    /// Connections now, those being made included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.desk.connections()
    }

    /// 24 letters and digits that are never drawn twice, for the ids of reports.
    fn unique(&self) -> String {
        // Without randomness from the system, a number of our own: the id need not be secret.
        net::nonce().unwrap_or_else(|_| format!("{:016x}", (self.random)()))
    }
}
