//! What a search finds, back to the accounts that it belonged to: messages that somebody deleted are
//! put where they were, with their flags and dates. What still lies in a mailbox of the account is
//! left there, and so is what never was in one.

use std::collections::{BTreeMap, HashMap};

use archive_search::{Asked, Query as Wanted, Search, TIME_MAX, Told};
use mail_types::{AccountId, MailId, ReceiptId, SpecialUse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Actor, ComeBack, Directory, Left, Lies, Looked, LookedAt, Query, Store, Story, Visit};

use crate::jobs::{Watch, ended_early, runs_of};
use crate::request::Failure;
use crate::tongue::Language;

/// Messages that one request restores, or looks at.
const MAILS_MAX: usize = 1_000_000;
/// Messages that a trial run looks at: somebody waits for it.
const LOOKED_AT_MAX: usize = 1000;
/// Messages that a trial run shows.
const SHOWN_MAX: usize = 50;
/// Messages of a step: what one commit has, and what is done at least when it is cancelled.
const STEP: usize = 64;
/// Subjects, addresses and queries in names of jobs.
const WORDS_CHARS_MAX: usize = 80;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// What to search for.
    #[serde(default)]
    pub query: Option<String>,
    /// Instead: these messages.
    #[serde(default)]
    pub receipts: Vec<String>,
    /// Show what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

impl Ask {
    /// What a job that does it is called.
    pub fn words(&self) -> String {
        match &self.query {
            Some(query) => {
                let query: String = query.chars().take(WORDS_CHARS_MAX).collect();
                format!("restore what the search “{query}” finds")
            }
            None => format!("restore {} messages that were ticked", self.receipts.len()),
        }
    }
}

/// A message that is to be in a mailbox again.
struct Back {
    account: AccountId,
    /// Where it was last, by name as it is called.
    was_in: String,
    come: ComeBack,
    gone: store::Gone,
}

/// Why messages stay where they are, and how many.
type Skipped = BTreeMap<String, u64>;

/// Restores, or shows what would be restored.
pub fn perform(
    store: &Store,
    search: Option<&Search>,
    ask: &Ask,
    actor: &Actor,
    watch: &Watch,
) -> Result<Value, Failure> {
    let (mails, more) = match &ask.query {
        Some(text) => found(store, search, text, ask.dry_run, watch)?,
        None => named(store, &ask.receipts)?,
    };
    if watch.is_cancelled() {
        let mut answer = told(0, &Skipped::new(), &[], 0);
        ended_early(&mut answer, 0, "messages");
        return Ok(answer);
    }
    if ask.dry_run {
        return trial(store, ask, actor, &mails, more);
    }
    let mut boxes = Boxes::new(store);
    let (mut skipped, mut acts) = (Skipped::new(), Vec::new());
    let (mut restored, mut done) = (0, 0);
    watch.begin(mails.len() as u64);
    for step in mails.chunks(STEP) {
        if !watch.go_on() {
            break;
        }
        let mut backs = Vec::new();
        let traced = store.stories_all(step, &Query::default())?;
        skip(&mut skipped, DAMAGED, traced.untold.len() as u64);
        for story in &traced.stories {
            backs.extend(boxes.backs(story, &mut skipped)?);
        }
        let messages: Vec<ComeBack> = backs.iter().map(|back| back.come.clone()).collect();
        if !messages.is_empty() {
            let whole = messages.len() as u64;
            let came = store.bring_back_all(actor.clone(), messages).wait()?;
            acts.extend(came.acts.iter().map(|seq| seq.0));
            restored += came.messages;
            // Between the look and the step somebody else did something.
            for (why, count) in [(THERE, came.there), (LOST, whole - came.messages - came.there)] {
                skip(&mut skipped, why, count);
            }
        }
        done += step.len() as u64;
        watch.done(done);
    }
    Ok(told(restored, &skipped, &acts, mails.len() as u64 - done))
}

const THERE: &str = "in a mailbox of the account already";
const LOST: &str = "purged or moved meanwhile";
const DAMAGED: &str = "its record is damaged";
const NOWHERE: &str = "never in a mailbox here";
const PURGED: &str = "its body is gone for good";
const NO_ACCOUNT: &str = "the account was removed";
const MOVED: &str = "moved to another account";

fn skip(skipped: &mut Skipped, why: &str, count: u64) {
    if count > 0 {
        *skipped.entry(why.to_owned()).or_default() += count;
    }
}

fn told(restored: u64, skipped: &Skipped, acts: &[u64], left: u64) -> Value {
    let mut text = match restored {
        1 => "1 message is back in its mailbox".to_owned(),
        many => format!("{many} messages are back in their mailboxes"),
    };
    for (why, count) in skipped {
        text.push_str(&format!("; {count} left as it was: {why}"));
    }
    let mut answer = json!({
        "did": text,
        "restored": restored,
        "skipped": skipped,
        "acts": runs_of(acts),
    });
    if left > 0 {
        ended_early(&mut answer, left, "messages");
    }
    answer
}

/// The numbers of what a query finds, the newest first, and whether there is more.
fn found(
    store: &Store,
    search: Option<&Search>,
    text: &str,
    is_trial: bool,
    watch: &Watch,
) -> Result<(Vec<MailId>, bool), Failure> {
    let failed = |what: String| Failure { what, mend: None };
    let search = search.ok_or_else(|| Failure {
        what: "the archive is not searched".to_owned(),
        mend: Some("set search.enabled = true in restante.toml and start again".to_owned()),
    })?;
    let query = Wanted::parse(text, net::now()).map_err(|error| failed(error.to_string()))?;
    let count_max = if is_trial { LOOKED_AT_MAX } else { MAILS_MAX };
    let asked = Asked { query: &query, sight: None, count_max, excerpts: false, time: TIME_MAX };
    let mut mails = Vec::new();
    let ended = search.find(store, &asked, &mut |told| {
        match told {
            Told::Found(found) => mails.push(found.story.facts.receipt.mail),
            Told::Lost(lost) => mails.push(lost.facts.receipt.mail),
            Told::Looking => {}
        }
        watch.done(mails.len() as u64);
        if watch.go_on() { Visit::GoOn } else { Visit::Stop }
    });
    let ended = ended.map_err(|error| failed(error.to_string()))?;
    Ok((mails, ended.more || ended.gave_up))
}

/// The numbers of messages that were ticked.
fn named(store: &Store, receipts: &[String]) -> Result<(Vec<MailId>, bool), Failure> {
    let missing = |text: &str| Failure { what: format!("there is no message {text}"), mend: None };
    let mut mails = Vec::new();
    for text in receipts.iter().take(MAILS_MAX) {
        let receipt = text.parse::<ReceiptId>().map_err(|_| missing(text))?;
        let known = store.mail_facts(&[receipt.mail])?;
        if known.first().is_none_or(|facts| facts.receipt != receipt) {
            return Err(missing(text));
        }
        mails.push(receipt.mail);
    }
    mails.sort_unstable_by(|a, b| b.cmp(a));
    mails.dedup();
    Ok((mails, false))
}

/// What would be done.
fn trial(
    store: &Store,
    ask: &Ask,
    actor: &Actor,
    mails: &[MailId],
    more: bool,
) -> Result<Value, Failure> {
    let looked_at = &mails[..mails.len().min(LOOKED_AT_MAX)];
    let mut boxes = Boxes::new(store);
    let (mut skipped, mut first, mut count) = (Skipped::new(), Vec::new(), 0_u64);
    let mut accounts: BTreeMap<String, u64> = BTreeMap::new();
    for step in looked_at.chunks(STEP) {
        let traced = store.stories_all(step, &Query::default())?;
        skip(&mut skipped, DAMAGED, traced.untold.len() as u64);
        for story in &traced.stories {
            for back in boxes.backs(story, &mut skipped)? {
                count += 1;
                let account = boxes.address(back.account);
                *accounts.entry(account.clone()).or_default() += 1;
                if first.len() < SHOWN_MAX {
                    first.push(json!({
                        "receipt": story.facts.receipt.to_string(),
                        "subject": story.accepted.subject,
                        "account": account,
                        "was_in": back.was_in,
                        "to": back.come.to.as_ref().unwrap_or(&back.was_in),
                        "gone": back.gone.at.to_string(),
                        "by": crate::story::who(&back.gone.by, &boxes.directory, Language::English),
                    }));
                }
            }
        }
    }
    // Looks at mail over the console are records; who has this machine's socket has the files.
    if matches!(actor, Actor::Console { .. }) {
        let asked = ask.query.clone().unwrap_or_else(|| ask.words());
        let looked = Looked { at: LookedAt::Story, asked, mails: looked_at.to_vec() };
        store.looked(actor.clone(), looked).wait()?;
    }
    Ok(json!({
        "dry_run": true,
        "found": looked_at.len(),
        "more": more || mails.len() > looked_at.len(),
        "would_restore": count,
        "accounts": accounts,
        "skipped": skipped,
        "first": first,
    }))
}

/// The mailboxes of accounts, as far as they were asked for.
struct Boxes<'a> {
    store: &'a Store,
    directory: std::sync::Arc<Directory>,
    known: HashMap<AccountId, HashMap<String, Option<SpecialUse>>>,
}

impl<'a> Boxes<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, directory: store.directory(), known: HashMap::new() }
    }

    fn address(&self, account: AccountId) -> String {
        let known = self.directory.account(account);
        known.map(|known| known.address.to_string()).unwrap_or_default()
    }

    fn of(&mut self, account: AccountId) -> Result<&HashMap<String, Option<SpecialUse>>, Failure> {
        if !self.known.contains_key(&account) {
            let listed = self.store.mailboxes(account)?;
            let named = listed.into_iter().filter_map(|one| Some((one.name, one.mailbox?)));
            let named = named.map(|(name, mailbox)| (name, mailbox.special_use)).collect();
            self.known.insert(account, named);
        }
        Ok(self.known.entry(account).or_default())
    }

    /// What of a message is to come back: for each account that had it and has it no more.
    fn backs(&mut self, story: &Story, skipped: &mut Skipped) -> Result<Vec<Back>, Failure> {
        let mut by_account: BTreeMap<AccountId, Vec<Lies>> = BTreeMap::new();
        for lies in story.places() {
            if let Some(owner) = story.mailbox_owners.get(&lies.mailbox) {
                by_account.entry(*owner).or_default().push(lies);
            }
        }
        if by_account.is_empty() {
            skip(skipped, NOWHERE, 1);
        }
        let mut backs = Vec::new();
        for (account, places) in by_account {
            match self.back(story, account, &places)? {
                Ok(back) => backs.push(back),
                Err(why) => skip(skipped, why, 1),
            }
        }
        Ok(backs)
    }

    fn back(
        &mut self,
        story: &Story,
        account: AccountId,
        places: &[Lies],
    ) -> Result<Result<Back, &'static str>, Failure> {
        if self.directory.account(account).is_none() {
            return Ok(Err(NO_ACCOUNT));
        }
        if places.iter().any(|lies| lies.gone.is_none()) {
            return Ok(Err(THERE));
        }
        if story.facts.purged.is_some() {
            return Ok(Err(PURGED));
        }
        let deleted = places.iter().filter_map(|lies| {
            let gone = lies.gone.as_ref().filter(|gone| gone.how != Left::Moved)?;
            Some((lies, gone))
        });
        // Copies of it are one message to whoever misses it: the last that went comes back.
        let Some((last, gone)) = deleted.max_by_key(|(_, gone)| gone.at) else {
            return Ok(Err(MOVED));
        };
        let name = |lies: &Lies| story.mailbox_names.get(&lies.mailbox).cloned();
        let there = self.of(account)?;
        let was_in = name(last).unwrap_or_default();
        let is_trash = |name: &str| there.get(name) == Some(&Some(SpecialUse::Trash));
        // Out of the Trash it goes to where it lay before: there programs would delete it again.
        let to = match is_trash(&was_in) {
            true => {
                let before = places.iter().rev().filter_map(name);
                let mut before = before.filter(|name| there.contains_key(name) && !is_trash(name));
                Some(before.next().unwrap_or_else(|| store::INBOX.to_owned()))
            }
            false => None,
        };
        let come = ComeBack { mailbox: last.mailbox, uid: last.uid, account, to };
        Ok(Ok(Back { account, was_in, come, gone: gone.clone() }))
    }
}
