//! Asking for stories among ten million records: how long the whole command takes, through the
//! control socket of the real server.
//!
//! The records are written by the store itself, without a network, so that there are as many in some
//! minutes: each message is accepted, offered to a host and taken by it, three records.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use drill::console;
use drill::random::Random;
use drill::server::Installation;
use mail_types::{
    AccountId, Address, Path as Way, Peer, Phase, PhaseName, Reply, ReversePath, Timestamp,
};
use serde::Serialize;
use serde_json::Value;
use store::{
    Actor, Arrived, Outcome, Pending, Receipt, Recipient, Settled, Source, Store, Try, Via,
};

use super::{Bench, BenchError};

/// Records, unless `--records` says otherwise.
pub const RECORDS: u64 = 10_000_000;
/// Of each message.
const RECORDS_EACH: u64 = 3;
/// Messages whose acceptance is waited for together.
const AT_A_TIME: u64 = 1000;
/// Senders, hosts of recipients, and addresses that mail is brought from: each has as many messages
/// as people would look through.
const MESSAGES_OF_EACH: u64 = 20;
/// Messages that are asked for later.
const SAMPLES: u64 = 300;
/// What runs behind the acceptance of all of them is done within this, or is measured beside.
const WAIT: Duration = Duration::from_secs(1800);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// One way to ask.
#[derive(Debug, Serialize)]
pub struct Asked {
    by: &'static str,
    /// Stories in an answer, on average.
    stories: f64,
    median_ms: f64,
    p99_ms: f64,
    worst_ms: f64,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Results {
    records: u64,
    written_per_second: f64,
    start_ms: f64,
    /// Nothing else was done meanwhile: all was extracted and searchable.
    quiet: bool,
    asked: Vec<Asked>,
    /// Of all of them together.
    p99_ms: f64,
}

/// What is known of a message that is asked for.
struct Sample {
    number: u64,
    receipt: String,
    accepted: Timestamp,
}

pub fn measure(bench: &Bench<'_>) -> Result<Results, BenchError> {
    let directory = bench.directory.join("trace");
    std::fs::create_dir_all(&directory).map_err(BenchError::io("making a directory"))?;
    let installation = Installation::init(&bench.binary, &directory, 1)?;
    let messages = (bench.scaled(bench.args.records) / RECORDS_EACH).max(AT_A_TIME);
    let began = Instant::now();
    let samples = write(&installation.data, messages)
        .map_err(|error| BenchError::Peer(format!("writing the records: {error}")))?;
    let records = messages * RECORDS_EACH;
    let written_per_second = records as f64 / began.elapsed().as_secs_f64();
    console::note(&format!("{records} records written, {written_per_second:.0}/s"));
    let mut running = installation.spawn()?;
    let start_ms = running.wait_ready()?.as_secs_f64() * 1000.0;
    let quiet = is_quiet(&installation, messages)?;
    let mut all = Vec::new();
    let mut asked = Vec::new();
    for (by, words) in WAYS {
        asked.push(ask(&installation, by, words, &samples, &mut all)?);
    }
    running.stop()?;
    let p99_ms = share(&mut all, 0.99);
    Ok(Results { records, written_per_second, start_ms, quiet, asked, p99_ms })
}

/// How people ask, by name.
type Words = fn(&Sample) -> Vec<String>;

const WAYS: [(&str, Words); 6] = [
    ("receipt", |one| vec![one.receipt.clone()]),
    ("Message-ID", |one| vec!["--message-id".to_owned(), message_id(one.number)]),
    ("recipient", |one| vec!["--to".to_owned(), recipient(one.number)]),
    ("sender", |one| vec!["--from".to_owned(), sender(one.number)]),
    ("remote host", |one| vec!["--host".to_owned(), brought_by(one.number).to_string()]),
    ("time", |one| {
        let until = one.accepted.after(Duration::from_secs(1));
        let span = ["--since", &one.accepted.to_string(), "--until", &until.to_string()];
        span.into_iter().chain(["--limit", "20"]).map(str::to_owned).collect()
    }),
];

fn message_id(number: u64) -> String {
    format!("{number}.story@drill.test")
}

fn recipient(number: u64) -> String {
    format!("reader{number}@{}", host(number))
}

fn host(number: u64) -> String {
    format!("h{}.far.test", number / MESSAGES_OF_EACH)
}

fn sender(number: u64) -> String {
    format!("box1+{}@drill.test", number / MESSAGES_OF_EACH)
}

fn brought_by(number: u64) -> Ipv4Addr {
    let place = u32::try_from(number / MESSAGES_OF_EACH).unwrap_or(0);
    Ipv4Addr::from_bits(0x0A00_0000 | place & 0x00FF_FFFF)
}

type Failure = Box<dyn std::error::Error>;

fn write(data: &Path, messages: u64) -> Result<Vec<Sample>, Failure> {
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(0))
    };
    let (store, _) = Store::open(data, store::Options::new(Arc::new(now)))?;
    let account = store.directory().accounts().first().map(|account| account.id);
    let account = account.ok_or("the installation has no account")?;
    let mut samples = Vec::new();
    let mut random = Random::new(1);
    let wanted: BTreeSet<u64> = (0..SAMPLES).map(|_| random.below(messages)).collect();
    let mut settling: VecDeque<Pending<()>> = VecDeque::new();
    for first in (0..messages).step_by(AT_A_TIME as usize) {
        let last = (first + AT_A_TIME).min(messages);
        let mut accepting: Vec<(u64, Pending<Receipt>)> = Vec::new();
        for number in first..last {
            accepting.push((number, store.accept(arrived(&store, account, number)?)));
        }
        for (number, pending) in accepting {
            let receipt = pending.wait()?;
            if wanted.contains(&number) {
                let (receipt, accepted) = (receipt.id().to_string(), receipt.at());
                samples.push(Sample { number, receipt, accepted });
            }
        }
        let (items, _) = store.take_due(Timestamp(i64::MAX), AT_A_TIME as usize, &|_| false)?;
        for item in items {
            let peer = peer(&item.recipient.host.to_string());
            drop(store.begin_attempts(vec![item.custody], peer.clone()));
            let reply = Reply::new(250, None, "2.0.0 kept");
            let outcome = Outcome::Relayed { reply, report: None, may_be_duplicate: false };
            let peer = Some(peer);
            let settled = Settled { custody: item.custody, peer, outcome, reported: false };
            settling.push_back(store.settle(vec![settled], vec![tried(now())], None));
        }
        while settling.len() > AT_A_TIME as usize
            && let Some(oldest) = settling.pop_front()
        {
            oldest.wait()?;
        }
    }
    for pending in settling {
        pending.wait()?;
    }
    store.close();
    Ok(samples)
}

fn arrived(store: &Store, account: AccountId, number: u64) -> Result<Arrived, Failure> {
    let (from, to, id) = (sender(number), recipient(number), message_id(number));
    let mut arrival = store.arrival();
    let text = format!(
        "Return-Path: <{from}>\r\nFrom: {from}\r\nTo: {to}\r\nSubject: story {number}\r\n\
         Message-ID: <{id}>\r\n\r\nIt goes to {to}.\r\n"
    );
    arrival.write(text.as_bytes())?;
    let ip = IpAddr::V4(brought_by(number));
    Ok(Arrived {
        mail: store.next_mail(),
        actor: Actor::Account { account, ip: Some(ip), via: Via::Submission },
        source: Source::Submission { account, ip, tls: Some("TLS1.3".to_owned()) },
        reverse_path: ReversePath::Address(Address::parse(&from)?),
        envelope_id: None,
        return_headers_only: None,
        eight_bit: false,
        smtp_utf8: false,
        requires_tls: false,
        body: arrival.finish()?,
        message_id: Some(id),
        subject: Some(format!("story {number}")),
        recipients: vec![Recipient {
            address: Address::parse(&to)?,
            notify: None,
            original_recipient: None,
        }],
    })
}

fn peer(host: &str) -> Peer {
    Peer {
        host: format!("mx.{host}"),
        ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        port: 25,
        tls: Some("TLS1.3 TLS_AES_256_GCM_SHA384".to_owned()),
        tls_verified: true,
        tls_failure: None,
    }
}

fn tried(begun: Timestamp) -> Try {
    let phase = |name, code, text: &str| Phase {
        name,
        reply: Some(Reply::new(code, None, text)),
        millis: 20,
    };
    Try {
        begun,
        path: Way::Direct,
        peer: None,
        preference: Some(10),
        source: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2))),
        policy: "opportunistic".to_owned(),
        policy_said: None,
        before: 0,
        phases: vec![
            phase(PhaseName::Mail, 250, "2.1.0 ok"),
            phase(PhaseName::Rcpt, 250, "2.1.5 ok"),
            phase(PhaseName::Dot, 250, "2.0.0 kept"),
        ],
    }
}

/// Waits until nothing is left to be made of the messages; false where that takes too long.
fn is_quiet(installation: &Installation, messages: u64) -> Result<bool, BenchError> {
    let deadline = Instant::now() + WAIT;
    while Instant::now() < deadline {
        let text = installation.checked(&["search", "--json"])?;
        let last = text.lines().last().unwrap_or_default();
        let end = serde_json::from_str::<Value>(last).unwrap_or_default();
        if end["end"]["searchable"].as_u64() >= Some(messages) {
            return Ok(true);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(false)
}

fn ask(
    installation: &Installation,
    by: &'static str,
    words: Words,
    samples: &[Sample],
    all: &mut Vec<f64>,
) -> Result<Asked, BenchError> {
    let (mut times, mut stories) = (Vec::new(), 0);
    for sample in samples {
        let words = words(sample);
        let mut command = vec!["trace", "--json"];
        command.extend(words.iter().map(String::as_str));
        let began = Instant::now();
        let text = installation.checked(&command)?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        let told = serde_json::from_str::<Value>(&text).unwrap_or_default();
        let count = told.as_array().map_or(0, Vec::len);
        if count == 0 {
            let what = format!("no story by {by}: {words:?}");
            return Err(BenchError::Peer(what));
        }
        stories += count;
    }
    all.extend(&times);
    Ok(Asked {
        by,
        stories: stories as f64 / samples.len().max(1) as f64,
        median_ms: share(&mut times, 0.5),
        p99_ms: share(&mut times, 0.99),
        worst_ms: share(&mut times, 1.0),
    })
}

/// The least time that this share of them does not exceed.
fn share(times: &mut [f64], share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let place = (times.len() as f64 * share).ceil() as usize;
    times.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

pub fn table(results: &Results) -> String {
    let mut text = format!(
        "stories among {} records (written {:.0}/s; start in {:.0} ms){}\n  p99 of all {:.1} ms\n",
        results.records,
        results.written_per_second,
        results.start_ms,
        if results.quiet { "" } else { ", while they were still being made searchable" },
        results.p99_ms,
    );
    for asked in &results.asked {
        // Writing to a String does not fail.
        writeln!(
            text,
            "  {:>7.1} ms median, {:>7.1} ms p99, {:>7.1} ms worst, {:>5.1} stories: by {}",
            asked.median_ms, asked.p99_ms, asked.worst_ms, asked.stories, asked.by,
        )
        .ok();
    }
    text
}
