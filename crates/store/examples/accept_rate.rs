//! How fast the store accepts, and how fast it starts:
//! `cargo run --release -p store --example accept_rate -- DIRECTORY [MESSAGES]`.
//!
//! 4 KiB bodies over 8 mailboxes, with 1 and with 64 answers outstanding; then as many messages as
//! asked for, a process that ends without closing (as after kill -9). With 0 messages it shows the
//! time of a start, with `verify` or `rebuild` in their place the time and memory of those.

// It is there to print.
#![allow(clippy::print_stdout)]

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mail_types::{Address, ReversePath, Timestamp};
use store::{Actor, Arrived, Credentials, Options, Recipient, Source, Store};

const BODY_BYTES: usize = 4096;
const MAILBOXES: usize = 8;
const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let root = args.next().ok_or("usage: accept_rate DIRECTORY [MESSAGES]")?;
    let root = Path::new(&root);
    let what = args.next().unwrap_or_else(|| "20000".to_owned());
    let start = Instant::now();
    match what.as_str() {
        "verify" => {
            let scratch = root.join("scratch");
            std::fs::create_dir_all(&scratch)?;
            let report = store::verify(root, &scratch, &mut |_| {})?;
            println!("verify: {} records, {} violations", report.records, report.violations_count);
            return told(start);
        }
        "rebuild" => {
            let (records, _) = store::rebuild(root, journal::Options::default())?;
            println!("rebuild: {records} records");
            return told(start);
        }
        _ => {}
    }
    let messages: usize = what.parse()?;
    let (store, started) = Store::open(root, options())?;
    println!(
        "start: {:.3} s, {} records replayed, created: {}",
        start.elapsed().as_secs_f64(),
        started.replayed,
        started.created
    );
    if started.created {
        populate(&store)?;
    }
    if messages > 0 {
        measure(&store, 1, (messages / 10).min(2000))?;
        measure(&store, 64, messages)?;
    }
    // Ends as kill -9 would: nothing is closed.
    std::process::exit(0)
}

/// Time since `start`, and the most memory that was in use.
fn told(start: Instant) -> Result<(), Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{:.1} s, {peak}", start.elapsed().as_secs_f64());
    Ok(())
}

fn options() -> Options {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Options::new(Arc::new(move || Timestamp(i64::try_from(now()).unwrap_or(0))))
}

fn populate(store: &Store) -> Result<(), Failure> {
    let actor = || Actor::Operator { name: "root".to_owned() };
    store.add_domain(actor(), "example.org".parse()?).wait()?;
    for number in 0..MAILBOXES {
        let credentials = Credentials {
            argon2id: String::new(),
            scram_salt: Vec::new(),
            scram_iterations: 4096,
            scram_stored_key: [0; 32],
            scram_server_key: [0; 32],
        };
        store.add_account(actor(), recipient(number)?, credentials).wait()?;
    }
    Ok(())
}

fn recipient(number: usize) -> Result<Address, Failure> {
    Ok(Address::parse(&format!("user{}@example.org", number % MAILBOXES))?)
}

fn measure(store: &Store, outstanding: usize, messages: usize) -> Result<(), Failure> {
    let text: String = (0..BODY_BYTES).map(|i| char::from(32 + (i * i % 95) as u8)).collect();
    let (wall, writer) = (Instant::now(), writer_cpu());
    let mut bodies = Duration::ZERO;
    let mut waiting = VecDeque::with_capacity(outstanding);
    for number in 0..messages {
        if waiting.len() == outstanding
            && let Some(oldest) = waiting.pop_front()
        {
            store::Pending::wait(oldest)?;
        }
        let begun = Instant::now();
        let arrived = arrived(store, number, &text)?;
        bodies += begun.elapsed();
        waiting.push_back(store.accept(arrived));
    }
    for pending in waiting {
        pending.wait()?;
    }
    let wall = wall.elapsed().as_secs_f64();
    let count = messages as f64;
    println!(
        "{outstanding:>3} outstanding: {:>7.0} accepts/s, writer {:>5.1} µs CPU each, body {:>5.1} µs each",
        count / wall,
        (writer_cpu() - writer) * 1e6 / count,
        bodies.as_secs_f64() * 1e6 / count,
    );
    Ok(())
}

fn arrived(store: &Store, number: usize, text: &str) -> Result<Arrived, Failure> {
    let message_id = format!("{number}.{}@example.net", store.next_mail());
    let mut arrival = store.arrival();
    arrival.write(format!("Message-ID: <{message_id}>\r\n\r\n").as_bytes())?;
    arrival.write(text.as_bytes())?;
    Ok(Arrived {
        mail: store.next_mail(),
        actor: Actor::Peer { ip: IP },
        source: Source::Smtp { ip: IP, helo: "mx.example.net".to_owned(), tls: None },
        reverse_path: ReversePath::Address(Address::parse("sender@example.net")?),
        envelope_id: None,
        return_headers_only: None,
        eight_bit: false,
        smtp_utf8: false,
        requires_tls: false,
        body: arrival.finish()?,
        message_id: Some(message_id),
        subject: Some("a measurement".to_owned()),
        recipients: vec![Recipient {
            address: recipient(number)?,
            notify: None,
            original_recipient: None,
        }],
    })
}

/// Seconds of CPU of the writer's thread so far; 0 where the system does not tell.
fn writer_cpu() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for thread in threads {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // pid (name) state ppid ...: utime and stime are fields 14 and 15.
        if let Some((_, rest)) = stat.split_once("(store-writer) ") {
            let field = |at: usize| rest.split(' ').nth(at).and_then(|n| n.parse::<f64>().ok());
            return (field(11).unwrap_or(0.0) + field(12).unwrap_or(0.0)) / TICKS_PER_SECOND;
        }
    }
    0.0
}
