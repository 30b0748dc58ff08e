//! What the system knows of this process, with the names that Prometheus' own libraries give it.

use super::family::{Family, Numbers, one};

/// Clock ticks of `/proc/self/stat` in a second: a constant of Linux' interface.
const TICKS: f64 = 100.0;

/// What can be read; what cannot is left out.
pub fn families() -> Vec<Family> {
    let mut all = Vec::new();
    let mut gauge = |name, help, value| {
        all.push(Family { name, help, numbers: Numbers::Gauge(one(value)) });
    };
    let of_status = |name: &str| -> Option<f64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    if let Some(kib) = of_status("VmRSS:") {
        let help = "Memory that is resident, in bytes.";
        gauge("process_resident_memory_bytes", help, kib * 1024.0);
    }
    if let Some(threads) = of_status("Threads:") {
        gauge("process_threads", "Threads.", threads);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // The one that reads the directory is not counted.
        let open = open.count().saturating_sub(1);
        gauge("process_open_fds", "Open files and connections.", open as f64);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if let Some(most) = limit.current {
        let help = "Files and connections that may be open.";
        gauge("process_max_fds", help, most as f64);
    }
    if let Some(seconds) = cpu_seconds() {
        all.push(Family {
            name: "process_cpu_seconds_total",
            help: "Time on the processors, of user and system.",
            numbers: Numbers::Counter(one(seconds)),
        });
    }
    all
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // proc(5): the name in brackets may hold anything; utime and stime are 11 and 12 behind it.
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}
