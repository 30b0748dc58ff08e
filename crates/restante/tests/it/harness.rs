//! A server in a fresh directory, the tools that talk to it, and the check when it goes.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

pub use drill::base64;
use drill::imap::Imap;
use drill::imap_wire::ImapWire;
use drill::letters::Letters;
use drill::server::{Installation, Running, free_port_base};
use serde_json::Value;
use tempfile::TempDir;

pub const ALICE: &str = "alice@example.test";
pub const BOB: &str = "bob@example.test";
pub const CAROL: &str = "carol@example.test";
pub const PASSWORD: &str = "wet paint on seven doors";
/// No state that a test waits for takes longer on a loaded machine.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at a state that is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The binary under test.
pub const RESTANTE: &str = env!("CARGO_BIN_EXE_restante");

/// An installation with the accounts alice, bob and carol at example.test.
pub struct House {
    pub installation: Installation,
    running: Option<Running>,
    directory: TempDir,
}

impl House {
    /// Made and started; asks no DNS server that exists.
    pub fn new() -> Self {
        let mut house = Self::made("127.0.0.1:1");
        house.start();
        house
    }

    /// Made and started; asks this DNS server.
    pub fn asking(resolver: SocketAddr) -> Self {
        let mut house = Self::made(&resolver.to_string());
        house.start();
        house
    }

    /// Made, not started.
    pub fn made(resolver: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::made_in(directory, resolver)
    }

    /// Made in this directory, not started.
    pub fn made_in(directory: TempDir, resolver: &str) -> Self {
        let password_file = directory.path().join("password");
        std::fs::write(&password_file, format!("{PASSWORD}\n")).unwrap();
        let installation = Installation {
            binary: PathBuf::from(RESTANTE),
            data: directory.path().join("data"),
            port_base: free_port_base(),
            accounts: [ALICE, BOB, CAROL].map(str::to_owned).to_vec(),
            password: PASSWORD.to_owned(),
            wrapper: Vec::new(),
            environment: Vec::new(),
        };
        let base = installation.port_base.to_string();
        let password_file = password_file.display().to_string();
        let mut arguments = vec!["init", "--hostname", "mx.example.test"];
        arguments.extend(["--domain", "example.test", "--listen", "127.0.0.1"]);
        arguments.extend(["--port-base", &base, "--password-file", &password_file]);
        arguments.extend(["--resolver", resolver]);
        for account in [ALICE, BOB, CAROL] {
            arguments.extend(["--account", account]);
        }
        installation.checked(&arguments).unwrap();
        Self { installation, running: None, directory }
    }

    /// Writes a line into a section of the settings; before the start.
    pub fn set(&self, section: &str, line: &str) {
        let path = self.installation.data.join("restante.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let header = format!("[{section}]\n");
        let text = if text.contains(&header) {
            text.replacen(&header, &format!("{header}{line}\n"), 1)
        } else {
            format!("{text}\n{header}{line}\n")
        };
        std::fs::write(&path, text).unwrap();
    }

    pub fn start(&mut self) {
        self.running = Some(self.installation.start().unwrap());
    }

    /// Asks the server to stop and waits until it has.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().unwrap();
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill().unwrap();
        }
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().unwrap().pid()
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where a service listens, by its standard port.
    pub fn address(&self, standard_port: u16) -> SocketAddr {
        self.installation.address(standard_port)
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.installation.log_path()).unwrap_or_default()
    }

    /// Runs `restante …`; its standard output.
    pub fn restante(&self, arguments: &[&str]) -> String {
        self.installation.checked(arguments).unwrap()
    }

    /// Runs `restante … --json`.
    pub fn restante_json(&self, arguments: &[&str]) -> Value {
        let text = self.restante(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
    }

    /// Runs a script of tests/py, which finds the ports in its environment.
    pub fn python(&self, script: &str) -> String {
        self.python_by("python3".as_ref(), script, &[])
    }

    /// The same with the clients of tests/py/requirements.txt, where ./test put them.
    pub fn python_with_clients(&self, script: &str) -> String {
        self.python_with_clients_and(script, &[])
    }

    /// The same, told more in its environment.
    pub fn python_with_clients_and(&self, script: &str, more: &[(&str, &str)]) -> String {
        let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../python/bin/python3");
        self.python_by(&python, script, more)
    }

    fn python_by(&self, python: &Path, script: &str, more: &[(&str, &str)]) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py").join(script);
        let mut command = Command::new(python);
        command.arg(path).env("PASSWORD", PASSWORD).env("DATA", &self.installation.data);
        command.env("BINARY", RESTANTE).envs(more.iter().copied());
        let ports = [("SMTP", 25), ("SUBMISSION", 587), ("SUBMISSIONS", 465), ("IMAP", 143)];
        for (name, port) in ports.into_iter().chain([
            ("IMAPS", 993),
            ("POP3", 110),
            ("POP3S", 995),
            ("LMTP", 24),
            ("HTTPS", 443),
        ]) {
            command.env(name, self.address(port).port().to_string());
        }
        tool(&mut command)
    }

    /// Sends a message over port 25 from outside; the receipt's text.
    pub fn deliver(&self, recipients: &[&str], message: &str) -> String {
        let mut smtp = Smtp::connect(self.address(25));
        smtp.say("EHLO outside.test");
        smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
        smtp.send(recipients, message)
    }

    /// Submits a message as alice; the receipt's text.
    pub fn submit(&self, recipients: &[&str], message: &str) -> String {
        let mut smtp = Smtp::connect(self.address(587));
        smtp.say("EHLO [127.0.0.1]");
        let plain = format!("\0{ALICE}\0{PASSWORD}");
        smtp.expect(&format!("AUTH PLAIN {}", base64(plain.as_bytes())), "235");
        smtp.expect(&format!("MAIL FROM:<{ALICE}>"), "250");
        smtp.send(recipients, &from_alice(message))
    }

    /// All messages of a mailbox, as FETCH answers with the whole message in them.
    pub fn mailbox(&self, account: &str, mailbox: &str) -> Vec<String> {
        let mut imap = Imap::sign_in(self.address(143), account, PASSWORD, LIMIT).unwrap();
        let mut messages = Vec::new();
        if imap.examine(mailbox).unwrap() > 0 {
            imap.fetch("BODY.PEEK[]", &mut |answer| {
                messages.push(String::from_utf8_lossy(answer).into_owned());
            })
            .unwrap();
        }
        messages
    }

    /// A session that costs little, for many messages.
    pub fn wire(&self, account: &str) -> ImapWire {
        ImapWire::sign_in(self.address(143), account, PASSWORD, LIMIT).unwrap()
    }

    /// Appends letters of this seed, number 0 upwards.
    pub fn fill(&self, account: &str, mailbox: &str, seed: u64, count: u64) -> Letters {
        let letters = Letters::new(seed, count);
        let dated: Vec<_> = (0..count).map(|n| (letters.date_time(n), letters.letter(n))).collect();
        self.wire(account).append_pipelined(mailbox, &dated, 64).unwrap();
        letters
    }

    /// Of each message of a mailbox, in its order: Message-ID and flags without `\Recent`.
    pub fn ids_and_flags(&self, account: &str, mailbox: &str) -> Vec<(String, Vec<String>)> {
        let mut imap = Imap::sign_in(self.address(143), account, PASSWORD, LIMIT).unwrap();
        let mut all = Vec::new();
        if imap.examine(mailbox).unwrap() > 0 {
            let items = "FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]";
            imap.fetch(items, &mut |answer| {
                let text = String::from_utf8_lossy(answer);
                let flags = text.split_once("FLAGS (").unwrap().1.split_once(')').unwrap().0;
                let flags = flags.split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent");
                let mut flags: Vec<String> = flags.map(str::to_owned).collect();
                flags.sort();
                all.push((message_id(&text), flags));
            })
            .unwrap();
        }
        all
    }

    /// Waits until the inbox holds a message with this text.
    pub fn await_message(&self, account: &str, text: &str) -> String {
        until(&format!("a message with {text:?} for {account}"), || {
            self.mailbox(account, "INBOX").into_iter().find(|message| message.contains(text))
        })
    }

    /// Waits until the trace of this query holds this text (in whatever case).
    pub fn await_trace(&self, query: &str, text: &str) -> String {
        let wanted = text.to_lowercase();
        until(&format!("{text:?} in the trace of {query}"), || {
            let story = self.restante(&["trace", query]);
            story.to_lowercase().contains(&wanted).then_some(story)
        })
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Into the test's own output, where the failure is read.
            std::io::stderr().write_all(format!("the log:\n{}", self.log()).as_bytes()).ok();
            return;
        }
        self.stop();
        let output = self.installation.command(&["verify", "--json"]).unwrap();
        assert!(output.status.success(), "verify found something:\n{}", words(&output));
    }
}

/// A dialogue by hand, where a library would be in the way.
pub struct Smtp {
    reader: BufReader<TcpStream>,
}

impl Smtp {
    pub fn connect(server: SocketAddr) -> Self {
        Self::connect_behind(server, b"")
    }

    /// The same, these octets sent before all else.
    pub fn connect_behind(server: SocketAddr, first: &[u8]) -> Self {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.write_all(first).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut smtp = Self { reader: BufReader::new(stream) };
        let greeting = smtp.reply();
        assert!(greeting.starts_with("220"), "{greeting}");
        smtp
    }

    /// Sends a line; the whole reply.
    pub fn say(&mut self, line: &str) -> String {
        self.reader.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.reply()
    }

    /// Sends a line, and wants a reply that begins so.
    pub fn expect(&mut self, line: &str, wanted: &str) -> String {
        let reply = self.say(line);
        assert!(reply.starts_with(wanted), "to {line:?}: {reply}");
        reply
    }

    /// RCPT, DATA and the message; the text of the final 250.
    pub fn send(&mut self, recipients: &[&str], message: &str) -> String {
        for recipient in recipients {
            self.expect(&format!("RCPT TO:<{recipient}>"), "250");
        }
        self.expect("DATA", "354");
        let message =
            message.replace("\r\n", "\n").replace('\n', "\r\n").replace("\r\n.", "\r\n..");
        self.expect(&format!("{message}\r\n."), "250 2.0.0 ")
            .trim_start_matches("250 2.0.0 ")
            .trim_end()
            .to_owned()
    }

    fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            let read = self.reader.read_line(&mut reply).unwrap();
            assert!(read > 0, "closed after {reply:?}");
            if reply.as_bytes().get(start + 3) != Some(&b'-') {
                return reply;
            }
        }
    }
}

/// Waits for a state.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not seen in time: {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Runs a program that must be installed and must succeed; its standard output.
pub fn tool(command: &mut Command) -> String {
    let output = tool_output(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, words(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a program that must be installed.
pub fn tool_output(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error} (./test installs it)"))
}

/// A program as root, or through sudo.
pub fn as_root(program: &str) -> Command {
    let id = tool(Command::new("id").arg("-u"));
    if id.trim() == "0" {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

pub fn words(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// The message as alice may submit it: From must be her own.
pub fn from_alice(message: &str) -> String {
    message.replace("From: Stranger <stranger@outside.test>", &format!("From: Alice <{ALICE}>"))
}

/// A message with this subject and a body of its own.
pub fn message(subject: &str, id: &str) -> String {
    format!(
        "From: Stranger <stranger@outside.test>\nTo: Somebody <somebody@example.test>\n\
         Subject: {subject}\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n\
         Message-ID: <{id}@outside.test>\n\nThe body of {id}.\n.a line that begins with a dot\n"
    )
}

/// What stands in the angle brackets after the field's name.
pub fn message_id(text: &str) -> String {
    let found = text.split_once("Message-ID: <").and_then(|(_, rest)| rest.split_once('>'));
    found.map_or_else(|| panic!("no Message-ID in {text}"), |(id, _)| id.to_owned())
}

/// The first word of a receipt's text: the id.
pub fn receipt_id(receipt: &str) -> &str {
    drill::judge::receipt_id(receipt)
}
