//! Answers as hyper sends them.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde_json::Value;

use crate::Problem;
use crate::content::{Content, Maker};
use crate::pages::Page;

/// A whole answer.
pub type Reply = Response<Content>;

/// RFC 7617 §2.1 and RFC 6750 §3.
const CHALLENGE: &str = "Basic realm=\"restante\", charset=\"UTF-8\", Bearer realm=\"restante\"";

/// A JSON document.
pub fn json(status: StatusCode, value: &Value) -> Reply {
    with_type(status, "application/json", format!("{value:#}\n").into_bytes())
}

/// A text of this media type.
pub fn text(media_type: &'static str, text: String) -> Reply {
    with_type(StatusCode::OK, media_type, text.into_bytes())
}

/// A page.
pub fn page(page: Page) -> Reply {
    with_type(StatusCode::OK, page.media_type, page.bytes)
}

/// A problem (RFC 9457 §3).
pub fn problem(problem: &Problem) -> Reply {
    let body = format!("{:#}\n", problem.json()).into_bytes();
    let mut reply = with_type(problem.status, "application/problem+json", body);
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            reply.headers_mut().insert(name, value);
        }
    };
    if problem.challenge {
        set(WWW_AUTHENTICATE, CHALLENGE);
    }
    if let Some(allow) = problem.allow {
        set(ALLOW, allow);
    }
    if let Some(after) = problem.retry_after {
        set(RETRY_AFTER, &after.as_secs().to_string());
    }
    reply
}

/// A file that is made while it is sent.
///
/// # Errors
/// Where it cannot be made at all.
pub async fn file(
    name: &'static str,
    media_type: &'static str,
    maker: Maker,
) -> Result<Reply, Problem> {
    let content = Content::made(maker).await.map_err(|broken| Problem::unavailable(broken.0))?;
    let mut reply = with_content(StatusCode::OK, media_type, content);
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        reply.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(reply)
}

/// Anything.
pub fn with_type(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Reply {
    with_content(status, media_type, Content::Whole(Full::new(Bytes::from(body))))
}

fn with_content(status: StatusCode, media_type: &'static str, content: Content) -> Reply {
    let mut reply = Response::new(content);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    // What is told here is somebody's mail.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    reply
}
