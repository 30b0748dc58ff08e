//! A search for a page: all that is found at once, and written down that somebody looked.

use std::time::Instant;

use archive_search::{Asked, Query, Search, Sight, TIME_MAX, Told};
use mail_types::Domain;
use serde_json::{Value, json};
use store::{Actor, Looked, LookedAt, Store, Visit};

use super::{DomainSight, OwnSight, SearchRequest, view};
use crate::request::Failure;

/// Messages of one page.
const HITS_MAX: usize = 200;

/// Whom a search is for.
pub fn sight(
    store: &Store,
    request: &SearchRequest,
    actor: &Actor,
    domains: Option<&[Domain]>,
) -> Result<Option<Box<dyn Sight>>, Failure> {
    let of_domains = match (domains, actor) {
        (None, _) => None,
        (Some(domains), Actor::Console { operator, .. }) => {
            Some(DomainSight::new(store, operator, domains)?)
        }
        (Some(domains), _) => Some(DomainSight::new(store, "", domains)?),
    };
    let Some(address) = &request.account else {
        return Ok(of_domains.map(|sight| Box::new(sight) as Box<dyn Sight>));
    };
    let account = crate::history::account(&store.directory(), address)?;
    if of_domains.is_some_and(|sight| !sight.has(account)) {
        let what = format!("{address} is not in your domains");
        return Err(Failure { what, mend: None });
    }
    Ok(Some(Box::new(OwnSight::new(store, account)?)))
}

/// Finds, and writes down what was found before it is shown; for the administrator of domains what is
/// theirs.
pub fn collect(
    store: &Store,
    search: Option<&Search>,
    request: &SearchRequest,
    actor: Actor,
    domains: Option<&[Domain]>,
) -> Result<Value, Failure> {
    let failed = |what: String| Failure { what, mend: None };
    let search = search.ok_or_else(super::off)?;
    let Some(text) = &request.query else {
        let mut overview =
            view::overview(search, store).map_err(|error| failed(error.to_string()))?;
        if domains.is_some() {
            overview = json!({ "complete": overview["searchable"] == overview["messages"] });
        }
        return Ok(json!({ "end": overview, "hits": [] }));
    };
    let began = Instant::now();
    let query = Query::parse(text, net::now()).map_err(|error| failed(error.to_string()))?;
    let sight = self::sight(store, request, &actor, domains)?;
    let asked = Asked {
        query: &query,
        sight: sight.as_deref(),
        count_max: request.count_max.unwrap_or(HITS_MAX).min(HITS_MAX),
        excerpts: request.excerpts,
        time: TIME_MAX,
    };
    let directory = store.directory();
    let (mut hits, mut mails) = (Vec::new(), Vec::new());
    let mut first = None;
    let ended = search.find(store, &asked, &mut |told| {
        let (mail, hit) = match told {
            Told::Found(found) => (found.story.facts.receipt.mail, view::hit(&found, &directory)),
            Told::Lost(lost) => (lost.facts.receipt.mail, view::lost(&lost)),
            Told::Looking => return Visit::GoOn,
        };
        first.get_or_insert_with(|| began.elapsed());
        mails.push(mail);
        hits.push(hit);
        Visit::GoOn
    });
    let ended = ended.map_err(|error| failed(error.to_string()))?;
    let looked = Looked { at: LookedAt::Story, asked: text.clone(), mails };
    store.looked(actor, looked).wait()?;
    let mut end = view::end(&ended, first, began.elapsed());
    if domains.is_some() {
        view::without_counts(&mut end);
    }
    Ok(json!({ "hits": hits, "end": end }))
}
