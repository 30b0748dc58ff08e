//! Searching an archive: how long until all of it is searchable, how large that is, and how soon the
//! first answer comes.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use drill::imap_wire::ImapWire;
use drill::letters::Letters;
use drill::server::{Installation, Running};
use serde::Serialize;
use serde_json::Value;

use super::meter::Usage;
use super::{Bench, BenchError};

/// Messages.
const MESSAGES: u64 = 100_000;
/// Appended at a time.
const AT_A_TIME: u64 = 2000;
/// In so many of them stands the rare word.
const RARE: u64 = 7;
/// Of each query so many runs.
const RUNS: usize = 21;
/// Everything is searchable within this.
const WAIT: Duration = Duration::from_secs(1800);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A query's times, in milliseconds.
#[derive(Debug, Serialize)]
pub struct Times {
    query: String,
    found: u64,
    /// In the server: until the first message is handed out, and until the last.
    first_median_ms: f64,
    first_worst_ms: f64,
    all_median_ms: f64,
    /// The whole command, with its start.
    command_median_ms: f64,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Results {
    messages: u64,
    /// Seconds behind the last message until all were searchable.
    behind_secs: f64,
    /// The same for all of them, when what is searched in was removed.
    anew_secs: f64,
    anew_cpu_ms: f64,
    text_mib: f64,
    search_mib: f64,
    queries: Vec<Times>,
}

pub fn measure(bench: &Bench<'_>) -> Result<Results, BenchError> {
    let directory = bench.directory.join("search");
    std::fs::create_dir_all(&directory).map_err(BenchError::io("making a directory"))?;
    let installation = Installation::init(&bench.binary, &directory, 1)?;
    let running = installation.start()?;
    let messages = bench.scaled(MESSAGES);
    let account = installation.accounts[0].clone();
    let letters = Letters::new(5, messages).with_rare_word("xylophonist", RARE);
    let mut wire =
        ImapWire::sign_in(installation.address(143), &account, &installation.password, WAIT)?;
    for first in (0..messages).step_by(AT_A_TIME as usize) {
        let last = (first + AT_A_TIME).min(messages);
        let some: Vec<_> =
            (first..last).map(|n| (letters.date_time(n), letters.letter(n))).collect();
        wire.append_pipelined("INBOX", &some, 64)?;
    }
    let began = Instant::now();
    await_searchable(&installation, messages)?;
    let behind_secs = began.elapsed().as_secs_f64();
    running.stop()?;
    let file = installation.data.join("search.sqlite");
    for suffix in ["", "-wal", "-shm"] {
        let path = file.with_file_name(format!("search.sqlite{suffix}"));
        if path.exists() {
            std::fs::remove_file(path).map_err(BenchError::io("removing what is searched in"))?;
        }
    }
    let (running, anew_secs, anew_cpu_ms) = anew(&installation, messages)?;
    let subject = subject_word(&letters, messages);
    let queries = [
        "xylophonist".to_owned(),
        "lophoni".to_owned(),
        "会务".to_owned(),
        subject.clone(),
        format!("subject:{subject} has:attachment"),
        format!("account:{account} in:INBOX larger:2K -xylophonist"),
        "\"nothing has these words\"".to_owned(),
    ];
    let queries: Result<Vec<Times>, BenchError> =
        queries.into_iter().map(|query| times(&installation, query)).collect();
    running.stop()?;
    Ok(Results {
        messages,
        behind_secs,
        anew_secs,
        anew_cpu_ms,
        text_mib: mib(&installation.data.join("extract"), "text-"),
        search_mib: mib(&installation.data, "search.sqlite"),
        queries: queries?,
    })
}

/// Starts the server without what is searched in.
fn anew(installation: &Installation, messages: u64) -> Result<(Running, f64, f64), BenchError> {
    let running = installation.start()?;
    let before = Usage::of(&[running.pid()]);
    let began = Instant::now();
    await_searchable(installation, messages)?;
    let took = began.elapsed().as_secs_f64();
    let after = Usage::of(&[running.pid()]);
    Ok((running, took, after.since(before).cpu_ms as f64 / messages as f64))
}

fn await_searchable(installation: &Installation, messages: u64) -> Result<(), BenchError> {
    let deadline = Instant::now() + WAIT;
    while Instant::now() < deadline {
        let end = end_of(&installation.checked(&["search", "--json"])?);
        if end["searchable"].as_u64() >= Some(messages) {
            return Ok(());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Err(BenchError::NotDelivered)
}

/// A word that stands in many subjects: of the first that is not encoded.
fn subject_word(letters: &Letters, messages: u64) -> String {
    let word = |number| {
        let letter = String::from_utf8_lossy(&letters.letter(number)).into_owned();
        let subject = letter.lines().find_map(|line| line.strip_prefix("Subject: "))?;
        let words = subject.split_whitespace();
        words.last().filter(|word| word.bytes().all(|b| b.is_ascii_lowercase())).map(str::to_owned)
    };
    (0..messages).find_map(word).unwrap_or_default()
}

/// The last line of a search.
fn end_of(text: &str) -> Value {
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str::<Value>(last).map_or(Value::Null, |mut line| line["end"].take())
}

fn times(installation: &Installation, query: String) -> Result<Times, BenchError> {
    let (mut first, mut all, mut command, mut found) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..RUNS {
        let began = Instant::now();
        // One that finds nothing ends with a code of its own.
        let output = installation.command(&["search", &query, "--json"])?;
        command.push(began.elapsed().as_secs_f64() * 1000.0);
        let end = end_of(&String::from_utf8_lossy(&output.stdout));
        found = end["found"].as_u64().unwrap_or_default();
        let whole = end["ms"].as_f64().unwrap_or(f64::NAN);
        first.push(end["first_ms"].as_f64().unwrap_or(whole));
        all.push(whole);
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Ok(Times {
        found,
        first_median_ms: median(&mut first),
        first_worst_ms: first.last().copied().unwrap_or_default(),
        all_median_ms: median(&mut all),
        command_median_ms: median(&mut command),
        query,
    })
}

/// Size of the files in a directory, and in those of one level below, whose names begin so.
fn mib(directory: &Path, begin: &str) -> f64 {
    let files = |directory: &Path| {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut all = files(directory);
    let below: Vec<_> =
        all.iter().filter(|path| path.is_dir()).flat_map(|dir| files(dir)).collect();
    all.extend(below);
    let named = all.iter().filter(|path| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(begin))
    });
    let bytes: u64 = named.filter_map(|path| Some(std::fs::metadata(path).ok()?.len())).sum();
    bytes as f64 / f64::from(1 << 20)
}

pub fn table(results: &Results) -> String {
    let mut text = format!(
        "searching {} messages\n  searchable {:.1} s behind the last one; made anew in {:.0} s, \
         {:.2} ms of CPU each\n  {:.0} MiB for {:.0} MiB of decoded text\n",
        results.messages,
        results.behind_secs,
        results.anew_secs,
        results.anew_cpu_ms,
        results.search_mib,
        results.text_mib,
    );
    for times in &results.queries {
        // Writing to a String does not fail.
        writeln!(
            text,
            "  {:>8.1} ms first (worst {:.1}), {:>8.1} ms all, {:>8.1} ms the command, {:>5} found: {}",
            times.first_median_ms,
            times.first_worst_ms,
            times.all_median_ms,
            times.command_median_ms,
            times.found,
            times.query,
        )
        .ok();
    }
    text
}
