//! Server dialogs: `tests/dialogs/server/*.txt`, one behaviour each.
//!
//! `C:` a line of the client with its CRLF; `c:` octets without one. Escapes: `\r \n \0 \t \\ \xHH`,
//! and `\{text*count}` for repetition. `S:` what the server answers, `Q:` what it asks its service.
//! `@ setup KEY=VALUE…` at the begin, `@ connect` takes the greeting; `@ tls`, `@ close`, `@ shutdown`, `@ timeout`, `@ wait SECS`
//! happen at their place. `@ together` says that consecutive client lines must arrive at once to
//! mean the same, so the file is not fed in other pieces. `#` is a comment.
//!
//! Every file runs whole, octet by octet and in random pieces, with the same result. With the
//! variable `DIALOGS_WRITE` set, the answers in the files are written anew, to be read and
//! committed.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mail_types::{Address, Domain, Machine as _, Priority, Step, Timestamp, TlsFacts};
use smtp_machine::server::{Config, Limits, Role, Server, Tls};

use crate::service::{Service, TestReceipt};

pub fn config() -> Config {
    Config {
        hostname: Domain::new("mx.example.org").unwrap(),
        role: Role::Mx,
        peer: IpAddr::from([192, 0, 2, 1]),
        tls: Tls::Offered,
        auth_without_tls: false,
        tokens: false,
        postmaster: Address::parse("postmaster@example.org").unwrap(),
        nonce: "nonce".into(),
        turned_away: None,
        hold_max: None,
        priority_max: None,
        deliver_by_min: None,
        limits: Limits { message_octets_max: 100_000, ..Limits::default() },
    }
}

/// How the client's octets arrive.
#[derive(Clone, Copy, Debug)]
pub enum Pieces {
    Whole,
    Octets,
    Random(u64),
}

/// One connection with its service and clock.
pub struct Connection {
    pub server: Server<TestReceipt>,
    pub service: Service,
    pub now: Timestamp,
    pub closed: bool,
    said: String,
}

impl Connection {
    pub fn new(config: Config) -> Self {
        let now = Timestamp::from_secs(1_000_000);
        let (server, service) = (Server::new(config), Service::default());
        Self { server, service, now, closed: false, said: String::new() }
    }

    /// Steps until the machine needs something; what was said and asked on the way.
    pub fn run(&mut self) -> String {
        while !self.closed {
            let step = self.server.step(self.now);
            self.collect_output();
            match step {
                Step::NeedInput => break,
                Step::Ask(question) => {
                    let answer = self.service.answer(question);
                    for line in self.service.log.drain(..) {
                        writeln!(self.said, "Q: {line}").unwrap();
                    }
                    self.server.answer(answer, self.now);
                }
                Step::StartTls => {
                    self.said.push_str("S: <TLS handshake>\n");
                    break;
                }
                Step::StartCompression | Step::Close => {
                    self.said.push_str("S: <close>\n");
                    self.closed = true;
                }
            }
        }
        std::mem::take(&mut self.said)
    }

    fn collect_output(&mut self) {
        let out = String::from_utf8(std::mem::take(self.server.output())).unwrap();
        for line in out.split_inclusive("\r\n") {
            let line = line.strip_suffix("\r\n").expect("a reply without CRLF");
            assert!(!line.contains(['\r', '\n']), "{line:?}");
            writeln!(self.said, "S: {line}").unwrap();
        }
    }

    /// Feeds octets and runs; what was said and asked.
    pub fn feed(&mut self, octets: &[u8], pieces: Pieces) -> String {
        let mut said = String::new();
        for piece in pieces_of(octets, pieces) {
            let mut rest = piece;
            while !rest.is_empty() && !self.closed {
                let taken = self.server.input(rest, self.now);
                rest = &rest[taken..];
                said.push_str(&self.run());
            }
        }
        said
    }

    fn event(&mut self, event: &str) -> String {
        match event.split_whitespace().collect::<Vec<_>>()[..] {
            ["tls"] => {
                let tls = TlsFacts { version: "TLSv1.3".into(), ..TlsFacts::default() };
                self.server.tls_started(tls, self.now);
            }
            ["close"] => self.server.peer_closed(self.now),
            ["shutdown"] => self.server.shut_down(self.now),
            ["wait", secs] => {
                self.now = self.now.after(Duration::from_secs(secs.parse().unwrap()));
                self.server.deadline_passed(self.now);
            }
            ["timeout"] => {
                self.now = self.server.deadline().expect("a deadline");
                self.server.deadline_passed(self.now);
            }
            ref other => panic!("unknown event {other:?}"),
        }
        self.run()
    }
}

fn setup(text: &str) -> Config {
    let mut config = config();
    for pair in text.split_whitespace() {
        let (key, value) = pair.split_once('=').unwrap();
        let number = || value.parse().unwrap();
        match (key, value) {
            ("role", "submission") => config.role = Role::Submission,
            ("role", "lmtp") => config.role = Role::Lmtp,
            ("hold_max", _) => config.hold_max = Some(Duration::from_secs(number())),
            ("deliver_by_min", _) => config.deliver_by_min = Some(value.parse().unwrap()),
            ("priority_max", _) => {
                config.priority_max = Priority::new(value.parse().unwrap());
            }
            ("turned_away", "yes") => config.turned_away = Some("Not for you"),
            ("tls", "none") => config.tls = Tls::Unavailable,
            ("tls", "implicit") => config.tls = Tls::Implicit,
            ("nonce", _) => config.nonce = value.into(),
            ("tokens", "yes") => config.tokens = true,
            ("loopback", "yes") => config.auth_without_tls = true,
            ("message_octets_max", _) => config.limits.message_octets_max = number(),
            ("recipients_max", _) => config.limits.recipients_max = value.parse().unwrap(),
            ("commands_max", _) => config.limits.commands_max = value.parse().unwrap(),
            ("errors_max", _) => config.limits.errors_max = value.parse().unwrap(),
            ("refused_recipients_max", _) => {
                config.limits.refused_recipients_max = value.parse().unwrap();
            }
            _ => panic!("unknown setup {pair}"),
        }
    }
    config
}

pub fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            octets.extend_from_slice(c.to_string().as_bytes());
            continue;
        }
        let kind = rest.chars().next().unwrap();
        rest = &rest[1..];
        match kind {
            'r' => octets.push(b'\r'),
            's' => octets.push(b' '),
            'n' => octets.push(b'\n'),
            't' => octets.push(b'\t'),
            '0' => octets.push(0),
            '\\' => octets.push(b'\\'),
            'x' => {
                octets.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                rest = &rest[2..];
            }
            '{' => {
                let (repeat, behind) = rest.split_once('}').unwrap();
                let (what, count) = repeat.rsplit_once('*').unwrap();
                let what = unescape(what);
                (0..count.parse::<usize>().unwrap()).for_each(|_| octets.extend_from_slice(&what));
                rest = behind;
            }
            other => panic!("unknown escape {other}"),
        }
    }
    octets
}

/// Plays the client's part of a dialog; the whole dialog with the server's. Client lines that
/// follow each other directly are sent without waiting; any other line ends such a group.
fn play(text: &str, pieces: Pieces) -> String {
    let first_setup = text.lines().find_map(|line| line.strip_prefix("@ setup "));
    let mut connection = Connection::new(first_setup.map_or_else(config, setup));
    let mut played = String::new();
    let mut unsent = Vec::new();
    for line in text.lines() {
        let (kind, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        if !matches!(kind, "C:" | "c:") && !unsent.is_empty() {
            played.push_str(&connection.feed(&std::mem::take(&mut unsent), pieces));
        }
        if matches!(kind, "S:" | "Q:") {
            continue;
        }
        played.push_str(line);
        played.push('\n');
        match kind {
            "C:" | "c:" => {
                unsent.extend(unescape(rest));
                if kind == "C:" {
                    unsent.extend_from_slice(b"\r\n");
                }
            }
            "@ " if rest == "connect" => played.push_str(&connection.run()),
            "@ " if !rest.starts_with("setup") && rest != "together" => {
                played.push_str(&connection.event(rest))
            }
            _ => {}
        }
    }
    played.push_str(&connection.feed(&unsent, pieces));
    played
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogs").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(files.len() > 15, "the dialogs are gone");
    files
}

/// Cuts octets as they arrive.
pub fn pieces_of(octets: &[u8], pieces: Pieces) -> Vec<&[u8]> {
    let mut cut = Vec::new();
    let mut rest = octets;
    let mut random = match pieces {
        Pieces::Random(seed) => seed,
        Pieces::Whole | Pieces::Octets => 0,
    };
    while !rest.is_empty() {
        let length = match pieces {
            Pieces::Whole => rest.len(),
            Pieces::Octets => 1,
            Pieces::Random(_) => {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 33) as usize % 40 + 1
            }
        };
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        cut.push(piece);
        rest = behind;
    }
    cut
}

#[test]
fn server_dialogs() {
    check("server", play);
}

/// Plays every file of a folder in every way.
pub fn check(folder: &str, play: fn(&str, Pieces) -> String) {
    let write = std::env::var_os("DIALOGS_WRITE").is_some();
    let mut wrong = Vec::new();
    for file in files(folder) {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if write {
            std::fs::write(&file, play(&text, Pieces::Whole)).unwrap();
            continue;
        }
        let mut ways = vec![Pieces::Whole];
        if !text.contains("\n@ together\n") {
            ways.push(Pieces::Octets);
            ways.extend((0..20).map(Pieces::Random));
        }
        for pieces in ways {
            let played = play(&text, pieces);
            if played != text {
                wrong.push(format!("{name} ({pieces:?}):\n{}", difference(&text, &played)));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn difference(expected: &str, played: &str) -> String {
    let lines = expected.lines().zip(played.lines());
    let same = lines.take_while(|(expected, played)| expected == played).count();
    format!(
        "line {}\n  expected: {:?}\n  got:      {:?}",
        same + 1,
        expected.lines().nth(same),
        played.lines().nth(same)
    )
}
