//! A standby for the tests: its process, its promotion, and links that are cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use drill::server::{Installation, Running};

use crate::harness::{ALICE, House, LIMIT, RESTANTE, message, tool, until, words};

/// Where the server listens for standbys, before its port base is added.
pub const PORT: u16 = 4190;

/// A server that listens for standbys, with these lines in its settings; not started.
pub fn server(lines: &[&str]) -> House {
    let house = House::made("127.0.0.1:1");
    house.set("listen", &format!("standby = {PORT}"));
    for line in lines {
        house.set("standby", line);
    }
    house
}

/// A standby's directory, and its process while it runs.
pub struct Second {
    pub data: PathBuf,
    child: Option<Child>,
}

impl Second {
    /// Nothing yet.
    pub fn none(data: PathBuf) -> Self {
        Self { data, child: None }
    }

    /// Follows the server over this address, and runs.
    pub fn of(house: &House, name: &str, from: SocketAddr) -> Self {
        let token = house.restante_json(&["standby", "invite", "--name", name]);
        let token = token["token"].as_str().unwrap().to_owned();
        let mut second = Self::none(house.path().join(name));
        second.run(&["--from", &from.to_string(), "--token", &token]);
        second
    }

    /// Runs its process.
    pub fn run(&mut self, arguments: &[&str]) {
        let log = std::fs::File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = Command::new(RESTANTE);
        command.arg("standby").args(arguments).arg("--data").arg(&self.data);
        command.stdin(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        until("the standby's process", || {
            std::os::unix::net::UnixStream::connect(self.data.join("control.sock")).ok()
        });
    }

    fn log_path(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Runs `restante …` on its directory: what it says, well or not.
    pub fn command(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(RESTANTE);
        let output = command.args(arguments).arg("--data").arg(&self.data).output().unwrap();
        let text = words(&output);
        if output.status.success() { Ok(text) } else { Err(text) }
    }

    pub fn status(&self) -> serde_json::Value {
        let text = self.command(&["standby", "status", "--json"]).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until it has everything that the server has.
    pub fn catch_up(&self, house: &House) {
        until("the standby to have everything", || {
            let server = house.restante_json(&["standby", "status"]);
            let all = server["standbys"].as_array().unwrap();
            let name = self.data.file_name().unwrap().to_str().unwrap();
            let one = all.iter().find(|one| one["name"] == name)?;
            let here = self.status();
            let same = one["records"] == here["applied_records"];
            (one["linked"] == true && one["lag_records"] == 0 && same).then_some(())
        });
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        tool(Command::new("kill").args([signal, &pid]));
    }

    /// Asks it to stop.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            tool(Command::new("kill").arg(child.id().to_string()));
            assert!(child.wait().unwrap().success());
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Makes it the server, as its operator does.
    pub fn promote(&mut self, house: &House) -> Promoted {
        // The link of a server that was killed is noticed in a moment.
        if self.child.is_some() {
            until("the link to end", || (self.status()["linked"] == false).then_some(()));
        }
        let done = self.command(&["standby", "promote", "--reason", "a drill", "--json"]).unwrap();
        let done: serde_json::Value = serde_json::from_str(&done).unwrap();
        assert_eq!(done["epoch"], 1, "{done}");
        if let Some(mut child) = self.child.take() {
            // Its process has ended by itself.
            assert!(child.wait().unwrap().success());
        }
        let installation = Installation { data: self.data.clone(), ..house.installation.clone() };
        Promoted { installation, running: None }
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.log_path()).unwrap_or_default();
            std::io::stderr().write_all(format!("its log:\n{log}").as_bytes()).ok();
        }
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Waits until the standby says that it does not follow, in such words.
pub fn trouble_of(second: &Second, words: &str) -> String {
    until(words, || {
        let status = second.status();
        status["trouble"].as_str().filter(|text| text.contains(words)).map(str::to_owned)
    })
}

/// A standby that was promoted.
pub struct Promoted {
    pub installation: Installation,
    running: Option<Running>,
}

impl Promoted {
    pub fn start(&mut self) {
        self.running = Some(self.installation.start().unwrap());
    }

    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().unwrap();
        }
    }

    /// Proves that nothing is lost.
    pub fn verify(&mut self) {
        self.stop();
        let output = self.installation.command(&["verify", "--json"]).unwrap();
        assert!(output.status.success(), "verify:\n{}", words(&output));
    }

    /// The whole messages of an inbox.
    pub fn mailbox(&self, account: &str) -> Vec<String> {
        let (address, password) = (self.installation.address(143), &self.installation.password);
        let mut imap = drill::imap::Imap::sign_in(address, account, password, LIMIT).unwrap();
        let mut messages = Vec::new();
        if imap.examine("INBOX").unwrap() > 0 {
            imap.fetch("BODY.PEEK[]", &mut |answer| {
                messages.push(String::from_utf8_lossy(answer).into_owned());
            })
            .unwrap();
        }
        messages
    }
}

/// The bytes of a segment, without the zeros at its end.
pub fn segment(data: &Path, number: u32) -> Vec<u8> {
    let mut bytes = std::fs::read(data.join(format!("journal/{number:08}.seg"))).unwrap();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// The same bytes in every segment, and the same body files.
pub fn assert_same(house: &House, second: &Second) {
    let names = |data: &Path, dir: &str, end: &str| -> Vec<String> {
        let entries = std::fs::read_dir(data.join(dir)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(end)).collect();
        names.sort();
        names
    };
    let (one, other) = (&house.installation.data, &second.data);
    let segments = names(one, "journal", ".seg");
    assert_eq!(segments, names(other, "journal", ".seg"));
    assert_eq!(names(one, "bodies", ""), names(other, "bodies", ""));
    for number in 1..=segments.len() as u32 {
        assert!(segment(one, number) == segment(other, number), "segment {number} differs");
    }
}

/// Lines of digits that do not compress to nothing.
pub fn noise(bytes: usize) -> String {
    let mut text = String::new();
    let mut state = 1_u64;
    while text.len() < bytes {
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(&format!("{state:016x}"));
        }
        text.push('\n');
    }
    text
}

/// Passes bytes on to a server, and cuts what goes through it now and then.
pub struct Proxy {
    pub address: SocketAddr,
    /// How many links were cut behind their bytes.
    pub cuts: Arc<AtomicUsize>,
    links: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// The first so many links are cut: each behind so many bytes times its number.
    pub fn cutting(to: SocketAddr, behind: usize, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, links): (Arc<AtomicUsize>, Arc<Mutex<Vec<TcpStream>>>) = Default::default();
        let (counted, held) = (Arc::clone(&cuts), Arc::clone(&links));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(near), Ok(far)) = (stream, TcpStream::connect(to)) else { continue };
                let number = counted.load(Ordering::Relaxed);
                let limit = if number < times { behind * (number + 1) } else { usize::MAX };
                held.lock().unwrap().push(near.try_clone().unwrap());
                let (back_from, back_to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                std::thread::spawn(move || pass(back_from, back_to, usize::MAX));
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || {
                    if pass(far, near, limit) {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { address, cuts, links }
    }

    /// Cuts all that stand.
    pub fn cut(&self) {
        for link in self.links.lock().unwrap().drain(..) {
            link.shutdown(Shutdown::Both).ok();
        }
    }
}

/// Whether it was cut at the limit.
fn pass(mut from: TcpStream, mut to: TcpStream, limit: usize) -> bool {
    let (mut passed, mut buffer) = (0, [0; 4096]);
    loop {
        let room = buffer.len().min(limit - passed);
        let read = from.read(&mut buffer[..room]).unwrap_or(0);
        let ended = read == 0 || to.write_all(&buffer[..read]).is_err();
        passed += read;
        if ended || passed >= limit {
            from.shutdown(Shutdown::Both).ok();
            to.shutdown(Shutdown::Both).ok();
            return !ended;
        }
    }
}

/// Sends messages until the server is gone; which were acknowledged, and all that were tried.
pub fn load(
    server: SocketAddr,
    acked: &AtomicU64,
    gone: &AtomicBool,
    who: usize,
) -> (Vec<String>, Vec<String>) {
    let (mut kept, mut tried) = (Vec::new(), Vec::new());
    for number in 0.. {
        let id = format!("load{who}-{number}");
        tried.push(id.clone());
        match deliver(server, &message("load", &id)) {
            Ok(()) => {
                kept.push(id);
                acked.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) if gone.load(Ordering::Relaxed) => break,
            Err(_) => {}
        }
    }
    (kept, tried)
}

/// One message to alice; `Ok` only behind the final 250, else what was said.
pub fn deliver(server: SocketAddr, text: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let text = text.replace('\n', "\r\n").replace("\r\n.", "\r\n..");
    let says = [
        String::new(),
        "EHLO outside.test\r\n".to_owned(),
        "MAIL FROM:<stranger@outside.test>\r\n".to_owned(),
        format!("RCPT TO:<{ALICE}>\r\n"),
        "DATA\r\n".to_owned(),
        format!("{text}\r\n.\r\n"),
    ];
    for line in says {
        stream.write_all(line.as_bytes())?;
        let mut reply = Vec::new();
        let mut byte = [0];
        loop {
            stream.read_exact(&mut byte)?;
            reply.push(byte[0]);
            let last = reply.split(|&byte| byte == b'\n').rfind(|line| !line.is_empty());
            if byte[0] == b'\n' && last.is_some_and(|line| line.get(3) != Some(&b'-')) {
                break;
            }
        }
        if !matches!(reply.first(), Some(b'2' | b'3')) {
            return Err(std::io::Error::other(String::from_utf8_lossy(&reply).into_owned()));
        }
    }
    Ok(())
}
