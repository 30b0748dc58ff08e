//! `/api/v1/my/…`: what people see and do about their own mail without asking anybody: what was
//! deleted and having it back, where a message is, and finding any of it in the archive. For who gives the password: tokens only send.

use std::sync::Arc;

use hyper::header::CONTENT_TYPE;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{Api, Back, OwnQuery, OwnSearch};
use crate::letter::percent_decoded;
use crate::reply::{self, Reply};
use crate::send::blocking;
use crate::signed::sign_in;
use crate::{Asked, Problem, Shared};

/// Where all of it is.
pub const PREFIX: &str = "/api/v1/my/";
/// Bytes of a request to have something back.
const RESTORE_BYTES_MAX: usize = 64 << 10;
/// Days that are looked back if not asked for others, and at most.
const DAYS_DEFAULT: u32 = 30;
const DAYS_MAX: u32 = 3660;

/// Messages found if not asked for others, and at most.
const FOUND_DEFAULT: usize = 20;
const FOUND_MAX: usize = 100;

/// What is to be had back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restore {
    /// By the numbers of `deleted`.
    #[serde(default)]
    acts: Vec<u64>,
    /// Or the other way round, what an answer to this called `redo`.
    redo: Option<String>,
}

/// A message that was found, to be put into a mailbox again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    receipt: String,
    #[serde(default = "inbox")]
    mailbox: String,
}

fn inbox() -> String {
    "INBOX".to_owned()
}

/// Answers a request below [`PREFIX`].
pub async fn answer(shared: &Shared, api: &Arc<Api>, asked: &mut Asked) -> Result<Reply, Problem> {
    let path = asked.path().to_owned();
    let what = path.strip_prefix(PREFIX).unwrap_or_default();
    let signed = sign_in(api, asked).await?;
    if signed.token.is_some() {
        let detail = "A token only sends; sign in with the account's password";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let (account, doing) = (signed.account, Arc::clone(api));
    let reads = matches!(*asked.method(), Method::GET | Method::HEAD);
    let answer: Value = match what {
        "deleted" if reads => {
            let days = days(asked)?;
            blocking(move || doing.doing.deleted(account, days)).await?
        }
        "messages/trace" if reads => {
            let query = OwnQuery {
                receipt: parameter(asked, "receipt")?,
                message_id: parameter(asked, "message_id")?,
                from: parameter(asked, "from")?,
                days: days(asked)?,
            };
            blocking(move || doing.doing.own_trace(account, query)).await?
        }
        "search" if reads => {
            let query = typed(asked)?.filter(|text| !text.trim().is_empty());
            let wrong = || Problem::bad_request("Say what to look for: ?q=from:anna+invoice");
            let query = OwnSearch { query: query.ok_or_else(wrong)?, count_max: limit(asked)? };
            blocking(move || doing.doing.own_search(account, query)).await?
        }
        "search/export" if *asked.method() == Method::GET => {
            let query = typed(asked)?.unwrap_or_default();
            let as_mbox = match parameter(asked, "as")?.as_deref() {
                None | Some("eml") => false,
                Some("mbox") => true,
                Some(_) => return Err(Problem::bad_request("as is eml or mbox")),
            };
            let maker = blocking(move || doing.doing.own_export(account, query, as_mbox)).await?;
            return reply::file("mail.zip", "application/zip", maker).await;
        }
        "search/restore" if *asked.method() == Method::POST => {
            let peer = asked.peer;
            let Found { receipt, mailbox } = document(shared, asked).await?;
            let what = Back { receipt, mailbox };
            blocking(move || doing.doing.bring_back(account, peer, what)).await?
        }
        "restore" if *asked.method() == Method::POST => {
            let peer = asked.peer;
            let Restore { acts, redo } = wanted(shared, asked).await?;
            blocking(move || doing.doing.restore(account, peer, acts, redo)).await?
        }
        "restore" | "search/restore" => {
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Restore with POST");
            return Err(Problem { allow: Some("POST"), ..problem });
        }
        _ => return Err(Problem::not_found("Nothing is here")),
    };
    Ok(reply::json(StatusCode::OK, &answer))
}

async fn wanted(shared: &Shared, asked: &mut Asked) -> Result<Restore, Problem> {
    let wanted: Restore = document(shared, asked).await?;
    if wanted.acts.is_empty() == wanted.redo.is_none() {
        let detail = "Say which: {\"acts\": [NUMBER, …]} or {\"redo\": \"FIRST-LAST\"}";
        return Err(Problem::bad_request(detail));
    }
    Ok(wanted)
}

async fn document<T: DeserializeOwned>(shared: &Shared, asked: &mut Asked) -> Result<T, Problem> {
    // No page of others can have a browser send this type unasked.
    if asked.header(&CONTENT_TYPE).is_none_or(|kind| !kind.starts_with("application/json")) {
        let detail = "Send application/json, and say so in Content-Type";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body = asked.body(RESTORE_BYTES_MAX, &shared.limits, &shared.room).await?;
    serde_json::from_slice(&body.bytes)
        .map_err(|error| Problem::bad_request(format!("The document is not right: {error}")))
}

/// How many messages are wanted.
fn limit(asked: &Asked) -> Result<usize, Problem> {
    let Some(limit) = parameter(asked, "limit")? else { return Ok(FOUND_DEFAULT) };
    let limit = limit.parse().ok().filter(|limit| (1..=FOUND_MAX).contains(limit));
    limit.ok_or_else(|| Problem::bad_request(format!("limit is a number from 1 to {FOUND_MAX}")))
}

fn days(asked: &Asked) -> Result<u32, Problem> {
    let Some(days) = parameter(asked, "days")? else { return Ok(DAYS_DEFAULT) };
    let days = days.parse().ok().filter(|days| (1..=DAYS_MAX).contains(days));
    days.ok_or_else(|| Problem::bad_request(format!("days is a number from 1 to {DAYS_MAX}")))
}

/// What somebody typed into a form, or a program has encoded like one: `+` is a space.
fn typed(asked: &Asked) -> Result<Option<String>, Problem> {
    let mut pairs = asked.query().split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(known, _)| *known == "q");
    found.map(|(_, value)| percent_decoded(&value.replace('+', " "))).transpose()
}

/// A parameter of the query.
fn parameter(asked: &Asked, name: &str) -> Result<Option<String>, Problem> {
    let pairs = asked.query().split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(known, _)| *known == name);
    found.next().map(|(_, value)| percent_decoded(value)).transpose()
}
