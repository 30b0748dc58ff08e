//! `drill expunged`: a mailbox whose messages have come and gone by the hundred thousand. A client
//! that was away is told exactly what it misses, in few octets and with little memory.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::hostile::{Cost, Victim};
use crate::imap::ImapError;
use crate::imap_wire::{ImapWire, Keep};
use crate::server::{self, Installation};
use crate::{DrillError, console};

const WAIT: Duration = Duration::from_secs(600);
/// Messages appended; the others are copies.
const APPENDED: u64 = 1_000;
/// Messages expunged at a time.
const PORTION: u64 = 50_000;
/// One of so many stays.
const STAYS_ONE_IN: u64 = 1_000;
const GROWTH_KIB_MAX: u64 = 64 << 10;
/// Octets that tell of each message that stays: a range lies on both sides of it.
const OCTETS_EACH_MAX: u64 = 20;

/// Options of `drill expunged`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExpungedArgs {
    /// Messages that come, of which one in a thousand stays
    #[arg(long, default_value_t = 1_000_000)]
    pub messages: u64,
    /// The server's binary [default: this one]
    #[arg(long)]
    pub binary: Option<PathBuf>,
    /// Prints the finding as JSON
    #[arg(long)]
    pub json: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ExpungedReport {
    /// UIDs given.
    pub uids: u64,
    /// Of each way to come back: what, milliseconds, KiB of memory, octets of the answer.
    pub ways: Vec<(String, u64, u64, u64)>,
    /// What is wrong.
    pub faults: Vec<String>,
}

/// Runs the drill.
///
/// # Errors
/// When the server cannot be made, started or asked.
pub fn run(args: &ExpungedArgs) -> Result<ExpungedReport, DrillError> {
    let binary = crate::binary_or_this(args.binary.as_deref())?;
    let directory = server::fresh_directory(None, "restante-expunged")?;
    let installation = Installation::init(&binary, &directory, 1)?;
    let running = installation.start()?;
    let victim = Victim {
        pid: running.pid(),
        imap: installation.address(143),
        user: installation.accounts.first().cloned().unwrap_or_default(),
        password: installation.password.clone(),
    };
    let report = come_and_go(&victim, args.messages)?;
    running.stop()?;
    if report.faults.is_empty() {
        std::fs::remove_dir_all(&directory).map_err(server::doing("removing the data"))?;
    } else {
        console::note(&format!("kept: {}", directory.display()));
    }
    Ok(report)
}

/// What a client remembers: HIGHESTMODSEQ.
fn come_and_go(victim: &Victim, messages: u64) -> Result<ExpungedReport, ImapError> {
    let connect = || {
        let mut wire = ImapWire::sign_in(victim.imap, &victim.user, &victim.password, WAIT)?;
        wire.command("ENABLE QRESYNC", Keep::Nothing)?;
        Ok::<_, ImapError>(wire)
    };
    let mut wire = connect()?;
    let uids = fill(&mut wire, messages)?;
    let opened = wire.command("SELECT INBOX", Keep::Lines)?.text;
    let (validity, full) = (number(&opened, "[UIDVALIDITY "), number(&opened, "[HIGHESTMODSEQ "));
    let mut before_last = full;
    let mut first = 1;
    while first <= uids {
        let last = uids.min(first + PORTION - 1);
        let status = wire.command("STATUS INBOX (HIGHESTMODSEQ)", Keep::Lines)?.text;
        before_last = number(&status, "HIGHESTMODSEQ ");
        let stay: Vec<String> = (first..=last)
            .filter(|uid| uid % STAYS_ONE_IN == 0)
            .map(|uid| uid.to_string())
            .collect();
        wire.command(
            &format!("UID STORE {first}:{last} +FLAGS.SILENT (\\Deleted)"),
            Keep::Nothing,
        )?;
        if !stay.is_empty() {
            let stay = stay.join(",");
            wire.command(&format!("UID STORE {stay} -FLAGS.SILENT (\\Deleted)"), Keep::Nothing)?;
        }
        wire.command(&format!("UID EXPUNGE {first}:{last}"), Keep::Nothing)?;
        first = last + 1;
    }
    let last_portion = (uids - 1) / PORTION * PORTION + 1;
    let mut report = ExpungedReport { uids, ..ExpungedReport::default() };
    for (what, since, known, from, to) in [
        ("since all were there", full, String::new(), 1, uids),
        ("of those that it knows", full, " 1:100,5000".to_owned(), 1, 100),
        ("since the last portion", before_last, String::new(), last_portion, uids),
    ] {
        let mut wire = connect()?;
        let select = format!("SELECT INBOX (QRESYNC ({validity} {since}{known}))");
        let mut told = None;
        let tell: &mut dyn FnMut(Cost) = &mut |cost| told = Some(cost);
        let answer = victim.measured(what, tell, || wire.command(&select, Keep::Lines))?;
        let gone = vanished(&answer.text);
        let wanted: u64 = (from..=to).filter(|uid| uid % STAYS_ONE_IN != 0).count() as u64;
        let inside = |&(first, last): &(u64, u64)| {
            first >= from && last <= to && first.div_ceil(STAYS_ONE_IN) * STAYS_ONE_IN > last
        };
        let count: u64 = gone.iter().map(|(first, last)| last + 1 - first).sum();
        if count != wanted || !gone.iter().all(inside) || !gone.is_sorted() {
            report.faults.push(format!("{what}: {count} UIDs have vanished, not {wanted}"));
        }
        let Some(cost) = told else { continue };
        let octets = answer.bytes;
        if octets > 4_096 + (uids / STAYS_ONE_IN + 1) * (OCTETS_EACH_MAX + 80) {
            report.faults.push(format!("{what}: {octets} octets"));
        }
        if cost.growth_kib > GROWTH_KIB_MAX {
            report.faults.push(format!("{what}: {} KiB of memory", cost.growth_kib));
        }
        let millis = u64::try_from(cost.wall.as_millis()).unwrap_or(u64::MAX);
        report.ways.push((what.to_owned(), millis, cost.growth_kib, octets));
    }
    Ok(report)
}

/// Appends some and copies them until there are so many or a few more; the last UID.
fn fill(wire: &mut ImapWire, messages: u64) -> Result<u64, ImapError> {
    let one =
        ("22-Nov-2026 10:00:00 +0000".to_owned(), b"Subject: one of many\r\n\r\nx\r\n".to_vec());
    let some = vec![one; APPENDED.min(messages) as usize];
    some.chunks(100).try_for_each(|some| wire.append_together("INBOX", some))?;
    wire.command("SELECT INBOX", Keep::Nothing)?;
    let mut count = some.len() as u64;
    while count < messages {
        let copied = count.min(messages - count).min(PORTION);
        wire.command(&format!("COPY 1:{copied} INBOX"), Keep::Nothing)?;
        wire.command("NOOP", Keep::Nothing)?;
        count += copied;
    }
    Ok(count)
}

fn number(text: &str, name: &str) -> u64 {
    let rest = text.split_once(name).map_or("", |(_, rest)| rest);
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

/// The ranges of all VANISHED (EARLIER) lines.
fn vanished(text: &str) -> Vec<(u64, u64)> {
    let sets = text.lines().filter_map(|line| line.strip_prefix("* VANISHED (EARLIER) "));
    let ranges = sets.flat_map(|set| set.trim().split(','));
    let read = ranges.filter_map(|range| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        Some((first.parse().ok()?, last.parse().ok()?))
    });
    read.collect()
}
