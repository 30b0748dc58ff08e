//! `POST /api/v1/send`, and `GET /api/v1/messages/…`, which says what became of it.

use std::sync::Arc;

use hyper::header::{CONTENT_TYPE, HeaderName};
use hyper::{Method, StatusCode};
use mail_types::{AccountId, Refusal};
use serde_json::{Value, json};
use store::{Receipt, SendKey};

use crate::api::{Api, NotTaken, Submission};
use crate::letter::{Wanted, from_json, from_raw};
use crate::reply::{self, Reply};
use crate::signed::{Signed, sign_in};
use crate::{Asked, Problem, Shared};

/// draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Characters of such a key.
const KEY_BYTES_MAX: usize = 255;
/// A JSON document carries attachments in base64, and its own words.
const JSON_SLACK_BYTES: usize = 1 << 20;

/// A request to send.
pub async fn send(shared: &Shared, api: &Arc<Api>, asked: &mut Asked) -> Result<Reply, Problem> {
    if *asked.method() != Method::POST {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Send with POST");
        return Err(Problem { allow: Some("POST"), ..problem });
    }
    let signed = sign_in(api, asked).await?;
    if let Some(reason) = api.store.stopped() {
        tracing::error!(reason, "mail is turned away, the store has stopped");
        return Err(Problem::unavailable("This server cannot store mail now"));
    }
    let media_type = asked.header(&CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = match media_type.as_str() {
        "application/json" => true,
        "message/rfc822" | "message/global" => false,
        _ => {
            let detail = "Send application/json or message/rfc822, and say which in Content-Type";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    };
    let key_text = key_text(asked)?;
    let (peer, tls, query) = (asked.peer, asked.tls.clone(), asked.query().to_owned());
    let message_bytes_max = usize::try_from(shared.limits.message_bytes_max).unwrap_or(usize::MAX);
    let bytes_max = if is_json {
        (message_bytes_max / 3 * 4).saturating_add(JSON_SLACK_BYTES)
    } else {
        message_bytes_max
    };
    let body = asked.body(bytes_max, &shared.limits, &shared.room).await?;
    let mut asked_for = blake3::Hasher::new();
    for part in [media_type.as_bytes(), query.as_bytes()] {
        asked_for.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    asked_for.update(&body.bytes);
    let asked_for = *asked_for.finalize().as_bytes();
    let key = key_text.map(|text| SendKey {
        account: signed.account,
        key: *blake3::hash(text.as_bytes()).as_bytes(),
        request: asked_for,
        kept_for: api.keys_kept_for,
    });
    if let Some(key) = key
        && let Some(reply) = repeated(api, key, signed.account).await?
    {
        return Ok(reply);
    }
    // RFC 6585 §4. The key is used up only with the message's acceptance, so it may come again.
    if let Err(wait) = api.rates.take(signed.account, signed.token, std::time::Instant::now()) {
        let detail = "You send more messages a minute than you may; nothing was sent";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
        return Err(Problem { retry_after: Some(wait), ..problem });
    }
    let wanted = if is_json {
        let boundary = net::nonce().map_err(|error| Problem::unavailable(error.to_string()))?;
        let boundary: String =
            boundary.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
        from_json(&body.bytes, &format!("part-{boundary}"))?
    } else {
        from_raw(&body.bytes, &query)?
    };
    check(shared, &wanted)?;
    // Its bytes go on into the store; those of the request are not needed any more.
    drop(body);
    let submission = submission(&signed, wanted, (peer, tls), key);
    match api.doing.submit(submission).await {
        Ok(receipt) => accepted(api, signed.account, &receipt).await,
        Err(NotTaken::Repeated) => {
            let again = match key {
                Some(key) => repeated(api, key, signed.account).await?,
                None => None,
            };
            again.ok_or_else(|| Problem::unavailable("Another request of this key is under way"))
        }
        Err(NotTaken::Refused(refusal)) => Err(refused(&refusal)),
        Err(NotTaken::Recipients(all)) => Err(refused_recipients(&all)),
    }
}

fn key_text(asked: &Asked) -> Result<Option<String>, Problem> {
    let Some(text) = asked.header(&IDEMPOTENCY_KEY).map(str::trim) else { return Ok(None) };
    if text.is_empty() || text.len() > KEY_BYTES_MAX {
        let detail = format!("An Idempotency-Key has 1 to {KEY_BYTES_MAX} characters");
        return Err(Problem::bad_request(detail));
    }
    Ok(Some(text.to_owned()))
}

fn check(shared: &Shared, wanted: &Wanted) -> Result<(), Problem> {
    let limits = &shared.limits;
    if wanted.recipients.len() > limits.recipients_max {
        let detail = format!("A message goes to at most {} recipients", limits.recipients_max);
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    if wanted.content.len() as u64 > limits.message_bytes_max {
        let detail = format!("A message has at most {} bytes", limits.message_bytes_max);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(())
}

fn submission(
    signed: &Signed,
    wanted: Wanted,
    (peer, tls): (std::net::IpAddr, Option<mail_types::TlsFacts>),
    key: Option<SendKey>,
) -> Submission {
    Submission {
        account: signed.account,
        name: signed.name.clone(),
        standing: signed.standing,
        peer,
        tls,
        reverse_path: wanted.reverse_path,
        envelope_id: wanted.envelope_id,
        leaves: wanted.leaves,
        priority: wanted.priority,
        recipients: wanted.recipients,
        content: wanted.content.into(),
        key,
    }
}

/// The answer to a request that was done before: the same, with what became of it since.
async fn repeated(
    api: &Arc<Api>,
    key: SendKey,
    account: AccountId,
) -> Result<Option<Reply>, Problem> {
    let store = api.store.clone();
    let before = blocking(move || {
        store.sent_before(&key).map_err(|error| Problem::unavailable(error.to_string()))
    })
    .await?;
    let Some(before) = before else { return Ok(None) };
    if !before.is_same {
        let detail = "This Idempotency-Key was used for another request";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let name = before.facts.receipt.to_string();
    let mut reply = told(api, account, &name).await?;
    reply.headers_mut().insert(
        HeaderName::from_static("idempotent-replayed"),
        hyper::header::HeaderValue::from_static("true"),
    );
    Ok(Some(reply))
}

/// Only from a receipt: the message is on disk.
async fn accepted(api: &Arc<Api>, account: AccountId, receipt: &Receipt) -> Result<Reply, Problem> {
    let name = receipt.id().to_string();
    match told(api, account, &name).await {
        Ok(reply) => Ok(reply),
        // It is taken, whatever keeps its story from being told.
        Err(problem) => {
            tracing::warn!(detail = problem.detail, receipt = name, "no story of what was taken");
            let answer = json!({ "receipt": name, "accepted": receipt.at().to_string() });
            Ok(reply::json(StatusCode::ACCEPTED, &answer))
        }
    }
}

/// 200 where every recipient's fate is known, 202 where some of it is still to come.
async fn told(api: &Arc<Api>, account: AccountId, name: &str) -> Result<Reply, Problem> {
    let story = story(api, account, name.to_owned()).await?;
    let story = story.ok_or_else(|| Problem::unavailable("The message is not to be found now"))?;
    let recipients = story["recipients"].as_array().map(Vec::as_slice).unwrap_or_default();
    let waits = recipients.iter().any(|one| one["state"] == "queued" || one["state"] == "held");
    let states: Vec<Value> = recipients
        .iter()
        .map(|one| json!({ "recipient": one["recipient"], "state": one["state"] }))
        .collect();
    let answer = json!({
        "receipt": name,
        "accepted": story["accepted"],
        "message_id": story["message_id"],
        "recipients": states,
    });
    Ok(reply::json(if waits { StatusCode::ACCEPTED } else { StatusCode::OK }, &answer))
}

/// What became of a message that the account has sent.
pub async fn message(api: &Arc<Api>, asked: &mut Asked) -> Result<Reply, Problem> {
    let signed = sign_in(api, asked).await?;
    let name = asked.path().rsplit('/').next().unwrap_or_default().to_owned();
    match story(api, signed.account, name).await? {
        Some(story) => Ok(reply::json(StatusCode::OK, &story)),
        None => Err(Problem::not_found("You have sent no message with this receipt")),
    }
}

async fn story(api: &Arc<Api>, account: AccountId, name: String) -> Result<Option<Value>, Problem> {
    let api = Arc::clone(api);
    blocking(move || api.doing.story(account, &name)).await
}

pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Problem::unavailable("The server failed at it (a bug)")))
}

/// An SMTP reply in HTTP's words: 4yz is ours or passes, 5yz is the request's.
fn refused(refusal: &Refusal) -> Problem {
    let code = refusal.reply().code;
    let (detail, enhanced) = words(refusal);
    let status = match code {
        400..=499 => {
            let problem = Problem::unavailable(detail);
            return Problem { enhanced_status: enhanced, ..problem };
        }
        530 => StatusCode::UNAUTHORIZED,
        552 => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem { enhanced_status: enhanced, ..Problem::new(status, detail) }
}

fn words(refusal: &Refusal) -> (String, Option<String>) {
    let reply = refusal.reply();
    (reply.lines.join(" "), reply.status.map(|status| status.to_string()))
}

fn refused_recipients(all: &[(mail_types::Address, Refusal)]) -> Problem {
    let told: Vec<String> =
        all.iter().map(|(address, refusal)| format!("{address}: {}", words(refusal).0)).collect();
    let first = all.first().map(|(_, refusal)| refused(refusal));
    let passes = all.iter().all(|(_, refusal)| refusal.reply().code < 500);
    let problem = if passes {
        Problem::unavailable(told.join("; "))
    } else {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, told.join("; "))
    };
    Problem { enhanced_status: first.and_then(|first| first.enhanced_status), ..problem }
}
