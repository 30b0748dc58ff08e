//! What people find in the archive of their own mail over the HTTP API, and have back.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use archive_search::{Asked, Found, Query, Search, SearchError, Sight, Told, Where};
use mail_types::{AccountId, ReceiptId};
use serde_json::{Value, json};
use store::{Actor, Store, StoreError, Via, Visit};
use web::{OwnSearch, Problem};

use crate::bring_back::{self, Into};
use crate::heads::Heads;
use crate::search::{Exporting, OwnSight};

/// How long one search may look.
const TIME_MAX: Duration = Duration::from_secs(10);

fn trouble(error: StoreError) -> Problem {
    Problem::unavailable(error.to_string())
}

fn refused(error: SearchError) -> Problem {
    match error {
        SearchError::NotYours(_) => Problem::bad_request(error.to_string()),
        other => Problem::unavailable(other.to_string()),
    }
}

/// Finds an account's own messages, the newest first.
pub fn search(
    store: &Store,
    search: Option<&Search>,
    account: AccountId,
    asked: &OwnSearch,
) -> Result<Value, Problem> {
    let search = search.ok_or_else(|| Problem::unavailable("The archive is not searched here"))?;
    let query = Query::parse(&asked.query, net::now());
    let query = query.map_err(|error| Problem::bad_request(error.to_string()))?;
    let sight = OwnSight::new(store, account).map_err(trouble)?;
    let find = Asked {
        query: &query,
        sight: Some(&sight),
        count_max: asked.count_max,
        excerpts: true,
        time: TIME_MAX,
    };
    let mut hits = Vec::new();
    let ended = search.find(store, &find, &mut |told| {
        match told {
            Told::Found(found) => hits.push(hit(&found, &sight, account)),
            Told::Lost(_) | Told::Looking => {}
        }
        Visit::GoOn
    });
    let ended = ended.map_err(refused)?;
    Ok(json!({
        "hits": hits,
        "more": ended.more,
        "gave_up": ended.gave_up,
        "common": ended.cut,
        "complete": ended.progress.searchable == ended.progress.messages,
    }))
}

/// A message of one's own.
fn hit(found: &Found, sight: &OwnSight, account: AccountId) -> Value {
    let (facts, accepted) = (&found.story.facts, &found.story.accepted);
    let recipients: Vec<Value> = found
        .story
        .custodies
        .iter()
        .map(|one| json!({ "recipient": one.recipient, "state": one.state.word() }))
        .collect();
    let attachments: Vec<Value> = found
        .attachments
        .iter()
        .map(|one| {
            json!({
                "name": one.name,
                "type": one.media_type,
                "bytes": one.bytes,
                "unread_because": one.unread,
            })
        })
        .collect();
    let mailboxes: Vec<Value> = found
        .places
        .iter()
        .map(|lies| {
            json!({
                "mailbox": sight.mailboxes.get(&lies.mailbox),
                "gone_at": lies.gone.as_ref().map(|gone| gone.at.to_string()),
                "gone_by": lies.gone.as_ref().map(|gone| crate::own_mail::by(account, &gone.by)),
            })
        })
        .collect();
    let excerpt = found.excerpt.as_ref().map(|(place, excerpt)| {
        json!({
            "attachment": match place {
                Where::Body => None,
                Where::Attachment(name) => Some(name),
            },
            "before": excerpt.before,
            "hit": excerpt.hit,
            "after": excerpt.after,
        })
    });
    json!({
        "receipt": facts.receipt.to_string(),
        "accepted": facts.accepted.to_string(),
        "from": accepted.reverse_path.to_string(),
        "subject": accepted.subject,
        "message_id": accepted.message_id,
        "bytes": accepted.body_bytes,
        "direction": found.direction.word(),
        "recipients": recipients,
        "attachments": attachments,
        "mailboxes": mailboxes,
        "excerpt": excerpt,
        "gone_for_good": facts.purged.is_some(),
    })
}

/// The same as a zip file, which is made when it is sent.
pub fn export(parts: ExportParts<'_>, text: &str, as_mbox: bool) -> Result<web::Maker, Problem> {
    let ExportParts { store, search, heads, spool, account } = parts;
    let search = search.ok_or_else(|| Problem::unavailable("The archive is not searched here"))?;
    let query = crate::search::query(text).map_err(|error| Problem::bad_request(error.what))?;
    let sight = OwnSight::new(store, account).map_err(trouble)?;
    let seen = OwnSight::new(store, account).map_err(trouble)?;
    let exporting = Exporting {
        store: store.clone(),
        search: Arc::clone(search),
        heads: heads.cloned(),
        spool: spool.to_owned(),
        query,
        sight: Some(Box::new(sight)),
        looks: None,
        as_mbox,
        time: TIME_MAX,
        hit: Box::new(move |found| {
            let mut hit = hit(found, &seen, account);
            hit["body_hash"] = found.story.accepted.body_hash.to_string().into();
            hit["internal_date"] = found.story.accepted.internal_date.to_string().into();
            hit["places"] = hit["mailboxes"].take();
            hit
        }),
    };
    Ok(Box::new(move |out| exporting.make(out)))
}

/// What an export is made of.
pub struct ExportParts<'a> {
    /// Where everything is.
    pub store: &'a Store,
    /// What finds it.
    pub search: Option<&'a Arc<Search>>,
    /// What proves it.
    pub heads: Option<&'a Arc<Heads>>,
    /// Where what is written at the end is kept until then.
    pub spool: &'a Path,
    /// Whose mail.
    pub account: AccountId,
}

/// Puts a message of an account into one of its mailboxes again.
pub fn bring_back(
    store: &Store,
    account: AccountId,
    peer: IpAddr,
    receipt: &str,
    mailbox: &str,
) -> Result<Value, Problem> {
    let missing = || Problem::not_found("There is no such message of yours");
    let id: ReceiptId = receipt.parse().map_err(|_| missing())?;
    let query = store::Query { receipt: Some(id), count_max: 1, ..store::Query::default() };
    let story = store.trace(&query).map_err(trouble)?.pop().ok_or_else(missing)?;
    let sight = OwnSight::new(store, account).map_err(trouble)?;
    let seen = sight.see(story).ok_or_else(missing)?;
    if seen.story.facts.purged.is_some() {
        return Err(Problem::not_found("It is gone for good: its time was over"));
    }
    let actor = Actor::Account { account, ip: Some(peer), via: Via::Http };
    let into = Into { account, mailbox, ip: Some(peer), via: Via::Http };
    bring_back::put(store, actor, &seen, &into).map_err(|failure| {
        let mend = failure.mend.map(|mend| format!(" ({mend})"));
        Problem::unavailable(format!("{}{}", failure.what, mend.unwrap_or_default()))
    })
}
