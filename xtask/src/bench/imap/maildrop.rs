//! The same mailboxes over POP3: opened, listed, fetched whole.

use drill::pop3_wire::Pop3Wire;

use super::{ANSWER_WAIT, BenchError, Figure, Host, Results, median};

/// RETR and TOP under way on the one connection (PIPELINING).
const UNDER_WAY: u64 = 64;
const TIMES: usize = 3;

/// Measures the inbox of this account, which has about so many messages.
pub(super) fn measure(
    host: &Host,
    account: usize,
    messages: u64,
    results: &mut Results,
) -> Result<(), BenchError> {
    let target = &host.target;
    let open = || {
        let (user, password) = (&target.accounts[account], &target.password);
        Pop3Wire::sign_in(target.pop3, user, password, ANSWER_WAIT)
    };
    let figure = |what: &str| Figure::new(format!("{messages} over POP3: {what}"), "ms");
    results.push(repeated(host, figure("sign-in, STAT, QUIT"), || {
        let mut wire = open()?;
        let stat = wire.command("STAT")?;
        wire.command("QUIT")?;
        Ok(stat)
    })?);
    let before = host.memory_kib();
    let mut wire = open()?;
    let stat = wire.command("STAT")?;
    let held = host.memory_kib().saturating_sub(before);
    let count = stat.split(' ').next().and_then(|count| count.parse::<u64>().ok());
    let count = count.ok_or_else(|| BenchError::Peer(format!("STAT: {stat}")))?;
    for command in ["LIST", "UIDL"] {
        let figure = repeated(host, figure(command), || {
            Ok(format!("{:.1} MB", wire.lines(command)? as f64 / 1e6))
        })?;
        results.push(figure);
    }
    for (what, command) in [
        ("TOP of each, no lines", (|number| format!("TOP {number} 0")) as fn(u64) -> String),
        ("RETR of each", |number| format!("RETR {number}")),
    ] {
        let figure = repeated(host, figure(what), || {
            Ok(format!("{:.1} MB", wire.each(count, UNDER_WAY, command)? as f64 / 1e6))
        })?;
        results.push(figure);
    }
    wire.command("QUIT")?;
    let figure = Figure::new(format!("{messages} over POP3: memory to open"), "KiB");
    results.push(figure.value(held as f64));
    Ok(())
}

/// The first time, and the median of some times more.
fn repeated(
    host: &Host,
    mut figure: Figure,
    mut once: impl FnMut() -> Result<String, BenchError>,
) -> Result<Figure, BenchError> {
    let (first, first_cpu, note) = host.timed(&mut once)?;
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let (wall, cpu, _) = host.timed(&mut once)?;
        walls.push(wall);
        cpus.push(cpu);
    }
    (figure.first, figure.first_cpu) = (Some(first), Some(first_cpu));
    Ok(figure.value(median(&mut walls)).cpu(median(&mut cpus)).note(note))
}
