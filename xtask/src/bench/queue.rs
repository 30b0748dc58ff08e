//! The queue at length: memory, the start after SIGKILL and the rate it is taken at; relaying to 1,
//! 16 and 256 destinations.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use drill::console;
use drill::server::Installation;
use drill::sink::Sink;
use serde::Serialize;

use super::meter::{MemoryWatch, Usage};
use super::target::{Cell, Shape};
use super::{Bench, BenchError, Part, our_target};

/// Mail of which the rates are measured.
const MEASURED: u64 = 20_000;
/// It all goes out within this.
pub const SENT_WAIT: Duration = Duration::from_secs(900);

/// What was measured with a queue of some length.
#[derive(Debug, Serialize)]
pub struct Length {
    items: u64,
    filled_per_second: f64,
    memory_filled_mib: f64,
    start_ms: f64,
    memory_started_mib: f64,
    /// How fast the queue empties once its host answers.
    emptied_per_second: f64,
    emptied_cpu_ms: f64,
    memory_emptying_mib: f64,
}

/// Relaying to several destinations.
#[derive(Debug, Serialize)]
pub struct Spread {
    destinations: usize,
    per_second: f64,
    cpu_ms: f64,
    /// Calls that make something durable, for each message; of fewer messages, under strace.
    syncs: f64,
}

/// Everything of this part.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    lengths: Vec<Length>,
    spreads: Vec<Spread>,
    /// Of the CPU time of relaying a message, what its two signatures take, measured beside it.
    signing_ms: Option<f64>,
}

pub fn measure(bench: &Bench<'_>) -> Result<Results, BenchError> {
    let mut results = Results::default();
    if bench.wants(Part::Spread) {
        results.signing_ms = Some(super::auth::signing_ms()?);
        for destinations in [1, 16, 256] {
            results.spreads.push(spread(bench, destinations)?);
        }
    }
    if !bench.wants(Part::Queue) {
        return Ok(results);
    }
    for items in [100_000, 1_000_000] {
        results.lengths.push(length(bench, bench.scaled(items))?);
    }
    Ok(results)
}

/// A server of its own, with these routes.
pub fn installed(
    bench: &Bench<'_>,
    name: &str,
    routes: &[(String, String)],
) -> Result<Installation, BenchError> {
    let directory = bench.directory.join(name);
    std::fs::create_dir_all(&directory).map_err(BenchError::io("making a directory"))?;
    let installation = Installation::init(&bench.binary, &directory, 1)?;
    for (domain, relay) in routes {
        installation.checked(&["route", "add", domain, relay])?;
    }
    Ok(installation)
}

fn spread(bench: &Bench<'_>, destinations: usize) -> Result<Spread, BenchError> {
    let sink = Sink::start_everywhere().map_err(BenchError::io("starting the sink"))?;
    let port = sink.address().port();
    // Every destination has an address of its own, so that none shares the connections of another.
    let routes: Vec<(String, String)> = (0..destinations)
        .map(|number| {
            (
                format!("d{number}.test"),
                format!("127.{}.{}.1:{port}", 1 + number / 128, 1 + number % 128),
            )
        })
        .collect();
    let installation = installed(bench, &format!("spread-{destinations}"), &routes)?;
    let relayed = |installation: &Installation, messages: u64| -> Result<Cell, BenchError> {
        let running = installation.start()?;
        let target = our_target(installation, &running);
        let shape = Shape { connections: 64, messages, message_bytes: 4096 };
        let mut load = target.relay_load(shape);
        load.recipients = (0..destinations).map(|number| format!("far@d{number}.test")).collect();
        // The first messages are dearer: passwords are hashed, hosts not yet known.
        target.relay(&load, &sink)?;
        let cell = target.relay(&load, &sink)?;
        running.stop()?;
        Ok(cell)
    };
    let Cell { per_second, cpu_ms_per_message: cpu_ms, .. } =
        relayed(&installation, bench.scaled(MEASURED))?;
    let counted = bench.scaled(MEASURED) / 4;
    let counts = installation.data.with_extension("strace");
    let mut traced = installation;
    traced.wrapper = super::counting_syncs(&counts);
    relayed(&traced, counted)?;
    // Both loads, the dear first one included.
    let syncs = super::counted_syncs(&counts)? as f64 / (2 * counted) as f64;
    console::note(&format!(
        "{destinations} destinations: {per_second:.0}/s, {cpu_ms:.2} CPU ms, {syncs:.3} syncs"
    ));
    Ok(Spread { destinations, per_second, cpu_ms, syncs })
}

/// A host that takes all mail, and one that is stuck.
pub(super) struct Hosts {
    pub(super) sink: Sink,
    /// Connections stand, and nobody ever says a word.
    pub(super) silent: TcpListener,
    /// To them, by domain.
    pub(super) routes: [(String, String); 2],
}

impl Hosts {
    pub(super) fn start() -> Result<Self, BenchError> {
        let sink = Sink::start().map_err(BenchError::io("starting the sink"))?;
        let silent = TcpListener::bind(("127.0.0.1", 0)).map_err(BenchError::io("listening"))?;
        let silent_at = silent.local_addr().map_err(BenchError::io("listening"))?;
        let routes = [
            ("sink.test".to_owned(), sink.address().to_string()),
            ("stuck.test".to_owned(), silent_at.to_string()),
        ];
        Ok(Self { sink, silent, routes })
    }
}

fn length(bench: &Bench<'_>, items: u64) -> Result<Length, BenchError> {
    let Hosts { sink, silent, routes } = Hosts::start()?;
    let installation = installed(bench, &format!("queue-{items}"), &routes)?;
    let running = installation.start()?;
    let target = our_target(&installation, &running);
    let shape = Shape { connections: 64, messages: items, message_bytes: 1024 };
    let mut load = target.relay_load(shape);
    load.recipients = vec!["nobody@stuck.test".to_owned()];
    let filled_per_second = target.submit("queued", &load)?.per_second;
    let memory = |pid: u32| Usage::of(&[pid]).memory_kib as f64 / 1024.0;
    let memory_filled_mib = memory(running.pid());
    console::note(&format!("{items} queued: {memory_filled_mib:.0} MiB"));
    running.kill()?;
    let mut running = installation.spawn()?;
    let start_ms = running.wait_ready()?.as_secs_f64() * 1000.0;
    let memory_started_mib = memory(running.pid());
    // The host answers from now on.
    let emptied = items.min(bench.scaled(100_000));
    let before = (sink.messages(), Usage::of(&[running.pid()]));
    let watch = MemoryWatch::start(&[running.pid()]);
    installation.checked(&["route", "add", "stuck.test", &sink.address().to_string()])?;
    installation.checked(&["queue", "retry", "--to", "nobody@nowhere.test"])?;
    let began = Instant::now();
    if !sink.wait_for(before.0 + emptied, SENT_WAIT) {
        return Err(BenchError::NotDelivered);
    }
    let emptied_per_second = emptied as f64 / began.elapsed().as_secs_f64();
    let used = Usage::of(&[running.pid()]).since(before.1);
    running.stop()?;
    drop(silent);
    Ok(Length {
        items,
        filled_per_second,
        memory_filled_mib,
        start_ms,
        memory_started_mib,
        emptied_per_second,
        emptied_cpu_ms: used.cpu_ms as f64 / emptied as f64,
        memory_emptying_mib: watch.most_kib() as f64 / 1024.0,
    })
}

pub fn table(results: &Results) -> String {
    let mut text = String::new();
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        text.write_fmt(arguments).ok();
        text.push('\n');
    };
    for spread in &results.spreads {
        line(format_args!(
            "relayed to {} destinations: {:.0}/s, {:.2} CPU ms and {:.3} syncs each",
            spread.destinations, spread.per_second, spread.cpu_ms, spread.syncs
        ));
    }
    if let Some(signing) = results.signing_ms {
        line(format_args!("of which both signatures: {signing:.2} CPU ms"));
    }
    for length in &results.lengths {
        line(format_args!(
            "{} queued ({:.0}/s): {:.0} MiB; start after kill -9 in {:.0} ms, then {:.0} MiB",
            length.items,
            length.filled_per_second,
            length.memory_filled_mib,
            length.start_ms,
            length.memory_started_mib
        ));
        line(format_args!(
            "  emptied at {:.0}/s, {:.2} CPU ms each, at most {:.0} MiB",
            length.emptied_per_second, length.emptied_cpu_ms, length.memory_emptying_mib
        ));
    }
    text
}
