//! `restante retention`, `restante hold` and `restante purge`: how long mail is kept that nobody has
//! any more, what keeps it longer, and how it goes for good.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};

use clap::{Args, Subcommand};
use mail_types::{AccountId, Address, Domain, MailId, ReceiptId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{
    Actor, Directory, Due, HoldKnown, Keep, Kept, LegalHold, PurgeOutcome, PurgeRule, RetentionOf,
    RetentionRule, Store,
};

use crate::cli::parse_time;
use crate::history::accounts_ever;
use crate::jobs::{Watch, ended_early};
use crate::request::{Failure, Request, did};
use crate::tongue::{Language, say};

/// What is due that a trial run lists if not asked for more.
const LISTED_DEFAULT: usize = 100;
/// A year, so that no leap day makes it shorter than it should be.
const DAYS_PER_YEAR: u64 = 366;
const DAY_SECS: u64 = 86_400;

const RETENTION_EXAMPLES: &str = "\
Examples:
  restante retention show
  restante retention set example.org --keep 7y
  restante retention set ann@example.org --keep forever --spam 90d
  restante retention set ann@example.org --keep default

Mail that lies in a mailbox is kept for as long as it lies there. The time counts from when nobody
has it any more; of several people's mail, the longest time counts.";

const HOLD_EXAMPLES: &str = "\
Examples:
  restante hold add case-17 --account ann@example.org --reason 'court order 17/2026'
  restante hold add case-17 --account bob@example.org --from 2025-01-01 --to 2026-01-01 --reason ...
  restante hold remove case-17 --reason 'case closed'
  restante hold list";

const PURGE_EXAMPLES: &str = "\
Examples:
  restante purge --dry-run                what is over its time, and would go now
  restante purge                          let it go now (the server does so by itself)
  restante purge r2k-9f86d081 --reason 'erasure asked for on 2026-11-20'

What is purged cannot be had back. Its record and story stay, and say who purged it and why.";

#[derive(Debug, Subcommand)]
#[command(after_help = RETENTION_EXAMPLES)]
pub enum Retention {
    /// How long mail is kept, and for whom it is another time
    Show,
    /// Set it for a domain or an account
    Set {
        /// A domain or an address
        #[arg(value_name = "DOMAIN|ACCOUNT")]
        of: String,
        /// 90d, 7y (of 366 days), forever, or default
        #[arg(long, value_parser = parse_keep)]
        keep: Option<KeepWord>,
        /// The same for what was judged to be junk
        #[arg(long, value_parser = parse_keep)]
        spam: Option<KeepWord>,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_help = HOLD_EXAMPLES)]
pub enum HoldCommand {
    /// Keep all mail of accounts, whatever else says that it may go
    Add {
        /// What it is called
        name: String,
        /// Whose mail; may be given several times
        #[arg(long = "account", value_name = "ADDRESS", required = true)]
        accounts: Vec<Address>,
        /// Accepted at this time or later
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Accepted before this time
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// End it, for all its accounts or one
    Remove {
        /// What it is called
        name: String,
        /// For this account only
        #[arg(long, value_name = "ADDRESS")]
        account: Option<Address>,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Those in force
    List {
        /// Those that are over, too
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = PURGE_EXAMPLES)]
pub struct Purge {
    /// This message; without one, everything that is over its time
    receipt: Option<ReceiptId>,
    /// Why
    #[arg(long, requires = "receipt")]
    reason: Option<String>,
    /// Take it out of the mailboxes it lies in as well
    #[arg(long, requires = "receipt")]
    from_mailboxes: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Show what is over its time, and change nothing
    #[arg(long, conflicts_with = "receipt")]
    dry_run: bool,
    /// List at most so many (default 100)
    #[arg(long, requires = "dry_run")]
    limit: Option<usize>,
}

/// How long something is kept, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepWord {
    Secs(u64),
    Forever,
    Default,
}

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    Retention,
    SetRetention {
        of: String,
        keep: Option<KeepWord>,
        spam: Option<KeepWord>,
    },
    AddHold {
        name: String,
        accounts: Vec<Address>,
        from: Option<i64>,
        until: Option<i64>,
        reason: String,
    },
    RemoveHold {
        name: String,
        account: Option<Address>,
        reason: String,
    },
    Holds {
        all: bool,
    },
    Over {
        dry_run: bool,
        count_max: Option<usize>,
    },
    Purge {
        mail: u64,
        check: u32,
        reason: String,
        take_out: bool,
    },
}

/// A time as people write it.
pub fn parse_keep(text: &str) -> Result<KeepWord, String> {
    let years = text.strip_suffix('y').and_then(|years| years.trim().parse::<u64>().ok());
    let years = years.and_then(|years| years.checked_mul(DAYS_PER_YEAR * DAY_SECS));
    match (text, years, config::parse_duration(text)) {
        ("forever", ..) => Ok(KeepWord::Forever),
        ("default", ..) => Ok(KeepWord::Default),
        (_, Some(secs), _) => Ok(KeepWord::Secs(secs)),
        (_, None, Some(time)) if time.as_secs() > 0 => Ok(KeepWord::Secs(time.as_secs())),
        (_, None, _) => Err("write a time like 90d or 7y, forever, or default".to_owned()),
    }
}

impl KeepWord {
    const fn keep(self) -> Option<Keep> {
        match self {
            Self::Secs(secs) => Some(Keep::Secs(secs)),
            Self::Forever => Some(Keep::Forever),
            Self::Default => None,
        }
    }
}

impl Retention {
    pub fn request(self) -> anyhow::Result<Request> {
        let ask = match self {
            Self::Show => Ask::Retention,
            Self::Set { of, keep, spam } => {
                anyhow::ensure!(keep.is_some() || spam.is_some(), "say --keep or --spam");
                Ask::SetRetention { of, keep, spam }
            }
        };
        Ok(Request::Archive { ask })
    }
}

impl HoldCommand {
    pub fn request(self) -> anyhow::Result<Request> {
        let time = |text: Option<String>| text.as_deref().map(parse_time).transpose();
        let ask = match self {
            Self::Add { name, accounts, from, to, reason } => {
                Ask::AddHold { name, accounts, from: time(from)?, until: time(to)?, reason }
            }
            Self::Remove { name, account, reason } => Ask::RemoveHold { name, account, reason },
            Self::List { all } => Ask::Holds { all },
        };
        Ok(Request::Archive { ask })
    }
}

impl Purge {
    pub fn request(self) -> anyhow::Result<Request> {
        let Some(receipt) = self.receipt else {
            let (dry_run, count_max) = (self.dry_run, self.limit);
            return Ok(Request::Archive { ask: Ask::Over { dry_run, count_max } });
        };
        let reason = self.reason.ok_or_else(|| anyhow::anyhow!("say why: --reason '...'"))?;
        if !self.yes {
            confirm(&format!(
                "Purge {receipt} for good? It cannot be had back. Type yes to do it."
            ))?;
        }
        let (mail, check, take_out) = (receipt.mail.0, receipt.check, self.from_mailboxes);
        Ok(Request::Archive { ask: Ask::Purge { mail, check, reason, take_out } })
    }
}

fn confirm(question: &str) -> anyhow::Result<()> {
    anyhow::ensure!(std::io::stdin().is_terminal(), "nobody is there to confirm it: add --yes");
    crate::show::note(question);
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    anyhow::ensure!(answer.trim() == "yes", "nothing was done");
    Ok(())
}

pub fn perform(store: &Store, actor: &Actor, ask: Ask) -> Result<Value, Failure> {
    let directory = store.directory();
    match ask {
        Ask::Retention => show_retention(store),
        Ask::SetRetention { of, keep, spam } => {
            let whose = retention_of(store, &of)?;
            let (rules, _) = store.retention()?;
            let known = rules.into_iter().find(|rule| rule.of == whose);
            let mut rule = known.unwrap_or(RetentionRule { of: whose, keep: None, spam: None });
            rule.keep = keep.map_or(rule.keep, KeepWord::keep);
            rule.spam = spam.map_or(rule.spam, KeepWord::keep);
            let (keep, spam) = (told(rule.keep), told(rule.spam));
            store.set_retention(actor.clone(), rule).wait()?;
            Ok(did(format!("mail of {of} is kept: {keep}; junk: {spam}")))
        }
        Ask::AddHold { name, accounts, from, until, reason } => {
            let one = |account| LegalHold {
                name: name.clone(),
                account,
                from: from.map(Timestamp),
                until: until.map(Timestamp),
                reason: reason.clone(),
            };
            let mut holds = Vec::new();
            for address in &accounts {
                holds.extend(accounts_ever(store, address, true)?.into_iter().map(one));
            }
            store.add_holds(actor.clone(), holds).wait()?;
            let whose: Vec<String> = accounts.iter().map(ToString::to_string).collect();
            Ok(did(format!("hold {name} keeps the mail of {}", whose.join(", "))))
        }
        Ask::RemoveHold { name, account: address, reason } => {
            let whose = address.map(|address| accounts_ever(store, &address, false)).transpose()?;
            let whose = whose.and_then(|whose| whose.first().copied());
            let count = store.end_holds(actor.clone(), name.clone(), whose, reason).wait()?;
            Ok(did(format!("hold {name} is over for {count} accounts")))
        }
        Ask::Holds { all } => {
            let (_, holds) = store.retention()?;
            let shown = holds.iter().filter(|known| all || known.ended.is_none());
            Ok(shown.map(|known| hold_view(known, &directory)).collect())
        }
        Ask::Over { dry_run, count_max } => over(store, actor, dry_run, count_max),
        Ask::Purge { mail, check, reason, take_out } => {
            let receipt = ReceiptId { mail: MailId(mail), check };
            let known = store.mail_facts(&[receipt.mail])?;
            if known.first().is_none_or(|facts| facts.receipt != receipt) {
                let mend = Some("restante trace shows receipts".to_owned());
                return Err(Failure { what: format!("there is no message {receipt}"), mend });
            }
            let bytes = store.purge(actor, receipt.mail, reason, take_out)?;
            let size = config::format_bytes(bytes);
            Ok(did(format!("{receipt} is purged: {size}, gone for good; its record stays")))
        }
    }
}

fn show_retention(store: &Store) -> Result<Value, Failure> {
    let default = store.retention_default();
    let (rules, _) = store.retention()?;
    let directory = store.directory();
    let time = |time| format!("{} (settings)", config::format_duration(time));
    let mut shown = vec![json!({
        "of": crate::narrow::EVERYBODY,
        "keep": time(default.keep),
        "spam": time(default.spam),
    })];
    let set = rules.iter().filter(|rule| rule.keep.is_some() || rule.spam.is_some());
    shown.extend(set.map(|rule| {
        json!({
            "of": whose(&rule.of, &directory),
            "keep": told(rule.keep),
            "spam": told(rule.spam),
        })
    }));
    Ok(shown.into())
}

/// Lets go what is over its time, or shows it.
fn over(
    store: &Store,
    actor: &Actor,
    dry_run: bool,
    count_max: Option<usize>,
) -> Result<Value, Failure> {
    if !dry_run {
        return purge_over(store, actor, &Watch::default());
    }
    let directory = store.directory();
    let max = count_max.unwrap_or(LISTED_DEFAULT);
    let mut listed = Vec::new();
    let mut by_rule: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let outcome = store.purge_over(actor, true, &|| true, &mut |due: &Due| {
        let (messages, bytes) =
            by_rule.entry(rule_words(&due.rule, &directory, Language::English)).or_default();
        (*messages, *bytes) = (*messages + 1, *bytes + due.bytes);
        if listed.len() < max {
            listed.push(json!({
                "receipt": due.receipt.to_string(),
                "accepted": due.accepted.to_string(),
                "nobody_has_it_since": due.last_at.to_string(),
                "bytes": due.bytes,
                "rule": rule_words(&due.rule, &directory, Language::English),
            }));
        }
    })?;
    let PurgeOutcome { purged, bytes, on_hold, damaged } = outcome;
    let by_rule: Vec<Value> = by_rule
        .into_iter()
        .map(|(rule, (messages, bytes))| {
            json!({ "rule": rule, "messages": messages, "bytes": bytes })
        })
        .collect();
    Ok(json!({
        "due": purged,
        "bytes": bytes,
        "on_hold": on_hold,
        "damaged": damaged,
        "by_rule": by_rule,
        "first": listed,
    }))
}

/// Lets go what is over its time while it goes on.
pub fn purge_over(store: &Store, actor: &Actor, watch: &Watch) -> Result<Value, Failure> {
    let mut done = 0;
    let PurgeOutcome { purged, bytes, on_hold, damaged } =
        store.purge_over(actor, false, &|| watch.go_on(), &mut |_| {
            done += 1;
            watch.done(done);
        })?;
    let size = config::format_bytes(bytes);
    let mut text = format!("{purged} messages purged, {size}");
    if on_hold > 0 {
        text.push_str(&format!("; {on_hold} kept by legal holds"));
    }
    if damaged > 0 {
        text.push_str(&format!("; {damaged} stay, whose records cannot be read"));
    }
    let mut answer = json!({
        "did": text,
        "purged": purged,
        "bytes": bytes,
        "on_hold": on_hold,
        "damaged": damaged,
    });
    if watch.is_cancelled() {
        ended_early(&mut answer, 0, "messages");
    }
    Ok(answer)
}

fn retention_of(store: &Store, text: &str) -> Result<RetentionOf, Failure> {
    let wrong = |_| Failure {
        what: format!("“{text}” is neither a domain nor an address"),
        mend: Some("write example.org or ann@example.org".to_owned()),
    };
    if text.contains('@') {
        let address = Address::parse(text).map_err(|_| wrong(()))?;
        let found = accounts_ever(store, &address, false)?;
        return found.first().copied().map(RetentionOf::Account).ok_or_else(|| wrong(()));
    }
    Domain::new(text).map(RetentionOf::Domain).map_err(|_| wrong(()))
}

/// `366d`, `for ever`, or that nothing is set.
fn told(keep: Option<Keep>) -> String {
    match keep {
        Some(Keep::Secs(secs)) => config::format_duration(std::time::Duration::from_secs(secs)),
        Some(Keep::Forever) => "for ever".to_owned(),
        None => "as usual".to_owned(),
    }
}

fn name(account: AccountId, directory: &Directory) -> String {
    match directory.account(account) {
        Some(known) => known.address.to_string(),
        None => format!("removed account {account}"),
    }
}

fn whose(of: &RetentionOf, directory: &Directory) -> String {
    match of {
        RetentionOf::Domain(domain) => domain.to_string(),
        RetentionOf::Account(account) => name(*account, directory),
    }
}

fn hold_view(known: &HoldKnown, directory: &Directory) -> Value {
    let hold = &known.hold;
    json!({
        "hold": hold.name,
        "account": name(hold.account, directory),
        "from": hold.from.map(|at| at.to_string()),
        "to": hold.until.map(|at| at.to_string()),
        "since": known.since.to_string(),
        "reason": hold.reason,
        "ended": known.ended.as_ref().map(|(at, why)| format!("{at}: {why}")),
    })
}

/// What keeps a message that nobody has any more; nothing to say of one that somebody has.
pub fn kept_words(kept: &Kept) -> Option<String> {
    match kept {
        Kept::Open(_) | Kept::InMailboxes(_) => None,
        Kept::OnHold(name) => {
            Some(format!("in nobody's mailbox; the legal hold {name} keeps it in the archive"))
        }
        Kept::Until(Some(at)) => {
            Some(format!("in nobody's mailbox; kept in the archive until {at}"))
        }
        Kept::Until(None) => Some("in nobody's mailbox; kept in the archive for ever".to_owned()),
        Kept::Over { .. } => {
            Some("in nobody's mailbox; its time is over, it goes with the next purge".to_owned())
        }
        Kept::Purged(at) => Some(format!("its body is gone since {at}; this record stays")),
    }
}

/// By which rule something goes, in words that follow "by".
pub fn rule_words(rule: &PurgeRule, directory: &Directory, language: Language) -> String {
    match rule {
        PurgeRule::Retention { keep_secs, spam, of } => {
            let what = match spam {
                true => say!(language, "junk", "垃圾邮件"),
                false => say!(language, "mail", "邮件"),
            };
            let of = match of.as_ref().map(|of| whose(of, directory)) {
                Some(of) => say!(language, " of {of}", "（{of}）"),
                None => String::new(),
            };
            let time = told(Some(Keep::Secs(*keep_secs)));
            say!(
                language,
                "the rule that {what}{of} is kept for {time} after nobody has it any more",
                "{what}{of}在无人持有后保留 {time} 的规则"
            )
        }
        PurgeRule::Operator { reason } => {
            say!(language, "a person, because: {reason}", "人工操作，原因：{reason}")
        }
    }
}
