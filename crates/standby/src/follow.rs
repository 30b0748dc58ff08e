//! The standby's side: links up, keeps what comes, says what it has, and brings index and tree up to
//! it behind that.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use journal::{Copy, Head, OpenError, Reader, RealDisk};
use ledger::{Ledger, heads_path};
use mail_types::{RecordSeq, Timestamp};
use net::{PinnedStream, Stop, connect_pinned};
use store::Follower;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::error::{FollowError, cut, io};
use crate::keeper::{Keeper, Task};
use crate::lag::{Lag, lag};
use crate::link_file::{KeptState, LinkFile};
use crate::reading::{Held, Work, read};
use crate::small;
use crate::token::Token;
use crate::wire::{self, FromServer, FromStandby, Hello, Want};

/// Connecting and the first words take no longer.
const FIRST_WORDS: Duration = Duration::from_secs(10);
/// After a link that was cut, and after one that must not go on.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_AFTER_REFUSAL: Duration = Duration::from_secs(10);
/// Pieces that wait for the disk; their bytes have a limit of their own.
const WAITING_MAX: usize = 1024;
/// The index is brought up at most so often, and looked at again so often.
const APPLY_EACH: Duration = Duration::from_millis(200);
/// What is known is written down so often.
const KEEP_EACH: Duration = Duration::from_secs(10);

/// How following ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// As asked.
    Stopped,
    /// The directory was promoted meanwhile.
    Promoted,
}

/// A directory that follows.
pub struct Following {
    root: PathBuf,
    link: LinkFile,
    token: Token,
    options: Box<dyn Fn() -> journal::Options + Send + Sync>,
    kept: Mutex<KeptState>,
    live: Mutex<Live>,
}

/// How it stands.
#[derive(Clone, Copy, Debug, Default)]
struct Live {
    linked: bool,
    own: Option<Head>,
    server: Option<Head>,
    applied: Option<RecordSeq>,
    behind_since: Option<Instant>,
}

/// For the status.
#[derive(Clone, Debug)]
pub struct Standing {
    /// It is linked now.
    pub linked: bool,
    /// Records that are durable here, and that the index has.
    pub records: u64,
    /// Of these, those that the index has.
    pub applied: u64,
    /// What the server had more, when it was last heard of.
    pub lag: Lag,
    /// For so long it has not had everything.
    pub lag_secs: f64,
    /// What is kept of it.
    pub kept: KeptState,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Following {
    /// Of a directory whose link file is there. `options` are asked for at each link, since the
    /// settings come over it.
    ///
    /// # Errors
    /// Where its files cannot be read.
    pub fn new(
        root: &Path,
        link: LinkFile,
        options: impl Fn() -> journal::Options + Send + Sync + 'static,
    ) -> Result<Arc<Self>, FollowError> {
        let token: Token =
            link.token.parse().map_err(|error: crate::TokenError| FollowError::Refused {
                what: error.to_string(),
                mend: "restante standby invite on the server, then follow again".to_owned(),
            })?;
        let (root, options) = (root.to_owned(), Box::new(options));
        let kept = Mutex::new(KeptState::read(&root));
        Ok(Arc::new(Self { root, link, token, options, kept, live: Mutex::default() }))
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let live = *lock(&self.live);
        let own = live.own.unwrap_or(Head::START);
        let server = live.server.unwrap_or(own);
        let since = live.behind_since.filter(|_| server.group > own.group);
        Standing {
            linked: live.linked,
            records: own.last_seq.0,
            applied: live.applied.map_or(0, |seq| seq.0),
            lag: lag(&own, &server, (self.options)().segment_bytes),
            lag_secs: since.map_or(0.0, |since| since.elapsed().as_secs_f64()),
            kept: lock(&self.kept).clone(),
        }
    }

    /// The server is there, and this is its end.
    pub(crate) fn beat(&self, head: Head) {
        let mut live = lock(&self.live);
        live.server = Some(head);
        if live.own.is_some_and(|own| own.group >= head.group) {
            live.behind_since = None;
        } else {
            live.behind_since.get_or_insert_with(Instant::now);
        }
        drop(live);
        lock(&self.kept).heard_at = Some(net::now().millis());
    }

    fn has(&self, head: Head) {
        let mut live = lock(&self.live);
        live.own = Some(head);
        if live.server.is_none_or(|server| server.group <= head.group) {
            live.behind_since = None;
        }
    }

    fn keep_state(&self) -> Result<(), FollowError> {
        let kept = lock(&self.kept).clone();
        kept.write(&self.root)
    }
}

/// Asks a server whether it would serve the bearer of this token; its host name, and the name of
/// the standby there.
///
/// # Errors
/// Where it cannot be reached, or says no.
pub async fn greet(from: &str, token: &Token) -> Result<(String, String), FollowError> {
    let (mut reader, mut writer) = connect(from, token).await?.split();
    let hello = Hello { version: wire::VERSION, secret: token.secret, want: Want::Greet };
    wire::write(&mut writer, &hello, &[]).await.map_err(cut("the link was cut"))?;
    let answer = wire::read(&mut reader, FIRST_WORDS).await.map_err(cut("the link was cut"))?;
    welcomed(answer.0)
}

pub(crate) fn welcomed(answer: FromServer) -> Result<(String, String), FollowError> {
    match answer {
        FromServer::Welcome { hostname, name, .. } => Ok((hostname, name)),
        FromServer::Refused { what, mend } => Err(FollowError::Refused { what, mend }),
        _ => Err(cut("the link was cut")(wire::strange("no welcome"))),
    }
}

pub(crate) async fn connect(from: &str, token: &Token) -> Result<PinnedStream, FollowError> {
    let doing = || {
        format!(
            "cannot link to {from} (does `restante serve` run there, with listen.standby set, and \
             may this host reach that port?)"
        )
    };
    match timeout(FIRST_WORDS, connect_pinned(from, token.pin)).await {
        Err(late) => Err(cut(doing())(late.into())),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(FollowError::Refused {
                what: format!("{from} is not the server that made this token: {error}"),
                mend:
                    "check --from; if the server was made anew, make a new token there: restante \
                       standby invite"
                        .to_owned(),
            })
        }
        Ok(connected) => connected.map_err(cut(doing())),
    }
}

/// Follows until the stop; links again whenever the link was cut.
///
/// # Errors
/// Where what is known cannot be kept.
pub async fn follow(following: Arc<Following>, mut stop: Stop) -> Result<Followed, FollowError> {
    let mut told = None;
    loop {
        let ended = session(&following, stop.clone()).await;
        lock(&following.live).linked = false;
        let wait = match ended {
            Ok(()) => return following.keep_state().map(|()| Followed::Stopped),
            Err(FollowError::Open(OpenError::OwnJournal)) => return Ok(Followed::Promoted),
            Err(error) => {
                let text = error.to_string();
                let is_new = told.as_ref() != Some(&text);
                match (error.is_of_the_link(), is_new) {
                    (true, true) => tracing::warn!(%error, "not linked; tried again until it is"),
                    (true, false) => {}
                    (false, _) => tracing::error!(%error, "ALARM: nothing is followed"),
                }
                lock(&following.kept).trouble = Some(text.clone());
                told = Some(text);
                if is_new {
                    following.keep_state()?;
                }
                if error.is_of_the_link() { AGAIN } else { AGAIN_AFTER_REFUSAL }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.requested() => {
                return following.keep_state().map(|()| Followed::Stopped);
            }
        }
    }
}

/// One link, from its beginning to its end.
async fn session(following: &Arc<Following>, mut stop: Stop) -> Result<(), FollowError> {
    let stream = tokio::select! {
        stream = connect(&following.link.from, &following.token) => stream?,
        () = stop.requested() => return Ok(()),
    };
    let (mut from, mut to) = stream.split();
    let opening = Arc::clone(following);
    let opened = spawn_blocking(move || open(&opening)).await;
    let (copy, follower) = opened.map_err(|_| FollowError::Panicked)??;
    let head = copy.head();
    following.has(head);
    let want = Want::Follow(head.to_bytes().to_vec());
    let hello = Hello { version: wire::VERSION, secret: following.token.secret, want };
    wire::write(&mut to, &hello, &[]).await.map_err(cut("the link was cut"))?;
    let answer = wire::read(&mut from, FIRST_WORDS).await.map_err(cut("the link was cut"))?;
    let (hostname, name) = welcomed(answer.0)?;
    tracing::info!(server = hostname, %head, "linked; following");
    {
        let mut kept = lock(&following.kept);
        (kept.hostname, kept.name, kept.trouble) = (Some(hostname), Some(name), None);
    }
    following.keep_state()?;
    lock(&following.live).linked = true;

    let (sender, inbox) = mpsc::channel(WAITING_MAX);
    let (say, said) = mpsc::unbounded_channel();
    let (behind, follows) = channel();
    let reader = copy.reader();
    let keeping = Keeping {
        following: Arc::clone(following),
        keeper: Keeper::new(copy),
        inbox,
        say,
        behind,
        kept: Instant::now(),
    };
    let mut keeping = spawn_blocking(move || keeping.run());
    let index = Behind {
        following: Arc::clone(following),
        reader,
        follower,
        ledger: None,
        note: None,
        punches: sender.clone(),
    };
    let mut applying = spawn_blocking(move || index.run(&follows));
    let mut telling = tokio::spawn(tell(to, said));
    let ended = tokio::select! {
        ended = read(following, &mut from, &sender) => ended,
        ended = &mut keeping => Err(failed(ended)),
        ended = &mut applying => Err(failed(ended)),
        () = stop.requested() => Ok(()),
    };
    // What has come is kept; where the thread has ended, nobody hears.
    sender.send((Work::End, None)).await.ok();
    drop(sender);
    let threads = [over(keeping).await, over(applying).await];
    if tokio::time::timeout(FIRST_WORDS, &mut telling).await.is_err() {
        telling.abort();
    }
    // What the threads say is the cause of what the link says.
    threads.into_iter().try_for_each(|ended| ended)?;
    ended
}

fn failed(ended: Result<Result<(), FollowError>, tokio::task::JoinError>) -> FollowError {
    match ended {
        Ok(Err(error)) => error,
        // They end by themselves only where they fail.
        Ok(Ok(())) | Err(_) => FollowError::Panicked,
    }
}

/// What a thread came to, if nobody has heard it yet.
async fn over(thread: JoinHandle<Result<(), FollowError>>) -> Result<(), FollowError> {
    if thread.is_finished() {
        return Ok(());
    }
    thread.await.unwrap_or(Err(FollowError::Panicked))
}

/// Opens journal and index, the one up to which the other is known to be durable.
fn open(following: &Following) -> Result<(Copy<RealDisk>, Follower), FollowError> {
    let root = &following.root;
    let mut follower = Follower::open(root)?;
    let disk = || RealDisk::new(root);
    let opened = match Copy::open(disk(), (following.options)(), follower.applied()?) {
        Err(OpenError::HeadMissing { .. }) => {
            tracing::warn!("the index is of another journal: it is made anew");
            follower = Follower::anew(root)?;
            Copy::open(disk(), (following.options)(), None)
        }
        opened => opened,
    };
    let (copy, opened) = opened?;
    match opened.damage.first() {
        None => Ok((copy, follower)),
        Some(damage) => Err(FollowError::Own(damage.to_string())),
    }
}

/// The thread that keeps.
struct Keeping {
    following: Arc<Following>,
    keeper: Keeper<RealDisk>,
    inbox: mpsc::Receiver<Held>,
    say: mpsc::UnboundedSender<FromStandby>,
    behind: Sender<News>,
    kept: Instant,
}

/// What the thread behind hears.
enum News {
    Durable(Head),
    Note(String),
}

impl Keeping {
    fn run(mut self) -> Result<(), FollowError> {
        let ended = self.work();
        if let Err(error) = &ended {
            // Nobody hears it where the link is cut as well.
            self.say.send(FromStandby::Refused(error.to_string())).ok();
        }
        ended
    }

    fn work(&mut self) -> Result<(), FollowError> {
        while let Some((work, held)) = self.inbox.blocking_recv() {
            let mut goes_on = self.take(work)?;
            drop(held);
            while goes_on && !self.keeper.is_full() {
                let Ok((work, _held)) = self.inbox.try_recv() else { break };
                goes_on = self.take(work)?;
            }
            let head = self.keeper.acknowledge()?;
            self.following.has(head);
            self.say.send(FromStandby::Synced(head.to_bytes().to_vec())).ok();
            self.behind.send(News::Durable(head)).ok();
            if self.kept.elapsed() >= KEEP_EACH {
                self.following.keep_state()?;
                self.kept = Instant::now();
            }
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// False: the link has ended.
    fn take(&mut self, work: Work) -> Result<bool, FollowError> {
        match work {
            Work::Task(task) => self.keeper.take(task)?,
            Work::File(path, bytes) => self.file(&path, &bytes)?,
            Work::Files(names) => self.files(&names)?,
            Work::Note(note) => {
                self.behind.send(News::Note(note)).ok();
            }
            Work::Beat => self.keeper.take(Task::Quiet)?,
            Work::Punch(through, bodies) => {
                self.keeper.take(Task::Punch(bodies))?;
                lock(&self.following.kept).punched_through = through.0;
                self.following.keep_state()?;
            }
            Work::End => return Ok(false),
        }
        Ok(true)
    }

    fn file(&self, path: &str, bytes: &[u8]) -> Result<(), FollowError> {
        let Some(place) = small::place(&self.following.root, path) else {
            tracing::warn!(path, "a file came that has no place here");
            return Ok(());
        };
        let is_same = std::fs::read(&place).is_ok_and(|there| there == bytes);
        if !is_same {
            small::replace(&place, bytes).map_err(io(format!("write {}", place.display())))?;
        }
        lock(&self.following.kept).files.insert(path.to_owned(), small::hash(bytes));
        Ok(())
    }

    /// Removes those that came this way and are gone there.
    fn files(&self, names: &[String]) -> Result<(), FollowError> {
        let gone: Vec<String> = {
            let kept = lock(&self.following.kept);
            kept.files.keys().filter(|path| !names.contains(path)).cloned().collect()
        };
        for path in gone {
            if let Some(place) = small::place(&self.following.root, &path) {
                small::remove(&place).map_err(io(format!("remove {}", place.display())))?;
            }
            lock(&self.following.kept).files.remove(&path);
        }
        self.following.keep_state()
    }
}

/// The thread that brings up what is made of the journal.
struct Behind {
    following: Arc<Following>,
    /// It ends where the journal is durable.
    reader: Reader<RealDisk>,
    follower: Follower,
    ledger: Option<Ledger>,
    /// The last head that was signed and is not looked at yet.
    note: Option<String>,
    punches: mpsc::Sender<Held>,
}

impl Behind {
    fn run(mut self, news: &Receiver<News>) -> Result<(), FollowError> {
        let reader = self.reader.clone();
        let mut punched = lock(&self.following.kept).punched();
        loop {
            let mut head = None;
            let mut hear = |one, note: &mut Option<String>| match one {
                News::Durable(durable) => head = Some(durable),
                News::Note(text) => *note = Some(text),
            };
            match news.recv_timeout(APPLY_EACH) {
                Ok(one) => hear(one, &mut self.note),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            // Many groups are brought up together.
            std::thread::sleep(APPLY_EACH);
            while let Ok(one) = news.try_recv() {
                hear(one, &mut self.note);
            }
            let Some(head) = head else { continue };
            self.follower.apply(&reader, &head)?;
            lock(&self.following.live).applied = Some(head.last_seq);
            while let Some((through, bodies)) = self.follower.purges_behind(&reader, punched)? {
                punched = through;
                // The thread that keeps has ended: the next link goes on with it.
                if self.punches.blocking_send((Work::Punch(through, bodies), None)).is_err() {
                    return Ok(());
                }
            }
            self.signed(&reader, &head, net::now())?;
        }
    }

    /// Compares what the server signed with what is here.
    fn signed(
        &mut self,
        reader: &Reader<RealDisk>,
        head: &Head,
        now: Timestamp,
    ) -> Result<(), FollowError> {
        let dir = heads_path(&self.following.root);
        if self.ledger.is_none() && dir.join("key").exists() {
            self.ledger = Some(Ledger::open(&dir, "standby")?);
        }
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        // Each turn takes a step's records.
        while ledger.advance_to(reader, head)? {}
        if let Some(note) = self.note.take()
            && !ledger.follow(&note, now)?
        {
            // It is of more records than are here yet.
            self.note = Some(note);
        }
        Ok(())
    }
}

/// Says what is durable: of much at once the last.
async fn tell(
    mut to: impl AsyncWrite + Unpin,
    mut said: mpsc::UnboundedReceiver<FromStandby>,
) -> Result<(), std::io::Error> {
    while let Some(mut words) = said.recv().await {
        while let (FromStandby::Synced(_), Ok(later)) = (&words, said.try_recv()) {
            words = later;
        }
        wire::write(&mut to, &words, &[]).await?;
    }
    Ok(())
}
