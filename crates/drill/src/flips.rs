//! `drill flips`: random single bits of a journal, its body files and its index are turned over, one
//! at a time, and each is to be found by `restante verify`; a directory that nobody has touched is
//! to be found clean.
//!
//! The judge is not the product: where `verify` finds nothing in the index, the `sqlite3` program is
//! asked whether the index says anything else than before. A database has bytes that say nothing
//! (pages that were given up, room that is left in others); a flip there changes nothing, and is
//! counted apart.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::imap_wire::{ImapWire, Keep};
use crate::load::{self, Load, SignIn};
use crate::random::Random;
use crate::server::{self, Installation, doing};
use crate::{DrillError, console};

/// Messages to mailboxes here, and of those to hosts that cannot be reached one in so many.
const MESSAGES: u64 = 40;
const QUEUED_ONE_IN: u64 = 4;
/// Larger bodies are files of their own.
const INLINE_MAX: &str = "16KiB";
/// Octets of a message whose body is a file of its own.
const LARGE_BYTES: usize = 24 << 10;
const WAIT: Duration = Duration::from_secs(60);
/// A copy that nobody has touched is verified after so many flips.
const CLEAN_EVERY: u64 = 500;
/// Faults told one by one.
const FAULTS_TOLD_MAX: usize = 20;
/// The exit code of a program that panicked.
const PANICKED: i32 = 101;

/// Options of `drill flips`.
#[derive(Clone, Debug, clap::Args)]
pub struct FlipsArgs {
    /// Bits, half of them in the journal with its body files, half in the index
    #[arg(long, default_value_t = 10_000)]
    pub flips: u64,
    /// How many copies of the data are flipped at the same time
    #[arg(long, default_value_t = 2)]
    pub workers: u64,
    /// Repeats a run [default: drawn, and printed]
    #[arg(long)]
    pub seed: Option<u64>,
    /// The server's binary [default: this one]
    #[arg(long)]
    pub binary: Option<PathBuf>,
    /// Prints the finding as JSON
    #[arg(long)]
    pub json: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FlipsReport {
    /// Repeats the run.
    pub seed: u64,
    /// Octets that bits were drawn from: journal and body files, index.
    pub octets: [u64; 2],
    /// Flips in each of them, and those of them that `verify` found.
    pub flips: [u64; 2],
    /// See above.
    pub found: [u64; 2],
    /// Flips in octets of the index that say nothing.
    pub silent: u64,
    /// Times that untouched data was verified.
    pub clean: u64,
    /// What is wrong, the first of it, and how much in all.
    pub faults: Vec<String>,
    /// See above.
    pub fault_count: u64,
    /// Seconds for the flips.
    pub secs: f64,
}

impl FlipsReport {
    fn fault(&mut self, what: String) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_TOLD_MAX {
            self.faults.push(what);
        }
    }

    fn add(&mut self, other: Self) {
        for part in 0..2 {
            self.flips[part] += other.flips[part];
            self.found[part] += other.found[part];
        }
        self.silent += other.silent;
        self.clean += other.clean;
        self.fault_count += other.fault_count;
        self.faults.extend(other.faults);
        self.faults.truncate(FAULTS_TOLD_MAX);
    }
}

/// Runs the drill.
///
/// # Errors
/// When the server cannot be made, started or asked, or `sqlite3` is not there.
pub fn run(args: &FlipsArgs) -> Result<FlipsReport, DrillError> {
    let binary = crate::binary_or_this(args.binary.as_deref())?;
    let directory = server::fresh_directory(None, "restante-flips")?;
    let installation = Installation::init(&binary, &directory, 2)?;
    keep_large_bodies_apart(&installation)?;
    fill(&installation)?;
    let seed = args.seed.unwrap_or_else(Random::fresh_seed);
    let mut report = FlipsReport { seed, ..FlipsReport::default() };
    let began = Instant::now();
    let (done, workers) = (Arc::new(AtomicU64::new(0)), args.workers.max(1));
    let mut threads = Vec::new();
    for worker in 0..workers {
        let copy = directory.join(format!("copy-{worker}"));
        copy_all(&installation.data, &copy).map_err(doing("copying the data"))?;
        let worker = Worker {
            files: Files::of(&copy)?,
            installation: Installation { data: copy, ..installation.clone() },
            random: Random::new(seed.wrapping_add(worker)),
            flips: args.flips / workers + u64::from(worker < args.flips % workers),
            done: Arc::clone(&done),
            all: args.flips,
        };
        report.octets = worker.files.octets();
        threads.push(std::thread::spawn(move || worker.run()));
    }
    for thread in threads {
        report.add(thread.join().map_err(|_| DrillError::Panicked)??);
    }
    report.secs = began.elapsed().as_secs_f64();
    if report.fault_count == 0 {
        fs::remove_dir_all(&directory).map_err(doing("removing the data"))?;
    } else {
        console::note(&format!("kept: {}", directory.display()));
    }
    Ok(report)
}

fn keep_large_bodies_apart(installation: &Installation) -> Result<(), DrillError> {
    let path = installation.data.join("restante.toml");
    let text = fs::read_to_string(&path).map_err(doing("reading the settings"))?;
    let wish = format!("[journal]\ninline_body_bytes_max = \"{INLINE_MAX}\"\n");
    let text = match text.contains("[journal]\n") {
        true => text.replacen("[journal]\n", &wish, 1),
        false => format!("{text}\n{wish}"),
    };
    Ok(fs::write(&path, text).map_err(doing("writing the settings"))?)
}

/// Has `sqlite3` do something with an index; its words.
fn sqlite3(index: &Path, words: &[&str]) -> Result<Vec<u8>, DrillError> {
    let output = Command::new("sqlite3").arg("-bail").arg(index).args(words).output();
    let output = output.map_err(|source| DrillError::MissingTool {
        tool: "sqlite3".to_owned(),
        package: "sqlite3",
        source,
    })?;
    Ok([output.stdout, output.stderr].concat())
}

/// Something of everything: mail in mailboxes, read, moved and expunged; mail that waits; a body
/// that is a file of its own.
fn fill(installation: &Installation) -> Result<(), DrillError> {
    installation.checked(&["route", "add", "far.test", "127.0.0.1:1"])?;
    let running = installation.start()?;
    let accounts = &installation.accounts;
    let mut recipients: Vec<String> = accounts.clone();
    recipients.push("somebody@far.test".to_owned());
    for (run, messages, bytes, to) in [
        (0, MESSAGES, 2048, accounts.clone()),
        (1, MESSAGES / QUEUED_ONE_IN, 900, recipients),
        (2, 1, LARGE_BYTES, accounts.clone()),
    ] {
        let mut load = Load::new(installation.address(587), to);
        (load.run, load.messages, load.message_bytes, load.connections) = (run, messages, bytes, 2);
        load.from.clone_from(&accounts[0]);
        load.sign_in =
            Some(SignIn { user: accounts[0].clone(), password: installation.password.clone() });
        load::run(&load, &Arc::new(AtomicBool::new(false)), None).map_err(doing("the load"))?;
    }
    let user = &accounts[0];
    let mut wire =
        ImapWire::sign_in(installation.address(143), user, &installation.password, WAIT)?;
    for command in [
        "CREATE Kept",
        "SELECT INBOX",
        "STORE 1:6 +FLAGS (\\Seen $Label)",
        "COPY 2:5 Kept",
        "MOVE 6 Kept",
        "STORE 1:2 +FLAGS (\\Deleted)",
        "EXPUNGE",
        "RENAME Kept Longer",
    ] {
        wire.command(command, Keep::Nothing)?;
    }
    running.stop()?;
    // All of the index is in its one file, and none in the log beside it, whose frames may be cut.
    sqlite3(&installation.data.join("index.sqlite"), &["PRAGMA wal_checkpoint(TRUNCATE)"])?;
    Ok(())
}

/// What bits are drawn from.
#[derive(Clone, Debug)]
struct Files {
    /// Each with its octets that hold something.
    journal: Vec<(PathBuf, u64)>,
    index: Vec<(PathBuf, u64)>,
}

impl Files {
    fn of(data: &Path) -> Result<Self, DrillError> {
        let mut journal = Vec::new();
        for directory in ["journal", "bodies"] {
            for path in files(&data.join(directory)).map_err(doing("listing the data"))? {
                // Segments are made larger than what is in them.
                let whole = fs::read(&path).map_err(doing("reading the data"))?;
                let used = whole.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
                journal.push((path, used as u64));
            }
        }
        let path = data.join("index.sqlite");
        let octets = fs::metadata(&path).map_err(doing("looking at the index"))?.len();
        Ok(Self { journal, index: vec![(path, octets)] })
    }

    fn octets(&self) -> [u64; 2] {
        [&self.journal, &self.index].map(|files| files.iter().map(|(_, octets)| octets).sum())
    }

    /// The file and octet of a number below the sum of all.
    fn place(files: &[(PathBuf, u64)], mut octet: u64) -> (&Path, u64) {
        for (path, octets) in files {
            if octet < *octets {
                return (path, octet);
            }
            octet -= octets;
        }
        (Path::new(""), 0)
    }
}

fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Flips bits of one copy.
struct Worker {
    installation: Installation,
    files: Files,
    random: Random,
    flips: u64,
    done: Arc<AtomicU64>,
    all: u64,
}

/// What `verify` says.
enum Verified {
    Clean,
    Found,
    /// It did not come to an end: its words.
    Broken(String),
}

impl Worker {
    fn run(mut self) -> Result<FlipsReport, DrillError> {
        let mut report = FlipsReport::default();
        let before = self.said()?;
        for flip in 0..self.flips {
            if flip % CLEAN_EVERY == 0 {
                self.is_clean(&mut report)?;
            }
            let part = usize::from(self.random.below(2) == 1);
            let files = if part == 0 { &self.files.journal } else { &self.files.index };
            let octet = self.random.below(self.files.octets()[part]);
            let (path, octet) = Files::place(files, octet);
            let bit = self.random.below(8);
            turn(path, octet, bit).map_err(doing("flipping a bit"))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let place = format!("bit {bit} of octet {octet} of {name}");
            report.flips[part] += 1;
            match self.verify()? {
                Verified::Found => report.found[part] += 1,
                Verified::Broken(words) => report.fault(format!("{place}: verify broke: {words}")),
                Verified::Clean if part == 1 && self.said()? == before => report.silent += 1,
                Verified::Clean => report.fault(format!("{place}: not found")),
            }
            turn(path, octet, bit).map_err(doing("flipping a bit back"))?;
            let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(100) {
                console::progress(&format!("{done}/{} flips", self.all));
            }
        }
        self.is_clean(&mut report)?;
        Ok(report)
    }

    fn is_clean(&self, report: &mut FlipsReport) -> Result<(), DrillError> {
        report.clean += 1;
        match self.verify()? {
            Verified::Clean => {}
            Verified::Found => report.fault("untouched data is said to be damaged".to_owned()),
            Verified::Broken(words) => report.fault(format!("untouched data: {words}")),
        }
        Ok(())
    }

    fn verify(&self) -> Result<Verified, DrillError> {
        let output = self.installation.command(&["verify", "--json"])?;
        Ok(match output.status.code() {
            Some(0) => Verified::Clean,
            Some(PANICKED) | None => {
                Verified::Broken(String::from_utf8_lossy(&output.stderr).into_owned())
            }
            Some(_) => Verified::Found,
        })
    }

    /// All that the index says, in the words of another program.
    fn said(&self) -> Result<Vec<u8>, DrillError> {
        let (path, _) = &self.files.index[0];
        sqlite3(path, &["PRAGMA integrity_check", ".dump"])
    }
}

/// Turns one bit over; twice, and nothing is changed.
fn turn(path: &Path, octet: u64, bit: u64) -> std::io::Result<()> {
    let file = fs::File::options().read(true).write(true).open(path)?;
    let mut octets = [0];
    file.read_exact_at(&mut octets, octet)?;
    file.write_all_at(&[octets[0] ^ (1 << bit)], octet)
}

/// For people.
pub(crate) fn text(report: &FlipsReport) -> String {
    let mut text = format!(
        "{} bits of the journal and its body files ({} KiB) flipped, {} found\n\
         {} bits of the index ({} KiB) flipped, {} found, {} where it says nothing\n\
         untouched data verified {} times; {:.0} s; seed {}",
        report.flips[0],
        report.octets[0] >> 10,
        report.found[0],
        report.flips[1],
        report.octets[1] >> 10,
        report.found[1],
        report.silent,
        report.clean,
        report.secs,
        report.seed,
    );
    for fault in &report.faults {
        text.push_str(&format!("\nFAULT {fault}"));
    }
    if report.fault_count > report.faults.len() as u64 {
        text.push_str(&format!("\n{} FAULTS in all", report.fault_count));
    }
    text
}
