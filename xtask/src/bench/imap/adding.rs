//! APPEND, one by one and together.

use drill::imap_wire::{ImapWire, Keep};
use drill::letters::Letters;

use super::{ADDED, BenchError, Figure, Goal, Host, Results, median};

/// APPENDs under way on the one connection.
const UNDER_WAY: usize = 64;
/// Messages of one command with MULTIAPPEND.
const TOGETHER: usize = 100;
/// Letters made ahead, outside the measured time.
const AHEAD: u64 = 1_000;
const SEED: u64 = 7;
/// Of so many times the median counts: one is over in a fraction of a second.
const TIMES: usize = 5;

/// Seconds, and the server's CPU milliseconds.
type Cost = (f64, f64);

/// Appends so many letters in both ways, to mailboxes of their own.
pub(super) fn measure(host: &Host, count: u64, results: &mut Results) -> Result<(), BenchError> {
    let letters = Letters::new(SEED, count);
    let mut wire = host.connect(ADDED)?;
    let warm = Letters::new(SEED + 1, (count / 10).max(1));
    wire.command("CREATE Warm", Keep::Nothing)?;
    one_by_one(host, &mut wire, "Warm", &warm)?;
    let (seconds, cpu) = repeated(&mut wire, "Pipelined", &mut |wire, mailbox| {
        one_by_one(host, wire, mailbox, &letters)
    })?;
    let figure = Figure::new(format!("APPEND of {count}, {UNDER_WAY} under way"), "/s");
    results.push(
        figure
            .value(count as f64 / seconds)
            .cpu(cpu / count as f64)
            .goal(Goal::AtLeast(5_000.0))
            .goal(Goal::CpuAtMost(0.2)),
    );
    let figure = Figure::new(format!("MULTIAPPEND of {count} by {TOGETHER}"), "/s")
        .goal(Goal::AtLeast(30_000.0));
    results.push(if wire.offers("MULTIAPPEND") {
        let (seconds, cpu) = repeated(&mut wire, "Together", &mut |wire, mailbox| {
            together(host, wire, mailbox, &letters)
        })?;
        figure.value(count as f64 / seconds).cpu(cpu / count as f64)
    } else {
        figure
    });
    Ok(())
}

/// Some times, to a mailbox of its own each: the medians of both.
fn repeated(
    wire: &mut ImapWire,
    name: &str,
    append: &mut dyn FnMut(&mut ImapWire, &str) -> Result<Cost, BenchError>,
) -> Result<Cost, BenchError> {
    let (mut walls, mut cpus) = (Vec::with_capacity(TIMES), Vec::with_capacity(TIMES));
    for time in 0..TIMES {
        let mailbox = format!("{name}-{time}");
        wire.command(&format!("CREATE {mailbox}"), Keep::Nothing)?;
        let (wall, cpu) = append(wire, &mailbox)?;
        walls.push(wall);
        cpus.push(cpu);
    }
    Ok((median(&mut walls), median(&mut cpus)))
}

/// Appends all letters the fastest way there is.
pub(super) fn fill(
    host: &Host,
    wire: &mut ImapWire,
    mailbox: &str,
    letters: &Letters,
) -> Result<Cost, BenchError> {
    if wire.offers("MULTIAPPEND") {
        together(host, wire, mailbox, letters)
    } else {
        one_by_one(host, wire, mailbox, letters)
    }
}

fn one_by_one(
    host: &Host,
    wire: &mut ImapWire,
    mailbox: &str,
    letters: &Letters,
) -> Result<Cost, BenchError> {
    append(host, letters, |made| wire.append_pipelined(mailbox, made, UNDER_WAY))
}

fn together(
    host: &Host,
    wire: &mut ImapWire,
    mailbox: &str,
    letters: &Letters,
) -> Result<Cost, BenchError> {
    append(host, letters, |made| {
        made.chunks(TOGETHER).try_for_each(|some| wire.append_together(mailbox, some))
    })
}

fn append(
    host: &Host,
    letters: &Letters,
    mut add: impl FnMut(&[(String, Vec<u8>)]) -> Result<(), drill::imap::ImapError>,
) -> Result<Cost, BenchError> {
    let (mut seconds, mut cpu) = (0.0, 0.0);
    let mut next = 0;
    while next < letters.total() {
        let upto = (next + AHEAD).min(letters.total());
        let made: Vec<_> =
            (next..upto).map(|n| (letters.date_time(n), letters.letter(n))).collect();
        let (wall, used, ()) = host.timed(|| Ok(add(&made)?))?;
        seconds += wall / 1_000.0;
        cpu += used;
        next = upto;
    }
    Ok((seconds, cpu))
}
