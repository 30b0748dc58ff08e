//! What operators ask over HTTP: permitted here, done as for the command line, and every look at
//! mail written down before anything of it is shown.

use std::sync::Arc;
use std::time::Duration;

use mail_types::{Domain, MailId};
use serde_json::Value;
use store::{Actor, Looked, LookedAt, OperatorAct, OperatorRole, Store, Story};

use crate::control::{self, Parts};
use crate::message_view::{self, Part};
use crate::permit::{self, Asker, Denied};
use crate::phrase_book;
use crate::request::{Failure, Request, TraceKeys, Which, operator_log, query_of};
use crate::search::DomainSight;
use crate::view;
use crate::{archive_command, bring_back, history, mailbox_command, narrow, search};

/// Stories that one request tells.
const STORIES_MAX: usize = 200;
/// Pages of so many looked through for those that a domain's administrator may see.
const PAGES_LOOKED_AT_MAX: usize = 10;
const STORIES_DEFAULT: usize = 20;

/// The desk where operators ask.
pub struct Desk {
    store: Store,
    parts: Parts,
}

impl Desk {
    pub fn new(store: &Store, parts: &Parts) -> Arc<Self> {
        Arc::new(Self { store: store.clone(), parts: parts.clone() })
    }

    /// Does it, and tells of it in the language of whoever asks.
    async fn told(&self, who: web::Who, asked: Value) -> Result<Value, web::Trouble> {
        let language = who.language;
        let said = |text: String| phrase_book::in_language(&text, language);
        match self.done(who, asked).await {
            Ok(mut answer) => {
                phrase_book::answer(&mut answer, language);
                Ok(answer)
            }
            Err(web::Trouble::Failed { what, mend }) => {
                Err(web::Trouble::Failed { what: said(what), mend: mend.map(said) })
            }
            Err(web::Trouble::Forbidden(why)) => Err(web::Trouble::Forbidden(said(why))),
            Err(web::Trouble::Invalid(what)) => Err(web::Trouble::Invalid(said(what))),
            Err(trouble @ (web::Trouble::Confirm | web::Trouble::Missing)) => Err(trouble),
        }
    }

    async fn done(&self, who: web::Who, asked: Value) -> Result<Value, web::Trouble> {
        let request = read(asked)?;
        permitted(&who, &request)?;
        let actor = Actor::Console { operator: who.operator.name.clone(), ip: who.ip };
        let domains = match &who.operator.role {
            OperatorRole::DomainAdmin { domains } => Some(domains.clone()),
            OperatorRole::Operator | OperatorRole::Auditor => None,
        };
        if let Request::Trace { .. } | Request::Message { .. } | Request::QueueShow { .. } = request
        {
            let store = self.store.clone();
            let language = who.language;
            let work = move || look(&store, request, actor, domains.as_deref(), language);
            let done = tokio::task::spawn_blocking(work).await;
            return done.unwrap_or_else(|_| Err(bug())).map_err(told);
        }
        if let Request::Mailbox { ask: mailbox_command::Ask::Show { account, mailbox, .. } } =
            &request
        {
            let asked = format!("the mailbox {mailbox} of {account}");
            let looked = Looked { at: LookedAt::Story, asked, mails: Vec::new() };
            let pending = self.store.looked(actor.clone(), looked);
            pending.await.map_err(|refused| told(Failure::from(refused)))?;
        }
        if let Request::Search(search) = request {
            let (store, finder) = (self.store.clone(), self.parts.search.clone());
            let work = move || {
                let domains = domains.as_deref();
                crate::search::collect(&store, finder.as_deref(), &search, actor, domains)
            };
            let done = tokio::task::spawn_blocking(work).await;
            return done.unwrap_or_else(|_| Err(bug())).map_err(told);
        }
        if let (Some(domains), Request::BringBack { .. } | Request::Acts { .. }) =
            (&domains, &request)
        {
            let (store, domains) = (self.store.clone(), domains.clone());
            let work = move || in_domains(&store, request, actor, &domains);
            let done = tokio::task::spawn_blocking(work).await;
            return done.unwrap_or_else(|_| Err(bug())).map_err(told);
        }
        if let Request::OperatorLog { before, who: of, count_max } = request {
            let (store, language) = (self.store.clone(), who.language);
            let work = move || operator_log(&store, before, of, count_max, language);
            let done = tokio::task::spawn_blocking(work).await;
            return done.unwrap_or_else(|_| Err(bug())).map_err(told);
        }
        let narrowed = match &request {
            Request::AccountList => Some("address"),
            Request::AliasList => Some("alias"),
            Request::DomainList => Some("domain"),
            Request::Archive { ask: archive_command::Ask::Retention } => Some("of"),
            _ => None,
        };
        if let Request::Proof { mail, .. } = &request {
            let asked = format!("the proof of {}", crate::story::short_receipt(MailId(*mail)));
            let looked = Looked { at: LookedAt::Story, asked, mails: Vec::new() };
            let pending = self.store.looked(actor.clone(), looked);
            pending.await.map_err(|refused| told(Failure::from(refused)))?;
        }
        let (store, parts, watch) = (&self.store, &self.parts, Arc::default());
        let answer = control::done(store, parts, request, actor, &watch).await.map_err(told)?;
        Ok(match (narrowed, domains) {
            (Some(name), Some(domains)) => narrow::rows(answer, name, &domains),
            _ => answer,
        })
    }
}

impl Desk {
    async fn exported(
        &self,
        who: web::Who,
        asked: Value,
        as_mbox: bool,
    ) -> Result<web::Maker, web::Trouble> {
        let request = read(asked)?;
        permitted(&who, &request)?;
        let Request::Search(request) = request else { return Err(told(bug())) };
        let (store, parts) = (self.store.clone(), self.parts.clone());
        let work = move || {
            let actor = Actor::Console { operator: who.operator.name.clone(), ip: who.ip };
            let domains = match &who.operator.role {
                OperatorRole::DomainAdmin { domains } => Some(domains.as_slice()),
                OperatorRole::Operator | OperatorRole::Auditor => None,
            };
            let sight = search::sight(&store, &request, &actor, domains)?;
            let directory = store.directory();
            let exporting = search::Exporting {
                query: search::query(request.query.as_deref().unwrap_or_default())?,
                search: parts.search.clone().ok_or_else(search::off)?,
                heads: parts.looking_after.heads.clone(),
                spool: parts.data.path().to_owned(),
                store,
                sight,
                looks: Some(actor),
                as_mbox,
                time: archive_search::TIME_MAX,
                hit: Box::new(move |found| search::hit(found, &directory)),
            };
            let maker: web::Maker = Box::new(move |out| exporting.make(out));
            Ok(maker)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|_| Err(bug())).map_err(told)
    }
}

fn permitted(who: &web::Who, request: &Request) -> Result<(), web::Trouble> {
    let asker = Asker {
        role: &who.operator.role,
        scopes: who.scopes.as_deref(),
        is_confirmed: who.is_confirmed,
    };
    permit::may(&asker, request).map_err(|denied| match denied {
        Denied::Never(why) => web::Trouble::Forbidden(why),
        Denied::Confirm => web::Trouble::Confirm,
    })
}

impl web::Desk for Desk {
    fn perform(
        &self,
        who: web::Who,
        request: Value,
    ) -> web::Future_<'_, Result<Value, web::Trouble>> {
        Box::pin(self.told(who, request))
    }

    fn export(
        &self,
        who: web::Who,
        request: Value,
        as_mbox: bool,
    ) -> web::Future_<'_, Result<web::Maker, web::Trouble>> {
        Box::pin(self.exported(who, request, as_mbox))
    }

    fn note(&self, who: web::Who, act: OperatorAct) -> web::Future_<'_, Result<(), web::Trouble>> {
        let actor = Actor::Console { operator: who.operator.name.clone(), ip: who.ip };
        let pending = self.store.change_operator(actor, &who.operator.name, act);
        Box::pin(async move { pending.await.map_err(|refused| told(Failure::from(refused))) })
    }
}

/// A request as JSON; one to trace may say what is looked for as a person types it (`text`).
fn read(mut asked: Value) -> Result<Request, web::Trouble> {
    if asked["do"] == "trace" {
        let text = asked["text"].as_str().unwrap_or_default().trim().to_owned();
        if asked["which"].is_null() {
            let which = if text.is_empty() { Ok(Which::All) } else { Which::parse(&text) };
            let which = which.map_err(web::Trouble::Invalid)?;
            asked["which"] = serde_json::to_value(which).unwrap_or_default();
        }
    }
    times(&mut asked, 0)?;
    // Elsewhere `from` is somebody's address.
    if let Some(from) = asked.pointer_mut("/ask/add-hold/from")
        && let Some(text) = from.as_str()
    {
        *from = time(text)?;
    }
    if asked["do"] == "proof"
        && let Some(receipt) = asked["receipt"].as_str().map(str::to_owned)
    {
        let wrong = |_| web::Trouble::Invalid(format!("“{receipt}” is no receipt"));
        let parsed = receipt.parse::<mail_types::ReceiptId>().map_err(wrong)?;
        (asked["mail"], asked["check"]) = (parsed.mail.0.into(), parsed.check.into());
    }
    for name in ["keep", "spam"] {
        if let Some(keep) = asked.pointer_mut(&format!("/ask/set-retention/{name}"))
            && let Some(text) = keep.as_str()
        {
            let word = crate::archive_command::parse_keep(text).map_err(web::Trouble::Invalid)?;
            *keep = serde_json::to_value(word).unwrap_or_default();
        }
    }
    serde_json::from_value(asked).map_err(|error| web::Trouble::Invalid(error.to_string()))
}

/// Deeper than any request.
const DEPTH_MAX: usize = 8;

/// Times as people write them (`2h`, `2026-11-21`) become those of requests.
fn times(value: &mut Value, depth: usize) -> Result<(), web::Trouble> {
    let Value::Object(members) = value else { return Ok(()) };
    for (name, member) in members {
        match (name.as_str(), &*member) {
            ("since" | "until" | "at", Value::String(text)) => *member = time(text)?,
            (_, Value::Object(_)) if depth < DEPTH_MAX => times(member, depth + 1)?,
            _ => {}
        }
    }
    Ok(())
}

fn time(text: &str) -> Result<Value, web::Trouble> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let time = crate::cli::parse_time(text.trim());
    time.map(Value::from).map_err(|error| web::Trouble::Invalid(error.to_string()))
}

/// What the administrator of domains has done to mail: that of the domains alone.
fn in_domains(
    store: &Store,
    request: Request,
    actor: Actor,
    domains: &[Domain],
) -> Result<Value, Failure> {
    let operator = match &actor {
        Actor::Console { operator, .. } => operator.as_str(),
        _ => "",
    };
    let sight = DomainSight::new(store, operator, domains)?;
    match request {
        Request::BringBack { receipt, to, mailbox } => {
            let into = (&to, mailbox.as_str());
            bring_back::bring_back(store, actor, &receipt, into, Some(&sight))
        }
        Request::Acts { ask } => {
            let own = |account| sight.has(account);
            history::check_domains(store, &ask, domains, &own)?;
            history::perform(store, &actor, ask)
        }
        _ => Err(bug()),
    }
}

/// Looks at mail: written down first, shown then.
fn look(
    store: &Store,
    request: Request,
    actor: Actor,
    domains: Option<&[Domain]>,
    language: web::Language,
) -> Result<Value, Failure> {
    let asked = match &request {
        Request::Trace { which, .. } => asked_words(which),
        Request::Message { receipt, .. } => receipt.clone(),
        _ => "the queue".to_owned(),
    };
    let (at, part) = match &request {
        Request::Message { part, .. } => (part.looked_at(), Some(*part)),
        _ => (LookedAt::Story, None),
    };
    let mut untold = Vec::new();
    let stories = match request {
        Request::QueueShow { .. } => {
            // Roles with domains do not get here; the queue is shown as it is.
            let shown = crate::request::perform(store, request, &actor)?;
            store.looked(actor, Looked { at, asked, mails: Vec::new() }).wait()?;
            return Ok(shown);
        }
        Request::Trace { which, since, until, count_max, keys } => {
            let mut query = query_of(which)?;
            keys.add_to(&mut query);
            query.since = since.map(mail_types::Timestamp);
            query.until = until.map(mail_types::Timestamp);
            query.count_max = count_max.unwrap_or(STORIES_DEFAULT).min(STORIES_MAX);
            match domains {
                Some(domains) => of_domains(&keys, store, query, domains)?,
                None => {
                    let traced = keys.stories(store, &query)?;
                    untold = traced.untold;
                    traced.stories
                }
            }
        }
        Request::Message { receipt, .. } => {
            let which = Which::parse(&receipt).map_err(|what| Failure { what, mend: None })?;
            let mut query = query_of(which)?;
            query.count_max = 1;
            narrowed(store.trace(&query)?, store, domains)
        }
        _ => Vec::new(),
    };
    let mails = stories.iter().map(|story| story.facts);
    let mails = mails.chain(untold.iter().map(|one| one.facts));
    let mails = mails.map(|facts| facts.receipt.mail).collect();
    store.looked(actor, Looked { at, asked, mails }).wait()?;
    match (part, stories.first()) {
        (Some(part), Some(story)) => Ok(message_view::view(store, story, part)?),
        (Some(Part::Text | Part::Html | Part::Whole), None) => {
            Err(Failure { what: "there is no such message".to_owned(), mend: None })
        }
        (None, _) => {
            let directory = store.directory();
            let told = stories.iter().map(|story| view::story_in(story, &directory, language));
            Ok(told.chain(untold.iter().map(view::untold)).collect())
        }
    }
}

/// The stories that are the domains', as many as are wanted: those of others between them do not count.
/// Whose those are that cannot be read, nobody can tell.
fn of_domains(
    keys: &TraceKeys,
    store: &Store,
    mut query: store::Query,
    domains: &[Domain],
) -> Result<Vec<Story>, Failure> {
    let wanted = query.count_max;
    let mut own: Vec<Story> = Vec::new();
    for _ in 0..PAGES_LOOKED_AT_MAX {
        let page = keys.stories(store, &query)?.stories;
        let is_last = page.len() < query.count_max;
        let oldest = page.iter().map(|story| story.facts.accepted).min();
        // With those of the same millisecond, which are had once more.
        let until = oldest.map(|oldest| oldest.after(Duration::from_millis(1)));
        own.extend(narrowed(page, store, Some(domains)));
        own.dedup_by_key(|story| story.facts.receipt.mail);
        if is_last || own.len() >= wanted || until == query.until {
            break;
        }
        query.until = until;
        query.count_max = STORIES_MAX;
    }
    own.truncate(wanted);
    Ok(own)
}

fn narrowed(stories: Vec<Story>, store: &Store, domains: Option<&[Domain]>) -> Vec<Story> {
    let Some(domains) = domains else { return stories };
    let directory = store.directory();
    let own = stories.into_iter();
    own.filter_map(|story| narrow::story(story, domains, &directory)).collect()
}

fn asked_words(which: &Which) -> String {
    match which {
        Which::All => "the latest".to_owned(),
        Which::Mail { number, .. } => crate::story::short_receipt(mail_types::MailId(*number)),
        Which::MessageId(id) => format!("<{id}>"),
        Which::Address(address) => address.to_string(),
        Which::Destination(domain) => domain.clone(),
    }
}

fn told(failure: Failure) -> web::Trouble {
    web::Trouble::Failed { what: failure.what, mend: failure.mend }
}

fn bug() -> Failure {
    Failure { what: "the server failed at it (a bug)".to_owned(), mend: None }
}
