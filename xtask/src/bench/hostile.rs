//! What hostile input costs: each abuse at most a second of the server's processor and 64 MiB.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use drill::console;
use drill::hostile::{Cost, Victim};
use drill::imap_wire::{ImapWire, Keep};
use drill::letters::Letters;
use drill::server::Installation;

use super::{Bench, BenchError};

const CPU_MAX: Duration = Duration::from_secs(1);
const GROWTH_KIB_MAX: u64 = 64 << 10;
/// Messages that are searched.
const LETTERS: u64 = 10_000;
const SEED: u64 = 9;
const WAIT: Duration = Duration::from_secs(600);

/// All costs as a table; an error where one is over.
pub fn measure(bench: &Bench<'_>) -> Result<String, BenchError> {
    let directory = bench.directory.join("hostile");
    fs::create_dir_all(&directory).map_err(BenchError::io("making a directory"))?;
    // One account for patterns, one for searches, one for messages.
    let installation = Installation::init(&bench.binary, &directory, 3)?;
    let running = installation.start()?;
    let victim = |account: usize| Victim {
        pid: running.pid(),
        imap: installation.address(143),
        user: installation.accounts[account].clone(),
        password: installation.password.clone(),
    };
    let mut costs: Vec<Cost> = Vec::new();
    let mut tell = |cost: Cost| {
        console::note(&line(&cost));
        costs.push(cost);
    };
    fill(&victim(1), bench.scaled(LETTERS))?;
    victim(0).patterns(&mut tell)?;
    victim(1).searches(&mut tell)?;
    let third = victim(2);
    third.headers(&mut tell)?;
    third.structures(&mut tell)?;
    third.characters(&mut tell)?;
    running.stop()?;
    let mut text = String::from("\nHostile input\n");
    for cost in &costs {
        // Writing to a String cannot fail.
        writeln!(text, "{}", line(cost)).ok();
    }
    match costs.iter().filter(|cost| is_over(cost)).count() {
        0 => Ok(text),
        over => Err(BenchError::TooDear { over, table: text }),
    }
}

fn is_over(cost: &Cost) -> bool {
    cost.cpu > CPU_MAX || cost.growth_kib > GROWTH_KIB_MAX
}

fn line(cost: &Cost) -> String {
    format!(
        "{:<64} {:>6} ms {:>6} CPU ms {:>8} KiB{}",
        cost.what,
        cost.wall.as_millis(),
        cost.cpu.as_millis(),
        cost.growth_kib,
        if is_over(cost) { "  OVER" } else { "" },
    )
}

fn fill(victim: &Victim, count: u64) -> Result<(), BenchError> {
    let letters = Letters::new(SEED, count);
    let mut wire = ImapWire::sign_in(victim.imap, &victim.user, &victim.password, WAIT)?;
    let made: Vec<_> = (0..count).map(|n| (letters.date_time(n), letters.letter(n))).collect();
    made.chunks(100).try_for_each(|some| wire.append_together("INBOX", some))?;
    wire.command("NOOP", Keep::Nothing)?;
    Ok(())
}
