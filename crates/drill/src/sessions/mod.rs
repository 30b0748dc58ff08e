//! `drill sessions`: random sessions on one mailbox against a model, with restarts and kills.
//!
//! Commands of all sessions come one after the other, so that the model knows what must be so; in a
//! storm they come at once, and only what holds in any order is asked. Sequence numbers never lie,
//! EXPUNGE comes only where it may, after NOOP everybody knows the truth, MODSEQ and UIDs only grow,
//! RENAME keeps UIDVALIDITY, DELETE and CREATE make a new one, and what was answered outlives a
//! kill: flags up to the last of them in order, everything else without exception.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::random::Random;
use crate::server::{self, Installation, Running};
use crate::{DrillError, console};

mod model;
mod steps;
mod storm;
mod view;

use model::{Message, Truth};
use view::{Session, Snapshot};

const SESSIONS_MOST: u64 = 4;
/// Connections beside the sessions: those that look afresh.
const CONNECTIONS_MORE: usize = 16;

/// Options of `drill sessions`.
#[derive(Clone, Debug, clap::Args)]
pub struct SessionsArgs {
    /// Rounds; after each the server is stopped or killed and all sessions come back
    #[arg(long, default_value_t = 10)]
    pub rounds: u32,
    /// Sessions on the one mailbox [default: two to four]
    #[arg(long)]
    pub sessions: Option<usize>,
    /// Commands in each round
    #[arg(long, default_value_t = 100)]
    pub steps: u32,
    /// Repeats an earlier drill
    #[arg(long)]
    pub seed: Option<u64>,
    /// The server's binary [default: this one]
    #[arg(long)]
    pub binary: Option<PathBuf>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct SessionsReport {
    /// Repeats the drill.
    pub seed: u64,
    /// Commands and storms that were gone through.
    pub steps: u32,
    /// Flag changes that kills have undone, as they may.
    pub undone: usize,
    /// What is wrong, with the talk of the session that noticed.
    pub fault: Option<String>,
}

impl fmt::Display for SessionsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, steps, undone, fault } = self;
        write!(f, "seed {seed}: {steps} steps, {undone} flag changes undone by kills")?;
        match fault {
            None => write!(f, ", nothing wrong"),
            Some(fault) => write!(f, "\nFAULT {fault}"),
        }
    }
}

/// Runs the drill.
///
/// # Errors
/// When the server cannot be made or started; what it does wrong is in the report.
pub fn run(args: &SessionsArgs) -> Result<SessionsReport, DrillError> {
    let seed = args.seed.unwrap_or_else(Random::fresh_seed);
    let binary = crate::binary_or_this(args.binary.as_deref())?;
    let directory = server::fresh_directory(None, "restante-sessions")?;
    let installation = Installation::init(&binary, &directory, 1)?;
    if let Some(sessions) = args.sessions {
        installation.allow_connections(sessions + CONNECTIONS_MORE)?;
    }
    let running = installation.start()?;
    let mut drill = Drill {
        random: Random::new(seed),
        truth: Truth::new(),
        sessions: Vec::new(),
        server: installation.address(143),
        next_token: 0,
        steps: 0,
        undone: 0,
        installation,
    };
    let (running, mut fault) = drill.rounds(args, running)?;
    drill.sessions.clear();
    running.stop()?;
    let verified = drill.installation.command(&["verify"])?;
    if fault.is_none() && !verified.status.success() {
        fault = Some(format!("verify: {}", String::from_utf8_lossy(&verified.stdout)));
    }
    if fault.is_some() {
        console::note(&format!("kept: {}", directory.display()));
    } else {
        std::fs::remove_dir_all(&directory).map_err(server::doing("removing the data"))?;
    }
    Ok(SessionsReport { seed, steps: drill.steps, undone: drill.undone, fault })
}

struct Drill {
    installation: Installation,
    server: SocketAddr,
    random: Random,
    truth: Truth,
    sessions: Vec<Session>,
    next_token: u32,
    steps: u32,
    undone: usize,
}

impl Drill {
    /// All rounds; the server that runs then, and the first fault.
    fn rounds(
        &mut self,
        args: &SessionsArgs,
        mut running: Running,
    ) -> Result<(Running, Option<String>), DrillError> {
        let mut fault = self.begin(args.sessions).err();
        for _ in 0..args.rounds {
            if fault.is_none() {
                let steps = (0..args.steps).try_for_each(|_| self.step());
                fault = steps.and_then(|()| self.all_know()).err();
            }
            if fault.is_some() {
                break;
            }
            let killed = self.random.below(2) == 0;
            if killed {
                running.kill()?;
            } else {
                running.stop()?;
            }
            running = self.installation.start()?;
            let came_back = if killed { self.after_kill() } else { Ok(Vec::new()) };
            fault = came_back.and_then(|lost| self.come_back(&lost)).err();
        }
        Ok((running, fault))
    }

    /// Makes the mailboxes and the sessions, of which there are two to four where nothing is said.
    fn begin(&mut self, sessions: Option<usize>) -> Result<(), String> {
        let mut first = self.connect(0)?;
        for name in [&self.truth.work.name, &self.truth.other.name] {
            first.ok(&format!("CREATE {name}"))?;
        }
        first.open("EXAMINE", &self.truth.other.name, "")?;
        self.truth.other.validity = first.validity;
        first.open("SELECT", &self.truth.work.name, "")?;
        self.truth.work.validity = first.validity;
        self.sessions.push(first);
        let few = 2 + self.random.below(SESSIONS_MOST - 1) as usize;
        for name in 1..sessions.unwrap_or(few) {
            let mut session = self.connect(name)?;
            session.open("SELECT", &self.truth.work.name, "")?;
            self.sessions.push(session);
        }
        Ok(())
    }

    fn connect(&self, name: usize) -> Result<Session, String> {
        let account = self.installation.accounts.first().map_or("", String::as_str);
        let mut session = Session::sign_in(name, self.server, account, &self.installation.password)
            .map_err(|error| format!("session {name} cannot sign in: {error}"))?;
        // RFC 7162 §3.1: from here on every FETCH of flags has its MODSEQ.
        session.ok("ENABLE CONDSTORE")?;
        Ok(session)
    }

    /// One truth: after a NOOP, each session knows it.
    fn all_know(&mut self) -> Result<(), String> {
        for session in &mut self.sessions {
            session.ok("NOOP")?;
            session.learn()?;
            session.knows(&self.truth.work)?;
        }
        Ok(())
    }

    /// What the mailbox is, seen by someone who knows nothing yet.
    fn fresh_look(&self, mailbox: &str) -> Result<Session, String> {
        let mut session = self.connect(99)?;
        session.open("EXAMINE", mailbox, "")?;
        if !session.view.is_empty() {
            session.ok("FETCH 1:* (UID FLAGS MODSEQ ENVELOPE)")?;
        }
        Ok(session)
    }

    /// The messages whose flags went back.
    fn after_kill(&mut self) -> Result<Vec<u32>, String> {
        let session = self.fresh_look(&self.truth.work.name)?;
        let found = session.messages();
        let Some(lost) = self.truth.explain(&found) else {
            let wanted = &self.truth.work.messages;
            return Err(session.fault(&format!(
                "after a kill, nothing explains what is there: {}",
                difference(&found, wanted)
            )));
        };
        self.undone += lost.len();
        Ok(lost)
    }

    /// After a start: both mailboxes are as they must be, and each session catches up.
    fn come_back(&mut self, lost: &[u32]) -> Result<(), String> {
        self.truth.is_durable();
        for mailbox in [&self.truth.work, &self.truth.other] {
            let session = self.fresh_look(&mailbox.name)?;
            if session.validity != mailbox.validity {
                return Err(session.fault(&format!("UIDVALIDITY was {}", mailbox.validity)));
            }
            if session.messages() != mailbox.messages {
                let why = difference(&session.messages(), &mailbox.messages);
                return Err(session.fault(&format!("in {}: {why}", mailbox.name)));
            }
        }
        let snapshots: Vec<_> = self.sessions.drain(..).map(|session| session.snapshot).collect();
        for (name, snapshot) in snapshots.into_iter().enumerate() {
            let mut session = self.connect(name)?;
            match snapshot {
                Some(snapshot) if session.wire.offers("QRESYNC") => {
                    self.catch_up(&mut session, snapshot, lost)?;
                }
                Some(_) | None => {
                    session.open("SELECT", &self.truth.work.name, "")?;
                }
            }
            if session.modseq < self.truth.modseq && lost.is_empty() {
                let why = format!("HIGHESTMODSEQ fell from {}", self.truth.modseq);
                return Err(session.fault(&why));
            }
            self.sessions.push(session);
        }
        Ok(())
    }

    /// RFC 7162 §3.2.5: what was known, less VANISHED (EARLIER), with the FETCHes, is the truth.
    fn catch_up(
        &self,
        session: &mut Session,
        snapshot: Snapshot,
        lost: &[u32],
    ) -> Result<(), String> {
        session.ok("ENABLE QRESYNC")?;
        let Snapshot { validity, modseq, mut messages } = snapshot;
        let parameters = format!(" (QRESYNC ({validity} {modseq}))");
        let text = session.open("SELECT", &self.truth.work.name, &parameters)?;
        let mut told = Vec::new();
        for line in text.lines() {
            if let Some(uids) = line.strip_prefix("* VANISHED (EARLIER) ") {
                let gone = model::numbers(uids);
                messages.retain(|message| !gone.contains(&message.uid));
            } else if line.contains(" FETCH (") {
                let uid =
                    line.split_once("UID ").and_then(|(_, rest)| rest.split([' ', ')']).next());
                told.extend(uid.and_then(|uid| uid.parse::<u32>().ok()));
            }
        }
        for message in &self.truth.work.messages {
            let known = messages.iter().find(|known| known.uid == message.uid);
            let is_told = told.contains(&message.uid);
            let stale = known.is_none_or(|known| known.flags != message.flags);
            if stale && !is_told && !lost.contains(&message.uid) {
                return Err(session.fault(&format!("not told of UID {}", message.uid)));
            }
        }
        if let Some(ghost) = messages.iter().find(|known| self.truth.work.get(known.uid).is_none())
        {
            return Err(session.fault(&format!("UID {} has not vanished", ghost.uid)));
        }
        session.knows(&self.truth.work)
    }
}

fn difference(found: &[Message], wanted: &[Message]) -> String {
    let extra: Vec<_> = found.iter().filter(|each| !wanted.contains(each)).collect();
    let missing: Vec<_> = wanted.iter().filter(|each| !found.contains(each)).collect();
    format!("found and not wanted: {extra:?}; wanted and not found: {missing:?}")
}
