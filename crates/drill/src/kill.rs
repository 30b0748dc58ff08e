//! `drill kill`: SIGKILL at random moments under load, and the count afterwards.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::append;
use crate::imap::Imap;
use crate::judge::{self, Copy, Evidence, Verdict};
use crate::load::{self, Load, Outcome, SignIn};
use crate::random::Random;
use crate::server::{self, Installation, Running};
use crate::sink::Sink;
use crate::{DrillError, console, reading};

/// Local mailboxes of the drill.
const MAILBOXES: usize = 4;
/// The domain whose mail is routed to the sink.
const SINK_DOMAIN: &str = "sink.test";
/// Between the server's greeting and the kill.
const KILL_AFTER: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(600));
/// One start in so many is killed before it is ready, most likely while it repairs.
const KILLED_STARTING_ONE_IN: u64 = 8;
/// Between the start of the process and such a kill.
const KILL_STARTING_AFTER: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(40));
/// How long the queue may take to empty after the last start.
const SETTLE_WAIT: Duration = Duration::from_secs(30);
const SETTLE_PAUSE: Duration = Duration::from_millis(200);
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// A load ends by the kill, long before this.
const MESSAGES_MAX: u64 = 20_000;

/// Options of `drill kill`.
#[derive(Clone, Debug, clap::Args)]
pub struct KillArgs {
    /// How many times the server is killed
    #[arg(long, default_value_t = 100)]
    pub count: u32,
    /// Repeats the moments of an earlier drill
    #[arg(long)]
    pub seed: Option<u64>,
    /// SMTP connections at the same time
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// Messages of each mailbox that are read in every way afterwards
    #[arg(long, default_value_t = 200)]
    pub read: u64,
    /// The server's binary [default: this one]
    #[arg(long)]
    pub binary: Option<PathBuf>,
    /// Where the data directory is made [default: the system's directory for temporary files]
    #[arg(long)]
    pub directory: Option<PathBuf>,
    /// Keeps the data directory also when all is well
    #[arg(long)]
    pub keep: bool,
    /// Prints the finding as JSON
    #[arg(long)]
    pub json: bool,
}

/// What a kill drill found.
#[derive(Clone, Debug, Serialize)]
pub struct KillReport {
    /// Repeats the drill.
    pub seed: u64,
    /// SIGKILLs given.
    pub kills: u32,
    /// Of those, before the server was ready.
    pub kills_while_starting: u32,
    /// The longest time from start to greeting, in milliseconds.
    pub slowest_start_ms: u64,
    /// The comparison.
    pub verdict: Verdict,
    /// Messages that were read in every way, after kills while the server was working them out.
    pub read: u64,
    /// Those of which one way of reading told something else than the bytes themselves.
    pub misread: Vec<String>,
    /// Whether `restante verify` found nothing.
    pub verified: bool,
    /// What `restante verify` printed, when it found something.
    pub verify_output: String,
    /// The data directory, where it was kept.
    pub kept: Option<PathBuf>,
}

impl KillReport {
    /// Whether nothing is wrong and something was tested.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.verified
            && self.misread.is_empty()
            && self.verdict.is_clean()
            && self.verdict.acknowledged > 0
    }
}

/// Runs the drill.
///
/// # Errors
/// When the server cannot be made, started or read; losses are in the report.
pub fn run(args: &KillArgs) -> Result<KillReport, DrillError> {
    let seed = args.seed.unwrap_or_else(Random::fresh_seed);
    let binary = crate::binary_or_this(args.binary.as_deref())?;
    let directory = server::fresh_directory(args.directory.as_deref(), "restante-kill")?;
    console::note(&format!("drill kill: seed {seed}, data in {}", directory.display()));
    let mut drill = Drill::prepare(&binary, &directory, seed, args.connections)?;
    for round in 0..args.count {
        drill.round(round)?;
        drill.progress(round + 1, args.count);
    }
    let mut report = drill.conclude(seed, args.read)?;
    if args.keep || !report.is_clean() {
        report.kept = Some(directory);
    } else {
        std::fs::remove_dir_all(&directory)
            .map_err(server::doing("removing the data directory"))?;
    }
    Ok(report)
}

struct Drill {
    installation: Installation,
    sink: Sink,
    random: Random,
    connections: usize,
    evidence: Evidence,
    kills_while_starting: u32,
    kills: u32,
    slowest_start: Duration,
}

impl Drill {
    fn prepare(
        binary: &Path,
        directory: &Path,
        seed: u64,
        connections: usize,
    ) -> Result<Self, DrillError> {
        let sink = Sink::start().map_err(server::doing("starting the sink"))?;
        let installation = Installation::init(binary, directory, MAILBOXES)?;
        installation.checked(&["route", "add", SINK_DOMAIN, &sink.address().to_string()])?;
        Ok(Self {
            installation,
            sink,
            random: Random::new(seed),
            connections,
            evidence: Evidence::default(),
            kills_while_starting: 0,
            kills: 0,
            slowest_start: Duration::ZERO,
        })
    }

    fn round(&mut self, round: u32) -> Result<(), DrillError> {
        let mut running = self.installation.spawn()?;
        self.kills += 1;
        if self.random.below(KILLED_STARTING_ONE_IN) == 0 {
            std::thread::sleep(self.random.between(KILL_STARTING_AFTER.0, KILL_STARTING_AFTER.1));
            self.kills_while_starting += 1;
            return Ok(running.kill()?);
        }
        self.slowest_start = self.slowest_start.max(running.wait_ready()?);
        let stop = Arc::new(AtomicBool::new(false));
        let loads = self.loads(round);
        let mut threads: Vec<(Vec<String>, JoinHandle<std::io::Result<Outcome>>)> = Vec::new();
        for load in loads {
            let (recipients, stop) = (load.recipients.clone(), Arc::clone(&stop));
            threads.push((recipients, std::thread::spawn(move || load::run(&load, &stop, None))));
        }
        let appending = append::start(&self.installation, round, MESSAGES_MAX);
        std::thread::sleep(self.random.between(KILL_AFTER.0, KILL_AFTER.1));
        running.kill()?;
        for (recipients, thread) in threads {
            let outcome = thread.join().map_err(|_| DrillError::Panicked)?;
            let outcome = outcome.map_err(server::doing("running a load"))?;
            add_outcome(&mut self.evidence, &recipients, &outcome);
        }
        let appended = appending.join().map_err(|_| DrillError::Panicked)?;
        self.evidence.acknowledged.extend(appended.acknowledged);
        self.evidence.uncertain.extend(appended.uncertain);
        Ok(())
    }

    /// Port 25 to local mailboxes, and submission to local and remote ones, each with half of the
    /// connections and messages of a size drawn for the round: small, middling, or so large that
    /// their bodies are files of their own.
    fn loads(&mut self, round: u32) -> Vec<Load> {
        let (message_bytes, connections) = match self.random.below(10) {
            0 => (3 << 20, self.connections.min(4)),
            1 | 2 => (60 << 10, self.connections),
            _ => (2 << 10, self.connections),
        };
        let accounts = &self.installation.accounts;
        let mut inbound = Load::new(self.installation.address(25), accounts.clone());
        inbound.run = round * 4;
        let mut recipients = accounts.clone();
        recipients.extend((1..=MAILBOXES).map(|number| format!("far{number}@{SINK_DOMAIN}")));
        let mut submission = Load::new(self.installation.address(587), recipients);
        submission.run = round * 4 + 1;
        submission.from.clone_from(&accounts[0]);
        submission.sign_in = Some(SignIn {
            user: accounts[0].clone(),
            password: self.installation.password.clone(),
        });
        let mut loads = vec![inbound, submission];
        for load in &mut loads {
            load.messages = MESSAGES_MAX;
            load.message_bytes = message_bytes;
            load.connections = connections.div_ceil(2);
            load.messages_per_connection = 50;
        }
        loads
    }

    fn progress(&self, done: u32, count: u32) {
        if !std::io::stderr().is_terminal() && !done.is_multiple_of(10) && done != count {
            return;
        }
        console::progress(&format!(
            "{done}/{count} kills, {} acknowledged, {} uncertain, slowest start {} ms",
            self.evidence.acknowledged.len(),
            self.evidence.uncertain.len(),
            self.slowest_start.as_millis(),
        ));
    }

    fn conclude(mut self, seed: u64, read_max: u64) -> Result<KillReport, DrillError> {
        let running = self.installation.start()?;
        // At once, while what the kills left undone is being done.
        let reading = reading::read_all(&self.installation, read_max)?;
        let open = self.settle()?;
        self.evidence.open_words = judge::words(&open);
        self.evidence.found = self.found()?;
        self.look_up_doubles()?;
        stop(running)?;
        let verify = self.installation.command(&["verify", "--json"])?;
        let verified = verify.status.success();
        let mut verify_output = String::new();
        if !verified {
            verify_output = String::from_utf8_lossy(&verify.stdout).into_owned();
            verify_output.push_str(&String::from_utf8_lossy(&verify.stderr));
        }
        Ok(KillReport {
            seed,
            kills: self.kills,
            kills_while_starting: self.kills_while_starting,
            slowest_start_ms: u64::try_from(self.slowest_start.as_millis()).unwrap_or(u64::MAX),
            verdict: judge::judge(&self.evidence),
            read: reading.read,
            misread: reading.misread,
            verified,
            verify_output,
            kept: None,
        })
    }

    /// Waits until the queue is empty or nothing moves; the last `queue list --json`.
    fn settle(&self) -> Result<String, DrillError> {
        let mut moved = Instant::now();
        let mut last = (u64::MAX, String::new());
        loop {
            let taken = self.sink.messages();
            let open = self.installation.checked(&["queue", "list", "--json"])?;
            if taken != last.0 || open != last.1 {
                moved = Instant::now();
            }
            // Items that wait for a retry keep waiting: they are open, which is as good as found.
            if !open.contains('@') || moved.elapsed() > SETTLE_WAIT / 10 {
                return Ok(open);
            }
            last = (taken, open);
            std::thread::sleep(SETTLE_PAUSE);
        }
    }

    fn found(&self) -> Result<HashMap<Copy, u32>, DrillError> {
        let mut found = self.sink.tokens();
        for account in &self.installation.accounts {
            let mut imap = Imap::sign_in(
                self.installation.address(143),
                account,
                &self.installation.password,
                ANSWER_WAIT,
            )?;
            for (token, count) in imap.tokens("INBOX")?.tokens {
                found.insert((account.clone(), token), count);
            }
            for (token, count) in imap.tokens(append::MAILBOX)?.tokens {
                found.insert((append::recipient(account), token), count);
            }
        }
        Ok(found)
    }

    /// RFC 1047: a second copy to another server is right only after an uncertain attempt.
    fn look_up_doubles(&mut self) -> Result<(), DrillError> {
        let doubled = self
            .evidence
            .found
            .iter()
            .filter(|(copy, count)| **count > 1 && copy.0.ends_with(SINK_DOMAIN));
        for (copy, _) in doubled.take(1_000) {
            let message_id = format!("<{}@load.invalid>", copy.1);
            let story = self.installation.checked(&["trace", &message_id, "--json"])?;
            if story.to_ascii_lowercase().contains("uncertain") {
                self.evidence.sent_uncertainly.insert(copy.clone());
            }
        }
        Ok(())
    }
}

fn stop(running: Running) -> Result<(), DrillError> {
    running.stop()?;
    Ok(())
}

fn add_outcome(evidence: &mut Evidence, recipients: &[String], outcome: &Outcome) {
    let copy = |sent: &load::Sent| (recipients[sent.recipient as usize].clone(), sent.token);
    for sent in &outcome.acknowledged {
        evidence.acknowledged.insert(copy(sent), sent.answer.to_string());
    }
    evidence.uncertain.extend(outcome.uncertain.iter().map(copy));
}
