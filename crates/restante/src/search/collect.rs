//! A search for a page: all that is found at once, and written down that somebody looked.

use std::time::Instant;

use archive_search::{Asked, Query, Search, TIME_MAX, Told};
use serde_json::{Value, json};
use store::{Actor, Looked, LookedAt, Store, Visit};

use super::{SearchRequest, view};
use crate::request::Failure;

/// Messages of one page.
const HITS_MAX: usize = 200;

/// Finds, and writes down what was found before it is shown.
pub fn collect(
    store: &Store,
    search: Option<&Search>,
    request: &SearchRequest,
    actor: Actor,
) -> Result<Value, Failure> {
    let failed = |what: String| Failure { what, mend: None };
    let search = search.ok_or_else(|| Failure {
        what: "the archive is not searched".to_owned(),
        mend: Some("set search.enabled = true in restante.toml and start again".to_owned()),
    })?;
    let Some(text) = &request.query else {
        let progress = search.progress(store).map_err(|error| failed(error.to_string()))?;
        return Ok(json!({ "end": view::progress(&progress), "hits": [] }));
    };
    let began = Instant::now();
    let query = Query::parse(text, net::now()).map_err(|error| failed(error.to_string()))?;
    let count_max = request.count_max.unwrap_or(HITS_MAX).min(HITS_MAX);
    let (within, excerpts) = (None, request.excerpts);
    let asked = Asked { query: &query, within, count_max, excerpts, time: TIME_MAX };
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
    Ok(json!({ "hits": hits, "end": view::end(&ended, first, began.elapsed()) }))
}
