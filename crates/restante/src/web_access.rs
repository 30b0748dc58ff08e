//! Wires the HTTP API.

use std::sync::Arc;

use config::{Config, Service};
use mail_types::{AccountId, ReceiptId};
use sign_in::SignIn;
use smtp::HoldFor;
use smtp_machine::server::Role;
use store::{Query, Source, Store};

use crate::control;
use crate::desk::Desk;
use crate::incoming;
use crate::mta_sts;
use crate::serve::Running;

/// Serves HTTPS on its port: the API, the console, pages and numbers.
pub fn listen(
    running: &mut Running,
    config: &Config,
    store: &Store,
    sign_in: &Arc<SignIn>,
    parts: &control::Parts,
) -> anyhow::Result<()> {
    let submission = incoming::shared(config, store, sign_in, Role::Submission);
    let api = api(config, store, Arc::new(submission), parts.clone());
    let pages = vec![mta_sts::source(config, store)?];
    let desk = Desk::new(store, parts);
    let console = console(config, store, sign_in, &parts.sessions, desk);
    let numbers = Arc::clone(&parts.metrics);
    listen_https(running, config, pages, numbers, Some(api), Some(console))
}

fn listen_https(
    running: &mut Running,
    config: &Config,
    pages: Vec<web::PageSource>,
    health: Arc<dyn web::Health>,
    api: Option<Arc<web::Api>>,
    console: Option<Arc<web::Console>>,
) -> anyhow::Result<()> {
    let shared = Arc::new(web::Shared {
        limits: web_limits(config),
        pages,
        health: Some(health),
        api,
        console,
        room: web::Shared::room(config.web.body_bytes_held_max),
    });
    let stop = running.stop();
    running.listen(config, Service::Https, web::TOO_MANY_CONNECTIONS, move |link| {
        web::serve(Arc::clone(&shared), link, stop.clone())
    })
}

/// The API, whose messages go the way of the submission port.
fn api(
    config: &Config,
    store: &Store,
    submission: Arc<smtp::Shared>,
    parts: control::Parts,
) -> Arc<web::Api> {
    Arc::new(web::Api {
        store: store.clone(),
        sign_in: Arc::clone(&submission.sign_in),
        plain_sign_in_from_loopback: config.sign_in.allow_plaintext_from_loopback,
        keys_kept_for: config.web.idempotency_keys_for,
        rates: web::Rates::new(config.web.sends_per_account, config.web.sends_per_token),
        doing: Box::new(Doing { store: store.clone(), submission, parts }),
    })
}

/// Who is signed in at the console: nobody, after a start.
pub fn sessions(config: &Config) -> Arc<web::Sessions> {
    let console = &config.console;
    Arc::new(web::Sessions::new(web::SessionLimits {
        idle: console.session_idle,
        whole: console.session_max,
        confirm_after: console.confirm_after,
    }))
}

/// The console of operators.
pub fn console(
    config: &Config,
    store: &Store,
    sign_in: &Arc<SignIn>,
    sessions: &Arc<web::Sessions>,
    desk: Arc<Desk>,
) -> Arc<web::Console> {
    Arc::new(web::Console {
        store: store.clone(),
        sign_in: Arc::clone(sign_in),
        sessions: Arc::clone(sessions),
        desk,
        trusted: crate::serve::trusted(&config.console.networks),
        hostname: config.hostname.to_string(),
    })
}

/// What the API has done by others.
struct Doing {
    store: Store,
    submission: Arc<smtp::Shared>,
    parts: control::Parts,
}

impl web::Doing for Doing {
    fn submit(
        &self,
        submission: web::Submission,
    ) -> web::Future_<'_, Result<store::Receipt, web::NotTaken>> {
        Box::pin(async move {
            let submitted = smtp::Submitted {
                account: submission.account,
                name: submission.name,
                standing: submission.standing,
                peer: submission.peer,
                tls: submission.tls,
                reverse_path: submission.reverse_path,
                envelope_id: submission.envelope_id,
                hold: submission.leaves.map(|leaves| match leaves {
                    web::Leaves::AfterSecs(secs) => HoldFor::Secs(secs),
                    web::Leaves::At(at) => HoldFor::Until(at),
                }),
                priority: submission.priority,
                recipients: submission.recipients,
                content: &submission.content,
                key: submission.key,
            };
            smtp::submit(&self.submission, submitted).await.map_err(|why| match why {
                smtp::NotTaken::Refused(refusal) => web::NotTaken::Refused(refusal),
                smtp::NotTaken::Recipients(all) => web::NotTaken::Recipients(all),
                smtp::NotTaken::Repeated => web::NotTaken::Repeated,
            })
        })
    }

    fn story(
        &self,
        account: AccountId,
        receipt: &str,
    ) -> Result<Option<serde_json::Value>, web::Problem> {
        let Ok(receipt) = receipt.parse::<ReceiptId>() else { return Ok(None) };
        let query = Query { receipt: Some(receipt), count_max: 1, ..Query::default() };
        let found = self.store.trace(&query);
        let found = found.map_err(|error| web::Problem::unavailable(error.to_string()))?;
        // What others sent is none of its business, whoever guesses a receipt.
        let own = found.into_iter().find(|story| {
            matches!(story.accepted.source, Source::Submission { account: of, .. } if of == account)
        });
        let directory = self.store.directory();
        Ok(own.map(|story| crate::view::story(&crate::narrow::to_sender(story), &directory)))
    }

    fn deleted(&self, account: AccountId, days: u32) -> Result<serde_json::Value, web::Problem> {
        crate::own_mail::deleted(&self.store, account, days)
    }

    fn restore(
        &self,
        account: AccountId,
        peer: std::net::IpAddr,
        acts: Vec<u64>,
        redo: Option<String>,
    ) -> Result<serde_json::Value, web::Problem> {
        crate::own_mail::restore(&self.store, account, peer, acts, redo.as_deref())
    }

    fn own_trace(
        &self,
        account: AccountId,
        query: web::OwnQuery,
    ) -> Result<serde_json::Value, web::Problem> {
        crate::own_mail::trace(&self.store, account, query)
    }

    fn own_search(
        &self,
        account: AccountId,
        asked: web::OwnSearch,
    ) -> Result<serde_json::Value, web::Problem> {
        crate::own_search::search(&self.store, self.parts.search.as_deref(), account, &asked)
    }

    fn own_export(
        &self,
        account: AccountId,
        query: String,
        as_mbox: bool,
    ) -> Result<web::Maker, web::Problem> {
        let parts = crate::own_search::ExportParts {
            store: &self.store,
            search: self.parts.search.as_ref(),
            heads: self.parts.looking_after.heads.as_ref(),
            spool: self.parts.data.path(),
            account,
        };
        crate::own_search::export(parts, &query, as_mbox)
    }

    fn bring_back(
        &self,
        account: AccountId,
        peer: std::net::IpAddr,
        what: web::Back,
    ) -> Result<serde_json::Value, web::Problem> {
        let web::Back { receipt, mailbox } = what;
        crate::own_search::bring_back(&self.store, account, peer, &receipt, &mailbox)
    }
}

/// Serves pages in clear where the settings name a port for it.
pub fn listen_http(
    running: &mut Running,
    config: &Config,
    pages: Vec<web::PageSource>,
) -> anyhow::Result<()> {
    let (pages, limits) = (Arc::<[web::PageSource]>::from(pages), web_limits(config));
    let stop = running.stop();
    running.listen(config, Service::Http, web::TOO_MANY_CONNECTIONS, move |link| {
        web::serve_pages(Arc::clone(&pages), limits.clone(), link, stop.clone())
    })
}

fn web_limits(config: &Config) -> web::Limits {
    let settings = &config.web;
    web::Limits {
        header_wait: settings.header_timeout,
        body_wait: settings.request_timeout,
        header_bytes_max: settings.header_bytes_max,
        streams_max: settings.streams_max,
        message_bytes_max: config.limits.message_bytes_max,
        recipients_max: config.limits.recipients_max,
    }
}
