//! Hostile IMAP: patterns, searches, headers and structures that want to be dear, clients that never
//! end and clients that do not read. Each costs at most a second of the server's CPU and 64 MiB.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use drill::imap_wire::Keep;

use crate::harness::{ALICE, BOB, House, LIMIT, PASSWORD};

/// Of one abuse. Tests run unoptimised code, which takes some ten times as long.
const CPU_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
const GROWTH_KIB_MAX: u64 = 64 << 10;
/// proc(5): every Linux of today has 100 clock ticks a second for /proc.
const MILLIS_PER_TICK: u64 = 10;
/// What a connection may send before it has signed in.
const UNKNOWN_OCTETS_MAX: usize = 256 << 10;
/// An account has at most 10,000 mailboxes, and is made with some.
const FOLDERS: usize = 9_990;

/// What the server has used since.
struct Cost {
    pid: u32,
    cpu: Duration,
    memory_kib: u64,
}

impl Cost {
    fn from_now(house: &House) -> Self {
        let pid = house.pid();
        // proc(5): 5 sets the peak of the resident memory to what it is now.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        Self { pid, cpu: cpu(pid), memory_kib: status_kib(pid, "VmRSS:") }
    }

    fn is_little(&self, what: &str) {
        let used = cpu(self.pid) - self.cpu;
        assert!(used <= CPU_MAX, "{what}: {used:?} of CPU");
        let growth = status_kib(self.pid, "VmHWM:").saturating_sub(self.memory_kib);
        assert!(growth <= GROWTH_KIB_MAX, "{what}: {growth} KiB more");
    }
}

fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    // proc(5): utime and stime are the fields 14 and 15; the name, the second, ends here.
    let ticks =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
    Duration::from_millis(ticks.sum::<u64>() * MILLIS_PER_TICK)
}

fn status_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    value.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn wild_patterns_on_ten_thousand_folders() {
    let house = House::new();
    let mut wire = house.wire(ALICE);
    let mut commands = String::new();
    for number in 0..FOLDERS {
        commands
            .push_str(&format!("c CREATE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/b{number}\r\n"));
    }
    wire.write(commands.as_bytes()).unwrap();
    // Their answers stand before this one's and have another tag.
    wire.command("NOOP", Keep::Nothing).unwrap();
    for pattern in [
        "*%*%*%*%*%*%*%*%*%*%*%*%*%*%*%*%*%*%*%*q".to_owned(),
        "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*q".to_owned(),
        format!("{}q", "*%".repeat(400)),
        "%/%".to_owned(),
    ] {
        let cost = Cost::from_now(&house);
        match wire.command(&format!("LIST \"\" \"{pattern}\""), Keep::Nothing) {
            Ok(answer) if pattern == "%/%" => assert_eq!(answer.untagged, FOLDERS as u64),
            Ok(answer) => assert_eq!(answer.untagged, 0),
            Err(refused) => assert!(pattern.len() > 255, "{refused}"),
        }
        cost.is_little(&pattern);
    }
}

#[test]
fn a_search_of_ten_thousand_terms() {
    let house = House::new();
    house.fill(ALICE, "INBOX", 1, 50);
    let mut wire = house.wire(ALICE);
    wire.command("SELECT INBOX", Keep::Nothing).unwrap();
    let many = |term: &str| vec![term; 10_000].join(" ");
    for search in [
        format!("SEARCH {}", many("NOT 7:9")),
        format!("SEARCH {}", many("BODY abc")),
        format!("SEARCH {}", many("FROM a")),
        format!("SEARCH {} ALL", many("OR ALL")),
        format!("SEARCH {}ALL{}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("SEARCH {}", many("NOT")),
        format!("SEARCH UID {}", vec!["1:*"; 10_000].join(",")),
    ] {
        let cost = Cost::from_now(&house);
        // Whether it is too much or not: there is an answer, and the session goes on.
        let answer = wire.command(&search, Keep::Nothing);
        cost.is_little(&search[..24]);
        drop(answer);
        wire.command("NOOP", Keep::Nothing).unwrap();
    }
}

#[test]
fn half_a_million_header_fields() {
    let house = House::new();
    let mut message = String::from("Subject: many\r\nFrom: a@outside.test\r\n");
    for number in 0..500_000 {
        message.push_str(if number % 2 == 0 { "X: y\r\n" } else { "To: b@c\r\n" });
    }
    message.push_str("\r\nbody\r\n");
    appended_and_read(
        &house,
        &message,
        &["BODY.PEEK[HEADER.FIELDS (X)]", "BODY.PEEK[HEADER.FIELDS.NOT (X TO)]"],
    );
}

#[test]
fn a_hundred_and_ten_thousand_levels_of_mime() {
    let house = House::new();
    for levels in [100, 10_000] {
        let mut nested = String::new();
        for level in 0..levels {
            nested.push_str(&format!(
                "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
            ));
        }
        nested.push_str("\r\nthe innermost\r\n");
        appended_and_read(&house, &nested, &["BODY.PEEK[1.1.1.1.1.1.1.1.1.1.1.1.1]"]);
        let messages = format!(
            "{}\r\nthe innermost\r\n",
            "Subject: outer\r\nContent-Type: message/rfc822\r\n\r\n".repeat(levels)
        );
        appended_and_read(&house, &messages, &["BODY.PEEK[1.1.1.1.1.1.HEADER]"]);
    }
    let parts = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n",
        "--b\r\n\r\nx\r\n".repeat(100_000)
    );
    appended_and_read(&house, &parts, &["BODY.PEEK[99999]"]);
}

/// Appends a message and asks for everything that is worked out from it.
fn appended_and_read(house: &House, message: &str, more: &[&str]) {
    let mut wire = house.wire(ALICE);
    let cost = Cost::from_now(house);
    let dated = ("22-Nov-2026 10:00:00 +0000".to_owned(), message.as_bytes().to_vec());
    wire.append_pipelined("INBOX", &[dated], 1).unwrap();
    let exists = wire.command("SELECT INBOX", Keep::Lines).unwrap().text;
    cost.is_little("APPEND");
    let last = exists.lines().find_map(|line| line.strip_suffix(" EXISTS")).unwrap();
    let last = last.trim_start_matches("* ").to_owned();
    let items = ["ENVELOPE", "BODYSTRUCTURE", "BODY", "BODY.PEEK[HEADER]", "BODY.PEEK[]"];
    for item in items.iter().chain(more) {
        let cost = Cost::from_now(house);
        wire.command(&format!("FETCH {last} ({item})"), Keep::Nothing).unwrap();
        cost.is_little(item);
    }
    let cost = Cost::from_now(house);
    wire.command("SEARCH OR HEADER X nothing TEXT nothing", Keep::Nothing).unwrap();
    cost.is_little("SEARCH");
}

#[test]
fn before_sign_in_a_quarter_of_a_mebibyte_is_the_end() {
    let house = House::new();
    let line = vec![b'x'; 1 << 16];
    let literals = b"a LOGIN {999999999+}\r\n".to_vec();
    let commands = b"a NOOP\r\n".repeat(1 << 13);
    let cost = Cost::from_now(&house);
    for (what, piece, begin) in [
        ("an endless line", &line, &b""[..]),
        ("an endless literal", &line, &literals[..]),
        ("endless commands", &commands, &b""[..]),
    ] {
        let stream = TcpStream::connect(house.address(143)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        let mut reader = stream.try_clone().unwrap();
        // It must be told, and cut off: reading ends.
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            let ended = reader.read_to_end(&mut all);
            (String::from_utf8_lossy(&all).into_owned(), ended.map_err(|error| error.kind()))
        });
        let mut writer = &stream;
        let mut taken = 0;
        let mut going = writer.write_all(begin);
        while going.is_ok() && taken < 64 * UNKNOWN_OCTETS_MAX {
            going = writer.write_all(piece);
            taken += piece.len();
        }
        assert!(going.is_err(), "{what}: {taken} octets were taken");
        let (said, ended) = reading.join().unwrap();
        assert!(
            !matches!(ended, Err(std::io::ErrorKind::WouldBlock)),
            "{what}: not cut off: {said}"
        );
    }
    cost.is_little("what came before sign-in");
}

/// Twenty programs ask for eighty megabytes each and read nothing.
#[test]
fn who_does_not_read_keeps_no_one_else_waiting() {
    let house = House::new();
    house.fill(ALICE, "INBOX", 1, 1_000);
    let mut other = house.wire(BOB);
    let cost = Cost::from_now(&house);
    let mut stuck = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(house.address(143)).unwrap();
        let commands = format!("a LOGIN {ALICE} \"{PASSWORD}\"\r\nb SELECT INBOX\r\n");
        stream.write_all(commands.as_bytes()).unwrap();
        stream.write_all("c FETCH 1:* (BODY.PEEK[])\r\n".repeat(20).as_bytes()).unwrap();
        stuck.push(stream);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let started = Instant::now();
        other.command("NOOP", Keep::Nothing).unwrap();
        slowest = slowest.max(started.elapsed());
    }
    assert!(slowest < Duration::from_secs(5), "a NOOP took {slowest:?}");
    let growth = status_kib(house.pid(), "VmHWM:").saturating_sub(cost.memory_kib);
    assert!(growth <= GROWTH_KIB_MAX, "{growth} KiB for those who do not read");
    // And who reads at last gets everything.
    let mut first = stuck.remove(0);
    drop(stuck);
    first.set_read_timeout(Some(LIMIT)).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut read = 0;
    while read < 30 << 20 {
        let count = first.read(&mut buffer).unwrap();
        assert!(count > 0, "closed after {read} octets");
        read += count;
    }
}
