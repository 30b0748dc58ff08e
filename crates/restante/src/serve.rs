//! Starts every service, and stops them in the order that loses nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use config::{Config, Service};
use deliver::{Login, Parts, Runner, Secret, StsPolicies, StsSettings};
use mail_types::{Address, Domain, Host};
use net::{Link, LinkLimits, ListenLimits, Listener, Places, Security, ServerTls, Stop, Stopped};
use route::{Pattern, Relay, Routes};
use sign_in::SignIn;
use store::{Started, Store};
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::alarms::Alarms;
use crate::background::Background;
use crate::control;
use crate::data_dir::DataDir;
use crate::dkim;
use crate::domain_dns::Names;
use crate::file_limit;
use crate::heads::Heads;
use crate::incoming;
use crate::introspection::Introspection;
use crate::jobs::Jobs;
use crate::looking_after::LookingAfter;
use crate::mail_access;
use crate::metrics::{self, Metrics};
use crate::outbound::Outbound;
use crate::outside::{self, Outside};
use crate::reporting::Reporter;
use crate::standbys::Standbys;
use crate::sts_files::StsFiles;
use crate::web_access;
use crate::{acme, certificates};

/// Runs the server until it is asked to stop (SIGTERM or SIGINT); SIGHUP reads the certificate
/// anew. `ready` is called once everything listens.
pub fn serve(
    data: &DataDir,
    alarms: Alarms,
    ready: impl FnOnce(&Store, &Config) + Send,
) -> anyhow::Result<()> {
    let mut config = data.config()?;
    file_limit::fit(&mut config);
    let standbys = Standbys::new(data, &config)?;
    let mut options = DataDir::store_options(&config);
    options.witness = standbys.witness();
    let (store, started) = Store::open(data.path(), options)
        .with_context(|| format!("cannot open the store in {}", data.path().display()))?;
    tell_start(&started);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let heads = heads(data, &config, &store);
    let following = heads.as_ref().map(Heads::follow).transpose()?;
    let result = runtime.block_on(async {
        standbys.start(&config, &store).await?;
        run(data, config, store.clone(), alarms, heads, &standbys, ready).await
    });
    // Connections and the queue runner have ended: whatever they recorded is in the journal.
    store.close();
    drop(following);
    runtime.block_on(standbys.finish());
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// What signs heads; mail goes its way where that cannot.
fn heads(data: &DataDir, config: &Config, store: &Store) -> Option<Arc<Heads>> {
    match Heads::open(data, config, store) {
        Ok(heads) => Some(heads),
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(error, "ALARM: no heads are signed; mail is not touched by this");
            None
        }
    }
}

fn tell_start(started: &Started) {
    if let Some(why) = &started.rebuilt {
        tracing::warn!(why, "the index was made anew from the journal");
    }
    for cut in &started.cut {
        tracing::info!(cut, "the journal's end was cut: nobody was told of it");
    }
    for damage in &started.damage {
        tracing::error!(damage, "ALARM: the journal is damaged; see `restante verify`");
    }
    if started.uncertain > 0 {
        let count = started.uncertain;
        tracing::warn!(count, "messages were being sent at the last stop; they may arrive twice");
    }
    tracing::info!(replayed = started.replayed, "the store is open");
}

/// Everything that runs.
pub struct Running {
    listeners: JoinSet<Stopped>,
    stop: Stop,
    limits: ListenLimits,
    /// All services share them.
    places: Places,
    tls: ServerTls,
}

impl Running {
    /// The wish to stop, for a service.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Binds the addresses of one service and serves them.
    pub fn listen<F>(
        &mut self,
        config: &Config,
        service: Service,
        refusal: &'static [u8],
        serve: impl Fn(Link) -> F + Send + Sync + 'static,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let behind_proxy = |listener: &config::Listener| {
            config.proxy.listeners.iter().any(|at| at.covers(listener))
        };
        let (proxied, direct): (Vec<_>, Vec<_>) = config
            .listeners()
            .into_iter()
            .filter(|listener| listener.service == service)
            .partition(behind_proxy);
        let serve = Arc::new(serve);
        if !direct.is_empty() {
            let serve = Arc::clone(&serve);
            let listener = self.bind(service, &direct, refusal)?;
            self.listeners.spawn(listener.run(move |link| serve(link), self.stop.clone()));
        }
        if !proxied.is_empty() {
            let listener = self.bind(service, &proxied, refusal)?;
            let listener = listener.behind_proxies(trusted(&config.proxy.networks));
            self.listeners.spawn(listener.run(move |link| serve(link), self.stop.clone()));
        }
        Ok(())
    }

    fn bind(
        &self,
        service: Service,
        listeners: &[config::Listener],
        refusal: &'static [u8],
    ) -> anyhow::Result<Listener> {
        let security = if service.is_implicit_tls() {
            let tls = match service {
                Service::Https => self.tls.for_http(),
                Service::Smtp
                | Service::Submission
                | Service::Submissions
                | Service::Imap
                | Service::Imaps
                | Service::Pop3
                | Service::Pop3s
                | Service::Http
                | Service::Standby
                | Service::Lmtp => self.tls.clone(),
            };
            Security::ServerImplicit(tls)
        } else {
            Security::ServerStartTls(self.tls.clone())
        };
        let addresses: Vec<_> = listeners.iter().map(|listener| listener.address).collect();
        let limits = self.limits.clone();
        let listener = Listener::bind(service.as_str(), &addresses, security, limits, refusal)
            .with_context(|| {
                format!(
                    "nothing was started; set another port for `{service}` under [listen] in \
                     restante.toml, or stop what uses this one"
                )
            })?;
        Ok(listener.sharing(&self.places))
    }

    /// The same for a Unix socket that is bound.
    pub fn listen_unix<F>(
        &mut self,
        name: &str,
        socket: UnixListener,
        refusal: &'static [u8],
        serve: impl Fn(Link) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = Listener::unix(name, socket, self.limits.clone(), refusal);
        let stop = self.stop.clone();
        self.listeners.spawn(listener.sharing(&self.places).run(serve, stop));
    }
}

/// Whether an address is in one of these networks.
pub fn trusted(networks: &[config::Network]) -> net::Trusted {
    let networks: Vec<_> = networks
        .iter()
        .map(|network| route::Network::new(network.ip, network.prefix_bits))
        .collect();
    Arc::new(move |ip| networks.iter().any(|network| network.contains(ip)))
}

async fn run(
    data: &DataDir,
    config: Config,
    store: Store,
    alarms: Alarms,
    heads: Option<Arc<Heads>>,
    standbys: &Arc<Standbys>,
    ready: impl FnOnce(&Store, &Config),
) -> anyhow::Result<()> {
    let signals = Signals::catch()?;
    let tls = certificates::load(data, &config)?;
    let (stopper, stop) = net::stopper();
    let mut running = Running {
        listeners: JoinSet::new(),
        stop: stop.clone(),
        limits: listen_limits(&config),
        places: Places::default(),
        tls: tls.clone(),
    };
    let accounts = directory_bell(&store);
    // What can fail comes before mail is taken or sent.
    let outside = Outside::new(data, &config)?;
    let sign_in = sign_in(data, &config, &store, &outside)?;
    let sts = sts_policies(data, &config, &outside);
    let runner = runner(&config, &store, &outside, sts.clone())?;
    let proofs = acme::Pages::default();
    let keeper = acme::Keeper::new(data, &config, &outside.http, &tls, &proofs);
    let hooks = web::Hooks::start(store.clone(), outside.http.clone(), stop.clone());
    let reporter = Reporter::new(&config, &store, &outside);
    let looking_after = LookingAfter::new(data, &config, &store, heads);
    let numbers = metrics::Parts::of(
        &store,
        &sign_in,
        &running.places,
        &runner,
        (&alarms, standbys),
        &looking_after.backups,
    );
    let metrics = Arc::new(Metrics::new(numbers, data, &config));
    let search = crate::search::start(data, &config, &store);
    let jobs = Jobs::new();
    let parts = control::Parts {
        runner: Arc::clone(&runner),
        keeper: keeper.clone(),
        hooks,
        reporter: Arc::clone(&reporter),
        alarms,
        looking_after: looking_after.clone(),
        sessions: web_access::sessions(&config),
        names: Names::new(data, &config, &outside.resolver),
        data: data.clone(),
        metrics: Arc::clone(&metrics),
        search: search.clone(),
        standbys: Arc::clone(standbys),
        jobs: Arc::clone(&jobs),
    };
    let control = control::listen(&data.control_path(), store.clone(), parts.clone())?;
    let lmtp = incoming::listen(&mut running, data, &config, &store, &sign_in, &outside)?;
    mail_access::listen_imap(&mut running, &config, &store, &sign_in, &accounts)?;
    mail_access::listen_pop3(&mut running, &config, &store, &sign_in, &accounts)?;
    let mut background = Background::default();
    work_long(&mut background, search, jobs, &stop);
    keep_house(&mut background, &store, &config, &stop);
    looking_after.run(data, &config, &mut background, &stop);
    web_access::listen(&mut running, &config, &store, &sign_in, &parts)?;
    web_access::listen_http(&mut running, &config, vec![proofs.source()])?;
    let watching = certificates::watch(tls.clone(), data.clone(), config.clone(), stop.clone());
    background.run("looking after certificates", watching);
    refresh_policies(&mut background, sts, &stop);
    let http = outside.http.clone();
    background.run("sending numbers", metrics::push(metrics, config.clone(), http, stop.clone()));
    background.run("reporting to others", reporter.run(stop.clone()));
    renew(&mut background, keeper, &stop);
    let mut sending = tokio::spawn(Arc::clone(&runner).run(stop.clone()));
    tracing::info!(hostname = %config.hostname, "Restante is ready");
    ready(&store, &config);
    let sent = tokio::select! {
        () = signals.wait(&tls, data, &config) => None,
        _ = standbys.over() => None,
        ended = &mut sending => Some(ended),
    };
    tracing::info!("stopping: what is under way is finished first");
    stopper.stop();
    while running.listeners.join_next().await.is_some() {}
    let sent = match sent {
        None => sending.await,
        // A server that takes mail and sends none is worse than one that is started again.
        Some(ended) => ended,
    };
    if let Some(lmtp) = lmtp {
        lmtp.remove();
    }
    control.close().await;
    background.ended().await?;
    tracing::info!("stopped");
    if let Some(why) = standbys.why_over() {
        bail!("{why}");
    }
    sent.context("the queue runner ended by a bug")
}

fn work_long(
    background: &mut Background,
    search: Option<Arc<archive_search::Search>>,
    jobs: Arc<Jobs>,
    stop: &net::Stop,
) {
    if let Some(search) = search {
        background.run("making messages searchable", crate::search::until(search, stop.clone()));
    }
    background.run("long work", jobs.until(stop.clone()));
}

fn renew(background: &mut Background, keeper: Option<Arc<acme::Keeper>>, stop: &net::Stop) {
    let Some(keeper) = keeper else { return };
    background.run("renewing certificates", keeper.keep(stop.clone()));
}

fn refresh_policies(background: &mut Background, sts: Option<Arc<StsPolicies>>, stop: &net::Stop) {
    let Some(sts) = sts else { return };
    let refreshing = sts.keep_fresh(Arc::new(deliver::WallClock), stop.clone());
    background.run("refreshing policies", refreshing);
}

/// Rung when accounts change.
fn directory_bell(store: &Store) -> net::Bell {
    let accounts = net::Bell::default();
    let rung = accounts.clone();
    store.on_directory(Box::new(move || rung.ring()));
    accounts
}

fn listen_limits(config: &Config) -> ListenLimits {
    ListenLimits {
        connections_max: config.limits.connections_max,
        connections_per_source_max: config.limits.connections_per_ip_max,
        loopback_is_counted: config.limits.loopback_is_limited,
        stop_wait: config.timeouts.shut_down + Duration::from_secs(5),
        proxy_header: config.proxy.header_timeout,
        link: LinkLimits {
            handshake: config.timeouts.tls_handshake,
            write_stall: config.timeouts.send,
            grace: config.timeouts.shut_down,
        },
    }
}

/// What happens to mail when its time has come.
fn keep_house(background: &mut Background, store: &Store, config: &Config, stop: &Stop) {
    background.run("purging held mail", purge(store.clone(), stop.clone()));
    background.run("releasing held mail", release(store.clone(), stop.clone()));
    let every = config.archive.sweep_interval;
    let sweeping = crate::archiving::sweep(store.clone(), every, stop.clone());
    background.run("purging mail that is over its time", sweeping);
    let (keyed, until) = (store.clone(), stop.clone());
    background.run_blocking("making DKIM keys", move || dkim::ensure_all(&keyed, &until));
}

/// Ends the holds whose time is over, until the stop.
async fn purge(store: Store, mut stop: Stop) {
    const EVERY: Duration = Duration::from_secs(60);
    loop {
        let work = store.clone();
        match tokio::task::spawn_blocking(move || work.purge_due()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!(count, "held mail was purged: its time was over"),
            Ok(Err(error)) => tracing::error!(%error, "held mail could not be purged"),
            Err(error) => tracing::error!(%error, "purging failed"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.requested() => return,
        }
    }
}

/// Lets mail go on that its senders wanted to leave later, until the stop. Looks often, since that
/// costs nothing while none is due.
async fn release(store: Store, mut stop: Stop) {
    const EVERY: Duration = Duration::from_millis(500);
    loop {
        let work = store.clone();
        match tokio::task::spawn_blocking(move || work.release_due()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!(count, "held mail was released: its time has come"),
            Ok(Err(error)) => tracing::error!(%error, "held mail could not be released"),
            Err(error) => tracing::error!(%error, "releasing failed"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.requested() => return,
        }
    }
}

/// What the server is told by signals. Made before anything listens: a server that can be reached
/// can be asked to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn catch() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hang_up: catch(SignalKind::hangup())?,
        })
    }

    /// Returns when the server is asked to stop; reads the certificate anew whenever asked to.
    async fn wait(mut self, tls: &ServerTls, data: &DataDir, config: &Config) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => certificates::reload(tls, data, config),
            }
        }
    }
}

fn sign_in(
    data: &DataDir,
    config: &Config,
    store: &Store,
    outside: &Outside,
) -> anyhow::Result<Arc<SignIn>> {
    let (directory, settings) = (store.clone(), &config.sign_in);
    let sign_in = SignIn::new(
        move || directory.directory(),
        net::random_bytes()?,
        settings.remember_for,
        sign_in_limits(config),
    )?;
    let tokens = Introspection::new(data, config, &outside.http)?;
    Ok(Arc::new(match tokens {
        Some(tokens) => sign_in.with_tokens(tokens),
        None => sign_in,
    }))
}

fn sign_in_limits(config: &Config) -> sign_in::Limits {
    let settings = &config.sign_in;
    sign_in::Limits {
        failure_delay: settings.failure_delay,
        failure_delay_max: settings.failure_delay_max,
        failure_forgotten_each: settings.failure_forgotten_each,
        account_failures_free: settings.account_failures_free,
        network_known_for: settings.network_known_for,
        loopback_is_limited: config.limits.loopback_is_limited,
    }
}

fn runner(
    config: &Config,
    store: &Store,
    outside: &Outside,
    sts: Option<Arc<StsPolicies>>,
) -> anyhow::Result<Arc<Runner<Outbound>>> {
    let report_from = Address::parse(&format!("postmaster@{}", config.hostname))?;
    let parts = Parts {
        resolver: Arc::clone(&outside.resolver),
        tls: outside.tls.clone(),
        sts,
        queue: Arc::new(Outbound::new(store.clone(), config.hostname.clone())),
        clock: Arc::new(deliver::WallClock),
        random: Box::new(|| {
            // Jitter is the only use: without randomness it is merely even.
            net::random_bytes::<8>().map_or(0, u64::from_le_bytes)
        }),
    };
    let runner = Runner::new(deliver_settings(config, report_from), parts, routes(store));
    runner.set_logins(logins(store));
    Ok(runner)
}

fn sts_policies(data: &DataDir, config: &Config, outside: &Outside) -> Option<Arc<StsPolicies>> {
    let settings = &config.outgoing_tls;
    settings.mta_sts.then(|| {
        Arc::new(StsPolicies::new(
            Arc::clone(&outside.resolver),
            outside.http.clone(),
            StsSettings { port: settings.mta_sts_port, timeout: settings.mta_sts_timeout },
            Box::new(StsFiles::new(data.path())),
            net::now(),
        ))
    })
}

fn deliver_settings(config: &Config, report_from: Address) -> deliver::Settings {
    let queue = &config.queue;
    let mut settings = deliver::Settings::new(config.hostname.clone(), report_from);
    settings.schedule.waits.clone_from(&queue.retry_schedule);
    settings.schedule.jitter_percent = queue.retry_jitter_percent;
    settings.schedule.lifetime = queue.lifetime;
    settings.schedule.warn_after =
        (!queue.delay_warning_after.is_zero()).then_some(queue.delay_warning_after);
    settings.inward = outside::inward(config);
    settings.own.addresses =
        config.listeners().iter().map(|listener| listener.address.ip()).collect();
    settings.port = queue.remote_port;
    settings.connections_max = queue.concurrency;
    settings.connections_per_destination_max = queue.per_destination_concurrency;
    settings.messages_per_connection = queue.messages_per_connection;
    settings.host_limits = queue
        .host_limits
        .iter()
        .map(|limit| deliver::HostLimit {
            hosts: limit.hosts.clone(),
            connections: limit.connections,
            messages: limit.messages,
            per_minute: limit.per_minute,
            per_hour: limit.per_hour,
        })
        .collect();
    settings.warm_up = (queue.warm_up_first_day > 0).then_some(deliver::WarmUp {
        first_day: queue.warm_up_first_day,
        growth_percent: queue.warm_up_growth_percent,
        done_at: queue.warm_up_done_at,
    });
    settings.recipients_per_transaction = queue.recipients_per_transaction;
    settings.hosts_per_attempt = queue.hosts_per_attempt;
    settings.idle = queue.connection_idle;
    settings.connect_timeout = queue.connect_timeout;
    settings.command_timeout = queue.command_timeout;
    settings.data_end_timeout = queue.data_end_timeout;
    settings.unreachable_pause = queue.unreachable_pause;
    settings.grace = config.timeouts.shut_down;
    settings.chunking = queue.chunking;
    settings.starttls = queue.starttls;
    settings.dane = config.outgoing_tls.dane;
    settings
}

/// Who we are to smart hosts, as `deliver` wants it.
pub fn logins(store: &Store) -> HashMap<Relay, Arc<Login>> {
    let directory = store.directory();
    let known = directory.logins().filter_map(|(relay, login)| {
        let password = Secret::new(login.password.0.clone());
        let login = Arc::new(Login { name: login.name.clone(), password });
        relay.parse().ok().map(|relay: Relay| (relay, login))
    });
    known.collect()
}

/// The store's routes as `deliver` wants them.
pub fn routes(store: &Store) -> Routes {
    let mut routes = Routes::default();
    for (domain, known) in store.directory().routes() {
        let pattern = domain.map_or(Pattern::Default, |domain| Pattern::Domain(domain.clone()));
        let host = match known.host.parse() {
            Ok(ip) => Ok(Host::Literal(ip)),
            Err(_) => Domain::new(&known.host).map(Host::Domain),
        };
        match host {
            Ok(host) => {
                routes.insert(pattern, Relay { host, port: known.port });
            }
            Err(error) => tracing::error!(%error, host = known.host, "a route leads nowhere"),
        }
    }
    routes
}
