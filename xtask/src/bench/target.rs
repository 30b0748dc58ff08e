//! A server that is measured, ours or a peer, and the measurements that work on any.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use drill::imap::Imap;
use drill::load::{self, Load, Outcome, SignIn};
use drill::random::Random;
use drill::sink::Sink;
use serde::Serialize;

use super::BenchError;
use super::meter::{Device, MemoryWatch, Usage};

/// All the mail of one cell must be delivered within this.
const DELIVERED_WAIT: Duration = Duration::from_secs(600);
const DELIVERED_PAUSE: Duration = Duration::from_millis(50);
const ANSWER_WAIT: Duration = Duration::from_secs(120);

/// Where to send, where to look, whose cost to count.
pub struct Target {
    pub name: String,
    pub smtp: SocketAddr,
    pub submission: SocketAddr,
    pub imap: SocketAddr,
    pub pop3: SocketAddr,
    /// IMAP over TLS, where it is measured.
    pub imaps: Option<SocketAddr>,
    /// `smtp` speaks LMTP (RFC 2033).
    pub is_lmtp: bool,
    pub accounts: Vec<String>,
    pub password: String,
    /// Whether relaying needs a sign-in.
    pub signs_in: bool,
    pub processes: Vec<u32>,
    /// What it writes to, where that is counted.
    pub device: Option<Device>,
}

/// One measured load.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    pub what: String,
    pub message_bytes: usize,
    pub connections: usize,
    pub messages: u64,
    /// Until the last one was in its mailbox (or at the sink).
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Of the server's processes.
    pub cpu_ms_per_message: f64,
    pub written_kib_per_message: f64,
    /// What reached the device, of the server or anybody else.
    pub device_kib_per_message: Option<f64>,
    pub memory_most_mib: f64,
    /// Messages a second within each slice, where slices were asked for.
    pub slices_per_second: Vec<f64>,
}

impl Target {
    /// A load to these mailboxes, until every message is visible over IMAP.
    pub fn deliver(&self, what: &str, load: &Load) -> Result<Cell, BenchError> {
        let before = self.stored(&load.recipients)?;
        self.measure(what, load, |accepted| {
            let deadline = Instant::now() + DELIVERED_WAIT;
            while self.stored(&load.recipients)? < before + accepted {
                if Instant::now() > deadline {
                    return Err(BenchError::NotDelivered);
                }
                std::thread::sleep(DELIVERED_PAUSE);
            }
            Ok(())
        })
    }

    /// A load to another server, until the sink has every message.
    pub fn relay(&self, load: &Load, sink: &Sink) -> Result<Cell, BenchError> {
        let before = sink.messages();
        self.measure("relayed", load, |accepted| {
            if sink.wait_for(before + accepted, DELIVERED_WAIT) {
                Ok(())
            } else {
                Err(BenchError::NotDelivered)
            }
        })
    }

    /// A load to another server, until it is all acknowledged.
    pub fn submit(&self, what: &str, load: &Load) -> Result<Cell, BenchError> {
        self.measure(what, load, |_| Ok(()))
    }

    fn measure(
        &self,
        what: &str,
        load: &Load,
        delivered: impl FnOnce(u64) -> Result<(), BenchError>,
    ) -> Result<Cell, BenchError> {
        let on_device = |device: &Device| {
            device.written_bytes().map_err(BenchError::io("looking at the device"))
        };
        let device_before = self.device.as_ref().map(on_device).transpose()?;
        let watch = MemoryWatch::start(&self.processes);
        let before = Usage::of(&self.processes);
        let started = Instant::now();
        let outcome = load::run(load, &Arc::new(AtomicBool::new(false)), None)
            .map_err(BenchError::io("running a load"))?;
        check(&outcome, load)?;
        let accepted_after = outcome.elapsed;
        delivered(outcome.messages)?;
        // Where the mail was there with the last reply, the look at it does not count as time.
        let looked = started.elapsed().saturating_sub(accepted_after);
        let elapsed = if looked < DELIVERED_PAUSE { accepted_after } else { started.elapsed() };
        let used = Usage::of(&self.processes).since(before);
        let device_after = self.device.as_ref().map(on_device).transpose()?;
        let messages = outcome.messages as f64;
        let device_kib = device_after
            .zip(device_before)
            .map(|(after, before)| after.saturating_sub(before) as f64 / 1024.0 / messages);
        let millis = |share| outcome.latency.percentile(share).as_secs_f64() * 1000.0;
        Ok(Cell {
            what: what.to_owned(),
            message_bytes: load.message_bytes,
            connections: load.connections,
            messages: outcome.messages,
            per_second: messages / elapsed.as_secs_f64(),
            p50_ms: millis(0.5),
            p99_ms: millis(0.99),
            cpu_ms_per_message: used.cpu_ms as f64 / messages,
            written_kib_per_message: used.written_bytes as f64 / 1024.0 / messages,
            device_kib_per_message: device_kib,
            memory_most_mib: watch.most_kib() as f64 / 1024.0,
            slices_per_second: slices(&outcome, load),
        })
    }

    /// A load of `messages` over `connections` to these accounts (indices from 0).
    pub fn load(&self, accounts: std::ops::Range<usize>, shape: Shape) -> Load {
        let mut load = Load::new(self.smtp, self.accounts[accounts].to_vec());
        load.connections = shape.connections;
        load.messages = shape.messages;
        load.message_bytes = shape.message_bytes;
        load.messages_per_connection = 1_000;
        load.run = Random::fresh_seed() as u32;
        load
    }

    /// The same to another server.
    pub fn relay_load(&self, shape: Shape) -> Load {
        let mut load = self.load(0..1, shape);
        load.server = self.submission;
        load.recipients = (1..=8).map(|number| format!("far{number}@sink.test")).collect();
        load.from.clone_from(&self.accounts[0]);
        load.sign_in = self
            .signs_in
            .then(|| SignIn { user: self.accounts[0].clone(), password: self.password.clone() });
        load
    }

    /// Fetches an item of all messages of an account's inbox: messages and MiB per second.
    pub fn fetch(&self, account: usize, item: &str) -> Result<(f64, f64), BenchError> {
        let mut imap = self.sign_in(&self.accounts[account])?;
        imap.examine("INBOX")?;
        let started = Instant::now();
        let (messages, bytes) = imap.fetch(item, &mut |_| ())?;
        let seconds = started.elapsed().as_secs_f64();
        Ok((messages as f64 / seconds, bytes as f64 / f64::from(1 << 20) / seconds))
    }

    fn stored(&self, accounts: &[String]) -> Result<u64, BenchError> {
        accounts.iter().map(|account| Ok(self.sign_in(account)?.examine("INBOX")?)).sum()
    }

    fn sign_in(&self, account: &str) -> Result<Imap, BenchError> {
        Ok(Imap::sign_in(self.imap, account, &self.password, ANSWER_WAIT)?)
    }
}

/// How large, how many, how parallel.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub connections: usize,
    pub messages: u64,
    pub message_bytes: usize,
}

fn check(outcome: &Outcome, load: &Load) -> Result<(), BenchError> {
    if outcome.messages == load.messages {
        return Ok(());
    }
    let why = outcome.complaints.first().cloned().unwrap_or_default();
    Err(BenchError::NotAccepted { accepted: outcome.messages, sent: load.messages, why })
}

fn slices(outcome: &Outcome, load: &Load) -> Vec<f64> {
    let mut last = Duration::ZERO;
    let mut rates = Vec::with_capacity(outcome.slices.len());
    for &end in &outcome.slices {
        rates.push(load.slice_messages as f64 / (end - last).as_secs_f64());
        last = end;
    }
    rates
}
