//! The operators' part of the API: requests of the command line as paths, with a token.

use hyper::header::AUTHORIZATION;
use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::form::{Form, decoded};
use super::{Console, Language, Trouble, Who};
use crate::reply::{self, Reply};
use crate::{Asked, Problem, Shared};

/// Octets of a request's document.
const BODY_BYTES_MAX: usize = 1 << 20;
/// What a search finds, as a file: it is no JSON, and so stands by itself.
const EXPORT: &str = "search/export";
/// Where it is.
const PREFIX: &str = "/api/v1/";

/// A request by its method and path; `{name}` is a part of it that becomes a member.
struct Path {
    method: &'static str,
    path: &'static str,
    /// `do` of the request; with what is asked (`ask`) behind a slash.
    act: &'static str,
    summary: &'static str,
    /// Members behind `?`, or of the body.
    members: &'static [&'static str],
}

macro_rules! paths {
    ($( $method:literal $path:literal => $act:literal ($($member:literal),*) $summary:literal; )+) => {
        &[$( Path { method: $method, path: $path, act: $act, summary: $summary,
                    members: &[$($member),*] }, )+]
    };
}

/// Every request has a path here, or goes by `POST /api/v1/command` as it is.
const PATHS: &[Path] = paths! {
    "GET" "status" => "status" () "How the server is";
    "GET" "flow" => "flow" ("minutes") "Mail per minute, and the balance of today";
    "GET" "trace" => "trace" ("text", "since", "until", "count_max") "Stories of messages; the look is recorded";
    "GET" "mail/{receipt}/{part}" => "message" () "What a message says: text, html or whole; the look is recorded";
    "GET" "search" => "search" ("query", "count_max", "account") "Find messages in the archive; the look is recorded";
    "POST" "search/restore" => "bring-back" ("receipt", "to", "mailbox") "Put a message that was found into a mailbox";
    "GET" "queue" => "queue-list" ("filter.*", "count_max") "What waits and what is held";
    "GET" "queue/groups" => "queue-groups" () "The queue by senders and destinations";
    "POST" "queue/change" => "queue-change" ("what", "filter", "reason", "dry_run") "Hold, release, retry, reroute, return or purge";
    "POST" "queue/undo" => "queue-undo" ("change", "reason") "Take a change of the queue back";
    "POST" "queue/pause" => "queue-pause" ("destination", "paused", "reason") "Let mail to a destination wait, or go on";
    "GET" "accounts" => "account-list" () "Accounts";
    "POST" "accounts" => "account-add" ("address", "password") "Add an account";
    "DELETE" "accounts/{address}" => "account-remove" () "Remove an account; its mail stays in the archive";
    "PUT" "accounts/{address}/password" => "account-password" ("password") "Set a new password";
    "PUT" "accounts/{address}/quota" => "account-quota" ("storage_bytes", "messages") "Set limits; null is none";
    "GET" "aliases" => "alias-list" () "Aliases";
    "PUT" "aliases/{alias}" => "alias-add" ("targets") "Set an alias";
    "DELETE" "aliases/{alias}" => "alias-remove" () "Remove an alias";
    "GET" "domains" => "domain-list" () "Domains";
    "PUT" "domains/{domain}" => "domain-add" () "Add a domain";
    "DELETE" "domains/{domain}" => "domain-remove" () "Remove a domain";
    "GET" "domains/{domain}/dns" => "domain-check" () "What of a domain is in the DNS";
    "GET" "routes" => "route-list" () "Smart hosts";
    "GET" "jobs" => "job/list" () "Long work: what is under way, and what came of it";
    "POST" "jobs" => "job/start" ("request") "Do a request as a job: restore-found, queue-change, acts (undo), archive (over), backups";
    "GET" "jobs/{job}" => "job/show" () "How far a job is, and what came of it";
    "POST" "jobs/{job}/cancel" => "job/cancel" () "End a job early; what it has done is told";
    "POST" "jobs/{job}/undo" => "job/undo" () "Take back what a job did, as a job";
    "POST" "archive/restore" => "restore-found" ("query", "receipts", "dry_run") "Put deleted messages back to the accounts that had them";
    "GET" "archive/over" => "archive/over" ("count_max") "What would be purged next, and by which rules";
    "GET" "retention" => "archive/retention" () "How long mail is kept";
    "PUT" "retention/{of}" => "archive/set-retention" ("keep", "spam") "Set it for a domain or an account: 90d, 7y, forever, default";
    "GET" "holds" => "archive/holds" ("all") "Legal holds";
    "POST" "holds" => "archive/add-hold" ("name", "accounts", "from", "until", "reason") "Keep all mail of accounts";
    "DELETE" "holds/{name}" => "archive/remove-hold" ("account", "reason") "End a legal hold";
    "GET" "backup/health" => "backups/state" () "How old the backup is, and what checks of it came to";
    "POST" "backup/rehearse" => "backups/rehearse" () "Restore the backup elsewhere and verify it, and wait for that";
    "GET" "head" => "head-state" () "The latest signed head, and where heads are sent";
    "GET" "proof/{receipt}" => "proof" ("hash_only") "Proof that a message was accepted; the look is recorded";
    "GET" "backup" => "backup-state" () "The schedule of backups, and what was begun here";
    "GET" "backup/points" => "backup-points" () "What can be restored";
    "POST" "backup/start" => "backup-start" () "Take a backup now; look at the state for how far it is";
    "POST" "backup/check" => "backup-check" () "Compare every byte of the backup; the same";
    "GET" "audit" => "operator-log" ("before", "who", "count_max") "What operators did, the latest first";
};

/// Members whose value behind `?` is a number.
const NUMBERS: [&str; 4] = ["minutes", "count_max", "before", "job"];
/// Members that are true or false.
const CHOICES: [&str; 3] = ["all", "hash_only", "dry_run"];
/// Members of a filter whose value behind `?` is true or false.
const FLAGS: [&str; 2] = ["held", "queued"];

/// Answers a request of an operator's program; `None` where the path is none of these.
pub async fn answer(
    shared: &Shared,
    console: &Console,
    asked: &mut Asked,
) -> Option<Result<Reply, Problem>> {
    let path = asked.path().strip_prefix(PREFIX)?.to_owned();
    if path == EXPORT && asked.method() == Method::POST {
        return Some(exported(shared, console, asked).await);
    }
    let mut request = match path.as_str() {
        "command" if asked.method() == Method::POST => Map::new(),
        "command" => {
            return Some(Err(Problem {
                allow: Some("POST"),
                ..Problem::new(StatusCode::METHOD_NOT_ALLOWED, "A command is posted")
            }));
        }
        path => found(asked.method(), path)?,
    };
    Some(done(shared, console, asked, &mut request).await)
}

/// The request that a method and path stand for, with what of it is in the path.
fn found(method: &Method, path: &str) -> Option<Map<String, Value>> {
    let is_same =
        |wanted: &str| wanted == method.as_str() || (wanted == "GET" && *method == Method::HEAD);
    PATHS.iter().filter(|one| is_same(one.method)).find_map(|one| {
        let (mut wanted, mut given) = (one.path.split('/'), path.split('/'));
        let mut request = Map::from_iter([("do".to_owned(), json!(one.act))]);
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return Some(request),
                (Some(wanted), Some(given)) => {
                    match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                        Some(name) => {
                            request.insert(name.to_owned(), value_of(name, &decoded(given, false)));
                        }
                        None if wanted == given => {}
                        None => return None,
                    }
                }
                _ => return None,
            }
        }
    })
}

async fn done(
    shared: &Shared,
    console: &Console,
    asked: &mut Asked,
    request: &mut Map<String, Value>,
) -> Result<Reply, Problem> {
    let who = trusted(console, asked)?;
    behind_path(asked, request);
    if matches!(*asked.method(), Method::POST | Method::PUT) {
        let body = asked.body(BODY_BYTES_MAX, &shared.limits, &shared.room).await?;
        if !body.bytes.is_empty() {
            let members: Map<String, Value> =
                serde_json::from_slice(&body.bytes).map_err(|error| {
                    Problem::bad_request(format!("The body is no JSON object: {error}"))
                })?;
            // What the path says stands.
            for (name, value) in members {
                request.entry(name).or_insert(value);
            }
        }
    }
    defaults(request);
    match console.desk.perform(who, nested(std::mem::take(request))).await {
        Ok(answer) => Ok(reply::json(StatusCode::OK, &answer)),
        Err(trouble) => Err(problem(trouble)),
    }
}

/// `{"query": …, "account": …, "as": "eml" or "mbox"}`: what is found, as a zip file.
async fn exported(shared: &Shared, console: &Console, asked: &mut Asked) -> Result<Reply, Problem> {
    let who = trusted(console, asked)?;
    let body = asked.body(BODY_BYTES_MAX, &shared.limits, &shared.room).await?;
    let mut request: Map<String, Value> = serde_json::from_slice(&body.bytes)
        .map_err(|error| Problem::bad_request(format!("The body is no JSON object: {error}")))?;
    let as_mbox = match request.remove("as").as_ref().map(Value::as_str) {
        None | Some(Some("eml")) => false,
        Some(Some("mbox")) => true,
        Some(_) => return Err(Problem::bad_request("as is eml or mbox")),
    };
    request.insert("do".to_owned(), "search".into());
    request.insert("bodies".to_owned(), true.into());
    let maker = console.desk.export(who, Value::Object(request), as_mbox).await;
    reply::file("mail.zip", "application/zip", maker.map_err(problem)?).await
}

/// Members that a request must have, and that are left out.
fn defaults(request: &mut Map<String, Value>) {
    let act = request.get("do").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut or = |name: &str, value: Value| {
        request.entry(name).or_insert(value);
    };
    match act.as_str() {
        "queue-list" => or("filter", json!({})),
        "queue-change" => or("dry_run", json!(false)),
        "queue-pause" => or("paused", json!(true)),
        "archive/holds" => or("all", json!(false)),
        "archive/over" => or("dry_run", json!(true)),
        "proof" => or("hash_only", json!(false)),
        "search" => or("excerpts", json!(true)),
        "bring-back" => or("mailbox", json!("INBOX")),
        _ => {}
    }
}

fn trusted(console: &Console, asked: &Asked) -> Result<Who, Problem> {
    if !(console.trusted)(asked.peer) {
        let detail = "This address may not use the operators' API; see [console] networks";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    signed(console, asked)
}

/// A token has 256 random bits: there is nothing to guess, so nothing is slowed down.
fn signed(console: &Console, asked: &Asked) -> Result<Who, Problem> {
    let unknown = || Problem::sign_in("Sign in with the token of an operator (Bearer)");
    let given = asked.header(&AUTHORIZATION).ok_or_else(unknown)?;
    let (scheme, text) = given.split_once(' ').ok_or_else(unknown)?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(unknown());
    }
    let directory = console.store.directory();
    let (operator, token) = directory.operator_token(text.trim()).ok_or_else(unknown)?;
    Ok(Who {
        operator: std::sync::Arc::clone(operator),
        ip: asked.peer,
        scopes: Some(token.scopes.clone()),
        is_confirmed: false,
        language: Language::English,
    })
}

/// A member as a request has it, of a path or behind `?`.
fn value_of(name: &str, text: &str) -> Value {
    if CHOICES.contains(&name) {
        return json!(matches!(text, "true" | "1" | ""));
    }
    let number = NUMBERS.contains(&name).then(|| text.parse::<u64>().ok()).flatten();
    number.map_or_else(|| json!(text), Value::from)
}

/// Of `archive/holds` the request `archive` that asks for `holds`, with all members in there.
fn nested(mut request: Map<String, Value>) -> Value {
    let act = request.get("do").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some((act, ask)) = act.split_once('/') else { return Value::Object(request) };
    request.remove("do");
    let ask = match request.is_empty() {
        true => json!(ask),
        false => json!({ ask: request }),
    };
    json!({ "do": act, "ask": ask })
}

/// What stands behind `?`: members of the request, or of its filter.
fn behind_path(asked: &Asked, request: &mut Map<String, Value>) {
    let act = request.get("do").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(known) = PATHS.iter().find(|path| path.act == act) else { return };
    let mut filter = Map::new();
    for (name, value) in Form::parse(asked.query()).pairs() {
        if known.members.contains(&name) {
            request.insert(name.to_owned(), value_of(name, value));
        } else if known.members.contains(&"filter.*") {
            let value = match FLAGS.contains(&name) {
                true => json!(matches!(value, "true" | "1" | "")),
                false => json!(value),
            };
            filter.insert(name.to_owned(), value);
        }
    }
    if !filter.is_empty() {
        request.insert("filter".to_owned(), Value::Object(filter));
    }
}

fn problem(trouble: Trouble) -> Problem {
    match trouble {
        Trouble::Forbidden(why) => Problem::new(StatusCode::FORBIDDEN, why),
        Trouble::Confirm => {
            Problem::new(StatusCode::FORBIDDEN, "This needs a token with a scope of :grave")
        }
        Trouble::Invalid(what) => Problem::bad_request(what),
        Trouble::Missing => Problem::not_found("Nothing is here"),
        Trouble::Failed { what, mend } => {
            let detail =
                mend.map_or_else(|| what.clone(), |mend| format!("{what}. What to do: {mend}"));
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        }
    }
}

/// The paths as OpenAPI has them.
pub fn paths(problem: &Value) -> Map<String, Value> {
    let mut all = Map::new();
    let security = json!([{ "operator": [] }]);
    let responses = json!({
        "200": { "description": "Done, or found" }, "400": problem, "401": problem,
        "403": problem, "422": problem });
    for one in PATHS {
        let parameters: Vec<Value> = one
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| {
                json!({ "name": name, "in": "path", "required": true,
                        "schema": { "type": "string" } })
            })
            .chain(one.members.iter().filter(|_| matches!(one.method, "GET" | "DELETE")).map(|name| {
                let kind = match () {
                    () if NUMBERS.contains(name) => "integer",
                    () if CHOICES.contains(name) => "boolean",
                    () => "string",
                };
                json!({ "name": name.trim_end_matches(".*"), "in": "query", "schema": { "type": kind } })
            }))
            .collect();
        let mut operation = json!({ "summary": one.summary, "security": security,
                                    "parameters": parameters, "responses": responses });
        if matches!(one.method, "POST" | "PUT") && !one.members.is_empty() {
            let members: Map<String, Value> =
                one.members.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
            operation["requestBody"] = json!({ "content": { "application/json": { "schema": {
                "type": "object", "properties": members } } } });
        }
        let path = all.entry(format!("{PREFIX}{}", one.path)).or_insert_with(|| json!({}));
        path[one.method.to_ascii_lowercase()] = operation;
    }
    all.insert(
        format!("{PREFIX}{EXPORT}"),
        json!({ "post": { "summary": "What a search finds as a zip file; each look is recorded",
            "security": security,
            "responses": { "200": { "description": "A zip file",
                    "content": { "application/zip": {} } },
                "400": problem, "401": problem, "403": problem, "422": problem },
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object", "required": ["query"], "properties": {
                    "query": { "type": "string" }, "account": { "type": "string" },
                    "as": { "enum": ["eml", "mbox"] } } } } } } } }),
    );
    all.insert(
        format!("{PREFIX}command"),
        json!({ "post": { "summary": "Any request of the command line, as it goes over control.sock",
            "security": security, "responses": responses,
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object", "required": ["do"],
                "properties": { "do": { "type": "string" } } } } } } } }),
    );
    all
}
