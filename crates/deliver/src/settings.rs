use std::time::Duration;

use mail_types::{Address, Domain};
use route::{Inward, Own, Schedule};

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What EHLO says, and reports come from.
    pub hostname: Domain,
    /// In From of reports, with `<>` as envelope sender. Default: `postmaster@` the host name.
    pub report_from: Address,
    /// To notice mail that would come back to us. Default: the host name, no addresses.
    pub own: Own,
    /// Inward addresses that MX records may lead to. Default: none.
    pub inward: Inward,
    /// When to try again.
    pub schedule: Schedule,
    /// Port of other servers. Default: 25.
    pub port: u16,
    /// Connections to all destinations together. Default: 500.
    pub connections_max: usize,
    /// Connections to one destination. Default: 10.
    pub connections_per_destination_max: usize,
    /// Messages sent through one connection before it makes room for others. Default: 100.
    pub messages_per_connection: u32,
    /// What hosts bear, the first that fits counts. Default: none.
    pub host_limits: Vec<HostLimit>,
    /// For addresses of ours that are new. Default: none.
    pub warm_up: Option<WarmUp>,
    /// Recipients of one message in one transaction (RFC 5321 §4.5.3.1.8: 100 are always taken).
    /// Default: 100.
    pub recipients_per_transaction: usize,
    /// Hosts of a destination that are tried before its mail is put off. Default: 5.
    pub hosts_per_attempt: usize,
    /// An unused connection is kept so long for more mail. Default: 5 s.
    pub idle: Duration,
    /// For a connection to stand. Default: 30 s.
    pub connect_timeout: Duration,
    /// For the reply to a command (RFC 5321 §4.5.3.2). Default: 5 min.
    pub command_timeout: Duration,
    /// For the reply to the final dot (RFC 5321 §4.5.3.2.6; shorter makes duplicates). Default:
    /// 10 min.
    pub data_end_timeout: Duration,
    /// A host or a destination that could not be reached is left alone so long; mail for it is
    /// put off at once. Default: 1 min.
    pub unreachable_pause: Duration,
    /// Custodies in memory. Default: 10,000.
    pub items_max: usize,
    /// Custodies of one destination in memory. Default: 1,000.
    pub items_per_destination_max: usize,
    /// Attempts that one connection announces to the queue at once, so that one sync serves
    /// several. After a crash as many per connection count as uncertain. Default: 8.
    pub attempts_ahead: usize,
    /// Results that wait to be recorded while sending goes on. After a crash as many count as
    /// uncertain. Default: 256.
    pub results_max: usize,
    /// What is under way when a stop is asked for may take so long. Default: 20 s.
    pub grace: Duration,
    /// Octets of the message that a failure report returns; of a larger one only the header.
    /// Default: 256 KiB.
    pub report_returned_bytes_max: usize,
    /// Whether content goes in chunks where CHUNKING is offered (RFC 3030). Default: true.
    pub chunking: bool,
    /// Whether STARTTLS is used where it is offered. Default: true.
    pub starttls: bool,
    /// Whether TLSA records are heeded, where the resolver can prove them. Default: true.
    pub dane: bool,
}

/// What some hosts bear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLimit {
    /// A host name in lower case, or `*.` and the end of one.
    pub hosts: String,
    /// Connections to them, whatever domains they serve.
    pub connections: Option<usize>,
    /// Messages through one connection.
    pub messages: Option<u32>,
    /// Messages to them in a minute, whatever domains they serve.
    pub per_minute: Option<u32>,
    /// Messages to them in an hour.
    pub per_hour: Option<u32>,
}

/// How much an address of ours sends that the world does not know yet. Its first day is the first
/// on which it has sent anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmUp {
    /// Messages on its first day (UTC).
    pub first_day: u64,
    /// Each day has so many percent of the day before.
    pub growth_percent: u32,
    /// Once a day would have so many, nothing is limited any more.
    pub done_at: u64,
}

impl WarmUp {
    /// Messages on a day, the first being 0; `None` where they are not limited any more.
    #[must_use]
    pub fn messages_on(&self, day: i64) -> Option<u64> {
        let mut messages = self.first_day;
        // Ends: each day has at least one more.
        for _ in 0..day {
            if messages >= self.done_at {
                return None;
            }
            let grown = messages.saturating_mul(self.growth_percent.into()) / 100;
            messages = grown.max(messages + 1);
        }
        (messages < self.done_at).then_some(messages)
    }
}

impl HostLimit {
    /// Whether a host, in lower case, is meant.
    #[must_use]
    pub fn fits(&self, host: &str) -> bool {
        match self.hosts.strip_prefix('*') {
            Some(end) => host.ends_with(end),
            None => host == self.hosts,
        }
    }
}

impl Settings {
    /// All defaults.
    #[must_use]
    pub fn new(hostname: Domain, report_from: Address) -> Self {
        Self {
            own: Own { names: vec![hostname.clone()], addresses: Vec::new() },
            hostname,
            report_from,
            inward: Inward::default(),
            schedule: Schedule::default(),
            port: 25,
            connections_max: 500,
            connections_per_destination_max: 10,
            messages_per_connection: 100,
            host_limits: Vec::new(),
            warm_up: None,
            recipients_per_transaction: 100,
            hosts_per_attempt: 5,
            idle: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(30),
            command_timeout: Duration::from_secs(300),
            data_end_timeout: Duration::from_secs(600),
            unreachable_pause: Duration::from_secs(60),
            items_max: 10_000,
            items_per_destination_max: 1000,
            attempts_ahead: 8,
            results_max: 256,
            grace: Duration::from_secs(20),
            report_returned_bytes_max: 256 << 10,
            chunking: true,
            starttls: true,
            dane: true,
        }
    }
}
