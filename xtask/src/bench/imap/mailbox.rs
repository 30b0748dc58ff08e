//! One mailbox of many messages: opened, fetched, searched, sorted, flagged, caught up with.

use drill::imap_wire::{ImapWire, Keep};
use drill::letters::Letters;

use super::{ANSWER_WAIT, BenchError, Figure, Goal, Host, Results, adding, median};

const SEED: u64 = 20_261_122;
const RARE: &str = "xylofoonkwartet";
const ABSENT: &str = "zwanenzangerigheid";
const RARE_LETTERS: u64 = 10;
/// How often the sign-in and SELECT is repeated.
const SIGN_INS: usize = 21;
/// Every so many messages one has its flag changed or goes, until so many have.
const CHANGED: u64 = 1_000;

/// Fills the inbox of this account and measures it; the goals are for 10,000 and 100,000 messages.
pub(super) fn measure(
    host: &mut Host,
    account: usize,
    messages: u64,
    results: &mut Results,
) -> Result<(), BenchError> {
    load(host, account, messages, results)?;
    host.restart()?;
    let large = messages > 10_000;
    // The repeats of what takes long are few.
    let times = if large { 3 } else { 7 };
    let figure = |what: &str| Figure::new(format!("{messages}: {what}"), "ms");
    results.push(select(host, account, figure("sign-in + SELECT"), large)?);

    let mut wire = host.connect(account)?;
    wire.command("SELECT INBOX", Keep::Nothing)?;
    for (item, goals) in items(large) {
        let mut figure = figure(&format!("FETCH 1:* {item}"));
        figure.goals = goals;
        results.push(fetch(host, &mut wire, figure, item, messages, times)?);
    }
    search(host, &mut wire, messages, results)?;
    for (capability, command) in [
        ("SORT", "SORT (REVERSE DATE) UTF-8 ALL"),
        ("SORT", "SORT (SUBJECT) UTF-8 ALL"),
        ("THREAD=REFERENCES", "THREAD REFERENCES UTF-8 ALL"),
    ] {
        let figure = figure(command);
        results.push(if wire.offers(capability) {
            host.command(&mut wire, figure, command, times.min(5))?.0
        } else {
            figure
        });
    }
    results.push(store(host, &mut wire, figure("STORE 1:* +FLAGS.SILENT (\\Seen)"), large)?);
    let caught_up = figure(&format!("SELECT (QRESYNC) after {CHANGED} changes"));
    results.push(if wire.offers("QRESYNC") {
        drop(wire);
        catch_up(host, account, messages, caught_up)?
    } else {
        caught_up
    });
    Ok(())
}

fn items(large: bool) -> [(&'static str, Vec<Goal>); 4] {
    if large {
        [
            ("(FLAGS)", vec![]),
            ("(ENVELOPE)", vec![Goal::CpuAtMost(300.0)]),
            ("(BODYSTRUCTURE)", vec![]),
            ("(BODY.PEEK[])", vec![Goal::CpuAtMost(400.0)]),
        ]
    } else {
        [
            ("(FLAGS)", vec![Goal::AtMost(3.0)]),
            ("(ENVELOPE)", vec![Goal::AtMost(20.0)]),
            ("(BODYSTRUCTURE)", vec![Goal::AtMost(10.0)]),
            ("(BODY.PEEK[])", vec![Goal::AtMost(40.0)]),
        ]
    }
}

/// Fills the inbox of this account.
pub(super) fn load(
    host: &Host,
    account: usize,
    messages: u64,
    results: &mut Results,
) -> Result<(), BenchError> {
    let letters = Letters::new(SEED, messages).with_rare_word(RARE, RARE_LETTERS);
    let mut wire = host.connect(account)?;
    let (seconds, cpu) = adding::fill(host, &mut wire, "INBOX", &letters)?;
    let how =
        if wire.offers("MULTIAPPEND") { "MULTIAPPEND by 100" } else { "APPEND, 64 under way" };
    let rate = messages as f64 / seconds;
    let figure = Figure::new(format!("{messages}: loaded"), "/s").value(rate);
    results.push(figure.cpu(cpu / messages as f64).note(how));
    let background = host.quiet();
    let figure = Figure::new(format!("{messages}: afterwards, CPU"), "ms").value(background);
    results.push(figure);
    Ok(())
}

/// From the connection to the answer of SELECT. The first time the password is worked out.
fn select(host: &Host, account: usize, figure: Figure, large: bool) -> Result<Figure, BenchError> {
    let target = &host.target;
    let sign_in = format!("LOGIN \"{}\" \"{}\"", target.accounts[account], target.password);
    let once = || {
        let mut wire = ImapWire::connect(target.imap, ANSWER_WAIT)?;
        wire.command(&sign_in, Keep::Nothing)?;
        wire.command("SELECT INBOX", Keep::Nothing)?;
        Ok(wire)
    };
    let (first, first_cpu, _) = host.timed(once)?;
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..SIGN_INS {
        let (wall, cpu, _) = host.timed(once)?;
        walls.push(wall);
        cpus.push(cpu);
    }
    let mut figure = figure.value(median(&mut walls)).cpu(median(&mut cpus));
    (figure.first, figure.first_cpu) = (Some(first), Some(first_cpu));
    Ok(if large { figure } else { figure.goal(Goal::AtMost(3.0)) })
}

fn fetch(
    host: &Host,
    wire: &mut ImapWire,
    mut figure: Figure,
    item: &str,
    messages: u64,
    times: usize,
) -> Result<Figure, BenchError> {
    let command = format!("FETCH 1:* {item}");
    let mut once = || host.timed(|| Ok(wire.command(&command, Keep::Nothing)?));
    let (first, first_cpu, answer) = once()?;
    if answer.untagged != messages {
        return Err(BenchError::Peer(format!("{command}: {} answers", answer.untagged)));
    }
    (figure.first, figure.first_cpu) = (Some(first), Some(first_cpu));
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let (wall, cpu, _) = once()?;
        walls.push(wall);
        cpus.push(cpu);
    }
    let note = format!("{:.1} MB", answer.bytes as f64 / 1e6);
    Ok(figure.value(median(&mut walls)).cpu(median(&mut cpus)).note(note))
}

fn search(
    host: &Host,
    wire: &mut ImapWire,
    messages: u64,
    results: &mut Results,
) -> Result<(), BenchError> {
    let goal = if messages > 10_000 { 200.0 } else { 20.0 };
    for (what, word, hits) in
        [("TEXT, 10 hits", RARE, RARE_LETTERS), ("TEXT, an absent word", ABSENT, 0)]
    {
        let figure =
            Figure::new(format!("{messages}: SEARCH {what}"), "ms").goal(Goal::AtMost(goal));
        let command = format!("SEARCH TEXT {word}");
        let (figure, answer) = host.command(wire, figure, &command, 3)?;
        let found = hits_of(&answer.text);
        results.push(if found as u64 == hits {
            figure
        } else {
            figure.note(format!("WRONG: found {found}"))
        });
    }
    for key in ["SUBJECT baren", "UNSEEN SINCE 1-Jun-2026"] {
        let figure = Figure::new(format!("{messages}: SEARCH {key}"), "ms");
        let (figure, answer) = host.command(wire, figure, &format!("SEARCH {key}"), 3)?;
        let found = hits_of(&answer.text);
        results.push(figure.note(format!("{found} hits")));
    }
    Ok(())
}

/// Messages that a SEARCH has found; not the numbers of RFC 9585's INPROGRESS beside it.
fn hits_of(answer: &str) -> usize {
    let found = answer.lines().filter_map(|line| line.strip_prefix("* SEARCH"));
    found.map(|hits| hits.split_ascii_whitespace().count()).sum()
}

/// Sets a flag on all, which all lack.
fn store(
    host: &Host,
    wire: &mut ImapWire,
    mut figure: Figure,
    large: bool,
) -> Result<Figure, BenchError> {
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (wall, cpu, _) =
            host.timed(|| Ok(wire.command("STORE 1:* +FLAGS.SILENT (\\Seen)", Keep::Nothing)?))?;
        walls.push(wall);
        cpus.push(cpu);
        wire.command("STORE 1:* -FLAGS.SILENT (\\Seen)", Keep::Nothing)?;
    }
    figure.first = walls.first().copied();
    figure.first_cpu = cpus.first().copied();
    let figure = figure.value(median(&mut walls)).cpu(median(&mut cpus));
    Ok(if large { figure } else { figure.goal(Goal::AtMost(3.0)) })
}

/// Notes the mailbox's state, changes nine hundred flags and expunges a hundred, and selects again.
fn catch_up(
    host: &Host,
    account: usize,
    messages: u64,
    figure: Figure,
) -> Result<Figure, BenchError> {
    let mut wire = host.connect(account)?;
    wire.command("ENABLE QRESYNC", Keep::Nothing)?;
    let opened = wire.command("SELECT INBOX", Keep::Lines)?;
    let number = |name: &str| {
        let rest = opened.text.split_once(name).map_or("", |(_, rest)| rest);
        rest.split(']').next().unwrap_or_default().trim().to_owned()
    };
    let (validity, modseq) = (number("[UIDVALIDITY"), number("[HIGHESTMODSEQ"));
    let step = (messages / CHANGED).max(1);
    let set = |part: std::ops::Range<u64>| {
        let numbers: Vec<String> = part.map(|place| (place * step + 1).to_string()).collect();
        numbers.join(",")
    };
    let (gone, flagged) = (CHANGED / 10, CHANGED.min(messages / step));
    wire.command(
        &format!("STORE {} +FLAGS.SILENT (\\Flagged)", set(gone..flagged)),
        Keep::Nothing,
    )?;
    wire.command(&format!("STORE {} +FLAGS.SILENT (\\Deleted)", set(0..gone)), Keep::Nothing)?;
    wire.command("EXPUNGE", Keep::Nothing)?;
    wire.command("UNSELECT", Keep::Nothing)?;
    let select = format!("SELECT INBOX (QRESYNC ({validity} {modseq}))");
    let (figure, answer) = host.command(&mut wire, figure, &select, 5)?;
    let fetched = answer.text.matches(" FETCH (").count() as u64;
    let vanished = answer.text.contains("* VANISHED (EARLIER)");
    Ok(if fetched == flagged - gone && vanished {
        figure
    } else {
        figure.note(format!("WRONG: {fetched} FETCH, VANISHED {vanished}"))
    })
}
