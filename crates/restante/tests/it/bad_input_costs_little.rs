//! Hostile IMAP: patterns, searches, headers and structures that want to be dear, clients that never
//! end and clients that do not read. Each costs the server a bounded time and 64 MiB.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use drill::hostile::{Cost, Tell, Victim};
use drill::imap::ImapError;
use drill::imap_wire::{ImapWire, Keep};

use crate::harness::{ALICE, BOB, House, LIMIT, PASSWORD};

/// Of one abuse. Tests run unoptimised code, some ten times as slow, on machines of any speed: this
/// finds what runs away. `xtask bench --only hostile` holds the release to the real limits.
const CPU_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 90 } else { 10 });
const GROWTH_KIB_MAX: u64 = 64 << 10;
/// What a connection may send before it has signed in.
const UNKNOWN_OCTETS_MAX: usize = 256 << 10;

fn is_little(cost: &Cost) {
    assert!(cost.cpu <= CPU_MAX, "{cost:?}");
    assert!(cost.growth_kib <= GROWTH_KIB_MAX, "{cost:?}");
}

fn victim(house: &House) -> Victim {
    Victim {
        pid: house.pid(),
        imap: house.address(143),
        user: ALICE.to_owned(),
        password: PASSWORD.to_owned(),
    }
}

fn abused(house: &House, abuse: fn(&Victim, Tell<'_>) -> Result<(), ImapError>) {
    let mut costs = 0;
    abuse(&victim(house), &mut |cost| {
        is_little(&cost);
        costs += 1;
    })
    .unwrap();
    assert!(costs > 3);
}

#[test]
fn wild_patterns_on_ten_thousand_folders() {
    abused(&House::new(), Victim::patterns);
}

#[test]
fn a_search_of_ten_thousand_terms() {
    let house = House::new();
    house.fill(ALICE, "INBOX", 1, 50);
    abused(&house, Victim::searches);
}

#[test]
fn half_a_million_header_fields() {
    abused(&House::new(), Victim::headers);
}

#[test]
fn a_hundred_and_ten_thousand_levels_of_mime() {
    abused(&House::new(), Victim::structures);
}

#[test]
fn characters_that_want_to_be_looked_up() {
    abused(&House::new(), Victim::characters);
}

#[test]
fn before_sign_in_a_quarter_of_a_mebibyte_is_the_end() {
    let house = House::new();
    let told = &mut |cost: Cost| is_little(&cost);
    victim(&house)
        .measured("what came before sign-in", told, || {
            sends_too_much(&house);
            Ok(())
        })
        .unwrap();
}

fn sends_too_much(house: &House) {
    let line = vec![b'x'; 1 << 16];
    let literals = b"a LOGIN {999999999+}\r\n".to_vec();
    let commands = b"a NOOP\r\n".repeat(1 << 13);
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
}

/// Twenty programs ask for eighty megabytes each and read nothing.
#[test]
fn who_does_not_read_keeps_no_one_else_waiting() {
    let house = House::new();
    house.fill(ALICE, "INBOX", 1, 1_000);
    let mut other = house.wire(BOB);
    let told = &mut |cost: Cost| assert!(cost.growth_kib <= GROWTH_KIB_MAX, "{cost:?}");
    let abuse = || Ok(wait_for_nothing(&house, &mut other));
    let mut stuck = victim(&house).measured("who does not read", told, abuse).unwrap();
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

fn wait_for_nothing(house: &House, other: &mut ImapWire) -> Vec<TcpStream> {
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
    stuck
}
