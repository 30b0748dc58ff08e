//! `drill powercut`: pulls the plug of a machine that is a process (user-mode Linux).
//!
//! The machine's disk is an image file, its page cache is the process's memory. SIGKILL to all its
//! processes loses what the guest had not written to its disk, and nothing else: the host's own
//! cache survives, so what the guest's kernel had flushed is there. Receipts leave the machine on
//! its console at the moment they are read, so that they survive the cut.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;

use crate::guest;
use crate::judge::Verdict;
use crate::random::Random;
use crate::server::{self, doing, signal};
use crate::{DrillError, console};

/// Of the sparse image file; the guest's journal keeps a few segments of 64 MiB preallocated.
const DISK_BYTES: u64 = 2 << 30;
/// From the first receipt to the cut.
const CUT_AFTER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(3_000));
/// Boot, init and first receipt; and the same with repair and count after the cut.
const BOOT_WAIT: Duration = Duration::from_secs(120);
/// Processes of a killed machine end at once; a disk request under way may take longer.
const END_WAIT: Duration = Duration::from_secs(30);
const END_PAUSE: Duration = Duration::from_millis(5);
/// Lines of the console kept for the report of a failure.
const CONSOLE_LINES_KEPT: usize = 60;

/// The guest's file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileSystem {
    /// ext4, data=ordered
    Ext4,
    /// XFS
    Xfs,
}

impl FileSystem {
    const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }
}

/// A known-bad run that must lose mail, or the drill proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// The server runs under libeatmydata, which turns every sync into nothing
    Eatmydata,
}

/// Options of `drill powercut`.
#[derive(Clone, Debug, clap::Args)]
pub struct PowercutArgs {
    /// How many times the plug is pulled on each file system
    #[arg(long, default_value_t = 3)]
    pub count: u32,
    /// File systems of the machine's disk
    #[arg(long, value_delimiter = ',', default_value = "ext4,xfs")]
    pub fs: Vec<FileSystem>,
    /// Repeats the moments of an earlier drill
    #[arg(long)]
    pub seed: Option<u64>,
    /// SMTP connections at the same time
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
    /// Memory of the machine, in MiB
    #[arg(long, default_value_t = 512)]
    pub memory_mib: u32,
    /// Runs a known-bad server instead; succeeds only if mail is lost
    #[arg(long)]
    pub control: Option<Control>,
    /// The server's binary, which must also know `drill` [default: this one]
    #[arg(long)]
    pub binary: Option<PathBuf>,
    /// Where the disk images are made [default: the system's directory for temporary files]
    #[arg(long)]
    pub directory: Option<PathBuf>,
    /// Prints the finding as JSON
    #[arg(long)]
    pub json: bool,
}

/// One cut.
#[derive(Clone, Debug, Serialize)]
pub struct Cut {
    /// Of the guest's disk.
    pub fs: FileSystem,
    /// Receipts seen on the console before the cut.
    pub receipts: u64,
    /// From the first receipt to the cut, in milliseconds.
    pub after_ms: u64,
    /// What was found afterwards; none when the server did not start.
    pub verdict: Option<Verdict>,
    /// Whether `restante verify` found nothing.
    pub verified: bool,
    /// The console's last words, when something is wrong.
    pub console: Vec<String>,
}

/// What a power-cut drill found.
#[derive(Clone, Debug, Serialize)]
pub struct PowercutReport {
    /// Repeats the drill.
    pub seed: u64,
    /// The known-bad run, if it was one.
    pub control: Option<Control>,
    /// Every cut.
    pub cuts: Vec<Cut>,
    /// Where the images are, when they were kept.
    pub kept: Option<PathBuf>,
}

impl PowercutReport {
    /// Receipts seen, over all cuts.
    #[must_use]
    pub fn receipts(&self) -> u64 {
        self.cuts.iter().map(|cut| cut.receipts).sum()
    }

    /// Acknowledged mails that are gone: all of a machine whose server did not start again.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.cuts.iter().map(|cut| cut.verdict.as_ref().map_or(cut.receipts, |v| v.lost)).sum()
    }

    /// Whether the drill found what it must: nothing wrong, or losses in a control.
    #[must_use]
    pub fn is_as_wanted(&self) -> bool {
        match self.control {
            Some(_) => self.lost() > 0,
            None => self.receipts() > 0 && self.cuts.iter().all(Cut::is_clean),
        }
    }
}

impl Cut {
    fn is_clean(&self) -> bool {
        self.verified && self.verdict.as_ref().is_some_and(Verdict::is_clean)
    }
}

/// Runs the drill.
///
/// # Errors
/// When a tool is missing or the machine does not boot; losses are in the report.
pub fn run(args: &PowercutArgs) -> Result<PowercutReport, DrillError> {
    let seed = args.seed.unwrap_or_else(Random::fresh_seed);
    let binary = crate::binary_or_this(args.binary.as_deref())?;
    let preload = match args.control {
        None => None,
        Some(Control::Eatmydata) => Some(eatmydata()?),
    };
    let directory = server::fresh_directory(args.directory.as_deref(), "restante-powercut")?;
    console::note(&format!("drill powercut: seed {seed}, images in {}", directory.display()));
    let mut random = Random::new(seed);
    let mut report = PowercutReport { seed, control: args.control, cuts: Vec::new(), kept: None };
    for number in 1..=args.count {
        for &fs in &args.fs {
            let machine = Machine {
                image: directory.join(format!("{}-{number}.img", fs.name())),
                directory: &directory,
                binary: &binary,
                fs,
                memory_mib: args.memory_mib,
                connections: args.connections,
                preload: preload.as_deref(),
            };
            let after = random.between(CUT_AFTER.0, CUT_AFTER.1);
            let cut = machine.cut(after)?;
            console::note(&describe(&cut));
            if cut.is_clean() || args.control.is_some() {
                fs::remove_file(&machine.image).map_err(doing("removing a disk image"))?;
            }
            report.cuts.push(cut);
        }
    }
    if report.is_as_wanted() {
        fs::remove_dir_all(&directory).map_err(doing("removing the disk images"))?;
    } else {
        report.kept = Some(directory);
    }
    Ok(report)
}

fn describe(cut: &Cut) -> String {
    let found = cut.verdict.as_ref().map_or_else(
        || "the server did not start again".to_owned(),
        |v| format!("{} lost, {} doubled, {} unexplained", v.lost, v.doubled, v.unexplained),
    );
    format!(
        "{}: plug pulled {} ms after the first of {} receipts: {found}, verify {}",
        cut.fs.name(),
        cut.after_ms,
        cut.receipts,
        if cut.verified { "clean" } else { "NOT clean" },
    )
}

struct Machine<'a> {
    image: PathBuf,
    directory: &'a Path,
    binary: &'a Path,
    fs: FileSystem,
    memory_mib: u32,
    connections: usize,
    preload: Option<&'a Path>,
}

impl Machine<'_> {
    fn cut(&self, after: Duration) -> Result<Cut, DrillError> {
        self.make_disk()?;
        let load = format!(
            "drill guest-load --connections {}{}",
            self.connections,
            self.preload.map_or_else(String::new, |path| format!(" --preload {}", path.display())),
        );
        let mut running = self.boot("load", &load)?;
        let first = running.wait_for(guest::RECEIPT)?;
        let seen = Instant::now();
        let mut receipts = vec![first];
        running.read_until(seen + after, |line| receipts.push(line.to_owned()));
        let after_ms = u64::try_from(seen.elapsed().as_millis()).unwrap_or(u64::MAX);
        running.pull_plug()?;
        running.read_until(Instant::now() + END_WAIT, |line| receipts.push(line.to_owned()));
        receipts.retain(|line| guest::parse_receipt(line).is_some());
        let receipts_path = self.image.with_extension("receipts");
        let mut text = receipts.join("\n");
        text.push('\n');
        fs::write(&receipts_path, text).map_err(doing("writing the receipts"))?;
        let mut cut = Cut {
            fs: self.fs,
            receipts: receipts.len() as u64,
            after_ms,
            verdict: None,
            verified: false,
            console: Vec::new(),
        };
        let check = format!("drill guest-check --receipts {}", receipts_path.display());
        let mut running = self.boot("check", &check)?;
        running.read_until(Instant::now() + BOOT_WAIT, |line| {
            if let Some(json) = line.strip_prefix(guest::VERDICT) {
                cut.verdict = serde_json::from_str(json).ok();
            }
            cut.verified |= line.starts_with(guest::VERIFIED);
        });
        running.pull_plug()?;
        if !cut.is_clean() {
            cut.console = std::mem::take(&mut running.last);
        }
        Ok(cut)
    }

    fn make_disk(&self) -> Result<(), DrillError> {
        let file = File::create(&self.image).map_err(doing("making a disk image"))?;
        file.set_len(DISK_BYTES).map_err(doing("making a disk image"))?;
        let force = if self.fs == FileSystem::Ext4 { "-F" } else { "-f" };
        let mkfs = format!("mkfs.{}", self.fs.name());
        let status = Command::new(&mkfs)
            .args(["-q", force])
            .arg(&self.image)
            .stdin(Stdio::null())
            .status()
            .map_err(|source| DrillError::MissingTool {
                tool: mkfs.clone(),
                package: "e2fsprogs and xfsprogs",
                source,
            })?;
        if status.success() { Ok(()) } else { Err(DrillError::Guest(format!("{mkfs}: {status}"))) }
    }

    /// Boots the machine with the host's files as its root, read-only, and our disk at /mnt/disk.
    fn boot(&self, name: &str, command: &str) -> Result<Booted, DrillError> {
        let script = self.image.with_extension(name);
        let text = format!(
            "#!/bin/sh\nexport PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
             export TMPDIR=/mnt/tmp HOME=/mnt/tmp\n\
             mount -t proc proc /proc\nmount -t tmpfs tmpfs /mnt\nmkdir /mnt/disk /mnt/tmp\n\
             mount -t {} /dev/ubda /mnt/disk || echo DISK-DID-NOT-MOUNT\n\
             ip link set lo up\n\"{}\" {command} --directory /mnt/disk\n\
             echo {}\nexec sleep 1000000\n",
            self.fs.name(),
            self.binary.display(),
            guest::END,
        );
        fs::write(&script, text).map_err(doing("writing the machine's init"))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
            .map_err(doing("writing the machine's init"))?;
        let child = Command::new("linux.uml")
            .arg(format!("mem={}M", self.memory_mib))
            .arg(format!("ubd0={}", self.image.display()))
            .args(["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"])
            .args(["loglevel=1", "con=null", "con0=null,fd:1", "console=tty0", "ssl=null"])
            .arg(format!("uml_dir={}", self.directory.display()))
            .arg(format!("init={}", script.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|source| DrillError::MissingTool {
                tool: "linux.uml".to_owned(),
                package: "user-mode-linux",
                source,
            })?;
        Ok(Booted::new(child))
    }
}

/// A machine that runs. Dropped, its plug is pulled.
struct Booted {
    child: Option<Child>,
    lines: Receiver<String>,
    last: Vec<String>,
}

impl Booted {
    fn new(mut child: Child) -> Self {
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stdout);
                let mut line = Vec::new();
                // A last line without its end was cut off, and is dropped.
                while reader.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
                    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                    if sender.send(text).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
        Self { child: Some(child), lines, last: Vec::new() }
    }

    fn wait_for(&mut self, prefix: &str) -> Result<String, DrillError> {
        let deadline = Instant::now() + BOOT_WAIT;
        loop {
            match self.next(deadline) {
                Some(line) if line.starts_with(prefix) => return Ok(line),
                Some(line) if line.starts_with(guest::END) => break,
                Some(_) => (),
                None => break,
            }
        }
        Err(DrillError::Guest(format!("no {prefix:?}; console:\n{}", self.last.join("\n"))))
    }

    /// Shows every line until the machine's end mark, its end, or the deadline.
    fn read_until(&mut self, deadline: Instant, mut each: impl FnMut(&str)) {
        while let Some(line) = self.next(deadline) {
            each(&line);
            if line.starts_with(guest::END) {
                return;
            }
        }
    }

    fn next(&mut self, deadline: Instant) -> Option<String> {
        let wait = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(wait) {
            Ok(line) => {
                if !line.starts_with(guest::RECEIPT) {
                    self.last.push(line.clone());
                    if self.last.len() > CONSOLE_LINES_KEPT {
                        self.last.remove(0);
                    }
                }
                Some(line)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// SIGKILL to every process of the machine; returns when none is left to write to the disk.
    fn pull_plug(&mut self) -> Result<(), DrillError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let group = child.id();
        signal(format!("-{group}"), "KILL").map_err(doing("pulling the plug"))?;
        child.wait().map_err(doing("waiting for the machine's end"))?;
        let deadline = Instant::now() + END_WAIT;
        while group_lives(group) {
            if Instant::now() > deadline {
                return Err(DrillError::Guest("the machine does not end".to_owned()));
            }
            std::thread::sleep(END_PAUSE);
        }
        Ok(())
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        if let Err(error) = self.pull_plug() {
            console::note(&error.to_string());
        }
    }
}

/// Whether /proc still has a process of this group that is more than a zombie.
fn group_lives(group: u32) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        // proc(5): pid (comm) state ppid pgrp ...; comm may hold spaces and parentheses.
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut fields = fields.split_whitespace();
        let state = fields.next();
        let pgrp = fields.nth(1).and_then(|pgrp| pgrp.parse::<u32>().ok());
        pgrp == Some(group) && state != Some("Z")
    })
}

fn eatmydata() -> Result<PathBuf, DrillError> {
    let known = ["x86_64", "aarch64"]
        .map(|machine| PathBuf::from(format!("/usr/lib/{machine}-linux-gnu/libeatmydata.so")));
    known.into_iter().find(|path| path.exists()).ok_or_else(|| DrillError::MissingTool {
        tool: "libeatmydata.so".to_owned(),
        package: "libeatmydata1",
        source: std::io::ErrorKind::NotFound.into(),
    })
}

/// Prints one line and flushes it: a receipt must leave the machine before the next one is asked.
pub(crate) fn print_now(line: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").ok();
    stdout.flush().ok();
}
