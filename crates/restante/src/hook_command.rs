//! `restante hook`: URLs that are told what happens to mail.

use std::sync::Arc;

use anyhow::bail;
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Actor, HookSecret, Store};

use crate::request::{Failure, Request};

const EXAMPLES: &str = "\
Examples:
  restante hook add https://shop.example.org/mail --event relayed --event returned
  restante hook test 1
  restante hook list
  restante hook show 1

Each event is a POST of JSON, signed as Standard Webhooks say (webhook-id, webhook-timestamp,
webhook-signature). It is told until the answer is 2xx, in order and at least once: a receiver
remembers the ids that it has seen.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Hook {
    /// Tell a URL what happens from now on; what signs is printed once
    Add {
        /// Where: https://…, or http://… within a network of your own
        url: String,
        /// Only this kind of event (repeatable): accepted, delivered, queued, relayed, deferred,
        /// uncertain, returned, held, purged
        #[arg(long = "event")]
        events: Vec<String>,
    },
    /// Tell it nothing more
    Remove {
        /// Its number, see `hook list`
        hook: u64,
    },
    /// List them, and how they are
    List,
    /// Tell one an event of no consequence, and show its answer
    Test {
        /// Its number
        hook: u64,
    },
    /// The latest tries of one
    Log {
        /// Its number
        hook: u64,
    },
    /// How one is, and its latest tries
    Show {
        /// Its number
        hook: u64,
    },
    /// Try again now what waits
    Retry,
}

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "hook", rename_all = "kebab-case")]
pub enum Ask {
    Add { url: String, kinds: Vec<String>, secret: Vec<u8> },
    Remove { id: u64 },
    List,
    Test { id: u64 },
    Log { id: u64 },
    Show { id: u64 },
    Retry,
}

/// The request, and what will sign, where it was made for it.
pub fn request(command: Hook) -> anyhow::Result<(Request, Option<String>)> {
    let mut made = None;
    let ask = match command {
        Hook::Add { url, events } => {
            if !url.starts_with("https://") && !url.starts_with("http://") {
                bail!("“{url}” is no URL of a hook: write https://…");
            }
            if let Some(kind) = events.iter().find(|kind| !web::KINDS.contains(&kind.as_str())) {
                bail!("“{kind}” is no kind of event; there are: {}", web::KINDS.join(", "));
            }
            let secret: [u8; 32] = net::random_bytes()?;
            made = Some(web::secret_text(&secret));
            Ask::Add { url, kinds: events, secret: secret.to_vec() }
        }
        Hook::Remove { hook } => Ask::Remove { id: hook },
        Hook::List => Ask::List,
        Hook::Test { hook } => Ask::Test { id: hook },
        Hook::Log { hook } => Ask::Log { id: hook },
        Hook::Show { hook } => Ask::Show { id: hook },
        Hook::Retry => Ask::Retry,
    };
    Ok((Request::Hook { ask }, made))
}

/// Does it on the store.
pub fn perform(store: &Store, ask: Ask, actor: Actor) -> Result<Value, Failure> {
    match ask {
        Ask::Add { url, kinds, secret } => {
            let hook = store.add_hook(actor, url.clone(), HookSecret(secret), kinds).wait()?;
            Ok(json!({ "did": format!("hook {hook} is told at {url}"), "hook": hook }))
        }
        Ask::Remove { id } => {
            store.remove_hook(actor, id).wait()?;
            Ok(json!({ "did": format!("hook {id} is told nothing more") }))
        }
        Ask::List => list(store, None),
        Ask::Log { id } => log(store, id),
        Ask::Show { id } => one(store, None, id),
        Ask::Test { .. } | Ask::Retry => Err(Failure {
            what: "only a running server tells hooks".to_owned(),
            mend: Some("start it with: restante serve".to_owned()),
        }),
    }
}

/// Does it in the running server.
pub async fn answer(
    hooks: &Arc<web::Hooks>,
    store: &Store,
    ask: Ask,
    actor: &Actor,
) -> Result<Value, Failure> {
    match ask {
        Ask::List => list(store, Some(hooks)),
        Ask::Log { id } => log(store, id),
        Ask::Show { id } => one(store, Some(hooks), id),
        Ask::Retry => {
            hooks.retry();
            Ok(json!({ "did": "what waits is tried now" }))
        }
        Ask::Test { id } => {
            let found = store.hooks()?.into_iter().find(|hook| hook.id == id);
            let what = format!("there is no hook {id}");
            let hook = found.ok_or(Failure { what, mend: None })?;
            match hooks.test(&hook).await {
                Ok(said) => Ok(json!({ "did": format!("hook {id} was told, it said {said}") })),
                Err(why) => {
                    Err(Failure { what: format!("hook {id} was not told: {why}"), mend: None })
                }
            }
        }
        Ask::Add { .. } | Ask::Remove { .. } => {
            let (work, actor) = (store.clone(), actor.clone());
            let done = tokio::task::spawn_blocking(move || perform(&work, ask, actor)).await;
            hooks.reload();
            let what = "the server failed at it (a bug)".to_owned();
            done.unwrap_or(Err(Failure { what, mend: None }))
        }
    }
}

/// The latest tries of a hook, newest first.
fn log(store: &Store, id: u64) -> Result<Value, Failure> {
    let show = |one: store::HookTry| {
        json!({
            "at": one.at.to_string(), "event": one.event, "kind": one.kind, "said": one.said,
            "told": one.told,
        })
    };
    Ok(store.hook_log(id)?.into_iter().map(show).collect())
}

/// How a hook is, with its latest tries.
fn one(store: &Store, hooks: Option<&Arc<web::Hooks>>, id: u64) -> Result<Value, Failure> {
    let mut all = list(store, hooks)?;
    let all = all.as_array_mut().map(std::mem::take).unwrap_or_default();
    let found = all.into_iter().find(|hook| hook["hook"] == id);
    let what = format!("there is no hook {id}");
    let mut found = found.ok_or(Failure { what, mend: None })?;
    found["log"] = log(store, id)?;
    Ok(found)
}

fn list(store: &Store, hooks: Option<&Arc<web::Hooks>>) -> Result<Value, Failure> {
    let states = hooks.map(|hooks| hooks.states()).unwrap_or_default();
    let show = |hook: &store::Hook| {
        let state = states.get(&hook.id);
        let of = |name: &str| state.map(|state| state[name].clone()).unwrap_or_default();
        json!({
            "hook": hook.id, "url": hook.url, "events": hook.kinds, "state": of("state"),
            "tries": of("tries"), "why": of("why"), "next_try": of("next_try"),
        })
    };
    Ok(store.hooks()?.iter().map(show).collect())
}

/// What came of it.
pub fn show(request: &Request, answer: &Value, secret: Option<&str>, as_json: bool) {
    match (secret, as_json) {
        (Some(secret), true) => {
            let mut answer = answer.clone();
            answer["secret"] = secret.into();
            crate::show::json(&answer);
        }
        (Some(secret), false) => {
            crate::show::answer(request, answer, false);
            crate::show::line(&format!("What signs its events (shown only now): {secret}"));
        }
        (None, _) => crate::show::answer(request, answer, as_json),
    }
}
