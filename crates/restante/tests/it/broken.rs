//! System calls of a running server that fail, or that it does not survive: by strace.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::harness::House;

/// From now until this is dropped.
pub struct Broken {
    strace: Child,
    /// Whether the server does not survive it.
    is_fatal: bool,
}

impl Broken {
    /// These calls fail with this error; only those on these files of the data directory, if there
    /// are any.
    pub fn calls(house: &House, calls: &str, error: &str, files: &[&str]) -> Self {
        Self::start(house, calls, &format!("error={error}"), files, false)
    }

    /// SIGKILL at the next call of this name in any thread.
    pub fn killed_at(house: &House, call: &str) -> Self {
        Self::start(house, call, "signal=KILL:when=1", &[], true)
    }

    fn start(house: &House, calls: &str, inject: &str, files: &[&str], is_fatal: bool) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o", "/dev/null", "-p", &house.pid().to_string()]);
        strace.args(["-e", &format!("trace={calls}")]);
        strace.args(["-e", &format!("inject={calls}:{inject}")]);
        for file in files {
            strace.arg("-P").arg(house.installation.data.join(file));
        }
        let mut child = strace.stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("attached") {
            line.clear();
            assert!(told.read_line(&mut line).unwrap() > 0, "strace did not attach");
        }
        // It tells of each new thread, to nobody, and is not to wait for a reader.
        std::thread::spawn(move || told.lines().count());
        Self { strace: child, is_fatal }
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        if self.is_fatal {
            // It may wait for threads of the dead that it has missed.
            self.strace.kill().unwrap();
        } else {
            // It lets go of the server when it is asked to end, not when it is killed.
            drill::server::signal(self.strace.id(), "TERM").unwrap();
        }
        self.strace.wait().unwrap();
    }
}
