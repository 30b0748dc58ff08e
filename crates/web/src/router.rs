//! Which part of the server answers a request.

use hyper::{Method, StatusCode};

use crate::reply::{self, Reply};
use crate::{Asked, Problem, Shared, console, health, my, openapi, send};

/// Answers a request.
pub async fn answer(shared: &Shared, mut asked: Asked) -> Reply {
    let (method, path) = (asked.method().clone(), asked.path().to_owned());
    let answered = route(shared, &mut asked).await;
    asked.pass_over_body().await;
    let reply = answered.unwrap_or_else(|problem| reply::problem(&problem));
    tracing::debug!(%method, path, status = reply.status().as_u16(), "answered");
    reply
}

async fn route(shared: &Shared, asked: &mut Asked) -> Result<Reply, Problem> {
    let reads = matches!(*asked.method(), Method::GET | Method::HEAD);
    if reads {
        let host = asked.host();
        let found = shared.pages.iter().find_map(|source| source(&host, asked.path()));
        if let Some(page) = found {
            return Ok(reply::page(page));
        }
    }
    if reads
        && let Some(health) = &shared.health
        && let Some(answer) = health::answer(health, asked).await
    {
        return answer;
    }
    if let Some(console) = &shared.console {
        if asked.path() == "/admin" || asked.path().starts_with("/admin/") {
            return Ok(console::answer(shared, console, asked).await);
        }
        if let Some(answer) = console::answer_api(shared, console, asked).await {
            return answer;
        }
    }
    let Some(api) = &shared.api else { return Err(Problem::not_found("Nothing is here")) };
    match asked.path() {
        "/api/v1/send" => send::send(shared, api, asked).await,
        "/api/v1/openapi.json" if reads => Ok(reply::json(StatusCode::OK, &openapi::document())),
        path if path.starts_with(my::PREFIX) => my::answer(shared, api, asked).await,
        path if reads && path.starts_with("/api/v1/messages/") => send::message(api, asked).await,
        "/api/v1/health" if reads => {
            Ok(reply::json(StatusCode::OK, &serde_json::json!({ "status": "ok" })))
        }
        _ => Err(Problem::not_found("Nothing is here")),
    }
}
