//! What people see and do about their own mail over the HTTP API: what was deleted and having it
//! back, where a message is. Nothing of others is told: no other recipient, no mailbox of theirs.

use std::collections::HashMap;
use std::net::IpAddr;

use mail_types::{AccountId, MailboxId, RecordSeq, Timestamp};
use serde_json::{Value, json};
use store::{
    Act, ActFilter, ActKind, Actor, CustodyState, CustodyStory, Directory, Kept, Query, Record,
    Resolution, Rules, Source, Store, StoreError, Story, Via,
};
use web::{OwnQuery, Problem};

use crate::history::{told, via_word};

/// Acts listed at most.
const LISTED_MAX: usize = 200;
/// Messages named of each.
const NAMED_MAX: u64 = 20;
/// Stories told at most.
const STORIES_MAX: usize = 50;
const DAY_MILLIS: i64 = 86_400_000;

fn trouble(error: StoreError) -> Problem {
    Problem::unavailable(error.to_string())
}

fn since(days: u32) -> Timestamp {
    Timestamp(net::now().0.saturating_sub(i64::from(days) * DAY_MILLIS))
}

/// What of somebody's own mail an act is about; the directory is the operator's.
pub const fn is_of_mail(kind: ActKind) -> bool {
    match kind {
        ActKind::Domain | ActKind::Account | ActKind::Alias | ActKind::Route | ActKind::Quota => {
            false
        }
        ActKind::Created
        | ActKind::Renamed
        | ActKind::Deleted
        | ActKind::MailboxRestored
        | ActKind::Subscribed
        | ActKind::Shared
        | ActKind::Annotated
        | ActKind::Flags
        | ActKind::Appended
        | ActKind::Copied
        | ActKind::Moved
        | ActKind::Expunged
        | ActKind::Restored => true,
    }
}

/// What was deleted of an account's mail, the latest first.
pub fn deleted(store: &Store, account: AccountId, days: u32) -> Result<Value, Problem> {
    let filter =
        ActFilter { owner: Some(account), since: Some(since(days)), ..ActFilter::default() };
    let mut acts: Vec<Act> = Vec::new();
    // What somebody deleted by taking back what put it there is deleted like anything else.
    let listed = store.acts(&filter, &mut |act| {
        let deletes = matches!(act.kind, ActKind::Expunged | ActKind::Deleted);
        if deletes && act.mailbox.is_some() && act.undone.is_none() {
            acts.push(act);
        }
        acts.len() < LISTED_MAX
    });
    listed.map_err(trouble)?;
    let mut once = Vec::with_capacity(acts.len());
    for act in acts {
        if !is_redone(store, &act).map_err(trouble)? {
            once.push(act);
        }
    }
    let acts = once;
    acts.iter().map(|act| deleted_view(store, account, act).map_err(trouble)).collect()
}

/// Whether an act only makes an earlier one hold again, which is listed itself.
fn is_redone(store: &Store, act: &Act) -> Result<bool, StoreError> {
    let Some(undone) = act.undoes else { return Ok(false) };
    let mut redone = false;
    let one = ActFilter { seq: Some(undone), ..ActFilter::default() };
    store.acts(&one, &mut |undone| {
        redone = undone.undoes.is_some();
        true
    })?;
    Ok(redone)
}

fn deleted_view(store: &Store, account: AccountId, act: &Act) -> Result<Value, StoreError> {
    let mails = match act.mailbox {
        Some(mailbox) => store.taken_out(mailbox, act.seq, NAMED_MAX)?,
        None => Vec::new(),
    };
    let mut named = Vec::with_capacity(mails.len());
    for facts in store.mail_facts(&mails)? {
        let (_, accepted) = store.accepted(&facts)?;
        named.push(json!({
            "receipt": facts.receipt.to_string(),
            "from": accepted.reverse_path.to_string(),
            "subject": accepted.subject,
            "date": accepted.internal_date.to_string(),
            "bytes": facts.body_bytes,
            "gone_for_good": facts.purged.is_some(),
        }));
    }
    Ok(json!({
        "act": act.seq.0,
        "at": act.at.to_string(),
        "what": act.kind.word(),
        "mailbox": act.subject,
        "messages": act.messages,
        "first": named,
        "by": who(account, act.actor),
        "via": act.via.map(via_word),
        "from": (act.actor == Some(account)).then_some(act.ip),
        "session": act.session.map(|session| session.to_string()),
    }))
}

/// The same of whoever did something to one's mail.
pub const fn by(account: AccountId, actor: &Actor) -> &'static str {
    match actor {
        Actor::Account { account: other, .. } | Actor::Session { account: other, .. } => {
            who(account, Some(*other))
        }
        Actor::Operator { .. } | Actor::Console { .. } => who(account, None),
        Actor::Peer { .. } | Actor::Server => "the server",
    }
}

const fn who(account: AccountId, actor: Option<AccountId>) -> &'static str {
    match actor {
        Some(actor) if actor.0 == account.0 => "you",
        Some(_) => "somebody you share it with",
        None => "an operator",
    }
}

/// Takes back what was done to an account's mail.
pub fn restore(
    store: &Store,
    account: AccountId,
    peer: IpAddr,
    acts: Vec<u64>,
    redo: Option<&str>,
) -> Result<Value, Problem> {
    let mut wanted = Vec::with_capacity(acts.len());
    let mut take = |filter: &ActFilter| {
        store.acts(filter, &mut |act| {
            if is_of_mail(act.kind) {
                wanted.push(act.seq);
            }
            true
        })
    };
    let own = ActFilter { owner: Some(account), ..ActFilter::default() };
    for act in acts {
        take(&ActFilter { seq: Some(RecordSeq(act)), ..own.clone() }).map_err(trouble)?;
    }
    if let Some(redo) = redo {
        let undoing = crate::history::parse_ranges(redo).map_err(Problem::bad_request)?;
        take(&ActFilter { undoing, ..own.clone() }).map_err(trouble)?;
    }
    if wanted.is_empty() {
        return Err(Problem::not_found("Nothing of your mail was done under these numbers"));
    }
    let actor = Actor::Account { account, ip: Some(peer), via: Via::Http };
    let outcome = store.undo(&actor, Some(account), &wanted);
    let outcome = outcome.map_err(|refused| Problem::unavailable(refused.to_string()))?;
    told(&outcome).map_err(|failure| {
        let mend = failure.mend.map(|mend| format!(" ({mend})"));
        Problem::unavailable(format!("{}{}", failure.what, mend.unwrap_or_default()))
    })
}

/// Where messages are that came to an account, or that it has sent.
pub fn trace(store: &Store, account: AccountId, asked: OwnQuery) -> Result<Value, Problem> {
    let mut query = Query {
        message_id: asked.message_id,
        since: Some(since(asked.days)),
        count_max: STORIES_MAX,
        ..Query::default()
    };
    if let Some(receipt) = asked.receipt {
        let wrong = || Problem::bad_request("That is no receipt");
        query.receipt = Some(receipt.parse().map_err(|_| wrong())?);
    }
    let directory = store.directory();
    // Whom it is about, where nothing else is said: the account itself.
    let own = directory.account(account).map(|known| known.address.clone());
    let queries = match asked.from {
        // Both ways, each with the account at its other end: what that address writes to others is
        // not looked through.
        Some(from) => {
            let wrong = |_| Problem::bad_request("That is no address");
            let from = Some(mail_types::Address::parse(&from).map_err(wrong)?);
            let came = Query { sender: from.clone(), recipient: own.clone(), ..query.clone() };
            vec![came, Query { sender: own, recipient: from, ..query }]
        }
        None if query.receipt.is_none() && query.message_id.is_none() => {
            vec![Query { address: own, ..query }]
        }
        None => vec![query],
    };
    let mut found = Vec::new();
    for query in &queries {
        found.extend(store.trace_all(query).map_err(trouble)?.stories);
    }
    found.sort_by_key(|story| std::cmp::Reverse(story.facts.receipt.mail));
    found.dedup_by_key(|story| story.facts.receipt.mail);
    let mailboxes = store.mailbox_names(account).map_err(trouble)?;
    let rules = store.retention_rules().map_err(trouble)?;
    let teller = Teller { store, account, directory: &directory, mailboxes, rules };
    let told = found.iter().filter_map(|story| teller.story(story).transpose());
    told.take(STORIES_MAX).map(|told| told.map_err(trouble)).collect()
}

struct Teller<'a> {
    store: &'a Store,
    account: AccountId,
    directory: &'a Directory,
    /// The account's, those that are gone among them.
    mailboxes: HashMap<MailboxId, String>,
    rules: Rules,
}

impl Teller<'_> {
    /// `None`: it is not the account's to know.
    fn story(&self, story: &Story) -> Result<Option<Value>, StoreError> {
        let is_sender = matches!(
            story.accepted.source,
            Source::Submission { account, .. } | Source::Append { account } | Source::Import { account }
            if account == self.account
        );
        let own = |custody: &&CustodyStory| is_sender || self.is_own(custody);
        let custodies: Vec<&CustodyStory> = story.custodies.iter().filter(own).collect();
        let happened: Vec<Value> = story
            .events
            .iter()
            .filter_map(|event| {
                let what = self.happened(&event.entry.record)?;
                let (at, by) = (event.entry.at.to_string(), by(self.account, &event.entry.actor));
                Some(json!({ "at": at, "by": by, "what": what }))
            })
            .collect();
        if custodies.is_empty() && happened.is_empty() {
            return Ok(None);
        }
        Ok(Some(json!({
            "receipt": story.facts.receipt.to_string(),
            "accepted": story.facts.accepted.to_string(),
            "from": story.accepted.reverse_path.to_string(),
            "subject": story.accepted.subject,
            "message_id": story.accepted.message_id,
            "recipients": custodies.iter().map(|custody| self.custody(custody)).collect::<Vec<_>>(),
            "happened": happened,
            "now": self.now(story, &custodies)?,
        })))
    }

    fn is_own(&self, custody: &CustodyStory) -> bool {
        if let Some((mailbox, ..)) = &custody.delivered {
            return self.mailboxes.contains_key(mailbox);
        }
        let address = mail_types::Address::parse(&custody.recipient).ok();
        let resolved = address.map(|address| self.directory.resolve(&address));
        matches!(resolved, Some(Resolution::Account(account)) if account == self.account)
    }

    fn custody(&self, custody: &CustodyStory) -> Value {
        let place = custody.delivered.as_ref();
        let place = place.and_then(|(mailbox, ..)| self.mailboxes.get(mailbox));
        json!({
            "recipient": custody.recipient,
            "state": custody.state.word(),
            "delivered_to": place,
            "held_because": custody.hold.as_ref().map(|hold| &hold.reason),
            "next_try": custody.next_try.map(|(due, _)| due.to_string()),
        })
    }

    /// What was done to it in the account's mailboxes.
    fn happened(&self, record: &Record) -> Option<String> {
        let name = |mailbox: &MailboxId| self.mailboxes.get(mailbox);
        match record {
            Record::Copied { from, to, .. } => match (name(from), name(to)) {
                (Some(from), Some(to)) => Some(format!("copied from {from} to {to}")),
                (Some(from), None) => Some(format!("copied out of {from}")),
                (None, Some(to)) => Some(format!("copied into {to}")),
                (None, None) => None,
            },
            Record::Moved { from, to, .. } => match (name(from), name(to)) {
                (Some(from), Some(to)) => Some(format!("moved from {from} to {to}")),
                (Some(from), None) => Some(format!("moved out of {from}")),
                (None, Some(to)) => Some(format!("moved into {to}")),
                (None, None) => None,
            },
            Record::Expunged { mailbox, .. } => Some(format!("deleted from {}", name(mailbox)?)),
            Record::MailboxDeleted { mailbox } => {
                Some(format!("deleted with the mailbox {}", name(mailbox)?))
            }
            Record::Restored { to, .. } => Some(format!("brought back into {}", name(to)?)),
            Record::MailboxRestored { mailbox, .. } => {
                Some(format!("brought back with the mailbox {}", name(mailbox)?))
            }
            _ => None,
        }
    }

    /// Where it lies now, as far as that is the account's to know.
    fn now(&self, story: &Story, custodies: &[&CustodyStory]) -> Result<String, StoreError> {
        let kept = self.store.kept(story.facts.receipt.mail, &self.rules)?;
        let open = custodies
            .iter()
            .find(|custody| matches!(custody.state, CustodyState::Queued | CustodyState::Held));
        if let Some(custody) = open {
            return Ok(format!("{} for {}", custody.state, custody.recipient));
        }
        let there = match kept {
            Some(Kept::InMailboxes(there)) => there,
            Some(Kept::Purged(_)) => return Ok("gone for good: its time was over".to_owned()),
            Some(Kept::Open(_) | Kept::OnHold(_) | Kept::Until(_) | Kept::Over { .. }) | None => {
                Vec::new()
            }
        };
        let mut names: Vec<&str> = there
            .iter()
            .filter_map(|(mailbox, _)| self.mailboxes.get(mailbox).map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        Ok(match names.is_empty() {
            true => "in none of your mailboxes; what was deleted can be had back".to_owned(),
            false => format!("in {}", names.join(", ")),
        })
    }
}
