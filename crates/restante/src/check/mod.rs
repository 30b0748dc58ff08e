//! `restante check`: what the checks of a sender come to, asked for by hand. Needs no server and no
//! data directory; changes nothing.

mod dmarc;
mod message;
mod spf;

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use net::{Authority, NameServer, Resolver, ResolverSettings};
use sender_auth::Outcome;

use crate::data_dir::DataDir;
use crate::show;

#[derive(Debug, Subcommand)]
pub enum Check {
    /// May this address send for that domain (SPF, RFC 7208)?
    ///
    /// The first line begins with the result: none, neutral, pass, fail, softfail, temperror or
    /// permerror; its reason follows in parentheses. The exit code is 0 whatever the result is.
    #[command(after_help = spf::EXAMPLES)]
    Spf(spf::Spf),
    /// Are the signatures of this message good (DKIM, RFC 6376)?
    ///
    /// The first line begins with the result for the whole message: none, pass, fail, policy,
    /// temperror or permerror, then its reason in parentheses. A line for each signature follows.
    /// The exit code is 0 whatever the result is.
    #[command(after_help = message::EXAMPLES)]
    Dkim(message::Message),
    /// Does the Authenticated Received Chain of this message hold (ARC, RFC 8617)?
    ///
    /// The first line begins with the result: none, pass, fail or temperror, then its reason in
    /// parentheses. A line for each set follows. The exit code is 0 whatever the result is.
    #[command(after_help = message::EXAMPLES)]
    Arc(message::Message),
    /// Does the domain in From stand behind this message (DMARC, RFC 9989)?
    ///
    /// The first line begins with the result: none, pass, fail, temperror or permerror; its reason
    /// follows in parentheses, then the policy, and what SPF and DKIM said. The exit code is 0
    /// whatever the result is.
    #[command(after_help = dmarc::EXAMPLES)]
    Dmarc(dmarc::Dmarc),
}

/// Who sends.
#[derive(Debug, Args)]
pub struct Client {
    /// The client's IP address
    #[arg(long)]
    ip: IpAddr,
    /// What the client says in HELO or EHLO
    #[arg(long, default_value = "unknown", required_unless_present = "mail_from")]
    helo: String,
    /// The address in MAIL FROM; "" or "<>" for the null reverse-path
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    mail_from: String,
    /// Our own name, which a domain's explanation may mention
    #[arg(long, default_value = "unknown")]
    receiver: String,
}

/// Whom to ask.
#[derive(Debug, Args)]
pub struct Asking {
    /// The DNS server to ask; without it, the one of the settings, or of the system
    #[arg(long, value_name = "IP:PORT")]
    resolver: Option<SocketAddr>,
    /// Give up after so many seconds of looking up
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

pub fn check(data: &DataDir, command: &Check, json: bool) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Check::Spf(args) => spf::spf(data, args, json).await,
            Check::Dmarc(args) => dmarc::dmarc_of(data, args, json).await,
            Check::Dkim(args) => message::dkim(data, args, json).await,
            Check::Arc(args) => message::arc(data, args, json).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

impl Client {
    /// MAIL FROM without angle brackets.
    fn reverse_path(&self) -> &str {
        let bare = self.mail_from.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
        bare.unwrap_or(&self.mail_from)
    }

    fn session(&self) -> sender_auth::SpfSession<'_> {
        sender_auth::SpfSession {
            ip: self.ip,
            helo: &self.helo,
            mail_from: self.reverse_path(),
            receiver: &self.receiver,
            now_secs: net::now().millis() / 1000,
        }
    }
}

impl Asking {
    /// Answers for one message. Must run within tokio.
    pub fn authority(&self, data: &DataDir) -> anyhow::Result<Authority> {
        let resolver = self.resolver(data)?;
        Ok(Authority::new(resolver, Duration::from_secs(self.timeout)))
    }

    /// Whom to ask. Must run within tokio.
    pub fn resolver(&self, data: &DataDir) -> anyhow::Result<Arc<Resolver>> {
        let mut settings = ResolverSettings::default();
        let of_settings = || match data.config().ok()?.dns.resolver {
            config::Resolver::System => None,
            config::Resolver::Server(server) => Some(server),
        };
        settings.servers = self.resolver.or_else(of_settings).map(NameServer).into_iter().collect();
        settings.deadline = Duration::from_secs(self.timeout);
        settings.attempt = settings.attempt.min(settings.deadline);
        let resolver = Resolver::new(&settings).context("no DNS server can be asked")?;
        Ok(Arc::new(resolver))
    }
}

/// The result word first, then the reason; with `--json`, these and more facts.
fn print(outcome: &Outcome, lines: &[String], mut facts: serde_json::Value, json: bool) {
    if json {
        facts["result"] = outcome.verdict.as_str().into();
        facts["reason"] = outcome.reason().into();
        show::line(&facts.to_string());
        return;
    }
    show::line(&outcome.to_string());
    for line in lines {
        show::line(line);
    }
}
