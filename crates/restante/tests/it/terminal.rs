//! A program that wants a terminal, typed to.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::harness::until;

/// Under script(1), which gives it a terminal and writes down what it shows.
pub struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    shown: PathBuf,
}

impl Terminal {
    /// Starts a shell command; what it shows goes into this file.
    pub fn start(command: &str, shown: PathBuf, environment: &[(&str, String)]) -> Self {
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--flush", "--command", command])
            .arg(&shown)
            .env("TERM", "xterm")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let keys = child.stdin.take();
        Self { child, keys, shown }
    }

    /// Types this.
    pub fn keys(&mut self, keys: &str) {
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this stands in what was shown since the start.
    pub fn await_text(&self, text: &str) {
        until(&format!("{text:?} on the terminal"), || self.shown().contains(text).then_some(()));
    }

    /// Waits for its end, which must be a good one.
    pub fn ended(mut self) {
        let status = until("the program's end", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}: {}", self.shown());
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.shown).unwrap_or_default()).into_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Where it ended as it should, there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
