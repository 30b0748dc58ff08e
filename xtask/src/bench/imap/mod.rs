//! What reading costs: large mailboxes, many waiting programs, mail that arrives meanwhile.
//!
//! Every figure stands beside the goal it is held against, and beside the peer's of the same run.

use std::time::{Duration, Instant};

use drill::imap_wire::{Answer, ImapWire, Keep};
use drill::server::{Installation, Running};
use serde::Serialize;

use super::meter::{Usage, cpu_micros};
use super::target::Target;
use super::{Bench, BenchError, Part, our_target};
use crate::bench::peer::Peer;

mod adding;
mod arriving;
mod idle;
mod mailbox;
mod maildrop;
mod table;

pub(super) use table::table;

/// Accounts: one for each size of mailbox, one for what is appended, and these that wait.
const SMALL: usize = 0;
const LARGE: usize = 1;
const ADDED: usize = 2;
const WAITING: std::ops::Range<usize> = 3..53;
const ACCOUNTS: usize = WAITING.end;
const ANSWER_WAIT: Duration = Duration::from_secs(600);
/// A server is quiet when it uses less than this in so long, so often.
const QUIET_MICROS: u64 = 10_000;
const QUIET_PAUSE: Duration = Duration::from_millis(200);
const QUIET_LOOKS: u32 = 5;
const QUIET_LOOKS_MAX: u32 = 1_500;
/// Threads of the server that work out passwords and the like end after ten seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(11);
const CONNECTIONS_MAX: usize = 20_000;

/// What a figure is to be.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) enum Goal {
    /// Its value at most this.
    AtMost(f64),
    /// Its value at least this.
    AtLeast(f64),
    /// The server's CPU time, in its unit, at most this.
    CpuAtMost(f64),
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    pub what: String,
    pub unit: &'static str,
    /// The first time, where that differs.
    pub first: Option<f64>,
    pub first_cpu: Option<f64>,
    /// The figure: of several times the median. None: the server does not offer it.
    pub value: Option<f64>,
    /// The server's CPU milliseconds, for the whole or for each.
    pub cpu: Option<f64>,
    pub goals: Vec<Goal>,
    pub note: String,
}

impl Figure {
    fn new(what: impl Into<String>, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            unit,
            first: None,
            first_cpu: None,
            value: None,
            cpu: None,
            goals: Vec::new(),
            note: String::new(),
        }
    }

    fn value(mut self, value: f64) -> Self {
        self.value = Some(value);
        self
    }

    fn cpu(mut self, cpu: f64) -> Self {
        self.cpu = Some(cpu);
        self
    }

    fn goal(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// All figures of one server.
#[derive(Debug, Default, Serialize)]
pub(super) struct Results {
    pub server: String,
    pub figures: Vec<Figure>,
}

impl Results {
    fn push(&mut self, figure: Figure) {
        drill::console::note(&format!("{}: {}", self.server, table::line(&figure)));
        self.figures.push(figure);
    }
}

/// A server of this run, which may be one that can be restarted.
pub(super) struct Host {
    target: Target,
    ours: Option<(Installation, Option<Running>)>,
    /// Kept for its end.
    peer: Option<Peer>,
}

impl Host {
    pub(super) fn ours(bench: &Bench<'_>) -> Result<Self, BenchError> {
        let directory = bench.directory.join("imap");
        std::fs::create_dir_all(&directory).map_err(BenchError::io("making a directory"))?;
        let installation = Installation::init(&bench.binary, &directory, ACCOUNTS)?;
        installation.allow_connections(CONNECTIONS_MAX)?;
        let running = installation.start()?;
        let target = our_target(&installation, &running);
        Ok(Self { target, ours: Some((installation, Some(running))), peer: None })
    }

    pub(super) fn dovecot(bench: &Bench<'_>) -> Result<Self, BenchError> {
        let (peer, target) = Peer::dovecot(&bench.directory, ACCOUNTS)?;
        Ok(Self { target, ours: None, peer: Some(peer) })
    }

    /// So that nothing is warm. A peer is left as it is.
    fn restart(&mut self) -> Result<(), BenchError> {
        if let Some((installation, running)) = &mut self.ours {
            if let Some(running) = running.take() {
                running.stop()?;
            }
            let started = installation.start()?;
            self.target = our_target(installation, &started);
            *running = Some(started);
        }
        Ok(())
    }

    fn connect(&self, account: usize) -> Result<ImapWire, BenchError> {
        let Target { imap, accounts, password, .. } = &self.target;
        Ok(ImapWire::sign_in(*imap, &accounts[account], password, ANSWER_WAIT)?)
    }

    /// Waits until nothing is done in the background; the CPU milliseconds that took.
    fn quiet(&self) -> f64 {
        let began = cpu_micros(&self.target.processes);
        let (mut last, mut quiet) = (began, 0);
        for _ in 0..QUIET_LOOKS_MAX {
            std::thread::sleep(QUIET_PAUSE);
            let now = cpu_micros(&self.target.processes);
            quiet = if now.saturating_sub(last) < QUIET_MICROS { quiet + 1 } else { 0 };
            last = now;
            if quiet == QUIET_LOOKS {
                break;
            }
        }
        last.saturating_sub(began) as f64 / 1_000.0
    }

    fn memory_kib(&self) -> u64 {
        Usage::of(&self.target.processes).memory_kib
    }

    /// The same once threads that have nothing to do are gone, and what they held.
    fn settled_memory_kib(&self) -> u64 {
        std::thread::sleep(SETTLED_AFTER);
        self.quiet();
        self.memory_kib()
    }

    /// Runs something once: wall and CPU milliseconds, and what it gave.
    fn timed<T>(
        &self,
        what: impl FnOnce() -> Result<T, BenchError>,
    ) -> Result<(f64, f64, T), BenchError> {
        let before = cpu_micros(&self.target.processes);
        let started = Instant::now();
        let given = what()?;
        let wall = started.elapsed().as_secs_f64() * 1_000.0;
        let cpu = cpu_micros(&self.target.processes).saturating_sub(before) as f64 / 1_000.0;
        Ok((wall, cpu, given))
    }

    /// A command the first time, and the median of some times more.
    fn command(
        &self,
        wire: &mut ImapWire,
        figure: Figure,
        command: &str,
        times: usize,
    ) -> Result<(Figure, Answer), BenchError> {
        let mut once = || self.timed(|| Ok(wire.command(command, Keep::Lines)?));
        let (first, first_cpu, answer) = once()?;
        let mut walls = Vec::new();
        let mut cpus = Vec::new();
        for _ in 0..times {
            let (wall, cpu, _) = once()?;
            walls.push(wall);
            cpus.push(cpu);
        }
        let mut figure = figure.value(median(&mut walls)).cpu(median(&mut cpus));
        (figure.first, figure.first_cpu) = (Some(first), Some(first_cpu));
        Ok((figure, answer))
    }

    fn end(mut self) -> Result<(), BenchError> {
        if let Some((_, Some(running))) = self.ours.take() {
            running.stop()?;
        }
        drop(self.peer.take());
        Ok(())
    }
}

/// All the parts that are wanted, on this server.
pub(super) fn measure(bench: &Bench<'_>, mut host: Host) -> Result<Results, BenchError> {
    let mut results = Results { server: host.target.name.clone(), ..Results::default() };
    std::thread::sleep(Duration::from_secs(1));
    let idle = host.memory_kib() as f64 / 1024.0;
    results.push(Figure::new("memory, just started", "MiB").value(idle));
    if bench.wants(Part::Imap) {
        mailbox::measure(&mut host, SMALL, bench.scaled(10_000), &mut results)?;
        sign_ins(&host, bench.scaled(1_000), &mut results)?;
        adding::measure(&host, bench.scaled(5_000), &mut results)?;
        if host.ours.is_some() {
            arriving::measure(&host, bench.scaled(40_000), &mut results)?;
        }
    }
    if bench.wants(Part::ImapLarge) {
        mailbox::measure(&mut host, LARGE, bench.scaled(100_000), &mut results)?;
    }
    if bench.wants(Part::Pop3) {
        for (part, account, messages) in
            [(Part::Imap, SMALL, 10_000), (Part::ImapLarge, LARGE, 100_000)]
        {
            let messages = bench.scaled(messages);
            if !bench.wants(part) {
                mailbox::load(&host, account, messages, &mut results)?;
            }
            host.restart()?;
            maildrop::measure(&host, account, messages, &mut results)?;
        }
    }
    if bench.wants(Part::Imap) || bench.wants(Part::ImapLarge) {
        let after = host.settled_memory_kib() as f64 / 1024.0;
        results.push(Figure::new("memory after that", "MiB").value(after));
    }
    if bench.wants(Part::ImapIdle) {
        idle::measure(&mut host, bench.args.quick, &mut results)?;
    }
    host.end()?;
    Ok(results)
}

/// Connections that sign in as someone who did so before, one after the other.
fn sign_ins(host: &Host, count: u64, results: &mut Results) -> Result<(), BenchError> {
    host.connect(SMALL)?;
    let Target { imap, accounts, password, processes, .. } = &host.target;
    let before = Usage::of(processes);
    let started = Instant::now();
    for _ in 0..count {
        let mut wire = ImapWire::connect(*imap, ANSWER_WAIT)?;
        wire.command(&format!("LOGIN \"{}\" \"{password}\"", accounts[SMALL]), Keep::Nothing)?;
        wire.command("LOGOUT", Keep::Nothing)?;
    }
    let each = started.elapsed().as_secs_f64() * 1_000.0 / count as f64;
    // Processes end here, and only their parent knows what they used.
    let cpu = Usage::of(processes).since(before).cpu_ms as f64 / count as f64;
    let figure = Figure::new("connect, LOGIN again, LOGOUT; each", "ms").value(each).cpu(cpu);
    results.push(figure.goal(Goal::CpuAtMost(0.5)));
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
