//! The server under test: made by `restante init`, run by `restante serve`, killed at will.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::random::Random;

/// Between two looks at whether the server answers.
const READY_PAUSE: Duration = Duration::from_millis(2);
/// Replay of a large journal may take seconds; much more is a fault.
const READY_WAIT: Duration = Duration::from_secs(60);
const STOP_WAIT: Duration = Duration::from_secs(60);
/// Standard ports of the services, which `--port-base` shifts (ManageSieve apart: 4190).
const PORTS: [u16; 9] = [25, 53, 110, 143, 443, 465, 587, 993, 995];
const MANAGESIEVE: u16 = 4190;
const PORT_BASE_LEAST: u16 = 10_000;
const PORT_BASE_STEP: u16 = 200;
const PORT_BASES: u16 = 85;
const PORT_BASE_TRIES: u32 = 500;

/// Why the server could not be made, started or asked.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A file of the drill or a process could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A command of the server ended with a failure.
    #[error("`restante {command}` failed ({status}): {output}")]
    Command {
        /// The subcommand.
        command: String,
        /// Its exit status.
        status: ExitStatus,
        /// What it printed, both streams.
        output: String,
    },
    /// It ended or stayed silent instead of greeting.
    #[error("the server is not ready: {why}; its last words:\n{log}")]
    NotReady {
        /// What was seen.
        why: String,
        /// The end of its log.
        log: String,
    },
}

/// Words for an I/O error.
pub(crate) fn doing(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> ServerError {
    move |source| ServerError::Io { what: what.into(), source }
}

/// A data directory and what belongs to it. The directory is the caller's to remove.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The `restante` binary.
    pub binary: PathBuf,
    /// `--data`.
    pub data: PathBuf,
    /// Every service listens on this plus its standard port.
    pub port_base: u16,
    /// Addresses of the accounts.
    pub accounts: Vec<String>,
    /// The one password of all of them.
    pub password: String,
    /// Runs the server under this command, for example a tracer.
    pub wrapper: Vec<String>,
    /// Set for the server, for example `LD_PRELOAD`.
    pub environment: Vec<(String, String)>,
}

impl Installation {
    /// Runs `restante init` for `box1@drill.test`, `box2@…` in `directory/data` on free ports.
    ///
    /// # Errors
    /// When the directory cannot be written or `init` fails.
    pub fn init(binary: &Path, directory: &Path, accounts: usize) -> Result<Self, ServerError> {
        Self::init_on(binary, directory, accounts, free_port_base())
    }

    /// The same on these ports.
    ///
    /// # Errors
    /// When the directory cannot be written or `init` fails.
    pub fn init_on(
        binary: &Path,
        directory: &Path,
        accounts: usize,
        port_base: u16,
    ) -> Result<Self, ServerError> {
        let installation = Self {
            binary: binary.to_owned(),
            data: directory.join("data"),
            port_base,
            accounts: (1..=accounts).map(|number| format!("box{number}@drill.test")).collect(),
            password: "correct horse battery staple".to_owned(),
            wrapper: Vec::new(),
            environment: Vec::new(),
        };
        let password_file = directory.join("password");
        fs::write(&password_file, format!("{}\n", installation.password))
            .map_err(doing("writing the password file"))?;
        let mut arguments = ["init", "--hostname", "mx.drill.test", "--domain", "drill.test"]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(["--listen".to_owned(), "127.0.0.1".to_owned()]);
        arguments.extend(["--port-base".to_owned(), port_base.to_string()]);
        arguments.extend(["--password-file".to_owned(), password_file.display().to_string()]);
        for account in &installation.accounts {
            arguments.extend(["--account".to_owned(), account.clone()]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        installation.checked(&arguments)?;
        Ok(installation)
    }

    /// Where a service listens, by its standard port.
    #[must_use]
    pub const fn address(&self, standard_port: u16) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), self.port_base + standard_port)
    }

    /// Runs a subcommand on this data directory.
    ///
    /// # Errors
    /// When it cannot be started; its failure is in the output.
    pub fn command(&self, arguments: &[&str]) -> Result<Output, ServerError> {
        Command::new(&self.binary)
            .args(arguments)
            .arg("--data")
            .arg(&self.data)
            .stdin(Stdio::null())
            .output()
            .map_err(doing(format!("running {}", self.binary.display())))
    }

    /// The same; its standard output, and an error where it failed.
    ///
    /// # Errors
    /// When it cannot be started or ends with a failure.
    pub fn checked(&self, arguments: &[&str]) -> Result<String, ServerError> {
        let output = self.command(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let command = arguments.join(" ");
        let output_text = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        Err(ServerError::Command { command, status: output.status, output: output_text })
    }

    /// Has the server take more connections at a time than it does by default.
    ///
    /// # Errors
    /// When the settings cannot be read or written.
    pub fn allow_connections(&self, count: usize) -> Result<(), ServerError> {
        let path = self.data.join("restante.toml");
        let text = fs::read_to_string(&path).map_err(doing("reading the settings"))?;
        let text = text.replace("# connections_max = 4096", &format!("connections_max = {count}"));
        fs::write(&path, text).map_err(doing("writing the settings"))
    }

    /// Starts the server without waiting for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self) -> Result<Running, ServerError> {
        let log = self.log_path();
        let log_file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(doing("opening the server's log"))?;
        let errors = log_file.try_clone().map_err(doing("opening the server's log"))?;
        let mut command = match self.wrapper.split_first() {
            None => Command::new(&self.binary),
            Some((wrapper, rest)) => {
                let mut command = Command::new(wrapper);
                command.args(rest).arg(&self.binary);
                command
            }
        };
        command.args(["serve", "--data"]).arg(&self.data).stdin(Stdio::null());
        command.stdout(log_file).stderr(errors);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let child = command.spawn().map_err(doing("starting the server"))?;
        Ok(Running {
            child: Some(child),
            wrapped: !self.wrapper.is_empty(),
            smtp: self.address(25),
            imap: self.address(143),
            log,
            spawned: Instant::now(),
        })
    }

    /// Starts the server and waits until it greets on SMTP and IMAP.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not answer in time.
    pub fn start(&self) -> Result<Running, ServerError> {
        let mut running = self.spawn()?;
        running.wait_ready()?;
        Ok(running)
    }

    /// Where its output goes.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.data.with_extension("log")
    }
}

/// A server process. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    wrapped: bool,
    smtp: SocketAddr,
    imap: SocketAddr,
    log: PathBuf,
    spawned: Instant,
}

impl Running {
    /// The server's process; under a wrapper, the wrapper's first child.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let started = self.child.as_ref().map_or(0, Child::id);
        if self.wrapped { child_of(started).unwrap_or(started) } else { started }
    }

    /// Waits for the greetings of SMTP and IMAP; the time since it was started.
    ///
    /// # Errors
    /// When it ends or does not answer in time.
    pub fn wait_ready(&mut self) -> Result<Duration, ServerError> {
        let deadline = self.spawned + READY_WAIT;
        while !(greets(self.smtp, "220") && greets(self.imap, "* OK")) {
            let ended = match &mut self.child {
                Some(child) => child.try_wait().map_err(doing("waiting for the server"))?,
                None => None,
            };
            if let Some(status) = ended {
                return Err(self.not_ready(format!("it ended with {status}")));
            }
            if Instant::now() >= deadline {
                return Err(self.not_ready("no greeting in time".to_owned()));
            }
            std::thread::sleep(READY_PAUSE);
        }
        Ok(self.spawned.elapsed())
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// When the process cannot be signalled or waited for.
    pub fn kill(mut self) -> Result<(), ServerError> {
        let pid = self.pid();
        if let Some(mut child) = self.child.take() {
            if pid == child.id() {
                child.kill().map_err(doing("killing the server"))?;
            } else {
                // Its wrapper ends behind it, and not before: until then it may hold its files.
                signal(pid, "KILL").map_err(doing("killing the server"))?;
            }
            child.wait().map_err(doing("waiting for the server"))?;
        }
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits.
    ///
    /// # Errors
    /// When it does not end in time, or not with success.
    pub fn stop(mut self) -> Result<Duration, ServerError> {
        let pid = self.pid();
        let Some(mut child) = self.child.take() else { return Ok(Duration::ZERO) };
        let asked = Instant::now();
        signal(pid, "TERM").map_err(doing("asking the server to stop"))?;
        loop {
            if let Some(status) = child.try_wait().map_err(doing("waiting for the server"))? {
                if status.success() {
                    return Ok(asked.elapsed());
                }
                return Err(self.not_ready(format!("it stopped with {status}")));
            }
            if asked.elapsed() > STOP_WAIT {
                child.kill().map_err(doing("killing the server"))?;
                child.wait().map_err(doing("waiting for the server"))?;
                return Err(self.not_ready("it did not stop when asked".to_owned()));
            }
            std::thread::sleep(READY_PAUSE);
        }
    }

    fn not_ready(&self, why: String) -> ServerError {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        ServerError::NotReady { why, log: tail }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = self.pid();
        if let Some(mut child) = self.child.take() {
            if pid != child.id() {
                signal(pid, "KILL").ok();
            }
            // It may have ended by itself; there is nobody left to tell.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Sends a signal by name to a process, or to a process group where the id is negative.
///
/// # Errors
/// When `sh` cannot be run or the process does not exist.
pub fn signal(pid: impl std::fmt::Display, name: &str) -> std::io::Result<()> {
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -s {name} -- {pid}"))
        .stderr(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other("no such process")) }
}

/// proc(5), stat: the fourth field is the parent.
fn child_of(parent: u32) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        fields.split_whitespace().nth(1).and_then(|ppid| ppid.parse().ok()) == Some(parent)
    })
}

fn greets(address: SocketAddr, greeting: &str) -> bool {
    let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) else {
        return false;
    };
    if stream.set_read_timeout(Some(Duration::from_secs(10))).is_err() {
        return false;
    }
    let mut line = String::new();
    let mut reader = BufReader::new(stream);
    let greeted = reader.read_line(&mut line).is_ok() && line.starts_with(greeting);
    if greeted {
        let bye: &[u8] = if greeting == "220" { b"QUIT\r\n" } else { b"bye LOGOUT\r\n" };
        // Only politeness: the answer that mattered is there.
        reader.get_mut().write_all(bye).ok();
        reader.read_line(&mut line).ok();
    }
    greeted
}

/// A base under which every port of the server is free on loopback, and which no other drill or
/// test of this machine gets as long as this process lives.
#[must_use]
pub fn free_port_base() -> u16 {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    // Below the kernel's ephemeral ports (32768 upwards), so that no client's port gets in the way,
    // and in steps under which no two bases share a port.
    let mut random = Random::new(Random::fresh_seed() ^ u64::from(std::process::id()) << 32);
    let mut base = PORT_BASE_LEAST;
    for _ in 0..PORT_BASE_TRIES {
        let step = u16::try_from(random.below(PORT_BASES.into())).unwrap_or(0);
        base = PORT_BASE_LEAST + step * PORT_BASE_STEP;
        let lock = std::env::temp_dir().join(format!("restante-ports-{base}.lock"));
        let Ok(file) = File::create(lock) else { continue };
        let mut ports = PORTS.iter().chain(&[MANAGESIEVE]);
        if file.try_lock().is_ok()
            && ports.all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, base + port)).is_ok())
        {
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(file);
            break;
        }
    }
    base
}

/// Makes an empty directory for a drill under `parent`, or under the system's.
///
/// # Errors
/// When it cannot be made.
pub fn fresh_directory(parent: Option<&Path>, name: &str) -> Result<PathBuf, ServerError> {
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
    let path = parent.join(format!("{name}-{}-{}", std::process::id(), Random::fresh_seed()));
    fs::create_dir_all(&path).map_err(doing(format!("making {}", path.display())))?;
    File::open(&path).map_err(doing(format!("opening {}", path.display())))?;
    Ok(path)
}
