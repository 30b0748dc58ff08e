//! What looking for mail whose time is over costs:
//! `cargo run --release -p store --example sweep_rate -- DIRECTORY [MESSAGES]`.
//!
//! Half of the messages lie in a mailbox, half were taken out of it. Shown are the first look behind a
//! start, the next one, that on the day when all of the second half go, and how long the longest
//! acceptance took that somebody waited for meanwhile: the writer is never held for long.

// It is there to print.
#![allow(clippy::print_stdout)]

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use mail_types::Timestamp;
use store::{
    Actor, Arrived, Credentials, Options, PurgeOutcome, Recipient, SessionActor, Source, Store, Via,
};

const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DAY_MILLIS: i64 = 86_400_000;
const OUTSTANDING: usize = 64;
const REMOVED_AT_ONCE: u32 = 1000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let root = args.next().ok_or("usage: sweep_rate DIRECTORY [MESSAGES]")?;
    let messages: usize = args.next().unwrap_or_else(|| "100000".to_owned()).parse()?;
    let now = Arc::new(AtomicI64::new(1_700_000_000_000));
    let clock = Arc::clone(&now);
    let read = Arc::new(move || Timestamp(clock.load(Ordering::Relaxed)));
    let (store, _) = Store::open(Path::new(&root), Options::new(read))?;
    let ann = populate(&store)?;
    let began = Instant::now();
    fill(&store, messages)?;
    let inbox = store.mailbox(ann, "INBOX")?.ok_or("no INBOX")?;
    let actor = SessionActor { account: ann, ip: None, via: Via::Imap, session: None };
    let half = u32::try_from(messages / 2)?;
    for first in (1..=half).step_by(REMOVED_AT_ONCE as usize) {
        let last = half.min(first + REMOVED_AT_ONCE - 1);
        store.remove(actor, inbox.id, vec![(first, last)]).wait()?;
    }
    println!("filled with {messages} messages in {:.1} s", began.elapsed().as_secs_f64());
    now.fetch_add(60 * DAY_MILLIS, Ordering::Relaxed);
    sweep(&store, "first look")?;
    sweep(&store, "next look")?;
    now.fetch_add(400 * DAY_MILLIS, Ordering::Relaxed);
    let ended = Arc::new(AtomicBool::new(false));
    let (taking, until) = (store.clone(), Arc::clone(&ended));
    let waited = std::thread::spawn(move || -> Result<(Duration, u32), Failure> {
        let (mut longest, mut count) = (Duration::ZERO, 0);
        while !until.load(Ordering::Acquire) {
            let began = Instant::now();
            taking.accept(arrived(&taking)?).wait()?;
            longest = longest.max(began.elapsed());
            count += 1;
        }
        Ok((longest, count))
    });
    sweep(&store, "half of them go")?;
    ended.store(true, Ordering::Release);
    let (longest, count) = waited.join().map_err(|_| "the thread that accepts has ended")??;
    let longest = longest.as_secs_f64() * 1000.0;
    println!("meanwhile {count} were accepted one by one, the longest in {longest:.1} ms");
    store.close();
    Ok(())
}

fn sweep(store: &Store, what: &str) -> Result<(), Failure> {
    let began = Instant::now();
    let outcome = store.purge_over(&Actor::Server, false, &|| true, &mut |_| {})?;
    let PurgeOutcome { purged, .. } = outcome;
    println!("{what}: {:.3} s, {purged} purged", began.elapsed().as_secs_f64());
    Ok(())
}

fn populate(store: &Store) -> Result<mail_types::AccountId, Failure> {
    let operator = || Actor::Operator { name: "root".to_owned() };
    store.add_domain(operator(), "example.org".parse()?).wait()?;
    let credentials = Credentials {
        argon2id: "$argon2id$".to_owned(),
        scram_salt: vec![1; 16],
        scram_iterations: 4096,
        scram_stored_key: [2; 32],
        scram_server_key: [3; 32],
    };
    Ok(store.add_account(operator(), "ann@example.org".parse()?, credentials).wait()?)
}

fn arrived(store: &Store) -> Result<Arrived, Failure> {
    let mut arrival = store.arrival();
    arrival.write(b"Subject: kept\r\n\r\n")?;
    arrival.write(&[b'x'; 2000])?;
    let source = Source::Smtp { ip: IP, helo: "mx.example.net".to_owned(), tls: None };
    let to = vec![Recipient::plain("ann@example.org".parse()?)];
    Ok(Arrived::plain(store.next_mail(), (Actor::Peer { ip: IP }, source), arrival.finish()?, to))
}

fn fill(store: &Store, messages: usize) -> Result<(), Failure> {
    let mut waiting = VecDeque::with_capacity(OUTSTANDING);
    for _ in 0..messages {
        if waiting.len() == OUTSTANDING
            && let Some(first) = waiting.pop_front()
        {
            store::Pending::wait(first)?;
        }
        waiting.push_back(store.accept(arrived(store)?));
    }
    for pending in waiting {
        pending.wait()?;
    }
    Ok(())
}
