//! How fast messages are read and searched, many at a time:
//! `cargo run --release -p store --example read_rate -- DIRECTORY [MESSAGES]`.
//!
//! 4 KiB bodies of words, in one mailbox; where the directory has none yet, they are accepted first.
//! Each pass is told with its wall time and the processor time of the whole process.

// It is there to print.
#![allow(clippy::print_stdout)]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mail_types::{Address, MailId, ReversePath, Timestamp};
use store::{
    Actor, Arrived, Credentials, Key, Keys, Options, Part, Recipient, Source, Store, Visit,
};

const BODY_BYTES: usize = 4096;
const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const IN_FLIGHT: usize = 256;
/// Messages in one question of IMAP's FETCH and SEARCH.
const FETCH_BATCH: usize = 1024;
const SEARCH_BATCH: usize = 16 * 1024;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let root = args.next().ok_or("usage: read_rate DIRECTORY [MESSAGES]")?;
    let messages: u64 = args.next().unwrap_or_else(|| "10000".to_owned()).parse()?;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let options = Options::new(Arc::new(move || Timestamp(i64::try_from(now()).unwrap_or(0))));
    let (store, started) = Store::open(Path::new(&root), options)?;
    if started.created {
        let begin = Pass::begin();
        fill(&store, messages)?;
        begin.told("accepted", messages);
        store.wait_extracted();
        begin.told("accepted and extracted", messages);
    }
    store.wait_extracted();
    let mails: Vec<MailId> = (1..=messages).map(MailId).collect();
    for _ in 0..3 {
        passes(&store, &mails)?;
    }
    told_memory()?;
    store.close();
    Ok(())
}

fn passes(store: &Store, mails: &[MailId]) -> Result<(), Failure> {
    let count = mails.len() as u64;
    for (name, part) in [("ENVELOPE", Part::Envelope), ("BODYSTRUCTURE", Part::BodyStructure)] {
        let begin = Pass::begin();
        let mut out = Vec::new();
        for mails in mails.chunks(FETCH_BATCH) {
            out.clear();
            store.heads(mails, |_, head| {
                out.extend_from_slice(head.map(|head| head.part(part)).unwrap_or_default());
                Visit::GoOn
            })?;
        }
        begin.told(name, count);
    }
    let begin = Pass::begin();
    let mut out = Vec::new();
    let mut bytes = 0;
    for mails in mails.chunks(256) {
        out.clear();
        store.bodies(mails, |_, body| {
            out.extend_from_slice(body.unwrap_or_default());
            Visit::GoOn
        })?;
        bytes += out.len();
    }
    begin.told(&format!("BODY.PEEK[] ({} MB)", bytes / 1_000_000), count);
    let searches = [
        ("SEARCH TEXT absent", Key::Text("zyzzyva".to_owned())),
        ("SEARCH TEXT few", Key::Text(format!("needle {}", count / 2))),
        (
            "SEARCH SUBJECT",
            Key::Header { name: "subject".to_owned(), text: "letter 17".to_owned() },
        ),
    ];
    for (name, key) in searches {
        let begin = Pass::begin();
        let keys = Keys::new([key]);
        let mut found = 0;
        for mails in mails.chunks(SEARCH_BATCH) {
            let bits = store.search(mails, &keys)?;
            if bits.len() != mails.len() {
                println!("not all is extracted");
            }
            found += bits.iter().filter(|bits| **bits != 0).count();
        }
        begin.told(&format!("{name}: {found} found"), count);
    }
    println!();
    Ok(())
}

/// A stretch of time.
struct Pass {
    wall: Instant,
    cpu_ticks: u64,
}

/// Clock ticks of `/proc/self/stat`, as Linux has them everywhere.
const TICKS_PER_SEC: u64 = 100;

impl Pass {
    fn begin() -> Self {
        Self { wall: Instant::now(), cpu_ticks: cpu_ticks() }
    }

    fn told(&self, what: &str, messages: u64) {
        let wall = self.wall.elapsed().as_secs_f64();
        let cpu_ms = (cpu_ticks() - self.cpu_ticks) * 1000 / TICKS_PER_SEC;
        println!("{what}: {messages} in {:.1} ms wall, about {cpu_ms} ms CPU", wall * 1000.0);
    }
}

fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    behind_name.split(' ').skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum()
}

fn told_memory() -> Result<(), Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let lines =
        status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    lines.for_each(|line| println!("{line}"));
    Ok(())
}

fn fill(store: &Store, messages: u64) -> Result<(), Failure> {
    let actor = || Actor::Operator { name: "root".to_owned() };
    store.add_domain(actor(), "example.org".parse()?).wait()?;
    let credentials = Credentials {
        argon2id: String::new(),
        scram_salt: vec![1; 16],
        scram_iterations: 4096,
        scram_stored_key: [2; 32],
        scram_server_key: [3; 32],
    };
    store.add_account(actor(), Address::parse("ann@example.org")?, credentials).wait()?;
    let mut random = 88_172_645_463_325_252;
    let mut pending = std::collections::VecDeque::new();
    for number in 0..messages {
        pending.push_back(store.accept(letter(store, number, &mut random)?));
        if pending.len() >= IN_FLIGHT
            && let Some(first) = pending.pop_front()
        {
            first.wait()?;
        }
    }
    for rest in pending {
        rest.wait()?;
    }
    Ok(())
}

fn letter(store: &Store, number: u64, random: &mut u64) -> Result<Arrived, Failure> {
    const WORDS: [&str; 16] = [
        "meeting",
        "quarterly",
        "report",
        "please",
        "find",
        "attached",
        "invoice",
        "the",
        "of",
        "tomorrow",
        "schedule",
        "budget",
        "review",
        "team",
        "project",
        "and",
    ];
    let mut text = format!(
        "Received: from mx.example.net (mx.example.net [192.0.2.7]) by mail.example.org with ESMTPS\r\n\
         \tid {number:x}; Sun, 22 Nov 2026 00:00:00 +0000\r\nMessage-ID: <{number}@example.net>\r\n\
         Date: Sun, 22 Nov 2026 00:00:00 +0000\r\nFrom: \"Eve Example\" <eve@example.net>\r\n\
         To: Ann <ann@example.org>\r\nSubject: letter {number}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nneedle {number}\r\n"
    );
    while text.len() < BODY_BYTES {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        text.push_str(WORDS[(*random % 16) as usize]);
        let number = (*random >> 8) % 65_536;
        text.push_str(&match *random >> 60 {
            0 => "\r\n".to_owned(),
            1..=5 => format!(" {number:x} "),
            _ => " ".to_owned(),
        });
    }
    let mut arrival = store.arrival();
    arrival.write(text.as_bytes())?;
    let recipient = Recipient {
        address: Address::parse("ann@example.org")?,
        notify: None,
        original_recipient: None,
    };
    Ok(Arrived {
        mail: store.next_mail(),
        actor: Actor::Peer { ip: IP },
        source: Source::Smtp { ip: IP, helo: "mx.example.net".to_owned(), tls: None },
        reverse_path: ReversePath::Address(Address::parse("eve@example.net")?),
        envelope_id: None,
        return_headers_only: None,
        eight_bit: false,
        smtp_utf8: false,
        requires_tls: false,
        body: arrival.finish()?,
        message_id: Some(format!("{number}@example.net")),
        subject: Some(format!("letter {number}")),
        recipients: vec![recipient],
    })
}
