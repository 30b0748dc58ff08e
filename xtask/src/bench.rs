//! `cargo run --release -p xtask -- bench`: what the real binary does over loopback, and its cost.
//!
//! Not a test: it asserts nothing and its figures depend on the machine. Everything goes through
//! TCP; CPU, memory and bytes written are the server's own, from /proc. A message counts when it
//! is acknowledged *and* visible over IMAP (or taken by the sink).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use drill::console;
use drill::server::{self, Installation, Running};
use drill::sink::Sink;
use serde::Serialize;

mod auth;
mod hostile;
mod imap;
mod meter;
mod peer;
mod queue;
mod search;
mod stuck;
mod target;
mod trace;

use meter::Usage;
use target::{Cell, Shape, Target};

/// Mailboxes that the loads share; after them one that grows and one that is fetched.
const SHARED: usize = 8;
const GROWING: usize = SHARED;
const FETCHED: usize = SHARED + 1;
const MAILBOXES: usize = SHARED + 2;
/// Everything that makes a write durable.
const SYNC_CALLS: &str = "fsync,fdatasync,sync_file_range,syncfs,sync,msync";

/// Measures the release binary (and a peer) and prints a table
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Args {
    /// A tenth of everything
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Messages stored before the start after kill -9 is timed
    #[arg(long, default_value_t = 0)]
    stored: u64,
    /// Records among which stories are asked for
    #[arg(long, default_value_t = trace::RECORDS)]
    records: u64,
    /// Measures this one too, in the same run; needs root
    #[arg(long)]
    peer: Option<PeerName>,
    /// The server's binary [default: built now, in release]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where the data is kept meanwhile [default: the system's directory for temporary files]
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Counts what reaches the device of that directory too; right where nobody else writes to it
    #[arg(long)]
    device: bool,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Accept,
    Growth,
    Relay,
    Fetch,
    Syncs,
    Restart,
    /// A mailbox of 10,000: opened, fetched, searched, sorted, flagged; APPEND; latency meanwhile
    Imap,
    /// The same with 100,000
    ImapLarge,
    /// 1,000 and 5,000 connections in IDLE
    ImapIdle,
    /// 100,000 and 1,000,000 messages queued
    Queue,
    /// Relaying to 1, 16 and 256 destinations
    Spread,
    /// Relaying beside 100,000 and 1,000,000 messages to a destination that is stuck
    Stuck,
    /// Maildrops of 10,000 and 100,000: opened, listed, fetched
    Pop3,
    /// Input that wants to be dear; fails where it is
    Hostile,
    /// An archive of 100,000: until it is searchable, its size, the first answers
    Search,
    /// Stories among ten million records, by the whole command
    Trace,
    /// SPF, DKIM, ARC and DMARC of a message, and signing; needs no server
    Auth,
}

/// What is measured where mail is read.
const READING_PARTS: [Part; 4] = [Part::Imap, Part::ImapLarge, Part::ImapIdle, Part::Pop3];

/// What is measured by itself.
const ALONE: [Part; 7] =
    [Part::Queue, Part::Spread, Part::Stuck, Part::Hostile, Part::Search, Part::Trace, Part::Auth];

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PeerName {
    /// Accepting and relaying, with Dovecot's mailboxes
    Postfix,
    /// The parts of IMAP and POP3
    Dovecot,
}

/// Why it could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file, process or thread could not be had.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server could not be made or started.
    #[error(transparent)]
    Server(#[from] server::ServerError),
    /// A mailbox could not be read.
    #[error(transparent)]
    Imap(#[from] drill::imap::ImapError),
    /// The server did not take all messages.
    #[error("{accepted} of {sent} messages accepted: {why}")]
    NotAccepted {
        /// Acknowledged.
        accepted: u64,
        /// Sent.
        sent: u64,
        /// The first complaint.
        why: String,
    },
    /// They did not all arrive in time.
    #[error("accepted messages were not delivered in time")]
    NotDelivered,
    /// Hostile input cost more than a second or 64 MiB.
    #[error("{over} of these are over a second of CPU or 64 MiB:\n{table}")]
    TooDear {
        /// How many.
        over: usize,
        /// All of them.
        table: String,
    },
    /// The peer could not be measured.
    #[error("peer: {0}")]
    Peer(String),
}

impl BenchError {
    fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// All that was measured of one server.
#[derive(Debug, Default, Serialize)]
struct Results {
    server: String,
    memory_idle_mib: f64,
    cells: Vec<Cell>,
    /// (item, messages per second, MiB per second)
    fetches: Vec<(String, f64, f64)>,
    /// (connections, syncs per message)
    syncs: Vec<(usize, f64)>,
    /// (messages stored, milliseconds from start to greeting after SIGKILL)
    restart: Option<(u64, f64)>,
}

/// Everything of one run.
#[derive(Debug, Default, Serialize)]
struct Report {
    servers: Vec<Results>,
    imap: Vec<imap::Results>,
    queue: Option<queue::Results>,
    stuck: Vec<stuck::Beside>,
    hostile: String,
    search: Option<search::Results>,
    trace: Option<trace::Results>,
    auth: Vec<auth::Cost>,
}

/// Measures and prints; the words after `bench` are its options.
pub fn run(arguments: &[&str]) -> ExitCode {
    let args = match Args::try_parse_from(std::iter::once(&"bench").chain(arguments)) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    match measure(&args) {
        Ok(report) => {
            if args.json {
                match serde_json::to_string_pretty(&report) {
                    Ok(json) => console::say(&json),
                    Err(error) => console::note(&error.to_string()),
                }
            } else {
                report.servers.iter().for_each(|results| console::say(&table(results)));
                console::say(&imap::table(&report.imap));
                if let Some(results) = &report.queue {
                    console::say(&queue::table(results));
                }
                console::say(&stuck::table(&report.stuck));
                console::say(&report.hostile);
                if let Some(results) = &report.search {
                    console::say(&search::table(results));
                }
                if let Some(results) = &report.trace {
                    console::say(&trace::table(results));
                }
                if !report.auth.is_empty() {
                    console::say(&auth::table(&report.auth));
                }
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            console::note(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<Report, BenchError> {
    let mut report = Report::default();
    if args.only.is_empty() || args.only.contains(&Part::Auth) {
        report.auth = auth::measure(args.quick)?;
    }
    if args.only == [Part::Auth] {
        return Ok(report);
    }
    let binary = match &args.binary {
        Some(path) => path.canonicalize().map_err(BenchError::io("finding the binary"))?,
        None => build()?,
    };
    let directory = server::fresh_directory(args.directory.as_deref(), "restante-bench")?;
    let mut bench = Bench { args, directory: directory.clone(), binary };
    let (mut reading, mut others) = (true, true);
    if !args.only.is_empty() {
        reading = args.only.iter().any(|part| READING_PARTS.contains(part));
        others =
            args.only.iter().any(|part| !READING_PARTS.contains(part) && !ALONE.contains(part));
    }
    if args.only.is_empty() || args.only.contains(&Part::Hostile) {
        report.hostile = hostile::measure(&bench)?;
    }
    if others {
        report.servers.push(bench.ours()?);
        if args.peer == Some(PeerName::Postfix) {
            report.servers.push(bench.postfix()?);
        }
    }
    if args.only.contains(&Part::Queue) || args.only.contains(&Part::Spread) {
        report.queue = Some(queue::measure(&bench)?);
    }
    if args.only.contains(&Part::Stuck) {
        report.stuck = stuck::measure(&bench)?;
    }
    if args.only.contains(&Part::Search) {
        report.search = Some(search::measure(&bench)?);
    }
    if args.only.contains(&Part::Trace) {
        report.trace = Some(trace::measure(&bench)?);
    }
    if reading {
        report.imap.push(imap::measure(&bench, imap::Host::ours(&bench)?)?);
        if args.peer == Some(PeerName::Dovecot) {
            report.imap.push(imap::measure(&bench, imap::Host::dovecot(&bench)?)?);
        }
    }
    fs::remove_dir_all(&directory).map_err(BenchError::io("removing the data"))?;
    Ok(report)
}

/// Builds the release binary; it lies beside this one.
fn build() -> Result<PathBuf, BenchError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "-p", "restante"])
        .status()
        .map_err(BenchError::io("running cargo"))?;
    if !status.success() {
        return Err(BenchError::Peer(format!("cargo build: {status}")));
    }
    let this = std::env::current_exe().map_err(BenchError::io("finding the binary"))?;
    let target = this.ancestors().nth(2).unwrap_or(Path::new("target"));
    let path = target.join("release/restante");
    path.canonicalize().map_err(BenchError::io("finding target/release/restante"))
}

struct Bench<'a> {
    args: &'a Args,
    directory: PathBuf,
    binary: PathBuf,
}

impl Bench<'_> {
    fn wants(&self, part: Part) -> bool {
        self.args.only.is_empty() || self.args.only.contains(&part)
    }

    const fn scaled(&self, messages: u64) -> u64 {
        if self.args.quick { messages / 10 } else { messages }
    }

    fn ours(&mut self) -> Result<Results, BenchError> {
        let sink = Sink::start().map_err(BenchError::io("starting the sink"))?;
        let installation = Installation::init(&self.binary, &self.directory, MAILBOXES)?;
        installation.checked(&["route", "add", "sink.test", &sink.address().to_string()])?;
        let running = installation.start()?;
        let mut target = our_target(&installation, &running);
        if self.args.device {
            target.device = meter::Device::of(&self.directory);
        }
        let mut results = self.any(&target, &sink)?;
        if self.wants(Part::Restart) {
            results.restart = Some(self.restart(&installation, running, &target, &results)?);
        } else {
            running.stop()?;
        }
        if self.wants(Part::Syncs) {
            for (connections, messages) in [(1, 500), (64, 10_000)] {
                let syncs = self.syncs(connections, self.scaled(messages))?;
                results.syncs.push((connections, syncs));
            }
        }
        Ok(results)
    }

    fn postfix(&mut self) -> Result<Results, BenchError> {
        let sink = Sink::start().map_err(BenchError::io("starting the sink"))?;
        let (_peer, target) = peer::Peer::start(&self.directory, MAILBOXES, sink.address())?;
        self.any(&target, &sink)
    }

    /// The measurements that work on any server.
    fn any(&self, target: &Target, sink: &Sink) -> Result<Results, BenchError> {
        let mut results = Results { server: target.name.clone(), ..Results::default() };
        std::thread::sleep(Duration::from_secs(1));
        results.memory_idle_mib = Usage::of(&target.processes).memory_kib as f64 / 1024.0;
        if self.wants(Part::Accept) {
            self.accept(target, &mut results)?;
        }
        if self.wants(Part::Relay) {
            let messages = self.scaled(20_000);
            let load = target.relay_load(Shape { connections: 64, messages, message_bytes: 4096 });
            note(&mut results, target.relay(&load, sink)?);
        }
        if self.wants(Part::Fetch) {
            let messages = self.scaled(10_000);
            let shape = Shape { connections: 64, messages, message_bytes: 4096 };
            target.deliver("to be fetched", &target.load(FETCHED..FETCHED + 1, shape))?;
            let items = ["UID FLAGS RFC822.SIZE ENVELOPE", "BODY.PEEK[HEADER]", "BODY.PEEK[]"];
            for item in items {
                let (messages, mib) = target.fetch(FETCHED, item)?;
                results.fetches.push((item.to_owned(), messages, mib));
            }
        }
        if self.wants(Part::Growth) {
            let messages = self.scaled(100_000);
            let shape = Shape { connections: 64, messages, message_bytes: 4096 };
            let mut load = target.load(GROWING..GROWING + 1, shape);
            load.slice_messages = messages / 10;
            note(&mut results, target.deliver("one growing mailbox", &load)?);
        }
        Ok(results)
    }

    fn accept(&self, target: &Target, results: &mut Results) -> Result<(), BenchError> {
        let small = [(1, 3_000), (8, 10_000), (64, 20_000), (256, 20_000)];
        let large = [(1, 500), (8, 1_000), (64, 2_000), (256, 2_000)];
        // The first messages to every mailbox and connection are dearer; they are not the rule.
        let warm = Shape { connections: 8, messages: 400, message_bytes: 4096 };
        target.deliver("warm-up", &target.load(0..SHARED, warm))?;
        for (cells, message_bytes) in [(small, 4096), (large, 100 << 10)] {
            for (connections, messages) in cells {
                let messages = self.scaled(messages).max(connections as u64);
                let load = target.load(0..SHARED, Shape { connections, messages, message_bytes });
                note(results, target.deliver("8 mailboxes", &load)?);
            }
        }
        Ok(())
    }

    /// Syncs per message, counted by strace.
    fn syncs(&self, connections: usize, messages: u64) -> Result<f64, BenchError> {
        let directory = self.directory.join(format!("syncs-{connections}"));
        fs::create_dir_all(&directory).map_err(BenchError::io("making a directory"))?;
        let counts = directory.join("strace");
        let mut installation = Installation::init(&self.binary, &directory, SHARED)?;
        installation.wrapper = counting_syncs(&counts);
        let running = installation.start()?;
        let target = our_target(&installation, &running);
        let shape = Shape { connections, messages, message_bytes: 4096 };
        target.deliver("counted", &target.load(0..SHARED, shape))?;
        running.stop()?;
        Ok(counted_syncs(&counts)? as f64 / messages as f64)
    }

    /// Kills the server with what it has stored, and times the next start.
    fn restart(
        &self,
        installation: &Installation,
        running: Running,
        target: &Target,
        results: &Results,
    ) -> Result<(u64, f64), BenchError> {
        let mut stored: u64 = results.cells.iter().map(|cell| cell.messages).sum();
        if self.args.stored > stored {
            let messages = self.args.stored - stored;
            console::note(&format!("storing {messages} messages more"));
            let shape = Shape { connections: 64, messages, message_bytes: 2048 };
            target.deliver("stored", &target.load(0..SHARED, shape))?;
            stored = self.args.stored;
        }
        running.kill()?;
        let mut running = installation.spawn()?;
        let took = running.wait_ready()?;
        running.stop()?;
        Ok((stored, took.as_secs_f64() * 1000.0))
    }
}

fn our_target(installation: &Installation, running: &Running) -> Target {
    Target {
        name: "Restante".to_owned(),
        smtp: installation.address(25),
        submission: installation.address(587),
        imap: installation.address(143),
        pop3: installation.address(110),
        imaps: Some(installation.address(993)),
        is_lmtp: false,
        accounts: installation.accounts.clone(),
        password: installation.password.clone(),
        signs_in: true,
        processes: vec![running.pid()],
        device: None,
    }
}

fn note(results: &mut Results, cell: Cell) {
    console::note(&format!(
        "{}: {}, {} connections, {} B: {:.0}/s, {:.2} CPU ms",
        results.server,
        cell.what,
        cell.connections,
        cell.message_bytes,
        cell.per_second,
        cell.cpu_ms_per_message,
    ));
    results.cells.push(cell);
}

/// The wrapper that counts the syncs of a server into a file. It stops it at nothing else.
fn counting_syncs(counts: &Path) -> Vec<String> {
    let mut wrapper: Vec<String> =
        ["strace", "-f", "--seccomp-bpf", "-c", "-e"].map(String::from).into();
    wrapper.extend([format!("trace={SYNC_CALLS}"), "-o".to_owned(), counts.display().to_string()]);
    wrapper
}

/// What it has counted, once the server has ended.
fn counted_syncs(counts: &Path) -> Result<u64, BenchError> {
    let text = fs::read_to_string(counts).map_err(BenchError::io("reading strace's counts"))?;
    Ok(calls_of(&text))
}

/// strace(1) -c: the third or fourth column before the name is the number of calls.
fn calls_of(summary: &str) -> u64 {
    summary
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = words.last()?;
            let is_sync = SYNC_CALLS.split(',').any(|call| call == *name);
            // % time, seconds, usecs/call, calls, errors (may be empty), syscall
            if is_sync { words.get(3)?.parse::<u64>().ok() } else { None }
        })
        .sum()
}

fn table(results: &Results) -> String {
    let mut text = format!(
        "\n{}\n{:<20} {:>7} {:>5} {:>8} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n",
        results.server,
        "",
        "bytes",
        "conn",
        "messages",
        "per s",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "KiB out",
        "KiB disk",
        "MiB mem",
    );
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        text.write_fmt(arguments).ok();
        text.push('\n');
    };
    for cell in &results.cells {
        line(format_args!(
            "{:<20} {:>7} {:>5} {:>8} {:>9.0} {:>8.2} {:>8.2} {:>8.3} {:>8.1} {:>8} {:>8.1}",
            cell.what,
            cell.message_bytes,
            cell.connections,
            cell.messages,
            cell.per_second,
            cell.p50_ms,
            cell.p99_ms,
            cell.cpu_ms_per_message,
            cell.written_kib_per_message,
            cell.device_kib_per_message.map_or("-".to_owned(), |kib| format!("{kib:.1}")),
            cell.memory_most_mib,
        ));
        if !cell.slices_per_second.is_empty() {
            let slices: Vec<String> =
                cell.slices_per_second.iter().map(|rate| format!("{rate:.0}")).collect();
            line(format_args!("  per s by tenth: {}", slices.join(" ")));
        }
    }
    line(format_args!("memory idle: {:.1} MiB", results.memory_idle_mib));
    for (item, messages, mib) in &results.fetches {
        line(format_args!("FETCH {item}: {messages:.0} messages/s, {mib:.0} MiB/s"));
    }
    for (connections, syncs) in &results.syncs {
        line(format_args!("syncs per message, {connections} connections: {syncs:.3}"));
    }
    if let Some((stored, millis)) = results.restart {
        line(format_args!("start after kill -9 with {stored} stored: {millis:.0} ms"));
    }
    text
}
