//! What a search finds as a zip file over HTTP, made while it is sent.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use archive_search::{Asked, Found, Query, Search, Sight, Told};
use serde_json::Value;
use store::{Actor, Looked, LookedAt, Store, Visit};

use super::{session, view, zip};
use crate::heads::Heads;
use crate::request::Failure;

/// Messages that are noted as looked at, and then sent, together.
const LOOKED_AT_ONCE: usize = 64;

/// An export that may be made.
pub struct Exporting {
    /// Where everything is.
    pub store: Store,
    /// What finds it.
    pub search: Arc<Search>,
    /// What proves it, where heads are signed.
    pub heads: Option<Arc<Heads>>,
    /// Where what is written at the end is kept until then.
    pub spool: PathBuf,
    /// As it was typed, and read.
    pub query: (String, Query),
    /// For whom; none: for somebody who may see everything.
    pub sight: Option<Box<dyn Sight>>,
    /// Who looks at the mail of others; none: it is one's own.
    pub looks: Option<Actor>,
    /// One mbox in place of a file for each message.
    pub as_mbox: bool,
    /// How long it may look.
    pub time: Duration,
    /// A message in the manifest.
    pub hit: Box<dyn Fn(&Found) -> Value + Send>,
}

impl Exporting {
    /// Makes it.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub fn make(self, out: &mut dyn Write) -> Result<(), String> {
        let of = zip::Of { query: &self.query.0, as_mbox: self.as_mbox, spool: &self.spool };
        let made = zip::write(out, &of, &mut |on_hit| self.find(on_hit));
        made.map(drop).map_err(|error| format!("{error:#}"))
    }

    fn find(&self, on_hit: zip::OnHit<'_>) -> anyhow::Result<Value> {
        let began = Instant::now();
        let asked = Asked {
            query: &self.query.1,
            sight: self.sight.as_deref(),
            count_max: usize::MAX,
            excerpts: false,
            time: self.time,
        };
        let (mut batch, mut failed) = (Vec::with_capacity(LOOKED_AT_ONCE), None);
        let ended = self.search.find(&self.store, &asked, &mut |told| {
            let sent = match told {
                Told::Found(found) => {
                    batch.push(*found);
                    if batch.len() < LOOKED_AT_ONCE {
                        Ok(())
                    } else {
                        self.send(&mut batch, on_hit)
                    }
                }
                Told::Lost(lost) => on_hit(&view::lost(&lost), Vec::new()),
                Told::Looking => Ok(()),
            };
            failed = sent.err();
            if failed.is_some() { Visit::Stop } else { Visit::GoOn }
        })?;
        if let Some(failed) = failed {
            return Err(failed);
        }
        self.send(&mut batch, on_hit)?;
        let mut end = view::end(&ended, None, began.elapsed());
        if self.sight.is_some() {
            view::without_counts(&mut end);
        }
        Ok(end)
    }

    /// Notes the look, and only then lets the messages go.
    fn send(&self, batch: &mut Vec<Found>, on_hit: zip::OnHit<'_>) -> anyhow::Result<()> {
        if let Some(actor) = self.looks.clone().filter(|_| !batch.is_empty()) {
            let mails = batch.iter().map(|found| found.story.facts.receipt.mail).collect();
            let looked = Looked { at: LookedAt::Whole, asked: self.query.0.clone(), mails };
            self.store.looked(actor, looked).wait()?;
        }
        for found in batch.drain(..) {
            let mut hit = (self.hit)(&found);
            // The record names all recipients, and where it lies with each.
            let hash_only = self.sight.is_some();
            hit["inclusion_proof"] = session::proof(self.heads.as_deref(), &found, hash_only);
            let body = self.store.body(&found.story.facts).unwrap_or_else(|error| {
                hit["lost"] = error.to_string().into();
                Vec::new()
            });
            on_hit(&hit, body)?;
        }
        Ok(())
    }
}

/// Reads the query of an export.
pub fn query(text: &str) -> Result<(String, Query), Failure> {
    let query = Query::parse(text, net::now());
    let query = query.map_err(|error| Failure { what: error.to_string(), mend: None })?;
    Ok((text.to_owned(), query))
}
