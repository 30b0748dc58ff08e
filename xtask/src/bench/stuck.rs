//! What a destination that is stuck costs mail to others: two servers by turns, alike but for a
//! queue that waits for a host which never says a word.
//!
//! Processor time for each message is compared, not messages a second: the machine may have other
//! work, which comes and goes between rounds.

use drill::console;
use drill::server::{Installation, Running};
use serde::Serialize;

use super::queue::{Hosts, installed};
use super::target::{Shape, Target};
use super::{Bench, BenchError, our_target};

/// Rounds, of each server one load; an even number, since the one begins in one round and the other
/// in the next.
const ROUNDS: u64 = 12;
/// Messages of one load.
const MESSAGES: u64 = 10_000;

/// A queue that is stuck, and mail beside it.
#[derive(Debug, Serialize)]
pub struct Beside {
    items: u64,
    /// Medians.
    cpu_ms_alone: f64,
    cpu_ms_beside: f64,
    /// CPU of a message beside the queue, divided by that without it, of each round, sorted.
    cpu_ratios: Vec<f64>,
    /// The same of messages a second.
    rate_ratios: Vec<f64>,
}

pub fn measure(bench: &Bench<'_>) -> Result<Vec<Beside>, BenchError> {
    [100_000, 1_000_000].into_iter().map(|items| beside(bench, bench.scaled(items))).collect()
}

fn beside(bench: &Bench<'_>, items: u64) -> Result<Beside, BenchError> {
    let Hosts { sink, silent: _silent, routes } = Hosts::start()?;
    let start = |name: &str| -> Result<(Installation, Running, Target), BenchError> {
        let installation = installed(bench, &format!("{name}-{items}"), &routes)?;
        let running = installation.start()?;
        let target = our_target(&installation, &running);
        Ok((installation, running, target))
    };
    let (_, alone_runs, alone) = start("alone")?;
    let (_, beside_runs, beside) = start("beside")?;
    let fill = |target: &Target, to: &str| -> Result<(), BenchError> {
        let shape = Shape { connections: 64, messages: items, message_bytes: 1024 };
        let mut load = target.relay_load(shape);
        load.recipients = vec![to.to_owned()];
        target.submit("queued", &load).map(drop)
    };
    fill(&beside, "nobody@stuck.test")?;
    // The other has relayed as many, so that its journal and index are as long.
    let before = sink.messages();
    fill(&alone, "somebody@sink.test")?;
    if !sink.wait_for(before + items, super::queue::SENT_WAIT) {
        return Err(BenchError::NotDelivered);
    }
    let messages = bench.scaled(MESSAGES);
    let relayed = |target: &Target| -> Result<(f64, f64), BenchError> {
        let shape = Shape { connections: 64, messages, message_bytes: 4096 };
        let cell = target.relay(&target.relay_load(shape), &sink)?;
        Ok((cell.cpu_ms_per_message, cell.per_second))
    };
    // The first messages are dearer.
    relayed(&alone)?;
    relayed(&beside)?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            without.push(relayed(&alone)?);
            with.push(relayed(&beside)?);
        } else {
            with.push(relayed(&beside)?);
            without.push(relayed(&alone)?);
        }
    }
    alone_runs.stop()?;
    beside_runs.stop()?;
    let ratios = |part: fn(&(f64, f64)) -> f64| {
        let pairs = with.iter().zip(&without);
        sorted(pairs.map(|(with, without)| part(with) / part(without)))
    };
    let result = Beside {
        items,
        cpu_ms_alone: median(&sorted(without.iter().map(|run| run.0))),
        cpu_ms_beside: median(&sorted(with.iter().map(|run| run.0))),
        cpu_ratios: ratios(|run| run.0),
        rate_ratios: ratios(|run| run.1),
    };
    console::note(&line(&result));
    Ok(result)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values.
fn median(values: &[f64]) -> f64 {
    let half = values.len() / 2;
    match values {
        [] => f64::NAN,
        _ if values.len().is_multiple_of(2) => (values[half - 1] + values[half]) / 2.0,
        _ => values[half],
    }
}

fn line(result: &Beside) -> String {
    let spread = |ratios: &[f64]| {
        let quarter = ratios.len() / 4;
        let (low, high) = (ratios[quarter], ratios[ratios.len() - 1 - quarter]);
        format!("{:.3} ({low:.3} to {high:.3})", median(ratios))
    };
    format!(
        "beside {} stuck: {:.3} CPU ms each, without {:.3}; median of {} ratios, and the middle \
         half of them: CPU {}, messages a second {}",
        result.items,
        result.cpu_ms_beside,
        result.cpu_ms_alone,
        result.cpu_ratios.len(),
        spread(&result.cpu_ratios),
        spread(&result.rate_ratios),
    )
}

pub fn table(results: &[Beside]) -> String {
    results.iter().map(line).collect::<Vec<_>>().join("\n")
}
