//! `drill load` and `drill imap`: the parts of the drills by hand, against any server.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::json;

use crate::imap::Imap;
use crate::load::{self, Load, SignIn};
use crate::random::Random;
use crate::server::doing;
use crate::{DrillError, console};

/// Options of `drill load`.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadArgs {
    /// Address and port of the SMTP or submission server
    #[arg(long)]
    pub server: SocketAddr,
    /// A recipient; may be repeated, they are taken round robin
    #[arg(long = "recipient", required = true)]
    pub recipients: Vec<String>,
    /// The sender
    #[arg(long, default_value = "load@load.invalid")]
    pub from: String,
    /// Signs in with this name
    #[arg(long, requires = "password")]
    pub user: Option<String>,
    /// and this password
    #[arg(long)]
    pub password: Option<String>,
    /// Connections at the same time
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
    /// Messages in all
    #[arg(long, default_value_t = 1_000)]
    pub messages: u64,
    /// Bytes of each message
    #[arg(long, default_value_t = 4_096)]
    pub bytes: usize,
    /// Share of the lines that are all alike, in percent
    #[arg(long, default_value_t = 50)]
    pub compressible: u8,
    /// Recipients of each message
    #[arg(long, default_value_t = 1)]
    pub fan_out: usize,
    /// Messages of each connection
    #[arg(long, default_value_t = 200)]
    pub per_connection: u64,
    /// Prints every receipt as it comes
    #[arg(long)]
    pub receipts: bool,
    /// Prints the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `drill imap`.
#[derive(Clone, Debug, clap::Args)]
pub struct ImapArgs {
    /// Address and port of the IMAP server
    #[arg(long)]
    pub server: SocketAddr,
    /// An account; may be repeated
    #[arg(long = "user", required = true)]
    pub users: Vec<String>,
    /// Their password
    #[arg(long)]
    pub password: String,
    /// The mailbox
    #[arg(long, default_value = "INBOX")]
    pub mailbox: String,
}

pub(crate) fn load(args: &LoadArgs) -> Result<bool, DrillError> {
    let mut plan = Load::new(args.server, args.recipients.clone());
    plan.connections = args.connections;
    plan.messages = args.messages;
    plan.message_bytes = args.bytes;
    plan.compressible_percent = args.compressible;
    plan.recipients_per_message = args.fan_out;
    plan.messages_per_connection = args.per_connection;
    plan.from.clone_from(&args.from);
    plan.run = Random::fresh_seed() as u32;
    if let (Some(user), Some(password)) = (&args.user, &args.password) {
        plan.sign_in = Some(SignIn { user: user.clone(), password: password.clone() });
    }
    let report: Option<load::Report> = args.receipts.then(|| {
        let report: load::Report = Box::new(|token, recipient: &str, answer: &str| {
            console::say(&format!("{token} {recipient} {answer}"));
        });
        report
    });
    let outcome = load::run(&plan, &Arc::new(AtomicBool::new(false)), report)
        .map_err(doing("running the load"))?;
    let millis = |share| outcome.latency.percentile(share).as_secs_f64() * 1000.0;
    if args.json {
        let value = json!({
            "messages": outcome.messages,
            "acknowledged": outcome.acknowledged.len(),
            "uncertain": outcome.uncertain.len(),
            "refused": outcome.refused.len(),
            "broken_connections": outcome.broken,
            "seconds": outcome.elapsed.as_secs_f64(),
            "per_second": outcome.per_second(),
            "latency_ms": { "p50": millis(0.5), "p99": millis(0.99), "max": millis(1.0) },
            "complaints": outcome.complaints,
        });
        console::say(&value.to_string());
    } else {
        console::say(&format!(
            "{} messages in {:.2} s: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms; \
             {} uncertain, {} refused, {} broken connections",
            outcome.messages,
            outcome.elapsed.as_secs_f64(),
            outcome.per_second(),
            millis(0.5),
            millis(0.99),
            millis(1.0),
            outcome.uncertain.len(),
            outcome.refused.len(),
            outcome.broken,
        ));
        let mut seen = HashSet::new();
        for complaint in outcome.complaints.iter().filter(|complaint| seen.insert(*complaint)) {
            console::note(complaint);
        }
    }
    Ok(outcome.uncertain.is_empty() && outcome.refused.is_empty() && outcome.broken == 0)
}

pub(crate) fn imap(args: &ImapArgs) -> Result<bool, DrillError> {
    let mut doubled = false;
    for user in &args.users {
        let mut imap = Imap::sign_in(args.server, user, &args.password, Duration::from_secs(60))?;
        let holding = imap.tokens(&args.mailbox)?;
        let twice = holding.tokens.values().filter(|count| **count > 1).count();
        doubled |= twice > 0;
        console::say(&format!(
            "{user} {}: {} messages, {} different tokens, {twice} doubled, {} without a token",
            args.mailbox,
            holding.messages,
            holding.tokens.len(),
            holding.foreign,
        ));
    }
    Ok(!doubled)
}
