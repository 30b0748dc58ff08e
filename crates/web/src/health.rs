//! What starts, balances and watches servers asks: `/healthz`, `/readyz` and `/metrics`.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::StatusCode;
use serde_json::json;

use crate::reply::{self, Reply};
use crate::{Asked, Problem};

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
    let may_read = health.may_read_metrics(asked.peer);
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
