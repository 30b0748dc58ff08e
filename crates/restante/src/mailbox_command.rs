//! `restante mailbox`: mailboxes as they are or were, and bringing back what is gone since.

use clap::Subcommand;
use mail_types::{AccountId, Address, MailboxId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{ActFilter, ActKind, Actor, Store};

use crate::cli::parse_time;
use crate::history::{account, told};
use crate::request::{Failure, Request};

/// Messages shown if not asked for more.
const SHOWN_DEFAULT: usize = 1000;

const EXAMPLES: &str = "\
Examples:
  restante mailbox list ann@example.org --at 2026-11-21T08:00Z
  restante mailbox show ann@example.org INBOX --at 2h
  restante mailbox restore ann@example.org INBOX --at 2h";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Mailbox {
    /// The mailboxes of an account
    List {
        /// Whose
        account: Address,
        /// As of then: 2026-11-21, 2026-11-21T15:00Z, or 2h (ago)
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// The messages of a mailbox
    Show {
        /// Whose
        account: Address,
        /// Its name then
        mailbox: String,
        /// As of then
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// At most so many, the latest (default 1000)
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Take back everything that was done to a mailbox since; what came since stays
    Restore {
        /// Whose
        account: Address,
        /// Its name then
        mailbox: String,
        /// As of then
        #[arg(long, value_name = "TIME")]
        at: String,
    },
}

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    List { account: Address, at: Option<i64> },
    Show { account: Address, mailbox: String, at: Option<i64>, count_max: Option<usize> },
    Restore { account: Address, mailbox: String, at: i64 },
}

impl Mailbox {
    pub fn request(self) -> anyhow::Result<Request> {
        let time = |text: Option<String>| text.as_deref().map(parse_time).transpose();
        let ask = match self {
            Self::List { account, at } => Ask::List { account, at: time(at)? },
            Self::Show { account, mailbox, at, limit } => {
                Ask::Show { account, mailbox, at: time(at)?, count_max: limit }
            }
            Self::Restore { account, mailbox, at } => {
                Ask::Restore { account, mailbox, at: parse_time(&at)? }
            }
        };
        Ok(Request::Mailbox { ask })
    }
}

/// The mailbox of this name, or the last one that had it.
pub fn find(store: &Store, account: AccountId, name: &str) -> Result<MailboxId, Failure> {
    let missing = || Failure {
        what: format!("there is no mailbox {name}, and was none"),
        mend: Some("restante mailbox list shows them".to_owned()),
    };
    store.last_mailbox_of_name(account, name)?.ok_or_else(missing)
}

fn find_at(
    store: &Store,
    account: AccountId,
    name: &str,
    at: Timestamp,
) -> Result<MailboxId, Failure> {
    let then = store.mailboxes_at(account, at)?;
    let found = then.into_iter().find(|mailbox| mailbox.name == name);
    found.map(|mailbox| mailbox.mailbox).ok_or_else(|| Failure {
        what: format!("there was no mailbox {name} at {at}"),
        mend: Some("restante mailbox list --at TIME shows those of then".to_owned()),
    })
}

pub fn perform(store: &Store, actor: &Actor, ask: Ask) -> Result<Value, Failure> {
    let now = net::now();
    let time = |at: Option<i64>| at.map_or(now, Timestamp);
    match ask {
        Ask::List { account: address, at } => {
            let owner = account(&store.directory(), &address)?;
            let then = store.mailboxes_at(owner, time(at))?;
            Ok(then
                .into_iter()
                .map(|mailbox| {
                    json!({
                        "mailbox": mailbox.name,
                        "messages": mailbox.messages,
                        "gone_since": mailbox.gone,
                    })
                })
                .collect())
        }
        Ask::Show { account: address, mailbox, at, count_max } => {
            let owner = account(&store.directory(), &address)?;
            let at = time(at);
            let mailbox = find_at(store, owner, &mailbox, at)?;
            show(store, owner, mailbox, at, count_max.unwrap_or(SHOWN_DEFAULT))
        }
        Ask::Restore { account: address, mailbox: name, at } => {
            let owner = account(&store.directory(), &address)?;
            let at = Timestamp(at);
            let mailbox = find_at(store, owner, &name, at)?;
            let filter = ActFilter {
                owner: Some(owner),
                mailbox: Some(mailbox),
                since: Some(Timestamp(at.0.saturating_add(1))),
                standing: true,
                ..ActFilter::default()
            };
            let mut acts = Vec::new();
            store.acts(&filter, &mut |act| {
                // What was brought into it stays; what was taken out of it comes back.
                let into = act.mailbox != Some(mailbox);
                if !into && !matches!(act.kind, ActKind::Appended | ActKind::Copied) {
                    acts.push(act.seq);
                }
                true
            })?;
            told(&store.undo(actor, Some(owner), &acts)?)
        }
    }
}

fn show(
    store: &Store,
    owner: AccountId,
    mailbox: MailboxId,
    at: Timestamp,
    max: usize,
) -> Result<Value, Failure> {
    let messages = store.mailbox_at(owner, mailbox, at)?;
    let first = messages.len().saturating_sub(max);
    let mut shown = Vec::with_capacity(messages.len() - first);
    for message in &messages[first..] {
        let facts = store.mail_facts(&[message.mail])?;
        let accepted = facts.first().map(|facts| store.accepted(facts)).transpose()?;
        let accepted = accepted.map(|(_, accepted)| accepted);
        shown.push(json!({
            "uid": message.uid.get(),
            "receipt": facts.first().map(|facts| facts.receipt.to_string()),
            "date": message.internal_date.to_string(),
            "from": accepted.as_ref().map(|accepted| accepted.reverse_path.to_string()),
            "subject": accepted.and_then(|accepted| accepted.subject),
            "flags": message.flags.as_ref().map(ToString::to_string),
            "bytes": message.bytes,
            "gone": message.gone.map(|(at, _)| at.to_string()),
            "act": message.gone.map(|(_, act)| act.0),
        }));
    }
    Ok(shown.into())
}
