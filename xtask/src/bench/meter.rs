//! What processes cost, from /proc: a process and all below it, those that ended included.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, io};

/// proc(5): times are in clock ticks; every Linux of today has 100 a second for /proc.
const MILLIS_PER_TICK: u64 = 10;
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// Sums over process trees at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time, ended children included.
    pub cpu_ms: u64,
    /// Bytes that were caused to go to the disk.
    pub written_bytes: u64,
    /// Memory, each shared page divided by its users.
    pub memory_kib: u64,
}

impl Usage {
    /// Now, of these processes and all their descendants.
    pub fn of(roots: &[u32]) -> Self {
        let mut usage = Self::default();
        for pid in tree(roots) {
            let fields = stat_fields(pid);
            // proc(5): utime, stime, cutime, cstime are fields 14 to 17; 11 to 14 after the name.
            let ticks: u64 = fields.iter().skip(11).take(4).sum();
            usage.cpu_ms += ticks * MILLIS_PER_TICK;
            usage.written_bytes += field(&format!("/proc/{pid}/io"), "write_bytes:");
            usage.memory_kib += field(&format!("/proc/{pid}/smaps_rollup"), "Pss:");
        }
        usage
    }

    /// What was used since `before`.
    pub const fn since(self, before: Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms.saturating_sub(before.cpu_ms),
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
            memory_kib: self.memory_kib,
        }
    }
}

/// Processor time that these processes and all below them have had, in microseconds: finer than
/// [`Usage::cpu_ms`] where nothing ends between two looks, and never less than its whole ticks.
pub fn cpu_micros(roots: &[u32]) -> u64 {
    tree(roots).into_iter().map(|pid| precise_micros(pid).max(ticks_micros(pid))).sum()
}

/// proc(5), schedstat: the first number is the time on a processor in nanoseconds, of one thread.
fn precise_micros(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = threads.map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let first = text.split_ascii_whitespace().next();
        first.and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
    });
    nanos.sum::<u64>() / 1_000
}

/// The whole process, threads that ended included. Two ticks may be too much.
fn ticks_micros(pid: u32) -> u64 {
    let ticks: u64 = stat_fields(pid).iter().skip(11).take(2).sum();
    ticks.saturating_sub(2) * MILLIS_PER_TICK * 1_000
}

/// The block device that a directory lies on.
#[derive(Clone, Debug)]
pub struct Device {
    directory: PathBuf,
    stat: PathBuf,
}

impl Device {
    /// None where the system does not tell.
    pub fn of(directory: &Path) -> Option<Self> {
        let device = fs::metadata(directory).ok()?.dev();
        // makedev(3): twelve bits of the major number and eight of the minor are where they always
        // were, the higher ones of both above.
        let major = device >> 8 & 0xfff | device >> 32 & !0xfff;
        let minor = device & 0xff | device >> 12 & !0xff;
        let stat = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat"));
        stat.exists().then(|| Self { directory: directory.to_owned(), stat })
    }

    /// What was ever written to it, by anybody, once everything that waits is.
    pub fn written_bytes(&self) -> io::Result<u64> {
        Command::new("sync").arg("-f").arg(&self.directory).status()?;
        let text = fs::read_to_string(&self.stat)?;
        // Linux's block/stat: the seventh field is sectors written, of 512 bytes whatever the device.
        let sectors = text.split_ascii_whitespace().nth(6).and_then(|field| field.parse().ok());
        Ok(sectors.unwrap_or(0_u64) * 512)
    }
}

/// Watches the memory of process trees from a thread of its own.
pub struct MemoryWatch {
    stop: Arc<AtomicBool>,
    most_kib: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl MemoryWatch {
    /// Begins.
    pub fn start(roots: &[u32]) -> Self {
        let roots = roots.to_vec();
        let stop = Arc::new(AtomicBool::new(false));
        let most_kib = Arc::new(AtomicU64::new(0));
        let (stopped, most) = (Arc::clone(&stop), Arc::clone(&most_kib));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                most.fetch_max(Usage::of(&roots).memory_kib, Ordering::Relaxed);
                std::thread::sleep(SAMPLE_EVERY);
            }
        });
        Self { stop, most_kib, thread }
    }

    /// Ends; the most that was seen, in KiB.
    pub fn most_kib(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        // A watch that panicked has seen what it had seen.
        self.thread.join().ok();
        self.most_kib.load(Ordering::Relaxed)
    }
}

fn tree(roots: &[u32]) -> Vec<u32> {
    let mut parents: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            // State, a letter, counts as 0; the parent is next.
            parents.push((pid, stat_fields(pid).get(1).map_or(0, |ppid| *ppid as u32)));
        }
    }
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        let children = parents.iter().filter(|(pid, ppid)| *ppid == parent && *pid != parent);
        found.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

fn stat_fields(pid: u32) -> Vec<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect()
}

fn field(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
