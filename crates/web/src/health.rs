//! What starts, balances and watches servers asks: `/healthz`, `/readyz` and `/metrics`.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{self, HeaderName};
use serde_json::json;

use crate::reply::{self, Reply};
use crate::{Asked, Problem};

/// Fields of which a proxy that passes requests on adds one (RFC 7239 §4, RFC 9110 §7.6.3).
const PROXY_FIELDS: [HeaderName; 3] =
    [header::FORWARDED, HeaderName::from_static("x-forwarded-for"), header::VIA];

/// What is known of the server's health.
pub trait Health: Send + Sync {
    /// Whether it takes mail; else why not, for the log of whoever asks from a network that may.
    ///
    /// # Errors
    /// Why not.
    fn ready(&self) -> Result<(), String>;

    /// Whether this one may read the numbers, which tell more than strangers should know.
    fn may_read_metrics(&self, peer: IpAddr) -> bool;

    /// The numbers, with their media type. May block.
    fn metrics(&self) -> (&'static str, String);
}

/// The answer, where the path is one of these.
pub async fn answer(health: &Arc<dyn Health>, asked: &Asked) -> Option<Result<Reply, Problem>> {
    // Behind an HTTP proxy of this machine everybody comes from it.
    let is_passed_on = PROXY_FIELDS.iter().any(|name| asked.header(name).is_some());
    let may_read = !is_passed_on && health.may_read_metrics(asked.peer);
    match asked.path() {
        // That this is answered is what it says.
        "/healthz" => Some(Ok(reply::json(StatusCode::OK, &json!({ "status": "alive" })))),
        "/readyz" => Some(Ok(match health.ready() {
            Ok(()) => reply::json(StatusCode::OK, &json!({ "status": "ready" })),
            Err(why) => {
                let why = may_read.then_some(why);
                let said = json!({ "status": "not accepting mail", "because": why });
                reply::json(StatusCode::SERVICE_UNAVAILABLE, &said)
            }
        })),
        // Strangers are not even told that it is there.
        "/metrics" if may_read => {
            let health = Arc::clone(health);
            let read = tokio::task::spawn_blocking(move || health.metrics()).await;
            Some(match read {
                Ok((media_type, text)) => Ok(reply::text(media_type, text)),
                Err(_) => Err(Problem::unavailable("The numbers cannot be read now")),
            })
        }
        _ => None,
    }
}
