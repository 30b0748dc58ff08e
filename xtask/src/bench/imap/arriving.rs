//! How long commands take while mail arrives at full speed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use drill::imap_wire::{ImapWire, Keep};
use drill::latency::Latency;
use drill::load;

use super::{BenchError, Figure, Host, Results, SMALL, WAITING};
use crate::bench::target::Shape;

const CONNECTIONS: usize = 64;
const MESSAGE_BYTES: usize = 4096;
/// Mailboxes that the mail arrives in.
const SHARED: usize = 8;

/// A session on a mailbox that is left alone and one on a mailbox that mail arrives in.
pub(super) fn measure(host: &Host, messages: u64, results: &mut Results) -> Result<(), BenchError> {
    let target = &host.target;
    let accounts = WAITING.start..WAITING.start + SHARED;
    let shape = Shape { connections: CONNECTIONS, messages, message_bytes: MESSAGE_BYTES };
    let plan = target.load(accounts.clone(), shape);
    let mut still = host.connect(SMALL)?;
    let mut moving = host.connect(accounts.start)?;
    for wire in [&mut still, &mut moving] {
        wire.command("SELECT INBOX", Keep::Nothing)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let loading = std::thread::spawn(move || load::run(&plan, &stop, None));
    let names = ["NOOP", "FETCH 1 BODY.PEEK[HEADER]"];
    let mut latencies = [Latency::default(), Latency::default(), Latency::default()];
    let mut time = |wire: &mut ImapWire, command: &str, place: usize| {
        let started = Instant::now();
        wire.command(command, Keep::Nothing)?;
        latencies[place].record(started.elapsed());
        Ok::<_, BenchError>(())
    };
    while !loading.is_finished() {
        time(&mut still, names[0], 0)?;
        time(&mut still, names[1], 1)?;
        time(&mut moving, names[0], 2)?;
    }
    let outcome = loading.join().map_err(|_| BenchError::Peer("the load panicked".to_owned()))?;
    let outcome = outcome.map_err(BenchError::io("running a load"))?;
    let rate = format!("{:.0} messages/s arrive", outcome.per_second());
    let whats = [names[0].to_owned(), names[1].to_owned(), "NOOP where it arrives".to_owned()];
    for (what, latency) in whats.iter().zip(&latencies) {
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            let millis = latency.percentile(share).as_secs_f64() * 1_000.0;
            let figure = Figure::new(format!("{what} while mail arrives, {name}"), "ms");
            results.push(figure.value(millis).note(rate.clone()));
        }
    }
    Ok(())
}
