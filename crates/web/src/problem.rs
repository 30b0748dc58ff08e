//! What went wrong, as a program can read it.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};

/// RFC 9457: a status with its reason. `type` is left out, which means `about:blank`: the status says
/// what kind of problem it is.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// What is wrong with this very request, and what mends it.
    pub detail: String,
    /// RFC 3463, where mail has a word for it.
    pub enhanced_status: Option<String>,
    /// RFC 9110 §10.2.3, for what may work later.
    pub retry_after: Option<Duration>,
    /// RFC 9110 §11.6.1: how to sign in.
    pub challenge: bool,
    /// RFC 9110 §10.2.1: what works here instead.
    pub allow: Option<&'static str>,
}

/// After our own trouble.
const TROUBLE_RETRY: Duration = Duration::from_secs(30);

impl Problem {
    /// A problem without more to say.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            enhanced_status: None,
            retry_after: None,
            challenge: false,
            allow: None,
        }
    }

    /// 400: the request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 503: our own trouble. Never the request's fault, so never 4xx.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        Self { retry_after: Some(TROUBLE_RETRY), ..problem }
    }

    /// 401 with the ways to sign in.
    pub fn sign_in(detail: impl Into<String>) -> Self {
        Self { challenge: true, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// RFC 9457 §3.1.
    pub(crate) fn json(&self) -> Value {
        let mut members = json!({
            "title": self.status.canonical_reason().unwrap_or("Problem"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(status) = &self.enhanced_status {
            members["enhanced_status"] = json!(status);
        }
        members
    }
}
