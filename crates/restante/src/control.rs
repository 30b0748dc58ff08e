//! The control socket: one JSON request on a line, one JSON answer on a line. Whoever may open the
//! socket's file (its owner) may do everything.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use deliver::Runner;
use serde_json::Value;
use store::{Actor, Store};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::acme::Keeper;
use crate::alarms::Alarms;
use crate::backups;
use crate::data_dir::DataDir;
use crate::domain_dns::Names;
use crate::heads;
use crate::jobs::{self, Jobs, Watch};
use crate::looking_after::LookingAfter;
use crate::metrics::Metrics;
use crate::operator_command;
use crate::outbound::Outbound;
use crate::reporting::Reporter;
use crate::reporting::command::Ask;
use crate::request::{Failure, Request, perform};
use crate::standbys::Standbys;
use crate::{queue_waits, tls};

/// Bytes of one request.
const REQUEST_BYTES_MAX: u64 = 1 << 20;
/// Between two tries to take connections where the system refuses.
const TAKE_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// The socket while it listens.
pub struct Listening {
    task: JoinHandle<()>,
    path: PathBuf,
}

impl Listening {
    /// Stops listening and takes the socket's file away.
    pub async fn close(self) {
        self.task.abort();
        // Aborted is what it should be.
        drop(self.task.await);
        remove_socket(&self.path);
    }
}

/// A socket's file that is left makes the next start no harder: it is replaced.
fn remove_socket(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "the control socket cannot be removed");
    }
}

/// What of a running server commands are for.
#[derive(Clone)]
pub struct Parts {
    /// Sends mail.
    pub runner: Arc<Runner<Outbound>>,
    /// Orders certificates, where it is to.
    pub keeper: Option<Arc<Keeper>>,
    /// Tells events.
    pub hooks: Arc<web::Hooks>,
    /// Sends reports.
    pub reporter: Arc<Reporter>,
    /// What is wrong now.
    pub alarms: Alarms,
    /// Who is signed in at the console.
    pub sessions: Arc<web::Sessions>,
    /// Looks domains up.
    pub names: Arc<Names>,
    /// Where everything lies.
    pub data: DataDir,
    /// Looks after the data.
    pub looking_after: LookingAfter,
    /// The numbers.
    pub metrics: Arc<Metrics>,
    /// Finds messages, where the settings want it.
    pub search: Option<Arc<archive_search::Search>>,
    /// Who follows.
    pub standbys: Arc<Standbys>,
    /// Long work.
    pub jobs: Arc<Jobs>,
}

/// Listens on the control socket.
pub fn listen(path: &Path, store: Store, parts: Parts) -> anyhow::Result<Listening> {
    // The store is ours alone (its lock says so), so a socket that is there is of a dead server.
    remove_socket(path);
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot make the control socket {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot protect the control socket {}", path.display()))?;
    let task = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (store, parts) = (store.clone(), parts.clone());
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, store, parts).await {
                            tracing::debug!(%error, "a control connection ended early");
                        }
                    });
                }
                // Out of descriptors or memory: it passes, and whoever asks then wants to know why.
                Err(error) => {
                    tracing::error!(%error, "the control socket takes nobody now");
                    tokio::time::sleep(TAKE_AGAIN).await;
                }
            }
        }
    });
    Ok(Listening { task, path: path.to_owned() })
}

async fn answer(stream: UnixStream, store: Store, parts: Parts) -> std::io::Result<()> {
    let user = stream.peer_cred()?.uid();
    let (reader, writer) = stream.into_split();
    let mut line = String::new();
    let (mut reader, mut writer) = (reader, writer);
    // Whoever begins a session says nothing behind its request before it is answered.
    let mut lines = tokio::io::BufReader::new(&mut reader);
    (&mut lines).take(REQUEST_BYTES_MAX).read_line(&mut line).await?;
    let request = serde_json::from_str::<Request>(&line);
    if let Ok(Request::Transfer { account }) = &request {
        let operator = Actor::Operator { name: user_name(user) };
        return transfer(store, account, operator, reader.reunite(writer)).await;
    }
    if let Ok(Request::Backup { .. } | Request::Heal { .. }) = &request {
        let backups = Arc::clone(&parts.looking_after.backups);
        let stream = reader.reunite(writer).map_err(std::io::Error::other)?.into_std()?;
        stream.set_nonblocking(false)?;
        let actor = Actor::Operator { name: user_name(user) };
        let served = tokio::task::spawn_blocking(move || match request {
            Ok(Request::Backup { to, encrypt_to }) => backups.serve(&to, &encrypt_to, stream),
            Ok(Request::Heal { ask }) => backups.serve_heal(&ask, &actor, stream),
            _ => Ok(()),
        });
        return served.await.map_err(std::io::Error::other)?;
    }
    if let Ok(Request::Search(request)) = request {
        let (search, heads) = (parts.search.clone(), parts.looking_after.heads.clone());
        return searched(store, search, heads, request, reader.reunite(writer)).await;
    }
    let result = match request {
        Ok(request) => {
            let actor = Actor::Operator { name: user_name(user) };
            done(&store, &parts, request, actor, &Arc::default()).await
        }
        Err(error) => Err(Failure { what: format!("not a request: {error}"), mend: None }),
    };
    let answer = match result {
        Ok(value) => serde_json::json!({ "ok": value }),
        Err(failure) => serde_json::json!({ "error": failure }),
    };
    writer.write_all(format!("{answer}\n").as_bytes()).await
}

/// Does what is asked, in the running server: whoever asks may ask it. `watch` is told how far it is,
/// and ends it early.
pub async fn done(
    store: &Store,
    parts: &Parts,
    request: Request,
    actor: Actor,
    watch: &Arc<Watch>,
) -> Result<Value, Failure> {
    let Parts { runner, keeper, hooks, reporter, alarms, looking_after, .. } = parts;
    let Parts { metrics, sessions, names, data, .. } = parts;
    match request {
        Request::Tls { ask: tls::Ask::Policy { domain } } => {
            return tls::policy(runner, &domain).await;
        }
        Request::Metrics => {
            let metrics = Arc::clone(metrics);
            let text = tokio::task::spawn_blocking(move || metrics.text()).await;
            return text.map(Value::from).map_err(|_| bug());
        }
        Request::Tls { ask: tls::Ask::Renew } => return tls::renew(keeper.as_deref()).await,
        Request::Reports { ask: Ask::Send } => return reporter.send_now().await,
        Request::Hook { ask } => {
            return crate::hook_command::answer(hooks, store, ask, &actor).await;
        }
        Request::Proof { mail, check, hash_only } => {
            return heads::command::answer(looking_after.heads.clone(), mail, check, hash_only)
                .await;
        }
        Request::DomainCheck { domain } => return names.check(store, domain).await,
        Request::Job { ask } => return parts.jobs.answer(store, parts, ask, actor),
        Request::Backups { ask } => {
            let (backups, watch) = (Arc::clone(&looking_after.backups), Arc::clone(watch));
            let done = tokio::task::spawn_blocking(move || backups.answer(ask, &watch)).await;
            return done.unwrap_or_else(|_| Err(bug()));
        }
        Request::HeadState => {
            let about = looking_after.about_heads.clone();
            let read = tokio::task::spawn_blocking(move || about.state()).await;
            return read.unwrap_or_else(|_| Err(bug()));
        }
        Request::BackupState {} => return Ok(looking_after.backups.state()),
        Request::BackupStart {} => return looking_after.backups.begin(backups::Kind::Take),
        Request::BackupCheck {} => return looking_after.backups.begin(backups::Kind::Check),
        Request::BackupPoints {} => {
            let backups = Arc::clone(&looking_after.backups);
            let points = tokio::task::spawn_blocking(move || backups.points()).await;
            return points.unwrap_or_else(|_| Err(bug()));
        }
        Request::Operator { ask } => {
            if let Some(answer) = operator_command::sessions(sessions, store, &actor, &ask).await {
                return answer;
            }
            return work(store, parts, Request::Operator { ask }, actor, watch).await;
        }
        _ => {}
    }
    let changes_queue = matches!(
        request,
        Request::QueueChange { dry_run: false, .. }
            | Request::QueueUndo { .. }
            | Request::QueuePause { .. }
    );
    if changes_queue {
        runner.forget_pauses();
    }
    let changes_routes = matches!(
        request,
        Request::RouteAdd { .. } | Request::RouteRemove { .. } | Request::Acts { .. }
    );
    let is_status = matches!(request, Request::Status);
    let asks_queue = matches!(request, Request::QueueList { .. } | Request::QueueShow { .. });
    let is_flow = matches!(request, Request::Flow { .. });
    let mut result = work(store, parts, request, actor, watch).await;
    if asks_queue && let Ok(answer) = &mut result {
        queue_waits::tell(answer, |to, relay| runner.wait_of(to, relay));
    }
    if changes_queue {
        // What lies ready to be sent is not what it was.
        runner.take_anew().await;
    }
    if changes_routes {
        runner.set_routes(crate::serve::routes(store));
        runner.set_logins(crate::serve::logins(store));
    }
    if let (true, Ok(Value::Object(answer))) = (is_status, &mut result) {
        answer.insert("alarms".to_owned(), alarms.view());
        answer.extend(looking_after.view());
        answer.insert("standby".to_owned(), parts.standbys.view());
    }
    if let (true, Ok(Value::Object(answer))) = (is_flow, &mut result) {
        answer.insert("storage".to_owned(), crate::overview::storage(data));
    }
    result
}

/// Does it on a thread that may wait.
async fn work(
    store: &Store,
    parts: &Parts,
    request: Request,
    actor: Actor,
    watch: &Arc<Watch>,
) -> Result<Value, Failure> {
    let (store, search, watch) = (store.clone(), parts.search.clone(), Arc::clone(watch));
    let work = move || jobs::perform(&store, search.as_deref(), request, &actor, &watch);
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(bug()))
}

fn bug() -> Failure {
    Failure { what: "the server failed at it (a bug)".to_owned(), mend: None }
}

/// Serves a search on the rest of the connection.
async fn searched(
    store: Store,
    search: Option<Arc<archive_search::Search>>,
    heads: Option<Arc<heads::Heads>>,
    request: crate::search::SearchRequest,
    stream: Result<UnixStream, tokio::net::unix::ReuniteError>,
) -> std::io::Result<()> {
    let stream = stream.map_err(std::io::Error::other)?.into_std()?;
    stream.set_nonblocking(false)?;
    let served = tokio::task::spawn_blocking(move || {
        crate::search::serve(&store, search.as_deref(), heads.as_deref(), &request, stream)
    });
    served.await.map_err(std::io::Error::other)?
}

/// Serves a session of import or export on the rest of the connection.
async fn transfer(
    store: Store,
    address: &mail_types::Address,
    operator: Actor,
    stream: Result<UnixStream, tokio::net::unix::ReuniteError>,
) -> std::io::Result<()> {
    let mut stream = stream.map_err(std::io::Error::other)?;
    let account = store.directory().sign_in_name(&address.to_string()).map(|found| found.id);
    let Some(account) = account else {
        let what = format!("account {address} does not exist");
        let answer = serde_json::json!({ "error": Failure { what, mend: None } });
        return stream.write_all(format!("{answer}\n").as_bytes()).await;
    };
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    let served = tokio::task::spawn_blocking(move || {
        crate::transfer::serve(store, account, operator, stream)
    });
    served.await.map_err(std::io::Error::other)?.map_err(std::io::Error::other)
}

/// The name of a system user, from /etc/passwd; its number where that has none.
fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| format!("uid {uid}"))
}

/// Has it done: by the server if one runs, else on the store itself.
pub fn ask(data: &DataDir, request: Request) -> anyhow::Result<Value> {
    match BlockingStream::connect(data.control_path()) {
        Ok(stream) => ask_server(stream, &request),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            let config = data.config()?;
            let (store, _) = Store::open(data.path(), DataDir::store_options(&config))
                .with_context(|| format!("cannot open the store in {}", data.path().display()))?;
            let actor = own_actor(data);
            let result = match request {
                Request::Proof { mail, check, hash_only } => {
                    heads::command::prove_alone(data, &store, mail, check, hash_only)
                }
                Request::Backup { to, encrypt_to } => {
                    backups::command::take_alone(data, &store, &to, &encrypt_to)
                }
                Request::Heal { ask } => backups::command::heal_alone(data, &store, &ask, &actor),
                // Nobody else is there to be told of it: it is done as it is.
                Request::Job { ask: jobs::Ask::Start { request } } => {
                    crate::search::perform_alone(data, &config, &store, *request, &actor)
                }
                Request::RestoreFound(ask) => {
                    let request = Request::RestoreFound(ask);
                    crate::search::perform_alone(data, &config, &store, request, &actor)
                }
                request => perform(&store, request, &actor),
            };
            store.close();
            result.map_err(told)
        }
        Err(error) => Err(error).with_context(|| {
            format!("cannot reach the server at {}", data.control_path().display())
        }),
    }
}

/// Whoever runs this command, where no server does.
pub fn own_actor(data: &DataDir) -> Actor {
    Actor::Operator { name: user_name(own_uid(data)) }
}

/// Who runs this command: whoever owns this process's entry in /proc.
fn own_uid(data: &DataDir) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self")
        .or_else(|_| std::fs::metadata(data.path()))
        .map_or(0, |found| found.uid())
}

fn ask_server(mut stream: BlockingStream, request: &Request) -> anyhow::Result<Value> {
    let line = serde_json::to_string(request)?;
    stream.write_all(format!("{line}\n").as_bytes()).context("the server went away")?;
    let mut lines = BufReader::new(stream).lines();
    let mut answer = loop {
        let line = lines.next().context("the server went away")?.context("the server went away")?;
        let answer: Value = serde_json::from_str(&line)
            .context("the server's answer cannot be read; is it of another version?")?;
        // Long work says how far it is, on lines of their own.
        match answer["progress"].as_str() {
            Some(progress) => crate::show::progress(progress),
            None => break answer,
        }
    };
    match answer.get_mut("error") {
        Some(failure) => Err(told(serde_json::from_value(failure.take())?)),
        None => Ok(answer["ok"].take()),
    }
}

pub fn told(failure: Failure) -> anyhow::Error {
    match failure.mend {
        Some(mend) => anyhow::anyhow!("{}\nWhat to do: {mend}", failure.what),
        None => anyhow::anyhow!("{}", failure.what),
    }
}
