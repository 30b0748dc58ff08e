//! IMAP that wants to be dear: patterns, searches, headers, structures and characters made to cost
//! much. What each abuse costs the server is measured from /proc; whoever calls says what is too much.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::imap::ImapError;
use crate::imap_wire::{ImapWire, Keep};

/// proc(5): every Linux of today has 100 clock ticks a second for /proc.
const MILLIS_PER_TICK: u64 = 10;
const DATE: &str = "22-Nov-2026 10:00:00 +0000";
const WAIT: Duration = Duration::from_secs(120);
/// An account has at most 10,000 mailboxes, and is made with some.
const FOLDERS: usize = 9_990;
/// Octets of a folder's name: as long as names may be.
const NAME_OCTETS: usize = 1_000;
const TERMS: usize = 10_000;
/// Octets of a text of odd characters.
const TEXT_OCTETS: usize = 512 << 10;

/// The server, and whose mailbox is abused.
#[derive(Clone, Debug)]
pub struct Victim {
    /// Its process.
    pub pid: u32,
    /// Where IMAP is.
    pub imap: SocketAddr,
    /// The account.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// What one abuse cost.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Which.
    pub what: String,
    /// Until its answer.
    pub wall: Duration,
    /// The server's processor time.
    pub cpu: Duration,
    /// By how much the server's memory grew at most, in KiB.
    pub growth_kib: u64,
}

/// Where costs are told as they come.
pub type Tell<'a> = &'a mut dyn FnMut(Cost);

impl Victim {
    fn sign_in(&self) -> Result<ImapWire, ImapError> {
        ImapWire::sign_in(self.imap, &self.user, &self.password, WAIT)
    }

    /// Runs something and tells what it cost.
    ///
    /// # Errors
    /// Its own, and those of /proc.
    pub fn measured<T>(
        &self,
        what: &str,
        tell: Tell<'_>,
        abuse: impl FnOnce() -> Result<T, ImapError>,
    ) -> Result<T, ImapError> {
        let pid = self.pid;
        // proc(5): 5 sets the peak of the resident memory to what it is now.
        fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        let (cpu_before, memory) = (cpu(pid)?, status_kib(pid, "VmRSS:")?);
        let started = Instant::now();
        let done = abuse()?;
        let wall = started.elapsed();
        let growth_kib = status_kib(pid, "VmHWM:")?.saturating_sub(memory);
        let cpu = cpu(pid)?.saturating_sub(cpu_before);
        tell(Cost { what: what.to_owned(), wall, cpu, growth_kib });
        Ok(done)
    }

    /// LIST with many wildcards on ten thousand folders; the account's own, of long names.
    ///
    /// # Errors
    /// When the server does not answer, or answers wrongly.
    pub fn patterns(&self, tell: Tell<'_>) -> Result<(), ImapError> {
        let mut wire = self.sign_in()?;
        let mut commands = String::new();
        for number in 0..FOLDERS {
            let above = "a".repeat(NAME_OCTETS - 10);
            commands.push_str(&format!("c CREATE {above}/b{number}\r\n"));
        }
        wire.write(commands.as_bytes())?;
        // Their answers stand before this one's and have another tag.
        wire.command("NOOP", Keep::Nothing)?;
        for (what, pattern, found) in [
            ("LIST *%*%...q", "*%".repeat(20) + "q", 0),
            ("LIST a*a*...q", "a*".repeat(900) + "q", 0),
            ("LIST *%*%... of 800 octets", "*%".repeat(400) + "q", 0),
            ("LIST %/%", "%/%".to_owned(), FOLDERS as u64),
        ] {
            let command = format!("LIST \"\" \"{pattern}\"");
            let answer = self.measured(what, tell, || {
                let tag = wire.send(&command, b"")?;
                wire.answer(&tag)
            })?;
            if answer.untagged != found {
                let answer = format!("{} names", answer.untagged);
                return Err(ImapError::Refused { command: what.to_owned(), answer });
            }
        }
        Ok(())
    }

    /// Searches of ten thousand terms, in an inbox that has been filled before.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn searches(&self, tell: Tell<'_>) -> Result<(), ImapError> {
        let mut wire = self.sign_in()?;
        wire.command("SELECT INBOX", Keep::Nothing)?;
        let many = |term: &str| vec![term; TERMS].join(" ");
        let numbered = |before: &str| {
            (0..TERMS).map(|number| format!("{before}{number}")).collect::<Vec<_>>().join(" ")
        };
        for (what, search) in [
            ("SEARCH NOT 7:9, 10,000 times", many("NOT 7:9")),
            ("SEARCH NOT LARGER n, 10,000 of them", numbered("NOT LARGER 10000")),
            ("SEARCH BODY abc, 10,000 times", many("BODY abc")),
            ("SEARCH FROM a, 10,000 times", many("FROM a")),
            ("SEARCH NOT BODY zq...n, 10,000 of them", numbered("NOT BODY zq")),
            ("SEARCH OR ALL, 10,000 times", many("OR ALL") + " ALL"),
            ("SEARCH ((((, 10,000 times", "(".repeat(TERMS) + "ALL" + &")".repeat(TERMS)),
            ("SEARCH NOT NOT, 10,000 times", many("NOT")),
            ("SEARCH UID 1:*, 10,000 times", format!("UID {}", vec!["1:*"; TERMS].join(","))),
        ] {
            self.measured(what, tell, || {
                // Whether it is too much or not: there is an answer, and the session goes on.
                let tag = wire.send(&format!("SEARCH {search}"), b"")?;
                wire.answer(&tag)
            })?;
            wire.command("NOOP", Keep::Nothing)?;
        }
        Ok(())
    }

    /// Half a million header fields in one message.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn headers(&self, tell: Tell<'_>) -> Result<(), ImapError> {
        let mut message = String::from("Subject: many\r\nFrom: a@outside.test\r\n");
        for number in 0..500_000 {
            message.push_str(if number % 2 == 0 { "X: y\r\n" } else { "To: b@c\r\n" });
        }
        message.push_str("\r\nbody\r\n");
        let more = ["BODY.PEEK[HEADER.FIELDS (X)]", "BODY.PEEK[HEADER.FIELDS.NOT (X TO)]"];
        self.appended_and_read("500,000 fields", message.as_bytes(), &more, tell)
    }

    /// A hundred and ten thousand levels of MIME, and a hundred thousand parts.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn structures(&self, tell: Tell<'_>) -> Result<(), ImapError> {
        for levels in [100, 10_000] {
            let mut nested = String::new();
            for level in 0..levels {
                nested.push_str(&format!(
                    "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
                ));
            }
            nested.push_str("\r\nthe innermost\r\n");
            let part = ["BODY.PEEK[1.1.1.1.1.1.1.1.1.1.1.1.1]"];
            let what = format!("{levels} levels of multipart");
            self.appended_and_read(&what, nested.as_bytes(), &part, tell)?;
            let messages = format!(
                "{}\r\nthe innermost\r\n",
                "Subject: outer\r\nContent-Type: message/rfc822\r\n\r\n".repeat(levels)
            );
            let part = ["BODY.PEEK[1.1.1.1.1.1.HEADER]"];
            let what = format!("{levels} levels of message/rfc822");
            self.appended_and_read(&what, messages.as_bytes(), &part, tell)?;
        }
        let parts = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n",
            "--b\r\n\r\nx\r\n".repeat(100_000)
        );
        self.appended_and_read("100,000 parts", parts.as_bytes(), &["BODY.PEEK[99999]"], tell)
    }

    /// Half a megabyte of combining marks behind one letter, of ligatures that grow when folded, and of
    /// syllables in pieces.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn characters(&self, tell: Tell<'_>) -> Result<(), ImapError> {
        for (what, begin, again) in [
            ("marks of one class", "a", "\u{301}"),
            ("marks of classes in falling order", "a", "\u{345}\u{301}\u{316}"),
            ("one ligature of 18 letters", "", "\u{fdfa}"),
            ("syllables in pieces", "", "\u{1112}\u{1161}\u{11ab}"),
            ("invisible characters", "a", "\u{200b}\u{ad}"),
        ] {
            let text = begin.to_owned() + &again.repeat(TEXT_OCTETS / again.len());
            let message = format!(
                "Subject: {}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n",
                text.chars().take(20_000).collect::<String>()
            );
            self.appended_and_read(what, message.as_bytes(), &[], tell)?;
        }
        Ok(())
    }

    /// Appends a message and asks for everything that is worked out from it.
    fn appended_and_read(
        &self,
        what: &str,
        message: &[u8],
        more: &[&str],
        tell: Tell<'_>,
    ) -> Result<(), ImapError> {
        let mut wire = self.sign_in()?;
        let dated = [(DATE.to_owned(), message.to_vec())];
        let exists = self.measured(&format!("{what}: APPEND"), tell, || {
            wire.append_pipelined("INBOX", &dated, 1)?;
            Ok(wire.command("SELECT INBOX", Keep::Lines)?.text)
        })?;
        let last = exists.lines().find_map(|line| line.strip_suffix(" EXISTS"));
        let last = last.map_or("*", |last| last.trim_start_matches("* ")).to_owned();
        let items = ["ENVELOPE", "BODYSTRUCTURE", "BODY", "BODY.PEEK[HEADER]", "BODY.PEEK[]"];
        for item in items.iter().chain(more) {
            self.measured(&format!("{what}: FETCH {item}"), tell, || {
                wire.command(&format!("FETCH {last} ({item})"), Keep::Nothing)
            })?;
        }
        self.measured(&format!("{what}: SEARCH"), tell, || {
            wire.command(&format!("SEARCH {last} OR HEADER X nothing TEXT nothing"), Keep::Nothing)
        })?;
        self.measured(&format!("{what}: SORT and THREAD"), tell, || {
            wire.command(&format!("SORT (SUBJECT) UTF-8 {last}"), Keep::Nothing)?;
            wire.command(&format!("THREAD REFERENCES UTF-8 {last}"), Keep::Nothing)
        })?;
        Ok(())
    }
}

/// User and system time of a process.
fn cpu(pid: u32) -> Result<Duration, ImapError> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // proc(5): utime and stime are the fields 14 and 15; the name, the second, ends here.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * MILLIS_PER_TICK))
}

fn status_kib(pid: u32, name: &str) -> Result<u64, ImapError> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    Ok(value.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0))
}
