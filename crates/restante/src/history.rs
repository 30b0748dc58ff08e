//! `restante history` and `restante undo`: what people did, and taking it back.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use clap::Args;
use mail_types::{AccountId, Address, Domain, RecordSeq, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Act, ActFilter, ActKind, Actor, Directory, SessionId, Store, UndoOutcome, Via};

use crate::cli::parse_time;
use crate::jobs::{Watch, ended_early};
use crate::request::{Failure, Request};

/// Acts listed if not asked for more.
const LISTED_DEFAULT: usize = 100;
/// Acts that one command takes back.
const UNDONE_MAX: usize = 1_000_000;
/// Acts of a step: what is taken back at least when it is cancelled.
const ACTS_PER_STEP: usize = 256;

const HISTORY_EXAMPLES: &str = "\
Examples:
  restante history --account ann@example.org --sessions   who was there, and changed what
  restante history --account ann@example.org --since 2h
  restante history --ip 203.0.113.9 --since 1d --json";

const UNDO_EXAMPLES: &str = "\
Examples:
  restante undo 48213                                   one act, by its number in `history`
  restante undo --session k3x9d2qaz1 --dry-run          what one session did: look first
  restante undo --ip 203.0.113.9 --account ann@example.org --since 1d
  restante undo --redo 48301-48377                      as an undo said: it is taken back itself

Mail that came since stays. What others changed since stays as they left it, and is told.
Accounts, domains, aliases, routes and quotas are taken back by the numbers of their acts alone.
An undo can be taken back like everything else.";

#[derive(Debug, Args)]
#[command(after_help = HISTORY_EXAMPLES)]
pub struct History {
    #[command(flatten)]
    which: Which,
    /// By session: who, from where, when, and how much each changed
    #[arg(long)]
    sessions: bool,
    /// At most so many, the latest first (default 100)
    #[arg(long)]
    limit: Option<usize>,
}

#[derive(Debug, Args)]
#[command(after_help = UNDO_EXAMPLES)]
pub struct Undo {
    /// Acts, by their numbers; 48213-48250 are several
    #[arg(value_name = "ACTS", value_parser = parse_range, value_delimiter = ',')]
    acts: Vec<(u64, u64)>,
    #[command(flatten)]
    which: Which,
    /// Take back an undo, by the numbers that it told
    #[arg(long, value_name = "FIRST-LAST", value_parser = parse_range, value_delimiter = ',',
          conflicts_with = "acts")]
    redo: Vec<(u64, u64)>,
    /// Show what would be taken back, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Which acts: everything given must hold.
#[derive(Args, Clone, Debug)]
struct Which {
    /// About the mail of this account
    #[arg(long, value_name = "ADDRESS")]
    account: Option<Address>,
    /// In this mailbox of the account
    #[arg(long, value_name = "NAME", requires = "account")]
    mailbox: Option<String>,
    /// Done by this account
    #[arg(long, value_name = "ADDRESS")]
    by: Option<Address>,
    /// Done from this address
    #[arg(long, value_name = "IP")]
    ip: Option<IpAddr>,
    /// Done in this session, as `history` names it
    #[arg(long, value_name = "SESSION")]
    session: Option<SessionId>,
    /// At this time or later: 2026-11-21, 2026-11-21T15:00Z, or 2h (ago)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// The same for the control socket.
// A misspelt member would leave it out, and mean more than was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    account: Option<Address>,
    mailbox: Option<String>,
    by: Option<Address>,
    ip: Option<IpAddr>,
    session: Option<SessionId>,
    since: Option<i64>,
    until: Option<i64>,
    /// What an undo made, to be taken back.
    #[serde(default)]
    redo: Vec<(u64, u64)>,
}

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// What was done.
    History { filter: Filter, count_max: Option<usize> },
    /// The same by session.
    Sessions { filter: Filter, count_max: Option<usize> },
    /// Takes it back.
    Undo { acts: Vec<u64>, filter: Option<Filter>, dry_run: bool },
}

impl Ask {
    /// About whose mail it is, where that is said; `None` where acts are named by their numbers.
    pub const fn about(&self) -> Option<Option<&Address>> {
        match self {
            Self::History { filter, .. }
            | Self::Sessions { filter, .. }
            | Self::Undo { filter: Some(filter), .. } => Some(filter.account.as_ref()),
            Self::Undo { filter: None, .. } => None,
        }
    }
}

/// Whether all that is asked is of these domains: for their administrator.
pub fn check_domains(
    store: &Store,
    ask: &Ask,
    domains: &[Domain],
    own: &dyn Fn(AccountId) -> bool,
) -> Result<(), Failure> {
    let not_yours = |what: String| Failure { what, mend: Some(NAME_YOURS.to_owned()) };
    let filter = match ask {
        Ask::History { filter, .. } | Ask::Sessions { filter, .. } => Some(filter),
        Ask::Undo { filter, .. } => filter.as_ref(),
    };
    let directory = store.directory();
    let named = filter.into_iter().flat_map(|filter| [&filter.account, &filter.by]).flatten();
    for address in named {
        let id = directory.sign_in_name(&address.to_string()).map(|account| account.id);
        if !id.is_some_and(own) {
            return Err(not_yours(format!("{address} is no account of your domains")));
        }
    }
    let Ask::Undo { acts, filter: None, .. } = ask else { return Ok(()) };
    for &seq in acts {
        let mut is_own = false;
        let one = ActFilter { seq: Some(RecordSeq(seq)), ..ActFilter::default() };
        store.acts(&one, &mut |act| {
            let domain = act.subject.rsplit_once('@').map(|(_, domain)| domain);
            let in_domains = |text| domains.iter().any(|own| own.as_str() == text);
            is_own = match act.kind {
                ActKind::Alias => domain.is_some_and(in_domains),
                _ => act.owner.is_some_and(own),
            };
            true
        })?;
        if !is_own {
            return Err(not_yours(format!("act {seq} is not about mail of your domains")));
        }
    }
    Ok(())
}

/// What an administrator of domains is told.
const NAME_YOURS: &str =
    "name an account of your domains, or acts as the history of one shows them";

impl Which {
    fn filter(self) -> anyhow::Result<Filter> {
        let Self { account, mailbox, by, ip, session, since, until } = self;
        let time = |text: Option<String>| text.as_deref().map(parse_time).transpose();
        let (since, until) = (time(since)?, time(until)?);
        Ok(Filter { account, mailbox, by, ip, session, since, until, redo: Vec::new() })
    }
}

fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
        _ => Err("write the numbers as the undo told them, like 48301-48377".to_owned()),
    }
}

/// Runs of records that one undo is taken back by: as many as it has jobs at most.
const RUNS_MAX: usize = 10_000;

/// The same with commas between, as an undo of much told them.
pub fn parse_ranges(text: &str) -> Result<Vec<(RecordSeq, RecordSeq)>, String> {
    let runs = text.split(',').take(RUNS_MAX);
    runs.map(|run| parse_range(run).map(|(a, b)| (RecordSeq(a), RecordSeq(b)))).collect()
}

impl History {
    pub fn request(self) -> anyhow::Result<Request> {
        let (filter, count_max) = (self.which.filter()?, self.limit);
        let ask = if self.sessions {
            Ask::Sessions { filter, count_max }
        } else {
            Ask::History { filter, count_max }
        };
        Ok(Request::Acts { ask })
    }
}

impl Undo {
    pub fn request(self) -> anyhow::Result<Request> {
        let filter = Filter { redo: self.redo, ..self.which.filter()? };
        anyhow::ensure!(
            self.acts.is_empty() != (filter == Filter::default()),
            "name acts by their numbers, or say whose with --session, --ip, --by or --account \
             (see --help)"
        );
        let count: u64 = self.acts.iter().fold(0, |sum: u64, (first, last)| {
            sum.saturating_add((last - first).saturating_add(1))
        });
        anyhow::ensure!(count <= UNDONE_MAX as u64, "these are too many acts for one command");
        let filter = self.acts.is_empty().then_some(filter);
        let acts: Vec<u64> = self.acts.iter().flat_map(|(first, last)| *first..=*last).collect();
        Ok(Request::Acts { ask: Ask::Undo { acts, filter, dry_run: self.dry_run } })
    }
}

/// The account of this address.
pub fn account(directory: &Directory, address: &Address) -> Result<AccountId, Failure> {
    let found = directory.sign_in_name(&address.to_string()).map(|account| account.id);
    found.ok_or_else(|| Failure { what: format!("account {address} does not exist"), mend: None })
}

/// The account of this address, or the last one that had it; with `all`, all that had it.
pub fn accounts_ever(
    store: &Store,
    address: &Address,
    all: bool,
) -> Result<Vec<AccountId>, Failure> {
    let missing = match account(&store.directory(), address) {
        Ok(there) => return Ok(vec![there]),
        Err(missing) => missing,
    };
    let ever = store.accounts_ever(address)?;
    match ever.last() {
        None => Err(missing),
        Some(&last) if !all => Ok(vec![last]),
        Some(_) => Ok(ever),
    }
}

impl Filter {
    /// What an undo told, to be taken back; `None` where it is nothing of that kind.
    pub fn redo(text: &str) -> Option<Self> {
        let runs = text.split(',').take(RUNS_MAX).map(|run| parse_range(run).ok());
        Some(Self { redo: runs.collect::<Option<_>>()?, ..Self::default() })
    }

    fn check_says_whose(&self) -> Result<(), Failure> {
        let narrow = Self { since: None, until: None, ..self.clone() };
        if narrow != Self::default() {
            return Ok(());
        }
        Err(Failure {
            what: "a time alone would take back what everybody did".to_owned(),
            mend: Some("add --session, --ip, --by or --account".to_owned()),
        })
    }

    fn read(&self, store: &Store) -> Result<ActFilter, Failure> {
        let directory = store.directory();
        let account = |address: &Option<Address>| {
            address.as_ref().map(|address| self::account(&directory, address)).transpose()
        };
        let owner = account(&self.account)?;
        let mailbox = match (owner, &self.mailbox) {
            (Some(owner), Some(name)) => Some(crate::mailbox_command::find(store, owner, name)?),
            _ => None,
        };
        Ok(ActFilter {
            seq: None,
            owner,
            mailbox,
            actor: account(&self.by)?,
            session: self.session,
            ip: self.ip,
            since: self.since.map(Timestamp),
            until: self.until.map(Timestamp),
            standing: false,
            undoing: self.redo.iter().map(|&(a, b)| (RecordSeq(a), RecordSeq(b))).collect(),
        })
    }
}

pub fn perform(store: &Store, actor: &Actor, ask: Ask) -> Result<Value, Failure> {
    match ask {
        Ask::History { filter, count_max } => list(store, &filter, count_max),
        Ask::Sessions { filter, count_max } => sessions(store, &filter, count_max),
        Ask::Undo { acts, filter, dry_run } => undo(store, actor, acts, filter.as_ref(), dry_run),
    }
}

fn list(store: &Store, filter: &Filter, count_max: Option<usize>) -> Result<Value, Failure> {
    let max = count_max.unwrap_or(LISTED_DEFAULT);
    let directory = store.directory();
    let mut listed = Vec::new();
    store.acts(&filter.read(store)?, &mut |act| {
        if listed.len() < max {
            listed.push(view(store, &directory, &act));
        }
        listed.len() < max
    })?;
    listed.into_iter().collect()
}

fn undo(
    store: &Store,
    actor: &Actor,
    acts: Vec<u64>,
    filter: Option<&Filter>,
    dry_run: bool,
) -> Result<Value, Failure> {
    if !dry_run {
        return undo_while(store, actor, acts, filter, &Watch::default());
    }
    let directory = store.directory();
    let mut shown = Vec::new();
    wanted(store, acts, filter, &mut |act| shown.push(view(store, &directory, act)))?;
    shown.into_iter().collect()
}

/// Takes back as many as are wanted while it goes on, the newest first.
pub fn undo_while(
    store: &Store,
    actor: &Actor,
    acts: Vec<u64>,
    filter: Option<&Filter>,
    watch: &Watch,
) -> Result<Value, Failure> {
    let mut acts = wanted(store, acts, filter, &mut |_| {})?;
    acts.sort_unstable_by(|a, b| b.cmp(a));
    acts.dedup();
    watch.begin(acts.len() as u64);
    let (mut outcome, mut done) = (UndoOutcome::default(), 0);
    for step in acts.chunks(ACTS_PER_STEP) {
        if !watch.go_on() {
            break;
        }
        match store.undo(actor, None, step) {
            Ok(part) => add(&mut outcome, part),
            Err(refused) if outcome.undone.is_empty() => return Err(refused.into()),
            Err(refused) => outcome.stopped = Some(refused),
        }
        if outcome.stopped.is_some() {
            break;
        }
        done += step.len();
        watch.done(done as u64);
    }
    let mut answer = told(&outcome)?;
    if done < acts.len() {
        ended_early(&mut answer, (acts.len() - done) as u64, "acts");
    }
    Ok(answer)
}

/// One outcome behind another.
fn add(whole: &mut UndoOutcome, part: UndoOutcome) {
    whole.undone.extend(part.undone);
    whole.messages += part.messages;
    whole.stopped = part.stopped;
    for (first, last) in part.records {
        match whole.records.last_mut() {
            Some((_, end)) if end.0 + 1 == first.0 => *end = last,
            _ => whole.records.push((first, last)),
        }
    }
    for (why, count) in part.skipped {
        *whole.skipped.entry(why).or_default() += count;
    }
}

/// The acts that are meant: those named, or those that a filter finds.
fn wanted(
    store: &Store,
    acts: Vec<u64>,
    filter: Option<&Filter>,
    each: &mut dyn FnMut(&Act),
) -> Result<Vec<RecordSeq>, Failure> {
    let mut acts: Vec<RecordSeq> = acts.into_iter().map(RecordSeq).collect();
    let (filters, is_wide): (Vec<ActFilter>, bool) = match filter {
        // An undo that is taken back holds itself.
        Some(filter) => {
            filter.check_says_whose()?;
            (vec![ActFilter { standing: filter.redo.is_empty(), ..filter.read(store)? }], true)
        }
        None => {
            let one = |&seq| ActFilter { seq: Some(seq), ..ActFilter::default() };
            (acts.iter().map(one).collect(), false)
        }
    };
    for filter in filters {
        let mail_only = is_wide && filter.standing;
        store.acts(&filter, &mut |act| {
            // A session or an account is healed; what operators did to the account stays.
            if mail_only && !crate::own_mail::is_of_mail(act.kind) {
                return true;
            }
            each(&act);
            if is_wide {
                acts.push(act.seq);
            }
            acts.len() < UNDONE_MAX
        })?;
    }
    Ok(acts)
}

/// What came of it, in words and for programs.
pub fn told(outcome: &UndoOutcome) -> Result<Value, Failure> {
    let count = |count: u64, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let mut text = format!("{} taken back", count(outcome.undone.len() as u64, "act"));
    if outcome.messages > 0 {
        text.push_str(&format!(", {} as before", count(outcome.messages, "message")));
    }
    for (why, left) in &outcome.skipped {
        text.push_str(&format!("; {left} left as it was: {why}"));
    }
    let runs: Vec<String> =
        outcome.records.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    let redo = (!runs.is_empty()).then(|| runs.join(","));
    if let Some(why) = &outcome.stopped {
        let redo = redo.map(|redo| format!("; what was done is taken back by --redo {redo}"));
        return Err(Failure {
            what: format!("{text}; then it stopped: {why}"),
            mend: Some(format!("the same command does the rest{}", redo.unwrap_or_default())),
        });
    }
    Ok(json!({
        "did": text,
        "redo": redo,
        "undone": outcome.undone.iter().map(|seq| seq.0).collect::<Vec<_>>(),
        "messages": outcome.messages,
        "skipped": outcome.skipped,
    }))
}

/// What one session did, or what came from one address where sessions are not known.
#[derive(Default)]
struct Visit {
    by: String,
    from: Option<IpAddr>,
    via: Option<&'static str>,
    session: Option<SessionId>,
    first: Timestamp,
    last: Timestamp,
    acts: u64,
    undone: u64,
    /// By kind: messages, and acts that are about no message.
    changed: BTreeMap<&'static str, u64>,
}

/// Who was there and did something, the latest first.
fn sessions(store: &Store, filter: &Filter, count_max: Option<usize>) -> Result<Value, Failure> {
    let directory = store.directory();
    let mut order = Vec::new();
    let mut visits: HashMap<_, Visit> = HashMap::new();
    let mut read = 0;
    store.acts(&filter.read(store)?, &mut |act| {
        read += 1;
        // Without a session, what one command or request did cannot be told from the next.
        let key = (act.session, act.actor, act.ip, act.via.map(via_word));
        let visit = visits.entry(key).or_insert_with(|| {
            order.push(key);
            Visit {
                by: name(&directory, act.actor).unwrap_or_else(|| "operator".to_owned()),
                from: act.ip,
                via: act.via.map(via_word),
                session: act.session,
                last: act.at,
                ..Visit::default()
            }
        });
        visit.first = act.at;
        visit.acts += 1;
        visit.undone += u64::from(act.undone.is_some());
        *visit.changed.entry(act.kind.word()).or_default() += act.messages.max(1);
        read < UNDONE_MAX
    })?;
    order.truncate(count_max.unwrap_or(LISTED_DEFAULT));
    let visits = order.iter().filter_map(|key| visits.get(key));
    Ok(visits.map(Visit::view).collect())
}

impl Visit {
    fn view(&self) -> Value {
        let changed: Vec<String> =
            self.changed.iter().map(|(what, count)| format!("{what} {count}")).collect();
        json!({
            "session": self.session.map(|session| session.to_string()),
            "by": self.by,
            "from": self.from,
            "via": self.via,
            "first": self.first.to_string(),
            "last": self.last.to_string(),
            "acts": self.acts,
            "undone": self.undone,
            "changed": changed.join(", "),
            "counts": self.changed,
        })
    }
}

/// The name people know a protocol by.
pub const fn via_word(via: Via) -> &'static str {
    match via {
        Via::Submission => "submission",
        Via::Imap => "IMAP",
        Via::Pop3 => "POP3",
        Via::Control => "control",
        Via::Http => "HTTP",
    }
}

fn name(directory: &Directory, account: Option<AccountId>) -> Option<String> {
    account.map(|id| match directory.account(id) {
        Some(known) => known.address.to_string(),
        None => format!("account {id}"),
    })
}

fn view(store: &Store, directory: &Directory, act: &Act) -> Result<Value, Failure> {
    let other = match act.other {
        Some(mailbox) => store.mailbox_name(mailbox)?,
        None => None,
    };
    let place = match (act.subject.as_str(), other) {
        ("", Some(other)) => other,
        (subject, Some(other)) if act.kind == ActKind::Moved => {
            format!("{subject} → {other}")
        }
        (subject, Some(other)) => format!("{other} → {subject}"),
        (subject, None) => subject.to_owned(),
    };
    Ok(json!({
        "act": act.seq.0,
        "at": act.at.to_string(),
        "what": act.kind.word(),
        "where": place,
        "account": name(directory, act.owner),
        "messages": act.messages,
        "by": name(directory, act.actor).unwrap_or_else(|| "operator".to_owned()),
        "from": act.ip,
        "via": act.via.map(via_word),
        "session": act.session.map(|session| session.to_string()),
        "undone": act.undone.is_some(),
        "undoes": act.undoes.map(|seq| seq.0),
    }))
}
