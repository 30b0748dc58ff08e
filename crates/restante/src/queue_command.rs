//! `restante queue`: what waits, and what people do with it.

use std::time::Duration;

use clap::{Args, Subcommand};
use mail_types::{Address, CustodyId, Domain, MailId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{CustodyState, Pattern, Store, WaitingFilter};

use crate::request::{Failure, Request, Which};

#[derive(Debug, Subcommand)]
pub enum Queue {
    /// What waits or is held, by its next try
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most so many (default 1000)
        #[arg(long)]
        limit: Option<usize>,
    },
    /// The story of what waits: each attempt in the other server's words, and the next try
    Show {
        #[command(flatten)]
        filter: Filter,
        /// At most so many stories (default 100)
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Keep mail back until it is released
    Hold(Change),
    /// Let held mail go on, due as it was
    Release(Change),
    /// Try now
    Retry(Change),
    /// Send to another host, whatever routes and MX records say
    Reroute {
        /// HOST:PORT, or `none`: by routes and MX records again
        #[arg(long = "via", value_name = "HOST:PORT")]
        relay: String,
        #[command(flatten)]
        change: Change,
    },
    /// Send to another address; at once into its mailbox, where that is here
    EditRecipient {
        /// The right address
        #[arg(long = "into", value_name = "ADDRESS")]
        recipient: Address,
        #[command(flatten)]
        change: Change,
    },
    /// Hold, and purge after a time; until then it can be released or undone
    Purge {
        /// How long it can be had back
        #[arg(long, value_name = "TIME", default_value = "7d")]
        after: String,
        #[command(flatten)]
        change: Change,
    },
    /// Give back to the sender now; the reason is in the report
    Return(Change),
    /// Take back the last change, or the one with this number: what is still as it left it is again
    /// what it was
    Undo {
        /// As told by the command, and in traces
        change: Option<u64>,
        /// Why, for the record
        #[arg(long)]
        reason: Option<String>,
    },
    /// Send nothing to a domain, or to `all`, until `resume`
    Pause {
        /// A domain, or `all`
        destination: String,
        /// Why, for the record
        #[arg(long)]
        reason: Option<String>,
    },
    /// Send to a paused domain again, or to `all`
    Resume {
        /// A domain, or `all`
        destination: String,
    },
}

/// A change: of what, why, and whether really.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    filter: Filter,
    /// Why, for the record
    #[arg(long)]
    reason: Option<String>,
    /// Show what it would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is meant: everything given must hold.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
// A misspelt member would leave it out, and mean more than was asked.
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// `all`, a receipt, a Message-ID, an address (from or to), or a domain (to)
    which: Option<String>,
    /// To this address or domain
    #[arg(long, value_name = "ADDRESS|DOMAIN")]
    to: Option<String>,
    /// From this address or domain
    #[arg(long, value_name = "ADDRESS|DOMAIN")]
    from: Option<String>,
    /// Submitted by this account
    #[arg(long, value_name = "ADDRESS")]
    account: Option<Address>,
    /// Accepted longer ago than this: 2h, 3d
    #[arg(long, value_name = "TIME")]
    older_than: Option<String>,
    /// Accepted not longer ago than this
    #[arg(long, value_name = "TIME")]
    newer_than: Option<String>,
    /// Of at least this size: 5MiB
    #[arg(long, value_name = "SIZE")]
    larger_than: Option<String>,
    /// Of at most this size
    #[arg(long, value_name = "SIZE")]
    smaller_than: Option<String>,
    /// With this in the Subject
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// With this in the last reply or failure
    #[arg(long, value_name = "TEXT")]
    last_reply: Option<String>,
    /// Tried last at this host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Only what is held
    #[arg(long, conflicts_with = "queued")]
    held: bool,
    /// Only what is not held
    #[arg(long)]
    queued: bool,
    /// Only these recipients, by the numbers that `--json` lists as `custody`
    #[arg(long = "custody", value_name = "NUMBER")]
    custody: Vec<u64>,
}

/// What a change does, for the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    Hold,
    Release,
    Retry,
    Reroute { relay: Option<String> },
    EditRecipient { recipient: Address },
    Purge { after_secs: u64 },
    Return,
}

impl What {
    pub fn wish(&self) -> store::Wish {
        match self {
            Self::Hold => store::Wish::Hold(store::HeldBy::Operator),
            Self::Release => store::Wish::Release,
            Self::Retry => store::Wish::Retry,
            Self::Reroute { relay } => store::Wish::Reroute(relay.clone()),
            Self::EditRecipient { recipient } => store::Wish::EditRecipient(recipient.clone()),
            Self::Purge { after_secs } => store::Wish::Purge(Duration::from_secs(*after_secs)),
            Self::Return => store::Wish::Return,
        }
    }

    /// What was done, behind a number.
    /// What it is called.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Retry => "retry",
            Self::Reroute { .. } => "reroute",
            Self::EditRecipient { .. } => "edit recipient",
            Self::Purge { .. } => "purge",
            Self::Return => "return",
        }
    }

    pub const fn done(&self) -> &'static str {
        match self {
            Self::Hold => "held",
            Self::Release => "released",
            Self::Retry => "due now",
            Self::Reroute { .. } => "rerouted and due now",
            Self::EditRecipient { .. } => "readdressed, and due now or delivered",
            Self::Purge { .. } => "held until they are purged",
            Self::Return => "on their way back to the sender",
        }
    }
}

impl Queue {
    pub fn request(self) -> anyhow::Result<Request> {
        let change = |what: What, change: Change| {
            let Change { filter, reason, dry_run } = change;
            filter.check_says_which().map_err(|failure| anyhow::anyhow!(failure.what))?;
            Ok(Request::QueueChange { what, filter, reason, dry_run })
        };
        let destination = |text: String| -> anyhow::Result<Option<String>> {
            match text.as_str() {
                "all" | "*" => Ok(None),
                _ => Ok(Some(destination(&text).map_err(anyhow::Error::msg)?)),
            }
        };
        match self {
            Self::List { filter, limit } => Ok(Request::QueueList { filter, count_max: limit }),
            Self::Show { filter, limit } => Ok(Request::QueueShow { filter, count_max: limit }),
            Self::Hold(it) => change(What::Hold, it),
            Self::Release(it) => change(What::Release, it),
            Self::Retry(it) => change(What::Retry, it),
            Self::Reroute { relay, change: it } => {
                let relay = match relay.as_str() {
                    "none" => None,
                    text => Some(text.parse::<route::Relay>()?.to_string()),
                };
                change(What::Reroute { relay }, it)
            }
            Self::EditRecipient { recipient, change: it } => {
                change(What::EditRecipient { recipient }, it)
            }
            Self::Purge { after, change: it } => {
                let after = config::parse_duration(&after);
                let after = after.ok_or_else(|| anyhow::anyhow!("write --after like 7d or 12h"))?;
                change(What::Purge { after_secs: after.as_secs() }, it)
            }
            Self::Return(it) => change(What::Return, it),
            Self::Undo { change, reason } => Ok(Request::QueueUndo { change, reason }),
            Self::Pause { destination: to, reason } => {
                let destination = destination(to)?;
                Ok(Request::QueuePause { destination, paused: true, reason })
            }
            Self::Resume { destination: to } => {
                let destination = destination(to)?;
                Ok(Request::QueuePause { destination, paused: false, reason: None })
            }
        }
    }
}

impl Filter {
    /// Whether a recipient is one of those that are named, or none are.
    pub fn names(&self, custody: CustodyId) -> bool {
        self.custody.is_empty() || self.custody.contains(&custody.0)
    }

    /// As the store wants it.
    /// Nothing said is not everything: that is `all`.
    pub fn check_says_which(&self) -> Result<(), Failure> {
        if *self != Self::default() {
            return Ok(());
        }
        Err(wrong(
            "say which: `all`, a receipt, a Message-ID, an address, a domain, or options like \
             --from (see --help)"
                .to_owned(),
        ))
    }

    pub fn read(&self, store: &Store, now: Timestamp) -> Result<WaitingFilter, Failure> {
        let mut filter = WaitingFilter::default();
        if !self.custody.is_empty() {
            filter.custodies = Some(self.custody.iter().copied().map(CustodyId).collect());
        }
        match self.which.as_deref().map(Which::parse).transpose().map_err(wrong)? {
            None | Some(Which::All) => {}
            Some(Which::Mail { number, .. }) => filter.mail = Some(MailId(number)),
            Some(Which::MessageId(id)) => filter.message_id = Some(id),
            Some(Which::Address(address)) => {
                filter.either = Some(Pattern::Address(address.folded()));
            }
            Some(Which::Destination(domain)) => filter.recipient = Some(Pattern::Host(domain)),
        }
        if let Some(to) = &self.to {
            filter.recipient = Some(pattern(to)?);
        }
        filter.sender = self.from.as_deref().map(pattern).transpose()?;
        if let Some(address) = &self.account {
            let directory = store.directory();
            let account = directory.sign_in_name(&address.to_string()).map(|account| account.id);
            let missing = || wrong(format!("account {address} does not exist"));
            filter.account = Some(account.ok_or_else(missing)?);
        }
        let ago = |text: &String| {
            let ago = config::parse_duration(text);
            let ago = ago.ok_or_else(|| wrong(format!("“{text}” is no time: write 2h or 3d")))?;
            let millis = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            Ok::<_, Failure>(Timestamp(now.0.saturating_sub(millis)))
        };
        filter.accepted_before = self.older_than.as_ref().map(ago).transpose()?;
        filter.accepted_from = self.newer_than.as_ref().map(ago).transpose()?;
        let bytes = |text: &String| {
            let bytes = config::parse_bytes(text);
            bytes.ok_or_else(|| wrong(format!("“{text}” is no size: write 500KiB or 5MiB")))
        };
        filter.bytes_min = self.larger_than.as_ref().map(bytes).transpose()?;
        filter.bytes_max = self.smaller_than.as_ref().map(bytes).transpose()?;
        filter.subject.clone_from(&self.subject);
        filter.said.clone_from(&self.last_reply);
        filter.host.clone_from(&self.host);
        filter.state = match (self.held, self.queued) {
            (true, _) => Some(CustodyState::Held),
            (false, true) => Some(CustodyState::Queued),
            (false, false) => None,
        };
        Ok(filter)
    }
}

fn wrong(what: String) -> Failure {
    Failure { what, mend: None }
}

fn pattern(text: &str) -> Result<Pattern, Failure> {
    if let Ok(address) = Address::parse(text) {
        return Ok(Pattern::Address(address.folded()));
    }
    destination(text).map(Pattern::Host).map_err(wrong)
}

/// A domain or an address literal, as destinations are written.
fn destination(text: &str) -> Result<String, String> {
    if let Ok(address) = Address::parse(&format!("x@{text}")) {
        return Ok(address.host.to_string());
    }
    let domain = Domain::new(text.trim_start_matches('@'));
    domain.map(|domain| domain.as_str().to_owned()).map_err(|_| format!("“{text}” is no domain"))
}
